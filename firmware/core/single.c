/* A sum of weights with one product, of the weight, or a function of it, and of what is alike in all rows, or columns:
 * what is stored is read, changed, rounded and written in one loop. All others go the ways of sums.c.
 *
 * Sums have 16 bits below the weight here, seven of them as everywhere and nine more. What is added has none of the nine,
 * so numbers may have anything there: the upper halves of their words are taken as they are, two to a word.
 *
 * What is added to shorts may pass the limits of the sum, -32769..32767. With half a unit more these are 17 bits, all but
 * the lowest, which becomes -32768.5: a number has to be half a unit less, so that the sum rounds down to the right one,
 * and its nine bits may only tell of the other half. One-sided weights need no limit: these are bytes, 0..255 of 128
 * each, so that an addend over 32767 leaves 255 and one under -32769 leaves 0, however far it goes. */
#include "lanes.h"

#if NM_ROOM

enum { BYTE, SHORT, LIMITED };          /* LIMITED: what is added to a short may pass the limits of the sum */
enum { BELOW = 9, HALF = 0xFFFF, HALVES = 0x1000100 };     /* HALVES: half a unit, in each of two numbers */

/* A weight's new value; number: 16 bits, but with LIMITED what is left of it when `less` is added, too. */
NM_INLINE int32_t changed(int32_t value, uint32_t x, int32_t t, int32_t number, const nm_change *y, uint32_t kind,
                          uint32_t formed) {
    const int32_t v = formed ? nm_formed(value, t, &y->form) : nm_multiplied(x * y->s + y->add, t, y->right);
    if (kind == LIMITED) {
        const int32_t halves = nm_clip(v * y->scale + y->half, -65536, 65535), start = value * 65536 + y->less;
        return nm_clip((start + number + halves * (1 << (BELOW - 1))) >> 16, -256, 255);
    }
    const int32_t sum = (int32_t)((uint32_t)value << 16 | (uint32_t)number) + v * y->scale;
    return nm_clip(sum >> 16, kind == BYTE ? 0 : -256, 255);
}

/* A lane, `at` in the stored weights. */
#define CHANGE(x, t, at, number)                                                                                       \
    do {                                                                                                               \
        const int32_t value = kind == BYTE ? bytes[at] : shorts[at], up = number;                                      \
        const int32_t next = changed(value, (uint32_t)(x), t, up, &y, kind, formed);                                   \
        if (kind == BYTE) bytes[at] = (uint8_t)next;                                                                   \
        else shorts[at] = (int16_t)next;                                                                               \
    } while (0)

#define APART()                                                                                                        \
    do {                                                                                                               \
        NM_KEEP_APART(t);                                                                                              \
        if (kind == BYTE) NM_KEEP_APART(bytes);                                                                        \
        if (kind != BYTE) NM_KEEP_APART(shorts);                                                                       \
        if (what == TRACES) NM_KEEP_APART(x);                                                                          \
    } while (0)

NM_INLINE void change(void *stored, const nm_change *how, const nm_lanes *a, uint32_t kind, uint32_t own,
                      uint32_t formed) {
    const nm_change y = *how;
    uint8_t *restrict bytes = (uint8_t *)stored + (kind == BYTE ? a->base : 0);
    int16_t *restrict shorts = (int16_t *)stored + (kind == BYTE ? 0 : a->base);
    const int32_t *restrict t = y.t;
    const uint32_t *restrict number = y.number, halves = kind == LIMITED ? HALVES : 0;
    const uint32_t stride = a->stride;
    const int32_t up_for_all = kind == LIMITED ? 0 : y.up;
    for (uint32_t n = a->n / 2; n; n--) {
        const uint32_t two = own ? *number++ | halves : 0;
        CHANGE(value, *t++, 0, own ? (int32_t)(two & HALF) : up_for_all);
        NM_KEEP_APART(t);
        bytes += stride, shorts += stride;
        if (kind == BYTE) NM_KEEP_APART(bytes);
        if (kind != BYTE) NM_KEEP_APART(shorts);
        CHANGE(value, *t++, 0, own ? (int32_t)(two >> 16) : up_for_all);
        NM_KEEP_APART(t);
        bytes += stride, shorts += stride;
        if (own) NM_KEEP_APART(number);
    }
    if (a->n & 1u) CHANGE(value, *t, 0, own ? (int32_t)((*number | halves) & HALF) : up_for_all);
}

/* The same for a line that is alone: nothing is prepared, but traces are read as they lie, one that the weight is
 * multiplied by, or two. */
enum { TRACE, TRACES };
NM_INLINE void change_alone(void *stored, const nm_change *how, const nm_lanes *a, uint32_t what, uint32_t kind,
                            uint32_t own) {
    const nm_change y = *how;
    const uint32_t formed = 0;
    uint8_t *restrict bytes = (uint8_t *)stored + (kind == BYTE ? a->base : 0);
    int16_t *restrict shorts = (int16_t *)stored + (kind == BYTE ? 0 : a->base);
    const uint8_t *restrict x = y.x, *restrict t = y.trace;
    const uint32_t *restrict number = y.number, halves = kind == LIMITED ? HALVES : 0;
    const uint32_t stride = a->stride;
    const int32_t up_for_all = kind == LIMITED ? 0 : y.up;
    for (uint32_t n = a->n / 2; n; n--) {
        const uint32_t two = own ? *number++ | halves : 0;
        CHANGE(what == TRACE ? value : *x++, nm_clip(*t++ + y.t_add, -128, 127), 0,
               own ? (int32_t)(two & HALF) : up_for_all);
        bytes += stride, shorts += stride;
        APART();
        CHANGE(what == TRACE ? value : *x++, nm_clip(*t++ + y.t_add, -128, 127), 0,
               own ? (int32_t)(two >> 16) : up_for_all);
        bytes += stride, shorts += stride;
        APART();
        if (own) NM_KEEP_APART(number);
    }
    if (a->n & 1u)
        CHANGE(what == TRACE ? value : *x, nm_clip(*t + y.t_add, -128, 127), 0,
               own ? (int32_t)((*number | halves) & HALF) : up_for_all);
}

/* The same for lanes that are listed by their far end, with a number to a word. */
NM_INLINE void change_listed(void *stored, const nm_change *how, const nm_lanes *a, uint32_t kind) {
    const nm_change y = *how;
    const uint32_t formed = 0;
    uint8_t *restrict bytes = (uint8_t *)stored + (kind == BYTE ? a->base : 0);
    int16_t *restrict shorts = (int16_t *)stored + (kind == BYTE ? 0 : a->base);
    const int32_t *restrict t = y.t;
    const uint32_t *restrict number = y.number, *restrict other = a->other;
    const uint32_t stride = a->stride, halves = kind == LIMITED ? HALVES : 0;
    NM_UNROLL2 for (uint32_t n = a->n; n; n--) {
        const uint32_t at = *other++ * stride;
        CHANGE(value, *t++, at, (int32_t)((*number++ | halves) >> 16));
        NM_KEEP_APART(t);
        NM_KEEP_APART(other);
        NM_KEEP_APART(number);
    }
}

/* Out of line: inlined they would run out of registers. */
#define LOOP(kind, own)                                                                                                \
    static NM_NOINLINE void change_##kind##_##own(void *stored, const nm_change *y, const nm_lanes *a) {               \
        change(stored, y, a, kind, own, 0);                                                                            \
    }
#define ALONE(what, kind, own)                                                                                         \
    static NM_NOINLINE void alone_##what##_##kind##_##own(void *stored, const nm_change *y, const nm_lanes *a) {       \
        change_alone(stored, y, a, what, kind, own);                                                                   \
    }
#define FORMED(kind, own)                                                                                              \
    static NM_NOINLINE void formed_##kind##_##own(void *stored, const nm_change *y, const nm_lanes *a) {               \
        change(stored, y, a, kind, own, 1);                                                                            \
    }
#define LISTED(kind)                                                                                                   \
    static NM_NOINLINE void listed_##kind(void *stored, const nm_change *y, const nm_lanes *a) {                       \
        change_listed(stored, y, a, kind);                                                                             \
    }
LOOP(BYTE, 0) LOOP(BYTE, 1) LOOP(SHORT, 0) LOOP(SHORT, 1) LOOP(LIMITED, 0) LOOP(LIMITED, 1)
LISTED(BYTE) LISTED(SHORT) LISTED(LIMITED)
FORMED(BYTE, 0) FORMED(BYTE, 1) FORMED(SHORT, 0) FORMED(SHORT, 1)
#define ALONES(what)                                                                                                   \
    ALONE(what, BYTE, 0) ALONE(what, BYTE, 1) ALONE(what, SHORT, 0) ALONE(what, SHORT, 1) ALONE(what, LIMITED, 0)
#define ALONE_ROW(what)                                                                                                \
    {{alone_##what##_BYTE_0, alone_##what##_BYTE_1}, {alone_##what##_SHORT_0, alone_##what##_SHORT_1},                 \
     {alone_##what##_LIMITED_0}}
ALONES(TRACE) ALONES(TRACES)

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
            NM_KEEP_APART(key);
            *out++ = two_of(a, nm_number32(key, h));
            key += step;
            NM_KEEP_APART(key);
            NM_KEEP_APART(out);
        }
    }
}

/* Those of lanes that are listed, a word each. */
static NM_NOINLINE void numbers_listed(uint32_t *restrict out, const nm_lanes *a, const nm_pass *x) {
    const nm_hash h = x->hash;
    const uint32_t n = a->n, step = x->step, key = x->key, *restrict other = a->other;
    NM_UNROLL4 for (uint32_t k = 0; k < n; k++) {
        *out++ = nm_number32(key + *other++ * step, h);
        NM_KEEP_APART(out);
        NM_KEEP_APART(other);
    }
}

/* Numbers of the lanes, as their loop reads them. */
static void draw(uint32_t *out, const nm_lanes *a, const nm_pass *x, uint32_t own) {
    const uint32_t n = a->n, one = (uint32_t)x->up << BELOW, same = one << 16 | one;
    if (own && a->other) numbers_listed(out, a, x);
    else if (own) numbers(out, n, x);
    else NM_UNROLL4 for (uint32_t k = 0; k < n; k++) out[k] = same;
}

void nm_single_run(const nm_line *c, const nm_lanes *a, const nm_pass *x) {
    const nm_single *ready = &c->single;
    if (ready->drawn) draw((uint32_t *)c->p2, a, x, ready->own);
    ready->loop((void *)(uintptr_t)c->p->w, &ready->y, a);
}

/* What a line that is alone reads, by the factors that find_few found. */
static uint32_t as_they_lie(const nm_line *c, const nm_product *q, const nm_lanes *a, nm_change *y) {
    const nm_factor *f = c->e->factor + q->first, *x = f + q->few[c->column][0], *trace = f + q->few[c->column][1];
    y->trace = nm_trace_of(c, q, trace) + a->first;
    y->t_add = trace->add;
    y->add = (uint32_t)(int32_t)x->add * y->s;
    if (x->var == VAR_W) return TRACE;
    y->x = nm_trace_of(c, q, x) + a->first;
    return TRACES;
}

int nm_single_start(nm_line *c, const nm_product *q, uint32_t s, uint32_t largest, const nm_lanes *a,
                    const nm_pass *x) {
    static nm_change_loop *const loop[3][2] = {
        {change_BYTE_0, change_BYTE_1}, {change_SHORT_0, change_SHORT_1}, {change_LIMITED_0, change_LIMITED_1},
    };
    static nm_change_loop *const alone_loop[2][3][2] = {ALONE_ROW(TRACE), ALONE_ROW(TRACES)};
    static nm_change_loop *const formed_loop[2][2] = {{formed_BYTE_0, formed_BYTE_1}, {formed_SHORT_0, formed_SHORT_1}};
    static nm_change_loop *const listed_loop[3] = {listed_BYTE, listed_SHORT, listed_LIMITED};
    const uint32_t weight = q->weight[c->column], is_byte = c->p->element == ELEM_U8, listed = a->other != 0;
    const uint32_t size = largest >> q->right, most = (size + 1u) << q->left, formed = q->formed >> c->column & 1u;
    if (weight == NOT_ALIKE || size > NM_SHORT_MAX || (is_byte && most > NM_ADDEND_MAX >> BELOW)) return 0;
    if (q->right > NM_RIGHT_MAX || (listed && !a->syn) || nm_masked(q, a)) return 0;
    const uint32_t ended = weight == ENDED;
    if (weight == NO_WEIGHT && !q->right && most <= 32767u) return 0;       /* sums.c has shorter ways */
    const uint32_t kind = is_byte ? BYTE : most > 32767u ? LIMITED : SHORT;
    if (formed && (q->right || listed || kind == LIMITED)) return 0;
    /* whole numbers have nothing to round, but limits are none */
    const uint32_t own = c->e->rounding && (q->left < 7 || kind == LIMITED), drawn = own || listed;
    const int32_t up = x->up * (1 << BELOW), half = 1 << (BELOW - 1);
    const uint8_t *few = q->few[c->column];
    /* with own numbers and limits registers run out: then what can be prepared is */
    const uint32_t direct = c->lines == 1 && !listed && !formed && (kind != LIMITED || !own);
    const uint32_t alone = direct && few[0] != NONE && few[2] == NONE;
    nm_change *y = &c->single.y;
    if (!alone) y->t = nm_alike(c, q, s, a);
    y->right = ended ? 0 : q->right;
    y->s = (ended ? 1u : s) << nm_ahead(y->right);
    y->number = (const uint32_t *)c->p2;
    y->up = up;
    y->less = drawn ? -2 * half : up - half;
    y->half = 1;
    y->scale = (int32_t)(1u << q->left << (kind == LIMITED ? 1 : BELOW));
    uint32_t what = TRACE;
    if (formed) {
        y->form = nm_form_alike(c, q, c->e->factor + q->first + weight, a, 0);
        if (c->p->flip) y->form.times = -y->form.times;
        y->scale *= (int32_t)s;
    } else if (alone) {
        what = as_they_lie(c, q, a, y);
    } else if (weight == NO_WEIGHT || ended) {
        y->add = y->s;
        y->s = 0;
    } else {
        y->add = (uint32_t)(int32_t)c->e->factor[q->first + weight].add * y->s;
    }
    if (c->p->flip) {
        if (what == TRACE) y->s = 0u - y->s;        /* of magnitudes */
        y->scale = -y->scale;
    }
    nm_change_loop *const straight = formed ? formed_loop[kind][own] : loop[kind][own];
    c->single.loop = listed ? listed_loop[kind] : alone ? alone_loop[what][kind][own] : straight;
    c->single.of = alone ? 0 : q;       /* what is read as it lies is of this line */
    c->single.s = s;
    c->single.own = own;
    c->single.drawn = own || listed;
    return 1;
}
#endif
