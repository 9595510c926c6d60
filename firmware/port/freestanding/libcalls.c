/* What a compiler may call although nobody wrote it: memory functions and the 64-bit helpers of the Arm run-time ABI
 * (IHI 0043). 64-bit division is missing on purpose: the core has none. */
#include <stdint.h>

#include "string.h"

/* A loop over bytes would cost the engine dearly; words where both ends are aligned alike. */
void *memcpy(void *restrict to, const void *restrict from, size_t n)
{
    uint8_t *d = to;
    const uint8_t *s = from;
    if ((((uintptr_t)d | (uintptr_t)s) & 3u) == 0) {
        for (; n >= 16; n -= 16, d += 16, s += 16) {
            const uint32_t *v = (const uint32_t *)(const void *)s;
            uint32_t *w = (uint32_t *)(void *)d, a = v[0], b = v[1], c = v[2], e = v[3];
            w[0] = a, w[1] = b, w[2] = c, w[3] = e;
        }
        for (; n >= 4; n -= 4, d += 4, s += 4)
            *(uint32_t *)(void *)d = *(const uint32_t *)(const void *)s;
    }
    while (n--)
        *d++ = *s++;
    return to;
}

void *memmove(void *to, const void *from, size_t n)
{
    uint8_t *d = to;
    const uint8_t *s = from;
    if (d <= s || d >= s + n) {
        if ((((uintptr_t)d | (uintptr_t)s) & 3u) == 0)
            for (; n >= 4; n -= 4, d += 4, s += 4)
                *(uint32_t *)(void *)d = *(const uint32_t *)(const void *)s;
        while (n--)
            *d++ = *s++;
    } else {
        while (n--)
            d[n] = s[n];
    }
    return to;
}

void *memset(void *to, int byte, size_t n)
{
    uint8_t *d = to;
    const uint32_t word = (uint8_t)byte * 0x01010101u;
    for (; n && ((uintptr_t)d & 3u); n--)
        *d++ = (uint8_t)byte;
    for (; n >= 4; n -= 4, d += 4)
        *(uint32_t *)(void *)d = word;
    while (n--)
        *d++ = (uint8_t)byte;
    return to;
}

int memcmp(const void *a, const void *b, size_t n)
{
    const uint8_t *x = a, *y = b;
    for (; n; n--, x++, y++)
        if (*x != *y)
            return *x < *y ? -1 : 1;
    return 0;
}

/* ---- Arm EABI names. Declared here because nobody includes a header for them. ---- */

#define ABI(type, name, ...) type name(__VA_ARGS__); type name(__VA_ARGS__)

ABI(void, __aeabi_memcpy, void *d, const void *s, size_t n) { memcpy(d, s, n); }
ABI(void, __aeabi_memcpy4, void *d, const void *s, size_t n) { memcpy(d, s, n); }
ABI(void, __aeabi_memcpy8, void *d, const void *s, size_t n) { memcpy(d, s, n); }
ABI(void, __aeabi_memmove, void *d, const void *s, size_t n) { memmove(d, s, n); }
ABI(void, __aeabi_memmove4, void *d, const void *s, size_t n) { memmove(d, s, n); }
ABI(void, __aeabi_memmove8, void *d, const void *s, size_t n) { memmove(d, s, n); }
ABI(void, __aeabi_memset, void *d, size_t n, int c) { memset(d, c, n); }
ABI(void, __aeabi_memset4, void *d, size_t n, int c) { memset(d, c, n); }
ABI(void, __aeabi_memset8, void *d, size_t n, int c) { memset(d, c, n); }
ABI(void, __aeabi_memclr, void *d, size_t n) { memset(d, 0, n); }
ABI(void, __aeabi_memclr4, void *d, size_t n) { memset(d, 0, n); }
ABI(void, __aeabi_memclr8, void *d, size_t n) { memset(d, 0, n); }

/* Written in 32-bit halves: a 64-bit expression here would call itself. */
typedef union {
    uint64_t all;
    struct { uint32_t low, high; } half;
} pair;

ABI(uint64_t, __aeabi_lmul, uint64_t a, uint64_t b)
{
    const pair x = {a}, y = {b};
    const uint32_t a0 = x.half.low & 0xFFFFu, a1 = x.half.low >> 16, b0 = y.half.low & 0xFFFFu, b1 = y.half.low >> 16;
    const uint32_t low = a0 * b0, mid = a1 * b0 + (low >> 16), mid2 = a0 * b1 + (mid & 0xFFFFu);
    pair r;
    r.half.low = mid2 << 16 | (low & 0xFFFFu);
    r.half.high = a1 * b1 + (mid >> 16) + (mid2 >> 16) + x.half.low * y.half.high + x.half.high * y.half.low;
    return r.all;
}

ABI(uint64_t, __aeabi_llsl, uint64_t a, int n)
{
    pair x = {a};
    if (n >= 32) {
        x.half.high = x.half.low << (n - 32);
        x.half.low = 0;
    } else if (n > 0) {
        x.half.high = x.half.high << n | x.half.low >> (32 - n);
        x.half.low <<= n;
    }
    return x.all;
}

ABI(uint64_t, __aeabi_llsr, uint64_t a, int n)
{
    pair x = {a};
    if (n >= 32) {
        x.half.low = x.half.high >> (n - 32);
        x.half.high = 0;
    } else if (n > 0) {
        x.half.low = x.half.low >> n | x.half.high << (32 - n);
        x.half.high >>= n;
    }
    return x.all;
}

ABI(int64_t, __aeabi_lasr, int64_t a, int n)
{
    pair x = {(uint64_t)a};
    const int32_t high = (int32_t)x.half.high;
    if (n >= 32) {
        x.half.low = (uint32_t)(high >> (n - 32));
        x.half.high = (uint32_t)(high >> 31);
    } else if (n > 0) {
        x.half.low = x.half.low >> n | x.half.high << (32 - n);
        x.half.high = (uint32_t)(high >> n);
    }
    return (int64_t)x.all;
}

/* Cores without a divide instruction; the engine divides only while it prepares a program. Quotient in r0, remainder
 * in r1. */
ABI(uint64_t, __aeabi_uidivmod, uint32_t a, uint32_t b)
{
    uint32_t quotient = 0, rest = 0;
    for (int bit = 31; bit >= 0 && b; bit--) {
        rest = rest << 1 | (a >> bit & 1u);
        if (rest >= b) {
            rest -= b;
            quotient |= 1u << bit;
        }
    }
    const pair r = {.half = {quotient, rest}};
    return r.all;
}

ABI(uint32_t, __aeabi_uidiv, uint32_t a, uint32_t b) { return (uint32_t)__aeabi_uidivmod(a, b); }
