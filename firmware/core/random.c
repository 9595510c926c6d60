/* Random numbers: the counter-based hash, and PCG64 (128-bit LCG, XSL-RR output) in 32-bit limbs.
 * docs/semantics.md 4.1. No division and no variable 64-bit shift, which a Cortex-M0 lacks. */
#include "nm_internal.h"
#include <string.h>

static const uint32_t MULTIPLIER[4] = {0x9FCCF645u, 0x4385DF64u, 0x1FC65DA4u, 0x2360ED05u};

uint32_t nm_mix(uint32_t x) { return nm_mix_inline(x); }

uint32_t nm_key(uint32_t seed, uint32_t stream, uint32_t step) {
    return nm_mix(nm_mix(seed ^ (stream * NM_GOLDEN)) + step);
}

/* a = a * b + c mod 2^128; c may be a. */
static void multiply_add(uint32_t a[4], const uint32_t b[4], const uint32_t c[4]) {
    uint32_t r[4] = {c[0], c[1], c[2], c[3]};
    for (uint32_t i = 0; i < 4; i++) {
        uint32_t carry = 0;
        for (uint32_t j = 0; i + j < 4; j++) {
            const uint64_t x = (uint64_t)a[j] * b[i] + r[i + j] + carry;
            r[i + j] = (uint32_t)x;
            carry = (uint32_t)(x >> 32);
        }
    }
    memcpy(a, r, sizeof r);
}

static void limbs(uint32_t out[4], const uint8_t *p) {
    for (uint32_t i = 0; i < 4; i++) out[i] = nm_u32(p + 4 * i);
}

void nm_stream_start(nm_stream *s, const uint8_t *image) {
    limbs(s->s, image);
    s->pos = 0;
    s->out[0] = s->out[1] = 0;
}

/* As if `outputs` numbers had been drawn: powers of the LCG by squaring. */
void nm_stream_jump(nm_stream *s, const uint8_t *image, uint64_t outputs) {
    static const uint32_t zero[4] = {0, 0, 0, 0};
    uint32_t mult[4], plus[4], sum_mult[4] = {1, 0, 0, 0}, sum_plus[4] = {0, 0, 0, 0};
    nm_stream_start(s, image);
    memcpy(mult, MULTIPLIER, sizeof mult);
    limbs(plus, image + 16);
    s->pos = outputs;
    for (; outputs != 0; outputs >>= 1) {
        if (outputs & 1u) {
            multiply_add(sum_mult, mult, zero);
            multiply_add(sum_plus, mult, plus);
        }
        uint32_t next[4];
        memcpy(next, plus, sizeof next);
        multiply_add(next, mult, plus);      /* plus * mult + plus */
        memcpy(plus, next, sizeof plus);
        memcpy(next, mult, sizeof next);
        multiply_add(mult, next, zero);
    }
    multiply_add(s->s, sum_mult, sum_plus);
}

void nm_stream_at(nm_stream *s, const uint8_t *image, uint64_t n) {
    uint32_t inc[4];
    if (s->pos > n) return;
    limbs(inc, image + 16);
    do {
        multiply_add(s->s, MULTIPLIER, inc);
    } while (s->pos++ < n);
    uint32_t lo = s->s[0] ^ s->s[2], hi = s->s[1] ^ s->s[3];
    const uint32_t turn = s->s[3] >> 26;
    if (turn & 32u) {
        const uint32_t swap = lo;
        lo = hi;
        hi = swap;
    }
    const uint32_t k = turn & 31u;
    s->out[0] = k ? (lo >> k) | (hi << (32u - k)) : lo;
    s->out[1] = k ? (hi >> k) | (lo << (32u - k)) : hi;
}
