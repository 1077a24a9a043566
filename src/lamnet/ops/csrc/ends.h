/* The network's two ends: features from pixels, and pixels from features.

       shallow = head(x - average_colour)
       fused   = scale * fuse(deep) + shallow
       out     = pixel_shuffle(tail(fused)) + average_colour

   Three 3x3 convolutions, strip by strip. Features are (height, width, channels) in the network's dtype. Pixels are
   (height, width, 3) RGB, float32 with white at 1 or uint8; the result's are not clamped in float32, else rounded half up. */
#pragma once
#include "convolution.h"
#include "network.h"
#include "threads.h"

typedef struct {
    int64_t channels, scale, dtype;
    convolution head, fuse, tail;
} ends;

/* Weights as PyTorch stores them, float32; scale: factors of fuse's outputs. */
typedef struct { const float *head, *head_bias, *fuse, *fuse_bias, *fuse_scale, *tail, *tail_bias; } ends_weights;

ends ends_of(int64_t channels, int64_t scale, int64_t dtype);
void take_ends(arena *a, ends *e);
void pack_ends(const ends *e, const ends_weights *w);

typedef struct { int64_t height, width; crew crew; } picture;

/* Return 0, or 1 where there is no memory. */
int run_shallow(const ends *e, picture p, const void *pixels, int64_t pixels_dtype, void *features);
int run_fuse(const ends *e, picture p, const void *deep, const void *shallow, void *fused);
int run_tail(const ends *e, picture p, const void *fused, void *out, int64_t out_dtype);
