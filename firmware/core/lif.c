/* The LIF family, docs/semantics.md 2. Two passes over small blocks, free of branches so that a compiler can
 * vectorise them; spikes are looked for only in blocks where a sign bit says that there is one. */
#include "nm_internal.h"

#define BLOCK 32u

NM_INLINE int32_t current(int32_t u, int32_t a, int32_t keep) {
    const int32_t c = (int32_t)((uint32_t)nm_tz(u, keep) + ((uint32_t)a << 6));
    const int32_t w = c > NM_U ? c - 2 * NM_U : c;     /* one wrap only, as the reference implementation does */
    return w <= -NM_U ? w + 2 * NM_U : w;
}

static void currents(int32_t *restrict u, int32_t *restrict a, const int32_t *restrict du, int32_t scalar, uint32_t n) {
    if (du) {
        for (uint32_t i = 0; i < n; i++) {
            u[i] = current(u[i], a[i], 4095 - du[i]);
            a[i] = 0;
        }
    } else {
        const int32_t keep = 4095 - scalar;
        for (uint32_t i = 0; i < n; i++) {
            u[i] = current(u[i], a[i], keep);
            a[i] = 0;
        }
    }
}

enum { ARRAYS = 1, THRESHOLDS = 2, THETA = 4, REFRACTORY = 8, LOW = 16 };

typedef struct {
    const int32_t *dv, *bias;       /* of the block: with ARRAYS */
    const int32_t *high, *low;      /* with THRESHOLDS; with LOW */
    const int32_t *theta;           /* with THETA */
    int32_t dv0, bias0, high0;
    uint32_t frac;
} nm_block;

/* New voltages of a block; gap[k] < 0 marks a spike. Returns the or of all gaps. */
NM_INLINE int32_t voltages(int32_t *restrict v, const int32_t *restrict u, uint16_t *restrict refr,
                           int32_t *restrict gap, uint32_t n, const nm_block *b, uint32_t mode) {
    const int32_t *restrict dv = b->dv, *restrict bias = b->bias, *restrict high = b->high, *restrict low = b->low;
    const int32_t *restrict theta = b->theta;
    const int32_t keep0 = 4096 - b->dv0, bias0 = b->bias0, high0 = b->high0;
    const uint32_t frac = b->frac;
    int32_t any = 0;
    for (uint32_t k = 0; k < n; k++) {
        const int32_t keep = mode & ARRAYS ? 4096 - dv[k] : keep0;
        /* |u| may pass 2^25 after a single wrap: the clip of v hides the difference, and the sum stays in 32 bits */
        const int32_t drive = nm_clip(u[k], -4 * NM_U, 4 * NM_U - 1) + (mode & ARRAYS ? bias[k] : bias0);
        int32_t x = nm_clip(nm_tz(v[k], keep) + drive, -NM_U, NM_U - 1);
        x += x == -NM_U;                /* so written, the limit is one saturating instruction where there is one */
        int32_t g = (mode & THRESHOLDS ? high[k] : mode & THETA ? high0 + (theta[k] >> frac) : high0) - x;
        if (mode & LOW) g |= x - low[k];
        if (mode & REFRACTORY) {
            const int32_t left = refr[k], rest = (0 - left) >> 31;   /* -1 while refractory */
            x = (v[k] & rest) | (x & ~rest);
            g &= ~rest;
            refr[k] = (uint16_t)(left + rest);
        }
        v[k] = x;
        gap[k] = g;
        any |= g;
    }
    return any;
}

/* Is any neuron of a block refractory? Mostly none is, and the plain loop will do. */
static int any_refractory(const uint16_t *refr, uint32_t n) {
    uint32_t any = 0;
    NM_UNROLL8 for (uint32_t k = 0; k < n; k++) any |= refr[k];
    return any != 0;
}

static int32_t run_block(nm_pop *p, uint32_t i, uint32_t n, int32_t *gap, const nm_block *b, uint32_t mode) {
    int32_t *v = p->v + i;
    const int32_t *u = p->u + i;
    uint16_t *r = p->refr ? p->refr + i : 0;
    if ((mode & REFRACTORY) && !any_refractory(r, n)) mode &= ~(uint32_t)REFRACTORY;
#define RUN(m) case (m): return voltages(v, u, r, gap, n, b, (m))
    switch (mode) {     /* constants, so that each loop is compiled for its own mode */
    RUN(0);
    RUN(ARRAYS);
    RUN(THRESHOLDS);
    RUN(ARRAYS | THRESHOLDS);
    RUN(THETA);
    RUN(ARRAYS | THETA);
    RUN(REFRACTORY);
    RUN(REFRACTORY | ARRAYS);
    RUN(REFRACTORY | THRESHOLDS);
    RUN(REFRACTORY | ARRAYS | THRESHOLDS);
    RUN(REFRACTORY | THETA);
    RUN(REFRACTORY | ARRAYS | THETA);
    default: return voltages(v, u, r, gap, n, b, ARRAYS | THRESHOLDS | LOW);
    }
#undef RUN
}

static int32_t value(const nm_pop *p, uint32_t which, uint32_t i) {
    return p->array[which] ? p->array[which][i] : p->value[which];
}

/* What a spike does to its neuron, for spikes number `from` on of this step. */
static void spikes(nm_pop *p, uint32_t from, uint32_t mode) {
    for (uint32_t k = from; k < p->count; k++) {
        const uint32_t i = p->index[k];
        if (p->payload) p->payload[k] = p->v[i] > 0 ? 1 : -1;
        p->v[i] = 0;
        if (mode & REFRACTORY) p->refr[i] = (uint16_t)value(p, PAR_REFR, i);
        if (p->theta && p->adapt) {
            const int32_t inc = value(p, PAR_THETA_INC, i), most = NM_THETA_MAX - inc;
            p->theta[i] = p->theta[i] < most ? p->theta[i] + inc : NM_THETA_MAX;
        }
    }
}

/* Per-element values of a parameter: the image's array, or a block of the scalar. */
static const int32_t *spread(const nm_pop *p, uint32_t which, uint32_t i, int32_t *fill) {
    return p->array[which] ? p->array[which] + i : fill;
}

static void fill(int32_t *out, int32_t x) {
    for (uint32_t k = 0; k < BLOCK; k++) out[k] = x;
}

static void thresholds(const nm_pop *p, uint32_t i, uint32_t n, int32_t *high) {
    const int32_t *vth = p->array[PAR_VTH] ? p->array[PAR_VTH] + i : 0;
    const int32_t vth0 = p->value[PAR_VTH];
    for (uint32_t k = 0; k < n; k++) high[k] = (vth ? vth[k] : vth0) * 64;
    if (!p->theta) return;
    const int32_t *theta = p->theta + i;
    for (uint32_t k = 0; k < n; k++) high[k] += theta[k] >> p->theta_frac;
}

static void decay_theta(nm_pop *p) {
    const int32_t keep = 4096 - p->theta_decay, drift = p->theta_drift, least = p->theta_min;
    int32_t *theta = p->theta;
    if (drift == 0) {       /* what decays toward 0 stays above its least value */
        for (uint32_t i = 0; i < p->n; i++) theta[i] = nm_tz(theta[i], keep);
        return;
    }
    for (uint32_t i = 0; i < p->n; i++) {
        const int32_t x = nm_tz(theta[i], keep) - drift;
        theta[i] = x < least ? least : x;
    }
}

void nm_update(nm_pop *p, uint32_t t) {
    const uint32_t n = p->n;
    if (p->reset_left && --p->reset_left == 0) {
        p->reset_left = p->reset_interval;
        for (uint32_t i = 0; i < n; i++) p->u[i] = p->v[i] = 0;
        if (p->refr)
            for (uint32_t i = 0; i < n; i++) p->refr[i] = 0;
    }
    if (p->theta && p->adapt && (t & ((1u << p->theta_period) - 1u)) == 0) decay_theta(p);
    currents(p->u, p->a, p->array[PAR_DU], p->value[PAR_DU], n);

    int32_t gap[BLOCK], high[BLOCK], low[BLOCK], dv[BLOCK], bias[BLOCK];
    uint32_t mode = p->refr ? REFRACTORY : 0;
    if (p->array[PAR_DV] || p->array[PAR_BIAS]) mode |= ARRAYS;
    if (p->array[PAR_VTH]) mode |= THRESHOLDS;
    else if (p->theta) mode |= THETA;
    if (p->kind == POP_TERNARY) mode = ARRAYS | THRESHOLDS | LOW;
    nm_block b = {dv, bias, high, low, 0, p->value[PAR_DV], p->value[PAR_BIAS], p->value[PAR_VTH] * 64, p->theta_frac};
    if (mode & ARRAYS) {
        fill(dv, b.dv0);
        fill(bias, b.bias0);
    }
    p->count = 0;
    for (uint32_t i = 0, m; i < n; i += m) {
        m = nm_min(BLOCK, n - i);
        if (mode & ARRAYS) {
            b.dv = spread(p, PAR_DV, i, dv);
            b.bias = spread(p, PAR_BIAS, i, bias);
        }
        if (mode & THRESHOLDS) thresholds(p, i, m, high);
        if (mode & THETA) b.theta = p->theta + i;
        if (mode & LOW)
            for (uint32_t k = 0; k < m; k++) low[k] = value(p, PAR_VTH_LO, i + k) * 64;
        if (run_block(p, i, m, gap, &b, mode) >= 0) continue;
        uint32_t count = p->count;
        for (uint32_t k = 0; k < m; k++) {      /* without a branch that nobody can predict */
            p->index[count] = i + k;
            count += (uint32_t)gap[k] >> 31;
        }
        const uint32_t from = p->count;
        p->count = count;
        spikes(p, from, mode);
    }
}
