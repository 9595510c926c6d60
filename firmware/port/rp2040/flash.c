/* Flash of the RP2040 above the firmware, by the functions of its boot ROM (datasheet 2.8.3), and its number, which stands
 * for that of the chip, as it has none. While they work, nothing can be read from flash: what calls them is in RAM, and no
 * interrupt may come. */
#include <string.h>

#include "cpu.h"
#include "port.h"
#include "serial.h"

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

/* The flash by hand: SSI (datasheet 4.10.13), and the pin of its chip select (2.19.6.2), which can be held. */
enum { SSI_STATUS = 0x18000028, SSI_DATA = 0x18000060, SELECT = 0x4001800C };
enum { SSI_ROOM = 1u << 1, SSI_BYTE = 1u << 3, SELECT_HELD = 3u << 8, SELECT_LOW = 2u << 8, SELECT_HIGH = 3u << 8 };
#define PATIENCE 10000u                  /* looks at the SSI; it takes a few for a byte */
#define READ_NUMBER 0x4Bu                /* then four bytes of anything, then the number */
#define NUMBER_AT 5u
#define NUMBER 8u

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

static inline __attribute__((always_inline)) bool ssi_has(uint32_t mask)
{
    uint32_t left = PATIENCE;
    while (left && !(*nm_reg(SSI_STATUS) & mask))
        left--;
    return left != 0;
}

static inline __attribute__((always_inline)) void chip_select(uint32_t level)
{
    *nm_reg(SELECT) = (*nm_reg(SELECT) & ~(uint32_t)SELECT_HELD) | level;
}

/* Each byte is replaced by what comes while it goes out; a flash that does not answer is left. */
__attribute__((section(".data.code"), noinline, used))
static void ask(const functions *f, uint8_t *bytes, uint32_t len)
{
    f->connect();
    f->exit_xip();
    chip_select(SELECT_LOW);
    for (uint32_t i = 0; i < len; i++) {
        if (!ssi_has(SSI_ROOM))
            break;
        *nm_reg(SSI_DATA) = bytes[i];
        if (!ssi_has(SSI_BYTE))
            break;
        bytes[i] = (uint8_t)*nm_reg(SSI_DATA);
    }
    chip_select(SELECT_HIGH);
    f->flush();                          /* lets go of the pin, too */
    f->enter_xip();
}

static void (*volatile const in_ram)(const functions *, uint32_t, const uint8_t *, uint32_t) = work;
static void (*volatile const ask_in_ram)(const functions *, uint8_t *, uint32_t) = ask;

static functions find(void)
{
    const functions f = {
        .connect = (void (*)(void))rom(CODE('I', 'F')), .exit_xip = (void (*)(void))rom(CODE('E', 'X')),
        .flush = (void (*)(void))rom(CODE('F', 'C')), .enter_xip = (void (*)(void))rom(CODE('C', 'X')),
        .erase = (void (*)(uint32_t, uint32_t, uint32_t, uint32_t))rom(CODE('R', 'E')),
        .program = (void (*)(uint32_t, const uint8_t *, uint32_t))rom(CODE('R', 'P')),
    };
    return f;
}

/* While the board starts: no interrupt is on yet. A flash without a number says nothing but ones. */
void nm_chip_uid(uint8_t uid[16])
{
    const functions f = find();
    uint8_t bytes[NUMBER_AT + NUMBER] = {READ_NUMBER}, all = 0xFF;
    ask_in_ram(&f, bytes, sizeof bytes);
    for (uint32_t i = NUMBER_AT; i < sizeof bytes; i++)
        all &= bytes[i];
    if (all != 0xFF)
        memcpy(uid, bytes + NUMBER_AT, NUMBER);
}

static void operate(uint32_t at, const uint8_t *bytes, uint32_t len)
{
    const functions f = find();
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
