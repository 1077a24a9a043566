/* The forward kernels in two steps: layers are packed once, and run as often as one likes.

   take_x counts or carves the room of the layers, pack_x fills it from weights of whatever dtype: norms and factors
   folded in, transposed, and rows paired where the sizes' dtype multiplies pairs. run_x ignores the weights and threads of
   its arguments. */
#pragma once
#include "threads.h"

typedef struct { float_layer project_in[2], channel_in, channel_out; } branches_layers; /* project_in: halves of outputs */

branches_layers take_branches(arena *a, const branches_sizes *g);
void pack_branches(branches_layers to, const branches_weights *w, const branches_sizes *g);
int run_branches(const branches_arguments *a, branches_layers l, crew c);

/* The same for at most ENTER_ROWS pixels, for whoever goes on with them in the cache: c goes to memory, u to rows of padded
   floats. r: where each pixel's mean of c goes, or NULL. */
enum { ENTER_ROWS = 96 };
typedef struct { float *x, *scale, *u, *h, *c; } enter_scratch;

enter_scratch take_enter(arena *a, const branches_sizes *g);
void enter_rows(float *u, float *r, enter_scratch s, const branches_arguments *a, branches_layers l, int64_t first, int64_t rows);

typedef struct { float_layer depthwise, project; } focal_layers; /* project: its outputs lie by taps */

focal_layers take_focal(arena *a, const attention_sizes *g);
void pack_focal(focal_layers to, const focal_weights *w, const attention_sizes *g);
int run_focal(const focal_arguments *a, focal_layers l, crew c);

/* The way into the branches and attention along the width behind it in one pass, line by line; u does not reach memory, and
   `a` has no values. r: of each pixel the mean of c, or NULL. */
int run_enter_focal(const branches_arguments *enter, branches_layers enter_layers, float *r, const focal_arguments *a,
                    focal_layers l, crew c);

/* What is averaged on the way along the height: the exchange's means over a box of pixels of one image. */
typedef struct {
    float *r; /* of each pixel of the image the mean of c */
    int64_t top, left, rows, columns;
    float *means;
} averaging;

int run_focal_means(const focal_arguments *a, focal_layers l, const averaging *of, crew c);

float_layer take_exchange(arena *a, const exchange_sizes *g);
void pack_exchange(float_layer to, const exchange_weights *w, const exchange_sizes *g);
int run_exchange(const exchange_arguments *a, float_layer project_out, crew c);

/* The same for at most MIX_ROWS pixels, for whoever goes on with them in the cache: rows of padded outputs in float32. */
enum { MIX_ROWS = 96 };
typedef struct { float *gates, *z; } mix_scratch;

mix_scratch take_mix(arena *a, const exchange_sizes *g);
void mix_rows(float *out, mix_scratch s, const exchange_arguments *a, float_layer project_out, int64_t first, int64_t rows);

typedef struct { float_layer project_in, depthwise, project_out; } feed_forward_layers;

feed_forward_layers take_feed_forward(arena *a, const feed_forward_sizes *g);
void pack_feed_forward(feed_forward_layers to, const feed_forward_weights *w, const feed_forward_sizes *g);
int run_feed_forward(const feed_forward_arguments *a, feed_forward_layers l, crew c);

/* The exchange and the feed-forward behind it in one pass; what lies between them, `mix`'s result and `a`'s x, does not reach
   memory. */
int run_exchange_feed_forward(const exchange_arguments *mix, float_layer project_out, const feed_forward_arguments *a,
                              feed_forward_layers l, crew c);
