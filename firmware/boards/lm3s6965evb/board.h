/* Stellaris LM3S6965 evaluation board: Cortex-M3, UART0 on the USB connector. */
#ifndef NM_BOARD_H
#define NM_BOARD_H

#define NM_BOARD_NAME "lm3s6965evb"
#define NM_CORE_NAME "cortex_m3"
#define NM_CLOCK_HZ 50000000u     /* PLL, from the crystal of 8 MHz (port/lm3s) */
#define NM_BAUD 921600u
#define NM_RX_RING 4096u          /* bytes; the host has at most half of it on the way */
#define NM_TX_RING 1024u
#define NM_INPUT_BYTES 8192u      /* input buffer; hosts may fill half of it ahead */
#define NM_TRACE_BYTES 2048u      /* wanted trace buffer; a program with larger steps gets a larger one */
#define NM_STEPS_PER_POLL 8u      /* steps between two looks at the link */

#define NM_IRQS 48u
#define NM_UART 0x4000C000u
#define NM_UART_IRQ 5u
#define NM_UART_CLOCK_HZ NM_CLOCK_HZ

#endif
