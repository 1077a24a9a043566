/* What a network consists of, and the sizes of its kernels. */
#pragma once
#include "ends.h"
#include "forward.h"
#include "network.h"
#include <stddef.h>

typedef struct {
    branches_layers branches;
    focal_layers across, down;
    float_layer exchange;
    feed_forward_layers feed_forward;
} block_layers;

/* Memory of a run begins with this; images begin at a cache line. */
typedef struct { size_t bytes; char apart[64 - sizeof(size_t)]; } workspace;

struct network {
    network_config config;
    tap_window window;
    int64_t *taps; /* what the window points to */
    arena memory;  /* of the layers */
    ends ends;
    block_layers *blocks;
    float *group_scales; /* (groups, channels) */
    workspace *spare;    /* of the run before, or NULL; see network_run.c */
};

static inline int64_t half_of(const network *n) { return n->config.channels / 2; }
static inline int64_t narrow_of(const network *n) { return half_of(n) / 2; }
static inline int64_t blocks_of(const network *n) { return n->config.groups * n->config.blocks; }

/* Sizes for the kernels; those of a picture are of no account while layers are packed. */

static inline branches_sizes branches_of(const network *n, int64_t pixels) {
    return (branches_sizes){1, n->config.dtype, pixels, n->config.channels, half_of(n), narrow_of(n)};
}

static inline attention_sizes attention_of(const network *n, int64_t axis, int64_t across, int64_t step) {
    return (attention_sizes){1, n->config.dtype, 1, axis, across, half_of(n), n->config.heads, step, n->window};
}

static inline exchange_sizes exchange_of(const network *n, int64_t pixels) {
    return (exchange_sizes){1, n->config.dtype, 1, pixels, half_of(n), n->config.channels};
}

static inline feed_forward_sizes feed_forward_of(const network *n, int64_t height, int64_t width) {
    return (feed_forward_sizes){1, n->config.dtype, 1, height, width, n->config.channels, 2 * n->config.hidden};
}
