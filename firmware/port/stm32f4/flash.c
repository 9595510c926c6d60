/* Flash of the STM32F405 above the firmware: its seven sectors of 128 KB (reference manual RM0090, 3.5 and 3.9). The core
 * stands still while flash is busy: up to 2 s for an erase. */
#include "cpu.h"
#include "port.h"

enum { ACR = 0x40023C00, KEYR = 0x40023C04, SR = 0x40023C0C, CR = 0x40023C10 };
enum { ACR_DATA_CACHE = 1 << 10, ACR_DATA_RESET = 1 << 12, SR_BUSY = 1 << 16, SR_ERRORS = 0xF2, SR_DONE = 1,
       CR_WRITE = 1, CR_ERASE = 2, CR_WORDS = 2 << 8, CR_START = 1 << 16 };
#define CR_LOCK (1u << 31)
#define IDCODE 0xE0042000u

#define BASE 0x08020000u
#define FIRST 5u                         /* number of the first sector */
#define SECTOR 131072u
#define SECTORS 7u
#define PAGE 8u

static void unlock(void)
{
    if (*nm_reg(CR) & CR_LOCK) {
        *nm_reg(KEYR) = 0x45670123u;
        *nm_reg(KEYR) = 0xCDEF89ABu;
    }
    *nm_reg(SR) = SR_ERRORS | SR_DONE;
}

static bool finish(void)
{
    while (*nm_reg(SR) & SR_BUSY)
        ;
    const bool good = !(*nm_reg(SR) & SR_ERRORS);
    *nm_reg(CR) = CR_LOCK;
    *nm_reg(ACR) &= ~(uint32_t)ACR_DATA_CACHE;               /* what it has of the flash is old */
    *nm_reg(ACR) |= ACR_DATA_RESET;
    *nm_reg(ACR) &= ~(uint32_t)ACR_DATA_RESET;
    *nm_reg(ACR) |= ACR_DATA_CACHE;
    return good;
}

/* An emulator that has no flash controller has no identity code either. */
nm_port_flash nm_port_flash_info(void)
{
    const nm_port_flash flash = {(const uint8_t *)BASE, *nm_reg(IDCODE) ? SECTORS * SECTOR : 0u, SECTOR, PAGE};
    return flash;
}

bool nm_port_flash_erase(uint32_t offset)
{
    unlock();
    *nm_reg(CR) = CR_WORDS | CR_ERASE | (FIRST + offset / SECTOR) << 3;
    *nm_reg(CR) |= CR_START;
    return finish();
}

bool nm_port_flash_write(uint32_t offset, const uint8_t *bytes, uint32_t len)
{
    unlock();
    *nm_reg(CR) = CR_WORDS | CR_WRITE;
    for (uint32_t i = 0; i < len; i += 4u) {
        *nm_reg(BASE + offset + i) = bytes[i] | (uint32_t)bytes[i + 1u] << 8 | (uint32_t)bytes[i + 2u] << 16
                                     | (uint32_t)bytes[i + 3u] << 24;
        while (*nm_reg(SR) & SR_BUSY)
            ;
    }
    return finish();
}
