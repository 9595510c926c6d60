/* The loops of single.c for cores that have instructions for two halves of a word. What the weights are multiplied by,
 * or what is added, is prepared in halves: of each four lanes one word holds the first and the third, the next one the
 * second and the fourth, as bytes are taken apart. */
#include "lanes.h"

#if NM_DSP
enum { BYTE, SHORT, LIMITED, HALVES = 0x1000100 };      /* as in single.c */
/* What is prepared is added; or is multiplied first, by one value for all, or by the weight. */
enum { ADDED, SCALED, WEIGHT };
enum { ROW, COLUMN };

NM_INLINE uint32_t two_of(uint32_t low, uint32_t high) { return (low & 0xFFFFu) | high << 16; }
NM_INLINE uint32_t two_high(uint32_t low, uint32_t high) { return low >> 16 | (high & 0xFFFF0000u); }
NM_INLINE uint32_t two_mixed(uint32_t low, uint32_t high) { return (low & 0xFFFFu) | (high & 0xFFFF0000u); }
NM_INLINE uint32_t turned(uint32_t x) { return x >> 8 | x << 24; }
NM_INLINE uint32_t word_at(const void *p) {     /* anywhere */
    uint32_t x;
    __builtin_memcpy(&x, p, 4);
    return x;
}
NM_INLINE void put_word(void *p, uint32_t x) { __builtin_memcpy(p, &x, 4); }

/* ---- what is prepared ---- */

/* Of four traces the first and the third, with the constant and the limits; and, turned, the others. */
NM_INLINE uint32_t limited(uint32_t four, uint32_t add) {
    return (uint32_t)__builtin_arm_ssat16((int32_t)__builtin_arm_uxtab16((int32_t)add, (int32_t)four), 8);
}
NM_INLINE uint32_t times_low(uint32_t x, uint32_t y) { return (uint32_t)__builtin_arm_smulbb((int32_t)x, (int32_t)y); }
NM_INLINE uint32_t times_high(uint32_t x, uint32_t y) { return (uint32_t)__builtin_arm_smultt((int32_t)x, (int32_t)y); }
NM_INLINE uint32_t by_high(uint32_t x, uint32_t y) { return (uint32_t)__builtin_arm_smulbt((int32_t)x, (int32_t)y); }

NM_INLINE uint32_t product(uint32_t x, uint32_t y, uint32_t z, uint32_t s, uint32_t n) {
    if (n == 1) return x;
    const uint32_t low = times_low(x, y), high = times_high(x, y);
    if (n == 2) return two_of(low, high);
    return two_high(times_low(low, z) * s, by_high(high, z) * s);
}

/* To a multiple of eight lanes. */
NM_INLINE void traces(uint32_t *restrict out, uint32_t lanes, const nm_traces *of, uint32_t n) {
    const nm_traces y = *of;
    const uint8_t *restrict t = y.t[0], *restrict u = y.t[1], *restrict v = y.t[2];
    const uint32_t *const end = out + (lanes + 7u) / 8u * 4u;
    do {        /* without a count: there is no register for it */
        NM_UNROLL2 for (uint32_t k = 0; k < 2; k++) {
            const uint32_t x = word_at(t), z = n > 1 ? word_at(u) : 0, w = n > 2 ? word_at(v) : 0;
            const uint32_t a = turned(x), b = turned(z), c = turned(w);
            t += 4, u += 4, v += 4;
            NM_KEEP_APART(t);
            if (n > 1) NM_KEEP_APART(u);
            if (n > 2) NM_KEEP_APART(v);
            *out++ = product(limited(x, y.add[0]), limited(z, y.add[1]), limited(w, y.add[2]), y.s, n);
            *out++ = product(limited(a, y.add[0]), limited(b, y.add[1]), limited(c, y.add[2]), y.s, n);
        }
        NM_KEEP_APART(out);
    } while (out != end);
}
#define TRACES(n)                                                                                                      \
    static NM_NOINLINE void traces_##n(uint32_t *out, uint32_t lanes, const nm_traces *y) { traces(out, lanes, y, n); }
TRACES(1) TRACES(2) TRACES(3)

/* Words of 16 bits become halves, where they are. */
static NM_NOINLINE void halve(uint32_t *out, uint32_t lanes) {
    const uint32_t *from = out;
    for (uint32_t k = (lanes + 3u) / 4u; k; k--, from += 4, out += 2) {
        const uint32_t a = from[0], b = from[1], c = from[2], d = from[3];
        out[0] = two_of(a, c);
        out[1] = two_of(b, d);
    }
}

/* A function of a trace. */
static NM_NOINLINE void function(uint32_t *restrict out, uint32_t lanes, const nm_traces *of) {
    const nm_form h = of->form;
    const uint8_t *restrict t = of->t[0];
    for (uint32_t k = (lanes + 3u) / 4u; k; k--) {
        const int32_t a = nm_formed(*t++, h.plus, &h), b = nm_formed(*t++, h.plus, &h);
        const int32_t c = nm_formed(*t++, h.plus, &h), d = nm_formed(*t++, h.plus, &h);
        NM_KEEP_APART(t);
        *out++ = two_of((uint32_t)a, (uint32_t)c);
        *out++ = two_of((uint32_t)b, (uint32_t)d);
        NM_KEEP_APART(out);
    }
}

/* Finds the traces that a product is made of, but for the weight: which loop takes them. */
static void take_start(const nm_line *c, const nm_product *q, nm_single *how) {
    static nm_traces_loop *const loop[3] = {traces_1, traces_2, traces_3};
    const nm_factor *f = c->e->factor + q->first, *first = f;
    uint32_t n = 0, formed = 0;
    how->traces.s = how->s << nm_ahead(q->right);
    how->take = 0;
    for (uint32_t k = 0, left = q->varies[c->column]; left; k++, left >>= 1) {
        if (!(left & 1u) || k == q->weight[c->column]) continue;
        if (n == 3 || f[k].second || f[k].var < VAR_X1 || f[k].var > VAR_Y3) return;
        formed |= f[k].form;
        how->traces.add[n] = ((uint32_t)f[k].add & 0xFFFFu) * 0x10001u;
        how->trace[n++] = (uint8_t)(f[k].var - VAR_X1 + TR_X1);
        first = n == 1 ? f + k : first;
    }
    if (n == 0 || (formed && n > 1)) return;
    if (formed) how->traces.form = nm_form_of(first);
    how->factors = (uint8_t)n;
    how->take = formed ? function : loop[n - 1];
}

/* The traces are read past the last lane, to the end of a word: whatever follows them in the arena. */
void nm_alike_halves(nm_line *c, const nm_product *q, nm_single *how, const nm_lanes *a) {
    if (how->take) {
        const uint32_t time = nm_history_time(c, q), now = time == c->r->t_epoch;
        for (uint32_t k = 0; k < how->factors; k++) {
            const uint32_t trace = how->trace[k];
            how->traces.t[k] = (now ? c->l->trace[trace] : nm_history(c->e, c->p, trace, time)) + a->first;
        }
        how->take((uint32_t *)c->p1, a->n, &how->traces);
    } else {
        nm_alike(c, q, how->s, a);
        halve((uint32_t *)c->p1, a->n);
    }
    if (c->lines == 1) c->alike = 0;    /* nothing is to be prepared for others */
    else nm_note_alike(c, q, how->s, a, 1);
}

/* ---- weights ---- */

/* What is added before it is scaled, of the lower or the upper half of t: times the one for all, or a weight. */
NM_INLINE int32_t times(uint32_t value, uint32_t t, uint32_t high, const nm_change *y, uint32_t what) {
    const int32_t x = (int32_t)(what == WEIGHT ? value * y->s + y->add : y->add);
    return high ? __builtin_arm_smulwt(x, (int32_t)t) : __builtin_arm_smulwb(x, (int32_t)t);
}
/* A new value: `start`, the old one above its number, plus what is added. Limits as single.c has them. */
NM_INLINE uint32_t next(uint32_t start, uint32_t value, uint32_t t, uint32_t high, const nm_change *y, uint32_t what,
                        uint32_t kind) {
    int32_t sum = kind == LIMITED ? y->half : (int32_t)start;
    if (what != ADDED) sum += times(value, t, high, y, what) * y->scale;
    else if (high) sum = __builtin_arm_smlatb((int32_t)t, y->scale, sum);
    else sum = __builtin_arm_smlabb((int32_t)t, y->scale, sum);
    if (kind == LIMITED) sum = (int32_t)start + (nm_clip(sum, -65536, 65535) * 256 + y->less);
    return (uint32_t)nm_clip(sum >> 16, kind == BYTE ? 0 : -256, 255);
}

/* Four weights, each above its number. */
NM_INLINE void starts_of_bytes(uint32_t *out, uint32_t four, uint32_t na, uint32_t nb) {
    const uint32_t even = (uint32_t)__builtin_arm_uxtb16((int32_t)four);
    const uint32_t odd = (uint32_t)__builtin_arm_uxtb16((int32_t)turned(four));
    out[0] = two_of(na, even);
    out[1] = two_of(na >> 16, odd);
    out[2] = two_mixed(nb, even);
    out[3] = two_high(nb, odd);
}

NM_INLINE void change(void *stored, const nm_change *how, const nm_lanes *a, uint32_t what, uint32_t kind, uint32_t own,
                      uint32_t where) {
    nm_change y = *how;
    uint8_t *restrict bytes = (uint8_t *)stored + (kind == BYTE ? a->base : 0);
    int16_t *restrict shorts = (int16_t *)stored + (kind == BYTE ? 0 : a->base);
    const uint32_t *restrict t = (const uint32_t *)y.t, *restrict number = y.number;
    uint32_t stride = where == ROW ? 1 : a->stride;
    const uint32_t halves = own && kind == LIMITED ? HALVES : 0;
    const uint32_t same = kind == LIMITED ? 0 : two_of((uint32_t)y.up, (uint32_t)y.up);
    if (own) y.less = -512;
    for (uint32_t n = a->n / 4; n; n--) {
        const uint32_t ta = *t++;
        if (where == COLUMN && kind == LIMITED) NM_KEEP_APART(t);
        const uint32_t tb = *t++;
        NM_KEEP_APART(t);
        if (where == ROW && what != WEIGHT && kind == BYTE) {
            uint32_t w[4], na = own ? *number++ : same;
            if (own) NM_KEEP_APART(number);
            uint32_t nb = own ? *number++ : same;
            if (own) NM_KEEP_APART(number);
            if (own) NM_KEEP_APART(na);
            if (own) NM_KEEP_APART(nb);
            starts_of_bytes(w, word_at(bytes), na, nb);
            NM_UNROLL4 for (uint32_t k = 0; k < 4; k++)
                w[k] = next(w[k], 0, k & 1u ? tb : ta, k >> 1, &y, what, kind);
            put_word(bytes, w[0] | w[1] << 8 | w[2] << 16 | w[3] << 24);
            bytes += 4;
            continue;
        }
        if (where == ROW && what != WEIGHT) {
            NM_UNROLL2 for (uint32_t k = 0; k < 2; k++) {
                uint32_t up = own ? *number++ | halves : same;
                if (own) NM_KEEP_APART(number);
                if (own && kind == LIMITED) NM_KEEP_APART(up);
                const uint32_t w = word_at(shorts);
                uint32_t low = two_of(up, w), high = two_high(up, w);
                if (kind == LIMITED) NM_KEEP_APART(low);
                low = next(low, 0, ta, k, &y, what, kind);
                high = next(high, 0, tb, k, &y, what, kind);
                put_word(shorts, two_of(low, high));
                shorts += 2;
                NM_KEEP_APART(shorts);
            }
            continue;
        }
        NM_UNROLL2 for (uint32_t k = 0; k < 2; k++) {
            uint32_t up = own ? *number++ | halves : same;
            if (own) NM_KEEP_APART(number);
            if (own && kind == LIMITED) NM_KEEP_APART(up);
            NM_UNROLL2 for (uint32_t odd = 0; odd < 2; odd++) {
                const uint32_t value = kind == BYTE ? bytes[odd * stride] : (uint32_t)shorts[odd * stride];
                uint32_t start = two_of(odd ? up >> 16 : up, value);
                if (kind == LIMITED) NM_KEEP_APART(start);
                const uint32_t w = next(start, value, odd ? tb : ta, k, &y, what, kind);
                if (kind == BYTE) bytes[odd * stride] = (uint8_t)w;
                else shorts[odd * stride] = (int16_t)w;
            }
            if (where == COLUMN) NM_KEEP_APART(stride);     /* no register for twice the stride */
            bytes += 2 * stride, shorts += 2 * stride;
            if (kind == BYTE) NM_KEEP_APART(bytes);
            if (kind != BYTE) NM_KEEP_APART(shorts);
        }
    }
}

#define CHANGE(what, kind, own, where)                                                                                 \
    static NM_NOINLINE void change_##what##_##kind##_##own##_##where(void *stored, const nm_change *y,                 \
                                                                     const nm_lanes *a) {                              \
        change(stored, y, a, what, kind, own, where);                                                                  \
    }
#define BOTH(what, kind)                                                                                               \
    CHANGE(what, kind, 0, ROW) CHANGE(what, kind, 1, ROW) CHANGE(what, kind, 0, COLUMN) CHANGE(what, kind, 1, COLUMN)
#define OF_BOTH(what, kind)                                                                                            \
    {change_##what##_##kind##_0_ROW, change_##what##_##kind##_1_ROW},                                                  \
    {change_##what##_##kind##_0_COLUMN, change_##what##_##kind##_1_COLUMN}
BOTH(ADDED, BYTE) BOTH(ADDED, SHORT) BOTH(ADDED, LIMITED)
BOTH(SCALED, BYTE) BOTH(SCALED, SHORT) BOTH(SCALED, LIMITED)
BOTH(WEIGHT, BYTE) BOTH(WEIGHT, SHORT) BOTH(WEIGHT, LIMITED)

void nm_halves_start(nm_line *c, const nm_product *q, nm_single *how, uint32_t kind) {
    static nm_change_loop *const loop[3][3][2][2] = {
        {{OF_BOTH(ADDED, BYTE)}, {OF_BOTH(ADDED, SHORT)}, {OF_BOTH(ADDED, LIMITED)}},
        {{OF_BOTH(SCALED, BYTE)}, {OF_BOTH(SCALED, SHORT)}, {OF_BOTH(SCALED, LIMITED)}},
        {{OF_BOTH(WEIGHT, BYTE)}, {OF_BOTH(WEIGHT, SHORT)}, {OF_BOTH(WEIGHT, LIMITED)}},
    };
    const int32_t scale = how->y.scale;
    const int added = q->weight[c->column] == ENDED && scale <= INT16_MAX && scale >= INT16_MIN;
    how->loop = loop[how->y.s ? WEIGHT : added ? ADDED : SCALED][kind][c->column][how->own];
    take_start(c, q, how);
}

/* The lanes after the last four, in a place of their own. */
void nm_change_rest(const nm_single *how, void *stored, const nm_lanes *a, uint32_t is_byte) {
    const uint32_t done = a->n & ~3u, rest = a->n & 3u, at = a->base + done * a->stride;
    const nm_lanes four = {.n = 4, .stride = 1};
    uint8_t *bytes = (uint8_t *)stored + (is_byte ? at : 0);
    int16_t *shorts = (int16_t *)stored + (is_byte ? 0 : at);
    union { uint8_t bytes[4]; int16_t shorts[4]; } few = {.shorts = {0, 0, 0, 0}};
    nm_change y = how->y;
    y.t += done / 2;
    y.number += done / 2;
    for (uint32_t k = 0; k < rest; k++) {
        if (is_byte) few.bytes[k] = bytes[k * a->stride];
        else few.shorts[k] = shorts[k * a->stride];
    }
    how->loop(&few, &y, &four);
    for (uint32_t k = 0; k < rest; k++) {
        if (is_byte) bytes[k * a->stride] = few.bytes[k];
        else shorts[k * a->stride] = few.shorts[k];
    }
}
#endif
