/* What enters the mixer's two branches: u = linear(norm(x)), in halves u1, u2; then c = linear(relu(linear(u1))) and
   u2 itself. Tile by tile of pixels; the backward computes u1 and what follows again, so only x is kept. */
#include "fold.h"
#include "pixel.h"
#include <stdlib.h>

enum { TILE = 96, MIN_CHUNK = 480, MAX_CHUNKS = 64 }; /* pixels, pixels, chunks */

typedef struct { int64_t threads, dtype, pixels, channels, half, narrow; } geometry; /* half: of u; narrow: what relu sees */

typedef struct { float *enter[2], *enter_bias[2], *squeeze, *squeeze_bias, *widen, *widen_bias; } floats_of;

typedef struct {
    const geometry *g;
    const void *x, *grad_c, *grad_u2, *grad_residual; /* grad_residual: what reaches x around all this */
    void *c, *u2, *grad_x;
    floats_of w;                           /* padded, (inputs, outputs) as gemm takes them */
    float *enter[2], *squeeze, *widen;     /* for the backward, padded, as they are stored */
    float *zeros, *partials;             /* zeros; per chunk: `count` floats */
    int64_t chunk;                         /* pixels of one */
} job;

static int64_t count(const geometry *g) {
    int64_t wide = padded(g->half), thin = padded(g->narrow);
    return 2 * (padded(g->channels) + 1) * wide + (wide + 1) * thin + (thin + 1) * wide;
}

/* Where the weights and biases, or their gradients, lie in `count` floats. */
static floats_of floats_at(float *all, const geometry *g) {
    int64_t wide = padded(g->half), thin = padded(g->narrow), enter = padded(g->channels) * wide;
    floats_of w = {.enter = {all, all + enter + wide}};
    for (int half = 0; half < 2; half++) w.enter_bias[half] = w.enter[half] + enter;
    w.squeeze = w.enter_bias[1] + wide, w.squeeze_bias = w.squeeze + wide * thin;
    w.widen = w.squeeze_bias + thin, w.widen_bias = w.widen + thin * wide;
    return w;
}

static void *half_of(const void *tensor, int64_t columns, int half, const geometry *g) {
    return at(tensor, half * g->half * columns, g->dtype);
}

static int is_dense(const geometry *g) { return g->dtype == FLOAT32 && padded(g->half) == g->half; }

static void relu(float *x, int64_t n) {
    for (int64_t i = 0; i < n; i++) x[i] = x[i] < 0 ? 0 : x[i];
}

/* The gradient in front of relu, from what is behind it. */
static void relu_backward(float *restrict grad, const float *restrict h, int64_t n) {
    for (int64_t i = 0; i < n; i++) grad[i] = h[i] > 0 ? grad[i] : 0;
}

static void store_rows(void *to, const float *from, int64_t first, int64_t rows, int64_t pitch, int64_t n, int64_t dtype) {
    for (int64_t r = 0; r < rows; r++) store(at(to, (first + r) * n, dtype), from + r * pitch, n, dtype);
}

static void forward_tile(const void *argument, int64_t item, float *x) {
    const job *j = argument;
    const geometry *g = j->g;
    int64_t deep = padded(g->channels), wide = padded(g->half), thin = padded(g->narrow);
    int64_t first = item * TILE, rows = min(TILE, g->pixels - first);
    float *u = x + TILE * deep, *h = u + TILE * wide, *out = h + TILE * thin;
    load_rows(x, deep, j->x, first, rows, g->channels, g->channels, g->dtype);
    for (int64_t r = 0; r < rows; r++) normalise(x + r * deep, g->channels);
    rows_of a = operand(x, rows, deep, g->dtype);
    gemm(u, wide, a, j->w.enter[0], wide, j->w.enter_bias[0], rows, g->channels);
    gemm(h, thin, operand(u, rows, wide, g->dtype), j->w.squeeze, thin, j->w.squeeze_bias, rows, g->half);
    relu(h, rows * thin);
    rows_of b = operand(h, rows, thin, g->dtype);
    float *c = is_dense(g) ? (float *)j->c + first * wide : out, *u2 = is_dense(g) ? (float *)j->u2 + first * wide : out;
    gemm(c, wide, b, j->w.widen, wide, j->w.widen_bias, rows, g->narrow);
    if (c == out) store_rows(j->c, c, first, rows, wide, g->half, g->dtype);
    gemm(u2, wide, a, j->w.enter[1], wide, j->w.enter_bias[1], rows, g->channels);
    if (u2 == out) store_rows(j->u2, u2, first, rows, wide, g->half, g->dtype);
}

/* The pixels' rows of a gradient: where they lie, or loaded to `room`. */
static float *grad_rows(float *room, const void *grad, int64_t first, int64_t rows, const geometry *g) {
    int64_t wide = padded(g->half);
    if (is_dense(g)) return (float *)grad + first * wide;
    load_rows(room, wide, grad, first, rows, g->half, g->half, g->dtype);
    return room;
}

static void backward_tile(float *x, const job *j, int64_t first, int64_t rows, floats_of sums) {
    const geometry *g = j->g;
    int64_t deep = padded(g->channels), wide = padded(g->half), thin = padded(g->narrow);
    float *grad_x = x + TILE * deep, *u = grad_x + TILE * deep, *h = u + TILE * wide, *grad_h = h + TILE * thin;
    float *grad_u1 = grad_h + TILE * thin, *room = grad_u1 + TILE * wide, scale[TILE];
    load_rows(x, deep, j->x, first, rows, g->channels, g->channels, g->dtype);
    for (int64_t r = 0; r < rows; r++) scale[r] = normalise(x + r * deep, g->channels);
    gemm(u, wide, (rows_of){x, deep, 1}, j->w.enter[0], wide, j->w.enter_bias[0], rows, g->channels);
    gemm(h, thin, (rows_of){u, wide, 1}, j->w.squeeze, thin, j->w.squeeze_bias, rows, g->half);
    relu(h, rows * thin);

    float *grad_c = grad_rows(room, j->grad_c, first, rows, g);
    gemm(sums.widen, wide, (rows_of){h, 1, thin}, grad_c, wide, NULL, thin, rows);
    add_rows(sums.widen_bias, grad_c, rows, wide);
    gemm(grad_h, thin, (rows_of){grad_c, wide, 1}, j->widen, thin, j->zeros, rows, g->half);
    relu_backward(grad_h, h, rows * thin);
    gemm(sums.squeeze, thin, (rows_of){u, 1, wide}, grad_h, thin, NULL, wide, rows);
    add_rows(sums.squeeze_bias, grad_h, rows, thin);
    gemm(grad_u1, wide, (rows_of){grad_h, thin, 1}, j->squeeze, wide, j->zeros, rows, g->narrow);

    float *grad_u[2] = {grad_u1, grad_rows(room, j->grad_u2, first, rows, g)};
    for (int half = 0; half < 2; half++) {
        gemm(sums.enter[half], wide, (rows_of){x, 1, deep}, grad_u[half], wide, NULL, deep, rows);
        add_rows(sums.enter_bias[half], grad_u[half], rows, wide);
        gemm(grad_x, deep, (rows_of){grad_u[half], wide, 1}, j->enter[half], deep, half ? NULL : j->zeros, rows, g->half);
    }
    for (int64_t r = 0; r < rows; r++) {
        normalise_backward(grad_x + r * deep, x + r * deep, scale[r], g->channels);
        prefetch(at(j->grad_residual, (first + r + 8) * g->channels, g->dtype), g->channels, g->dtype);
        add(grad_x + r * deep, at(j->grad_residual, (first + r) * g->channels, g->dtype), g->channels, g->dtype);
    }
    store_rows(j->grad_x, grad_x, first, rows, deep, g->channels, g->dtype);
}

static void backward_chunk(const void *argument, int64_t item, float *scratch) {
    const job *j = argument;
    int64_t last = min((item + 1) * j->chunk, j->g->pixels);
    floats_of sums = floats_at(j->partials + item * count(j->g), j->g);
    for (int64_t first = item * j->chunk; first < last; first += TILE)
        backward_tile(scratch, j, first, min(TILE, last - first), sums);
}

/* The weights (inputs, outputs), padded; their biases may lie higher than floats_at says. stored: as an entry's data. */
static floats_of weights_at(float *all, void *const *stored, const geometry *g) {
    floats_of w = floats_at(all, g);
    for (int half = 0; half < 2; half++) {
        w.enter_bias[half] = transposed(w.enter[half], half_of(stored[2], g->channels, half, g),
                                        half_of(stored[3], 1, half, g), g->half, g->channels, g->dtype);
        fold_norm(w.enter[half], w.enter_bias[half], padded(g->half), stored[0], stored[1], g->half, g->channels, g->dtype);
    }
    w.squeeze_bias = transposed(w.squeeze, stored[4], stored[5], g->narrow, g->half, g->dtype);
    w.widen_bias = transposed(w.widen, stored[6], stored[7], g->half, g->narrow, g->dtype);
    return w;
}

/* data: x, gain and offset of the norm, weight and bias of the 1x1 that enters, of the one before relu, of the one
   behind it -> c, u2 */
int lamnet_branches(void *const *data, const int64_t *numbers) {
    const geometry *g = (const geometry *)numbers;
    int64_t deep = padded(g->channels), wide = padded(g->half), thin = padded(g->narrow);
    float *all = calloc((size_t)count(g), sizeof(float));
    if (!all) return 1;
    job j = {.g = g, .x = data[0], .w = weights_at(all, data + 1, g), .c = data[9], .u2 = data[10]};
    for (int half = 0; half < 2; half++) pair_rows(j.w.enter[half], wide, g->channels, g->dtype);
    pair_rows(j.w.squeeze, thin, g->half, g->dtype);
    pair_rows(j.w.widen, wide, g->narrow, g->dtype);
    int failed = parallel(forward_tile, &j, ceil_div(g->pixels, TILE), TILE * (deep + 2 * wide + thin), g->threads);
    return free(all), failed;
}

/* data: grad_c, grad_u2, what reaches x around all this, x, norm, weights and biases as above -> the gradients of x and of
   each of them */
int lamnet_branches_backward(void *const *data, const int64_t *numbers) {
    const geometry *g = (const geometry *)numbers;
    int64_t deep = padded(g->channels), wide = padded(g->half), thin = padded(g->narrow), size = count(g);
    int64_t chunk = ceil_div(ceil_div(g->pixels, MAX_CHUNKS) + MIN_CHUNK, TILE) * TILE, chunks = ceil_div(g->pixels, chunk);
    float *all = calloc((size_t)(2 * size + 3 * deep), sizeof(float)), *sums = calloc((size_t)((chunks + !chunks) * size), sizeof(float));
    if (!all || !sums) return free(all), free(sums), 1;
    job j = {.g = g, .grad_c = data[0], .grad_u2 = data[1], .grad_residual = data[2], .x = data[3], .grad_x = data[12],
             .chunk = chunk, .partials = sums};
    void *const *stored = data + 4, *const *grads = data + 13;
    j.w = weights_at(all, stored, g);
    j.enter[0] = all + size;
    j.enter[1] = as_stored(j.enter[0], stored[2], g->half, g->channels, deep, g->dtype);
    j.squeeze = as_stored(j.enter[1], half_of(stored[2], g->channels, 1, g), g->half, g->channels, deep, g->dtype);
    scale_columns(j.enter[0], stored[0], 2 * g->half, g->channels, deep, g->dtype);
    j.widen = as_stored(j.squeeze, stored[4], g->narrow, g->half, wide, g->dtype);
    j.zeros = as_stored(j.widen, stored[6], g->half, g->narrow, thin, g->dtype);
    int failed = parallel(backward_chunk, &j, chunks, TILE * (2 * deep + 3 * wide + 2 * thin), g->threads);
    for (int64_t c = 1; c < chunks; c++)
        for (int64_t i = 0; i < size; i++) sums[i] += sums[c * size + i];
    floats_of s = floats_at(sums, g);
    float *gain = j.zeros + deep, *offset = gain + deep;
    for (int half = 0; half < 2; half++) {
        const void *weight = half_of(stored[2], g->channels, half, g);
        unfold_norm(s.enter[half], s.enter_bias[half], wide, gain, offset, weight, stored[0], stored[1], g->half, g->channels,
                    g->dtype);
        store_transposed(half_of(grads[2], g->channels, half, g), half_of(grads[3], 1, half, g), s.enter[half],
                         s.enter_bias[half], g->half, g->channels, wide, g->dtype);
    }
    store(grads[0], gain, g->channels, g->dtype);
    store(grads[1], offset, g->channels, g->dtype);
    store_transposed(grads[4], grads[5], s.squeeze, s.squeeze_bias, g->narrow, g->half, thin, g->dtype);
    store_transposed(grads[6], grads[7], s.widen, s.widen_bias, g->half, g->narrow, wide, g->dtype);
    return free(all), free(sums), failed;
}
