/* Arm MPS2 board with FPGA image AN385: Cortex-M3. */
#ifndef NM_BOARD_H
#define NM_BOARD_H

#define NM_BOARD_NAME "mps2-an385"
#define NM_CORE_NAME "cortex_m3"
#define NM_CLOCK_HZ 25000000u
#define NM_BAUD 921600u
#define NM_RX_RING 8192u          /* bytes; the host has at most half of it on the way */
#define NM_TX_RING 2048u
#define NM_INPUT_BYTES 32768u     /* input buffer; hosts may fill half of it ahead */
#define NM_TRACE_BYTES 8192u      /* wanted trace buffer; a program with larger steps gets a larger one */
#define NM_STEPS_PER_POLL 16u     /* steps between two looks at the link */

#define NM_IRQS 32u
#define NM_UART 0x40004000u
#define NM_UART_IRQS {0, 1}      /* receiver, transmitter */

#endif
