/* Factors of the rule interpreter, docs/semantics.md 4.3: their values along the lanes, or one that all lanes share. */
#include "lanes.h"

/* Is the variable the same for all lanes of a row, or of a column? */
int nm_is_constant(const nm_engine *e, const nm_rule *r, const nm_product *q, uint32_t var, uint32_t column) {
    if (var == VAR_ONE) return 1;
    if (column) return var == VAR_Y0 || (var >= VAR_Y1 && var <= VAR_Y3) || var > VAR_ONE;
    if (var >= VAR_M1 && var <= VAR_M4)     /* under shared rounding the target's spikes take part */
        return e->rounding && e->modulator[r->modulator[var - VAR_M1] - 1].of == 0;
    if (var == VAR_X1 || var == VAR_X2) return q->dep != DEP_Y0 || r->t_epoch == 1;
    return var == VAR_X0;
}

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

static int32_t combined(const nm_factor *f, int32_t x, int32_t y) {
    const nm_form h = nm_form_of(f);
    return nm_formed(x, y * h.rest + h.plus, &h);
}

int32_t nm_factor_scalar(const nm_line *c, const nm_product *q, const nm_factor *f) {
    return combined(f, constant(c, q, f->var), f->second ? constant(c, q, f->second - 1u) : 0);
}

static NM_NOINLINE void fetch(int32_t *restrict out, const uint8_t *restrict from, const nm_lanes *a) {
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

void nm_fetch_spiked(int32_t *out, const uint8_t *when, const nm_lanes *a) {
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

/* Can the factor's constant take its variable past its width? Traces are 0..128, modulators -128..127, weights and tags
 * -257..255. */
static int can_pass(const nm_factor *f) {
    const int32_t trace = f->var < VAR_W;
    if (!f->add) return f->var == VAR_X1;       /* which may be 128 */
    return f->add + (trace ? 0 : -257) < f->lo || f->add + (trace ? 128 : 255) > f->hi;
}

/* Functions of one variable, or of two, which lie in words or bytes. */
#define FORM(x_type, y_type)                                                                                           \
    static NM_NOINLINE void form_##x_type##_##y_type(int32_t *out, uint32_t n, const x_type *x, const y_type *y,       \
                                                     const nm_form *form) {                                            \
        const nm_form h = *form;                                                                                       \
        NM_UNROLL2 for (uint32_t k = 0; k < n; k++) out[k] = nm_formed(x[k], y[k] * h.rest + h.plus, &h);              \
    }
FORM(int32_t, int32_t) FORM(int32_t, uint8_t) FORM(uint8_t, uint8_t)
#if NM_ROOM
#define FORM_ONE(type)                                                                                                 \
    static NM_NOINLINE void form_##type(int32_t *out, uint32_t n, const type *x, const nm_form *form) {                \
        const nm_form h = *form;                                                                                       \
        NM_UNROLL2 for (uint32_t k = 0; k < n; k++) out[k] = nm_formed(x[k], h.plus, &h);                              \
    }
FORM_ONE(int32_t) FORM_ONE(uint8_t)
#endif

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
    if (nm_is_constant(c->e, c->r, q, var, c->column)) {
        const int32_t x = constant(c, q, var);
        for (uint32_t k = 0; k < a->n; k++) out[k] = x;
    } else if (var > VAR_ONE) {
        fetch_slow(c, out, q, var, a);
    } else if (var >= VAR_W) {
        const int32_t *old = c->old[var - VAR_W];
        for (uint32_t k = 0; k < a->n; k++) out[k] = old[k];
    } else if (var <= VAR_Y0) {
        nm_fetch_spiked(out, var == VAR_X0 ? c->l->tx : c->l->ty, a);
    } else if (nm_each_time(c, q)) {
        fetch_at_ty(c, out, trace, a);
    } else {
        fetch(out, nm_history(c->e, c->p, trace, nm_history_time(c, q)), a);
    }
}

/* Where a variable's values lie one to a byte, else null. */
static const uint8_t *bytes_of(const nm_line *c, const nm_product *q, uint32_t var, const nm_lanes *a) {
    if (!NM_ROOM) return 0;
    const nm_factor trace = {.var = (uint8_t)var};
    if (!nm_is_trace(&trace) || a->other || nm_each_time(c, q)) return 0;
    if (nm_is_constant(c->e, c->r, q, var, c->column)) return 0;
    return nm_trace_of(c, q, &trace) + a->first;
}

/* Where they lie one to a word: where they are, or in `buffer`. */
static const int32_t *words_of(const nm_line *c, const nm_product *q, uint32_t var, const nm_lanes *a,
                               int32_t *buffer) {
    if (var >= VAR_W && var <= VAR_T) return c->old[var - VAR_W];
    fetch_variable(c, q, var, a, buffer);
    return buffer;
}

static void form(const nm_line *c, const nm_product *q, const nm_factor *f, const nm_lanes *a, int32_t *out) {
    const uint32_t x = f->var, y = f->second ? f->second - 1u : x;
    const uint8_t *x_bytes = bytes_of(c, q, x, a), *y_bytes = bytes_of(c, q, y, a);
    nm_form h = nm_form_of(f);
#if NM_ROOM
    if (!f->second) {
        if (x_bytes) form_uint8_t(out, a->n, x_bytes, &h);
        else form_int32_t(out, a->n, words_of(c, q, x, a, out), &h);
        return;
    }
#endif
    if (x_bytes && y_bytes) {
        form_uint8_t_uint8_t(out, a->n, x_bytes, y_bytes, &h);
    } else if (y_bytes) {
        form_int32_t_uint8_t(out, a->n, words_of(c, q, x, a, out), y_bytes, &h);
    } else if (x_bytes) {
        const int32_t times = h.times;
        h.times = h.rest;
        h.rest = times;
        form_int32_t_uint8_t(out, a->n, words_of(c, q, y, a, out), x_bytes, &h);
    } else {
        const int32_t *first = words_of(c, q, x, a, out);
        form_int32_t_int32_t(out, a->n, first, f->second ? words_of(c, q, y, a, c->p3) : first, &h);
    }
}

const int32_t *nm_factor_lanes(const nm_line *c, const nm_product *q, const nm_factor *f, const nm_lanes *a,
                               int32_t *buffer) {
    const uint32_t var = f->var;
    if (var >= VAR_W && var <= VAR_T && !f->form && !f->second && !f->add) return c->old[var - VAR_W];
    if (nm_is_trace(f) && !nm_each_time(c, q)) {
        fetch_shaped(buffer, nm_trace_of(c, q, f), f->add, a);
    } else if (f->second || f->form || var == VAR_Q || can_pass(f)) {
        form(c, q, f, a, buffer);
    } else {
        fetch_variable(c, q, var, a, buffer);
        NM_UNROLL4 for (uint32_t k = 0; k < a->n; k++) buffer[k] += f->add;
    }
    return buffer;
}

/* The variable beside the weight. */
static uint32_t beside_weight(const nm_factor *f) {
    return f->var != VAR_W ? f->var : f->second ? f->second - 1u : VAR_ONE;
}

const uint8_t *nm_form_bytes(const nm_line *c, const nm_product *q, const nm_factor *f, const nm_lanes *a) {
    if (!f->second) return (c->column ? c->l->tx : c->l->ty) + a->first;    /* anything: it is taken 0 times */
    return bytes_of(c, q, beside_weight(f), a);
}

nm_form nm_form_alike(const nm_line *c, const nm_product *q, const nm_factor *f, const nm_lanes *a, int32_t *out) {
    nm_form h = nm_form_of(f);
    if (f->var != VAR_W) {
        const int32_t times = h.times;
        h.times = h.rest;
        h.rest = times;
    }
    if (!out) return h;
    const uint32_t var = beside_weight(f), n = a->n;
    fetch_variable(c, q, var, a, out);
    NM_UNROLL4 for (uint32_t k = 0; k < n; k++) out[k] = out[k] * h.rest + h.plus;
    return h;
}
