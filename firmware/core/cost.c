/* R10: the worst step, in which every neuron spikes and every epoch ends. neuromorph/passes/cost.py counts the same. */
#include "nm_internal.h"

#ifndef NM_SMALL                                   /* no constants were counted for such a core, and there is no room */

/* dw alone, a product per side, and each reads one trace of the other side or none: what the separable kernel runs. */
static int is_pair(const nm_image *m, const nm_rule *r) {
    uint32_t sides = 0;
    if (r->count[SUM_W] != 2 || r->count[SUM_D] || r->count[SUM_T]) return 0;
    for (uint32_t k = 0; k < 2; k++) {
        nm_product q;
        nm_decode_product(m, (uint32_t)r->first[SUM_W] + k, &q);
        const uint32_t least = q.dep == DEP_X0 ? VAR_Y1 : VAR_X1, most = q.dep == DEP_X0 ? VAR_Y3 : VAR_X2;
        uint32_t read = VAR_ONE;
        for (uint32_t x = 0; x < q.factors; x++) {
            nm_factor f;
            nm_decode_factor(m, q.first + x, &f);
            if (f.second || (f.form & FN_MASK)) return 0;
            if (f.var == VAR_ONE || f.var == read) continue;
            if (f.var < least || f.var > most || read != VAR_ONE) return 0;
            read = f.var;
        }
        sides |= 1u << q.dep;
    }
    return sides == (1u << DEP_X0 | 1u << DEP_Y0);
}

static uint32_t neurons(const nm_image *m, uint32_t pop) { return nm_u32(nm_rec(m, SEC_POPS, pop) + 4); }

static uint64_t proj_cost(const nm_image *m, uint32_t i, const nm_speed *s) {
    nm_proj p;
    nm_rule r;
    nm_decode_proj(m, i, &p);
    const uint32_t event = p.release ? s->release : p.delay ? s->delayed : p.layout ? s->sparse : s->dense;
    uint64_t cost = (uint64_t)p.w_count * event;
    if (!p.rule) return cost;
    nm_decode_rule(m, p.rule - 1u, &r);
    if (!m->wide && !p.layout && is_pair(m, &r))
        cost += (uint64_t)p.w_count * (2u * s->pair);
    else
        cost += (uint64_t)p.w_count * ((uint32_t)r.count[0] + r.count[1] + r.count[2]) * s->interpreted;
    for (uint32_t t = 0; t < TR_COUNT; t++)
        if (r.traces >> t & 1u) cost += (uint64_t)neurons(m, t < TR_Y1 ? p.pre : p.post) * s->trace;
    return cost;
}

/* Rounded up, UINT32_MAX at most; without 64-bit division, which boards do not have. */
static uint32_t divided(uint64_t a, uint32_t b) {
    uint32_t quotient = 0;
    if (a > (uint64_t)UINT32_MAX * b) return UINT32_MAX;
    for (uint32_t bit = 32; bit-- > 0;) {
        if (a < (uint64_t)b << bit) continue;
        a -= (uint64_t)b << bit;
        quotient |= UINT32_C(1) << bit;
    }
    return quotient + (a != 0);
}

/* The sum stays below 2^62: plastic synapses take memory, so there are fewer than 2^31 (R9), of fewer than 2^18 products;
 * others are fewer than 2^48; what one takes is below 2^12. */
uint32_t nm_step_us(const nm_image *m, const nm_speed *s) {
    uint64_t cost = 0;
    for (uint32_t i = 0; i < m->sec[SEC_POPS].count; i++)
        if (nm_rec(m, SEC_POPS, i)[0] != POP_INPUT) cost += (uint64_t)neurons(m, i) * s->neuron;
    for (uint32_t i = 0; i < m->sec[SEC_PROJS].count; i++) cost += proj_cost(m, i, s);
    return divided(cost, 10u * s->per_us);
}

#endif
