/* The kernel for separable rules on dense projections: one x0-product of target traces and constants, one y0-product
 * of source traces and constants, in either order (pair STDP and its kin). What such a product adds does not depend on
 * the weight, so it is worked out once per neuron, and a row is one pass of "add, round, clip". Equal to the
 * interpreter by test. */
#include "nm_internal.h"

typedef struct {
    nm_engine *e;
    nm_proj *p;
    nm_plastic *l;
    const nm_product *qx, *qy;
    uint32_t x_first;               /* order of the two products: the sum saturates after each */
    uint32_t key;                   /* synapse rounding */
    int32_t up;                     /* added before the shift that drops 7 fractional bits */
    int32_t hashed_up, sign;        /* the same where each synapse has its own number: hashed_up + sign * r */
    int32_t acc_lo, acc_hi, lo, hi; /* limits of the sum and of a weight */
    uint8_t y_at[65], x_at[65];     /* some target's, some source's last spike was at k of the epoch */
    uint32_t times;                 /* how many k have y_at, and which */
    uint8_t time[64];
    const int32_t *by_value;        /* of the rule, if its y0-product reads one trace: at time k h_last or in h_first */
    const uint8_t *h_first, *h_last;
} nm_separable_run;

static int only(const nm_engine *e, const nm_product *q, uint32_t first, uint32_t last) {
    for (uint32_t k = 0; k < q->factors; k++) {
        const nm_factor *f = e->factor + q->first + k;
        if (f->form || f->second || (f->var != VAR_ONE && (f->var < first || f->var > last))) return 0;
    }
    return 1;
}

static const nm_product *find(const nm_engine *e, const nm_rule *r, uint32_t dep) {
    const nm_product *q = e->product + r->first[SUM_W];
    return q[0].dep == dep ? q : q + 1;
}

uint8_t nm_separable(const nm_engine *e, const nm_rule *r) {
    if (r->count[SUM_W] != 2 || r->count[SUM_D] || r->count[SUM_T]) return 0;
    const nm_product *x = find(e, r, DEP_X0), *y = find(e, r, DEP_Y0);
    return x->dep == DEP_X0 && y->dep == DEP_Y0 && only(e, x, VAR_Y1, VAR_Y3) && only(e, y, VAR_X1, VAR_X2);
}

/* Mantissa times the constant factors. */
static uint32_t constants(const nm_engine *e, const nm_product *q) {
    uint32_t s = (uint32_t)(int32_t)q->mant;
    for (uint32_t k = 0; k < q->factors; k++) {
        const nm_factor *f = e->factor + q->first + k;
        if (f->var == VAR_ONE) s *= (uint32_t)nm_factor_value(f, 0);
    }
    return s;
}

/* If the y0-product reads one trace only: what it adds for each value of that trace, once for the whole run. */
void nm_separable_start(const nm_engine *e, nm_rule *r) {
    const nm_product *q = find(e, r, DEP_Y0);
    const nm_factor *trace = 0;
    r->by_trace = TR_COUNT;
    for (uint32_t k = 0; k < q->factors; k++) {
        const nm_factor *f = e->factor + q->first + k;
        if (f->var == VAR_ONE) continue;
        r->by_trace = trace ? TR_COUNT : (uint8_t)(f->var - VAR_X1);
        if (trace) return;
        trace = f;
    }
    if (!trace) return;
    const uint32_t s = constants(e, q);
    for (uint32_t v = 0; v < NM_DECAY_ENTRIES; v++)
        r->by_value[v] = nm_product_end((int32_t)(s * (uint32_t)nm_factor_value(trace, (int32_t)v)), q);
}

static const uint8_t *values(const nm_separable_run *c, const nm_factor *f, uint32_t k) {
    return nm_history(c->e, c->p, f->var - VAR_X1 + TR_X1, k);
}

/* What a product adds for each neuron of its side, traces read at time k. */
static void deltas(const nm_separable_run *c, const nm_product *q, uint32_t k, uint32_t n, int32_t *restrict out) {
    const uint32_t s = constants(c->e, q);
    const nm_product end = *q;
    uint32_t started = 0;
    for (uint32_t x = 0; x < q->factors; x++) {
        const nm_factor f = c->e->factor[q->first + x];
        if (f.var == VAR_ONE) continue;
        const uint8_t *restrict h = values(c, &f, k);
        if (started++)
            for (uint32_t i = 0; i < n; i++) out[i] = (int32_t)((uint32_t)out[i] * (uint32_t)nm_factor_value(&f, h[i]));
        else
            for (uint32_t i = 0; i < n; i++) out[i] = nm_factor_value(&f, h[i]);
    }
    if (started)
        for (uint32_t i = 0; i < n; i++) out[i] = nm_product_end((int32_t)((uint32_t)out[i] * s), &end);
    else
        for (uint32_t i = 0; i < n; i++) out[i] = nm_product_end((int32_t)s, &end);
}

static int32_t delta_of(const nm_separable_run *c, const nm_product *q, uint32_t k, uint32_t i) {
    uint32_t s = constants(c->e, q);
    for (uint32_t x = 0; x < q->factors; x++) {
        const nm_factor *f = c->e->factor + q->first + x;
        if (f->var != VAR_ONE) s *= (uint32_t)nm_factor_value(f, values(c, f, k)[i]);
    }
    return nm_product_end((int32_t)s, q);
}

/* Stored weights of inhibitory synapses are magnitudes: there everything acts with the opposite sign. */
static int32_t along(const nm_separable_run *c, int32_t delta) {
    return (int32_t)(((uint32_t)delta ^ c->p->flip) - c->p->flip);
}

static int32_t hashed_up(const nm_separable_run *c, uint32_t row_key, uint32_t j) {
    return c->hashed_up + c->sign * (int32_t)nm_mix7(row_key + j * NM_SECOND);
}

static uint32_t row_key(const nm_separable_run *c, uint32_t i) { return c->key + i * NM_GOLDEN; }

static void put(const nm_separable_run *c, uint32_t at, int32_t w) {
    if (c->p->element == ELEM_U8) ((uint8_t *)(uintptr_t)c->p->w)[at] = (uint8_t)w;
    else ((int16_t *)(uintptr_t)c->p->w)[at] = (int16_t)w;
}

static int32_t get(const nm_separable_run *c, uint32_t at) {
    return c->p->element == ELEM_U8 ? c->p->w[at] : ((const int16_t *)(const void *)c->p->w)[at];
}

/* The kernels: w' = clip((w * 128 + d) >> 7), with the rounding folded into d: 127 - r, or r where magnitudes of
 * negative weights are stored. Hashed ones fold 127 or 0 and take r for each synapse; `sign` is -1 or 1. Kept out of
 * line: together they would run out of registers on small cores. */
#define KERNELS(T, name, D, lowest)                                                                                    \
    static NM_NOINLINE void row_##name(T *restrict w, const D *restrict d, uint32_t n, int32_t up) {                   \
        NM_UNROLL4 for (uint32_t j = 0; j < n; j++) w[j] = (T)nm_clip((w[j] * 128 + d[j] + up) >> 7, lowest, 255);     \
    }                                                                                                                  \
    static NM_NOINLINE void row_hashed_##name(T *restrict w, const D *restrict d, uint32_t n, uint32_t key,            \
                                              int32_t up, int32_t sign) {                                              \
        if (sign < 0)                                                                                                  \
            for (uint32_t j = 0; j < n; j++, key += NM_SECOND)                                                         \
                w[j] = (T)nm_clip((w[j] * 128 + d[j] + up - (int32_t)nm_mix7(key)) >> 7, lowest, 255);                 \
        else                                                                                                           \
            for (uint32_t j = 0; j < n; j++, key += NM_SECOND)                                                         \
                w[j] = (T)nm_clip((w[j] * 128 + d[j] + up + (int32_t)nm_mix7(key)) >> 7, lowest, 255);                 \
    }                                                                                                                  \
    static NM_NOINLINE void columns_##name(T *restrict w, const uint32_t *restrict col, uint32_t n, int32_t d) {       \
        for (uint32_t x = 0; x < n; x++) w[col[x]] = (T)nm_clip((w[col[x]] * 128 + d) >> 7, lowest, 255);              \
    }                                                                                                                  \
    static NM_NOINLINE void columns_timed_##name(T *restrict w, const uint32_t *restrict col, uint32_t n,              \
                                                 const uint8_t *restrict ty, const int32_t *restrict by_time) {        \
        for (uint32_t x = 0; x < n; x++) {                                                                             \
            const uint32_t j = col[x];                                                                                 \
            w[j] = (T)nm_clip((w[j] * 128 + by_time[ty[j]]) >> 7, lowest, 255);                                        \
        }                                                                                                              \
    }                                                                                                                  \
    static NM_NOINLINE void columns_hashed_##name(T *restrict w, const uint32_t *restrict col, uint32_t n,             \
                                                  const uint8_t *restrict ty, const int32_t *restrict by_time,         \
                                                  uint32_t key, int32_t sign) {                                        \
        for (uint32_t x = 0; x < n; x++) {                                                                             \
            const uint32_t j = col[x];                                                                                 \
            const int32_t r = (int32_t)nm_mix7(key + j * NM_SECOND);                                                   \
            w[j] = (T)nm_clip((w[j] * 128 + by_time[ty[j]] + sign * r) >> 7, lowest, 255);                             \
        }                                                                                                              \
    }                                                                                                                  \
    static void silent_##name(const nm_separable_run *c, uint32_t start, int32_t *by_time, uint32_t hashed,            \
                              uint32_t key) {                                                                          \
        T *w = (T *)(uintptr_t)c->p->w + start;                                                                        \
        const nm_plastic *l = c->l;                                                                                    \
        if (hashed) columns_hashed_##name(w, l->cols, l->ncols, l->ty, by_time, key, c->sign);                         \
        else if (c->times == 1) columns_##name(w, l->cols, l->ncols, by_time[c->time[0]]);                             \
        else columns_timed_##name(w, l->cols, l->ncols, l->ty, by_time);                                               \
    }

KERNELS(uint8_t, u8, int16_t, 0)
KERNELS(int16_t, i16, int32_t, -256)

/* What the y0-product adds in row i for targets that spiked at each of c->time, by time; returns the or of all. */
NM_INLINE int32_t row_deltas(const nm_separable_run *c, uint32_t i, int32_t *by_time) {
    const uint32_t n = c->p->n_pre, last = c->l->rule->t_epoch;
    int32_t any = 0;
    for (uint32_t x = 0; x < c->times; x++) {
        const uint32_t k = c->time[x];
        const int32_t d = c->by_value ? c->by_value[k == last ? c->h_last[i] : c->h_first[(k - 1) * n + i]]
                                      : delta_of(c, c->qy, k, i);
        by_time[k] = along(c, d);
        any |= d;
    }
    return any;
}

static void silent_row(const nm_separable_run *c, uint32_t i) {
    const uint32_t start = i * c->p->n_post;
    int32_t by_time[65];
    const int32_t any = row_deltas(c, i, by_time);
    const uint32_t hashed = c->e->rounding && (any & 127), key = hashed ? row_key(c, i) : 0;
    for (uint32_t x = 0; x < c->times; x++) by_time[c->time[x]] += hashed ? c->hashed_up : c->up;
    if (c->p->element == ELEM_U8) silent_u8(c, start, by_time, hashed, key);
    else silent_i16(c, start, by_time, hashed, key);
}

/* Rows whose source was silent: only columns of targets that spiked. Traces are 0 or not at random, so the rows that
 * change are listed first, without branches. */
static void silent_rows(const nm_separable_run *c) {
    const nm_separable_run local = *c;
    const uint8_t *restrict tx = c->l->tx;
    int32_t by_time[65], *restrict list = c->e->delta;
    const uint32_t rows = c->p->n_pre;
    uint32_t n = 0;
    if (c->by_value && c->times == 1) {
        const uint32_t k = c->time[0];
        const uint8_t *restrict h = k == c->l->rule->t_epoch ? c->h_last : c->h_first + (k - 1) * rows;
        const int32_t *restrict by_value = c->by_value;
        for (uint32_t i = 0; i < rows; i++) {
            list[n] = (int32_t)i;
            n += (by_value[h[i]] != 0) & (tx[i] == 0);
        }
    } else {
        for (uint32_t i = 0; i < rows; i++) {
            list[n] = (int32_t)i;
            n += (row_deltas(&local, i, by_time) != 0) & (tx[i] == 0);
        }
    }
    for (uint32_t x = 0; x < n; x++) silent_row(&local, (uint32_t)list[x]);
}

/* Synapses between a source and a target that both spiked: both products, in their order, to the second row of
 * e->fold. */
static void joint(const nm_separable_run *c, uint32_t i, uint32_t key) {
    const nm_plastic *l = c->l;
    int32_t y[65];
    row_deltas(c, i, y);
    for (uint32_t x = 0; x < l->ncols; x++) {
        const uint32_t j = l->cols[x];
        const int32_t dx = along(c, c->e->delta[j]), dy = y[l->ty[j]];
        int32_t acc = get(c, i * c->p->n_post + j) * 128;
        acc = nm_clip(acc + (c->x_first ? dx : dy), c->acc_lo, c->acc_hi);
        acc = nm_clip(acc + (c->x_first ? dy : dx), c->acc_lo, c->acc_hi);
        const int32_t up = c->e->rounding ? hashed_up(c, key, j) : c->up;
        c->e->fold[c->p->n_post + x] = (int16_t)nm_clip((acc + up) >> 7, c->lo, c->hi);
    }
}

static void run_row(const nm_separable_run *c, uint32_t start, uint32_t key, int exact) {
    uint8_t *bytes = (uint8_t *)(uintptr_t)c->p->w + start;
    int16_t *shorts = (int16_t *)(uintptr_t)c->p->w + start;
    const uint32_t n = c->p->n_post, is_byte = c->p->element == ELEM_U8;
    if (is_byte && exact) row_u8(bytes, c->e->fold, n, 0);
    else if (is_byte) row_hashed_u8(bytes, c->e->fold, n, key, 0, c->sign);
    else if (exact) row_i16(shorts, c->e->delta, n, c->up);
    else row_hashed_i16(shorts, c->e->delta, n, key, c->hashed_up, c->sign);
}

/* Rows whose source spiked last at time k. */
static void spiking_rows(const nm_separable_run *c, uint32_t k) {
    const nm_plastic *l = c->l;
    const uint32_t n = c->p->n_post;
    int32_t *delta = c->e->delta, any = 0;
    deltas(c, c->qx, k, n, delta);
    for (uint32_t j = 0; j < n; j++) any |= delta[j];
    const int exact = !c->e->rounding || (any & 127) == 0;     /* no hash is needed */
    const int32_t up = exact ? c->up : c->hashed_up;
    if (c->p->element == ELEM_U8)
        for (uint32_t j = 0; j < n; j++) c->e->fold[j] = (int16_t)nm_clip(along(c, delta[j]) + up, -32768, 32767);
    for (uint32_t x = 0; x < l->nrows; x++) {
        const uint32_t i = l->rows[x], start = i * n;
        if (l->tx[i] != k) continue;
        const uint32_t key = c->e->rounding ? row_key(c, i) : 0;
        if (l->ncols) joint(c, i, key);
        if (any != 0) run_row(c, start, key, exact);
        for (uint32_t y = 0; y < l->ncols; y++) put(c, start + l->cols[y], c->e->fold[n + y]);
    }
}

void nm_learn_separable(nm_engine *e, uint32_t index, nm_proj *p) {
    nm_plastic *l = p->plastic;
    const nm_rule *r = l->rule;
    nm_separable_run c = {.e = e, .p = p, .l = l, .qx = find(e, r, DEP_X0), .qy = find(e, r, DEP_Y0)};
    const uint32_t magnitude = p->element == ELEM_U8, opposite = p->flip != 0;
    c.x_first = c.qx < c.qy;
    if (r->by_trace < TR_COUNT) {
        c.by_value = r->by_value;
        c.h_first = nm_history(e, p, r->by_trace, 1);
        c.h_last = nm_history(e, p, r->by_trace, r->t_epoch);
    }
    c.acc_lo = opposite ? -32767 : -32769;
    c.acc_hi = opposite ? 32769 : 32767;
    c.hashed_up = opposite ? 0 : 127;
    c.sign = opposite ? 1 : -1;
    c.lo = magnitude ? 0 : -256;
    c.hi = 255;
    if (e->rounding) {
        c.key = nm_key(e->seed, 16u * index + HASH_SUM, e->now);
        c.up = 0;                                              /* used only where there is no fraction */
    } else {
        const int32_t number = (int32_t)nm_round_number(e, r);
        c.up = opposite ? number : 127 - number;
    }
    for (uint32_t x = 0; x < l->ncols; x++) c.y_at[l->ty[l->cols[x]]] = 1;
    for (uint32_t x = 0; x < l->nrows; x++) c.x_at[l->tx[l->rows[x]]] = 1;
    for (uint32_t k = 1; k <= r->t_epoch; k++)
        if (c.y_at[k]) c.time[c.times++] = (uint8_t)k;
    if (l->ncols) silent_rows(&c);
    for (uint32_t k = 1; k <= r->t_epoch; k++)
        if (c.x_at[k]) spiking_rows(&c, k);
}
