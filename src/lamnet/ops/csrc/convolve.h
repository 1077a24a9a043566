/* A line of pixels of a depthwise convolution and the gradient of its weights; offset[k] is where tap k's value stands,
   counted from the pixel's first. */
#pragma once
#include "gemm.h"

static inline __attribute__((always_inline)) void convolve(float *restrict out, const float *restrict x,
        const float *restrict weight, const float *restrict bias, const int64_t *offset, int64_t taps, int64_t pitch,
        const int pixels) {
    for (int64_t c = 0; c < pitch; c += LANES) {
        vec sum[8];
        for (int p = 0; p < pixels; p++) sum[p] = *(const vec *)(bias + c);
        for (int64_t k = 0; k < taps; k++) {
            vec w = *(const vec *)(weight + k * pitch + c);
            for (int p = 0; p < pixels; p++) sum[p] += w * *(const vec *)(x + offset[k] + p * pitch + c);
        }
        for (int p = 0; p < pixels; p++) *(vec *)(out + p * pitch + c) = sum[p];
    }
}

static inline void convolve_line(float *out, const float *x, float_layer l, const int64_t *offset,
        int64_t taps, int64_t pitch, int64_t n) {
    int64_t p = 0;
    for (; p + 8 <= n; p += 8) convolve(out + p * pitch, x + p * pitch, l.weight, l.bias, offset, taps, pitch, 8);
    for (; p + 4 <= n; p += 4) convolve(out + p * pitch, x + p * pitch, l.weight, l.bias, offset, taps, pitch, 4);
    for (; p < n; p++) convolve(out + p * pitch, x + p * pitch, l.weight, l.bias, offset, taps, pitch, 1);
}

static inline __attribute__((always_inline)) void add_products(float *restrict sums, const float *restrict x,
        const float *restrict grad, const int64_t *offset, int64_t n, int64_t pitch, const int taps) {
    for (int64_t c = 0; c < pitch; c += LANES) {
        vec sum[8];
        for (int k = 0; k < taps; k++) sum[k] = *(const vec *)(sums + k * pitch + c);
        for (int64_t p = 0; p < n; p++) {
            vec y = *(const vec *)(grad + p * pitch + c);
            for (int k = 0; k < taps; k++) sum[k] += y * *(const vec *)(x + offset[k] + p * pitch + c);
        }
        for (int k = 0; k < taps; k++) *(vec *)(sums + k * pitch + c) = sum[k];
    }
}

/* Adds a line's part of the gradient to the sums (taps, pitch) and to the bias's. */
static inline void correlate_line(float_layer sums, const float *x, const float *grad, const int64_t *offset, int64_t taps,
                                  int64_t pitch, int64_t n) {
    int64_t k = 0;
    for (; k + 8 <= taps; k += 8) add_products(sums.weight + k * pitch, x, grad, offset + k, n, pitch, 8);
    for (; k + 3 <= taps; k += 3) add_products(sums.weight + k * pitch, x, grad, offset + k, n, pitch, 3);
    for (; k < taps; k++) add_products(sums.weight + k * pitch, x, grad, offset + k, n, pitch, 1);
    add_rows(sums.bias, grad, n, pitch);
}

/* Taps (taps, pitch) in reverse order: those of a convolution's gradient by its input. */
static inline void reverse_taps(float *restrict to, const float *restrict taps, int64_t count, int64_t pitch) {
    for (int64_t k = 0; k < count; k++) load(to + k * pitch, taps + (count - 1 - k) * pitch, pitch, FLOAT32);
}
