/* The learning phase: an interpreter of sums of products, docs/semantics.md 4.3.
 * It works on batches of synapses of one source neuron ("lanes"). Dispatch is paid once per product and batch. All
 * factors multiply with 32-bit wrap, which commutes: what does not vary along the row folds into one scalar. */
#include "nm_internal.h"

typedef struct {
    uint32_t n;
    const uint32_t *col;    /* target neuron of each lane; null: first, first + 1, .. */
    uint32_t first;
    const uint32_t *syn;    /* synapse of each lane, counted from base; null: base, base + 1, .. */
    uint32_t base;
    uint32_t active;        /* lanes with a spike of their target: 0 none, 1 some, 2 all */
} nm_lanes;

typedef struct {
    nm_engine *e;
    nm_proj *p;
    nm_plastic *l;
    const nm_rule *r;
    uint32_t index, i, tx;          /* projection, source neuron and the time of its last spike in the epoch */
    uint32_t number;                /* shared rounding */
    uint32_t floor_tag;
    uint32_t key[3];                /* synapse rounding, per sum */
    int32_t *old[3], *acc, *p1, *p2;
} nm_row;

/* Is the factor the same for all lanes of a row? */
static int is_scalar(const nm_row *c, const nm_product *q, uint32_t var) {
    if (var == VAR_X1 || var == VAR_X2) return q->dep != DEP_Y0 || c->r->t_epoch == 1;
    return var == VAR_X0 || var == VAR_ONE;
}

static uint32_t history_time(const nm_row *c, const nm_product *q) {
    return q->dep == DEP_X0 ? c->tx : c->r->t_epoch;
}

static int32_t scalar(const nm_row *c, const nm_product *q, const nm_factor *f) {
    int32_t x = 0;
    if (f->var == VAR_X0) x = c->tx != 0;
    else if (f->var != VAR_ONE) x = nm_history(c->e, c->p, f->var - VAR_X1 + TR_X1, history_time(c, q))[c->i];
    return nm_factor_value(f, x);
}

static void fetch(int32_t *restrict out, const uint8_t *restrict from, const nm_lanes *a) {
    const uint32_t n = a->n, *col = a->col;
    if (col) {
        for (uint32_t k = 0; k < n; k++) out[k] = from[col[k]];
    } else {
        from += a->first;
        for (uint32_t k = 0; k < n; k++) out[k] = from[k];
    }
}

/* A trace at the time of each target's last spike; lanes without one are masked by the dependency. */
static void fetch_at_ty(const nm_row *c, int32_t *out, uint32_t trace, const nm_lanes *a) {
    for (uint32_t k = 0; k < a->n; k++) {
        const uint32_t j = a->col ? a->col[k] : a->first + k, when = c->l->ty[j];
        out[k] = when ? nm_history(c->e, c->p, trace, when)[trace < TR_Y1 ? c->i : j] : 0;
    }
}

/* Add the factor's constant and limit it to its width, in place. Of the plain values only x1 can pass its width. */
static void shape(int32_t *v, uint32_t n, const nm_factor *f) {
    const int32_t add = f->add, lo = f->lo, hi = f->hi;
    if (f->sgn) {
        for (uint32_t k = 0; k < n; k++) v[k] = (v[k] + add > 0) - (v[k] + add < 0);
    } else if (add || f->var == VAR_X1) {
        for (uint32_t k = 0; k < n; k++) v[k] = nm_clip(v[k] + add, lo, hi);
    }
}

/* The values of a factor along the lanes: in `buffer`, or where they lie already. */
static const int32_t *vector(const nm_row *c, const nm_product *q, const nm_factor *f, const nm_lanes *a,
                             int32_t *buffer) {
    const uint32_t var = f->var;
    if (var >= VAR_W) {
        const int32_t *old = c->old[var - VAR_W];
        if (!f->sgn && !f->add) return old;
        for (uint32_t k = 0; k < a->n; k++) buffer[k] = old[k];
    } else if (var == VAR_Y0) {
        fetch(buffer, c->l->ty, a);
        for (uint32_t k = 0; k < a->n; k++) buffer[k] = buffer[k] != 0;
    } else {
        const uint32_t trace = var - VAR_X1 + TR_X1;
        if (q->dep == DEP_Y0 && c->r->t_epoch > 1) fetch_at_ty(c, buffer, trace, a);
        else fetch(buffer, nm_history(c->e, c->p, trace, history_time(c, q)), a);
    }
    shape(buffer, a->n, f);
    return buffer;
}

static void multiply(int32_t *out, const int32_t *a, const int32_t *b, uint32_t n) {
    for (uint32_t k = 0; k < n; k++) out[k] = (int32_t)((uint32_t)a[k] * (uint32_t)b[k]);
}

static void accumulate(int32_t *restrict acc, const int32_t *restrict v, uint32_t n, const nm_product *q, uint32_t s) {
    const uint32_t right = q->right, left = q->left;
    for (uint32_t k = 0; k < n; k++) {
        const int32_t p = (int32_t)((uint32_t)v[k] * s) >> right;
        acc[k] = nm_clip(acc[k] + nm_clip((int32_t)((uint32_t)p << left), -32769, 32767), -32769, 32767);
    }
}

static void accumulate_scalar(int32_t *acc, uint32_t n, int32_t p) {
    for (uint32_t k = 0; k < n; k++) acc[k] = nm_clip(acc[k] + p, -32769, 32767);
}

static int due(const nm_row *c, const nm_product *q, uint32_t active) {
    if (q->dep == DEP_X0) return c->tx != 0;
    if (q->dep == DEP_Y0) return active != 0;
    return (c->r->epochs & ((1u << q->k) - 1u)) == 0;
}

/* Everything of a product that is the same for all lanes, times its mantissa. */
static uint32_t scalar_part(const nm_row *c, const nm_product *q) {
    uint32_t s = (uint32_t)(int32_t)q->mant;
    for (uint32_t k = 0; k < q->factors; k++) {
        const nm_factor *f = c->e->factor + q->first + k;
        if (is_scalar(c, q, f->var)) s *= (uint32_t)scalar(c, q, f);
    }
    return s;
}

static void add_product(const nm_row *c, const nm_product *q, const nm_lanes *a, uint32_t s) {
    const int32_t *v = 0;
    if (q->dep == DEP_Y0 && a->active == 1) {
        fetch(c->p1, c->l->ty, a);
        for (uint32_t k = 0; k < a->n; k++) c->p1[k] = c->p1[k] != 0;
        v = c->p1;
    }
    for (uint32_t k = 0; k < q->factors; k++) {
        const nm_factor *f = c->e->factor + q->first + k;
        if (is_scalar(c, q, f->var)) continue;
        const int32_t *x = vector(c, q, f, a, v ? c->p2 : c->p1);
        if (v) {
            multiply(c->p1, v, x, a->n);
            v = c->p1;
        } else {
            v = x;
        }
    }
    if (v) accumulate(c->acc, v, a->n, q, s);
    else accumulate_scalar(c->acc, a->n, nm_product_end((int32_t)s, q));
}

static uint32_t place(const nm_lanes *a, uint32_t k) { return a->base + (a->syn ? a->syn[k] : k); }

static void load(const nm_row *c, uint32_t sum, const nm_lanes *a) {
    int32_t *out = c->old[sum];
    const uint32_t n = a->n;
    if (sum == SUM_W && c->p->element == ELEM_U8) {
        const uint8_t *w = c->p->w;
        const int32_t flip = (int32_t)c->p->flip;
        if (a->syn) for (uint32_t k = 0; k < n; k++) out[k] = (w[place(a, k)] ^ flip) - flip;
        else for (uint32_t k = 0; k < n; k++) out[k] = (w[a->base + k] ^ flip) - flip;
        return;
    }
    const int16_t *w = sum == SUM_W ? (const int16_t *)(const void *)c->p->w : sum == SUM_D ? c->l->tag2 : c->l->tag1;
    if (a->syn) for (uint32_t k = 0; k < n; k++) out[k] = w[place(a, k)];
    else for (uint32_t k = 0; k < n; k++) out[k] = w[a->base + k];
}

static void store(nm_row *c, uint32_t sum, const nm_lanes *a) {
    const int32_t *acc = c->acc;
    const uint32_t n = a->n;
    if (sum == SUM_W && c->p->element == ELEM_U8) {
        uint8_t *w = (uint8_t *)(uintptr_t)c->p->w;
        const int32_t flip = (int32_t)c->p->flip;
        if (a->syn) for (uint32_t k = 0; k < n; k++) w[place(a, k)] = (uint8_t)((acc[k] ^ flip) - flip);
        else for (uint32_t k = 0; k < n; k++) w[a->base + k] = (uint8_t)((acc[k] ^ flip) - flip);
        return;
    }
    int16_t *w = sum == SUM_W ? (int16_t *)(uintptr_t)c->p->w : sum == SUM_D ? c->l->tag2 : c->l->tag1;
    if (a->syn) for (uint32_t k = 0; k < n; k++) w[place(a, k)] = (int16_t)acc[k];
    else for (uint32_t k = 0; k < n; k++) w[a->base + k] = (int16_t)acc[k];
}

/* acc -> new values: sign mode, rounding, range. */
static void finish(nm_row *c, uint32_t sum, const nm_lanes *a) {
    static const int16_t ranges[5][2] = {{-256, 255}, {0, 255}, {-255, 0}, {0, 255}, {-257, 255}};
    const uint32_t which = sum == SUM_W ? c->p->sign : sum == SUM_D ? 3 : 4, n = a->n;
    const int32_t lo = ranges[which][0], hi = ranges[which][1];
    const int32_t acc_lo = which == 1 || which == 3 ? 0 : -32769, acc_hi = which == 2 ? 0 : 32767;
    int32_t *acc = c->acc, fraction = 0;
    for (uint32_t k = 0; k < n; k++) {
        acc[k] = nm_clip(acc[k], acc_lo, acc_hi);
        fraction |= acc[k];
    }
    if (c->e->rounding && (fraction & 127)) {
        const uint32_t key = nm_mix(c->key[sum] + c->i * NM_GOLDEN);
        for (uint32_t k = 0; k < n; k++) {
            const uint32_t j = a->col ? a->col[k] : a->first + k, r = nm_mix_inline(key + j * NM_SECOND) >> 25;
            acc[k] = nm_clip((acc[k] + 127 - (int32_t)r) >> 7, lo, hi);
        }
    } else {
        const int32_t up = 127 - (int32_t)c->number;     /* (acc >> 7) + (number < (acc & 127)) */
        for (uint32_t k = 0; k < n; k++) acc[k] = nm_clip((acc[k] + up) >> 7, lo, hi);
    }
    if (sum == SUM_T)
        for (uint32_t k = 0; k < n; k++) c->floor_tag |= acc[k] == -257;
}

/* The three sums of some synapses of row c->i, from their old values. */
static void run_lanes(nm_row *c, const nm_lanes *a) {
    uint32_t loaded = 0;
    for (uint32_t sum = 0; sum < 3; sum++)
        if (c->r->reads & (1u << sum)) {
            load(c, sum, a);
            loaded |= 1u << sum;
        }
    for (uint32_t sum = 0; sum < 3; sum++) {
        const nm_product *q = c->e->product + c->r->first[sum];
        uint32_t started = 0;
        for (uint32_t k = 0; k < c->r->count[sum]; k++, q++) {
            const uint32_t s = due(c, q, a->active) ? scalar_part(c, q) : 0;
            if (s == 0 && !(sum == SUM_T && c->l->floor_tag)) continue;
            if (!started) {
                if (!(loaded & (1u << sum))) load(c, sum, a);
                for (uint32_t x = 0; x < a->n; x++) c->acc[x] = c->old[sum][x] * 128;
                started = 1;
            }
            if (s) add_product(c, q, a, s);
            else accumulate_scalar(c->acc, a->n, 0);     /* tag_1 = -257 lies below the range of acc */
        }
        if (!started) continue;
        finish(c, sum, a);
        store(c, sum, a);
    }
}

static void whole_row(nm_row *c) {
    const uint32_t *row = c->p->rows + 3u * c->i, sparse = c->p->layout;
    const uint32_t start = sparse ? row[0] : c->i * c->p->n_post, length = sparse ? row[2] : c->p->n_post;
    const uint32_t *col = c->l->cols, *end = col + c->l->ncols;
    for (uint32_t k = 0; k < length; k += NM_BATCH) {
        nm_lanes a = {nm_min(NM_BATCH, length - k), 0, k, 0, start + k, c->l->ncols != 0};
        if (sparse) {
            a.col = c->p->targets + start + k;
        } else {
            while (col < end && *col < k) col++;        /* cols ascend */
            a.active = col < end && *col < k + a.n;
        }
        run_lanes(c, &a);
    }
}

/* Can a row without a spike of its source change at all? Its scalar factors may all be 0. */
static int columns_matter(const nm_row *c) {
    for (uint32_t sum = 0; sum < 3; sum++) {
        const nm_product *q = c->e->product + c->r->first[sum];
        for (uint32_t k = 0; k < c->r->count[sum]; k++, q++)
            if (q->dep == DEP_Y0 && scalar_part(c, q)) return 1;
    }
    return 0;
}

/* Only the synapses onto targets that spiked. */
static void active_columns(nm_row *c) {
    if (!c->p->layout) {
        if (!columns_matter(c)) return;
        for (uint32_t k = 0; k < c->l->ncols; k += NM_BATCH) {
            const uint32_t *col = c->l->cols + k;
            const nm_lanes a = {nm_min(NM_BATCH, c->l->ncols - k), col, 0, col, c->i * c->p->n_post, 2};
            run_lanes(c, &a);
        }
        return;
    }
    uint32_t *col = c->e->pick, *syn = c->e->pick + NM_BATCH, n = 0;
    const uint32_t *row = c->p->rows + 3u * c->i, end = row[0] + row[2];
    const int matter = columns_matter(c);
    for (uint32_t s = row[0]; s < end; s++) {
        const uint32_t j = c->p->targets[s];
        if (c->l->ty[j]) {
            col[n] = j;
            syn[n++] = s;
        }
        if (n == NM_BATCH || (n && s + 1 == end)) {
            const nm_lanes a = {n, col, 0, syn, 0, 2};
            if (matter) run_lanes(c, &a);
            c->e->work.plastic_updates += n;
            n = 0;
        }
    }
}

static int any_due(const nm_row *c) {
    for (uint32_t sum = 0; sum < 3; sum++) {
        const nm_product *q = c->e->product + c->r->first[sum];
        for (uint32_t k = 0; k < c->r->count[sum]; k++, q++)
            if (q->dep == DEP_U && due(c, q, 0)) return 1;
    }
    return 0;
}

/* Synapses that have a product due, as cpu:ref counts them; columns of sparse rows are counted where they are found. */
static void count_updates(nm_engine *e, const nm_proj *p) {
    const nm_plastic *l = p->plastic;
    const uint32_t rows = l->rule->deps & (1u << DEP_X0) ? l->nrows : 0;
    const uint32_t cols = l->rule->deps & (1u << DEP_Y0) && !p->layout ? l->ncols : 0;
    for (uint32_t k = 0; k < rows; k++)
        e->work.plastic_updates += p->layout ? p->rows[3u * l->rows[k] + 2u] : p->n_post;
    e->work.plastic_updates += (uint64_t)cols * (p->n_pre - rows);
}

static uint32_t active_in_sparse_row(const nm_row *c) {
    const uint32_t *row = c->p->rows + 3u * c->i;
    uint32_t n = 0;
    for (uint32_t s = row[0]; s < row[0] + row[2]; s++) n += c->l->ty[c->p->targets[s]] != 0;
    return n;
}

static void interpret(nm_engine *e, uint32_t index, nm_proj *p) {
    nm_plastic *l = p->plastic;
    const nm_rule *r = l->rule;
    nm_row c = {.e = e, .p = p, .l = l, .r = r, .index = index};
    for (uint32_t s = 0; s < 3; s++) {
        c.old[s] = e->lane + s * NM_BATCH;
        if (e->rounding) c.key[s] = nm_key(e->seed, 16u * index + HASH_SUM + s, e->now);
    }
    c.acc = e->lane + 3 * NM_BATCH;
    c.p1 = e->lane + 4 * NM_BATCH;
    c.p2 = e->lane + 5 * NM_BATCH;
    if (!e->rounding) c.number = nm_round_number(e, r);
    const int due_all = any_due(&c), all = due_all || l->floor_tag;
    if (due_all) e->work.plastic_updates += p->w_count;
    else count_updates(e, p);
    const int columns = (r->deps & (1u << DEP_Y0)) && l->ncols;
    for (uint32_t i = 0; i < p->n_pre; i++) {
        c.i = i;
        c.tx = l->tx[i];
        const int by_source = c.tx && (r->deps & (1u << DEP_X0));
        if (all || by_source) whole_row(&c);
        else if (columns) active_columns(&c);
        if (l->floor_tag && columns && p->layout && !due_all && !by_source)
            e->work.plastic_updates += active_in_sparse_row(&c);      /* the row ran, but for the tag alone */
    }
    l->floor_tag = (uint8_t)c.floor_tag;
}

void nm_learn(nm_engine *e, uint32_t index, nm_proj *p) {
    nm_plastic *l = p->plastic;
    if (l->rule->t_epoch > 1) nm_active(p);    /* in ascending order */
    nm_histories(e, index, p);
    if (l->on && e->kernels && l->rule->separable && p->layout == 0) {
        count_updates(e, p);
        nm_learn_separable(e, index, p);
    } else if (l->on) {
        interpret(e, index, p);
    }
    nm_epoch_end(l);
}
