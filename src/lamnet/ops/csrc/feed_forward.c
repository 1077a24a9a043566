/* The feed-forward, x + factors * linear(gate(depthwise3x3(linear(norm(x))))).

   A strip of columns runs down the image with three lines of hidden channels in the cache. What the first 1x1 gave
   reaches memory only where gradients will be asked. Lines beyond the image are zeros, as the convolution pads. */
#include "feed_forward.h"

feed_forward_layers take_feed_forward(arena *a, const feed_forward_sizes *g) {
    padded_sizes p = padded_of(g);
    feed_forward_layers l;
    l.project_in = take_layer(a, p.channels, p.hidden);
    l.depthwise = take_layer(a, TAPS, p.hidden);
    l.project_out = take_layer(a, p.hidden, p.channels);
    return l;
}

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
    return parallel(forward_strip, &j, all_strips_of(g), scratch, c);
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
