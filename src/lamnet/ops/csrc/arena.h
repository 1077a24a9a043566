/* Scratch that sizes and carves itself.

   A function takes all pieces that some work needs, in turn, from an arena. From an empty one it only counts; from one
   with memory it gets the pieces. Sizing and carving are one function, so they cannot disagree. Built with the address
   sanitizer, pieces have gaps between them that must not be touched. */
#pragma once
#include "common.h"

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifdef SANITIZED
#include <sanitizer/asan_interface.h>
enum { GAP = LANES };
#else
enum { GAP = 0 };
#endif

typedef struct {
    float *base;   /* NULL: pieces are only counted */
    int64_t taken; /* floats */
    void *memory;  /* what `release` frees */
} arena;

/* So many floats, as they are in memory: zeros from `reserve`, anything from `parallel`. */
static inline float *take(arena *a, int64_t floats) {
    float *piece = a->base ? a->base + a->taken : NULL;
    int64_t room = padded(floats) + GAP;
    a->taken += room;
#ifdef SANITIZED
    if (piece) {
        __asan_unpoison_memory_region(piece, (size_t)floats * sizeof(float));
        __asan_poison_memory_region(piece + floats, (size_t)(room - floats) * sizeof(float));
    }
#endif
    return piece;
}

/* A layer in floats, (inputs, padded outputs) as gemm and convolve take it, or the sums of its gradients. */
typedef struct { float *weight, *bias; } float_layer;

static inline float_layer take_layer(arena *a, int64_t inputs, int64_t pitch) {
    float_layer l;
    l.weight = take(a, inputs * pitch);
    l.bias = take(a, pitch);
    return l;
}

/* Gets zeros for what was counted and starts anew to carve them; returns 0 where there is no memory. */
int reserve(arena *a);
void release(arena *a);

/* Sums over pixels: each chunk of the work has its own, all of one layout. */
typedef struct { arena all; int64_t size, chunks; } partial_sums;

/* As `reserve`, for as many times what was counted in `one`; at least once, so that there is a result. */
int reserve_chunks(partial_sums *p, arena one, int64_t chunks);

static inline arena chunk_of(const partial_sums *p, int64_t chunk) {
    return (arena){.base = p->all.base + chunk * p->size};
}

/* Adds the sums of all chunks, in their order, to those of the first. */
void sum_chunks(const partial_sums *p);
