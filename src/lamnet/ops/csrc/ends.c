#include "ends.h"
#include "pixel.h"
#include "strip.h"

static const float average_colour[3] = {0.4488f, 0.4371f, 0.4040f}; /* of the training pictures */

ends ends_of(int64_t channels, int64_t scale, int64_t dtype) {
    return (ends){
        channels, scale, dtype,
        .head = {.inputs = 3, .outputs = channels, .pitch = 3, .dtype = FLOAT32},
        .fuse = {.inputs = channels, .outputs = channels, .pitch = padded(channels), .dtype = dtype},
        .tail = {.inputs = channels, .outputs = 3 * scale * scale, .pitch = padded(channels), .dtype = dtype},
    };
}

void take_ends(arena *a, ends *e) {
    take_convolution(a, &e->head);
    take_convolution(a, &e->fuse);
    take_convolution(a, &e->tail);
}

/* The tail's outputs are (colour, row, column) of a pixel's square in the result; here they become (row, column, colour), so
   that a row of the square is what lies there in memory. */
void pack_ends(const ends *e, const ends_weights *w) {
    int64_t square = e->scale * e->scale;
    pack_convolution(&e->head, w->head, w->head_bias, NULL, NULL);
    pack_convolution(&e->fuse, w->fuse, w->fuse_bias, w->fuse_scale, NULL);
    int64_t place[3 * square];
    for (int64_t o = 0; o < 3 * square; o++) place[o] = o % square * 3 + o / square;
    pack_convolution(&e->tail, w->tail, w->tail_bias, NULL, place);
    for (int64_t o = 0; o < 3 * square; o++) e->tail.layer.bias[o] += average_colour[o % 3];
}

typedef struct {
    const ends *e;
    const convolution *c;
    picture p;
    const void *from, *residual; /* residual: added to the result, or NULL */
    void *to;
    int64_t from_dtype, to_dtype;
    strips cut;
} job;

typedef struct { float *lines, *out, *residual; } scratch_of;

static scratch_of take_scratch(arena *a, const convolution *c) {
    scratch_of s;
    s.lines = take(a, 3 * line_floats(c, COLUMNS + 2));
    s.out = take(a, COLUMNS * padded(c->outputs));
    s.residual = take(a, COLUMNS * padded(c->outputs));
    return s;
}

/* n pixels, from which the average colour is taken. */
static void load_pixels(float *to, const void *from, int64_t first, int64_t n, int64_t dtype) {
    for (int64_t i = 0; i < 3 * n; i++) {
        float x = dtype == BYTES ? (float)((const uint8_t *)from)[3 * first + i] / 255.0f : ((const float *)from)[3 * first + i];
        to[i] = x - average_colour[i % 3];
    }
}

/* n pixels' channels, padded, as pairs of bfloat16 where those are multiplied: as they are stored. */
static void load_features(float *to, const convolution *c, const void *from, int64_t first, int64_t n) {
    if (!in_pairs(c->dtype)) {
        load_rows(to, c->pitch, from, first, n, c->inputs, c->dtype);
        return;
    }
    memset(to, 0, (size_t)line_floats(c, n) * sizeof(float));
    for (int64_t i = 0; i < n; i++)
        memcpy(to + line_floats(c, i), at(from, (first + i) * c->inputs, c->dtype), (size_t)(c->inputs * size_of(c->dtype)));
}

/* A line of what the convolution reads, a pixel more on either side. */
static void load_line(float *to, const job *j, strip t, int64_t y) {
    inside in = inside_of(j->p.height, j->p.width, t, y, 1);
    clear_around(to, t.columns + 2, in, line_floats(j->c, 1));
    to += line_floats(j->c, in.first);
    if (j->c == &j->e->head) load_pixels(to, j->from, in.pixel, in.n, j->from_dtype);
    else load_features(to, j->c, j->from, in.pixel, in.n);
}

static uint8_t byte_of(float x) { return (uint8_t)(clamped(x, 0, 1) * 255.0f + 0.5f); }

/* The squares (row, column, colour) of n pixels into the rows of the result. */
static void store_squares(const float *out, const job *j, int64_t y, int64_t left, int64_t n) {
    int64_t row = 3 * j->e->scale, columns = padded(j->c->outputs);
    for (int64_t dy = 0; dy < j->e->scale; dy++) {
        int64_t to = (y * j->e->scale + dy) * j->p.width * row + left * row;
        for (int64_t i = 0; i < n; i++, to += row) {
            const float *from = out + i * columns + dy * row;
            if (j->to_dtype == FLOAT32) store((float *)j->to + to, from, row, FLOAT32);
            else
                for (int64_t k = 0; k < row; k++) ((uint8_t *)j->to)[to + k] = byte_of(from[k]);
        }
    }
}

static void output_line(scratch_of s, const job *j, const float *const line[3], strip t, int64_t y) {
    int64_t columns = padded(j->c->outputs), pixel = y * j->p.width + t.left;
    convolve_3x3(s.out, j->c, line, t.columns);
    if (j->residual) {
        load_rows(s.residual, columns, j->residual, pixel, t.columns, j->c->outputs, j->e->dtype);
        add(s.out, s.residual, t.columns * columns, FLOAT32);
    }
    if (j->c == &j->e->tail) store_squares(s.out, j, y, t.left, t.columns);
    else store_rows(j->to, s.out, pixel, t.columns, columns, j->c->outputs, j->e->dtype);
}

static void convolve_strip(const void *argument, int64_t item, arena scratch) {
    const job *j = argument;
    scratch_of s = take_scratch(&scratch, j->c);
    strip t = strip_of(j->cut, item);
    int64_t pitch = line_floats(j->c, COLUMNS + 2);
    for (int64_t y = -1; y <= t.rows; y++) {
        load_line(s.lines + (y + 3) % 3 * pitch, j, t, t.top + y);
        if (y < 1) continue;
        const float *line[3];
        for (int64_t k = 0; k < 3; k++) line[k] = s.lines + (y + 1 + k) % 3 * pitch;
        output_line(s, j, line, t, t.top + y - 1);
    }
}

static int run(job j) {
    arena scratch = {0};
    take_scratch(&scratch, j.c);
    j.cut = cut_into_strips(1, j.p.height, j.p.width, strips_for(j.p.crew.threads));
    return parallel(convolve_strip, &j, j.cut.count, scratch, j.p.crew);
}

int run_shallow(const ends *e, picture p, const void *pixels, int64_t pixels_dtype, void *features) {
    return run((job){e, &e->head, p, pixels, NULL, features, pixels_dtype, e->dtype});
}

int run_fuse(const ends *e, picture p, const void *deep, const void *shallow, void *fused) {
    return run((job){e, &e->fuse, p, deep, shallow, fused, e->dtype, e->dtype});
}

int run_tail(const ends *e, picture p, const void *fused, void *out, int64_t out_dtype) {
    return run((job){e, &e->tail, p, fused, NULL, out, e->dtype, out_dtype});
}
