/* Every 1x1 convolution: out = residual + before(x) @ weight^T + bias, tile by tile of pixels, forward and backward.

   `before` (layer norm's statistics, relu, or the feed-forward's gates) is applied to a tile while it is in the cache and
   computed again for the backward, so only x is kept. */
#include "gemm.h"
#include "vecmath.h"
#include <stdlib.h>

enum { TILE = 96, LEAST_CHUNK = 480, MOST_CHUNKS = 64 }; /* pixels, pixels, chunks */
enum { NOTHING, NORMALISE, RELU, GATE };

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

void gemm(float *out, int64_t pitch, rows_of a, const float *w, int64_t columns, const float *start, int64_t rows,
          int64_t depth) {
    int64_t c = 0;
    for (; c + WIDE * LANES <= columns; c += WIDE * LANES)
        gemm_columns(out + c, pitch, a, w + c, columns, start ? start + c : start, rows, depth, WIDE);
#if __AVX512F__
    if (columns - c == 3 * LANES) gemm_columns(out + c, pitch, a, w + c, columns, start ? start + c : start, rows, depth, 3);
    if (columns - c == 2 * LANES) gemm_columns(out + c, pitch, a, w + c, columns, start ? start + c : start, rows, depth, 2);
    if (columns - c == LANES) gemm_columns(out + c, pitch, a, w + c, columns, start ? start + c : start, rows, depth, 1);
#endif
}

static void load_rows(float *to, int64_t pitch, const void *from, int64_t first, int64_t rows, int64_t from_pitch,
                      int64_t n, int64_t dtype) {
    for (int64_t r = 0; r < rows; r++) {
        load(to + r * pitch, at(from, (first + r) * from_pitch, dtype), n, dtype);
        for (int64_t i = n; i < pitch; i++) to[r * pitch + i] = 0;
    }
}

/* (x - mean) / deviation in place; returns 1 / deviation. */
static float normalise(float *x, int64_t n) {
#pragma clang fp reassociate(on)
    float mean = 0, square = 0;
    for (int64_t i = 0; i < n; i++) mean += x[i];
    mean /= (float)n;
    for (int64_t i = 0; i < n; i++) square += (x[i] - mean) * (x[i] - mean);
    float scale = 1.0f / __builtin_sqrtf(square / (float)n + 1e-5f);
    for (int64_t i = 0; i < n; i++) x[i] = (x[i] - mean) * scale;
    return scale;
}

static void normalise_backward(float *restrict grad, const float *restrict normal, float scale, int64_t n) {
#pragma clang fp reassociate(on)
    float mean = 0, along = 0;
    for (int64_t i = 0; i < n; i++) mean += grad[i], along += grad[i] * normal[i];
    mean /= (float)n, along /= (float)n;
    for (int64_t i = 0; i < n; i++) grad[i] = (grad[i] - mean - normal[i] * along) * scale;
}

/* Phi(z), the normal distribution, by Abramowitz and Stegun 7.1.26; `density` is its derivative times sqrt(2 pi). */
static inline float normal_cdf(float z, float *density) {
    float t = 1.0f / (1.0f + 0.3275911f * 0.70710678f * __builtin_fabsf(z));
    *density = 1.0f + exp_minus_1(-0.5f * z * z);
    float p = 1.061405429f * t - 1.453152027f;
    p = p * t + 1.421413741f;
    p = p * t - 0.284496736f;
    p = p * t + 0.254829592f;
    float tail = 0.5f * p * t * *density;
    return z < 0 ? tail : 1.0f - tail;
}

/* z1, z2 -> gelu(z1) * z1, gelu(z1) * z2 */
static void gate(float *x, int64_t n) {
    float *restrict z1 = x, *restrict z2 = x + n / 2, density;
    for (int64_t i = 0; i < n / 2; i++) {
        float gelu = z1[i] * normal_cdf(z1[i], &density);
        z2[i] *= gelu;
        z1[i] *= gelu;
    }
}

static void gate_backward(float *restrict grad, const float *restrict x, int64_t n) {
    float *restrict g1 = grad, *restrict g2 = grad + n / 2;
    const float *z1 = x, *z2 = x + n / 2;
    for (int64_t i = 0; i < n / 2; i++) {
        float density, cdf = normal_cdf(z1[i], &density), gelu = z1[i] * cdf;
        float slope = cdf + z1[i] * density * 0.39894228f;
        g1[i] = g1[i] * (gelu + z1[i] * slope) + g2[i] * z2[i] * slope;
        g2[i] *= gelu;
    }
}

static void apply_before(float *x, float *scale, int64_t rows, const geometry *g) {
    int64_t pitch = padded(g->inputs);
    for (int64_t r = 0; r < rows; r++) {
        if (g->before == NORMALISE) scale[r] = normalise(x + r * pitch, g->inputs);
        if (g->before == GATE) gate(x + r * pitch, g->inputs);
        if (g->before == RELU)
            for (int64_t i = 0; i < pitch; i++) x[r * pitch + i] = x[r * pitch + i] > 0 ? x[r * pitch + i] : 0;
    }
}

static void before_backward(float *grad, const float *x, const float *raw, const float *scale, int64_t rows,
                            const geometry *g) {
    int64_t pitch = padded(g->inputs);
    for (int64_t r = 0; r < rows; r++) {
        if (g->before == NORMALISE) normalise_backward(grad + r * pitch, x + r * pitch, scale[r], g->inputs);
        if (g->before == GATE) gate_backward(grad + r * pitch, raw + r * pitch, g->inputs);
        if (g->before == RELU)
            for (int64_t i = 0; i < pitch; i++) grad[r * pitch + i] *= x[r * pitch + i] > 0;
    }
}

static void forward_tile(const void *argument, int64_t item, float *x) {
    const job *j = argument;
    const geometry *g = j->g;
    int64_t first = item * TILE, rows = least(TILE, g->pixels - first), deep = padded(g->inputs), wide = padded(g->outputs);
    float *out = x + TILE * deep, *residual = out + TILE * wide, *scale = residual + wide;
    rows_of a = {x, deep, 1};
    if (g->dtype == FLOAT32 && g->before == NOTHING) {
        a = (rows_of){(const float *)j->x + first * g->x_pitch, g->x_pitch, 1};
    } else {
        load_rows(x, deep, j->x, first, rows, g->x_pitch, g->inputs, g->dtype);
        apply_before(x, scale, rows, g);
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

static void backward_chunk(const void *argument, int64_t item, float *x) {
    const job *j = argument;
    const geometry *g = j->g;
    int64_t deep = padded(g->inputs), wide = padded(g->outputs), last = least((item + 1) * j->chunk, g->pixels);
    float *raw = x + TILE * deep, *grad_x = raw + TILE * deep, *grad = grad_x + TILE * deep, *scale = grad + TILE * wide;
    float *sums = j->partials + item * (deep + 1) * wide, *bias = sums + deep * wide;
    for (int64_t first = item * j->chunk; first < last; first += TILE) {
        int64_t rows = least(TILE, last - first);
        load_rows(x, deep, j->x, first, rows, g->x_pitch, g->inputs, g->dtype);
        if (g->before == GATE) load(raw, x, rows * deep, FLOAT32);
        apply_before(x, scale, rows, g);
        load_rows(grad, wide, j->grad, first, rows, g->grad_pitch, g->outputs, g->dtype);
        gemm(grad_x, deep, (rows_of){grad, wide, 1}, j->weight, deep, j->start, rows, g->outputs);
        before_backward(grad_x, x, raw, scale, rows, g);
        for (int64_t r = 0; r < rows; r++)
            store(at(j->grad_x, (first + r) * g->inputs, g->dtype), grad_x + r * deep, g->inputs, g->dtype);
        gemm(sums, wide, (rows_of){x, 1, deep}, grad, wide, NULL, deep, rows);
        for (int64_t r = 0; r < rows; r++)
            for (int64_t i = 0; i < wide; i++) bias[i] += grad[r * wide + i];
    }
}

/* data: x, weight, bias, residual or NULL -> out */
int lamnet_linear(void *const *data, const int64_t *numbers) {
    const geometry *g = (const geometry *)numbers;
    int64_t deep = padded(g->inputs), wide = padded(g->outputs);
    float *weight = calloc((size_t)((deep + 1) * wide), sizeof(float)), *row = malloc((size_t)deep * sizeof(float));
    if (!weight || !row) return free(weight), free(row), 1;
    job j = {.g = g, .x = data[0], .residual = data[3], .out = data[4], .weight = weight, .start = weight + deep * wide};
    for (int64_t o = 0; o < g->outputs; o++) {
        load(row, at(data[1], o * g->inputs, g->dtype), g->inputs, g->dtype);
        for (int64_t i = 0; i < g->inputs; i++) weight[i * wide + o] = row[i];
    }
    load(j.start, data[2], g->outputs, g->dtype);
    int64_t floats = TILE * (deep + wide + 1) + wide;
    int failed = parallel(forward_tile, &j, ceil_div(g->pixels, TILE), floats, g->threads);
    return free(weight), free(row), failed;
}

/* data: grad, x, weight -> grad_x, grad_weight, grad_bias */
int lamnet_linear_backward(void *const *data, const int64_t *numbers) {
    const geometry *g = (const geometry *)numbers;
    int64_t deep = padded(g->inputs), wide = padded(g->outputs), size = (deep + 1) * wide;
    int64_t chunk = ceil_div(ceil_div(g->pixels, MOST_CHUNKS) + LEAST_CHUNK, TILE) * TILE, chunks = ceil_div(g->pixels, chunk);
    float *weight = calloc((size_t)((wide + 1) * deep), sizeof(float));
    float *sums = calloc((size_t)((chunks + 1) * size), sizeof(float)), *column = sums + chunks * size;
    if (!weight || !sums) return free(weight), free(sums), 1;
    job j = {.g = g, .grad = data[0], .x = data[1], .grad_x = data[3], .weight = weight, .start = weight + wide * deep,
             .partials = sums, .chunk = chunk};
    for (int64_t o = 0; o < g->outputs; o++)
        load(weight + o * deep, at(data[2], o * g->inputs, g->dtype), g->inputs, g->dtype);
    int failed = parallel(backward_chunk, &j, chunks, TILE * (3 * deep + wide + 1), g->threads);
    for (int64_t c = 1; c < chunks; c++)
        for (int64_t i = 0; i < size; i++) sums[i] += sums[c * size + i];
    for (int64_t o = 0; o < g->outputs; o++) {
        for (int64_t i = 0; i < g->inputs; i++) column[i] = sums[i * wide + o];
        store(at(data[4], o * g->inputs, g->dtype), column, g->inputs, g->dtype);
    }
    store(data[5], sums + deep * wide, g->outputs, g->dtype);
    return free(weight), free(sums), failed;
}
