/* A residual with a factor for each channel, x + factors * y. */
#include "common.h"
#include "threads.h"

enum { ROWS = 16, MIN_CHUNK = 512, MAX_CHUNKS = 64 }; /* pixels at a time, pixels, chunks */

static int64_t chunk_of_pixels(const residual_sizes *g) { return ceil_div(g->pixels, MAX_CHUNKS) + MIN_CHUNK; }

static void scale_row(float *restrict x, const float *restrict scale, int64_t n) {
    for (int64_t i = 0; i < n; i++) x[i] *= scale[i];
}

static void add_products(float *restrict sums, const float *restrict x, const float *restrict y, int64_t n) {
    for (int64_t i = 0; i < n; i++) sums[i] += x[i] * y[i];
}

static void forward_chunk(const void *argument, int64_t item, arena scratch) {
    const residual_arguments *a = argument;
    const residual_sizes *g = &a->sizes;
    int64_t n = g->channels, chunk = chunk_of_pixels(g), last = min((item + 1) * chunk, g->pixels);
    float *y = take(&scratch, ROWS * n);
    for (int64_t first = item * chunk; first < last; first += ROWS) {
        int64_t rows = min(ROWS, last - first);
        load(y, at(a->y, first * n, g->dtype), rows * n, g->dtype);
        for (int64_t r = 0; r < rows; r++) scale_row(y + r * n, a->scale, n);
        add(y, at(a->x, first * n, g->dtype), rows * n, g->dtype);
        store(at(a->out, first * n, g->dtype), y, rows * n, g->dtype);
    }
}

int lamnet_residual(const residual_arguments *a) {
    arena scratch = {0};
    take(&scratch, ROWS * a->sizes.channels);
    int64_t chunks = ceil_div(a->sizes.pixels, chunk_of_pixels(&a->sizes));
    return parallel(forward_chunk, a, chunks, scratch, (crew){a->sizes.threads});
}

typedef struct { const residual_backward_arguments *a; partial_sums sums; } backward_job;

static void backward_chunk(const void *argument, int64_t item, arena scratch) {
    const backward_job *j = argument;
    const residual_backward_arguments *a = j->a;
    const residual_sizes *g = &a->sizes;
    int64_t n = g->channels, chunk = chunk_of_pixels(g), last = min((item + 1) * chunk, g->pixels);
    arena own = chunk_of(&j->sums, item);
    float *sums = take(&own, n), *grad = take(&scratch, ROWS * n), *y = take(&scratch, ROWS * n);
    for (int64_t first = item * chunk; first < last; first += ROWS) {
        int64_t rows = min(ROWS, last - first);
        load(grad, at(a->grad, first * n, g->dtype), rows * n, g->dtype);
        load(y, at(a->y, first * n, g->dtype), rows * n, g->dtype);
        for (int64_t r = 0; r < rows; r++) {
            add_products(sums, grad + r * n, y + r * n, n);
            scale_row(grad + r * n, a->scale, n);
        }
        store(at(a->grad_y, first * n, g->dtype), grad, rows * n, g->dtype);
    }
}

int lamnet_residual_backward(const residual_backward_arguments *a) {
    const residual_sizes *g = &a->sizes;
    arena scratch = {0}, sums = {0};
    take(&scratch, ROWS * g->channels), take(&scratch, ROWS * g->channels);
    take(&sums, g->channels);
    backward_job j = {.a = a};
    int64_t chunks = ceil_div(g->pixels, chunk_of_pixels(g));
    int failed = !reserve_chunks(&j.sums, sums, chunks);
    if (!failed) {
        failed = parallel(backward_chunk, &j, chunks, scratch, (crew){g->threads});
        sum_chunks(&j.sums);
        load(a->grad_scale, j.sums.all.base, g->channels, FLOAT32);
    }
    return release(&j.sums.all), failed;
}
