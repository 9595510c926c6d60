/* A board with a UART, a tick of a millisecond and interrupts is put together from folders of port/:
 *
 *   the core   (cortexm, riscv32)                  cpu.h, and start-up code with the vectors
 *   the tick   (systick, nrf51, clint)             tick.h: nm_tick_start, nm_tick_due
 *   the UART   (cmsdk, pl011, nrf51, stm32, ...)   uart.h: nm_uart_start, nm_uart_has_byte, ...
 *   the chip   (stm32f4, ...), where it needs one  clocks, pins, uid, why it started: nm_chip_...
 *
 * serial.c makes a port (port.h) of them. Constants come from the board's board.h. */
#ifndef NM_SERIAL_H
#define NM_SERIAL_H
#include <stdint.h>

/* What nm_uart_take adds to a byte. */
#define NM_UART_FRAMING 0x100u           /* it is none: a framing error, a break */
#define NM_UART_OVERRUN 0x200u           /* one before it was lost */
#define NM_UART_NONE 0x400u              /* there is no byte, only the rest was to be told */

void nm_serial_interrupt(void);          /* the only handler: of the tick and of the UART */

/* All may be left out (then: nothing to do, all zero, unknown). */
void nm_chip_start(void);                /* first of all: clocks, pins */
void nm_chip_uid(uint8_t uid[16]);
uint8_t nm_chip_cause(void);             /* NM_RESET_..., as the chip's registers tell it; once, as they are cleared */

#endif
