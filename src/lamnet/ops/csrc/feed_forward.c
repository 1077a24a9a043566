/* The whole feed-forward without gradients: x + linear(gate(depthwise3x3(linear(normalise(x))))).

   A strip of columns runs down the image with three lines of hidden channels in the cache, so that they never reach
   memory. Lines beyond the image are zeros, as the convolution pads what it is given. */
#include "convolve.h"
#include "pixel.h"
#include <stdlib.h>

enum { ROWS = 32, COLUMNS = 64, TAPS = 9 };

typedef struct { int64_t threads, dtype, batch, height, width, channels, hidden; } geometry; /* hidden: both halves */

typedef struct {
    const geometry *g;
    const void *x;
    void *out;
    float *in, *in_bias, *taps, *taps_bias, *out_weight, *out_bias; /* padded, as gemm and convolve take them */
} job;

typedef struct { int64_t batch, top, left, rows, columns; } strip;

/* One line of hidden channels, one pixel more on either side. */
static void hidden_line(float *to, float *x, const job *j, strip t, int64_t y) {
    const geometry *g = j->g;
    int64_t deep = padded(g->channels), wide = padded(g->hidden);
    int64_t left = t.left ? t.left - 1 : 0, right = least(t.left + t.columns + 1, g->width), n = right - left;
    memset(to, 0, (size_t)((t.columns + 2) * wide) * sizeof(float));
    if (y < 0 || y >= g->height) return;
    load_rows(x, deep, j->x, (t.batch * g->height + y) * g->width + left, n, g->channels, g->channels, g->dtype);
    for (int64_t i = 0; i < n; i++) normalise(x + i * deep, g->channels);
    gemm(to + (left - t.left + 1) * wide, wide, operand(x, n, deep, g->dtype), j->in, wide, j->in_bias, n, g->channels);
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

static void strip_of_columns(const void *argument, int64_t item, float *lines) {
    const job *j = argument;
    const geometry *g = j->g;
    int64_t down = ceil_div(g->height, ROWS), across = ceil_div(g->width, COLUMNS), wide = padded(g->hidden);
    strip t = {item / (down * across), item / across % down * ROWS, item % across * COLUMNS, 0, 0};
    t.rows = least(ROWS, g->height - t.top);
    t.columns = least(COLUMNS, g->width - t.left);
    int64_t line = (COLUMNS + 2) * wide, offset[TAPS];
    float *z = lines + 3 * line, *x = z + COLUMNS * wide;
    for (int64_t y = -1; y <= t.rows; y++) {
        hidden_line(lines + (y + 3) % 3 * line, x, j, t, t.top + y);
        if (y < 1) continue;
        for (int64_t k = 0; k < TAPS; k++) offset[k] = (y + 1 + k / 3) % 3 * line + k % 3 * wide;
        convolve_line(z, lines, j->taps, j->taps_bias, offset, TAPS, wide, t.columns);
        output_line(x, z, j, t, t.top + y - 1);
    }
}

/* data: x, weight and bias of the first 1x1, of the depthwise, of the second 1x1 -> out */
int lamnet_feed_forward(void *const *data, const int64_t *numbers) {
    const geometry *g = (const geometry *)numbers;
    int64_t deep = padded(g->channels), wide = padded(g->hidden);
    float *all = calloc((size_t)((g->channels + 1) * wide + (TAPS + 1) * wide + (g->hidden + 1) * deep), sizeof(float));
    if (!all) return 1;
    job j = {.g = g, .x = data[0], .out = data[7], .in = all};
    j.in_bias = gemm_weight(j.in, data[1], data[2], g->hidden, g->channels, g->dtype);
    j.taps = j.in_bias + wide;
    j.taps_bias = transposed(j.taps, data[3], data[4], g->hidden, TAPS, g->dtype);
    j.out_weight = j.taps_bias + wide;
    j.out_bias = gemm_weight(j.out_weight, data[5], data[6], g->channels, g->hidden, g->dtype);
    int64_t items = g->batch * ceil_div(g->height, ROWS) * ceil_div(g->width, COLUMNS);
    int64_t floats = (3 * (COLUMNS + 2) + COLUMNS) * wide + (COLUMNS + 2) * deep;
    int failed = parallel(strip_of_columns, &j, items, floats, g->threads);
    return free(all), failed;
}
