/* The backward of exchange.c. */
#include "exchange.h"
#include "threads.h"

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

typedef struct { float *gates, *c, *s, *z, *grad_z, *room, *pairs; } backward_scratch; /* pairs: see operand_in */

static backward_scratch take_backward(arena *a, const exchange_sizes *g) {
    padded_sizes p = padded_of(g);
    backward_scratch s;
    s.gates = take(a, g->channels);
    s.c = take(a, g->channels);
    s.s = take(a, g->channels);
    s.z = take(a, TILE * p.inputs);
    s.grad_z = take(a, TILE * p.inputs);
    s.room = take(a, TILE * p.outputs);
    s.pairs = take(a, TILE * p.outputs);
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
    float open[TILE];
    int in_place = g->dtype == FLOAT32 && p.outputs == g->outputs;
    channel_gates(s.gates, means, n);
    for (; t.first < t.last; t.first += TILE) {
        int64_t rows = min(TILE, t.last - t.first);
        exchange_rows(s.z, p.inputs, open, s.gates, means, a->c, a->s, t.first, rows, g, 0);
        float *grad = in_place ? (float *)a->grad + t.first * p.outputs : s.room;
        if (!in_place) load_rows(grad, p.outputs, a->grad, t.first, rows, g->outputs, g->dtype);
        gemm(s.grad_z, p.inputs, operand_in(s.pairs, grad, rows, p.outputs, g->dtype), j->weights.project_out, p.inputs,
             j->weights.zeros, rows, g->outputs);
        add_gradient(sums.project_out, over_pixels(s.z, s.z, 0, rows, p.inputs, g->dtype), p.inputs,
                     over_pixels(grad, grad, 0, rows, p.outputs, g->dtype), p.outputs, rows, g->dtype);
        for (int64_t r = 0; r < rows; r++) {
            float *grad_z = s.grad_z + r * p.inputs;
            load_pixel(s.c, s.s, a->c, a->s, t.first + r, g);
            float slope = dot(grad_z, s.c, n) * open[r] * (1.0f - open[r]) / (float)n;
            pixel_backward(grad_z, sums.means, s.c, s.s, s.gates, means, open[r], slope, n);
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
        float r = mean_of(c, n), share = dot(s, grad + n, n) * scale / (float)n;
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
    unfold_factors(sums, pitch, j->weights.grad_scale, w->project_out, w->scale, g->outputs, inputs, w->dtype);
    store_transposed(grads->project_out, sums, g->outputs, inputs, pitch, w->dtype);
    store(grads->scale, j->weights.grad_scale, g->outputs, w->dtype);
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
        load_stored(j.weights.project_out, a->weights.project_out.weight, g->outputs, 2 * g->channels, p.inputs, a->weights.dtype);
        scale_rows(j.weights.project_out, a->weights.scale, g->outputs, 2 * g->channels, p.inputs, a->weights.dtype);
        pair_rows(j.weights.project_out, p.inputs, g->outputs, g->dtype);
        failed = parallel(backward_part, &j, parts_of(g), scratch, (crew){g->threads});
        sum_means(a->grad_means, a->grad_extra, &j.sums, 1, g);
        sum_chunks(&j.sums);
        store_grads(&j);
        if (a->own_means && !failed) failed = parallel(means_backward_part, &j, parts_of(g), scratch, (crew){g->threads});
    }
    return release(&weights), release(&j.sums.all), failed;
}
