/* Depthwise convolutions along lines of pixels, and the gradient of their taps.

   Where the processor multiplies pairs, x has a row for each pair of pixels, as `over_pixels` makes them, and the taps of a
   line are in pairs too: (0, 1), (2, 3) and so on for an even pixel, (none, 0), (1, 2) and so on for an odd one. */
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
static inline int64_t steps_of(const stencil *t) { return in_pairs(t->dtype) ? (t->span + 1) / 2 : t->span; }

/* The taps and the room that `pair_taps` needs beside them. */
static inline float_layer take_taps(arena *a, int64_t lines, int64_t span, int64_t pitch) {
    return take_layer(a, lines * (span + 1), pitch);
}

/* Taps (lines, span, pitch) as `convolve_line` takes them in this dtype, in place. */
static inline void pair_taps(float *taps, int64_t lines, int64_t span, int64_t pitch, int64_t dtype) {
    int64_t steps = (span + 1) / 2;
    float padded_line[span + 2];
    for (int64_t c = 0; c < pitch && in_pairs(dtype); c++) {
        float column[lines * span];
        for (int64_t k = 0; k < lines * span; k++) column[k] = taps[k * pitch + c];
        for (int64_t line = 0; line < lines; line++) {
            padded_line[0] = padded_line[span + 1] = 0;
            load(padded_line + 1, column + line * span, span, FLOAT32);
            for (int64_t k = 0; k < 2 * steps; k++) {
                int64_t odd = k / steps; /* those of odd pixels come last */
                const float *pair = padded_line + 1 - odd + k % steps * 2;
                uint32_t bits = (uint32_t)bfloat16_of(pair[1]) << 16 | bfloat16_of(pair[0]);
                taps[((odd * lines + line) * steps + k % steps) * pitch + c] = float_of(bits);
            }
        }
    }
}

static inline __attribute__((always_inline)) void convolve(float *restrict out, const float *restrict x,
        const float *restrict weight, const float *restrict bias, const int64_t *offset, int64_t taps, int64_t row, int64_t pitch,
        const int results, const int pairs) {
    const int each = pairs ? 2 : 1; /* results for which a number of x counts, or a pair */
    for (int64_t c = 0; c < pitch; c += LANES) {
        vec sum[8];
        for (int p = 0; p < results; p++) sum[p] = *(const vec *)(bias + c);
        for (int64_t k = 0; k < taps; k++) {
            vec w[2] = {*(const vec *)(weight + k * pitch + c)};
            if (pairs) w[1] = *(const vec *)(weight + (taps + k) * pitch + c);
            for (int p = 0; p < results; p += each) {
                vec number = *(const vec *)(x + offset[k] + p / each * row + c);
                for (int i = 0; i < each; i++) sum[p + i] = plus_products(sum[p + i], w[i], number, pairs);
            }
        }
        for (int p = 0; p < results; p++) *(vec *)(out + p * row + c) = sum[p];
    }
}

static inline __attribute__((always_inline)) void convolve_as(float *out, const float *x, float_layer l, const int64_t *offset,
        int64_t taps, int64_t row, int64_t pitch, int64_t n, const int pairs) {
    const int each = pairs ? 2 : 1;
    int64_t p = 0;
    for (; p + 8 <= n; p += 8) convolve(out + p * row, x + p / each * row, l.weight, l.bias, offset, taps, row, pitch, 8, pairs);
    for (; p + 4 <= n; p += 4) convolve(out + p * row, x + p / each * row, l.weight, l.bias, offset, taps, row, pitch, 4, pairs);
    for (; p < n; p += each) convolve(out + p * row, x + p / each * row, l.weight, l.bias, offset, taps, row, pitch, each, pairs);
}

/* n results, `across` beside each other of each; with an odd n one more may be written. */
static inline void convolve_line(float *out, const float *x, float_layer l, const stencil *t, int64_t n) {
    int64_t steps = steps_of(t), taps = t->lines * steps, offset[taps], pitch = t->pitch, row = row_of(t);
    for (int64_t k = 0; k < taps; k++) offset[k] = t->start[k / steps] + k % steps * row;
    if (!in_pairs(t->dtype)) {
        convolve_as(out, x, l, offset, taps, pitch, pitch, n * t->across, 0);
        return;
    }
    for (int64_t i = 0; i < row; i += pitch) convolve_as(out + i, x + i, l, offset, taps, row, pitch, n, 1);
}

typedef struct { int64_t row, offset; } tap; /* where its sum stands, and what x it multiplies */

static inline __attribute__((always_inline)) void add_products(float *restrict sums, const float *restrict x,
        const float *restrict grad, const tap *t, int64_t n, int64_t pitch, const int taps, const int pairs) {
    for (int64_t c = 0; c < pitch; c += LANES) {
        vec sum[12];
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
    for (; taps >= 12; taps -= 12, t += 12) add_products(sums, x, grad, t, n, pitch, 12, pairs);
    for (; taps >= 6; taps -= 6, t += 6) add_products(sums, x, grad, t, n, pitch, 6, pairs);
    for (; taps >= 3; taps -= 3, t += 3) add_products(sums, x, grad, t, n, pitch, 3, pairs);
    for (; taps > 0; taps--, t++) add_products(sums, x, grad, t, n, pitch, 1, pairs);
}

/* Adds the gradient of the taps and of the bias by n pixels' grad (n, across, pitch), the first of which has to do with what
   stands `shift` pixels behind the stencil's starts; room: n / 2 + 1 rows. */
static inline void correlate_line(float_layer sums, const float *x, const float *grad, const stencil *t, int64_t shift, int64_t n,
                                  float *room) {
    int64_t row = row_of(t), all = t->lines * t->span;
    const int pairs = in_pairs(t->dtype);
    for (int64_t lead = 0; lead <= pairs; lead++) {
        tap of[all];
        int64_t taps = 0;
        for (int64_t k = 0; k < all; k++) {
            int64_t at = k % t->span + shift; /* in pairs an odd one is for pairs of grad with a lead */
            if (!pairs) of[taps++] = (tap){k, t->start[k / t->span] + at * row};
            else if (at % 2 == lead) of[taps++] = (tap){k, t->start[k / t->span] + at / 2 * row};
        }
        const float *y = over_pixels(room, grad, lead, n, row, t->dtype);
        int64_t rows = rows_over(n + lead, t->dtype) * t->across;
        if (pairs) add_all_products(sums.weight, x, y, of, taps, rows, t->pitch, 1);
        else add_all_products(sums.weight, x, y, of, taps, rows, t->pitch, 0);
        if (!lead) add_rows(sums.bias, y, rows * (1 + pairs), t->pitch, t->dtype);
    }
}

/* Taps (taps, pitch) in reverse order: those of a convolution's gradient by its input. */
static inline void reverse_taps(float *restrict to, const float *restrict taps, int64_t count, int64_t pitch) {
    for (int64_t k = 0; k < count; k++) load(to + k * pitch, taps + (count - 1 - k) * pitch, pitch, FLOAT32);
}
