/* Arm Cortex-M, v6-M to v8-M. */
#ifndef NM_CPU_H
#define NM_CPU_H
#include <stdbool.h>
#include <stdint.h>

static inline void nm_cpu_interrupts(bool on)
{
    if (on)
        __asm volatile("cpsie i" ::: "memory");
    else
        __asm volatile("cpsid i" ::: "memory");
}

/* Until an interrupt, also one that is held back. */
static inline void nm_cpu_sleep(void) { __asm volatile("dsb\n\twfi" ::: "memory"); }

static inline volatile uint32_t *nm_reg(uint32_t address) { return (volatile uint32_t *)address; }

/* In NVIC_ISER. */
static inline void nm_cpu_enable_irq(uint32_t irq) { *nm_reg(0xE000E100u + irq / 32u * 4u) = 1u << irq % 32u; }

#endif
