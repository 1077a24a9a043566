/* out (rows, columns) = start + x (rows, depth) @ w (depth, columns), small enough for the caches.

   x[r][i] is x[r * row + i * step]; `columns` is a multiple of LANES; start is one row, or NULL to add to what is there. */
#pragma once
#include "common.h"

#define LANES 16
typedef float vec __attribute__((vector_size(4 * LANES), aligned(4)));
#ifdef __AVX512F__
enum { WIDE = 4 }; /* vectors of columns that stay in registers for 6 rows */
#else
enum { WIDE = 1 };
#endif

static inline int64_t padded(int64_t n) { return ceil_div(n, LANES) * LANES; }

typedef struct { const float *x; int64_t row, step; } rows_of;

static inline __attribute__((always_inline)) void gemm_block(float *out, int64_t pitch, rows_of a, const float *w,
        int64_t columns, const float *start, int64_t depth, const int rows, const int wide) {
    vec sum[6][WIDE];
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < wide; v++) sum[r][v] = *(const vec *)((start ? start : out + r * pitch) + v * LANES);
    for (int64_t i = 0; i < depth; i++) {
        vec c[WIDE];
        for (int v = 0; v < wide; v++) c[v] = *(const vec *)(w + i * columns + v * LANES);
        for (int r = 0; r < rows; r++)
            for (int v = 0; v < wide; v++) sum[r][v] += a.x[r * a.row + i * a.step] * c[v];
    }
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < wide; v++) *(vec *)(out + r * pitch + v * LANES) = sum[r][v];
}

static inline __attribute__((always_inline)) void gemm_columns(float *out, int64_t pitch, rows_of a, const float *w,
        int64_t columns, const float *start, int64_t rows, int64_t depth, const int wide) {
    int64_t r = 0;
    for (; r + 6 <= rows; r += 6, a.x += 6 * a.row) gemm_block(out + r * pitch, pitch, a, w, columns, start, depth, 6, wide);
    for (; r + 2 <= rows; r += 2, a.x += 2 * a.row) gemm_block(out + r * pitch, pitch, a, w, columns, start, depth, 2, wide);
    for (; r < rows; r++, a.x += a.row) gemm_block(out + r * pitch, pitch, a, w, columns, start, depth, 1, wide);
}

void gemm(float *out, int64_t pitch, rows_of a, const float *w, int64_t columns, const float *start, int64_t rows,
          int64_t depth);

/* (rows, columns) as stored -> (columns, padded rows), and a bias below it. */
static inline float *transposed(float *to, const void *weight, const void *bias, int64_t rows, int64_t columns, int64_t dtype) {
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < columns; c++)
            load(to + c * padded(rows) + r, at(weight, r * columns + c, dtype), 1, dtype);
    load(to + columns * padded(rows), bias, rows, dtype);
    return to + columns * padded(rows);
}
