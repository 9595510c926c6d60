/* What weights are multiplied by, or what is added to them, in halves of words. */
#include "halves.h"

#if NM_DSP
/* Four traces with the constant and the limits; of them the first and the third, and, turned, the others. */
NM_INLINE uint32_t with_constant(uint32_t four, uint32_t add) {
    return (uint32_t)__builtin_arm_qadd8((int32_t)four, (int32_t)add);
}
NM_INLINE uint32_t halves_of(uint32_t four) { return (uint32_t)__builtin_arm_sxtb16((int32_t)four); }
NM_INLINE uint32_t times_low(uint32_t x, uint32_t y) { return (uint32_t)__builtin_arm_smulbb((int32_t)x, (int32_t)y); }
NM_INLINE uint32_t times_high(uint32_t x, uint32_t y) { return (uint32_t)__builtin_arm_smultt((int32_t)x, (int32_t)y); }
NM_INLINE uint32_t by_high(uint32_t x, uint32_t y) { return (uint32_t)__builtin_arm_smulbt((int32_t)x, (int32_t)y); }

/* Of two lanes, in the lower halves, or of three traces in the upper ones. */
typedef struct { uint32_t low, high; } two_lanes;
NM_INLINE two_lanes product(uint32_t x, uint32_t y, uint32_t z, uint32_t s, uint32_t n) {
    two_lanes p = {x, x >> 16};
    if (n > 1) p.low = times_low(x, y), p.high = times_high(x, y);
    if (n > 2) p.low = times_low(p.low, z) * s, p.high = by_high(p.high, z) * s;
    return p;
}

/* To a multiple of eight lanes; the bits of `invert` inverted. */
NM_INLINE void traces(uint32_t *restrict out, uint32_t lanes, const nm_traces *of, uint32_t n, uint32_t invert) {
    const nm_traces y = *of;
    const uint8_t *restrict t = y.t[0], *restrict u = y.t[1], *restrict v = y.t[2];
    const uint32_t *const end = out + (lanes + 7u) / 8u * 4u;
    do {        /* without a count: there is no register for it */
        NM_UNROLL2 for (uint32_t k = 0; k < 2; k++) {
            const uint32_t x = with_constant(word_at(t), y.add[0]), z = n > 1 ? with_constant(word_at(u), y.add[1]) : 0;
            const uint32_t w = n > 2 ? with_constant(word_at(v), y.add[2]) : 0;
            t += 4, u += 4, v += 4;
            NM_KEEP_APART(t);
            if (n > 1) NM_KEEP_APART(u);
            if (n > 2) NM_KEEP_APART(v);
            const two_lanes even = product(halves_of(x), halves_of(z), halves_of(w), y.s, n);
            const two_lanes odd = product(halves_of(turned(x)), halves_of(turned(z)), halves_of(turned(w)), y.s, n);
            const uint32_t a = n > 2 ? two_high(even.low, odd.low) : two_of(even.low, odd.low);
            const uint32_t b = n > 2 ? two_high(even.high, odd.high) : two_of(even.high, odd.high);
            out = put_words(out, a ^ invert, b ^ invert);
        }
    } while (out != end);
}
#define TRACES(name, n, invert)                                                                                        \
    static NM_NOINLINE void name(uint32_t *out, uint32_t lanes, const nm_traces *y) { traces(out, lanes, y, n, invert); }
TRACES(traces_1, 1, 0) TRACES(traces_2, 2, 0) TRACES(traces_3, 3, 0) TRACES(inverted_3, 3, UINT32_MAX)

/* Words of 16 bits become halves, where they are. */
static NM_NOINLINE void halve(uint32_t *out, uint32_t lanes) {
    const uint32_t *from = out;
    for (uint32_t k = (lanes + 3u) / 4u; k; k--, from += 4, out += 2) {
        const uint32_t a = from[0], b = from[1], c = from[2], d = from[3];
        out[0] = two_of(a, b);
        out[1] = two_of(c, d);
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
        *out++ = two_of((uint32_t)a, (uint32_t)b);
        *out++ = two_of((uint32_t)c, (uint32_t)d);
        NM_KEEP_APART(out);
    }
}

/* What a function has beside the weight: a trace, or less it, or none, and a constant. */
static NM_NOINLINE void beside(uint32_t *restrict out, uint32_t lanes, const nm_traces *of) {
    const nm_traces y = *of;
    const uint8_t *restrict t = y.t[0];
    for (uint32_t k = (lanes + 3u) / 4u; k; k--) {
        const uint32_t four = (word_at(t) & y.keep) ^ y.invert;
        const uint32_t even = (uint32_t)__builtin_arm_uxtab16((int32_t)y.add[0], (int32_t)four);
        const uint32_t odd = (uint32_t)__builtin_arm_uxtab16((int32_t)y.add[0], (int32_t)turned(four));
        t += 4;
        out = put_words(out, two_of(even, odd), two_mixed(even >> 16, odd));
    }
}

/* No trace at all. */
static NM_NOINLINE void ones(uint32_t *out, uint32_t lanes, const nm_traces *of) {
    (void)of;
    for (uint32_t k = (lanes + 3u) / 4u; k; k--) out = put_words(out, 0x10001u, 0x10001u);
}

void nm_take_start(const nm_line *c, const nm_product *q, nm_single *how) {
    static nm_traces_loop *const loop[3] = {traces_1, traces_2, traces_3};
    const nm_factor *f = c->e->factor + q->first, *first = f;
    uint32_t n = 0, formed = 0;
    how->traces.s = how->s << nm_ahead(q->right);
    how->take = 0;
    how->from = 0;
    for (uint32_t k = 0, left = q->varies[c->column]; left; k++, left >>= 1) {
        if (!(left & 1u) || k == q->weight[c->column]) continue;
        const uint32_t graded = f[k].var == VAR_X1 && c->r->graded;      /* up to 128 */
        if (n == 3 || graded || f[k].second || f[k].var < VAR_X1 || f[k].var > VAR_Y3 || f[k].add < -128) return;
        formed |= f[k].form;
        how->traces.add[n] = (uint32_t)(f[k].add > 127 ? 127 : f[k].add & 0xFF) * 0x1010101u;
        how->trace[n++] = (uint8_t)(f[k].var - VAR_X1 + TR_X1);
        first = n == 1 ? f + k : first;
    }
    if (formed && n > 1) return;
    if (formed) how->traces.form = nm_form_of(first);
    how->factors = (uint8_t)n;
    how->take = formed ? function : n ? loop[n - 1] : ones;
}

int nm_take_inverted(nm_single *how) {
    if (how->take != traces_3) return 0;
    how->take = inverted_3;
    return 1;
}

int nm_can_halve(const nm_line *c, const nm_product *q, const nm_factor *f, const nm_lanes *a) {
    return nm_form_bytes(c, q, f, a) != 0;
}

/* w + t + constant, t - w + constant and so on, or less them so that the weight is added to what is prepared. The limits of
 * the function are taken off at 32767 and at 0; what that adds to it is taken from what is added to the weight. */
void nm_beside_start(const nm_line *c, const nm_factor *f, nm_single *how) {
    const uint32_t function = f->form & FN_MASK, first = f->var == VAR_W, minus = f->second && f->form & FN_MINUS;
    const int32_t high = function == FN_SGN || function == FN_ON ? 1 : (1 << f->bits) - 1;
    const int32_t low = function == FN_SGN ? -1 : function == FN_NONE ? -high - 1 : 0;
    const int32_t weight = first || !minus ? 1 : -1, least = weight > 0 ? low : -high, most = weight > 0 ? high : -low;
    nm_traces *of = &how->traces;
    nm_change *y = &how->y;
    of->keep = f->second ? UINT32_MAX : 0;
    of->invert = minus ? UINT32_MAX : 0;        /* 255 - t */
    of->add[0] = ((uint32_t)(weight * f->add - (minus ? 255 : 0)) & 0xFFFFu) * 0x10001u;
    of->t[0] = c->column ? c->l->tx : c->l->ty;         /* anything, where none is kept */
    y->above = (uint32_t)(32767 - most) * 0x10001u;
    y->below = (uint32_t)(32767 - most + least) * 0x10001u;
    y->scale *= weight;
    y->half = (int32_t)((uint32_t)y->half + (uint32_t)least * (uint32_t)y->scale);
    how->factors = f->second != 0;
    how->trace[0] = (uint8_t)((first ? f->second - 1u : f->var) - VAR_X1 + TR_X1);
    how->from = 0;
    how->take = beside;
}

/* Where the traces lie: always at the same place if an epoch is one step. */
static NM_NOINLINE void find_traces(const nm_line *c, const nm_product *q, nm_single *how, const nm_lanes *a) {
    const uint32_t time = nm_history_time(c, q), now = time == c->r->t_epoch;
    for (uint32_t k = 0; k < how->factors; k++) {
        const uint32_t trace = how->trace[k];
        how->traces.t[k] = (now ? c->l->trace[trace] : nm_history(c->e, c->p, trace, time)) + a->first;
    }
    how->from = c->r->t_epoch == 1 ? c->l : 0;
    how->first = a->first;
}

/* The traces are read past the last lane, to the end of a word: whatever follows them in the arena. */
void nm_alike_halves(nm_line *c, const nm_product *q, nm_single *how, const nm_lanes *a) {
    if (how->take) {
        if (how->from != c->l || how->first != a->first) find_traces(c, q, how, a);
        how->take((uint32_t *)c->p1, a->n, &how->traces);
    } else {
        nm_alike(c, q, how->s, a);
        halve((uint32_t *)c->p1, a->n);
    }
    if (c->lines == 1) c->alike = 0;    /* nothing is to be prepared for others */
    else nm_note_alike(c, q, how->s, a, 1);
}
#endif
