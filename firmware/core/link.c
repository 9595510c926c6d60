/* What comes in: bytes become frames, frames become sessions and messages. */
#include "link_internal.h"

#include <string.h>

#include "nm.h"
#include "wire.h"

_Static_assert((NM_LINK_WINDOW & (NM_LINK_WINDOW - 1u)) == 0 && NM_LINK_WINDOW <= 16u, "window: 1, 2, 4, 8 or 16");
_Static_assert(NM_LINK_PAYLOAD >= NM_LINK_PAYLOAD_LEAST && NM_LINK_PAYLOAD <= 512u, "payload: 128 .. 512");
_Static_assert(sizeof(nm_link_counters) == 4u * NM_LINK_COUNTERS, "counters are reported as an array of u32");

void nm_link_init(nm_link *l, const nm_link_events *on, const uint8_t *hello, uint16_t hello_len, uint32_t boots)
{
    memset(l, 0, sizeof *l);
    l->on = *on;
    l->hello = hello;
    l->hello_len = hello_len;
    l->boots = boots;
    l->complain_at = (uint32_t)0 - NM_LINK_COMPLAIN;
}

void nm_link_start_session(nm_link *l, uint16_t session, uint32_t now)
{
    l->session = session;
    l->taken = l->expect = 0;
    l->told = l->window;
    for (uint32_t i = 0; i < NM_LINK_WINDOW; i++)
        l->held[i].full = false;
    l->want_ack = l->want_report = false;
    nm_link_start_sending(l, now);
    l->on.session(l->on.ctx, session);
}

void nm_link_line_errors(nm_link *l, uint32_t framing, uint32_t overrun)
{
    l->count.framing += framing;
    l->count.overrun += overrun;
}

/* ---- messages ---- */

/* The host must hear of credit that it does not know of; a smaller one keeps it from sending in vain. */
static void tell_credit(nm_link *l) { l->want_report |= nm_link_credit(l) != l->told; }

bool nm_link_deliver(nm_link *l)
{
    const uint8_t before = l->taken;
    while (l->taken != l->expect) {
        nm_link_held *h = &l->held[NM_SLOT(l->taken)];
        if (!l->on.message(l->on.ctx, h->type, h->payload, h->len))
            break;
        h->full = false;
        l->taken++;
    }
    tell_credit(l);
    return l->taken != before;
}

static void hold(nm_link_held *h, uint8_t type, const uint8_t *payload, uint16_t len)
{
    h->type = type;
    h->len = len;
    h->full = true;
    memcpy(h->payload, payload, len);
}

static void on_sequenced(nm_link *l, const uint8_t *f, uint16_t len)
{
    const uint8_t seq = f[2], ahead = (uint8_t)(seq - l->taken);
    nm_link_held *h = &l->held[NM_SLOT(seq)];
    l->want_ack = true;
    if (ahead >= l->window) {
        if (ahead < 128)
            l->count.dropped++;                                /* more than there was credit for */
        else
            l->count.duplicates++;
        return;
    }
    if (h->full) {
        l->count.duplicates++;
        return;
    }
    /* Most messages come in order and are taken at once: they are not copied. */
    if (seq != l->expect || l->taken != l->expect || !l->on.message(l->on.ctx, f[1], f + NM_FRAME_HEADER, len))
        hold(h, f[1], f + NM_FRAME_HEADER, len);
    else
        l->taken++;
    if (seq != l->expect) {
        l->count.out_of_order++;
        l->want_report = true;                                 /* says which one is missing */
        return;
    }
    l->expect++;
    while ((uint8_t)(l->expect - l->taken) < l->window && l->held[NM_SLOT(l->expect)].full)
        l->expect++;
    (void)nm_link_deliver(l);
}

/* ---- frames ---- */

/* Only the last refusal is kept: a host that sends one bad frame stops there. */
static void refuse(nm_link *l, uint8_t reason, const uint8_t *frame)
{
    l->want_nak = true;
    l->nak[0] = reason;
    l->nak[1] = frame[1];
    l->nak[2] = frame[2];
}

/* Checked apart from other frames: its layout holds for every version and needs no session. */
static void on_hello_req(nm_link *l, const uint8_t *f, uint16_t len, uint32_t now)
{
    const uint16_t session = nm_wire_get16(f + 4);
    const uint8_t *p = f + NM_FRAME_HEADER;
    /* At least a quarter of HELLO: who has not shown a session gets no more than four bytes for each one sent. */
    if (len < 20 || session == 0 || nm_wire_get16(p + 2) < NM_LINK_PAYLOAD_LEAST) {
        refuse(l, NM_NAK_LENGTH, f);
        return;
    }
    l->want_hello = true;
    l->hello_to = session;
    /* Another major version learns ours from HELLO and gives up; a repeated request must not restart the session. */
    if (p[0] != NM_LINK_MAJOR || session == l->session)
        return;
    const uint16_t payload = nm_wire_get16(p + 2);
    l->payload_max = payload < NM_LINK_PAYLOAD ? payload : (uint16_t)NM_LINK_PAYLOAD;
    l->window = p[4] == 0 ? 1 : p[4] < NM_LINK_WINDOW ? p[4] : (uint8_t)NM_LINK_WINDOW;
    l->count.replaced += l->session != 0;
    nm_link_start_session(l, session, now);
}

static void on_ack(nm_link *l, const uint8_t *f, uint16_t len, uint32_t now)
{
    uint32_t mask = 0;
    if (f[1] == NM_LINK_ACK && len >= 4) {
        mask = nm_wire_get16(f + NM_FRAME_HEADER);
        l->credit = f[NM_FRAME_HEADER + 2];
    }
    nm_link_acknowledged(l, f[3], mask, now);
}

/* The order of checks matters: nothing is believed before the checksum, nothing acted upon in another's session. */
static void on_frame(nm_link *l, uint32_t n, uint32_t now)
{
    const uint8_t *f = l->rx;
    if (n < NM_FRAME_HEADER + 4u || nm_crc32c(0, f, n - 4u) != nm_wire_get32(f + n - 4u)) {
        l->count.crc_err++;
        return;
    }
    const uint16_t len = nm_wire_get16(f + 6), session = nm_wire_get16(f + 4);
    l->count.frames_in++;
    if (f[1] == NM_LINK_HELLO_REQ && len == n - NM_FRAME_HEADER - 4u) {
        on_hello_req(l, f, len, now);
    } else if (f[0] >> 4 != NM_LINK_MAJOR) {
        refuse(l, NM_NAK_VERSION, f);
    } else if (session == 0 || session != l->session) {
        if (f[1] != NM_LINK_RESET) {                           /* two ends that reset each other would never stop */
            l->want_reset = true;
            l->foreign = session;
        }
    } else if (len != n - NM_FRAME_HEADER - 4u || len > l->payload_max) {
        refuse(l, NM_NAK_LENGTH, f);
    } else {
        on_ack(l, f, len, now);
        l->want_report |= (f[0] & NM_LINK_PING) != 0;
        if (f[1] >= NM_LINK_SEQUENCED) {
            on_sequenced(l, f, len);
        } else if (f[1] == NM_LINK_RESET) {
            l->count.closed++;
            nm_link_start_session(l, 0, now);
        } else if (f[1] == NM_LINK_NAK) {
            l->count.naks++;
        } else if (f[1] != NM_LINK_ACK) {
            refuse(l, NM_NAK_UNSUPPORTED, f);
        }
    }
}

/* ---- bytes ---- */

static void end_of_frame(nm_link *l, uint32_t now)
{
    if (l->rx_len && !l->skipping) {
        const int32_t n = nm_cobs_decode(l->rx, l->rx_len, l->rx);
        if (n < 0)
            l->count.cobs_err++;
        else
            on_frame(l, (uint32_t)n, now);
    }
    l->rx_len = 0;
    l->skipping = false;
}

void nm_link_receive(nm_link *l, const uint8_t *bytes, uint32_t len, uint32_t now)
{
    if (len == 0)
        return;
    if (l->rx_len && now - l->rx_at > NM_LINK_GAP) {
        l->count.gap++;
        l->rx_len = 0;
    }
    l->rx_at = now;
    for (uint32_t i = 0; i < len; i++) {
        if (bytes[i] == 0) {
            end_of_frame(l, now);
        } else if (l->rx_len < sizeof l->rx) {
            l->rx[l->rx_len++] = bytes[i];
        } else if (!l->skipping) {
            l->count.overlong++;
            l->skipping = true;
        }
    }
}
