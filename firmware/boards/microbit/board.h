/* BBC micro:bit of the first version: nRF51822, Cortex-M0, 16 KB of RAM, UART through the USB connector. */
#ifndef NM_BOARD_H
#define NM_BOARD_H

#define NM_BOARD_NAME "microbit"
#define NM_CORE_NAME "cortex_m0"
#define NM_CLOCK_HZ 16000000u
#define NM_RX_RING 1024u          /* bytes; the host has at most half of it on the way */
#define NM_TX_RING 256u
#define NM_RECEIVE_BYTES 128u     /* taken at a time */
#define NM_INPUT_BYTES 1024u      /* input buffer; hosts may fill half of it ahead */
#define NM_TRACE_BYTES 512u       /* wanted trace buffer; a program with larger steps gets a larger one */
#define NM_STEPS_PER_POLL 4u      /* steps between two looks at the link */

#define NM_IRQS 32u
#define NM_UART_TX_PIN 24u
#define NM_UART_RX_PIN 25u
#define NM_UART_BAUDRATE 0x01D7E000u                        /* 115200: more is too much for the USB chip */

#endif
