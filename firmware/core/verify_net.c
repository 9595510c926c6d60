/* Rules R6..R8 of populations, modulators, projections and short-term plasticity. */
#include "verify_internal.h"

/* ---- populations ---- */

static int check_values(nm_check *c, uint32_t type, uint32_t first, uint32_t n, int32_t lo, int32_t hi,
                        const uint8_t *at) {
    if (!nm_inside(first, n, nm_count(c, type))) return nm_bad_at(c, 7, at);
    if (nm_spend(c, n, at)) return 1;
    for (uint32_t i = 0; i < n; i++) {
        const uint8_t *p = nm_rec(&c->m, type, first + i);
        if (!nm_in_range((int32_t)nm_u32(p), lo, hi)) return nm_bad_at(c, 8, p);
    }
    return 0;
}

static int is_refractory(const nm_check *c, const nm_pop *p) {
    const uint32_t at = (uint32_t)p->value[PAR_REFR];
    if (!(p->arrays & (1u << PAR_REFR))) return at != 0;
    return !nm_zeros(nm_rec(&c->m, SEC_PARAMS, at), 4 * p->n);
}

/* A threshold may fall, but stays above 0. */
static int check_drift(nm_check *c, const nm_pop *p, const uint8_t *b) {
    if (!p->theta_drift && !p->theta_min) return 0;
    if (!(p->options & OPT_ADAPT) || !nm_in_range(p->theta_drift, 0, NM_THETA_MAX)) return nm_bad_at(c, 8, b + 64);
    if (!nm_in_range(p->theta_min, -NM_THETA_MAX, 0)) return nm_bad_at(c, 8, b + 68);
    const int each = (p->arrays & (1u << PAR_VTH)) != 0;
    for (uint32_t k = 0; k < (each ? p->n : 1u) && p->theta_min; k++) {
        const uint32_t at = (uint32_t)p->value[PAR_VTH] + k;
        const int32_t vth = each ? (int32_t)nm_u32(nm_rec(&c->m, SEC_PARAMS, at)) : p->value[PAR_VTH];
        if (vth * 64 + (p->theta_min >> p->theta_frac) <= 0) return nm_bad_at(c, 8, b + 68);
    }
    return 0;
}

int nm_check_pop(nm_check *c, uint32_t i) {
    static const int32_t ranges[PAR_COUNT][2] = {
        {0, 4095}, {0, 4096}, {0, 131071}, {-NM_U + 1, NM_U - 1}, {0, 65535}, {-131071, 0}, {0, NM_THETA_MAX},
    };
    const uint8_t *b = nm_rec(&c->m, SEC_POPS, i);
    nm_pop p;
    nm_decode_pop(&c->m, i, &p);
    const int32_t init[3][2] = {{-NM_U, NM_U}, {-NM_U + 1, NM_U - 1}, {p.theta_min, NM_THETA_MAX}};
    if (p.kind > POP_TERNARY) return nm_bad_at(c, 8, b);
    if (p.arrays & 0x80u) return nm_bad_at(c, 8, b + 1);
    const uint32_t ternary = OPT_RESET | OPT_INIT_U | OPT_INIT_V;
    const uint32_t allowed = p.kind == POP_INPUT ? OPT_GRADED : p.kind == POP_TERNARY ? ternary : 0x3Fu;
    if (p.options & ~allowed) return nm_bad_at(c, 8, b + 2);
    if ((p.options & OPT_INIT_THETA) && !(p.options & OPT_ADAPT)) return nm_bad_at(c, 8, b + 2);
    if (b[3] != 0 || !nm_zeros(b + 60, 4)) return nm_bad_at(c, 8, b + 3);
    if (p.n < 1 || p.n > UINT32_C(1) << 24) return nm_bad_at(c, 8, b + 4);
    for (uint32_t k = 0; k < PAR_COUNT; k++) {
        const uint8_t *at = b + 8 + 4 * k;
        const int32_t lo = ranges[k][0], hi = ranges[k][1];
        if (p.arrays & (1u << k)) {
            if (check_values(c, SEC_PARAMS, (uint32_t)p.value[k], p.n, lo, hi, at)) return 1;
        } else if (!nm_in_range(p.value[k], lo, hi)) {
            return nm_bad_at(c, 8, at);
        }
    }
    if (((p.options & OPT_REFR) != 0) != is_refractory(c, &p)) return nm_bad_at(c, 8, b + 2);
    if (((p.options & OPT_RESET) != 0) != (p.reset_interval != 0)) return nm_bad_at(c, 8, b + 36);
    if (p.theta_decay > 4096 || p.theta_period > 15 || p.theta_frac > 12) return nm_bad_at(c, 8, b + 44);
    if (check_drift(c, &p, b)) return 1;
    for (uint32_t k = 0; k < 3; k++)
        if ((p.options & (OPT_INIT_U << k))
            && check_values(c, SEC_INITIAL, p.init_off[k], p.n, init[k][0], init[k][1], b + 48 + 4 * k)) return 1;
    if (p.kind == POP_TERNARY) c->features |= 1u << 8;
    if (p.options & OPT_GRADED) c->features |= 1u << 3;
    if (p.options & OPT_ADAPT) c->features |= 1u << 6;
    if (p.options & OPT_REFR) c->features |= 1u << 7;
    if (p.options & OPT_RESET) c->features |= 1u << 9;
    if (p.theta_drift || p.theta_min) c->features |= UINT32_C(1) << 16;
    return 0;
}

/* ---- modulators ---- */

static int check_source(nm_check *c, const nm_modulator *m, uint32_t i) {
    const uint8_t *b = nm_rec(&c->m, SEC_SOURCES, i);
    const uint32_t pop = nm_u16(b), limit = UINT32_C(1) << 24;
    if (pop >= nm_count(c, SEC_POPS)) return nm_bad_at(c, 7, b);
    if (m->of && nm_u32(nm_rec(&c->m, SEC_POPS, pop) + 4) != m->n) return nm_bad_at(c, 7, b);
    return nm_zeros(b + 2, 2) && nm_u32(b + 4) + limit <= 2 * limit ? 0 : nm_bad_at(c, 8, b + 2);
}

int nm_check_modulator(nm_check *c, uint32_t i) {
    const uint8_t *b = nm_rec(&c->m, SEC_MODULATORS, i);
    nm_modulator m;
    nm_decode_modulator(&c->m, i, &m);
    if (m.hold > 1 || m.each > 1 || m.decay > 4096 || m.period > 15 || m.frac > 16 || m.sources > 8
        || !nm_zeros(b + 14, 2) || !nm_zeros(b + 20, 12)) return nm_bad_at(c, 8, b);
    if (m.of > nm_count(c, SEC_POPS)) return nm_bad_at(c, 7, b + 2);
    m.n = 1;
    if (m.of) {
        const uint8_t *pop = nm_rec(&c->m, SEC_POPS, m.of - 1u);
        if (pop[0] == POP_INPUT) return nm_bad_at(c, 7, b + 2);
        m.n = nm_u32(pop + 4);
    }
    if (!nm_inside(m.first, m.sources, nm_count(c, SEC_SOURCES))) return nm_bad_at(c, 7, b + 8);
    for (uint32_t k = 0; k < m.sources; k++)
        if (check_source(c, &m, m.first + k)) return 1;
    c->features |= 1u << 12;
    if (m.each)
        return check_values(c, SEC_INITIAL, (uint32_t)m.init, m.n, -NM_MODULATOR_MAX, NM_MODULATOR_MAX, b + 16);
    return nm_in_range(m.init, -NM_MODULATOR_MAX, NM_MODULATOR_MAX) ? 0 : nm_bad_at(c, 8, b + 16);
}

/* ---- projections ---- */

static int check_row(nm_check *c, const nm_proj *p, const uint8_t *row, uint32_t n_post) {
    const uint32_t start = nm_u32(row), capacity = nm_u32(row + 4), length = nm_u32(row + 8);
    const uint32_t size = p->element == ELEM_I16 ? 2 : 1;
    const uint8_t *w = nm_rec(&c->m, SEC_WEIGHTS, 0) + p->w_off + start * size;
    uint32_t next = 0;
    for (uint32_t k = 0; k < length; k++) {
        const uint8_t *at = nm_rec(&c->m, SEC_TARGETS, p->target0 + start + k);
        const uint32_t j = nm_u32(at);
        if (j < next || j >= n_post) return nm_bad_at(c, 7, at);
        next = j + 1;
    }
    for (uint32_t k = length; k < capacity; k++) {
        const uint8_t *at = nm_rec(&c->m, SEC_TARGETS, p->target0 + start + k);
        if (nm_u32(at) != 0) return nm_bad_at(c, 7, at);
        if (p->delay_kind && *nm_rec(&c->m, SEC_DELAYS, p->d_off + start + k)) return nm_bad_at(c, 8, at);
    }
    return nm_zeros(w + length * size, (capacity - length) * size) ? 0 : nm_bad_at(c, 8, row);
}

static int check_sparse(nm_check *c, const nm_proj *p, uint32_t n_pre, uint32_t n_post, const uint8_t *b) {
    uint32_t start = 0;
    if (!nm_inside(p->row0, n_pre, nm_count(c, SEC_ROWS))) return nm_bad_at(c, 7, b + 28);
    if (!nm_inside(p->target0, p->w_count, nm_count(c, SEC_TARGETS))) return nm_bad_at(c, 7, b + 32);
    if (nm_spend(c, n_pre, b + 28) || nm_spend(c, p->w_count, b + 32)) return 1;
    for (uint32_t i = 0; i < n_pre; i++) {
        const uint8_t *row = nm_rec(&c->m, SEC_ROWS, p->row0 + i);
        const uint32_t capacity = nm_u32(row + 4);
        if (nm_u32(row) != start || capacity > p->w_count - start) return nm_bad_at(c, 7, row);
        if (nm_u32(row + 8) > capacity) return nm_bad_at(c, 6, row + 8);
        if (check_row(c, p, row, n_post)) return 1;
        start += capacity;
    }
    return start == p->w_count ? 0 : nm_bad_at(c, 6, b + 20);
}

static int check_weights(nm_check *c, const nm_proj *p, const uint8_t *b) {
    const uint32_t size = p->element == ELEM_I16 ? 2 : 1, pool = nm_count(c, SEC_WEIGHTS);
    const uint32_t narrow = p->sign != SIGN_MIXED ? ELEM_U8 : p->rule ? ELEM_I16 : ELEM_I8;
    const uint32_t element = c->m.wide ? ELEM_I16 : narrow;
    const int32_t low = c->m.wide ? nm_wide_low(p->sign) : -256, high = c->m.wide ? nm_wide_high(p->sign) : 255;
    if (p->element != element) return nm_bad_at(c, 8, b + 8);
    if ((p->w_off & (size - 1)) != 0 || p->w_off > pool || (uint64_t)p->w_count * size > pool - p->w_off)
        return nm_bad_at(c, 7, b + 16);
    if (p->element != ELEM_I16) return 0;      /* bytes cannot leave their range */
    if (nm_spend(c, p->w_count, b + 20)) return 1;
    for (uint32_t k = 0; k < p->w_count; k++) {
        const uint8_t *at = nm_rec(&c->m, SEC_WEIGHTS, p->w_off + 2 * k);
        if (!nm_in_range((int16_t)nm_u16(at), low, high)) return nm_bad_at(c, 8, at);
    }
    return 0;
}

static int check_delays(nm_check *c, const nm_proj *p, const uint8_t *b) {
    uint32_t largest = 0;
    if (p->delay_kind == 0) return 0;
    if (!nm_inside(p->d_off, p->w_count, nm_count(c, SEC_DELAYS))) return nm_bad_at(c, 7, b + 24);
    if (nm_spend(c, p->w_count, b + 24)) return 1;
    for (uint32_t k = 0; k < p->w_count; k++) {
        const uint8_t *at = nm_rec(&c->m, SEC_DELAYS, p->d_off + k);
        if (*at > p->delay) return nm_bad_at(c, 8, at);
        if (*at > largest) largest = *at;
    }
    return largest == p->delay ? 0 : nm_bad_at(c, 8, b + 10);
}

/* ---- short-term plasticity ---- */

int nm_check_short_term(nm_check *c, uint32_t i) {
    const uint8_t *b = nm_rec(&c->m, SEC_SHORT_TERM, i);
    if (b[0] > 3 || b[1]) return nm_bad_at(c, 8, b);
    if (nm_u16(b + 2) > (b[0] & 1u ? 0u : 32767u)) return nm_bad_at(c, 8, b + 2);
    for (uint32_t k = 0; k < 32; k++)
        if (nm_u16(b + 8 + 2 * k) > 32768u) return nm_bad_at(c, 8, b + 8);
    c->features |= UINT32_C(1) << 15;
    return 0;
}

/* What a projection needs of its record: a U for each weight, none behind the end of a row, and the tag that it reads. */
static int check_uses(nm_check *c, const nm_proj *p, uint32_t n_pre, const uint8_t *at) {
    const uint8_t *b = nm_rec(&c->m, SEC_SHORT_TERM, p->release - 1u);
    const uint32_t first = nm_u32(b + 4);
    if ((b[0] & 2u) && !(p->rule && (nm_rec(&c->m, SEC_RULES, p->rule - 1u)[3] & FLAG_TAG2)))
        return nm_bad_at(c, 7, at + 14);
    if (!(b[0] & 1u)) return 0;
    if (!nm_inside(first, p->w_count, nm_count(c, SEC_USES))) return nm_bad_at(c, 7, b + 4);
    if (nm_spend(c, p->w_count, b + 4)) return 1;
    for (uint32_t k = 0; k < p->w_count; k++) {
        const uint8_t *use = nm_rec(&c->m, SEC_USES, first + k);
        if (nm_u16(use) > 32767u) return nm_bad_at(c, 8, use);
    }
    for (uint32_t i = 0; i < n_pre && p->layout; i++) {
        const uint8_t *row = nm_rec(&c->m, SEC_ROWS, p->row0 + i);
        const uint32_t start = nm_u32(row), end = start + nm_u32(row + 4);
        for (uint32_t k = start + nm_u32(row + 8); k < end; k++) {
            const uint8_t *use = nm_rec(&c->m, SEC_USES, first + k);
            if (nm_u16(use)) return nm_bad_at(c, 8, use);
        }
    }
    return 0;
}

int nm_check_proj(nm_check *c, uint32_t i) {
    const uint8_t *b = nm_rec(&c->m, SEC_PROJS, i);
    nm_proj p;
    nm_pop pre, post;
    nm_decode_proj(&c->m, i, &p);
    if (p.pre >= nm_count(c, SEC_POPS)) return nm_bad_at(c, 7, b);
    if (p.post >= nm_count(c, SEC_POPS)) return nm_bad_at(c, 7, b + 2);
    nm_decode_pop(&c->m, p.pre, &pre);
    nm_decode_pop(&c->m, p.post, &post);
    if (post.kind == POP_INPUT) return nm_bad_at(c, 7, b + 2);
    if (p.layout > 1) return nm_bad_at(c, 8, b + 4);
    if (p.sign > SIGN_INH) return nm_bad_at(c, 8, b + 5);
    if (p.graded > 1) return nm_bad_at(c, 8, b + 6);
    if (!nm_in_range(p.exp, -16, 15)) return nm_bad_at(c, 8, b + 7);
    if (p.delay_kind > 1) return nm_bad_at(c, 8, b + 9);
    if (p.delay > 63) return nm_bad_at(c, 8, b + 10);
    if (p.off > 1 || (p.off && !p.rule)) return nm_bad_at(c, 8, b + 11);
    if (p.rule > nm_count(c, SEC_RULES)) return nm_bad_at(c, 7, b + 12);
    for (uint32_t k = 0; k < RULE_MODULATORS && p.rule; k++) {
        const uint32_t ref = nm_u16(nm_rec(&c->m, SEC_RULES, p.rule - 1u) + 52 + 2 * k);
        const uint32_t of = ref ? nm_u16(nm_rec(&c->m, SEC_MODULATORS, ref - 1u) + 2) : 0;
        if (of && of - 1u != p.post) return nm_bad_at(c, 7, b + 12);
    }
    if (p.release > nm_count(c, SEC_SHORT_TERM)) return nm_bad_at(c, 7, b + 14);
    if (!nm_zeros(b + 36, 28)) return nm_bad_at(c, 8, b + 36);
    if (p.layout == 0 && (uint64_t)pre.n * post.n != p.w_count) return nm_bad_at(c, 6, b + 20);
    if (check_weights(c, &p, b) || check_delays(c, &p, b)) return 1;
    if (p.layout == 1 && check_sparse(c, &p, pre.n, post.n, b)) return 1;
    if (p.release && check_uses(c, &p, pre.n, b)) return 1;
    if (p.graded) c->features |= 1u << 3;
    if (p.delay) c->features |= 1u << 4;
    if (p.layout) c->features |= 1u << 5;
    if (p.rule) c->features |= 1u << 0 | 1u << (c->rounding ? 2 : 1);
    return 0;
}
