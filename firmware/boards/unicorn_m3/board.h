/* Emulated Cortex-M3 in process. */
#ifndef NM_BOARD_H
#define NM_BOARD_H

#define NM_BOARD_NAME "unicorn_m3"
#define NM_CORE_NAME "cortex_m3"
#define NM_CLOCK_HZ 0u            /* virtual: no clock of its own */
#define NM_PER_US 32u             /* deadlines are held against a core of 64 MHz */
#define NM_INPUT_BYTES 32768u     /* input buffer; hosts may fill half of it ahead */
#define NM_TRACE_BYTES 8192u      /* wanted trace buffer; a program with larger steps gets a larger one */
#define NM_STEPS_PER_POLL 16u     /* steps between two looks at the link */

#endif
