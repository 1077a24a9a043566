/* Focal attention: FSA by weights made of the values themselves, forward and backward.

   The weights are tanh(conv1x1(depthwise along the axis)). Besides the result only they leave the cache, tap by tap, and
   only where gradients will be asked: the backward convolves again. */
#include "attention.h"
#include "convolve.h"
#include "forward.h"
#include "pixel.h"

enum { MAX_CHUNKS = 64 };

focal_layers take_focal(arena *a, const attention_sizes *g) {
    focal_layers l;
    l.depthwise = take_taps(a, 1, span_of(g), padded(g->channels));
    l.project = take_layer(a, padded(g->channels), padded(gates_of(g)));
    return l;
}

/* Steps of the 1x1's depth, numbers or pairs. */
static int64_t steps_of_project(const attention_sizes *g) { return ceil_div(g->channels, together(in_pairs(g->dtype))); }

/* How many of its columns are whole vectors for `gemm`: all, padded, or all but four. */
static int64_t whole_of(const attention_sizes *g) {
    int64_t gates = gates_of(g);
    return gates % LANES == 4 && steps_of_project(g) % 4 == 0 ? gates - 4 : padded(gates);
}

/* Sets those four aside, behind the others, in place. */
static void split_project(float *weight, const attention_sizes *g) {
    int64_t steps = steps_of_project(g), whole = whole_of(g), pitch = padded(gates_of(g));
    float last[4 * steps];
    if (whole == pitch) return;
    gather_four(last, weight + whole, pitch, steps);
    for (int64_t i = 0; i < steps; i++) memmove(weight + i * whole, weight + i * pitch, (size_t)whole * sizeof(float));
    memcpy(weight + steps * whole, last, (size_t)(4 * steps) * sizeof(float));
}

static void load_project(float_layer to, const focal_weights *w, const attention_sizes *g) {
    int64_t pitch = padded(gates_of(g));
    for (int64_t gate = 0; gate < gates_of(g); gate++) {
        float *column = to.weight + by_taps(g, gate);
        for (int64_t c = 0; c < g->channels; c++)
            load(column + c * pitch, at(w->project.weight, gate * g->channels + c, w->dtype), 1, w->dtype);
        load(to.bias + by_taps(g, gate), at(w->project.bias, gate, w->dtype), 1, w->dtype);
    }
}

/* The depthwise convolution over the rows of a tile. */
static stencil stencil_of(const attention_sizes *g, tile t) {
    return (stencil){1, span_of(g), {0}, t.width, padded(g->channels), g->dtype};
}

/* A tile's values, the window's reach included, as the convolution takes them. */
static const float *over_rows(float *room, const float *values, const attention_sizes *g, tile t) {
    return over_pixels(room, values, 0, t.rows + 2 * g->window.reach, t.width * padded(g->channels), g->dtype);
}

/* Floats of the room that `over_rows` takes. */
static int64_t pairs_of(const attention_sizes *g, int64_t rows, int64_t width) {
    return in_pairs(g->dtype) ? rows_over(rows + 2 * g->window.reach, g->dtype) * width * padded(g->channels) : 0;
}

/* The forward. */

typedef struct {
    const focal_arguments *a;
    tiling tiles;
    focal_layers layers;
    const branches_arguments *enter; /* what makes the values, by `enter_layers`; NULL where they are in memory */
    branches_layers enter_layers;
    float *r; /* where the means of c go, or NULL */
} forward_job;

typedef struct { float *tables, *pairs, *weight, *last, *mixed; } forward_scratch; /* pairs: of the values' rows; last: four weights */

static forward_scratch take_forward(arena *a, const attention_sizes *g, int64_t rows, int64_t width) {
    forward_scratch s;
    s.tables = take(a, g->window.tables * plane_of(g, rows, width));
    s.pairs = take(a, pairs_of(g, rows, width));
    s.weight = take(a, rows * width * padded(gates_of(g)));
    s.last = take(a, padded(4 * rows * width));
    s.mixed = take(a, (rows + 1) * width * padded(g->channels));
    return s;
}

/* Has a row fetched of where a tile's result goes, and of what is read next: the values of the tile after it, or the line
   after its own. */
static void fetch_row(const forward_job *j, tile t, tile next, int64_t row) {
    const focal_arguments *a = j->a;
    const attention_sizes *g = &a->sizes;
    int64_t from = next.batch * a->value.batch + (next.first + row) * a->value.along + next.across * a->value.across;
    for (int64_t x = 0; x < t.width; x++) {
        fetch(at(a->out, element_of(g, t, row, x, g->channels), g->dtype), g->channels, g->dtype);
        if (!j->enter) fetch(at(a->value.data, from + x * a->value.across, g->dtype), g->channels, g->dtype);
    }
    if (!j->enter) return;
    int64_t channels = j->enter->sizes.channels, below = (t.across + 1) * g->axis + t.first + row;
    fetch(at(j->enter->x, below * channels, g->dtype), channels, g->dtype);
}

/* The last four weights of n pixels, which would fill a quarter of a vector: of four pixels at a time. */
static inline __attribute__((always_inline)) void predict_last(float *last, rows_of mixed, const float *weight, const float *bias,
        int64_t n, int64_t steps, const int pairs) {
    four start = *(const four *)bias;
    for (int64_t p = 0; p < n; p += 4, last += LANES, mixed.x += 4 * mixed.row)
        *(vec *)last = four_times(start) + four_columns(mixed, min(4, n - p), weight, steps, pairs);
}

/* The weights from the values: depthwise along the axis, 1x1, tanh. */
static void predict_weights(const forward_scratch *s, const float *values, const forward_job *j, tile t, tile next) {
    const attention_sizes *g = &j->a->sizes;
    focal_layers l = j->layers;
    int64_t n = t.rows * t.width, pitch = padded(gates_of(g)), deep = padded(g->channels), whole = whole_of(g);
    int rough = g->dtype == BFLOAT16;
    stencil taps = stencil_of(g, t);
    convolve_line(s->mixed, over_rows(s->pairs, values, g, t), l.depthwise, &taps, t.rows);
    rows_of mixed = operand(s->mixed, n, deep, g->dtype);
    gemm(s->weight, pitch, mixed, l.project.weight, whole, l.project.bias, n, g->channels);
    if (whole < gates_of(g)) {
        const float *weight = l.project.weight + steps_of_project(g) * whole, *bias = l.project.bias + whole;
        if (mixed.pairs) predict_last(s->last, mixed, weight, bias, n, steps_of_project(g), 1);
        else predict_last(s->last, mixed, weight, bias, n, steps_of_project(g), 0);
        take_tangents(s->last, 4 * n, rough);
    }
    enum { ROWS = 4 }; /* at a time: constants of tanh are loaded anew for each call */
    for (int64_t row = 0; row < t.rows; row += ROWS) {
        int64_t rows = min(ROWS, t.rows - row);
        for (int64_t i = 0; i < rows; i++) fetch_row(j, t, next, row + i);
        take_tangents_of_rows(s->weight + row * t.width * pitch, rows * t.width, pitch, whole, rough);
    }
    for (int64_t p = 0; p < n && whole < gates_of(g); p++) memcpy(s->weight + p * pitch + whole, s->last + 4 * p, sizeof(four));
}

/* The results of a tile, and its weights where gradients will be asked, from its values with the window's reach around them. */
static void attend_tile(const forward_job *j, tile t, tile next, const float *values, arena scratch) {
    const attention_sizes *g = &j->a->sizes;
    forward_scratch s = take_forward(&scratch, g, t.rows, t.width);
    int64_t pitch = padded(gates_of(g));
    fill_means(s.tables, values, g, t);
    predict_weights(&s, values, j, t, next);
    if (j->a->gates) scatter(j->a->gates, s.weight, pitch, g, t, gates_of(g));
    attend(j->a->out, g, t, values, s.tables, s.weight, pitch, s.mixed);
}

/* The values of a tile, the window's reach included. */
static float *take_values(arena *a, const attention_sizes *g, int64_t rows, int64_t width) {
    return take(a, plane_of(g, rows, width));
}

static void forward_tile(const void *argument, int64_t item, arena scratch) {
    const forward_job *j = argument;
    const attention_sizes *g = &j->a->sizes;
    tile t = tile_of(g, j->tiles, item);
    float *values = take_values(&scratch, g, t.rows, t.width);
    gather(values, j->a->value, g, t, g->window.reach, g->channels, padded(g->channels));
    attend_tile(j, t, tile_of(g, j->tiles, item + 1), values, scratch);
}

void pack_focal(focal_layers to, const focal_weights *w, const attention_sizes *g) {
    transpose(to.depthwise, w->depthwise, g->channels, span_of(g), w->dtype);
    pair_taps(to.depthwise.weight, 1, span_of(g), padded(g->channels), g->dtype);
    load_project(to.project, w, g);
    pair_rows(to.project.weight, padded(gates_of(g)), g->channels, g->dtype);
    split_project(to.project.weight, g);
}

int run_focal(const focal_arguments *a, focal_layers layers, crew c) {
    forward_job j = {.a = a, .tiles = tiling_of(&a->sizes, a->value), .layers = layers};
    arena scratch = {0};
    take_values(&scratch, &a->sizes, j.tiles.rows, j.tiles.width);
    take_forward(&scratch, &a->sizes, j.tiles.rows, j.tiles.width);
    return parallel(forward_tile, &j, j.tiles.count, scratch, c);
}

/* Line by line, with the way into the branches. */

static void enter_line(const void *argument, int64_t line, arena scratch) {
    const forward_job *j = argument;
    const attention_sizes *g = &j->a->sizes;
    int64_t width = g->axis, pitch = padded(g->channels), around = g->window.reach * pitch;
    enter_scratch s = take_enter(&scratch, &j->enter->sizes);
    float *values = take_values(&scratch, g, width, 1), *line_values = values + around;
    memset(values, 0, (size_t)around * sizeof(float));
    memset(line_values + width * pitch, 0, (size_t)around * sizeof(float));
    for (int64_t x = 0; x < width; x += ENTER_ROWS)
        enter_rows(line_values + x * pitch, j->r, s, j->enter, j->enter_layers, line * width + x, min(ENTER_ROWS, width - x));
    int64_t tiles = ceil_div(width, j->tiles.rows);
    for (int64_t i = 0; i < tiles; i++) {
        tile t = tile_of(g, j->tiles, line * tiles + i);
        attend_tile(j, t, t, values + t.first * pitch, scratch);
    }
}

int run_enter_focal(const branches_arguments *enter, branches_layers enter_layers, float *r, const focal_arguments *a,
                    focal_layers layers, crew c) {
    const attention_sizes *g = &a->sizes;
    forward_job j = {a, tiling_of(g, a->value), layers, enter, enter_layers, r};
    arena scratch = {0};
    take_enter(&scratch, &enter->sizes);
    take_values(&scratch, g, g->axis, 1);
    take_forward(&scratch, g, j.tiles.rows, 1);
    return parallel(enter_line, &j, g->across, scratch, c);
}

/* With the exchange's means. */

typedef struct {
    forward_job focal;
    const averaging *of;
    partial_sums sums; /* (2, channels) of a chunk */
    int64_t chunk;     /* tiles of one */
} averaging_job;

/* The same as add_exchanged of a box of pixels, for a vector of channels that stays in registers. */
static void add_box(float *sums, const void *s, const float *r, const attention_sizes *g, int64_t rows, int64_t columns) {
    vec plain = *(const vec *)sums, by_r = *(const vec *)(sums + g->channels);
    int64_t across = g->step == 1 ? g->axis : 1;
    for (int64_t y = 0; y < rows; y++)
        for (int64_t x = 0; x < columns; x++) {
            int64_t pixel = y * g->step + x * across;
            vec number = load_vector(at(s, pixel * g->channels, g->dtype), g->dtype);
            plain += number, by_r += number * r[pixel];
        }
    *(vec *)sums = plain, *(vec *)(sums + g->channels) = by_r;
}

/* The results of a tile, which are in the cache still. */
static void add_tile(float *sums, float *pixel, const averaging_job *j, tile t) {
    const focal_arguments *a = j->focal.a;
    const attention_sizes *g = &a->sizes;
    const averaging *of = j->of;
    int64_t first = max(of->top - t.first, 0), last = min(of->top + of->rows - t.first, t.rows);
    int64_t left = max(of->left - t.across, 0), right = min(of->left + of->columns - t.across, t.width);
    if (first >= last || left >= right) return;
    if (g->channels % LANES == 0) {
        const float *r = of->r + element_of(g, t, first, left, 1);
        const void *s = at(a->out, element_of(g, t, first, left, g->channels), g->dtype);
        for (int64_t c = 0; c < g->channels; c += LANES)
            add_box(sums + c, at(s, c, g->dtype), r, g, last - first, right - left);
        return;
    }
    for (int64_t y = first; y < last; y++)
        for (int64_t x = left; x < right; x++) {
            const float *s = at(a->out, element_of(g, t, y, x, g->channels), g->dtype);
            if (g->dtype != FLOAT32) load(pixel, s, g->channels, g->dtype), s = pixel;
            add_exchanged(sums, s, of->r[element_of(g, t, y, x, 1)], g->channels);
        }
}

static void averaged_chunk(const void *argument, int64_t item, arena scratch) {
    const averaging_job *j = argument;
    const attention_sizes *g = &j->focal.a->sizes;
    arena own = chunk_of(&j->sums, item);
    float *sums = take(&own, 2 * g->channels), *pixel = take(&scratch, g->channels);
    for (int64_t i = item * j->chunk; i < min((item + 1) * j->chunk, j->focal.tiles.count); i++) {
        forward_tile(&j->focal, i, scratch);
        add_tile(sums, pixel, j, tile_of(g, j->focal.tiles, i));
    }
}

int run_focal_means(const focal_arguments *a, focal_layers layers, const averaging *of, crew c) {
    const attention_sizes *g = &a->sizes;
    averaging_job j = {{.a = a, .tiles = tiling_of(g, a->value), .layers = layers}, of};
    arena scratch = {0}, sums = {0};
    take(&scratch, g->channels);
    take_values(&scratch, g, j.focal.tiles.rows, j.focal.tiles.width);
    take_forward(&scratch, g, j.focal.tiles.rows, j.focal.tiles.width);
    take(&sums, 2 * g->channels);
    j.chunk = ceil_div(j.focal.tiles.count, MAX_CHUNKS);
    int64_t chunks = ceil_div(j.focal.tiles.count, j.chunk);
    int failed = !reserve_chunks(&j.sums, sums, chunks);
    if (!failed) {
        failed = parallel(averaged_chunk, &j, chunks, scratch, c);
        sum_chunks(&j.sums);
        float *all = j.sums.all.base, scale = 1.0f / (float)(of->rows * of->columns);
        for (int64_t i = 0; i < 2 * g->channels; i++) of->means[i] = all[i] * scale;
    }
    return release(&j.sums.all), failed;
}

int lamnet_focal(const focal_arguments *a) {
    const attention_sizes *g = &a->sizes;
    arena memory = {0};
    take_focal(&memory, g);
    if (!reserve(&memory)) return 1;
    focal_layers layers = take_focal(&memory, g);
    pack_focal(layers, &a->weights, g);
    int failed = run_focal(a, layers, (crew){g->threads});
    return release(&memory), failed;
}

/* The backward. */

typedef struct {
    float_layer depthwise, depthwise_back; /* back: taps in reverse order, and zeros */
    float *project;                        /* by taps, else as stored */
    float *row;                            /* scratch of the end: a row of a gradient */
} backward_weights;

static backward_weights take_backward_weights(arena *a, const attention_sizes *g) {
    backward_weights w;
    w.depthwise = take_taps(a, 1, span_of(g), padded(g->channels));
    w.depthwise_back = take_taps(a, 1, span_of(g), padded(g->channels));
    w.project = take(a, gates_of(g) * padded(g->channels));
    w.row = take(a, g->channels);
    return w;
}

static void load_backward_weights(const backward_weights *to, const focal_weights *w, const attention_sizes *g) {
    transpose(to->depthwise, w->depthwise, g->channels, span_of(g), w->dtype);
    reverse_taps(to->depthwise_back.weight, to->depthwise.weight, span_of(g), padded(g->channels));
    pair_taps(to->depthwise.weight, 1, span_of(g), padded(g->channels), g->dtype);
    pair_taps(to->depthwise_back.weight, 1, span_of(g), padded(g->channels), g->dtype);
    for (int64_t gate = 0; gate < gates_of(g); gate++)
        load(to->project + by_taps(g, gate) * padded(g->channels), at(w->project.weight, gate * g->channels, w->dtype), g->channels,
             w->dtype);
    pair_rows(to->project, padded(g->channels), gates_of(g), g->dtype);
}

typedef struct {
    const focal_backward_arguments *a;
    tiling tiles;
    backward_weights weights;
    partial_sums sums; /* focal_layers of a chunk */
    int64_t chunk;     /* tiles of one */
} backward_job;

typedef struct { float *tables, *plain, *grad, *grad_mixed, *weight, *logits, *mixed, *pairs, *logit_pairs; } backward_scratch;

/* rows: of the tile and those around it that its gradient depends on; own_rows: the tile's. */
static backward_scratch take_backward(arena *a, const attention_sizes *g, int64_t rows, int64_t own_rows, int64_t width) {
    backward_scratch s;
    s.tables = take(a, g->window.tables * plane_of(g, rows, width));
    s.plain = take(a, plane_of(g, rows, width));
    s.grad = take(a, plane_of(g, rows, width));
    s.grad_mixed = take(a, plane_of(g, rows, width));
    s.weight = take(a, (rows + 2 * g->window.reach) * width * gates_of(g));
    s.logits = take(a, rows * width * padded(gates_of(g)));
    s.mixed = take(a, (own_rows + 1) * width * padded(g->channels));
    s.pairs = take(a, pairs_of(g, own_rows, width));
    s.logit_pairs = take(a, rows * width * padded(gates_of(g)));
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

static void backward_tile(const backward_job *j, tile own, arena scratch, focal_layers sums) {
    const focal_backward_arguments *a = j->a;
    const backward_weights *w = &j->weights;
    const attention_sizes *g = &a->sizes;
    tile t = widened(own, g);
    backward_scratch s = take_backward(&scratch, g, t.rows, own.rows, t.width);
    int64_t deep = padded(g->channels), row = t.width * deep, reach = g->window.reach, n = own.rows * own.width;
    int64_t gates = gates_of(g), pitch = padded(gates), above = own.first - t.first; /* rows of t before own's */
    stencil taps = stencil_of(g, own);
    gather(s.plain, a->value, g, t, reach, g->channels, deep);
    fill_means(s.tables, s.plain, g, t);
    gather(s.grad, a->grad, g, t, reach, g->channels, deep);
    gather(s.weight, packed(a->gates, g, gates), g, t, reach, gates, gates);
    correlate(s.logits, pitch, g, t, s.plain, s.tables, s.grad, s.weight, 1);
    for (int64_t p = 0; p < t.rows * t.width && gates < pitch; p++) s.logits[p * pitch + gates] = 0; /* what an odd one is paired with */
    memset(s.grad_mixed, 0, (size_t)(reach * row) * sizeof(float));
    memset(s.grad_mixed + (reach + t.rows) * row, 0, (size_t)(reach * row) * sizeof(float));
    gemm(s.grad_mixed + reach * row, deep, operand_in(s.logit_pairs, s.logits, t.rows * t.width, pitch, g->dtype), w->project, deep,
         w->depthwise_back.bias, t.rows * t.width, gates);

    float *logits = s.logits + above * t.width * pitch;
    const float *plain = over_rows(s.pairs, s.plain + above * row, g, own);
    convolve_line(s.mixed, plain, w->depthwise, &taps, own.rows);
    add_gradient(sums.project, over_pixels(s.mixed, s.mixed, 0, n, deep, g->dtype), deep,
                 over_pixels(logits, logits, 0, n, pitch, g->dtype), pitch, n, g->dtype);
    const float *grad_mixed = s.grad_mixed + above * row;
    correlate_line(sums.depthwise, plain, grad_mixed + reach * row, &taps, 0, own.rows, s.mixed);
    convolve_line(s.mixed, over_rows(s.pairs, grad_mixed, g, own), w->depthwise_back, &taps, own.rows);
    grad_value_tile(a->grad_value, g, own, s.grad + above * row, s.weight + above * t.width * gates, s.tables,
                    s.mixed); /* the tables have done their work */
}

static void backward_chunk(const void *argument, int64_t item, arena scratch) {
    const backward_job *j = argument;
    const attention_sizes *g = &j->a->sizes;
    arena own = chunk_of(&j->sums, item);
    focal_layers sums = take_focal(&own, g);
    for (int64_t i = item * j->chunk; i < min((item + 1) * j->chunk, j->tiles.count); i++)
        backward_tile(j, tile_of(g, j->tiles, i), scratch, sums);
}

static void store_grads(const backward_job *j) {
    const attention_sizes *g = &j->a->sizes;
    const focal_weights *grads = &j->a->grads;
    int64_t span = span_of(g), pitch = padded(gates_of(g));
    float *row = j->weights.row;
    arena all = chunk_of(&j->sums, 0);
    focal_layers sums = take_focal(&all, g);
    store_transposed(grads->depthwise, sums.depthwise, g->channels, span, padded(g->channels), grads->dtype);
    for (int64_t gate = 0; gate < gates_of(g); gate++) {
        const float *column = sums.project.weight + by_taps(g, gate);
        for (int64_t c = 0; c < g->channels; c++) row[c] = column[c * pitch];
        store(at(grads->project.weight, gate * g->channels, grads->dtype), row, g->channels, grads->dtype);
        store(at(grads->project.bias, gate, grads->dtype), sums.project.bias + by_taps(g, gate), 1, grads->dtype);
    }
}

int lamnet_focal_backward(const focal_backward_arguments *a) {
    const attention_sizes *g = &a->sizes;
    backward_job j = {.a = a, .tiles = tiling_of(g, a->value)};
    arena weights = {0}, scratch = {0}, sums = {0};
    take_backward_weights(&weights, g);
    take_backward(&scratch, g, min(j.tiles.rows + 2 * g->window.reach, g->axis), j.tiles.rows, j.tiles.width);
    take_focal(&sums, g);
    j.chunk = ceil_div(j.tiles.count, MAX_CHUNKS);
    int64_t chunks = j.chunk ? ceil_div(j.tiles.count, j.chunk) : 0;
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
