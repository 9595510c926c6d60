/* Batches of synapses ("lanes") for the rule interpreter: learn.c chooses them, sums.c works on them. */
#ifndef NM_LANES_H
#define NM_LANES_H
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
    int32_t *old[3], *acc, *p1, *p2;
    int32_t *p3;                    /* with extended factors */
} nm_line;

void nm_line_start(nm_line *c, nm_engine *e, uint32_t index, nm_proj *p);
void nm_run_lanes(nm_line *c, const nm_lanes *a);
NM_INLINE int nm_u_due(const nm_rule *r, const nm_product *q) { return (r->epochs & ((1u << q->k) - 1u)) == 0; }
#endif
