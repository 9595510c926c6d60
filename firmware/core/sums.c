/* The interpreter of sums of products, docs/semantics.md 4.3, on lanes of synapses that share one neuron. Dispatch is
 * paid once per product and batch. All factors multiply with 32-bit wrap, which commutes: what does not vary along the
 * lanes folds into one scalar. */
#include "lanes.h"

void nm_line_start(nm_line *c, nm_engine *e, uint32_t index, nm_proj *p) {
    const nm_line fresh = {.e = e, .p = p, .l = p->plastic, .r = p->plastic->rule};
    *c = fresh;
    for (uint32_t s = 0; s < 3; s++) {
        c->old[s] = e->lane + s * NM_BATCH;
        if (e->rounding) c->key[s] = nm_key(e->seed, 16u * index + HASH_SUM + s, e->now);
    }
    c->acc = e->lane + 3 * NM_BATCH;
    c->p1 = e->lane + 4 * NM_BATCH;
    c->p2 = e->lane + 5 * NM_BATCH;
    c->p3 = e->lane + 6 * NM_BATCH;
    if (!e->rounding) c->number = nm_round_number(e, c->r);
}

/* ---- factors ---- */

/* Is the variable the same for all lanes? */
static int is_constant(const nm_line *c, const nm_product *q, uint32_t var) {
    if (var == VAR_ONE) return 1;
    if (c->column) return var == VAR_Y0 || (var >= VAR_Y1 && var <= VAR_Y3) || var > VAR_ONE;
    if (var >= VAR_M1 && var <= VAR_M4)     /* under shared rounding the target's spikes take part */
        return c->e->rounding && c->e->modulator[c->r->modulator[var - VAR_M1] - 1].of == 0;
    if (var == VAR_X1 || var == VAR_X2) return q->dep != DEP_Y0 || c->r->t_epoch == 1;
    return var == VAR_X0;
}

static int is_scalar(const nm_line *c, const nm_product *q, const nm_factor *f) {
    return is_constant(c, q, f->var) && (!f->second || is_constant(c, q, f->second - 1u));
}

/* Where in the epoch a product reads the traces; columns run y0-products only. */
static uint32_t history_time(const nm_line *c, const nm_product *q) {
    return q->dep == DEP_X0 || c->column ? c->when : c->r->t_epoch;
}

/* q of a target: the sum of its weights at the start of the learning phase. */
static int32_t resource(const nm_line *c, uint32_t j) {
    return nm_clip(c->e->sums[j] >> c->r->sum_shift, -512, 511);
}

static int32_t constant(const nm_line *c, const nm_product *q, uint32_t var) {
    if (var == VAR_ONE) return 0;
    if (var == VAR_X0 || var == VAR_Y0) return c->when != 0;
    if (var == VAR_Q) return resource(c, c->self);
    if (var >= VAR_M1) return nm_modulator_at(c->e, c->p, var - VAR_M1, c->column ? c->self : 0, history_time(c, q));
    return nm_history(c->e, c->p, var - VAR_X1 + TR_X1, history_time(c, q))[c->self];
}

static int32_t function_of(const nm_factor *f, int32_t x) {
    switch (f->form & FN_MASK) {
    case FN_SGN: return (x > 0) - (x < 0);
    case FN_POS: return x > 0 ? x : 0;
    case FN_ON: return x > 0;
    default: return x;
    }
}

static int32_t combined(const nm_factor *f, int32_t x, int32_t y) {
    return nm_clip(function_of(f, x + (f->form & FN_MINUS ? -y : y) + f->add), f->lo, f->hi);
}

static int32_t scalar(const nm_line *c, const nm_product *q, const nm_factor *f) {
    return combined(f, constant(c, q, f->var), f->second ? constant(c, q, f->second - 1u) : 0);
}

static void fetch(int32_t *restrict out, const uint8_t *restrict from, const nm_lanes *a) {
    const uint32_t n = a->n, *other = a->other;
    if (other) {
        NM_UNROLL4 for (uint32_t k = 0; k < n; k++) out[k] = from[other[k]];
    } else {
        from += a->first;
        NM_UNROLL4 for (uint32_t k = 0; k < n; k++) out[k] = from[k];
    }
}

static void fetch_spiked(int32_t *out, const uint8_t *when, const nm_lanes *a) {
    fetch(out, when, a);
    for (uint32_t k = 0; k < a->n; k++) out[k] = out[k] != 0;
}

/* A trace at the time of each target's last spike; lanes without one are masked by the dependency. Lanes of targets
 * that have spiked come with a list. */
static void fetch_at_ty(const nm_line *c, int32_t *out, uint32_t trace, const nm_lanes *a) {
    for (uint32_t k = 0; k < a->n; k++) {
        const uint32_t j = a->other[k], when = c->l->ty[j];
        out[k] = when ? nm_history(c->e, c->p, trace, when)[trace < TR_Y1 ? c->self : j] : 0;
    }
}

/* Add the factor's constant and limit it to its width, in place, where the values can pass it: traces are 0..128,
 * weights and tags -257..255. The limits of traces are written out: small cores have an instruction for them. */
static void shape(int32_t *v, uint32_t n, const nm_factor *f) {
    const int32_t add = f->add, lo = f->lo, hi = f->hi, trace = f->var < VAR_W;
    if ((f->form & FN_MASK) == FN_SGN) {
        for (uint32_t k = 0; k < n; k++) v[k] = (v[k] + add > 0) - (v[k] + add < 0);
    } else if (!add && f->var != VAR_X1) {
        return;
    } else if (add + (trace ? 0 : -257) >= lo && add + (trace ? 128 : 255) <= hi) {
        NM_UNROLL4 for (uint32_t k = 0; k < n; k++) v[k] += add;
    } else if (f->bits == 7) {
        NM_UNROLL4 for (uint32_t k = 0; k < n; k++) v[k] = nm_clip(v[k] + add, -128, 127);
    } else {
        for (uint32_t k = 0; k < n; k++) v[k] = nm_clip(v[k] + add, lo, hi);
    }
}

/* Modulators and q of the targets along a row. */
static void fetch_slow(const nm_line *c, int32_t *out, const nm_product *q, uint32_t var, const nm_lanes *a) {
    const int each = q->dep == DEP_Y0 && !c->column;
    for (uint32_t k = 0; k < a->n; k++) {
        const uint32_t j = a->other ? a->other[k] : a->first + k;
        out[k] = var == VAR_Q ? resource(c, j)
                              : nm_modulator_at(c->e, c->p, var - VAR_M1, j, each ? c->l->ty[j] : history_time(c, q));
    }
}

/* The values of a variable along the lanes, to `out`. */
static void fetch_variable(const nm_line *c, const nm_product *q, uint32_t var, const nm_lanes *a, int32_t *out) {
    const uint32_t trace = var - VAR_X1 + TR_X1;
    if (is_constant(c, q, var)) {
        const int32_t x = constant(c, q, var);
        for (uint32_t k = 0; k < a->n; k++) out[k] = x;
    } else if (var > VAR_ONE) {
        fetch_slow(c, out, q, var, a);
    } else if (var >= VAR_W) {
        const int32_t *old = c->old[var - VAR_W];
        for (uint32_t k = 0; k < a->n; k++) out[k] = old[k];
    } else if (var <= VAR_Y0) {
        fetch_spiked(out, var == VAR_X0 ? c->l->tx : c->l->ty, a);
    } else if (!c->column && q->dep == DEP_Y0 && c->r->t_epoch > 1) {
        fetch_at_ty(c, out, trace, a);
    } else {
        fetch(out, nm_history(c->e, c->p, trace, history_time(c, q)), a);
    }
}

/* The values of a factor along the lanes: in `buffer`, or where they lie already. */
static const int32_t *vector(const nm_line *c, const nm_product *q, const nm_factor *f, const nm_lanes *a,
                             int32_t *buffer) {
    const uint32_t var = f->var;
    if (var >= VAR_W && var <= VAR_T && !f->form && !f->second && !f->add) return c->old[var - VAR_W];
    fetch_variable(c, q, var, a, buffer);
    if (f->second) {
        fetch_variable(c, q, f->second - 1u, a, c->p3);
        for (uint32_t k = 0; k < a->n; k++) buffer[k] = combined(f, buffer[k], c->p3[k]);
    } else if (var > VAR_ONE || (f->form & FN_MASK) > FN_SGN) {
        for (uint32_t k = 0; k < a->n; k++) buffer[k] = combined(f, buffer[k], 0);
    } else {
        shape(buffer, a->n, f);
    }
    return buffer;
}

/* ---- products ---- */

static void multiply(int32_t *out, const int32_t *a, const int32_t *b, uint32_t n) {
    for (uint32_t k = 0; k < n; k++) out[k] = (int32_t)((uint32_t)a[k] * (uint32_t)b[k]);
}

static int due(const nm_line *c, const nm_product *q, uint32_t active) {
    if (q->dep == DEP_Y0) return active != 0;
    return !c->column && (q->dep == DEP_X0 ? c->when != 0 : nm_u_due(c->r, q));
}

/* Everything of a product that is the same for all lanes, times its mantissa. */
static uint32_t scalar_part(const nm_line *c, const nm_product *q) {
    uint32_t s = (uint32_t)(int32_t)q->mant;
    for (uint32_t k = 0; k < q->factors; k++) {
        const nm_factor *f = c->e->factor + q->first + k;
        if (is_scalar(c, q, f)) s *= (uint32_t)scalar(c, q, f);
    }
    return s;
}

/* Everything of a product that varies along the lanes. */
static const int32_t *vector_part(const nm_line *c, const nm_product *q, const nm_lanes *a) {
    const int32_t *v = 0;
    if (q->dep == DEP_Y0 && a->active == 1) {
        fetch_spiked(c->p1, c->l->ty, a);
        v = c->p1;
    }
    for (uint32_t k = 0; k < q->factors; k++) {
        const nm_factor *f = c->e->factor + q->first + k;
        if (is_scalar(c, q, f)) continue;
        const int32_t *x = vector(c, q, f, a, v ? c->p2 : c->p1);
        if (v) {
            multiply(c->p1, v, x, a->n);
            v = c->p1;
        } else {
            v = x;
        }
    }
    if (v) return v;
    for (uint32_t k = 0; k < a->n; k++) c->p1[k] = 1;
    return c->p1;
}

/* Can the product leave -32767..32767 before or after its shifts, for any values of its factors? */
static int may_saturate(const nm_line *c, const nm_product *q, uint32_t s) {
    uint32_t most = (int32_t)s < 0 ? 0u - s : s;
    for (uint32_t k = 0; k < q->factors; k++) {
        const nm_factor *f = c->e->factor + q->first + k;
        if (is_scalar(c, q, f)) continue;
        if (most > 0x7FFFFFFFu >> f->bits) return 1;
        most <<= f->bits;
    }
    return (most >> q->right) + 1u > 32767u >> q->left;
}

/* ---- sums ---- */

/* 127 - r of each lane, synapse rounding. */
static void fetch_rounding(const nm_line *c, uint32_t sum, const nm_lanes *a, int32_t *restrict out) {
    const uint32_t n = a->n, key = c->key[sum], row = key + c->self * NM_GOLDEN, column = key + c->self * NM_SECOND;
    const uint32_t *restrict other = a->other;
    if (c->column) {            /* these always have a list */
        for (uint32_t k = 0; k < n; k++)
            out[k] = 127 - (int32_t)nm_mix7(column + other[k] * NM_GOLDEN);
    } else if (other) {
        for (uint32_t k = 0; k < n; k++) out[k] = 127 - (int32_t)nm_mix7(row + other[k] * NM_SECOND);
    } else {
        uint32_t h = row + a->first * NM_SECOND;
        NM_UNROLL4 for (uint32_t k = 0; k < n; k++, h += NM_SECOND) out[k] = 127 - (int32_t)nm_mix7(h);
    }
}

enum { FIRST = 1, LAST = 2, EACH = 4, BYTE = 8, NEGATIVE = 16 };

typedef struct {
    uint32_t s, right, left;
    int32_t up;                 /* 127 - r, the same for all */
    const int32_t *each;        /* with EACH: 127 - r of each lane */
} nm_pass;

/* One product into the sum. FIRST: the sum starts from the old values. LAST: it ends as new values; then what the sign
 * mode and the limits of the sum would do is done by the range of the values: BYTE 0..255, NEGATIVE -255..0, else
 * -256..255. */
NM_INLINE void pass(int32_t *restrict acc, const int32_t *restrict old, const int32_t *restrict v, uint32_t n,
                    const nm_pass *x, uint32_t mode) {
    const uint32_t s = x->s, right = x->right, left = x->left;
    const int32_t up = x->up, lo = mode & BYTE ? 0 : mode & NEGATIVE ? -255 : -256, hi = mode & NEGATIVE ? 0 : 255;
    const int32_t *restrict each = x->each;
    NM_UNROLL4 for (uint32_t k = 0; k < n; k++) {
        const int32_t p = (int32_t)((uint32_t)((int32_t)((uint32_t)v[k] * s) >> right) << left);
        const int32_t sum = (mode & FIRST ? old[k] * 128 : acc[k]) + p;
        if (mode & LAST) acc[k] = nm_clip((sum + (mode & EACH ? each[k] : up)) >> 7, lo, hi);
        else acc[k] = nm_clip(sum, -32769, 32767);
    }
}

static void run_pass(nm_line *c, const int32_t *old, const int32_t *v, uint32_t n, const nm_pass *x, uint32_t mode) {
#define RUN(m) case (m): pass(c->acc, old, v, n, x, (m)); break
    switch (mode) {     /* constants, so that each loop is compiled for its own mode */
    RUN(0);
    RUN(FIRST);
    RUN(LAST);
    RUN(LAST | BYTE);
    RUN(LAST | NEGATIVE);
    RUN(FIRST | LAST);
    RUN(FIRST | LAST | BYTE);
    RUN(FIRST | LAST | NEGATIVE);
    RUN(LAST | EACH);
    RUN(LAST | EACH | BYTE);
    RUN(LAST | EACH | NEGATIVE);
    RUN(FIRST | LAST | EACH);
    RUN(FIRST | LAST | EACH | BYTE);
    default: pass(c->acc, old, v, n, x, FIRST | LAST | EACH | NEGATIVE); break;
    }
#undef RUN
}

/* s: the scalar part of the product; order: FIRST, LAST or both. */
static void add_product(nm_line *c, uint32_t sum, const nm_product *q, uint32_t s, const nm_lanes *a, uint32_t order) {
    nm_pass x = {s, q->right, q->left, 127 - (int32_t)c->number, c->p2};
    const int32_t *v = s ? vector_part(c, q, a) : c->old[sum];
    if (may_saturate(c, q, s)) {
        for (uint32_t k = 0; k < a->n; k++) c->p1[k] = nm_product_end((int32_t)((uint32_t)v[k] * s), q);
        v = c->p1;
        x.s = 1;
        x.right = x.left = 0;
    }
    if (sum == SUM_T) order &= FIRST;       /* the range of tag_1 lies below that of the sum: finish_tag1 */
    if (order & LAST) {
        const uint32_t whole = (order & FIRST) && x.left >= 7;      /* whole numbers: nothing to round */
        if (sum == SUM_D || c->p->sign == SIGN_EXC) order |= BYTE;
        else if (c->p->sign == SIGN_INH) order |= NEGATIVE;
        if (c->e->rounding && !whole) {
            order |= EACH;
            fetch_rounding(c, sum, a, c->p2);
        }
    }
    run_pass(c, c->old[sum], v, a->n, &x, order);
}

/* acc -> new values of tag_1; those at -257 are remembered. */
static void finish_tag1(nm_line *c, const nm_lanes *a) {
    if (c->e->rounding) fetch_rounding(c, SUM_T, a, c->p2);
    for (uint32_t k = 0; k < a->n; k++) {
        const int32_t up = c->e->rounding ? c->p2[k] : 127 - (int32_t)c->number;
        c->acc[k] = nm_clip((c->acc[k] + up) >> 7, -257, 255);
        c->floor_tag |= c->acc[k] == -257;
    }
}

/* ---- weights and tags ---- */

static void load_bytes(int32_t *restrict out, const uint8_t *restrict w, const nm_lanes *a, int32_t flip) {
    const uint32_t n = a->n, stride = a->stride, *restrict syn = a->syn;
    w += a->base;
    if (syn) for (uint32_t k = 0; k < n; k++) out[k] = (w[syn[k] * stride] ^ flip) - flip;
    else if (flip) for (uint32_t k = 0; k < n; k++) out[k] = -w[k];
    else NM_UNROLL4 for (uint32_t k = 0; k < n; k++) out[k] = w[k];
}

static void store_bytes(uint8_t *restrict w, const int32_t *restrict value, const nm_lanes *a, int32_t flip) {
    const uint32_t n = a->n, stride = a->stride, *restrict syn = a->syn;
    w += a->base;
    if (syn) for (uint32_t k = 0; k < n; k++) w[syn[k] * stride] = (uint8_t)((value[k] ^ flip) - flip);
    else if (flip) for (uint32_t k = 0; k < n; k++) w[k] = (uint8_t)-value[k];
    else NM_UNROLL4 for (uint32_t k = 0; k < n; k++) w[k] = (uint8_t)value[k];
}

static int16_t *shorts(const nm_line *c, uint32_t sum) {
    return sum == SUM_W ? (int16_t *)(uintptr_t)c->p->w : sum == SUM_D ? c->l->tag2 : c->l->tag1;
}

static void load(const nm_line *c, uint32_t sum, const nm_lanes *a) {
    int32_t *restrict out = c->old[sum];
    const uint32_t n = a->n, stride = a->stride, *restrict syn = a->syn;
    if (sum == SUM_W && c->p->element == ELEM_U8) {
        load_bytes(out, c->p->w, a, (int32_t)c->p->flip);
        return;
    }
    const int16_t *restrict w = shorts(c, sum) + a->base;
    if (syn) for (uint32_t k = 0; k < n; k++) out[k] = w[syn[k] * stride];
    else NM_UNROLL4 for (uint32_t k = 0; k < n; k++) out[k] = w[k];
}

static void store(const nm_line *c, uint32_t sum, const nm_lanes *a) {
    const int32_t *restrict value = c->acc;
    const uint32_t n = a->n, stride = a->stride, *restrict syn = a->syn;
    if (sum == SUM_W && c->p->element == ELEM_U8) {
        store_bytes((uint8_t *)(uintptr_t)c->p->w, value, a, (int32_t)c->p->flip);
        return;
    }
    int16_t *restrict w = shorts(c, sum) + a->base;
    if (syn) for (uint32_t k = 0; k < n; k++) w[syn[k] * stride] = (int16_t)value[k];
    else NM_UNROLL4 for (uint32_t k = 0; k < n; k++) w[k] = (int16_t)value[k];
}

/* One sum. The product found last is held back, since only the one that follows tells whether it ends the sum. */
static void run_sum(nm_line *c, uint32_t sum, const nm_lanes *a) {
    const nm_product *q = c->e->product + c->r->first[sum], *held = 0;
    const int sunk = sum == SUM_T && c->l->floor_tag;   /* tag_1 = -257 lies below acc: products of 0 matter too */
    uint32_t held_s = 0, order = FIRST;
    for (uint32_t k = 0; k < c->r->count[sum]; k++, q++) {
        const uint32_t s = due(c, q, a->active) ? scalar_part(c, q) : 0;
        if (s == 0 && !sunk) continue;
        if (held) {
            add_product(c, sum, held, held_s, a, order);
            order = 0;
        } else if (!(c->r->reads & (1u << sum))) {
            load(c, sum, a);
        }
        held = q;
        held_s = s;
    }
    if (!held) return;
    add_product(c, sum, held, held_s, a, order | LAST);
    if (sum == SUM_T) finish_tag1(c, a);
    store(c, sum, a);
}

/* The three sums of some synapses, all from their old values. */
void nm_run_lanes(nm_line *c, const nm_lanes *a) {
    for (uint32_t sum = 0; sum < 3; sum++)
        if (c->r->reads & (1u << sum)) load(c, sum, a);
    for (uint32_t sum = 0; sum < 3; sum++) run_sum(c, sum, a);
}
