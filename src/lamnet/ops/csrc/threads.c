#include "threads.h"
#include "system.h"
#include <stdlib.h>

typedef void (*fork_join)(void (*body)(void *), void *argument, unsigned threads, unsigned flags);
static fork_join pool; /* GOMP_parallel, or NULL */

void lamnet_set_pool(void *gomp_parallel) { pool = (fork_join)gomp_parallel; }

int has_pool(void) { return pool != NULL; }

/* Items that follow each other, those of one thread: what lies side by side in memory is written by one processor. */
typedef struct { int64_t next, end, apart[14]; } range; /* apart: fills two cache lines, which no other range shares */

typedef struct {
    work each;
    const void *job;
    float *scratch;
    range *ranges;
    int64_t threads, floats, slots;
} task;

/* A thread does its own range and then what is left of the others'. */
static void take_part(void *argument) {
    task *t = argument;
    int64_t slot = __atomic_fetch_add(&t->slots, 1, __ATOMIC_RELAXED);
    arena mine = {.base = t->scratch + slot * t->floats};
    for (int64_t i = 0; i < t->threads; i++) {
        range *r = &t->ranges[(slot + i) % t->threads];
        for (int64_t item; (item = __atomic_fetch_add(&r->next, 1, __ATOMIC_RELAXED)) < r->end;) t->each(t->job, item, mine);
    }
}

enum { SPINS = 20000 }; /* looks before a thread goes to sleep, some 0.3 ms: a task is about as long, and waking takes 0.1 */

struct team {
    int64_t others; /* threads beside the one that calls */
    thread *threads;
    mutex mutex;
    condition changed;
    int64_t round; /* which task: the others wait until there is the next */
    int64_t busy;  /* of the others */
    task *task;    /* NULL: they end */
};

static int64_t now(const int64_t *value) { return __atomic_load_n(value, __ATOMIC_ACQUIRE); }

/* Waits until the value is another one (or, `equal`, until it is this one). */
static void wait_until(team *t, const int64_t *value, int64_t it, int equal) {
    for (int i = 0; i < SPINS; i++, pause_briefly())
        if ((now(value) == it) == equal) return;
    lock(&t->mutex);
    while ((now(value) == it) != equal) wait_for(&t->changed, &t->mutex);
    unlock(&t->mutex);
}

/* Under the lock, or a thread that is about to sleep would miss it. */
static void change(team *t, int64_t *value, int64_t by) {
    lock(&t->mutex);
    __atomic_fetch_add(value, by, __ATOMIC_ACQ_REL);
    wake_all(&t->changed);
    unlock(&t->mutex);
}

static THREAD_BODY follow(void *argument) {
    team *t = argument;
    for (int64_t seen = 0;; seen++) {
        wait_until(t, &t->round, seen, 0);
        if (!t->task) return THREAD_END;
        take_part(t->task);
        change(t, &t->busy, -1);
    }
}

static void lead(team *t, task *next) {
    t->task = next;
    t->busy = t->others;
    change(t, &t->round, 1);
    if (!next) return;
    take_part(next);
    wait_until(t, &t->busy, 0, 1);
}

team *start_team(int64_t threads) {
    team *t = calloc(1, sizeof *t);
    if (!t) return NULL;
    t->threads = calloc((size_t)threads, sizeof *t->threads);
    if (!t->threads) return free(t), NULL;
    begin_mutex(&t->mutex);
    begin_condition(&t->changed);
    while (t->others < threads - 1 && start_thread(&t->threads[t->others], follow, t)) t->others++;
    return t;
}

void end_team(team *t) {
    lead(t, NULL);
    for (int64_t i = 0; i < t->others; i++) join_thread(t->threads[i]);
    end_condition(&t->changed);
    end_mutex(&t->mutex);
    free(t->threads);
    free(t);
}

int parallel(work each, const void *job, int64_t items, arena scratch, crew c) {
    int64_t threads = min(c.own ? c.own->others + 1 : c.threads, items);
    if (threads < 1) return 0;
    int64_t slots = c.own ? c.own->others + 1 : threads; /* all of a team come, even if in vain */
    range *ranges = allocate((size_t)slots * sizeof *ranges + (size_t)(slots * scratch.taken + LANES) * sizeof(float));
    if (!ranges) return 1;
    for (int64_t i = 0; i < slots; i++) ranges[i] = (range){i * items / slots, (i + 1) * items / slots, {0}};
    task t = {each, job, (float *)(ranges + slots), ranges, slots, scratch.taken, 0};
    team *own = c.own;
    if (threads > 1 && !own && !pool) own = start_team(threads);
    if (threads == 1 || (!own && !pool)) take_part(&t);
    else if (own) lead(own, &t);
    else pool(take_part, &t, (unsigned)threads, 0);
    if (own != c.own) end_team(own);
    deallocate(ranges);
    return 0;
}
