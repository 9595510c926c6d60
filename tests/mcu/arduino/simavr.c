/* An AVR board in simavr: its UART is a file descriptor. Used by test_arduino.py. The most bytes of stack so far are told
 * on the standard output.
 *
 *     simavr_board FIRMWARE.elf MCU HERTZ FD */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <simavr/avr_uart.h>
#include <simavr/sim_core.h>
#include <simavr/sim_avr.h>
#include <simavr/sim_elf.h>

#define BATCH 2000                       /* instructions between two looks at the line */
#define STILL 3                          /* instructions over which a stack pointer is one: it is set in two halves */
#define REGISTERS 0x100u                 /* no stack lies below; it has not been set up yet */

static int line;
static int open_for_input = 1;           /* the UART takes bytes: XON */

static void on_output(struct avr_irq_t *irq, uint32_t value, void *param)
{
    unsigned char byte = (unsigned char)value;
    (void)irq, (void)param;
    while (write(line, &byte, 1) != 1) {
        struct pollfd fd = {line, POLLOUT, 0};
        poll(&fd, 1, 100);
    }
}

static void on_xon(struct avr_irq_t *irq, uint32_t value, void *param)
{
    (void)irq, (void)value, (void)param;
    open_for_input = 1;
}

static void on_xoff(struct avr_irq_t *irq, uint32_t value, void *param)
{
    (void)irq, (void)value, (void)param;
    open_for_input = 0;
}

static void watch_stack(const avr_t *avr)
{
    static uint16_t lowest, last;
    static int still;
    const uint16_t sp = _avr_sp_get((avr_t *)avr);
    still = sp == last ? still + 1 : 1;
    last = sp;
    if (still < STILL || sp < REGISTERS || (lowest && sp >= lowest))
        return;
    lowest = sp;
    printf("%u\n", (unsigned)(avr->ramend - sp));
    fflush(stdout);
}

int main(int argc, char **argv)
{
    elf_firmware_t firmware = {0};
    uint32_t flags = 0;
    unsigned char byte;
    if (argc != 5 || elf_read_firmware(argv[1], &firmware))
        return 2;
    avr_t *avr = avr_make_mcu_by_name(argv[2]);
    if (!avr)
        return 2;
    line = atoi(argv[4]);
    fcntl(line, F_SETFL, O_NONBLOCK);
    avr_init(avr);
    firmware.frequency = (uint32_t)atol(argv[3]);
    avr_load_firmware(avr, &firmware);
    avr_ioctl(avr, AVR_IOCTL_UART_GET_FLAGS('0'), &flags);
    flags &= ~(uint32_t)AVR_UART_FLAG_STDIO;
    avr_ioctl(avr, AVR_IOCTL_UART_SET_FLAGS('0'), &flags);
    avr_irq_t *const input = avr_io_getirq(avr, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_INPUT);
    avr_irq_register_notify(avr_io_getirq(avr, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_OUTPUT), on_output, NULL);
    avr_irq_register_notify(avr_io_getirq(avr, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_OUT_XON), on_xon, NULL);
    avr_irq_register_notify(avr_io_getirq(avr, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_OUT_XOFF), on_xoff, NULL);
    for (;;) {
        for (int i = 0; i < BATCH; i++) {
            const int state = avr_run(avr);
            watch_stack(avr);
            if (state == cpu_Done || state == cpu_Crashed) {
                fprintf(stderr, "%s at 0x%04x\n", state == cpu_Done ? "done" : "crashed", (unsigned)avr->pc);
                return 1;
            }
        }
        while (open_for_input && read(line, &byte, 1) == 1)
            avr_raise_irq(input, byte);
    }
}
