/* The feed-forward, x + factors * linear(gate(depthwise3x3(linear(norm(x))))).

   A strip of columns runs down the image with three lines of hidden channels in the cache. What the first 1x1 gave
   reaches memory only where gradients will be asked. Lines beyond the image are zeros, as the convolution pads. In the core
   a line of x is made by the exchange, right before it is needed; a pixel around a strip is made twice. */
#include "feed_forward.h"

feed_forward_layers take_feed_forward(arena *a, const feed_forward_sizes *g) {
    padded_sizes p = padded_of(g);
    feed_forward_layers l;
    l.project_in = take_layer(a, p.channels, p.hidden);
    l.depthwise = take_taps(a, LINES, 3, p.hidden);
    l.project_out = take_layer(a, p.hidden, p.channels);
    return l;
}

typedef struct {
    const feed_forward_arguments *a;
    feed_forward_layers layers;
    const exchange_arguments *mix; /* what makes x, by the layer `mix_out`; NULL where x is in memory */
    float_layer mix_out;
    strips cut;
} forward_job;

typedef struct {
    float *lines, *x; /* three lines of hidden channels and of x, each one pixel more on either side */
    float *z, *gated, *normal, *scale; /* a line behind the depthwise convolution, its gates in pairs; one of x behind the norm, and its factors */
    mix_scratch mix;
} forward_scratch;

static forward_scratch take_forward(arena *a, const forward_job *j) {
    padded_sizes p = padded_of(&j->a->sizes);
    forward_scratch s;
    s.lines = take(a, LINES * line_of(&j->a->sizes, COLUMNS + 2));
    s.x = take(a, LINES * (COLUMNS + 2) * p.channels);
    s.z = take(a, (COLUMNS + 2) * p.hidden);
    s.gated = take(a, in_pairs(j->a->sizes.dtype) ? COLUMNS * p.hidden / 2 : 0);
    s.normal = take(a, (COLUMNS + 2) * p.channels);
    s.scale = take(a, COLUMNS + 2);
    if (j->mix) s.mix = take_mix(a, &j->mix->sizes);
    return s;
}

/* n pixels of x from `first` on. */
static void read_x(float *to, const forward_scratch *s, const forward_job *j, int64_t first, int64_t n) {
    const feed_forward_sizes *g = &j->a->sizes;
    if (j->mix) mix_rows(to, s->mix, j->mix, j->mix_out, first, n);
    else load_rows(to, padded(g->channels), j->a->x, first, n, g->channels, g->dtype);
}

/* Has n pixels fetched of what x will be read or made of. */
static void fetch_x(const forward_job *j, int64_t first, int64_t n) {
    int64_t channels = j->a->sizes.channels, dtype = j->a->sizes.dtype, half = channels / 2;
    fetch(at(j->mix ? j->mix->residual : j->a->x, first * channels, dtype), n * channels, dtype);
    if (!j->mix) return;
    fetch(at(j->mix->c, first * half, dtype), n * half, dtype);
    fetch(at(j->mix->s, first * half, dtype), n * half, dtype);
}

/* Line y of x and of hidden channels; these are numbers still. */
static void hidden_line(float *to, float *x, const forward_scratch *s, const forward_job *j, strip t, int64_t y) {
    const feed_forward_sizes *g = &j->a->sizes;
    padded_sizes p = padded_of(g);
    inside in = inside_of(g->height, g->width, t, y, 1);
    clear_around(to, t.columns + 2, in, p.hidden);
    if (!in.n) return;
    x += in.first * p.channels;
    read_x(x, s, j, in.pixel, in.n);
    for (int64_t i = 0; i < in.n; i++)
        fetch(at(j->a->out, (in.pixel - g->width + i) * g->channels, g->dtype), g->channels, g->dtype);
    rows_of normal = normalised(s->normal, x, FLOAT32, s->scale, in.n, p.channels, g->channels, g->dtype);
    gemm(to + in.first * p.hidden, p.hidden, normal, j->layers.project_in.weight, p.hidden, j->layers.project_in.bias, in.n, g->channels);
    if (!j->a->hidden || y < t.top || y >= t.top + t.rows) return;
    store_rows(j->a->hidden, to + p.hidden, in.pixel + 1 - in.first, t.columns, p.hidden, g->hidden, g->dtype);
}

/* Line y of the result, made in `out` of that of x and what is behind the depthwise convolution. */
static void output_line(float *out, const float *x, float *z, float *gated, const forward_job *j, strip t, int64_t y) {
    const feed_forward_sizes *g = &j->a->sizes;
    padded_sizes p = padded_of(g);
    int64_t first = inside_of(g->height, g->width, t, y, 0).pixel;
    int to_pairs = in_pairs(g->dtype) && g->hidden % (4 * LANES) == 0;
    for (int64_t i = 0; i < t.columns; i++) {
        fetch_x(j, first + 2 * g->width + i, 1);
        if (to_pairs) gate_to_pairs(gated + i * p.hidden / 2, z + i * p.hidden, g->hidden);
        else gate(z + i * p.hidden, g->hidden, g->dtype == BFLOAT16);
    }
    rows_of gates = to_pairs ? (rows_of){gated, p.hidden / 2, 1, 1} : operand(z, t.columns, p.hidden, g->dtype);
    int is_dense = g->dtype == FLOAT32 && p.channels == g->channels;
    float *to = is_dense ? (float *)j->a->out + first * p.channels : out;
    gemm_onto(to, p.channels, gates, j->layers.project_out.weight, p.channels,
              j->layers.project_out.bias, (onto_rows){x, p.channels, FLOAT32}, t.columns, g->hidden);
    if (!is_dense) store_rows(j->a->out, out, first, t.columns, p.channels, g->channels, g->dtype);
}

static void forward_strip(const void *argument, int64_t item, arena scratch) {
    const forward_job *j = argument;
    padded_sizes p = padded_of(&j->a->sizes);
    strip t = strip_of(j->cut, item);
    forward_scratch s = take_forward(&scratch, j);
    const feed_forward_sizes *g = &j->a->sizes;
    for (int64_t y = -1; y <= t.rows; y++) {
        int64_t pixels = COLUMNS + 2, line = (y + 3) % 3, before = (y + 2) % 3;
        float *lines = s.lines + line * line_of(g, pixels), *hidden = in_pairs(g->dtype) ? s.z : lines;
        hidden_line(hidden, s.x + line * pixels * p.channels, &s, j, t, t.top + y);
        over_pixels(lines, hidden, 0, t.columns + 2, p.hidden, g->dtype);
        if (y < 1) continue;
        stencil taps = stencil_of(g, (y + 1) % 3, pixels);
        convolve_line(s.z, s.lines, j->layers.depthwise, &taps, t.columns);
        output_line(s.normal, s.x + (before * pixels + 1) * p.channels, s.z, s.gated, j, t, t.top + y - 1);
    }
}

void pack_feed_forward(feed_forward_layers to, const feed_forward_weights *w, const feed_forward_sizes *g) {
    padded_sizes p = padded_of(g);
    transpose(to.project_in, w->project_in, g->hidden, g->channels, w->dtype);
    fold_norm(to.project_in, p.hidden, w->norm, g->hidden, g->channels, w->dtype);
    pair_rows(to.project_in.weight, p.hidden, g->channels, g->dtype);
    transpose(to.depthwise, w->depthwise, g->hidden, TAPS, w->dtype);
    pair_taps(to.depthwise.weight, LINES, 3, p.hidden, g->dtype);
    transpose(to.project_out, w->project_out, g->channels, g->hidden, w->dtype);
    fold_factors(to.project_out, p.channels, w->scale, g->channels, g->hidden, w->dtype);
    pair_rows(to.project_out.weight, p.channels, g->hidden, g->dtype);
}

static int run(forward_job j, crew c) {
    const feed_forward_sizes *g = &j.a->sizes;
    arena scratch = {0};
    take_forward(&scratch, &j);
    j.cut = cut_into_strips(g->batch, g->height, g->width, strips_for(c.threads));
    return parallel(forward_strip, &j, j.cut.count, scratch, c);
}

int run_feed_forward(const feed_forward_arguments *a, feed_forward_layers layers, crew c) {
    return run((forward_job){a, layers}, c);
}

_Static_assert(COLUMNS + 2 <= MIX_ROWS, "a line is mixed at once");

int run_exchange_feed_forward(const exchange_arguments *mix, float_layer project_out, const feed_forward_arguments *a,
                              feed_forward_layers layers, crew c) {
    return run((forward_job){a, layers, mix, project_out}, c);
}

int lamnet_feed_forward(const feed_forward_arguments *a) {
    const feed_forward_sizes *g = &a->sizes;
    arena memory = {0};
    take_feed_forward(&memory, g);
    if (!reserve(&memory)) return 1;
    feed_forward_layers layers = take_feed_forward(&memory, g);
    pack_feed_forward(layers, &a->weights, g);
    int failed = run_feed_forward(a, layers, (crew){g->threads});
    return release(&memory), failed;
}
