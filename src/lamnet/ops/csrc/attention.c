#include "attention.h"

tiling tiling_of(const attention_sizes *g, strided value) {
    if (!g->batch || !g->axis || !g->across) return (tiling){0};
    int contiguous_across = value.across < value.along; /* then tiles are wider, to read whole cache lines */
    tiling all = {.width = min(g->across, contiguous_across ? 4 : 1), .rows = min(g->axis, contiguous_across ? 64 : 128)};
    all.count = g->batch * ceil_div(g->axis, all.rows) * ceil_div(g->across, all.width);
    return all;
}

tile tile_of(const attention_sizes *g, tiling all, int64_t item) {
    int64_t along = ceil_div(g->axis, all.rows), across = ceil_div(g->across, all.width);
    tile t = {item / (along * across), item % along * all.rows, 0, item / along % across * all.width, 0};
    t.rows = min(all.rows, g->axis - t.first);
    t.width = min(all.width, g->across - t.across);
    return t;
}

void gather(float *to, strided from, const attention_sizes *g, tile t, int64_t halo, int64_t channels, int64_t pitch) {
    int64_t row = t.width * pitch;
    for (int64_t i = -halo; i < t.rows + halo; i++, to += row) {
        int64_t along = t.first + i;
        if (along < 0 || along >= g->axis) {
            memset(to, 0, (size_t)row * sizeof(float));
            continue;
        }
        int64_t start = t.batch * from.batch + along * from.along + t.across * from.across;
        for (int64_t x = 0; x < t.width; x++) {
            int64_t pixel = start + x * from.across; /* rows are far apart in memory, hence the prefetch */
            prefetch(at(from.data, pixel + AHEAD * from.along, g->dtype), channels, g->dtype);
            load(to + x * pitch, at(from.data, pixel, g->dtype), channels, g->dtype);
            for (int64_t c = channels; c < pitch; c++) to[x * pitch + c] = 0;
        }
    }
}

void scatter(void *to, const float *from, int64_t pitch, const attention_sizes *g, tile t, int64_t channels) {
    for (int64_t i = 0; i < t.rows; i++)
        for (int64_t x = 0; x < t.width; x++, from += pitch)
            store(at(to, element_of(g, t, i, x, channels), g->dtype), from, channels, g->dtype);
}

static void running_mean(float *restrict mean, const float *restrict plain, int64_t row, int64_t length, int64_t n) {
    float scale = 1.0f / (float)length;
    int64_t k = length % 2 ? 1 : 2;
    if (k == 1)
        for (int64_t e = 0; e < n; e++) mean[e] = plain[e] * scale;
    else
        for (int64_t e = 0; e < n; e++) mean[e] = (plain[e] + plain[e + row]) * scale;
    for (; k < length; k += 2)
        for (int64_t e = 0; e < n; e++) mean[e] += (plain[e + k * row] + plain[e + (k + 1) * row]) * scale;
}

/* Of what stands `apart` in a table of means of half the length. */
static void mean_of_two(float *restrict mean, const float *restrict halves, int64_t apart, int64_t n) {
    for (int64_t e = 0; e < n; e++) mean[e] = (halves[e] + halves[e + apart]) * 0.5f;
}

/* The table of this length among those after table i, or -1. A window's taps are shortest at its centre, so the longest length
   comes first. */
static int64_t table_after(const attention_sizes *g, int64_t i, int64_t length) {
    for (i++; i < g->window.tables; i++)
        if (g->window.lengths[i] == length) return i;
    return -1;
}

void fill_means(float *tables, const float *plain, const attention_sizes *g, tile t) {
    int64_t row = t.width * padded(g->channels), rows = t.rows + 2 * g->window.reach;
    for (int64_t i = g->window.tables - 1; i >= 0; i--) {
        int64_t length = g->window.lengths[i], half = table_after(g, i, length / 2), n = (rows - length + 1) * row;
        float *mean = tables + i * rows * row;
        if (length == 1) continue;
        if (length == 2) mean_of_two(mean, plain, row, n);
        else if (length % 2 == 0 && half >= 0) mean_of_two(mean, tables + half * rows * row, length / 2 * row, n);
        else running_mean(mean, plain, row, length, n);
    }
}

/* Four heads of four or eight channels have vector code of their own. */
static int is_fast(const attention_sizes *g) {
    return g->heads == 4 && (g->channels == 16 || g->channels == 32);
}

/* out[c] = scale * sum over the taps of the weight of c's head times x[c], each read at the tap's offset. */
static inline __attribute__((always_inline)) void weigh(float *restrict out, const float *restrict x,
        const float *restrict weight, const int64_t *restrict at_x, const int64_t *restrict at_weight, int64_t taps,
        float scale, const attention_sizes *g) {
    if (is_fast(g) && g->channels == 32) {
        vec low = {0}, high = {0};
        for (int64_t k = 0; k < taps; k++) {
            four w = *(const four *)(weight + at_weight[k]);
            const float *from = x + at_x[k];
            low += __builtin_shufflevector(w, w, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1) * *(const vec *)from;
            high += __builtin_shufflevector(w, w, 2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3) * *(const vec *)(from + 16);
        }
        *(vec *)out = low * scale;
        *(vec *)(out + 16) = high * scale;
        return;
    }
    if (is_fast(g)) {
        vec sum = {0};
        for (int64_t k = 0; k < taps; k++) {
            four w = *(const four *)(weight + at_weight[k]);
            sum += __builtin_shufflevector(w, w, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3) * *(const vec *)(x + at_x[k]);
        }
        *(vec *)out = sum * scale;
        return;
    }
    int64_t per_head = g->channels / g->heads, step = per_head % 4 ? 1 : 4;
    for (int64_t h = 0; h < g->heads; h++)
        for (int64_t c = h * per_head; c < (h + 1) * per_head; c += step) {
            float sum[4] = {0};
            for (int64_t k = 0; k < taps; k++)
                for (int64_t i = 0; i < step; i++) sum[i] += weight[h + at_weight[k]] * x[at_x[k] + c + i];
            for (int64_t i = 0; i < step; i++) out[c + i] = sum[i] * scale;
        }
}

/* Where each tap's mean stands, counted from a pixel's place in the tables. */
static void tap_offsets(int64_t *offset, const attention_sizes *g, tile t, const float *plain, const float *tables) {
    int64_t row = t.width * padded(g->channels), plane = plane_of(g, t.rows, t.width);
    for (int64_t k = 0; k < g->window.taps; k++) {
        int64_t i = g->window.table[k], table = g->window.lengths[i] == 1 ? plain - tables : i * plane;
        offset[k] = table + (g->window.reach + g->window.starts[k]) * row;
    }
}

enum { ABREAST = 4 }; /* pixels whose sums stand in registers at once */

/* The results of so many pixels that follow each other, four heads in `vectors` vectors of each; to: where they go. */
static inline __attribute__((always_inline)) void attend_abreast(void *const *to, int64_t dtype, const float *x, const int64_t *at_x,
        const float *weight, int64_t pitch, int64_t taps, const int vectors, const int pixels) {
    vec sum[ABREAST][2] = {0};
    for (int64_t k = 0; k < taps; k++) {
        const vec *from = (const vec *)(x + at_x[k]);
        for (int p = 0; p < pixels; p++, from += vectors) {
            four w = *(const four *)(weight + p * pitch + k * 4);
            if (vectors == 1) {
                sum[p][0] += __builtin_shufflevector(w, w, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3) * from[0];
                continue;
            }
            sum[p][0] += __builtin_shufflevector(w, w, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1) * from[0];
            sum[p][1] += __builtin_shufflevector(w, w, 2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3) * from[1];
        }
    }
    for (int p = 0; p < pixels; p++) store(to[p], (const float *)sum[p], vectors * LANES, dtype);
}

static inline __attribute__((always_inline)) void attend_fast(void *out, const attention_sizes *g, tile t, const float *x,
        const int64_t *at_x, const float *weight, int64_t pitch, const int vectors) {
    int64_t n = t.rows * t.width, i = 0, row = 0, column = 0;
    while (i < n) {
        int64_t pixels = i + ABREAST <= n ? ABREAST : 1;
        void *to[ABREAST];
        for (int64_t p = 0; p < pixels; p++) {
            to[p] = at(out, element_of(g, t, row, column, g->channels), g->dtype);
            if (++column == t.width) column = 0, row++;
        }
        if (pixels == 1) attend_abreast(to, g->dtype, x, at_x, weight, pitch, g->window.taps, vectors, 1);
        else attend_abreast(to, g->dtype, x, at_x, weight, pitch, g->window.taps, vectors, ABREAST);
        i += pixels, x += pixels * vectors * LANES, weight += pixels * pitch;
    }
}

void attend(void *out, const attention_sizes *g, tile t, const float *plain, const float *tables, const float *weight,
            int64_t pitch, float *pixel) {
    int64_t offset[g->window.taps], tap[g->window.taps];
    tap_offsets(offset, g, t, plain, tables);
    if (is_fast(g)) {
        if (g->channels == LANES) attend_fast(out, g, t, tables, offset, weight, pitch, 1);
        else attend_fast(out, g, t, tables, offset, weight, pitch, 2);
        return;
    }
    for (int64_t k = 0; k < g->window.taps; k++) tap[k] = k * g->heads;
    for (int64_t i = 0; i < t.rows; i++)
        for (int64_t x = 0; x < t.width; x++, tables += padded(g->channels), weight += pitch) {
            void *to = at(out, element_of(g, t, i, x, g->channels), g->dtype);
            float *result = g->dtype == FLOAT32 ? to : pixel;
            weigh(result, tables, weight, offset, tap, g->window.taps, 1, g);
            if (result == pixel) store(to, pixel, g->channels, g->dtype);
        }
}

/* out[k, h] = <grad, tap k's means> over the channels of head h. */
static void correlate_any(float *restrict out, const float *restrict tables, const float *restrict grad,
                          const int64_t *restrict offset, const attention_sizes *g) {
    int64_t per_head = g->channels / g->heads;
    for (int64_t k = 0; k < g->window.taps; k++)
        for (int64_t h = 0; h < g->heads; h++) {
#pragma clang fp reassociate(on)
            float sum = 0;
            for (int64_t c = h * per_head; c < (h + 1) * per_head; c++) sum += grad[c] * tables[offset[k] + c];
            out[k * g->heads + h] = sum;
        }
}

/* The same; up to 12 numbers behind the last are overwritten. */
static inline __attribute__((always_inline)) void correlate_fast(float *restrict out, const float *restrict tables,
        const float *restrict grad, const int64_t *restrict offset, const attention_sizes *g, const int channels) {
    vec low = *(const vec *)grad, high = channels == 32 ? *(const vec *)(grad + 16) : low;
    for (int64_t k = 0; k < g->window.taps; k += 4) {
        vec product[4];
        for (int i = 0; i < 4; i++) {
            const float *x = tables + offset[min(k + i, g->window.taps - 1)];
            product[i] = low * *(const vec *)x;
            if (channels == 32) {
                vec rest = high * *(const vec *)(x + 16);
                product[i] = __builtin_shufflevector(product[i], rest, 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27) +
                             __builtin_shufflevector(product[i], rest, 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31);
            }
        }
        *(vec *)(out + 4 * k) = transposed_4x4(sums_of_fours(product));
    }
}

void correlate(float *out, int64_t pitch, const attention_sizes *g, tile t, const float *plain, const float *tables,
               const float *grad, const float *weight, int slopes) {
    int64_t gates = gates_of(g), offset[g->window.taps];
    tap_offsets(offset, g, t, plain, tables);
    for (int64_t pixel = 0; pixel < t.rows * t.width; pixel++, out += pitch) {
        int64_t inner = pixel + g->window.reach * t.width;
        const float *means = tables + pixel * padded(g->channels), *own = grad + inner * padded(g->channels), *w = weight + inner * gates;
        if (!is_fast(g)) correlate_any(out, means, own, offset, g);
        else if (g->channels == 32) correlate_fast(out, means, own, offset, g, 32);
        else correlate_fast(out, means, own, offset, g, 16);
        if (slopes)
            for (int64_t e = 0; e < gates; e++) out[e] *= 1.0f - w[e] * w[e];
    }
}

static int64_t longest(const attention_sizes *g) {
    int64_t length = 1;
    for (int64_t i = 0; i < g->window.tables; i++) length = max(length, g->window.lengths[i]);
    return length;
}

/* What reaches each value through one of the taps of a table, the `extra` rows before the tile included. */
static void table_backward(float *means, const attention_sizes *g, tile t, int64_t table, int64_t extra, const float *grad,
                           const float *weight) {
    int64_t row = t.width * padded(g->channels), gates = gates_of(g), length = g->window.lengths[table];
    int64_t at_weight[g->window.taps], at_grad[g->window.taps], taps = 0;
    for (int64_t k = 0; k < g->window.taps; k++)
        if (g->window.table[k] == table) {
            at_weight[taps] = k * g->heads - g->window.starts[k] * t.width * gates;
            at_grad[taps++] = -g->window.starts[k] * row;
        }
    for (int64_t pixel = (1 - length) * t.width; pixel < t.rows * t.width; pixel++) {
        float *to = means + (extra * t.width + pixel) * padded(g->channels), scale = 1.0f / (float)length;
        int64_t from = pixel + g->window.reach * t.width;
        weigh(to, grad + from * padded(g->channels), weight + from * gates, at_grad, at_weight, taps, scale, g);
    }
}

void grad_value_tile(void *grad_value, const attention_sizes *g, tile t, const float *grad, const float *weight,
                     float *restrict means, float *restrict sums) {
    int64_t row = t.width * padded(g->channels), n = t.rows * row, extra = longest(g) - 1;
    for (int64_t table = 0; table < g->window.tables; table++) {
        table_backward(means, g, t, table, extra, grad, weight);
        const float *last = means + extra * row;
        int64_t length = g->window.lengths[table], k = length % 2;
        if (k)
            for (int64_t e = 0; e < n; e++) sums[e] += last[e];
        for (; k < length; k += 2)
            for (int64_t e = 0; e < n; e++) sums[e] += last[e - k * row] + last[e - (k + 1) * row];
    }
    scatter(grad_value, sums, padded(g->channels), g, t, g->channels);
}
