/* Vectors, start-up and faults of Cortex-M boards. board.h: NM_IRQS, how many interrupts have a vector. */
#include "board.h"
#include "cpu.h"
#include "memory.h"
#include "serial.h"

extern uint32_t nm_stack_top[];

void reset(void);
void reset(void)
{
    nm_memory_start();
    nm_chip_start();
    nm_main();
}

/* A fault restarts the board: its host sees that the session is gone, and one more start. */
static void fault(void)
{
    *nm_reg(0xE000ED0Cu) = 0x05FA0004u;                     /* AIRCR: SYSRESETREQ */
    for (;;)
        ;
}

typedef void (*vector)(void);
__attribute__((section(".vectors"), used)) static const struct {
    const void *stack;
    vector reset, faults[13], systick, irq[NM_IRQS];
} vectors = {
    nm_stack_top, reset, {[0 ... 12] = fault}, nm_serial_interrupt, {[0 ... NM_IRQS - 1] = nm_serial_interrupt},
};
