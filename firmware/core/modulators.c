/* Modulators: slow states that spikes move and rules read, docs/semantics.md 4.4. */
#include "nm_internal.h"
#include <string.h>

#define PAYLOADS_MAX (INT32_C(1) << 20)

static int32_t limited(int64_t x, int32_t most) { return x > most ? most : x < -most ? -most : (int32_t)x; }

void nm_modulator_reset(const nm_engine *e, nm_modulator *m) {
    if (m->each) memcpy(m->value, nm_rec(&e->image, SEC_INITIAL, (uint32_t)m->init), (size_t)m->n * 4);
    else
        for (uint32_t k = 0; k < m->n; k++) m->value[k] = m->init;
}

static void act(nm_modulator *m, uint32_t k, int64_t payload, int32_t gain) {
    const int64_t change = (int64_t)gain * limited(payload, PAYLOADS_MAX);
    m->value[k] = limited((m->hold ? 0 : m->value[k]) + change, NM_MODULATOR_MAX);
}

/* What one source sent: to the one value all of it together, to values of neurons each its own. */
static void take(nm_modulator *m, const nm_pop *p, int32_t gain) {
    int64_t sum = 0;
    for (uint32_t k = 0; k < p->count; k++) {
        const int32_t payload = p->payload ? p->payload[k] : 1;
        if (m->of) act(m, p->index[k], payload, gain);
        else sum += payload;
    }
    if (!m->of && p->count) act(m, 0, sum, gain);
}

void nm_modulate(nm_engine *e, nm_modulator *m) {
    if (m->decay && (e->now & ((UINT32_C(1) << m->period) - 1u)) == 0)
        for (uint32_t k = 0; k < m->n; k++) m->value[k] = nm_tz(m->value[k], 4096 - m->decay);
    for (uint32_t k = 0; k < m->sources; k++) {
        const uint8_t *b = nm_rec(&e->image, SEC_SOURCES, m->first + k);
        take(m, e->pop + nm_u16(b), (int32_t)nm_u32(b + 4));
    }
}

/* Under shared rounding a value decays within the epoch by very little: it mostly stays, and then it stays for good.
 * floor(-D v) + (r < T(-v)) is the negative of floor(D v) + (r' < T(v)), r' the complement of r. */
static int32_t within_epoch(int32_t x, uint32_t steps, const nm_rule *r) {
    const uint32_t flip = x < 0 ? UINT32_MAX : 0;
    uint32_t v = (uint32_t)(x < 0 ? -x : x);
    for (uint32_t k = 0; k < steps; k++) {
        const uint32_t next = nm_decayed(r->modulator_decay, v, r->stream + STREAM_YD, flip);
        if (next == v) break;
        v = next;
    }
    return x < 0 ? -(int32_t)v : (int32_t)v;
}

static const nm_modulator *named(const nm_engine *e, const nm_proj *p, uint32_t which) {
    return e->modulator + p->plastic->rule->modulator[which] - 1;
}

void nm_modulators_of(const nm_engine *e, const nm_proj *p, uint32_t which, const uint32_t *restrict other,
                      uint32_t first, uint32_t n, int32_t *restrict out) {
    const nm_modulator *m = named(e, p, which);
    const int32_t *restrict value = m->value;
    const uint32_t frac = m->frac;
    if (other) {
        for (uint32_t k = 0; k < n; k++) out[k] = nm_clip(value[other[k]] >> frac, -128, 127);
    } else {
        value += first;
        NM_UNROLL4 for (uint32_t k = 0; k < n; k++) out[k] = nm_clip(value[k] >> frac, -128, 127);
    }
}

/* What a product reads of m1 + which at place `when` of the epoch, for target j. */
int32_t nm_modulator_at(const nm_engine *e, const nm_proj *p, uint32_t which, uint32_t j, uint32_t when) {
    const nm_rule *r = p->plastic->rule;
    const nm_modulator *m = named(e, p, which);
    const int32_t x = nm_clip(m->value[m->of ? j : 0] >> m->frac, -128, 127);
    if (e->rounding) return x;
    const uint32_t spike = p->plastic->ty[j];
    if (x < 0 && spike && spike <= when) return 0;
    return within_epoch(x, when, r);
}
