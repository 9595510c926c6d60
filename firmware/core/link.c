#include "link.h"

#include <string.h>

#include "nm.h"
#include "wire.h"

_Static_assert((NM_LINK_WINDOW & (NM_LINK_WINDOW - 1u)) == 0 && NM_LINK_WINDOW <= 128u, "window: a power of two");
_Static_assert(sizeof(nm_link_counters) == 4u * NM_LINK_COUNTERS, "counters are reported as an array of u32");

static nm_link_slot *slot_of(nm_link *l, uint8_t seq) { return &l->slot[seq & (NM_LINK_WINDOW - 1u)]; }
static uint8_t in_flight(const nm_link *l) { return (uint8_t)(l->next - l->base); }
static uint8_t unsent(const nm_link *l) { return (uint8_t)(l->next - l->cursor); }
static uint32_t left(uint32_t time, uint32_t spent) { return spent < time ? time - spent : 0; }

void nm_link_init(nm_link *l, const nm_link_events *on, const uint8_t *hello, uint16_t hello_len, uint32_t boots)
{
    memset(l, 0, sizeof *l);
    l->on = *on;
    l->hello = hello;
    l->hello_len = hello_len;
    l->boots = boots;
    l->complain_at = 0u - NM_LINK_COMPLAIN;
}

/* Session 0 is none. Whatever was queued belongs to the old one and is forgotten. */
static void start_session(nm_link *l, uint16_t session, uint32_t now)
{
    l->session = session;
    l->base = l->cursor = l->next = l->expect = 0;
    l->ahead = 0;
    l->want_ack = l->want_go_back = false;
    l->rto = NM_LINK_RTO_MIN;
    l->srtt8 = 0;
    l->moved_at = now;
    l->on.session(l->on.ctx, session);
}

/* ---- coming in ---- */

/* Only the last refusal is kept: a host that sends one bad frame stops there. */
static void refuse(nm_link *l, uint8_t reason, const uint8_t *frame)
{
    l->want_nak = true;
    l->nak[0] = reason;
    l->nak[1] = frame[1];
    l->nak[2] = frame[2];
}

static void sample_rtt(nm_link *l, uint32_t rtt)
{
    l->srtt8 = l->srtt8 ? l->srtt8 + rtt - l->srtt8 / 8u : rtt * 8u;
    uint32_t rto = l->srtt8 / 2u;                              /* 4 x srtt */
    l->rto = rto < NM_LINK_RTO_MIN ? NM_LINK_RTO_MIN : rto > NM_LINK_RTO_MAX ? NM_LINK_RTO_MAX : rto;
}

/* Also frames of the link acknowledge, so acks arrive even when the host has nothing to say. */
static void take_ack(nm_link *l, uint8_t ack, bool go_back, uint32_t now)
{
    uint8_t taken = (uint8_t)(ack - l->base);             /* numbers wrap at 256; the window is at most half of that */
    if (taken > in_flight(l))
        return;                                                /* older than the window: a late duplicate */
    if (taken) {
        const nm_link_slot *last = slot_of(l, (uint8_t)(ack - 1u));
        if (last->sends == 1)                                  /* Karn: a repeated frame tells no round trip */
            sample_rtt(l, now - last->at);
        if (taken > (uint8_t)(l->cursor - l->base))
            l->cursor = ack;
        l->base = ack;
        l->moved_at = l->timer_at = now;
    }
    if (go_back)
        l->cursor = l->base;
}

/* Checked apart from other frames: its layout holds for every version and needs no session. */
static void on_hello_req(nm_link *l, const uint8_t *f, uint16_t len, uint32_t now)
{
    uint16_t session = nm_wire_get16(f + 4);
    const uint8_t *p = f + NM_FRAME_HEADER;
    if (len < 5 || session == 0 || nm_wire_get16(p + 2) < 64) {
        refuse(l, NM_NAK_LENGTH, f);
        return;
    }
    l->want_hello = true;
    l->hello_to = session;
    /* Another major version learns ours from HELLO and gives up; a repeated request must not restart the session. */
    if (p[0] != NM_LINK_MAJOR || session == l->session)
        return;
    uint16_t payload = nm_wire_get16(p + 2);
    l->payload_max = payload < NM_LINK_PAYLOAD ? payload : (uint16_t)NM_LINK_PAYLOAD;
    l->window = p[4] == 0 ? 1 : p[4] < NM_LINK_WINDOW ? p[4] : (uint8_t)NM_LINK_WINDOW;
    start_session(l, session, now);
}

static void on_sequenced(nm_link *l, const uint8_t *f, uint16_t len)
{
    uint8_t ahead = (uint8_t)(f[2] - l->expect);
    l->want_ack = true;
    if (ahead == 0) {
        l->expect++;
        l->ahead = 0;
        l->on.message(l->on.ctx, f[1], f + NM_FRAME_HEADER, len);
    } else if (ahead < 128) {
        l->count.out_of_order++;
        /* Once per gap, or each follower would restart the sender; again if it did and the same one was lost. */
        l->want_go_back |= l->ahead == 0 || ahead <= l->ahead;
        l->ahead = ahead;
    } else {
        l->count.duplicates++;
    }
}

/* The order of checks matters: nothing is believed before the checksum, nothing acted upon in another's session. */
static void on_frame(nm_link *l, uint32_t n, uint32_t now)
{
    const uint8_t *f = l->rx;
    if (n < NM_FRAME_HEADER + 4u || nm_crc32c(0, f, n - 4u) != nm_wire_get32(f + n - 4u)) {
        l->count.crc_err++;
        return;
    }
    uint16_t len = nm_wire_get16(f + 6), session = nm_wire_get16(f + 4);
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
        take_ack(l, f[3], (f[0] & NM_LINK_GO_BACK) != 0, now);
        l->want_ack |= (f[0] & NM_LINK_PING) != 0;
        if (f[1] >= NM_LINK_SEQUENCED)
            on_sequenced(l, f, len);
        else if (f[1] == NM_LINK_RESET)
            start_session(l, 0, now);
        else if (f[1] == NM_LINK_NAK)
            l->count.naks++;
        else if (f[1] != NM_LINK_ACK)
            refuse(l, NM_NAK_UNSUPPORTED, f);
    }
}

void nm_link_receive(nm_link *l, const uint8_t *bytes, uint32_t len, uint32_t now)
{
    if (l->rx_len && len && now - l->rx_at > NM_LINK_GAP) {
        l->count.gap++;
        l->rx_len = 0;
    }
    for (uint32_t i = 0; i < len; i++) {
        if (bytes[i] == 0) {
            if (l->rx_len && !l->skipping) {
                int32_t n = nm_cobs_decode(l->rx, l->rx_len, l->rx);
                if (n < 0)
                    l->count.cobs_err++;
                else
                    on_frame(l, (uint32_t)n, now);
            }
            l->rx_len = 0;
            l->skipping = false;
        } else if (l->rx_len < sizeof l->rx) {
            l->rx[l->rx_len++] = bytes[i];
        } else if (!l->skipping) {
            l->count.overrun++;
            l->skipping = true;
        }
    }
    if (len)
        l->rx_at = now;
}

/* ---- going out ---- */

uint8_t *nm_link_reserve(nm_link *l)
{
    return l->session && in_flight(l) < l->window ? slot_of(l, l->next)->payload : NULL;
}

void nm_link_commit(nm_link *l, uint8_t type, uint16_t len, uint32_t now)
{
    nm_link_slot *s = slot_of(l, l->next);
    s->type = type;
    s->len = len;
    s->sends = 0;
    if (in_flight(l) == 0)
        l->moved_at = now;
    l->next++;
}

/* What every frame carries, an acknowledgement included, so whatever is sent settles want_ack. */
static uint32_t emit(nm_link *l, uint8_t *wire, uint8_t type, uint8_t seq, uint16_t session, const uint8_t *payload,
                     uint16_t len)
{
    uint8_t f[NM_FRAME_MAX];
    f[0] = (uint8_t)(NM_LINK_MAJOR << 4 | (l->want_go_back ? NM_LINK_GO_BACK : 0u));
    f[1] = type;
    f[2] = seq;
    f[3] = l->expect;
    nm_wire_put16(f + 4, session);
    nm_wire_put16(f + 6, len);
    if (len)
        memcpy(f + NM_FRAME_HEADER, payload, len);
    nm_wire_put32(f + NM_FRAME_HEADER + len, nm_crc32c(0, f, NM_FRAME_HEADER + len));
    uint32_t n = nm_cobs_encode(f, NM_FRAME_HEADER + len + 4u, wire + 1);
    wire[0] = wire[n + 1] = 0;
    l->count.frames_out++;
    l->want_ack = l->want_go_back = false;
    return n + 2u;
}

/* RESET first: it tells a host why its other frames have no effect. */
static uint32_t complain(nm_link *l, uint8_t *wire, uint32_t now)
{
    uint8_t boots[4];
    l->complain_at = now;
    if (l->want_reset) {
        l->want_reset = false;
        l->count.resets++;
        nm_wire_put32(boots, l->boots);
        return emit(l, wire, NM_LINK_RESET, l->next, l->foreign, boots, sizeof boots);
    }
    l->want_nak = false;
    return emit(l, wire, NM_LINK_NAK, l->next, l->session, l->nak, sizeof l->nak);
}

/* A timer runs only while something is unacknowledged: a silent, idle host is no fault. */
static void run_timers(nm_link *l, uint32_t now)
{
    if (!l->session || in_flight(l) == 0)
        return;
    if (now - l->moved_at >= NM_LINK_LOST) {
        l->count.lost++;
        start_session(l, 0, now);
    } else if (unsent(l) == 0 && now - l->timer_at >= l->rto) {
        l->cursor = l->base;                                   /* go back n */
        if (l->rto < NM_LINK_RTO_BACKOFF)
            l->rto = l->rto * 2u < NM_LINK_RTO_BACKOFF ? l->rto * 2u : NM_LINK_RTO_BACKOFF;
    }
}

uint32_t nm_link_transmit(nm_link *l, uint8_t *wire, uint32_t now)
{
    run_timers(l, now);
    if (l->want_hello) {
        l->want_hello = false;
        return emit(l, wire, NM_LINK_HELLO, l->next, l->hello_to, l->hello, l->hello_len);
    }
    if ((l->want_reset || l->want_nak) && now - l->complain_at >= NM_LINK_COMPLAIN)
        return complain(l, wire, now);
    if (l->session && unsent(l)) {
        nm_link_slot *s = slot_of(l, l->cursor);
        l->count.retransmits += s->sends != 0;
        s->sends = (uint8_t)(s->sends ? 2 : 1);
        s->at = l->timer_at = now;
        return emit(l, wire, s->type, l->cursor++, l->session, s->payload, s->len);
    }
    if (l->session && l->want_ack)
        return emit(l, wire, NM_LINK_ACK, l->next, l->session, NULL, 0);
    return 0;
}

uint32_t nm_link_wait(const nm_link *l, uint32_t now)
{
    uint32_t wait = NM_LINK_NEVER;
    if (l->want_reset || l->want_nak)
        wait = left(NM_LINK_COMPLAIN, now - l->complain_at);
    if (l->session && in_flight(l)) {
        uint32_t t = left(l->rto, now - l->timer_at);
        wait = t < wait ? t : wait;
    }
    return wait;
}
