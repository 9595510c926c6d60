/* Stellaris LM3S: clock from the PLL, pins of UART0. */
#include "cpu.h"
#include "serial.h"

enum { RIS = 0x400FE050, RCC = 0x400FE060, RCGC1 = 0x400FE104, RCGC2 = 0x400FE108 };
enum { GPIO_A_AFSEL = 0x40004420, GPIO_A_DEN = 0x4000451C };

#define BYPASS (1u << 11)
#define SYSDIV_4 (3u << 23 | 1u << 22)                      /* 200 MHz / 4 */
#define CRYSTAL_8_MHZ (14u << 6)
#define PATIENCE 100000u

void nm_chip_start(void)
{
    *nm_reg(RCC) = BYPASS | CRYSTAL_8_MHZ;                  /* main oscillator and PLL on, not used yet */
    for (uint32_t i = 0; i < PATIENCE && !(*nm_reg(RIS) & 1u << 6); i++)
        ;
    *nm_reg(RCC) = SYSDIV_4 | BYPASS | CRYSTAL_8_MHZ;
    *nm_reg(RCC) = SYSDIV_4 | CRYSTAL_8_MHZ;
    *nm_reg(RCGC1) |= 1u;                                   /* UART0 */
    *nm_reg(RCGC2) |= 1u;                                   /* GPIO A */
    *nm_reg(GPIO_A_AFSEL) |= 3u;
    *nm_reg(GPIO_A_DEN) |= 3u;
}
