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

static inline float hyperbolic_tangent(float x) {
    float e = exp_minus_1(-2.0f * __builtin_fabsf(x)); /* in (-1, 0] */
    return __builtin_copysignf(-e / (2.0f + e), x);
}
