/* The board's end of the serial link: frames, order, retransmission, sessions (docs/link.md).
 *
 * Sans-I/O: bytes and the time go in, bytes come out; it never waits and never reads a clock.
 * The neuromorph_mcu package has the other end, in Python. link.c takes what comes in, link_send.c has what goes out. */
#ifndef NM_LINK_H
#define NM_LINK_H
#include <stdbool.h>
#include <stdint.h>

#include "cobs.h"

#define NM_LINK_MAJOR 1u
#define NM_LINK_MINOR 1u

#if defined(__AVR__) && !defined(NM_LINK_WINDOW)
#define NM_LINK_WINDOW 2u          /* a few kilobytes of memory */
#define NM_LINK_PAYLOAD 128u
#endif
#ifndef NM_LINK_WINDOW
#define NM_LINK_WINDOW 4u          /* messages in flight each way: 1, 2, 4, 8 or 16 */
#endif
#ifndef NM_LINK_PAYLOAD
#define NM_LINK_PAYLOAD 256u       /* 128 .. 512: larger ones would lose CRC-32C's detection of any 5 wrong bits */
#endif
#define NM_LINK_PAYLOAD_LEAST 128u /* every single message fits; streams are cut smaller on a bad line */

#define NM_FRAME_HEADER 8u
#define NM_FRAME_MAX (NM_FRAME_HEADER + NM_LINK_PAYLOAD + 4u)
#define NM_WIRE_MAX (NM_COBS_MAX(NM_FRAME_MAX) + 2u)

/* Times in milliseconds. */
#define NM_LINK_RTO_MIN 50u
#define NM_LINK_RTO_BACKOFF 250u   /* doubling ends here: on a bad line the next try may be the one that arrives */
#define NM_LINK_RTO_MAX 1000u
#define NM_LINK_LOST 5000u         /* unacknowledged for so long: the host is gone */
#ifndef NM_LINK_GAP
#define NM_LINK_GAP 20u            /* silence inside a frame that ends it */
#endif
#define NM_LINK_COMPLAIN 10u       /* at most one RESET or NAK per such time */
#define NM_LINK_NEVER UINT32_MAX

/* Types below NM_LINK_SEQUENCED belong to the link and carry no sequence number of their own. */
enum {
    NM_LINK_HELLO_REQ = 1, NM_LINK_HELLO = 2, NM_LINK_RESET = 3, NM_LINK_ACK = 4, NM_LINK_NAK = 5,
    NM_LINK_SEQUENCED = 16
};
enum { NM_LINK_PING = 1 };                                                        /* flags */
enum { NM_NAK_UNSUPPORTED = 1, NM_NAK_LENGTH = 2, NM_NAK_VERSION = 3 };           /* reasons */

/* docs/link.md 4 says what each counts. The last three are why sessions ended. */
#define NM_LINK_COUNTERS 17u
typedef struct {
    uint32_t frames_in, frames_out, crc_err, cobs_err, overlong, gap, framing, overrun;
    uint32_t retransmits, duplicates, out_of_order, dropped, resets, naks;
    uint32_t lost, replaced, closed;
} nm_link_counters;

typedef struct {
    void *ctx;
    /* In order, exactly once. False: not now; it is kept, and offered again by nm_link_deliver. */
    bool (*message)(void *ctx, uint8_t type, const uint8_t *payload, uint16_t len);
    void (*session)(void *ctx, uint16_t session);         /* a host came, or (0) was lost: forget the conversation */
} nm_link_events;

enum { NM_SLOT_FREE, NM_SLOT_WAITS, NM_SLOT_SENT, NM_SLOT_THERE };

typedef struct {
    uint32_t at;                   /* when it was last sent */
    uint16_t stamp;                /* which transmission that was */
    uint16_t len;
    uint8_t type, state, sends, reserved;     /* the payload begins at a word: copies are fast */
    uint8_t payload[NM_LINK_PAYLOAD];
} nm_link_slot;

typedef struct {
    uint16_t len;
    uint8_t type;
    bool full;
    uint8_t payload[NM_LINK_PAYLOAD];
} nm_link_held;

typedef struct {
    nm_link_events on;
    const uint8_t *hello;          /* payload of HELLO, at most NM_LINK_PAYLOAD bytes */
    uint16_t hello_len;
    uint32_t boots;                /* payload of RESET: how often this board has started */
    nm_link_counters count;

    uint16_t session;              /* 0: none */
    uint16_t payload_max;          /* agreed in HELLO */
    uint8_t window;

    /* Going out: messages base .. next - 1 (modulo 256) are not all acknowledged. */
    uint8_t base, next, credit;    /* credit: how many the host takes now */
    uint8_t strikes;               /* of the timer, since a frame came */
    uint16_t stamp, newest;        /* transmissions so far; the newest one that was acknowledged */
    uint16_t size;                 /* how large to cut a stream */
    uint32_t clean, spacing;       /* bytes acknowledged since the last loss; between losses, smoothed */
    uint32_t moved_at;             /* anything was acknowledged, or the window stopped being empty */
    uint32_t timer_at, rto, srtt8; /* sent or acknowledged; time after which to repeat; 8 x smoothed round trip */
    nm_link_slot slot[NM_LINK_WINDOW];

    /* Coming in: taken <= expect. [taken, expect) waits for the application, what is held behind expect for a gap. */
    uint8_t taken, expect, told;   /* told: the credit that the host has heard of */
    bool skipping;                 /* overlong frame: drop until the next delimiter */
    uint32_t rx_len, rx_at;
    uint8_t rx[NM_COBS_MAX(NM_FRAME_MAX)];
    nm_link_held held[NM_LINK_WINDOW];

    /* Frames of the link itself that wait to be sent, one of each kind. Any frame acknowledges; a report says more. */
    bool want_hello, want_ack, want_report, want_reset, want_nak;
    uint16_t hello_to, foreign;    /* sessions that HELLO and RESET answer */
    uint8_t nak[3];                /* reason, type, sequence number */
    uint32_t complain_at;          /* the last RESET or NAK */
} nm_link;

void nm_link_init(nm_link *link, const nm_link_events *on, const uint8_t *hello, uint16_t hello_len, uint32_t boots);
void nm_link_receive(nm_link *link, const uint8_t *bytes, uint32_t len, uint32_t now);

/* Offer messages again that the application could not take; true if it now took one. */
bool nm_link_deliver(nm_link *link);

/* What the port noticed: bytes with framing errors or breaks, bytes that it had no room for. */
void nm_link_line_errors(nm_link *link, uint32_t framing, uint32_t overrun);

/* The next encoded frame that is due, delimiters included; 0 = nothing to send now. `wire` takes NM_WIRE_MAX bytes. */
uint32_t nm_link_transmit(nm_link *link, uint8_t *wire, uint32_t now);

/* Milliseconds until nm_link_transmit has something to do although no byte arrives. */
uint32_t nm_link_wait(const nm_link *link, uint32_t now);

/* Queue a message: reserve gives room for payload_max bytes (of which a stream should use `size`), or NULL while the
 * window is full or no host is there. */
uint8_t *nm_link_reserve(nm_link *link);
void nm_link_commit(nm_link *link, uint8_t type, uint16_t len, uint32_t now);

#endif
