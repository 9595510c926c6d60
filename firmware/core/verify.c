/* The verifier: rules R1..R11 of an image. Everything that the engine later takes for granted is checked here, in one
 * pass without recursion; lengths are compared in 64 bits or by subtraction from what is left. */
#include "verify_internal.h"
#include <string.h>

int nm_bad(nm_check *c, uint32_t rule, uint32_t offset) {
    c->report->rule = (uint8_t)rule;
    c->report->offset = offset;
    return 1;
}

int nm_bad_at(nm_check *c, uint32_t rule, const uint8_t *at) { return nm_bad(c, rule, (uint32_t)(at - c->image)); }

int nm_zeros(const uint8_t *p, uint32_t n) {
    uint32_t any = 0;
    for (uint32_t i = 0; i < n; i++) any |= p[i];
    return any == 0;
}

int nm_spend(nm_check *c, uint32_t n, const uint8_t *at) {
    c->work += n;
    return c->work > 8 * (uint64_t)c->len ? nm_bad_at(c, 6, at) : 0;
}

/* ---- header and section table ---- */

static int check_header(nm_check *c, const nm_limits *limits, size_t len) {
    const uint8_t *p = c->image;
    if (len < 160 || memcmp(p, "NMI\x1A", 4) != 0) return nm_bad(c, 1, 0);
    if (nm_u16(p + 4) != 160) return nm_bad(c, 1, 4);
    if (p[6] != 1) return nm_bad(c, 1, 6);
    c->len = nm_u32(p + 8);
    if (c->len != len || (limits && limits->image_max && c->len > limits->image_max)) return nm_bad(c, 2, 8);
#ifndef NM_VERIFY_NO_HASH
    uint8_t digest[32];
    nm_blake2s hash;
    if (nm_crc32c(0, p, 156) != nm_u32(p + 156)) return nm_bad(c, 3, 156);
    nm_blake2s_init(&hash);
    nm_blake2s_update(&hash, p, 96);
    nm_blake2s_update(&hash, p + 160, c->len - 160);
    nm_blake2s_final(&hash, digest);
    if (memcmp(digest, p + 96, 32) != 0) return nm_bad(c, 3, 96);
#endif
    if (nm_u32(p + 16) > NM_PROFILE_LAST) return nm_bad(c, 4, 16);
    if (nm_u32(p + 20) & ~(limits ? limits->features : NM_FEATURES_ALL)) return nm_bad(c, 4, 20);
    if (nm_u32(p + 24) != 0) return nm_bad(c, 4, 24);
    if (nm_u16(p + 28) != NM_SEMANTICS || nm_u16(p + 30) != 0) return nm_bad(c, 4, 28);
    if (!nm_zeros(p + 40, 24)) return nm_bad(c, 4, 40);
    if (!nm_zeros(p + 128, 28)) return nm_bad(c, 4, 128);
    if (nm_u32(p + HEADER_DEADLINE) > NM_DEADLINE_MAX) return nm_bad(c, 8, HEADER_DEADLINE);
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
    if ((off & 7u) != 0 || off < *end || off > c->len || length > c->len - off || (flags & ~3u)) return nm_bad_at(c, 5, p);
    *end = off + length;
    if ((uint64_t)stride * capacity != length || count > capacity) return nm_bad_at(c, 6, p);
    for (const uint8_t *q = c->image + 160; q < p; q += 24)
        if (nm_u16(q) == type) return nm_bad_at(c, 5, p);
    if (type == 0 || type >= SEC_COUNT) return flags & 1u ? 0 : nm_bad_at(c, 5, p);
    if ((flags & 2u) != (type == SEC_META || type == SEC_PROBES ? 0u : 2u)) return nm_bad_at(c, 5, p);
    if (stride < strides[type] || stride > 0xFFFFu) return nm_bad_at(c, 6, p);
    for (uint32_t k = 0; k < sizeof exact; k++)
        if (type == exact[k] && stride != strides[type]) return nm_bad_at(c, 6, p);
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
    if (memcmp(digest, c->image + 64, 32) != 0) return nm_bad(c, 3, 64);
#endif
    return 0;
}

static int check_sections(nm_check *c) {
    const uint32_t n = nm_u16(c->image + 12);
    if (n < 1 || n > 64 || nm_u16(c->image + 14) != 24 || 24 * n > c->len - 160) return nm_bad(c, 5, 12);
    c->m.base = c->image;
    c->m.wide = nm_u32(c->image + 16);
    uint32_t end = 160 + 24 * n;
    for (uint32_t i = 0; i < n; i++)
        if (check_entry(c, c->image + 160 + 24 * i, &end)) return 1;
    if (nm_count(c, SEC_POPS) == 0) return nm_bad(c, 5, 160);
    return check_digest(c, n);
}

static int check_machine(nm_check *c) {
    if (nm_count(c, SEC_MACHINE) != 1) return nm_bad(c, 5, 160);
    const uint8_t *p = nm_rec(&c->m, SEC_MACHINE, 0);
    if (nm_zeros(p, 8) || (p[7] & 0x80u)) return nm_bad_at(c, 8, p);
    c->rounding = p[12];
    if (c->rounding > 1) return nm_bad_at(c, 8, p + 12);
    if (p[13] != c->m.wide || !nm_zeros(p + 14, 2) || !nm_zeros(p + 22, 10)) return nm_bad_at(c, 8, p + 13);
    if (c->m.wide && !c->rounding) return nm_bad_at(c, 8, p + 12);
    static const uint8_t types[3] = {SEC_POPS, SEC_PROJS, SEC_RULES};
    for (uint32_t k = 0; k < 3; k++)
        if (nm_u16(p + 16 + 2 * k) != nm_count(c, types[k])) return nm_bad_at(c, 6, p + 16 + 2 * k);
    return 0;
}

/* ---- schedule and probes ---- */

static int check_schedule(nm_check *c, uint32_t i) {
    const uint8_t *b = nm_rec(&c->m, SEC_SCHEDULE, i);
    static const uint8_t kinds[3] = {SEC_PROJS, SEC_POPS, SEC_MODULATORS};
    const uint32_t object = nm_u16(b + 6);
    if (i && nm_u32(b) < nm_u32(nm_rec(&c->m, SEC_SCHEDULE, i - 1u))) return nm_bad_at(c, 8, b);
    if (b[4] < 1 || b[4] > 3) return nm_bad_at(c, 8, b + 4);
    if (b[4] == 3 ? b[5] || !nm_in_range((int32_t)nm_u32(b + 8), -NM_MODULATOR_MAX, NM_MODULATOR_MAX)
                  : b[5] > 1 || !nm_zeros(b + 8, 4)) return nm_bad_at(c, 8, b + 5);
    if (object >= nm_count(c, kinds[b[4] - 1])) return nm_bad_at(c, 7, b + 6);
    if (b[4] == 1 && nm_u16(nm_rec(&c->m, SEC_PROJS, object) + 12) == 0) return nm_bad_at(c, 7, b + 6);
    if (b[4] == 2 && (nm_rec(&c->m, SEC_POPS, object)[2] & OPT_ADAPT) == 0) return nm_bad_at(c, 7, b + 6);
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
    if (p.kind >= KIND_COUNT) return nm_bad_at(c, 8, b);
    if (p.object >= nm_count(c, kinds[p.kind])) return nm_bad_at(c, 7, b + 2);
    if (!(p.kind == KIND_MODULATOR ? p.variable == ITEM_M : p.kind ? probed_proj(c, &p) : probed_pop(c, &p)))
        return nm_bad_at(c, 7, b + 1);
    if (p.every < 1) return nm_bad_at(c, 8, b + 4);
    return nm_zeros(b + 12, 4) ? 0 : nm_bad_at(c, 8, b + 12);
}

/* In this order, which decides what is reported of an image that breaks several rules. */
static int check_contents(nm_check *c) {
    static const struct { uint8_t section; int (*check)(nm_check *c, uint32_t i); } kinds[] = {
        {SEC_DECAYS, nm_check_table}, {SEC_POPS, nm_check_pop}, {SEC_MODULATORS, nm_check_modulator},
        {SEC_FACTORS, nm_check_factor}, {SEC_PRODUCTS, nm_check_product}, {SEC_RULES, nm_check_rule},
        {SEC_SHORT_TERM, nm_check_short_term}, {SEC_PROJS, nm_check_proj}, {SEC_SCHEDULE, check_schedule},
        {SEC_PROBES, check_probe},
    };
    for (uint32_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
        for (uint32_t i = 0; i < nm_count(c, kinds[k].section); i++)
            if (kinds[k].check(c, i)) return 1;
    return c->features & ~nm_u32(c->image + 20) ? nm_bad(c, 4, 20) : 0;
}

/* What the machine has: memory (R9), time (R10), and what it has accepted before (R11). */
static int check_machine_limits(nm_check *c, const nm_limits *limits) {
    c->report->arena = nm_layout(&c->m, NULL);
    if (c->report->arena == UINT32_MAX) return nm_bad(c, 9, 160);
    if (!limits) return 0;
    if (limits->arena_max && c->report->arena > limits->arena_max) return nm_bad(c, 9, 160);
#ifndef NM_SMALL
    const uint32_t deadline = nm_u32(c->image + HEADER_DEADLINE);
    if (limits->speed) c->report->step_us = nm_step_us(&c->m, limits->speed);
    if (deadline && c->report->step_us > deadline) return nm_bad(c, 10, HEADER_DEADLINE);
#endif
    return nm_u32(c->image + HEADER_COUNTER) < limits->counter_least ? nm_bad(c, 11, HEADER_COUNTER) : 0;
}

int nm_verify(const uint8_t *image, size_t len, const nm_limits *limits, nm_report *report) {
    nm_report unused;
    nm_check c;
    memset(&c, 0, sizeof c);
    c.image = image;
    c.report = report ? report : &unused;
    memset(c.report, 0, sizeof *c.report);
    const int wrong = check_header(&c, limits, len) || check_sections(&c) || check_machine(&c) || check_contents(&c)
                      || check_machine_limits(&c, limits);
    return wrong ? NM_E_IMAGE : NM_OK;
}
