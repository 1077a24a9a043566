/* The core's entries with plain numbers, as JavaScript hands them over, and a page's workers as its pool of threads. */
#include "network.h"
#include "threads.h"
#include <stdlib.h>

/* In JavaScript: so many workers, with this one, are to call body(argument) once each; and wait until the others have. */
#define FROM_PAGE(name) __attribute__((import_module("page"), import_name(#name)))
FROM_PAGE(begin_task) void begin_task(void (*body)(void *), void *argument, unsigned wanted);
FROM_PAGE(end_task) void end_task(void);

static int threads;

static void pool(void (*body)(void *), void *argument, unsigned wanted, unsigned flags) {
    (void)flags;
    begin_task(body, argument, wanted);
    body(argument);
    end_task();
}

/* At least 2, so that the page hears of every task: whoever does not come is not missed. */
ENTRY void page_set_threads(int count) {
    threads = count > 2 ? count : 2;
    lamnet_set_pool((void *)pool);
}

ENTRY void *page_allocate(size_t bytes) { return malloc(bytes); }
ENTRY void page_free(void *memory) { free(memory); }

/* numbers: scale, channels, groups, blocks, heads, hidden, taps, then the taps' starts and their lengths. NULL where they
   or the weights are not those of a network, or there is no memory. */
ENTRY network *page_create(const int32_t *numbers, const float *weights, int count) {
    int64_t taps = numbers[6], *window = malloc((size_t)(2 * taps) * sizeof *window);
    network *made = NULL;
    if (!window) return NULL;
    for (int64_t k = 0; k < 2 * taps; k++) window[k] = numbers[7 + k];
    network_config config = {numbers[0], numbers[1], numbers[2], numbers[3], numbers[4], numbers[5], FLOAT32, taps,
                             window, window + taps};
    lamnet_network_create(&made, &config, weights, count);
    free(window);
    return made;
}

ENTRY void page_destroy(network *n) { lamnet_network_destroy(n); }

/* pixels (height, width, 3) -> out, each float32 or uint8 by its dtype; means and own_means as in network.h. */
ENTRY int page_run(const network *n, int height, int width, int pixels_dtype, const void *pixels, int out_dtype, void *out,
                   const float *means, float *own_means) {
    network_run a = {threads, height, width, pixels_dtype, out_dtype, pixels, out, means, own_means};
    return lamnet_network_run(n, &a);
}

/* Layer by layer, on features (height, width, channels) in float32, as network.h says. */

ENTRY int page_shallow(const network *n, int height, int width, const void *pixels, float *out) {
    network_ends a = {threads, height, width, FLOAT32, pixels, NULL, NULL, out};
    return lamnet_network_shallow(n, &a);
}

ENTRY int page_block_means(const network *n, int height, int width, int number, const float *x, float *out, int top, int left,
                           int rows, int columns) {
    network_layer a = {threads, height, width, number, x, NULL, out, top, left, rows, columns};
    return lamnet_network_block_means(n, &a);
}

ENTRY int page_block(const network *n, int height, int width, int number, const float *x, float *out, const float *means) {
    network_layer a = {threads, height, width, number, x, means, out, 0, 0, 0, 0};
    return lamnet_network_block(n, &a);
}

ENTRY int page_end_group(const network *n, int height, int width, int number, const float *y, float *deep) {
    network_layer a = {threads, height, width, number, y, NULL, deep, 0, 0, 0, 0};
    return lamnet_network_end_group(n, &a);
}

ENTRY int page_reconstruct(const network *n, int height, int width, const float *shallow, const float *deep, void *out) {
    network_ends a = {threads, height, width, FLOAT32, NULL, shallow, deep, out};
    return lamnet_network_reconstruct(n, &a);
}
