/* Products of the rule interpreter, docs/semantics.md 4.3, on lanes of synapses that share one neuron. All factors
 * multiply with 32-bit wrap, which commutes: what does not vary along the lanes folds into one scalar. */
#include "lanes.h"

/* ---- what varies ---- */

/* Is the variable the same for all lanes of a row, or of a column? */
static int is_constant(const nm_engine *e, const nm_rule *r, const nm_product *q, uint32_t var, uint32_t column) {
    if (var == VAR_ONE) return 1;
    if (column) return var == VAR_Y0 || (var >= VAR_Y1 && var <= VAR_Y3) || var > VAR_ONE;
    if (var >= VAR_M1 && var <= VAR_M4)     /* under shared rounding the target's spikes take part */
        return e->rounding && e->modulator[r->modulator[var - VAR_M1] - 1].of == 0;
    if (var == VAR_X1 || var == VAR_X2) return q->dep != DEP_Y0 || r->t_epoch == 1;
    return var == VAR_X0;
}

/* A factor's largest absolute value: of what is stored, and of traces, it is known well. */
static uint32_t largest(const nm_factor *f) {
    if (f->form || f->second || f->var < VAR_X1 || f->var > VAR_T) return 1u << f->bits;
    const int32_t low = nm_factor_value(f, f->var < VAR_W ? 0 : -257);
    const int32_t high = nm_factor_value(f, f->var < VAR_W ? 128 : 255);
    return (uint32_t)(-low > high ? -low : high);
}

/* Is the factor nothing but a trace and a constant? */
static int is_trace(const nm_factor *f) { return f->var >= VAR_X1 && f->var <= VAR_Y3 && !f->form && !f->second; }

/* A factor that never reaches its limits: the weight, or a trace. These end at 127, but for a graded one. */
static int is_uncut(const nm_line *c, const nm_factor *f) {
    const int32_t trace = 127 + (f->var == VAR_X1 && (c->r->graded & 1u));
    const int32_t low = f->var != VAR_W || c->p->sign == SIGN_EXC ? 0 : -256;
    const int32_t high = f->var != VAR_W ? trace : c->p->sign == SIGN_INH ? 0 : 255;
    const int weight = f->var == VAR_W && !f->form && !f->second;
    return (weight || is_trace(f)) && low + f->add >= f->lo && high + f->add <= f->hi;
}

/* Is what varies a trace, the weight, or a pair, in one of the loops for these? Then first the trace, which has limits. */
static void find_pair(const nm_line *c, nm_product *q, uint32_t column, const uint8_t *two, uint32_t n) {
    const nm_factor *f = c->e->factor + q->first;
    const int each_time = !column && q->dep == DEP_Y0 && c->r->t_epoch > 1;
    q->pair[column][0] = q->pair[column][1] = NO_PAIR;
    if (n == 1 && (is_trace(f + two[0]) ? !each_time : is_uncut(c, f + two[0]))) q->pair[column][0] = two[0];
    for (uint32_t k = 0; k < 2 && n == 2 && !each_time; k++) {
        if (!is_trace(f + two[k]) || !is_uncut(c, f + two[!k])) continue;
        q->pair[column][0] = two[k];
        q->pair[column][1] = two[!k];
    }
}

static uint8_t read_by(uint32_t var) {
    return (uint8_t)(var >= VAR_W && var <= VAR_T ? 1u << (var - VAR_W) : 0u);
}

/* What of a product varies along a row or a column, how large that can be, and what it reads. */
static void product_start(const nm_line *c, nm_product *q) {
    q->reads = 0;
    for (uint32_t column = 0; column < 2; column++) {
        uint32_t most = 1, n = 0;
        uint8_t varies[6] = {0};
        q->varies[column] = 0;
        for (uint32_t k = 0; k < q->factors; k++) {
            const nm_factor *f = c->e->factor + q->first + k;
            if (is_constant(c->e, c->r, q, f->var, column) && (!f->second || is_constant(c->e, c->r, q, f->second - 1u, column)))
                continue;
            q->varies[column] |= (uint8_t)(1u << k);
            varies[n++] = (uint8_t)k;
            q->reads |= read_by(f->var) | (f->second ? read_by(f->second - 1u) : 0u);
            most = most >> 22 ? UINT32_C(1) << 31 : most * largest(f);      /* no factor is over 512 */
        }
        q->most[column] = most;
        find_pair(c, q, column, varies, n);
    }
}

void nm_line_start(nm_line *c, nm_engine *e, uint32_t index, nm_proj *p) {
    const nm_line fresh = {.e = e, .p = p, .l = p->plastic, .r = p->plastic->rule};
    *c = fresh;
    for (uint32_t s = 0; s < 3; s++) {
        c->old[s] = e->lane + s * NM_LANES;
        if (e->rounding) c->key[s] = nm_key(e->seed, 16u * index + HASH_SUM + s, e->now);
    }
    c->acc = e->lane + 3 * NM_LANES;
    c->p1 = e->lane + 4 * NM_LANES;
    c->p2 = e->lane + 5 * NM_LANES;
    c->p3 = e->lane + 6 * NM_LANES;
    for (uint32_t s = 0; s < 3; s++)
        for (uint32_t k = 0; k < c->r->count[s]; k++) product_start(c, e->product + c->r->first[s] + k);
    if (!e->rounding) c->number = nm_round_number(e, c->r);
}

/* ---- factors ---- */

/* q of a target: the sum of its weights at the start of the learning phase. */
static int32_t resource(const nm_line *c, uint32_t j) {
    return nm_clip(c->e->sums[j] >> c->r->sum_shift, -512, 511);
}

static int32_t constant(const nm_line *c, const nm_product *q, uint32_t var) {
    if (var == VAR_ONE) return 0;
    if (var == VAR_X0 || var == VAR_Y0) return c->when != 0;
    if (var == VAR_Q) return resource(c, c->self);
    if (var >= VAR_M1) return nm_modulator_at(c->e, c->p, var - VAR_M1, c->column ? c->self : 0, nm_history_time(c, q));
    return nm_history(c->e, c->p, var - VAR_X1 + TR_X1, nm_history_time(c, q))[c->self];
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

/* Traces, with the factor's constant and limits: those are written out, small cores have an instruction for them. */
static void fetch_shaped(int32_t *restrict out, const uint8_t *restrict from, int32_t add, const nm_lanes *a) {
    const uint32_t n = a->n, *restrict other = a->other;
    if (other) {
        NM_UNROLL4 for (uint32_t k = 0; k < n; k++) out[k] = nm_clip((int32_t)from[other[k]] + add, -128, 127);
    } else {
        from += a->first;
        NM_UNROLL4 for (uint32_t k = 0; k < n; k++) *out++ = nm_clip((int32_t)*from++ + add, -128, 127);
    }
}

static void fetch_spiked(int32_t *out, const uint8_t *when, const nm_lanes *a) {
    fetch(out, when, a);
    for (uint32_t k = 0; k < a->n; k++) out[k] = out[k] != 0;
}

/* A trace at the time of each target's last spike; lanes without one are masked by the dependency. */
static void fetch_at_ty(const nm_line *c, int32_t *out, uint32_t trace, const nm_lanes *a) {
    for (uint32_t k = 0; k < a->n; k++) {
        const uint32_t j = a->other ? a->other[k] : a->first + k, when = c->l->ty[j];
        out[k] = when ? nm_history(c->e, c->p, trace, when)[trace < TR_Y1 ? c->self : j] : 0;
    }
}

/* Add the factor's constant and limit it to its width, in place, where the values can pass it: traces are 0..128,
 * modulators -128..127, weights and tags -257..255. The limits of traces are written out: small cores have an instruction for them. */
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
    if (var != VAR_Q && c->e->rounding) {
        nm_modulators_of(c->e, c->p, var - VAR_M1, a->other, a->first, a->n, out);
        return;
    }
    for (uint32_t k = 0; k < a->n; k++) {
        const uint32_t j = a->other ? a->other[k] : a->first + k;
        out[k] = var == VAR_Q ? resource(c, j)
                              : nm_modulator_at(c->e, c->p, var - VAR_M1, j, each ? c->l->ty[j] : nm_history_time(c, q));
    }
}

/* The values of a variable along the lanes, to `out`. */
static void fetch_variable(const nm_line *c, const nm_product *q, uint32_t var, const nm_lanes *a, int32_t *out) {
    const uint32_t trace = var - VAR_X1 + TR_X1;
    if (is_constant(c->e, c->r, q, var, c->column)) {
        const int32_t x = constant(c, q, var);
        for (uint32_t k = 0; k < a->n; k++) out[k] = x;
    } else if (var > VAR_ONE) {
        fetch_slow(c, out, q, var, a);
    } else if (var >= VAR_W) {
        const int32_t *old = c->old[var - VAR_W];
        for (uint32_t k = 0; k < a->n; k++) out[k] = old[k];
    } else if (var <= VAR_Y0) {
        fetch_spiked(out, var == VAR_X0 ? c->l->tx : c->l->ty, a);
    } else if (nm_each_time(c, q)) {
        fetch_at_ty(c, out, trace, a);
    } else {
        fetch(out, nm_history(c->e, c->p, trace, nm_history_time(c, q)), a);
    }
}

/* The values of a factor along the lanes: in `buffer`, or where they lie already. */
static const int32_t *vector(const nm_line *c, const nm_product *q, const nm_factor *f, const nm_lanes *a,
                             int32_t *buffer) {
    const uint32_t var = f->var;
    if (var >= VAR_W && var <= VAR_T && !f->form && !f->second && !f->add) return c->old[var - VAR_W];
    if (is_trace(f) && !nm_each_time(c, q)) {
        fetch_shaped(buffer, nm_trace_of(c, q, f), f->add, a);
        return buffer;
    }
    fetch_variable(c, q, var, a, buffer);
    if (f->second) {
        fetch_variable(c, q, f->second - 1u, a, c->p3);
        for (uint32_t k = 0; k < a->n; k++) buffer[k] = combined(f, buffer[k], c->p3[k]);
    } else if (var == VAR_Q || (f->form & FN_MASK) > FN_SGN) {
        for (uint32_t k = 0; k < a->n; k++) buffer[k] = combined(f, buffer[k], 0);
    } else {
        shape(buffer, a->n, f);
    }
    return buffer;
}

/* ---- products ---- */

/* How a product ends: times what is the same for all lanes, shifted right; then limited, or left to be shifted left. */
typedef struct { uint32_t s, right, left, limited; } nm_ending;

NM_INLINE int32_t ended(uint32_t x, const nm_ending *end, uint32_t limited) {
    const int32_t shifted = (int32_t)(x * end->s) >> end->right;
    return limited ? nm_limit((int32_t)((uint32_t)shifted << end->left)) : shifted;
}

/* The loops, as they end: v alone; v * x; with a trace t that has limits: (v + add) * t, (b + add) * t. */
typedef struct { const int32_t *v, *x; const uint8_t *b, *t; int32_t add, t_add; } nm_vectors;
#define TIMES(limited)                                                                                                 \
    static NM_NOINLINE void alone_##limited(int32_t *out, uint32_t n, const nm_vectors *y, const nm_ending *last) {    \
        const nm_ending end = *last;                                                                                   \
        const int32_t *v = y->v;                                                                                       \
        for (uint32_t k = 0; k < n; k++) out[k] = ended((uint32_t)v[k], &end, limited);                                \
    }                                                                                                                  \
    static NM_NOINLINE void by_vector_##limited(int32_t *out, uint32_t n, const nm_vectors *y,                         \
                                                const nm_ending *last) {                                               \
        const nm_ending end = *last;                                                                                   \
        const int32_t *v = y->v, *restrict x = y->x;                                                                   \
        for (uint32_t k = 0; k < n; k++) out[k] = ended((uint32_t)v[k] * (uint32_t)x[k], &end, limited);               \
    }                                                                                                                  \
    static NM_NOINLINE void soft_##limited(int32_t *restrict out, uint32_t n, const nm_vectors *y,                     \
                                           const nm_ending *last) {                                                    \
        const nm_ending end = *last;                                                                                   \
        const int32_t *restrict v = y->v, add = y->add, t_add = y->t_add;                                              \
        const uint8_t *restrict t = y->t;                                                                              \
        NM_UNROLL2 for (uint32_t k = 0; k < n; k++)                                                                    \
            *out++ = ended((uint32_t)(*v++ + add) * (uint32_t)nm_clip(*t++ + t_add, -128, 127), &end, limited);        \
    }                                                                                                                  \
    static NM_NOINLINE void traces_##limited(int32_t *restrict out, uint32_t n, const nm_vectors *y,                   \
                                             const nm_ending *last) {                                                  \
        const nm_ending end = *last;                                                                                   \
        const int32_t add = y->add, t_add = y->t_add;                                                                  \
        const uint8_t *restrict t = y->t, *restrict b = y->b;                                                          \
        NM_UNROLL2 for (uint32_t k = 0; k < n; k++)                                                                    \
            *out++ = ended((uint32_t)(*b++ + add) * (uint32_t)nm_clip(*t++ + t_add, -128, 127), &end, limited);        \
    }
TIMES(0) TIMES(1)
enum { ALONE, BY_VECTOR, SOFT, TRACES };

static void times(int32_t *out, uint32_t n, const nm_vectors *y, const nm_ending *end, uint32_t how) {
    typedef void nm_times(int32_t *out, uint32_t n, const nm_vectors *y, const nm_ending *end);
    static nm_times *const loop[4][2] = {
        {alone_0, alone_1}, {by_vector_0, by_vector_1}, {soft_0, soft_1}, {traces_0, traces_1},
    };
    loop[how][end->limited](out, n, y, end);
}

static const nm_factor *next_varying(const nm_line *c, const nm_product *q, uint32_t *k) {
    const uint32_t left = (uint32_t)q->varies[c->column] >> *k;
    if (left == 0) return 0;
    while (!(q->varies[c->column] >> *k & 1u)) ++*k;
    return c->e->factor + q->first + (*k)++;
}

/* The first of what varies along the lanes: which synapses are due, or a factor. */
static const int32_t *first_vector(const nm_line *c, const nm_product *q, const nm_lanes *a, uint32_t *k) {
    if (nm_masked(q, a)) {
        fetch_spiked(c->p1, c->l->ty, a);
        return c->p1;
    }
    const nm_factor *f = next_varying(c, q, k);
    if (f) return vector(c, q, f, a, c->p1);
    for (uint32_t x = 0; x < a->n; x++) c->p1[x] = 1;
    return c->p1;
}

/* Two factors, one of them a trace, that are multiplied as they are read. */
static void pair(const nm_line *c, const nm_product *q, const nm_lanes *a, const nm_ending *end) {
    const nm_factor *f = c->e->factor + q->first + q->pair[c->column][0];
    const nm_factor *g = c->e->factor + q->first + q->pair[c->column][1];
    const uint32_t soft = g->var == VAR_W;
    const nm_vectors y = {
        .v = c->old[SUM_W], .b = soft ? 0 : nm_trace_of(c, q, g) + a->first, .t = nm_trace_of(c, q, f) + a->first,
        .add = g->add, .t_add = f->add,
    };
    times(c->p1, a->n, &y, end, soft ? SOFT : TRACES);
}

/* A trace: columns read the same one after the other. */
static void fetch_again(nm_line *c, const nm_product *q, const nm_factor *f, const nm_lanes *a) {
    const uint32_t time = nm_history_time(c, q);
    if (c->fetched == f && c->fetched_list == a->other && c->fetched_first == a->first && c->fetched_time == time) return;
    fetch_shaped(c->p1, nm_trace_of(c, q, f), f->add, a);
    c->fetched = c->column ? f : 0;
    c->fetched_list = a->other;
    c->fetched_first = a->first;
    c->fetched_time = time;
}

const int32_t *nm_vector_part(nm_line *c, const nm_product *q, const nm_lanes *a, uint32_t limited, uint32_t *s) {
    const nm_ending end = {*s, q->right, q->left, limited}, none = {1, 0, 0, 0};
    const uint32_t after = limited ? 1u : 1u << q->left, varies = q->varies[c->column];
    const nm_factor *only_one = c->e->factor + q->first;
    if (varies == 1 && !limited && !q->right && is_trace(only_one) && c->column) {
        fetch_again(c, q, only_one, a);
        *s <<= q->left;
        return c->p1;
    }
    c->fetched = 0;
    if (!a->other && !nm_masked(q, a) && q->pair[c->column][1] != NO_PAIR) {
        pair(c, q, a, &end);
        *s = after;
        return c->p1;
    }
    uint32_t k = 0;
    nm_vectors y = {.v = first_vector(c, q, a, &k)};
    const nm_factor *f = next_varying(c, q, &k);
    if (!f && !limited && !q->right) {
        *s <<= q->left;
        return y.v;
    }
    if (!f) times(c->p1, a->n, &y, &end, ALONE);
    for (const nm_factor *then; f; f = then, y.v = c->p1) {
        then = next_varying(c, q, &k);
        y.x = vector(c, q, f, a, c->p2);
        times(c->p1, a->n, &y, then ? &none : &end, BY_VECTOR);
    }
    *s = after;
    return c->p1;
}

/* Everything of a product that is the same for all lanes. */
uint32_t nm_scalars(const nm_line *c, const nm_product *q) {
    uint32_t s = 1;
    for (uint32_t k = 0; k < q->factors; k++) {
        if (!(q->varies[c->column] >> k & 1u)) s *= (uint32_t)scalar(c, q, c->e->factor + q->first + k);
    }
    return s;
}
