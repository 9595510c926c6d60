/* The board's end of the serial link: frames, order, retransmission, sessions (docs/link.md).
 *
 * Sans-I/O: bytes and the time go in, bytes come out; it never waits and never reads a clock.
 * The neuromorph_mcu package has the other end, in Python. */
#ifndef NM_LINK_H
#define NM_LINK_H
#include <stdbool.h>
#include <stdint.h>

#include "cobs.h"

#define NM_LINK_MAJOR 1u
#define NM_LINK_MINOR 0u

#ifndef NM_LINK_WINDOW
#define NM_LINK_WINDOW 8u          /* frames in flight, a power of two, at most 128 */
#endif
#ifndef NM_LINK_PAYLOAD
#define NM_LINK_PAYLOAD 512u       /* larger ones would lose CRC-32C's detection of any 5 wrong bits */
#endif

#define NM_FRAME_HEADER 8u
#define NM_FRAME_MAX (NM_FRAME_HEADER + NM_LINK_PAYLOAD + 4u)
#define NM_WIRE_MAX (NM_COBS_MAX(NM_FRAME_MAX) + 2u)

/* Times in milliseconds. */
#define NM_LINK_RTO_MIN 50u
#define NM_LINK_RTO_BACKOFF 250u   /* doubling ends here: on a bad line the next try may be the one that arrives */
#define NM_LINK_RTO_MAX 1000u
#define NM_LINK_LOST 5000u         /* unacknowledged for so long: the host is gone */
#define NM_LINK_GAP 20u            /* silence inside a frame that ends it */
#define NM_LINK_COMPLAIN 10u       /* at most one RESET or NAK per such time */
#define NM_LINK_NEVER UINT32_MAX

/* Types below NM_LINK_SEQUENCED belong to the link and carry no sequence number of their own. */
enum {
    NM_LINK_HELLO_REQ = 1, NM_LINK_HELLO = 2, NM_LINK_RESET = 3, NM_LINK_ACK = 4, NM_LINK_NAK = 5,
    NM_LINK_SEQUENCED = 16
};
enum { NM_LINK_PING = 1, NM_LINK_GO_BACK = 2 };                                   /* flags */
enum { NM_NAK_UNSUPPORTED = 1, NM_NAK_LENGTH = 2, NM_NAK_VERSION = 3 };           /* reasons */

#define NM_LINK_COUNTERS 12u
typedef struct {
    uint32_t frames_in, frames_out, crc_err, cobs_err, overrun, gap, retransmits, duplicates, out_of_order;
    uint32_t resets, naks, lost;
} nm_link_counters;

typedef struct {
    void *ctx;
    void (*message)(void *ctx, uint8_t type, const uint8_t *payload, uint16_t len);   /* in order, exactly once */
    void (*session)(void *ctx, uint16_t session);         /* a host came, or (0) was lost: forget the conversation */
} nm_link_events;

typedef struct {
    uint32_t at;                   /* when it was last sent */
    uint16_t len;
    uint8_t type;
    uint8_t sends;
    uint8_t payload[NM_LINK_PAYLOAD];
} nm_link_slot;

typedef struct {
    nm_link_events on;
    const uint8_t *hello;          /* payload of HELLO, at most NM_LINK_PAYLOAD bytes */
    uint16_t hello_len;
    uint32_t boots;                /* payload of RESET: how often this board has started */
    nm_link_counters count;

    uint16_t session;              /* 0: none */
    uint16_t payload_max;          /* agreed in HELLO */
    uint8_t window;

    /* Going out: base <= cursor <= next (modulo 256). [base, cursor) is on the wire, [cursor, next) waits to be
     * sent. */
    uint8_t base, cursor, next;
    uint32_t moved_at;             /* the window last moved, or stopped being empty */
    uint32_t timer_at, rto, srtt8; /* last sent or acknowledged; time after which to go back; 8 x smoothed round trip */
    nm_link_slot slot[NM_LINK_WINDOW];

    /* Coming in. */
    uint8_t expect;
    uint8_t ahead;                 /* how far the last message was ahead of the expected one; 0 = no gap */
    bool skipping;                 /* overlong frame: drop until the next delimiter */
    uint32_t rx_len, rx_at;
    uint8_t rx[NM_COBS_MAX(NM_FRAME_MAX)];

    /* Frames of the link itself that wait to be sent, one of each kind. */
    bool want_hello, want_ack, want_go_back, want_reset, want_nak;
    uint16_t hello_to, foreign;    /* sessions that HELLO and RESET answer */
    uint8_t nak[3];                /* reason, type, sequence number */
    uint32_t complain_at;          /* the last RESET or NAK */
} nm_link;

void nm_link_init(nm_link *link, const nm_link_events *on, const uint8_t *hello, uint16_t hello_len, uint32_t boots);
void nm_link_receive(nm_link *link, const uint8_t *bytes, uint32_t len, uint32_t now);

/* The next encoded frame that is due, delimiters included; 0 = nothing to send now. `wire` takes NM_WIRE_MAX bytes. */
uint32_t nm_link_transmit(nm_link *link, uint8_t *wire, uint32_t now);

/* Milliseconds until nm_link_transmit has something to do although no byte arrives. */
uint32_t nm_link_wait(const nm_link *link, uint32_t now);

/* Queue a message: reserve gives room for payload_max bytes, or NULL while the window is full or no host is there. */
uint8_t *nm_link_reserve(nm_link *link);
void nm_link_commit(nm_link *link, uint8_t type, uint16_t len, uint32_t now);

#endif
