/* The feed-forward, x + factors * linear(gate(depthwise3x3(linear(norm(x))))), and its backward.

   A strip of columns runs down the image with three lines of hidden channels in the cache. What the first 1x1 gave
   reaches memory only where gradients will be asked; the backward computes the rest again, line by line, and needs
   neither the gated channels nor a hidden gradient from memory. Lines beyond the image are zeros, as the convolution pads. */
#include "convolve.h"
#include "fold.h"
#include "forward.h"
#include "pixel.h"
#include "strip.h"

enum { TAPS = 9, MAX_CHUNKS = 64 };

typedef struct { int64_t channels, hidden; } padded_sizes;

static padded_sizes padded_of(const feed_forward_sizes *g) {
    return (padded_sizes){padded(g->channels), padded(g->hidden)};
}

feed_forward_layers take_feed_forward(arena *a, const feed_forward_sizes *g) {
    padded_sizes p = padded_of(g);
    feed_forward_layers l;
    l.project_in = take_layer(a, p.channels, p.hidden);
    l.depthwise = take_layer(a, TAPS, p.hidden);
    l.project_out = take_layer(a, p.hidden, p.channels);
    return l;
}

/* The forward. */

typedef struct { const feed_forward_arguments *a; feed_forward_layers layers; } forward_job;

typedef struct { float *lines, *z, *x; } forward_scratch;

static forward_scratch take_forward(arena *a, padded_sizes p) {
    forward_scratch s;
    s.lines = take(a, 3 * (COLUMNS + 2) * p.hidden);
    s.z = take(a, COLUMNS * p.hidden);
    s.x = take(a, (COLUMNS + 2) * p.channels);
    return s;
}

/* One line of hidden channels, one pixel more on either side; x: scratch. */
static void hidden_line(float *to, float *x, const forward_job *j, strip t, int64_t y) {
    const feed_forward_sizes *g = &j->a->sizes;
    padded_sizes p = padded_of(g);
    inside in = inside_of(g->height, g->width, t, y, 1);
    clear_around(to, t.columns + 2, in, p.hidden);
    if (!in.n) return;
    load_rows(x, p.channels, j->a->x, in.pixel, in.n, g->channels, g->dtype);
    for (int64_t i = 0; i < in.n; i++) normalise(x + i * p.channels, g->channels);
    gemm(to + in.first * p.hidden, p.hidden, operand(x, in.n, p.channels, g->dtype), j->layers.project_in.weight, p.hidden,
         j->layers.project_in.bias, in.n, g->channels);
    if (!j->a->hidden || y < t.top || y >= t.top + t.rows) return;
    store_rows(j->a->hidden, to + p.hidden, in.pixel + 1 - in.first, t.columns, p.hidden, g->hidden, g->dtype);
}

static void output_line(float *x, float *z, const forward_job *j, strip t, int64_t y) {
    const feed_forward_sizes *g = &j->a->sizes;
    padded_sizes p = padded_of(g);
    int64_t first = inside_of(g->height, g->width, t, y, 0).pixel;
    for (int64_t i = 0; i < t.columns; i++) gate(z + i * p.hidden, g->hidden);
    load_rows(x, p.channels, j->a->x, first, t.columns, g->channels, g->dtype);
    for (int64_t i = 0; i < t.columns; i++)
        for (int64_t c = 0; c < p.channels; c++) x[i * p.channels + c] += j->layers.project_out.bias[c];
    gemm(x, p.channels, operand(z, t.columns, p.hidden, g->dtype), j->layers.project_out.weight, p.channels, NULL, t.columns,
         g->hidden);
    store_rows(j->a->out, x, first, t.columns, p.channels, g->channels, g->dtype);
}

static void forward_strip(const void *argument, int64_t item, arena scratch) {
    const forward_job *j = argument;
    padded_sizes p = padded_of(&j->a->sizes);
    strip t = strip_of(j->a->sizes.height, j->a->sizes.width, item);
    forward_scratch s = take_forward(&scratch, p);
    int64_t pitch = (COLUMNS + 2) * p.hidden, offset[TAPS];
    for (int64_t y = -1; y <= t.rows; y++) {
        hidden_line(s.lines + (y + 3) % 3 * pitch, s.x, j, t, t.top + y);
        if (y < 1) continue;
        for (int64_t k = 0; k < TAPS; k++) offset[k] = (y + 1 + k / 3) % 3 * pitch + k % 3 * p.hidden;
        convolve_line(s.z, s.lines, j->layers.depthwise, offset, TAPS, p.hidden, t.columns);
        output_line(s.x, s.z, j, t, t.top + y - 1);
    }
}

void pack_feed_forward(feed_forward_layers to, const feed_forward_weights *w, const feed_forward_sizes *g, int64_t stored) {
    padded_sizes p = padded_of(g);
    transpose(to.project_in, w->project_in, g->hidden, g->channels, stored);
    fold_norm(to.project_in, p.hidden, w->norm, g->hidden, g->channels, stored);
    pair_rows(to.project_in.weight, p.hidden, g->channels, g->dtype);
    transpose(to.depthwise, w->depthwise, g->hidden, TAPS, stored);
    transpose(to.project_out, w->project_out, g->channels, g->hidden, stored);
    fold_factors(to.project_out, p.channels, w->scale, g->channels, g->hidden, stored);
    pair_rows(to.project_out.weight, p.channels, g->hidden, g->dtype);
}

int run_feed_forward(const feed_forward_arguments *a, feed_forward_layers layers, crew c) {
    const feed_forward_sizes *g = &a->sizes;
    arena scratch = {0};
    take_forward(&scratch, padded_of(g));
    forward_job j = {a, layers};
    return parallel(forward_strip, &j, g->batch * strips_of(g->height, g->width), scratch, c);
}

int lamnet_feed_forward(const feed_forward_arguments *a) {
    const feed_forward_sizes *g = &a->sizes;
    arena memory = {0};
    take_feed_forward(&memory, g);
    if (!reserve(&memory)) return 1;
    feed_forward_layers layers = take_feed_forward(&memory, g);
    pack_feed_forward(layers, &a->weights, g, g->dtype);
    int failed = run_feed_forward(a, layers, (crew){g->threads});
    return release(&memory), failed;
}

/* The backward. */

typedef struct {
    float_layer depthwise, depthwise_back; /* back: taps in reverse order, and zeros */
    float *project_in, *project_out, *zeros; /* as stored, padded */
    float_layer grad_norm;                 /* this and grad_scale are written at the end */
    float *grad_scale;
} backward_weights;

static backward_weights take_backward_weights(arena *a, const feed_forward_sizes *g) {
    padded_sizes p = padded_of(g);
    backward_weights w;
    w.depthwise = take_layer(a, TAPS, p.hidden);
    w.depthwise_back = take_layer(a, TAPS, p.hidden);
    w.project_in = take(a, g->hidden * p.channels);
    w.project_out = take(a, g->channels * p.hidden);
    w.zeros = take(a, max(p.channels, p.hidden));
    w.grad_norm = take_layer(a, 1, p.channels);
    w.grad_scale = take(a, p.channels);
    return w;
}

static void load_backward_weights(const backward_weights *to, const feed_forward_weights *w, const feed_forward_sizes *g) {
    padded_sizes p = padded_of(g);
    transpose(to->depthwise, w->depthwise, g->hidden, TAPS, g->dtype);
    reverse_taps(to->depthwise_back.weight, to->depthwise.weight, TAPS, p.hidden);
    load_stored(to->project_in, w->project_in.weight, g->hidden, g->channels, p.channels, g->dtype);
    scale_columns(to->project_in, w->norm.weight, g->hidden, g->channels, p.channels, g->dtype);
    load_stored(to->project_out, w->project_out.weight, g->channels, g->hidden, p.hidden, g->dtype);
    scale_rows(to->project_out, w->scale, g->channels, g->hidden, p.hidden, g->dtype);
}

typedef struct {
    const feed_forward_backward_arguments *a;
    backward_weights weights;
    partial_sums sums; /* feed_forward_layers of a chunk */
    int64_t chunk;     /* strips of one */
} backward_job;

typedef struct { float *kept, *grads, *z, *grad, *x; } backward_scratch; /* three lines of kept, three of grads */

static backward_scratch take_backward(arena *a, padded_sizes p) {
    backward_scratch s;
    s.kept = take(a, 3 * (COLUMNS + 4) * p.hidden);
    s.grads = take(a, 3 * (COLUMNS + 2) * p.hidden);
    s.z = take(a, (COLUMNS + 2) * p.hidden);
    s.grad = take(a, (COLUMNS + 2) * p.channels);
    s.x = take(a, COLUMNS * p.channels);
    return s;
}

/* One line of what the first 1x1 gave, two pixels more on either side. */
static void kept_line(float *to, const backward_job *j, strip t, int64_t y) {
    const feed_forward_sizes *g = &j->a->sizes;
    int64_t pitch = padded(g->hidden);
    inside in = inside_of(g->height, g->width, t, y, 2);
    clear_around(to, t.columns + 4, in, pitch);
    load_rows(to + in.first * pitch, pitch, j->a->hidden, in.pixel, in.n, g->hidden, g->dtype);
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
    int64_t offset[TAPS], half = g->hidden / 2;
    for (int64_t k = 0; k < TAPS; k++) offset[k] = ((above + k / 3) % 3 * (COLUMNS + 4) + in.first + k % 3) * p.hidden;
    convolve_line(s->z, s->kept, j->weights.depthwise, offset, TAPS, p.hidden, in.n);
    load_rows(s->grad, p.channels, j->a->grad, in.pixel, in.n, g->channels, g->dtype);
    to += in.first * p.hidden;
    gemm(to, p.hidden, (rows_of){s->grad, p.channels, 1}, j->weights.project_out, p.hidden, j->weights.zeros, in.n, g->channels);
    for (int64_t i = 0; i < in.n; i++) {
        float *grad = to + i * p.hidden, *z = s->z + i * p.hidden;
        gate_backward(grad, grad + half, z, z + half, half);
    }
    if (y < t.top || y >= t.top + t.rows) return;
    int64_t skip = 1 - in.first;
    const float *grad = s->grad + skip * p.channels;
    gemm(sums.project_out.weight, p.channels, (rows_of){s->z + skip * p.hidden, 1, p.hidden}, grad, p.channels, NULL, p.hidden,
         t.columns);
    add_rows(sums.project_out.bias, grad, t.columns, p.channels);
    for (int64_t k = 0; k < TAPS; k++) offset[k] += skip * p.hidden;
    correlate_line(sums.depthwise, s->kept, to + skip * p.hidden, offset, TAPS, p.hidden, t.columns);
}

/* A line of the result from the gradient behind the first 1x1, which is in z. */
static void input_line(const backward_scratch *s, const backward_job *j, strip t, int64_t y, feed_forward_layers sums) {
    const feed_forward_sizes *g = &j->a->sizes;
    padded_sizes p = padded_of(g);
    int64_t first = inside_of(g->height, g->width, t, y, 0).pixel;
    float scale[COLUMNS], *x = s->x, *grad_x = s->grad;
    load_rows(x, p.channels, j->a->x, first, t.columns, g->channels, g->dtype);
    for (int64_t i = 0; i < t.columns; i++) scale[i] = normalise(x + i * p.channels, g->channels);
    gemm(grad_x, p.channels, (rows_of){s->z, p.hidden, 1}, j->weights.project_in, p.channels, j->weights.zeros, t.columns,
         g->hidden);
    gemm(sums.project_in.weight, p.hidden, (rows_of){x, 1, p.channels}, s->z, p.hidden, NULL, p.channels, t.columns);
    add_rows(sums.project_in.bias, s->z, t.columns, p.hidden);
    for (int64_t i = 0; i < t.columns; i++, first++, x += p.channels, grad_x += p.channels) {
        normalise_backward(grad_x, x, scale[i], g->channels);
        add(grad_x, at(j->a->grad, first * g->channels, g->dtype), g->channels, g->dtype);
        store(at(j->a->grad_x, first * g->channels, g->dtype), grad_x, g->channels, g->dtype);
    }
}

static void backward_strip(const backward_job *j, strip t, const backward_scratch *s, feed_forward_layers sums) {
    padded_sizes p = padded_of(&j->a->sizes);
    int64_t kept_pitch = (COLUMNS + 4) * p.hidden, pitch = (COLUMNS + 2) * p.hidden, offset[TAPS];
    for (int64_t y = -2; y <= t.rows + 1; y++) {
        kept_line(s->kept + (y + 3) % 3 * kept_pitch, j, t, t.top + y);
        if (y < 0) continue;
        gated_line(s->grads + (y + 2) % 3 * pitch, s, j, t, t.top + y - 1, (y + 1) % 3, sums);
        if (y < 2) continue;
        for (int64_t k = 0; k < TAPS; k++) offset[k] = (y + k / 3) % 3 * pitch + k % 3 * p.hidden;
        convolve_line(s->z, s->grads, j->weights.depthwise_back, offset, TAPS, p.hidden, t.columns);
        input_line(s, j, t, t.top + y - 2, sums);
    }
}

static void backward_chunk(const void *argument, int64_t item, arena scratch) {
    const backward_job *j = argument;
    const feed_forward_sizes *g = &j->a->sizes;
    backward_scratch s = take_backward(&scratch, padded_of(g));
    arena own = chunk_of(&j->sums, item);
    feed_forward_layers sums = take_feed_forward(&own, g);
    for (int64_t i = item * j->chunk; i < min((item + 1) * j->chunk, g->batch * strips_of(g->height, g->width)); i++)
        backward_strip(j, strip_of(g->height, g->width, i), &s, sums);
}

static void store_grads(const backward_job *j) {
    const feed_forward_sizes *g = &j->a->sizes;
    const feed_forward_weights *w = &j->a->weights, *grads = &j->a->grads;
    padded_sizes p = padded_of(g);
    arena all = chunk_of(&j->sums, 0);
    feed_forward_layers sums = take_feed_forward(&all, g);
    float_layer norm = j->weights.grad_norm;
    unfold_norm(sums.project_in, p.hidden, norm, w->project_in, w->norm, g->hidden, g->channels, g->dtype);
    unfold_factors(sums.project_out, p.channels, j->weights.grad_scale, w->project_out, w->scale, g->channels, g->hidden, g->dtype);
    store(grads->norm.weight, norm.weight, g->channels, g->dtype);
    store(grads->norm.bias, norm.bias, g->channels, g->dtype);
    store_transposed(grads->project_in, sums.project_in, g->hidden, g->channels, p.hidden, g->dtype);
    store_transposed(grads->depthwise, sums.depthwise, g->hidden, TAPS, p.hidden, g->dtype);
    store_transposed(grads->project_out, sums.project_out, g->channels, g->hidden, p.channels, g->dtype);
    store(grads->scale, j->weights.grad_scale, g->channels, g->dtype);
}

int lamnet_feed_forward_backward(const feed_forward_backward_arguments *a) {
    const feed_forward_sizes *g = &a->sizes;
    padded_sizes p = padded_of(g);
    arena weights = {0}, scratch = {0}, sums = {0};
    take_backward_weights(&weights, g);
    take_backward(&scratch, p);
    take_feed_forward(&sums, g);
    backward_job j = {.a = a, .chunk = ceil_div(g->batch * strips_of(g->height, g->width), MAX_CHUNKS)};
    int64_t chunks = j.chunk ? ceil_div(g->batch * strips_of(g->height, g->width), j.chunk) : 0;
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
