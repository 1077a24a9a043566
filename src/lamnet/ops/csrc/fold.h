/* What is folded into a 1x1 convolution before it runs, and taken apart again in its gradients: the gain and offset of a
   norm in front of it, or factors of its outputs. Weights are `rows` outputs of `columns` inputs as stored; in floats
   they lie (columns, pitch) as gemm takes them, with the bias beside them. */
#pragma once
#include "gemm.h"

static inline float number(const void *tensor, int64_t index, int64_t dtype) {
    float value;
    load(&value, at(tensor, index, dtype), 1, dtype);
    return value;
}

static inline void fold_norm(float *w, float *bias, int64_t pitch, const void *gain, const void *offset, int64_t rows,
                             int64_t columns, int64_t dtype) {
    for (int64_t c = 0; c < columns; c++) {
        float by = number(gain, c, dtype), plus = number(offset, c, dtype);
        for (int64_t r = 0; r < rows; r++) bias[r] += w[c * pitch + r] * plus, w[c * pitch + r] *= by;
    }
}

static inline void fold_factors(float *w, float *bias, int64_t pitch, const void *factors, int64_t rows, int64_t columns,
                                int64_t dtype) {
    for (int64_t r = 0; r < rows; r++) {
        float by = number(factors, r, dtype);
        for (int64_t c = 0; c < columns; c++) w[c * pitch + r] *= by;
        bias[r] *= by;
    }
}

/* The gradient of a weight that a norm was folded into, in place; those of gain and offset are added to. */
static inline void unfold_norm(float *grad, const float *grad_bias, int64_t pitch, float *grad_gain, float *grad_offset,
                               const void *weight, const void *gain, const void *offset, int64_t rows, int64_t columns,
                               int64_t dtype) {
    for (int64_t c = 0; c < columns; c++) {
        float by = number(gain, c, dtype), plus = number(offset, c, dtype);
        for (int64_t r = 0; r < rows; r++) {
            float w = number(weight, r * columns + c, dtype), *g = grad + c * pitch + r;
            grad_gain[c] += *g * w;
            grad_offset[c] += grad_bias[r] * w;
            *g = *g * by + grad_bias[r] * plus;
        }
    }
}

/* The gradients of a weight and a bias that factors were folded into, in place, and those of the factors. */
static inline void unfold_factors(float *grad, float *grad_bias, int64_t pitch, float *grad_factors, const void *weight,
                                  const void *bias, const void *factors, int64_t rows, int64_t columns, int64_t dtype) {
    for (int64_t r = 0; r < rows; r++) {
        float by = number(factors, r, dtype), sum = grad_bias[r] * number(bias, r, dtype);
        for (int64_t c = 0; c < columns; c++) {
            sum += grad[c * pitch + r] * number(weight, r * columns + c, dtype);
            grad[c * pitch + r] *= by;
        }
        grad_factors[r] = sum;
        grad_bias[r] *= by;
    }
}

/* Of rows as they are stored, each column or each row times its factor. */
static inline void scale_columns(float *w, const void *factors, int64_t rows, int64_t columns, int64_t pitch, int64_t dtype) {
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < columns; c++) w[r * pitch + c] *= number(factors, c, dtype);
}

static inline void scale_rows(float *w, const void *factors, int64_t rows, int64_t columns, int64_t pitch, int64_t dtype) {
    for (int64_t r = 0; r < rows; r++) {
        float by = number(factors, r, dtype);
        for (int64_t c = 0; c < columns; c++) w[r * pitch + c] *= by;
    }
}
