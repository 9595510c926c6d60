/* The verifier: rules R1..R9 of an image. Everything that the engine later takes for granted is checked here, in one
 * pass without recursion; lengths are compared in 64 bits or by subtraction from what is left. */
#include "wide.h"
#include <string.h>

typedef struct {
    const uint8_t *image;
    uint32_t len;
    nm_report *report;
    uint32_t features;      /* bits that the contents need */
    uint32_t rounding;
    uint32_t tags;          /* tags that the rule under check mentions */
    uint64_t work;          /* values looked at: pools may be shared, but not so often that checking takes for ever */
    nm_image m;
} nm_check;

/* All checks return 0, or 1 after noting rule and offset. */
static int bad(nm_check *c, uint32_t rule, uint32_t offset) {
    c->report->rule = (uint8_t)rule;
    c->report->offset = offset;
    return 1;
}

static int bad_at(nm_check *c, uint32_t rule, const uint8_t *at) { return bad(c, rule, (uint32_t)(at - c->image)); }

static int zeros(const uint8_t *p, uint32_t n) {
    uint32_t any = 0;
    for (uint32_t i = 0; i < n; i++) any |= p[i];
    return any == 0;
}

static uint32_t count_of(const nm_check *c, uint32_t type) { return c->m.sec[type].count; }

/* Does [first, first + n) lie inside a table of `count`? */
static int inside(uint32_t first, uint32_t n, uint32_t count) { return first <= count && n <= count - first; }

static int in_range(int32_t x, int32_t lo, int32_t hi) { return x >= lo && x <= hi; }

/* Account for looking at n values. */
static int spend(nm_check *c, uint32_t n, const uint8_t *at) {
    c->work += n;
    return c->work > 8 * (uint64_t)c->len ? bad_at(c, 6, at) : 0;
}

/* ---- header and section table ---- */

static int check_header(nm_check *c, const nm_limits *limits, size_t len) {
    const uint8_t *p = c->image;
    if (len < 160 || memcmp(p, "NMI\x1A", 4) != 0) return bad(c, 1, 0);
    if (nm_u16(p + 4) != 160) return bad(c, 1, 4);
    if (p[6] != 1) return bad(c, 1, 6);
    c->len = nm_u32(p + 8);
    if (c->len != len || (limits && limits->image_max && c->len > limits->image_max)) return bad(c, 2, 8);
#ifndef NM_VERIFY_NO_HASH
    uint8_t digest[32];
    nm_blake2s hash;
    if (nm_crc32c(0, p, 156) != nm_u32(p + 156)) return bad(c, 3, 156);
    nm_blake2s_init(&hash);
    nm_blake2s_update(&hash, p, 96);
    nm_blake2s_update(&hash, p + 160, c->len - 160);
    nm_blake2s_final(&hash, digest);
    if (memcmp(digest, p + 96, 32) != 0) return bad(c, 3, 96);
#endif
    if (nm_u32(p + 16) > NM_PROFILE_LAST) return bad(c, 4, 16);
    if (nm_u32(p + 20) & ~(limits ? limits->features : NM_FEATURES_ALL)) return bad(c, 4, 20);
    if (nm_u32(p + 24) != 0) return bad(c, 4, 24);
    if (nm_u16(p + 28) != NM_SEMANTICS || nm_u16(p + 30) != 0) return bad(c, 4, 28);
    if (!zeros(p + 32, 32)) return bad(c, 4, 32);
    if (!zeros(p + 128, 28)) return bad(c, 4, 128);
    return 0;
}

static int check_entry(nm_check *c, const uint8_t *p, uint32_t *end) {
    /* 0: unknown type. Rows, pools and tables are read in place and have no room to grow. */
    static const uint16_t strides[SEC_COUNT] = {0, 32, 1, 64, 64, 4, 12, 4, 1, 1, 64, 8, 4, 16, 1032, 32, 12, 16, 4,
                                                32, 8, 72, 2};
    static const uint8_t exact[] = {SEC_META, SEC_PARAMS, SEC_ROWS, SEC_TARGETS, SEC_WEIGHTS, SEC_DELAYS, SEC_DECAYS,
                                    SEC_STREAMS, SEC_INITIAL, SEC_USES};
    const uint32_t type = nm_u16(p), flags = nm_u16(p + 2), off = nm_u32(p + 4), length = nm_u32(p + 8);
    const uint32_t count = nm_u32(p + 12), stride = nm_u32(p + 16), capacity = nm_u32(p + 20);
    if ((off & 7u) != 0 || off < *end || off > c->len || length > c->len - off || (flags & ~3u)) return bad_at(c, 5, p);
    *end = off + length;
    if ((uint64_t)stride * capacity != length || count > capacity) return bad_at(c, 6, p);
    for (const uint8_t *q = c->image + 160; q < p; q += 24)
        if (nm_u16(q) == type) return bad_at(c, 5, p);
    if (type == 0 || type >= SEC_COUNT) return flags & 1u ? 0 : bad_at(c, 5, p);
    if ((flags & 2u) != (type == SEC_META || type == SEC_PROBES ? 0u : 2u)) return bad_at(c, 5, p);
    if (stride < strides[type] || stride > 0xFFFFu) return bad_at(c, 6, p);
    for (uint32_t k = 0; k < sizeof exact; k++)
        if (type == exact[k] && stride != strides[type]) return bad_at(c, 6, p);
    c->m.sec[type].off = off;
    c->m.sec[type].count = count;
    c->m.sec[type].stride = stride;
    return 0;
}

/* States belong to a program by its logical digest, so that must be right too. */
static int check_digest(nm_check *c, uint32_t n) {
#ifdef NM_VERIFY_NO_HASH
    (void)n;
#else
    static const uint8_t nowhere[4] = {0, 0, 0, 0};
    uint8_t digest[32];
    nm_blake2s hash;
    nm_blake2s_init(&hash);
    for (uint32_t i = 0; i < n; i++) {
        const uint8_t *p = c->image + 160 + 24 * i;
        if (!(nm_u16(p + 2) & 2u)) continue;
        nm_blake2s_update(&hash, p, 4);
        nm_blake2s_update(&hash, nowhere, 4);
        nm_blake2s_update(&hash, p + 8, 16);
        nm_blake2s_update(&hash, c->image + nm_u32(p + 4), nm_u32(p + 8));
    }
    nm_blake2s_final(&hash, digest);
    if (memcmp(digest, c->image + 64, 32) != 0) return bad(c, 3, 64);
#endif
    return 0;
}

static int check_sections(nm_check *c) {
    const uint32_t n = nm_u16(c->image + 12);
    if (n < 1 || n > 64 || nm_u16(c->image + 14) != 24 || 24 * n > c->len - 160) return bad(c, 5, 12);
    c->m.base = c->image;
    c->m.wide = nm_u32(c->image + 16);
    uint32_t end = 160 + 24 * n;
    for (uint32_t i = 0; i < n; i++)
        if (check_entry(c, c->image + 160 + 24 * i, &end)) return 1;
    if (count_of(c, SEC_POPS) == 0) return bad(c, 5, 160);
    return check_digest(c, n);
}

static int check_machine(nm_check *c) {
    if (count_of(c, SEC_MACHINE) != 1) return bad(c, 5, 160);
    const uint8_t *p = nm_rec(&c->m, SEC_MACHINE, 0);
    if (zeros(p, 8) || (p[7] & 0x80u)) return bad_at(c, 8, p);
    c->rounding = p[12];
    if (c->rounding > 1) return bad_at(c, 8, p + 12);
    if (p[13] != c->m.wide || !zeros(p + 14, 2) || !zeros(p + 22, 10)) return bad_at(c, 8, p + 13);
    if (c->m.wide && !c->rounding) return bad_at(c, 8, p + 12);
    static const uint8_t types[3] = {SEC_POPS, SEC_PROJS, SEC_RULES};
    for (uint32_t k = 0; k < 3; k++)
        if (nm_u16(p + 16 + 2 * k) != count_of(c, types[k])) return bad_at(c, 6, p + 16 + 2 * k);
    return 0;
}

/* ---- populations ---- */

static int check_values(nm_check *c, uint32_t type, uint32_t first, uint32_t n, int32_t lo, int32_t hi,
                        const uint8_t *at) {
    if (!inside(first, n, count_of(c, type))) return bad_at(c, 7, at);
    if (spend(c, n, at)) return 1;
    for (uint32_t i = 0; i < n; i++) {
        const uint8_t *p = nm_rec(&c->m, type, first + i);
        if (!in_range((int32_t)nm_u32(p), lo, hi)) return bad_at(c, 8, p);
    }
    return 0;
}

static int is_refractory(const nm_check *c, const nm_pop *p) {
    const uint32_t at = (uint32_t)p->value[PAR_REFR];
    if (!(p->arrays & (1u << PAR_REFR))) return at != 0;
    return !zeros(nm_rec(&c->m, SEC_PARAMS, at), 4 * p->n);
}

/* A threshold may fall, but stays above 0. */
static int check_drift(nm_check *c, const nm_pop *p, const uint8_t *b) {
    if (!p->theta_drift && !p->theta_min) return 0;
    if (!(p->options & OPT_ADAPT) || !in_range(p->theta_drift, 0, NM_THETA_MAX)) return bad_at(c, 8, b + 64);
    if (!in_range(p->theta_min, -NM_THETA_MAX, 0)) return bad_at(c, 8, b + 68);
    const int each = (p->arrays & (1u << PAR_VTH)) != 0;
    for (uint32_t k = 0; k < (each ? p->n : 1u) && p->theta_min; k++) {
        const uint32_t at = (uint32_t)p->value[PAR_VTH] + k;
        const int32_t vth = each ? (int32_t)nm_u32(nm_rec(&c->m, SEC_PARAMS, at)) : p->value[PAR_VTH];
        if (vth * 64 + (p->theta_min >> p->theta_frac) <= 0) return bad_at(c, 8, b + 68);
    }
    return 0;
}

static int check_pop(nm_check *c, uint32_t i) {
    static const int32_t ranges[PAR_COUNT][2] = {
        {0, 4095}, {0, 4096}, {0, 131071}, {-NM_U + 1, NM_U - 1}, {0, 65535}, {-131071, 0}, {0, NM_THETA_MAX},
    };
    const uint8_t *b = nm_rec(&c->m, SEC_POPS, i);
    nm_pop p;
    nm_decode_pop(&c->m, i, &p);
    const int32_t init[3][2] = {{-NM_U, NM_U}, {-NM_U + 1, NM_U - 1}, {p.theta_min, NM_THETA_MAX}};
    if (p.kind > POP_TERNARY) return bad_at(c, 8, b);
    if (p.arrays & 0x80u) return bad_at(c, 8, b + 1);
    const uint32_t ternary = OPT_RESET | OPT_INIT_U | OPT_INIT_V;
    const uint32_t allowed = p.kind == POP_INPUT ? OPT_GRADED : p.kind == POP_TERNARY ? ternary : 0x3Fu;
    if (p.options & ~allowed) return bad_at(c, 8, b + 2);
    if ((p.options & OPT_INIT_THETA) && !(p.options & OPT_ADAPT)) return bad_at(c, 8, b + 2);
    if (b[3] != 0 || !zeros(b + 60, 4)) return bad_at(c, 8, b + 3);
    if (p.n < 1 || p.n > UINT32_C(1) << 24) return bad_at(c, 8, b + 4);
    for (uint32_t k = 0; k < PAR_COUNT; k++) {
        const uint8_t *at = b + 8 + 4 * k;
        const int32_t lo = ranges[k][0], hi = ranges[k][1];
        if (p.arrays & (1u << k)) {
            if (check_values(c, SEC_PARAMS, (uint32_t)p.value[k], p.n, lo, hi, at)) return 1;
        } else if (!in_range(p.value[k], lo, hi)) {
            return bad_at(c, 8, at);
        }
    }
    if (((p.options & OPT_REFR) != 0) != is_refractory(c, &p)) return bad_at(c, 8, b + 2);
    if (((p.options & OPT_RESET) != 0) != (p.reset_interval != 0)) return bad_at(c, 8, b + 36);
    if (p.theta_decay > 4096 || p.theta_period > 15 || p.theta_frac > 12) return bad_at(c, 8, b + 44);
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
    if (pop >= count_of(c, SEC_POPS)) return bad_at(c, 7, b);
    if (m->of && nm_u32(nm_rec(&c->m, SEC_POPS, pop) + 4) != m->n) return bad_at(c, 7, b);
    return zeros(b + 2, 2) && nm_u32(b + 4) + limit <= 2 * limit ? 0 : bad_at(c, 8, b + 2);
}

static int check_modulator(nm_check *c, uint32_t i) {
    const uint8_t *b = nm_rec(&c->m, SEC_MODULATORS, i);
    nm_modulator m;
    nm_decode_modulator(&c->m, i, &m);
    if (m.hold > 1 || m.each > 1 || m.decay > 4096 || m.period > 15 || m.frac > 16 || m.sources > 8
        || !zeros(b + 14, 2) || !zeros(b + 20, 12)) return bad_at(c, 8, b);
    if (m.of > count_of(c, SEC_POPS)) return bad_at(c, 7, b + 2);
    m.n = 1;
    if (m.of) {
        const uint8_t *pop = nm_rec(&c->m, SEC_POPS, m.of - 1u);
        if (pop[0] == POP_INPUT) return bad_at(c, 7, b + 2);
        m.n = nm_u32(pop + 4);
    }
    if (!inside(m.first, m.sources, count_of(c, SEC_SOURCES))) return bad_at(c, 7, b + 8);
    for (uint32_t k = 0; k < m.sources; k++)
        if (check_source(c, &m, m.first + k)) return 1;
    c->features |= 1u << 12;
    if (m.each)
        return check_values(c, SEC_INITIAL, (uint32_t)m.init, m.n, -NM_MODULATOR_MAX, NM_MODULATOR_MAX, b + 16);
    return in_range(m.init, -NM_MODULATOR_MAX, NM_MODULATOR_MAX) ? 0 : bad_at(c, 8, b + 16);
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
        if (j < next || j >= n_post) return bad_at(c, 7, at);
        next = j + 1;
    }
    for (uint32_t k = length; k < capacity; k++) {
        const uint8_t *at = nm_rec(&c->m, SEC_TARGETS, p->target0 + start + k);
        if (nm_u32(at) != 0) return bad_at(c, 7, at);
        if (p->delay_kind && *nm_rec(&c->m, SEC_DELAYS, p->d_off + start + k)) return bad_at(c, 8, at);
    }
    return zeros(w + length * size, (capacity - length) * size) ? 0 : bad_at(c, 8, row);
}

static int check_sparse(nm_check *c, const nm_proj *p, uint32_t n_pre, uint32_t n_post, const uint8_t *b) {
    uint32_t start = 0;
    if (!inside(p->row0, n_pre, count_of(c, SEC_ROWS))) return bad_at(c, 7, b + 28);
    if (!inside(p->target0, p->w_count, count_of(c, SEC_TARGETS))) return bad_at(c, 7, b + 32);
    if (spend(c, n_pre, b + 28) || spend(c, p->w_count, b + 32)) return 1;
    for (uint32_t i = 0; i < n_pre; i++) {
        const uint8_t *row = nm_rec(&c->m, SEC_ROWS, p->row0 + i);
        const uint32_t capacity = nm_u32(row + 4);
        if (nm_u32(row) != start || capacity > p->w_count - start) return bad_at(c, 7, row);
        if (nm_u32(row + 8) > capacity) return bad_at(c, 6, row + 8);
        if (check_row(c, p, row, n_post)) return 1;
        start += capacity;
    }
    return start == p->w_count ? 0 : bad_at(c, 6, b + 20);
}

static int check_weights(nm_check *c, const nm_proj *p, const uint8_t *b) {
    const uint32_t size = p->element == ELEM_I16 ? 2 : 1, pool = count_of(c, SEC_WEIGHTS);
    const uint32_t narrow = p->sign != SIGN_MIXED ? ELEM_U8 : p->rule ? ELEM_I16 : ELEM_I8;
    const uint32_t element = c->m.wide ? ELEM_I16 : narrow;
    const int32_t low = c->m.wide ? nm_wide_low(p->sign) : -256, high = c->m.wide ? nm_wide_high(p->sign) : 255;
    if (p->element != element) return bad_at(c, 8, b + 8);
    if ((p->w_off & (size - 1)) != 0 || p->w_off > pool || (uint64_t)p->w_count * size > pool - p->w_off)
        return bad_at(c, 7, b + 16);
    if (p->element != ELEM_I16) return 0;      /* bytes cannot leave their range */
    if (spend(c, p->w_count, b + 20)) return 1;
    for (uint32_t k = 0; k < p->w_count; k++) {
        const uint8_t *at = nm_rec(&c->m, SEC_WEIGHTS, p->w_off + 2 * k);
        if (!in_range((int16_t)nm_u16(at), low, high)) return bad_at(c, 8, at);
    }
    return 0;
}

static int check_delays(nm_check *c, const nm_proj *p, const uint8_t *b) {
    uint32_t largest = 0;
    if (p->delay_kind == 0) return 0;
    if (!inside(p->d_off, p->w_count, count_of(c, SEC_DELAYS))) return bad_at(c, 7, b + 24);
    if (spend(c, p->w_count, b + 24)) return 1;
    for (uint32_t k = 0; k < p->w_count; k++) {
        const uint8_t *at = nm_rec(&c->m, SEC_DELAYS, p->d_off + k);
        if (*at > p->delay) return bad_at(c, 8, at);
        if (*at > largest) largest = *at;
    }
    return largest == p->delay ? 0 : bad_at(c, 8, b + 10);
}

/* ---- short-term plasticity ---- */

static int check_short_term(nm_check *c, uint32_t i) {
    const uint8_t *b = nm_rec(&c->m, SEC_SHORT_TERM, i);
    if (b[0] > 3 || b[1]) return bad_at(c, 8, b);
    if (nm_u16(b + 2) > (b[0] & 1u ? 0u : 32767u)) return bad_at(c, 8, b + 2);
    for (uint32_t k = 0; k < 32; k++)
        if (nm_u16(b + 8 + 2 * k) > 32768u) return bad_at(c, 8, b + 8);
    c->features |= UINT32_C(1) << 15;
    return 0;
}

/* What a projection needs of its record: a U for each weight, none behind the end of a row, and the tag that it reads. */
static int check_uses(nm_check *c, const nm_proj *p, uint32_t n_pre, const uint8_t *at) {
    const uint8_t *b = nm_rec(&c->m, SEC_SHORT_TERM, p->release - 1u);
    const uint32_t first = nm_u32(b + 4);
    if ((b[0] & 2u) && !(p->rule && (nm_rec(&c->m, SEC_RULES, p->rule - 1u)[3] & FLAG_TAG2)))
        return bad_at(c, 7, at + 14);
    if (!(b[0] & 1u)) return 0;
    if (!inside(first, p->w_count, count_of(c, SEC_USES))) return bad_at(c, 7, b + 4);
    if (spend(c, p->w_count, b + 4)) return 1;
    for (uint32_t k = 0; k < p->w_count; k++) {
        const uint8_t *use = nm_rec(&c->m, SEC_USES, first + k);
        if (nm_u16(use) > 32767u) return bad_at(c, 8, use);
    }
    for (uint32_t i = 0; i < n_pre && p->layout; i++) {
        const uint8_t *row = nm_rec(&c->m, SEC_ROWS, p->row0 + i);
        const uint32_t start = nm_u32(row), end = start + nm_u32(row + 4);
        for (uint32_t k = start + nm_u32(row + 8); k < end; k++) {
            const uint8_t *use = nm_rec(&c->m, SEC_USES, first + k);
            if (nm_u16(use)) return bad_at(c, 8, use);
        }
    }
    return 0;
}

static int check_proj(nm_check *c, uint32_t i) {
    const uint8_t *b = nm_rec(&c->m, SEC_PROJS, i);
    nm_proj p;
    nm_pop pre, post;
    nm_decode_proj(&c->m, i, &p);
    if (p.pre >= count_of(c, SEC_POPS)) return bad_at(c, 7, b);
    if (p.post >= count_of(c, SEC_POPS)) return bad_at(c, 7, b + 2);
    nm_decode_pop(&c->m, p.pre, &pre);
    nm_decode_pop(&c->m, p.post, &post);
    if (post.kind == POP_INPUT) return bad_at(c, 7, b + 2);
    if (p.layout > 1) return bad_at(c, 8, b + 4);
    if (p.sign > SIGN_INH) return bad_at(c, 8, b + 5);
    if (p.graded > 1) return bad_at(c, 8, b + 6);
    if (!in_range(p.exp, -16, 15)) return bad_at(c, 8, b + 7);
    if (p.delay_kind > 1) return bad_at(c, 8, b + 9);
    if (p.delay > 63) return bad_at(c, 8, b + 10);
    if (p.off > 1 || (p.off && !p.rule)) return bad_at(c, 8, b + 11);
    if (p.rule > count_of(c, SEC_RULES)) return bad_at(c, 7, b + 12);
    for (uint32_t k = 0; k < RULE_MODULATORS && p.rule; k++) {
        const uint32_t ref = nm_u16(nm_rec(&c->m, SEC_RULES, p.rule - 1u) + 52 + 2 * k);
        const uint32_t of = ref ? nm_u16(nm_rec(&c->m, SEC_MODULATORS, ref - 1u) + 2) : 0;
        if (of && of - 1u != p.post) return bad_at(c, 7, b + 12);
    }
    if (p.release > count_of(c, SEC_SHORT_TERM)) return bad_at(c, 7, b + 14);
    if (!zeros(b + 36, 28)) return bad_at(c, 8, b + 36);
    if (p.layout == 0 && (uint64_t)pre.n * post.n != p.w_count) return bad_at(c, 6, b + 20);
    if (check_weights(c, &p, b) || check_delays(c, &p, b)) return 1;
    if (p.layout == 1 && check_sparse(c, &p, pre.n, post.n, b)) return 1;
    if (p.release && check_uses(c, &p, pre.n, b)) return 1;
    if (p.graded) c->features |= 1u << 3;
    if (p.delay) c->features |= 1u << 4;
    if (p.layout) c->features |= 1u << 5;
    if (p.rule) c->features |= 1u << 0 | 1u << (c->rounding ? 2 : 1);
    return 0;
}

/* ---- rules ---- */

/* What one record alone shows; also of those that no rule refers to, as nm_init decodes them all. */
static int check_factor(nm_check *c, uint32_t i) {
    const uint8_t *b = nm_rec(&c->m, SEC_FACTORS, i);
    nm_factor f;
    nm_decode_factor(&c->m, i, &f);
    if (f.var >= VAR_COUNT || f.second > VAR_COUNT || (!c->m.wide && !in_range(f.add, -512, 511))) return bad_at(c, 8, b);
    const uint32_t fn = f.form & FN_MASK, minus = f.form & FN_MINUS;
    int good = f.second != VAR_ONE + 1 && (f.second || !minus);
    if (f.var == VAR_ONE) good = good && (f.second ? minus && fn >= FN_POS : fn == FN_NONE);
    if (!good) return bad_at(c, 8, b + 1);
    const int plain = fn == FN_NONE || (fn == FN_SGN && f.var >= VAR_W && f.var <= VAR_T);
    if (f.second || !plain) c->features |= 1u << 13;
    if (f.var == VAR_Q || f.second == VAR_Q + 1) c->features |= 1u << 14;
    return 0;
}

static int check_product(nm_check *c, uint32_t i) {
    const uint8_t *b = nm_rec(&c->m, SEC_PRODUCTS, i);
    nm_product q;
    nm_decode_product(&c->m, i, &q);
    if (q.dep > DEP_U || q.k > 15 || (q.k && q.dep != DEP_U)) return bad_at(c, 8, b);
    if (q.k > 9) c->features |= 1u << 13;
    if (!in_range(q.mant, -8, 7) || !in_range((int8_t)b[3], c->m.wide ? -22 : -7, 8)) return bad_at(c, 8, b + 2);
    if (q.factors > 6 || b[7] != 0) return bad_at(c, 8, b + 6);
    return inside(q.first, q.factors, count_of(c, SEC_FACTORS)) ? 0 : bad_at(c, 7, b + 4);
}

/* Does the rule have variable `var`, which the factor at b reads? */
static int check_variable(nm_check *c, const nm_rule *r, uint32_t var, const uint8_t *b) {
    if (var >= VAR_X1 && var <= VAR_Y3 && !(r->traces >> (var - VAR_X1) & 1u)) return bad_at(c, 7, b);
    if (var >= VAR_M1 && var <= VAR_M4 && !r->modulator[var - VAR_M1]) return bad_at(c, 7, b);
    const uint32_t tag = var == VAR_D ? FLAG_TAG2 : var == VAR_T ? FLAG_TAG1 : 0u;
    if (tag & ~(uint32_t)r->flags) return bad_at(c, 7, b);
    c->tags |= tag;
    return 0;
}

static int check_reads(nm_check *c, const nm_rule *r, uint32_t product) {
    nm_product q;
    nm_factor f;
    nm_decode_product(&c->m, product, &q);
    if (spend(c, 1u + q.factors, nm_rec(&c->m, SEC_PRODUCTS, product))) return 1;
    for (uint32_t k = 0; k < q.factors; k++) {
        const uint8_t *b = nm_rec(&c->m, SEC_FACTORS, q.first + k);
        nm_decode_factor(&c->m, q.first + k, &f);
        if (check_variable(c, r, f.var, b)) return 1;
        if (f.second && check_variable(c, r, f.second - 1u, b)) return 1;
    }
    return 0;
}

/* D v never grows, and 0 stays 0: decayed traces stay inside their tables. */
static int check_table(nm_check *c, uint32_t i) {
    const uint8_t *b = nm_rec(&c->m, SEC_DECAYS, i);
    for (uint32_t v = 0; v < NM_DECAY_ENTRIES; v++) {
        const uint32_t lo = nm_u32(b + 8 * v), hi = nm_u32(b + 8 * v + 4), whole = hi >> 22, frac = hi & 0x3FFFFFu;
        if (frac > UINT32_C(1) << 21 || (frac == UINT32_C(1) << 21 && lo != 0)) return bad_at(c, 8, b + 8 * v);
        if (whole + ((frac | lo) != 0) > v) return bad_at(c, 8, b + 8 * v);
    }
    return 0;
}

static int check_trace(nm_check *c, const nm_rule *r, uint32_t k, const uint8_t *at) {
    const uint32_t ref = r->trace_ref[k];
    if ((ref != 0) != (r->traces >> k & 1u) || ref > count_of(c, SEC_TRACES)) return bad_at(c, 7, at);
    if (ref == 0) return 0;
    const uint8_t *b = nm_rec(&c->m, SEC_TRACES, ref - 1u);
    const uint32_t decay = nm_u32(b + 4), loss = decay & 0xFFFFFFu, shift = decay >> 24;
    const int good = c->m.wide ? loss <= UINT32_C(1) << 16 && shift >= 16 && shift <= 31 : decay == 0;
    if (b[0] > 127 || !good) return bad_at(c, 8, b);
    if (k == TR_X1 && r->graded && (b[0] || b[1])) return bad_at(c, 8, b);
    const uint32_t table = nm_u16(b + 2), lo = nm_u32(b + 8), hi = nm_u32(b + 12);
    if (c->m.wide ? table != 0 : table > count_of(c, SEC_DECAYS)) return bad_at(c, 7, b + 2);
    /* The bits of tau: finite, not negative, and 0 where there is no table. */
    if (hi >= 0x7FF00000u) return bad_at(c, 8, b + 8);
    return !c->m.wide && (table != 0) != ((lo | hi) != 0) ? bad_at(c, 8, b + 8) : 0;
}

static int check_rule(nm_check *c, uint32_t i) {
    const uint8_t *b = nm_rec(&c->m, SEC_RULES, i);
    nm_rule r;
    nm_decode_rule(&c->m, i, &r);
    if (r.t_epoch < 1 || r.t_epoch > 64) return bad_at(c, 8, b);
    if (r.graded > GRADED_WRAP - c->m.wide || (r.graded && !(r.traces & 1u))) return bad_at(c, 8, b + 1);
    if (r.traces > 31) return bad_at(c, 8, b + 2);
    if (r.flags > (FLAG_TAG1 | FLAG_TAG2)) return bad_at(c, 8, b + 3);
    if ((r.count[SUM_D] && !(r.flags & FLAG_TAG2)) || (r.count[SUM_T] && !(r.flags & FLAG_TAG1)))
        return bad_at(c, 7, b + 3);
    if (nm_u32(b + 4) > 0xFFFFFFFCu) return bad_at(c, 8, b + 4);     /* its streams take seed .. seed + 3 */
    if (!zeros(b + 30, 2) || b[61]) return bad_at(c, 8, b + 30);
    uint32_t modulators = 0;
    for (uint32_t k = 0; k < RULE_MODULATORS; k++) {
        if (r.modulator[k] > count_of(c, SEC_MODULATORS)) return bad_at(c, 7, b + 52);
        if (r.modulator[k] && modulators++ != k) return bad_at(c, 7, b + 52);
    }
    if (r.sum_shift > 31) return bad_at(c, 8, b + 60);
    const uint32_t decay = nm_u16(b + 62);
    if ((decay != 0) != (modulators && !c->rounding) || decay > count_of(c, SEC_DECAYS)) return bad_at(c, 7, b + 62);
    c->tags = (r.count[SUM_D] ? FLAG_TAG2 : 0u) | (r.count[SUM_T] ? FLAG_TAG1 : 0u);
    for (uint32_t s = 0; s < 3; s++) {
        if (!inside(r.first[s], r.count[s], count_of(c, SEC_PRODUCTS))) return bad_at(c, 7, b + 8 + 2 * s);
        for (uint32_t k = 0; k < r.count[s]; k++)
            if (check_reads(c, &r, (uint32_t)r.first[s] + k)) return 1;
    }
    if (r.flags != c->tags) return bad_at(c, 8, b + 3);
    for (uint32_t k = 0; k < TR_COUNT; k++)
        if (check_trace(c, &r, k, b + 20 + 2 * k)) return 1;
    for (uint32_t k = 0; k < STREAM_COUNT; k++) {
        const uint32_t ref = r.stream_ref[k];
        if (c->rounding ? ref != 0 : ref == 0 || ref > count_of(c, SEC_STREAMS)) return bad_at(c, 7, b + 32 + 4 * k);
    }
    if (r.flags) c->features |= 1u << 10;
    return 0;
}

/* ---- schedule and probes ---- */

static int check_schedule(nm_check *c, uint32_t i, uint32_t *step) {
    const uint8_t *b = nm_rec(&c->m, SEC_SCHEDULE, i);
    static const uint8_t kinds[3] = {SEC_PROJS, SEC_POPS, SEC_MODULATORS};
    const uint32_t object = nm_u16(b + 6);
    if (nm_u32(b) < *step) return bad_at(c, 8, b);
    *step = nm_u32(b);
    if (b[4] < 1 || b[4] > 3) return bad_at(c, 8, b + 4);
    if (b[4] == 3 ? b[5] || !in_range((int32_t)nm_u32(b + 8), -NM_MODULATOR_MAX, NM_MODULATOR_MAX)
                  : b[5] > 1 || !zeros(b + 8, 4)) return bad_at(c, 8, b + 5);
    if (object >= count_of(c, kinds[b[4] - 1])) return bad_at(c, 7, b + 6);
    if (b[4] == 1 && nm_u16(nm_rec(&c->m, SEC_PROJS, object) + 12) == 0) return bad_at(c, 7, b + 6);
    if (b[4] == 2 && (nm_rec(&c->m, SEC_POPS, object)[2] & OPT_ADAPT) == 0) return bad_at(c, 7, b + 6);
    c->features |= 1u << 11;
    return 0;
}

static int probed_pop(const nm_check *c, const nm_probe *p) {
    nm_pop pop;
    nm_decode_pop(&c->m, p->object, &pop);
    if (p->variable == 0) return 1;
    if (pop.kind == POP_INPUT) return 0;
    if (p->variable == ITEM_REFR) return pop.options & OPT_REFR;
    if (p->variable == ITEM_THETA || p->variable == ITEM_ADAPT) return pop.options & OPT_ADAPT;
    return p->variable == ITEM_U || p->variable == ITEM_V;
}

static int probed_proj(const nm_check *c, const nm_probe *p) {
    const uint32_t rule = nm_u16(nm_rec(&c->m, SEC_PROJS, p->object) + 12), code = p->variable;
    if (code == ITEM_RING) return 1;
    if (code >= ITEM_STP_U && code <= ITEM_SINCE) return nm_u16(nm_rec(&c->m, SEC_PROJS, p->object) + 14) != 0;
    if (rule == 0 || code < ITEM_RING || code >= ITEM_CODES) return 0;
    nm_rule r;
    nm_decode_rule(&c->m, rule - 1u, &r);
    if (code == ITEM_TAG1) return r.flags & FLAG_TAG1;
    if (code == ITEM_TAG2) return r.flags & FLAG_TAG2;
    if (code >= ITEM_TRACE && code < ITEM_TX) return r.traces >> (code - ITEM_TRACE) & 1u;
    return 1;
}

static int check_probe(nm_check *c, uint32_t i) {
    const uint8_t *b = nm_rec(&c->m, SEC_PROBES, i);
    nm_probe p;
    nm_decode_probe(&c->m, i, &p);
    static const uint8_t kinds[KIND_COUNT] = {SEC_POPS, SEC_PROJS, SEC_MODULATORS};
    if (p.kind >= KIND_COUNT) return bad_at(c, 8, b);
    if (p.object >= count_of(c, kinds[p.kind])) return bad_at(c, 7, b + 2);
    if (!(p.kind == KIND_MODULATOR ? p.variable == ITEM_M : p.kind ? probed_proj(c, &p) : probed_pop(c, &p)))
        return bad_at(c, 7, b + 1);
    if (p.every < 1) return bad_at(c, 8, b + 4);
    return zeros(b + 12, 4) ? 0 : bad_at(c, 8, b + 12);
}

static int check_contents(nm_check *c) {
    uint32_t step = 0;
    for (uint32_t i = 0; i < count_of(c, SEC_DECAYS); i++)
        if (check_table(c, i)) return 1;
    for (uint32_t i = 0; i < count_of(c, SEC_POPS); i++)
        if (check_pop(c, i)) return 1;
    for (uint32_t i = 0; i < count_of(c, SEC_MODULATORS); i++)
        if (check_modulator(c, i)) return 1;
    for (uint32_t i = 0; i < count_of(c, SEC_FACTORS); i++)
        if (check_factor(c, i)) return 1;
    for (uint32_t i = 0; i < count_of(c, SEC_PRODUCTS); i++)
        if (check_product(c, i)) return 1;
    for (uint32_t i = 0; i < count_of(c, SEC_RULES); i++)
        if (check_rule(c, i)) return 1;
    for (uint32_t i = 0; i < count_of(c, SEC_SHORT_TERM); i++)
        if (check_short_term(c, i)) return 1;
    for (uint32_t i = 0; i < count_of(c, SEC_PROJS); i++)
        if (check_proj(c, i)) return 1;
    for (uint32_t i = 0; i < count_of(c, SEC_SCHEDULE); i++)
        if (check_schedule(c, i, &step)) return 1;
    for (uint32_t i = 0; i < count_of(c, SEC_PROBES); i++)
        if (check_probe(c, i)) return 1;
    return c->features & ~nm_u32(c->image + 20) ? bad(c, 4, 20) : 0;
}

int nm_verify(const uint8_t *image, size_t len, const nm_limits *limits, nm_report *report) {
    nm_report unused;
    nm_check c;
    memset(&c, 0, sizeof c);
    c.image = image;
    c.report = report ? report : &unused;
    memset(c.report, 0, sizeof *c.report);
    if (check_header(&c, limits, len) || check_sections(&c) || check_machine(&c) || check_contents(&c))
        return NM_E_IMAGE;
    const uint32_t need = nm_layout(&c.m, NULL);
    if (need == UINT32_MAX || (limits && limits->arena_max && need > limits->arena_max)) {
        bad(&c, 9, 160);
        return NM_E_IMAGE;
    }
    c.report->arena = need;
    return NM_OK;
}
