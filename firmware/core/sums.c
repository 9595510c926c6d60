/* The interpreter of sums of products, docs/semantics.md 4.3, on lanes of synapses that share one neuron: products.c says
 * what is added, here it is added, rounded and stored. Dispatch is paid once per product and batch. */
#include "wide.h"

static int due(const nm_line *c, const nm_product *q, uint32_t active) {
    if (q->dep == DEP_Y0) return active != 0;
    return !c->column && (q->dep == DEP_X0 ? c->when != 0 : nm_u_due(c->r, q));
}

/* The largest absolute value of a product before its shifts, with its scalar part: 2^31 if it may be about that. */
static uint32_t largest_product(const nm_line *c, const nm_product *q, uint32_t s) {
    const uint32_t most = q->most[c->column], size = (int32_t)s < 0 ? 0u - s : s;
    if (size >> 16 || ((most >> 15) + 1u) * size >> 16) return UINT32_C(1) << 31;
    return size * most;
}

/* ---- loops ---- */

/* Where the lanes lie: one after the other; a stride apart; one after the other, but their targets are listed; listed
 * by their far end. */
enum { RUN, COLUMN, SPARSE, LIST };
/* What a sum becomes; NEGATIVE: the magnitude of a negative weight. Its range does what the sign mode and the limits of
 * the sum would do; but that of tag_1 lies below the sum's. */
enum { BYTE, SHORT, NEGATIVE, TAG1, TAG2 };

NM_INLINE int32_t rounded(int32_t sum, int32_t number, uint32_t kind) {
    if (kind == TAG1) return nm_clip((nm_limit(sum) + number) >> 7, -257, 255);
    const int32_t value = (sum + number) >> 7;
    return nm_clip(kind == NEGATIVE ? -value : value, kind == SHORT ? -256 : 0, 255);
}

/* A product that is not the last one. acc is twice the sum, and 1: its limits are those of 17 bits then, but that -32769
 * becomes -32768.5, which whatever is added to it leaves half a unit too high: rounded down, it is right. */
NM_INLINE void add(int32_t *acc, const int32_t *from, const int32_t *restrict v, uint32_t n, const nm_pass *x,
                   uint32_t first, uint32_t limited) {
    const uint32_t s = limited ? x->s : 2u * x->s;
    NM_UNROLL4 for (uint32_t k = 0; k < n; k++) {
        const int32_t p = (int32_t)((uint32_t)v[k] * s), twice = limited ? 2 * nm_limit(p) : p;
        acc[k] = nm_clip((first ? from[k] * 256 + 1 : acc[k]) + twice, -65536, 65535);
    }
}
typedef void nm_add_loop(int32_t *acc, const int32_t *from, const int32_t *v, uint32_t n, const nm_pass *x);
#define ADD(first, limited)                                                                                            \
    static NM_NOINLINE void add_##first##_##limited(int32_t *acc, const int32_t *from, const int32_t *v, uint32_t n,   \
                                                    const nm_pass *x) {                                                \
        add(acc, from, v, n, x, first, limited);                                                                       \
    }
ADD(0, 0) ADD(1, 0)
#if NM_ROOM
ADD(0, 1) ADD(1, 1)
#define ADD_OF(first) {add_##first##_0, add_##first##_1}
#else
#define ADD_OF(first) {add_##first##_0}
#endif

/* The last one: acc becomes new values. */
NM_INLINE void last(int32_t *acc, const int32_t *from, const int32_t *restrict v, const nm_lanes *a, const nm_pass *x,
                    uint32_t kind, uint32_t where, uint32_t own) {
    const uint32_t s = x->s, n = a->n, step = x->step, *restrict other = a->other;
    const int32_t old = x->old, less = x->less, up = x->up;
    const nm_hash h = x->hash;
    uint32_t key = x->key;
    for (uint32_t k = 0; k < n; k++, key += step) {
        const int32_t sum = ((from[k] * old - less) >> 1) + (int32_t)((uint32_t)v[k] * s);
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
    static nm_add_loop *const loop[2][1 + NM_ROOM] = {ADD_OF(0), ADD_OF(1)};
    const int only_one = order == (FIRST | ENDS) && sum != SUM_T && (!a->syn || a->syn == a->other);
    nm_pass x = {.s = s, .old = order & FIRST ? 256 : 1, .less = !(order & FIRST)};
    if (only_one) rounding(c, sum, a, sum == SUM_W ? c->p->flip : 0, &x);    /* magnitudes stay what they are */
    const uint32_t largest = largest_product(c, q, s), limited = (largest >> q->right) + 1u > 32767u >> q->left;
    if (only_one && sum == SUM_W && run_itself(c, q, largest, a, &x)) return;
    nm_single *how = only_one && sum == SUM_W && NM_ROOM ? nm_single_start(c, q, s, largest, a) : 0;
    if (how) {
        nm_single_run(c, q, how, a);
        return;
    }
    load_all(c, only_one ? q->reads : q->reads | 1u << sum, a);
    /* where it is not the last one, its limits are seen to as it is added */
    const uint32_t fits = largest >> q->right < NM_ADDEND_MAX >> q->left;
    const uint32_t late = NM_ROOM && limited && fits && !(order & ENDS);
    const int32_t *v = s ? nm_vector_part(c, q, a, largest, limited && !late, &x.s) : c->old[sum];
    const int32_t *from = order & FIRST ? c->old[sum] : c->acc;
    if (only_one) end_only(c, sum, v, a, &x);
    else if (order & ENDS) end_sum(c, sum, from, v, a, &x);
    else loop[order & FIRST][late](c->acc, from, v, a->n, &x);
}

/* Those of tag_1 at -257 are remembered. */
static void note_floor(nm_line *c, uint32_t n) {
    for (uint32_t k = 0; k < n; k++) c->floor_tag |= c->acc[k] == -257;
}

/* A product that is all that is added to the weights, if it is known how it is run. */
static int run_known(nm_line *c, const nm_product *q, uint32_t s, const nm_lanes *a) {
    nm_single *how = NM_ROOM ? nm_single_known(c, q, s, a) : 0;
    if (how) nm_single_run(c, q, how, a);
    return how != 0;
}

/* One sum. The product found last is held back, since only the one that follows tells whether it ends the sum. */
static void run_sum(nm_line *c, uint32_t sum, const nm_lanes *a) {
    const nm_product *q = c->e->product + c->r->first[sum], *held = 0;
    const int sunk = sum == SUM_T && c->l->floor_tag;   /* tag_1 = -257 lies below acc: products of 0 matter too */
    uint32_t held_s = 0, order = FIRST;
    for (uint32_t k = 0; k < c->r->count[sum]; k++, q++) {
        const uint32_t s = due(c, q, a->active) ? nm_scalar_part(c, q) : 0;
        if (s == 0 && !sunk) continue;
        if (held) {
            add_product(c, sum, held, held_s, a, order);
            order = 0;
        }
        held = q;
        held_s = s;
    }
    if (!held) return;
    if (order == FIRST && sum == SUM_W && run_known(c, held, held_s, a)) return;
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
    const nm_product *q = NM_ROOM ? c->only : 0;
    if (q) {
        const uint32_t s = due(c, q, a->active) ? nm_scalar_part(c, q) : 0;
        if (!s || run_known(c, q, s, a)) return;
        c->loaded = 0;
        add_product(c, SUM_W, q, s, a, FIRST | ENDS);
        return;
    }
    if (c->e->wide) {
        nm_wide_lanes(c, a);
        return;
    }
    const nm_rule *r = c->r;
    c->loaded = 0;
    if (r->count[SUM_D] + r->count[SUM_T]) load_all(c, r->reads, a);    /* before others are stored */
    if (r->count[SUM_W]) run_sum(c, SUM_W, a);
    if (r->count[SUM_D]) run_sum(c, SUM_D, a);
    if (r->count[SUM_T]) run_sum(c, SUM_T, a);
}
