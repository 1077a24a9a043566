/* Focal separable attention, forward and backward, along either axis of channels-last tensors.

   A tile is `rows` pixels along the axis by a few across it. Its values are copied into scratch with zeros beyond the
   image and the window's reach on both sides, once for each distinct tap length, as running means of that length. */
#include "convolve.h"
#include "vecmath.h"
#include <stdlib.h>

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
    float *taps, *taps_bias, *project, *project_bias; /* padded; NULL where the weights are given */
} job;

typedef struct { int64_t batch, first, rows, across, width; } tile;

static tile tile_of(const job *j, int64_t item) {
    const geometry *g = j->g;
    int64_t along = ceil_div(g->axis, j->rows), across = ceil_div(g->across, j->width);
    tile t = {item / (along * across), item % along * j->rows, 0, item / along % across * j->width, 0};
    t.rows = least(j->rows, g->axis - t.first);
    t.width = least(j->width, g->across - t.across);
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
        for (int64_t x = 0; x < t.width; x++)
            load(to + x * channels, at(from, start + x * s.across, g->dtype), channels, g->dtype);
    }
}

static void gather_weights(float *to, const job *j, tile t, int64_t halo) {
    const geometry *g = j->g;
    int64_t channels = g->heads * g->taps, row = t.width * channels;
    gather(to, j->weight, g->weight, g, t, halo, channels);
    if (!g->logits) return;
    int64_t first = t.first < halo ? halo - t.first : 0, last = least(t.rows + 2 * halo, g->axis - t.first + halo);
    for (int64_t i = first * row; i < last * row; i++) to[i] = hyperbolic_tangent(to[i]);
}

/* The weights from the values: depthwise along the axis, 1x1, tanh; `mixed` is scratch for what lies between. */
static void predict_weights(float *to, float *mixed, const float *values, const job *j, tile t) {
    const geometry *g = j->g;
    int64_t span = 2 * g->reach + 1, row = t.width * g->channels, n = t.rows * t.width, offset[span];
    int64_t columns = padded(g->heads * g->taps);
    for (int64_t k = 0; k < span; k++) offset[k] = k * row;
    convolve_line(mixed, values, j->taps, j->taps_bias, offset, span, g->channels, n);
    gemm(to, columns, (rows_of){mixed, g->channels, 1}, j->project, columns, j->project_bias, n, g->channels);
    for (int64_t i = 0; i < n * columns; i++) to[i] = hyperbolic_tangent(to[i]);
}

static int64_t longest(const geometry *g) {
    int64_t most = 1;
    for (int64_t i = 0; i < g->tables; i++)
        if (g->tap[2 * g->taps + i] > most) most = g->tap[2 * g->taps + i];
    return most;
}

/* tables[i][r] = mean of `length_i` rows of the plain tile from r. */
static void gather_means(float *tables, float *plain, const job *j, tile t) {
    const geometry *g = j->g;
    int64_t row = t.width * g->channels, rows = t.rows + 2 * g->reach;
    gather(plain, j->value, g->value, g, t, g->reach, g->channels);
    for (int64_t i = 0; i < g->tables; i++) {
        int64_t length = g->tap[2 * g->taps + i], n = (rows - length + 1) * row;
        float *restrict mean = tables + i * rows * row, scale = 1.0f / (float)length;
        int64_t k = length % 2 ? 1 : 2;
        if (k == 1)
            for (int64_t e = 0; e < n; e++) mean[e] = plain[e] * scale;
        else
            for (int64_t e = 0; e < n; e++) mean[e] = (plain[e] + plain[e + row]) * scale;
        for (; k < length; k += 2)
            for (int64_t e = 0; e < n; e++) mean[e] += (plain[e + k * row] + plain[e + (k + 1) * row]) * scale;
    }
}

typedef float eight __attribute__((vector_size(32), aligned(4)));

/* out[c] = scale * sum over the taps of the weight of c's head times x[c], each read at the tap's offset. */
static inline __attribute__((always_inline)) void weigh(float *restrict out, const float *restrict x,
        const float *restrict weight, const int64_t *restrict at_x, const int64_t *restrict at_weight, int64_t taps,
        float scale, const geometry *g) {
    int64_t per_head = g->channels / g->heads;
    if (per_head == 8 && g->heads == 4) {
        eight sum[4] = {{0}};
        for (int64_t k = 0; k < taps; k++) {
            const float *w = weight + at_weight[k], *from = x + at_x[k];
            for (int h = 0; h < 4; h++) sum[h] += w[h * g->taps] * *(const eight *)(from + 8 * h);
        }
        for (int h = 0; h < 4; h++) *(eight *)(out + 8 * h) = sum[h] * scale;
        return;
    }
    int64_t step = per_head % 4 ? 1 : 4;
    for (int64_t h = 0; h < g->heads; h++)
        for (int64_t c = h * per_head; c < (h + 1) * per_head; c += step) {
            float sum[4] = {0};
            for (int64_t k = 0; k < taps; k++)
                for (int64_t i = 0; i < step; i++) sum[i] += weight[h * g->taps + at_weight[k]] * x[at_x[k] + c + i];
            for (int64_t i = 0; i < step; i++) out[c + i] = sum[i] * scale;
        }
}

static void forward_tile(const void *argument, int64_t item, float *scratch) {
    const job *j = argument;
    const geometry *g = j->g;
    tile t = tile_of(j, item);
    int64_t row = t.width * g->channels, plane = (t.rows + 2 * g->reach) * row, gates = g->heads * g->taps;
    if (j->taps) gates = padded(gates);
    float *tables = scratch, *plain = tables + g->tables * plane, *out = plain + plane, *weight = out + t.rows * row;
    gather_means(tables, plain, j, t);
    if (j->taps) predict_weights(weight, out, plain, j, t);
    else gather_weights(weight, j, t, 0);
    int64_t offset[g->taps], tap[g->taps];
    for (int64_t k = 0; k < g->taps; k++) {
        offset[k] = g->tap[g->taps + k] * plane + (g->reach + g->tap[k]) * row;
        tap[k] = k;
    }
    for (int64_t i = 0; i < t.rows; i++)
        for (int64_t x = 0; x < t.width; x++) {
            int64_t pixel = i * t.width + x;
            weigh(out, tables + pixel * g->channels, weight + pixel * gates, offset, tap, g->taps, 1, g);
            store(at(j->out, result_at(g, t, i, x, g->channels), g->dtype), out, g->channels, g->dtype);
        }
}

/* The sums of eight vectors, by a tree that halves their number at every step. */
static inline eight sums_of(const eight *v) {
    eight pair[4], quad[2];
    for (int i = 0; i < 4; i++)
        pair[i] = __builtin_shufflevector(v[2 * i], v[2 * i + 1], 0, 8, 2, 10, 4, 12, 6, 14) +
                  __builtin_shufflevector(v[2 * i], v[2 * i + 1], 1, 9, 3, 11, 5, 13, 7, 15);
    for (int i = 0; i < 2; i++)
        quad[i] = __builtin_shufflevector(pair[2 * i], pair[2 * i + 1], 0, 1, 8, 9, 4, 5, 12, 13) +
                  __builtin_shufflevector(pair[2 * i], pair[2 * i + 1], 2, 3, 10, 11, 6, 7, 14, 15);
    return __builtin_shufflevector(quad[0], quad[1], 0, 1, 2, 3, 8, 9, 10, 11) +
           __builtin_shufflevector(quad[0], quad[1], 4, 5, 6, 7, 12, 13, 14, 15);
}

/* out[h, k] = <grad, tap k's means> over the channels of head h; up to 7 numbers behind the last are overwritten. */
static void correlate(float *restrict out, const float *restrict tables, const float *restrict grad,
                      const int64_t *restrict offset, const geometry *g) {
    int64_t per_head = g->channels / g->heads;
    if (per_head != 8) {
        for (int64_t h = 0; h < g->heads; h++)
            for (int64_t k = 0; k < g->taps; k++) {
#pragma clang fp reassociate(on)
                float sum = 0;
                for (int64_t c = h * per_head; c < (h + 1) * per_head; c++) sum += grad[c] * tables[offset[k] + c];
                out[h * g->taps + k] = sum;
            }
        return;
    }
    for (int64_t h = 0; h < g->heads; h++) {
        eight own = *(const eight *)(grad + 8 * h);
        for (int64_t k = 0; k < g->taps; k += 8) {
            eight product[8];
            for (int64_t i = 0; i < 8; i++)
                product[i] = own * *(const eight *)(tables + offset[least(k + i, g->taps - 1)] + 8 * h);
            *(eight *)(out + h * g->taps + k) = sums_of(product);
        }
    }
}

static void grad_weight_tile(const job *j, tile t, const float *tables, const float *grad, const float *weight, float *out) {
    const geometry *g = j->g;
    int64_t row = t.width * g->channels, plane = (t.rows + 2 * g->reach) * row, gates = g->heads * g->taps;
    int64_t offset[g->taps];
    for (int64_t k = 0; k < g->taps; k++) offset[k] = g->tap[g->taps + k] * plane + (g->reach + g->tap[k]) * row;
    for (int64_t i = 0; i < t.rows; i++)
        for (int64_t x = 0; x < t.width; x++) {
            int64_t pixel = i * t.width + x, inner = pixel + g->reach * t.width;
            correlate(out, tables + pixel * g->channels, grad + inner * g->channels, offset, g);
            const float *w = weight + inner * gates;
            if (g->logits)
                for (int64_t e = 0; e < gates; e++) out[e] *= 1.0f - w[e] * w[e];
            store(at(j->grad_weight, result_at(g, t, i, x, gates), g->dtype), out, gates, g->dtype);
        }
}

static void grad_value_tile(const job *j, tile t, const float *grad, const float *weight, float *restrict means,
                            float *restrict out) {
    const geometry *g = j->g;
    int64_t row = t.width * g->channels, gates = g->heads * g->taps, n = t.rows * row, extra = longest(g) - 1;
    memset(out, 0, (size_t)n * sizeof(float));
    for (int64_t table = 0; table < g->tables; table++) {
        int64_t length = g->tap[2 * g->taps + table], at_weight[g->taps], at_grad[g->taps], taps = 0;
        for (int64_t k = 0; k < g->taps; k++)
            if (g->tap[g->taps + k] == table) {
                at_weight[taps] = k - g->tap[k] * t.width * gates;
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

static void backward_tile(const void *argument, int64_t item, float *scratch) {
    const job *j = argument;
    const geometry *g = j->g;
    tile t = tile_of(j, item);
    int64_t row = t.width * g->channels, plane = (t.rows + 2 * g->reach) * row, gates = g->heads * g->taps;
    float *tables = scratch, *grad = tables + g->tables * plane, *weight = grad + plane;
    float *out = weight + (t.rows + 2 * g->reach) * t.width * gates;
    gather_means(tables, grad, j, t);
    gather(grad, j->grad, g->grad, g, t, g->reach, g->channels);
    gather_weights(weight, j, t, g->reach);
    grad_weight_tile(j, t, tables, grad, weight, out);
    grad_value_tile(j, t, grad, weight, tables, out); /* the tables have done their work */
}

static int run_tiles(job *j, work each) {
    const geometry *g = j->g;
    if (!g->batch || !g->axis || !g->across) return 0;
    int contiguous_across = g->value.across < g->value.along; /* then tiles are wider, to read whole cache lines */
    j->width = least(g->across, contiguous_across ? 4 : 1);
    j->rows = least(g->axis, contiguous_across ? 64 : 128);
    int64_t items = g->batch * ceil_div(g->axis, j->rows) * ceil_div(g->across, j->width);
    int64_t pixels = (j->rows + 2 * g->reach) * j->width;
    int64_t gates = padded(g->heads * g->taps), floats = pixels * ((g->tables + 2) * g->channels + gates) + gates + 8;
    return parallel(each, j, items, floats, g->threads);
}

/* data: value, weight -> out */
int lamnet_fsa(void *const *data, const int64_t *numbers) {
    job j = {.g = (const geometry *)numbers, .value = data[0], .weight = data[1], .out = data[2]};
    return run_tiles(&j, forward_tile);
}

/* data: grad_out, value, weight -> grad_value, grad_weight */
int lamnet_fsa_backward(void *const *data, const int64_t *numbers) {
    job j = {.g = (const geometry *)numbers, .grad = data[0], .value = data[1], .weight = data[2],
             .grad_value = data[3], .grad_weight = data[4]};
    return run_tiles(&j, backward_tile);
}

/* data: value, depthwise weight and bias, 1x1 weight and bias -> out; channels must be a multiple of LANES */
int lamnet_focal(void *const *data, const int64_t *numbers) {
    const geometry *g = (const geometry *)numbers;
    job j = {.g = g, .value = data[0], .out = data[5]};
    int64_t gates = g->heads * g->taps, span = 2 * g->reach + 1;
    float *all = calloc((size_t)((span + 1) * g->channels + (g->channels + 1) * padded(gates)), sizeof(float));
    if (!all) return 1;
    j.taps = all;
    j.taps_bias = transposed(j.taps, data[1], data[2], g->channels, span, g->dtype);
    j.project = j.taps_bias + g->channels;
    j.project_bias = transposed(j.project, data[3], data[4], gates, g->channels, g->dtype);
    int failed = run_tiles(&j, forward_tile);
    return free(all), failed;
}
