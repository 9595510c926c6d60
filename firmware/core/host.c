/* Helpers that only a host needs. */
#include "nm.h"

/* Micro-architecture level of x86-64 (1, 2, 3) that processor and system support; 0 elsewhere. */
int nm_host_cpu_level(void);

#if defined(__x86_64__) && defined(__GNUC__)
static void cpuid(uint32_t leaf, uint32_t r[4]) {
    __asm__ volatile("cpuid" : "=a"(r[0]), "=b"(r[1]), "=c"(r[2]), "=d"(r[3]) : "a"(leaf), "c"(0));
}

int nm_host_cpu_level(void) {
    const uint32_t v2 = 1u << 0 | 1u << 9 | 1u << 13 | 1u << 19 | 1u << 20 | 1u << 23; /* sse3 .. sse4.2, popcnt */
    const uint32_t v3 = 1u << 12 | 1u << 22 | 1u << 27 | 1u << 28 | 1u << 29;          /* fma movbe osxsave avx f16c */
    const uint32_t v3_more = 1u << 3 | 1u << 5 | 1u << 8;                              /* bmi1 avx2 bmi2 */
    uint32_t top[4], basic[4], more[4], extended[4];
    cpuid(0, top);
    cpuid(1, basic);
    if ((basic[2] & v2) != v2) return 1;
    if (top[0] < 7 || (basic[2] & v3) != v3) return 2;
    uint32_t lo, hi;
    __asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
    (void)hi;
    cpuid(7, more);
    cpuid(0x80000001u, extended);
    return (lo & 6u) == 6u && (more[1] & v3_more) == v3_more && (extended[2] & 1u << 5) ? 3 : 2;   /* lzcnt */
}
#else
int nm_host_cpu_level(void) { return 0; }
#endif
