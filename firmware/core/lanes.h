/* Batches of synapses ("lanes") for the rule interpreter: learn.c chooses them, products.c, sums.c and
 * single.c work on them. */
#ifndef NM_LANES_H
#define NM_LANES_H
#include "guards.h"
#include "nm_internal.h"

typedef struct {
    uint32_t n;
    const uint32_t *other;      /* neuron at the far end of each lane; null: first, first + 1, .. */
    uint32_t first;
    const uint32_t *syn;        /* synapse of each lane: base + syn * stride; null: base, base + stride, .. */
    uint32_t base, stride;
    uint32_t active;            /* lanes with a spike of their target: 0 none, 1 some, 2 all */
} nm_lanes;

/* The neuron that all lanes share: a source (its row), or a target that has spiked (its column). */
typedef struct {
    nm_engine *e;
    nm_proj *p;
    nm_plastic *l;
    const nm_rule *r;
    uint32_t column;                /* 1: it is a target */
    uint32_t self, when;            /* its index, and the time of its last spike in the epoch */
    uint32_t number;                /* shared rounding */
    uint32_t floor_tag;             /* some tag_1 has become -257 */
    uint32_t key[3];                /* synapse rounding, per sum */
    uint32_t loaded;                /* bit per sum: `old` holds the lanes' values */
    const nm_factor *fetched;       /* a trace that p1 holds, for this list or these lanes of columns, of this time */
    const uint32_t *fetched_list;
    uint32_t fetched_first, fetched_time;
    int32_t *old[3], *acc, *p1, *p2;
    int32_t *p3;                    /* with extended factors */
} nm_line;

/* How a product is added to the lanes, and how their sums are rounded. */
typedef struct {
    uint32_t s;                 /* times the vector: what is added */
    int32_t old;                /* times what it is added to */
    int32_t up;                 /* 127 - r, the same for all */
    uint32_t key, step;         /* else of each lane's own: key + far end * step */
    nm_hash hash;
} nm_pass;

#define NM_LANES (NM_BATCH + NM_GUARD / 4u)     /* of a buffer in e->lane */
enum { NO_PAIR = 255 };
#define NM_ADDEND_MAX (UINT32_C(1) << 30)   /* with a weight and what rounds it, still 32 bits */
#define NM_SINGLE_MAX (UINT32_C(1) << 14)   /* a product in single.c, after its right shift */

/* To -32769..32767: 16 bits but for the sign bit. */
NM_INLINE int32_t nm_limit(int32_t x) {
    const int32_t sign = x >> 31;
    return nm_clip(x - sign, -32768, 32767) + sign;
}

/* sums.c */
void nm_run_lanes(nm_line *c, const nm_lanes *a);

/* products.c */
void nm_line_start(nm_line *c, nm_engine *e, uint32_t index, nm_proj *p);
uint32_t nm_scalars(const nm_line *c, const nm_product *q);
/* Everything of a product that varies along the lanes; *s, its scalar part, becomes what that is to be multiplied by.
 * The last multiplication ends the product. */
const int32_t *nm_vector_part(nm_line *c, const nm_product *q, const nm_lanes *a, uint32_t limited, uint32_t *s);
/* Everything of a product that is the same for all lanes, times its mantissa. */
NM_INLINE uint32_t nm_scalar_part(const nm_line *c, const nm_product *q) {
    const uint32_t s = (uint32_t)(int32_t)q->mant;
    return q->varies[c->column] + 1u == 1u << q->factors ? s : s * nm_scalars(c, q);
}
/* Where in the epoch a product reads the traces; columns run y0-products only. */
NM_INLINE uint32_t nm_history_time(const nm_line *c, const nm_product *q) {
    return q->dep == DEP_X0 || c->column ? c->when : c->r->t_epoch;
}
NM_INLINE const uint8_t *nm_trace_of(const nm_line *c, const nm_product *q, const nm_factor *f) {
    const uint32_t trace = f->var - VAR_X1 + TR_X1, time = nm_history_time(c, q);
    return time == c->r->t_epoch ? c->l->trace[trace] : nm_history(c->e, c->p, trace, time);
}
/* Do targets have times of their own? */
NM_INLINE int nm_each_time(const nm_line *c, const nm_product *q) {
    return !c->column && q->dep == DEP_Y0 && c->r->t_epoch > 1;
}
/* Are only some of the lanes due, those whose targets spiked? */
NM_INLINE int nm_masked(const nm_product *q, const nm_lanes *a) { return q->dep == DEP_Y0 && a->active == 1; }
NM_INLINE int nm_u_due(const nm_rule *r, const nm_product *q) { return (r->epochs & ((1u << q->k) - 1u)) == 0; }

/* single.c: run a product that is the only one of the weights' sum; 0 if it is none of those that it can. */
#if defined(__ARM_ARCH_6M__) || defined(NM_SMALL)
NM_INLINE int nm_single(const nm_line *c, const nm_product *q, uint32_t s, uint32_t largest, const nm_lanes *a,
              const nm_pass *x) {
    (void)c, (void)q, (void)s, (void)largest, (void)a, (void)x;
    return 0;
}
#else
int nm_single(const nm_line *c, const nm_product *q, uint32_t s, uint32_t largest, const nm_lanes *a,
              const nm_pass *x);
#endif
#endif
