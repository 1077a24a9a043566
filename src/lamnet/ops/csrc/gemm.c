#include "gemm.h"
#include "tiles.h"

static inline onto_rows from_column(onto_rows onto, int64_t column) {
    if (onto.rows) onto.rows = at(onto.rows, column, onto.dtype);
    return onto;
}

static inline __attribute__((always_inline)) void gemm_of(float *out, int64_t pitch, rows_of a, const float *w,
        int64_t columns, const float *start, onto_rows onto, int64_t rows, int64_t depth, const int pairs) {
    _Static_assert(VECTORS <= 4, "more would leave more than three vectors of columns over");
    int64_t c = 0;
    for (; c + VECTORS * LANES <= columns; c += VECTORS * LANES)
        gemm_columns(out + c, pitch, a, w + c, columns, start ? start + c : start, from_column(onto, c), rows, depth, VECTORS, pairs);
    const float *from = start ? start + c : start;
    onto = from_column(onto, c);
    if (VECTORS > 3 && columns - c == 3 * LANES) gemm_columns(out + c, pitch, a, w + c, columns, from, onto, rows, depth, 3, pairs);
    if (VECTORS > 2 && columns - c == 2 * LANES) gemm_columns(out + c, pitch, a, w + c, columns, from, onto, rows, depth, 2, pairs);
    if (VECTORS > 1 && columns - c == LANES) gemm_columns(out + c, pitch, a, w + c, columns, from, onto, rows, depth, 1, pairs);
}

#ifdef __AMX_BF16__
enum { WIDE = 4 * SIDE }; /* columns of the sums that lie in tiles at a time */

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
static void gemm_tiles(float *out, int64_t pitch, rows_of a, const float *w, int64_t columns, const float *start, onto_rows onto,
                       int64_t rows, int64_t pairs, int64_t high) {
    float sums[SIDE * WIDE];
    if (!rows) return;
    shape_tiles(high, pairs % SIDE);
    for (int64_t c = 0; c < columns; c += WIDE)
        for (int64_t r = 0; r < rows; r += high) {
            int64_t tiles = min(4, (columns - c) / SIDE);
            float *to = out + r * pitch + c;
            tile_block(onto.rows ? sums : to, onto.rows ? WIDE : pitch, a.x + r * a.row, a.row, w + c, columns, start ? start + c : start,
                       pairs, tiles);
            for (int64_t i = 0; i < high && onto.rows; i++)
                for (int64_t e = 0; e < tiles * SIDE; e += LANES)
                    *(vec *)(to + i * pitch + e) = *(const vec *)(sums + i * WIDE + e) +
                                                   load_vector(at(onto.rows, (r + i) * onto.pitch + c + e, onto.dtype), onto.dtype);
        }
    _tile_release();
}

/* The same for gradients of weights: x[r][i] is x[r + i * step], of `rows` that are a multiple of 16, and the products are added
   to what is there. */
static void gemm_turned_tiles(float *out, int64_t pitch, rows_of a, const float *w, int64_t columns, int64_t rows, int64_t pairs) {
    enum { DEEP = 8 * SIDE }; /* pairs of the depth that are turned at a time */
    float turned[SIDE * DEEP];
    for (int64_t from = 0; from < pairs; from += DEEP) {
        int64_t deep = min(DEEP, pairs - from);
        shape_tiles(SIDE, deep % SIDE);
        for (int64_t r = 0; r < rows; r += SIDE) {
            for (int64_t i = 0; i < deep; i += SIDE)
                turn_tile(turned + i, DEEP, a.x + r + (from + i) * a.step, a.step, min(SIDE, deep - i));
            for (int64_t c = 0; c < columns; c += WIDE)
                tile_block(out + r * pitch + c, pitch, turned, DEEP, w + from * columns + c, columns, NULL, deep,
                           min(4, (columns - c) / SIDE));
        }
    }
    _tile_release();
}
#endif

void gemm_onto(float *out, int64_t pitch, rows_of a, const float *w, int64_t columns, const float *start, onto_rows onto, int64_t rows,
               int64_t depth) {
#ifdef __AMX_BF16__
    if (a.pairs && a.step == 1) { /* be there ever so few rows: one comes out the same in whatever company */
        int64_t rest = rows % SIDE, whole = rows - rest, pairs = ceil_div(depth, PAIR);
        gemm_tiles(out, pitch, a, w, columns, start, onto, whole, pairs, SIDE);
        a.x += whole * a.row;
        gemm_tiles(out + whole * pitch, pitch, a, w, columns, start, rows_from(onto, whole), rest, pairs, rest);
        return;
    }
    if (a.pairs && a.row == 1 && rows % SIDE == 0 && !start && !onto.rows) {
        gemm_turned_tiles(out, pitch, a, w, columns, rows, ceil_div(depth, PAIR));
        return;
    }
#endif
    if (PAIRS && a.pairs) gemm_of(out, pitch, a, w, columns, start, onto, rows, ceil_div(depth, PAIR), 1);
    else gemm_of(out, pitch, a, w, columns, start, onto, rows, depth, 0);
}
