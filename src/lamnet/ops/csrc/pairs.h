/* Numbers that follow each other in a sum, be it channels, pixels or taps: of a bfloat16 kernel in pairs where the processor
   multiplies those (processor.h), else left as they are. */
#pragma once
#include "arena.h"

static inline int in_pairs(int64_t dtype) { return PAIRS && dtype == BFLOAT16; }

/* How many numbers of a sum one float holds. */
static inline __attribute__((always_inline)) int together(int pairs) { return pairs ? PAIR : 1; }

/* sum + a * b, in each lane of two numbers or of two pairs. */
static inline __attribute__((always_inline)) vec plus_products(vec sum, vec a, vec b, const int pairs) {
    return pairs ? plus_pairs(sum, a, b) : sum + a * b;
}

/* The same with one a for all lanes. */
static inline __attribute__((always_inline)) vec plus_product(vec sum, float a, vec b, const int pairs) {
    return pairs ? plus_pairs(sum, (vec){a, a, a, a, a, a, a, a, a, a, a, a, a, a, a, a}, b) : sum + a * b;
}

typedef struct { const float *x; int64_t row, step; int pairs; } rows_of;

/* Rows x[r * pitch + i] as gemm multiplies them in this dtype: themselves, or pairs in `room`, which x itself may be;
   `pitch` is a multiple of LANES. */
static inline rows_of operand_in(float *room, const float *x, int64_t rows, int64_t pitch, int64_t dtype) {
    if (!in_pairs(dtype)) return (rows_of){x, pitch, 1, 0};
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < pitch; i += PAIR * LANES) {
            const float *from = x + r * pitch + i;
            vec low = *(const vec *)from, high = i + LANES < pitch ? *(const vec *)(from + LANES) : (vec){0};
            *(vec *)(room + r * pitch + i / PAIR) = pairs_in_turn(low, high);
        }
    return (rows_of){room, pitch, 1, 1};
}

/* The same, in place. */
static inline rows_of operand(float *x, int64_t rows, int64_t pitch, int64_t dtype) { return operand_in(x, x, rows, pitch, dtype); }

/* Pixels' rows as a sum over pixels takes them: themselves, or in `room` rows of pairs of neighbours, of which the first is
   (pixel -lead, pixel 1 - lead), lead 0 or 1; zeros stand for pixels beyond the ends. `room` may be x unless there is a lead. */
static inline const float *over_pixels(float *room, const float *x, int64_t lead, int64_t pixels, int64_t pitch, int64_t dtype) {
    if (!in_pairs(dtype)) return x;
    for (int64_t p = -lead; p < pixels; p += PAIR)
        for (int64_t i = 0; i < pitch; i += LANES) {
            const float *from = x + p * pitch + i;
            vec first = p >= 0 ? *(const vec *)from : (vec){0}, second = p + 1 < pixels ? *(const vec *)(from + pitch) : (vec){0};
            *(vec *)(room + (p + lead) / PAIR * pitch + i) = pairs_by_lanes(first, second);
        }
    return room;
}

/* So many rows are in `over_pixels` of pixels of any dtype, and as many numbers. */
static inline int64_t rows_over(int64_t pixels, int64_t dtype) { return ceil_div(pixels, together(in_pairs(dtype))); }

/* A weight (depth, columns) as gemm takes it for an `operand` of this dtype, in place. */
static inline void pair_rows(float *w, int64_t columns, int64_t depth, int64_t dtype) {
    for (int64_t i = 0; i < depth && in_pairs(dtype); i += PAIR)
        for (int64_t c = 0; c < columns; c++)
            w[i / PAIR * columns + c] = pair_of(w[i * columns + c], i + 1 < depth ? w[(i + 1) * columns + c] : 0);
}
