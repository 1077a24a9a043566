/* Every 1x1 convolution: out = residual + before(x) @ weight^T + bias, tile by tile of pixels, forward and backward.

   `before` (layer norm's statistics or relu) is applied to a tile while it is in the cache and
   computed again for the backward, so only x is kept. */
#include "gemm.h"
#include "pixel.h"
#include <stdlib.h>

enum { TILE = 96, LEAST_CHUNK = 480, MOST_CHUNKS = 64 }; /* pixels, pixels, chunks */
enum { NOTHING, NORMALISE, RELU };

typedef struct {
    int64_t threads, dtype, pixels, inputs, outputs, before, x_pitch, grad_pitch, residual_pitch;
} geometry;

typedef struct {
    const geometry *g;
    const void *x, *grad, *residual;
    void *out, *grad_x;
    float *weight, *start, *partials; /* (depth, columns) padded; a row; per chunk: weight^T's gradient and the bias's */
    int64_t chunk;                    /* pixels of one */
} job;

static void apply_before(float *x, float *scale, int64_t rows, const geometry *g) {
    int64_t pitch = padded(g->inputs);
    for (int64_t r = 0; r < rows; r++) {
        if (g->before == NORMALISE) scale[r] = normalise(x + r * pitch, g->inputs);
        if (g->before == RELU)
            for (int64_t i = 0; i < pitch; i++) x[r * pitch + i] = x[r * pitch + i] > 0 ? x[r * pitch + i] : 0;
    }
}

static void before_backward(float *grad, const float *x, const float *scale, int64_t rows, const geometry *g) {
    int64_t pitch = padded(g->inputs);
    for (int64_t r = 0; r < rows; r++) {
        if (g->before == NORMALISE) normalise_backward(grad + r * pitch, x + r * pitch, scale[r], g->inputs);
        if (g->before == RELU)
            for (int64_t i = 0; i < pitch; i++) grad[r * pitch + i] *= x[r * pitch + i] > 0;
    }
}

static void forward_tile(const void *argument, int64_t item, float *x) {
    const job *j = argument;
    const geometry *g = j->g;
    int64_t first = item * TILE, rows = least(TILE, g->pixels - first), deep = padded(g->inputs), wide = padded(g->outputs);
    float *out = x + TILE * deep, *residual = out + TILE * wide, *scale = residual + wide;
    rows_of a;
    if (g->dtype == FLOAT32 && g->before == NOTHING) {
        a = (rows_of){(const float *)j->x + first * g->x_pitch, g->x_pitch, 1};
    } else {
        load_rows(x, deep, j->x, first, rows, g->x_pitch, g->inputs, g->dtype);
        apply_before(x, scale, rows, g);
        a = operand(x, rows, deep, g->dtype);
    }
    int in_place = g->dtype == FLOAT32 && wide == g->outputs;
    if (in_place) out = (float *)j->out + first * wide;
    gemm(out, wide, a, j->weight, wide, j->start, rows, g->inputs);
    for (int64_t r = 0; r < rows; r++, out += wide) {
        if (j->residual) {
            load(residual, at(j->residual, (first + r) * g->residual_pitch, g->dtype), g->outputs, g->dtype);
            for (int64_t i = 0; i < g->outputs; i++) out[i] += residual[i];
        }
        if (!in_place) store(at(j->out, (first + r) * g->outputs, g->dtype), out, g->outputs, g->dtype);
    }
}

static void backward_chunk(const void *argument, int64_t item, float *scratch) {
    const job *j = argument;
    const geometry *g = j->g;
    int64_t deep = padded(g->inputs), wide = padded(g->outputs), last = least((item + 1) * j->chunk, g->pixels);
    int in_place = g->dtype == FLOAT32 && deep == g->inputs; /* float32 without padding is read and written where it lies */
    int grad_in_place = g->dtype == FLOAT32 && wide == g->outputs && g->grad_pitch == wide;
    float *sums = j->partials + item * (deep + 1) * wide, *bias = sums + deep * wide;
    for (int64_t first = item * j->chunk; first < last; first += TILE) {
        int64_t rows = least(TILE, last - first), x_pitch = deep;
        float *x = scratch, *grad_x = x + TILE * deep, *grad = grad_x + TILE * deep, *scale = grad + TILE * wide;
        if (in_place && g->before == NOTHING) {
            x = (float *)j->x + first * g->x_pitch, x_pitch = g->x_pitch;
        } else {
            load_rows(x, deep, j->x, first, rows, g->x_pitch, g->inputs, g->dtype);
            apply_before(x, scale, rows, g);
        }
        if (grad_in_place) grad = (float *)j->grad + first * wide;
        else load_rows(grad, wide, j->grad, first, rows, g->grad_pitch, g->outputs, g->dtype);
        if (in_place) grad_x = (float *)j->grad_x + first * deep;
        gemm(grad_x, deep, (rows_of){grad, wide, 1}, j->weight, deep, j->start, rows, g->outputs);
        before_backward(grad_x, x, scale, rows, g);
        for (int64_t r = 0; r < rows && !in_place; r++)
            store(at(j->grad_x, (first + r) * g->inputs, g->dtype), grad_x + r * deep, g->inputs, g->dtype);
        gemm(sums, wide, (rows_of){x, 1, x_pitch}, grad, wide, NULL, deep, rows);
        for (int64_t r = 0; r < rows; r++)
            for (int64_t i = 0; i < wide; i++) bias[i] += grad[r * wide + i];
    }
}

/* data: x, weight, bias, residual or NULL -> out */
int lamnet_linear(void *const *data, const int64_t *numbers) {
    const geometry *g = (const geometry *)numbers;
    int64_t deep = padded(g->inputs), wide = padded(g->outputs);
    float *weight = calloc((size_t)((deep + 1) * wide), sizeof(float));
    if (!weight) return 1;
    job j = {.g = g, .x = data[0], .residual = data[3], .out = data[4], .weight = weight};
    j.start = gemm_weight(weight, data[1], data[2], g->outputs, g->inputs, g->dtype);
    int64_t floats = TILE * (deep + wide + 1) + wide;
    int failed = parallel(forward_tile, &j, ceil_div(g->pixels, TILE), floats, g->threads);
    return free(weight), failed;
}

/* data: grad, x, weight -> grad_x, grad_weight, grad_bias */
int lamnet_linear_backward(void *const *data, const int64_t *numbers) {
    const geometry *g = (const geometry *)numbers;
    int64_t deep = padded(g->inputs), wide = padded(g->outputs), size = (deep + 1) * wide;
    int64_t chunk = ceil_div(ceil_div(g->pixels, MOST_CHUNKS) + LEAST_CHUNK, TILE) * TILE, chunks = ceil_div(g->pixels, chunk);
    float *weight = calloc((size_t)((wide + 1) * deep), sizeof(float));
    float *sums = calloc((size_t)((chunks + 1) * size), sizeof(float)), *column = sums + chunks * size;
    if (!weight || !sums) return free(weight), free(sums), 1;
    job j = {.g = g, .grad = data[0], .x = data[1], .grad_x = data[3], .weight = weight,
             .start = weight + wide * deep, .partials = sums, .chunk = chunk};
    for (int64_t o = 0; o < g->outputs; o++)
        load(weight + o * deep, at(data[2], o * g->inputs, g->dtype), g->inputs, g->dtype);
    int failed = parallel(backward_chunk, &j, chunks, TILE * (2 * deep + wide + 1), g->threads);
    for (int64_t c = 1; c < chunks; c++)
        for (int64_t i = 0; i < size; i++) sums[i] += sums[c * size + i];
    for (int64_t o = 0; o < g->outputs; o++) {
        for (int64_t i = 0; i < g->inputs; i++) column[i] = sums[i * wide + o];
        store(at(data[4], o * g->inputs, g->dtype), column, g->inputs, g->dtype);
    }
    store(data[5], sums + deep * wide, g->outputs, g->dtype);
    return free(weight), free(sums), failed;
}
