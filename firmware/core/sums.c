/* The interpreter of sums of products, docs/semantics.md 4.3, on lanes of synapses that share one neuron. Dispatch is
 * paid once per product and batch. All factors multiply with 32-bit wrap, which commutes: what does not vary along the
 * lanes folds into one scalar. */
#include "wide.h"

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

/* Are these two all that varies, in one of the loops for pairs? Then first the trace, which has limits. */
static void find_pair(const nm_line *c, nm_product *q, uint32_t column, const uint8_t *two, uint32_t n) {
    const nm_factor *f = c->e->factor + q->first;
    const int each_time = !column && q->dep == DEP_Y0 && c->r->t_epoch > 1;
    q->pair[column][0] = NO_PAIR;
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
    } else if (var > VAR_ONE || (f->form & FN_MASK) > FN_SGN) {
        for (uint32_t k = 0; k < a->n; k++) buffer[k] = combined(f, buffer[k], 0);
    } else {
        shape(buffer, a->n, f);
    }
    return buffer;
}

/* ---- products ---- */

/* To -32769..32767: 16 bits but for the sign bit. */
NM_INLINE int32_t limit(int32_t x) {
    const int32_t sign = x >> 31;
    return nm_clip(x - sign, -32768, 32767) + sign;
}

/* How a product ends: times what is the same for all lanes, shifted right; then limited, or left to be shifted left. */
typedef struct { uint32_t s, right, left, limited; } nm_ending;

NM_INLINE int32_t ended(uint32_t x, const nm_ending *end, uint32_t limited) {
    const int32_t shifted = (int32_t)(x * end->s) >> end->right;
    return limited ? limit((int32_t)((uint32_t)shifted << end->left)) : shifted;
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

/* Everything of a product that varies along the lanes; *s, its scalar part, becomes what that is to be multiplied by.
 * The last multiplication ends the product. */
static const int32_t *vector_part(nm_line *c, const nm_product *q, const nm_lanes *a, uint32_t limited,
                                  uint32_t *s) {
    const nm_ending end = {*s, q->right, q->left, limited}, none = {1, 0, 0, 0};
    const uint32_t after = limited ? 1u : 1u << q->left, varies = q->varies[c->column];
    const nm_factor *only_one = c->e->factor + q->first;
    if (varies == 1 && !limited && !q->right && is_trace(only_one) && c->column) {
        fetch_again(c, q, only_one, a);
        *s <<= q->left;
        return c->p1;
    }
    c->fetched = 0;
    if (!a->other && !nm_masked(q, a) && q->pair[c->column][0] != NO_PAIR) {
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

static int due(const nm_line *c, const nm_product *q, uint32_t active) {
    if (q->dep == DEP_Y0) return active != 0;
    return !c->column && (q->dep == DEP_X0 ? c->when != 0 : nm_u_due(c->r, q));
}

/* Everything of a product that is the same for all lanes, times its mantissa. */
static uint32_t scalar_part(const nm_line *c, const nm_product *q) {
    uint32_t s = (uint32_t)(int32_t)q->mant;
    if (q->varies[c->column] + 1u == 1u << q->factors) return s;
    for (uint32_t k = 0; k < q->factors; k++) {
        if (!(q->varies[c->column] >> k & 1u)) s *= (uint32_t)scalar(c, q, c->e->factor + q->first + k);
    }
    return s;
}

/* The largest absolute value of a product before its shifts, with its scalar part: 2^31 if it may be about that. */
static uint32_t largest_product(const nm_line *c, const nm_product *q, uint32_t s) {
    const uint32_t most = q->most[c->column], size = (int32_t)s < 0 ? 0u - s : s;
    if (size >> 16 || ((most >> 15) + 1u) * size >> 16) return UINT32_C(1) << 31;
    return size * most;
}

/* ---- sums ---- */

/* Where the lanes lie: one after the other; a stride apart; one after the other, but their targets are listed; listed
 * by their far end. */
enum { RUN, COLUMN, SPARSE, LIST };
/* What a sum becomes; NEGATIVE: the magnitude of a negative weight. Its range does what the sign mode and the limits of the sum would do; but that of tag_1 lies
 * below the sum's. */
enum { BYTE, SHORT, NEGATIVE, TAG1, TAG2 };

NM_INLINE int32_t rounded(int32_t sum, int32_t number, uint32_t kind) {
    if (kind == TAG1) return nm_clip((limit(sum) + number) >> 7, -257, 255);
    const int32_t value = (sum + number) >> 7;
    return nm_clip(kind == NEGATIVE ? -value : value, kind == SHORT ? -256 : 0, 255);
}

/* A product that is not the last one. */
static void add(int32_t *acc, const int32_t *from, const int32_t *restrict v, uint32_t n, const nm_pass *x) {
    const uint32_t s = x->s;
    const int32_t old = x->old;
    NM_UNROLL4 for (uint32_t k = 0; k < n; k++) {
        acc[k] = limit(from[k] * old + (int32_t)((uint32_t)v[k] * s));
    }
}

/* The last one: acc becomes new values. */
NM_INLINE void last(int32_t *acc, const int32_t *from, const int32_t *restrict v, const nm_lanes *a, const nm_pass *x,
                    uint32_t kind, uint32_t where, uint32_t own) {
    const uint32_t s = x->s, n = a->n, step = x->step, *restrict other = a->other;
    const int32_t old = x->old, up = x->up;
    const nm_hash h = x->hash;
    uint32_t key = x->key;
    for (uint32_t k = 0; k < n; k++, key += step) {
        const int32_t sum = from[k] * old + (int32_t)((uint32_t)v[k] * s);
        acc[k] = rounded(sum, own ? nm_number7(where == LIST ? x->key + other[k] * step : key, h) : up, kind);
    }
}

/* The only one: stored values become new ones, without detours. The weights are walked, not counted: small cores have
 * no register left for an index. */
NM_INLINE void only(void *stored, const int32_t *restrict v, const nm_lanes *a, const nm_pass *x, uint32_t kind,
                    uint32_t where, uint32_t own) {
    const uint32_t s = x->s, stride = where == RUN || where == SPARSE ? 1 : a->stride, first = x->key, step = x->step;
    const uint32_t *restrict other = a->other;
    const int32_t up = x->up, *const end = v + a->n;
    const nm_hash h = x->hash;
    uint8_t *restrict bytes = (uint8_t *)stored + (kind == BYTE ? a->base : 0);
    int16_t *restrict shorts = (int16_t *)stored + (kind == BYTE ? 0 : a->base);
    uint32_t key = first;
    while (v < end) {
        const uint32_t far = where >= SPARSE ? *other++ : 0, at = where == LIST ? far * stride : 0;
        const int32_t number = own ? nm_number7(where >= SPARSE ? first + far * step : key, h) : up;
        const int32_t value = kind == BYTE ? bytes[at] : shorts[at];
        const int32_t next = rounded(value * 128 + (int32_t)((uint32_t)*v++ * s), number, kind);
        if (kind == BYTE) bytes[at] = (uint8_t)next;
        else shorts[at] = (int16_t)next;
        key += step;
        if (where != LIST) bytes += stride, shorts += stride;
    }
}

#if !defined(NM_SMALL)
/* The same where it is the weight itself that varies; lanes one after the other are a stride of one apart. */
NM_INLINE void itself(void *stored, const nm_lanes *a, const nm_pass *x, uint32_t kind, uint32_t listed,
                      uint32_t own) {
    const uint32_t stride = a->stride, first = x->key, step = x->step, times = 128u + x->s;
    const uint32_t *restrict other = a->other;
    const int32_t up = x->up;
    const nm_hash h = x->hash;
    uint8_t *restrict bytes = (uint8_t *)stored + (kind == BYTE ? a->base : 0);
    int16_t *restrict shorts = (int16_t *)stored + (kind == BYTE ? 0 : a->base);
    uint32_t key = first;
    for (uint32_t n = a->n; n; n--, key += step) {
        const uint32_t far = listed ? *other++ : 0, at = listed ? far * stride : 0;
        const int32_t number = own ? nm_number7(listed ? first + far * step : key, h) : up;
        const int32_t value = kind == BYTE ? bytes[at] : shorts[at];
        const int32_t next = rounded((int32_t)((uint32_t)value * times), number, kind);
        if (kind == BYTE) bytes[at] = (uint8_t)next;
        else shorts[at] = (int16_t)next;
        if (!listed) bytes += stride, shorts += stride;
    }
}
#endif

/* Each loop is compiled for its own kind of lanes, and out of line: inlined they would run out of registers. */
typedef void nm_last(int32_t *acc, const int32_t *from, const int32_t *v, const nm_lanes *a, const nm_pass *x);
typedef void nm_only(void *stored, const int32_t *v, const nm_lanes *a, const nm_pass *x);
#define LAST(kind, where, own)                                                                                         \
    static NM_NOINLINE void last_##kind##_##where##_##own(int32_t *acc, const int32_t *from, const int32_t *v,         \
                                                          const nm_lanes *a, const nm_pass *x) {                       \
        last(acc, from, v, a, x, kind, where, own);                                                                    \
    }
#define ONLY(kind, where, own)                                                                                         \
    static NM_NOINLINE void only_##kind##_##where##_##own(void *stored, const int32_t *v, const nm_lanes *a,           \
                                                          const nm_pass *x) {                                          \
        only(stored, v, a, x, kind, where, own);                                                                       \
    }
#define ITSELF(kind, listed, own)                                                                                      \
    static NM_NOINLINE void itself_##kind##_##listed##_##own(void *stored, const nm_lanes *a, const nm_pass *x) {      \
        itself(stored, a, x, kind, listed, own);                                                                       \
    }
#define ITSELVES(kind) ITSELF(kind, 0, 0) ITSELF(kind, 0, 1) ITSELF(kind, 1, 0) ITSELF(kind, 1, 1)
#define ITSELF_ROW(kind)                                                                                               \
    {{itself_##kind##_0_0, itself_##kind##_0_1}, {itself_##kind##_1_0, itself_##kind##_1_1}}
#define LASTS(kind) LAST(kind, RUN, 0) LAST(kind, RUN, 1) LAST(kind, LIST, 1)
#define ONLYS(kind)                                                                                                    \
    ONLY(kind, RUN, 0) ONLY(kind, COLUMN, 0) ONLY(kind, RUN, 1) ONLY(kind, COLUMN, 1) ONLY(kind, SPARSE, 1)            \
    ONLY(kind, LIST, 0) ONLY(kind, LIST, 1)
#define LAST_ROW(kind) {last_##kind##_RUN_0, last_##kind##_RUN_1, last_##kind##_LIST_1}
#define ONLY_ROW(kind)                                                                                                 \
    {{only_##kind##_RUN_0, only_##kind##_COLUMN_0, only_##kind##_RUN_0, only_##kind##_LIST_0},                         \
     {only_##kind##_RUN_1, only_##kind##_COLUMN_1, only_##kind##_SPARSE_1, only_##kind##_LIST_1}}
LASTS(BYTE) LASTS(SHORT) LASTS(NEGATIVE) LASTS(TAG1)
ONLYS(BYTE) ONLYS(SHORT) ONLYS(TAG2)
#if !defined(NM_SMALL)
ITSELVES(BYTE) ITSELVES(SHORT)
#endif

static nm_last *last_of(uint32_t kind, const nm_lanes *a, uint32_t own) {
    static nm_last *const loop[4][3] = {LAST_ROW(BYTE), LAST_ROW(SHORT), LAST_ROW(NEGATIVE), LAST_ROW(TAG1)};
    return loop[kind][own ? a->other ? 2 : 1 : 0];
}

static nm_only *only_of(uint32_t kind, const nm_lanes *a, uint32_t own) {
    static nm_only *const loop[3][2][4] = {ONLY_ROW(BYTE), ONLY_ROW(SHORT), ONLY_ROW(TAG2)};
    const uint32_t where = a->other ? a->syn ? LIST : SPARSE : a->stride == 1 ? RUN : COLUMN;
    return loop[kind == TAG2 ? 2 : kind][own][where];
}

/* ---- weights and tags ---- */

static void load_bytes(int32_t *restrict out, const uint8_t *restrict w, const nm_lanes *a, int32_t flip) {
    const uint32_t n = a->n, stride = a->stride, *restrict syn = a->syn;
    w += a->base;
    if (syn) for (uint32_t k = 0; k < n; k++) out[k] = (w[syn[k] * stride] ^ flip) - flip;
    else if (stride != 1 && flip) NM_UNROLL4 for (uint32_t k = 0, at = 0; k < n; k++, at += stride) out[k] = -w[at];
    else if (stride != 1) NM_UNROLL4 for (uint32_t k = 0, at = 0; k < n; k++, at += stride) out[k] = w[at];
    else if (flip) for (uint32_t k = 0; k < n; k++) out[k] = -w[k];
    else NM_UNROLL4 for (uint32_t k = 0; k < n; k++) out[k] = w[k];
}

static void store_bytes(uint8_t *restrict w, const int32_t *restrict value, const nm_lanes *a) {
    const uint32_t n = a->n, stride = a->stride, *restrict syn = a->syn;
    w += a->base;
    if (syn) for (uint32_t k = 0; k < n; k++) w[syn[k] * stride] = (uint8_t)value[k];
    else if (stride != 1) for (uint32_t k = 0, at = 0; k < n; k++, at += stride) w[at] = (uint8_t)value[k];
    else NM_UNROLL4 for (uint32_t k = 0; k < n; k++) w[k] = (uint8_t)value[k];
}

static void *stored(const nm_line *c, uint32_t sum) {
    return sum == SUM_W ? (void *)(uintptr_t)c->p->w : sum == SUM_D ? c->l->tag2 : c->l->tag1;
}

static void load(const nm_line *c, uint32_t sum, const nm_lanes *a) {
    int32_t *restrict out = c->old[sum];
    const uint32_t n = a->n, stride = a->stride, *restrict syn = a->syn;
    if (sum == SUM_W && c->p->element == ELEM_U8) {
        load_bytes(out, c->p->w, a, (int32_t)c->p->flip);
        return;
    }
    const int16_t *restrict w = (int16_t *)stored(c, sum) + a->base;
    if (syn) for (uint32_t k = 0; k < n; k++) out[k] = w[syn[k] * stride];
    else if (stride != 1) NM_UNROLL4 for (uint32_t k = 0, at = 0; k < n; k++, at += stride) out[k] = w[at];
    else NM_UNROLL4 for (uint32_t k = 0; k < n; k++) out[k] = w[k];
}

/* The old values of some sums, a bit each, that are not there yet. */
static void load_all(nm_line *c, uint32_t sums, const nm_lanes *a) {
    for (uint32_t sum = 0; sum < 3; sum++)
        if (sums & ~c->loaded & (1u << sum)) load(c, sum, a);
    c->loaded |= sums;
}

static void store(const nm_line *c, uint32_t sum, const nm_lanes *a) {
    const int32_t *restrict value = c->acc;
    const uint32_t n = a->n, stride = a->stride, *restrict syn = a->syn;
    if (sum == SUM_W && c->p->element == ELEM_U8) {
        store_bytes((uint8_t *)(uintptr_t)c->p->w, value, a);
        return;
    }
    int16_t *restrict w = (int16_t *)stored(c, sum) + a->base;
    if (syn) for (uint32_t k = 0; k < n; k++) w[syn[k] * stride] = (int16_t)value[k];
    else if (stride != 1) for (uint32_t k = 0, at = 0; k < n; k++, at += stride) w[at] = (int16_t)value[k];
    else NM_UNROLL4 for (uint32_t k = 0; k < n; k++) w[k] = (int16_t)value[k];
}

/* How the lanes round: a number for all, or the keys of their own. */
static void rounding(const nm_line *c, uint32_t sum, const nm_lanes *a, uint32_t flip, nm_pass *x) {
    const uint32_t self = c->self * (c->column ? NM_SECOND : NM_GOLDEN);
    x->up = flip ? (int32_t)c->number : 127 - (int32_t)c->number;
    x->step = c->column ? NM_GOLDEN : NM_SECOND;
    x->key = c->key[sum] + self + (a->other ? 0 : a->first * x->step);
    x->hash = nm_hash_for(flip);
}

enum { FIRST = 1, ENDS = 2 };

/* The last product: acc becomes new values, and these are stored. */
static void end_sum(nm_line *c, uint32_t sum, const int32_t *from, const int32_t *v, const nm_lanes *a, nm_pass *x) {
    const uint32_t one_sided = c->p->sign == SIGN_EXC ? BYTE : c->p->sign == SIGN_INH ? NEGATIVE : SHORT;
    rounding(c, sum, a, 0, x);
    last_of(sum == SUM_W ? one_sided : sum == SUM_D ? BYTE : TAG1, a, c->e->rounding)(c->acc, from, v, a, x);
    store(c, sum, a);
}

/* The only product: stored values become new ones. */
static void end_only(nm_line *c, uint32_t sum, const int32_t *v, const nm_lanes *a, nm_pass *x) {
    const uint32_t own = c->e->rounding && x->s % 128 != 0;     /* whole numbers have nothing to round */
    if (sum == SUM_W && c->p->flip) x->s = 0u - x->s;
    only_of(sum == SUM_D ? TAG2 : c->p->element == ELEM_U8 ? BYTE : SHORT, a, own)(stored(c, sum), v, a, x);
}

#if defined(NM_SMALL)
NM_INLINE int run_itself(const nm_line *c, const nm_product *q, uint32_t largest, const nm_lanes *a, nm_pass *x) {
    (void)c, (void)q, (void)largest, (void)a, (void)x;
    return 0;
}
#else
/* The weight alone varies, and what is added is not to be limited: see single.c. */
static int run_itself(const nm_line *c, const nm_product *q, uint32_t largest, const nm_lanes *a, nm_pass *x) {
    typedef void nm_itself(void *stored, const nm_lanes *a, const nm_pass *x);
    static nm_itself *const loop[2][2][2] = {ITSELF_ROW(BYTE), ITSELF_ROW(SHORT)};
    const nm_factor *f = c->e->factor + q->first;
    const uint32_t is_short = c->p->element != ELEM_U8;
    if (q->varies[c->column] != 1 || f->var != VAR_W || f->form || f->second || f->add || q->right) return 0;
    if ((a->other && !a->syn) || nm_masked(q, a)) return 0;
    if (largest >= (is_short ? 32767u : NM_ADDEND_MAX) >> q->left) return 0;
    x->s <<= q->left;
    const uint32_t own = c->e->rounding && x->s % 128 != 0;     /* whole numbers have nothing to round */
    loop[is_short][a->other != 0][own](stored(c, SUM_W), a, x);
    return 1;
}
#endif

/* s: the scalar part of the product; order: FIRST of the sum, ENDS it, or both. */
static void add_product(nm_line *c, uint32_t sum, const nm_product *q, uint32_t s, const nm_lanes *a, uint32_t order) {
    const uint32_t largest = largest_product(c, q, s), limited = (largest >> q->right) + 1u > 32767u >> q->left;
    const int only_one = order == (FIRST | ENDS) && sum != SUM_T && (!a->syn || a->syn == a->other);
    nm_pass x = {.s = s, .old = order & FIRST ? 128 : 1};
    if (only_one) {
        rounding(c, sum, a, sum == SUM_W ? c->p->flip : 0, &x);     /* magnitudes stay what they are */
        if (sum == SUM_W && (run_itself(c, q, largest, a, &x) || nm_single(c, q, s, largest, a, &x))) return;
    }
    load_all(c, only_one ? q->reads : q->reads | 1u << sum, a);
    const int32_t *v = s ? vector_part(c, q, a, limited, &x.s) : c->old[sum];
    const int32_t *from = order & FIRST ? c->old[sum] : c->acc;
    if (only_one) end_only(c, sum, v, a, &x);
    else if (order & ENDS) end_sum(c, sum, from, v, a, &x);
    else add(c->acc, from, v, a->n, &x);
}

/* Those of tag_1 at -257 are remembered. */
static void note_floor(nm_line *c, uint32_t n) {
    for (uint32_t k = 0; k < n; k++) c->floor_tag |= c->acc[k] == -257;
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
        }
        held = q;
        held_s = s;
    }
    if (!held) return;
    add_product(c, sum, held, held_s, a, order | ENDS);
    if (sum == SUM_T) note_floor(c, a->n);
}

/* Lanes that are not there; a loop may go on to the next multiple of 8. */
static void guard(const nm_engine *e, uint32_t n) {
    const uint32_t end = (n + 7u) & ~7u;
    ASAN_UNPOISON_MEMORY_REGION(e->lane, 7u * NM_LANES * sizeof *e->lane);
    for (uint32_t k = 0; NM_GUARD && k < 7; k++)
        ASAN_POISON_MEMORY_REGION(e->lane + k * NM_LANES + end, (NM_LANES - end) * sizeof *e->lane);
}

/* The three sums of some synapses, all from their old values. */
void nm_run_lanes(nm_line *c, const nm_lanes *a) {
    guard(c->e, a->n);
    if (c->e->wide) {
        nm_wide_lanes(c, a);
        return;
    }
    c->loaded = 0;
    if (c->r->count[SUM_D] + c->r->count[SUM_T]) load_all(c, c->r->reads, a);   /* before others are stored */
    for (uint32_t sum = 0; sum < 3; sum++)
        if (c->r->count[sum]) run_sum(c, sum, a);
}
