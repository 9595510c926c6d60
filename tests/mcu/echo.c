/* The board's end of the link alone: whatever message comes goes back. For long runs over bad lines. */
#include <string.h>

#include "link.h"

static nm_link board;
static uint8_t hello[112], frame[NM_WIRE_MAX];
static uint32_t now_ms;

/* While the window is full nothing more is taken: the host hears of it by its credit. */
static bool on_message(void *ctx, uint8_t type, const uint8_t *payload, uint16_t len)
{
    uint8_t *m = nm_link_reserve(ctx);
    if (!m)
        return false;
    memcpy(m, payload, len);
    nm_link_commit(ctx, type, len, now_ms);
    return true;
}

static void on_session(void *ctx, uint16_t session) { (void)ctx, (void)session; }

void echo_start(void);
uint32_t echo_run(const uint8_t *in, uint32_t len, uint8_t *out, uint32_t cap, uint32_t now);
uint32_t echo_counter(uint32_t which);
uint32_t echo_size(void);

void echo_start(void)
{
    const nm_link_events events = {&board, on_message, on_session};
    hello[0] = NM_LINK_MAJOR;
    hello[1] = NM_LINK_MINOR;
    hello[6] = NM_LINK_PAYLOAD & 0xFFu;
    hello[7] = NM_LINK_PAYLOAD >> 8;
    hello[8] = NM_LINK_WINDOW;
    nm_link_init(&board, &events, hello, sizeof hello, 1);
}

/* One look at the line, as a port's main loop does it; returns the bytes to send. */
uint32_t echo_run(const uint8_t *in, uint32_t len, uint8_t *out, uint32_t cap, uint32_t now)
{
    uint32_t n = 0, size;
    now_ms = now;
    nm_link_receive(&board, in, len, now);
    (void)nm_link_deliver(&board);
    while (cap - n >= NM_WIRE_MAX && (size = nm_link_transmit(&board, frame, now)) != 0) {
        memcpy(out + n, frame, size);
        n += size;
    }
    return n;
}

uint32_t echo_counter(uint32_t which)
{
    uint32_t all[NM_LINK_COUNTERS];
    memcpy(all, &board.count, sizeof all);
    return all[which];
}

uint32_t echo_size(void) { return board.size; }
