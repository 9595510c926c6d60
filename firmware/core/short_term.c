/* Short-term plasticity: what a synapse releases depends on its last spikes, docs/semantics.md 3.1. A row costs only when
 * its source spikes; how long that was silent is the difference of two steps. */
#include "wide.h"

#define ONE 32768u
#define USE_MAX 32767u
#define SINCE_MAX 65535u

NM_INLINE uint32_t part(uint32_t a, uint32_t b) { return (a * b + ONE / 2) >> 15; }    /* a, b <= ONE */

uint32_t nm_since(const nm_engine *e, const nm_short_term *s, uint32_t i) {
    return nm_min(e->now - s->last[i], SINCE_MAX);
}

/* What `steps` leave of a state; factor k is for 2^k steps. */
static uint32_t left(const uint8_t *factors, uint32_t steps) {
    uint32_t rest = ONE;
    for (; steps; steps >>= 1, factors += 2)
        if (steps & 1u) rest = part(rest, nm_u16(factors));
    return rest;
}

void nm_short_term_reset(const nm_engine *e, const nm_proj *p) {
    nm_short_term *s = p->short_term;
    for (uint32_t k = 0; k < p->w_count; k++) {
        s->u[k] = 0;
        s->x[k] = ONE;
    }
    for (uint32_t i = 0; i < p->n_pre; i++) s->last[i] = e->now;
}

void nm_short_term_seek(const nm_proj *p, uint32_t by) {
    for (uint32_t i = 0; i < p->n_pre; i++) p->short_term->last[i] += by;
}

/* Where the release of a row goes: into the cell of each target, with delays in the ring's slot of each synapse. */
typedef struct {
    const nm_proj *p;
    int32_t *ring;
    const uint32_t *target;             /* null: a dense row */
    const uint8_t *delay;               /* null: one for all, and `ring` is its slot */
    uint32_t slot, start, n, scale, rest_x, rest_u;
} nm_row;

NM_INLINE uint32_t weight(const uint8_t *w, uint32_t element, uint32_t k) {
    if (element == ELEM_I16) return (uint32_t)((const int16_t *)(const void *)w)[k];
    return element == ELEM_U8 ? w[k] : (uint32_t)(int8_t)w[k];
}

/* `frac`: fractional bits of weights and tags. */
NM_INLINE void row(const nm_row *r, uint32_t element, uint32_t frac) {
    const nm_proj *p = r->p;
    const nm_short_term *s = p->short_term;
    const uint32_t fits = p->slots - r->slot, rest_x = r->rest_x, rest_u = r->rest_u;
    uint16_t *restrict u = s->u + r->start, *restrict x = s->x + r->start;
    const uint16_t *each = s->each ? s->each + r->start : 0;
    const int16_t *tag = s->learned ? p->plastic->tag2 + r->start : 0;
    for (uint32_t k = 0; k < r->n; k++) {
        uint32_t use = each ? each[k] : s->use;
        if (tag) use = nm_min(use + ((uint32_t)tag[k] << (7 - frac)), USE_MAX);
        const uint32_t full = ONE - part(ONE - x[k], rest_x);
        uint32_t now = part(u[k], rest_u);
        now += part(use, ONE - now);
        const uint32_t released = part(now, full);
        u[k] = (uint16_t)now;
        x[k] = (uint16_t)(full - released);
        uint32_t at = r->target ? r->target[k] : k;
        if (r->delay) at += (r->delay[k] < fits ? r->slot + r->delay[k] : r->slot + r->delay[k] - p->slots) * p->n_post;
        int32_t *cell = r->ring + at;
        const int32_t sent = (int32_t)(weight(p->w, element, r->start + k) * (released >> 3)) >> frac;
        *cell = (int32_t)((uint32_t)*cell + (uint32_t)sent * r->scale);
    }
}

void nm_release(nm_engine *e, nm_proj *p, const nm_pop *pre, int32_t *ring, uint32_t slot) {
    nm_short_term *s = p->short_term;
    nm_row r = {p, ring, 0, 0, slot, 0, p->n_post, 1, 0, 0};
    for (uint32_t k = 0; k < pre->count; k++) {
        const uint32_t i = pre->index[k], steps = nm_since(e, s, i);
        s->last[i] = e->now;
        r.rest_x = left(s->recovery, steps);
        r.rest_u = left(s->facilitation, steps);
        r.start = i * p->n_post;
        if (p->layout) {
            r.start = p->rows[3 * i];
            r.n = p->rows[3 * i + 2];
            r.target = p->targets + r.start;
        }
        if (p->delay_kind) r.delay = p->delays + r.start;
        if (p->graded && pre->payload) r.scale = (uint32_t)pre->payload[k];
        if (e->wide) row(&r, ELEM_I16, WIDE_WEIGHT_FRAC);
        else if (p->element == ELEM_I16) row(&r, ELEM_I16, 0);
        else if (p->element == ELEM_U8) row(&r, ELEM_U8, 0);
        else row(&r, ELEM_I8, 0);
    }
}
