/* QEMU's machine virt with a 32-bit RISC-V. */
#ifndef NM_BOARD_H
#define NM_BOARD_H

#define NM_BOARD_NAME "riscv32-virt"
#define NM_CORE_NAME "rv32imc"
#define NM_CLOCK_HZ 0u            /* none that means anything */
#define NM_BAUD 921600u
#define NM_RX_RING 8192u          /* bytes; the host has at most half of it on the way */
#define NM_TX_RING 2048u
#define NM_INPUT_BYTES 32768u     /* input buffer; hosts may fill half of it ahead */
#define NM_TRACE_BYTES 8192u      /* wanted trace buffer; a program with larger steps gets a larger one */
#define NM_STEPS_PER_POLL 16u     /* steps between two looks at the link */

#define NM_MTIME_HZ 10000000u
#define NM_UART 0x10000000u
#define NM_UART_IRQ 10u
#define NM_UART_CLOCK_HZ 3686400u

/* The test device of the machine takes a word to restart it. */
#define NM_BOARD_RESET() (*nm_reg(0x00100000u) = 0x7777u)

#endif
