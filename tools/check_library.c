/* Runs golden cases through a build of the library: check_library LIBRARY CASE... ; exit code 0 if all are as expected.

   A case is a file of golden.py. It runs with one, two and three threads, and twice: not a bit may differ. */
#include "../src/lamnet/ops/csrc/network.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef _WIN32
#include <windows.h>
static void *opened(const char *path) { return (void *)LoadLibraryA(path); }
static void *found(void *library, const char *name) { return (void *)GetProcAddress((HMODULE)library, name); }
static const char *why(void) { return "LoadLibrary failed"; }
#else
#include <dlfcn.h>
static void *opened(const char *path) { return dlopen(path, RTLD_NOW); }
static void *found(void *library, const char *name) { return dlsym(library, name); }
static const char *why(void) { return dlerror(); }
#endif

static int (*level)(void);
static int (*create)(network **, const network_config *, const float *, int64_t);
static int (*run)(const network *, const network_run *);
static void (*destroy)(network *);

enum { HEAD = 7, MOST_TAPS = 64, RUNS = 4 };

typedef struct { int64_t height, width, weights; } rest; /* of a case, behind its configuration */

static float *read_floats(FILE *file, int64_t count) {
    float *to = malloc((size_t)count * sizeof *to);
    return to && fread(to, sizeof *to, (size_t)count, file) == (size_t)count ? to : NULL;
}

static double largest(const float *a, const float *b, int64_t count) {
    double most = 0;
    for (int64_t i = 0; i < count; i++) most = fmax(most, fabs((double)a[i] - (b ? b[i] : 0)));
    return most;
}

/* Whether all runs of a network are close to what is expected, and equal. */
static int is_right(const char *name, const network_config *config, const rest *r, const float *weights, const float *pixels,
                    const float *expected, double bound) {
    int64_t count = 3 * r->height * r->width * config->scale * config->scale;
    float *first = malloc((size_t)count * sizeof *first), *out = malloc((size_t)count * sizeof *out);
    network *n;
    if (!first || !out || create(&n, config, weights, r->weights)) return printf("%s: no network\n", name), 0;
    int repeats = 1;
    for (int k = 0; k < RUNS; k++) {
        network_run a = {k % 3 + 1, r->height, r->width, FLOAT32, FLOAT32, pixels, k ? out : first, NULL, NULL};
        if (run(n, &a)) return printf("%s: it does not run\n", name), 0;
        repeats &= !k || !memcmp(first, out, (size_t)count * sizeof *out);
    }
    double off = largest(first, expected, count) / largest(expected, NULL, count);
    printf("%s %s: off by %.1e of %.0e%s\n", name, config->dtype == FLOAT32 ? "float32" : "bfloat16", off, bound,
           repeats ? "" : ", and runs differ");
    destroy(n), free(first), free(out);
    return off < bound && repeats;
}

static int check(const char *path) {
    int64_t head[HEAD], starts[MOST_TAPS], lengths[MOST_TAPS];
    rest r;
    FILE *file = fopen(path, "rb");
    if (!file || fread(head, sizeof head, 1, file) != 1 || head[6] > MOST_TAPS) return printf("%s: no case\n", path), 0;
    size_t taps = (size_t)head[6];
    if (fread(starts, sizeof *starts, taps, file) != taps || fread(lengths, sizeof *lengths, taps, file) != taps ||
        fread(&r, sizeof r, 1, file) != 1)
        return printf("%s: no case\n", path), 0;
    network_config config = {head[0], head[1], head[2], head[3], head[4], head[5], FLOAT32, head[6], starts, lengths};
    int64_t pixels = 3 * r.height * r.width;
    float *weights = read_floats(file, r.weights), *image = read_floats(file, pixels), *bounds = read_floats(file, 2);
    float *expected = read_floats(file, pixels * config.scale * config.scale);
    fclose(file);
    if (!weights || !image || !bounds || !expected) return printf("%s: no case\n", path), 0;
    int right = is_right(path, &config, &r, weights, image, expected, bounds[0]);
    config.dtype = BFLOAT16;
    right &= is_right(path, &config, &r, weights, image, expected, bounds[1]);
    free(weights), free(image), free(bounds), free(expected);
    return right;
}

int main(int count, char **arguments) {
    void *library = count > 2 ? opened(arguments[1]) : NULL;
    if (!library) return printf("%s: %s\n", count > 1 ? arguments[1] : "LIBRARY", why()), 2;
    *(void **)&level = found(library, "lamnet_level");
    *(void **)&create = found(library, "lamnet_network_create");
    *(void **)&run = found(library, "lamnet_network_run");
    *(void **)&destroy = found(library, "lamnet_network_destroy");
    if (!level || !create || !run || !destroy) return printf("%s: an entry is missing\n", arguments[1]), 2;
    printf("%s: level %d\n", arguments[1], level());
    int right = 1;
    for (int i = 2; i < count; i++) right &= check(arguments[i]);
    return !right;
}
