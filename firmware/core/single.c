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
#include "halves.h"

#if NM_ROOM

/* LIMITED: what is added to a short may pass the limits of the sum; FAR, to a byte, 32 bits: then these are whole numbers. */
enum { BYTE, SHORT, LIMITED, FAR };
enum { BELOW = 9, HALF_UNIT = 256, HALF = 0xFFFF };
enum { HALVES = 0x1000100 };            /* half a unit, in each of two numbers */
/* What a loop reads of the far ends: what has been prepared for all lines, in words or halves of them, or what a function
 * has beside the weight; or traces as they lie, of a function, one that the weight is multiplied by, or two. */
enum { PREPARED, IN_HALVES, FORMED, FORMED_TRACE, TRACE, TRACES };

/* A weight's new value; number: 16 bits, but with LIMITED what is left of it when `less` is added, too. */
NM_INLINE int32_t changed(int32_t value, uint32_t x, int32_t t, int32_t number, const nm_change *y, uint32_t kind,
                          uint32_t what) {
    const uint32_t formed = what == FORMED || what == FORMED_TRACE;
    const int32_t v = formed ? nm_formed(value, t, &y->form) : nm_multiplied(x * y->s + y->add, t, y->right);
    if (kind == LIMITED) {
        const int32_t halves = nm_clip(v * y->scale + y->half, -65536, 65535), start = value * 65536 + y->less;
        return nm_clip((start + number + halves * (1 << (BELOW - 1))) >> 16, -256, 255);
    }
    if (kind == FAR) return nm_clip(value + v * y->scale, 0, 255);
    const int32_t sum = (int32_t)((uint32_t)value << 16 | (uint32_t)number) + v * y->scale;
    return nm_clip(sum >> 16, kind == BYTE ? 0 : -256, 255);
}

/* A lane, `at` in the stored weights. */
#define CHANGE(x, t, at, number)                                                                                       \
    do {                                                                                                               \
        const int32_t value = is_byte ? bytes[at] : shorts[at], up = number;                                      \
        const int32_t next = changed(value, (uint32_t)(x), t, up, &y, kind, what);                                     \
        if (is_byte) bytes[at] = (uint8_t)next;                                                                        \
        else shorts[at] = (int16_t)next;                                                                               \
    } while (0)

NM_INLINE void change(void *stored, const nm_change *how, const nm_lanes *a, uint32_t what, uint32_t kind,
                      uint32_t own) {
    const nm_change y = *how;
    const uint32_t lying = what == TRACE || what == TRACES, bytewise = lying || what == FORMED_TRACE;
    const uint32_t is_byte = kind == BYTE || kind == FAR;
    uint8_t *restrict bytes = (uint8_t *)stored + (is_byte ? a->base : 0);
    int16_t *restrict shorts = (int16_t *)stored + (is_byte ? 0 : a->base);
    const int32_t *restrict words = y.t;
    const uint8_t *restrict t = y.trace, *restrict x = y.x;
    const uint32_t *restrict number = y.number, halves = kind == LIMITED ? HALVES : 0;
    const uint32_t stride = a->stride;
    const int32_t up_for_all = kind == LIMITED ? 0 : y.up;
#define ONE(number)                                                                                                    \
    do {                                                                                                               \
        const int32_t one = !bytewise ? *words++ : lying ? nm_clip(*t++ + y.t_add, -128, 127)                          \
                                                         : *t++ * y.form.rest + y.form.plus;                           \
        CHANGE(what == TRACES ? *x++ : value, one, 0, own ? (int32_t)(number) : up_for_all);                           \
    } while (0)
#define NEXT()                                                                                                         \
    do {                                                                                                               \
        bytes += stride, shorts += stride;                                                                             \
        if (bytewise) NM_KEEP_APART(t);                                                                                \
        if (!bytewise) NM_KEEP_APART(words);                                                                           \
        if (is_byte) NM_KEEP_APART(bytes);                                                                             \
        if (!is_byte) NM_KEEP_APART(shorts);                                                                           \
        if (what == TRACES) NM_KEEP_APART(x);                                                                          \
    } while (0)
    for (uint32_t n = a->n / 2; n; n--) {
        const uint32_t two = own ? *number++ | halves : 0;
        ONE(two & HALF);
        NEXT();
        ONE(two >> 16);
        NEXT();
        if (own) NM_KEEP_APART(number);
    }
    if (a->n & 1u) ONE((*number | halves) & HALF);
}

/* The same for lanes that are listed by their far end, with a number to a word. */
NM_INLINE void change_listed(void *stored, const nm_change *how, const nm_lanes *a, uint32_t kind) {
    nm_change y = *how;
    const uint32_t what = PREPARED, is_byte = kind == BYTE;
    y.less = -2 * HALF_UNIT;        /* a number for each lane, also if it is the same: registers are few */
    uint8_t *restrict bytes = (uint8_t *)stored + (is_byte ? a->base : 0);
    int16_t *restrict shorts = (int16_t *)stored + (is_byte ? 0 : a->base);
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
#define LOOP(what, kind, own)                                                                                          \
    static NM_NOINLINE void change_##what##_##kind##_##own(void *stored, const nm_change *y, const nm_lanes *a) {      \
        change(stored, y, a, what, kind, own);                                                                         \
    }
#define LISTED(kind)                                                                                                   \
    static NM_NOINLINE void listed_##kind(void *stored, const nm_change *y, const nm_lanes *a) {                       \
        change_listed(stored, y, a, kind);                                                                             \
    }
#define LOOPS(what, kind) LOOP(what, kind, 0) LOOP(what, kind, 1)
#define BOTH(what, kind) {change_##what##_##kind##_0, change_##what##_##kind##_1}
LISTED(BYTE) LISTED(SHORT) LISTED(LIMITED)
LOOPS(FORMED, BYTE) LOOPS(FORMED, SHORT) LOOP(FORMED, FAR, 0)
LOOPS(FORMED_TRACE, BYTE) LOOPS(FORMED_TRACE, SHORT) LOOP(FORMED_TRACE, FAR, 0)
static nm_change_loop *const listed_loop[3] = {listed_BYTE, listed_SHORT, listed_LIMITED};
static nm_change_loop *const formed_loop[2][4][2] = {
    {BOTH(FORMED, BYTE), BOTH(FORMED, SHORT), {0}, {change_FORMED_FAR_0}},
    {BOTH(FORMED_TRACE, BYTE), BOTH(FORMED_TRACE, SHORT), {0}, {change_FORMED_TRACE_FAR_0}},
};
#if !NM_DSP
LOOPS(PREPARED, BYTE) LOOPS(PREPARED, SHORT) LOOPS(PREPARED, LIMITED)
LOOPS(TRACE, BYTE) LOOPS(TRACE, SHORT) LOOP(TRACE, LIMITED, 0)
LOOPS(TRACES, BYTE) LOOPS(TRACES, SHORT) LOOP(TRACES, LIMITED, 0)
static nm_change_loop *const straight_loop[3][3][2] = {
    {BOTH(PREPARED, BYTE), BOTH(PREPARED, SHORT), BOTH(PREPARED, LIMITED)},
    {BOTH(TRACE, BYTE), BOTH(TRACE, SHORT), {change_TRACE_LIMITED_0}},
    {BOTH(TRACES, BYTE), BOTH(TRACES, SHORT), {change_TRACES_LIMITED_0}},
};
#endif

NM_INLINE uint32_t upper_halves(uint32_t a, uint32_t b) { return (b & ~(uint32_t)HALF) | a >> 16; }

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
            *out++ = upper_halves(a, nm_number32(key, h));
            key += step;
            NM_KEEP_APART(key);
            NM_KEEP_APART(out);
        }
    }
}

/* Those of lanes that are listed, a word each. */
static NM_NOINLINE void numbers_listed(uint32_t *restrict out, const nm_lanes *a, const nm_pass *x) {
    const nm_hash h = x->hash;
    const uint32_t n = a->n, step = x->step, key = x->key, *other = a->other;
#if NM_DSP
    for (uint32_t k = (n + 3u) / 4u; k; k--) {      /* the list is read up to a multiple of four */
        uint32_t at[4];
        other = get_words(other, at, at + 1);
        out = put_words(out, nm_number32(key + at[0] * step, h), nm_number32(key + at[1] * step, h));
        other = get_words(other, at + 2, at + 3);
        out = put_words(out, nm_number32(key + at[2] * step, h), nm_number32(key + at[3] * step, h));
    }
#else
    NM_UNROLL4 for (uint32_t k = 0; k < n; k++) {
        *out++ = nm_number32(key + *other++ * step, h);
        NM_KEEP_APART(out);
        NM_KEEP_APART(other);
    }
#endif
}

/* Numbers of the lanes, as their loop reads them. */
static void draw(uint32_t *out, const nm_lanes *a, const nm_single *how) {
    const nm_pass *x = &how->y.pass;
    const uint32_t n = a->n, one = (uint32_t)x->up << BELOW, same = one << 16 | one;
#if NM_DSP
    if (how->reads == IN_HALVES) {
        nm_numbers_listed(out, a, x);
        return;
    }
#endif
    if (how->own && a->other) numbers_listed(out, a, x);
    else if (how->own) numbers(out, n, x);
    else NM_UNROLL4 for (uint32_t k = 0; k < n; k++) out[k] = same;
}

/* Where the traces lie that a loop reads as they lie. */
static NM_NOINLINE void find_traces(const nm_line *c, const nm_product *q, nm_single *how, const nm_lanes *a) {
    const nm_factor *f = c->e->factor + q->first;
    const uint8_t *few = q->few[c->column];
    nm_change *y = &how->y;
    if (how->reads == FORMED_TRACE) y->trace = nm_form_bytes(c, q, f + q->weight[c->column], a);
    else y->trace = nm_trace_of(c, q, f + few[1]) + a->first;
    if (how->reads == TRACES) y->x = nm_trace_of(c, q, f + few[0]) + a->first;
}

/* What all lines share, which is not of the line before. */
static void prepare(nm_line *c, const nm_product *q, nm_single *how, const nm_lanes *a) {
#if NM_DSP
    if (how->reads == IN_HALVES) {
        nm_alike_halves(c, q, how, a);
        return;
    }
#endif
    nm_alike(c, q, how->s, a);
}

void nm_single_run(nm_line *c, const nm_product *q, nm_single *how, const nm_lanes *a) {
    void *stored = (void *)(uintptr_t)c->p->w;
    if (how->reads >= FORMED_TRACE) find_traces(c, q, how, a);
    else if (!nm_is_prepared(c, q, how->s, a, how->reads == IN_HALVES)) prepare(c, q, how, a);
    if (how->own) {
        how->y.pass.key = c->key[SUM_W] + c->self * how->self + (a->other ? 0 : a->first * how->y.pass.step);
    } else {
        how->y.pass.up = c->p->flip ? (int32_t)c->number : 127 - (int32_t)c->number;
        how->y.up = how->y.pass.up * (1 << BELOW);
        how->y.less = how->y.up - HALF_UNIT;
    }
    if (how->drawn) draw((uint32_t *)c->p2, a, how);
    how->loop(stored, &how->y, a);
#if NM_DSP
    if (a->n & 3u && how->reads == IN_HALVES) nm_change_rest(how, stored, a, c->p->element == ELEM_U8);
#endif
}

/* The loop for lanes that are not listed, and how it finds what it reads. */
static void straight(nm_line *c, const nm_product *q, nm_single *how, uint32_t kind, uint32_t listed) {
#if NM_DSP
    how->reads = IN_HALVES;
    how->drawn = how->own && listed;    /* else in the loop */
    nm_halves_start(c, q, how, kind, listed);
#else
    (void)listed;
    nm_change *y = &how->y;
    const nm_factor *f = c->e->factor + q->first;
    const uint8_t *few = q->few[c->column];
    how->reads = PREPARED;
    /* with own numbers and limits registers run out: then what can be prepared is */
    if (c->lines == 1 && (kind != LIMITED || !how->own) && few[0] != NONE && few[2] == NONE) {
        how->reads = f[few[0]].var == VAR_W ? TRACE : TRACES;
        y->t_add = f[few[1]].add;
        if (how->reads == TRACES) {
            y->s = y->add;
            y->add = (uint32_t)(int32_t)f[few[0]].add * y->s;
        }
    }
    how->loop = straight_loop[how->reads == PREPARED ? 0 : how->reads - FORMED_TRACE][kind][how->own];
#endif
}

nm_single *nm_single_start(nm_line *c, const nm_product *q, uint32_t s, uint32_t largest, const nm_lanes *a) {
    const uint32_t weight = q->weight[c->column], is_byte = c->p->element == ELEM_U8, listed = a->other != 0;
    const uint32_t size = largest >> q->right, most = (size + 1u) << q->left, formed = q->formed >> c->column & 1u;
    const uint32_t far = is_byte && most > NM_ADDEND_MAX >> BELOW, limited = !is_byte && most > 32767u;
    const uint32_t halves = NM_DSP && q->varies[c->column] && (!listed || far || limited);
    const uint32_t plain = weight == NO_WEIGHT && !halves && !q->right && most <= 32767u;
    if (plain && !(NM_DSP && listed && c->e->rounding)) return 0;     /* sums.c has shorter ways */
    if (weight == NOT_ALIKE || size > NM_SHORT_MAX || (far && !halves && !formed)) return 0;
    if (q->right > NM_RIGHT_MAX || a->syn != a->other || nm_masked(q, a)) return 0;
    const uint32_t no_weight = weight == NO_WEIGHT || weight == ENDED;
    if (NM_DSP && limited && most > NM_ADDEND_MAX / 2) return 0;
    const nm_factor *f = c->e->factor + q->first + weight;
    if (formed && (q->right || listed || (limited && !nm_can_halve(c, q, f, a)))) return 0;
    const uint32_t kind = far ? FAR : is_byte ? BYTE : limited ? LIMITED : SHORT;
    nm_single *how = q->single;
    nm_change *y = &how->y;
    how->key = nm_single_key(c, a);
    how->s = s;
    /* whole numbers have nothing to round, but limits are none */
    how->own = c->e->rounding && (q->left < 7 || limited);
    how->drawn = how->own || listed;
    how->y.pass.step = c->column ? NM_GOLDEN : NM_SECOND;
    how->y.pass.hash = nm_hash_for(c->p->flip);
    how->self = c->column ? NM_SECOND : NM_GOLDEN;
    y->t = c->p1;
    y->number = (const uint32_t *)c->p2;
    y->right = weight == ENDED ? 0 : q->right;
    y->s = (weight == ENDED ? 1u : s) << nm_ahead(y->right);
    y->less = -2 * HALF_UNIT;
    y->half = 1;
    y->scale = far ? 1 << (q->left - 7) : (int32_t)(1u << q->left << (limited ? 1 : BELOW));
    if (no_weight) {
        y->add = y->s;
        y->s = 0;
    } else if (formed) {
        y->form = nm_form_alike(c, q, f, a, 0);
        if (c->p->flip) y->form.times = -y->form.times;
        y->scale *= (int32_t)s;
    } else {
        y->add = (uint32_t)(int32_t)f->add * y->s;
    }
    if (c->p->flip) {           /* of magnitudes */
        y->s = 0u - y->s;
        y->scale = -y->scale;
    }
    if (formed && !limited) {
        const uint32_t lying = nm_form_bytes(c, q, f, a) != 0;
        how->reads = lying ? FORMED_TRACE : FORMED;
        how->loop = formed_loop[lying][kind][how->own];
    } else if (listed && !halves) {
        how->reads = PREPARED;
        how->loop = listed_loop[kind];
    } else {
        straight(c, q, how, kind, listed);
    }
    return how;
}
#endif
