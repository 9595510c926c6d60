/* Raspberry Pi Pico: RP2040, one of its two Cortex-M0+; UART0, GP0 sends and GP1 receives. */
#ifndef NM_BOARD_H
#define NM_BOARD_H

#define NM_BOARD_NAME "pico"
#define NM_CORE_NAME "cortex_m0plus"
#define NM_CLOCK_HZ 125000000u
#define NM_BAUD 921600u
#define NM_RX_RING 8192u          /* bytes; the host has at most half of it on the way */
#define NM_TX_RING 2048u
#define NM_INPUT_BYTES 16384u     /* input buffer; hosts may fill half of it ahead */
#define NM_TRACE_BYTES 8192u      /* wanted trace buffer; a program with larger steps gets a larger one */
#define NM_STEPS_PER_POLL 16u     /* steps between two looks at the link */

#define NM_IRQS 32u
#define NM_UART 0x40034000u
#define NM_UART_IRQ 20u
#define NM_UART_CLOCK_HZ NM_CLOCK_HZ

#endif
