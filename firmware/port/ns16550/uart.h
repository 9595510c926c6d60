/* 16550 and its kin, with FIFOs of 16 bytes. board.h: NM_UART, NM_UART_IRQ, NM_UART_CLOCK_HZ. */
#ifndef NM_UART_H
#define NM_UART_H
#include "board.h"
#include "cpu.h"
#include "serial.h"

enum { NM_UART_DATA = 0, NM_UART_IER = 1, NM_UART_FCR = 2, NM_UART_LCR = 3, NM_UART_LSR = 5 };
#define NM_UART_REG(offset) (*(volatile uint8_t *)(NM_UART + (offset)))

static uint32_t nm_uart_errors;                             /* of the next byte: any look at LSR clears them there */

static inline uint32_t nm_uart_state(void)
{
    const uint32_t state = NM_UART_REG(NM_UART_LSR);
    nm_uart_errors |= state & 0xFu << 1;                    /* 1 overrun, 2 parity, 3 framing, 4 break */
    return state;
}

static inline bool nm_uart_has_byte(void) { return nm_uart_state() & 1u; }
static inline uint32_t nm_uart_take(void)
{
    const uint32_t errors = nm_uart_errors;
    nm_uart_errors = 0;
    return NM_UART_REG(NM_UART_DATA) | (errors & 7u << 2 ? NM_UART_FRAMING : 0u) | (errors & 1u << 1 ? NM_UART_OVERRUN : 0u);
}

static inline bool nm_uart_has_room(void) { return nm_uart_state() & 1u << 5; }
static inline void nm_uart_put(uint8_t byte) { NM_UART_REG(NM_UART_DATA) = byte; }
static inline void nm_uart_want_room(bool on) { NM_UART_REG(NM_UART_IER) = on ? 3u : 1u; }

static inline void nm_uart_start(void)
{
    const uint32_t divisor = NM_UART_CLOCK_HZ / 16u / NM_BAUD;
    NM_UART_REG(NM_UART_LCR) = 0x83u;                       /* the divisor's registers, 8 bits */
    NM_UART_REG(NM_UART_DATA) = (uint8_t)divisor;
    NM_UART_REG(NM_UART_IER) = (uint8_t)(divisor >> 8);
    NM_UART_REG(NM_UART_LCR) = 0x03u;
    NM_UART_REG(NM_UART_FCR) = 0x07u;                       /* FIFOs on and empty */
    nm_uart_want_room(false);
    nm_cpu_enable_irq(NM_UART_IRQ);
}

#endif
