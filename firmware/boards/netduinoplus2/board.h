/* STM32F405 at 168 MHz from its own oscillator, so on any board with the chip: USART1, PA9 sends and PA10 receives. */
#ifndef NM_BOARD_H
#define NM_BOARD_H

#define NM_BOARD_NAME "netduinoplus2"
#define NM_CORE_NAME "cortex_m4"
#define NM_CLOCK_HZ 168000000u
#define NM_BAUD 921600u
#define NM_RX_RING 8192u          /* bytes; the host has at most half of it on the way */
#define NM_TX_RING 2048u
#define NM_INPUT_BYTES 16384u     /* input buffer; hosts may fill half of it ahead */
#define NM_TRACE_BYTES 4096u      /* wanted trace buffer; a program with larger steps gets a larger one */
#define NM_STEPS_PER_POLL 16u     /* steps between two looks at the link */

#define NM_IRQS 82u
#define NM_UART 0x40011000u
#define NM_UART_IRQ 37u
#define NM_UART_CLOCK_HZ 84000000u

#endif
