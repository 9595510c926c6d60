/* The port of boards with a UART: rings that interrupts fill and empty, so that no byte waits for a step to end. */
#include "serial.h"

#include <stdbool.h>

#include "board.h"
#include "cpu.h"
#include "memory.h"
#include "port.h"
#include "tick.h"
#include "uart.h"

_Static_assert((NM_RX_RING & (NM_RX_RING - 1u)) == 0 && (NM_TX_RING & (NM_TX_RING - 1u)) == 0, "powers of two");

/* Heads and tails run freely; the index is their remainder. Interrupts write rx.head and tx.tail, the rest is ours. */
static struct {
    volatile uint32_t head, tail;
    uint8_t bytes[NM_RX_RING];
} rx;
static struct {
    volatile uint32_t head, tail;
    uint8_t bytes[NM_TX_RING];
} tx;

static volatile uint32_t millis, framing, overrun;        /* counters */
static uint32_t framing_told, overrun_told;
static bool tx_full;                     /* the last write did not fit */

/* In an interrupt, or with interrupts off. */
static void serve(void)
{
    while (nm_uart_has_byte()) {
        const uint32_t taken = nm_uart_take(), head = rx.head;
        if (taken & NM_UART_OVERRUN)
            overrun++;
        if (taken & NM_UART_NONE)
            continue;
        if (taken & NM_UART_FRAMING) {
            framing++;
        } else if (head - rx.tail < NM_RX_RING) {        /* a host that keeps to its credit never fills it */
            rx.bytes[head % NM_RX_RING] = (uint8_t)taken;
            rx.head = head + 1u;
        } else {
            overrun++;
        }
    }
    uint32_t tail = tx.tail;
    while (tail != tx.head && nm_uart_has_room())
        nm_uart_put(tx.bytes[tail++ % NM_TX_RING]);
    tx.tail = tail;
    nm_uart_want_room(tail != tx.head);
}

/* The tick serves the UART too: one that has no interrupt for sending costs a millisecond. */
void nm_serial_interrupt(void)
{
    if (nm_tick_due())
        millis++;
    serve();
}

__attribute__((weak)) void nm_chip_start(void) {}
__attribute__((weak)) void nm_chip_uid(uint8_t uid[16]) { (void)uid; }
__attribute__((weak)) uint8_t nm_chip_cause(void) { return NM_RESET_UNKNOWN; }

void nm_port_init(nm_port_board *board)
{
    nm_memory_init(board);
    const uint8_t cause = nm_chip_cause();
    if (cause != NM_RESET_UNKNOWN)
        board->cause = cause;            /* else what the memory tells: whether the power was off */
    nm_chip_uid(board->uid);
    nm_uart_start();
    nm_tick_start();
    nm_cpu_interrupts(true);
}

uint32_t nm_port_read(uint8_t *bytes, uint32_t cap)
{
    const uint32_t tail = rx.tail, there = rx.head - tail, n = there < cap ? there : cap;
    for (uint32_t i = 0; i < n; i++)
        bytes[i] = rx.bytes[(tail + i) % NM_RX_RING];
    rx.tail = tail + n;
    return n;
}

static uint32_t fill(const uint8_t *bytes, uint32_t len)
{
    const uint32_t head = tx.head, room = NM_TX_RING - (head - tx.tail), n = len < room ? len : room;
    for (uint32_t i = 0; i < n; i++)
        tx.bytes[(head + i) % NM_TX_RING] = bytes[i];
    tx.head = head + n;
    return n;
}

uint32_t nm_port_write(const uint8_t *bytes, uint32_t len)
{
    uint32_t done = 0, n;
    do {                                                 /* as long as the UART makes room at once */
        n = fill(bytes + done, len - done);
        done += n;
        nm_cpu_interrupts(false);
        serve();
        nm_cpu_interrupts(true);
    } while (n);
    tx_full = done < len;
    return done;
}

void nm_port_line_errors(uint32_t *damaged, uint32_t *lost)
{
    const uint32_t f = framing, o = overrun;
    *damaged = f - framing_told;
    *lost = o - overrun_told;
    framing_told = f;
    overrun_told = o;
}

uint32_t nm_port_millis(void) { return millis; }

static bool awake(void) { return rx.head != rx.tail || (tx_full && tx.head - tx.tail <= NM_TX_RING / 2u); }

/* Interrupts are off between the look and the sleep, or one could come between; it ends the sleep all the same. */
void nm_port_wait(uint32_t ms)
{
    const uint32_t start = millis;
    bool go = false;
    while (!go && millis - start < ms) {
        nm_cpu_interrupts(false);
        go = awake();
        if (!go)
            nm_cpu_sleep();
        nm_cpu_interrupts(true);
    }
}
