/* Who shares the work: threads of a pool that the process already has, or a team of our own.

   Work is cut into items that do not depend on the number of threads, so results do not. A team lives from start_team to
   end_team, a run of a network for instance, and waits between its tasks; nothing is left behind. */
#pragma once
#include "arena.h"

typedef struct team team;

typedef struct {
    int64_t threads;
    team *own; /* NULL: the pool given to lamnet_set_pool, or else a team for one task */
} crew;

/* So many threads with the one that calls; NULL where there is no memory. Where the system refuses some, it has fewer. */
team *start_team(int64_t threads);
void end_team(team *t);

int has_pool(void);

/* One call of `each` for every item, shared by the crew; each thread has scratch as counted in `scratch`. Returns 0, or 1
   where there is no memory. */
typedef void (*work)(const void *job, int64_t item, arena scratch);
int parallel(work each, const void *job, int64_t items, arena scratch, crew c);
