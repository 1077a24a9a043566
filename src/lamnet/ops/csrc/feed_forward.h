/* What the feed-forward's forward and backward share. */
#pragma once
#include "convolve.h"
#include "fold.h"
#include "forward.h"
#include "pixel.h"
#include "strip.h"

enum { LINES = 3, TAPS = LINES * 3, MAX_CHUNKS = 64 };

typedef struct { int64_t channels, hidden; } padded_sizes;

static inline padded_sizes padded_of(const feed_forward_sizes *g) {
    return (padded_sizes){padded(g->channels), padded(g->hidden)};
}

/* Floats of a line of hidden channels as the convolution reads it. */
static inline int64_t line_of(const feed_forward_sizes *g, int64_t pixels) { return rows_over(pixels, g->dtype) * padded(g->hidden); }

/* The convolution's taps over three lines in turn of so many pixels, of which `above` is the upper one. */
static inline stencil stencil_of(const feed_forward_sizes *g, int64_t above, int64_t pixels) {
    stencil t = {LINES, 3, {0}, 1, padded(g->hidden), g->dtype};
    for (int64_t line = 0; line < LINES; line++) t.start[line] = (above + line) % LINES * line_of(g, pixels);
    return t;
}
