#include "arena.h"
#include <stdlib.h>

static int reserve_floats(arena *a, int64_t floats) {
    a->memory = calloc((size_t)(floats + LANES), sizeof(float));
    a->base = (float *)(((uintptr_t)a->memory + 63) / 64 * 64); /* vectors that cross no cache line */
    a->taken = 0;
    return a->memory != NULL;
}

int reserve(arena *a) { return reserve_floats(a, a->taken); }

void release(arena *a) { free(a->memory); }

int reserve_chunks(partial_sums *p, arena one, int64_t chunks) {
    *p = (partial_sums){.size = one.taken, .chunks = chunks};
    return reserve_floats(&p->all, p->size * (chunks ? chunks : 1));
}

__attribute__((no_sanitize("address"))) /* the gaps between pieces as well */
void sum_chunks(const partial_sums *p) {
    float *restrict sums = p->all.base;
    for (int64_t chunk = 1; chunk < p->chunks; chunk++) {
        const float *restrict more = p->all.base + chunk * p->size;
        for (int64_t i = 0; i < p->size; i++) sums[i] += more[i];
    }
}
