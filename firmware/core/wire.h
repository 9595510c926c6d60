/* Little-endian fields of frames and messages. No casts of bytes to structs: any alignment, any host. */
#ifndef NM_WIRE_H
#define NM_WIRE_H
#include <stdint.h>

static inline uint16_t nm_wire_get16(const uint8_t *p) { return (uint16_t)(p[0] | (uint32_t)p[1] << 8); }

static inline uint32_t nm_wire_get32(const uint8_t *p)
{
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline void nm_wire_put16(uint8_t *p, uint32_t x)
{
    p[0] = (uint8_t)x;
    p[1] = (uint8_t)(x >> 8);
}

static inline void nm_wire_put32(uint8_t *p, uint32_t x)
{
    nm_wire_put16(p, x);
    nm_wire_put16(p + 2, x >> 16);
}

#endif
