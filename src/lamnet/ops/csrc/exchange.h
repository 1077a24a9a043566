/* What the exchange's forward and backward share: how images are cut into parts, the gates, sums that are means. */
#pragma once
#include "fold.h"
#include "forward.h"
#include "pixel.h"

enum { MIN_CHUNK = 512, MAX_CHUNKS = 64, TILE = MIX_ROWS }; /* pixels, parts of an image, pixels */

typedef struct { int64_t inputs, outputs; } padded_sizes; /* of the 1x1 */

static inline padded_sizes padded_of(const exchange_sizes *g) {
    return (padded_sizes){padded(2 * g->channels), padded(g->outputs)};
}

typedef struct { int64_t pixels, chunks; } cut; /* of an image: pixels of a part, parts */

static inline cut cut_of(const exchange_sizes *g) {
    int64_t pixels = ceil_div(g->pixels, MAX_CHUNKS) + MIN_CHUNK;
    return (cut){pixels, ceil_div(g->pixels, pixels)};
}

typedef struct { int64_t batch, first, last; } part; /* pixels counted over all images */

static inline part part_of(const exchange_sizes *g, int64_t item) {
    cut c = cut_of(g);
    int64_t batch = item / c.chunks, from = item % c.chunks * c.pixels, before = batch * g->pixels;
    return (part){batch, before + from, before + min(from + c.pixels, g->pixels)};
}

static inline int64_t parts_of(const exchange_sizes *g) { return g->batch * cut_of(g).chunks; }

static inline void load_pixel(float *c, float *s, const void *all_c, const void *all_s, int64_t pixel,
                              const exchange_sizes *g) {
    load(c, at(all_c, pixel * g->channels, g->dtype), g->channels, g->dtype);
    load(s, at(all_s, pixel * g->channels, g->dtype), g->channels, g->dtype);
}

/* The gates: one for each channel of s, from the means; and that of a pixel for its c, `open`. */

static inline void channel_gates(float *gates, const float *means, int64_t n) {
    for (int64_t i = 0; i < n; i++) gates[i] = sigmoid(means[n + i]);
}

static inline void apply_gates(float *restrict out, const float *restrict gates, float open, int64_t n) {
    for (int64_t i = 0; i < n; i++) out[i] *= open, out[n + i] *= gates[i];
}

/* The exchanged pixels from `first` on, at most TILE, and how far each is open; step by step, so that the sigmoids are vector
   code. */
static inline void exchange_rows(float *out, int64_t pitch, float *open, const float *gates, const float *means, const void *c,
                                 const void *s, int64_t first, int64_t rows, const exchange_sizes *g) {
    int64_t n = g->channels;
    for (int64_t r = 0; r < rows; r++) {
        load_pixel(out + r * pitch, out + r * pitch + n, c, s, first + r, g);
        prefetch(at(c, (first + r + AHEAD) * n, g->dtype), n, g->dtype);
        prefetch(at(s, (first + r + AHEAD) * n, g->dtype), n, g->dtype);
        open[r] = dot(out + r * pitch, means, n) / (float)n;
    }
    for (int64_t r = 0; r < rows; r++) open[r] = sigmoid(open[r]);
    for (int64_t r = 0; r < rows; r++) apply_gates(out + r * pitch, gates, open[r], n);
}

/* to (batch, 2, channels) = scale * the sums of an image's parts, where those of the means stand first, plus `extra`. */
static inline void sum_means(float *to, const float *extra, const partial_sums *sums, float scale,
                             const exchange_sizes *g) {
    int64_t n = 2 * g->channels, chunks = cut_of(g).chunks;
    for (int64_t b = 0; b < g->batch; b++)
        for (int64_t i = 0; i < n; i++) {
            float sum = 0;
            for (int64_t c = 0; c < chunks; c++) sum += chunk_of(sums, b * chunks + c).base[i];
            to[b * n + i] = sum * scale + (extra ? extra[b * n + i] : 0);
        }
}
