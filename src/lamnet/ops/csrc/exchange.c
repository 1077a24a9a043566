/* Information exchange between the channel branch c and the spatial branch s (IEM) with the 1x1 behind it, forward and
   backward.

   means (batch, 2, channels) float32: of s over the pixels, and of s times c's mean over the channels. Then
   residual + factors * linear([c * sigmoid(<means[0], c> / channels), s * sigmoid(means[1])]), one gate per pixel and one
   per channel. */
#include "fold.h"
#include "forward.h"
#include "pixel.h"

enum { MIN_CHUNK = 512, MAX_CHUNKS = 64, TILE = 96 };

typedef struct { int64_t inputs, outputs; } padded_sizes; /* of the 1x1 */

static padded_sizes padded_of(const exchange_sizes *g) {
    return (padded_sizes){padded(2 * g->channels), padded(g->outputs)};
}

typedef struct { int64_t pixels, chunks; } cut; /* of an image: pixels of a part, parts */

static cut cut_of(const exchange_sizes *g) {
    int64_t pixels = ceil_div(g->pixels, MAX_CHUNKS) + MIN_CHUNK;
    return (cut){pixels, ceil_div(g->pixels, pixels)};
}

typedef struct { int64_t batch, first, last; } part; /* pixels counted over all images */

static part part_of(const exchange_sizes *g, int64_t item) {
    cut c = cut_of(g);
    int64_t batch = item / c.chunks, from = item % c.chunks * c.pixels, before = batch * g->pixels;
    return (part){batch, before + from, before + min(from + c.pixels, g->pixels)};
}

static int64_t parts_of(const exchange_sizes *g) { return g->batch * cut_of(g).chunks; }

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

static void load_pixel(float *c, float *s, const void *all_c, const void *all_s, int64_t pixel, const exchange_sizes *g) {
    load(c, at(all_c, pixel * g->channels, g->dtype), g->channels, g->dtype);
    load(s, at(all_s, pixel * g->channels, g->dtype), g->channels, g->dtype);
}

/* The means. */

typedef struct { const exchange_means_arguments *a; partial_sums sums; } means_job;

static void add_pixel(float *restrict sums, const float *restrict s, float r, int64_t n) {
    for (int64_t i = 0; i < n; i++) sums[i] += s[i], sums[n + i] += s[i] * r;
}

static void means_part(const void *argument, int64_t item, arena scratch) {
    const means_job *j = argument;
    const exchange_sizes *g = &j->a->sizes;
    int64_t n = g->channels;
    arena own = chunk_of(&j->sums, item);
    float *sums = take(&own, 2 * n), *c = take(&scratch, n), *s = take(&scratch, n);
    part p = part_of(g, item);
    for (int64_t pixel = p.first; pixel < p.last; pixel++) {
        load_pixel(c, s, j->a->c, j->a->s, pixel, g);
        add_pixel(sums, s, mean(c, n), n);
    }
}

/* to (batch, 2, channels) = scale * the sums of an image's parts, where those of the means stand first, plus `extra`. */
static void sum_means(float *to, const float *extra, const partial_sums *sums, float scale, const exchange_sizes *g) {
    int64_t n = 2 * g->channels, chunks = cut_of(g).chunks;
    for (int64_t b = 0; b < g->batch; b++)
        for (int64_t i = 0; i < n; i++) {
            float sum = 0;
            for (int64_t c = 0; c < chunks; c++) sum += chunk_of(sums, b * chunks + c).base[i];
            to[b * n + i] = sum * scale + (extra ? extra[b * n + i] : 0);
        }
}

int run_exchange_means(const exchange_means_arguments *a, crew workers) {
    const exchange_sizes *g = &a->sizes;
    arena sums = {0}, scratch = {0};
    take(&sums, 2 * g->channels);
    take(&scratch, g->channels), take(&scratch, g->channels);
    means_job j = {.a = a};
    int failed = !reserve_chunks(&j.sums, sums, parts_of(g));
    if (!failed) {
        failed = parallel(means_part, &j, parts_of(g), scratch, workers);
        sum_means(a->means, NULL, &j.sums, 1.0f / (float)g->pixels, g);
    }
    return release(&j.sums.all), failed;
}

int lamnet_exchange_means(const exchange_means_arguments *a) { return run_exchange_means(a, (crew){a->sizes.threads}); }

/* The gates: one for each channel of s, from the means; and that of a pixel for its c. */

static void channel_gates(float *gates, const float *means, int64_t n) {
    for (int64_t i = 0; i < n; i++) gates[i] = sigmoid(means[n + i]);
}

static float pixel_gate(const float *c, const float *means, int64_t n) { return sigmoid(dot(c, means, n) / (float)n); }

static void apply_gates(float *restrict out, const float *restrict gates, float open, int64_t n) {
    for (int64_t i = 0; i < n; i++) out[i] *= open, out[n + i] *= gates[i];
}

static void exchange_pixel(float *out, const float *gates, const float *means, const void *c, const void *s, int64_t pixel,
                           const exchange_sizes *g) {
    int64_t n = g->channels;
    load_pixel(out, out + n, c, s, pixel, g);
    float open = pixel_gate(out, means, n);
    apply_gates(out, gates, open, n);
}

/* The forward. */

typedef struct { const exchange_arguments *a; float_layer project_out; } forward_job;

typedef struct { float *gates, *z, *out; } forward_scratch;

static forward_scratch take_forward(arena *a, const exchange_sizes *g) {
    padded_sizes p = padded_of(g);
    forward_scratch s;
    s.gates = take(a, g->channels);
    s.z = take(a, TILE * p.inputs);
    s.out = take(a, TILE * p.outputs);
    return s;
}

static void forward_part(const void *argument, int64_t item, arena scratch) {
    const forward_job *j = argument;
    const exchange_arguments *a = j->a;
    const exchange_sizes *g = &a->sizes;
    padded_sizes p = padded_of(g);
    forward_scratch s = take_forward(&scratch, g);
    part t = part_of(g, item);
    int64_t n = g->channels;
    const float *means = a->means + t.batch * 2 * n;
    channel_gates(s.gates, means, n);
    for (; t.first < t.last; t.first += TILE) {
        int64_t rows = min(TILE, t.last - t.first);
        for (int64_t r = 0; r < rows; r++) {
            float *out = s.out + r * p.outputs;
            exchange_pixel(s.z + r * p.inputs, s.gates, means, a->c, a->s, t.first + r, g);
            prefetch(at(a->residual, (t.first + r + AHEAD) * g->outputs, g->dtype), g->outputs, g->dtype);
            load(out, at(a->residual, (t.first + r) * g->outputs, g->dtype), g->outputs, g->dtype);
            for (int64_t i = 0; i < p.outputs; i++) out[i] += j->project_out.bias[i];
        }
        gemm(s.out, p.outputs, operand(s.z, rows, p.inputs, g->dtype), j->project_out.weight, p.outputs, NULL, rows, 2 * n);
        store_rows(a->out, s.out, t.first, rows, p.outputs, g->outputs, g->dtype);
    }
}

float_layer take_exchange(arena *a, const exchange_sizes *g) { return take_layer(a, 2 * g->channels, padded(g->outputs)); }

void pack_exchange(float_layer to, const exchange_weights *w, const exchange_sizes *g, int64_t stored) {
    int64_t inputs = 2 * g->channels, pitch = padded(g->outputs);
    transpose(to, w->project_out, g->outputs, inputs, stored);
    fold_factors(to, pitch, w->scale, g->outputs, inputs, stored);
    pair_rows(to.weight, pitch, inputs, g->dtype);
}

int run_exchange(const exchange_arguments *a, float_layer project_out, crew c) {
    arena scratch = {0};
    take_forward(&scratch, &a->sizes);
    forward_job j = {a, project_out};
    return parallel(forward_part, &j, parts_of(&a->sizes), scratch, c);
}

int lamnet_exchange(const exchange_arguments *a) {
    const exchange_sizes *g = &a->sizes;
    arena memory = {0};
    take_exchange(&memory, g);
    if (!reserve(&memory)) return 1;
    float_layer project_out = take_exchange(&memory, g);
    pack_exchange(project_out, &a->weights, g, g->dtype);
    int failed = run_exchange(a, project_out, (crew){g->threads});
    return release(&memory), failed;
}

/* The backward. */

typedef struct { float *project_out, *zeros, *grad_scale; } backward_weights; /* as stored, padded; grad_scale: written at the end */

static backward_weights take_backward_weights(arena *a, const exchange_sizes *g) {
    padded_sizes p = padded_of(g);
    backward_weights w;
    w.project_out = take(a, g->outputs * p.inputs);
    w.zeros = take(a, p.inputs);
    w.grad_scale = take(a, p.outputs);
    return w;
}

typedef struct { float *means; float_layer project_out; } backward_sums;

static backward_sums take_sums(arena *a, const exchange_sizes *g) {
    padded_sizes p = padded_of(g);
    backward_sums s;
    s.means = take(a, 2 * g->channels); /* first: see sum_means */
    s.project_out = take_layer(a, p.inputs, p.outputs);
    return s;
}

typedef struct {
    const exchange_backward_arguments *a;
    backward_weights weights;
    partial_sums sums;
} backward_job;

typedef struct { float *gates, *c, *s, *z, *grad_z, *room; } backward_scratch;

static backward_scratch take_backward(arena *a, const exchange_sizes *g) {
    padded_sizes p = padded_of(g);
    backward_scratch s;
    s.gates = take(a, g->channels);
    s.c = take(a, g->channels);
    s.s = take(a, g->channels);
    s.z = take(a, TILE * p.inputs);
    s.grad_z = take(a, TILE * p.inputs);
    s.room = take(a, TILE * p.outputs);
    return s;
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
static void backward_part(const void *argument, int64_t item, arena scratch) {
    const backward_job *j = argument;
    const exchange_backward_arguments *a = j->a;
    const exchange_sizes *g = &a->sizes;
    padded_sizes p = padded_of(g);
    backward_scratch s = take_backward(&scratch, g);
    arena own = chunk_of(&j->sums, item);
    backward_sums sums = take_sums(&own, g);
    part t = part_of(g, item);
    int64_t n = g->channels;
    const float *means = a->means + t.batch * 2 * n;
    int in_place = g->dtype == FLOAT32 && p.outputs == g->outputs;
    channel_gates(s.gates, means, n);
    for (; t.first < t.last; t.first += TILE) {
        int64_t rows = min(TILE, t.last - t.first);
        for (int64_t r = 0; r < rows; r++) exchange_pixel(s.z + r * p.inputs, s.gates, means, a->c, a->s, t.first + r, g);
        float *grad = in_place ? (float *)a->grad + t.first * p.outputs : s.room;
        if (!in_place) load_rows(grad, p.outputs, a->grad, t.first, rows, g->outputs, g->dtype);
        gemm(s.grad_z, p.inputs, (rows_of){grad, p.outputs, 1}, j->weights.project_out, p.inputs, j->weights.zeros, rows,
             g->outputs);
        gemm(sums.project_out.weight, p.outputs, (rows_of){s.z, 1, p.inputs}, grad, p.outputs, NULL, 2 * n, rows);
        add_rows(sums.project_out.bias, grad, rows, p.outputs);
        for (int64_t r = 0; r < rows; r++) {
            float *grad_z = s.grad_z + r * p.inputs;
            load_pixel(s.c, s.s, a->c, a->s, t.first + r, g);
            float open = pixel_gate(s.c, means, n), slope = dot(grad_z, s.c, n) * open * (1.0f - open) / (float)n;
            pixel_backward(grad_z, sums.means, s.c, s.s, s.gates, means, open, slope, n);
            store(at(a->grad_c, (t.first + r) * n, g->dtype), grad_z, n, g->dtype);
            store(at(a->grad_s, (t.first + r) * n, g->dtype), grad_z + n, n, g->dtype);
        }
    }
}

/* Adds what reaches c and s through the means, where those are the image's own. */
static void means_backward_part(const void *argument, int64_t item, arena scratch) {
    const exchange_backward_arguments *a = ((const backward_job *)argument)->a;
    const exchange_sizes *g = &a->sizes;
    int64_t n = g->channels;
    backward_scratch room = take_backward(&scratch, g);
    float *c = room.c, *s = room.s, scale = 1.0f / (float)g->pixels;
    part t = part_of(g, item);
    const float *grad = a->grad_means + t.batch * 2 * n;
    for (int64_t pixel = t.first; pixel < t.last; pixel++) {
        load_pixel(c, s, a->c, a->s, pixel, g);
        float r = mean(c, n), share = dot(s, grad + n, n) * scale / (float)n;
        for (int64_t i = 0; i < n; i++) c[i] = share, s[i] = (grad[i] + r * grad[n + i]) * scale;
        add(c, at(a->grad_c, pixel * n, g->dtype), n, g->dtype);
        add(s, at(a->grad_s, pixel * n, g->dtype), n, g->dtype);
        store(at(a->grad_c, pixel * n, g->dtype), c, n, g->dtype);
        store(at(a->grad_s, pixel * n, g->dtype), s, n, g->dtype);
    }
}

static void store_grads(const backward_job *j) {
    const exchange_sizes *g = &j->a->sizes;
    const exchange_weights *w = &j->a->weights, *grads = &j->a->grads;
    int64_t inputs = 2 * g->channels, pitch = padded(g->outputs);
    arena all = chunk_of(&j->sums, 0);
    float_layer sums = take_sums(&all, g).project_out;
    unfold_factors(sums, pitch, j->weights.grad_scale, w->project_out, w->scale, g->outputs, inputs, g->dtype);
    store_transposed(grads->project_out, sums, g->outputs, inputs, pitch, g->dtype);
    store(grads->scale, j->weights.grad_scale, g->outputs, g->dtype);
}

int lamnet_exchange_backward(const exchange_backward_arguments *a) {
    const exchange_sizes *g = &a->sizes;
    padded_sizes p = padded_of(g);
    arena weights = {0}, scratch = {0}, sums = {0};
    take_backward_weights(&weights, g);
    take_backward(&scratch, g);
    take_sums(&sums, g);
    backward_job j = {.a = a};
    int failed = !reserve(&weights) | !reserve_chunks(&j.sums, sums, parts_of(g));
    if (!failed) {
        j.weights = take_backward_weights(&weights, g);
        load_stored(j.weights.project_out, a->weights.project_out.weight, g->outputs, 2 * g->channels, p.inputs, g->dtype);
        scale_rows(j.weights.project_out, a->weights.scale, g->outputs, 2 * g->channels, p.inputs, g->dtype);
        failed = parallel(backward_part, &j, parts_of(g), scratch, (crew){g->threads});
        sum_means(a->grad_means, a->grad_extra, &j.sums, 1, g);
        sum_chunks(&j.sums);
        store_grads(&j);
        if (a->own_means && !failed) failed = parallel(means_backward_part, &j, parts_of(g), scratch, (crew){g->threads});
    }
    return release(&weights), release(&j.sums.all), failed;
}
