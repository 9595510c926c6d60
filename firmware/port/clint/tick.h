/* The tick from a CLINT's machine timer. board.h: NM_MTIME_HZ. */
#ifndef NM_TICK_H
#define NM_TICK_H
#include "board.h"
#include "cpu.h"

#define NM_CLINT 0x02000000u

/* No interrupt comes between the writes of the two halves: meanwhile it is as late as can be. */
static inline void nm_tick_set(uint64_t at)
{
    *nm_reg(NM_CLINT + 0x4004u) = UINT32_MAX;
    *nm_reg(NM_CLINT + 0x4000u) = (uint32_t)at;
    *nm_reg(NM_CLINT + 0x4004u) = (uint32_t)(at >> 32);
}

static inline uint64_t nm_tick_now(void)
{
    uint32_t high, low;
    do {
        high = *nm_reg(NM_CLINT + 0xBFFCu);
        low = *nm_reg(NM_CLINT + 0xBFF8u);
    } while (high != *nm_reg(NM_CLINT + 0xBFFCu));
    return (uint64_t)high << 32 | low;
}

static uint64_t nm_tick_next;

static inline void nm_tick_start(void)
{
    nm_tick_next = nm_tick_now() + NM_MTIME_HZ / 1000u;
    nm_tick_set(nm_tick_next);
    __asm volatile("csrs mie, %0" : : "r"(1u << 7));
}

static inline bool nm_tick_due(void)
{
    if (nm_tick_now() < nm_tick_next)
        return false;
    nm_tick_next += NM_MTIME_HZ / 1000u;
    nm_tick_set(nm_tick_next);
    return true;
}

#endif
