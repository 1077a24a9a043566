/* Focal attention: FSA by weights made of the values themselves, forward and backward.

   The weights are tanh(conv1x1(depthwise along the axis)). Besides the result only they leave the cache, tap by tap, and
   only where gradients will be asked: the backward convolves again. */
#include "attention.h"
#include "convolve.h"
#include "vecmath.h"

enum { MAX_CHUNKS = 64 };

/* Both layers, or the sums of their gradients; the 1x1's outputs lie by taps. */
typedef struct { float_layer depthwise, project; } float_layers;

static float_layers take_layers(arena *a, const attention_sizes *g) {
    float_layers l;
    l.depthwise = take_layer(a, span_of(g), g->channels);
    l.project = take_layer(a, g->channels, padded(gates_of(g)));
    return l;
}

static void load_project(float_layer to, layer from, const attention_sizes *g) {
    int64_t pitch = padded(gates_of(g));
    for (int64_t gate = 0; gate < gates_of(g); gate++) {
        float *column = to.weight + by_taps(g, gate);
        for (int64_t c = 0; c < g->channels; c++)
            load(column + c * pitch, at(from.weight, gate * g->channels + c, g->dtype), 1, g->dtype);
        load(to.bias + by_taps(g, gate), at(from.bias, gate, g->dtype), 1, g->dtype);
    }
}

/* The values `k` rows on, for each tap of the depthwise convolution. */
static void row_offsets(int64_t *offset, const attention_sizes *g, tile t) {
    for (int64_t k = 0; k < span_of(g); k++) offset[k] = k * t.width * g->channels;
}

/* The forward. */

typedef struct {
    const focal_arguments *a;
    tiling tiles;
    float_layers layers;
} forward_job;

typedef struct { float *tables, *plain, *weight, *mixed; } forward_scratch;

static forward_scratch take_forward(arena *a, const attention_sizes *g, int64_t rows, int64_t width) {
    forward_scratch s;
    s.tables = take(a, g->window.tables * plane_of(g, rows, width));
    s.plain = take(a, plane_of(g, rows, width));
    s.weight = take(a, rows * width * padded(gates_of(g)));
    s.mixed = take(a, rows * width * g->channels);
    return s;
}

/* The weights from the values: depthwise along the axis, 1x1, tanh; `mixed` is scratch for what lies between. */
static void predict_weights(float *to, float *mixed, const float *values, float_layers l, const attention_sizes *g, tile t) {
    int64_t n = t.rows * t.width, pitch = padded(gates_of(g)), offset[span_of(g)];
    row_offsets(offset, g, t);
    convolve_line(mixed, values, l.depthwise, offset, span_of(g), g->channels, n);
    gemm(to, pitch, operand(mixed, n, g->channels, g->dtype), l.project.weight, pitch, l.project.bias, n, g->channels);
    for (int64_t i = 0; i < n * pitch; i++) to[i] = hyperbolic_tangent(to[i]);
}

static void forward_tile(const void *argument, int64_t item, arena scratch) {
    const forward_job *j = argument;
    const attention_sizes *g = &j->a->sizes;
    tile t = tile_of(g, j->tiles, item);
    forward_scratch s = take_forward(&scratch, g, t.rows, t.width);
    int64_t pitch = padded(gates_of(g));
    float *plain = gather_means(s.tables, s.plain, j->a->value, g, t);
    predict_weights(s.weight, s.mixed, plain, j->layers, g, t);
    if (j->a->gates) scatter(j->a->gates, s.weight, pitch, g, t, gates_of(g));
    attend(j->a->out, g, t, s.tables, s.weight, pitch, s.mixed);
}

int lamnet_focal(const focal_arguments *a) {
    const attention_sizes *g = &a->sizes;
    forward_job j = {.a = a, .tiles = tiling_of(g, a->value)};
    arena layers = {0}, scratch = {0};
    take_layers(&layers, g);
    take_forward(&scratch, g, j.tiles.rows, j.tiles.width);
    if (!reserve(&layers)) return 1;
    j.layers = take_layers(&layers, g);
    transpose(j.layers.depthwise, a->weights.depthwise, g->channels, span_of(g), g->dtype);
    load_project(j.layers.project, a->weights.project, g);
    pair_rows(j.layers.project.weight, padded(gates_of(g)), g->channels, g->dtype);
    int failed = parallel(forward_tile, &j, j.tiles.count, scratch, g->threads);
    return release(&layers), failed;
}

/* The backward. */

typedef struct {
    float_layer depthwise, depthwise_back; /* back: taps in reverse order, and zeros */
    float *project;                        /* by taps, else as stored */
    float *row;                            /* scratch of the end: a row of a gradient */
} backward_weights;

static backward_weights take_backward_weights(arena *a, const attention_sizes *g) {
    backward_weights w;
    w.depthwise = take_layer(a, span_of(g), g->channels);
    w.depthwise_back = take_layer(a, span_of(g), g->channels);
    w.project = take(a, gates_of(g) * g->channels);
    w.row = take(a, g->channels);
    return w;
}

static void load_backward_weights(const backward_weights *to, const focal_weights *w, const attention_sizes *g) {
    transpose(to->depthwise, w->depthwise, g->channels, span_of(g), g->dtype);
    reverse_taps(to->depthwise_back.weight, to->depthwise.weight, span_of(g), g->channels);
    for (int64_t gate = 0; gate < gates_of(g); gate++)
        load(to->project + by_taps(g, gate) * g->channels, at(w->project.weight, gate * g->channels, g->dtype), g->channels,
             g->dtype);
}

typedef struct {
    const focal_backward_arguments *a;
    tiling tiles;
    backward_weights weights;
    partial_sums sums; /* float_layers of a chunk */
    int64_t chunk;     /* tiles of one */
} backward_job;

typedef struct { float *tables, *plain, *grad, *grad_mixed, *weight, *logits, *mixed; } backward_scratch;

/* rows: of the tile and those around it that its gradient depends on; own_rows: the tile's. */
static backward_scratch take_backward(arena *a, const attention_sizes *g, int64_t rows, int64_t own_rows, int64_t width) {
    backward_scratch s;
    s.tables = take(a, g->window.tables * plane_of(g, rows, width));
    s.plain = take(a, plane_of(g, rows, width));
    s.grad = take(a, plane_of(g, rows, width));
    s.grad_mixed = take(a, plane_of(g, rows, width));
    s.weight = take(a, (rows + 2 * g->window.reach) * width * gates_of(g));
    s.logits = take(a, rows * width * padded(gates_of(g)));
    s.mixed = take(a, own_rows * width * g->channels);
    return s;
}

/* A contiguous image of `channels`. */
static strided packed(const void *data, const attention_sizes *g, int64_t channels) {
    int64_t across = g->step == 1 ? g->axis : 1;
    return (strided){data, g->axis * g->across * channels, g->step * channels, across * channels};
}

/* The same tile and as many rows around it, as far as the image goes, as its gradient depends on. */
static tile widened(tile t, const attention_sizes *g) {
    int64_t last = min(t.first + t.rows + g->window.reach, g->axis);
    t.first = max(t.first - g->window.reach, 0);
    t.rows = last - t.first;
    return t;
}

static void backward_tile(const backward_job *j, tile own, arena scratch, float_layers sums) {
    const focal_backward_arguments *a = j->a;
    const backward_weights *w = &j->weights;
    const attention_sizes *g = &a->sizes;
    tile t = widened(own, g);
    backward_scratch s = take_backward(&scratch, g, t.rows, own.rows, t.width);
    int64_t row = t.width * g->channels, reach = g->window.reach, span = span_of(g), n = own.rows * own.width, offset[span];
    int64_t gates = gates_of(g), pitch = padded(gates), above = own.first - t.first; /* rows of t before own's */
    row_offsets(offset, g, t);
    const float *plain = gather_means(s.tables, s.plain, a->value, g, t) + above * row;
    gather(s.grad, a->grad, g, t, reach, g->channels);
    gather(s.weight, packed(a->gates, g, gates), g, t, reach, gates);
    correlate(s.logits, pitch, g, t, s.tables, s.grad, s.weight, 1);
    memset(s.grad_mixed, 0, (size_t)plane_of(g, t.rows, t.width) * sizeof(float));
    gemm(s.grad_mixed + reach * row, g->channels, (rows_of){s.logits, pitch, 1}, w->project, g->channels,
         w->depthwise_back.bias, t.rows * t.width, gates);

    float *logits = s.logits + above * t.width * pitch;
    for (int64_t p = 0; p < n; p++) memset(logits + p * pitch + gates, 0, (size_t)(pitch - gates) * sizeof(float));
    add_rows(sums.project.bias, logits, n, pitch);
    convolve_line(s.mixed, plain, w->depthwise, offset, span, g->channels, n);
    gemm(sums.project.weight, pitch, (rows_of){s.mixed, 1, g->channels}, logits, pitch, NULL, g->channels, n);
    const float *grad_mixed = s.grad_mixed + above * row;
    correlate_line(sums.depthwise, plain, grad_mixed + reach * row, offset, span, g->channels, n);
    convolve_line(s.mixed, grad_mixed, w->depthwise_back, offset, span, g->channels, n);
    grad_value_tile(a->grad_value, g, own, s.grad + above * row, s.weight + above * t.width * gates, s.tables,
                    s.mixed); /* the tables have done their work */
}

static void backward_chunk(const void *argument, int64_t item, arena scratch) {
    const backward_job *j = argument;
    const attention_sizes *g = &j->a->sizes;
    arena own = chunk_of(&j->sums, item);
    float_layers sums = take_layers(&own, g);
    for (int64_t i = item * j->chunk; i < min((item + 1) * j->chunk, j->tiles.count); i++)
        backward_tile(j, tile_of(g, j->tiles, i), scratch, sums);
}

static void store_grads(const backward_job *j) {
    const attention_sizes *g = &j->a->sizes;
    const focal_weights *grads = &j->a->grads;
    int64_t span = span_of(g), pitch = padded(gates_of(g));
    float *row = j->weights.row;
    arena all = chunk_of(&j->sums, 0);
    float_layers sums = take_layers(&all, g);
    store_transposed(grads->depthwise, sums.depthwise, g->channels, span, g->channels, g->dtype);
    for (int64_t gate = 0; gate < gates_of(g); gate++) {
        const float *column = sums.project.weight + by_taps(g, gate);
        for (int64_t c = 0; c < g->channels; c++) row[c] = column[c * pitch];
        store(at(grads->project.weight, gate * g->channels, g->dtype), row, g->channels, g->dtype);
        store(at(grads->project.bias, gate, g->dtype), sums.project.bias + by_taps(g, gate), 1, g->dtype);
    }
}

int lamnet_focal_backward(const focal_backward_arguments *a) {
    const attention_sizes *g = &a->sizes;
    backward_job j = {.a = a, .tiles = tiling_of(g, a->value)};
    arena weights = {0}, scratch = {0}, sums = {0};
    take_backward_weights(&weights, g);
    take_backward(&scratch, g, min(j.tiles.rows + 2 * g->window.reach, g->axis), j.tiles.rows, j.tiles.width);
    take_layers(&sums, g);
    j.chunk = ceil_div(j.tiles.count, MAX_CHUNKS);
    int64_t chunks = j.chunk ? ceil_div(j.tiles.count, j.chunk) : 0;
    int failed = !reserve(&weights) | !reserve_chunks(&j.sums, sums, chunks);
    if (!failed) {
        j.weights = take_backward_weights(&weights, g);
        load_backward_weights(&j.weights, &a->weights, g);
        failed = parallel(backward_chunk, &j, chunks, scratch, g->threads);
        sum_chunks(&j.sums);
        store_grads(&j);
    }
    return release(&weights), release(&j.sums.all), failed;
}
