#include "cobs.h"

uint32_t nm_cobs_encode(const uint8_t *in, uint32_t len, uint8_t *out)
{
    uint32_t code_at = 0, n = 1;
    uint8_t code = 1;
    for (uint32_t i = 0; i < len; i++) {
        if (in[i]) {
            out[n++] = in[i];
            code++;
            /* A full group stands for no zero, so a new one opens, unless the data ends here. */
            if (code != 0xFF || i + 1 == len)
                continue;
        }
        out[code_at] = code;
        code_at = n++;
        code = 1;
    }
    out[code_at] = code;
    return n;
}

int32_t nm_cobs_decode(const uint8_t *in, uint32_t len, uint8_t *out)
{
    uint32_t i = 0, n = 0;
    while (i < len) {
        uint32_t code = in[i++];
        if (code == 0 || code - 1 > len - i)
            return -1;
        /* Output trails input by at least one byte, so decoding in place never overtakes itself. */
        for (uint32_t end = i + code - 1; i < end; i++) {
            if (in[i] == 0)
                return -1;
            out[n++] = in[i];
        }
        if (code != 0xFF && i < len)
            out[n++] = 0;
    }
    return len ? (int32_t)n : -1;
}
