/* Projections: spikes -> ring of raw sums -> input of the target, docs/semantics.md 3.
 * A ring cell holds the plain sum of magnitudes; sign and exponent act when it is delivered, which equals the shift of
 * each group because a cell is fed by one group only, or because left shifts distribute over wrapped sums. Where
 * neither holds (per-synapse delays with a right shift), groups are summed apart and shifted on the way in. */
#include "nm_internal.h"

/* Sources taken at once by a dense projection: a core with eight handy registers does best with two. */
#if defined(__ARM_ARCH_6M__)
#define FOUR 0
#else
#define FOUR 1
#endif

/* One set of kernels per element type. `scale` is the payload of a graded spike. */
#define KERNELS(T, name)                                                                                               \
    static void dense_##name(int32_t *restrict acc, const T *restrict w, uint32_t n) {                                 \
        NM_UNROLL8 for (uint32_t j = 0; j < n; j++) acc[j] = nm_add(acc[j], w[j]);                                     \
    }                                                                                                                  \
    static void dense2_##name(int32_t *restrict acc, const T *restrict w0, const T *restrict w1, uint32_t n) {         \
        NM_UNROLL4 for (uint32_t j = 0; j < n; j++) acc[j] = nm_add(acc[j], w0[j] + w1[j]);                            \
    }                                                                                                                  \
    static void dense4_##name(int32_t *restrict acc, const T *restrict w0, const T *restrict w1,                       \
                              const T *restrict w2, const T *restrict w3, uint32_t n) {                                \
        for (uint32_t j = 0; j < n; j++) acc[j] = nm_add(acc[j], w0[j] + w1[j] + w2[j] + w3[j]);                       \
    }                                                                                                                  \
    static void dense_scaled_##name(int32_t *restrict acc, const T *restrict w, uint32_t n, uint32_t scale) {          \
        for (uint32_t j = 0; j < n; j++) acc[j] = (int32_t)((uint32_t)acc[j] + (uint32_t)w[j] * scale);                \
    }                                                                                                                  \
    static void sparse_##name(int32_t *restrict acc, const T *restrict w, const uint32_t *restrict target,             \
                              uint32_t n) {                                                                            \
        NM_UNROLL4 for (uint32_t k = 0; k < n; k++) acc[target[k]] = nm_add(acc[target[k]], w[k]);                     \
    }                                                                                                                  \
    static void sparse_scaled_##name(int32_t *restrict acc, const T *restrict w, const uint32_t *restrict target,      \
                                     uint32_t n, uint32_t scale) {                                                     \
        for (uint32_t k = 0; k < n; k++) {                                                                             \
            int32_t *cell = acc + target[k];                                                                           \
            *cell = (int32_t)((uint32_t)*cell + (uint32_t)w[k] * scale);                                               \
        }                                                                                                              \
    }                                                                                                                  \
    NM_INLINE void delayed_##name(int32_t *ring, const T *restrict w, const uint8_t *restrict delay,                   \
                               const uint32_t *restrict target, uint32_t slots, uint32_t n_post, uint32_t slot,        \
                               uint32_t n, uint32_t scale) {                                                           \
        const uint32_t fits = slots - slot, here = slot * n_post, wrapped = here - slots * n_post;                     \
        for (uint32_t k = 0; k < n; k++) {                                                                             \
            const uint32_t d = delay[k];                                                                               \
            int32_t *cell = ring + (uint32_t)((d < fits ? here : wrapped) + d * n_post + (target ? target[k] : k));    \
            *cell = (int32_t)((uint32_t)*cell + (uint32_t)w[k] * scale);                                               \
        }                                                                                                              \
    }                                                                                                                  \
    static void dense_all_##name(const nm_proj *p, const nm_pop *pre, int32_t *acc) {                                  \
        const T *w = (const T *)(const void *)p->w;                                                                    \
        const uint32_t n = p->n_post, *index = pre->index;                                                             \
        uint32_t k = 0;                                                                                                \
        if (p->graded && pre->payload) {                                                                               \
            for (; k < pre->count; k++) dense_scaled_##name(acc, w + index[k] * n, n, (uint32_t)pre->payload[k]);      \
            return;                                                                                                    \
        }                                                                                                              \
        for (; FOUR && k + 4 <= pre->count; k += 4)                                                                    \
            dense4_##name(acc, w + index[k] * n, w + index[k + 1] * n, w + index[k + 2] * n, w + index[k + 3] * n, n); \
        for (; k + 2 <= pre->count; k += 2) dense2_##name(acc, w + index[k] * n, w + index[k + 1] * n, n);             \
        for (; k < pre->count; k++) dense_##name(acc, w + index[k] * n, n);                                            \
    }                                                                                                                  \
    static void sparse_all_##name(const nm_proj *p, const nm_pop *pre, int32_t *acc) {                                 \
        const int scaled = p->graded && pre->payload;                                                                  \
        for (uint32_t k = 0; k < pre->count; k++) {                                                                    \
            const uint32_t *row = p->rows + 3u * pre->index[k];                                                        \
            const T *w = (const T *)(const void *)p->w + row[0];                                                       \
            if (scaled) sparse_scaled_##name(acc, w, p->targets + row[0], row[2], (uint32_t)pre->payload[k]);          \
            else sparse_##name(acc, w, p->targets + row[0], row[2]);                                                   \
        }                                                                                                              \
    }                                                                                                                  \
    static void delayed_all_##name(const nm_proj *p, const nm_pop *pre, int32_t *ring, uint32_t slot) {                \
        for (uint32_t k = 0; k < pre->count; k++) {                                                                    \
            const uint32_t scale = p->graded && pre->payload ? (uint32_t)pre->payload[k] : 1u;                         \
            uint32_t start = pre->index[k] * p->n_post, n = p->n_post;                                                 \
            const uint32_t *target = 0;                                                                                \
            if (p->layout) {                                                                                           \
                const uint32_t *row = p->rows + 3u * pre->index[k];                                                    \
                start = row[0];                                                                                        \
                n = row[2];                                                                                            \
                target = p->targets + start;                                                                           \
            }                                                                                                          \
            const T *w = (const T *)(const void *)p->w + start;                                                        \
            if (target) delayed_##name(ring, w, p->delays + start, target, p->slots, p->n_post, slot, n, scale);       \
            else delayed_##name(ring, w, p->delays + start, 0, p->slots, p->n_post, slot, n, scale);                   \
        }                                                                                                              \
    }

KERNELS(int8_t, i8)
KERNELS(uint8_t, u8)
KERNELS(int16_t, i16)

static void deliver(int32_t *restrict a, int32_t *restrict cell, uint32_t n, uint32_t flip, uint32_t left,
                    uint32_t right) {
    for (uint32_t j = 0; j < n; j++) {
        a[j] = (int32_t)((uint32_t)a[j] + (uint32_t)nm_shift(cell[j], flip, left, right));
        cell[j] = 0;
    }
}

void nm_deliver(nm_engine *e, nm_proj *p) {
    if (++p->slot == p->slots) p->slot = 0;
    if (!p->dirty[p->slot]) return;
    p->dirty[p->slot] = 0;
    int32_t *cell = p->ring + (uint32_t)p->slot * p->n_post, *a = e->pop[p->post].a;
    if (p->staged) deliver(a, cell, p->n_post, 0, 0, 0);
    else deliver(a, cell, p->n_post, p->flip, p->left, p->right);
}

/* Each synapse has a delay: groups land in all slots. */
static void take_in_delayed(nm_engine *e, nm_proj *p, const nm_pop *pre) {
    const uint32_t slot = p->slot + 1u;     /* the number of slots is the first one again */
    int32_t *ring = p->staged ? e->stage : p->ring;
    if (p->short_term) nm_release(e, p, pre, ring, slot);
    else if (p->element == ELEM_I8) delayed_all_i8(p, pre, ring, slot);
    else if (p->element == ELEM_U8) delayed_all_u8(p, pre, ring, slot);
    else delayed_all_i16(p, pre, ring, slot);
    for (uint32_t s = 0; s < p->slots; s++) p->dirty[s] = 1;
    if (p->staged) deliver(p->ring, ring, (uint32_t)p->slots * p->n_post, p->flip, p->left, p->right);
}

static void count_events(nm_engine *e, const nm_proj *p, const nm_pop *pre) {
    for (uint32_t k = 0; k < pre->count; k++)
        e->work.synaptic_events += p->layout ? p->rows[3u * pre->index[k] + 2u] : p->n_post;
}

void nm_take_in(nm_engine *e, nm_proj *p) {
    const nm_pop *pre = e->pop + p->pre;
    if (pre->count == 0) return;
    count_events(e, p, pre);
    if (p->delay_kind) {
        take_in_delayed(e, p, pre);
        return;
    }
    /* one delay d for all, d + 1 slots: step t + 1 + d falls into the slot of t, which was just delivered */
    int32_t *acc = p->ring + (uint32_t)p->slot * p->n_post;
    p->dirty[p->slot] = 1;
    if (p->short_term) {
        nm_release(e, p, pre, acc, 0);
        return;
    }
    switch (p->element + 3u * p->layout) {
    case 0: dense_all_i8(p, pre, acc); break;
    case 1: dense_all_u8(p, pre, acc); break;
    case 2: dense_all_i16(p, pre, acc); break;
    case 3: sparse_all_i8(p, pre, acc); break;
    case 4: sparse_all_u8(p, pre, acc); break;
    default: sparse_all_i16(p, pre, acc); break;
    }
}
