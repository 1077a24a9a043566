/* What the feed-forward's forward and backward share. */
#pragma once
#include "convolve.h"
#include "fold.h"
#include "forward.h"
#include "pixel.h"
#include "strip.h"

enum { TAPS = 9, MAX_CHUNKS = 64 };

typedef struct { int64_t channels, hidden; } padded_sizes;

static inline padded_sizes padded_of(const feed_forward_sizes *g) {
    return (padded_sizes){padded(g->channels), padded(g->hidden)};
}

/* Of all images. */
static inline int64_t all_strips_of(const feed_forward_sizes *g) { return g->batch * strips_of(g->height, g->width); }
