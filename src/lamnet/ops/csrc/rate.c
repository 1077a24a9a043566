/* The rate at which the processor multiplies and adds at its best, for the benchmark. */
#include "gemm.h"
#include "tiles.h"
#include "arguments.h"

static inline __attribute__((always_inline)) int64_t run_chains(int64_t rounds, float *out, const int pairs) {
    vec sum[CHAINS], factor, term; /* each sum depends on nothing but itself */
    for (int i = 0; i < LANES; i++) factor[i] = 0.5f, term[i] = (float)(i + 1);
    for (int chain = 0; chain < CHAINS; chain++) sum[chain] = *(const vec *)out + (float)chain; /* unknown to the compiler */
    for (int64_t round = 0; round < rounds; round++)
        for (int chain = 0; chain < CHAINS; chain++)
            sum[chain] = pairs ? plus_product(sum[chain], 0.5f, factor, 1) : sum[chain] * factor + term;
    for (int chain = 1; chain < CHAINS; chain++) sum[0] += sum[chain];
    *(vec *)out = sum[0]; /* so that nothing is left out */
    return rounds * CHAINS * LANES * together(pairs);
}

#ifdef __AMX_BF16__
/* Of tiles, which are zeros: their content costs no time. */
static int64_t run_tiles(int64_t rounds) {
    shape_tiles(SIDE, 0);
    for (int64_t round = 0; round < rounds; round++) {
        _tile_dpbf16ps(0, 4, 5);
        _tile_dpbf16ps(1, 4, 5);
        _tile_dpbf16ps(2, 4, 5);
        _tile_dpbf16ps(3, 4, 5);
    }
    _tile_release();
    return rounds * 4 * SIDE * SIDE * SIDE * PAIR;
}
#endif

/* Does so many rounds in registers; returns the number of multiply-adds. `out` has LANES numbers, and takes as many. */
ENTRY int64_t lamnet_multiply_adds(int64_t rounds, int64_t dtype, float *out) {
#ifdef __AMX_BF16__
    if (in_pairs(dtype)) return run_tiles(rounds);
#endif
    return in_pairs(dtype) ? run_chains(rounds, out, 1) : run_chains(rounds, out, 0);
}
