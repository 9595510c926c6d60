#include "memory.h"

extern uint32_t nm_data_start[], nm_data_end[], nm_data_load[], nm_bss_start[], nm_bss_end[];
extern uint32_t nm_stack_limit[], nm_stack_top[];
extern uint8_t nm_pool_start[], nm_pool_end[];

#define MAGIC 0x4E4D4254u
#define PAINT 0xA5A5A5A5u

/* Outlives a reset, but not the loss of power. */
static volatile struct { uint32_t magic, boots; } kept __attribute__((section(".noinit")));

void nm_memory_start(void)
{
    const uint32_t *from = nm_data_load;
    for (uint32_t *p = nm_data_start; p < nm_data_end; p++)
        *p = *from++;
    for (uint32_t *p = nm_bss_start; p < nm_bss_end; p++)
        *p = 0;
}

void nm_memory_init(nm_port_board *board)
{
    uint32_t here;
    for (volatile uint32_t *p = nm_stack_limit; p < (volatile uint32_t *)&here - 16; p++)
        *p = PAINT;
    kept.boots = kept.magic == MAGIC ? kept.boots + 1u : 1u;
    kept.magic = MAGIC;
    board->boots = kept.boots;
    board->cause = kept.boots == 1u ? NM_RESET_POWER : NM_RESET_UNKNOWN;
    board->pool = nm_pool_start;
    board->pool_len = (uint32_t)(nm_pool_end - nm_pool_start);
}

uint32_t nm_port_stack_used(void)
{
    const uint32_t *p = nm_stack_limit;
    while (p < nm_stack_top && *p == PAINT)
        p++;
    return (uint32_t)((const uint8_t *)nm_stack_top - (const uint8_t *)p);
}

/* Of boards whose port does not write flash. */
__attribute__((weak)) nm_port_flash nm_port_flash_info(void)
{
    const nm_port_flash none = {0};
    return none;
}

__attribute__((weak)) bool nm_port_flash_erase(uint32_t offset)
{
    (void)offset;
    return false;
}

__attribute__((weak)) bool nm_port_flash_write(uint32_t offset, const uint8_t *bytes, uint32_t len)
{
    (void)offset, (void)bytes, (void)len;
    return false;
}
