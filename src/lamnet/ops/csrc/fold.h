/* What is folded into a 1x1 convolution before it runs, and taken apart again in its gradients: the gain and offset of a
   norm in front of it, or factors of its outputs. A stored layer has `rows` outputs of `columns` inputs; in floats it lies
   (columns, pitch) as gemm takes it. */
#pragma once
#include "gemm.h"

static inline float number(const void *tensor, int64_t index, int64_t dtype) {
    float value;
    load(&value, at(tensor, index, dtype), 1, dtype);
    return value;
}

static inline void fold_norm(float_layer l, int64_t pitch, layer norm, int64_t rows, int64_t columns, int64_t dtype) {
    for (int64_t c = 0; c < columns; c++) {
        float gain = number(norm.weight, c, dtype), offset = number(norm.bias, c, dtype), *w = l.weight + c * pitch;
        for (int64_t r = 0; r < rows; r++) l.bias[r] += w[r] * offset, w[r] *= gain;
    }
}

static inline void fold_factors(float_layer l, int64_t pitch, const void *factors, int64_t rows, int64_t columns, int64_t dtype) {
    for (int64_t r = 0; r < rows; r++) {
        float factor = number(factors, r, dtype);
        for (int64_t c = 0; c < columns; c++) l.weight[c * pitch + r] *= factor;
        l.bias[r] *= factor;
    }
}

/* The gradients of a layer that a norm was folded into, in place; those of the norm are added to. */
static inline void unfold_norm(float_layer grad, int64_t pitch, float_layer grad_norm, layer stored, layer norm, int64_t rows,
                               int64_t columns, int64_t dtype) {
    for (int64_t c = 0; c < columns; c++) {
        float gain = number(norm.weight, c, dtype), offset = number(norm.bias, c, dtype);
        for (int64_t r = 0; r < rows; r++) {
            float w = number(stored.weight, r * columns + c, dtype), *g = grad.weight + c * pitch + r;
            grad_norm.weight[c] += *g * w;
            grad_norm.bias[c] += grad.bias[r] * w;
            *g = *g * gain + grad.bias[r] * offset;
        }
    }
}

/* The gradients of a layer that factors were folded into, in place, and those of the factors. */
static inline void unfold_factors(float_layer grad, int64_t pitch, float *grad_factors, layer stored, const void *factors,
                                  int64_t rows, int64_t columns, int64_t dtype) {
    for (int64_t r = 0; r < rows; r++) {
        float factor = number(factors, r, dtype), sum = grad.bias[r] * number(stored.bias, r, dtype);
        for (int64_t c = 0; c < columns; c++) {
            sum += grad.weight[c * pitch + r] * number(stored.weight, r * columns + c, dtype);
            grad.weight[c * pitch + r] *= factor;
        }
        grad_factors[r] = sum;
        grad.bias[r] *= factor;
    }
}

/* Of rows as they are stored, each column or each row times its factor. */
static inline void scale_columns(float *w, const void *factors, int64_t rows, int64_t columns, int64_t pitch, int64_t dtype) {
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < columns; c++) w[r * pitch + c] *= number(factors, c, dtype);
}

static inline void scale_rows(float *w, const void *factors, int64_t rows, int64_t columns, int64_t pitch, int64_t dtype) {
    for (int64_t r = 0; r < rows; r++) {
        float factor = number(factors, r, dtype);
        for (int64_t c = 0; c < columns; c++) w[r * pitch + c] *= factor;
    }
}
