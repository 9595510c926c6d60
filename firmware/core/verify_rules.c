/* Rules R7 and R8 of learning rules: factors, products, traces with their tables. */
#include "verify_internal.h"

/* What one record alone shows; also of those that no rule refers to, as nm_init decodes them all. */
int nm_check_factor(nm_check *c, uint32_t i) {
    const uint8_t *b = nm_rec(&c->m, SEC_FACTORS, i);
    nm_factor f;
    nm_decode_factor(&c->m, i, &f);
    if (f.var >= VAR_COUNT || f.second > VAR_COUNT || (!c->m.wide && !nm_in_range(f.add, -512, 511))) return nm_bad_at(c, 8, b);
    const uint32_t fn = f.form & FN_MASK, minus = f.form & FN_MINUS;
    int good = f.second != VAR_ONE + 1 && (f.second || !minus);
    if (f.var == VAR_ONE) good = good && (f.second ? minus && fn >= FN_POS : fn == FN_NONE);
    if (!good) return nm_bad_at(c, 8, b + 1);
    const int plain = fn == FN_NONE || (fn == FN_SGN && f.var >= VAR_W && f.var <= VAR_T);
    if (f.second || !plain) c->features |= 1u << 13;
    if (f.var == VAR_Q || f.second == VAR_Q + 1) c->features |= 1u << 14;
    return 0;
}

int nm_check_product(nm_check *c, uint32_t i) {
    const uint8_t *b = nm_rec(&c->m, SEC_PRODUCTS, i);
    nm_product q;
    nm_decode_product(&c->m, i, &q);
    if (q.dep > DEP_U || q.k > 15 || (q.k && q.dep != DEP_U)) return nm_bad_at(c, 8, b);
    if (q.k > 9) c->features |= 1u << 13;
    if (!nm_in_range(q.mant, -8, 7) || !nm_in_range((int8_t)b[3], c->m.wide ? -22 : -7, 8)) return nm_bad_at(c, 8, b + 2);
    if (q.factors > 6 || b[7] != 0) return nm_bad_at(c, 8, b + 6);
    return nm_inside(q.first, q.factors, nm_count(c, SEC_FACTORS)) ? 0 : nm_bad_at(c, 7, b + 4);
}

/* Does the rule have variable `var`, which the factor at b reads? */
static int check_variable(nm_check *c, const nm_rule *r, uint32_t var, const uint8_t *b) {
    if (var >= VAR_X1 && var <= VAR_Y3 && !(r->traces >> (var - VAR_X1) & 1u)) return nm_bad_at(c, 7, b);
    if (var >= VAR_M1 && var <= VAR_M4 && !r->modulator[var - VAR_M1]) return nm_bad_at(c, 7, b);
    const uint32_t tag = var == VAR_D ? FLAG_TAG2 : var == VAR_T ? FLAG_TAG1 : 0u;
    if (tag & ~(uint32_t)r->flags) return nm_bad_at(c, 7, b);
    c->tags |= tag;
    return 0;
}

static int check_reads(nm_check *c, const nm_rule *r, uint32_t product) {
    nm_product q;
    nm_factor f;
    nm_decode_product(&c->m, product, &q);
    if (nm_spend(c, 1u + q.factors, nm_rec(&c->m, SEC_PRODUCTS, product))) return 1;
    for (uint32_t k = 0; k < q.factors; k++) {
        const uint8_t *b = nm_rec(&c->m, SEC_FACTORS, q.first + k);
        nm_decode_factor(&c->m, q.first + k, &f);
        if (check_variable(c, r, f.var, b)) return 1;
        if (f.second && check_variable(c, r, f.second - 1u, b)) return 1;
    }
    return 0;
}

/* D v never grows, and 0 stays 0: decayed traces stay inside their tables. */
int nm_check_table(nm_check *c, uint32_t i) {
    const uint8_t *b = nm_rec(&c->m, SEC_DECAYS, i);
    for (uint32_t v = 0; v < NM_DECAY_ENTRIES; v++) {
        const uint32_t lo = nm_u32(b + 8 * v), hi = nm_u32(b + 8 * v + 4), whole = hi >> 22, frac = hi & 0x3FFFFFu;
        if (frac > UINT32_C(1) << 21 || (frac == UINT32_C(1) << 21 && lo != 0)) return nm_bad_at(c, 8, b + 8 * v);
        if (whole + ((frac | lo) != 0) > v) return nm_bad_at(c, 8, b + 8 * v);
    }
    return 0;
}

static int check_trace(nm_check *c, const nm_rule *r, uint32_t k, const uint8_t *at) {
    const uint32_t ref = r->trace_ref[k];
    if ((ref != 0) != (r->traces >> k & 1u) || ref > nm_count(c, SEC_TRACES)) return nm_bad_at(c, 7, at);
    if (ref == 0) return 0;
    const uint8_t *b = nm_rec(&c->m, SEC_TRACES, ref - 1u);
    const uint32_t decay = nm_u32(b + 4), loss = decay & 0xFFFFFFu, shift = decay >> 24;
    const int good = c->m.wide ? loss <= UINT32_C(1) << 16 && shift >= 16 && shift <= 31 : decay == 0;
    if (b[0] > 127 || !good) return nm_bad_at(c, 8, b);
    if (k == TR_X1 && r->graded && (b[0] || b[1])) return nm_bad_at(c, 8, b);
    const uint32_t table = nm_u16(b + 2), lo = nm_u32(b + 8), hi = nm_u32(b + 12);
    if (c->m.wide ? table != 0 : table > nm_count(c, SEC_DECAYS)) return nm_bad_at(c, 7, b + 2);
    /* The bits of tau: finite, not negative, and 0 where there is no table. */
    if (hi >= 0x7FF00000u) return nm_bad_at(c, 8, b + 8);
    return !c->m.wide && (table != 0) != ((lo | hi) != 0) ? nm_bad_at(c, 8, b + 8) : 0;
}

int nm_check_rule(nm_check *c, uint32_t i) {
    const uint8_t *b = nm_rec(&c->m, SEC_RULES, i);
    nm_rule r;
    nm_decode_rule(&c->m, i, &r);
    if (r.t_epoch < 1 || r.t_epoch > 64) return nm_bad_at(c, 8, b);
    if (r.graded > GRADED_WRAP - c->m.wide || (r.graded && !(r.traces & 1u))) return nm_bad_at(c, 8, b + 1);
    if (r.traces > 31) return nm_bad_at(c, 8, b + 2);
    if (r.flags > (FLAG_TAG1 | FLAG_TAG2)) return nm_bad_at(c, 8, b + 3);
    if ((r.count[SUM_D] && !(r.flags & FLAG_TAG2)) || (r.count[SUM_T] && !(r.flags & FLAG_TAG1)))
        return nm_bad_at(c, 7, b + 3);
    if (nm_u32(b + 4) > 0xFFFFFFFCu) return nm_bad_at(c, 8, b + 4);     /* its streams take seed .. seed + 3 */
    if (!nm_zeros(b + 30, 2) || b[61]) return nm_bad_at(c, 8, b + 30);
    uint32_t modulators = 0;
    for (uint32_t k = 0; k < RULE_MODULATORS; k++) {
        if (r.modulator[k] > nm_count(c, SEC_MODULATORS)) return nm_bad_at(c, 7, b + 52);
        if (r.modulator[k] && modulators++ != k) return nm_bad_at(c, 7, b + 52);
    }
    if (r.sum_shift > 31) return nm_bad_at(c, 8, b + 60);
    const uint32_t decay = nm_u16(b + 62);
    if ((decay != 0) != (modulators && !c->rounding) || decay > nm_count(c, SEC_DECAYS)) return nm_bad_at(c, 7, b + 62);
    c->tags = (r.count[SUM_D] ? FLAG_TAG2 : 0u) | (r.count[SUM_T] ? FLAG_TAG1 : 0u);
    for (uint32_t s = 0; s < 3; s++) {
        if (!nm_inside(r.first[s], r.count[s], nm_count(c, SEC_PRODUCTS))) return nm_bad_at(c, 7, b + 8 + 2 * s);
        for (uint32_t k = 0; k < r.count[s]; k++)
            if (check_reads(c, &r, (uint32_t)r.first[s] + k)) return 1;
    }
    if (r.flags != c->tags) return nm_bad_at(c, 8, b + 3);
    for (uint32_t k = 0; k < TR_COUNT; k++)
        if (check_trace(c, &r, k, b + 20 + 2 * k)) return 1;
    for (uint32_t k = 0; k < STREAM_COUNT; k++) {
        const uint32_t ref = r.stream_ref[k];
        if (c->rounding ? ref != 0 : ref == 0 || ref > nm_count(c, SEC_STREAMS)) return nm_bad_at(c, 7, b + 32 + 4 * k);
    }
    if (r.flags) c->features |= 1u << 10;
    return 0;
}
