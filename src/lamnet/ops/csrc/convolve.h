/* Depthwise convolutions along lines of pixels, and the gradient of their taps.

   Where the processor multiplies pairs, x has a row for each pair of pixels, as `over_pixels` makes them, and the taps of a
   line are in pairs too: (0, 1), (2, 3) and so on for the first pixel of a pair, (none, 0), (1, 2) and so on for the second. */
#pragma once
#include "gemm.h"

enum { MAX_LINES = 3 };

typedef struct {
    int64_t lines, span;      /* taps: so many in each line; span is odd */
    int64_t start[MAX_LINES]; /* where in x each line's first pixel stands that has to do with the first result */
    int64_t across, pitch;    /* pixels beside each other, all convolved alike; floats of one */
    int64_t dtype;
} stencil;

static inline int64_t row_of(const stencil *t) { return t->across * t->pitch; }

/* Numbers, or pairs of them, that a line's taps are read as. */
static inline int64_t steps_of(int64_t span, int pairs) { return ceil_div(span + together(pairs) - 1, together(pairs)); }

/* Room for taps, also for those that `pair_taps` makes. */
static inline float_layer take_taps(arena *a, int64_t lines, int64_t span, int64_t pitch) {
    return take_layer(a, together(PAIRS) * lines * steps_of(span, PAIRS), pitch);
}

static inline float tap_or_zero(const float *line, int64_t span, int64_t k) { return k >= 0 && k < span ? line[k] : 0; }

/* Taps (lines, span, pitch) as `convolve_line` takes them in this dtype, in place. Pairs are (place, lines, steps, pitch), where
   `place` is that of the result's pixel in its own pair. */
static inline void pair_taps(float *taps, int64_t lines, int64_t span, int64_t pitch, int64_t dtype) {
    int64_t steps = steps_of(span, 1), all = lines * span;
    for (int64_t c = 0; c < pitch && in_pairs(dtype); c++) {
        float own[all]; /* of this channel */
        for (int64_t k = 0; k < all; k++) own[k] = taps[k * pitch + c];
        float *to = taps + c;
        for (int64_t place = 0; place < PAIR; place++)
            for (const float *line = own; line < own + all; line += span)
                for (int64_t step = 0; step < steps; step++, to += pitch) {
                    int64_t first = step * PAIR - place;
                    *to = pair_of(tap_or_zero(line, span, first), tap_or_zero(line, span, first + 1));
                }
    }
}

/* `results` results that follow each other along the line. In registers stand as many sums and, where there are enough, what of x
   the sums take at a tap: at the next it moves on by one, so that only one number of x is read. */
static inline __attribute__((always_inline)) void convolve(float *restrict out, const float *restrict x, float_layer l,
        const stencil *t, const int results, const int pairs) {
    const int each = together(pairs), last = results / each - 1; /* each: results for which a number of x counts, or a pair */
    int64_t row = row_of(t), steps = steps_of(t->span, pairs), taps = t->lines * steps;
    for (int64_t c = 0; c < t->pitch; c += LANES) {
        const float *weight = l.weight + c;
        vec sum[RESULTS], number[RESULTS];
        for (int p = 0; p < results; p++) sum[p] = *(const vec *)(l.bias + c);
        for (int64_t line = 0; line < t->lines; line++) {
            const float *from = x + t->start[line] + c;
            for (int p = 0; p < last && SLIDES; p++) number[p + 1] = *(const vec *)(from + p * row);
            for (int64_t k = 0; k < steps; k++, from += row, weight += t->pitch) {
                for (int p = 0; p < last && SLIDES; p++) number[p] = number[p + 1];
                for (int p = SLIDES ? last : 0; p <= last; p++) number[p] = *(const vec *)(from + p * row);
                for (int i = 0; i < each; i++) {
                    vec w = *(const vec *)(weight + i * taps * t->pitch);
                    for (int p = 0; p <= last; p++) sum[p * each + i] = plus_products(sum[p * each + i], w, number[p], pairs);
                }
            }
        }
        for (int p = 0; p < results; p++) *(vec *)(out + p * row + c) = sum[p];
    }
}

static inline __attribute__((always_inline)) void convolve_as(float *out, const float *x, float_layer l, const stencil *t, int64_t n,
        const int pairs) {
    enum { MOST = RESULTS, HALF = MOST / 2 };
    _Static_assert(RESULTS % (2 * PAIR) == 0, "half of them are whole pairs");
    const int each = together(pairs);
    int64_t p = 0, row = row_of(t);
    for (; p + MOST <= n; p += MOST) convolve(out + p * row, x + p / each * row, l, t, MOST, pairs);
    for (; p + HALF <= n; p += HALF) convolve(out + p * row, x + p / each * row, l, t, HALF, pairs);
    for (; p < n; p += each) convolve(out + p * row, x + p / each * row, l, t, each, pairs);
}

/* n results, `across` beside each other of each; with an odd n one more may be written. */
static inline void convolve_line(float *out, const float *x, float_layer l, const stencil *t, int64_t n) {
    for (int64_t i = 0; i < row_of(t); i += t->pitch) {
        if (in_pairs(t->dtype)) convolve_as(out + i, x + i, l, t, n, 1);
        else convolve_as(out + i, x + i, l, t, n, 0);
    }
}

typedef struct { int64_t row, offset; } tap; /* where its sum stands, and what x it multiplies */

static inline __attribute__((always_inline)) void add_products(float *restrict sums, const float *restrict x,
        const float *restrict grad, const tap *t, int64_t n, int64_t pitch, const int taps, const int pairs) {
    for (int64_t c = 0; c < pitch; c += LANES) {
        vec sum[GRADIENTS];
        for (int k = 0; k < taps; k++) sum[k] = *(const vec *)(sums + t[k].row * pitch + c);
        for (int64_t p = 0; p < n; p++) {
            vec y = *(const vec *)(grad + p * pitch + c);
            for (int k = 0; k < taps; k++) sum[k] = plus_products(sum[k], y, *(const vec *)(x + t[k].offset + p * pitch + c), pairs);
        }
        for (int k = 0; k < taps; k++) *(vec *)(sums + t[k].row * pitch + c) = sum[k];
    }
}

static inline __attribute__((always_inline)) void add_all_products(float *sums, const float *x, const float *grad, const tap *t,
        int64_t taps, int64_t n, int64_t pitch, const int pairs) {
    enum { MOST = GRADIENTS, HALF = MOST / 2, QUARTER = MOST / 4 };
    _Static_assert(GRADIENTS % 4 == 0, "a quarter is whole");
    for (; taps >= MOST; taps -= MOST, t += MOST) add_products(sums, x, grad, t, n, pitch, MOST, pairs);
    for (; taps >= HALF; taps -= HALF, t += HALF) add_products(sums, x, grad, t, n, pitch, HALF, pairs);
    for (; taps >= QUARTER; taps -= QUARTER, t += QUARTER) add_products(sums, x, grad, t, n, pitch, QUARTER, pairs);
    for (; taps > 0; taps--, t++) add_products(sums, x, grad, t, n, pitch, 1, pairs);
}

/* Tap k multiplies pixel p of grad by pixel p + k + shift of x; both have to stand at the same place in their pairs. These are the
   taps for which they do where grad is in pairs with this lead. Returns how many. */
static inline int64_t taps_with(tap *of, int64_t lead, const stencil *t, int64_t shift) {
    int64_t taps = 0, each = together(in_pairs(t->dtype));
    for (int64_t line = 0; line < t->lines; line++)
        for (int64_t k = 0; k < t->span; k++)
            if ((k + shift) % each == lead) of[taps++] = (tap){line * t->span + k, t->start[line] + (k + shift) / each * row_of(t)};
    return taps;
}

/* Adds the gradient of the taps and of the bias by n pixels' grad (n, across, pitch); `shift` is counted from each line's start.
   Pairs of grad are made in `room`, of n / 2 + 1 rows, once with each lead. */
static inline void correlate_line(float_layer sums, const float *x, const float *grad, const stencil *t, int64_t shift, int64_t n,
                                  float *room) {
    const int pairs = in_pairs(t->dtype);
    for (int64_t lead = 0; lead < together(pairs); lead++) {
        tap of[t->lines * t->span];
        int64_t taps = taps_with(of, lead, t, shift);
        const float *y = over_pixels(room, grad, lead, n, row_of(t), t->dtype);
        int64_t rows = rows_over(n + lead, t->dtype) * t->across;
        if (pairs) add_all_products(sums.weight, x, y, of, taps, rows, t->pitch, 1);
        else add_all_products(sums.weight, x, y, of, taps, rows, t->pitch, 0);
        if (!lead) add_rows(sums.bias, y, rows * together(pairs), t->pitch, t->dtype);
    }
}

/* Taps (taps, pitch) in reverse order: those of a convolution's gradient by its input. */
static inline void reverse_taps(float *restrict to, const float *restrict taps, int64_t count, int64_t pitch) {
    for (int64_t k = 0; k < count; k++) load(to + k * pitch, taps + (count - 1 - k) * pitch, pitch, FLOAT32);
}
