/* Decoded structures of the engine; private to firmware/core. docs/image.md names the fields. */
#ifndef NM_INTERNAL_H
#define NM_INTERNAL_H
#include "nm.h"

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "images are read in place: the engine needs a little-endian machine"
#endif

/* 128 KB of program memory: rules are interpreted, without loops of their own, and only profile loihi2 is held. */
#if defined(__AVR__)
#define NM_SMALL 1
#define NM_PROFILE_LAST 0u
#else
#define NM_PROFILE_LAST 1u
#endif

#if defined(__GNUC__) && (defined(__clang__) || __GNUC__ >= 8)
#define NM_INLINE static inline __attribute__((always_inline))
#define NM_NOINLINE __attribute__((noinline))
#define NM_UNROLL2 _Pragma("GCC unroll 2")
#define NM_UNROLL4 _Pragma("GCC unroll 4")
#define NM_UNROLL8 _Pragma("GCC unroll 8")
#else
#define NM_INLINE static inline
#define NM_NOINLINE
#define NM_UNROLL2
#define NM_UNROLL4
#define NM_UNROLL8
#endif

/* Synapses that the rule interpreter takes at once: dispatch is paid once per batch. */
#ifndef NM_BATCH
#if defined(__ARM_ARCH_6M__)
#define NM_BATCH 64u            /* boards with such a core are small */
#else
#define NM_BATCH 128u
#endif
#endif

#define NM_U (INT32_C(1) << 23) /* bound of u and v */
#define NM_THETA_MAX (INT32_C(1) << 30)
#define NM_MODULATOR_MAX (INT32_C(1) << 30)
#define NM_PAYLOAD_END (INT32_C(1) << 23) /* |payload| is smaller */
#define NM_DECAY_ENTRIES 129u

enum {
    SEC_MACHINE = 1, SEC_META = 2, SEC_POPS = 3, SEC_PROJS = 4, SEC_PARAMS = 5, SEC_ROWS = 6, SEC_TARGETS = 7,
    SEC_WEIGHTS = 8, SEC_DELAYS = 9, SEC_RULES = 10, SEC_PRODUCTS = 11, SEC_FACTORS = 12, SEC_TRACES = 13,
    SEC_DECAYS = 14, SEC_STREAMS = 15, SEC_SCHEDULE = 16, SEC_PROBES = 17, SEC_INITIAL = 18, SEC_MODULATORS = 19,
    SEC_SOURCES = 20, SEC_SHORT_TERM = 21, SEC_USES = 22, SEC_COUNT = 23
};

enum { POP_INPUT = 0, POP_LIF = 1, POP_TERNARY = 2 };
enum { PAR_DU, PAR_DV, PAR_VTH, PAR_BIAS, PAR_REFR, PAR_VTH_LO, PAR_THETA_INC, PAR_COUNT };
enum {
    OPT_ADAPT = 1, OPT_REFR = 2, OPT_RESET = 4, OPT_INIT_U = 8, OPT_INIT_V = 16, OPT_INIT_THETA = 32, OPT_GRADED = 64
};
enum { SIGN_MIXED = 0, SIGN_EXC = 1, SIGN_INH = 2 };
enum { ELEM_I8 = 0, ELEM_U8 = 1, ELEM_I16 = 2 };
enum { DEP_X0 = 0, DEP_Y0 = 1, DEP_U = 2 };
enum { SUM_W = 0, SUM_D = 1, SUM_T = 2 };
enum { VAR_X0, VAR_Y0, VAR_X1, VAR_X2, VAR_Y1, VAR_Y2, VAR_Y3, VAR_W, VAR_D, VAR_T, VAR_ONE,
       VAR_M1, VAR_M4 = VAR_M1 + 3, VAR_Q, VAR_COUNT };
/* Of a factor: its function, and whether its second variable is subtracted. */
enum { FN_NONE, FN_SGN, FN_POS, FN_ON, FN_MASK = 3, FN_MINUS = 4 };
enum { TR_X1, TR_X2, TR_Y1, TR_Y2, TR_Y3, TR_COUNT };
enum { STREAM_XD, STREAM_XI, STREAM_YD, STREAM_YI, STREAM_C, STREAM_COUNT };
enum { FLAG_TAG1 = 1, FLAG_TAG2 = 2 };
enum { GRADED_NONE, GRADED_OVERWRITE, GRADED_SATURATE, GRADED_WRAP };
/* Codes of hashed streams: decay = trace, impulse = 5 + trace, then the three sums. */
enum { HASH_DECAY = 0, HASH_IMPULSE = 5, HASH_SUM = 10 };
/* Codes of state items. */
enum {
    ITEM_U = 1, ITEM_V = 2, ITEM_REFR = 3, ITEM_THETA = 4, ITEM_ADAPT = 5, ITEM_RING = 16, ITEM_W = 17, ITEM_TAG1 = 18,
    ITEM_TAG2 = 19, ITEM_TRACE = 20, ITEM_TX = 25, ITEM_TY = 26, ITEM_PLASTIC = 27, ITEM_STP_U = 28,
    ITEM_STP_X = 29, ITEM_SINCE = 30, ITEM_CODES = 31, ITEM_M = 32
};
enum { KIND_POP, KIND_PROJ, KIND_MODULATOR, KIND_COUNT };   /* of objects: of probes and state items */
enum { RULE_MODULATORS = 4 };

typedef struct { uint32_t off, count, stride; } nm_section;
typedef struct {
    const uint8_t *base;
    uint32_t wide;                      /* numeric profile: 0 loihi2, 1 wide */
    nm_section sec[SEC_COUNT];
} nm_image;

typedef struct {
    uint8_t kind, arrays, options, adapt;
    uint32_t n;
    int32_t value[PAR_COUNT];           /* scalar, or offset in the pool if its bit in `arrays` is set */
    uint32_t reset_interval, reset_offset, reset_left;
    uint16_t theta_decay;
    uint8_t theta_period, theta_frac;
    int32_t theta_drift, theta_min;     /* in records that have them, else 0 */
    uint32_t init_off[3];
    const int32_t *array[PAR_COUNT];    /* null: scalar */
    const int32_t *init[3];             /* u, v, theta; null: zeros */
    int32_t *a, *u, *v, *theta;         /* a: input of the coming update, zero outside of it */
    uint16_t *refr;
    uint32_t *index;                    /* spikes of the last step (an input: or those injected for the next one) */
    int32_t *payload;                   /* null: 1 each */
    uint32_t count;
    uint8_t fresh;                      /* input: spikes were injected since the last step */
} nm_pop;

typedef struct {
    uint8_t var, form, second, bits;    /* form: function and FN_MINUS; second: variable + 1, 0 none */
    int16_t add, lo, hi;                /* clips to lo, hi = -2^bits, 2^bits - 1 */
} nm_factor;
struct nm_rule;
struct nm_single;
typedef struct {
    uint8_t dep, k, right, left;        /* shifts: right after the product, left to 7 fractional bits */
    int8_t mant;
    uint8_t factors;
    uint16_t first;
    const struct nm_rule *known_for;    /* rule for which products.c has found the following, null: none; and sign mode */
    uint8_t known_sign;
    /* bit per factor that varies along a row, a column; their largest absolute value */
    uint8_t varies[2];
    uint32_t most[2];
    uint8_t few[2][3];                  /* the factors that vary, two or three, see find_few */
    uint8_t weight[2], formed;          /* the factor that is one, if all others are alike, see find_weight */
    uint8_t reads;                      /* bit per sum whose old values some factor reads */
    struct nm_single *single;           /* lanes.h; null where there is no room for it */
} nm_product;
typedef struct {
    uint8_t ii, fi, shift;              /* shift: wide */
    union {
        const uint8_t *table;           /* null: forgets at once */
        uint32_t loss;                  /* wide: in 2^shift */
    };
} nm_trace;
typedef struct { uint64_t pos; uint32_t s[4], out[2]; } nm_stream;   /* pos: outputs drawn so far */

typedef struct nm_rule {
    uint8_t t_epoch, graded, traces, flags;
    uint8_t te;                         /* place of the current step in its epoch, 1..t_epoch */
    uint8_t separable;                  /* stdp.c can run it, where no u-product is due */
    uint8_t deps;                       /* bit per dependency that occurs in any sum */
    uint8_t reads;                      /* bit per sum whose old values some factor reads */
    uint32_t epochs;                    /* t / t_epoch */
    uint16_t first[3], count[3], trace_ref[TR_COUNT];
    uint32_t stream_ref[STREAM_COUNT];
    nm_trace trace[TR_COUNT];
    nm_stream *stream;                  /* shared rounding only */
    uint16_t modulator[RULE_MODULATORS];    /* index + 1 */
    uint8_t sum_shift;
    uint8_t sums;                       /* some factor reads q */
    const uint8_t *modulator_decay;     /* table; shared rounding only */
} nm_rule;

typedef struct {
    nm_rule *rule;
    uint8_t on;
    uint8_t floor_tag;                  /* some tag_1 is -257, the one value that moves without any dependency */
    int16_t *tag1, *tag2;
    uint8_t *trace[TR_COUNT], *tx, *ty;
    uint32_t *rows, *cols;              /* neurons with tx > 0, ty > 0 */
    uint32_t nrows, ncols;
    int32_t *by_value;                  /* stdp.c: for the x0- and the y0-product, what it adds by value of its trace */
    uint8_t by_trace[2];                /* that trace; TR_COUNT: none, more: several */
    uint8_t whole;                      /* what they add are whole numbers */
} nm_plastic;

typedef struct {
    uint16_t *u, *x;                    /* of each synapse, as its last spike left them */
    uint32_t *last;                     /* of each source: the step of its last spike */
    const uint16_t *each;               /* U of each synapse; null: `use` */
    const uint8_t *recovery, *facilitation;     /* 16 factors each, in the image */
    uint16_t use;
    uint8_t learned;                    /* tag_2 is added to U */
} nm_short_term;

typedef struct {
    uint16_t pre, post, rule, release;  /* rule, release (short-term plasticity): index + 1 */
    uint8_t layout, sign, graded, element, delay_kind, delay, off;
    int8_t exp;
    uint32_t w_off, w_count, d_off, row0, target0;
    uint32_t n_pre, n_post;
    const uint8_t *w;                   /* image (static) or arena (plastic) */
    const uint8_t *delays;
    const uint32_t *rows, *targets;
    int32_t *ring;                      /* [slots][n_post] raw sums, see nm_shift; staged: contributions */
    uint8_t *dirty;                     /* per slot: may hold something */
    uint8_t slots, slot;                /* slot = step % slots */
    uint8_t left, right;                /* contribution = ((raw ^ flip) - flip) << left >> right */
    uint8_t staged;                     /* groups must be shifted before they meet in a cell */
    uint32_t flip;
    nm_plastic *plastic;
    nm_short_term *short_term;          /* null: release does not change */
} nm_proj;

typedef struct {
    uint8_t hold, each, period, frac;   /* each: init is an offset in the pool of initial values */
    uint16_t of, decay;                 /* of: population + 1 with a value per neuron, 0: one value for all */
    uint32_t first, sources;
    int32_t init;
    uint32_t n;
    int32_t *value;
} nm_modulator;

typedef struct {
    uint8_t kind, variable, due;
    uint16_t object;
    uint32_t every, phase, left, bound;
} nm_probe;

struct nm_engine {
    nm_image image;
    uint32_t now, seed;
    uint16_t pops, projs, rules, probes, modulators;
    uint8_t rounding;                   /* 0 shared, 1 synapse */
    uint8_t wide;                       /* numeric profile: weights, tags and traces of 16 bits */
    uint8_t kernels;                    /* specialised kernels are allowed */
    uint32_t entry, entries;            /* schedule: next one, all */
    nm_pop *pop;
    nm_proj *proj;
    nm_rule *rule;
    nm_probe *probe;
    nm_modulator *modulator;
    nm_product *product;
    nm_factor *factor;
    struct nm_single *single;           /* of each product; null where there is no room for them */
    int32_t *stage;                     /* scratch: [slots][n_post] of a staged projection */
    uint8_t *history;                   /* scratch: h[1..t_epoch-1] of each trace */
    int32_t *delta;                     /* scratch of stdp.c: max(n_pre, n_post) */
    int16_t *fold;                      /* scratch of stdp.c and learn.c: 2 or 3 rows of n_post */
    int32_t *lane;                      /* scratch of learn.c: 6 x NM_LANES, 7 with extended factors */
    int32_t *sums;                      /* scratch of learn.c: weights per target, where rules read q */
    uint32_t *pick;                     /* scratch of learn.c: 2 x NM_BATCH */
    uint32_t bound;                     /* nm_record_bound */
    nm_counters work;
};

NM_INLINE uint16_t nm_u16(const uint8_t *p) { return (uint16_t)(p[0] | ((uint32_t)p[1] << 8)); }
NM_INLINE uint32_t nm_u32(const uint8_t *p) {
    return (uint32_t)p[0] | ((uint32_t)p[1] << 8) | ((uint32_t)p[2] << 16) | ((uint32_t)p[3] << 24);
}
NM_INLINE void nm_put16(uint8_t *p, uint32_t x) { p[0] = (uint8_t)x; p[1] = (uint8_t)(x >> 8); }
NM_INLINE void nm_put32(uint8_t *p, uint32_t x) { nm_put16(p, x); nm_put16(p + 2, x >> 16); }
NM_INLINE int32_t nm_clip(int32_t x, int32_t lo, int32_t hi) { return x < lo ? lo : x > hi ? hi : x; }
/* x * k / 4096 toward zero in 32 bits, k <= 4096. With x = 4096 h + l, 0 <= l < 4096, the floor of x k / 4096 is
 * h k + (l k >> 12); a negative x takes the ceiling. */
NM_INLINE int32_t nm_tz(int32_t x, int32_t k) {
    const uint32_t h = (uint32_t)(x >> 12), l = (uint32_t)x & 4095u, up = (uint32_t)(x >> 31) >> 20, q = (uint32_t)k;
    return (int32_t)(h * q + ((l * q + up) >> 12));
}
NM_INLINE int32_t nm_add(int32_t a, int32_t b) { return (int32_t)((uint32_t)a + (uint32_t)b); }    /* with wrap */
NM_INLINE uint32_t nm_min(uint32_t a, uint32_t b) { return a < b ? a : b; }

/* Raw ring cell <-> contribution. */
NM_INLINE int32_t nm_shift(int32_t raw, uint32_t flip, uint32_t left, uint32_t right) {
    return (int32_t)((((uint32_t)raw ^ flip) - flip) << left) >> right;
}

/* image.c */
int nm_sections(nm_image *image, const uint8_t *base);     /* of a verified image */
NM_INLINE const uint8_t *nm_rec(const nm_image *m, uint32_t type, uint32_t i) {
    return m->base + m->sec[type].off + i * m->sec[type].stride;
}
void nm_decode_pop(const nm_image *m, uint32_t i, nm_pop *p);
void nm_decode_proj(const nm_image *m, uint32_t i, nm_proj *p);
void nm_decode_rule(const nm_image *m, uint32_t i, nm_rule *r);
void nm_decode_product(const nm_image *m, uint32_t i, nm_product *p);
void nm_decode_factor(const nm_image *m, uint32_t i, nm_factor *f);
void nm_decode_probe(const nm_image *m, uint32_t i, nm_probe *p);
void nm_decode_modulator(const nm_image *m, uint32_t i, nm_modulator *p);
uint32_t nm_rule_reads(const nm_image *m, const nm_rule *r);    /* bit per variable that some factor reads */
/* Are one x0- and one y0-product of the weights all that is due in some epochs? */
int nm_paired(const nm_image *m, const nm_rule *r);
enum { FEATURE_EXTENDED = 13, FEATURE_SUMS = 14 };
NM_INLINE uint32_t nm_feature(const nm_image *m, uint32_t bit) { return m->base[20 + bit / 8] >> bit % 8 & 1u; }
uint32_t nm_product_right(const nm_image *m, const nm_product *p);

/* cost.c: microseconds of the worst step, of an image that is verified up to R9. */
uint32_t nm_step_us(const nm_image *m, const nm_speed *s);
/* Fields of the header that a machine judges by its own limits. */
enum { HEADER_DEADLINE = 32, HEADER_COUNTER = 36 };
#define NM_DEADLINE_MAX UINT32_C(1000000000)

/* layout.c: the one function behind R9 and nm_init. Returns bytes, or UINT32_MAX if over 2^31. */
uint32_t nm_layout(const nm_image *m, uint8_t *arena);
uint32_t nm_udivmod(uint32_t a, uint32_t b, uint32_t *rest);

/* random.c */
uint32_t nm_mix(uint32_t x);
NM_INLINE uint32_t nm_mix_inline(uint32_t x) {     /* in loops that vectorise */
    x = (x ^ (x >> 16)) * 0x7FEB352Du;
    x = (x ^ (x >> 15)) * 0x846CA68Bu;
    return x ^ (x >> 16);
}
/* 127 - r of a key, r = mix(key) >> 25: the last round of mix changes only lower bits, and 127 - (x >> 25) is ~x >> 25,
 * which the last multiplication can give at once. `opposite`, all bits or none: r itself, for weights that are stored as
 * magnitudes of negative ones. */
typedef struct { uint32_t times, plus; } nm_hash;
NM_INLINE nm_hash nm_hash_for(uint32_t opposite) {
    const nm_hash h = {opposite ? 0x846CA68Bu : 0u - 0x846CA68Bu, opposite ? 0 : UINT32_MAX};
    return h;
}
NM_INLINE uint32_t nm_number32(uint32_t x, nm_hash h) {     /* times 2^25, and more below */
    x = (x ^ (x >> 16)) * 0x7FEB352Du;
    return (x ^ (x >> 15)) * h.times + h.plus;
}
NM_INLINE int32_t nm_number7(uint32_t x, nm_hash h) { return (int32_t)(nm_number32(x, h) >> 25); }
uint32_t nm_key(uint32_t seed, uint32_t stream, uint32_t step);
#define NM_GOLDEN 0x9E3779B1u
#define NM_SECOND 0x85EBCA6Bu
void nm_stream_start(nm_stream *s, const uint8_t *image);
void nm_stream_jump(nm_stream *s, const uint8_t *image, uint64_t outputs);
void nm_stream_at(nm_stream *s, const uint8_t *image, uint64_t n);   /* out = output number n; n never goes back */

/* lif.c */
void nm_update(nm_pop *p, uint32_t t);

/* projection.c */
void nm_deliver(nm_engine *e, nm_proj *p);
void nm_take_in(nm_engine *e, nm_proj *p);

/* short_term.c */
void nm_release(nm_engine *e, nm_proj *p, const nm_pop *pre, int32_t *ring, uint32_t slot);
uint32_t nm_since(const nm_engine *e, const nm_short_term *s, uint32_t i);     /* steps since its last spike */
void nm_short_term_reset(const nm_engine *e, const nm_proj *p);
void nm_short_term_seek(const nm_proj *p, uint32_t by);     /* the step counter moves, the silences stay */

/* traces.c */
void nm_note(nm_engine *e, uint32_t index, nm_proj *p);
void nm_histories(nm_engine *e, uint32_t index, nm_proj *p);
void nm_epoch_end(nm_plastic *l);
const uint8_t *nm_history(const nm_engine *e, const nm_proj *p, uint32_t trace, uint32_t k);
/* What shared rounding makes of value v in a step; `flip` all ones: with the complement of the number. */
uint32_t nm_decayed(const uint8_t *table, uint32_t v, const nm_stream *s, uint32_t flip);
void nm_active(nm_proj *p);             /* rebuild rows and cols from tx and ty */
uint32_t nm_round_number(nm_engine *e, const nm_rule *r);   /* c >> 46, shared rounding */

/* modulators.c */
void nm_modulator_reset(const nm_engine *e, nm_modulator *m);
void nm_modulate(nm_engine *e, nm_modulator *m);
int32_t nm_modulator_at(const nm_engine *e, const nm_proj *p, uint32_t which, uint32_t j, uint32_t when);
/* Under synapse rounding, of one with values of neurons: for the targets in `other`, else for first, first + 1, .. */
void nm_modulators_of(const nm_engine *e, const nm_proj *p, uint32_t which, const uint32_t *restrict other,
                      uint32_t first, uint32_t n, int32_t *restrict out);

/* learn.c, stdp.c */
void nm_learn(nm_engine *e, uint32_t index, nm_proj *p);
uint8_t nm_separable(const nm_engine *e, const nm_rule *r);
void nm_separable_start(const nm_engine *e, const nm_proj *p);
void nm_learn_separable(nm_engine *e, uint32_t index, nm_proj *p);
/* Of a single variable without a function. */
NM_INLINE int32_t nm_factor_value(const nm_factor *f, int32_t x) {
    return nm_clip(x + f->add, f->lo, f->hi);
}
NM_INLINE int32_t nm_product_end(int32_t p, const nm_product *q) {
    return nm_clip((int32_t)((uint32_t)(p >> q->right) << q->left), -32769, 32767);
}

/* record.c */
void nm_probes_start(nm_engine *e);     /* countdowns from the current step */
void nm_probes_step(nm_engine *e);

/* state.c */
/* Of items of 16 bits: without a sign. */
/* Of the items with 16 bits; traces have them in profile wide. */
NM_INLINE int nm_unsigned(uint32_t code) { return code == ITEM_REFR || (code >= ITEM_TRACE && code <= ITEM_SINCE); }
int nm_item_find(const nm_engine *e, uint8_t kind, uint16_t object, uint8_t code, nm_item *info);
/* The item after `item` in canonical order: 1, or 0 at the end; of one that is all zeros, the first. */
int nm_item_next(const nm_engine *e, nm_item *item);
void nm_values(const nm_engine *e, const nm_item *item, uint32_t first, uint32_t count, uint8_t *out);
#endif
