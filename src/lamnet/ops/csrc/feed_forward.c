/* The feed-forward, x + factors * linear(gate(depthwise3x3(linear(norm(x))))), and its backward.

   A strip of columns runs down the image with three lines of hidden channels in the cache. What the first 1x1 gave
   reaches memory only where gradients will be asked; the backward computes the rest again, line by line, and needs
   neither the gated channels nor a hidden gradient from memory. Lines beyond the image are zeros, as the convolution pads. */
#include "convolve.h"
#include "fold.h"
#include "pixel.h"
#include <stdlib.h>

enum { ROWS = 32, COLUMNS = 64, TAPS = 9, MAX_CHUNKS = 64 };

typedef struct { int64_t threads, dtype, batch, height, width, channels, hidden; } geometry; /* hidden: both halves */

typedef struct {
    const geometry *g;
    const void *x, *grad;
    void *out, *hidden, *grad_x; /* hidden: behind the first 1x1, or NULL */
    float *in, *in_bias, *taps, *taps_bias, *out_weight, *out_bias; /* padded, as gemm and convolve take them; */
    float *taps_back, *zeros; /* for the backward in and out_weight as they are stored; taps in reverse order; zeros */
    float *partials;
    int64_t chunk; /* strips of one */
} job;

typedef struct { int64_t batch, top, left, rows, columns; } strip;

/* Zeros in a line of so many pixels but from `first` to `last`. */
static void clear_around(float *line, int64_t pixels, int64_t first, int64_t last, int64_t pitch) {
    memset(line, 0, (size_t)(first * pitch) * sizeof(float));
    memset(line + last * pitch, 0, (size_t)((pixels - last) * pitch) * sizeof(float));
}

static int is_inside(const geometry *g, int64_t y) { return y >= 0 && y < g->height; }

/* One line of hidden channels, one pixel more on either side. */
static void hidden_line(float *to, float *x, const job *j, strip t, int64_t y) {
    const geometry *g = j->g;
    int64_t deep = padded(g->channels), wide = padded(g->hidden);
    int64_t first = t.left == 0, last = min(t.columns + 2, g->width - t.left + 1), n = is_inside(g, y) ? last - first : 0;
    clear_around(to, t.columns + 2, first, first + n, wide);
    if (!n) return;
    int64_t pixel = (t.batch * g->height + y) * g->width + t.left;
    load_rows(x, deep, j->x, pixel - 1 + first, n, g->channels, g->channels, g->dtype);
    for (int64_t i = 0; i < n; i++) normalise(x + i * deep, g->channels);
    gemm(to + first * wide, wide, operand(x, n, deep, g->dtype), j->in, wide, j->in_bias, n, g->channels);
    if (!j->hidden || y < t.top || y >= t.top + t.rows) return;
    for (int64_t i = 0; i < t.columns; i++)
        store(at(j->hidden, (pixel + i) * g->hidden, g->dtype), to + (i + 1) * wide, g->hidden, g->dtype);
}

static void output_line(float *x, float *z, const job *j, strip t, int64_t y) {
    const geometry *g = j->g;
    int64_t deep = padded(g->channels), wide = padded(g->hidden);
    int64_t first = (t.batch * g->height + y) * g->width + t.left;
    for (int64_t i = 0; i < t.columns; i++) gate(z + i * wide, g->hidden);
    load_rows(x, deep, j->x, first, t.columns, g->channels, g->channels, g->dtype);
    for (int64_t i = 0; i < t.columns; i++)
        for (int64_t c = 0; c < deep; c++) x[i * deep + c] += j->out_bias[c];
    gemm(x, deep, operand(z, t.columns, wide, g->dtype), j->out_weight, deep, NULL, t.columns, g->hidden);
    for (int64_t i = 0; i < t.columns; i++)
        store(at(j->out, (first + i) * g->channels, g->dtype), x + i * deep, g->channels, g->dtype);
}

static int64_t strips_of(const geometry *g) {
    return g->batch * ceil_div(g->height, ROWS) * ceil_div(g->width, COLUMNS);
}

static strip strip_of(const geometry *g, int64_t item) {
    int64_t down = ceil_div(g->height, ROWS), across = ceil_div(g->width, COLUMNS);
    strip t = {item / (down * across), item / across % down * ROWS, item % across * COLUMNS, 0, 0};
    t.rows = min(ROWS, g->height - t.top);
    t.columns = min(COLUMNS, g->width - t.left);
    return t;
}

static void forward_strip(const void *argument, int64_t item, float *lines) {
    const job *j = argument;
    strip t = strip_of(j->g, item);
    int64_t wide = padded(j->g->hidden), line = (COLUMNS + 2) * wide, offset[TAPS];
    float *z = lines + 3 * line, *x = z + COLUMNS * wide;
    for (int64_t y = -1; y <= t.rows; y++) {
        hidden_line(lines + (y + 3) % 3 * line, x, j, t, t.top + y);
        if (y < 1) continue;
        for (int64_t k = 0; k < TAPS; k++) offset[k] = (y + 1 + k / 3) % 3 * line + k % 3 * wide;
        convolve_line(z, lines, j->taps, j->taps_bias, offset, TAPS, wide, t.columns);
        output_line(x, z, j, t, t.top + y - 1);
    }
}

/* The gradients' sums of one chunk: transposed as gemm and convolve take them, each above its bias's. */
typedef struct { float *in, *taps, *out, *out_bias; } sums_of;

static int64_t partial_floats(const geometry *g) {
    int64_t deep = padded(g->channels), wide = padded(g->hidden);
    return (deep + 1) * wide + (TAPS + 1) * wide + (wide + 1) * deep;
}

static sums_of sums_at(float *all, const geometry *g) {
    int64_t deep = padded(g->channels), wide = padded(g->hidden);
    sums_of s = {all, all + (deep + 1) * wide, all + (deep + TAPS + 2) * wide, 0};
    s.out_bias = s.out + wide * deep;
    return s;
}

/* One line of what the first 1x1 gave, two pixels more on either side. */
static void kept_line(float *to, const job *j, strip t, int64_t y) {
    const geometry *g = j->g;
    int64_t wide = padded(g->hidden), first = t.left < 2 ? 2 - t.left : 0, last = min(t.columns + 4, g->width - t.left + 2);
    int64_t n = is_inside(g, y) ? last - first : 0, pixel = (t.batch * g->height + y) * g->width + t.left;
    clear_around(to, t.columns + 4, first, first + n, wide);
    load_rows(to + first * wide, wide, j->hidden, pixel - 2 + first, n, g->hidden, g->hidden, g->dtype);
}

/* One line of the gradient in front of the gates, a pixel more on either side, from the kept lines around it; `line` is
   the pitch of the three, `above` which of them comes first; z and grad: scratch. */
static void gated_line(float *to, float *z, float *grad, const job *j, strip t, int64_t y, const float *kept,
                       int64_t line, int64_t above, sums_of sums) {
    const geometry *g = j->g;
    int64_t deep = padded(g->channels), wide = padded(g->hidden), offset[TAPS];
    int64_t first = t.left == 0, last = min(t.columns + 2, g->width - t.left + 1), n = is_inside(g, y) ? last - first : 0;
    clear_around(to, t.columns + 2, first, first + n, wide);
    if (!n) return;
    for (int64_t k = 0; k < TAPS; k++) offset[k] = (above + k / 3) % 3 * line + (first + k % 3) * wide;
    convolve_line(z, kept, j->taps, j->taps_bias, offset, TAPS, wide, n);
    load_rows(grad, deep, j->grad, (t.batch * g->height + y) * g->width + t.left - 1 + first, n, g->channels, g->channels,
              g->dtype);
    to += first * wide;
    gemm(to, wide, (rows_of){grad, deep, 1}, j->out_weight, wide, j->zeros, n, g->channels);
    int64_t half = g->hidden / 2;
    for (int64_t i = 0; i < n; i++) gate_backward(to + i * wide, to + i * wide + half, z + i * wide, z + i * wide + half, half);
    if (y < t.top || y >= t.top + t.rows) return;
    int64_t skip = 1 - first;
    gemm(sums.out, deep, (rows_of){z + skip * wide, 1, wide}, grad + skip * deep, deep, NULL, wide, t.columns);
    add_rows(sums.out_bias, grad + skip * deep, t.columns, deep);
    for (int64_t k = 0; k < TAPS; k++) offset[k] += skip * wide;
    correlate_line(sums.taps, kept, to + skip * wide, offset, TAPS, wide, t.columns);
}

/* A line of the result from the gradient behind the first 1x1. */
static void input_line(float *x, float *grad_x, const float *grad, const job *j, strip t, int64_t y, sums_of sums) {
    const geometry *g = j->g;
    int64_t deep = padded(g->channels), wide = padded(g->hidden);
    int64_t first = (t.batch * g->height + y) * g->width + t.left;
    float scale[COLUMNS];
    load_rows(x, deep, j->x, first, t.columns, g->channels, g->channels, g->dtype);
    for (int64_t i = 0; i < t.columns; i++) scale[i] = normalise(x + i * deep, g->channels);
    gemm(grad_x, deep, (rows_of){grad, wide, 1}, j->in, deep, j->zeros, t.columns, g->hidden);
    gemm(sums.in, wide, (rows_of){x, 1, deep}, grad, wide, NULL, deep, t.columns);
    add_rows(sums.in + deep * wide, grad, t.columns, wide);
    for (int64_t i = 0; i < t.columns; i++, first++, x += deep, grad_x += deep) {
        normalise_backward(grad_x, x, scale[i], g->channels);
        add(grad_x, at(j->grad, first * g->channels, g->dtype), g->channels, g->dtype);
        store(at(j->grad_x, first * g->channels, g->dtype), grad_x, g->channels, g->dtype);
    }
}

static void backward_strip(const job *j, strip t, float *kept, sums_of sums) {
    int64_t deep = padded(j->g->channels), wide = padded(j->g->hidden), offset[TAPS];
    int64_t kept_pitch = (COLUMNS + 4) * wide, pitch = (COLUMNS + 2) * wide;
    float *grads = kept + 3 * kept_pitch, *z = grads + 3 * pitch, *grad = z + pitch, *x = grad + (COLUMNS + 2) * deep;
    for (int64_t y = -2; y <= t.rows + 1; y++) {
        kept_line(kept + (y + 3) % 3 * kept_pitch, j, t, t.top + y);
        if (y < 0) continue;
        gated_line(grads + (y + 2) % 3 * pitch, z, grad, j, t, t.top + y - 1, kept, kept_pitch, (y + 1) % 3, sums);
        if (y < 2) continue;
        for (int64_t k = 0; k < TAPS; k++) offset[k] = (y + k / 3) % 3 * pitch + k % 3 * wide;
        convolve_line(z, grads, j->taps_back, j->zeros, offset, TAPS, wide, t.columns);
        input_line(x, grad, z, j, t, t.top + y - 2, sums);
    }
}

static void backward_chunk(const void *argument, int64_t item, float *scratch) {
    const job *j = argument;
    sums_of sums = sums_at(j->partials + item * partial_floats(j->g), j->g);
    for (int64_t i = item * j->chunk; i < min((item + 1) * j->chunk, strips_of(j->g)); i++)
        backward_strip(j, strip_of(j->g, i), scratch, sums);
}

/* data: x, gain and offset of the norm, weight and bias of the first 1x1, of the depthwise, of the second 1x1, factors ->
   out, hidden or NULL */
int lamnet_feed_forward(void *const *data, const int64_t *numbers) {
    const geometry *g = (const geometry *)numbers;
    int64_t deep = padded(g->channels), wide = padded(g->hidden);
    float *all = calloc((size_t)((g->channels + 1) * wide + (TAPS + 1) * wide + (g->hidden + 1) * deep), sizeof(float));
    if (!all) return 1;
    job j = {.g = g, .x = data[0], .out = data[10], .hidden = data[11], .in = all};
    j.in_bias = transposed(j.in, data[3], data[4], g->hidden, g->channels, g->dtype);
    fold_norm(j.in, j.in_bias, wide, data[1], data[2], g->hidden, g->channels, g->dtype);
    pair_rows(j.in, wide, g->channels, g->dtype);
    j.taps = j.in_bias + wide;
    j.taps_bias = transposed(j.taps, data[5], data[6], g->hidden, TAPS, g->dtype);
    j.out_weight = j.taps_bias + wide;
    j.out_bias = transposed(j.out_weight, data[7], data[8], g->channels, g->hidden, g->dtype);
    fold_factors(j.out_weight, j.out_bias, deep, data[9], g->channels, g->hidden, g->dtype);
    pair_rows(j.out_weight, deep, g->hidden, g->dtype);
    int64_t floats = (3 * (COLUMNS + 2) + COLUMNS) * wide + (COLUMNS + 2) * deep;
    int failed = parallel(forward_strip, &j, strips_of(g), floats, g->threads);
    return free(all), failed;
}

/* data: grad, x, hidden, norm, weights, biases and factors as above -> the gradients of x and of each of them */
int lamnet_feed_forward_backward(void *const *data, const int64_t *numbers) {
    const geometry *g = (const geometry *)numbers;
    int64_t deep = padded(g->channels), wide = padded(g->hidden), size = partial_floats(g), strips = strips_of(g);
    int64_t longer = deep > wide ? deep : wide;
    float *all = calloc((size_t)(g->hidden * deep + (2 * TAPS + 1) * wide + g->channels * wide + longer + 3 * deep), sizeof(float));
    int64_t chunk = ceil_div(strips, MAX_CHUNKS), chunks = strips ? ceil_div(strips, chunk) : 0;
    float *sums = calloc((size_t)((chunks + !chunks) * size), sizeof(float));
    if (!all || !sums) return free(all), free(sums), 1;
    job j = {.g = g, .grad = data[0], .x = data[1], .hidden = data[2], .grad_x = data[12], .in = all, .partials = sums,
             .chunk = chunk};
    void *const *stored = data + 3, *const *grads = data + 13;
    j.taps = as_stored(j.in, stored[2], g->hidden, g->channels, deep, g->dtype);
    scale_columns(j.in, stored[0], g->hidden, g->channels, deep, g->dtype);
    j.taps_bias = transposed(j.taps, stored[4], stored[5], g->hidden, TAPS, g->dtype);
    j.taps_back = j.taps_bias + wide;
    for (int64_t k = 0; k < TAPS; k++) load(j.taps_back + k * wide, j.taps + (TAPS - 1 - k) * wide, wide, FLOAT32);
    j.out_weight = j.taps_back + TAPS * wide;
    j.zeros = as_stored(j.out_weight, stored[6], g->channels, g->hidden, wide, g->dtype);
    scale_rows(j.out_weight, stored[8], g->channels, g->hidden, wide, g->dtype);
    int64_t floats = (3 * (COLUMNS + 4) + 4 * (COLUMNS + 2)) * wide + 2 * (COLUMNS + 2) * deep;
    int failed = parallel(backward_chunk, &j, chunks, floats, g->threads);
    for (int64_t c = 1; c < chunks; c++)
        for (int64_t i = 0; i < size; i++) sums[i] += sums[c * size + i];
    sums_of s = sums_at(sums, g);
    float *gain = j.zeros + longer, *offset = gain + deep, *factors = offset + deep, *in_bias = s.in + deep * wide;
    unfold_norm(s.in, in_bias, wide, gain, offset, stored[2], stored[0], stored[1], g->hidden, g->channels, g->dtype);
    unfold_factors(s.out, s.out_bias, deep, factors, stored[6], stored[7], stored[8], g->channels, g->hidden, g->dtype);
    store(grads[0], gain, g->channels, g->dtype);
    store(grads[1], offset, g->channels, g->dtype);
    store_transposed(grads[2], grads[3], s.in, in_bias, g->hidden, g->channels, wide, g->dtype);
    store_transposed(grads[4], grads[5], s.taps, s.taps + TAPS * wide, g->hidden, TAPS, wide, g->dtype);
    store_transposed(grads[6], grads[7], s.out, s.out_bias, g->channels, g->hidden, deep, g->dtype);
    store(grads[8], factors, g->channels, g->dtype);
    return free(all), free(sums), failed;
}
