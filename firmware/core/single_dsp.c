/* The loops of single.c for cores that have instructions for two halves of a word. Numbers are drawn as they are added. */
#include "halves.h"

#if NM_DSP
enum { BYTE, SHORT, LIMITED, FAR };     /* as in single.c */
/* What is prepared is added; or is multiplied first, by one value for all, or by the weight; or is what a function has
 * beside the weight. */
enum { ADDED, SCALED, WEIGHT, FORMED };
enum { ROW, COLUMN, LISTED };

/* What is added before it is scaled, of the lower or the upper half of t: times the one for all, or a weight. */
NM_INLINE int32_t times(int32_t value, uint32_t t, uint32_t high, const nm_change *y, uint32_t what) {
    const int32_t x = (int32_t)(what == WEIGHT ? (uint32_t)value * y->s + y->add : y->add);
    return high ? __builtin_arm_smulwt(x, (int32_t)t) : __builtin_arm_smulwb(x, (int32_t)t);
}
/* A function of two weights, and more by its lower limit. */
NM_INLINE uint32_t two_formed(uint32_t w, uint32_t t, const nm_change *y) {
    const int32_t v = __builtin_arm_qadd16(__builtin_arm_sadd16((int32_t)w, (int32_t)t), (int32_t)y->above);
    return __builtin_arm_uqsub16((uint32_t)v, y->below);
}
/* It, scaled, and something more. */
NM_INLINE int32_t addend(int32_t more, int32_t value, uint32_t t, uint32_t high, const nm_change *y, uint32_t what) {
    if (what == FORMED) return (int32_t)((high ? t >> 16 : t & 0xFFFFu) * (uint32_t)y->scale + (uint32_t)more);
    if (what != ADDED) return times(value, t, high, y, what) * y->scale + more;
    return high ? __builtin_arm_smlatb((int32_t)t, y->scale, more) : __builtin_arm_smlabb((int32_t)t, y->scale, more);
}
/* A new value; start: the old one above its number. */
NM_INLINE uint32_t next(uint32_t start, int32_t value, uint32_t t, uint32_t high, const nm_change *y, uint32_t what,
                        uint32_t kind) {
    return (uint32_t)nm_clip(addend((int32_t)start, value, t, high, y, what) >> 16, kind == BYTE ? 0 : -256, 255);
}

/* With limits there are two bits below the sum's own. What is added, and 1, is kept to 18 bits: they end at 32767 and 3/4,
 * and at -32768. What is added then is four times the number, less one or two: so that 32767 and 3/4 stays, -32768 counts
 * as -32769 and something, and whatever is between them as itself. */
enum { QUARTERS = 0x1FC01FC, LESS = 0x10001, LIMIT = 1 << 17, WHOLE = 512 };
NM_INLINE int32_t limited(int32_t sum, int32_t number) {
    NM_KEEP_APART(sum);
    return nm_clip((sum + number) >> 9, -256, 255);
}
/* And the lower or the upper half of w, times WHOLE: the upper half of `whole`. */
NM_INLINE int32_t with_weight(int32_t quarters, uint32_t w, uint32_t high, int32_t whole) {
    return high ? __builtin_arm_smlatt((int32_t)w, whole, quarters) : __builtin_arm_smlabt((int32_t)w, whole, quarters);
}

/* How numbers are drawn, all in registers: constants that are hidden are not made anew. */
typedef struct { uint32_t key, step, first, times, plus, mask; } nm_drawing;
NM_INLINE uint32_t hashed(const nm_drawing *d, uint32_t x) {
    x = (x ^ x >> 16) * d->first;
    return (x ^ x >> 15) * d->times + d->plus;
}
NM_INLINE uint32_t one_number(nm_drawing *d) {
    const uint32_t key = d->key;
    d->key += d->step;
    NM_KEEP_APART(d->key);
    return hashed(d, key);
}
/* The numbers of two lanes, as they are added: see limited. */
NM_INLINE uint32_t as_added(const nm_drawing *d, uint32_t a, uint32_t b, uint32_t kind) {
    uint32_t two = two_mixed(a >> 16, b);
    NM_KEEP_APART(two);
    if (kind == LIMITED) two = (d->mask & ~(two >> 7)) - LESS;
    NM_KEEP_APART(two);
    return two;
}
NM_INLINE uint32_t two_numbers(nm_drawing *d, uint32_t kind) {
    const uint32_t a = one_number(d), b = one_number(d);
    return as_added(d, a, b, kind);
}

NM_INLINE nm_drawing drawing_of(const nm_pass *pass, uint32_t step, uint32_t kind) {
    nm_drawing d = {pass->key, step, 0x7FEB352Du, pass->hash.times, pass->hash.plus, QUARTERS};
    if (kind == LIMITED) d.times = 0x846CA68Bu, d.plus = 0;     /* magnitudes need no limits */
    NM_KEEP_APART(d.step);
    NM_KEEP_APART(d.first);
    NM_KEEP_APART(d.times);
    NM_KEEP_APART(d.mask);
    return d;
}
/* Those of all lanes, and of up to seven more, where a loop has no registers left for them. */
NM_INLINE void numbers(uint32_t *out, uint32_t lanes, const nm_pass *pass, uint32_t kind) {
    nm_drawing d = drawing_of(pass, pass->step, kind);
    const uint32_t *const end = out + (lanes + 7u) / 8u * 4u;
    do {
        NM_UNROLL2 for (uint32_t k = 0; k < 2; k++) {
            const uint32_t a = two_numbers(&d, kind), b = two_numbers(&d, kind);
            out = put_words(out, a, b);
        }
    } while (out != end);
}
static NM_NOINLINE void numbers_above(uint32_t *out, uint32_t lanes, const nm_pass *pass) {
    numbers(out, lanes, pass, SHORT);
}
static NM_NOINLINE void numbers_limited(uint32_t *out, uint32_t lanes, const nm_pass *pass) {
    numbers(out, lanes, pass, LIMITED);
}

/* Of lanes that are listed; a list is read up to a multiple of four. */
void nm_numbers_listed(uint32_t *out, const nm_lanes *a, const nm_pass *pass) {
    nm_drawing d = drawing_of(pass, pass->step, LIMITED);
    const uint32_t *other = a->other, *const end = out + (a->n + 3u) / 4u * 2u;
    do {
        uint32_t k[4], two[2];
        other = get_words(other, k, k + 1);
        two[0] = as_added(&d, hashed(&d, d.key + k[0] * d.step), hashed(&d, d.key + k[1] * d.step), LIMITED);
        other = get_words(other, k + 2, k + 3);
        two[1] = as_added(&d, hashed(&d, d.key + k[2] * d.step), hashed(&d, d.key + k[3] * d.step), LIMITED);
        out = put_words(out, two[0], two[1]);
    } while (out != end);
}

/* Four weights, each above its number. */
NM_INLINE void starts_of_bytes(uint32_t *out, uint32_t four, uint32_t na, uint32_t nb) {
    const uint32_t even = (uint32_t)__builtin_arm_uxtb16((int32_t)four);
    const uint32_t odd = (uint32_t)__builtin_arm_uxtb16((int32_t)turned(four));
    out[0] = two_of(na, even);
    out[1] = two_of(na >> 16, odd);
    out[2] = two_mixed(nb, even);
    out[3] = two_high(nb, odd);
}

NM_INLINE void change(void *stored, const nm_change *how, const nm_lanes *a, uint32_t what, uint32_t kind, uint32_t own,
                      uint32_t where) {
    nm_change y = *how;
    const uint32_t is_byte = kind == BYTE || kind == FAR, in_words = where == ROW && what != WEIGHT && !is_byte;
    uint8_t *restrict bytes = (uint8_t *)stored + (is_byte ? a->base : 0);
    int16_t *restrict shorts = (int16_t *)stored + (is_byte ? 0 : a->base);
    const uint32_t *restrict t = (const uint32_t *)y.t, *const end = t + a->n / 4 * 2;
    nm_drawing d = drawing_of(&y.pass, where == ROW ? NM_SECOND : NM_GOLDEN, kind);
    const uint32_t drawn = own && (what >= WEIGHT || where == LISTED), *restrict drawn_number = y.number;
    const uint32_t *other = a->other;
    if (t == end) return;
    uint32_t *const numbers = (uint32_t *)(uintptr_t)y.number;
    if (drawn && where != LISTED) (kind == LIMITED ? numbers_limited : numbers_above)(numbers, a->n, &how->pass);
    uint32_t stride = where == ROW ? 1 : a->stride;
    int32_t whole = WHOLE << 16;
    NM_KEEP_APART(whole);
    const int32_t same = kind == LIMITED ? (y.up >> 7) - 1 : y.up & 0xFFFF;
    const uint32_t counted = what == ADDED && kind == LIMITED && where == COLUMN;
    if (counted) y.scale += (int32_t)((a->n / 4 - 1) << 16);
    do {
        if (where == ROW && what < WEIGHT && kind == BYTE) {
            const uint32_t ta = *t++, tb = *t++, both = two_of((uint32_t)same, (uint32_t)same);
            const uint32_t na = own ? two_numbers(&d, kind) : both;
            const uint32_t nb = own ? two_numbers(&d, kind) : both;
            uint32_t w[4];
            starts_of_bytes(w, word_at(bytes), na, nb);
            NM_UNROLL4 for (uint32_t k = 0; k < 4; k++)
                w[k] = next(w[k], 0, k > 1 ? tb : ta, k & 1u, &y, what, kind);
            put_word(bytes, w[0] | w[1] << 8 | w[2] << 16 | w[3] << 24);
            bytes += 4;
            continue;
        }
        NM_UNROLL2 for (uint32_t pair = 0; pair < 2; pair++) {
            const uint32_t number = drawn ? *drawn_number++ : own ? two_numbers(&d, kind) : 0;
            if (drawn) NM_KEEP_APART(drawn_number);
            uint32_t two = *t++, w = 0, result[2], far[2] = {0, 0};
            if (where == LISTED && what != WEIGHT) other = get_words(other, far, far + 1);
            NM_KEEP_APART(t);
            NM_KEEP_APART(y.scale);     /* it stays in a register, and others with it */
            if (in_words) w = word_at(shorts);
            else if (what == FORMED) w = two_of((uint32_t)shorts[0], (uint32_t)shorts[stride]);
            if (what == FORMED) two = two_formed(w, two, &y);
            NM_UNROLL2 for (uint32_t k = 0; k < 2; k++) {
                const int32_t up = !own ? same : k ? (int32_t)number >> 16 : (int16_t)number;
                if (where == LISTED && what == WEIGHT) {    /* no register for two */
                    far[k] = *other++;
                    NM_KEEP_APART(other);
                }
                const uint32_t at = (where == LISTED ? far[k] : k) * stride;
                int32_t value = k ? (int32_t)w >> 16 : (int16_t)w;
                if (!in_words && what != FORMED) value = is_byte ? bytes[at] : shorts[at];
                if (kind == LIMITED) {
                    const int32_t quarters = nm_clip(addend(y.half, value, two, k, &y, what) * 4, -LIMIT, LIMIT - 1);
                    const int32_t sum = in_words ? with_weight(quarters, w, k, what == ADDED ? y.scale : whole)
                                                 : quarters + value * WHOLE;
                    result[k] = (uint32_t)limited(sum, up);
                } else if (kind == FAR) {
                    result[k] = (uint32_t)nm_clip(addend(value, value, two, k, &y, what), 0, 255);
                } else {
                    const uint32_t start = (uint32_t)value << 16 | ((uint32_t)up & 0xFFFFu);
                    result[k] = next(start, value, two, k, &y, what, kind);
                }
                if (is_byte) bytes[at] = (uint8_t)result[k];
                else if (!in_words) shorts[at] = (int16_t)result[k];
            }
            if (in_words) put_word(shorts, two_of(result[0], result[1]));
            if (where == LISTED) continue;
            if (where == COLUMN) NM_KEEP_APART(stride);     /* no register for twice the stride */
            bytes += 2 * stride, shorts += 2 * stride;
            if (is_byte) NM_KEEP_APART(bytes);
            if (!is_byte) NM_KEEP_APART(shorts);
        }
    } while (counted ? (y.scale -= 65536) >= 0 : t != end);
}

#define CHANGE(what, kind, own, where)                                                                                 \
    static NM_NOINLINE void change_##what##_##kind##_##own##_##where(void *stored, const nm_change *y,                 \
                                                                     const nm_lanes *a) {                              \
        change(stored, y, a, what, kind, own, where);                                                                  \
    }
#define BOTH(what, kind)                                                                                               \
    CHANGE(what, kind, 0, ROW) CHANGE(what, kind, 1, ROW) CHANGE(what, kind, 0, COLUMN) CHANGE(what, kind, 1, COLUMN)
#define OF_BOTH(what, kind)                                                                                            \
    {change_##what##_##kind##_0_ROW, change_##what##_##kind##_1_ROW},                                                  \
    {change_##what##_##kind##_0_COLUMN, change_##what##_##kind##_1_COLUMN}
BOTH(ADDED, BYTE) BOTH(ADDED, SHORT) BOTH(ADDED, LIMITED)
BOTH(SCALED, BYTE) BOTH(SCALED, SHORT) BOTH(SCALED, LIMITED)
BOTH(WEIGHT, BYTE) BOTH(WEIGHT, SHORT) BOTH(WEIGHT, LIMITED)
#define WHOLE_NUMBERS(what) CHANGE(what, FAR, 0, ROW) CHANGE(what, FAR, 0, COLUMN)
#define OF_WHOLE(what) {change_##what##_FAR_0_ROW, 0}, {change_##what##_FAR_0_COLUMN, 0}
WHOLE_NUMBERS(ADDED) WHOLE_NUMBERS(SCALED) WHOLE_NUMBERS(WEIGHT)
BOTH(FORMED, LIMITED)

CHANGE(SCALED, LIMITED, 0, LISTED) CHANGE(SCALED, LIMITED, 1, LISTED)
CHANGE(WEIGHT, LIMITED, 0, LISTED) CHANGE(WEIGHT, LIMITED, 1, LISTED)
CHANGE(SCALED, FAR, 0, LISTED) CHANGE(WEIGHT, FAR, 0, LISTED)

void nm_halves_start(nm_line *c, const nm_product *q, nm_single *how, uint32_t kind, uint32_t listed) {
    static nm_change_loop *const listed_loop[2][2][2] = {
        {{change_SCALED_LIMITED_0_LISTED, change_SCALED_LIMITED_1_LISTED}, {change_SCALED_FAR_0_LISTED, 0}},
        {{change_WEIGHT_LIMITED_0_LISTED, change_WEIGHT_LIMITED_1_LISTED}, {change_WEIGHT_FAR_0_LISTED, 0}},
    };
    static nm_change_loop *const loop[4][4][2][2] = {
        {{OF_BOTH(ADDED, BYTE)}, {OF_BOTH(ADDED, SHORT)}, {OF_BOTH(ADDED, LIMITED)}, {OF_WHOLE(ADDED)}},
        {{OF_BOTH(SCALED, BYTE)}, {OF_BOTH(SCALED, SHORT)}, {OF_BOTH(SCALED, LIMITED)}, {OF_WHOLE(SCALED)}},
        {{OF_BOTH(WEIGHT, BYTE)}, {OF_BOTH(WEIGHT, SHORT)}, {OF_BOTH(WEIGHT, LIMITED)}, {OF_WHOLE(WEIGHT)}},
        {{{0}}, {{0}}, {OF_BOTH(FORMED, LIMITED)}, {{0}}},
    };
    const uint32_t weight = q->weight[c->column], formed = kind == LIMITED && q->formed >> c->column & 1u;
    nm_change *y = &how->y;
    if (kind == LIMITED) y->scale /= 2;
    if (listed) {
        how->take = 0;
        how->loop = listed_loop[y->s != 0][kind == FAR][how->own];
        return;
    }
    if (formed) nm_beside_start(c, c->e->factor + q->first + weight, how);
    else nm_take_start(c, q, how);
    uint32_t added = weight == ENDED && y->scale <= INT16_MAX && y->scale >= INT16_MIN;
    if (kind == LIMITED && weight == ENDED && y->scale == -INT16_MIN && nm_take_inverted(how)) {
        added = 1;
        y->half += INT16_MIN;       /* ~t * -32768 is t * 32768 and 32768 more */
    }
    how->loop = loop[formed ? FORMED : y->s ? WEIGHT : added ? ADDED : SCALED][kind][c->column][how->own];
    if (kind == LIMITED && added && !c->column) y->scale |= WHOLE << 16;
}

/* The lanes after the last four, in a place of their own. */
void nm_change_rest(const nm_single *how, void *stored, const nm_lanes *a, uint32_t is_byte) {
    static const uint32_t in_order[4] = {0, 1, 2, 3};
    const uint32_t done = a->n & ~3u, rest = a->n & 3u;
    const nm_lanes four = {.n = 4, .stride = 1, .other = in_order};
    uint8_t *bytes = (uint8_t *)stored + (is_byte ? a->base : 0);
    int16_t *shorts = (int16_t *)stored + (is_byte ? 0 : a->base);
    union { uint8_t bytes[4]; int16_t shorts[4]; } few = {.shorts = {0, 0, 0, 0}};
    nm_change y = how->y;
    y.t += done / 2;
    y.number += done / 2;
    y.pass.key += done * y.pass.step;
    for (uint32_t k = 0; k < rest; k++) {
        const uint32_t at = (a->other ? a->other[done + k] : done + k) * a->stride;
        if (is_byte) few.bytes[k] = bytes[at];
        else few.shorts[k] = shorts[at];
    }
    how->loop(&few, &y, &four);
    for (uint32_t k = 0; k < rest; k++) {
        const uint32_t at = (a->other ? a->other[done + k] : done + k) * a->stride;
        if (is_byte) bytes[at] = few.bytes[k];
        else shorts[at] = few.shorts[k];
    }
}
#endif
