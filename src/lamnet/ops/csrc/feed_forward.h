/* What the feed-forward's forward and backward share: strips of an image, what of a line is inside it, the layers. */
#pragma once
#include "convolve.h"
#include "fold.h"
#include "pixel.h"

enum { ROWS = 32, COLUMNS = 64, TAPS = 9, MAX_CHUNKS = 64 };

typedef struct { int64_t channels, hidden; } padded_sizes;

static inline padded_sizes padded_of(const feed_forward_sizes *g) {
    return (padded_sizes){padded(g->channels), padded(g->hidden)};
}

typedef struct { int64_t batch, top, left, rows, columns; } strip;

static inline int64_t strips_of(const feed_forward_sizes *g) {
    return g->batch * ceil_div(g->height, ROWS) * ceil_div(g->width, COLUMNS);
}

static inline strip strip_of(const feed_forward_sizes *g, int64_t item) {
    int64_t down = ceil_div(g->height, ROWS), across = ceil_div(g->width, COLUMNS);
    strip t = {item / (down * across), item / across % down * ROWS, item % across * COLUMNS, 0, 0};
    t.rows = min(ROWS, g->height - t.top);
    t.columns = min(COLUMNS, g->width - t.left);
    return t;
}

/* What a line with `halo` pixels more on either side holds of the image: n pixels, the first of them at `first` in the line
   and at `pixel` in the image; none where the line lies beyond it. */
typedef struct { int64_t first, n, pixel; } inside;

static inline inside inside_of(const feed_forward_sizes *g, strip t, int64_t y, int64_t halo) {
    int64_t first = max(halo - t.left, 0), last = min(t.columns + 2 * halo, g->width - t.left + halo);
    int is_line = y >= 0 && y < g->height;
    return (inside){first, is_line ? last - first : 0, (t.batch * g->height + y) * g->width + t.left - halo + first};
}

/* Zeros in a line of so many pixels but where it is inside the image. */
static inline void clear_around(float *line, int64_t pixels, inside in, int64_t pitch) {
    memset(line, 0, (size_t)(in.first * pitch) * sizeof(float));
    memset(line + (in.first + in.n) * pitch, 0, (size_t)((pixels - in.first - in.n) * pitch) * sizeof(float));
}

typedef struct { float_layer project_in, depthwise, project_out; } float_layers;

static inline float_layers take_layers(arena *a, padded_sizes p) {
    float_layers l;
    l.project_in = take_layer(a, p.channels, p.hidden);
    l.depthwise = take_layer(a, TAPS, p.hidden);
    l.project_out = take_layer(a, p.hidden, p.channels);
    return l;
}
