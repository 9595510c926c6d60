/* Traces: what is noted in a step and what an epoch makes of it, docs/semantics.md 4.2. */
#include "wide.h"
#include <string.h>

static const uint8_t *stream_image(const nm_engine *e, const nm_rule *r, uint32_t which) {
    return nm_rec(&e->image, SEC_STREAMS, r->stream_ref[which] - 1u);
}

/* Top 7 bits of a 32-bit half (0 low, 1 high) of output n. */
static uint32_t number7(const nm_engine *e, const nm_rule *r, uint32_t which, uint32_t n, uint32_t half) {
    nm_stream *s = r->stream + which;
    nm_stream_at(s, stream_image(e, r, which), n);
    return s->out[half] >> 25;
}

uint32_t nm_round_number(nm_engine *e, const nm_rule *r) {
    nm_stream *s = r->stream + STREAM_C;
    nm_stream_at(s, stream_image(e, r, STREAM_C), r->epochs);
    return s->out[1] >> 25;
}

static uint32_t key_of(const nm_engine *e, uint32_t index, uint32_t code, uint32_t step) {
    return nm_key(e->seed, 16u * index + code, step);
}

NM_INLINE uint8_t impulse(uint8_t v, const nm_trace *q, uint32_t r) {
    return (uint8_t)nm_min((uint32_t)v + q->ii + (r < q->fi), 127);
}

/* A second spike of neuron i within the epoch moves the trace at once. */
static void bump(nm_engine *e, uint32_t index, nm_plastic *l, uint32_t trace, uint32_t i) {
    const nm_rule *r = l->rule;
    if (!l->trace[trace]) return;
    if (e->wide) {
        nm_wide_bump(l, trace, i);
        return;
    }
    uint32_t number = 0;                       /* shared, source side: any fraction rounds up */
    if (e->rounding) number = nm_mix(key_of(e, index, HASH_IMPULSE + trace, e->now) + i * NM_GOLDEN) >> 24;
    else if (trace >= TR_Y1) number = number7(e, r, STREAM_YI, e->now - 1, 1);   /* yi[2t - 1] */
    l->trace[trace][i] = impulse(l->trace[trace][i], &r->trace[trace], number);
}

/* Graded spikes act on x1; true if the spike counts for t_x and x2. */
static int graded_spike(const nm_engine *e, nm_plastic *l, uint32_t i, int32_t payload) {
    if (e->wide) {
        nm_wide_graded(l, i, payload);
        return 1;
    }
    uint8_t *x = l->trace[TR_X1] + i;
    const int32_t half = payload >> 1;         /* payload / 2, ties to even */
    const uint32_t q = (uint32_t)(half + (payload & half & 1)) & 255u, total = (*x + q) & 255u;
    switch (l->rule->graded) {
    case GRADED_OVERWRITE: *x = (uint8_t)nm_min(q, 128); return 1;
    case GRADED_SATURATE: *x = (uint8_t)nm_min(total, 127); return 1;
    default: *x = (uint8_t)(total > 127 ? total - 127 : total); return total > 127;
    }
}

/* With add_wrap silent sources take part with q = 0: a trace of 128 becomes 1. */
static void wrap_silent(nm_plastic *l, uint32_t from, uint32_t end) {
    uint8_t *x = l->trace[TR_X1];
    for (uint32_t i = from; i < end; i++)
        if (x[i] == 128) x[i] = 1;
}

static void note_sources(nm_engine *e, uint32_t index, nm_proj *p, const nm_pop *pre) {
    nm_plastic *l = p->plastic;
    const uint32_t graded = l->rule->graded, wrap = graded == GRADED_WRAP;
    uint32_t next = 0;
    for (uint32_t k = 0; k < pre->count; k++) {
        const uint32_t i = pre->index[k];
        if (wrap) wrap_silent(l, next, i);
        next = i + 1;
        if (graded && !graded_spike(e, l, i, p->graded && pre->payload ? pre->payload[k] : 1)) continue;
        if (l->tx[i]) {
            if (!graded) bump(e, index, l, TR_X1, i);
            bump(e, index, l, TR_X2, i);
        } else {
            l->rows[l->nrows++] = i;
        }
        l->tx[i] = l->rule->te;
    }
    if (wrap) wrap_silent(l, next, p->n_pre);
}

static void note_targets(nm_engine *e, uint32_t index, nm_plastic *l, const nm_pop *post) {
    for (uint32_t k = 0; k < post->count; k++) {
        const uint32_t j = post->index[k];
        if (l->ty[j]) {
            for (uint32_t q = TR_Y1; q <= TR_Y3; q++) bump(e, index, l, q, j);
        } else {
            l->cols[l->ncols++] = j;
        }
        l->ty[j] = l->rule->te;
    }
}

void nm_note(nm_engine *e, uint32_t index, nm_proj *p) {
    note_sources(e, index, p, e->pop + p->pre);
    note_targets(e, index, p->plastic, e->pop + p->post);
}

void nm_active(nm_proj *p) {
    nm_plastic *l = p->plastic;
    l->nrows = l->ncols = 0;
    for (uint32_t i = 0; i < p->n_pre; i++)
        if (l->tx[i]) l->rows[l->nrows++] = i;
    for (uint32_t j = 0; j < p->n_post; j++)
        if (l->ty[j]) l->cols[l->ncols++] = j;
}

/* floor(D v) + (number < T(v)), the number given as hi:lo of 53 bits. */
NM_INLINE uint8_t decayed(const uint32_t *table, uint32_t v, uint32_t hi, uint32_t lo) {
    const uint32_t t_lo = table[2 * v], t_hi = table[2 * v + 1], whole = t_hi >> 22, frac = t_hi & 0x3FFFFFu;
    return (uint8_t)(whole + (hi < frac || (hi == frac && lo < t_lo)));
}

uint32_t nm_decayed(const uint8_t *table, uint32_t v, const nm_stream *s, uint32_t flip) {
    const uint32_t lo = (s->out[0] >> 11) | (s->out[1] << 21), hi = s->out[1] >> 11;
    return decayed((const uint32_t *)(const void *)table, v, hi ^ flip >> 11, lo ^ flip);
}

static void decay_shared(uint8_t *to, const uint8_t *from, uint32_t n, const uint32_t *table, const nm_stream *s) {
    const uint32_t lo = (s->out[0] >> 11) | (s->out[1] << 21), hi = s->out[1] >> 11;
    uint8_t next[NM_DECAY_ENTRIES];
    if (n <= NM_DECAY_ENTRIES) {      /* a table of its own does not pay */
        for (uint32_t i = 0; i < n; i++) to[i] = decayed(table, from[i], hi, lo);
        return;
    }
    for (uint32_t v = 0; v < NM_DECAY_ENTRIES; v++) next[v] = decayed(table, v, hi, lo);
    for (uint32_t i = 0; i < n; i++) to[i] = next[from[i]];
}

/* The number is hash << 21. With D v as whole:fraction in 10 and 54 bits, one subtraction does for the comparison. */
NM_INLINE uint8_t hashed_decay(const uint32_t *table, uint32_t v, uint32_t key) {
    const uint64_t value = (uint64_t)table[2 * v + 1] << 32 | table[2 * v];
    const uint64_t r = (uint64_t)nm_mix_inline(key) << 21;
    return (uint8_t)(0u - (uint32_t)((r - value) >> 54));
}

static NM_NOINLINE void decay_hashed(uint8_t *to, const uint8_t *from, uint32_t n,
                                     const uint32_t *restrict table, uint32_t key) {
    if (to == from)
        for (uint32_t i = 0; i < n; i++) to[i] = hashed_decay(table, to[i], key + i * NM_GOLDEN);
    else
        for (uint32_t i = 0; i < n; i++) to[i] = hashed_decay(table, from[i], key + i * NM_GOLDEN);
}

static uint32_t side_count(const nm_proj *p, uint32_t trace) { return trace < TR_Y1 ? p->n_pre : p->n_post; }

/* h[k], 1 <= k <= t_epoch; the last one is the trace itself, the others are scratch. */
const uint8_t *nm_history(const nm_engine *e, const nm_proj *p, uint32_t trace, uint32_t k) {
    const nm_plastic *l = p->plastic;
    if (k == l->rule->t_epoch || !l->trace[trace]) return l->trace[trace];
    uint32_t at = 0;
    for (uint32_t q = 0; q < trace; q++)
        if (l->trace[q]) at += side_count(p, q);
    return e->history + at * (l->rule->t_epoch - 1u) + (k - 1u) * side_count(p, trace);
}

static void history(nm_engine *e, uint32_t index, nm_proj *p, uint32_t trace) {
    const nm_plastic *l = p->plastic;
    const nm_rule *r = l->rule;
    const nm_trace *q = &r->trace[trace];
    const uint32_t n = side_count(p, trace), last = r->t_epoch, source = trace < TR_Y1;
    const uint32_t *active = source ? l->rows : l->cols, count = source ? l->nrows : l->ncols;
    const uint8_t *when = source ? l->tx : l->ty, *from = l->trace[trace];
    const uint32_t *table = (const uint32_t *)(const void *)q->table;
    uint32_t number = 0;
    if (!e->rounding) number = number7(e, r, source ? STREAM_XI : STREAM_YI, e->now, 0);
    for (uint32_t k = 1; k <= last; k++) {
        uint8_t *to = k == last ? l->trace[trace] : e->history + (nm_history(e, p, trace, k) - e->history);
        const uint32_t step = e->now - last + k;
        if (!table) memset(to, 0, n);
        else if (e->rounding)
            decay_hashed(to, from, n, table, key_of(e, index, HASH_DECAY + trace, step));
        else decay_shared(to, from, n, table, r->stream + (source ? STREAM_XD : STREAM_YD));
        const uint32_t key = e->rounding ? key_of(e, index, HASH_IMPULSE + trace, step) : 0;
        for (uint32_t c = 0; c < count; c++) {
            const uint32_t i = active[c];
            if (when[i] != k) continue;
            if (e->rounding) number = nm_mix(key + i * NM_GOLDEN) >> 24;
            to[i] = impulse(to[i], q, number);
        }
        from = to;
    }
}

void nm_histories(nm_engine *e, uint32_t index, nm_proj *p) {
    const nm_rule *r = p->plastic->rule;
    if (e->wide) {
        nm_wide_histories(e, index, p);
        return;
    }
    if (!e->rounding) {
        nm_stream_at(r->stream + STREAM_XD, stream_image(e, r, STREAM_XD), 2 * (uint64_t)e->now);
        nm_stream_at(r->stream + STREAM_YD, stream_image(e, r, STREAM_YD), 2 * (uint64_t)e->now);
    }
    for (uint32_t q = 0; q < TR_COUNT; q++)
        if (p->plastic->trace[q]) history(e, index, p, q);
}

void nm_epoch_end(nm_plastic *l) {
    for (uint32_t c = 0; c < l->nrows; c++) l->tx[l->rows[c]] = 0;
    for (uint32_t c = 0; c < l->ncols; c++) l->ty[l->cols[c]] = 0;
    l->nrows = l->ncols = 0;
}
