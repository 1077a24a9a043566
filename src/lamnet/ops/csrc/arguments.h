/* What Python hands to the entries of the library: one struct of named sizes and addresses for each.

   ops/arguments.py declares the same structs, field by field; when it loads the library, it compares their sizes by
   lamnet_size_of. A field is an int64, an address or a struct of those, so nothing is padded.

   Images and their gradients are (batch, height, width, channels), contiguous unless they are `strided`, and of the sizes'
   dtype; means are float32. Weights and their gradients have a dtype of their own, one for all of a kernel, and are stored as
   PyTorch does: (outputs, inputs), (channels, 1, taps).
   Every entry returns 0, or 1 where there was no memory for its scratch. */
#pragma once
#include <stdint.h>

#define ENTRY __attribute__((visibility("default"))) /* all else is hidden, see setup.py */

enum { FLOAT32, BFLOAT16, FLOAT16 }; /* dtype; native.DTYPES in Python */

typedef struct { void *weight, *bias; } layer; /* of a norm, a 1x1 or a depthwise convolution; or their gradients */

/* An image seen along an axis: strides in elements from pixel to pixel; the channels of a pixel follow each other. */
typedef struct { const void *data; int64_t batch, along, across; } strided;

typedef struct {
    int64_t taps, tables, reach;  /* tables: how many lengths there are; reach: pixels that the taps span to either side */
    const int64_t *starts, *table; /* of each tap: its first pixel, counted from the centre, and which length it has */
    const int64_t *lengths;       /* of each table */
} tap_window;

/* Into the two branches of the mixer: u = project_in(norm(x)); c = channel_out(relu(channel_in(u's first half))). */

typedef struct { int64_t threads, dtype, pixels, channels, half, narrow; } branches_sizes; /* narrow: what relu sees */
typedef struct { int64_t dtype; layer norm, project_in, channel_in, channel_out; } branches_weights;

typedef struct {
    branches_sizes sizes;
    branches_weights weights;
    const void *x;
    void *c, *u; /* u: its second half */
} branches_arguments;

typedef struct {
    branches_sizes sizes;
    branches_weights weights, grads;
    const void *grad_c, *grad_u, *grad_residual, *x; /* grad_residual: what reaches x around all this */
    void *grad_x;
} branches_backward_arguments;

ENTRY int lamnet_branches(const branches_arguments *a);
ENTRY int lamnet_branches_backward(const branches_backward_arguments *a);

/* Attention along an axis. step: pixels from one to the next along the axis in a contiguous image. */

typedef struct {
    int64_t threads, dtype, batch, axis, across, channels, heads, step;
    tap_window window;
} attention_sizes;

/* FSA by weights that are given (head, tap), or by their tanh where they are logits. */

typedef struct {
    attention_sizes sizes;
    strided value, weight;
    int64_t logits;
    void *out;
} fsa_arguments;

typedef struct {
    attention_sizes sizes;
    strided grad, value, weight;
    int64_t logits;
    void *grad_value, *grad_weight;
} fsa_backward_arguments;

ENTRY int lamnet_fsa(const fsa_arguments *a);
ENTRY int lamnet_fsa_backward(const fsa_backward_arguments *a);

/* Focal attention, FSA by weights tanh(project(depthwise(value))). */

typedef struct { int64_t dtype; layer depthwise, project; } focal_weights;

typedef struct {
    attention_sizes sizes;
    focal_weights weights;
    strided value;
    void *out, *gates; /* gates: the weights after tanh (tap, head), for the backward; or NULL */
} focal_arguments;

typedef struct {
    attention_sizes sizes;
    focal_weights weights, grads;
    strided grad, value;
    const void *gates;
    void *grad_value;
} focal_backward_arguments;

ENTRY int lamnet_focal(const focal_arguments *a);
ENTRY int lamnet_focal_backward(const focal_backward_arguments *a);

/* The exchange between the branches c and s by means over all pixels, and the 1x1 behind it, added to a residual. */

typedef struct { int64_t threads, dtype, batch, pixels, channels, outputs; } exchange_sizes; /* pixels: of one image */
typedef struct { int64_t dtype; layer project_out; void *scale; } exchange_weights;

typedef struct {
    exchange_sizes sizes;
    const void *c, *s;
    float *means; /* (batch, 2, channels) */
} exchange_means_arguments;

typedef struct {
    exchange_sizes sizes;
    exchange_weights weights;
    const void *c, *s, *residual;
    const float *means;
    void *out;
} exchange_arguments;

typedef struct {
    exchange_sizes sizes;
    exchange_weights weights, grads;
    const void *grad, *c, *s;
    const float *means, *grad_extra; /* grad_extra: added to the gradient of the means; or NULL */
    int64_t own_means;               /* whether they are the image's own, so that their gradient goes on to c and s */
    void *grad_c, *grad_s;
    float *grad_means;
} exchange_backward_arguments;

ENTRY int lamnet_exchange_means(const exchange_means_arguments *a);
ENTRY int lamnet_exchange(const exchange_arguments *a);
ENTRY int lamnet_exchange_backward(const exchange_backward_arguments *a);

/* The feed-forward: x + scale * project_out(gate(depthwise(project_in(norm(x))))). */

typedef struct { int64_t threads, dtype, batch, height, width, channels, hidden; } feed_forward_sizes; /* hidden: both halves */
typedef struct { int64_t dtype; layer norm, project_in, depthwise, project_out; void *scale; } feed_forward_weights;

typedef struct {
    feed_forward_sizes sizes;
    feed_forward_weights weights;
    const void *x;
    void *out, *hidden; /* hidden: behind project_in, for the backward; or NULL */
} feed_forward_arguments;

typedef struct {
    feed_forward_sizes sizes;
    feed_forward_weights weights, grads;
    const void *grad, *x, *hidden;
    void *grad_x;
} feed_forward_backward_arguments;

ENTRY int lamnet_feed_forward(const feed_forward_arguments *a);
ENTRY int lamnet_feed_forward_backward(const feed_forward_backward_arguments *a);

/* A residual, x + scale * y, around blocks. */

typedef struct { int64_t threads, dtype, pixels, channels; } residual_sizes;

typedef struct {
    residual_sizes sizes;
    const void *x, *y;
    const float *scale;
    void *out;
} residual_arguments;

typedef struct {
    residual_sizes sizes;
    const void *grad, *y;
    const float *scale;
    void *grad_y;
    float *grad_scale;
} residual_backward_arguments;

ENTRY int lamnet_residual(const residual_arguments *a);
ENTRY int lamnet_residual_backward(const residual_backward_arguments *a);

/* The best build that this processor and its system run: its place among the processor's LEVELS in core/builds.py, where 0 is the
   plain one. To be asked of that, which every processor runs. */
ENTRY int lamnet_level(void);

/* The size of the struct of that name, or 0 where there is none. */
ENTRY int64_t lamnet_size_of(const char *name);

/* Hands over GOMP_parallel, or NULL: then work is shared by threads of our own, see threads.h. */
ENTRY void lamnet_set_pool(void *gomp_parallel);
