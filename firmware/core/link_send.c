/* What goes out: selective repeat, the timer, the size of frames. */
#include <string.h>

#include "link_internal.h"
#include "nm.h"
#include "wire.h"

#define FRAMING 15u                /* bytes of a frame beside its payload: header, checksum, stuffing, delimiters */
#define SIZE_LEAST 32u
#define SIZE_START 64u
#define CLEAN_MOST (UINT32_C(1) << 16)    /* enough for the largest frames */

static nm_link_slot *slot_of(nm_link *l, uint8_t seq) { return &l->slot[NM_SLOT(seq)]; }
static uint32_t left(uint32_t time, uint32_t spent) { return spent < time ? time - spent : 0; }

void nm_link_start_sending(nm_link *l, uint32_t now)
{
    l->base = l->next = l->strikes = 0;
    l->credit = l->window;
    l->stamp = l->newest = 0;
    l->clean = 0;
    l->spacing = SIZE_START * SIZE_START / 16u;
    l->size = SIZE_START;
    l->rto = NM_LINK_RTO_MIN;
    l->srtt8 = 0;
    l->moved_at = l->timer_at = now;
}

/* ---- how large frames are ----
 *
 * With one error in `spacing` bytes, payloads of sqrt(FRAMING x spacing) bytes carry most: 32 at 1 %, 64 .. 128 at
 * 0.1 %, 256 at 0.01 %. */

static void choose_size(nm_link *l)
{
    const uint32_t spacing = l->spacing > l->clean ? l->spacing : l->clean;
    uint32_t size = SIZE_LEAST;
    while (size < l->payload_max && spacing >= size * size / 4u)    /* (2 size)^2 / 16 */
        size *= 2u;
    l->size = (uint16_t)(size < l->payload_max ? size : l->payload_max);
}

static void on_loss(nm_link *l)
{
    l->spacing = l->spacing - l->spacing / 8u + l->clean / 8u;
    l->clean = 0;
}

/* ---- acknowledgements ---- */

/* A long time may only mean that acknowledgements were lost, so one sample counts for little. */
static void sample_rtt(nm_link *l, uint32_t rtt)
{
    const uint32_t most = 4u * NM_LINK_RTO_MIN + l->srtt8 / 4u;
    rtt = rtt < most ? rtt : most;
    l->srtt8 = l->srtt8 ? l->srtt8 + rtt - l->srtt8 / 8u : rtt * 8u;
    const uint32_t rto = l->srtt8 / 2u;                        /* 4 x srtt */
    l->rto = rto < NM_LINK_RTO_MIN ? NM_LINK_RTO_MIN : rto > NM_LINK_RTO_MAX ? NM_LINK_RTO_MAX : rto;
}

static bool later(uint16_t a, uint16_t b) { return (uint16_t)(b - a) >= 0x8000u; }

/* `rtt`: the shortest round trip that this acknowledgement tells; others waited for it. */
static void arrived(nm_link *l, nm_link_slot *s, uint32_t now, uint32_t *rtt)
{
    if (s->state == NM_SLOT_THERE || s->sends == 0)
        return;
    s->state = NM_SLOT_THERE;
    if (later(s->stamp, l->newest))
        l->newest = s->stamp;
    if (s->sends == 1) {                                       /* Karn: a repeated frame tells no round trip */
        *rtt = now - s->at < *rtt ? now - s->at : *rtt;
        l->clean += l->clean < CLEAN_MOST ? s->len + FRAMING : 0u;
    }
    l->moved_at = l->timer_at = now;
}

void nm_link_acknowledged(nm_link *l, uint8_t ack, uint32_t mask, uint32_t now)
{
    l->strikes = 0;                                            /* a line that loses some is not one that is slow */
    uint32_t rtt = NM_LINK_NEVER;
    if ((uint8_t)(ack - l->base) > nm_link_in_flight(l))
        return;                                                /* older than the window: a late duplicate */
    for (; l->base != ack; l->base++)
        arrived(l, slot_of(l, l->base), now, &rtt);
    for (uint8_t k = 0; (uint8_t)(k + 1u) < nm_link_in_flight(l); k++)
        if (mask >> k & 1u)
            arrived(l, slot_of(l, (uint8_t)(ack + 1u + k)), now, &rtt);
    if (rtt != NM_LINK_NEVER)
        sample_rtt(l, rtt);
    /* A line keeps the order, so what was sent before something that has arrived is lost. */
    for (uint8_t seq = l->base; seq != l->next; seq++) {
        nm_link_slot *s = slot_of(l, seq);
        if (s->state == NM_SLOT_SENT && later(l->newest, s->stamp)) {
            s->state = NM_SLOT_WAITS;
            on_loss(l);
        }
    }
    choose_size(l);
}

/* ---- the window ---- */

uint8_t *nm_link_reserve(nm_link *l)
{
    return l->session && nm_link_in_flight(l) < l->window ? slot_of(l, l->next)->payload : NULL;
}

void nm_link_commit(nm_link *l, uint8_t type, uint16_t len, uint32_t now)
{
    nm_link_slot *s = slot_of(l, l->next);
    s->type = type;
    s->len = len;
    s->sends = 0;
    s->state = NM_SLOT_WAITS;
    if (nm_link_in_flight(l) == 0)
        l->moved_at = l->timer_at = now;
    l->next++;
}

static uint32_t rto(const nm_link *l)
{
    uint32_t t = l->rto;
    for (uint32_t i = 0; i < l->strikes && t < NM_LINK_RTO_BACKOFF; i++)
        t = 2u * t < NM_LINK_RTO_BACKOFF ? 2u * t : NM_LINK_RTO_BACKOFF;
    return t;
}

/* The oldest of that state, or NULL. */
static nm_link_slot *oldest(nm_link *l, uint8_t state, uint8_t most, uint8_t *seq)
{
    for (*seq = l->base; *seq != l->next && (uint8_t)(*seq - l->base) < most; (*seq)++)
        if (slot_of(l, *seq)->state == state)
            return slot_of(l, *seq);
    return NULL;
}

/* A timer runs only while something is unacknowledged: a silent, idle host is no fault. Only the oldest is repeated:
 * its acknowledgement tells what else is lost. */
static void run_timers(nm_link *l, uint32_t now)
{
    uint8_t seq;
    if (!l->session || nm_link_in_flight(l) == 0)
        return;
    if (now - l->moved_at >= NM_LINK_LOST) {
        l->count.lost++;
        nm_link_start_session(l, 0, now);
    } else if (now - l->timer_at >= rto(l)) {
        nm_link_slot *s = oldest(l, NM_SLOT_SENT, l->window, &seq);
        l->timer_at = now;
        l->strikes = (uint8_t)(l->strikes < 8u ? l->strikes + 1u : l->strikes);
        if (s) {
            s->state = NM_SLOT_WAITS;
            on_loss(l);
            choose_size(l);
        } else if (l->credit == 0) {
            l->credit = 1;                                     /* the report of more may be what was lost: try */
        }
    }
}

/* ---- frames ---- */

/* What every frame carries, an acknowledgement included, so whatever its session gets settles want_ack. */
static uint32_t emit(nm_link *l, uint8_t *wire, uint8_t type, uint8_t seq, uint16_t session, const uint8_t *payload,
                     uint16_t len)
{
    uint8_t f[NM_FRAME_MAX];
    f[0] = (uint8_t)(NM_LINK_MAJOR << 4);
    f[1] = type;
    f[2] = seq;
    f[3] = l->expect;
    nm_wire_put16(f + 4, session);
    nm_wire_put16(f + 6, len);
    memcpy(f + NM_FRAME_HEADER, payload, len);
    nm_wire_put32(f + NM_FRAME_HEADER + len, nm_crc32c(0, f, NM_FRAME_HEADER + len));
    const uint32_t n = nm_cobs_encode(f, NM_FRAME_HEADER + len + 4u, wire + 1);
    wire[0] = wire[n + 1] = 0;
    l->count.frames_out++;
    l->want_ack &= session != l->session;
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

static uint32_t report(nm_link *l, uint8_t *wire)
{
    uint8_t p[4] = {0, 0, 0, 0};
    uint32_t mask = 0;
    for (uint32_t k = 0; k + 1u + (uint8_t)(l->expect - l->taken) < l->window; k++)
        mask |= (uint32_t)l->held[NM_SLOT(l->expect + 1u + k)].full << k;
    nm_wire_put16(p, mask);
    p[2] = l->told = nm_link_credit(l);
    l->want_report = false;
    return emit(l, wire, NM_LINK_ACK, l->next, l->session, p, sizeof p);
}

static uint32_t send(nm_link *l, uint8_t *wire, nm_link_slot *s, uint8_t seq, uint32_t now)
{
    l->count.retransmits += s->sends != 0;
    s->sends = (uint8_t)(s->sends ? 2 : 1);
    s->state = NM_SLOT_SENT;
    s->stamp = ++l->stamp;
    s->at = l->timer_at = now;
    return emit(l, wire, s->type, seq, l->session, s->payload, s->len);
}

uint32_t nm_link_transmit(nm_link *l, uint8_t *wire, uint32_t now)
{
    uint8_t seq;
    run_timers(l, now);
    if (l->want_hello) {
        l->want_hello = false;
        return emit(l, wire, NM_LINK_HELLO, l->next, l->hello_to, l->hello, l->hello_len);
    }
    if ((l->want_reset || l->want_nak) && now - l->complain_at >= NM_LINK_COMPLAIN)
        return complain(l, wire, now);
    if (!l->session)
        return 0;
    if (l->want_report)
        return report(l, wire);
    nm_link_slot *s = oldest(l, NM_SLOT_WAITS, l->credit, &seq);
    if (s)
        return send(l, wire, s, seq, now);
    return l->want_ack ? report(l, wire) : 0;
}

uint32_t nm_link_wait(const nm_link *l, uint32_t now)
{
    uint32_t wait = NM_LINK_NEVER;
    if (l->want_reset || l->want_nak)
        wait = left(NM_LINK_COMPLAIN, now - l->complain_at);
    if (l->session && nm_link_in_flight(l)) {
        const uint32_t t = left(rto(l), now - l->timer_at);
        wait = t < wait ? t : wait;
    }
    return wait;
}
