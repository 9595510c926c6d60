/* A sum of weights with one product in which one or two things vary along the lanes, the weight or traces: what is
 * stored is read, changed, rounded and written in one loop. All others go the ways of sums.c.
 *
 * Sums have 16 bits below the weight here, seven of them as everywhere and nine more. What is added has none of the nine,
 * so numbers may have anything there: the upper halves of their words are taken as they are, two to a word.
 *
 * What is added to one-sided weights needs no limit: these are bytes, 0..255 of 128 each, so that an addend over 32767
 * leaves 255 and one under -32769 leaves 0, however far it goes. */
#include "lanes.h"

#if !defined(__ARM_ARCH_6M__) && !defined(NM_SMALL)     /* boards with such a core have no room for it */

/* What is added: ((x * s + add) * clip(trace + trace_add) >> right) * scale; add: the constant of x times s. */
typedef struct {
    const uint8_t *x, *trace;           /* of the first lane, of neuron 0 with a list; x null: the weight */
    uint32_t s, add;
    int32_t trace_add;
    uint32_t right;
    int32_t scale;                      /* 2^left; negative where magnitudes of negative weights are stored */
    const uint32_t *number;             /* of two lanes each; null: `up` for all */
    uint32_t up;
} nm_change;

enum { SOFT, TRACES };                  /* x is the weight, or a trace */
enum { BYTE, SHORT, LIMITED };          /* LIMITED: what is added to a short may pass the width of the sum */
enum { BELOW = 9, HALF = 0xFFFF };

/* Cores of microcontrollers with few registers: compilers give what moves by the same step one index, for which they
 * then have no register left. Here it is hidden from them that it does. */
#if defined(__thumb2__)
#define KEEP_APART(p) __asm__("" : "+r"(p))
#else
#define KEEP_APART(p) (void)(p)
#endif

/* x * y >> right, where x has been shifted to the left by `ahead` of it. */
#if defined(__ARM_FEATURE_DSP) && defined(__clang__)     /* an instruction drops the lower 16 of 48 bits */
#define RIGHT_MOST 16u
NM_INLINE uint32_t ahead(uint32_t right) { return 16u - right; }
NM_INLINE int32_t multiplied(uint32_t x, int32_t y, uint32_t right) {
    (void)right;
    return __builtin_arm_smulwb((int32_t)x, y);
}
#else
#define RIGHT_MOST 31u
NM_INLINE uint32_t ahead(uint32_t right) {
    (void)right;
    return 0;
}
NM_INLINE int32_t multiplied(uint32_t x, int32_t y, uint32_t right) { return (int32_t)(x * (uint32_t)y) >> right; }
#endif

/* A weight's new value; number: in the lower half. */
NM_INLINE int32_t changed(int32_t value, uint32_t x, uint32_t trace, uint32_t number, const nm_change *y,
                          uint32_t kind) {
    const int32_t v = multiplied(x * y->s + y->add, nm_clip((int32_t)trace + y->trace_add, -128, 127), y->right);
    const int32_t p = kind == LIMITED ? nm_limit(v * y->scale) * (1 << BELOW) : v * y->scale;
    const int32_t sum = (int32_t)((uint32_t)value << 16 | number) + p;
    return nm_clip(sum >> 16, kind == BYTE ? 0 : -256, 255);
}

/* Lane k of those at hand, `at` in the stored weights. */
#define CHANGE(k, at, number)                                                                                          \
    do {                                                                                                               \
        const int32_t value = kind == BYTE ? bytes[at] : shorts[at];                                                   \
        const int32_t next = changed(value, shape == SOFT ? (uint32_t)value : x[k], t[k], number, &y, kind);           \
        if (kind == BYTE) bytes[at] = (uint8_t)next;                                                                   \
        else shorts[at] = (int16_t)next;                                                                               \
    } while (0)

NM_INLINE void change(void *stored, const nm_change *how, const nm_lanes *a, uint32_t shape, uint32_t kind,
                      uint32_t own) {
    const nm_change y = *how;
    uint8_t *restrict bytes = (uint8_t *)stored + (kind == BYTE ? a->base : 0);
    int16_t *restrict shorts = (int16_t *)stored + (kind == BYTE ? 0 : a->base);
    const uint8_t *restrict x = y.x, *restrict t = y.trace, *const end = t + (a->n & ~1u);
    const uint32_t *restrict number = y.number, *const last = number + a->n / 2;
    const uint32_t stride = a->stride;
    for (; own ? number != last : t != end; t += 2) {
        const uint32_t two = own ? *number++ : 0;
        CHANGE(0, 0, own ? two & HALF : y.up);
        bytes += stride, shorts += stride;
        if (kind == BYTE && shape == TRACES && own) KEEP_APART(bytes);
        if (kind != BYTE) KEEP_APART(shorts);
        CHANGE(1, 0, own ? two >> 16 : y.up);
        bytes += stride, shorts += stride;
        if (shape == TRACES) x += 2;
        if (shape == TRACES) KEEP_APART(x);
        if (shape == TRACES && own) KEEP_APART(number);
    }
    if (a->n & 1u) CHANGE(0, 0, own ? *number & HALF : y.up);
}

/* The same for lanes that are listed by their far end, with a number to a word. */
NM_INLINE void change_listed(void *stored, const nm_change *how, const nm_lanes *a, uint32_t shape, uint32_t kind) {
    const nm_change y = *how;
    uint8_t *restrict bytes = (uint8_t *)stored + (kind == BYTE ? a->base : 0);
    int16_t *restrict shorts = (int16_t *)stored + (kind == BYTE ? 0 : a->base);
    const uint8_t *restrict x = y.x, *restrict t = y.trace;
    const uint32_t *restrict number = y.number, *restrict other = a->other, *const end = other + a->n;
    const uint32_t stride = a->stride;
    while (other != end) {
        const uint32_t j = *other++, at = j * stride;
        CHANGE(j, at, *number >> 16);
        number++;
        KEEP_APART(number);
    }
}

/* Out of line: inlined they would run out of registers. */
typedef void nm_loop(void *stored, const nm_change *y, const nm_lanes *a);
#define LOOP(shape, kind, own)                                                                                         \
    static NM_NOINLINE void change_##shape##_##kind##_##own(void *stored, const nm_change *y, const nm_lanes *a) {     \
        change(stored, y, a, shape, kind, own);                                                                        \
    }
#define LISTED(shape, kind)                                                                                            \
    static NM_NOINLINE void listed_##shape##_##kind(void *stored, const nm_change *y, const nm_lanes *a) {             \
        change_listed(stored, y, a, shape, kind);                                                                      \
    }
#define LOOPS(shape)                                                                                                   \
    LOOP(shape, BYTE, 0) LOOP(shape, BYTE, 1) LOOP(shape, SHORT, 0) LOOP(shape, SHORT, 1) LOOP(shape, LIMITED, 1)      \
    LISTED(shape, BYTE) LISTED(shape, LIMITED)
LOOPS(SOFT) LOOPS(TRACES)

NM_INLINE uint32_t two_of(uint32_t a, uint32_t b) { return (b & ~(uint32_t)HALF) | a >> 16; }

/* The numbers of all lanes, and of up to seven more, two to a word: apart from the rest, since both need all registers. */
static NM_NOINLINE void numbers(uint32_t *restrict out, uint32_t n, const nm_pass *x) {
    const nm_hash h = x->hash;
    const uint32_t step = x->step, *const end = out + (n + 1) / 2;
    uint32_t key = x->key;
    while (out < end) {
        NM_UNROLL4 for (uint32_t k = 0; k < 4; k++) {
            const uint32_t a = nm_number32(key, h);
            key += step;
            KEEP_APART(key);
            *out++ = two_of(a, nm_number32(key, h));
            key += step;
            KEEP_APART(key);
            KEEP_APART(out);
        }
    }
}

/* Those of lanes that are listed, a word each. */
static NM_NOINLINE void numbers_listed(uint32_t *restrict out, const nm_lanes *a, const nm_pass *x) {
    const nm_hash h = x->hash;
    const uint32_t n = a->n, step = x->step, key = x->key, *restrict other = a->other;
    NM_UNROLL2 for (uint32_t k = 0; k < n; k++) *out++ = nm_number32(key + *other++ * step, h);
}

#define ALL(shape)                                                                                                     \
    {{change_##shape##_BYTE_0, change_##shape##_BYTE_1, listed_##shape##_BYTE},                                        \
     {change_##shape##_SHORT_0, change_##shape##_SHORT_1, listed_##shape##_LIMITED},                                   \
     {change_##shape##_LIMITED_1, change_##shape##_LIMITED_1, listed_##shape##_LIMITED}}

/* Numbers of the lanes, if the loop is one that reads some; returns which of its kind that is. */
static uint32_t draw(uint32_t *out, const nm_lanes *a, const nm_pass *x, uint32_t kind, uint32_t own) {
    const uint32_t same = (uint32_t)x->up << BELOW, both = same << 16 | same;
    if (!own && !a->other && kind != LIMITED) return 0;
    if (!own) NM_UNROLL4 for (uint32_t k = 0; k < a->n; k++) out[k] = both;
    else if (a->other) numbers_listed(out, a, x);
    else numbers(out, a->n, x);
    return a->other ? 2 : 1;
}

int nm_single(const nm_line *c, const nm_product *q, uint32_t s, uint32_t largest, const nm_lanes *a,
              const nm_pass *x) {
    static nm_loop *const loop[2][3][3] = {ALL(SOFT), ALL(TRACES)};
    static const uint8_t none[NM_BATCH];        /* and 1 is a trace of 1 */
    const uint8_t *two = q->pair[c->column];
    const uint32_t size = largest >> q->right, most = (size + 1u) << q->left, is_byte = c->p->element == ELEM_U8;
    if (two[0] == NO_PAIR || size > NM_SINGLE_MAX || (is_byte && most > NM_ADDEND_MAX >> BELOW)) return 0;
    if (q->right > RIGHT_MOST || (a->other && !a->syn) || nm_masked(q, a)) return 0;
    const uint32_t alone = two[1] == NO_PAIR, start = a->other ? 0 : a->first;
    const nm_factor *f = c->e->factor + q->first + two[0], *g = c->e->factor + q->first + two[!alone];
    nm_change y = {.x = 0, .trace = none, .trace_add = 1, .s = s << ahead(q->right)};
    if (f->var == VAR_W) {
        if (a->other) return 0;
    } else {
        if (alone && !q->right && most <= 32767u) return 0;     /* sums.c has shorter ways */
        y.trace = nm_trace_of(c, q, f) + start;
        y.trace_add = f->add;
    }
    const uint32_t shape = alone || g->var == VAR_W ? SOFT : TRACES;
    const uint32_t kind = is_byte ? BYTE : most > 32767u || a->other ? LIMITED : SHORT;
    if (shape == TRACES) y.x = nm_trace_of(c, q, g) + start;
    y.right = q->right;
    y.scale = (int32_t)(1u << q->left << (kind == LIMITED ? 0 : BELOW));
    y.number = (const uint32_t *)c->p2;
    y.up = (uint32_t)x->up << BELOW;
    if (alone && f->var != VAR_W) {
        y.add = y.s;
        y.s = 0;
    } else {
        y.add = (uint32_t)(int32_t)g->add * y.s;
    }
    if (c->p->flip) {
        if (shape == SOFT) y.s = 0u - y.s;      /* of magnitudes */
        y.scale = -y.scale;
    }
    /* whole numbers have nothing to round, but limits are none */
    const uint32_t own = c->e->rounding && (q->left < 7 || kind == LIMITED);
    loop[shape][kind][draw((uint32_t *)c->p2, a, x, kind, own)]((void *)(uintptr_t)c->p->w, &y, a);
    return 1;
}
#endif
