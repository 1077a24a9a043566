#include "gemm.h"
#include "tiles.h"

static inline __attribute__((always_inline)) void gemm_of(float *out, int64_t pitch, rows_of a, const float *w,
        int64_t columns, const float *start, int64_t rows, int64_t depth, const int pairs) {
    _Static_assert(VECTORS <= 4, "more would leave more than three vectors of columns over");
    int64_t c = 0;
    for (; c + VECTORS * LANES <= columns; c += VECTORS * LANES)
        gemm_columns(out + c, pitch, a, w + c, columns, start ? start + c : start, rows, depth, VECTORS, pairs);
    const float *from = start ? start + c : start;
    if (VECTORS > 3 && columns - c == 3 * LANES) gemm_columns(out + c, pitch, a, w + c, columns, from, rows, depth, 3, pairs);
    if (VECTORS > 2 && columns - c == 2 * LANES) gemm_columns(out + c, pitch, a, w + c, columns, from, rows, depth, 2, pairs);
    if (VECTORS > 1 && columns - c == LANES) gemm_columns(out + c, pitch, a, w + c, columns, from, rows, depth, 1, pairs);
}

#ifdef __AMX_BF16__
/* Does something with the tile of sums of each column of tiles; the number of a tile is part of an instruction. */
#define EACH(DO) do { DO(0); if (tiles > 1) { DO(1); } if (tiles > 2) { DO(2); } if (tiles > 3) { DO(3); } } while (0)
#define LOAD(t) _tile_loadd(t, from + t * SIDE, from_bytes)
#define STORE(t) _tile_stored(t, out + t * SIDE, pitch * 4)
#define ADD(t) _tile_loadd(5, w + t * SIDE, columns * 4); _tile_dpbf16ps(t, 4, 5)
#define ADD_REST(t) _tile_loadd(7, w + t * SIDE, columns * 4); _tile_dpbf16ps(t, 6, 7)

static void tile_block(float *out, int64_t pitch, const float *x, int64_t row, const float *w, int64_t columns, const float *start,
                       int64_t pairs, int64_t tiles) {
    const float *from = start ? start : out;
    int64_t from_bytes = start ? 0 : pitch * 4; /* to the next row: they all begin with the same one, or with their own */
    EACH(LOAD);
    for (; pairs >= SIDE; pairs -= SIDE, x += SIDE, w += SIDE * columns) {
        _tile_loadd(4, x, row * 4);
        EACH(ADD);
    }
    if (pairs) {
        _tile_loadd(6, x, row * 4);
        EACH(ADD_REST);
    }
    EACH(STORE);
}

/* Of `rows` that are a multiple of `high`, at most 16: so many at a time, by 64 columns. */
static void gemm_tiles(float *out, int64_t pitch, rows_of a, const float *w, int64_t columns, const float *start, int64_t rows,
                       int64_t pairs, int64_t high) {
    if (!rows) return;
    shape_tiles(high, pairs % SIDE);
    for (int64_t c = 0; c < columns; c += 4 * SIDE)
        for (int64_t r = 0; r < rows; r += high)
            tile_block(out + r * pitch + c, pitch, a.x + r * a.row, a.row, w + c, columns, start ? start + c : start, pairs,
                       min(4, (columns - c) / SIDE));
    _tile_release();
}
#endif

void gemm(float *out, int64_t pitch, rows_of a, const float *w, int64_t columns, const float *start, int64_t rows,
          int64_t depth) {
#ifdef __AMX_BF16__
    if (a.pairs && a.step == 1) { /* be there ever so few rows: one comes out the same in whatever company */
        int64_t rest = rows % SIDE, whole = rows - rest, pairs = ceil_div(depth, PAIR);
        gemm_tiles(out, pitch, a, w, columns, start, whole, pairs, SIDE);
        a.x += whole * a.row;
        gemm_tiles(out + whole * pitch, pitch, a, w, columns, start, rest, pairs, rest);
        return;
    }
#endif
    if (PAIRS && a.pairs) gemm_of(out, pitch, a, w, columns, start, rows, ceil_div(depth, PAIR), 1);
    else gemm_of(out, pitch, a, w, columns, start, rows, depth, 0);
}
