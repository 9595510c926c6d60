/* Start-up and traps of RISC-V boards. */
#include "board.h"
#include "cpu.h"
#include "memory.h"
#include "serial.h"

#define CLAIM (NM_PLIC + 0x200004u)

/* Interrupts of tick and UART; anything else is a fault, and restarts the board. */
__attribute__((interrupt("machine"), aligned(4))) static void trap(void)
{
    uint32_t cause;
    __asm volatile("csrr %0, mcause" : "=r"(cause));
    if (!(cause >> 31))
        NM_BOARD_RESET();
    const uint32_t irq = (cause & 15u) == 11u ? *nm_reg(CLAIM) : 0;
    nm_serial_interrupt();
    if (irq)
        *nm_reg(CLAIM) = irq;
}

static void __attribute__((used, noreturn)) start(void)
{
    __asm volatile("csrw mtvec, %0" : : "r"(trap));
    nm_memory_start();
    nm_chip_start();
    __asm volatile("csrs mie, %0" : : "r"(1u << 11));
    nm_main();
    for (;;)
        ;
}

void reset(void);
__attribute__((naked, section(".boot"))) void reset(void)
{
    __asm volatile("la sp, nm_stack_top\n\tj %0" : : "i"(start));
}
