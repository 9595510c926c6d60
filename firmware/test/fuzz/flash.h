/* Flash of a board, in memory: bits go from 1 to 0 by writing, back by erasing. Of a store the emulation asks more than
 * real flash does: whole pages, within the flash, only where it was erased. */
#ifndef NM_FUZZ_FLASH_H
#define NM_FUZZ_FLASH_H
#include "fuzz.h"
#include "store.h"

#define FLASH_SECTOR 1024u
#define FLASH_PAGE 8u
#define FLASH_SIZE (16u * FLASH_SECTOR)

static _Alignas(8) uint8_t flash_cells[FLASH_SIZE];
static uint32_t flash_operations, flash_cut_at;      /* operations since the last look; that in which the power fails, 0: none */
static uint32_t flash_tear;                          /* 0: it was not begun, 1: half of it, 2: done, and nobody heard of it */
static void (*flash_power)(void);                    /* the power fails; does not come back */

static void flash_new(void) { memset(flash_cells, 0xFF, sizeof flash_cells); }

static uint32_t flash_done(uint32_t len, bool *last)
{
    *last = ++flash_operations == flash_cut_at;
    return !*last || flash_tear == 2u ? len : flash_tear * len / 2u;
}

static bool flash_erase(uint32_t offset)
{
    bool last;
    EXPECT(offset < FLASH_SIZE && offset % FLASH_SECTOR == 0);
    memset(flash_cells + offset, 0xFF, flash_done(FLASH_SECTOR, &last));
    if (last) flash_power();
    return true;
}

static bool flash_write(uint32_t offset, const uint8_t *bytes, uint32_t len)
{
    bool last;
    EXPECT(offset % FLASH_PAGE == 0 && len % FLASH_PAGE == 0 && offset <= FLASH_SIZE && len <= FLASH_SIZE - offset);
    for (uint32_t i = 0; i < len; i++) EXPECT(flash_cells[offset + i] == 0xFFu);
    memcpy(flash_cells + offset, bytes, flash_done(len, &last));
    if (last) flash_power();
    return true;
}

static const nm_flash flash_of_board = {flash_cells, FLASH_SIZE, FLASH_SECTOR, FLASH_PAGE, flash_erase, flash_write};
#endif
