#include "network.h"
#include "ends.h"
#include "forward.h"
#include "pixel.h"
#include "system.h"
#include <stdlib.h>

const char *lamnet_message(int code) {
    static const char *const messages[] = {
        "done", "no memory", "the configuration is out of range", "the weights are not those of the configuration",
        "the size is too large", "a size, dtype or number is out of range",
    };
    return code >= 0 && code < (int)(sizeof messages / sizeof *messages) ? messages[code] : "unknown";
}

/* The configuration. */

enum { MAX_REACH = 4096, MAX_SCALE = 64, MAX_NUMBER = 1 << 20 };

typedef struct {
    branches_layers branches;
    focal_layers across, down;
    float_layer exchange;
    feed_forward_layers feed_forward;
} block_layers;

struct network {
    network_config config;
    tap_window window;
    int64_t *taps; /* what the window points to */
    arena memory;  /* of the layers */
    ends ends;
    block_layers *blocks;
    float *group_scales; /* (groups, channels) */
};

static int64_t half_of(const network *n) { return n->config.channels / 2; }
static int64_t narrow_of(const network *n) { return half_of(n) / 2; }
static int64_t blocks_of(const network *n) { return n->config.groups * n->config.blocks; }

static int in_range(int64_t x, int64_t most) { return x >= 1 && x <= most; }

static int is_sound(const network_config *c) {
    if (!in_range(c->scale, MAX_SCALE) || !in_range(c->channels, MAX_NUMBER) || !in_range(c->groups, MAX_NUMBER) ||
        !in_range(c->blocks, MAX_NUMBER) || !in_range(c->heads, MAX_NUMBER) || !in_range(c->hidden, MAX_NUMBER) ||
        !in_range(c->taps, 2 * MAX_REACH + 1) || c->channels % (2 * c->heads))
        return 0;
    for (int64_t k = 0; k < c->taps; k++)
        if (!in_range(c->lengths[k], 2 * MAX_REACH + 1) || c->starts[k] < -MAX_REACH ||
            c->starts[k] + c->lengths[k] - 1 > MAX_REACH)
            return 0;
    return c->dtype == FLOAT32 || c->dtype == BFLOAT16;
}

/* Taps of one length share a table. */
static int lay_window(network *n) {
    int64_t taps = n->config.taps, tables = 0, reach = 0;
    n->taps = calloc((size_t)(3 * taps), sizeof *n->taps);
    if (!n->taps) return 0;
    int64_t *starts = n->taps, *table = starts + taps, *lengths = table + taps;
    for (int64_t k = 0; k < taps; k++) {
        int64_t start = n->config.starts[k], length = n->config.lengths[k];
        starts[k] = start;
        reach = max(reach, max(-start, start + length - 1));
        for (table[k] = 0; table[k] < tables && lengths[table[k]] != length; table[k]++) {}
        if (table[k] == tables) lengths[tables++] = length;
    }
    n->window = (tap_window){taps, tables, reach, starts, table, lengths};
    n->config.starts = n->config.lengths = NULL;
    return 1;
}

/* Sizes for the kernels; those of a picture are of no account while layers are packed. */

static branches_sizes branches_of(const network *n, int64_t pixels) {
    return (branches_sizes){1, n->config.dtype, pixels, n->config.channels, half_of(n), narrow_of(n)};
}

static attention_sizes attention_of(const network *n, int64_t axis, int64_t across, int64_t step) {
    return (attention_sizes){1, n->config.dtype, 1, axis, across, half_of(n), n->config.heads, step, n->window};
}

static exchange_sizes exchange_of(const network *n, int64_t pixels) {
    return (exchange_sizes){1, n->config.dtype, 1, pixels, half_of(n), n->config.channels};
}

static feed_forward_sizes feed_forward_of(const network *n, int64_t height, int64_t width) {
    return (feed_forward_sizes){1, n->config.dtype, 1, height, width, n->config.channels, 2 * n->config.hidden};
}

/* The weights, read one after the other. */

typedef struct { const float *next; int64_t count; } reader; /* next: NULL while they are only counted */

static const float *read(reader *r, int64_t rows, int64_t columns) {
    const float *from = r->next;
    r->count += rows * columns;
    if (r->next) r->next += rows * columns;
    return from;
}

static layer read_layer(reader *r, int64_t outputs, int64_t inputs) {
    layer l;
    l.weight = (void *)read(r, outputs, inputs);
    l.bias = (void *)read(r, outputs, 1);
    return l;
}

typedef struct {
    branches_weights branches;
    focal_weights across, down;
    exchange_weights exchange;
    feed_forward_weights feed_forward;
} block_weights;

static block_weights read_block(reader *r, const network *n) {
    int64_t channels = n->config.channels, half = half_of(n), narrow = narrow_of(n), both = 2 * n->config.hidden;
    int64_t span = 2 * n->window.reach + 1, gates = n->config.heads * n->window.taps;
    block_weights w;
    w.branches.norm = read_layer(r, channels, 1);
    w.branches.project_in = read_layer(r, channels, channels);
    w.branches.channel_in = read_layer(r, narrow, half);
    w.branches.channel_out = read_layer(r, half, narrow);
    w.across.depthwise = read_layer(r, half, span);
    w.across.project = read_layer(r, gates, half);
    w.down.depthwise = read_layer(r, half, span);
    w.down.project = read_layer(r, gates, half);
    w.exchange.project_out = read_layer(r, channels, channels);
    w.exchange.scale = (void *)read(r, channels, 1);
    w.feed_forward.norm = read_layer(r, channels, 1);
    w.feed_forward.project_in = read_layer(r, both, channels);
    w.feed_forward.depthwise = read_layer(r, both, 9);
    w.feed_forward.project_out = read_layer(r, channels, both);
    w.feed_forward.scale = (void *)read(r, channels, 1);
    return w;
}

static ends_weights read_ends(reader *r, const network *n) {
    int64_t channels = n->config.channels, outputs = 3 * n->config.scale * n->config.scale;
    ends_weights w;
    w.head = read(r, channels, 27), w.head_bias = read(r, channels, 1);
    w.fuse = read(r, channels, 9 * channels), w.fuse_bias = read(r, channels, 1), w.fuse_scale = read(r, channels, 1);
    w.tail = read(r, outputs, 9 * channels), w.tail_bias = read(r, outputs, 1);
    return w;
}

/* Whether there are as many as the configuration has, which need not be a number that fits into any memory. */
static int is_count(const network *n, int64_t count) {
    reader one = {0}, both_ends = {0};
    read_block(&one, n);
    read_ends(&both_ends, n);
    int64_t all_blocks, all, scales;
    return !__builtin_mul_overflow(one.count, blocks_of(n), &all_blocks) &&
           !__builtin_mul_overflow(n->config.groups, n->config.channels, &scales) &&
           !__builtin_add_overflow(both_ends.count, scales, &all) && !__builtin_add_overflow(all, all_blocks, &all) && all == count;
}

/* The layers. */

static void take_block(arena *a, block_layers *b, const network *n) {
    branches_sizes branches = branches_of(n, 1);
    attention_sizes attention = attention_of(n, 1, 1, 1);
    exchange_sizes exchange = exchange_of(n, 1);
    feed_forward_sizes feed_forward = feed_forward_of(n, 1, 1);
    b->branches = take_branches(a, &branches);
    b->across = take_focal(a, &attention);
    b->down = take_focal(a, &attention);
    b->exchange = take_exchange(a, &exchange);
    b->feed_forward = take_feed_forward(a, &feed_forward);
}

static void pack_block(const block_layers *b, const block_weights *w, const network *n) {
    branches_sizes branches = branches_of(n, 1);
    attention_sizes attention = attention_of(n, 1, 1, 1);
    exchange_sizes exchange = exchange_of(n, 1);
    feed_forward_sizes feed_forward = feed_forward_of(n, 1, 1);
    pack_branches(b->branches, &w->branches, &branches, FLOAT32);
    pack_focal(b->across, &w->across, &attention, FLOAT32);
    pack_focal(b->down, &w->down, &attention, FLOAT32);
    pack_exchange(b->exchange, &w->exchange, &exchange, FLOAT32);
    pack_feed_forward(b->feed_forward, &w->feed_forward, &feed_forward, FLOAT32);
}

static void take_layers(arena *a, network *n) {
    take_ends(a, &n->ends);
    for (int64_t b = 0; b < blocks_of(n); b++) take_block(a, &n->blocks[b], n);
    n->group_scales = take(a, n->config.groups * n->config.channels);
}

static void pack_layers(network *n, const float *weights) {
    reader r = {weights, 0};
    int64_t channels = n->config.channels;
    ends_weights w = read_ends(&r, n);
    pack_ends(&n->ends, &w);
    for (int64_t b = 0; b < blocks_of(n); b++) {
        block_weights block = read_block(&r, n);
        pack_block(&n->blocks[b], &block, n);
    }
    for (int64_t g = 0; g < n->config.groups; g++)
        load(n->group_scales + g * channels, read(&r, channels, 1), channels, FLOAT32);
}

int lamnet_network_create(network **to, const network_config *config, const float *weights, int64_t count) {
    *to = NULL;
    if (!is_sound(config)) return LAMNET_BAD_CONFIG;
    network *n = calloc(1, sizeof *n);
    if (!n) return LAMNET_NO_MEMORY;
    n->config = *config;
    int code = lay_window(n) ? LAMNET_DONE : LAMNET_NO_MEMORY;
    if (!code && !is_count(n, count)) code = LAMNET_BAD_WEIGHTS;
    if (!code && !(n->blocks = calloc((size_t)blocks_of(n), sizeof *n->blocks))) code = LAMNET_NO_MEMORY;
    if (!code) {
        n->ends = ends_of(config->channels, config->scale, config->dtype);
        take_layers(&n->memory, n);
        if (!reserve(&n->memory)) code = LAMNET_NO_MEMORY;
    }
    if (code) return lamnet_network_destroy(n), code;
    take_layers(&n->memory, n);
    pack_layers(n, weights);
    *to = n;
    return LAMNET_DONE;
}

void lamnet_network_destroy(network *n) {
    if (!n) return;
    release(&n->memory);
    free(n->blocks);
    free(n->taps);
    free(n);
}

/* A run. */

static int64_t pixels_of(picture p) { return p.height * p.width; }
static int64_t features_of(const network *n, picture p) { return pixels_of(p) * n->config.channels; } /* numbers */

/* Whether `images` of the features, and the result, have a number of bytes. */
static int is_countable(const network *n, picture p, int64_t images) {
    int64_t pixels, features, square = n->config.scale * n->config.scale;
    return !__builtin_mul_overflow(p.height, p.width, &pixels) &&
           !__builtin_mul_overflow(pixels, max(n->config.channels, 3 * square), &features) &&
           features < INT64_MAX / (4 * max(images, 1) + 64);
}

static void fill_branches(const network *n, const block_layers *b, picture p, const void *x, void *c, void *u, void *across,
                          void *s, int *failed) {
    int64_t half = half_of(n), pixels = pixels_of(p), row = p.width * half;
    branches_arguments enter = {.sizes = branches_of(n, pixels), .x = x, .c = c, .u = u};
    focal_arguments horizontal = {.sizes = attention_of(n, p.width, p.height, 1), .value = {u, pixels * half, half, row},
                                  .out = across};
    focal_arguments vertical = {.sizes = attention_of(n, p.height, p.width, p.width),
                                .value = {across, pixels * half, row, half}, .out = s};
    *failed |= run_branches(&enter, b->branches, p.crew);
    *failed |= run_focal(&horizontal, b->across, p.crew);
    *failed |= run_focal(&vertical, b->down, p.crew);
}

/* The image's own means of c and s, of `pixels` pixels. */
static void fill_means(const network *n, picture p, int64_t pixels, const void *c, const void *s, float *means, int *failed) {
    exchange_means_arguments a = {.sizes = exchange_of(n, pixels), .c = c, .s = s, .means = means};
    *failed |= run_exchange_means(&a, p.crew);
}

/* x behind a block; room and out take turns, so that three images are all that it needs. own: NULL where means are given. */
static void fill_block(const network *n, const block_layers *b, picture p, const void *x, const float *means, float *own,
                       void *room, void *out, int *failed) {
    int64_t half = pixels_of(p) * half_of(n);
    void *c = out, *s = at(out, half, n->config.dtype);
    fill_branches(n, b, p, x, c, s, room, s, failed);
    if (!means) fill_means(n, p, pixels_of(p), c, s, own, failed);
    exchange_arguments leave = {.sizes = exchange_of(n, pixels_of(p)), .c = c, .s = s, .residual = x,
                                .means = means ? means : own, .out = room};
    *failed |= run_exchange(&leave, b->exchange, p.crew);
    feed_forward_arguments last = {.sizes = feed_forward_of(n, p.height, p.width), .x = room, .out = out};
    *failed |= run_feed_forward(&last, b->feed_forward, p.crew);
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

enum { IMAGES = 5 };

static int run_whole(const network *n, picture p, const network_run *a, char *memory, float *own) {
    int failed = 0;
    int64_t step = 2 * half_of(n);
    void *image[IMAGES];
    for (int64_t i = 0; i < IMAGES; i++) image[i] = at(memory, i * features_of(n, p), n->config.dtype);
    void *shallow = image[0], *deep = shallow, *next = image[1], *room = image[4];
    failed |= run_shallow(&n->ends, p, a->pixels, a->pixels_dtype, shallow);
    for (int64_t group = 0, number = 0; group < n->config.groups && !failed; group++) {
        const void *x = deep;
        for (int64_t b = 0; b < n->config.blocks && !failed; b++, number++) {
            void *out = image[2 + b % 2];
            fill_block(n, &n->blocks[number], p, x, a->means ? a->means + number * step : NULL,
                       a->own_means ? own + number * step : own, room, out, &failed);
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
    char *memory = allocate((size_t)(IMAGES * features_of(n, p) * size_of(n->config.dtype)));
    float *one = calloc((size_t)(2 * half_of(n)), sizeof *one); /* a block's means, where nobody wants to keep them */
    int failed = !memory || !one;
    if (!failed) {
        p = begin(a->threads, a->height, a->width);
        failed = run_whole(n, p, a, memory, a->own_means ? a->own_means : one);
        end(p);
    }
    if (memory) deallocate(memory);
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

static char *allocate_images(const network *n, picture p, int64_t images) {
    return allocate((size_t)(images * features_of(n, p) * size_of(n->config.dtype)));
}

/* The pixels of a box to the front of an image of the branches. */
static void crop(const network *n, const network_layer *a, void *image) {
    int64_t half = half_of(n), dtype = n->config.dtype;
    for (int64_t y = 0; y < a->rows; y++)
        memmove(at(image, y * a->columns * half, dtype), at(image, ((a->top + y) * a->width + a->left) * half, dtype),
                (size_t)(a->columns * half * size_of(dtype)));
}

int lamnet_network_block_means(const network *n, const network_layer *a) {
    picture p = {a->height, a->width, {0}};
    int code = check_layer(n, a->threads, p, a->number, blocks_of(n), 3);
    if (code) return code;
    if (a->top < 0 || a->left < 0 || a->rows < 1 || a->columns < 1 || a->rows > a->height - a->top ||
        a->columns > a->width - a->left)
        return LAMNET_BAD_ARGUMENT;
    char *memory = allocate_images(n, p, 3);
    if (!memory) return LAMNET_NO_MEMORY;
    p = begin(a->threads, a->height, a->width);
    int64_t size = features_of(n, p), dtype = n->config.dtype;
    void *c = memory, *s = at(memory, size / 2, dtype), *across = at(memory, size, dtype);
    const void *x = stored(n, p, a->x, at(memory, 2 * size, dtype));
    int failed = 0;
    fill_branches(n, &n->blocks[a->number], p, x, c, s, across, s, &failed);
    crop(n, a, c);
    crop(n, a, s);
    fill_means(n, p, a->rows * a->columns, c, s, a->out, &failed);
    return end(p), deallocate(memory), failed ? LAMNET_NO_MEMORY : LAMNET_DONE;
}

int lamnet_network_block(const network *n, const network_layer *a) {
    picture p = {a->height, a->width, {0}};
    int code = check_layer(n, a->threads, p, a->number, blocks_of(n), 3);
    if (code) return code;
    char *memory = allocate_images(n, p, 3);
    if (!memory) return LAMNET_NO_MEMORY;
    p = begin(a->threads, a->height, a->width);
    int64_t size = features_of(n, p), dtype = n->config.dtype;
    const void *x = stored(n, p, a->x, at(memory, size, dtype));
    void *out = to_store(n, a->out, at(memory, 2 * size, dtype));
    int failed = 0;
    fill_block(n, &n->blocks[a->number], p, x, a->means, NULL, memory, out, &failed);
    give_back(n, p, a->out, out);
    return end(p), deallocate(memory), failed ? LAMNET_NO_MEMORY : LAMNET_DONE;
}

int lamnet_network_end_group(const network *n, const network_layer *a) {
    picture p = {a->height, a->width, {0}};
    int code = check_layer(n, a->threads, p, a->number, n->config.groups, 2);
    if (code) return code;
    char *memory = allocate_images(n, p, 2);
    if (!memory) return LAMNET_NO_MEMORY;
    p = begin(a->threads, a->height, a->width);
    const void *y = stored(n, p, a->x, memory), *x = stored(n, p, a->out, at(memory, features_of(n, p), n->config.dtype));
    int failed = 0;
    fill_group_end(n, a->number, p, x, y, (void *)x, &failed);
    give_back(n, p, a->out, x);
    return end(p), deallocate(memory), failed ? LAMNET_NO_MEMORY : LAMNET_DONE;
}

int lamnet_network_shallow(const network *n, const network_ends *a) {
    picture p = {a->height, a->width, {0}};
    int code = is_pixel_dtype(a->pixels_dtype) ? check_layer(n, a->threads, p, 0, 1, 1) : LAMNET_BAD_ARGUMENT;
    if (code) return code;
    char *memory = allocate_images(n, p, 1);
    if (!memory) return LAMNET_NO_MEMORY;
    p = begin(a->threads, a->height, a->width);
    void *out = to_store(n, a->out, memory);
    int failed = run_shallow(&n->ends, p, a->pixels, a->pixels_dtype, out);
    give_back(n, p, a->out, out);
    return end(p), deallocate(memory), failed ? LAMNET_NO_MEMORY : LAMNET_DONE;
}

int lamnet_network_reconstruct(const network *n, const network_ends *a) {
    picture p = {a->height, a->width, {0}};
    int code = is_pixel_dtype(a->pixels_dtype) ? check_layer(n, a->threads, p, 0, 1, 3) : LAMNET_BAD_ARGUMENT;
    if (code) return code;
    char *memory = allocate_images(n, p, 3);
    if (!memory) return LAMNET_NO_MEMORY;
    p = begin(a->threads, a->height, a->width);
    int64_t size = features_of(n, p), dtype = n->config.dtype;
    const void *shallow = stored(n, p, a->shallow, memory), *deep = stored(n, p, a->deep, at(memory, size, dtype));
    void *fused = at(memory, 2 * size, dtype);
    int failed = run_fuse(&n->ends, p, deep, shallow, fused);
    failed |= run_tail(&n->ends, p, fused, a->out, a->pixels_dtype);
    return end(p), deallocate(memory), failed ? LAMNET_NO_MEMORY : LAMNET_DONE;
}
