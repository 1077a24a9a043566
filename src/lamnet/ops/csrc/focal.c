/* Focal attention: FSA by weights made of the values themselves, forward and backward.

   The weights are tanh(conv1x1(depthwise along the axis)). Without gradients nothing but the result leaves the cache;
   with them, what the depthwise convolution gave (`mixed`) and the weights do, the latter tap by tap. */
#include "fsa.h"
#include "vecmath.h"
#include <stdlib.h>

enum { MOST_CHUNKS = 64 };

typedef struct {
    job j;
    void *mixed, *gates, *grad_mixed; /* mixed and gates: NULL where no gradient will be asked */
    float *taps, *taps_bias, *project, *project_bias; /* padded, as convolve and gemm take them */
    float *partials; /* per chunk: the 1x1's transposed gradient (channels, padded gates) and its bias's */
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
    if (f->mixed) scatter(f->mixed, mixed, g->channels, g, t, g->channels); /* as it is: the product may round it */
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

static void backward_tile(const focal *f, tile t, float *tables, float *sums) {
    const job *j = &f->j;
    const geometry *g = j->g;
    int64_t plane = (t.rows + 2 * g->reach) * t.width * g->channels, n = t.rows * t.width;
    int64_t gates = g->heads * g->taps, wide = padded(gates);
    float *grad = tables + g->tables * plane, *weight = grad + plane;
    float *logits = weight + (t.rows + 2 * g->reach) * t.width * wide + 16, *mixed = logits + n * wide;
    float *grad_mixed = mixed + n * g->channels, *bias = sums + g->channels * wide;
    gather_means(tables, grad, j, t);
    gather(grad, j->grad, g->grad, g, t, g->reach, g->channels);
    gather(weight, f->gates, packed(g, gates), g, t, g->reach, gates);
    gather(mixed, f->mixed, packed(g, g->channels), g, t, 0, g->channels);
    correlate(logits, wide, j, t, tables, grad, weight, 1);
    for (int64_t p = 0; p < n; p++) {
        for (int64_t e = gates; e < wide; e++) logits[p * wide + e] = 0;
        for (int64_t e = 0; e < wide; e++) bias[e] += logits[p * wide + e];
    }
    gemm(grad_mixed, g->channels, (rows_of){logits, wide, 1}, f->project, g->channels, f->project_bias, n, gates);
    scatter(f->grad_mixed, grad_mixed, g->channels, g, t, g->channels);
    gemm(sums, wide, (rows_of){mixed, 1, g->channels}, logits, wide, NULL, g->channels, n);
    grad_value_tile(j, t, grad, weight, tables, grad_mixed); /* the tables have done their work */
}

static void backward_chunk(const void *argument, int64_t item, float *scratch) {
    const focal *f = argument;
    float *sums = f->partials + item * (f->j.g->channels + 1) * padded(f->j.g->heads * f->j.g->taps);
    for (int64_t i = item * f->chunk; i < least((item + 1) * f->chunk, f->tiles); i++)
        backward_tile(f, tile_of(&f->j, i), scratch, sums);
}

/* Row `gate` of the 1x1 as stored, by heads, is column (forward) or row (backward) at this place, by taps. */
static int64_t place_of(const geometry *g, int64_t gate) { return gate % g->taps * g->heads + gate / g->taps; }

/* data: value, depthwise weight and bias, 1x1 weight and bias -> out, mixed and gates or NULL for both;
   channels must be a multiple of LANES */
int lamnet_focal(void *const *data, const int64_t *numbers) {
    const geometry *g = (const geometry *)numbers;
    focal f = {.j = {.g = g, .value = data[0], .out = data[5]}, .mixed = data[6], .gates = data[7]};
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
    int64_t items = lay_tiles(&f.j), floats = tile_floats(&f.j) + f.j.rows * f.j.width * g->channels;
    int failed = parallel(forward_tile, &f, items, floats, g->threads);
    return free(all), failed;
}

/* data: grad_out, value, mixed, gates, 1x1 weight -> grad_value but for what comes through mixed, grad_mixed, the 1x1's
   gradients */
int lamnet_focal_backward(void *const *data, const int64_t *numbers) {
    const geometry *g = (const geometry *)numbers;
    focal f = {.j = {.g = g, .grad = data[0], .value = data[1], .grad_value = data[5]}, .mixed = data[2],
               .gates = data[3], .grad_mixed = data[6]};
    int64_t gates = g->heads * g->taps, wide = padded(gates), size = (g->channels + 1) * wide;
    f.tiles = lay_tiles(&f.j);
    f.chunk = ceil_div(f.tiles, MOST_CHUNKS);
    int64_t chunks = f.tiles ? ceil_div(f.tiles, f.chunk) : 0;
    float *weight = calloc((size_t)((gates + 1) * g->channels), sizeof(float));
    float *sums = calloc((size_t)((chunks + 1) * size), sizeof(float)), *row = sums + chunks * size;
    if (!weight || !sums) return free(weight), free(sums), 1;
    f.project = weight, f.project_bias = weight + gates * g->channels, f.partials = sums;
    for (int64_t gate = 0; gate < gates; gate++)
        load(weight + place_of(g, gate) * g->channels, at(data[4], gate * g->channels, g->dtype), g->channels, g->dtype);
    int64_t floats = tile_floats(&f.j) + f.j.rows * f.j.width * (wide + 2 * g->channels);
    int failed = parallel(backward_chunk, &f, chunks, floats, g->threads);
    for (int64_t c = 1; c < chunks; c++)
        for (int64_t i = 0; i < size; i++) sums[i] += sums[c * size + i];
    for (int64_t gate = 0; gate < gates; gate++) {
        const float *column = sums + place_of(g, gate);
        for (int64_t c = 0; c < g->channels; c++) row[c] = column[c * wide];
        store(at(data[7], gate * g->channels, g->dtype), row, g->channels, g->dtype);
        store(at(data[8], gate, g->dtype), column + g->channels * wide, 1, g->dtype);
    }
    return free(weight), free(sums), failed;
}
