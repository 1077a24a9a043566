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

/* A pixel's weights from (head, tap) to (tap, head), where they are. */
static void by_taps(float *weight, const geometry *g) {
    int64_t gates = g->heads * g->taps, blocks = ceil_div(g->taps, 4);
    if (g->heads != 4) {
        float own[gates];
        for (int64_t i = 0; i < gates; i++) own[i] = weight[i];
        for (int64_t i = 0; i < gates; i++) weight[i % g->taps * g->heads + i / g->taps] = own[i];
        return;
    }
    vec rows[blocks];
    for (int64_t block = 0; block < blocks; block++) {
        four row[4];
        for (int h = 0; h < 4; h++) row[h] = *(const four *)(weight + h * g->taps + 4 * block);
        rows[block] = transposed_4x4(of_fours(row));
    }
    for (int64_t k = 0; k < g->taps; k++) *(four *)(weight + 4 * k) = ((const four *)rows)[k];
}

/* The weights of rows first-halo .. first+rows+halo of a tile as (row, across, tap, head), zeros outside the image. */
static void gather_weights(float *to, const job *j, tile t, int64_t halo) {
    const geometry *g = j->g;
    int64_t gates = g->heads * g->taps, row = t.width * gates;
    gather(to, j->weight, g->weight, g, t, halo, gates);
    int64_t first = t.first < halo ? halo - t.first : 0, last = least(t.rows + 2 * halo, g->axis - t.first + halo);
    if (g->logits)
        for (int64_t i = first * row; i < last * row; i++) to[i] = hyperbolic_tangent(to[i]);
    for (int64_t i = first * t.width; i < last * t.width; i++) by_taps(to + i * gates, g);
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

/* out[h, k] = <grad, tap k's means> over the channels of head h, by the slope of tanh at weight[k, h] where asked. */
static void correlate(float *restrict out, const float *restrict tables, const float *restrict grad,
                      const float *restrict weight, const int64_t *restrict offset, const geometry *g) {
    int64_t per_head = g->channels / g->heads;
    for (int64_t h = 0; h < g->heads; h++)
        for (int64_t k = 0; k < g->taps; k++) {
#pragma clang fp reassociate(on)
            float sum = 0, w = weight[k * g->heads + h];
            for (int64_t c = h * per_head; c < (h + 1) * per_head; c++) sum += grad[c] * tables[offset[k] + c];
            out[h * g->taps + k] = g->logits ? sum * (1.0f - w * w) : sum;
        }
}

/* The same; up to 3 numbers behind the last are overwritten, and as many of `weight` read. */
static inline __attribute__((always_inline)) void correlate_fast(float *restrict out, const float *restrict tables,
        const float *restrict grad, const float *restrict weight, const int64_t *restrict offset, const geometry *g,
        const int channels) {
    int64_t blocks = ceil_div(g->taps, 4);
    vec low = *(const vec *)grad, high = channels == 32 ? *(const vec *)(grad + 16) : low, sums[blocks];
    for (int64_t block = 0; block < blocks; block++) {
        vec product[4];
        for (int i = 0; i < 4; i++) {
            const float *x = tables + offset[least(4 * block + i, g->taps - 1)];
            product[i] = low * *(const vec *)x;
            if (channels == 32) {
                vec rest = high * *(const vec *)(x + 16);
                product[i] = __builtin_shufflevector(product[i], rest, 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27) +
                             __builtin_shufflevector(product[i], rest, 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31);
            }
        }
        vec w = transposed_4x4(*(const vec *)(weight + 16 * block));
        sums[block] = sums_of_fours(product);
        if (g->logits) sums[block] *= 1.0f - w * w;
    }
    for (int64_t h = 0; h < 4; h++)
        for (int64_t block = 0; block < blocks; block++)
            *(four *)(out + h * g->taps + 4 * block) = *((const four *)&sums[block] + h);
}

static void grad_weight_tile(const job *j, tile t, const float *tables, const float *grad, const float *weight, float *out) {
    const geometry *g = j->g;
    int64_t row = t.width * g->channels, plane = (t.rows + 2 * g->reach) * row, gates = g->heads * g->taps;
    int64_t offset[g->taps];
    for (int64_t k = 0; k < g->taps; k++) offset[k] = g->tap[g->taps + k] * plane + (g->reach + g->tap[k]) * row;
    for (int64_t i = 0; i < t.rows; i++)
        for (int64_t x = 0; x < t.width; x++) {
            int64_t pixel = i * t.width + x, inner = pixel + g->reach * t.width;
            const float *means = tables + pixel * g->channels, *own = grad + inner * g->channels, *w = weight + inner * gates;
            if (!is_fast(g)) correlate(out, means, own, w, offset, g);
            else if (g->channels == 32) correlate_fast(out, means, own, w, offset, g, 32);
            else correlate_fast(out, means, own, w, offset, g, 16);
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

static void backward_tile(const void *argument, int64_t item, float *scratch) {
    const job *j = argument;
    const geometry *g = j->g;
    tile t = tile_of(j, item);
    int64_t row = t.width * g->channels, plane = (t.rows + 2 * g->reach) * row, gates = g->heads * g->taps;
    float *tables = scratch, *grad = tables + g->tables * plane, *weight = grad + plane;
    float *out = weight + (t.rows + 2 * g->reach) * t.width * gates + 16;
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
    int64_t gates = padded(g->heads * g->taps), floats = pixels * ((g->tables + 2) * g->channels + gates) + gates + 32;
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
    j.project_bias = j.project + g->channels * padded(gates);
    for (int64_t gate = 0; gate < gates; gate++) { /* from (head, tap) to (tap, head) */
        float *column = j.project + gate % g->taps * g->heads + gate / g->taps;
        for (int64_t c = 0; c < g->channels; c++)
            load(column + c * padded(gates), at(data[3], gate * g->channels + c, g->dtype), 1, g->dtype);
        load(column + g->channels * padded(gates), at(data[4], gate, g->dtype), 1, g->dtype);
    }
    int failed = run_tiles(&j, forward_tile);
    return free(all), failed;
}
