/* What the fuzz targets share. Checksum and hash are compiled out (here, and NM_VERIFY_NO_HASH): a mutant would nearly
 * always end there. Violated expectations trap, as the sanitizers' findings do. */
#ifndef NM_FUZZ_H
#define NM_FUZZ_H
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nm.h"

#define EXPECT(x) do { if (!(x)) __builtin_trap(); } while (0)

/* Executions, those that came to what is worth testing (past the checksums, into the contents), and bytes on the line. */
static unsigned long long executions, reached, line_bytes;

static void fuzz_report(void)
{
    fprintf(stderr, "executions: %llu, of them in depth: %llu, bytes: %llu\n", executions, reached, line_bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    atexit(fuzz_report);
    return 0;
}

/* FNV-1a: where a target has the firmware check what it wrote itself, any sum does. */
#define FUZZ_SUM 0xCBF29CE484222325u
static bool fuzz_checksums;

static inline uint64_t fuzz_sum(uint64_t sum, const uint8_t *data, size_t len)
{
    for (size_t k = 0; k < len; k++) sum = (sum ^ data[k]) * 0x100000001B3u;
    return sum;
}

uint32_t nm_crc32c(uint32_t crc, const uint8_t *data, size_t len)
{
    (void)crc;
    return fuzz_checksums ? (uint32_t)(fuzz_sum(FUZZ_SUM, data, len) >> 20) : 0;
}

void nm_blake2s_init(nm_blake2s *s) { s->h[0] = s->h[1] = 0; }

void nm_blake2s_update(nm_blake2s *s, const uint8_t *data, size_t len)
{
    if (!fuzz_checksums) return;
    const uint64_t sum = fuzz_sum(s->h[0] | (uint64_t)s->h[1] << 32 | 1u, data, len);
    s->h[0] = (uint32_t)sum;
    s->h[1] = (uint32_t)(sum >> 32);
}

void nm_blake2s_final(nm_blake2s *s, uint8_t out[32])
{
    memset(out, 0, 32);
    memcpy(out, s->h, 8);
}

/* Bytes of the input, taken from its front; zeros when it is used up. */
typedef struct { const uint8_t *at; size_t left; } fuzz_input;

static inline uint32_t fuzz_take(fuzz_input *in, uint32_t bytes)
{
    uint32_t value = 0;
    for (uint32_t k = 0; k < bytes && in->left; k++, in->left--) value |= (uint32_t)*in->at++ << 8 * k;
    return value;
}

static inline const uint8_t *fuzz_bytes(fuzz_input *in, uint32_t *count)
{
    const uint8_t *at = in->at;
    if (*count > in->left) *count = (uint32_t)in->left;
    in->at += *count;
    in->left -= *count;
    return at;
}
#endif
