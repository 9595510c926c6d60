/* What the board's link makes of a stream of bytes: each whole frame, beside the counters of what it dropped. */
#include <string.h>

#include "link.h"
#include "wire.h"

static nm_link board;
static uint8_t coded[sizeof board.rx], body[sizeof board.rx];
static uint32_t mislabelled;

static bool on_message(void *ctx, uint8_t type, const uint8_t *payload, uint16_t len)
{
    (void)ctx, (void)type, (void)payload, (void)len;
    return true;
}

static void on_session(void *ctx, uint16_t session) { (void)ctx, (void)session; }

void parser_start(void);
uint32_t parser_run(const uint8_t *in, uint32_t len, uint8_t *out);
void parser_counts(uint32_t counts[5]);

void parser_start(void)
{
    static const uint8_t hello[112];
    const nm_link_events events = {&board, on_message, on_session};
    nm_link_init(&board, &events, hello, sizeof hello, 1);
    mislabelled = 0;
}

/* Write each frame without its checksum, a u16 with its bytes before it; return what was written. */
uint32_t parser_run(const uint8_t *in, uint32_t len, uint8_t *out)
{
    uint32_t n = 0, from = 0;
    for (uint32_t i = 0; i < len; i++) {
        if (in[i])
            continue;
        nm_link_receive(&board, in + from, i - from, 0);
        from = i + 1;
        const uint32_t before = board.count.frames_in, size = board.rx_len;
        memcpy(coded, board.rx, size);
        nm_link_receive(&board, in + i, 1, 0);
        if (board.count.frames_in == before)
            continue;
        const uint32_t kept = (uint32_t)nm_cobs_decode(coded, size, body) - 4u;
        if (nm_wire_get16(body + 6) != kept - NM_FRAME_HEADER) {
            mislabelled++;                                     /* it is refused by NAK, after the checksum */
            continue;
        }
        nm_wire_put16(out + n, kept);
        memcpy(out + n + 2, body, kept);
        n += kept + 2u;
    }
    nm_link_receive(&board, in + from, len - from, 0);
    return n;
}

void parser_counts(uint32_t counts[5])
{
    const nm_link_counters *c = &board.count;
    const uint32_t all[5] = {c->frames_in, c->crc_err, c->cobs_err, c->overlong, mislabelled};
    memcpy(counts, all, sizeof all);
}
