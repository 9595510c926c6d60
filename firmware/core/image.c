/* Records of the image -> decoded structs. Reads bytes with a cursor of fixed offsets inside one record; the verifier
 * has proved that the record lies inside the image before it calls these, and checks the decoded values afterwards. */
#include "wide.h"
#include <string.h>

int nm_sections(nm_image *m, const uint8_t *base) {
    memset(m, 0, sizeof *m);
    m->base = base;
    m->wide = nm_u32(base + 16);
    const uint32_t n = nm_u16(base + 12);
    for (uint32_t i = 0; i < n; i++) {
        const uint8_t *p = base + 160 + 24 * i;
        const uint32_t type = nm_u16(p);
        if (type >= SEC_COUNT) continue;
        m->sec[type].off = nm_u32(p + 4);
        m->sec[type].count = nm_u32(p + 12);
        m->sec[type].stride = nm_u32(p + 16);
    }
    return NM_OK;
}

void nm_decode_pop(const nm_image *m, uint32_t i, nm_pop *p) {
    const uint8_t *b = nm_rec(m, SEC_POPS, i);
    memset(p, 0, sizeof *p);
    p->kind = b[0];
    p->arrays = b[1];
    p->options = b[2];
    p->n = nm_u32(b + 4);
    for (uint32_t k = 0; k < PAR_COUNT; k++) p->value[k] = (int32_t)nm_u32(b + 8 + 4 * k);
    p->reset_interval = nm_u32(b + 36);
    p->reset_offset = nm_u32(b + 40);
    p->theta_decay = nm_u16(b + 44);
    p->theta_period = b[46];
    p->theta_frac = b[47];
    if (m->sec[SEC_POPS].stride >= 72) {
        p->theta_drift = (int32_t)nm_u32(b + 64);
        p->theta_min = (int32_t)nm_u32(b + 68);
    }
    for (uint32_t k = 0; k < 3; k++) p->init_off[k] = nm_u32(b + 48 + 4 * k);
}

void nm_decode_proj(const nm_image *m, uint32_t i, nm_proj *p) {
    const uint8_t *b = nm_rec(m, SEC_PROJS, i);
    memset(p, 0, sizeof *p);
    p->pre = nm_u16(b);
    p->post = nm_u16(b + 2);
    p->layout = b[4];
    p->sign = b[5];
    p->graded = b[6];
    p->exp = (int8_t)b[7];
    p->element = b[8];
    p->delay_kind = b[9];
    p->delay = b[10];
    p->off = b[11];
    p->rule = nm_u16(b + 12);
    p->release = nm_u16(b + 14);
    p->w_off = nm_u32(b + 16);
    p->w_count = nm_u32(b + 20);
    p->d_off = nm_u32(b + 24);
    p->row0 = nm_u32(b + 28);
    p->target0 = nm_u32(b + 32);
    p->slots = (uint8_t)(p->delay + 1u);
    p->flip = p->sign == SIGN_INH && p->element == ELEM_U8 ? 0xFFFFFFFFu : 0u;
    const uint32_t half = p->element == ELEM_I8;   /* stored as w/2 */
    /* A release has 12 fractional bits. */
    const int32_t shift = p->exp - (p->release ? 12 : m->wide ? WIDE_WEIGHT_FRAC : 0);
    p->left = (uint8_t)((shift > 0 ? (uint32_t)shift : 0u) + half);
    p->right = (uint8_t)(shift < 0 ? -shift : 0);
    p->staged = p->delay_kind == 1 && shift < 0;
}

void nm_decode_rule(const nm_image *m, uint32_t i, nm_rule *r) {
    const uint8_t *b = nm_rec(m, SEC_RULES, i);
    memset(r, 0, sizeof *r);
    r->t_epoch = b[0];
    r->graded = b[1];
    r->traces = b[2];
    r->flags = b[3];
    for (uint32_t k = 0; k < 3; k++) {
        r->first[k] = nm_u16(b + 8 + 2 * k);
        r->count[k] = nm_u16(b + 14 + 2 * k);
    }
    for (uint32_t k = 0; k < TR_COUNT; k++) r->trace_ref[k] = nm_u16(b + 20 + 2 * k);
    for (uint32_t k = 0; k < STREAM_COUNT; k++) r->stream_ref[k] = nm_u32(b + 32 + 4 * k);
    for (uint32_t k = 0; k < RULE_MODULATORS; k++) r->modulator[k] = nm_u16(b + 52 + 2 * k);
    r->sum_shift = b[60];
}

void nm_decode_product(const nm_image *m, uint32_t i, nm_product *p) {
    const uint8_t *b = nm_rec(m, SEC_PRODUCTS, i);
    p->dep = b[0];
    p->k = b[1];
    p->mant = (int8_t)b[2];
    p->left = (uint8_t)((int8_t)b[3] + 7);
    p->first = nm_u16(b + 4);
    p->factors = b[6];
    p->right = 0;
    p->known_for = 0;
}

void nm_decode_factor(const nm_image *m, uint32_t i, nm_factor *f) {
    static const uint8_t bits[VAR_COUNT] = {1, 1, 7, 7, 7, 7, 7, 9, 9, 9, 8, 7, 7, 7, 7, 9};
    const uint8_t *b = nm_rec(m, SEC_FACTORS, i);
    f->var = b[0];
    f->form = b[1] & (FN_MASK | FN_MINUS);
    f->second = b[1] >> 3;
    f->add = (int16_t)nm_u16(b + 2);
    uint32_t width = bits[f->var < VAR_COUNT ? f->var : 0];
    if (f->second && f->second <= VAR_COUNT && bits[f->second - 1u] > width) width = bits[f->second - 1u];
    const uint32_t fn = f->form & FN_MASK;
    if (fn == FN_ON || (fn == FN_SGN && (f->second || f->var < VAR_W || f->var > VAR_T))) width = 1;
    f->bits = (uint8_t)width;
    f->hi = (int16_t)((1 << width) - 1);
    f->lo = (int16_t)-(1 << width);
}

/* max(0, 4 + sum(b) - 15), at most 31: the product is a 32-bit number. */
uint32_t nm_product_right(const nm_image *m, const nm_product *p) {
    uint32_t bits = 4;
    for (uint32_t i = 0; i < p->factors; i++) {
        nm_factor f;
        nm_decode_factor(m, p->first + i, &f);
        bits += f.bits;
    }
    bits = bits > 15 ? bits - 15 : 0;
    return nm_min(bits, 31);
}

uint32_t nm_rule_reads(const nm_image *m, const nm_rule *r) {
    uint32_t reads = 0;
    for (uint32_t s = 0; s < 3; s++)
        for (uint32_t k = 0; k < r->count[s]; k++) {
            nm_product q;
            nm_decode_product(m, (uint32_t)r->first[s] + k, &q);
            for (uint32_t x = 0; x < q.factors; x++) {
                nm_factor f;
                nm_decode_factor(m, q.first + x, &f);
                reads |= UINT32_C(1) << f.var | (f.second ? UINT32_C(1) << (f.second - 1u) : 0u);
            }
        }
    return reads;
}

int nm_paired(const nm_image *m, const nm_rule *r) {
    uint32_t n[2] = {0, 0};
    for (uint32_t s = 0; s < 3; s++) {
        for (uint32_t k = 0; k < r->count[s]; k++) {
            nm_product q;
            nm_decode_product(m, (uint32_t)r->first[s] + k, &q);
            if (q.dep == DEP_U ? q.k == 0 : s != SUM_W) return 0;
            if (q.dep != DEP_U) n[q.dep]++;
        }
    }
    return n[DEP_X0] == 1 && n[DEP_Y0] == 1;
}

void nm_decode_modulator(const nm_image *m, uint32_t i, nm_modulator *p) {
    const uint8_t *b = nm_rec(m, SEC_MODULATORS, i);
    memset(p, 0, sizeof *p);
    p->hold = b[0];
    p->each = b[1];
    p->of = nm_u16(b + 2);
    p->decay = nm_u16(b + 4);
    p->period = b[6];
    p->frac = b[7];
    p->first = nm_u32(b + 8);
    p->sources = nm_u16(b + 12);
    p->init = (int32_t)nm_u32(b + 16);
}

void nm_decode_probe(const nm_image *m, uint32_t i, nm_probe *p) {
    const uint8_t *b = nm_rec(m, SEC_PROBES, i);
    memset(p, 0, sizeof *p);
    p->kind = b[0];
    p->variable = b[1];
    p->object = nm_u16(b + 2);
    p->every = nm_u32(b + 4);
    p->phase = nm_u32(b + 8);
}
