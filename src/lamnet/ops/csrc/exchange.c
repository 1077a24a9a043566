/* Information exchange between the channel branch c and the spatial branch s (IEM), forward and backward.

   means (batch, 2, channels) float32: of s over the pixels, and of s times c's mean over the channels. Then
   out = [c * sigmoid(<means[0], c> / channels), s * sigmoid(means[1])], one gate per pixel and one per channel. */
#include "gemm.h"
#include "vecmath.h"
#include <stdlib.h>

enum { LEAST_CHUNK = 512, MOST_CHUNKS = 64, TILE = 96 };

typedef struct {
    int64_t threads, dtype, batch, pixels, channels, c_pitch, s_pitch, outputs;
} geometry;

typedef struct {
    const geometry *g;
    const void *c, *s, *grad, *residual;
    const float *means, *grad_means;
    void *out, *grad_c, *grad_s;
    float *partials; /* (batch, chunks, 2, channels) */
    float *weight, *bias; /* of the 1x1 behind, padded */
    int64_t chunk, chunks; /* pixels of one, how many an image has */
} job;

typedef struct { int64_t batch, first, last; } part;

static part part_of(const job *j, int64_t item) {
    part p = {item / j->chunks, item % j->chunks * j->chunk, 0};
    p.last = least(p.first + j->chunk, j->g->pixels);
    return p;
}

static float dot(const float *restrict a, const float *restrict b, int64_t n) {
#pragma clang fp reassociate(on)
    float sum = 0;
    for (int64_t i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

static float mean(const float *a, int64_t n) {
#pragma clang fp reassociate(on)
    float sum = 0;
    for (int64_t i = 0; i < n; i++) sum += a[i];
    return sum / (float)n;
}

static void load_pixel(float *c, float *s, const job *j, int64_t pixel) {
    const geometry *g = j->g;
    load(c, at(j->c, pixel * g->c_pitch, g->dtype), g->channels, g->dtype);
    load(s, at(j->s, pixel * g->s_pitch, g->dtype), g->channels, g->dtype);
}

static void means_part(const void *argument, int64_t item, float *c) {
    const job *j = argument;
    int64_t n = j->g->channels;
    part p = part_of(j, item);
    float *s = c + n, *sums = j->partials + item * 2 * n;
    for (int64_t pixel = p.first; pixel < p.last; pixel++) {
        load_pixel(c, s, j, p.batch * j->g->pixels + pixel);
        float r = mean(c, n);
        for (int64_t i = 0; i < n; i++) sums[i] += s[i], sums[n + i] += s[i] * r;
    }
}

static void means_backward_part(const void *argument, int64_t item, float *c) {
    const job *j = argument;
    const geometry *g = j->g;
    int64_t n = g->channels;
    part p = part_of(j, item);
    float *s = c + n;
    const float *grad = j->grad_means + p.batch * 2 * n;
    for (int64_t pixel = p.batch * g->pixels + p.first; pixel < p.batch * g->pixels + p.last; pixel++) {
        load_pixel(c, s, j, pixel);
        float r = mean(c, n), share = dot(s, grad + n, n) / (float)(g->pixels * n), scale = 1.0f / (float)g->pixels;
        for (int64_t i = 0; i < n; i++) c[i] = share, s[i] = (grad[i] + r * grad[n + i]) * scale;
        store(at(j->grad_c, pixel * n, g->dtype), c, n, g->dtype);
        store(at(j->grad_s, pixel * n, g->dtype), s, n, g->dtype);
    }
}

/* The exchanged channels of one pixel; gate: the sigmoid of means[1]. */
static void exchange_pixel(float *out, const float *gate, const float *means, const job *j, int64_t pixel) {
    int64_t n = j->g->channels;
    load_pixel(out, out + n, j, pixel);
    float open = sigmoid(dot(out, means, n) / (float)n);
    for (int64_t i = 0; i < n; i++) out[i] *= open, out[n + i] *= gate[i];
}

static void exchange_part(const void *argument, int64_t item, float *gate) {
    const job *j = argument;
    const geometry *g = j->g;
    int64_t n = g->channels;
    part p = part_of(j, item);
    float *out = gate + n;
    const float *means = j->means + p.batch * 2 * n;
    for (int64_t i = 0; i < n; i++) gate[i] = sigmoid(means[n + i]);
    for (int64_t pixel = p.batch * g->pixels + p.first; pixel < p.batch * g->pixels + p.last; pixel++) {
        exchange_pixel(out, gate, means, j, pixel);
        store(at(j->out, pixel * 2 * n, g->dtype), out, 2 * n, g->dtype);
    }
}

/* The same with the 1x1 behind it and the residual, a tile of pixels at a time. */
static void exchange_linear_part(const void *argument, int64_t item, float *gate) {
    const job *j = argument;
    const geometry *g = j->g;
    int64_t n = g->channels, deep = padded(2 * n), wide = padded(g->outputs);
    part p = part_of(j, item);
    float *z = gate + n, *out = z + TILE * deep;
    const float *means = j->means + p.batch * 2 * n;
    for (int64_t i = 0; i < n; i++) gate[i] = sigmoid(means[n + i]);
    for (; p.first < p.last; p.first += TILE) {
        int64_t rows = least(TILE, p.last - p.first), pixel = p.batch * g->pixels + p.first;
        for (int64_t r = 0; r < rows; r++) {
            exchange_pixel(z + r * deep, gate, means, j, pixel + r);
            expect(at(j->residual, (pixel + r + 8) * g->outputs, g->dtype), g->outputs, g->dtype);
            load(out + r * wide, at(j->residual, (pixel + r) * g->outputs, g->dtype), g->outputs, g->dtype);
            for (int64_t i = 0; i < wide; i++) out[r * wide + i] += j->bias[i];
        }
        gemm(out, wide, operand(z, rows, deep, g->dtype), j->weight, wide, NULL, rows, 2 * n);
        for (int64_t r = 0; r < rows; r++)
            store(at(j->out, (pixel + r) * g->outputs, g->dtype), out + r * wide, g->outputs, g->dtype);
    }
}

static void exchange_backward_part(const void *argument, int64_t item, float *c) {
    const job *j = argument;
    const geometry *g = j->g;
    int64_t n = g->channels;
    part p = part_of(j, item);
    float *s = c + n, *gate = s + n, *grad = gate + n, *sums = j->partials + item * 2 * n;
    const float *means = j->means + p.batch * 2 * n;
    for (int64_t i = 0; i < n; i++) gate[i] = sigmoid(means[n + i]);
    for (int64_t pixel = p.batch * g->pixels + p.first; pixel < p.batch * g->pixels + p.last; pixel++) {
        load_pixel(c, s, j, pixel);
        load(grad, at(j->grad, pixel * 2 * n, g->dtype), 2 * n, g->dtype);
        float open = sigmoid(dot(c, means, n) / (float)n);
        float slope = dot(grad, c, n) * open * (1.0f - open) / (float)n;
        for (int64_t i = 0; i < n; i++) {
            sums[i] += slope * c[i];
            sums[n + i] += grad[n + i] * s[i] * gate[i] * (1.0f - gate[i]);
            grad[i] = grad[i] * open + slope * means[i];
            grad[n + i] *= gate[i];
        }
        store(at(j->grad_c, pixel * n, g->dtype), grad, n, g->dtype);
        store(at(j->grad_s, pixel * n, g->dtype), grad + n, n, g->dtype);
    }
}

static int run_parts(job *j, work each, float *sums, float scale) {
    const geometry *g = j->g;
    int64_t size = 2 * g->channels;
    j->chunk = ceil_div(g->pixels, MOST_CHUNKS) + LEAST_CHUNK;
    j->chunks = ceil_div(g->pixels, j->chunk);
    if (sums && !(j->partials = calloc((size_t)(g->batch * j->chunks * size + 1), sizeof(float)))) return 1;
    int64_t floats = 5 * g->channels + TILE * (padded(size) + padded(g->outputs));
    int failed = parallel(each, j, g->batch * j->chunks, floats, g->threads);
    if (!sums) return failed;
    for (int64_t b = 0; b < g->batch; b++)
        for (int64_t i = 0; i < size; i++) {
            float sum = 0;
            for (int64_t c = 0; c < j->chunks; c++) sum += j->partials[(b * j->chunks + c) * size + i];
            sums[b * size + i] = sum * scale;
        }
    return free(j->partials), failed;
}

/* data: c, s -> means */
int lamnet_exchange_means(void *const *data, const int64_t *numbers) {
    job j = {.g = (const geometry *)numbers, .c = data[0], .s = data[1]};
    return run_parts(&j, means_part, data[2], 1.0f / (float)j.g->pixels);
}

/* data: c, s, grad_means -> grad_c, grad_s */
int lamnet_exchange_means_backward(void *const *data, const int64_t *numbers) {
    job j = {.g = (const geometry *)numbers, .c = data[0], .s = data[1], .grad_means = data[2], .grad_c = data[3],
             .grad_s = data[4]};
    return run_parts(&j, means_backward_part, NULL, 0);
}

/* data: c, s, means -> out */
int lamnet_exchange(void *const *data, const int64_t *numbers) {
    job j = {.g = (const geometry *)numbers, .c = data[0], .s = data[1], .means = data[2], .out = data[3]};
    return run_parts(&j, exchange_part, NULL, 0);
}

/* data: c, s, means, weight and bias of the 1x1, residual -> out */
int lamnet_exchange_linear(void *const *data, const int64_t *numbers) {
    job j = {.g = (const geometry *)numbers, .c = data[0], .s = data[1], .means = data[2], .residual = data[5], .out = data[6]};
    int64_t inputs = 2 * j.g->channels;
    j.weight = calloc((size_t)((inputs + 1) * padded(j.g->outputs)), sizeof(float));
    if (!j.weight) return 1;
    j.bias = gemm_weight(j.weight, data[3], data[4], j.g->outputs, inputs, j.g->dtype);
    int failed = run_parts(&j, exchange_linear_part, NULL, 0);
    return free(j.weight), failed;
}

/* data: c, s, grad, means -> grad_c, grad_s, grad_means */
int lamnet_exchange_backward(void *const *data, const int64_t *numbers) {
    job j = {.g = (const geometry *)numbers, .c = data[0], .s = data[1], .grad = data[2], .means = data[3],
             .grad_c = data[4], .grad_s = data[5]};
    return run_parts(&j, exchange_backward_part, data[6], 1);
}
