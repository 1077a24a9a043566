/* Information exchange between the channel branch c and the spatial branch s (IEM) with the 1x1 behind it.

   means (batch, 2, channels) float32: of s over the pixels, and of s times c's mean over the channels. Then
   residual + factors * linear([c * sigmoid(<means[0], c> / channels), s * sigmoid(means[1])]), one gate per pixel and one
   per channel. */
#include "exchange.h"

/* The means. */

typedef struct { const exchange_means_arguments *a; partial_sums sums; } means_job;

static void means_part(const void *argument, int64_t item, arena scratch) {
    const means_job *j = argument;
    const exchange_sizes *g = &j->a->sizes;
    int64_t n = g->channels;
    arena own = chunk_of(&j->sums, item);
    float *sums = take(&own, 2 * n), *c = take(&scratch, n), *s = take(&scratch, n);
    part p = part_of(g, item);
    for (int64_t pixel = p.first; pixel < p.last; pixel++) {
        load_pixel(c, s, j->a->c, j->a->s, pixel, g);
        add_exchanged(sums, s, mean_of(c, n), n);
    }
}

int lamnet_exchange_means(const exchange_means_arguments *a) {
    const exchange_sizes *g = &a->sizes;
    arena sums = {0}, scratch = {0};
    take(&sums, 2 * g->channels);
    take(&scratch, g->channels), take(&scratch, g->channels);
    means_job j = {.a = a};
    int failed = !reserve_chunks(&j.sums, sums, parts_of(g));
    if (!failed) {
        failed = parallel(means_part, &j, parts_of(g), scratch, (crew){g->threads});
        sum_means(a->means, NULL, &j.sums, 1.0f / (float)g->pixels, g);
    }
    return release(&j.sums.all), failed;
}

/* The forward. */

typedef struct { const exchange_arguments *a; float_layer project_out; } forward_job;

mix_scratch take_mix(arena *a, const exchange_sizes *g) {
    mix_scratch s;
    s.gates = take(a, g->channels);
    s.z = take(a, TILE * padded_of(g).inputs);
    return s;
}

void mix_rows(float *out, mix_scratch s, const exchange_arguments *a, float_layer project_out, int64_t first, int64_t rows) {
    const exchange_sizes *g = &a->sizes;
    padded_sizes p = padded_of(g);
    const float *means = a->means + first / g->pixels * 2 * g->channels;
    float open[TILE];
    channel_gates(s.gates, means, g->channels);
    int pairs = in_pairs(g->dtype);
    exchange_rows(s.z, p.inputs, open, s.gates, means, a->c, a->s, first, rows, g, pairs);
    int is_dense = g->dtype != FLOAT16 && p.outputs == g->outputs;
    onto_rows residual = {is_dense ? at(a->residual, first * p.outputs, g->dtype) : NULL, p.outputs, g->dtype};
    gemm_onto(out, p.outputs, (rows_of){s.z, p.inputs, 1, pairs}, project_out.weight, p.outputs, project_out.bias, residual, rows,
              2 * g->channels);
    for (int64_t r = 0; r < rows && !is_dense; r++) {
        prefetch(at(a->residual, (first + r + AHEAD) * g->outputs, g->dtype), g->outputs, g->dtype);
        add(out + r * p.outputs, at(a->residual, (first + r) * g->outputs, g->dtype), g->outputs, g->dtype);
    }
}

static void forward_part(const void *argument, int64_t item, arena scratch) {
    const forward_job *j = argument;
    const exchange_sizes *g = &j->a->sizes;
    int64_t pitch = padded(g->outputs);
    mix_scratch s = take_mix(&scratch, g);
    float *out = take(&scratch, TILE * pitch);
    part t = part_of(g, item);
    for (; t.first < t.last; t.first += TILE) {
        int64_t rows = min(TILE, t.last - t.first);
        mix_rows(out, s, j->a, j->project_out, t.first, rows);
        store_rows(j->a->out, out, t.first, rows, pitch, g->outputs, g->dtype);
    }
}

float_layer take_exchange(arena *a, const exchange_sizes *g) { return take_layer(a, 2 * g->channels, padded(g->outputs)); }

void pack_exchange(float_layer to, const exchange_weights *w, const exchange_sizes *g) {
    int64_t inputs = 2 * g->channels, pitch = padded(g->outputs);
    transpose(to, w->project_out, g->outputs, inputs, w->dtype);
    fold_factors(to, pitch, w->scale, g->outputs, inputs, w->dtype);
    pair_rows(to.weight, pitch, inputs, g->dtype);
}

int run_exchange(const exchange_arguments *a, float_layer project_out, crew c) {
    arena scratch = {0};
    take_mix(&scratch, &a->sizes);
    take(&scratch, TILE * padded(a->sizes.outputs));
    forward_job j = {a, project_out};
    return parallel(forward_part, &j, parts_of(&a->sizes), scratch, c);
}

int lamnet_exchange(const exchange_arguments *a) {
    const exchange_sizes *g = &a->sizes;
    arena memory = {0};
    take_exchange(&memory, g);
    if (!reserve(&memory)) return 1;
    float_layer project_out = take_exchange(&memory, g);
    pack_exchange(project_out, &a->weights, g);
    int failed = run_exchange(a, project_out, (crew){g->threads});
    return release(&memory), failed;
}
