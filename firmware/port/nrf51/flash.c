/* Flash of the nRF51 above the firmware (reference manual 6, NVMC). The core stands still while it is busy. */
#include "cpu.h"
#include "port.h"

enum { READY = 0x4001E400, CONFIG = 0x4001E504, ERASE_PAGE = 0x4001E508 };
enum { READ_ONLY, WRITE, ERASE };

#define BASE 0x20000u
#define SIZE 0x20000u
#define SECTOR 1024u
#define PAGE 8u

static void wait_until_ready(void)
{
    while (!(*nm_reg(READY) & 1u))
        ;
}

static void allow(uint32_t what)
{
    *nm_reg(CONFIG) = what;
    wait_until_ready();
}

nm_port_flash nm_port_flash_info(void)
{
    const nm_port_flash flash = {(const uint8_t *)BASE, SIZE, SECTOR, PAGE};
    return flash;
}

bool nm_port_flash_erase(uint32_t offset)
{
    allow(ERASE);
    *nm_reg(ERASE_PAGE) = BASE + offset;
    wait_until_ready();
    allow(READ_ONLY);
    return true;
}

bool nm_port_flash_write(uint32_t offset, const uint8_t *bytes, uint32_t len)
{
    allow(WRITE);
    for (uint32_t i = 0; i < len; i += 4u) {
        *nm_reg(BASE + offset + i) = bytes[i] | (uint32_t)bytes[i + 1u] << 8 | (uint32_t)bytes[i + 2u] << 16
                                     | (uint32_t)bytes[i + 3u] << 24;
        wait_until_ready();
    }
    allow(READ_ONLY);
    return true;
}
