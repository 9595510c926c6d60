/* Where everything lies in the arena. One walk serves the verifier (arena null: only sizes, rule R9) and nm_init. */
#include "lanes.h"
#include <string.h>

typedef struct { uint8_t *base; uint32_t used; } nm_alloc;   /* used: UINT32_MAX once over the limit of 2^31 */

static void *take(nm_alloc *a, uint32_t count, uint32_t size) {
    const uint64_t bytes = (uint64_t)count * size, need = (bytes + NM_GUARD + 7u) & ~(uint64_t)7u;
    if (need > 0x80000000u || a->used > 0x80000000u - (uint32_t)need) {
        a->used = UINT32_MAX;
        return NULL;
    }
    uint8_t *p = a->base ? a->base + a->used : NULL;
    a->used += (uint32_t)need;
    if (p) {
        ASAN_UNPOISON_MEMORY_REGION(p, bytes);                   /* an earlier program had its guards elsewhere */
        ASAN_POISON_MEMORY_REGION(p + bytes, need - bytes);
    }
    return p;
}

static uint32_t u32_max(uint32_t a, uint32_t b) { return a > b ? a : b; }

static void place_pop(const nm_image *m, nm_alloc *a, nm_pop *p) {
    p->index = take(a, p->n, 4);
    if (p->kind == POP_TERNARY || (p->options & OPT_GRADED)) p->payload = take(a, p->n, 4);
    if (p->kind == POP_INPUT) return;
    p->a = take(a, p->n, 4);
    p->u = take(a, p->n, 4);
    p->v = take(a, p->n, 4);
    if (p->options & OPT_REFR) p->refr = take(a, p->n, 2);
    if (p->options & OPT_ADAPT) p->theta = take(a, p->n, 4);
    const int32_t *pool = (const int32_t *)(const void *)(m->base + m->sec[SEC_PARAMS].off);
    const int32_t *init = (const int32_t *)(const void *)(m->base + m->sec[SEC_INITIAL].off);
    for (uint32_t k = 0; k < PAR_COUNT; k++)
        if (p->arrays & (1u << k)) p->array[k] = pool + (uint32_t)p->value[k];
    for (uint32_t k = 0; k < 3; k++)
        if (p->options & (OPT_INIT_U << k)) p->init[k] = init + p->init_off[k];
}

static void place_plastic(const nm_image *m, nm_alloc *a, const nm_proj *p, const nm_rule *r, nm_plastic *l) {
    const uint32_t wide = m->wide;
    for (uint32_t k = 0; k < TR_COUNT; k++)
        if (r->traces & (1u << k)) l->trace[k] = take(a, k < TR_Y1 ? p->n_pre : p->n_post, 1 + wide);
    if (r->flags & FLAG_TAG1) l->tag1 = take(a, p->w_count, 2);
    if (r->flags & FLAG_TAG2) l->tag2 = take(a, p->w_count, 2);
    l->tx = take(a, p->n_pre, 1);
    l->ty = take(a, p->n_post, 1);
    l->rows = take(a, p->n_pre, 4);
    l->cols = take(a, p->n_post, 4);
#if !defined(NM_SMALL)
    if (p->layout == 0 && !wide && nm_paired(m, r)) l->by_value = take(a, 2 * NM_DECAY_ENTRIES, 4);
#endif
}

static void place_short_term(const nm_image *m, nm_alloc *a, nm_proj *p) {
    const uint8_t *b = nm_rec(m, SEC_SHORT_TERM, p->release - 1u);
    const uint16_t *uses = (const uint16_t *)(const void *)(m->base + m->sec[SEC_USES].off);
    nm_short_term local;
    memset(&local, 0, sizeof local);
    p->short_term = take(a, 1, sizeof(nm_short_term));
    local.u = take(a, p->w_count, 2);
    local.x = take(a, p->w_count, 2);
    local.last = take(a, p->n_pre, 4);
    local.each = b[0] & 1u ? uses + nm_u32(b + 4) : NULL;
    local.learned = b[0] >> 1 & 1u;
    local.use = nm_u16(b + 2);
    local.recovery = b + 8;
    local.facilitation = b + 40;
    if (a->base && a->used != UINT32_MAX) *p->short_term = local;
}

/* Sizes of the scratch areas, which all projections share. */
typedef struct { uint32_t stage, history, delta, fold, sums; } nm_scratch;

static void place_proj(const nm_image *m, nm_alloc *a, nm_proj *p, nm_scratch *s) {
    nm_pop pop;
    nm_decode_pop(m, p->pre, &pop);
    p->n_pre = pop.n;
    nm_decode_pop(m, p->post, &pop);
    p->n_post = pop.n;
    const uint64_t cells = (uint64_t)p->slots * p->n_post;
    const uint32_t ring = cells > 0x80000000u ? UINT32_MAX : (uint32_t)cells;
    p->ring = take(a, ring, 4);
    p->dirty = take(a, p->slots, 1);
    if (p->staged) s->stage = u32_max(s->stage, ring);
    p->w = m->base + m->sec[SEC_WEIGHTS].off + p->w_off;
    p->delays = m->base + m->sec[SEC_DELAYS].off + p->d_off;
    p->rows = (const uint32_t *)(const void *)(m->base + m->sec[SEC_ROWS].off) + 3u * p->row0;
    p->targets = (const uint32_t *)(const void *)(m->base + m->sec[SEC_TARGETS].off) + p->target0;
    if (p->release) place_short_term(m, a, p);
    if (p->rule == 0) return;
    nm_rule rule;
    nm_plastic local;
    memset(&local, 0, sizeof local);
    nm_decode_rule(m, p->rule - 1u, &rule);
    p->plastic = take(a, 1, sizeof(nm_plastic));
    p->w = take(a, p->w_count, p->element == ELEM_I16 ? 2 : 1);
    place_plastic(m, a, p, &rule, &local);
    if (a->base && a->used != UINT32_MAX) *p->plastic = local;
    uint64_t history = 0;
    for (uint32_t k = 0; k < TR_COUNT; k++)
        if (rule.traces & (1u << k)) history += k < TR_Y1 ? p->n_pre : p->n_post;
    history *= (rule.t_epoch - 1u) * (1u + m->wide);
    s->history = u32_max(s->history, history > 0x80000000u ? UINT32_MAX : (uint32_t)history);
    if (nm_feature(m, FEATURE_SUMS)) s->sums = u32_max(s->sums, p->n_post);
    if (p->layout == 0) {
        s->delta = u32_max(s->delta, u32_max(p->n_pre, p->n_post));
        /* one row per sum, tag_1's is the third */
        s->fold = u32_max(s->fold, p->n_post * (rule.flags & FLAG_TAG1 ? 3u : 2u));
    }
}

static void place_rule(const nm_image *m, nm_alloc *a, uint32_t i, nm_rule *r, uint32_t rounding) {
    if (rounding == 0) r->stream = take(a, STREAM_COUNT, sizeof(nm_stream));
    for (uint32_t k = 0; k < TR_COUNT; k++) {
        if (!(r->traces & (1u << k))) continue;
        const uint8_t *b = nm_rec(m, SEC_TRACES, r->trace_ref[k] - 1u);
        const uint32_t table = nm_u16(b + 2), decay = nm_u32(b + 4);
        r->trace[k].ii = b[0];
        r->trace[k].fi = b[1];
        r->trace[k].shift = (uint8_t)(decay >> 24);
        if (m->wide) r->trace[k].loss = decay & 0xFFFFFFu;
        else r->trace[k].table = table ? nm_rec(m, SEC_DECAYS, table - 1u) : NULL;
    }
    const uint32_t decay = nm_u16(nm_rec(m, SEC_RULES, i) + 62);
    if (decay) r->modulator_decay = nm_rec(m, SEC_DECAYS, decay - 1u);
    const uint32_t reads = nm_rule_reads(m, r);
    r->reads = (uint8_t)(reads >> VAR_W & 7u);
    r->sums = (reads & (1u << VAR_Q)) != 0;
    for (uint32_t s = 0; s < 3; s++)
        for (uint32_t k = 0; k < r->count[s]; k++)
            r->deps |= (uint8_t)(1u << nm_rec(m, SEC_PRODUCTS, (uint32_t)r->first[s] + k)[0]);
}

uint32_t nm_layout(const nm_image *m, uint8_t *arena) {
    nm_alloc a = {arena, 0};
    nm_scratch s = {0, 0, 0, 0, 0};
    const uint8_t *machine = nm_rec(m, SEC_MACHINE, 0);
    nm_engine *e = take(&a, 1, sizeof(nm_engine));
    nm_pop *pops = take(&a, m->sec[SEC_POPS].count, sizeof(nm_pop));
    nm_proj *projs = take(&a, m->sec[SEC_PROJS].count, sizeof(nm_proj));
    nm_rule *rules = take(&a, m->sec[SEC_RULES].count, sizeof(nm_rule));
    nm_product *products = take(&a, m->sec[SEC_PRODUCTS].count, sizeof(nm_product));
    const uint32_t ready = NM_ROOM && !m->wide ? m->sec[SEC_PRODUCTS].count : 0;
    nm_single *singles = ready ? take(&a, ready, sizeof(nm_single)) : NULL;
    nm_factor *factors = take(&a, m->sec[SEC_FACTORS].count, sizeof(nm_factor));
    nm_probe *probes = take(&a, m->sec[SEC_PROBES].count, sizeof(nm_probe));
    nm_modulator *modulators = take(&a, m->sec[SEC_MODULATORS].count, sizeof(nm_modulator));
    for (uint32_t i = 0; i < m->sec[SEC_POPS].count && a.used != UINT32_MAX; i++) {
        nm_pop p;
        nm_decode_pop(m, i, &p);
        place_pop(m, &a, &p);
        if (arena) pops[i] = p;
    }
    for (uint32_t i = 0; i < m->sec[SEC_PROJS].count && a.used != UINT32_MAX; i++) {
        nm_proj p;
        nm_decode_proj(m, i, &p);
        place_proj(m, &a, &p, &s);
        if (arena) projs[i] = p;
    }
    for (uint32_t i = 0; i < m->sec[SEC_RULES].count && a.used != UINT32_MAX; i++) {
        nm_rule r;
        nm_decode_rule(m, i, &r);
        place_rule(m, &a, i, &r, machine[12]);
        if (arena) rules[i] = r;
    }
    for (uint32_t i = 0; i < m->sec[SEC_MODULATORS].count && a.used != UINT32_MAX; i++) {
        nm_modulator p;
        nm_decode_modulator(m, i, &p);
        p.n = p.of ? nm_u32(nm_rec(m, SEC_POPS, p.of - 1u) + 4) : 1;
        p.value = take(&a, p.n, 4);
        if (arena) modulators[i] = p;
    }
    const uint32_t plastic = m->sec[SEC_RULES].count ? NM_LANES : 0;
    int32_t *stage = take(&a, s.stage, 4);
    uint8_t *history = take(&a, s.history, 1);
    int32_t *delta = take(&a, s.delta, 4);
    int16_t *fold = take(&a, s.fold, 2);
    int32_t *lane = take(&a, (6 + (NM_GUARD ? 1 : nm_feature(m, FEATURE_EXTENDED))) * plastic, 4);
    uint32_t *pick = take(&a, 2 * plastic, 4);
    int32_t *sums = take(&a, s.sums, 4);
    if (arena && a.used != UINT32_MAX) {
        memset(e, 0, sizeof *e);
        e->pop = pops;
        e->proj = projs;
        e->rule = rules;
        e->product = products;
        e->factor = factors;
        e->single = singles;
        if (ready) memset(singles, 0, ready * sizeof *singles);
        e->probe = probes;
        e->modulator = modulators;
        e->stage = stage;
        memset(stage, 0, (size_t)s.stage * 4);      /* it is left clean after each use */
        e->history = history;
        e->delta = delta;
        e->fold = fold;
        e->lane = lane;
        e->pick = pick;
        e->sums = sums;
    }
    return a.used;
}

/* Long division, for set-up only: small cores have no divider and the core links no library. */
uint32_t nm_udivmod(uint32_t a, uint32_t b, uint32_t *rest) {
    uint32_t q = 0, r = 0;
    for (uint32_t i = 32; i-- > 0;) {
        const uint32_t top = r >> 31;
        r = (r << 1) | ((a >> i) & 1u);
        if (top || r >= b) {
            r -= b;
            q |= UINT32_C(1) << i;
        }
    }
    *rest = r;
    return q;
}
