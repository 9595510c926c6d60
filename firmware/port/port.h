/* The seam to the hardware. A port implements these functions and calls nm_main from its reset handler. */
#ifndef NM_PORT_H
#define NM_PORT_H
#include <stdint.h>

void nm_port_init(void);

/* Neither waits: they move what is there, or fits, and return the number of bytes. */
uint32_t nm_port_read(uint8_t *bytes, uint32_t cap);
uint32_t nm_port_write(const uint8_t *bytes, uint32_t len);

uint32_t nm_port_millis(void);

/* Return after `ms` milliseconds, or earlier when a byte arrives or there is room to send; 0 only lets others run. */
void nm_port_wait(uint32_t ms);

void nm_port_id(uint8_t uid[16]);      /* of this very board, the same after every reset */
uint32_t nm_port_boots(void);          /* starts since power came, this one included */

/* Paint the unused stack at the start; later tell the most bytes that were ever used. 0 = not known. */
void nm_port_paint_stack(void);
uint32_t nm_port_stack_used(void);

/* The working memory for programs: all RAM that nothing else uses; 8-aligned. */
uint8_t *nm_port_pool(uint32_t *len);

void nm_main(void);

#endif
