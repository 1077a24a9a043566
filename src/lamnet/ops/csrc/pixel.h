/* What happens to the channels of one pixel before a 1x1 convolution, and its backward. */
#pragma once
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

/* (x - mean) / deviation in place; returns 1 / deviation. */
static inline float normalise(float *x, int64_t n) {
#pragma clang fp reassociate(on)
    float mean = 0, square = 0;
    for (int64_t i = 0; i < n; i++) mean += x[i];
    mean /= (float)n;
    for (int64_t i = 0; i < n; i++) square += (x[i] - mean) * (x[i] - mean);
    float scale = 1.0f / __builtin_sqrtf(square / (float)n + 1e-5f);
    for (int64_t i = 0; i < n; i++) x[i] = (x[i] - mean) * scale;
    return scale;
}

static inline void normalise_backward(float *restrict grad, const float *restrict normal, float scale, int64_t n) {
#pragma clang fp reassociate(on)
    float mean = 0, along = 0;
    for (int64_t i = 0; i < n; i++) mean += grad[i], along += grad[i] * normal[i];
    mean /= (float)n, along /= (float)n;
    for (int64_t i = 0; i < n; i++) grad[i] = (grad[i] - mean - normal[i] * along) * scale;
}

/* Phi(z), the normal distribution, by Abramowitz and Stegun 7.1.26; `density` is its derivative times sqrt(2 pi). */
static inline float normal_cdf(float z, float *density) {
    float t = 1.0f / (1.0f + 0.3275911f * 0.70710678f * __builtin_fabsf(z));
    *density = 1.0f + exp_minus_1(-0.5f * z * z);
    float p = 1.061405429f * t - 1.453152027f;
    p = p * t + 1.421413741f;
    p = p * t - 0.284496736f;
    p = p * t + 0.254829592f;
    float tail = 0.5f * p * t * *density;
    return z < 0 ? tail : 1.0f - tail;
}

/* z1, z2 -> gelu(z1) * z1, gelu(z1) * z2 */
static inline void gate(float *x, int64_t n) {
    float *restrict z1 = x, *restrict z2 = x + n / 2, density;
    for (int64_t i = 0; i < n / 2; i++) {
        float gelu = z1[i] * normal_cdf(z1[i], &density);
        z2[i] *= gelu;
        z1[i] *= gelu;
    }
}

/* The gradient behind the gates, both halves, -> that before them; the halves z before the gates -> behind them. */
static inline void gate_backward(float *restrict g1, float *restrict g2, float *restrict z1, float *restrict z2, int64_t half) {
    for (int64_t i = 0; i < half; i++) {
        float density, cdf = normal_cdf(z1[i], &density), gelu = z1[i] * cdf;
        float slope = cdf + z1[i] * density * 0.39894228f;
        g1[i] = g1[i] * (gelu + z1[i] * slope) + g2[i] * z2[i] * slope;
        g2[i] *= gelu;
        z1[i] *= gelu;
        z2[i] *= gelu;
    }
}
