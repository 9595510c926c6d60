/* The 256 bytes at the start of flash that the chip's boot ROM copies to RAM and runs: they switch on reading from flash
 * by its plainest command (03h, which every flash chip has), then start the firmware by its vectors. The ROM takes them
 * only with the right CRC-32 at the end (MPEG-2 kind; test_pico.py computes it). Registers: RP2040 datasheet 4.10.13. */
__asm(
    ".section .boot, \"ax\", %progbits\n"
    ".syntax unified\n.cpu cortex-m0plus\n.thumb\n.balign 4\n"
    "boot2:\n"
    "    ldr   r3, =0x18000000\n"            /* SSI */
    "    movs  r1, #0\n"
    "    str   r1, [r3, #0x08]\n"            /* SSIENR: off */
    "    movs  r1, #4\n"
    "    str   r1, [r3, #0x14]\n"            /* BAUDR: a quarter of the core clock */
    "    ldr   r1, =0x001F0300\n"
    "    str   r1, [r3, #0x00]\n"            /* CTRLR0: frames of 32 bits, command then data */
    "    ldr   r1, =0x03000218\n"
    "    ldr   r0, =0x180000F4\n"
    "    str   r1, [r0]\n"                   /* SPI_CTRLR0: command 03h, 24 bits of address */
    "    movs  r1, #0\n"
    "    str   r1, [r3, #0x04]\n"            /* CTRLR1: one word at a time */
    "    movs  r1, #1\n"
    "    str   r1, [r3, #0x08]\n"            /* SSIENR: on */
    "    ldr   r0, =0x10000100\n"
    "    ldr   r1, =0xE000ED08\n"
    "    str   r0, [r1]\n"                   /* VTOR */
    "    ldmia r0, {r0, r1}\n"
    "    msr   msp, r0\n"
    "    bx    r1\n"
    "    .ltorg\n"
    "    .space 252 - (. - boot2)\n"
    "    .word 0x0AACAA58\n");
