/* The learning phase: which synapses can change, docs/semantics.md 4.3. Without a due u-product these are the rows of
 * sources that spiked, and the columns of targets that spiked. */
#include "lanes.h"
#include <string.h>

/* Some synapses of a row or a column: start + list[x] * stride. */
typedef struct {
    const uint32_t *list;
    uint32_t n, start, stride;
} some_cells;

/* Their stored values of each sum that changes, to `kept` or back. */
static void keep(const nm_line *c, const some_cells *some, int16_t *kept, int back) {
    uint8_t *bytes = (uint8_t *)(uintptr_t)c->p->w;
    for (uint32_t sum = 0; sum < 3; sum++) {
        if (!c->r->count[sum]) continue;
        int16_t *shorts = sum == SUM_D ? c->l->tag2 : sum == SUM_T ? c->l->tag1 : (int16_t *)(uintptr_t)c->p->w;
        const int is_byte = sum == SUM_W && c->p->element == ELEM_U8;
        for (uint32_t x = 0; x < some->n; x++, kept++) {
            const uint32_t at = some->start + some->list[x] * some->stride;
            if (is_byte && back) bytes[at] = (uint8_t)*kept;
            else if (is_byte) *kept = bytes[at];
            else if (back) shorts[at] = *kept;
            else *kept = shorts[at];
        }
    }
}

static int by_source(const nm_line *c) { return c->when && (c->r->deps & (1u << DEP_X0)); }

/* Is a row taken as a whole? */
static int take_row(nm_line *c, uint32_t i, int all) {
    c->self = i;
    c->when = c->l->tx[i];
    return all || by_source(c);
}

/* A row of which some cells run again: they keep their old values. */
static NM_NOINLINE void run_but(nm_line *c, const nm_lanes *a, const some_cells *again, uint32_t row) {
    const some_cells active = {again->list, again->n, row, 1};
    keep(c, &active, c->e->fold, 0);
    nm_run_lanes(c, a);
    keep(c, &active, c->e->fold, 1);
}

/* Some columns of all rows that are taken as a whole: what they read of the targets is the same in these. */
static void dense_block(nm_line *c, nm_lanes *a, const some_cells *again, int all) {
    const uint32_t first = a->base, lines = all ? c->p->n_pre : c->l->nrows;
    c->lines = lines;
    for (uint32_t x = 0; x < lines; x++) {
        const uint32_t i = all ? x : c->l->rows[x], row = i * c->p->n_post;
        if (!take_row(c, i, all)) continue;
        a->base = first + row;
        if (again->n) run_but(c, a, again, row);
        else nm_run_lanes(c, a);
    }
}

/* Where few targets spiked: first as if none had, in one go; then the active columns again, from their old values and
 * with all products. */
static void dense_rows(nm_line *c, int all) {
    const some_cells none = {0, 0, 0, 0};
    const uint32_t n = c->p->n_post, *cols = c->l->cols, spiked = c->r->deps & (1u << DEP_Y0) ? c->l->ncols : 0;
    const uint32_t together = 2 * spiked > n ? spiked < n ? 1 : 2 : 0, again = together ? 0 : spiked;
    if (again && n > NM_BATCH) nm_active(c->p);     /* a state that was written in may have them in any order */
    for (uint32_t k = 0, x = 0, m, end; k < n; k += m, x = end) {
        m = nm_min(NM_BATCH, n - k);
        for (end = x; end < again && (cols[end] < k + m || n <= NM_BATCH); end++) {}
        const some_cells active = {cols + x, end - x, 0, 1};
        nm_lanes a = {m, 0, k, 0, k, 1, together};
        dense_block(c, &a, &active, all);
    }
    for (uint32_t k = 0, m; k < again; k += m) {
        m = nm_min(NM_BATCH, again - k);
        nm_lanes a = {m, cols + k, 0, cols + k, 0, 1, 2};
        dense_block(c, &a, &none, all);
    }
}

static void whole_sparse_row(nm_line *c) {
    const uint32_t *row = c->p->rows + 3u * c->self;
    for (uint32_t k = 0, m; k < row[2]; k += m) {
        m = nm_min(NM_BATCH, row[2] - k);
        nm_lanes a = {m, c->p->targets + row[0] + k, 0, 0, row[0] + k, 1, 0};
        for (uint32_t x = 0; x < a.n && c->l->ncols; x++) a.active |= c->l->ty[a.other[x]] != 0;
        nm_run_lanes(c, &a);
    }
}

/* Of a sparse row only the synapses onto targets that spiked; returns their number. */
static uint32_t active_in_row(nm_line *c, int run) {
    uint32_t *other = c->e->pick, *syn = c->e->pick + NM_BATCH, n = 0, found = 0;
    const uint32_t *row = c->p->rows + 3u * c->self, end = row[0] + row[2];
    for (uint32_t s = row[0]; s < end; s++) {
        const uint32_t j = c->p->targets[s];
        other[n] = j;
        syn[n] = s;
        n += c->l->ty[j] != 0;
        if (n == NM_BATCH || (n && s + 1 == end)) {
            const nm_lanes a = {n, other, 0, syn, 0, 1, 2};
            if (run) nm_run_lanes(c, &a);
            found += n;
            n = 0;
        }
    }
    return found;
}

/* Dense columns of targets that spiked, but for the rows that were taken as a whole. All columns of a batch follow each
 * other: what they read of the sources is the same. */
static void dense_columns(nm_line *c, int rows_done) {
    const uint32_t all = c->p->n_pre, stride = c->p->n_post, done = rows_done ? c->l->nrows : 0;
    uint32_t *idle = (uint32_t *)c->e->delta, n = done ? 0 : all;
    for (uint32_t i = 0; i < all && done; i++) {
        idle[n] = i;
        n += !c->l->tx[i];
    }
    c->column = 1;
    c->lines = c->l->ncols;
    c->alike = 0;
    for (uint32_t k = 0, m; k < n; k += m) {
        m = nm_min(NM_BATCH, n - k);
        const uint32_t *some = done ? idle + k : 0, from = done ? 0 : k * stride;
        nm_lanes a = {m, some, k, some, 0, stride, 2};
        for (uint32_t x = 0; x < c->l->ncols; x++) {
            c->self = c->l->cols[x];
            c->when = c->l->ty[c->self];
            a.base = from + c->self;
            nm_run_lanes(c, &a);
        }
    }
}

static int any_u_due(const nm_engine *e, const nm_rule *r) {
    for (uint32_t sum = 0; sum < 3; sum++) {
        const nm_product *q = e->product + r->first[sum];
        for (uint32_t k = 0; k < r->count[sum]; k++, q++)
            if (q->dep == DEP_U && nm_u_due(r, q)) return 1;
    }
    return 0;
}

/* Is a product due that reads q? */
static int sums_due(const nm_line *c) {
    const nm_engine *e = c->e;
    for (uint32_t sum = 0; sum < 3; sum++) {
        const nm_product *q = e->product + c->r->first[sum];
        for (uint32_t k = 0; k < c->r->count[sum]; k++, q++) {
            if (!(q->dep == DEP_U ? (uint32_t)nm_u_due(c->r, q) : q->dep == DEP_X0 ? c->l->nrows : c->l->ncols)) continue;
            for (uint32_t x = 0; x < q->factors; x++) {
                const nm_factor *f = e->factor + q->first + x;
                if (f->var == VAR_Q || f->second == VAR_Q + 1) return 1;
            }
        }
    }
    return 0;
}

/* The weights onto each target, added up with wrap. */
static void add_weights(nm_engine *e, const nm_proj *p) {
    memset(e->sums, 0, (size_t)p->n_post * 4);
    const uint8_t *bytes = p->w;
    const int16_t *shorts = (const int16_t *)(const void *)p->w;
    for (uint32_t i = 0; i < p->n_pre; i++) {
        const uint32_t start = p->layout ? p->rows[3 * i] : i * p->n_post;
        const uint32_t length = p->layout ? p->rows[3 * i + 2] : p->n_post;
        for (uint32_t k = 0; k < length; k++) {
            int32_t *cell = e->sums + (p->layout ? p->targets[start + k] : k);
            const int32_t w = p->element == ELEM_U8 ? bytes[start + k] : shorts[start + k];
            *cell = (int32_t)((uint32_t)*cell + (((uint32_t)w ^ p->flip) - p->flip));
        }
    }
}

/* Synapses that have a product due, as cpu:ref counts them; columns of sparse rows are counted where they are found. */
static void count_updates(nm_engine *e, const nm_proj *p) {
    const nm_plastic *l = p->plastic;
    const uint32_t rows = l->rule->deps & (1u << DEP_X0) ? l->nrows : 0;
    const uint32_t cols = l->rule->deps & (1u << DEP_Y0) && !p->layout ? l->ncols : 0;
    uint64_t n = (uint64_t)cols * (p->n_pre - rows) + (p->layout ? 0 : (uint64_t)rows * p->n_post);
    for (uint32_t k = 0; k < rows && p->layout; k++) n += p->rows[3u * l->rows[k] + 2u];
    e->work.plastic_updates += n;
}

static void interpret(nm_engine *e, uint32_t index, nm_proj *p, int due_all) {
    nm_plastic *l = p->plastic;
    const nm_rule *r = l->rule;
    nm_line c;
    nm_line_start(&c, e, index, p);
    const int all = due_all || l->floor_tag;
    const int columns = (r->deps & (1u << DEP_Y0)) && l->ncols;
    if (due_all) e->work.plastic_updates += p->w_count;
    else count_updates(e, p);
    if (r->sums && sums_due(&c)) add_weights(e, p);
    if (!p->layout && (all || r->deps & (1u << DEP_X0))) dense_rows(&c, all);
    for (uint32_t i = 0; i < p->n_pre && p->layout; i++) {
        const int whole = take_row(&c, i, all);
        if (whole) whole_sparse_row(&c);
        /* a row may have run for its tags alone: then its columns are only counted */
        if (columns && !due_all && !by_source(&c)) e->work.plastic_updates += active_in_row(&c, !all);
    }
    if (columns && !p->layout && !all) dense_columns(&c, (r->deps & (1u << DEP_X0)) != 0);
    l->floor_tag = (uint8_t)c.floor_tag;
    ASAN_UNPOISON_MEMORY_REGION(e->lane, 7u * NM_LANES * sizeof *e->lane);     /* others have other uses for it */
}

void nm_learn(nm_engine *e, uint32_t index, nm_proj *p) {
    nm_plastic *l = p->plastic;
    if (l->rule->t_epoch > 1) nm_active(p);    /* in ascending order */
    nm_histories(e, index, p);
    const int due_all = any_u_due(e, l->rule);
    if (l->on && e->kernels && l->rule->separable && p->layout == 0 && !due_all && !l->floor_tag) {
        count_updates(e, p);
        nm_learn_separable(e, index, p);
    } else if (l->on) {
        interpret(e, index, p, due_all);
    }
    nm_epoch_end(l);
}
