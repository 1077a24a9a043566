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

/* By a quotient of polynomials in x squared, fitted to a relative error of 2e-8. */
static inline float hyperbolic_tangent(float x) {
    x = clamped(x, -9.0f, 9.0f);
    float u = x * x;
    float p = (((1.33546864e-8f * u + 2.06091030e-5f) * u + 3.49558950e-3f) * u + 1.33810268e-1f) * u + 9.99999979e-1f;
    float q = (((7.77656930e-7f * u + 3.28563698e-4f) * u + 2.58769875e-2f) * u + 4.67143424e-1f) * u + 1.0f;
    return x * p / q;
}

/* The normal distribution, by such a quotient too: 6e-9 off before rounding. */
static inline float normal_cdf(float z) {
    float x = clamped(z, -5.4f, 5.4f), u = x * x;
    float p = ((((2.33868102e-8f * u + 6.36000932e-6f) * u + 1.64320517e-4f) * u + 4.65084410e-3f) * u + 3.33721151e-2f) * u + 3.98942245e-1f;
    float q = ((((1.21659241e-6f * u + 7.23997925e-5f) * u + 1.85897490e-3f) * u + 2.83786221e-2f) * u + 2.50317576e-1f) * u + 1.0f;
    return z < -5.4f ? 0.0f : 0.5f + x * p / q;
}
