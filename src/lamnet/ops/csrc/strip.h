/* How a 3x3 convolution walks over images: strips of columns run down with three lines in the cache, and what they hold
   beyond the image is zero. */
#pragma once
#include "common.h"

/* The pixels around a strip are computed twice, so it is tall unless an image has few of them: threads have to share them. */
enum { TALL = 64, LOW = 32, COLUMNS = 80, FEW = 8 };

typedef struct { int64_t batch, top, left, rows, columns; } strip;

/* Of one image. */
typedef struct { int64_t down, across; } strips;

static inline strips cut_into_strips(int64_t height, int64_t width) {
    strips s = {ceil_div(height, TALL), ceil_div(width, COLUMNS)};
    if (s.down * s.across < FEW) s.down = ceil_div(height, LOW);
    return s;
}

static inline int64_t strips_of(int64_t height, int64_t width) {
    strips s = cut_into_strips(height, width);
    return s.down * s.across;
}

static inline strip strip_of(int64_t height, int64_t width, int64_t item) {
    strips s = cut_into_strips(height, width);
    int64_t rows = ceil_div(height, s.down), columns = ceil_div(width, s.across);
    strip t = {item / (s.down * s.across), item / s.across % s.down * rows, item % s.across * columns, 0, 0};
    t.rows = min(rows, height - t.top);
    t.columns = min(columns, width - t.left);
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
