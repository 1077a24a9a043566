#include "gemm.h"

static inline __attribute__((always_inline)) void gemm_of(float *out, int64_t pitch, rows_of a, const float *w,
        int64_t columns, const float *start, int64_t rows, int64_t depth, const int pairs) {
    int64_t c = 0;
    for (; c + VECTORS * LANES <= columns; c += VECTORS * LANES)
        gemm_columns(out + c, pitch, a, w + c, columns, start ? start + c : start, rows, depth, VECTORS, pairs);
#if __AVX512F__
    const float *from = start ? start + c : start;
    if (columns - c == 3 * LANES) gemm_columns(out + c, pitch, a, w + c, columns, from, rows, depth, 3, pairs);
    if (columns - c == 2 * LANES) gemm_columns(out + c, pitch, a, w + c, columns, from, rows, depth, 2, pairs);
    if (columns - c == LANES) gemm_columns(out + c, pitch, a, w + c, columns, from, rows, depth, 1, pairs);
#endif
}

void gemm(float *out, int64_t pitch, rows_of a, const float *w, int64_t columns, const float *start, int64_t rows,
          int64_t depth) {
    if (a.pairs) gemm_of(out, pitch, a, w, columns, start, rows, ceil_div(depth, 2), 1);
    else gemm_of(out, pitch, a, w, columns, start, rows, depth, 0);
}
