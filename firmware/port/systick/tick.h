/* The tick from SysTick, the timer that nearly all Cortex-M have. */
#ifndef NM_TICK_H
#define NM_TICK_H
#include "board.h"
#include "cpu.h"

static inline void nm_tick_start(void)
{
    *nm_reg(0xE000E014u) = NM_CLOCK_HZ / 1000u - 1u;        /* SYST_RVR */
    *nm_reg(0xE000E018u) = 0;                               /* SYST_CVR */
    *nm_reg(0xE000E010u) = 7u;                              /* SYST_CSR: core clock, interrupt, on */
}

/* COUNTFLAG, which a look clears. */
static inline bool nm_tick_due(void) { return *nm_reg(0xE000E010u) & 1u << 16; }

#endif
