/* Vectors as four groups of four numbers, and a product of which only four columns are wanted. */
#pragma once
#include "pairs.h"

typedef float four __attribute__((vector_size(16), aligned(4)));

static inline vec of_fours(const four *row) {
    vec all;
    __builtin_memcpy(&all, row, sizeof all);
    return all;
}

/* 16 lanes as a matrix of 4 x 4 -> its transpose. */
static inline vec transposed_4x4(vec x) {
    return __builtin_shufflevector(x, x, 0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
}

/* Lanes 4h .. 4h+3 of lane group h of each of four vectors added up: lane 4h + i is vector i's sum. */
static inline vec sums_of_fours(const vec *v) {
    vec pair[2];
    for (int i = 0; i < 2; i++)
        pair[i] = __builtin_shufflevector(v[2 * i], v[2 * i + 1], 0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29) +
                  __builtin_shufflevector(v[2 * i], v[2 * i + 1], 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31);
    return __builtin_shufflevector(pair[0], pair[1], 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29) +
           __builtin_shufflevector(pair[0], pair[1], 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31);
}

/* The sums of four vectors: that of vector i in lanes i, 4 + i, 8 + i and 12 + i. */
static inline vec sums_of_four(const vec *v) {
    vec sum = sums_of_fours(v);
    sum += __builtin_shufflevector(sum, sum, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11);
    return sum + __builtin_shufflevector(sum, sum, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7);
}

/* What lanes i, 4 + i, 8 + i and 12 + i have in common, in all. */
static inline __attribute__((always_inline)) vec one_of_four(vec x, const int i) {
    if (i == 0) return __builtin_shufflevector(x, x, 0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8, 12, 12, 12, 12);
    if (i == 1) return __builtin_shufflevector(x, x, 1, 1, 1, 1, 5, 5, 5, 5, 9, 9, 9, 9, 13, 13, 13, 13);
    if (i == 2) return __builtin_shufflevector(x, x, 2, 2, 2, 2, 6, 6, 6, 6, 10, 10, 10, 10, 14, 14, 14, 14);
    return __builtin_shufflevector(x, x, 3, 3, 3, 3, 7, 7, 7, 7, 11, 11, 11, 11, 15, 15, 15, 15);
}

static inline vec four_times(four x) { return __builtin_shufflevector(x, x, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3); }

/* Four columns of a weight (steps, columns) as the next one takes them, a step's four after another: (steps / 4, column, step). */
static inline void gather_four(float *to, const float *w, int64_t columns, int64_t steps) {
    for (int64_t i = 0; i < steps; i++)
        for (int64_t c = 0; c < 4; c++) to[i / 4 * LANES + c * 4 + i % 4] = w[i * columns + c];
}

/* Four columns of the products of `rows` rows of x, 1 to 4, by those: lane 4r + c is column c of row r. `steps` is a multiple of 4. */
static inline __attribute__((always_inline)) vec four_columns(rows_of a, int64_t rows, const float *w, int64_t steps, const int pairs) {
    vec sum[4] = {0};
    for (int64_t i = 0; i < steps; i += 4) {
        vec c = *(const vec *)(w + i / 4 * LANES);
        for (int64_t r = 0; r < 4; r++) {
            const float *x = a.x + (r < rows ? r : 0) * a.row + i;
            sum[r] = plus_products(sum[r], four_times(*(const four *)x), c, pairs);
        }
    }
    return transposed_4x4(sums_of_fours(sum));
}
