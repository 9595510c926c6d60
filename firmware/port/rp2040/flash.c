/* Flash of the RP2040 above the firmware, by the functions of its boot ROM (datasheet 2.8.3). While they work, nothing can
 * be read from flash: what calls them is in RAM, and no interrupt may come. */
#include <string.h>

#include "cpu.h"
#include "port.h"

#define BASE 0x10000000u
#define OFFSET 0x100000u                 /* the second megabyte; board.ld gives the firmware the first */
#define SIZE 0x100000u
#define SECTOR 4096u
#define PAGE 256u
#define BLOCK 65536u
#define BLOCK_COMMAND 0xD8u

#define ROM_TABLE 0x14u                  /* half words: address of the table, and of what looks a function up */
#define ROM_LOOKUP 0x18u
#define CODE(a, b) ((uint32_t)(a) | (uint32_t)(b) << 8)

typedef void *(*lookup)(const uint16_t *table, uint32_t code);

static const void *rom_address(uint32_t at) { return (const void *)(uintptr_t)*(const volatile uint16_t *)(uintptr_t)at; }

static void *rom(uint32_t code)
{
    const lookup find = (lookup)(uintptr_t)rom_address(ROM_LOOKUP);
    return find(rom_address(ROM_TABLE), code);
}

typedef struct {
    void (*connect)(void), (*exit_xip)(void), (*flush)(void), (*enter_xip)(void);
    void (*erase)(uint32_t at, uint32_t len, uint32_t block, uint32_t command);
    void (*program)(uint32_t at, const uint8_t *bytes, uint32_t len);
} functions;

/* NULL bytes: erase. */
__attribute__((section(".data.code"), noinline, used))
static void work(const functions *f, uint32_t at, const uint8_t *bytes, uint32_t len)
{
    f->connect();
    f->exit_xip();
    if (bytes)
        f->program(at, bytes, len);
    else
        f->erase(at, len, BLOCK, BLOCK_COMMAND);
    f->flush();
    f->enter_xip();                      /* by command 03h, as the boot code has it */
}

static void (*volatile const in_ram)(const functions *, uint32_t, const uint8_t *, uint32_t) = work;

static void operate(uint32_t at, const uint8_t *bytes, uint32_t len)
{
    const functions f = {
        .connect = (void (*)(void))rom(CODE('I', 'F')), .exit_xip = (void (*)(void))rom(CODE('E', 'X')),
        .flush = (void (*)(void))rom(CODE('F', 'C')), .enter_xip = (void (*)(void))rom(CODE('C', 'X')),
        .erase = (void (*)(uint32_t, uint32_t, uint32_t, uint32_t))rom(CODE('R', 'E')),
        .program = (void (*)(uint32_t, const uint8_t *, uint32_t))rom(CODE('R', 'P')),
    };
    nm_cpu_interrupts(false);
    in_ram(&f, at, bytes, len);
    nm_cpu_interrupts(true);
}

nm_port_flash nm_port_flash_info(void)
{
    const nm_port_flash flash = {(const uint8_t *)(BASE + OFFSET), SIZE, SECTOR, PAGE};
    return flash;
}

bool nm_port_flash_erase(uint32_t offset)
{
    operate(OFFSET + offset, NULL, SECTOR);
    return true;
}

/* The bytes may be in flash themselves, which cannot be read meanwhile. */
bool nm_port_flash_write(uint32_t offset, const uint8_t *bytes, uint32_t len)
{
    uint8_t page[PAGE];
    for (; len; offset += PAGE, bytes += PAGE, len -= PAGE) {
        memcpy(page, bytes, sizeof page);
        operate(OFFSET + offset, page, sizeof page);
    }
    return true;
}
