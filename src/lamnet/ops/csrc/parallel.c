/* Threads come from the pool that PyTorch already runs: its OpenMP entry point is handed over by Python. */
#include "arena.h"
#include <stdlib.h>

typedef void (*fork_join)(void (*body)(void *), void *argument, unsigned threads, unsigned flags);
static fork_join pool; /* GOMP_parallel, or NULL */

void lamnet_set_pool(void *gomp_parallel) { pool = (fork_join)gomp_parallel; }

typedef struct {
    work each;
    const void *job;
    float *scratch;
    int64_t items, floats, next, slots;
} team;

static void run(void *argument) {
    team *t = argument;
    arena mine = {.base = t->scratch + __atomic_fetch_add(&t->slots, 1, __ATOMIC_RELAXED) * t->floats};
    for (;;) {
        int64_t item = __atomic_fetch_add(&t->next, 1, __ATOMIC_RELAXED);
        if (item >= t->items) return;
        t->each(t->job, item, mine);
    }
}

int parallel(work each, const void *job, int64_t items, arena scratch, int64_t threads) {
    if (!pool || items < 2) threads = 1;
    threads = min(threads, items);
    if (threads < 1) return 0;
    float *floats = aligned_alloc(64, (size_t)(threads * scratch.taken + LANES) * sizeof(float));
    if (!floats) return 1;
    team t = {each, job, floats, items, scratch.taken, 0, 0};
    if (threads == 1) run(&t);
    else pool(run, &t, (unsigned)threads, 0);
    free(floats);
    return 0;
}
