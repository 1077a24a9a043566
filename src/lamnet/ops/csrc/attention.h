/* What focal separable attention does in one tile, forward and backward, along either axis of channels-last images.

   A tile is `rows` pixels along the axis by a few across it. Its values are copied into scratch with zeros beyond the
   image and the window's reach on both sides, once for each distinct tap length, as running means of that length. In
   scratch a pixel's weights lie tap by tap, the heads of a tap side by side. */
#pragma once
#include "fours.h"
#include "gemm.h"

static inline int64_t gates_of(const attention_sizes *g) { return g->heads * g->window.taps; }
static inline int64_t span_of(const attention_sizes *g) { return 2 * g->window.reach + 1; }

/* Where weight (head, tap) as stored stands among (tap, head). */
static inline int64_t by_taps(const attention_sizes *g, int64_t gate) {
    return gate % g->window.taps * g->heads + gate / g->window.taps;
}

typedef struct { int64_t rows, width, count; } tiling; /* the largest tile; how many there are */
typedef struct { int64_t batch, first, rows, across, width; } tile;

tiling tiling_of(const attention_sizes *g, strided value);
tile tile_of(const attention_sizes *g, tiling all, int64_t item);

/* Which element of a contiguous image is the first channel of a tile's pixel. */
static inline int64_t element_of(const attention_sizes *g, tile t, int64_t row, int64_t x, int64_t channels) {
    int64_t across = g->step == 1 ? g->axis : 1;
    return (t.batch * g->axis * g->across + (t.first + row) * g->step + (t.across + x) * across) * channels;
}

/* Floats of the values of a tile of so many rows, the window's reach included. */
static inline int64_t plane_of(const attention_sizes *g, int64_t rows, int64_t width) {
    return (rows + 2 * g->window.reach) * width * padded(g->channels);
}

/* Rows first-halo .. first+rows+halo of a tile as float32 (row, across, `pitch`), zeros outside the image and behind the
   channels. */
void gather(float *to, strided from, const attention_sizes *g, tile t, int64_t halo, int64_t channels, int64_t pitch);

/* A tile's pixels, `pitch` floats apart, into a contiguous image of `channels`. */
void scatter(void *to, const float *from, int64_t pitch, const attention_sizes *g, tile t, int64_t channels);

/* tables[i][r] = mean of `lengths[i]` rows of the tile from r, but for lengths of one: that table is the tile itself, `plain`. */
void fill_means(float *tables, const float *plain, const attention_sizes *g, tile t);

/* The tile's results from its values, means and weights, `pitch` from one pixel's to the next; pixel: scratch for one. */
void attend(void *out, const attention_sizes *g, tile t, const float *plain, const float *tables, const float *weight,
            int64_t pitch, float *pixel);

/* The gradient of each pixel's weights, `pitch` apart, of which padded(gates) are written; with `slopes`, what comes before
   the tanh that gave `weight`. grad and weight have the window's reach around them. */
void correlate(float *out, int64_t pitch, const attention_sizes *g, tile t, const float *plain, const float *tables,
               const float *grad, const float *weight, int slopes);

/* The values' gradient, on top of what `sums` holds; means: scratch of one table. */
void grad_value_tile(void *grad_value, const attention_sizes *g, tile t, const float *grad, const float *weight,
                     float *restrict means, float *restrict sums);
