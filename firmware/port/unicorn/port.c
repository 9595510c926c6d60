/* Port to the emulated machine: a serial device that is a pair of rings in memory, as a DMA controller would keep them.
 *
 * The emulator moves bytes and advances the clock only while the core sleeps (WFI), so a whole buffer costs one stop
 * and no access is trapped. There are no interrupts. */
#include "port.h"

#include <stddef.h>

#include "memory.h"

#define RING 16384u

/* neuromorph_mcu/emulator.py has the same layout. Heads and tails run freely; the ring index is their remainder. */
typedef struct {
    volatile uint32_t rx_head, rx_tail;      /* bytes that arrived (set by the machine), that were read */
    volatile uint32_t tx_head, tx_tail;      /* bytes written, that were sent (set by the machine) */
    volatile uint32_t millis;
    volatile uint32_t wait;                  /* how long the core would sleep if nothing arrives */
    volatile uint8_t uid[16];
    uint8_t reserved[4096 - 40];
    volatile uint8_t rx[RING], tx[RING];
} device;

_Static_assert(offsetof(device, rx) == 4096 && sizeof(device) == 4096 + 2 * RING, "as the emulator has it");

#define DEVICE ((device *)0x40000000u)

/* Flash is memory that keeps what it has; erasing and writing are ours to do as flash does them. */
#define FLASH ((uint8_t *)0x08000000u)
#define FLASH_SIZE 262144u
#define FLASH_SECTOR 4096u
#define FLASH_PAGE 8u

nm_port_flash nm_port_flash_info(void)
{
    const nm_port_flash flash = {FLASH, FLASH_SIZE, FLASH_SECTOR, FLASH_PAGE};
    return flash;
}

bool nm_port_flash_erase(uint32_t offset)
{
    for (uint32_t i = 0; i < FLASH_SECTOR; i++)
        FLASH[offset + i] = 0xFFu;
    return true;
}

bool nm_port_flash_write(uint32_t offset, const uint8_t *bytes, uint32_t len)
{
    for (uint32_t i = 0; i < len; i++)
        FLASH[offset + i] &= bytes[i];
    return true;
}

void nm_port_init(nm_port_board *board)
{
    nm_memory_init(board);
    board->cause = board->boots == 1u ? NM_RESET_POWER : NM_RESET_PIN;
    for (uint32_t i = 0; i < sizeof board->uid; i++)
        board->uid[i] = DEVICE->uid[i];
}

uint32_t nm_port_read(uint8_t *bytes, uint32_t cap)
{
    uint32_t tail = DEVICE->rx_tail, n = DEVICE->rx_head - tail;
    n = n < cap ? n : cap;
    for (uint32_t i = 0; i < n; i++)
        bytes[i] = DEVICE->rx[(tail + i) % RING];
    DEVICE->rx_tail = tail + n;
    return n;
}

uint32_t nm_port_write(const uint8_t *bytes, uint32_t len)
{
    uint32_t head = DEVICE->tx_head, n = RING - (head - DEVICE->tx_tail);
    n = n < len ? n : len;
    for (uint32_t i = 0; i < n; i++)
        DEVICE->tx[(head + i) % RING] = bytes[i];
    DEVICE->tx_head = head + n;
    return n;
}

void nm_port_line_errors(uint32_t *framing, uint32_t *overrun) { *framing = *overrun = 0; }

uint32_t nm_port_millis(void) { return DEVICE->millis; }

void nm_port_wait(uint32_t ms)
{
    DEVICE->wait = ms;
    __asm volatile("wfi" ::: "memory");
}

void reset(void);
void reset(void)
{
    nm_memory_start();
    nm_main();
}

extern uint32_t nm_stack_top[];

/* The machine starts as the core does: stack pointer and entry from the first two words. */
__attribute__((section(".vectors"), used)) static const void *const vectors[2] = {nm_stack_top, (const void *)reset};
