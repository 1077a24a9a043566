/* Depthwise convolution of channels-last images with an odd kernel and zero padding that keeps the size, and its backward.

   A tile is copied into scratch with its surroundings, zeros beyond the image, so that no tap needs a test. */
#include "convolve.h"
#include <stdlib.h>

enum { MOST_CHUNKS = 64 };

typedef struct { int64_t batch, row, pixel; } strides; /* in elements */

typedef struct {
    int64_t threads, dtype, batch, height, width, channels, kernel_height, kernel_width;
    strides x, grad;
} geometry;

typedef struct {
    const geometry *g;
    const void *x, *grad, *start; /* start: added to the result, which it may be; or NULL */
    void *out;
    float *weight, *bias, *partials; /* weight: (taps, channels) padded; partials: such a weight and a bias per chunk */
    int64_t rows, columns, tiles, chunk; /* pixels of a tile, tiles in all, tiles of a chunk */
} job;

typedef struct { int64_t batch, top, left, rows, columns; } tile;

static tile tile_of(const job *j, int64_t item) {
    const geometry *g = j->g;
    int64_t down = ceil_div(g->height, j->rows), across = ceil_div(g->width, j->columns);
    tile t = {item / (down * across), item / across % down * j->rows, item % across * j->columns, 0, 0};
    t.rows = least(j->rows, g->height - t.top);
    t.columns = least(j->columns, g->width - t.left);
    return t;
}

static void gather(float *to, const void *from, strides s, const geometry *g, tile t, int64_t down, int64_t across) {
    int64_t pitch = padded(g->channels);
    for (int64_t y = t.top - down; y < t.top + t.rows + down; y++)
        for (int64_t x = t.left - across; x < t.left + t.columns + across; x++, to += pitch) {
            if (y < 0 || y >= g->height || x < 0 || x >= g->width) {
                memset(to, 0, (size_t)pitch * sizeof(float));
                continue;
            }
            load(to, at(from, t.batch * s.batch + y * s.row + x * s.pixel, g->dtype), g->channels, g->dtype);
            for (int64_t c = g->channels; c < pitch; c++) to[c] = 0;
        }
}

/* Where each tap's value stands, counted from the tile's first. */
static void offsets_of(int64_t *offset, const geometry *g, tile t) {
    int64_t pitch = padded(g->channels), line = (t.columns + g->kernel_width - 1) * pitch;
    for (int64_t k = 0; k < g->kernel_height * g->kernel_width; k++)
        offset[k] = k / g->kernel_width * line + k % g->kernel_width * pitch;
}

static void convolve_tile(const job *j, tile t, const float *x, float *out, void *to) {
    const geometry *g = j->g;
    int64_t pitch = padded(g->channels), taps = g->kernel_height * g->kernel_width, offset[taps];
    offsets_of(offset, g, t);
    for (int64_t y = 0; y < t.rows; y++) {
        const float *line = x + y * (t.columns + g->kernel_width - 1) * pitch;
        int64_t first = ((t.batch * g->height + t.top + y) * g->width + t.left) * g->channels;
        convolve_line(out, line, j->weight, j->bias, offset, taps, pitch, t.columns);
        for (int64_t p = 0; p < t.columns; p++, first += g->channels) {
            if (j->start) add(out + p * pitch, at(j->start, first, g->dtype), g->channels, g->dtype);
            store(at(to, first, g->dtype), out + p * pitch, g->channels, g->dtype);
        }
    }
}

static inline __attribute__((always_inline)) void correlate(float *restrict sums, const float *restrict x,
        const float *restrict grad, const int64_t *offset, int64_t n, int64_t pitch, const int taps) {
    for (int64_t c = 0; c < pitch; c += LANES) {
        vec sum[8];
        for (int k = 0; k < taps; k++) sum[k] = *(const vec *)(sums + k * pitch + c);
        for (int64_t p = 0; p < n; p++) {
            vec y = *(const vec *)(grad + p * pitch + c);
            for (int k = 0; k < taps; k++) sum[k] += y * *(const vec *)(x + offset[k] + p * pitch + c);
        }
        for (int k = 0; k < taps; k++) *(vec *)(sums + k * pitch + c) = sum[k];
    }
}

/* grad stands in a tile with its surroundings too: the inner part is used. */
static void correlate_tile(const job *j, tile t, const float *x, const float *grad, float *sums) {
    const geometry *g = j->g;
    int64_t pitch = padded(g->channels), taps = g->kernel_height * g->kernel_width, offset[taps];
    int64_t line = (t.columns + g->kernel_width - 1) * pitch, inner = g->kernel_height / 2 * line + g->kernel_width / 2 * pitch;
    int64_t lines = t.rows, n = t.columns;
    if (g->kernel_width == 1) lines = 1, n *= t.rows; /* the lines of the tile follow each other without a gap */
    offsets_of(offset, g, t);
    for (int64_t y = 0; y < lines; y++, x += line) {
        const float *row = grad + y * line + inner;
        int64_t k = 0;
        for (; k + 8 <= taps; k += 8) correlate(sums + k * pitch, x, row, offset + k, n, pitch, 8);
        for (; k + 3 <= taps; k += 3) correlate(sums + k * pitch, x, row, offset + k, n, pitch, 3);
        for (; k < taps; k++) correlate(sums + k * pitch, x, row, offset + k, n, pitch, 1);
        for (int64_t p = 0; p < n; p++)
            for (int64_t c = 0; c < pitch; c++) sums[taps * pitch + c] += row[p * pitch + c];
    }
}

static int64_t tile_floats(const job *j) {
    const geometry *g = j->g;
    return (j->rows + g->kernel_height - 1) * (j->columns + g->kernel_width - 1) * padded(g->channels);
}

static void forward_tile(const void *argument, int64_t item, float *x) {
    const job *j = argument;
    tile t = tile_of(j, item);
    gather(x, j->x, j->g->x, j->g, t, j->g->kernel_height / 2, j->g->kernel_width / 2);
    convolve_tile(j, t, x, x + tile_floats(j), j->out);
}

static void backward_chunk(const void *argument, int64_t item, float *x) {
    const job *j = argument;
    const geometry *g = j->g;
    float *grad = x + tile_floats(j), *out = grad + tile_floats(j);
    float *sums = j->partials + item * (g->kernel_height * g->kernel_width + 1) * padded(g->channels);
    for (int64_t i = item * j->chunk; i < least((item + 1) * j->chunk, j->tiles); i++) {
        tile t = tile_of(j, i);
        gather(x, j->x, g->x, g, t, g->kernel_height / 2, g->kernel_width / 2);
        gather(grad, j->grad, g->grad, g, t, g->kernel_height / 2, g->kernel_width / 2);
        convolve_tile(j, t, grad, out, j->out);
        correlate_tile(j, t, x, grad, sums);
    }
}

/* Weights (channels, taps) as stored -> (taps, channels) padded, in reverse order for the backward; and the bias. */
static float *arrange(job *j, const void *weight, const void *bias, int reverse) {
    const geometry *g = j->g;
    int64_t taps = g->kernel_height * g->kernel_width, pitch = padded(g->channels);
    float *to = calloc((size_t)((taps + 1) * pitch), sizeof(float));
    if (!to) return NULL;
    for (int64_t c = 0; c < g->channels; c++)
        for (int64_t k = 0; k < taps; k++)
            load(to + (reverse ? taps - 1 - k : k) * pitch + c, at(weight, c * taps + k, g->dtype), 1, g->dtype);
    if (bias) load(to + taps * pitch, bias, g->channels, g->dtype);
    j->weight = to;
    j->bias = to + taps * pitch;
    j->columns = least(g->width, g->kernel_width == 1 ? 4 : g->kernel_height == 1 ? 128 : 32);
    j->rows = least(g->height, g->kernel_width == 1 ? 64 : g->kernel_height == 1 ? 1 : 4);
    int empty = !g->batch || !g->height || !g->width;
    j->tiles = empty ? 0 : g->batch * ceil_div(g->height, j->rows) * ceil_div(g->width, j->columns);
    return to;
}

/* data: x, weight, bias -> out */
int lamnet_depthwise(void *const *data, const int64_t *numbers) {
    job j = {.g = (const geometry *)numbers, .x = data[0], .out = data[3]};
    float *weight = arrange(&j, data[1], data[2], 0);
    if (!weight) return 1;
    int failed = parallel(forward_tile, &j, j.tiles, tile_floats(&j) + j.columns * padded(j.g->channels), j.g->threads);
    return free(weight), failed;
}

/* data: grad, x, weight, what to add to grad_x or NULL -> grad_x, grad_weight, grad_bias */
int lamnet_depthwise_backward(void *const *data, const int64_t *numbers) {
    job j = {.g = (const geometry *)numbers, .grad = data[0], .x = data[1], .start = data[3], .out = data[4]};
    int64_t taps = j.g->kernel_height * j.g->kernel_width, pitch = padded(j.g->channels), size = (taps + 1) * pitch;
    float *weight = arrange(&j, data[2], NULL, 1);
    if (!weight) return 1;
    j.chunk = ceil_div(j.tiles, MOST_CHUNKS);
    int64_t chunks = j.tiles ? ceil_div(j.tiles, j.chunk) : 0;
    j.partials = calloc((size_t)((chunks + 1) * size), sizeof(float));
    if (!j.partials) return free(weight), 1;
    int64_t floats = 2 * tile_floats(&j) + j.columns * pitch;
    int failed = parallel(backward_chunk, &j, chunks, floats, j.g->threads);
    for (int64_t c = 1; c < chunks; c++)
        for (int64_t i = 0; i < size; i++) j.partials[i] += j.partials[c * size + i];
    for (int64_t c = 0; c < j.g->channels; c++)
        for (int64_t k = 0; k < taps; k++)
            store(at(data[5], c * taps + k, j.g->dtype), j.partials + k * pitch + c, 1, j.g->dtype);
    store(data[6], j.partials + taps * pitch, j.g->channels, j.g->dtype);
    return free(j.partials), free(weight), failed;
}
