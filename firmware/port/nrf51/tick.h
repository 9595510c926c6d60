/* The tick from TIMER0: an nRF51 has no SysTick. */
#ifndef NM_TICK_H
#define NM_TICK_H
#include "cpu.h"

#define NM_TIMER 0x40008000u
#define NM_TIMER_IRQ 8u
enum {
    NM_TIMER_START = 0x000, NM_TIMER_CLEAR = 0x00C, NM_TIMER_COMPARE0 = 0x140, NM_TIMER_SHORTS = 0x200,
    NM_TIMER_INTENSET = 0x304, NM_TIMER_BITMODE = 0x508, NM_TIMER_PRESCALER = 0x510, NM_TIMER_CC0 = 0x540
};
#define NM_TIMER_REG(offset) (*nm_reg(NM_TIMER + (offset)))

static inline void nm_tick_start(void)
{
    NM_TIMER_REG(NM_TIMER_BITMODE) = 3u;                    /* 32 bits */
    NM_TIMER_REG(NM_TIMER_PRESCALER) = 4u;                  /* 16 MHz / 2^4 */
    NM_TIMER_REG(NM_TIMER_CC0) = 1000u;
    NM_TIMER_REG(NM_TIMER_SHORTS) = 1u;                     /* COMPARE0 clears */
    NM_TIMER_REG(NM_TIMER_COMPARE0) = 0;
    NM_TIMER_REG(NM_TIMER_INTENSET) = 1u << 16;
    nm_cpu_enable_irq(NM_TIMER_IRQ);
    NM_TIMER_REG(NM_TIMER_CLEAR) = 1u;
    NM_TIMER_REG(NM_TIMER_START) = 1u;
}

static inline bool nm_tick_due(void)
{
    const bool due = NM_TIMER_REG(NM_TIMER_COMPARE0) != 0;
    if (due)
        NM_TIMER_REG(NM_TIMER_COMPARE0) = 0;
    return due;
}

#endif
