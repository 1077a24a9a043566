/* Which build of the library this processor and its system run; asked of the plain one, which every processor runs. */
#include "arguments.h"

#if defined(__x86_64__)
#include <cpuid.h>
#ifdef __linux__
#include <sys/syscall.h>
#include <unistd.h>
#endif

enum { PLAIN, AVX2, AVX512, AVX512_BF16, AMX };
enum { REQUEST_PERMISSION = 0x1023, TILE_DATA = 18 }; /* of arch_prctl */

static int has(unsigned bits, unsigned wanted) { return (bits & wanted) == wanted; }

/* The registers that the system saves when it changes from one thread to another. */
static unsigned saved_registers(void) {
    unsigned low, high;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

/* Linux gives tiles to a process that asks for them; that holds for all its threads. What other systems want is in README.md. */
static int may_use_tiles(void) {
#ifdef __linux__
    return !syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA);
#else
    return 0;
#endif
}

#ifdef __AMX_BF16__
/* For those who load this build by its name, and have not asked which one to load. */
__attribute__((constructor)) static void ask(void) { may_use_tiles(); }
#endif

int lamnet_level(void) {
    unsigned a, b, c, d, a1 = 0, b1, c1, d1, extended = 0;
    if (!__get_cpuid(1, &a, &b, &c, &d)) return PLAIN;
    if (!has(c, bit_FMA | bit_MOVBE | bit_OSXSAVE | bit_AVX | bit_F16C) || !has(saved_registers(), 0x06)) return PLAIN;
    if (!__get_cpuid(0x80000001, &a, &b, &extended, &d) || !has(extended, bit_LZCNT)) return PLAIN;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !has(b, bit_BMI | bit_AVX2 | bit_BMI2)) return PLAIN;
    if (!has(b, bit_AVX512F | bit_AVX512DQ | bit_AVX512CD | bit_AVX512BW | bit_AVX512VL) || !has(saved_registers(), 0xe6))
        return AVX2;
    if (a >= 1) __get_cpuid_count(7, 1, &a1, &b1, &c1, &d1);
    if (!has(a1, 1 << 5)) return AVX512;
    return has(d, 1 << 22 | 1 << 24) && has(saved_registers(), 0x600e6) && may_use_tiles() ? AMX : AVX512_BF16;
}
#else
int lamnet_level(void) { return 0; }
#endif
