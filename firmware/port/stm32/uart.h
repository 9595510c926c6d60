/* USART of STM32 F1, F2 and F4: one byte in each direction. board.h: NM_UART, NM_UART_IRQ, NM_UART_CLOCK_HZ. */
#ifndef NM_UART_H
#define NM_UART_H
#include "board.h"
#include "cpu.h"
#include "serial.h"

enum { NM_UART_SR = 0x00, NM_UART_DR = 0x04, NM_UART_BRR = 0x08, NM_UART_CR1 = 0x0C };
enum { NM_UART_RXNE = 1u << 5, NM_UART_TXE = 1u << 7 };                       /* in SR, and their interrupts in CR1 */
enum { NM_UART_FE = 1u << 1, NM_UART_ORE = 1u << 3 };                         /* in SR; a read of it, then of DR clears them */
#define NM_UART_REG(offset) (*nm_reg(NM_UART + (offset)))
#define NM_UART_ON (1u << 13 | 1u << 3 | 1u << 2 | NM_UART_RXNE)              /* UE, TE, RE, interrupt of the receiver */

/* An overrun between the two reads of nm_uart_take stays, and interrupts until it is read, without a byte. */
static inline bool nm_uart_has_byte(void) { return NM_UART_REG(NM_UART_SR) & (NM_UART_RXNE | NM_UART_ORE); }
static inline uint32_t nm_uart_take(void)
{
    const uint32_t state = NM_UART_REG(NM_UART_SR);
    return (NM_UART_REG(NM_UART_DR) & 0xFFu) | (state & NM_UART_FE ? NM_UART_FRAMING : 0u)
           | (state & NM_UART_ORE ? NM_UART_OVERRUN : 0u) | (state & NM_UART_RXNE ? 0u : NM_UART_NONE);
}

static inline bool nm_uart_has_room(void) { return NM_UART_REG(NM_UART_SR) & NM_UART_TXE; }
static inline void nm_uart_put(uint8_t byte) { NM_UART_REG(NM_UART_DR) = byte; }
static inline void nm_uart_want_room(bool on) { NM_UART_REG(NM_UART_CR1) = NM_UART_ON | (on ? NM_UART_TXE : 0u); }

static inline void nm_uart_start(void)
{
    NM_UART_REG(NM_UART_BRR) = (NM_UART_CLOCK_HZ + NM_BAUD / 2u) / NM_BAUD;
    nm_uart_want_room(false);
    nm_cpu_enable_irq(NM_UART_IRQ);
}

#endif
