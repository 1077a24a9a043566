/* How a 3x3 convolution walks over images: strips of columns run down with three lines in the cache, and what they hold
   beyond the image is zero. */
#pragma once
#include "common.h"

enum { LOW = 32, COLUMNS = 80 };

typedef struct { int64_t batch, top, left, rows, columns; } strip;

/* How images of one size are cut: into so many down and across, which but for the last ones have so many rows and columns. */
typedef struct { int64_t height, width, rows, columns, down, across, count; } strips;

/* Into about as many as are wanted of all images. The lines around a strip are computed twice, so it is as tall as that allows, and
   not lower than LOW. No pixel depends on it, only sums over the pixels of a strip do. */
static inline strips cut_into_strips(int64_t batch, int64_t height, int64_t width, int64_t wanted) {
    strips s = {.height = height, .width = width, .across = ceil_div(width, COLUMNS)};
    int64_t most = min(ceil_div(wanted, max(batch * s.across, 1)), ceil_div(height, LOW));
    s.rows = max(ceil_div(height, max(most, 1)), 1);
    s.columns = ceil_div(width, max(s.across, 1));
    s.down = ceil_div(height, s.rows);
    s.count = batch * s.down * s.across;
    return s;
}

/* So many a thread that none waits long for the others. */
static inline int64_t strips_for(int64_t threads) { return threads == 1 ? 1 : 6 * threads; }

static inline strip strip_of(strips s, int64_t item) {
    strip t = {item / (s.down * s.across), item / s.across % s.down * s.rows, item % s.across * s.columns, 0, 0};
    t.rows = min(s.rows, s.height - t.top);
    t.columns = min(s.columns, s.width - t.left);
    return t;
}

/* What a line with `halo` pixels more on either side holds of the image: n pixels, the first of them at `first` in the line
   and at `pixel` in the image; none where the line lies beyond it. */
typedef struct { int64_t first, n, pixel; } inside;

static inline inside inside_of(int64_t height, int64_t width, strip t, int64_t y, int64_t halo) {
    int64_t first = max(halo - t.left, 0), last = min(t.columns + 2 * halo, width - t.left + halo);
    int is_line = y >= 0 && y < height;
    return (inside){first, is_line ? last - first : 0, (t.batch * height + y) * width + t.left - halo + first};
}

/* Zeros in a line of so many pixels but where it is inside the image. */
static inline void clear_around(float *line, int64_t pixels, inside in, int64_t pitch) {
    memset(line, 0, (size_t)(in.first * pitch) * sizeof(float));
    memset(line + (in.first + in.n) * pitch, 0, (size_t)((pixels - in.first - in.n) * pitch) * sizeof(float));
}
