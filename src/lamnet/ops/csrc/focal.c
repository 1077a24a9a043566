/* Focal attention: FSA by weights made of the values themselves, forward and backward.

   The weights are tanh(conv1x1(depthwise along the axis)). Besides the result only they leave the cache, tap by tap, and
   only where gradients will be asked: the backward convolves again. */
#include "fsa.h"
#include "vecmath.h"
#include <stdlib.h>

enum { MAX_CHUNKS = 64 };

typedef struct {
    job j;
    void *gates; /* NULL where no gradient will be asked */
    float *taps, *taps_bias, *taps_back; /* taps_back: in reverse order */
    float *project, *project_bias; /* padded, as gemm takes them; backward: (gates, channels) and zeros */
    float *partials; /* per chunk: the gradients of the 1x1, transposed, and its bias, padded; of the taps and their bias */
    int64_t tiles, chunk;
} focal;

/* A tile's rows of scratch into a contiguous result of `channels`. */
static void scatter(void *to, const float *from, int64_t pitch, const geometry *g, tile t, int64_t channels) {
    for (int64_t i = 0; i < t.rows; i++)
        for (int64_t x = 0; x < t.width; x++, from += pitch)
            store(at(to, result_at(g, t, i, x, channels), g->dtype), from, channels, g->dtype);
}

/* The weights from the values: depthwise along the axis, 1x1, tanh; `mixed` is scratch for what lies between. */
static void predict_weights(float *to, float *mixed, const float *values, const focal *f, tile t) {
    const geometry *g = f->j.g;
    int64_t span = 2 * g->reach + 1, row = t.width * g->channels, n = t.rows * t.width, offset[span];
    int64_t columns = padded(g->heads * g->taps);
    for (int64_t k = 0; k < span; k++) offset[k] = k * row;
    convolve_line(mixed, values, f->taps, f->taps_bias, offset, span, g->channels, n);
    gemm(to, columns, operand(mixed, n, g->channels, g->dtype), f->project, columns, f->project_bias, n, g->channels);
    for (int64_t i = 0; i < n * columns; i++) to[i] = hyperbolic_tangent(to[i]);
}

static void forward_tile(const void *argument, int64_t item, float *tables) {
    const focal *f = argument;
    const geometry *g = f->j.g;
    tile t = tile_of(&f->j, item);
    int64_t plane = (t.rows + 2 * g->reach) * t.width * g->channels, wide = padded(g->heads * g->taps);
    float *plain = tables + g->tables * plane, *weight = plain + plane, *mixed = weight + t.rows * t.width * wide;
    plain = gather_means(tables, plain, &f->j, t);
    predict_weights(weight, mixed, plain, f, t);
    if (f->gates) scatter(f->gates, weight, wide, g, t, g->heads * g->taps);
    attend(&f->j, t, tables, weight, wide, mixed);
}

/* The strides of a contiguous image of `channels`. */
static strides packed(const geometry *g, int64_t channels) {
    int64_t across = g->pitch == 1 ? g->axis : 1;
    return (strides){g->axis * g->across * channels, g->pitch * channels, across * channels};
}

/* The same tile and as many rows around it, as far as the image goes, as its gradient depends on. */
static tile widened(tile t, const geometry *g) {
    int64_t last = min(t.first + t.rows + g->reach, g->axis);
    t.first = t.first > g->reach ? t.first - g->reach : 0;
    t.rows = last - t.first;
    return t;
}

static void backward_tile(const focal *f, tile own, float *tables, float *sums) {
    const job *j = &f->j;
    const geometry *g = j->g;
    tile t = widened(own, g);
    int64_t row = t.width * g->channels, plane = (t.rows + 2 * g->reach) * row, n = own.rows * own.width;
    int64_t gates = g->heads * g->taps, wide = padded(gates), span = 2 * g->reach + 1, offset[span];
    int64_t above = own.first - t.first, skip = above * t.width; /* rows and pixels of t before own's */
    float *plain = tables + g->tables * plane, *grad = plain + plane, *grad_mixed = grad + plane;
    float *mixed = grad_mixed + plane, *weight = mixed + n * g->channels;
    float *logits = weight + (t.rows + 2 * g->reach) * t.width * wide + 16, *bias = sums + g->channels * wide;
    for (int64_t k = 0; k < span; k++) offset[k] = k * row;
    plain = gather_means(tables, plain, j, t) + above * row;
    gather(grad, j->grad, g->grad, g, t, g->reach, g->channels);
    gather(weight, f->gates, packed(g, gates), g, t, g->reach, gates);
    correlate(logits, wide, j, t, tables, grad, weight, 1);
    memset(grad_mixed, 0, (size_t)plane * sizeof(float));
    gemm(grad_mixed + g->reach * row, g->channels, (rows_of){logits, wide, 1}, f->project, g->channels, f->project_bias,
         t.rows * t.width, gates);
    logits += skip * wide;
    for (int64_t p = 0; p < n; p++) memset(logits + p * wide + gates, 0, (size_t)(wide - gates) * sizeof(float));
    add_rows(bias, logits, n, wide);
    convolve_line(mixed, plain, f->taps, f->taps_bias, offset, span, g->channels, n);
    gemm(sums, wide, (rows_of){mixed, 1, g->channels}, logits, wide, NULL, g->channels, n);
    grad_mixed += above * row;
    correlate_line(bias + wide, plain, grad_mixed + g->reach * row, offset, span, g->channels, n);
    convolve_line(mixed, grad_mixed, f->taps_back, f->project_bias, offset, span, g->channels, n);
    grad_value_tile(j, own, grad + above * row, weight + skip * gates, tables, mixed); /* the tables have done their work */
}

static int64_t partial_floats(const geometry *g) {
    return (g->channels + 1) * padded(g->heads * g->taps) + (2 * g->reach + 2) * g->channels;
}

static void backward_chunk(const void *argument, int64_t item, float *scratch) {
    const focal *f = argument;
    float *sums = f->partials + item * partial_floats(f->j.g);
    for (int64_t i = item * f->chunk; i < min((item + 1) * f->chunk, f->tiles); i++)
        backward_tile(f, tile_of(&f->j, i), scratch, sums);
}

/* Row `gate` of the 1x1 as stored, by heads, is column (forward) or row (backward) at this place, by taps. */
static int64_t place_of(const geometry *g, int64_t gate) { return gate % g->taps * g->heads + gate / g->taps; }

/* data: value, depthwise weight and bias, 1x1 weight and bias -> out, gates or NULL;
   channels must be a multiple of LANES */
int lamnet_focal(void *const *data, const int64_t *numbers) {
    const geometry *g = (const geometry *)numbers;
    focal f = {.j = {.g = g, .value = data[0], .out = data[5]}, .gates = data[6]};
    int64_t gates = g->heads * g->taps, wide = padded(gates), span = 2 * g->reach + 1;
    float *all = calloc((size_t)((span + 1) * g->channels + (g->channels + 1) * wide), sizeof(float));
    if (!all) return 1;
    f.taps = all;
    f.taps_bias = transposed(f.taps, data[1], data[2], g->channels, span, g->dtype);
    f.project = f.taps_bias + g->channels;
    f.project_bias = f.project + g->channels * wide;
    for (int64_t gate = 0; gate < gates; gate++) {
        float *column = f.project + place_of(g, gate);
        for (int64_t c = 0; c < g->channels; c++)
            load(column + c * wide, at(data[3], gate * g->channels + c, g->dtype), 1, g->dtype);
        load(column + g->channels * wide, at(data[4], gate, g->dtype), 1, g->dtype);
    }
    pair_rows(f.project, wide, g->channels, g->dtype);
    int64_t items = lay_tiles(&f.j), floats = tile_floats(&f.j, f.j.rows) + f.j.rows * f.j.width * g->channels;
    int failed = parallel(forward_tile, &f, items, floats, g->threads);
    return free(all), failed;
}

/* data: grad_out, value, gates, depthwise weight and bias, 1x1 weight -> the gradients of the value, the depthwise
   convolution and the 1x1 */
int lamnet_focal_backward(void *const *data, const int64_t *numbers) {
    const geometry *g = (const geometry *)numbers;
    focal f = {.j = {.g = g, .grad = data[0], .value = data[1], .grad_value = data[6]}, .gates = data[2]};
    int64_t gates = g->heads * g->taps, wide = padded(gates), span = 2 * g->reach + 1, size = partial_floats(g);
    f.tiles = lay_tiles(&f.j);
    f.chunk = ceil_div(f.tiles, MAX_CHUNKS);
    int64_t chunks = f.tiles ? ceil_div(f.tiles, f.chunk) : 0, rows = min(f.j.rows + 2 * g->reach, g->axis);
    float *all = calloc((size_t)((2 * span + 1 + gates + 1) * g->channels), sizeof(float));
    float *sums = calloc((size_t)((chunks + 1) * size), sizeof(float)), *row = sums + chunks * size;
    if (!all || !sums) return free(all), free(sums), 1;
    f.partials = sums, f.taps = all, f.taps_back = all + (span + 1) * g->channels;
    f.taps_bias = transposed(f.taps, data[3], data[4], g->channels, span, g->dtype);
    for (int64_t k = 0; k < span; k++)
        load(f.taps_back + k * g->channels, f.taps + (span - 1 - k) * g->channels, g->channels, FLOAT32);
    f.project = f.taps_back + span * g->channels, f.project_bias = f.project + gates * g->channels;
    for (int64_t gate = 0; gate < gates; gate++)
        load(f.project + place_of(g, gate) * g->channels, at(data[5], gate * g->channels, g->dtype), g->channels, g->dtype);
    int64_t planes = 2 * (rows + 2 * g->reach) + f.j.rows; /* beside what tile_floats counts */
    int64_t floats = tile_floats(&f.j, rows) + f.j.width * (planes * g->channels + rows * wide);
    int failed = parallel(backward_chunk, &f, chunks, floats, g->threads);
    for (int64_t c = 1; c < chunks; c++)
        for (int64_t i = 0; i < size; i++) sums[i] += sums[c * size + i];
    const float *along = sums + (g->channels + 1) * wide;
    for (int64_t c = 0; c < g->channels; c++)
        for (int64_t k = 0; k < span; k++) store(at(data[7], c * span + k, g->dtype), along + k * g->channels + c, 1, g->dtype);
    store(data[8], along + span * g->channels, g->channels, g->dtype);
    for (int64_t gate = 0; gate < gates; gate++) {
        const float *column = sums + place_of(g, gate);
        for (int64_t c = 0; c < g->channels; c++) row[c] = column[c * wide];
        store(at(data[9], gate * g->channels, g->dtype), row, g->channels, g->dtype);
        store(at(data[10], gate, g->dtype), column + g->channels * wide, 1, g->dtype);
    }
    return free(all), free(sums), failed;
}
