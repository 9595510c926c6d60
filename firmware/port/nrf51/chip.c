/* nRF51: the oscillator that a UART needs, and the number of the chip. */
#include "cpu.h"
#include "port.h"
#include "serial.h"

enum { HFCLKSTART = 0x40000000, HFCLKSTARTED = 0x40000100, DEVICEID = 0x10000060, RESETREAS = 0x40000400 };
#define PATIENCE 100000u

void nm_chip_start(void)
{
    *nm_reg(HFCLKSTART) = 1u;                               /* the crystal: the internal one drifts too far */
    for (uint32_t i = 0; i < PATIENCE && !*nm_reg(HFCLKSTARTED); i++)
        ;
}

void nm_chip_uid(uint8_t uid[16])
{
    for (uint32_t i = 0; i < 8u; i++)
        uid[i] = (uint8_t)(*nm_reg(DEVICEID + (i & 4u)) >> 8u * (i & 3u));
}

/* None of them: power came, or failed for a moment; the memory tells the first (reference manual 3.0, 12.1.8). */
uint8_t nm_chip_cause(void)
{
    const uint32_t reasons = *nm_reg(RESETREAS);
    *nm_reg(RESETREAS) = reasons;                           /* they would add up; a one clears */
    if (reasons & 1u << 1)
        return NM_RESET_WATCHDOG;
    if (reasons & (1u << 2 | 1u << 3))
        return NM_RESET_SOFTWARE;                           /* asked for, or the core locked up */
    return reasons & 1u << 0 ? NM_RESET_PIN : NM_RESET_UNKNOWN;
}
