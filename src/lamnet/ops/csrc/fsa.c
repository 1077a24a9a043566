/* Focal separable attention by weights that are given, forward and backward. */
#include "attention.h"
#include "threads.h"
#include "vecmath.h"

enum { OVERREAD = 4 }; /* floats behind a pixel's last weight that sort_by_taps reads, and forgets */

/* A pixel's weights from (head, tap) to (tap, head), where they are. */
static void sort_by_taps(float *weight, const attention_sizes *g) {
    int64_t gates = gates_of(g), taps = g->window.taps, blocks = ceil_div(taps, 4);
    if (g->heads != 4) {
        float own[gates];
        for (int64_t i = 0; i < gates; i++) own[i] = weight[i];
        for (int64_t i = 0; i < gates; i++) weight[by_taps(g, i)] = own[i];
        return;
    }
    vec rows[blocks];
    for (int64_t block = 0; block < blocks; block++) {
        four row[4];
        for (int h = 0; h < 4; h++) row[h] = *(const four *)(weight + h * taps + 4 * block);
        rows[block] = transposed_4x4(of_fours(row));
    }
    for (int64_t k = 0; k < taps; k++) *(four *)(weight + 4 * k) = ((const four *)rows)[k];
}

/* And back, into another place. */
static void sort_by_heads(float *restrict to, const float *restrict from, const attention_sizes *g) {
    int64_t gates = gates_of(g);
    for (int64_t i = 0; i < gates; i++) to[i] = from[by_taps(g, i)];
}

/* The weights of rows first-halo .. first+rows+halo of a tile as (row, across, tap, head), zeros outside the image. */
static void gather_weights(float *to, strided weight, int64_t logits, const attention_sizes *g, tile t, int64_t halo) {
    int64_t gates = gates_of(g), row = t.width * gates;
    gather(to, weight, g, t, halo, gates, gates);
    int64_t first = t.first < halo ? halo - t.first : 0, last = min(t.rows + 2 * halo, g->axis - t.first + halo);
    if (logits)
        take_tangents(to + first * row, (last - first) * row, 0);
    for (int64_t i = first * t.width; i < last * t.width; i++) sort_by_taps(to + i * gates, g);
}

typedef struct { const fsa_arguments *a; tiling tiles; } forward_job;
typedef struct { float *tables, *plain, *weight, *pixel; } forward_scratch;

static forward_scratch take_forward(arena *a, const attention_sizes *g, int64_t rows, int64_t width) {
    forward_scratch s;
    s.tables = take(a, g->window.tables * plane_of(g, rows, width));
    s.plain = take(a, plane_of(g, rows, width));
    s.weight = take(a, rows * width * gates_of(g) + OVERREAD);
    s.pixel = take(a, padded(g->channels));
    return s;
}

static void forward_tile(const void *argument, int64_t item, arena scratch) {
    const forward_job *j = argument;
    const attention_sizes *g = &j->a->sizes;
    tile t = tile_of(g, j->tiles, item);
    forward_scratch s = take_forward(&scratch, g, t.rows, t.width);
    gather(s.plain, j->a->value, g, t, g->window.reach, g->channels, padded(g->channels));
    fill_means(s.tables, s.plain, g, t);
    gather_weights(s.weight, j->a->weight, j->a->logits, g, t, 0);
    attend(j->a->out, g, t, s.plain, s.tables, s.weight, gates_of(g), s.pixel);
}

int lamnet_fsa(const fsa_arguments *a) {
    const attention_sizes *g = &a->sizes;
    forward_job j = {a, tiling_of(g, a->value)};
    arena scratch = {0};
    take_forward(&scratch, g, j.tiles.rows, j.tiles.width);
    return parallel(forward_tile, &j, j.tiles.count, scratch, (crew){g->threads});
}

typedef struct { const fsa_backward_arguments *a; tiling tiles; } backward_job;
typedef struct { float *tables, *plain, *grad, *weight, *sums, *by_heads, *grad_value; } backward_scratch;

static backward_scratch take_backward(arena *a, const attention_sizes *g, int64_t rows, int64_t width) {
    int64_t gates = gates_of(g);
    backward_scratch s;
    s.tables = take(a, g->window.tables * plane_of(g, rows, width));
    s.plain = take(a, plane_of(g, rows, width));
    s.grad = take(a, plane_of(g, rows, width));
    s.weight = take(a, (rows + 2 * g->window.reach) * width * gates + OVERREAD);
    s.sums = take(a, rows * width * padded(gates));
    s.by_heads = take(a, gates);
    s.grad_value = take(a, rows * width * padded(g->channels));
    return s;
}

static void backward_tile(const void *argument, int64_t item, arena scratch) {
    const backward_job *j = argument;
    const fsa_backward_arguments *a = j->a;
    const attention_sizes *g = &a->sizes;
    tile t = tile_of(g, j->tiles, item);
    backward_scratch s = take_backward(&scratch, g, t.rows, t.width);
    int64_t gates = gates_of(g);
    gather(s.plain, a->value, g, t, g->window.reach, g->channels, padded(g->channels));
    fill_means(s.tables, s.plain, g, t);
    gather(s.grad, a->grad, g, t, g->window.reach, g->channels, padded(g->channels));
    gather_weights(s.weight, a->weight, a->logits, g, t, g->window.reach);
    correlate(s.sums, padded(gates), g, t, s.plain, s.tables, s.grad, s.weight, a->logits != 0);
    const float *sums = s.sums;
    for (int64_t i = 0; i < t.rows; i++)
        for (int64_t x = 0; x < t.width; x++, sums += padded(gates)) {
            sort_by_heads(s.by_heads, sums, g);
            store(at(a->grad_weight, element_of(g, t, i, x, gates), g->dtype), s.by_heads, gates, g->dtype);
        }
    memset(s.grad_value, 0, (size_t)(t.rows * t.width * padded(g->channels)) * sizeof(float));
    grad_value_tile(a->grad_value, g, t, s.grad, s.weight, s.tables, s.grad_value); /* the tables have done their work */
}

int lamnet_fsa_backward(const fsa_backward_arguments *a) {
    const attention_sizes *g = &a->sizes;
    backward_job j = {a, tiling_of(g, a->value)};
    arena scratch = {0};
    take_backward(&scratch, g, j.tiles.rows, j.tiles.width);
    return parallel(backward_tile, &j, j.tiles.count, scratch, (crew){g->threads});
}
