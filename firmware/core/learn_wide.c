/* Sums of products in profile wide, docs/semantics.md 6. A factor has 16 bits of magnitude, 2^16 at the end of its
 * width; a product 26 bits below the product of all ends; the accumulator 14 bits below a step of the weight. Nothing
 * needs more than 32 bits. Factors multiply in their order, since each multiplication drops bits. */
#include "wide.h"

#if defined(NM_SMALL)   /* no image that the verifier takes comes here */
void nm_wide_shifts(const nm_image *m, nm_product *p) { (void)m, (void)p; }
void nm_wide_lanes(nm_line *c, const nm_lanes *a) { (void)c, (void)a; }
#else

#define FULL (INT32_C(1) << 16)
#define ACC_MAX (INT32_C(1) << 30)  /* twice the range of weights: what products add and take meets no end between */
#define ACC_FRAC 14u
#define CONSTANT_FRAC 6u
#define GAIN_BITS 11u               /* of the widths of a product's factors; the hidden shift takes the others */

void nm_wide_shifts(const nm_image *m, nm_product *p) {
    uint32_t bits = 0;
    for (uint32_t i = 0; i < p->factors; i++) {
        nm_factor f;
        nm_decode_factor(m, p->first + i, &f);
        bits += f.bits;
    }
    const int32_t exp = (int8_t)p->left - 7, shift = exp + (int32_t)nm_min(bits, GAIN_BITS) - 5;
    p->left = (uint8_t)(shift > 0 ? shift : 0);
    p->right = (uint8_t)(shift < 0 ? -shift : 0);
}

/* p * f / 2^16, floored: |p| <= 2^29 and |f| <= 2^16 leave each part within 32 bits. */
NM_INLINE int32_t times(int32_t p, int32_t f) {
    return ((p >> 15) * f + (((p & 32767) * f) >> 15)) >> 1;
}

/* ---- variables ---- */

/* How a variable comes to the fractional bits of its factor. */
typedef struct { uint32_t left, right; } shifts;

static shifts bring(uint32_t var, uint32_t bits) {
    static const uint8_t have[VAR_COUNT] = {0, 0, 8, 8, 8, 8, 8, 7, 7, 7, 0, 9, 9, 9, 9, 7};
    const uint32_t want = 16u - bits, from = have[var];
    const shifts s = {want > from ? want - from : 0, want > from ? 0 : from - want};
    return s;
}

NM_INLINE int32_t brought(int32_t x, shifts s) { return x * (INT32_C(1) << s.left) >> s.right; }

/* With 9 fractional bits, saturated at 16 bits of magnitude. */
static int32_t modulator(const nm_line *c, uint32_t which, uint32_t j) {
    const nm_modulator *m = c->e->modulator + (c->r->modulator[which] - 1);
    const int32_t x = m->value[m->of ? j : 0];
    if (m->frac >= 9) return nm_clip(x >> (m->frac - 9), -FULL, FULL - 1);
    const int32_t left = 9 - m->frac, end = FULL >> left;
    return x >= end ? FULL - 1 : x < -end ? -FULL : x * (INT32_C(1) << left);
}

static int32_t resource(const nm_line *c, uint32_t j) {
    return nm_clip(c->e->sums[j] >> c->r->sum_shift, -FULL, FULL - 1);
}

static uint32_t far_end(const nm_lanes *a, uint32_t k) { return a->other ? a->other[k] : a->first + k; }

/* Is each lane's trace read at the time of its own target's spike? */
static int at_ty(const nm_line *c, const nm_product *q) {
    return q->dep == DEP_Y0 && !c->column && c->r->t_epoch > 1;
}

static uint32_t time_of(const nm_line *c, const nm_product *q) {
    return q->dep == DEP_X0 || c->column ? c->when : c->r->t_epoch;
}

static int is_constant(const nm_line *c, const nm_product *q, uint32_t var) {
    const int of_source = var == VAR_X0 || var == VAR_X1 || var == VAR_X2;
    if (var == VAR_ONE) return 1;
    if (var >= VAR_W && var <= VAR_T) return 0;
    if (var >= VAR_M1 && var <= VAR_M4 && !c->e->modulator[c->r->modulator[var - VAR_M1] - 1].of) return 1;
    if (c->column) return !of_source;
    return of_source && (var == VAR_X0 || !at_ty(c, q));
}

static int32_t constant(const nm_line *c, const nm_product *q, uint32_t var) {
    if (var == VAR_ONE) return 0;
    if (var == VAR_Q) return resource(c, c->self);
    if (var > VAR_ONE) return modulator(c, var - VAR_M1, c->column ? c->self : 0);
    if (var <= VAR_Y0) return c->when != 0;
    return nm_wide_history(c->e, c->p, var - VAR_X1, time_of(c, q))[c->self];
}

static void along(int32_t *restrict out, const uint16_t *restrict from, const nm_lanes *a, shifts s) {
    const uint32_t n = a->n, *restrict other = a->other;
    if (other) {
        for (uint32_t k = 0; k < n; k++) out[k] = brought(from[other[k]], s);
    } else {
        from += a->first;
        NM_UNROLL4 for (uint32_t k = 0; k < n; k++) out[k] = brought(from[k], s);
    }
}

/* A trace at each target's last spike; lanes without one are masked by the dependency. */
static void along_ty(const nm_line *c, int32_t *out, uint32_t trace, const nm_lanes *a, shifts s) {
    for (uint32_t k = 0; k < a->n; k++) {
        const uint32_t j = far_end(a, k), when = c->l->ty[j];
        out[k] = when ? brought(nm_wide_history(c->e, c->p, trace, when)[trace < TR_Y1 ? c->self : j], s) : 0;
    }
}

/* The values of a variable along the lanes. */
static void fetch(const nm_line *c, const nm_product *q, uint32_t var, const nm_lanes *a, shifts s, int32_t *out) {
    if (is_constant(c, q, var)) {
        const int32_t x = brought(constant(c, q, var), s);
        for (uint32_t k = 0; k < a->n; k++) out[k] = x;
    } else if (var > VAR_ONE) {
        for (uint32_t k = 0; k < a->n; k++) {
            const uint32_t j = far_end(a, k);
            out[k] = brought(var == VAR_Q ? resource(c, j) : modulator(c, var - VAR_M1, j), s);
        }
    } else if (var >= VAR_W) {
        const int32_t *old = c->old[var - VAR_W];
        for (uint32_t k = 0; k < a->n; k++) out[k] = brought(old[k], s);
    } else if (var <= VAR_Y0) {
        const uint8_t *spiked = var == VAR_X0 ? c->l->tx : c->l->ty;
        for (uint32_t k = 0; k < a->n; k++) out[k] = brought(spiked[far_end(a, k)] != 0, s);
    } else if (at_ty(c, q)) {
        along_ty(c, out, var - VAR_X1, a, s);
    } else {
        along(out, nm_wide_history(c->e, c->p, var - VAR_X1, time_of(c, q)), a, s);
    }
}

/* ---- factors and products ---- */

static int32_t shaped(const nm_factor *f, int32_t x) {
    const int32_t one = INT32_C(1) << (16u - f->bits);
    switch (f->form & FN_MASK) {
    case FN_SGN: return one * ((x > 0) - (x < 0));
    case FN_POS: return nm_clip(x, 0, FULL - 1);
    case FN_ON: return one * (x > 0);
    default: return nm_clip(x, -FULL, FULL - 1);
    }
}

/* The values of a factor to c->p2; returns whether they are all the same, then only in the first. */
static int factor(nm_line *c, const nm_product *q, const nm_factor *f, const nm_lanes *a) {
    const shifts s = bring(f->var, f->bits), second = f->second ? bring(f->second - 1u, f->bits) : s;
    const int32_t add = f->add * (INT32_C(1) << (16u - CONSTANT_FRAC - f->bits)), sign = f->form & FN_MINUS ? -1 : 1;
    const int same = is_constant(c, q, f->var) && (!f->second || is_constant(c, q, f->second - 1u));
    int32_t *v = c->p2;
    if (same) {
        const int32_t other = f->second ? brought(constant(c, q, f->second - 1u), second) : 0;
        v[0] = shaped(f, brought(constant(c, q, f->var), s) + sign * other + add);
        return 1;
    }
    fetch(c, q, f->var, a, s, v);
    if (f->second) {
        fetch(c, q, f->second - 1u, a, second, c->p3);
        for (uint32_t k = 0; k < a->n; k++) v[k] += sign * c->p3[k];
    }
    if (f->form & FN_MASK)
        for (uint32_t k = 0; k < a->n; k++) v[k] = shaped(f, v[k] + add);
    else if (add || f->second || f->bits < 9)
        for (uint32_t k = 0; k < a->n; k++) v[k] = nm_clip(v[k] + add, -FULL, FULL - 1);
    return 0;
}

/* A product to c->p1, or to *scalar if it is the same for all lanes: returns whether. */
static int product(nm_line *c, const nm_product *q, const nm_lanes *a, int32_t *scalar) {
    const int32_t start = q->mant * INT32_C(1024);
    int32_t p = q->mant * (INT32_C(1) << 26);
    int same = 1;
    for (uint32_t x = 0; x < q->factors; x++) {
        const int one = factor(c, q, c->e->factor + q->first + x, a);
        const int32_t f = c->p2[0], *restrict v = c->p2;
        int32_t *restrict out = c->p1;
        if (same && one) {
            p = x ? times(p, f) : f * start;
        } else if (same && !x) {
            NM_UNROLL4 for (uint32_t k = 0; k < a->n; k++) out[k] = v[k] * start;
        } else if (same) {
            for (uint32_t k = 0; k < a->n; k++) out[k] = times(p, v[k]);
        } else if (one) {
            for (uint32_t k = 0; k < a->n; k++) out[k] = times(out[k], f);
        } else {
            for (uint32_t k = 0; k < a->n; k++) out[k] = times(out[k], v[k]);
        }
        same = same && one;
    }
    *scalar = p;
    return same;
}

static int32_t change_of(int32_t p, const nm_product *q) {
    const int32_t end = ACC_MAX >> q->left;
    return (nm_clip(p, -end, end) * (INT32_C(1) << q->left)) >> q->right;
}

static void add_product(nm_line *c, const nm_product *q, const nm_lanes *a) {
    int32_t p, *restrict acc = c->acc, *restrict change = c->p1;
    const uint32_t n = a->n, right = q->right;
    if (product(c, q, a, &p)) {
        const int32_t all = change_of(p, q);
        for (uint32_t k = 0; k < n; k++) change[k] = all;
    } else if (q->left) {
        for (uint32_t k = 0; k < n; k++) change[k] = change_of(change[k], q);
    } else {
        NM_UNROLL4 for (uint32_t k = 0; k < n; k++) change[k] >>= right;
    }
    if (q->dep == DEP_Y0 && a->active == 1)
        for (uint32_t k = 0; k < n; k++)
            if (!c->l->ty[far_end(a, k)]) change[k] = 0;
    NM_UNROLL4 for (uint32_t k = 0; k < n; k++) acc[k] = nm_clip(acc[k] + change[k], -ACC_MAX, ACC_MAX - 1);
}

/* ---- weights and tags ---- */

static int16_t *stored(const nm_line *c, uint32_t sum) {
    return sum == SUM_W ? (int16_t *)(uintptr_t)c->p->w : sum == SUM_D ? c->l->tag2 : c->l->tag1;
}

static void load(int32_t *restrict out, const int16_t *restrict w, const nm_lanes *a, int32_t one) {
    const uint32_t n = a->n, stride = a->stride, *restrict syn = a->syn;
    w += a->base;
    if (syn) for (uint32_t k = 0; k < n; k++) out[k] = w[syn[k] * stride] * one;
    else NM_UNROLL4 for (uint32_t k = 0, at = 0; k < n; k++, at += stride) out[k] = w[at] * one;
}

/* Rounded at random: up where the number is below the fraction. */
static void store(const nm_line *c, uint32_t sum, const nm_lanes *a) {
    const uint32_t n = a->n, stride = a->stride, *restrict syn = a->syn, *restrict other = a->other;
    const uint32_t step = c->column ? NM_GOLDEN : NM_SECOND;
    const uint32_t first = c->key[sum] + c->self * (c->column ? NM_SECOND : NM_GOLDEN);
    const int32_t low = sum == SUM_W ? nm_wide_low(c->p->sign) : sum == SUM_D ? 0 : -32768;
    const int32_t high = sum == SUM_W ? nm_wide_high(c->p->sign) : WIDE_TOP, *restrict acc = c->acc;
    int16_t *restrict w = stored(c, sum) + a->base;
    uint32_t key = first + a->first * step;
    for (uint32_t k = 0, at = 0; k < n; k++, at += stride, key += step) {
        const uint32_t number = nm_mix_inline(other ? first + other[k] * step : key) >> (32u - ACC_FRAC);
        const int32_t value = (acc[k] + ((1 << ACC_FRAC) - 1) - (int32_t)number) >> ACC_FRAC;
        w[syn ? syn[k] * stride : at] = (int16_t)nm_clip(value, low, high);
    }
}

static int due(const nm_line *c, const nm_product *q, uint32_t active) {
    if (q->dep == DEP_Y0) return active != 0;
    return !c->column && (q->dep == DEP_X0 ? c->when != 0 : nm_u_due(c->r, q));
}

void nm_wide_lanes(nm_line *c, const nm_lanes *a) {
    for (uint32_t sum = 0; sum < 3; sum++)
        if (c->r->reads & (1u << sum)) load(c->old[sum], stored(c, sum), a, 1);
    for (uint32_t sum = 0; sum < 3; sum++) {
        const nm_product *q = c->e->product + c->r->first[sum];
        int begun = 0;
        for (uint32_t x = 0; x < c->r->count[sum]; x++, q++) {
            if (!due(c, q, a->active)) continue;
            if (!begun) load(c->acc, stored(c, sum), a, INT32_C(1) << ACC_FRAC);
            begun = 1;
            add_product(c, q, a);
        }
        if (begun) store(c, sum, a);
    }
}
#endif
