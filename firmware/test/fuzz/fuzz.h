/* What the fuzz targets share. The checksum is compiled out (here) and so are the hashes (NM_VERIFY_NO_HASH): a mutant
 * would nearly always end there. Violated expectations trap, as the sanitizers' findings do. */
#ifndef NM_FUZZ_H
#define NM_FUZZ_H
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPECT(x) do { if (!(x)) __builtin_trap(); } while (0)

/* Executions, and those that came to what is worth testing: past the checksums, into the contents. */
static unsigned long long executions, reached;

static void fuzz_report(void)
{
    fprintf(stderr, "executions: %llu, of them in depth: %llu\n", executions, reached);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    atexit(fuzz_report);
    return 0;
}

uint32_t nm_crc32c(uint32_t crc, const uint8_t *data, size_t len)
{
    (void)crc, (void)data, (void)len;
    return 0;
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
