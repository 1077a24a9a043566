/* out (rows, columns) = start + x (rows, depth) @ w (depth, columns), small enough for the caches.

   x[r][i] is x[r * row + i * step]; `columns` is a multiple of LANES; start is one row, or NULL to add to what is there.
   Where the processor multiplies pairs of bfloat16, each number of x and w may be such a pair, two steps of the depth. */
#pragma once
#include "arena.h"
#ifdef __AVX512BF16__
#include <immintrin.h>
#endif

typedef float vec __attribute__((vector_size(4 * LANES), aligned(4)));
#ifdef __AVX512F__
enum { VECTORS = 4 }; /* vectors of columns that stay in registers for 6 rows */
#else
enum { VECTORS = 1 };
#endif

typedef struct { const float *x; int64_t row, step; int pairs; } rows_of;

static inline __attribute__((always_inline)) vec plus_product(vec sum, float a, vec b, const int pairs) {
#ifdef __AVX512BF16__
    if (pairs) return (vec)_mm512_dpbf16_ps((__m512)sum, (__m512bh)_mm512_set1_ps(a), (__m512bh)b);
#endif
    return sum + a * b;
}

static inline __attribute__((always_inline)) void gemm_block(float *out, int64_t pitch, rows_of a, const float *w,
        int64_t columns, const float *start, int64_t depth, const int rows, const int vectors, const int pairs) {
    vec sum[6][VECTORS];
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < vectors; v++) sum[r][v] = *(const vec *)((start ? start : out + r * pitch) + v * LANES);
    for (int64_t i = 0; i < depth; i++) {
        vec c[VECTORS];
        for (int v = 0; v < vectors; v++) c[v] = *(const vec *)(w + i * columns + v * LANES);
        for (int r = 0; r < rows; r++)
            for (int v = 0; v < vectors; v++) sum[r][v] = plus_product(sum[r][v], a.x[r * a.row + i * a.step], c[v], pairs);
    }
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < vectors; v++) *(vec *)(out + r * pitch + v * LANES) = sum[r][v];
}

static inline __attribute__((always_inline)) void gemm_columns(float *out, int64_t pitch, rows_of a, const float *w,
        int64_t columns, const float *start, int64_t rows, int64_t depth, const int vectors, const int pairs) {
    int64_t r = 0;
    for (; r + 6 <= rows; r += 6, a.x += 6 * a.row) gemm_block(out + r * pitch, pitch, a, w, columns, start, depth, 6, vectors, pairs);
    for (; r + 2 <= rows; r += 2, a.x += 2 * a.row) gemm_block(out + r * pitch, pitch, a, w, columns, start, depth, 2, vectors, pairs);
    for (; r < rows; r++, a.x += a.row) gemm_block(out + r * pitch, pitch, a, w, columns, start, depth, 1, vectors, pairs);
}

void gemm(float *out, int64_t pitch, rows_of a, const float *w, int64_t columns, const float *start, int64_t rows,
          int64_t depth);

static inline int in_pairs(int64_t dtype) {
#ifdef __AVX512BF16__
    return dtype == BFLOAT16;
#else
    return 0;
#endif
}

/* Rows x[r * pitch + i] as gemm multiplies them in this dtype: themselves, or pairs in `room`, which x itself may be;
   `pitch` is a multiple of LANES. */
static inline rows_of operand_in(float *room, const float *x, int64_t rows, int64_t pitch, int64_t dtype) {
#ifdef __AVX512BF16__
    if (in_pairs(dtype)) {
        for (int64_t r = 0; r < rows; r++)
            for (int64_t i = 0; i < pitch; i += 2 * LANES) {
                const float *from = x + r * pitch + i;
                __m512 low = _mm512_loadu_ps(from), high = i + LANES < pitch ? _mm512_loadu_ps(from + LANES) : _mm512_setzero_ps();
                _mm512_storeu_ps(room + r * pitch + i / 2, (__m512)_mm512_cvtne2ps_pbh(high, low));
            }
        return (rows_of){room, pitch, 1, 1};
    }
#endif
    return (rows_of){x, pitch, 1, 0};
}

/* The same, in place. */
static inline rows_of operand(float *x, int64_t rows, int64_t pitch, int64_t dtype) { return operand_in(x, x, rows, pitch, dtype); }

/* Pixels' rows as a product over the pixels takes them: themselves, or pairs of neighbours in `room`, which x itself may be.
   Room: ceil(pixels / 2) rows. */
static inline const float *over_pixels(float *room, const float *x, int64_t pixels, int64_t pitch, int64_t dtype) {
#ifdef __AVX512BF16__
    const __m512i by_turns = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6, 21, 5,
                                              20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    if (in_pairs(dtype)) {
        for (int64_t p = 0; p < pixels; p += 2)
            for (int64_t i = 0; i < pitch; i += LANES) {
                const float *from = x + p * pitch + i;
                __m512 low = _mm512_loadu_ps(from), high = p + 1 < pixels ? _mm512_loadu_ps(from + pitch) : _mm512_setzero_ps();
                __m512i both = (__m512i)_mm512_cvtne2ps_pbh(high, low);
                _mm512_storeu_si512(room + p / 2 * pitch + i, _mm512_permutexvar_epi16(by_turns, both));
            }
        return room;
    }
#endif
    return x;
}

/* Adds a layer's gradient, (inputs, pitch): that of the weight by x and grad, both `over_pixels`. */
static inline void add_gradient(float *sums, const float *x, int64_t inputs, const float *grad, int64_t pitch, int64_t pixels,
                                int64_t dtype) {
    gemm(sums, pitch, (rows_of){x, 1, inputs, in_pairs(dtype)}, grad, pitch, NULL, inputs, pixels);
}

/* A layer (outputs, inputs) as stored -> as gemm takes it. */
static inline void transpose(float_layer to, layer from, int64_t outputs, int64_t inputs, int64_t dtype) {
    for (int64_t o = 0; o < outputs; o++)
        for (int64_t i = 0; i < inputs; i++)
            load(to.weight + i * padded(outputs) + o, at(from.weight, o * inputs + i, dtype), 1, dtype);
    load(to.bias, from.bias, outputs, dtype);
}

/* A weight (depth, columns) as gemm takes it for an `operand` of this dtype, in place. */
static inline void pair_rows(float *w, int64_t columns, int64_t depth, int64_t dtype) {
    for (int64_t i = 0; i < depth && in_pairs(dtype); i += 2)
        for (int64_t c = 0; c < columns; c++) {
            uint32_t low = bfloat16_of(w[i * columns + c]), high = i + 1 < depth ? bfloat16_of(w[(i + 1) * columns + c]) : 0;
            w[i / 2 * columns + c] = float_of(high << 16 | low);
        }
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

/* to (pitch) plus the rows, each a pixel's: the sum that a bias's gradient is. */
static inline void add_rows(float *restrict to, const float *restrict rows, int64_t n, int64_t pitch) {
    for (int64_t r = 0; r < n; r++)
        for (int64_t i = 0; i < pitch; i++) to[i] += rows[r * pitch + i];
}
