/* The kernel for separable rules on dense projections: one x0-product of a target trace and constants, one y0-product
 * of a source trace and constants, in either order (pair STDP and its kin). Products of slow scales may stand beside
 * them: where one is due, the rule is interpreted. What a product adds depends on its trace alone: it is looked up. Three kinds of synapses, apart from each other: of targets that spiked and silent
 * sources (columns), of sources that spiked and silent targets (rows), and of both that spiked. Equal to the
 * interpreter by test. */
#include "guards.h"
#include "nm_internal.h"

#if defined(NM_SMALL)   /* every rule is interpreted */
uint8_t nm_separable(const nm_engine *e, const nm_rule *r) {
    (void)e, (void)r;
    return 0;
}
void nm_separable_start(const nm_engine *e, const nm_proj *p) { (void)e, (void)p; }
void nm_learn_separable(nm_engine *e, uint32_t index, nm_proj *p) { (void)e, (void)index, (void)p; }
#else

/* A synapse of a row or column: its place along it, and what is added to it. */
typedef struct { uint32_t at; int32_t d; } nm_cell;
#define CELLS NM_BATCH              /* of a list, in e->lane: few enough that a batch of rows stays in the cache */

/* Where vectors hurry over zeros, rows whose synapses have numbers of their own are lists only if few are to move: one
 * in FEW. 0: always. */
#if defined(__SSE2__) || defined(__ARM_NEON)
#define FEW 8u
#else
#define FEW 0u
#endif

/* The sources or the targets, and what one more means for the place of a weight and for its key. */
typedef struct {
    const uint32_t *spiked;
    const uint8_t *when;
    uint32_t n, count, stride, step;
} nm_side;

typedef struct {
    nm_engine *e;
    nm_proj *p;
    nm_plastic *l;
    nm_side side[2];                /* by dependency: whose spikes it means */
    uint32_t x_first;               /* order of the two products: the sum saturates after each */
    uint32_t hashed;                /* there is something to round, with a number of each synapse's own */
    uint32_t key;                   /* of that number */
    nm_hash hash;
    int32_t up;                     /* shared rounding: added before the shift that drops 7 fractional bits */
    int32_t acc_lo, acc_hi;         /* limits of the sum */
    uint32_t y_times;               /* at how many times of the epoch some target's last spike was, and which */
    uint8_t y_time[64];
    uint8_t at[2][65];              /* some source's, some target's last spike was then */
} nm_separable_run;

/* ---- what a product adds ---- */

/* Does the product read one trace at most, of those from first to last? */
static int one_trace(const nm_engine *e, const nm_product *q, uint32_t first, uint32_t last) {
    uint32_t read = VAR_ONE;
    for (uint32_t k = 0; k < q->factors; k++) {
        const nm_factor *f = e->factor + q->first + k;
        if (f->form || f->second) return 0;
        if (f->var == VAR_ONE) continue;
        if (f->var < first || f->var > last || (read != VAR_ONE && f->var != read)) return 0;
        read = f->var;
    }
    return 1;
}

/* The only product with a dependency. */
static const nm_product *find(const nm_engine *e, const nm_rule *r, uint32_t dep) {
    const nm_product *q = e->product + r->first[SUM_W];
    while (q->dep != dep) q++;
    return q;
}

uint8_t nm_separable(const nm_engine *e, const nm_rule *r) {
    return nm_paired(&e->image, r) && one_trace(e, find(e, r, DEP_X0), VAR_Y1, VAR_Y3)
        && one_trace(e, find(e, r, DEP_Y0), VAR_X1, VAR_X2);
}

/* What a product adds for each value of the trace that it reads, once for the whole run. Stored weights of inhibitory
 * synapses are magnitudes: there everything acts with the opposite sign. */
static void tabulate(const nm_engine *e, const nm_proj *p, uint32_t dep) {
    nm_plastic *l = p->plastic;
    const nm_product *q = find(e, l->rule, dep);
    int32_t *out = l->by_value + dep * NM_DECAY_ENTRIES;
    l->by_trace[dep] = TR_COUNT;
    for (uint32_t v = 0; v < NM_DECAY_ENTRIES; v++) {
        uint32_t s = (uint32_t)(int32_t)q->mant;
        for (uint32_t k = 0; k < q->factors; k++) {
            const nm_factor *f = e->factor + q->first + k;
            s *= (uint32_t)nm_factor_value(f, f->var == VAR_ONE ? 0 : (int32_t)v);
            if (f->var != VAR_ONE) l->by_trace[dep] = (uint8_t)(f->var - VAR_X1 + TR_X1);
        }
        out[v] = (int32_t)(((uint32_t)nm_product_end((int32_t)s, q) ^ p->flip) - p->flip);
        if (out[v] & 127) l->whole = 0;
    }
}

void nm_separable_start(const nm_engine *e, const nm_proj *p) {
    p->plastic->whole = 1;
    tabulate(e, p, DEP_X0);
    tabulate(e, p, DEP_Y0);
}

/* The trace that a product reads, at time k of the epoch; anything if it reads none. */
static const uint8_t *trace_of(const nm_separable_run *c, uint32_t dep, uint32_t k) {
    const uint32_t trace = c->l->by_trace[dep];
    return trace < TR_COUNT ? nm_history(c->e, c->p, trace, k) : dep == DEP_X0 ? c->l->ty : c->l->tx;
}

static const int32_t *by_value(const nm_separable_run *c, uint32_t dep) {
    return c->l->by_value + dep * NM_DECAY_ENTRIES;
}

/* ---- kernels: w' = clip((w * 128 + d + number) >> 7) ---- */

/* Whole rows, and listed cells of a row or column, by fours. d holds the number if all have the same. Kept out of line:
 * together they would run out of registers on small cores. */
#define KERNELS(T, name, D, lowest)                                                                                    \
    static NM_NOINLINE void row_##name(T *restrict w, const D *restrict d, uint32_t n) {                               \
        NM_UNROLL4 for (uint32_t j = 0; j < n; j++) w[j] = (T)nm_clip(((int32_t)w[j] * 128 + d[j]) >> 7, lowest, 255); \
    }                                                                                                                  \
    static NM_NOINLINE void row_hashed_##name(T *restrict w, const D *restrict d, uint32_t n, uint32_t key,            \
                                              nm_hash h) {                                                             \
        for (uint32_t j = 0; j < n; j++, key += NM_SECOND)                                                             \
            w[j] = (T)nm_clip(((int32_t)w[j] * 128 + d[j] + nm_number7(key, h)) >> 7, lowest, 255);                    \
    }                                                                                                                  \
    NM_INLINE void move_##name(T *w, int32_t d) { *w = (T)nm_clip(((int32_t)*w * 128 + d) >> 7, lowest, 255); }        \
    static NM_NOINLINE void cells_##name(T *restrict w, const nm_cell *restrict a, uint32_t n, uint32_t stride) {      \
        for (; n != 0; n -= 4, a += 4)                                                                                 \
            NM_UNROLL4 for (uint32_t x = 0; x < 4; x++) move_##name(w + a[x].at * stride, a[x].d);                     \
    }                                                                                                                  \
    NM_INLINE void hash_##name(T *restrict w, const nm_cell *restrict a, uint32_t n, uint32_t stride, uint32_t key,    \
                               uint32_t step, nm_hash h) {                                                             \
        for (; n != 0; n -= 4, a += 4)                                                                                 \
            NM_UNROLL4 for (uint32_t x = 0; x < 4; x++)                                                                \
                move_##name(w + a[x].at * stride, a[x].d + nm_number7(key + a[x].at * step, h));                       \
    }                                                                                                                  \
    static NM_NOINLINE void cells_hashed_##name(T *restrict w, const nm_cell *restrict a, uint32_t n, uint32_t key,    \
                                                const nm_separable_run *c, const nm_side *along) {                     \
        if (along->step == NM_SECOND) hash_##name(w, a, n, 1, key, NM_SECOND, c->hash);                                \
        else hash_##name(w, a, n, along->stride, key, NM_GOLDEN, c->hash);                                             \
    }                                                                                                                  \
    /* Both products, in their order, in a row: dx of each active column, dy by the time of its spike. */              \
    static NM_NOINLINE void both_##name(T *restrict w, const nm_separable_run *c, uint32_t key,                        \
                                        const int32_t *restrict dx, const int32_t *restrict dy) {                      \
        const nm_plastic *l = c->l;                                                                                    \
        const nm_hash h = c->hash;                                                                                     \
        const uint32_t n = l->ncols, own = c->e->rounding, x_first = c->x_first;                                       \
        const int32_t lo = c->acc_lo, hi = c->acc_hi, shared = c->up;                                                  \
        for (uint32_t x = 0; x < n; x++) {                                                                             \
            const uint32_t j = l->cols[x];                                                                             \
            const int32_t a = dx[x], b = dy[l->ty[j]], up = own ? nm_number7(key + j * NM_SECOND, h) : shared;         \
            const int32_t sum = nm_clip((int32_t)w[j] * 128 + (x_first ? a : b), lo, hi) + (x_first ? b : a);          \
            w[j] = (T)nm_clip((sum + up) >> 7, lowest, 255);                                                           \
        }                                                                                                              \
    }

KERNELS(uint8_t, u8, int16_t, 0)
KERNELS(int16_t, i16, int32_t, -256)

static uint8_t *bytes(const nm_separable_run *c, uint32_t at) { return (uint8_t *)(uintptr_t)c->p->w + at; }
static int16_t *shorts(const nm_separable_run *c, uint32_t at) { return (int16_t *)(uintptr_t)c->p->w + at; }

static void run_cells(const nm_separable_run *c, uint32_t at, const nm_cell *a, uint32_t n, uint32_t key,
                      const nm_side *along) {
    const int is_byte = c->p->element == ELEM_U8;
    if (is_byte && c->hashed) cells_hashed_u8(bytes(c, at), a, n, key, c, along);
    else if (is_byte) cells_u8(bytes(c, at), a, n, along->stride);
    else if (c->hashed) cells_hashed_i16(shorts(c, at), a, n, key, c, along);
    else cells_i16(shorts(c, at), a, n, along->stride);
}

/* ---- lists ---- */

/* Neurons from..end whose traces make the product add something, appended to the list; returns its length. */
static uint32_t pick(const nm_separable_run *c, uint32_t dep, uint32_t k, uint32_t from, uint32_t end,
                     nm_cell *restrict list, uint32_t n) {
    const uint8_t *restrict h = trace_of(c, dep, k);
    const int32_t up = c->up, *restrict values = by_value(c, dep);
    /* traces are 0 or not at random: no branches */
    NM_UNROLL4 for (uint32_t i = from; i < end; i++) {
        const int32_t d = values[h[i]];
        list[n].at = i;
        list[n].d = d + up;
        n += d != 0;
    }
    return n;
}

/* The rows, or the columns, of neurons that spiked last at time k, without those that cross them. */
static void lines(const nm_separable_run *c, uint32_t dep, uint32_t k) {
    const nm_side *line = c->side + dep, *along = c->side + !dep;
    nm_cell *list = (nm_cell *)(void *)c->e->lane;
    uint32_t from = 0, crossed = 0;
    ASAN_POISON_MEMORY_REGION(list + CELLS, NM_GUARD);
    while (from < along->n) {
        uint32_t n = 0;
        while (from < along->n && n < CELLS - 3u) {
            const uint32_t stop = crossed < along->count ? along->spiked[crossed] : along->n;
            const uint32_t end = nm_min(stop, from + CELLS - 3u - n);
            n = pick(c, dep, k, from, end, list, n);
            from = end;
            if (from == stop) {
                from++;
                crossed++;
            }
        }
        for (; n & 3u; n++) list[n].at = 0, list[n].d = 0;      /* moves nothing */
        for (uint32_t x = 0; x < line->count && n; x++) {
            const uint32_t i = line->spiked[x];
            if (line->when[i] == k) run_cells(c, i * line->stride, list, n, c->key + i * line->step, along);
        }
    }
    ASAN_UNPOISON_MEMORY_REGION(list + CELLS, NM_GUARD);
}

/* ---- rows of sources that spiked ---- */

/* What the x0-product adds for each target, with the number if all have the same; 0, which moves nothing, for those
 * that spiked. Bytes: limited to 16 bits, which limits no weight more than its own range. Returns how many add. */
static uint32_t row_deltas(const nm_separable_run *c, uint32_t k) {
    const nm_plastic *l = c->l;
    const uint8_t *restrict h = trace_of(c, DEP_X0, k);
    const uint32_t n = c->p->n_post, is_byte = c->p->element == ELEM_U8;
    const int32_t up = c->up, *restrict values = by_value(c, DEP_X0);
    int16_t *restrict narrow = c->e->fold;
    int32_t *restrict wide = (int32_t *)(void *)c->e->fold;
    uint32_t some = 0;
    if (is_byte)
        NM_UNROLL4 for (uint32_t j = 0; j < n; j++) {
            some += values[h[j]] != 0;
            narrow[j] = (int16_t)nm_clip(values[h[j]] + up, -32768, 32767);
        }
    else
        NM_UNROLL4 for (uint32_t j = 0; j < n; j++) {
            some += values[h[j]] != 0;
            wide[j] = values[h[j]] + up;
        }
    for (uint32_t x = 0; x < l->ncols; x++) {
        if (is_byte) narrow[l->cols[x]] = 0;
        else wide[l->cols[x]] = 0;
    }
    return some;
}

static void run_row(const nm_separable_run *c, uint32_t start, uint32_t key) {
    const uint32_t n = c->p->n_post;
    const int is_byte = c->p->element == ELEM_U8, hashed = FEW && c->hashed;
    const int16_t *narrow = c->e->fold;
    const int32_t *wide = (const int32_t *)(const void *)narrow;
    if (is_byte && hashed) row_hashed_u8(bytes(c, start), narrow, n, key, c->hash);
    else if (is_byte) row_u8(bytes(c, start), narrow, n);
    else if (hashed) row_hashed_i16(shorts(c, start), wide, n, key, c->hash);
    else row_i16(shorts(c, start), wide, n);
}

/* The synapses of a row onto targets that spiked, too. */
static void both(const nm_separable_run *c, uint32_t i, uint32_t key) {
    const uint32_t start = i * c->p->n_post;
    int32_t dy[65];
    for (uint32_t x = 0; x < c->y_times; x++) {
        const uint32_t k = c->y_time[x];
        dy[k] = by_value(c, DEP_Y0)[trace_of(c, DEP_Y0, k)[i]];
    }
    if (c->p->element == ELEM_U8) both_u8(bytes(c, start), c, key, c->e->delta, dy);
    else both_i16(shorts(c, start), c, key, c->e->delta, dy);
}

/* Of sources that spiked last at time k. */
static void rows(const nm_separable_run *c, uint32_t k) {
    const nm_plastic *l = c->l;
    const uint8_t *h = trace_of(c, DEP_X0, k);
    const uint32_t some = c->hashed && !FEW ? 0 : row_deltas(c, k);
    const int listed = c->hashed && (!FEW || FEW * some < c->p->n_post);
    if (listed) lines(c, DEP_X0, k);
    for (uint32_t x = 0; x < l->ncols; x++) c->e->delta[x] = by_value(c, DEP_X0)[h[l->cols[x]]];
    for (uint32_t x = 0; x < l->nrows; x++) {
        const uint32_t i = l->rows[x], key = c->key + i * NM_GOLDEN;
        if (l->tx[i] != k) continue;
        if (some && !listed) run_row(c, i * c->p->n_post, key);
        if (l->ncols) both(c, i, key);
    }
}

static int ascending(const uint32_t *list, uint32_t n) {
    for (uint32_t x = 1; x < n; x++)
        if (list[x] < list[x - 1]) return 0;
    return 1;
}

void nm_learn_separable(nm_engine *e, uint32_t index, nm_proj *p) {
    nm_plastic *l = p->plastic;
    const nm_rule *r = l->rule;
    const uint32_t opposite = p->flip != 0;
    nm_separable_run c = {.e = e, .p = p, .l = l};
    /* they are not if a state with spikes was written in */
    if (!ascending(l->rows, l->nrows) || !ascending(l->cols, l->ncols)) nm_active(p);
    const nm_side sources = {l->rows, l->tx, p->n_pre, l->nrows, p->n_post, NM_GOLDEN};
    const nm_side targets = {l->cols, l->ty, p->n_post, l->ncols, 1, NM_SECOND};
    c.side[DEP_X0] = sources;
    c.side[DEP_Y0] = targets;
    c.x_first = find(e, r, DEP_X0) < find(e, r, DEP_Y0);
    c.acc_lo = opposite ? -32767 : -32769;
    c.acc_hi = opposite ? 32769 : 32767;
    if (!e->rounding) {
        const int32_t r7 = (int32_t)nm_round_number(e, r);
        c.up = opposite ? r7 : 127 - r7;
    } else {
        c.hashed = !l->whole;
        c.key = nm_key(e->seed, 16u * index + HASH_SUM, e->now);
        c.hash = nm_hash_for(p->flip);
    }
    for (uint32_t s = 0; s < 2; s++)
        for (uint32_t x = 0; x < c.side[s].count; x++) c.at[s][c.side[s].when[c.side[s].spiked[x]]] = 1;
    for (uint32_t k = 1; k <= r->t_epoch; k++)
        if (c.at[DEP_Y0][k]) c.y_time[c.y_times++] = (uint8_t)k;
    for (uint32_t x = 0; x < c.y_times; x++) lines(&c, DEP_Y0, c.y_time[x]);
    for (uint32_t k = 1; k <= r->t_epoch; k++)
        if (c.at[DEP_X0][k]) rows(&c, k);
}
#endif
