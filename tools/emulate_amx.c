/* AMX on a processor that has AVX-512 and no AMX: catches the illegal instructions and does what they would have done.

       LD_PRELOAD=emulate_amx.so PROGRAM

   So the library for AMX runs as it is. The instructions are ldtilecfg, tilerelease, tilezero, tileloadd, tilestored and
   tdpbf16ps, as Intel's Software Developer's Manual, volume 2, has them (https://www.felixcloutier.com/x86/tdpbf16ps
   is a copy). What a processor refuses ends the program with a line. At its end it says on stderr how often tiles were shaped
   and multiplied, and how many threads still held some. On a processor with AMX nothing is illegal and nothing is caught. */
#define _GNU_SOURCE
#include <immintrin.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

enum { TILES = 8, SIDE = 16, ROW = 64 }; /* rows of a tile, bytes of a row */

typedef struct { uint8_t palette, start, zeros[14]; uint16_t bytes[16]; uint8_t rows[16]; } configuration;

/* Zero beyond its shape, as the processor keeps it. */
static __thread struct { configuration of; uint8_t data[TILES][SIDE][ROW]; } tiles;

static long shapes, products, holders; /* of all threads */

static void refuse(const char *why) {
    fprintf(stderr, "emulate_amx: %s\n", why);
    abort();
}

static void need(int true, const char *why) {
    if (!true) refuse(why);
}

static int is_shaped(int t) { return tiles.of.rows[t] > 0; }

static void release(void) {
    if (tiles.of.palette) __atomic_sub_fetch(&holders, 1, __ATOMIC_RELAXED);
    memset(&tiles, 0, sizeof tiles);
}

static void configure(const configuration *c) {
    static const configuration none;
    release();
    if (!c->palette) return;
    need(c->palette == 1, "ldtilecfg: palette");
    need(!c->start && !memcmp(c->zeros, none.zeros, sizeof c->zeros), "ldtilecfg: bytes that must be zero");
    for (int t = 0; t < 16; t++) {
        need(t < TILES || !(c->rows[t] || c->bytes[t]), "ldtilecfg: more than 8 tiles");
        need(c->rows[t] <= SIDE && c->bytes[t] <= ROW, "ldtilecfg: too large a tile");
        need(!c->rows[t] == !c->bytes[t], "ldtilecfg: rows without bytes, or bytes without rows");
    }
    tiles.of = *c;
    __atomic_add_fetch(&holders, 1, __ATOMIC_RELAXED);
    __atomic_add_fetch(&shapes, 1, __ATOMIC_RELAXED);
}

static void clear(int t) {
    need(is_shaped(t), "tilezero: a tile without a shape");
    memset(tiles.data[t], 0, sizeof tiles.data[t]);
}

static void load(int t, const uint8_t *from, int64_t stride) {
    need(is_shaped(t), "tileloadd: a tile without a shape");
    memset(tiles.data[t], 0, sizeof tiles.data[t]);
    for (int r = 0; r < tiles.of.rows[t]; r++) memcpy(tiles.data[t][r], from + r * stride, tiles.of.bytes[t]);
}

static void store(int t, uint8_t *to, int64_t stride) {
    need(is_shaped(t), "tilestored: a tile without a shape");
    for (int r = 0; r < tiles.of.rows[t]; r++) memcpy(to + r * stride, tiles.data[t][r], tiles.of.bytes[t]);
}

/* The low and the high one of each pair of bfloat16, as floats. */
static __m512 low(__m512i pairs) { return (__m512)_mm512_slli_epi32(pairs, 16); }
static __m512 high(__m512i pairs) { return (__m512)_mm512_and_si512(pairs, _mm512_set1_epi32((int)0xffff0000)); }

/* sum += x * w. A row of x by all of w has two sums for each column, of low and of high numbers, by fused multiply-adds in
   the order of the depth; then low + high, then that is added. */
static __attribute__((noinline)) void add_products(int sum, int x, int w) {
    __mmask16 columns = (__mmask16)((1u << tiles.of.bytes[sum] / 4) - 1);
    for (int r = 0; r < tiles.of.rows[sum]; r++) {
        __m512 lows = _mm512_setzero_ps(), highs = _mm512_setzero_ps();
        for (int k = 0; k < tiles.of.rows[w]; k++) {
            int32_t pair;
            memcpy(&pair, tiles.data[x][r] + 4 * k, sizeof pair);
            __m512i factor = _mm512_set1_epi32(pair), weights = _mm512_loadu_si512(tiles.data[w][k]);
            lows = _mm512_fmadd_ps(low(factor), low(weights), lows);
            highs = _mm512_fmadd_ps(high(factor), high(weights), highs);
        }
        __m512 before = _mm512_loadu_ps(tiles.data[sum][r]);
        _mm512_mask_storeu_ps(tiles.data[sum][r], columns, _mm512_add_ps(before, _mm512_add_ps(lows, highs)));
    }
}

static void multiply(int sum, int x, int w) {
    const uint8_t *rows = tiles.of.rows;
    const uint16_t *bytes = tiles.of.bytes;
    need(is_shaped(sum) && is_shaped(x) && is_shaped(w), "tdpbf16ps: a tile without a shape");
    need(sum != x && sum != w && x != w, "tdpbf16ps: a tile twice");
    need(bytes[sum] % 4 == 0 && bytes[x] % 4 == 0, "tdpbf16ps: part of a number");
    need(rows[sum] == rows[x] && bytes[sum] == bytes[w] && bytes[x] == 4 * rows[w], "tdpbf16ps: shapes that differ");
    _mm_setcsr(0x9fc0); /* numbers too small for a normal one are zero; to the nearest, to even; no exceptions */
    add_products(sum, x, w);
    __atomic_add_fetch(&products, 1, __ATOMIC_RELAXED);
}

/* An instruction with a VEX prefix of three bytes: c4, RXBmmmmm, WvvvvLpp, the opcode, ModRM and what belongs to that. */
typedef struct {
    int prefix, opcode, mode, reg, rm, third; /* prefix: 0 none, 1 66, 2 f3, 3 f2; third: vvvv */
    uint8_t *base;                            /* of its memory */
    int64_t index;                            /* times its scale */
    const uint8_t *end;
} instruction;

static int64_t register_of(const greg_t *g, int number) {
    static const int place[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                                  REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
    return g[place[number]];
}

static int64_t displacement(const uint8_t **at, int bytes) {
    int8_t one;
    int32_t four;
    memcpy(&one, *at, 1), memcpy(&four, *at, 4);
    *at += bytes;
    return bytes == 1 ? one : bytes == 4 ? four : 0;
}

/* Base and index of memory, and where the instruction ends. */
static void find_memory(instruction *i, const greg_t *g, const uint8_t *vex) {
    int x = ~vex[1] >> 3 & 8, b = ~vex[1] >> 2 & 8; /* the fourth bits of the numbers of index and base */
    int64_t base = 0;
    int long_only = 0;
    if (i->rm == 4) {
        int sib = *i->end++, index = (sib >> 3 & 7) | x;
        long_only = !i->mode && (sib & 7) == 5;
        if (!long_only) base = register_of(g, (sib & 7) | b);
        if (index != 4) i->index = (int64_t)((uint64_t)register_of(g, index) << (sib >> 6));
    } else if (i->mode || i->rm != 5) {
        base = register_of(g, i->rm | b);
    }
    int relative = !i->mode && i->rm == 5;
    base += displacement(&i->end, i->mode == 1 ? 1 : i->mode == 2 || long_only || relative ? 4 : 0);
    i->base = (uint8_t *)(base + (relative ? (int64_t)i->end : 0));
}

static instruction decoded(const greg_t *g) {
    const uint8_t *at = (const uint8_t *)g[REG_RIP];
    instruction i = {.opcode = -1};
    if (at[0] != 0xc4 || (at[1] & 0x9f) != 0x82 || at[2] & 0x84) return i; /* tiles 0 to 7, map 0f38, W0, 128 bits */
    i = (instruction){at[2] & 3, at[3], at[4] >> 6, at[4] >> 3 & 7, at[4] & 7, ~at[2] >> 3 & 15, .end = at + 5};
    if (i.mode < 3) find_memory(&i, g, at);
    return i;
}

/* Whether it is one of ours. */
static int did(const instruction *i) {
    int of_memory = i->mode < 3, needs_sib = of_memory && i->rm == 4 && i->third == 0;
    if (i->opcode == 0x49 && i->prefix == 0 && of_memory && i->reg == 0) configure((const configuration *)i->base);
    else if (i->opcode == 0x49 && i->prefix == 0 && !of_memory && !i->reg && !i->rm) release();
    else if (i->opcode == 0x49 && i->prefix == 3 && !of_memory && !i->rm) clear(i->reg);
    else if (i->opcode == 0x4b && i->prefix == 3 && needs_sib) load(i->reg, i->base, i->index);
    else if (i->opcode == 0x4b && i->prefix == 2 && needs_sib) store(i->reg, i->base, i->index);
    else if (i->opcode == 0x5c && i->prefix == 2 && !of_memory && i->third < TILES) multiply(i->reg, i->rm, i->third);
    else return 0;
    return 1;
}

static void on_illegal(int number, siginfo_t *about, void *context) {
    greg_t *g = ((ucontext_t *)context)->uc_mcontext.gregs;
    instruction i = decoded(g);
    (void)about;
    if (did(&i)) g[REG_RIP] = (greg_t)i.end;
    else signal(number, SIG_DFL); /* it is illegal once more, and for good */
}

__attribute__((constructor)) static void begin(void) {
    struct sigaction action = {.sa_sigaction = on_illegal, .sa_flags = SA_SIGINFO | SA_NODEFER};
    sigaction(SIGILL, &action, NULL);
}

__attribute__((destructor)) static void report(void) {
    if (shapes) fprintf(stderr, "emulate_amx: %ld shapes, %ld products, %ld threads hold tiles\n", shapes, products, holders);
}
