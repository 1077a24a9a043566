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
#endif
