/* A 3x3 convolution on gemm. In a line of pixels the channels of three neighbours follow each other, so they are one row of
   3 * pitch numbers, and a pixel of the result is the sum of three products, one for each line:

       out[p] = bias + sum over the lines ky of line[ky][p .. p + 2] (3 * pitch) @ weight[ky] (3 * pitch, columns)  */
#pragma once
#include "gemm.h"

typedef struct {
    int64_t inputs, outputs;
    int64_t pitch;     /* numbers of a pixel in a line: the inputs, padded unless they are pixels */
    int64_t dtype;     /* BFLOAT16: lines hold pairs where the processor multiplies them */
    float_layer layer; /* weight (3, 3 * pitch, padded outputs) */
    float *zeros;
} convolution;

static inline int64_t line_floats(const convolution *c, int64_t pixels) {
    return pixels * (c->pitch / together(in_pairs(c->dtype)));
}

static inline void take_convolution(arena *a, convolution *c) {
    c->layer = take_layer(a, 9 * c->pitch, padded(c->outputs));
    c->zeros = take(a, padded(c->outputs));
}

/* weight: (outputs, inputs, 3, 3) and bias, float32; factors of the outputs, or NULL. Output `o` comes to column place[o], or
   to its own where place is NULL. */
static inline void pack_convolution(const convolution *c, const float *weight, const float *bias, const float *factors,
                                    const int64_t *place) {
    int64_t columns = padded(c->outputs);
    for (int64_t o = 0; o < c->outputs; o++) {
        int64_t column = place ? place[o] : o;
        float factor = factors ? factors[o] : 1;
        for (int64_t i = 0; i < c->inputs; i++)
            for (int64_t k = 0; k < 9; k++)
                c->layer.weight[(k * c->pitch + i) * columns + column] = weight[(o * c->inputs + i) * 9 + k] * factor;
        c->layer.bias[column] = bias[o] * factor;
    }
    for (int64_t ky = 0; ky < 3; ky++)
        pair_rows(c->layer.weight + ky * 3 * c->pitch * columns, columns, 3 * c->pitch, c->dtype);
}

/* n pixels of a line from three lines, whose first pixel is the left neighbour of the first. Each line's products are added
   up by themselves: short sums round less. */
static inline void convolve_3x3(float *out, const convolution *c, const float *const line[3], int64_t n) {
    int64_t columns = padded(c->outputs), depth = 3 * c->pitch;
    for (int64_t ky = 0; ky < 3; ky++) {
        rows_of x = {line[ky], line_floats(c, 1), 1, in_pairs(c->dtype)};
        onto_rows before = {ky ? out : NULL, columns, FLOAT32};
        gemm_onto(out, columns, x, c->layer.weight + ky * depth * columns, columns, ky ? c->zeros : c->layer.bias, before, n, depth);
    }
}
