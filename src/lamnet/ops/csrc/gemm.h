/* out (rows, columns) = start + x (rows, depth) @ w (depth, columns), small enough for the caches.

   x[r][i] is x[r * row + i * step]; `columns` is a multiple of LANES; start is one row, or NULL to add to what is there.
   Each number of x and w may be a pair of bfloat16, two steps of the depth. `gemm_onto` adds rows of its own to that, at the end;
   they may be `out`. */
#pragma once
#include "pairs.h"

typedef struct { const void *rows; int64_t pitch, dtype; } onto_rows; /* dtype: FLOAT32 or BFLOAT16 */

static inline onto_rows rows_from(onto_rows onto, int64_t row) {
    if (onto.rows) onto.rows = at(onto.rows, row * onto.pitch, onto.dtype);
    return onto;
}

static inline __attribute__((always_inline)) void add_onto(vec (*sum)[VECTORS], onto_rows onto, const int rows, const int vectors,
        const int dtype) {
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < vectors; v++) sum[r][v] += load_vector(at(onto.rows, r * onto.pitch + v * LANES, dtype), dtype);
}

static inline __attribute__((always_inline)) void gemm_block(float *out, int64_t pitch, rows_of a, const float *w,
        int64_t columns, const float *start, onto_rows onto, int64_t depth, const int rows, const int vectors, const int pairs) {
    vec sum[PRODUCT_ROWS][VECTORS];
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < vectors; v++) sum[r][v] = *(const vec *)((start ? start : out + r * pitch) + v * LANES);
    for (int64_t i = 0; i < depth; i++) {
        vec c[VECTORS];
        for (int v = 0; v < vectors; v++) c[v] = *(const vec *)(w + i * columns + v * LANES);
        for (int r = 0; r < rows; r++)
            for (int v = 0; v < vectors; v++) sum[r][v] = plus_product(sum[r][v], a.x[r * a.row + i * a.step], c[v], pairs);
    }
    if (onto.rows && onto.dtype == FLOAT32) add_onto(sum, onto, rows, vectors, FLOAT32);
    else if (onto.rows) add_onto(sum, onto, rows, vectors, BFLOAT16);
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < vectors; v++) *(vec *)(out + r * pitch + v * LANES) = sum[r][v];
}

static inline __attribute__((always_inline)) void gemm_columns(float *out, int64_t pitch, rows_of a, const float *w,
        int64_t columns, const float *start, onto_rows onto, int64_t rows, int64_t depth, const int vectors, const int pairs) {
    enum { MOST = PRODUCT_ROWS };
    int64_t r = 0;
    for (; r + MOST <= rows; r += MOST, a.x += MOST * a.row)
        gemm_block(out + r * pitch, pitch, a, w, columns, start, rows_from(onto, r), depth, MOST, vectors, pairs);
    for (; r + 2 <= rows; r += 2, a.x += 2 * a.row)
        gemm_block(out + r * pitch, pitch, a, w, columns, start, rows_from(onto, r), depth, 2, vectors, pairs);
    for (; r < rows; r++, a.x += a.row)
        gemm_block(out + r * pitch, pitch, a, w, columns, start, rows_from(onto, r), depth, 1, vectors, pairs);
}

void gemm_onto(float *out, int64_t pitch, rows_of a, const float *w, int64_t columns, const float *start, onto_rows onto, int64_t rows,
               int64_t depth);

static inline void gemm(float *out, int64_t pitch, rows_of a, const float *w, int64_t columns, const float *start, int64_t rows,
                        int64_t depth) {
    gemm_onto(out, pitch, a, w, columns, start, (onto_rows){0}, rows, depth);
}

/* A layer (outputs, inputs) as stored -> as gemm takes it. */
static inline void transpose(float_layer to, layer from, int64_t outputs, int64_t inputs, int64_t dtype) {
    for (int64_t o = 0; o < outputs; o++)
        for (int64_t i = 0; i < inputs; i++)
            load(to.weight + i * padded(outputs) + o, at(from.weight, o * inputs + i, dtype), 1, dtype);
    load(to.bias, from.bias, outputs, dtype);
}

/* Rows as stored, padded to `pitch`. */
static inline void load_stored(float *to, const void *weight, int64_t rows, int64_t columns, int64_t pitch, int64_t dtype) {
    for (int64_t r = 0; r < rows; r++) load(to + r * pitch, at(weight, r * columns, dtype), columns, dtype);
}

/* The sums of a layer's gradients, (inputs, pitch) -> as stored. */
static inline void store_transposed(layer to, float_layer sums, int64_t outputs, int64_t inputs, int64_t pitch, int64_t dtype) {
    for (int64_t o = 0; o < outputs; o++)
        for (int64_t i = 0; i < inputs; i++)
            store(at(to.weight, o * inputs + i, dtype), sums.weight + i * pitch + o, 1, dtype);
    store(to.bias, sums.bias, outputs, dtype);
}

/* to (pitch) plus the pixels' rows, which are `over_pixels`: the sum that a bias's gradient is. */
static inline void add_rows(float *to, const float *rows, int64_t pixels, int64_t pitch, int64_t dtype) {
    float one = in_pairs(dtype) ? pair_of(1, 1) : 1;
    gemm(to, pitch, (rows_of){&one, 0, 0, in_pairs(dtype)}, rows, pitch, NULL, 1, pixels);
}

/* Adds the gradients of a layer (inputs, pitch) by its pixels' x and the gradients behind it, both `over_pixels`. */
static inline void add_gradient(float_layer sums, const float *x, int64_t inputs, const float *grad, int64_t pitch, int64_t pixels,
                                int64_t dtype) {
    gemm(sums.weight, pitch, (rows_of){x, 1, inputs, in_pairs(dtype)}, grad, pitch, NULL, inputs, pixels);
    add_rows(sums.bias, grad, pixels, pitch, dtype);
}
