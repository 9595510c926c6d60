/* Records: inputs in, probes out, and the run loop around both (docs/image.md 4). */
#include "nm_internal.h"

#define HEAD 16u
#define MOST 65535u     /* values of a record: its count has 16 bits */

/* The 1-based step count until t % every == phase % every next holds. */
static uint32_t wait_for(const nm_probe *p, uint32_t t) {
    uint32_t due, at;
    nm_udivmod(p->phase, p->every, &due);
    nm_udivmod(t, p->every, &at);
    return due > at ? due - at : due + (p->every - at);
}

static uint32_t saturating(uint32_t a, uint64_t b) { return b > UINT32_MAX - a ? UINT32_MAX : a + (uint32_t)b; }

/* Heads of all records of n values, 64-bit sums: the caller saturates. */
static uint64_t heads(uint32_t n) {
    uint64_t bytes = 0;
    for (uint32_t left = n; left > 0; left -= nm_min(left, MOST)) bytes += HEAD + 3u;
    return bytes;
}

static uint32_t bound_of(const nm_engine *e, const nm_probe *p) {
    if (p->variable == 0) {
        const nm_pop *pop = e->pop + p->object;
        return saturating(0, heads(pop->n) * 2 + (uint64_t)pop->n * (pop->payload ? 6u : 2u));
    }
    nm_item item;
    nm_item_find(e, p->kind, p->object, p->variable, &item);
    return saturating(0, heads(item.count) + (uint64_t)item.count * item.width);
}

void nm_probes_start(nm_engine *e) {
    e->bound = 0;
    for (uint32_t i = 0; i < e->probes; i++) {
        nm_probe *p = e->probe + i;
        p->left = wait_for(p, e->now);
        p->due = 0;
        p->bound = bound_of(e, p);
        e->bound = saturating(e->bound, p->bound);
    }
}

void nm_probes_step(nm_engine *e) {
    for (uint32_t i = 0; i < e->probes; i++) {
        nm_probe *p = e->probe + i;
        p->due = --p->left == 0;
        if (p->due) p->left = p->every;
    }
}

uint32_t nm_record_bound(const nm_engine *e) { return e->bound; }

/* Most bytes that the next step can write. */
static uint32_t next_bound(const nm_engine *e) {
    uint32_t bytes = 0;
    for (uint32_t i = 0; i < e->probes; i++)
        if (e->probe[i].left == 1) bytes = saturating(bytes, e->probe[i].bound);
    return bytes;
}

typedef struct { uint8_t *at; uint32_t room; } nm_sink;

/* Room for a record of `bytes` of values, with its head written; null if there is none. */
static uint8_t *record(nm_sink *s, uint32_t step, uint32_t probe, uint32_t format, uint32_t first, uint32_t count,
                       uint32_t bytes) {
    const uint32_t padded = (bytes + 3u) & ~UINT32_C(3);
    if (s->room < HEAD + padded) return NULL;
    uint8_t *p = s->at, *values = p + HEAD;
    nm_put32(p, step);
    nm_put16(p + 4, probe);
    nm_put16(p + 6, format);
    nm_put32(p + 8, first);
    nm_put32(p + 12, count);
    nm_put32(values + padded - 4, 0);
    s->at += HEAD + padded;
    s->room -= HEAD + padded;
    return values;
}

static int record_spikes(const nm_engine *e, uint32_t probe, nm_sink *s) {
    const nm_pop *p = e->pop + e->probe[probe].object;
    for (uint32_t k = 0; k < p->count;) {
        const uint32_t first = p->index[k] & ~0xFFFFu;
        uint32_t n = 1;
        while (n < MOST && k + n < p->count && (p->index[k + n] & ~0xFFFFu) == first) n++;
        const uint32_t indices = (2 * n + 3u) & ~UINT32_C(3), bytes = p->payload ? indices + 4 * n : 2 * n;
        uint8_t *out = record(s, e->now, probe, p->payload != NULL, first, n, bytes);
        if (!out) return NM_E_SPACE;
        for (uint32_t x = 0; x < n; x++) nm_put16(out + 2 * x, p->index[k + x]);
        if (p->payload) {
            if (n & 1u) nm_put16(out + 2 * n, 0);
            for (uint32_t x = 0; x < n; x++) nm_put32(out + indices + 4 * x, (uint32_t)p->payload[k + x]);
        }
        k += n;
    }
    return NM_OK;
}

static int record_values(const nm_engine *e, uint32_t probe, nm_sink *s) {
    const nm_probe *p = e->probe + probe;
    nm_item item;
    nm_item_find(e, p->kind, p->object, p->variable, &item);
    const uint32_t format = item.width == 1 ? 2u : item.width == 4 ? 4u : nm_unsigned(p->variable) ? 5u : 3u;
    for (uint32_t k = 0; k < item.count; k += MOST) {
        const uint32_t n = nm_min(MOST, item.count - k);
        uint8_t *out = record(s, e->now, probe, format, k, n, n * item.width);
        if (!out) return NM_E_SPACE;
        nm_values(e, &item, k, n, out);
    }
    return NM_OK;
}

int32_t nm_record(const nm_engine *e, uint8_t *buf, uint32_t cap) {
    nm_sink s = {buf, nm_min(cap, INT32_MAX)};
    for (uint32_t i = 0; i < e->probes; i++) {
        if (!e->probe[i].due) continue;
        const int code = e->probe[i].variable ? record_values(e, i, &s) : record_spikes(e, i, &s);
        if (code != NM_OK) return code;
    }
    return (int32_t)(s.at - buf);
}

/* Check one input record against its population, then append its spikes. Indices must go on ascending. */
static int feed_record(nm_engine *e, const uint8_t *p, uint32_t count) {
    const uint32_t object = nm_u16(p + 4), format = p[6], first = nm_u32(p + 8);
    if (object >= e->pops || e->pop[object].kind != POP_INPUT) return NM_E_INPUT;
    if (format > 1 || p[7] || nm_u16(p + 14)) return NM_E_INPUT;
    nm_pop *pop = e->pop + object;
    if ((format == 1 && !pop->payload) || (first & 0xFFFFu) || count > pop->n) return NM_E_INPUT;
    const uint8_t *index = p + HEAD, *payload = index + ((2 * count + 3u) & ~UINT32_C(3));
    uint32_t at = pop->fresh ? pop->count : 0, next = at ? pop->index[at - 1] + 1 : 0;
    const uint32_t held = at;
    for (uint32_t k = 0; k < count; k++) {
        const uint32_t i = first + nm_u16(index + 2 * k);
        const int32_t s = format ? (int32_t)nm_u32(payload + 4 * k) : 1;
        if (i < next || i >= pop->n || s <= -NM_PAYLOAD_END || s >= NM_PAYLOAD_END) {
            pop->count = held;
            return NM_E_INPUT;
        }
        next = i + 1;
        if (s == 0) continue;                          /* no spike */
        pop->index[at] = i;
        if (pop->payload) pop->payload[at] = s;
        at++;
    }
    pop->count = at;
    pop->fresh = 1;
    return NM_OK;
}

static int32_t feed(nm_engine *e, const uint8_t *buf, uint32_t len) {
    uint32_t used = 0;
    while (len - used >= HEAD) {
        const uint8_t *p = buf + used;
        const uint32_t step = nm_u32(p), count = nm_u16(p + 12);
        if (step <= e->now) return NM_E_INPUT;
        if (step - 1 != e->now) return (int32_t)used;
        const uint32_t bytes = ((2 * count + 3u) & ~UINT32_C(3)) + (p[6] == 1 ? 4 * count : 0);
        if (len - used - HEAD < bytes || feed_record(e, p, count) != NM_OK) return NM_E_INPUT;
        used += HEAD + bytes;
    }
    return len == used ? (int32_t)used : NM_E_INPUT;
}

int32_t nm_feed(nm_engine *e, const uint8_t *buf, uint32_t len) {
    const int32_t used = feed(e, buf, nm_min(len, INT32_MAX));
    for (uint32_t i = 0; used < 0 && i < e->pops; i++)     /* a broken step leaves no half of its spikes behind */
        if (e->pop[i].kind == POP_INPUT) e->pop[i].count = e->pop[i].fresh = 0;
    return used;
}

int32_t nm_run(nm_engine *e, uint32_t steps, const uint8_t *in, uint32_t in_len, uint32_t *in_used, uint8_t *out,
               uint32_t out_cap, uint32_t *out_used) {
    uint32_t done = 0;
    *in_used = *out_used = 0;
    steps = nm_min(steps, INT32_MAX);
    while (done < steps) {
        if (out_cap - *out_used < next_bound(e)) break;
        if (*in_used < in_len) {
            const int32_t used = nm_feed(e, in + *in_used, in_len - *in_used);
            if (used < 0) return used;
            *in_used += (uint32_t)used;
        }
        const int code = nm_step(e);
        if (code != NM_OK) return code;
        done++;
        const int32_t made = nm_record(e, out + *out_used, out_cap - *out_used);
        if (made < 0) return made;
        *out_used += (uint32_t)made;
    }
    return (int32_t)done;
}
