/* Functions that the compiler turns into vector code: no branches, no library calls. */
#pragma once
#include "common.h"

static inline float clamped(float x, float low, float high) { return x < low ? low : (x > high ? high : x); }

/* exp(x) - 1 with the relative accuracy of float32 also near 0; x in [-87, 88], others saturate. */
static inline float exp_minus_1(float x) {
    x = clamped(x, -87.0f, 88.0f);
    float n = __builtin_rintf(x * 1.44269504f);
    float r = (x - n * 0.693359375f) + n * 2.12194440e-4f; /* ln 2 in two parts */
    float p = 1.0f / 5040;
    p = p * r + 1.0f / 720;
    p = p * r + 1.0f / 120;
    p = p * r + 1.0f / 24;
    p = p * r + 1.0f / 6;
    p = p * r + 0.5f;
    p = p * r * r + r;
    float power = float_of((uint32_t)((int32_t)n + 127) << 23);
    return p * power + (power - 1.0f);
}

static inline float sigmoid(float x) { return 1.0f / (2.0f + exp_minus_1(-x)); }

/* The normal distribution, of a number and of vectors, by a quotient of polynomials in z squared: 6e-9 off before rounding. */
#define NORMAL_ABOVE(u) (((((2.33868102e-8f * u + 6.36000932e-6f) * u + 1.64320517e-4f) * u + 4.65084410e-3f) * u + 3.33721151e-2f) * u + 3.98942245e-1f)
#define NORMAL_BELOW(u) (((((1.21659241e-6f * u + 7.23997925e-5f) * u + 1.85897490e-3f) * u + 2.83786221e-2f) * u + 2.50317576e-1f) * u + 1.0f)

static inline float normal_cdf(float z) {
    float x = clamped(z, -5.4f, 5.4f), u = x * x;
    float p = NORMAL_ABOVE(u);
    float q = NORMAL_BELOW(u);
    return z < -5.4f ? 0.0f : 0.5f + x * p / q;
}

/* Vectors. What is near numbers rounded to bfloat16 may be `rough`: shorter, and within 2e-4. */

/* The lanes of a where x < bound, else those of b. */
static inline __attribute__((always_inline)) vec where_less(vec x, vec bound, vec a, vec b) {
    vec_bits less = (vec_bits)(x < bound);
    return (vec)((less & (vec_bits)a) | (~less & (vec_bits)b));
}

static inline __attribute__((always_inline)) vec clamped_to(vec x, float most) {
    vec high = (vec){0} + most;
    x = where_less(x, -high, -high, x);
    return where_less(high, x, high, x);
}

static inline __attribute__((always_inline)) vec tangents(vec x, const int rough) {
    x = clamped_to(x, rough ? 5.0f : 9.0f);
    vec u = x * x, p, q;
    if (rough) {
        p = (6.70571745e-4f * u + 1.02417972e-1f) * u + 9.99948110e-1f;
        q = (1.281996e-2f * u + 4.3543287e-1f) * u + 1.0f;
    } else {
        p = (((1.33546864e-8f * u + 2.06091030e-5f) * u + 3.49558950e-3f) * u + 1.33810268e-1f) * u + 9.99999979e-1f;
        q = (((7.77656930e-7f * u + 3.28563698e-4f) * u + 2.58769875e-2f) * u + 4.67143424e-1f) * u + 1.0f;
    }
    return quotient(x * p, q, rough);
}

static inline __attribute__((always_inline)) void take_rows(float *x, int64_t rows, int64_t pitch, int64_t n, const int rough) {
    for (int64_t r = 0; r < rows; r++, x += pitch)
        for (int64_t i = 0; i < n; i += LANES) *(vec *)(x + i) = tangents(*(const vec *)(x + i), rough);
}

/* Of the first n numbers, a multiple of LANES, of rows that are `pitch` apart, in place. */
static inline void take_tangents_of_rows(float *x, int64_t rows, int64_t pitch, int64_t n, int rough) {
    if (rough) take_rows(x, rows, pitch, n, 1);
    else take_rows(x, rows, pitch, n, 0);
}

/* Of n numbers, in place. */
static inline void take_tangents(float *x, int64_t n, int rough) {
    int64_t i = n / LANES * LANES;
    take_tangents_of_rows(x, 1, i, i, rough);
    if (i == n) return;
    vec rest = {0};
    memcpy(&rest, x + i, (size_t)(n - i) * sizeof(float));
    rest = rough ? tangents(rest, 1) : tangents(rest, 0);
    memcpy(x + i, &rest, (size_t)(n - i) * sizeof(float));
}

static inline __attribute__((always_inline)) vec normal_cdfs(vec z, const int rough) {
    float most = rough ? 4.0f : 5.4f;
    vec x = clamped_to(z, most), u = x * x, p, q;
    if (rough) {
        p = ((3.35189166e-5f * u + 3.83069025e-3f) * u + 2.70613961e-2f) * u + 3.98944945e-1f;
        q = ((1.17077e-3f * u + 2.36406e-2f) * u + 2.3453393e-1f) * u + 1.0f;
    } else {
        p = NORMAL_ABOVE(u);
        q = NORMAL_BELOW(u);
    }
    return where_less(z, (vec){0} - most, (vec){0}, 0.5f + quotient(x * p, q, rough));
}
