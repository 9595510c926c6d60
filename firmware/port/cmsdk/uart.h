/* UART of Arm's Cortex-M System Design Kit: one byte in each direction. board.h: NM_UART, NM_UART_IRQS. */
#ifndef NM_UART_H
#define NM_UART_H
#include "board.h"
#include "cpu.h"
#include "serial.h"

enum { NM_UART_DATA = 0x00, NM_UART_STATE = 0x04, NM_UART_CTRL = 0x08, NM_UART_INT = 0x0C, NM_UART_BAUDDIV = 0x10 };
#define NM_UART_REG(offset) (*nm_reg(NM_UART + (offset)))

static inline bool nm_uart_has_byte(void)
{
    NM_UART_REG(NM_UART_INT) = 3u;                          /* before the look: what comes later interrupts again */
    return NM_UART_REG(NM_UART_STATE) & 2u;
}

static inline uint32_t nm_uart_take(void)
{
    const bool lost = NM_UART_REG(NM_UART_STATE) & 1u << 3;
    if (lost)
        NM_UART_REG(NM_UART_STATE) = 1u << 3;
    return (NM_UART_REG(NM_UART_DATA) & 0xFFu) | (lost ? NM_UART_OVERRUN : 0u);
}

static inline bool nm_uart_has_room(void) { return !(NM_UART_REG(NM_UART_STATE) & 1u); }
static inline void nm_uart_put(uint8_t byte) { NM_UART_REG(NM_UART_DATA) = byte; }

/* Receiver and transmitter with interrupts; that of the transmitter comes when a byte has left. */
static inline void nm_uart_want_room(bool on) { (void)on; }

static inline void nm_uart_start(void)
{
    static const uint8_t irqs[] = NM_UART_IRQS;
    NM_UART_REG(NM_UART_BAUDDIV) = NM_CLOCK_HZ / NM_BAUD;
    NM_UART_REG(NM_UART_CTRL) = 0xFu;
    for (uint32_t i = 0; i < sizeof irqs; i++)
        nm_cpu_enable_irq(irqs[i]);
}

#endif
