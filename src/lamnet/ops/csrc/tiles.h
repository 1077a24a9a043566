/* Tiles (AMX): eight registers of up to 16 rows of up to 16 numbers, and one instruction that multiplies two of pairs. */
#pragma once
#include "pairs.h"

#ifdef __AMX_BF16__
enum { SIDE = 16 }; /* of a tile: its rows, and the floats or pairs of a row */

/* Tiles 0 to 3 are sums, each `rows` rows of an x by 16 columns of weights. Tiles 4 and 5 are 16 pairs of the depth of that x
   and its weights, 6 and 7 the `rest` pairs that are left at its end. Whoever calls this ends with _tile_release: a thread
   that holds tiles has 8 KB more to be saved when another takes its place. */
static inline void shape_tiles(int64_t rows, int64_t rest) {
    struct { uint8_t palette, start, zeros[14]; uint16_t bytes[16]; uint8_t rows[16]; } of_tiles = {.palette = 1};
    for (int t = 0; t < 8; t++) {
        int is_weight = t == 5 || t == 7, pairs = t < 6 ? SIDE : (int)rest;
        if (!pairs) continue;
        of_tiles.rows[t] = (uint8_t)(is_weight ? pairs : rows);
        of_tiles.bytes[t] = (uint16_t)(4 * (is_weight ? SIDE : pairs));
    }
    __asm__ volatile("" : : "r"(&of_tiles) : "memory"); /* GCC 12 believes that only 8 bytes of it are read */
    _tile_loadconfig(&of_tiles);
}

static inline __m512 lanes_of(__m512 a, __m512 b, const int odd) {
    return odd ? _mm512_shuffle_f32x4(a, b, 0xdd) : _mm512_shuffle_f32x4(a, b, 0x88);
}

/* Up to 16 rows of 16 numbers or pairs, `step` apart, the other way round: to[column * pitch + row]. Zeros stand for rows that
   are not there. */
static inline void turn_tile(float *to, int64_t pitch, const float *from, int64_t step, int64_t rows) {
    __m512 row[SIDE], two[SIDE], four[SIDE];
    for (int r = 0; r < SIDE; r++) row[r] = r < rows ? _mm512_loadu_ps(from + r * step) : _mm512_setzero_ps();
    for (int r = 0; r < SIDE; r += 2) {
        two[r] = _mm512_unpacklo_ps(row[r], row[r + 1]);
        two[r + 1] = _mm512_unpackhi_ps(row[r], row[r + 1]);
    }
    for (int r = 0; r < SIDE; r++) { /* of rows 4i to 4i + 3, four[4i + j] has columns j, 4 + j, 8 + j and 12 + j */
        __m512d a = (__m512d)two[r / 4 * 4 + (r & 3) / 2], b = (__m512d)two[r / 4 * 4 + (r & 3) / 2 + 2];
        four[r] = (__m512)(r & 1 ? _mm512_unpackhi_pd(a, b) : _mm512_unpacklo_pd(a, b));
    }
    for (int j = 0; j < 4; j++)
        for (int odd = 0; odd < 2; odd++) { /* columns j and 8 + j, then 4 + j and 12 + j */
            __m512 upper = lanes_of(four[j], four[4 + j], odd), lower = lanes_of(four[8 + j], four[12 + j], odd);
            _mm512_storeu_ps(to + (4 * odd + j) * pitch, lanes_of(upper, lower, 0));
            _mm512_storeu_ps(to + (8 + 4 * odd + j) * pitch, lanes_of(upper, lower, 1));
        }
}
#endif
