/* What focal separable attention does in one tile, forward and backward, along either axis of channels-last tensors.

   A tile is `rows` pixels along the axis by a few across it. Its values are copied into scratch with zeros beyond the
   image and the window's reach on both sides, once for each distinct tap length, as running means of that length. In
   scratch a pixel's weights lie tap by tap, the heads of a tap side by side. */
#pragma once
#include "convolve.h"
#include "vecmath.h"
#include <stdlib.h>

enum { AHEAD = 8 }; /* rows that are asked for before they are read: along an axis they lie far apart */

typedef struct { int64_t batch, along, across; } strides; /* in elements */

typedef struct {
    int64_t threads, dtype, batch, axis, across, channels, heads, taps, tables, reach;
    int64_t logits; /* 1: the weights are tanh of what is passed */
    int64_t pitch; /* pixels from one to the next along the axis in the results, which are contiguous */
    strides value, weight, grad;
    int64_t tap[]; /* starts (taps), table of each tap (taps), length of each table (tables) */
} geometry;

typedef struct {
    const geometry *g;
    const void *value, *weight, *grad;
    void *out, *grad_value, *grad_weight;
    int64_t rows, width; /* of a tile */
} job;

typedef struct { int64_t batch, first, rows, across, width; } tile;

/* How large tiles are; returns how many there are. */
static int64_t lay_tiles(job *j) {
    const geometry *g = j->g;
    if (!g->batch || !g->axis || !g->across) return 0;
    int contiguous_across = g->value.across < g->value.along; /* then tiles are wider, to read whole cache lines */
    j->width = min(g->across, contiguous_across ? 4 : 1);
    j->rows = min(g->axis, contiguous_across ? 64 : 128);
    return g->batch * ceil_div(g->axis, j->rows) * ceil_div(g->across, j->width);
}

/* Floats of the means, values and weights of a tile of so many rows. */
static int64_t tile_floats(const job *j, int64_t rows) {
    const geometry *g = j->g;
    return (rows + 2 * g->reach) * j->width * ((g->tables + 1) * g->channels + padded(g->heads * g->taps)) + 16;
}

static tile tile_of(const job *j, int64_t item) {
    const geometry *g = j->g;
    int64_t along = ceil_div(g->axis, j->rows), across = ceil_div(g->across, j->width);
    tile t = {item / (along * across), item % along * j->rows, 0, item / along % across * j->width, 0};
    t.rows = min(j->rows, g->axis - t.first);
    t.width = min(j->width, g->across - t.across);
    return t;
}

/* Which element of a contiguous result is the first channel of a tile's pixel. */
static int64_t result_at(const geometry *g, tile t, int64_t row, int64_t x, int64_t channels) {
    int64_t across = g->pitch == 1 ? g->axis : 1;
    return (t.batch * g->axis * g->across + (t.first + row) * g->pitch + (t.across + x) * across) * channels;
}

/* Rows first-halo .. first+rows+halo of a tile as float32 (row, across, channel), zeros outside the image. */
static void gather(float *to, const void *from, strides s, const geometry *g, tile t, int64_t halo, int64_t channels) {
    int64_t row = t.width * channels;
    for (int64_t i = -halo; i < t.rows + halo; i++, to += row) {
        int64_t along = t.first + i;
        if (along < 0 || along >= g->axis) {
            memset(to, 0, (size_t)row * sizeof(float));
            continue;
        }
        int64_t start = t.batch * s.batch + along * s.along + t.across * s.across;
        for (int64_t x = 0; x < t.width; x++) {
            prefetch(at(from, start + AHEAD * s.along + x * s.across, g->dtype), channels, g->dtype);
            load(to + x * channels, at(from, start + x * s.across, g->dtype), channels, g->dtype);
        }
    }
}

/* Four heads of four or eight channels have vector code of their own. */
static int is_fast(const geometry *g) {
    return g->heads == 4 && (g->channels == 16 || g->channels == 32);
}

typedef float four __attribute__((vector_size(16), aligned(4)));

static inline vec of_fours(const four *row) {
    vec all;
    __builtin_memcpy(&all, row, sizeof all);
    return all;
}

/* 16 lanes as a matrix of 4 x 4 -> its transpose. */
static inline vec transposed_4x4(vec x) {
    return __builtin_shufflevector(x, x, 0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
}

static int64_t longest(const geometry *g) {
    int64_t longer = 1;
    for (int64_t i = 0; i < g->tables; i++)
        if (g->tap[2 * g->taps + i] > longer) longer = g->tap[2 * g->taps + i];
    return longer;
}

/* tables[i][r] = mean of `length_i` rows of the tile from r. Returns the tile, which stands in `plain` or is a table. */
static float *gather_means(float *tables, float *plain, const job *j, tile t) {
    const geometry *g = j->g;
    int64_t row = t.width * g->channels, rows = t.rows + 2 * g->reach;
    for (int64_t i = 0; i < g->tables; i++)
        if (g->tap[2 * g->taps + i] == 1) plain = tables + i * rows * row;
    gather(plain, j->value, g->value, g, t, g->reach, g->channels);
    for (int64_t i = 0; i < g->tables; i++) {
        int64_t length = g->tap[2 * g->taps + i], n = (rows - length + 1) * row;
        if (length == 1) continue;
        float *restrict mean = tables + i * rows * row, scale = 1.0f / (float)length;
        int64_t k = length % 2 ? 1 : 2;
        if (k == 1)
            for (int64_t e = 0; e < n; e++) mean[e] = plain[e] * scale;
        else
            for (int64_t e = 0; e < n; e++) mean[e] = (plain[e] + plain[e + row]) * scale;
        for (; k < length; k += 2)
            for (int64_t e = 0; e < n; e++) mean[e] += (plain[e + k * row] + plain[e + (k + 1) * row]) * scale;
    }
    return plain;
}

/* out[c] = scale * sum over the taps of the weight of c's head times x[c], each read at the tap's offset. */
static inline __attribute__((always_inline)) void weigh(float *restrict out, const float *restrict x,
        const float *restrict weight, const int64_t *restrict at_x, const int64_t *restrict at_weight, int64_t taps,
        float scale, const geometry *g) {
    if (is_fast(g) && g->channels == 32) {
        vec low = {0}, high = {0};
        for (int64_t k = 0; k < taps; k++) {
            four w = *(const four *)(weight + at_weight[k]);
            const float *from = x + at_x[k];
            low += __builtin_shufflevector(w, w, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1) * *(const vec *)from;
            high += __builtin_shufflevector(w, w, 2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3) * *(const vec *)(from + 16);
        }
        *(vec *)out = low * scale;
        *(vec *)(out + 16) = high * scale;
        return;
    }
    if (is_fast(g)) {
        vec sum = {0};
        for (int64_t k = 0; k < taps; k++) {
            four w = *(const four *)(weight + at_weight[k]);
            sum += __builtin_shufflevector(w, w, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3) * *(const vec *)(x + at_x[k]);
        }
        *(vec *)out = sum * scale;
        return;
    }
    int64_t per_head = g->channels / g->heads, step = per_head % 4 ? 1 : 4;
    for (int64_t h = 0; h < g->heads; h++)
        for (int64_t c = h * per_head; c < (h + 1) * per_head; c += step) {
            float sum[4] = {0};
            for (int64_t k = 0; k < taps; k++)
                for (int64_t i = 0; i < step; i++) sum[i] += weight[h + at_weight[k]] * x[at_x[k] + c + i];
            for (int64_t i = 0; i < step; i++) out[c + i] = sum[i] * scale;
        }
}

/* The tile's results from its means and weights, `gates` from one pixel's to the next; out: scratch for one pixel. */
static void attend(const job *j, tile t, const float *tables, const float *weight, int64_t gates, float *out) {
    const geometry *g = j->g;
    int64_t row = t.width * g->channels, plane = (t.rows + 2 * g->reach) * row, offset[g->taps], tap[g->taps];
    for (int64_t k = 0; k < g->taps; k++) {
        offset[k] = g->tap[g->taps + k] * plane + (g->reach + g->tap[k]) * row;
        tap[k] = k * g->heads;
    }
    for (int64_t i = 0; i < t.rows; i++)
        for (int64_t x = 0; x < t.width; x++) {
            int64_t pixel = i * t.width + x;
            weigh(out, tables + pixel * g->channels, weight + pixel * gates, offset, tap, g->taps, 1, g);
            store(at(j->out, result_at(g, t, i, x, g->channels), g->dtype), out, g->channels, g->dtype);
        }
}

/* Lanes 4h .. 4h+3 of lane group h of each of four vectors added up: lane 4h + i is vector i's sum. */
static inline vec sums_of_fours(const vec *v) {
    vec pair[2];
    for (int i = 0; i < 2; i++)
        pair[i] = __builtin_shufflevector(v[2 * i], v[2 * i + 1], 0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29) +
                  __builtin_shufflevector(v[2 * i], v[2 * i + 1], 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31);
    return __builtin_shufflevector(pair[0], pair[1], 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29) +
           __builtin_shufflevector(pair[0], pair[1], 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31);
}

/* out[k, h] = <grad, tap k's means> over the channels of head h. */
static void correlate_any(float *restrict out, const float *restrict tables, const float *restrict grad,
                          const int64_t *restrict offset, const geometry *g) {
    int64_t per_head = g->channels / g->heads;
    for (int64_t k = 0; k < g->taps; k++)
        for (int64_t h = 0; h < g->heads; h++) {
#pragma clang fp reassociate(on)
            float sum = 0;
            for (int64_t c = h * per_head; c < (h + 1) * per_head; c++) sum += grad[c] * tables[offset[k] + c];
            out[k * g->heads + h] = sum;
        }
}

/* The same; up to 12 numbers behind the last are overwritten. */
static inline __attribute__((always_inline)) void correlate_fast(float *restrict out, const float *restrict tables,
        const float *restrict grad, const int64_t *restrict offset, const geometry *g, const int channels) {
    vec low = *(const vec *)grad, high = channels == 32 ? *(const vec *)(grad + 16) : low;
    for (int64_t k = 0; k < g->taps; k += 4) {
        vec product[4];
        for (int i = 0; i < 4; i++) {
            const float *x = tables + offset[min(k + i, g->taps - 1)];
            product[i] = low * *(const vec *)x;
            if (channels == 32) {
                vec rest = high * *(const vec *)(x + 16);
                product[i] = __builtin_shufflevector(product[i], rest, 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27) +
                             __builtin_shufflevector(product[i], rest, 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31);
            }
        }
        *(vec *)(out + 4 * k) = transposed_4x4(sums_of_fours(product));
    }
}

/* The gradient of each pixel's weights, `pitch` apart: room for padded(heads * taps); with `slopes`, what comes before
   the tanh that gave `weight`. grad and weight have the window's reach around them. */
static void correlate(float *out, int64_t pitch, const job *j, tile t, const float *tables, const float *grad,
                      const float *weight, int slopes) {
    const geometry *g = j->g;
    int64_t row = t.width * g->channels, plane = (t.rows + 2 * g->reach) * row, gates = g->heads * g->taps;
    int64_t offset[g->taps];
    for (int64_t k = 0; k < g->taps; k++) offset[k] = g->tap[g->taps + k] * plane + (g->reach + g->tap[k]) * row;
    for (int64_t pixel = 0; pixel < t.rows * t.width; pixel++, out += pitch) {
        int64_t inner = pixel + g->reach * t.width;
        const float *means = tables + pixel * g->channels, *own = grad + inner * g->channels, *w = weight + inner * gates;
        if (!is_fast(g)) correlate_any(out, means, own, offset, g);
        else if (g->channels == 32) correlate_fast(out, means, own, offset, g, 32);
        else correlate_fast(out, means, own, offset, g, 16);
        if (slopes)
            for (int64_t e = 0; e < gates; e++) out[e] *= 1.0f - w[e] * w[e];
    }
}

/* The values' gradient, on top of what `out` holds. */
static void grad_value_tile(const job *j, tile t, const float *grad, const float *weight, float *restrict means,
                            float *restrict out) {
    const geometry *g = j->g;
    int64_t row = t.width * g->channels, gates = g->heads * g->taps, n = t.rows * row, extra = longest(g) - 1;
    for (int64_t table = 0; table < g->tables; table++) {
        int64_t length = g->tap[2 * g->taps + table], at_weight[g->taps], at_grad[g->taps], taps = 0;
        for (int64_t k = 0; k < g->taps; k++)
            if (g->tap[g->taps + k] == table) {
                at_weight[taps] = k * g->heads - g->tap[k] * t.width * gates;
                at_grad[taps++] = -g->tap[k] * row;
            }
        for (int64_t pixel = (1 - length) * t.width; pixel < t.rows * t.width; pixel++) {
            float *to = means + (extra * t.width + pixel) * g->channels, scale = 1.0f / (float)length;
            int64_t from = pixel + g->reach * t.width;
            weigh(to, grad + from * g->channels, weight + from * gates, at_grad, at_weight, taps, scale, g);
        }
        const float *last = means + extra * row;
        int64_t k = length % 2;
        if (k)
            for (int64_t e = 0; e < n; e++) out[e] += last[e];
        for (; k < length; k += 2)
            for (int64_t e = 0; e < n; e++) out[e] += last[e - k * row] + last[e - (k + 1) * row];
    }
    for (int64_t i = 0; i < t.rows; i++)
        for (int64_t x = 0; x < t.width; x++)
            store(at(j->grad_value, result_at(g, t, i, x, g->channels), g->dtype), out + i * row + x * g->channels,
                  g->channels, g->dtype);
}
