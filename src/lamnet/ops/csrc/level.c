/* Which build of the library this processor and its system run; asked of the plain one, which every processor runs. */
#include "arguments.h"

#if defined(__x86_64__)
#include <cpuid.h>

enum { PLAIN, AVX2, AVX512, AVX512_BF16 };

static int has(unsigned bits, unsigned wanted) { return (bits & wanted) == wanted; }

/* The registers that the system saves when it changes from one thread to another. */
static unsigned saved_registers(void) {
    unsigned low, high;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

int lamnet_level(void) {
    unsigned a, b, c, d, a1 = 0, b1, c1, d1, extended = 0;
    if (!__get_cpuid(1, &a, &b, &c, &d)) return PLAIN;
    if (!has(c, bit_FMA | bit_MOVBE | bit_OSXSAVE | bit_AVX | bit_F16C) || !has(saved_registers(), 0x06)) return PLAIN;
    if (!__get_cpuid(0x80000001, &a, &b, &extended, &d) || !has(extended, bit_LZCNT)) return PLAIN;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !has(b, bit_BMI | bit_AVX2 | bit_BMI2)) return PLAIN;
    if (!has(b, bit_AVX512F | bit_AVX512DQ | bit_AVX512CD | bit_AVX512BW | bit_AVX512VL) || !has(saved_registers(), 0xe6))
        return AVX2;
    if (a >= 1) __get_cpuid_count(7, 1, &a1, &b1, &c1, &d1);
    return has(a1, 1 << 5) ? AVX512_BF16 : AVX512;
}
#else
int lamnet_level(void) { return 0; }
#endif
