#include "layers.h"
#include "pixel.h"
#include "system.h"
#include <stdlib.h>

static int64_t pixels_of(picture p) { return p.height * p.width; }
static int64_t features_of(const network *n, picture p) { return pixels_of(p) * n->config.channels; } /* numbers */

/* Whether `images` of the features, and the result, have a number of bytes. */
static int is_countable(const network *n, picture p, int64_t images) {
    int64_t pixels, features, square = n->config.scale * n->config.scale;
    return !__builtin_mul_overflow(p.height, p.width, &pixels) &&
           !__builtin_mul_overflow(pixels, max(n->config.channels, 3 * square), &features) &&
           features < INT64_MAX / (4 * max(images, 1) + 64);
}

/* own: which means are to be made, or NULL. Its r is filled, too. */
static void fill_branches(const network *n, const block_layers *b, picture p, const void *x, void *c, void *across, void *s,
                          const averaging *own, int *failed) {
    int64_t half = half_of(n), pixels = pixels_of(p), row = p.width * half;
    branches_arguments enter = {.sizes = branches_of(n, pixels), .x = x, .c = c};
    focal_arguments horizontal = {.sizes = attention_of(n, p.width, p.height, 1), .value = {NULL, pixels * half, half, row},
                                  .out = across};
    focal_arguments vertical = {.sizes = attention_of(n, p.height, p.width, p.width),
                                .value = {across, pixels * half, row, half}, .out = s};
    *failed |= run_enter_focal(&enter, b->branches, own ? own->r : NULL, &horizontal, b->across, p.crew);
    *failed |= own ? run_focal_means(&vertical, b->down, own, p.crew) : run_focal(&vertical, b->down, p.crew);
}

/* x behind a block; `room` and `out` have room for what lies between. own: NULL where means are given. */
static void fill_block(const network *n, const block_layers *b, picture p, const void *x, const float *means,
                       const averaging *own, void *room, void *out, int *failed) {
    int64_t half = pixels_of(p) * half_of(n);
    void *c = room, *s = at(room, half, n->config.dtype);
    fill_branches(n, b, p, x, c, out, s, own, failed);
    exchange_arguments mix = {.sizes = exchange_of(n, pixels_of(p)), .c = c, .s = s, .residual = x,
                              .means = own ? own->means : means};
    feed_forward_arguments last = {.sizes = feed_forward_of(n, p.height, p.width), .out = out};
    *failed |= run_exchange_feed_forward(&mix, b->exchange, &last, b->feed_forward, p.crew);
}

/* The end of a group: out = x + scale * y. */

typedef struct { const void *x, *y; void *out; const float *scale; int64_t channels, pixels, dtype; } group_end;

enum { CHUNK = 1024 }; /* pixels */

static void end_group_chunk(const void *argument, int64_t item, arena scratch) {
    const group_end *j = argument;
    float *x = take(&scratch, j->channels), *y = take(&scratch, j->channels);
    for (int64_t pixel = item * CHUNK; pixel < min((item + 1) * CHUNK, j->pixels); pixel++) {
        load(x, at(j->x, pixel * j->channels, j->dtype), j->channels, j->dtype);
        load(y, at(j->y, pixel * j->channels, j->dtype), j->channels, j->dtype);
        for (int64_t c = 0; c < j->channels; c++) x[c] += j->scale[c] * y[c];
        store(at(j->out, pixel * j->channels, j->dtype), x, j->channels, j->dtype);
    }
}

static void fill_group_end(const network *n, int64_t group, picture p, const void *x, const void *y, void *out, int *failed) {
    group_end j = {x, y, out, n->group_scales + group * n->config.channels, n->config.channels, pixels_of(p), n->config.dtype};
    arena scratch = {0};
    take(&scratch, j.channels), take(&scratch, j.channels);
    *failed |= parallel(end_group_chunk, &j, ceil_div(j.pixels, CHUNK), scratch, p.crew);
}

/* A network keeps the memory of its last run for the next, unless it is much: the system has to clear what it gives anew. Whoever
   exchanges the pointer has the memory for himself, so runs at once stay apart. */
enum { MOST_KEPT = 128 << 20 }; /* bytes */

static workspace *exchange_spare(const network *n, workspace *with) {
    return __atomic_exchange_n(&((network *)n)->spare, with, __ATOMIC_ACQ_REL);
}

/* Room for images with a float of each pixel behind them, or NULL. */
static char *take_images(const network *n, picture p, int64_t images) {
    size_t bytes = (size_t)(images * features_of(n, p) * size_of(n->config.dtype) + pixels_of(p) * (int64_t)sizeof(float));
    workspace *w = exchange_spare(n, NULL);
    if (!w || w->bytes < bytes) {
        deallocate(w);
        w = allocate(sizeof *w + bytes);
        if (!w) return NULL;
        w->bytes = bytes;
    }
    return (char *)(w + 1);
}

static void return_images(const network *n, char *images) {
    workspace *w = (workspace *)images - 1;
    deallocate(w->bytes > MOST_KEPT ? w : exchange_spare(n, w));
}

enum { IMAGES = 5 };

static int run_whole(const network *n, picture p, const network_run *a, char *memory, float *own) {
    int failed = 0;
    int64_t step = 2 * half_of(n);
    void *image[IMAGES];
    for (int64_t i = 0; i < IMAGES; i++) image[i] = at(memory, i * features_of(n, p), n->config.dtype);
    float *r = at(memory, IMAGES * features_of(n, p), n->config.dtype);
    void *shallow = image[0], *deep = shallow, *next = image[1], *room = image[4];
    failed |= run_shallow(&n->ends, p, a->pixels, a->pixels_dtype, shallow);
    for (int64_t group = 0, number = 0; group < n->config.groups && !failed; group++) {
        const void *x = deep;
        for (int64_t b = 0; b < n->config.blocks && !failed; b++, number++) {
            void *out = image[2 + b % 2];
            averaging whole = {r, 0, 0, p.height, p.width, a->own_means ? own + number * step : own};
            if (a->means) fill_block(n, &n->blocks[number], p, x, a->means + number * step, NULL, room, out, &failed);
            else fill_block(n, &n->blocks[number], p, x, NULL, &whole, room, out, &failed);
            x = out;
        }
        fill_group_end(n, group, p, deep, x, next, &failed);
        deep = next;
    }
    failed |= run_fuse(&n->ends, p, deep, shallow, room);
    return failed | run_tail(&n->ends, p, room, a->out, a->out_dtype);
}

/* A picture with threads that wait between its tasks, where nobody lends a pool. */
static picture begin(int64_t threads, int64_t height, int64_t width) {
    return (picture){height, width, {threads, threads > 1 && !has_pool() ? start_team(threads) : NULL}};
}

static void end(picture p) {
    if (p.crew.own) end_team(p.crew.own);
}

static int is_pixel_dtype(int64_t dtype) { return dtype == FLOAT32 || dtype == BYTES; }

int lamnet_network_run(const network *n, const network_run *a) {
    if (a->threads < 1 || a->height < 1 || a->width < 1 || !is_pixel_dtype(a->pixels_dtype) || !is_pixel_dtype(a->out_dtype))
        return LAMNET_BAD_ARGUMENT;
    picture p = {a->height, a->width, {0}};
    if (!is_countable(n, p, IMAGES)) return LAMNET_TOO_LARGE;
    char *memory = take_images(n, p, IMAGES);
    float *one = calloc((size_t)(2 * half_of(n)), sizeof *one); /* a block's means, where nobody wants to keep them */
    int failed = !memory || !one;
    if (!failed) {
        p = begin(a->threads, a->height, a->width);
        failed = run_whole(n, p, a, memory, a->own_means ? a->own_means : one);
        end(p);
    }
    if (memory) return_images(n, memory);
    return free(one), failed ? LAMNET_NO_MEMORY : LAMNET_DONE;
}

/* Layer by layer: features come and go as float32, so other dtypes are converted. */

static int check_layer(const network *n, int64_t threads, picture p, int64_t number, int64_t numbers, int64_t images) {
    if (threads < 1 || p.height < 1 || p.width < 1 || number < 0 || number >= numbers) return LAMNET_BAD_ARGUMENT;
    return is_countable(n, p, images) ? LAMNET_DONE : LAMNET_TOO_LARGE;
}

/* The features as the network stores them: where they are, or in `room`. */
static const void *stored(const network *n, picture p, const float *features, void *room) {
    if (n->config.dtype == FLOAT32) return features;
    store(room, features, features_of(n, p), n->config.dtype);
    return room;
}

/* And back: where the network shall write them, and then their way out. */
static void *to_store(const network *n, float *features, void *room) { return n->config.dtype == FLOAT32 ? features : room; }

static void give_back(const network *n, picture p, float *features, const void *room) {
    if (n->config.dtype != FLOAT32) load(features, room, features_of(n, p), n->config.dtype);
}

int lamnet_network_block_means(const network *n, const network_layer *a) {
    picture p = {a->height, a->width, {0}};
    int code = check_layer(n, a->threads, p, a->number, blocks_of(n), 3);
    if (code) return code;
    if (a->top < 0 || a->left < 0 || a->rows < 1 || a->columns < 1 || a->rows > a->height - a->top ||
        a->columns > a->width - a->left)
        return LAMNET_BAD_ARGUMENT;
    char *memory = take_images(n, p, 3);
    if (!memory) return LAMNET_NO_MEMORY;
    p = begin(a->threads, a->height, a->width);
    int64_t size = features_of(n, p), dtype = n->config.dtype;
    void *c = memory, *s = at(memory, size / 2, dtype), *across = at(memory, size, dtype);
    const void *x = stored(n, p, a->x, at(memory, 2 * size, dtype));
    averaging box = {at(memory, 3 * size, dtype), a->top, a->left, a->rows, a->columns, a->out};
    int failed = 0;
    fill_branches(n, &n->blocks[a->number], p, x, c, across, s, &box, &failed);
    return end(p), return_images(n, memory), failed ? LAMNET_NO_MEMORY : LAMNET_DONE;
}

int lamnet_network_block(const network *n, const network_layer *a) {
    picture p = {a->height, a->width, {0}};
    int code = check_layer(n, a->threads, p, a->number, blocks_of(n), 3);
    if (code) return code;
    char *memory = take_images(n, p, 3);
    if (!memory) return LAMNET_NO_MEMORY;
    p = begin(a->threads, a->height, a->width);
    int64_t size = features_of(n, p), dtype = n->config.dtype;
    const void *x = stored(n, p, a->x, at(memory, size, dtype));
    void *out = to_store(n, a->out, at(memory, 2 * size, dtype));
    int failed = 0;
    fill_block(n, &n->blocks[a->number], p, x, a->means, NULL, memory, out, &failed);
    give_back(n, p, a->out, out);
    return end(p), return_images(n, memory), failed ? LAMNET_NO_MEMORY : LAMNET_DONE;
}

int lamnet_network_end_group(const network *n, const network_layer *a) {
    picture p = {a->height, a->width, {0}};
    int code = check_layer(n, a->threads, p, a->number, n->config.groups, 2);
    if (code) return code;
    char *memory = take_images(n, p, 2);
    if (!memory) return LAMNET_NO_MEMORY;
    p = begin(a->threads, a->height, a->width);
    const void *y = stored(n, p, a->x, memory), *x = stored(n, p, a->out, at(memory, features_of(n, p), n->config.dtype));
    int failed = 0;
    fill_group_end(n, a->number, p, x, y, (void *)x, &failed);
    give_back(n, p, a->out, x);
    return end(p), return_images(n, memory), failed ? LAMNET_NO_MEMORY : LAMNET_DONE;
}

int lamnet_network_shallow(const network *n, const network_ends *a) {
    picture p = {a->height, a->width, {0}};
    int code = is_pixel_dtype(a->pixels_dtype) ? check_layer(n, a->threads, p, 0, 1, 1) : LAMNET_BAD_ARGUMENT;
    if (code) return code;
    char *memory = take_images(n, p, 1);
    if (!memory) return LAMNET_NO_MEMORY;
    p = begin(a->threads, a->height, a->width);
    void *out = to_store(n, a->out, memory);
    int failed = run_shallow(&n->ends, p, a->pixels, a->pixels_dtype, out);
    give_back(n, p, a->out, out);
    return end(p), return_images(n, memory), failed ? LAMNET_NO_MEMORY : LAMNET_DONE;
}

int lamnet_network_reconstruct(const network *n, const network_ends *a) {
    picture p = {a->height, a->width, {0}};
    int code = is_pixel_dtype(a->pixels_dtype) ? check_layer(n, a->threads, p, 0, 1, 3) : LAMNET_BAD_ARGUMENT;
    if (code) return code;
    char *memory = take_images(n, p, 3);
    if (!memory) return LAMNET_NO_MEMORY;
    p = begin(a->threads, a->height, a->width);
    int64_t size = features_of(n, p), dtype = n->config.dtype;
    const void *shallow = stored(n, p, a->shallow, memory), *deep = stored(n, p, a->deep, at(memory, size, dtype));
    void *fused = at(memory, 2 * size, dtype);
    int failed = run_fuse(&n->ends, p, deep, shallow, fused);
    failed |= run_tail(&n->ends, p, fused, a->out, a->pixels_dtype);
    return end(p), return_images(n, memory), failed ? LAMNET_NO_MEMORY : LAMNET_DONE;
}
