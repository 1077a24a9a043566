/* Vectors of float32, and pairs of bfloat16 in the place of a float, which some processors multiply and add at once: then a
   bfloat16 kernel makes pairs of what follows each other in a sum, be it channels, pixels or taps. Elsewhere all of this
   leaves numbers as they are. */
#pragma once
#include "arena.h"

typedef float vec __attribute__((vector_size(4 * LANES), aligned(4)));

static inline int in_pairs(int64_t dtype) {
#ifdef __AVX512BF16__
    return dtype == BFLOAT16;
#else
    return 0;
#endif
}

/* sum + a * b, in each lane of two numbers or of two pairs. */
static inline __attribute__((always_inline)) vec plus_products(vec sum, vec a, vec b, const int pairs) {
#ifdef __AVX512BF16__
    if (pairs) return (vec)_mm512_dpbf16_ps((__m512)sum, (__m512bh)a, (__m512bh)b);
#endif
    return sum + a * b;
}

/* The same with one a for all lanes. */
static inline __attribute__((always_inline)) vec plus_product(vec sum, float a, vec b, const int pairs) {
#ifdef __AVX512BF16__
    if (pairs) return (vec)_mm512_dpbf16_ps((__m512)sum, (__m512bh)_mm512_set1_ps(a), (__m512bh)b);
#endif
    return sum + a * b;
}

typedef struct { const float *x; int64_t row, step; int pairs; } rows_of;

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

#ifdef __AVX512BF16__
/* Two vectors as one of pairs, lane by lane. */
static inline vec paired(vec low, vec high) {
    const __m512i by_turns = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6, 21, 5,
                                              20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    return (vec)_mm512_permutexvar_epi16(by_turns, (__m512i)_mm512_cvtne2ps_pbh((__m512)high, (__m512)low));
}
#endif

/* Pixels' rows as a sum over pixels takes them: themselves, or in `room` rows of pairs of neighbours, of which the first is
   (pixel -lead, pixel 1 - lead), lead 0 or 1; zeros stand for pixels beyond the ends. `room` may be x unless there is a lead. */
static inline const float *over_pixels(float *room, const float *x, int64_t lead, int64_t pixels, int64_t pitch, int64_t dtype) {
#ifdef __AVX512BF16__
    if (in_pairs(dtype)) {
        for (int64_t p = -lead; p < pixels; p += 2)
            for (int64_t i = 0; i < pitch; i += LANES) {
                const float *from = x + p * pitch + i;
                vec low = p >= 0 ? *(const vec *)from : (vec){0}, high = p + 1 < pixels ? *(const vec *)(from + pitch) : (vec){0};
                *(vec *)(room + (p + lead) / 2 * pitch + i) = paired(low, high);
            }
        return room;
    }
#endif
    return x;
}

/* So many rows are in `over_pixels` of pixels of any dtype, and as many numbers. */
static inline int64_t rows_over(int64_t pixels, int64_t dtype) { return in_pairs(dtype) ? ceil_div(pixels, 2) : pixels; }

/* A weight (depth, columns) as gemm takes it for an `operand` of this dtype, in place. */
static inline void pair_rows(float *w, int64_t columns, int64_t depth, int64_t dtype) {
    for (int64_t i = 0; i < depth && in_pairs(dtype); i += 2)
        for (int64_t c = 0; c < columns; c++) {
            uint32_t low = bfloat16_of(w[i * columns + c]), high = i + 1 < depth ? bfloat16_of(w[(i + 1) * columns + c]) : 0;
            w[i / 2 * columns + c] = float_of(high << 16 | low);
        }
}
