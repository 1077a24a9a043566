/* What every kernel shares: storage types, copies between them and float32, small arithmetic. */
#pragma once
#include "arguments.h"
#include "processor.h"
#include <string.h>

static inline int64_t min(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t max(int64_t a, int64_t b) { return a > b ? a : b; }
static inline int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
static inline int64_t padded(int64_t n) { return ceil_div(n, LANES) * LANES; }

static inline int64_t size_of(int64_t dtype) { return dtype == FLOAT32 ? 4 : 2; }

static inline void *at(const void *tensor, int64_t index, int64_t dtype) {
    return (char *)tensor + index * size_of(dtype);
}

enum { AHEAD = 8 }; /* rows that are prefetched before they are read */

/* Of n elements that will be read soon; addresses need not exist. */
static inline void prefetch(const void *from, int64_t n, int64_t dtype) {
    for (int64_t i = 0; i < n * size_of(dtype); i += 64) __builtin_prefetch((const char *)from + i);
}

/* Of n elements that will be read or written after some work, into a cache that holds what is needed until then. It is best
   spread over a loop that computes: the processor waits when it is asked for more lines than it can fetch at a time. */
static inline void fetch(const void *from, int64_t n, int64_t dtype) {
    for (int64_t i = 0; i < n * size_of(dtype); i += 64) __builtin_prefetch((const char *)from + i, 0, 2);
}

typedef uint16_t halves __attribute__((vector_size(2 * LANES), aligned(2)));
typedef uint32_t wide_halves __attribute__((vector_size(4 * LANES)));

static inline vec of_halves(const uint16_t *x) { return (vec)(__builtin_convertvector(*(const halves *)x, wide_halves) << 16); }

/* LANES numbers, of float32 or bfloat16. */
static inline vec load_vector(const void *x, int64_t dtype) { return dtype == FLOAT32 ? *(const vec *)x : of_halves(x); }

/* The next two go by vectors, since the rows of small networks are shorter than what a compiler takes at a time. */

static inline void load(float *restrict to, const void *restrict from, int64_t n, int64_t dtype) {
    int64_t i = 0;
    if (dtype == FLOAT32) {
        const float *x = from;
        for (; i + LANES <= n; i += LANES) *(vec *)(to + i) = *(const vec *)(x + i);
        for (; i < n; i++) to[i] = x[i];
    } else if (dtype == BFLOAT16) {
        const uint16_t *x = from;
        for (; i + LANES <= n; i += LANES) *(vec *)(to + i) = of_halves(x + i);
        for (; i < n; i++) to[i] = float_of((uint32_t)x[i] << 16);
    } else {
        const _Float16 *x = from;
        for (; i < n; i++) to[i] = (float)x[i];
    }
}

static inline void add(float *restrict to, const void *restrict from, int64_t n, int64_t dtype) {
    int64_t i = 0;
    if (dtype == FLOAT32) {
        const float *x = from;
        for (; i + LANES <= n; i += LANES) *(vec *)(to + i) += *(const vec *)(x + i);
        for (; i < n; i++) to[i] += x[i];
    } else if (dtype == BFLOAT16) {
        const uint16_t *x = from;
        for (; i + LANES <= n; i += LANES) *(vec *)(to + i) += of_halves(x + i);
        for (; i < n; i++) to[i] += float_of((uint32_t)x[i] << 16);
    } else {
        const _Float16 *x = from;
        for (; i < n; i++) to[i] += (float)x[i];
    }
}

/* Where the last vector is not full, one that ends there is rounded again. */
static inline void store_bfloat16(uint16_t *restrict to, const float *restrict from, int64_t n) {
    int64_t i = round_vectors(to, from, n);
    if (i && i < n) i = n - LANES + round_vectors(to + n - LANES, from + n - LANES, LANES);
    for (; i < n; i++) to[i] = bfloat16_of(from[i]);
}

static inline void store(void *restrict to, const float *restrict from, int64_t n, int64_t dtype) {
    if (dtype == FLOAT32) {
        float *y = to;
        for (int64_t i = 0; i < n; i++) y[i] = from[i];
    } else if (dtype == BFLOAT16) {
        store_bfloat16(to, from, n);
    } else {
        _Float16 *y = to;
        for (int64_t i = 0; i < n; i++) y[i] = (_Float16)from[i];
    }
}
