/* STM32F405 and its kin: 168 MHz from the internal oscillator, whatever crystal a board has; pins of USART1; uid. */
#include "cpu.h"
#include "port.h"
#include "serial.h"

enum {
    RCC_CR = 0x40023800, RCC_PLLCFGR = 0x40023804, RCC_CFGR = 0x40023808, RCC_AHB1ENR = 0x40023830,
    RCC_APB1ENR = 0x40023840, RCC_APB2ENR = 0x40023844, PWR_CR = 0x40007000, FLASH_ACR = 0x40023C00,
    RCC_CSR = 0x40023874, GPIOA_MODER = 0x40020000, GPIOA_AFRH = 0x40020024
};
#define UID 0x1FFF7A10u
#define DBGMCU_IDCODE 0xE0042000u
#define PATIENCE 100000u                                    /* an emulator may have no PLL that gets ready */

static void wait_for(uint32_t address, uint32_t mask, uint32_t value)
{
    for (uint32_t i = 0; i < PATIENCE && (*nm_reg(address) & mask) != value; i++)
        ;
}

static void start_clock(void)
{
    *nm_reg(RCC_APB1ENR) |= 1u << 28;                       /* PWR */
    *nm_reg(PWR_CR) |= 1u << 14;                            /* full voltage */
    *nm_reg(FLASH_ACR) = 1u << 10 | 1u << 9 | 1u << 8 | 5u; /* caches, prefetch, five wait states */
    *nm_reg(RCC_PLLCFGR) = 7u << 24 | 336u << 6 | 16u;      /* 16 MHz / 16 * 336 / 2 */
    *nm_reg(RCC_CR) |= 1u << 24;
    wait_for(RCC_CR, 1u << 25, 1u << 25);
    *nm_reg(RCC_CFGR) = 4u << 13 | 5u << 10 | 2u;           /* APB2: half, APB1: a quarter, core: PLL */
    wait_for(RCC_CFGR, 3u << 2, 2u << 2);
}

void nm_chip_start(void)
{
    start_clock();
    *nm_reg(RCC_AHB1ENR) |= 1u;                             /* GPIO A */
    *nm_reg(RCC_APB2ENR) |= 1u << 4;                        /* USART1 */
    *nm_reg(GPIOA_AFRH) = (*nm_reg(GPIOA_AFRH) & ~0xFF0u) | 0x770u;
    *nm_reg(GPIOA_MODER) = (*nm_reg(GPIOA_MODER) & ~(0xFu << 18)) | 0xAu << 18;
}

void nm_chip_uid(uint8_t uid[16])
{
    const bool emulated = *nm_reg(DBGMCU_IDCODE) == 0;      /* then reading the number is a fault */
    for (uint32_t i = 0; i < 12u && !emulated; i++)
        uid[i] = (uint8_t)(*nm_reg(UID + (i & ~3u)) >> 8u * (i & 3u));
}

/* Each reset pulls the pin too, and power that comes is a brown-out too: the particular comes first (RM0090, 7.3.21). */
uint8_t nm_chip_cause(void)
{
    const uint32_t flags = *nm_reg(RCC_CSR);
    *nm_reg(RCC_CSR) = flags | 1u << 24;                    /* the flags would add up */
    if (flags & (1u << 30 | 1u << 29))
        return NM_RESET_WATCHDOG;
    if (flags & 1u << 28)
        return NM_RESET_SOFTWARE;
    if (flags & 1u << 27)
        return NM_RESET_POWER;
    if (flags & 1u << 25)
        return NM_RESET_BROWNOUT;
    return flags & 1u << 26 ? NM_RESET_PIN : NM_RESET_UNKNOWN;
}
