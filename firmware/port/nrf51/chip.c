/* nRF51: the oscillator that a UART needs, and the number of the chip. */
#include "cpu.h"
#include "serial.h"

enum { HFCLKSTART = 0x40000000, HFCLKSTARTED = 0x40000100, DEVICEID = 0x10000060 };
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
