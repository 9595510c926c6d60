/* A program of the host: every limit far away. */
#ifndef NM_BOARD_H
#define NM_BOARD_H

#define NM_BOARD_NAME "posix"
#ifdef NM_CHECKED
#define NM_CORE_NAME "host, checked"     /* built with address and undefined-behaviour checks */
#else
#define NM_CORE_NAME "host"
#endif
#define NM_CLOCK_HZ 0u
#define NM_POOL_BYTES (8u << 20)         /* bytes for programs with their working memory */
#define NM_INPUT_BYTES 65536u
#define NM_TRACE_BYTES 32768u
#define NM_STEPS_PER_POLL 16u

#endif
