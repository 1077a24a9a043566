#include "gemm.h"

void gemm(float *out, int64_t pitch, rows_of a, const float *w, int64_t columns, const float *start, int64_t rows,
          int64_t depth) {
    int64_t c = 0;
    for (; c + WIDE * LANES <= columns; c += WIDE * LANES)
        gemm_columns(out + c, pitch, a, w + c, columns, start ? start + c : start, rows, depth, WIDE);
#if __AVX512F__
    if (columns - c == 3 * LANES) gemm_columns(out + c, pitch, a, w + c, columns, start ? start + c : start, rows, depth, 3);
    if (columns - c == 2 * LANES) gemm_columns(out + c, pitch, a, w + c, columns, start ? start + c : start, rows, depth, 2);
    if (columns - c == LANES) gemm_columns(out + c, pitch, a, w + c, columns, start ? start + c : start, rows, depth, 1);
#endif
}
