/* Batches of synapses ("lanes") for the rule interpreter: learn.c chooses them, factors.c, products.c, sums.c and
 * single.c work on them. */
#ifndef NM_LANES_H
#define NM_LANES_H
#include "guards.h"
#include "nm_internal.h"

/* Boards with such a core have no room for loops that only some rules need. */
#if defined(__ARM_ARCH_6M__) || defined(NM_SMALL)
#define NM_ROOM 0
#else
#define NM_ROOM 1
#endif

typedef struct {
    uint32_t n;
    const uint32_t *other;      /* neuron at the far end of each lane; null: first, first + 1, .. */
    uint32_t first;
    const uint32_t *syn;        /* synapse of each lane: base + syn * stride; null: base, base + stride, .. */
    uint32_t base, stride;
    uint32_t active;            /* lanes with a spike of their target: 0 none, 1 some, 2 all */
} nm_lanes;

/* Cores of microcontrollers with few registers: compilers give what moves by the same step one index, for which they
 * then have no register left. Here it is hidden from them that it does. */
#if defined(__thumb2__)
#define NM_KEEP_APART(p) __asm__("" : "+r"(p))
#else
#define NM_KEEP_APART(p) (void)(p)
#endif

/* Instructions for halves of words, and for products of 48 bits. */
#if defined(__ARM_FEATURE_DSP) && defined(__clang__)
#define NM_DSP 1
#else
#define NM_DSP 0
#endif

/* x * y >> right, y of 16 bits, where x has been shifted to the left by nm_ahead of it. */
#if NM_DSP      /* an instruction drops the lower 16 of 48 bits */
#define NM_RIGHT_MAX 16u
NM_INLINE uint32_t nm_ahead(uint32_t right) { return 16u - right; }
NM_INLINE int32_t nm_multiplied(uint32_t x, int32_t y, uint32_t right) {
    (void)right;
    return __builtin_arm_smulwb((int32_t)x, y);
}
#else
#define NM_RIGHT_MAX 31u
NM_INLINE uint32_t nm_ahead(uint32_t right) {
    (void)right;
    return 0;
}
NM_INLINE int32_t nm_multiplied(uint32_t x, int32_t y, uint32_t right) { return (int32_t)(x * (uint32_t)y) >> right; }
#endif

/* A factor f(v + w + constant): a function is a limit, as that of its width is, and all are limits to 10 bits with some
 * bits of fraction: (clip10(v * times + w * rest + plus) + up) >> down. Where 0 is the lower end, 512 are taken away
 * and brought back; the ends of sgn are rounded to 1 and -1. */
typedef struct { int32_t times, rest, plus, up; uint32_t down; } nm_form;
NM_INLINE nm_form nm_form_of(const nm_factor *f) {
    const uint32_t function = f->form & FN_MASK, one_sided = function == FN_POS || function == FN_ON;
    const uint32_t down = function == FN_SGN ? 9u : 9u + one_sided - f->bits;
    const int32_t times = 1 << down;
    nm_form h = {times, 0, f->add * times, 0, down};
    if (f->second) h.rest = f->form & FN_MINUS ? -times : times;
    if (one_sided) h.plus -= 512;
    h.up = one_sided ? 512 : function == FN_SGN ? 256 : 0;
    return h;
}
NM_INLINE int32_t nm_formed(int32_t v, int32_t rest, const nm_form *h) {
    return (nm_clip(v * h->times + rest, -512, 511) + h->up) >> h->down;
}

/* How a product is added to the lanes, and how their sums are rounded. */
typedef struct {
    uint32_t s;                 /* times the vector: what is added */
    int32_t old, less;          /* times what it is added to, less 0 or 1: twice that */
    int32_t up;                 /* 127 - r, the same for all */
    uint32_t key, step;         /* else of each lane's own: key + far end * step */
    nm_hash hash;
} nm_pass;
/* single.c: what is added, ((w * s + add) * t >> right) * scale; add: the constant of the weight, or all of s without a
 * weight. Or a function of the weight, nm_formed with t, times scale. */
typedef struct {
    const int32_t *t;                   /* of each lane, 16 bits; or two to a word, see halves.h */
    const uint8_t *trace, *x;           /* or traces as they lie: t, less t_add and unlimited; instead of the weight */
    int32_t t_add;
    uint32_t s, add, right;
    int32_t scale;                      /* 2^left; negative where magnitudes of negative weights are stored */
    const uint32_t *number;             /* of two lanes each */
    int32_t up;                         /* or for all */
    nm_pass pass;                       /* or how they are drawn: what changes from line to line is its key */
    int32_t less, half;                 /* limited: what comes with a number, or all of it; 1 */
    nm_form form;
    uint32_t above, below;              /* see nm_beside_start: limits of such a function */
} nm_change;
typedef void nm_change_loop(void *stored, const nm_change *y, const nm_lanes *a);
/* How up to three traces become halves of words. */
typedef struct {
    const uint8_t *t[3];
    uint32_t add[3];                    /* constants, twice */
    uint32_t s;                         /* of three: what they are multiplied by, of which the upper half is taken */
    nm_form form;                       /* or of a function of one */
    uint32_t keep, invert;              /* or which bits of one are added to the weight, and which of them inverted */
} nm_traces;
typedef void nm_traces_loop(uint32_t *out, uint32_t lanes, const nm_traces *y);
/* A product that is ready for lanes that lie like those before, with this scalar part. */
typedef struct nm_single {
    uint32_t key, s, own, drawn;
    uint32_t reads;                     /* how the loop finds what is alike in all lines */
    nm_change_loop *loop;
    nm_change y;
    uint32_t self;                      /* what one line more means for its key */
#if NM_DSP
    nm_traces_loop *take;               /* null: words become halves */
    nm_traces traces;
    uint8_t trace[3], factors;          /* TR_X1.. of each */
    const nm_plastic *from;             /* whose traces y has, from lane `first` on; null: not for long */
    uint32_t first;
#endif
} nm_single;

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
    uint32_t weights;               /* how they are stored, for nm_single_key */
    uint32_t lines;                 /* that have the same lanes, one after the other; 0: unknown */
    const nm_product *only;         /* of all sums */
    uint32_t loaded;                /* bit per sum: `old` holds the lanes' values */
    const nm_product *alike;        /* p1 holds what nm_alike gives of it, for this list or these lanes, of this time */
    const uint32_t *alike_list;
    uint32_t alike_first, alike_time, alike_s, alike_halves;
    int32_t *old[3], *acc, *p1, *p2;
    int32_t *p3;                    /* with extended factors */
} nm_line;

#define NM_LANES (NM_BATCH + NM_GUARD / 4u)     /* of a buffer in e->lane */
enum { ENDED = 253, NO_WEIGHT, NOT_ALIKE, NONE = 255 };
#define NM_ADDEND_MAX (UINT32_C(1) << 30)   /* with a weight and what rounds it, still 32 bits */
#define NM_SHORT_MAX (UINT32_C(1) << 14)    /* a product that nm_multiplied may end, after its right shift */

/* To -32769..32767: 16 bits but for the sign bit. */
NM_INLINE int32_t nm_limit(int32_t x) {
    const int32_t sign = x >> 31;
    return nm_clip(x - sign, -32768, 32767) + sign;
}

/* sums.c */
void nm_run_lanes(nm_line *c, const nm_lanes *a);

/* factors.c */
int nm_is_constant(const nm_engine *e, const nm_rule *r, const nm_product *q, uint32_t var, uint32_t column);
int32_t nm_factor_scalar(const nm_line *c, const nm_product *q, const nm_factor *f);
/* The values of a factor along the lanes: in `buffer`, or where they lie already. */
const int32_t *nm_factor_lanes(const nm_line *c, const nm_product *q, const nm_factor *f, const nm_lanes *a,
                               int32_t *buffer);
void nm_fetch_spiked(int32_t *out, const uint8_t *when, const nm_lanes *a);     /* 0 or 1 */
/* Of a factor of the weight: what is alike in all rows, or columns, if `out` is there. Returns what is left to do. */
nm_form nm_form_alike(const nm_line *c, const nm_product *q, const nm_factor *f, const nm_lanes *a, int32_t *out);
/* Where what is alike lies one to a byte, without the form's `rest` and `plus`; else null. */
const uint8_t *nm_form_bytes(const nm_line *c, const nm_product *q, const nm_factor *f, const nm_lanes *a);
/* Is the factor nothing but a trace and a constant? */
NM_INLINE int nm_is_trace(const nm_factor *f) {
    return f->var >= VAR_X1 && f->var <= VAR_Y3 && !f->form && !f->second;
}

/* products.c */
void nm_line_start(nm_line *c, nm_engine *e, uint32_t index, nm_proj *p);
uint32_t nm_scalars(const nm_line *c, const nm_product *q);
/* Everything of a product that varies along the lanes; *s, its scalar part, becomes what that is to be multiplied by.
 * The last multiplication ends the product. */
const int32_t *nm_vector_part(nm_line *c, const nm_product *q, const nm_lanes *a, uint32_t largest, uint32_t limited,
                              uint32_t *s);
/* Of a product that is not NOT_ALIKE, what varies along the lanes but for the weight: the same in all rows, or columns.
 * Where that is more than 16 bits, ENDED, it is times s and shifted right. */
const int32_t *nm_alike(nm_line *c, const nm_product *q, uint32_t s, const nm_lanes *a);
/* Where in the epoch a product reads the traces; columns run y0-products only. */
NM_INLINE uint32_t nm_history_time(const nm_line *c, const nm_product *q) {
    return q->dep == DEP_X0 || c->column ? c->when : c->r->t_epoch;
}
/* Is it in p1? */
NM_INLINE int nm_is_prepared(const nm_line *c, const nm_product *q, uint32_t s, const nm_lanes *a,
                             uint32_t halves) {
    return c->alike == q && c->alike_halves == halves && c->alike_list == a->other && c->alike_first == a->first
        && c->alike_time == nm_history_time(c, q) && (c->alike_s == s || q->weight[c->column] != ENDED);
}
/* From now on it is. */
NM_INLINE void nm_note_alike(nm_line *c, const nm_product *q, uint32_t s, const nm_lanes *a, uint32_t halves) {
    c->alike = a->syn && a->syn != a->other ? 0 : q;     /* such a list is written anew for each row */
    c->alike_list = a->other;
    c->alike_first = a->first;
    c->alike_time = nm_history_time(c, q);
    c->alike_s = s;
    c->alike_halves = halves;
}
/* Everything of a product that is the same for all lanes, times its mantissa. */
NM_INLINE uint32_t nm_scalar_part(const nm_line *c, const nm_product *q) {
    const uint32_t s = (uint32_t)(int32_t)q->mant;
    return q->varies[c->column] + 1u == 1u << q->factors ? s : s * nm_scalars(c, q);
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

/* single.c: a product that is the only one of the weights' sum. */
#if NM_ROOM
/* What a product depends on besides its rule: how the lanes lie, and their weights. Not 0. */
NM_INLINE uint32_t nm_single_key(const nm_line *c, const nm_lanes *a) {
    const uint32_t listed = a->other != 0, alone = !NM_DSP && c->lines == 1;
    return c->weights | c->column << 1 | alone << 2 | listed << 3;
}
/* How it is run, if that is known; or finds out. Null if it is none of those that single.c can. */
NM_INLINE nm_single *nm_single_known(const nm_line *c, const nm_product *q, uint32_t s, const nm_lanes *a) {
    nm_single *how = q->single;
    return a->syn == a->other && how->s == s && how->key == nm_single_key(c, a) && !nm_masked(q, a) ? how : 0;
}
nm_single *nm_single_start(nm_line *c, const nm_product *q, uint32_t s, uint32_t largest, const nm_lanes *a);
void nm_single_run(nm_line *c, const nm_product *q, nm_single *how, const nm_lanes *a);
#else
NM_INLINE nm_single *nm_single_known(const nm_line *c, const nm_product *q, uint32_t s, const nm_lanes *a) {
    (void)c, (void)q, (void)s, (void)a;
    return 0;
}
NM_INLINE nm_single *nm_single_start(nm_line *c, const nm_product *q, uint32_t s, uint32_t largest, const nm_lanes *a) {
    (void)c, (void)q, (void)s, (void)largest, (void)a;
    return 0;
}
NM_INLINE void nm_single_run(nm_line *c, const nm_product *q, nm_single *how, const nm_lanes *a) {
    (void)c, (void)q, (void)how, (void)a;
}
#endif
#if NM_DSP
/* What nm_alike prepares, but two to a word; and the loops over such: see halves.h. */
void nm_halves_start(nm_line *c, const nm_product *q, nm_single *how, uint32_t kind, uint32_t listed);
void nm_numbers_listed(uint32_t *out, const nm_lanes *a, const nm_pass *pass);     /* for limited sums */
void nm_alike_halves(nm_line *c, const nm_product *q, nm_single *how, const nm_lanes *a);
void nm_change_rest(const nm_single *how, void *stored, const nm_lanes *a, uint32_t is_byte);
/* Is this function of the weight one of halves? */
int nm_can_halve(const nm_line *c, const nm_product *q, const nm_factor *f, const nm_lanes *a);
#else
NM_INLINE int nm_can_halve(const nm_line *c, const nm_product *q, const nm_factor *f, const nm_lanes *a) {
    (void)c, (void)q, (void)f, (void)a;
    return 0;
}
#endif
#endif
