/* What differs between instruction sets, and is what all kernels are made of: how many sums stay in registers, and pairs, where a
   processor multiplies numbers narrower than float32. Only tiles (tiles.h) are beside it, and who runs which build (level.c). */
#pragma once
#include "bits.h"

#define LANES 16 /* floats of a vector; every row that is computed on is padded to a multiple of it */

/* The compiler splits it where registers are shorter: into 2 with AVX2, into 4 on ARM and with SSE. */
typedef float vec __attribute__((vector_size(4 * LANES), aligned(4)));
typedef uint32_t vec_bits __attribute__((vector_size(4 * LANES), aligned(4)));

/* How many sums, each a vec, a loop has at a time, to stay in registers. No result depends on it, but the speed does.

       PRODUCT_ROWS x VECTORS   of a product: rows by vectors of columns, of which there are 1 to 4
       RESULTS                  of a depthwise convolution: pixels beside each other, 4 or a multiple
       SLIDES                   whether the numbers that such sums take from one tap to the next stay in registers as well
       GRADIENTS                of the gradient of its taps: taps, 4 or a multiple
       CHAINS                   of the benchmark, enough to hide an instruction's latency */
#ifdef __AVX512F__
enum { PRODUCT_ROWS = 6, VECTORS = 4, RESULTS = 8, SLIDES = 1, GRADIENTS = 12, CHAINS = 10 };
#elif defined(__SSE2__) && !defined(__AVX2__) /* 16 short registers */
enum { PRODUCT_ROWS = 2, VECTORS = 1, RESULTS = 4, SLIDES = 0, GRADIENTS = 4, CHAINS = 2 };
#else /* 16 of AVX2, 32 of ARM */
enum { PRODUCT_ROWS = 6, VECTORS = 1, RESULTS = 8, SLIDES = 0, GRADIENTS = 12, CHAINS = 5 };
#endif

/* About p / q: within 2^-23 of it, or with `rough` 2^-13. */
#ifdef __AVX512F__
#include <immintrin.h>
static inline __attribute__((always_inline)) vec quotient(vec p, vec q, const int rough) {
    vec reciprocal = (vec)_mm512_rcp14_ps((__m512)q), first = p * reciprocal;
    return rough ? first : first + (p - q * first) * reciprocal;
}
#else
static inline vec quotient(vec p, vec q, int rough) { return p / q; }
#endif

/* Pairs. Two bfloat16 in the place of a float, the first in its lower half, which follow each other in a sum: the processor
   multiplies both and adds up in float32. Without such an instruction float32 is quicker, so PAIRS is 0 and nobody calls the four
   functions; in C they say what the instructions have to do, and a test builds them with -DPAIRS_IN_C. */
enum { PAIR = 2 }; /* numbers of one */

#ifdef __AVX512BF16__
enum { PAIRS = 1 };

/* sum + a's first * b's first + a's second * b's second, in each lane. */
static inline __attribute__((always_inline)) vec plus_pairs(vec sum, vec a, vec b) {
    return (vec)_mm512_dpbf16_ps((__m512)sum, (__m512bh)a, (__m512bh)b);
}

/* Two vectors, number after number, as one of pairs. */
static inline __attribute__((always_inline)) vec pairs_in_turn(vec low, vec high) {
    return (vec)_mm512_cvtne2ps_pbh((__m512)high, (__m512)low);
}

/* Two vectors, lane by lane, as one of pairs. */
static inline __attribute__((always_inline)) vec pairs_by_lanes(vec first, vec second) {
    const __m512i by_turns = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6, 21, 5,
                                              20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    return (vec)_mm512_permutexvar_epi16(by_turns, (__m512i)_mm512_cvtne2ps_pbh((__m512)second, (__m512)first));
}

/* Rounds to bfloat16 what of n numbers fills vectors; returns how many that are. Numbers too small for a normal one become 0. */
static inline int64_t round_vectors(uint16_t *restrict to, const float *restrict from, int64_t n) {
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) _mm256_storeu_si256((__m256i *)(to + i), (__m256i)_mm512_cvtneps_pbh(_mm512_loadu_ps(from + i)));
    return i;
}
#else
#ifdef PAIRS_IN_C
enum { PAIRS = 1 };
#else
enum { PAIRS = 0 };
#endif
static inline vec firsts_of(vec pairs) { return (vec)((vec_bits)pairs << 16); }
static inline vec seconds_of(vec pairs) { return (vec)((vec_bits)pairs & 0xffff0000); }

static inline vec plus_pairs(vec sum, vec a, vec b) { return sum + firsts_of(a) * firsts_of(b) + seconds_of(a) * seconds_of(b); }

static inline vec pairs_in_turn(vec low, vec high) {
    vec pairs;
    for (int i = 0; i < LANES / 2; i++) pairs[i] = pair_of(low[2 * i], low[2 * i + 1]);
    for (int i = 0; i < LANES / 2; i++) pairs[LANES / 2 + i] = pair_of(high[2 * i], high[2 * i + 1]);
    return pairs;
}

static inline vec pairs_by_lanes(vec first, vec second) {
    vec pairs;
    for (int i = 0; i < LANES; i++) pairs[i] = pair_of(first[i], second[i]);
    return pairs;
}

static inline int64_t round_vectors(uint16_t *to, const float *from, int64_t n) { return 0; }
#endif
