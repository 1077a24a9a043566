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

/* Of c and s in so many vectors, read where they are: how far pixels are open, of four at a time, then what the gates let pass. */

static inline __attribute__((always_inline)) void mean_products(float *open, const float *means, const void *c, const void *s,
        int64_t dtype, int64_t rows, const int vectors) {
    int64_t n = vectors * LANES;
    for (int64_t r = 0; r < rows; r += 4) {
        vec sum[4] = {0};
        prefetch(at(c, (r + AHEAD) * n, dtype), 4 * n, dtype);
        prefetch(at(s, (r + AHEAD) * n, dtype), 4 * n, dtype);
        for (int64_t i = 0; i < 4; i++)
            for (int v = 0; v < vectors; v++)
                sum[i] += load_vector(at(c, min(r + i, rows - 1) * n + v * LANES, dtype), dtype) * *(const vec *)(means + v * LANES);
        vec mean = sums_of_four(sum) / (float)n;
        for (int64_t i = 0; i < 4 && r + i < rows; i++) open[r + i] = mean[i];
    }
}

static inline __attribute__((always_inline)) void gated_rows(float *out, int64_t pitch, const float *open, const float *gates,
        const void *c, const void *s, int64_t dtype, int64_t rows, const int vectors, const int pairs) {
    int64_t n = vectors * LANES;
    for (int64_t r = 0; r < rows; r++) {
        vec gated[4], *to = (vec *)(out + r * pitch);
        for (int v = 0; v < vectors; v++) {
            gated[v] = load_vector(at(c, r * n + v * LANES, dtype), dtype) * open[r];
            gated[vectors + v] = load_vector(at(s, r * n + v * LANES, dtype), dtype) * *(const vec *)(gates + v * LANES);
        }
        for (int v = 0; v < 2 * vectors; v += together(pairs)) to[v / together(pairs)] = pairs ? pairs_in_turn(gated[v], gated[v + 1]) : gated[v];
    }
}

static inline __attribute__((always_inline)) void exchange_vectors(float *out, int64_t pitch, float *open, const float *gates,
        const float *means, const void *c, const void *s, int64_t dtype, int64_t rows, const int vectors, const int pairs) {
    mean_products(open, means, c, s, dtype, rows, vectors);
    for (int64_t r = 0; r < rows; r++) open[r] = sigmoid(open[r]);
    gated_rows(out, pitch, open, gates, c, s, dtype, rows, vectors, pairs);
}

/* The exchanged pixels from `first` on, at most TILE, as numbers or as an `operand` of pairs, and how far each is open; step by step,
   so that the sigmoids are vector code. */
static inline void exchange_rows(float *out, int64_t pitch, float *open, const float *gates, const float *means, const void *c,
                                 const void *s, int64_t first, int64_t rows, const exchange_sizes *g, int pairs) {
    int64_t n = g->channels, dtype = g->dtype;
    c = at(c, first * n, dtype), s = at(s, first * n, dtype);
    int vectors = dtype == FLOAT16 ? 0 : n == LANES ? 1 : n == 2 * LANES ? 2 : 0;
    if (vectors == 1 && pairs) return exchange_vectors(out, pitch, open, gates, means, c, s, dtype, rows, 1, 1);
    if (vectors == 1) return exchange_vectors(out, pitch, open, gates, means, c, s, dtype, rows, 1, 0);
    if (vectors == 2 && pairs) return exchange_vectors(out, pitch, open, gates, means, c, s, dtype, rows, 2, 1);
    if (vectors == 2) return exchange_vectors(out, pitch, open, gates, means, c, s, dtype, rows, 2, 0);
    for (int64_t r = 0; r < rows; r++) {
        load_pixel(out + r * pitch, out + r * pitch + n, c, s, r, g);
        open[r] = dot(out + r * pitch, means, n) / (float)n;
    }
    for (int64_t r = 0; r < rows; r++) open[r] = sigmoid(open[r]);
    for (int64_t r = 0; r < rows; r++) apply_gates(out + r * pitch, gates, open[r], n);
    if (pairs) operand(out, rows, pitch, BFLOAT16);
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
