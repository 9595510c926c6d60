/* Arm PrimeCell UART (PL011) and its kin, with FIFOs of 16 bytes. board.h: NM_UART, NM_UART_IRQ, NM_UART_CLOCK_HZ. */
#ifndef NM_UART_H
#define NM_UART_H
#include "board.h"
#include "cpu.h"
#include "serial.h"

enum {
    NM_UART_DR = 0x00, NM_UART_FR = 0x18, NM_UART_IBRD = 0x24, NM_UART_FBRD = 0x28, NM_UART_LCRH = 0x2C,
    NM_UART_CR = 0x30, NM_UART_IFLS = 0x34, NM_UART_IMSC = 0x38, NM_UART_ICR = 0x44
};
enum { NM_UART_RX = 1u << 4, NM_UART_TX = 1u << 5, NM_UART_RX_TIMEOUT = 1u << 6 };    /* interrupts */
#define NM_UART_REG(offset) (*nm_reg(NM_UART + (offset)))

static inline bool nm_uart_has_byte(void) { return !(NM_UART_REG(NM_UART_FR) & 1u << 4); }
static inline uint32_t nm_uart_take(void)
{
    const uint32_t taken = NM_UART_REG(NM_UART_DR);         /* errors: framing, parity, break, overrun */
    return (taken & 0xFFu) | (taken & 7u << 8 ? NM_UART_FRAMING : 0u) | (taken & 1u << 11 ? NM_UART_OVERRUN : 0u);
}

static inline bool nm_uart_has_room(void) { return !(NM_UART_REG(NM_UART_FR) & 1u << 5); }
static inline void nm_uart_put(uint8_t byte) { NM_UART_REG(NM_UART_DR) = byte; }

static inline void nm_uart_want_room(bool on)
{
    NM_UART_REG(NM_UART_ICR) = NM_UART_TX;
    NM_UART_REG(NM_UART_IMSC) = NM_UART_RX | NM_UART_RX_TIMEOUT | (on ? NM_UART_TX : 0u);
}

static inline void nm_uart_start(void)
{
    const uint32_t divisor = NM_UART_CLOCK_HZ * 4u / NM_BAUD;                 /* in 64ths of 16 x baud */
    NM_UART_REG(NM_UART_CR) = 0;
    NM_UART_REG(NM_UART_IBRD) = divisor >> 6;
    NM_UART_REG(NM_UART_FBRD) = divisor & 63u;
    NM_UART_REG(NM_UART_LCRH) = 0x70u;                                        /* 8 bits, FIFOs */
    NM_UART_REG(NM_UART_IFLS) = 0x10u;                       /* receiver at a half, transmitter at an eighth */
    NM_UART_REG(NM_UART_CR) = 0x301u;
    nm_uart_want_room(false);
    nm_cpu_enable_irq(NM_UART_IRQ);
}

#endif
