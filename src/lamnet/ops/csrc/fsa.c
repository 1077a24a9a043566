/* Focal separable attention by weights that are given, forward and backward. */
#include "fsa.h"
#include "vecmath.h"
#include <stdlib.h>

/* A pixel's weights from (head, tap) to (tap, head), where they are. */
static void by_taps(float *weight, const geometry *g) {
    int64_t gates = g->heads * g->taps, blocks = ceil_div(g->taps, 4);
    if (g->heads != 4) {
        float own[gates];
        for (int64_t i = 0; i < gates; i++) own[i] = weight[i];
        for (int64_t i = 0; i < gates; i++) weight[i % g->taps * g->heads + i / g->taps] = own[i];
        return;
    }
    vec rows[blocks];
    for (int64_t block = 0; block < blocks; block++) {
        four row[4];
        for (int h = 0; h < 4; h++) row[h] = *(const four *)(weight + h * g->taps + 4 * block);
        rows[block] = transposed_4x4(of_fours(row));
    }
    for (int64_t k = 0; k < g->taps; k++) *(four *)(weight + 4 * k) = ((const four *)rows)[k];
}

/* And back, into another place. */
static void by_heads(float *restrict to, const float *restrict from, const geometry *g) {
    int64_t gates = g->heads * g->taps;
    for (int64_t i = 0; i < gates; i++) to[i] = from[i % g->taps * g->heads + i / g->taps];
}

/* The weights of rows first-halo .. first+rows+halo of a tile as (row, across, tap, head), zeros outside the image. */
static void gather_weights(float *to, const job *j, tile t, int64_t halo) {
    const geometry *g = j->g;
    int64_t gates = g->heads * g->taps, row = t.width * gates;
    gather(to, j->weight, g->weight, g, t, halo, gates);
    int64_t first = t.first < halo ? halo - t.first : 0, last = min(t.rows + 2 * halo, g->axis - t.first + halo);
    if (g->logits)
        for (int64_t i = first * row; i < last * row; i++) to[i] = hyperbolic_tangent(to[i]);
    for (int64_t i = first * t.width; i < last * t.width; i++) by_taps(to + i * gates, g);
}

static void forward_tile(const void *argument, int64_t item, float *tables) {
    const job *j = argument;
    const geometry *g = j->g;
    tile t = tile_of(j, item);
    int64_t plane = (t.rows + 2 * g->reach) * t.width * g->channels;
    float *plain = tables + g->tables * plane, *weight = plain + plane;
    gather_means(tables, plain, j, t);
    gather_weights(weight, j, t, 0);
    attend(j, t, tables, weight, g->heads * g->taps, plain);
}

static void backward_tile(const void *argument, int64_t item, float *tables) {
    const job *j = argument;
    const geometry *g = j->g;
    tile t = tile_of(j, item);
    int64_t plane = (t.rows + 2 * g->reach) * t.width * g->channels, gates = g->heads * g->taps, wide = padded(gates);
    float *grad = tables + g->tables * plane, *weight = grad + plane;
    float *sums = weight + (t.rows + 2 * g->reach) * t.width * wide + 16, *out = sums + t.rows * t.width * wide;
    gather_means(tables, grad, j, t);
    gather(grad, j->grad, g->grad, g, t, g->reach, g->channels);
    gather_weights(weight, j, t, g->reach);
    correlate(sums, wide, j, t, tables, grad, weight, g->logits != 0);
    for (int64_t i = 0; i < t.rows; i++)
        for (int64_t x = 0; x < t.width; x++, sums += wide) {
            by_heads(out, sums, g);
            store(at(j->grad_weight, result_at(g, t, i, x, gates), g->dtype), out, gates, g->dtype);
        }
    memset(out, 0, (size_t)(t.rows * t.width * g->channels) * sizeof(float));
    grad_value_tile(j, t, grad, weight, tables, out); /* the tables have done their work */
}

/* data: value, weight -> out */
int lamnet_fsa(void *const *data, const int64_t *numbers) {
    job j = {.g = (const geometry *)numbers, .value = data[0], .weight = data[1], .out = data[2]};
    int64_t items = lay_tiles(&j);
    return parallel(forward_tile, &j, items, tile_floats(&j, j.rows), j.g->threads);
}

/* data: grad_out, value, weight -> grad_value, grad_weight */
int lamnet_fsa_backward(void *const *data, const int64_t *numbers) {
    job j = {.g = (const geometry *)numbers, .grad = data[0], .value = data[1], .weight = data[2],
             .grad_value = data[3], .grad_weight = data[4]};
    const geometry *g = j.g;
    int64_t items = lay_tiles(&j), wide = padded(g->heads * g->taps);
    int64_t floats = tile_floats(&j, j.rows) + j.rows * j.width * (wide + g->channels) + wide;
    return parallel(backward_tile, &j, items, floats, g->threads);
}
