/* BLAKE2s-256 without a key (RFC 7693). */
#include "nm.h"
#include <string.h>

static const uint32_t IV[8] = {
    0x6A09E667u, 0xBB67AE85u, 0x3C6EF372u, 0xA54FF53Au, 0x510E527Fu, 0x9B05688Cu, 0x1F83D9ABu, 0x5BE0CD19u,
};

static const uint8_t SIGMA[10][16] = {
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}, {14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
    {11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4}, {7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8},
    {9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13}, {2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9},
    {12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11}, {13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10},
    {6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5}, {10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0},
};

static inline uint32_t rotr(uint32_t x, uint32_t k) { return (x >> k) | (x << (32u - k)); }

#define MIX(a, b, c, d, x, y)                                                                                          \
    do {                                                                                                               \
        v[a] += v[b] + (x); v[d] = rotr(v[d] ^ v[a], 16); v[c] += v[d]; v[b] = rotr(v[b] ^ v[c], 12);                  \
        v[a] += v[b] + (y); v[d] = rotr(v[d] ^ v[a], 8); v[c] += v[d]; v[b] = rotr(v[b] ^ v[c], 7);                    \
    } while (0)

static void compress(nm_blake2s *s, const uint8_t *block, uint32_t last) {
    uint32_t v[16], m[16];
    for (uint32_t i = 0; i < 16; i++) {
        const uint8_t *p = block + 4 * i;
        m[i] = (uint32_t)p[0] | ((uint32_t)p[1] << 8) | ((uint32_t)p[2] << 16) | ((uint32_t)p[3] << 24);
    }
    for (uint32_t i = 0; i < 8; i++) {
        v[i] = s->h[i];
        v[i + 8] = IV[i];
    }
    v[12] ^= s->t[0];
    v[13] ^= s->t[1];
    v[14] ^= last;
    for (uint32_t r = 0; r < 10; r++) {
        const uint8_t *g = SIGMA[r];
#if defined(__AVR__)      /* eight of them in a row take 3 KB of its 128 */
        for (uint8_t k = 0; k < 8; k++) {
            const uint8_t turn = k >> 2, a = k & 3u, b = 4u + ((k + turn) & 3u), c = 8u + ((k + 2u * turn) & 3u),
                          d = 12u + ((k + 3u * turn) & 3u);
            MIX(a, b, c, d, m[g[2u * k]], m[g[2u * k + 1u]]);
        }
#else
        MIX(0, 4, 8, 12, m[g[0]], m[g[1]]);
        MIX(1, 5, 9, 13, m[g[2]], m[g[3]]);
        MIX(2, 6, 10, 14, m[g[4]], m[g[5]]);
        MIX(3, 7, 11, 15, m[g[6]], m[g[7]]);
        MIX(0, 5, 10, 15, m[g[8]], m[g[9]]);
        MIX(1, 6, 11, 12, m[g[10]], m[g[11]]);
        MIX(2, 7, 8, 13, m[g[12]], m[g[13]]);
        MIX(3, 4, 9, 14, m[g[14]], m[g[15]]);
#endif
    }
    for (uint32_t i = 0; i < 8; i++) s->h[i] ^= v[i] ^ v[i + 8];
}

static void count(nm_blake2s *s, uint32_t bytes) {
    s->t[0] += bytes;
    if (s->t[0] < bytes) s->t[1]++;
}

void nm_blake2s_init(nm_blake2s *s) {
    memset(s, 0, sizeof *s);
    for (uint32_t i = 0; i < 8; i++) s->h[i] = IV[i];
    s->h[0] ^= 0x01010020u;   /* 32-byte digest, no key, sequential */
}

void nm_blake2s_update(nm_blake2s *s, const uint8_t *data, size_t len) {
    while (len > 0) {
        if (s->fill == 64) {  /* a full block is kept back: the last one is compressed with its flag */
            count(s, 64);
            compress(s, s->buf, 0);
            s->fill = 0;
        }
        if (s->fill == 0 && len > 64) {
            count(s, 64);
            compress(s, data, 0);
            data += 64;
            len -= 64;
            continue;
        }
        size_t take = 64u - s->fill;
        if (take > len) take = len;
        memcpy(s->buf + s->fill, data, take);
        s->fill += (uint32_t)take;
        data += take;
        len -= take;
    }
}

void nm_blake2s_final(nm_blake2s *s, uint8_t out[32]) {
    count(s, s->fill);
    memset(s->buf + s->fill, 0, 64u - s->fill);
    compress(s, s->buf, 0xFFFFFFFFu);
    for (uint32_t i = 0; i < 8; i++)
        for (uint32_t b = 0; b < 4; b++) out[4 * i + b] = (uint8_t)(s->h[i] >> (8 * b));
}
