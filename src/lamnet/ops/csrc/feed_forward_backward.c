/* The backward of feed_forward.c, down the same strips, with three lines of what the first 1x1 gave and three of the
   gradient in front of the gates in the cache. All else is computed again, line by line, so neither the gated channels nor
   a hidden gradient come from memory. */
#include "feed_forward.h"

typedef struct {
    float_layer depthwise, depthwise_back; /* back: taps in reverse order, and zeros */
    float *project_in, *project_out, *zeros; /* as stored, padded */
    float_layer grad_norm;                 /* this and grad_scale are written at the end */
    float *grad_scale;
} backward_weights;

static backward_weights take_backward_weights(arena *a, const feed_forward_sizes *g) {
    padded_sizes p = padded_of(g);
    backward_weights w;
    w.depthwise = take_taps(a, LINES, 3, p.hidden);
    w.depthwise_back = take_taps(a, LINES, 3, p.hidden);
    w.project_in = take(a, g->hidden * p.channels);
    w.project_out = take(a, g->channels * p.hidden);
    w.zeros = take(a, max(p.channels, p.hidden));
    w.grad_norm = take_layer(a, 1, p.channels);
    w.grad_scale = take(a, p.channels);
    return w;
}

static void load_backward_weights(const backward_weights *to, const feed_forward_weights *w, const feed_forward_sizes *g) {
    padded_sizes p = padded_of(g);
    transpose(to->depthwise, w->depthwise, g->hidden, TAPS, w->dtype);
    reverse_taps(to->depthwise_back.weight, to->depthwise.weight, TAPS, p.hidden);
    pair_taps(to->depthwise.weight, LINES, 3, p.hidden, g->dtype);
    pair_taps(to->depthwise_back.weight, LINES, 3, p.hidden, g->dtype);
    load_stored(to->project_in, w->project_in.weight, g->hidden, g->channels, p.channels, w->dtype);
    scale_columns(to->project_in, w->norm.weight, g->hidden, g->channels, p.channels, w->dtype);
    pair_rows(to->project_in, p.channels, g->hidden, g->dtype);
    load_stored(to->project_out, w->project_out.weight, g->channels, g->hidden, p.hidden, w->dtype);
    scale_rows(to->project_out, w->scale, g->channels, g->hidden, p.hidden, w->dtype);
    pair_rows(to->project_out, p.hidden, g->channels, g->dtype);
}

enum { STRIPS = 16 }; /* wanted: not by the threads, for no sum may depend on those */

typedef struct {
    const feed_forward_backward_arguments *a;
    backward_weights weights;
    partial_sums sums; /* feed_forward_layers of a chunk */
    strips cut;
    int64_t chunk; /* strips of one */
} backward_job;

typedef struct {
    float *kept, *grads;            /* three lines of each */
    float *z, *grad_hidden, *grad, *x; /* one line */
    float *channel_pairs, *pixel_pairs; /* of a line, see operand_in and over_pixels */
} backward_scratch;

static backward_scratch take_backward(arena *a, const feed_forward_sizes *g) {
    padded_sizes p = padded_of(g);
    backward_scratch s;
    s.kept = take(a, LINES * line_of(g, COLUMNS + 4));
    s.grads = take(a, LINES * line_of(g, COLUMNS + 2));
    s.z = take(a, (COLUMNS + 4) * p.hidden);
    s.grad_hidden = take(a, (COLUMNS + 2) * p.hidden);
    s.grad = take(a, (COLUMNS + 2) * p.channels);
    s.x = take(a, COLUMNS * p.channels);
    s.channel_pairs = take(a, (COLUMNS + 2) * max(p.channels, p.hidden));
    s.pixel_pairs = take(a, (COLUMNS + 2) * max(p.channels, p.hidden));
    return s;
}

/* One line of what the first 1x1 gave, two pixels more on either side. */
static void kept_line(float *to, const backward_scratch *s, const backward_job *j, strip t, int64_t y) {
    const feed_forward_sizes *g = &j->a->sizes;
    int64_t pitch = padded(g->hidden);
    inside in = inside_of(g->height, g->width, t, y, 2);
    float *line = in_pairs(g->dtype) ? s->z : to;
    clear_around(line, t.columns + 4, in, pitch);
    load_rows(line + in.first * pitch, pitch, j->a->hidden, in.pixel, in.n, g->hidden, g->dtype);
    over_pixels(to, line, 0, t.columns + 4, pitch, g->dtype);
}

/* One line of the gradient in front of the gates, a pixel more on either side, from the kept lines around it, of which
   `above` comes first. */
static void gated_line(float *to, const backward_scratch *s, const backward_job *j, strip t, int64_t y, int64_t above,
                       feed_forward_layers sums) {
    const feed_forward_sizes *g = &j->a->sizes;
    padded_sizes p = padded_of(g);
    inside in = inside_of(g->height, g->width, t, y, 1);
    clear_around(to, t.columns + 2, in, p.hidden);
    if (!in.n) return;
    int64_t half = g->hidden / 2;
    float *all_z = s->z + in.first * p.hidden;
    stencil taps = stencil_of(g, above, COLUMNS + 4);
    convolve_line(s->z, s->kept, j->weights.depthwise, &taps, t.columns + 2);
    load_rows(s->grad, p.channels, j->a->grad, in.pixel, in.n, g->channels, g->dtype);
    to += in.first * p.hidden;
    gemm(to, p.hidden, operand_in(s->channel_pairs, s->grad, in.n, p.channels, g->dtype), j->weights.project_out, p.hidden,
         j->weights.zeros, in.n, g->channels);
    for (int64_t i = 0; i < in.n; i++) {
        float *grad = to + i * p.hidden, *z = all_z + i * p.hidden;
        gate_backward(grad, grad + half, z, z + half, half);
    }
    if (y < t.top || y >= t.top + t.rows) return;
    int64_t skip = 1 - in.first;
    float *grad = s->grad + skip * p.channels, *z = all_z + skip * p.hidden;
    add_gradient(sums.project_out, over_pixels(z, z, 0, t.columns, p.hidden, g->dtype), p.hidden,
                 over_pixels(grad, grad, 0, t.columns, p.channels, g->dtype), p.channels, t.columns, g->dtype);
    correlate_line(sums.depthwise, s->kept, to + skip * p.hidden, &taps, 1, t.columns, s->z);
}

/* A line of the result from the gradient behind the first 1x1, which is in z. */
static void input_line(const backward_scratch *s, const backward_job *j, strip t, int64_t y, feed_forward_layers sums) {
    const feed_forward_sizes *g = &j->a->sizes;
    padded_sizes p = padded_of(g);
    int64_t first = inside_of(g->height, g->width, t, y, 0).pixel;
    float scale[COLUMNS], *x = s->x, *grad_x = s->grad;
    load_rows(x, p.channels, j->a->x, first, t.columns, g->channels, g->dtype);
    normalise(x, x, scale, t.columns, p.channels, g->channels);
    gemm(grad_x, p.channels, operand_in(s->channel_pairs, s->z, t.columns, p.hidden, g->dtype), j->weights.project_in, p.channels,
         j->weights.zeros, t.columns, g->hidden);
    add_gradient(sums.project_in, over_pixels(s->pixel_pairs, x, 0, t.columns, p.channels, g->dtype), p.channels,
                 over_pixels(s->z, s->z, 0, t.columns, p.hidden, g->dtype), p.hidden, t.columns, g->dtype);
    for (int64_t i = 0; i < t.columns; i++, first++, x += p.channels, grad_x += p.channels) {
        normalise_backward(grad_x, x, scale[i], g->channels);
        add(grad_x, at(j->a->grad, first * g->channels, g->dtype), g->channels, g->dtype);
        store(at(j->a->grad_x, first * g->channels, g->dtype), grad_x, g->channels, g->dtype);
    }
}

static void backward_strip(const backward_job *j, strip t, const backward_scratch *s, feed_forward_layers sums) {
    const feed_forward_sizes *g = &j->a->sizes;
    int64_t pitch = padded(g->hidden);
    for (int64_t y = -2; y <= t.rows + 1; y++) {
        kept_line(s->kept + (y + 3) % 3 * line_of(g, COLUMNS + 4), s, j, t, t.top + y);
        if (y < 0) continue;
        float *grads = s->grads + (y + 2) % 3 * line_of(g, COLUMNS + 2), *line = in_pairs(g->dtype) ? s->grad_hidden : grads;
        gated_line(line, s, j, t, t.top + y - 1, (y + 1) % 3, sums);
        over_pixels(grads, line, 0, t.columns + 2, pitch, g->dtype);
        if (y < 2) continue;
        stencil taps = stencil_of(g, y % 3, COLUMNS + 2);
        convolve_line(s->z, s->grads, j->weights.depthwise_back, &taps, t.columns);
        input_line(s, j, t, t.top + y - 2, sums);
    }
}

static void backward_chunk(const void *argument, int64_t item, arena scratch) {
    const backward_job *j = argument;
    const feed_forward_sizes *g = &j->a->sizes;
    backward_scratch s = take_backward(&scratch, g);
    arena own = chunk_of(&j->sums, item);
    feed_forward_layers sums = take_feed_forward(&own, g);
    for (int64_t i = item * j->chunk; i < min((item + 1) * j->chunk, j->cut.count); i++)
        backward_strip(j, strip_of(j->cut, i), &s, sums);
}

static void store_grads(const backward_job *j) {
    const feed_forward_sizes *g = &j->a->sizes;
    const feed_forward_weights *w = &j->a->weights, *grads = &j->a->grads;
    padded_sizes p = padded_of(g);
    arena all = chunk_of(&j->sums, 0);
    feed_forward_layers sums = take_feed_forward(&all, g);
    float_layer norm = j->weights.grad_norm;
    unfold_norm(sums.project_in, p.hidden, norm, w->project_in, w->norm, g->hidden, g->channels, w->dtype);
    unfold_factors(sums.project_out, p.channels, j->weights.grad_scale, w->project_out, w->scale, g->channels, g->hidden, w->dtype);
    store(grads->norm.weight, norm.weight, g->channels, w->dtype);
    store(grads->norm.bias, norm.bias, g->channels, w->dtype);
    store_transposed(grads->project_in, sums.project_in, g->hidden, g->channels, p.hidden, w->dtype);
    store_transposed(grads->depthwise, sums.depthwise, g->hidden, TAPS, p.hidden, w->dtype);
    store_transposed(grads->project_out, sums.project_out, g->channels, g->hidden, p.channels, w->dtype);
    store(grads->scale, j->weights.grad_scale, g->channels, w->dtype);
}

int lamnet_feed_forward_backward(const feed_forward_backward_arguments *a) {
    const feed_forward_sizes *g = &a->sizes;
    arena weights = {0}, scratch = {0}, sums = {0};
    take_backward_weights(&weights, g);
    take_backward(&scratch, g);
    take_feed_forward(&sums, g);
    backward_job j = {.a = a, .cut = cut_into_strips(g->batch, g->height, g->width, STRIPS)};
    j.chunk = ceil_div(j.cut.count, MAX_CHUNKS);
    int64_t chunks = j.chunk ? ceil_div(j.cut.count, j.chunk) : 0;
    int failed = !reserve(&weights) | !reserve_chunks(&j.sums, sums, chunks);
    if (!failed) {
        j.weights = take_backward_weights(&weights, g);
        load_backward_weights(&j.weights, &a->weights, g);
        failed = parallel(backward_chunk, &j, chunks, scratch, (crew){g->threads});
        sum_chunks(&j.sums);
        store_grads(&j);
    }
    return release(&weights), release(&j.sums.all), failed;
}
