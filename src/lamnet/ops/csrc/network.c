#include "layers.h"
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
    block_weights w = {{FLOAT32}, {FLOAT32}, {FLOAT32}, {FLOAT32}, {FLOAT32}};
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
    pack_branches(b->branches, &w->branches, &branches);
    pack_focal(b->across, &w->across, &attention);
    pack_focal(b->down, &w->down, &attention);
    pack_exchange(b->exchange, &w->exchange, &exchange);
    pack_feed_forward(b->feed_forward, &w->feed_forward, &feed_forward);
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
    deallocate(n->spare);
    free(n->blocks);
    free(n->taps);
    free(n);
}
