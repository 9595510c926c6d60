/* Consistent Overhead Byte Stuffing (Cheshire & Baker 1999): no zero byte inside a frame. */
#ifndef NM_COBS_H
#define NM_COBS_H
#include <stdint.h>

#define NM_COBS_MAX(n) ((n) + (n) / 254u + 1u)    /* encoded length of n bytes, at most */

/* Writes at most NM_COBS_MAX(len) bytes, delimiters not included; `out` must not overlap `in`. */
uint32_t nm_cobs_encode(const uint8_t *in, uint32_t len, uint8_t *out);

/* Returns the decoded length, always < len, or -1 if the bytes are no encoding. `out == in` is allowed. */
int32_t nm_cobs_decode(const uint8_t *in, uint32_t len, uint8_t *out);

#endif
