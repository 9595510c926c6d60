/* The seam to the hardware. A port implements these functions and calls nm_main from its reset handler. */
#ifndef NM_PORT_H
#define NM_PORT_H
#include <stdbool.h>
#include <stdint.h>

#include "nm.h"

enum { NM_RESET_UNKNOWN, NM_RESET_POWER, NM_RESET_PIN, NM_RESET_SOFTWARE, NM_RESET_WATCHDOG, NM_RESET_BROWNOUT };

/* What a board knows about itself when it starts. */
typedef struct {
    uint8_t uid[16];       /* of this very board, the same after every reset */
    uint32_t boots;        /* starts since power came, this one included */
    uint8_t cause;         /* why it started, one of NM_RESET_... */
    uint8_t *pool;         /* working memory for programs: all RAM that nothing else uses; 8-aligned */
    uint32_t pool_len;
} nm_port_board;

void nm_port_init(nm_port_board *board);

/* Neither waits: they move what is there, or fits, and return the number of bytes. */
uint32_t nm_port_read(uint8_t *bytes, uint32_t cap);
uint32_t nm_port_write(const uint8_t *bytes, uint32_t len);

/* Bytes that the line damaged (framing, breaks) and that found no room, since the last call. */
void nm_port_line_errors(uint32_t *framing, uint32_t *overrun);

uint32_t nm_port_millis(void);

/* Return after `ms` milliseconds, or earlier when a byte arrives or there is room to send; 0 only lets others run. */
void nm_port_wait(uint32_t ms);

/* The most bytes of stack that were ever used; 0 = not known. Ports paint the stack in nm_port_init. */
uint32_t nm_port_stack_used(void);

/* Flash for what outlives the loss of power; a board without it has size 0. Reading is by address. Bits are 1 after an
 * erase, of a whole sector; a page (8..256 bytes) is written once after it. Operations end before they return; false: it
 * failed. Only boards with NM_STORE = 1 in their board.toml keep anything in it. */
typedef struct {
    const uint8_t *base;
    uint32_t size, sector, page;       /* bytes; page: what a write must be a multiple of, in place and length */
} nm_port_flash;

nm_port_flash nm_port_flash_info(void);
bool nm_port_flash_erase(uint32_t offset);
bool nm_port_flash_write(uint32_t offset, const uint8_t *bytes, uint32_t len);

void nm_main(void);

/* The sensors and outputs of a board, if a file of its folder defines these (else: none). Called around each step that
 * follows the board's own clock, so also of a stored program that runs without a host. nm_sense injects spikes into
 * inputs (nm_inject), nm_act looks at spikes (nm_on_spike). Neither may wait: the link is served between two steps. */
void nm_sense(nm_engine *engine);
void nm_act(const nm_engine *engine);

/* For ports that notice in time: the power is about to fail. May be called by an interrupt; what is learned is saved. */
void nm_power_fails(void);

#endif
