/* A whole board as a library: link, application, store and engine, on flash that can lose its power in any operation.
 *
 * The cut is a jump out of the firmware, in the middle of an operation: a part of it is done. What is in RAM is then lost,
 * as board_start writes over it. */
#include <setjmp.h>
#include <string.h>

#include "app.h"

#ifndef FLASH_SECTOR
#define FLASH_SECTOR 1024u
#endif
#ifndef FLASH_PAGE
#define FLASH_PAGE 8u
#endif
#ifndef FLASH_SECTORS
#define FLASH_SECTORS 24u
#endif
#define FLASH (FLASH_SECTORS * FLASH_SECTOR)
#define POOL 262144u
#define INPUT 4096u

static nm_app app;
static uint64_t pool[POOL / 8], input[INPUT / 8], cells[FLASH / 8];
static uint8_t wire[NM_WIRE_MAX];
static jmp_buf power;
static uint32_t operations, cut_at, wrong;
static int tear;

uint8_t *board_flash(uint32_t *size);
void board_cut(uint32_t operation, int how);
uint32_t board_operations(void);
uint32_t board_wrong(void);
int board_start(uint32_t boots, uint32_t now);
int board_poll(const uint8_t *bytes, uint32_t len, uint8_t *out, uint32_t cap, uint32_t now);
void board_power_fails(void);

/* ---- flash: bits go from 1 to 0 by writing, back by erasing ---- */

static uint8_t torn(uint32_t i, uint32_t len, uint8_t before, uint8_t after)
{
    static uint32_t noise = 1;
    noise = noise * 1664525u + 1013904223u;
    switch (tear) {
    case 0: return before;                                     /* not begun */
    case 1: return i < len / 2u ? after : before;              /* half of it */
    case 2: return after;                                      /* done, but nobody heard of it */
    default: return (uint8_t)((after & ~(noise >> 24)) | (before & (noise >> 24)));    /* some bits of all bytes */
    }
}

static bool cut(void) { return ++operations == cut_at; }

static bool erase(uint32_t offset)
{
    uint8_t *at = (uint8_t *)cells + offset;
    const bool last = cut();
    wrong += offset % FLASH_SECTOR != 0 || offset >= FLASH;
    for (uint32_t i = 0; i < FLASH_SECTOR; i++)
        at[i] = last ? torn(i, FLASH_SECTOR, at[i], 0xFF) : 0xFF;
    if (last)
        longjmp(power, 1);
    return true;
}

static bool write(uint32_t offset, const uint8_t *bytes, uint32_t len)
{
    uint8_t *at = (uint8_t *)cells + offset;
    const bool last = cut();
    wrong += offset % FLASH_PAGE != 0 || len % FLASH_PAGE != 0 || offset > FLASH || len > FLASH - offset;
    for (uint32_t i = 0; i < len; i++) {
        wrong += (at[i] & bytes[i]) != bytes[i];               /* it was not erased */
        at[i] = last ? torn(i, len, at[i], at[i] & bytes[i]) : at[i] & bytes[i];
    }
    if (last)
        longjmp(power, 1);
    return true;
}

uint8_t *board_flash(uint32_t *size)
{
    *size = FLASH;
    return (uint8_t *)cells;
}

/* Power fails in operation number `operation` from now on; 0: never. */
void board_cut(uint32_t operation, int how)
{
    operations = 0;
    cut_at = operation;
    tear = how;
}

uint32_t board_operations(void) { return operations; }
uint32_t board_wrong(void) { return wrong; }

/* ---- the board; 0 where the power failed ---- */

int board_start(uint32_t boots, uint32_t now)
{
    const nm_app_config config = {
        .board = "library", .core = "host", .build = "test", .boots = boots, .cause = 1, .now = now,
        .pool = (uint8_t *)pool, .pool_len = sizeof pool, .input = (uint8_t *)input, .input_len = sizeof input,
        .trace_len = 6000, .steps_per_poll = 4,
        .flash = {(const uint8_t *)cells, FLASH, FLASH_SECTOR, FLASH_PAGE, erase, write},
    };
    if (setjmp(power))
        return 0;
    memset(pool, 0xA5, sizeof pool);
    nm_app_init(&app, &config);
    return 1;
}

/* Bytes in, a look at everything, bytes out; returns how many, or -1. */
int board_poll(const uint8_t *bytes, uint32_t len, uint8_t *out, uint32_t cap, uint32_t now)
{
    volatile uint32_t n = 0;                                   /* over the jump */
    uint32_t frame;
    if (setjmp(power))
        return -1;
    nm_app_receive(&app, bytes, len, now);
    (void)nm_app_poll(&app, now);
    while (cap - n >= NM_WIRE_MAX && (frame = nm_link_transmit(&app.link, wire, now)) != 0) {
        memcpy(out + n, wire, frame);
        n += frame;
    }
    return (int)n;
}

void board_power_fails(void)
{
    if (!setjmp(power))
        nm_app_power_fails(&app);
}
