/* Traces of profile wide, docs/semantics.md 6: 8 fractional bits, a decay that is one multiplication. */
#include "wide.h"

#if defined(NM_SMALL)   /* no image that the verifier takes comes here */
void nm_wide_bump(nm_plastic *l, uint32_t trace, uint32_t i) { (void)l, (void)trace, (void)i; }
void nm_wide_graded(nm_plastic *l, uint32_t i, int32_t payload) { (void)l, (void)i, (void)payload; }
const uint16_t *nm_wide_history(const nm_engine *e, const nm_proj *p, uint32_t trace, uint32_t k) {
    (void)e, (void)p, (void)trace, (void)k;
    return NULL;
}
void nm_wide_histories(nm_engine *e, uint32_t index, nm_proj *p) { (void)e, (void)index, (void)p; }
#else

NM_INLINE uint16_t impulse(uint32_t v, const nm_trace *q) {
    return (uint16_t)nm_min(v + ((uint32_t)q->ii << WIDE_TRACE_FRAC) + q->fi, WIDE_TRACE_MAX);
}

/* A second spike of neuron i within the epoch moves the trace at once. */
void nm_wide_bump(nm_plastic *l, uint32_t trace, uint32_t i) {
    uint16_t *v = nm_wide_trace(l, trace) + i;
    *v = impulse(*v, &l->rule->trace[trace]);
}

/* x1 takes half the payload. */
void nm_wide_graded(nm_plastic *l, uint32_t i, int32_t payload) {
    uint16_t *x = nm_wide_trace(l, TR_X1) + i;
    const uint32_t half = (uint32_t)nm_clip(payload, 0, 255) << (WIDE_TRACE_FRAC - 1);
    *x = (uint16_t)nm_min(half + (l->rule->graded == GRADED_SATURATE ? *x : 0u), WIDE_TRACE_MAX);
}

static uint32_t side_count(const nm_proj *p, uint32_t trace) { return trace < TR_Y1 ? p->n_pre : p->n_post; }

/* h[k] in the scratch area, 1 <= k < t_epoch. */
static uint16_t *scratch(const nm_engine *e, const nm_proj *p, uint32_t trace, uint32_t k) {
    uint32_t at = 0;
    for (uint32_t q = 0; q < trace; q++)
        if (p->plastic->trace[q]) at += side_count(p, q);
    return (uint16_t *)(void *)e->history + at * (p->plastic->rule->t_epoch - 1u) + (k - 1u) * side_count(p, trace);
}

/* h[k], 1 <= k <= t_epoch; the last one is the trace itself. */
const uint16_t *nm_wide_history(const nm_engine *e, const nm_proj *p, uint32_t trace, uint32_t k) {
    return k == p->plastic->rule->t_epoch ? nm_wide_trace(p->plastic, trace) : scratch(e, p, trace, k);
}

/* 32 bits are enough: v < 2^15, loss <= 2^16, and the number that rounds is below 2^shift <= 2^31. */
static NM_NOINLINE void decay(uint16_t *to, const uint16_t *from, uint32_t n, const nm_trace *q, uint32_t key) {
    const uint32_t loss = q->loss, shift = q->shift, down = 32u - shift;
    for (uint32_t i = 0; i < n; i++, key += NM_GOLDEN) {
        const uint32_t v = from[i];
        to[i] = (uint16_t)(v - ((v * loss + (nm_mix_inline(key) >> down)) >> shift));
    }
}

static void history(nm_engine *e, uint32_t index, nm_proj *p, uint32_t trace) {
    const nm_plastic *l = p->plastic;
    const nm_trace *q = &l->rule->trace[trace];
    const uint32_t source = trace < TR_Y1, last = l->rule->t_epoch, n = side_count(p, trace);
    const uint32_t *active = source ? l->rows : l->cols, count = source ? l->nrows : l->ncols;
    const uint8_t *when = source ? l->tx : l->ty;
    const uint16_t *from = nm_wide_trace(l, trace);
    for (uint32_t k = 1; k <= last; k++) {
        uint16_t *to = k == last ? nm_wide_trace(l, trace) : scratch(e, p, trace, k);
        decay(to, from, n, q, nm_key(e->seed, 16u * index + HASH_DECAY + trace, e->now - last + k));
        for (uint32_t c = 0; c < count; c++)
            if (when[active[c]] == k) to[active[c]] = impulse(to[active[c]], q);
        from = to;
    }
}

void nm_wide_histories(nm_engine *e, uint32_t index, nm_proj *p) {
    for (uint32_t q = 0; q < TR_COUNT; q++)
        if (p->plastic->trace[q]) history(e, index, p, q);
}
#endif
