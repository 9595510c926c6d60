/* UART of Nordic's nRF51: six bytes in, one byte out. board.h: pins and NM_UART_BAUDRATE. */
#ifndef NM_UART_H
#define NM_UART_H
#include "board.h"
#include "cpu.h"
#include "serial.h"

#define NM_UART 0x40002000u
#define NM_UART_IRQ 2u
enum {
    NM_UART_STARTRX = 0x000, NM_UART_STARTTX = 0x008, NM_UART_RXDRDY = 0x108, NM_UART_TXDRDY = 0x11C,
    NM_UART_INTENSET = 0x304, NM_UART_ERRORSRC = 0x480, NM_UART_ENABLE = 0x500, NM_UART_PSELTXD = 0x50C, NM_UART_PSELRXD = 0x514,
    NM_UART_RXD = 0x518, NM_UART_TXD = 0x51C, NM_UART_BAUD = 0x524
};
#define NM_UART_REG(offset) (*nm_reg(NM_UART + (offset)))

static bool nm_uart_sending;                                /* a byte is on its way out: TXDRDY will say when it is */

static inline bool nm_uart_has_byte(void) { return NM_UART_REG(NM_UART_RXDRDY) != 0; }

static inline uint32_t nm_uart_take(void)
{
    const uint32_t errors = NM_UART_REG(NM_UART_ERRORSRC);  /* overrun, parity, framing, break; ones clear them */
    if (errors)
        NM_UART_REG(NM_UART_ERRORSRC) = errors;
    NM_UART_REG(NM_UART_RXDRDY) = 0;                        /* before the read, which lets the next byte come */
    return (NM_UART_REG(NM_UART_RXD) & 0xFFu) | (errors & 0xEu ? NM_UART_FRAMING : 0u)
           | (errors & 1u ? NM_UART_OVERRUN : 0u);
}

static inline bool nm_uart_has_room(void)
{
    if (NM_UART_REG(NM_UART_TXDRDY)) {
        NM_UART_REG(NM_UART_TXDRDY) = 0;
        nm_uart_sending = false;
    }
    return !nm_uart_sending;
}

static inline void nm_uart_put(uint8_t byte)
{
    nm_uart_sending = true;
    NM_UART_REG(NM_UART_TXD) = byte;
}

/* The interrupt comes when a byte has left; the last one has to be taken back too. */
static inline void nm_uart_want_room(bool on)
{
    if (!on)
        (void)nm_uart_has_room();
}

static inline void nm_uart_start(void)
{
    nm_uart_sending = false;
    NM_UART_REG(NM_UART_PSELTXD) = NM_UART_TX_PIN;
    NM_UART_REG(NM_UART_PSELRXD) = NM_UART_RX_PIN;
    NM_UART_REG(NM_UART_BAUD) = NM_UART_BAUDRATE;
    NM_UART_REG(NM_UART_ENABLE) = 4u;
    NM_UART_REG(NM_UART_RXDRDY) = NM_UART_REG(NM_UART_TXDRDY) = 0;
    NM_UART_REG(NM_UART_INTENSET) = 1u << 2 | 1u << 7;                        /* RXDRDY, TXDRDY */
    NM_UART_REG(NM_UART_STARTRX) = NM_UART_REG(NM_UART_STARTTX) = 1u;
    nm_cpu_enable_irq(NM_UART_IRQ);
}

#endif
