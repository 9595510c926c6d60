/* RP2040: 125 MHz from the crystal of 12 MHz, pins of UART0. Registers: datasheet 2.14 to 2.19. */
#include "cpu.h"
#include "port.h"
#include "serial.h"

enum {
    RESET_CLEAR = 0x4000F000, RESET_DONE = 0x4000C008,
    XOSC_CTRL = 0x40024000, XOSC_STATUS = 0x40024004, XOSC_STARTUP = 0x4002400C,
    REF_CTRL = 0x40008030, REF_SELECTED = 0x40008038, SYS_CTRL = 0x4000803C, SYS_SELECTED = 0x40008044,
    PERI_CTRL = 0x40008048,
    PLL_CS = 0x40028000, PLL_FBDIV = 0x40028008, PLL_PRIM = 0x4002800C, PLL_POWER_CLEAR = 0x4002B004,
    GPIO0_CTRL = 0x40014004, GPIO1_CTRL = 0x4001400C,
    WATCHDOG_REASON = 0x40058008, CHIP_RESET = 0x40064008
};

#define PARTS (1u << 5 | 1u << 8 | 1u << 12 | 1u << 22)     /* IO_BANK0, PADS_BANK0, PLL_SYS, UART0 */
#define READY (1u << 31)

static void wait_for(uint32_t address, uint32_t mask)
{
    while ((*nm_reg(address) & mask) != mask)
        ;
}

/* The core runs from the crystal meanwhile: a reset of the core alone leaves its clock as it was. */
static void start_pll(void)
{
    *nm_reg(PLL_CS) = 1u;
    *nm_reg(PLL_FBDIV) = 125u;                              /* 1500 MHz */
    *nm_reg(PLL_POWER_CLEAR) = 1u << 5 | 1u << 0;
    wait_for(PLL_CS, READY);
    *nm_reg(PLL_PRIM) = 6u << 16 | 2u << 12;
    *nm_reg(PLL_POWER_CLEAR) = 1u << 3;
}

void nm_chip_start(void)
{
    *nm_reg(XOSC_STARTUP) = 47u;                            /* a millisecond */
    *nm_reg(XOSC_CTRL) = 0xFABu << 12 | 0xAA0u;
    wait_for(XOSC_STATUS, READY);
    *nm_reg(SYS_CTRL) = 0;
    wait_for(SYS_SELECTED, 1u << 0);
    *nm_reg(REF_CTRL) = 2u;
    wait_for(REF_SELECTED, 1u << 2);
    *nm_reg(RESET_CLEAR) = PARTS;
    wait_for(RESET_DONE, PARTS);
    start_pll();
    *nm_reg(SYS_CTRL) = 1u;
    wait_for(SYS_SELECTED, 1u << 1);
    *nm_reg(PERI_CTRL) = 1u << 11;
    *nm_reg(GPIO0_CTRL) = 2u;
    *nm_reg(GPIO1_CTRL) = 2u;
}

/* The watchdog's register is zero after any other reset; the chip's names the last of the others (datasheet 4.7, 2.10). */
uint8_t nm_chip_cause(void)
{
    const uint32_t watchdog = *nm_reg(WATCHDOG_REASON), chip = *nm_reg(CHIP_RESET);
    if (watchdog & 1u << 0)
        return NM_RESET_WATCHDOG;                           /* its time was up */
    if (watchdog & 1u << 1 || chip & 1u << 20)
        return NM_RESET_SOFTWARE;                           /* it was triggered; a debugger did it */
    if (chip & 1u << 16)
        return NM_RESET_PIN;
    return chip & 1u << 8 ? NM_RESET_POWER : NM_RESET_UNKNOWN;    /* or a brown-out: the chip does not tell them apart */
}
