/* Memory of a board without an operating system: what its linker script says, and what outlives a reset. */
#ifndef NM_MEMORY_H
#define NM_MEMORY_H
#include "port.h"

void nm_memory_start(void);                     /* from the reset handler, first: initial values of variables */
void nm_memory_init(nm_port_board *board);      /* counts the start, paints the stack; pool and boots of the board */

#endif
