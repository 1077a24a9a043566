/* Information exchange between the channel branch c and the spatial branch s (IEM) with the 1x1 behind it, forward and
   backward.

   means (batch, 2, channels) float32: of s over the pixels, and of s times c's mean over the channels. Then
   residual + factors * linear([c * sigmoid(<means[0], c> / channels), s * sigmoid(means[1])]), one gate per pixel and one
   per channel. */
#include "fold.h"
#include "pixel.h"
#include <stdlib.h>

enum { MIN_CHUNK = 512, MAX_CHUNKS = 64, TILE = 96 };

typedef struct { int64_t threads, dtype, batch, pixels, channels, outputs; } geometry; /* pixels: of one image */

typedef struct {
    const geometry *g;
    const void *c, *s, *grad, *residual;
    const float *means, *grad_means;
    void *out, *grad_c, *grad_s;
    float *weight, *bias;      /* of the 1x1, padded; for the backward as it is stored, and zeros */
    float *partials;           /* per part: `size` floats */
    int64_t chunk, chunks, size; /* pixels of a part, how many an image has */
} job;

typedef struct { int64_t batch, first, last; } part; /* pixels counted over all images */

static part part_of(const job *j, int64_t item) {
    int64_t batch = item / j->chunks, from = item % j->chunks * j->chunk, before = batch * j->g->pixels;
    return (part){batch, before + from, before + min(from + j->chunk, j->g->pixels)};
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
    load(c, at(j->c, pixel * g->channels, g->dtype), g->channels, g->dtype);
    load(s, at(j->s, pixel * g->channels, g->dtype), g->channels, g->dtype);
}

static void add_pixel(float *restrict sums, const float *restrict s, float r, int64_t n) {
    for (int64_t i = 0; i < n; i++) sums[i] += s[i], sums[n + i] += s[i] * r;
}

static void means_part(const void *argument, int64_t item, float *c) {
    const job *j = argument;
    int64_t n = j->g->channels;
    part p = part_of(j, item);
    float *s = c + n, *sums = j->partials + item * j->size;
    for (int64_t pixel = p.first; pixel < p.last; pixel++) {
        load_pixel(c, s, j, pixel);
        add_pixel(sums, s, mean(c, n), n);
    }
}

/* The gates: one for each channel of s, from the means; and that of a pixel for its c. */
static void channel_gates(float *gates, const float *means, int64_t n) {
    for (int64_t i = 0; i < n; i++) gates[i] = sigmoid(means[n + i]);
}

static float pixel_gate(const float *c, const float *means, int64_t n) { return sigmoid(dot(c, means, n) / (float)n); }

static void apply_gates(float *restrict out, const float *restrict gates, float open, int64_t n) {
    for (int64_t i = 0; i < n; i++) out[i] *= open, out[n + i] *= gates[i];
}

static void exchange_pixel(float *out, const float *gates, const float *means, const job *j, int64_t pixel) {
    int64_t n = j->g->channels;
    load_pixel(out, out + n, j, pixel);
    float open = pixel_gate(out, means, n);
    apply_gates(out, gates, open, n);
}

static void forward_part(const void *argument, int64_t item, float *gates) {
    const job *j = argument;
    const geometry *g = j->g;
    int64_t n = g->channels, deep = padded(2 * n), wide = padded(g->outputs);
    part p = part_of(j, item);
    float *z = gates + n, *out = z + TILE * deep;
    const float *means = j->means + p.batch * 2 * n;
    channel_gates(gates, means, n);
    for (; p.first < p.last; p.first += TILE) {
        int64_t rows = min(TILE, p.last - p.first);
        for (int64_t r = 0; r < rows; r++) {
            exchange_pixel(z + r * deep, gates, means, j, p.first + r);
            prefetch(at(j->residual, (p.first + r + 8) * g->outputs, g->dtype), g->outputs, g->dtype);
            load(out + r * wide, at(j->residual, (p.first + r) * g->outputs, g->dtype), g->outputs, g->dtype);
            for (int64_t i = 0; i < wide; i++) out[r * wide + i] += j->bias[i];
        }
        gemm(out, wide, operand(z, rows, deep, g->dtype), j->weight, wide, NULL, rows, 2 * n);
        for (int64_t r = 0; r < rows; r++)
            store(at(j->out, (p.first + r) * g->outputs, g->dtype), out + r * wide, g->outputs, g->dtype);
    }
}

/* The gradient of a pixel's gated c and s, in place -> that of c and s; the means' is added to sums. */
static void pixel_backward(float *restrict grad, float *restrict sums, const float *restrict c, const float *restrict s,
                           const float *restrict gates, const float *restrict means, float open, float slope, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        sums[i] += slope * c[i];
        sums[n + i] += grad[n + i] * s[i] * gates[i] * (1.0f - gates[i]);
        grad[i] = grad[i] * open + slope * means[i];
        grad[n + i] *= gates[i];
    }
}

/* The gradients by fixed means, and the sums that are the means', the bias's and the weight's. */
static void backward_part(const void *argument, int64_t item, float *gates) {
    const job *j = argument;
    const geometry *g = j->g;
    int64_t n = g->channels, deep = padded(2 * n), wide = padded(g->outputs);
    part p = part_of(j, item);
    float *c = gates + n, *s = c + n, *z = s + n, *grad_z = z + TILE * deep, *room = grad_z + TILE * deep;
    float *sums = j->partials + item * j->size, *bias = sums + 2 * n, *weight = bias + wide;
    const float *means = j->means + p.batch * 2 * n;
    int in_place = g->dtype == FLOAT32 && wide == g->outputs;
    channel_gates(gates, means, n);
    for (; p.first < p.last; p.first += TILE) {
        int64_t rows = min(TILE, p.last - p.first);
        for (int64_t r = 0; r < rows; r++) exchange_pixel(z + r * deep, gates, means, j, p.first + r);
        float *grad = in_place ? (float *)j->grad + p.first * wide : room;
        if (!in_place) load_rows(grad, wide, j->grad, p.first, rows, g->outputs, g->outputs, g->dtype);
        gemm(grad_z, deep, (rows_of){grad, wide, 1}, j->weight, deep, j->bias, rows, g->outputs);
        gemm(weight, wide, (rows_of){z, 1, deep}, grad, wide, NULL, 2 * n, rows);
        add_rows(bias, grad, rows, wide);
        for (int64_t r = 0; r < rows; r++) {
            float *gz = grad_z + r * deep;
            load_pixel(c, s, j, p.first + r);
            float open = pixel_gate(c, means, n), slope = dot(gz, c, n) * open * (1.0f - open) / (float)n;
            pixel_backward(gz, sums, c, s, gates, means, open, slope, n);
            store(at(j->grad_c, (p.first + r) * n, g->dtype), gz, n, g->dtype);
            store(at(j->grad_s, (p.first + r) * n, g->dtype), gz + n, n, g->dtype);
        }
    }
}

/* Adds what reaches c and s through the means, where those are the image's own. */
static void means_backward_part(const void *argument, int64_t item, float *c) {
    const job *j = argument;
    const geometry *g = j->g;
    int64_t n = g->channels;
    part p = part_of(j, item);
    float *s = c + n, scale = 1.0f / (float)g->pixels;
    const float *grad = j->grad_means + p.batch * 2 * n;
    for (int64_t pixel = p.first; pixel < p.last; pixel++) {
        load_pixel(c, s, j, pixel);
        float r = mean(c, n), share = dot(s, grad + n, n) * scale / (float)n;
        for (int64_t i = 0; i < n; i++) c[i] = share, s[i] = (grad[i] + r * grad[n + i]) * scale;
        add(c, at(j->grad_c, pixel * n, g->dtype), n, g->dtype);
        add(s, at(j->grad_s, pixel * n, g->dtype), n, g->dtype);
        store(at(j->grad_c, pixel * n, g->dtype), c, n, g->dtype);
        store(at(j->grad_s, pixel * n, g->dtype), s, n, g->dtype);
    }
}

static int run_parts(const job *j, work each) {
    int64_t deep = padded(2 * j->g->channels), wide = padded(j->g->outputs);
    return parallel(each, j, j->g->batch * j->chunks, 3 * j->g->channels + TILE * (2 * deep + wide), j->g->threads);
}

/* Cuts the images into parts, each with room for `size` sums. */
static int cut(job *j, int64_t size) {
    j->size = size;
    j->chunk = ceil_div(j->g->pixels, MAX_CHUNKS) + MIN_CHUNK;
    j->chunks = ceil_div(j->g->pixels, j->chunk);
    return size && !(j->partials = calloc((size_t)((j->g->batch * j->chunks + 1) * size), sizeof(float)));
}

/* to (batch, 2, channels) = start or zero + the parts' sums. */
static void sum_means(float *to, const float *start, const job *j, float scale) {
    int64_t size = 2 * j->g->channels;
    for (int64_t b = 0; b < j->g->batch; b++)
        for (int64_t i = 0; i < size; i++) {
            float sum = 0;
            for (int64_t c = 0; c < j->chunks; c++) sum += j->partials[(b * j->chunks + c) * j->size + i];
            to[b * size + i] = sum * scale + (start ? start[b * size + i] : 0);
        }
}

/* data: c, s -> means */
int lamnet_exchange_means(void *const *data, const int64_t *numbers) {
    job j = {.g = (const geometry *)numbers, .c = data[0], .s = data[1]};
    if (cut(&j, 2 * j.g->channels)) return 1;
    int failed = run_parts(&j, means_part);
    sum_means(data[2], NULL, &j, 1.0f / (float)j.g->pixels);
    return free(j.partials), failed;
}

/* data: c, s, means, weight and bias of the 1x1, factors of its outputs, residual -> out */
int lamnet_exchange(void *const *data, const int64_t *numbers) {
    const geometry *g = (const geometry *)numbers;
    job j = {.g = g, .c = data[0], .s = data[1], .means = data[2], .residual = data[6], .out = data[7]};
    int64_t inputs = 2 * g->channels, wide = padded(g->outputs);
    j.weight = calloc((size_t)((inputs + 1) * wide), sizeof(float));
    if (!j.weight) return 1;
    j.bias = transposed(j.weight, data[3], data[4], g->outputs, inputs, g->dtype);
    fold_factors(j.weight, j.bias, wide, data[5], g->outputs, inputs, g->dtype);
    pair_rows(j.weight, wide, inputs, g->dtype);
    int failed = cut(&j, 0) || run_parts(&j, forward_part);
    return free(j.weight), failed;
}

/* data: grad, c, s, means, weight, bias, factors, gradient of the means or NULL -> grad_c, grad_s, grad_means and the
   gradients of weight, bias and factors; the last of the numbers: whether the means are the image's own, so that their
   gradient goes on to c and s */
int lamnet_exchange_backward(void *const *data, const int64_t *numbers) {
    const geometry *g = (const geometry *)numbers;
    int64_t own = numbers[sizeof(geometry) / sizeof(int64_t)], inputs = 2 * g->channels, outputs = g->outputs;
    int64_t deep = padded(inputs), wide = padded(outputs), size = inputs + wide + deep * wide;
    job j = {.g = g, .grad = data[0], .c = data[1], .s = data[2], .means = data[3], .grad_c = data[8], .grad_s = data[9],
             .grad_means = data[10], .weight = calloc((size_t)((outputs + 1) * deep + wide), sizeof(float))};
    if (!j.weight || cut(&j, size)) return free(j.weight), 1;
    j.bias = as_stored(j.weight, data[4], outputs, inputs, deep, g->dtype);
    scale_rows(j.weight, data[6], outputs, inputs, deep, g->dtype);
    int failed = run_parts(&j, backward_part);
    sum_means(data[10], data[7], &j, 1);
    float *sums = j.partials, *bias = sums + inputs, *weight = bias + wide, *factors = j.bias + deep;
    for (int64_t p = 1; p < g->batch * j.chunks; p++)
        for (int64_t i = inputs; i < size; i++) sums[i] += sums[p * size + i];
    unfold_factors(weight, bias, wide, factors, data[4], data[5], data[6], outputs, inputs, g->dtype);
    store_transposed(data[11], data[12], weight, bias, outputs, inputs, wide, g->dtype);
    store(data[13], factors, outputs, g->dtype);
    if (own && !failed) failed = run_parts(&j, means_backward_part);
    return free(j.weight), free(j.partials), failed;
}
