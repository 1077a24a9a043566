/* The whole network behind a C interface of its own: made once from its configuration and weights, run as often as one likes.

   A run changes nothing of a network but the memory that it keeps for the next, so several threads may run one at once, and there
   can be several. Results do not depend on the number of threads. An int that is returned is one of `enum lamnet_code`;
   lamnet_message says what it means.
   core/network.py is its face in Python. */
#pragma once
#include "arguments.h"

enum { BYTES = 3 }; /* a dtype of pixels, beside FLOAT32; UINT8 is a name of Windows */

enum lamnet_code {
    LAMNET_DONE,
    LAMNET_NO_MEMORY,
    LAMNET_BAD_CONFIG,   /* a number of the configuration is out of its range */
    LAMNET_BAD_WEIGHTS,  /* there are more or fewer weights than the configuration has */
    LAMNET_TOO_LARGE,    /* a size whose bytes cannot be counted */
    LAMNET_BAD_ARGUMENT, /* a size below 1, a dtype that is none, a block that the network has not */
};

ENTRY const char *lamnet_message(int code);

typedef struct {
    int64_t scale, channels, groups, blocks, heads, hidden; /* blocks: of each group; hidden: channels of a feed-forward's half */
    int64_t dtype;                                          /* of features between layers, and of products: FLOAT32 or BFLOAT16 */
    int64_t taps;
    const int64_t *starts, *lengths; /* of the taps, see arguments.h */
} network_config;

typedef struct network network;

/* weights: all parameters as float32 in the order of core/parameters.py, `count` numbers; they are copied. */
ENTRY int lamnet_network_create(network **to, const network_config *config, const float *weights, int64_t count);
ENTRY void lamnet_network_destroy(network *n);

/* Pixels are (height, width, 3), RGB: float32 with black at 0 and white at 1, or uint8. */
typedef struct {
    int64_t threads, height, width;
    int64_t pixels_dtype, out_dtype;
    const void *pixels;
    void *out;          /* (scale * height, scale * width, 3); float32 is not clamped, uint8 rounded half up */
    const float *means; /* of all blocks, (groups * blocks, 2, channels / 2), to be used instead of the picture's own; or NULL */
    float *own_means;   /* where the picture's own go, of the same shape; or NULL. Not together with means */
} network_run;

ENTRY int lamnet_network_run(const network *n, const network_run *a);

/* Layer by layer, for pictures that are worked on in parts. Features are (height, width, channels) float32. */
typedef struct {
    int64_t threads, height, width;
    int64_t number;                   /* of the block or group, counted through the network */
    const float *x;                   /* what the layer reads */
    const float *means;               /* block: (2, channels / 2) */
    float *out;                       /* features; block_means: (2, channels / 2) */
    int64_t top, left, rows, columns; /* block_means: the pixels to be averaged, of those whose features are given */
} network_layer;

ENTRY int lamnet_network_block_means(const network *n, const network_layer *a);
ENTRY int lamnet_network_block(const network *n, const network_layer *a);
ENTRY int lamnet_network_end_group(const network *n, const network_layer *a); /* out += scale * x */

typedef struct {
    int64_t threads, height, width, pixels_dtype;
    const void *pixels; /* shallow reads them */
    const float *shallow, *deep; /* reconstruct reads both */
    void *out; /* shallow: features; reconstruct: pixels of pixels_dtype */
} network_ends;

ENTRY int lamnet_network_shallow(const network *n, const network_ends *a);
ENTRY int lamnet_network_reconstruct(const network *n, const network_ends *a);
