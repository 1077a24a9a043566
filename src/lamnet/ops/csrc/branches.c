/* What enters the mixer's two branches: u = linear(norm(x)), in halves u1, u2; then c = linear(relu(linear(u1))) and
   u2 itself. Tile by tile of pixels; the backward computes u1 and what follows again, so only x is kept. */
#include "fold.h"
#include "forward.h"
#include "pixel.h"

enum { TILE = ENTER_ROWS, MIN_CHUNK = 480, MAX_CHUNKS = 64 }; /* pixels, pixels, chunks */

typedef struct { int64_t channels, half, narrow; } padded_sizes;

static padded_sizes padded_of(const branches_sizes *g) {
    return (padded_sizes){padded(g->channels), padded(g->half), padded(g->narrow)};
}

branches_layers take_branches(arena *a, const branches_sizes *g) {
    padded_sizes p = padded_of(g);
    branches_layers l;
    for (int half = 0; half < 2; half++) l.project_in[half] = take_layer(a, p.channels, p.half);
    l.channel_in = take_layer(a, p.half, p.narrow);
    l.channel_out = take_layer(a, p.narrow, p.half);
    return l;
}

static layer half_of(const branches_weights *w, int half, const branches_sizes *g) {
    int64_t first = half * g->half;
    return (layer){at(w->project_in.weight, first * g->channels, w->dtype), at(w->project_in.bias, first, w->dtype)};
}

static void load_layers(branches_layers to, const branches_weights *w, const branches_sizes *g) {
    for (int half = 0; half < 2; half++) {
        transpose(to.project_in[half], half_of(w, half, g), g->half, g->channels, w->dtype);
        fold_norm(to.project_in[half], padded(g->half), w->norm, g->half, g->channels, w->dtype);
    }
    transpose(to.channel_in, w->channel_in, g->narrow, g->half, w->dtype);
    transpose(to.channel_out, w->channel_out, g->half, g->narrow, w->dtype);
}

void pack_branches(branches_layers to, const branches_weights *w, const branches_sizes *g) {
    padded_sizes p = padded_of(g);
    load_layers(to, w, g);
    for (int half = 0; half < 2; half++) pair_rows(to.project_in[half].weight, p.half, g->channels, g->dtype);
    pair_rows(to.channel_in.weight, p.narrow, g->half, g->dtype);
    pair_rows(to.channel_out.weight, p.half, g->narrow, g->dtype);
}

static int is_dense(const branches_sizes *g) { return g->dtype == FLOAT32 && padded(g->half) == g->half; }

typedef struct {
    const branches_arguments *a;
    branches_layers layers;
} forward_job;

enter_scratch take_enter(arena *a, const branches_sizes *g) {
    padded_sizes p = padded_of(g);
    enter_scratch s;
    s.x = take(a, TILE * p.channels);
    s.scale = take(a, TILE);
    s.u = take(a, TILE * p.half);
    s.h = take(a, TILE * p.narrow);
    s.c = take(a, TILE * p.half);
    return s;
}

void enter_rows(float *u, float *r, enter_scratch s, const branches_arguments *a, branches_layers l, int64_t first, int64_t rows) {
    const branches_sizes *g = &a->sizes;
    padded_sizes p = padded_of(g);
    int is_whole = g->dtype != FLOAT16 && p.channels == g->channels;
    if (!is_whole) load_rows(s.x, p.channels, a->x, first, rows, g->channels, g->dtype);
    for (int64_t i = 0; i < rows; i++) fetch(at(a->c, (first + i) * g->half, g->dtype), g->half, g->dtype);
    const void *from = is_whole ? at(a->x, first * g->channels, g->dtype) : s.x;
    rows_of x = normalised(s.x, from, is_whole ? g->dtype : FLOAT32, s.scale, rows, p.channels, g->channels, g->dtype);
    gemm(s.u, p.half, x, l.project_in[0].weight, p.half, l.project_in[0].bias, rows, g->channels);
    gemm(s.h, p.narrow, operand(s.u, rows, p.half, g->dtype), l.channel_in.weight, p.narrow, l.channel_in.bias, rows, g->half);
    relu(s.h, rows * p.narrow);
    float *c = is_dense(g) ? (float *)a->c + first * p.half : s.c;
    gemm(c, p.half, operand(s.h, rows, p.narrow, g->dtype), l.channel_out.weight, p.half, l.channel_out.bias, rows, g->narrow);
    for (int64_t i = 0; i < rows && r; i++) r[first + i] = mean_of(c + i * p.half, g->half);
    if (c == s.c) store_rows(a->c, c, first, rows, p.half, g->half, g->dtype);
    gemm(u, p.half, x, l.project_in[1].weight, p.half, l.project_in[1].bias, rows, g->channels);
}

static void forward_tile(const void *argument, int64_t item, arena scratch) {
    const forward_job *j = argument;
    const branches_sizes *g = &j->a->sizes;
    int64_t pitch = padded(g->half), first = item * TILE, rows = min(TILE, g->pixels - first);
    enter_scratch s = take_enter(&scratch, g);
    float *u = is_dense(g) ? (float *)j->a->u + first * pitch : take(&scratch, TILE * pitch);
    enter_rows(u, NULL, s, j->a, j->layers, first, rows);
    if (!is_dense(g)) store_rows(j->a->u, u, first, rows, pitch, g->half, g->dtype);
}

int run_branches(const branches_arguments *a, branches_layers layers, crew c) {
    arena scratch = {0};
    take_enter(&scratch, &a->sizes);
    take(&scratch, TILE * padded(a->sizes.half));
    forward_job j = {a, layers};
    return parallel(forward_tile, &j, ceil_div(a->sizes.pixels, TILE), scratch, c);
}

int lamnet_branches(const branches_arguments *a) {
    const branches_sizes *g = &a->sizes;
    arena memory = {0};
    take_branches(&memory, g);
    if (!reserve(&memory)) return 1;
    branches_layers layers = take_branches(&memory, g);
    pack_branches(layers, &a->weights, g);
    int failed = run_branches(a, layers, (crew){g->threads});
    return release(&memory), failed;
}

/* What all chunks of the backward read: layers as the forward takes them and, padded, as they are stored. */
typedef struct {
    branches_layers layers;
    float *project_in[2], *channel_in, *channel_out, *zeros;
    float_layer grad_norm; /* written at the end */
} backward_weights;

static backward_weights take_backward_weights(arena *a, const branches_sizes *g) {
    padded_sizes p = padded_of(g);
    backward_weights w;
    w.layers = take_branches(a, g);
    for (int half = 0; half < 2; half++) w.project_in[half] = take(a, g->half * p.channels);
    w.channel_in = take(a, g->narrow * p.half);
    w.channel_out = take(a, g->half * p.narrow);
    w.zeros = take(a, max(p.channels, p.narrow));
    w.grad_norm = take_layer(a, 1, p.channels);
    return w;
}

static void load_backward_weights(const backward_weights *to, const branches_weights *w, const branches_sizes *g) {
    padded_sizes p = padded_of(g);
    load_layers(to->layers, w, g);
    for (int half = 0; half < 2; half++) {
        load_stored(to->project_in[half], half_of(w, half, g).weight, g->half, g->channels, p.channels, w->dtype);
        scale_columns(to->project_in[half], w->norm.weight, g->half, g->channels, p.channels, w->dtype);
        pair_rows(to->project_in[half], p.channels, g->half, g->dtype);
    }
    load_stored(to->channel_in, w->channel_in.weight, g->narrow, g->half, p.half, w->dtype);
    pair_rows(to->channel_in, p.half, g->narrow, g->dtype);
    load_stored(to->channel_out, w->channel_out.weight, g->half, g->narrow, p.narrow, w->dtype);
    pair_rows(to->channel_out, p.narrow, g->half, g->dtype);
}

typedef struct {
    const branches_backward_arguments *a;
    backward_weights weights;
    partial_sums sums;
    int64_t chunk; /* pixels of one */
} backward_job;

typedef struct {
    float *x, *grad_x, *u, *h, *grad_h, *grad_u1, *room;
    float *channel_pairs, *x_pairs, *pixel_pairs, *grad_pairs; /* see operand_in; the others over_pixels */
} backward_scratch;

static backward_scratch take_backward(arena *a, padded_sizes p) {
    backward_scratch s;
    s.x = take(a, TILE * p.channels);
    s.grad_x = take(a, TILE * p.channels);
    s.u = take(a, TILE * p.half);
    s.h = take(a, TILE * p.narrow);
    s.grad_h = take(a, TILE * p.narrow);
    s.grad_u1 = take(a, TILE * p.half);
    s.room = take(a, TILE * p.half);
    s.channel_pairs = take(a, TILE * p.channels);
    s.x_pairs = take(a, TILE * p.channels);
    s.pixel_pairs = take(a, TILE * max(p.half, p.narrow));
    s.grad_pairs = take(a, TILE * max(p.half, p.narrow));
    return s;
}

/* The pixels' rows of a gradient: where they lie, or loaded to `room`. */
static float *grad_rows(float *room, const void *grad, int64_t first, int64_t rows, const branches_sizes *g) {
    int64_t pitch = padded(g->half);
    if (is_dense(g)) return (float *)grad + first * pitch;
    load_rows(room, pitch, grad, first, rows, g->half, g->dtype);
    return room;
}

/* Adds the gradients of a layer from its pixels x, which are `over_pixels` already, and the gradient behind it. */
static void add_layer(float_layer sums, const backward_scratch *s, const float *x, int64_t inputs, const float *grad,
                      int64_t pitch, int64_t rows, int64_t dtype) {
    add_gradient(sums, x, inputs, over_pixels(s->grad_pairs, grad, 0, rows, pitch, dtype), pitch, rows, dtype);
}

static void backward_tile(const backward_job *j, backward_scratch s, int64_t first, int64_t rows, branches_layers sums) {
    const branches_sizes *g = &j->a->sizes;
    const backward_weights *w = &j->weights;
    const branches_layers *l = &w->layers;
    padded_sizes p = padded_of(g);
    float scale[TILE];
    load_rows(s.x, p.channels, j->a->x, first, rows, g->channels, g->dtype);
    normalise(s.x, s.x, scale, rows, p.channels, g->channels);
    float *pairs = s.channel_pairs;
    int64_t dtype = g->dtype;
    /* In float32, for what relu lets pass jumps. */
    gemm(s.u, p.half, (rows_of){s.x, p.channels, 1}, l->project_in[0].weight, p.half, l->project_in[0].bias, rows, g->channels);
    gemm(s.h, p.narrow, (rows_of){s.u, p.half, 1}, l->channel_in.weight, p.narrow, l->channel_in.bias, rows, g->half);
    relu(s.h, rows * p.narrow);

    float *grad_c = grad_rows(s.room, j->a->grad_c, first, rows, g);
    add_layer(sums.channel_out, &s, over_pixels(s.pixel_pairs, s.h, 0, rows, p.narrow, dtype), p.narrow, grad_c, p.half, rows, dtype);
    gemm(s.grad_h, p.narrow, operand_in(pairs, grad_c, rows, p.half, dtype), w->channel_out, p.narrow, w->zeros, rows, g->half);
    relu_backward(s.grad_h, s.h, rows * p.narrow);
    add_layer(sums.channel_in, &s, over_pixels(s.pixel_pairs, s.u, 0, rows, p.half, dtype), p.half, s.grad_h, p.narrow, rows, dtype);
    gemm(s.grad_u1, p.half, operand_in(pairs, s.grad_h, rows, p.narrow, dtype), w->channel_in, p.half, w->zeros, rows, g->narrow);

    float *grad_u[2] = {s.grad_u1, grad_rows(s.room, j->a->grad_u, first, rows, g)};
    const float *x = over_pixels(s.x_pairs, s.x, 0, rows, p.channels, dtype);
    for (int half = 0; half < 2; half++) {
        add_layer(sums.project_in[half], &s, x, p.channels, grad_u[half], p.half, rows, dtype);
        gemm(s.grad_x, p.channels, operand_in(pairs, grad_u[half], rows, p.half, dtype), w->project_in[half], p.channels,
             half ? NULL : w->zeros, rows, g->half);
    }
    for (int64_t r = 0; r < rows; r++) {
        normalise_backward(s.grad_x + r * p.channels, s.x + r * p.channels, scale[r], g->channels);
        prefetch(at(j->a->grad_residual, (first + r + AHEAD) * g->channels, g->dtype), g->channels, g->dtype);
        add(s.grad_x + r * p.channels, at(j->a->grad_residual, (first + r) * g->channels, g->dtype), g->channels, g->dtype);
    }
    store_rows(j->a->grad_x, s.grad_x, first, rows, p.channels, g->channels, g->dtype);
}

static void backward_chunk(const void *argument, int64_t item, arena scratch) {
    const backward_job *j = argument;
    padded_sizes p = padded_of(&j->a->sizes);
    backward_scratch s = take_backward(&scratch, p);
    arena own = chunk_of(&j->sums, item);
    branches_layers sums = take_branches(&own, &j->a->sizes);
    int64_t last = min((item + 1) * j->chunk, j->a->sizes.pixels);
    for (int64_t first = item * j->chunk; first < last; first += TILE)
        backward_tile(j, s, first, min(TILE, last - first), sums);
}

static void store_grads(const backward_job *j) {
    const branches_sizes *g = &j->a->sizes;
    const branches_weights *w = &j->a->weights, *grads = &j->a->grads;
    padded_sizes p = padded_of(g);
    arena all = chunk_of(&j->sums, 0);
    branches_layers sums = take_branches(&all, g);
    float_layer norm = j->weights.grad_norm;
    for (int half = 0; half < 2; half++) {
        unfold_norm(sums.project_in[half], p.half, norm, half_of(w, half, g), w->norm, g->half, g->channels, w->dtype);
        store_transposed(half_of(grads, half, g), sums.project_in[half], g->half, g->channels, p.half, w->dtype);
    }
    store(grads->norm.weight, norm.weight, g->channels, w->dtype);
    store(grads->norm.bias, norm.bias, g->channels, w->dtype);
    store_transposed(grads->channel_in, sums.channel_in, g->narrow, g->half, p.narrow, w->dtype);
    store_transposed(grads->channel_out, sums.channel_out, g->half, g->narrow, p.half, w->dtype);
}

int lamnet_branches_backward(const branches_backward_arguments *a) {
    const branches_sizes *g = &a->sizes;
    padded_sizes p = padded_of(g);
    arena weights = {0}, scratch = {0}, sums = {0};
    take_backward_weights(&weights, g);
    take_backward(&scratch, p);
    take_branches(&sums, g);
    backward_job j = {.a = a, .chunk = ceil_div(ceil_div(g->pixels, MAX_CHUNKS) + MIN_CHUNK, TILE) * TILE};
    int64_t chunks = ceil_div(g->pixels, j.chunk);
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
