/* Products of the rule interpreter, docs/semantics.md 4.3, on lanes of synapses that share one neuron. All factors
 * multiply with 32-bit wrap, which commutes: what does not vary along the lanes folds into one scalar. */
#include "lanes.h"

/* ---- what varies ---- */

/* A factor's largest absolute value: of what is stored, and of traces, it is known well. */
static uint32_t largest(const nm_factor *f) {
    if ((f->form & FN_MASK) == FN_SGN || (f->form & FN_MASK) == FN_ON) return 1;
    if (f->form || f->second || f->var < VAR_X1 || f->var > VAR_T) return 1u << f->bits;
    const int32_t low = nm_factor_value(f, f->var < VAR_W ? 0 : -257);
    const int32_t high = nm_factor_value(f, f->var < VAR_W ? 128 : 255);
    return (uint32_t)(-low > high ? -low : high);
}

/* A factor that never reaches its limits: the weight, or a trace. These end at 127, but for a graded one. */
static int is_uncut(const nm_line *c, const nm_factor *f) {
    const int32_t trace = 127 + (f->var == VAR_X1 && (c->r->graded & 1u));
    const int32_t low = f->var != VAR_W || c->p->sign == SIGN_EXC ? 0 : -256;
    const int32_t high = f->var != VAR_W ? trace : c->p->sign == SIGN_INH ? 0 : 255;
    const int weight = f->var == VAR_W && !f->form && !f->second;
    return (weight || nm_is_trace(f)) && low + f->add >= f->lo && high + f->add <= f->hi;
}

/* Are two or three factors all that varies, each a trace but one, which may be the weight and has no limits? Then first
 * that one. */
static void find_few(const nm_line *c, nm_product *q, uint32_t column, const uint8_t *varies, uint32_t n) {
    const nm_factor *f = c->e->factor + q->first;
    uint32_t first = 3, weights = 0;
    for (uint32_t k = 0; k < n && n <= 3; k++) {
        weights += !nm_is_trace(f + varies[k]);
        if (is_uncut(c, f + varies[k]) && (first == 3 || !nm_is_trace(f + varies[k]))) first = k;
    }
    q->few[column][0] = NONE;
    const int each_time = !column && q->dep == DEP_Y0 && c->r->t_epoch > 1;
    if (n < 2 || n > 2u + NM_ROOM || each_time || first == 3 || weights > !nm_is_trace(f + varies[first])) return;
    for (uint32_t k = 0; k < 3; k++) q->few[column][k] = k < n ? varies[(first + k) % n] : NONE;
}

/* Is the variable the same in each row, or in each column? */
static int is_alike(const nm_line *c, const nm_product *q, uint32_t var, uint32_t column) {
    return (var < VAR_W || var > VAR_T) && (var == VAR_ONE || !nm_is_constant(c->e, c->r, q, var, column));
}

/* Are all factors that vary the same in each row, or each column, but for a weight without limits, and do they multiply
 * to 16 bits? Then which factor is the weight. Or is one factor all that varies, a function of the weight and of what is
 * alike? */
static void find_weight(const nm_line *c, nm_product *q, uint32_t column, const uint8_t *varies, uint32_t n) {
    uint32_t most = 1, weight = !column && q->dep == DEP_Y0 && c->r->t_epoch > 1 ? NOT_ALIKE : NO_WEIGHT;
    for (uint32_t k = 0; k < n && weight != NOT_ALIKE; k++) {
        const nm_factor *f = c->e->factor + q->first + varies[k];
        if (is_alike(c, q, f->var, column) && (!f->second || is_alike(c, q, f->second - 1u, column))) {
            most = nm_min(most * largest(f), 32768);
        } else {
            const uint32_t other = f->var != VAR_W ? f->var : f->second ? f->second - 1u : VAR_ONE;
            const int plain = is_uncut(c, f) && weight == NO_WEIGHT;
            const int alone = NM_ROOM && n == 1 && (f->var == VAR_W || f->second == VAR_W + 1);
            const int formed = alone && is_alike(c, q, other, column);
            weight = plain || formed ? varies[k] : NOT_ALIKE;
            if (!plain && formed) q->formed |= (uint8_t)(1u << column);
        }
    }
    if (most > 32767u && weight != NOT_ALIKE) weight = weight == NO_WEIGHT ? ENDED : NOT_ALIKE;
    q->weight[column] = (uint8_t)weight;
}

static uint8_t read_by(uint32_t var) {
    return (uint8_t)(var >= VAR_W && var <= VAR_T ? 1u << (var - VAR_W) : 0u);
}

/* What of a product varies along a row or a column, how large that can be, and what it reads: found once for each rule and
 * sign mode that it follows another one in. */
static void product_start(const nm_line *c, nm_product *q) {
    if (q->known_for == c->r && q->known_sign == c->p->sign) return;
    q->known_for = c->r;
    q->known_sign = c->p->sign;
    if (q->single) q->single->key = 0;
    q->reads = q->formed = 0;
    for (uint32_t column = 0; column < 2; column++) {
        uint32_t most = 1, n = 0;
        uint8_t varies[6] = {0};
        q->varies[column] = 0;
        for (uint32_t k = 0; k < q->factors; k++) {
            const nm_factor *f = c->e->factor + q->first + k;
            if (nm_is_constant(c->e, c->r, q, f->var, column) && (!f->second || nm_is_constant(c->e, c->r, q, f->second - 1u, column)))
                continue;
            q->varies[column] |= (uint8_t)(1u << k);
            varies[n++] = (uint8_t)k;
            q->reads |= read_by(f->var) | (f->second ? read_by(f->second - 1u) : 0u);
            most = most >> 22 ? UINT32_C(1) << 31 : most * largest(f);      /* no factor is over 512 */
        }
        q->most[column] = most;
        find_few(c, q, column, varies, n);
        find_weight(c, q, column, varies, n);
    }
}

void nm_line_start(nm_line *c, nm_engine *e, uint32_t index, nm_proj *p) {
    const nm_line fresh = {.e = e, .p = p, .l = p->plastic, .r = p->plastic->rule};
    *c = fresh;
    c->weights = 1u | (uint32_t)p->element << 4 | (uint32_t)p->sign << 6;
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
    const uint16_t *n = c->r->count;
    if (n[SUM_W] == 1 && n[SUM_D] + n[SUM_T] == 0 && !e->wide) c->only = e->product + c->r->first[SUM_W];
}

/* ---- products ---- */

/* How a product ends: times what is the same for all lanes, shifted right; then limited, or left to be shifted left. */
typedef struct { uint32_t s, right, left, limited; } nm_ending;

NM_INLINE int32_t ended(uint32_t x, const nm_ending *end, uint32_t limited) {
    const int32_t shifted = (int32_t)(x * end->s) >> end->right;
    return limited ? nm_limit((int32_t)((uint32_t)shifted << end->left)) : shifted;
}

/* Loops over vectors, as they end: v alone; v * x. */
typedef struct { const int32_t *v, *x; } nm_vectors;
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
    }
TIMES(0) TIMES(1)
enum { ALONE, BY_VECTOR };

static void times(int32_t *out, uint32_t n, const nm_vectors *y, const nm_ending *end, uint32_t how) {
    typedef void nm_times(int32_t *out, uint32_t n, const nm_vectors *y, const nm_ending *end);
    static nm_times *const loop[2][2] = {{alone_0, alone_1}, {by_vector_0, by_vector_1}};
    loop[how][end->limited](out, n, y, end);
}

/* Two traces with their limits, multiplied. */
typedef struct { const uint8_t *t, *u; int32_t t_add, u_add; } nm_two;
static NM_NOINLINE void multiply_two(int32_t *restrict out, uint32_t n, const nm_two *two) {
    const nm_two y = *two;
    const uint8_t *restrict t = y.t, *restrict u = y.u;
    NM_UNROLL2 for (uint32_t k = 0; k < n; k++) {
        *out++ = nm_clip(*t++ + y.t_add, -128, 127) * nm_clip(*u++ + y.u_add, -128, 127);
        NM_KEEP_APART(t);
        NM_KEEP_APART(u);
        NM_KEEP_APART(out);
    }
}

/* Two or three factors that are multiplied as they are read: (x * s + add) * t * u >> right, with the limits of the
 * traces t and u; then limited after * scale. */
typedef struct {
    const void *x;                  /* words or bytes */
    const uint8_t *t, *u;
    uint32_t s, add, right;
    int32_t t_add, u_add, scale;
} nm_few;
#define FEW(type, three, limited)                                                                                      \
    static NM_NOINLINE void few_##type##_##three##_##limited(int32_t *restrict out, uint32_t n, const nm_few *few) {   \
        const nm_few y = *few;                                                                                         \
        const type *restrict x = y.x;                                                                                  \
        const uint8_t *restrict t = y.t, *restrict u = y.u;                                                            \
        NM_UNROLL4 for (uint32_t k = 0; k < n; k++) {                                                                  \
            int32_t others = nm_clip(*t++ + y.t_add, -128, 127);                                                       \
            if (three) others *= nm_clip(*u++ + y.u_add, -128, 127);                                                   \
            const int32_t v = nm_multiplied((uint32_t)*x++ * y.s + y.add, others, y.right);                            \
            *out++ = limited ? nm_limit(v * y.scale) : v;                                                              \
            NM_KEEP_APART(x);                                                                                          \
            NM_KEEP_APART(t);                                                                                          \
            if (three) NM_KEEP_APART(u);                                                                               \
            NM_KEEP_APART(out);                                                                                        \
        }                                                                                                              \
    }
FEW(int32_t, 0, 0) FEW(int32_t, 0, 1) FEW(uint8_t, 0, 0) FEW(uint8_t, 0, 1)
#define FEW_ROW(type, three) {few_##type##_##three##_0, few_##type##_##three##_1}
#if NM_ROOM
FEW(int32_t, 1, 0) FEW(int32_t, 1, 1) FEW(uint8_t, 1, 0) FEW(uint8_t, 1, 1)
#define FEW_ROWS(type) {FEW_ROW(type, 0), FEW_ROW(type, 1)}
#else
#define FEW_ROWS(type) {FEW_ROW(type, 0)}
#endif

static const nm_factor *next_varying(const nm_line *c, const nm_product *q, uint32_t *k) {
    const uint32_t left = (uint32_t)q->varies[c->column] >> *k;
    if (left == 0) return 0;
    while (!(q->varies[c->column] >> *k & 1u)) ++*k;
    return c->e->factor + q->first + (*k)++;
}

/* The first of what varies along the lanes: which synapses are due, or a factor. */
static const int32_t *first_vector(const nm_line *c, const nm_product *q, const nm_lanes *a, uint32_t *k) {
    if (nm_masked(q, a)) {
        nm_fetch_spiked(c->p1, c->l->ty, a);
        return c->p1;
    }
    const nm_factor *f = next_varying(c, q, k);
    if (f) return nm_factor_lanes(c, q, f, a, c->p1);
    for (uint32_t x = 0; x < a->n; x++) c->p1[x] = 1;
    return c->p1;
}

static void few(const nm_line *c, const nm_product *q, const nm_lanes *a, const nm_ending *end) {
    typedef void nm_loop(int32_t *restrict out, uint32_t n, const nm_few *few);
    static nm_loop *const loop[2][1 + NM_ROOM][2] = {FEW_ROWS(int32_t), FEW_ROWS(uint8_t)};
    const uint8_t *which = q->few[c->column];
    const nm_factor *f = c->e->factor + q->first, *x = f + which[0], *t = f + which[1];
    const uint32_t bytes = x->var != VAR_W, three = which[2] != NONE, s = end->s << nm_ahead(q->right);
    const nm_factor *u = three ? f + which[2] : t;
    const nm_few y = {
        .x = bytes ? (const void *)(nm_trace_of(c, q, x) + a->first) : (const void *)c->old[SUM_W],
        .t = nm_trace_of(c, q, t) + a->first, .u = nm_trace_of(c, q, u) + a->first,
        .s = s, .add = (uint32_t)(int32_t)x->add * s, .right = q->right,
        .t_add = t->add, .u_add = u->add, .scale = (int32_t)(1u << q->left),
    };
    loop[bytes][three][end->limited](c->p1, a->n, &y);
}

/* The first two of what varies besides the weight, if that are traces: to p1. Returns how many it took. */
static uint32_t first_two(const nm_line *c, const nm_product *q, const nm_lanes *a, uint32_t *k) {
    const nm_factor *f[2] = {0, 0};
    uint32_t at = 0, n = 0;
    while (n < 2) {
        const nm_factor *next = next_varying(c, q, &at);
        if (!next || (at != q->weight[c->column] + 1u && !nm_is_trace(next))) return 0;
        if (at != q->weight[c->column] + 1u) f[n++] = next;
    }
    const nm_two y = {nm_trace_of(c, q, f[0]) + a->first, nm_trace_of(c, q, f[1]) + a->first, f[0]->add, f[1]->add};
    multiply_two(c->p1, a->n, &y);
    *k = at;
    return 2;
}

/* Rows, and columns, follow each other: each block of lanes is prepared for all of them. */
const int32_t *nm_alike(nm_line *c, const nm_product *q, uint32_t s, const nm_lanes *a) {
    const uint32_t weight = q->weight[c->column];
    const nm_ending none = {1, 0, 0, 0}, end = {s, q->right, 0, 0};
    if (nm_is_prepared(c, q, s, a, 0)) return c->p1;
    nm_note_alike(c, q, s, a, 0);
    if (NM_ROOM && q->formed >> c->column & 1u) {
        nm_form_alike(c, q, c->e->factor + q->first + weight, a, c->p1);
        return c->p1;
    }
    const uint32_t varies = q->varies[c->column];
    const uint32_t several = varies & (varies - 1u);
    uint32_t k = 0, n = NM_ROOM && !a->other && several ? first_two(c, q, a, &k) : 0u;
    for (const nm_factor *f; (f = next_varying(c, q, &k));) {
        if (k == weight + 1) continue;
        const nm_vectors y = {.v = c->p1, .x = nm_factor_lanes(c, q, f, a, n ? c->p2 : c->p1)};
        const int last = weight == ENDED && !(varies >> k);
        if (n++) times(c->p1, a->n, &y, last ? &end : &none, BY_VECTOR);
    }
    if (n == 0)
        for (uint32_t x = 0; x < a->n; x++) c->p1[x] = 1;
    return c->p1;
}

const int32_t *nm_vector_part(nm_line *c, const nm_product *q, const nm_lanes *a, uint32_t largest, uint32_t limited,
                              uint32_t *s) {
    const nm_ending end = {*s, q->right, q->left, limited}, none = {1, 0, 0, 0};
    const uint32_t after = limited ? 1u : 1u << q->left, varies = q->varies[c->column];
    const int fits = largest >> q->right <= NM_SHORT_MAX && q->right <= NM_RIGHT_MAX;
    if (!a->other && !nm_masked(q, a) && q->few[c->column][0] != NONE && fits) {
        c->alike = 0;
        few(c, q, a, &end);
        *s = after;
        return c->p1;
    }
    const uint32_t weight = q->weight[c->column], ended = weight == ENDED;
    if (varies && (weight == NO_WEIGHT || ended) && !nm_masked(q, a)) {
        const nm_vectors y = {.v = nm_alike(c, q, *s, a)};
        const nm_ending left = {1, 0, q->left, limited};
        if (!limited && (ended || !q->right)) {
            *s = (ended ? 1u : *s) << q->left;
            return y.v;
        }
        times(c->p2, a->n, &y, ended ? &left : &end, ALONE);
        *s = after;
        return c->p2;
    }
    c->alike = 0;
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
        y.x = nm_factor_lanes(c, q, f, a, c->p2);
        times(c->p1, a->n, &y, then ? &none : &end, BY_VECTOR);
    }
    *s = after;
    return c->p1;
}

/* Everything of a product that is the same for all lanes. */
uint32_t nm_scalars(const nm_line *c, const nm_product *q) {
    uint32_t s = 1;
    for (uint32_t k = 0; k < q->factors; k++) {
        if (!(q->varies[c->column] >> k & 1u)) s *= (uint32_t)nm_factor_scalar(c, q, c->e->factor + q->first + k);
    }
    return s;
}
