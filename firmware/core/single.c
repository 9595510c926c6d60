/* A sum of weights with one product in which two things vary along the lanes, the weight and a trace or two traces: what
 * is stored is read, changed, rounded and written in one loop. All others go the ways of sums.c.
 *
 * What is added is not limited to the width of the sum here. For one-sided weights this needs no limit: these are bytes,
 * 0..255 of 128 each, so that an addend over 32767 leaves 255 and one under -32769 leaves 0, however far it goes. Other
 * weights come here only if no values of the factors pass these limits. */
#include "lanes.h"

#if !defined(__ARM_ARCH_6M__) && !defined(NM_SMALL)     /* boards with such a core have no room for it */

/* What is added: ((x * s + add) * clip(trace + trace_add) >> right) * scale; add: the constant of x times s. */
typedef struct {
    const uint8_t *x, *trace;           /* of the first lane; x null: the weight */
    uint32_t s, add;
    int32_t trace_add;
    uint32_t right;
    int32_t scale;                      /* 2^left; negative where magnitudes of negative weights are stored */
    const uint32_t *number;             /* of each lane, times 2^25; null: `up` for all */
    int32_t up;
} nm_change;

enum { SOFT, TRACES };                  /* x is the weight, or a trace */
enum { BYTE, SHORT };

NM_INLINE void change(void *stored, const nm_change *y, const nm_lanes *a, uint32_t shape, uint32_t kind,
                      uint32_t own) {
    uint8_t *restrict bytes = (uint8_t *)stored + (kind == BYTE ? a->base : 0);
    int16_t *restrict shorts = (int16_t *)stored + (kind == SHORT ? a->base : 0);
    const uint8_t *restrict x = y->x, *restrict t = y->trace, *const end = t + a->n;
    const uint32_t *restrict number = y->number;
    const uint32_t stride = a->stride, s = y->s, add = y->add, right = y->right;
    const int32_t trace_add = y->trace_add, scale = y->scale, up = y->up;
    NM_UNROLL2 for (; t != end; bytes += stride, shorts += stride) {
        const int32_t value = kind == BYTE ? *bytes : *shorts;
        const uint32_t first = (shape == SOFT ? (uint32_t)value : *x++) * s + add;
        const int32_t v = (int32_t)(first * (uint32_t)nm_clip(*t++ + trace_add, -128, 127)) >> right;
        const int32_t sum = value * 128 + v * scale + (own ? (int32_t)(*number++ >> 25) : up);
        if (kind == BYTE) *bytes = (uint8_t)nm_clip(sum >> 7, 0, 255);
        else *shorts = (int16_t)nm_clip(sum >> 7, -256, 255);
    }
}

/* Out of line: inlined they would run out of registers. */
typedef void nm_loop(void *stored, const nm_change *y, const nm_lanes *a);
#define LOOP(shape, kind, own)                                                                                         \
    static NM_NOINLINE void change_##shape##_##kind##_##own(void *stored, const nm_change *y, const nm_lanes *a) {     \
        change(stored, y, a, shape, kind, own);                                                                        \
    }
#define LOOPS(shape) LOOP(shape, BYTE, 0) LOOP(shape, BYTE, 1) LOOP(shape, SHORT, 0) LOOP(shape, SHORT, 1)
#define ALL(shape)                                                                                                     \
    {{change_##shape##_BYTE_0, change_##shape##_BYTE_1}, {change_##shape##_SHORT_0, change_##shape##_SHORT_1}}
LOOPS(SOFT) LOOPS(TRACES)

/* The numbers of all lanes, and of up to seven more: apart from the rest, since both need all registers. */
static NM_NOINLINE void numbers(uint32_t *restrict out, uint32_t n, const nm_pass *x) {
    const nm_hash h = x->hash;
    const uint32_t step = x->step;
    uint32_t key = x->key;
    for (const uint32_t *end = out + n; out < end; out += 8)
        NM_UNROLL8 for (uint32_t k = 0; k < 8; k++, key += step) out[k] = nm_number32(key, h);
}

int nm_single(const nm_line *c, const nm_product *q, uint32_t s, uint32_t largest, const nm_lanes *a,
              const nm_pass *x) {
    static nm_loop *const loop[2][2][2] = {ALL(SOFT), ALL(TRACES)};
    const uint8_t *two = q->pair[c->column];
    const uint32_t is_short = c->p->element != ELEM_U8, limit = is_short ? 32767u : NM_ADDEND_MAX;
    if ((largest >> q->right) + 1u > limit >> q->left || a->other || nm_masked(q, a) || two[0] == NO_PAIR)
        return 0;
    const nm_factor *f = c->e->factor + q->first + two[0], *g = c->e->factor + q->first + two[1];
    const uint32_t soft = g->var == VAR_W, opposite = c->p->flip != 0, own = c->e->rounding && q->left < 7;
    const nm_change y = {
        .x = soft ? 0 : nm_trace_of(c, q, g) + a->first,
        .trace = nm_trace_of(c, q, f) + a->first,
        .s = soft && opposite ? 0u - s : s,             /* of magnitudes */
        .add = (uint32_t)(int32_t)g->add * s,
        .trace_add = f->add,
        .right = q->right,
        .scale = (int32_t)(opposite ? 0u - (1u << q->left) : 1u << q->left),
        .number = (const uint32_t *)c->p2,
        .up = x->up,
    };
    if (own) numbers((uint32_t *)c->p2, a->n, x);
    loop[!soft][is_short][own]((void *)(uintptr_t)c->p->w, &y, a);
    return 1;
}
#endif
