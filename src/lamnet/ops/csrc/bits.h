/* Floats as bits, bfloat16, which is a float's upper half, and two of those in the place of a float. */
#pragma once
#include <stdint.h>

static inline float float_of(uint32_t bits) {
    float value;
    __builtin_memcpy(&value, &bits, sizeof value);
    return value;
}

static inline uint32_t bits_of(float value) {
    uint32_t bits;
    __builtin_memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* Rounded to the nearest. */
static inline uint16_t bfloat16_of(float value) {
    uint32_t bits = bits_of(value), rounded = bits + 0x7fff + (bits >> 16 & 1);
    return (uint16_t)((value == value ? rounded : bits | 0x400000) >> 16);
}

static inline float pair_of(float first, float second) {
    return float_of((uint32_t)bfloat16_of(second) << 16 | bfloat16_of(first));
}
