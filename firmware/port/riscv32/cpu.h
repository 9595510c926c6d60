/* RISC-V, 32 bits, one hart in machine mode, with CLINT and PLIC at the usual places. */
#ifndef NM_CPU_H
#define NM_CPU_H
#include <stdbool.h>
#include <stdint.h>

static inline void nm_cpu_interrupts(bool on)
{
    if (on)
        __asm volatile("csrsi mstatus, 8" ::: "memory");
    else
        __asm volatile("csrci mstatus, 8" ::: "memory");
}

/* Until an interrupt, also one that is held back. */
static inline void nm_cpu_sleep(void) { __asm volatile("wfi" ::: "memory"); }

static inline volatile uint32_t *nm_reg(uint32_t address) { return (volatile uint32_t *)address; }

#define NM_PLIC 0x0C000000u

static inline void nm_cpu_enable_irq(uint32_t irq)
{
    *nm_reg(NM_PLIC + 4u * irq) = 1u;                       /* priority; the threshold is 0 */
    *nm_reg(NM_PLIC + 0x2000u + 4u * (irq / 32u)) |= 1u << irq % 32u;
    *nm_reg(NM_PLIC + 0x200000u) = 0;
}

#endif
