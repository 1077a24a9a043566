/* What happens to the channels of one pixel before a 1x1 convolution, and its backward. */
#pragma once
#include "fours.h"
#include "vecmath.h"

/* Rows of n from `first` on, padded with zeros. */
static inline void load_rows(float *to, int64_t pitch, const void *from, int64_t first, int64_t rows, int64_t n, int64_t dtype) {
    for (int64_t r = 0; r < rows; r++) {
        prefetch(at(from, (first + r + AHEAD) * n, dtype), n, dtype);
        load(to + r * pitch, at(from, (first + r) * n, dtype), n, dtype);
        for (int64_t i = n; i < pitch; i++) to[r * pitch + i] = 0;
    }
}

/* The first n of each row to rows of n from `first` on. */
static inline void store_rows(void *to, const float *from, int64_t first, int64_t rows, int64_t pitch, int64_t n, int64_t dtype) {
    for (int64_t r = 0; r < rows; r++) store(at(to, (first + r) * n, dtype), from + r * pitch, n, dtype);
}

/* The sum of a vector's numbers. */
static inline float sum_of(vec x) {
    vec y = x + __builtin_shufflevector(x, x, 8, 9, 10, 11, 12, 13, 14, 15, 8, 9, 10, 11, 12, 13, 14, 15);
    y += __builtin_shufflevector(y, y, 4, 5, 6, 7, 4, 5, 6, 7, 4, 5, 6, 7, 4, 5, 6, 7);
    return (y[0] + y[2]) + (y[1] + y[3]);
}

static inline float dot(const float *a, const float *b, int64_t n) {
    vec sum = {0};
    float rest = 0;
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) sum += *(const vec *)(a + i) * *(const vec *)(b + i);
    for (; i < n; i++) rest += a[i] * b[i];
    return sum_of(sum) + rest;
}

/* The sum of x less `minus`, or of its squares. */
static inline __attribute__((always_inline)) float sum_less(const float *x, float minus, int64_t n, const int squares) {
    vec sum = {0};
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        vec y = *(const vec *)(x + i) - minus;
        sum += squares ? y * y : y;
    }
    float rest = 0;
    for (; i < n; i++) rest += squares ? (x[i] - minus) * (x[i] - minus) : x[i] - minus;
    return sum_of(sum) + rest;
}

static inline float mean_of(const float *x, int64_t n) { return sum_less(x, 0, n, 0) / (float)n; }

/* (x - mean) / deviation of rows of so many vectors without padding, each in registers, four abreast, as numbers or as an
   `operand` of pairs. What is computed for rows that there are not is not stored. */

static inline __attribute__((always_inline)) void normalise_four(float *to, const void *x, int64_t x_dtype, float *restrict scale,
        int64_t rows, const int vectors, const int pairs) {
    float n = (float)(vectors * LANES), deviation[4];
    vec row[4][4], sum[4] = {0}, squares[4] = {0};
    for (int64_t r = 0; r < 4; r++) {
        const void *from = at(x, (r < rows ? r : 0) * vectors * LANES, x_dtype);
        for (int v = 0; v < vectors; v++) sum[r] += row[r][v] = load_vector(at(from, v * LANES, x_dtype), x_dtype);
    }
    vec mean = sums_of_four(sum) / n;
    for (int r = 0; r < 4; r++)
        for (int v = 0; v < vectors; v++) row[r][v] -= one_of_four(mean, r), squares[r] += row[r][v] * row[r][v];
    vec variance = sums_of_four(squares) / n;
    for (int r = 0; r < 4; r++) deviation[r] = 1.0f / __builtin_sqrtf(variance[r] + 1e-5f);
    for (int64_t r = 0; r < rows && r < 4; r++) {
        vec *out = (vec *)(to + r * vectors * LANES);
        scale[r] = deviation[r];
        for (int v = 0; v < vectors; v++) row[r][v] *= deviation[r];
        for (int v = 0; v < vectors; v += together(pairs))
            out[v / together(pairs)] = pairs ? pairs_in_turn(row[r][v], row[r][v + 1]) : row[r][v];
    }
}

static inline __attribute__((always_inline)) void normalise_vectors(float *to, const void *x, int64_t x_dtype, float *restrict scale,
        int64_t rows, const int vectors, const int pairs) {
    for (int64_t r = 0, row = vectors * LANES; r < rows; r += 4)
        normalise_four(to + r * row, at(x, r * row, x_dtype), x_dtype, scale + r, rows - r, vectors, pairs);
}

/* The same of padded rows in float32, to `to`, which may be x; `scale` gets 1 / deviation of each. Step by step, so that no row waits
   for another. */
static inline void normalise(float *to, const float *x, float *restrict scale, int64_t rows, int64_t pitch, int64_t n) {
    if (n == 2 * LANES) return normalise_vectors(to, x, FLOAT32, scale, rows, 2, 0);
    if (n == 4 * LANES) return normalise_vectors(to, x, FLOAT32, scale, rows, 4, 0);
    for (int64_t r = 0; r < rows; r++) {
        const float *row = x + r * pitch;
        float mean = mean_of(row, n);
        scale[r] = sum_less(row, mean, n, 1) / (float)n;
        for (int64_t i = 0; i < pitch; i += LANES) *(vec *)(to + r * pitch + i) = *(const vec *)(row + i) - mean;
    }
    for (int64_t r = 0; r < rows; r++) scale[r] = 1.0f / __builtin_sqrtf(scale[r] + 1e-5f);
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < pitch; i += LANES) *(vec *)(to + r * pitch + i) *= scale[r];
}

/* The same of padded rows of float32, or of bfloat16 that needs no padding, as gemm multiplies them in `dtype`. */
static inline rows_of normalised(float *room, const void *x, int64_t x_dtype, float *restrict scale, int64_t rows, int64_t pitch,
                                 int64_t n, int64_t dtype) {
    int64_t vectors = n / LANES;
    rows_of all = {room, pitch, 1, in_pairs(dtype)};
    if (n != pitch || (vectors != 2 && vectors != 4)) {
        if (x_dtype != FLOAT32) load_rows(room, pitch, x, 0, rows, n, x_dtype), x = room;
        normalise(room, x, scale, rows, pitch, n);
        return operand(room, rows, pitch, dtype);
    }
    if (vectors == 2 && all.pairs) normalise_vectors(room, x, x_dtype, scale, rows, 2, 1);
    else if (vectors == 2) normalise_vectors(room, x, x_dtype, scale, rows, 2, 0);
    else if (all.pairs) normalise_vectors(room, x, x_dtype, scale, rows, 4, 1);
    else normalise_vectors(room, x, x_dtype, scale, rows, 4, 0);
    return all;
}

/* To the sums of which the exchange's means are made: a pixel's s, and s times the mean r of its c. */
static inline void add_exchanged(float *restrict sums, const float *restrict s, float r, int64_t n) {
    for (int64_t i = 0; i < n; i++) sums[i] += s[i], sums[n + i] += s[i] * r;
}

static inline void normalise_backward(float *restrict grad, const float *restrict normal, float scale, int64_t n) {
#pragma clang fp reassociate(on)
    float mean = 0, along = 0;
    for (int64_t i = 0; i < n; i++) mean += grad[i], along += grad[i] * normal[i];
    mean /= (float)n, along /= (float)n;
    for (int64_t i = 0; i < n; i++) grad[i] = (grad[i] - mean - normal[i] * along) * scale;
}

static inline void relu(float *x, int64_t n) {
    for (int64_t i = 0; i < n; i++) x[i] = x[i] < 0 ? 0 : x[i];
}

/* The gradient in front of relu, from what is behind it. */
static inline void relu_backward(float *restrict grad, const float *restrict h, int64_t n) {
    for (int64_t i = 0; i < n; i++) grad[i] = h[i] > 0 ? grad[i] : 0;
}

/* z1, z2 -> gelu(z1) * z1, gelu(z1) * z2 */
static inline __attribute__((always_inline)) void gate_vectors(float *z1, float *z2, int rough) {
    vec first = *(const vec *)z1, gelu = first * (rough ? normal_cdfs(first, 1) : normal_cdfs(first, 0));
    *(vec *)z1 = gelu * first;
    *(vec *)z2 = gelu * *(const vec *)z2;
}

/* The same of the halves of n numbers. */
static inline __attribute__((always_inline)) void gate(float *x, int64_t n, const int rough) {
    int64_t half = n / 2, i = 0;
    for (; i + LANES <= half; i += LANES) gate_vectors(x + i, x + half + i, rough);
    if (i == half) return;
    float rest[2 * LANES] = {0};
    size_t bytes = (size_t)(half - i) * sizeof(float);
    memcpy(rest, x + i, bytes), memcpy(rest + LANES, x + half + i, bytes);
    gate_vectors(rest, rest + LANES, rough);
    memcpy(x + i, rest, bytes), memcpy(x + half + i, rest + LANES, bytes);
}

/* The same of numbers near bfloat16, n a multiple of four vectors, as half as many pairs in another place. */
static inline void gate_to_pairs(float *restrict to, const float *restrict x, int64_t n) {
    for (int64_t i = 0, half = n / 2; i < half; i += 2 * LANES) {
        vec first[2], second[2];
        for (int v = 0; v < 2; v++) {
            vec z = *(const vec *)(x + i + v * LANES), gelu = z * normal_cdfs(z, 1);
            first[v] = gelu * z, second[v] = gelu * *(const vec *)(x + half + i + v * LANES);
        }
        *(vec *)(to + i / 2) = pairs_in_turn(first[0], first[1]);
        *(vec *)(to + (half + i) / 2) = pairs_in_turn(second[0], second[1]);
    }
}

/* The gradient behind the gates, both halves, -> that before them; the halves z before the gates -> behind them. */
static inline void gate_backward(float *restrict g1, float *restrict g2, float *restrict z1, float *restrict z2, int64_t half) {
    for (int64_t i = 0; i < half; i++) {
        float cdf = normal_cdf(z1[i]), gelu = z1[i] * cdf;
        float density = 0.39894228f * (1.0f + exp_minus_1(-0.5f * z1[i] * z1[i])), slope = cdf + z1[i] * density;
        g1[i] = g1[i] * (gelu + z1[i] * slope) + g2[i] * z2[i] * slope;
        g2[i] *= gelu;
        z1[i] *= gelu;
        z2[i] *= gelu;
    }
}
