/* A whole state as one string of bytes, the file .nms (docs/image.md 3), and back. */
#include "nm_internal.h"

#include <string.h>

#define HASH 28u            /* bytes of the content's BLAKE2s that the header holds */
enum { AT_TOTAL = 8, AT_SEMANTICS = 12, AT_STEP = 16, AT_POSITION = 24, AT_DIGEST = 32, AT_HASH = 64, AT_CRC = 92 };
static const uint8_t magic[8] = {'N', 'M', 'S', 0x1A, NM_STATE_HEADER, 0, 1, 0};

static uint32_t padded(uint32_t n) { return (n + 3u) & ~UINT32_C(3); }
static uint32_t bytes_of(const nm_item *i) { return padded(i->count * i->width); }

uint32_t nm_save_size(const nm_engine *e) {
    uint32_t n = NM_STATE_HEADER;
    nm_item item = {0};
    while (nm_item_next(e, &item)) n += bytes_of(&item);
    return n;
}

/* Bytes of one item with its padding; offset and len are multiples of 4. */
static void item_bytes(const nm_engine *e, const nm_item *item, uint32_t offset, uint32_t len, uint8_t *out) {
    const uint32_t shift = item->width / 2u, first = offset >> shift, count = nm_min(len >> shift, item->count - first);
    nm_values(e, item, first, count, out);
    memset(out + (count << shift), 0, len - (count << shift));
}

static void content(const nm_engine *e, uint32_t offset, uint32_t len, uint8_t *out) {
    nm_item item = {0};
    uint32_t start = 0;
    while (len && nm_item_next(e, &item)) {
        const uint32_t size = bytes_of(&item), end = start + size;
        if (offset < end) {
            const uint32_t n = nm_min(end - offset, len);
            item_bytes(e, &item, offset - start, n, out);
            offset += n;
            out += n;
            len -= n;
        }
        start = end;
    }
}

static void hash_content(const nm_engine *e, uint8_t out[32]) {
    nm_item item = {0};
    nm_blake2s hash;
    uint8_t piece[64];
    nm_blake2s_init(&hash);
    while (nm_item_next(e, &item))
        for (uint32_t at = 0, size = bytes_of(&item), n; at < size; at += n) {
            n = nm_min(size - at, sizeof piece);
            item_bytes(e, &item, at, n, piece);
            nm_blake2s_update(&hash, piece, n);
        }
    nm_blake2s_final(&hash, out);
}

/* Outputs drawn from xd: two a step, of a stream that only shared rounding has. */
static uint64_t position(const nm_engine *e, uint32_t step) { return e->rounding ? 0 : 2 * (uint64_t)step; }

static void header(const nm_engine *e, uint8_t out[NM_STATE_HEADER]) {
    const uint64_t drawn = position(e, e->now);
    uint8_t hash[32];
    hash_content(e, hash);
    memset(out, 0, NM_STATE_HEADER);
    memcpy(out, magic, sizeof magic);
    nm_put32(out + AT_TOTAL, nm_save_size(e));
    nm_put16(out + AT_SEMANTICS, NM_SEMANTICS);
    nm_put16(out + AT_SEMANTICS + 2, nm_items(e));
    nm_put32(out + AT_STEP, e->now);
    nm_put32(out + AT_POSITION, (uint32_t)drawn);
    nm_put32(out + AT_POSITION + 4, (uint32_t)(drawn >> 32));
    memcpy(out + AT_DIGEST, e->image.base + 64, 32);
    memcpy(out + AT_HASH, hash, HASH);
    nm_put32(out + AT_CRC, nm_crc32c(0, out, AT_CRC));
}

void nm_save(const nm_engine *e, uint32_t offset, uint32_t len, uint8_t *out) {
    uint8_t head[NM_STATE_HEADER];
    if (offset < NM_STATE_HEADER) {
        const uint32_t n = nm_min(NM_STATE_HEADER - offset, len);
        header(e, head);
        memcpy(out, head + offset, n);
        offset += n;
        out += n;
        len -= n;
    }
    content(e, offset - NM_STATE_HEADER, len, out);
}

/* Whether these bytes are a whole state of the engine's program; values are not looked at. */
static int belongs(const nm_engine *e, const uint8_t *s, uint32_t len) {
    nm_blake2s hash;
    uint8_t found[32];
    if (len < NM_STATE_HEADER || memcmp(s, magic, 7) != 0 || nm_u32(s + AT_TOTAL) != len) return 0;
    if (nm_u32(s + AT_CRC) != nm_crc32c(0, s, AT_CRC) || memcmp(s + AT_DIGEST, e->image.base + 64, 32) != 0) return 0;
    const uint64_t drawn = position(e, nm_u32(s + AT_STEP));
    if (nm_u32(s + AT_POSITION) != (uint32_t)drawn || nm_u32(s + AT_POSITION + 4) != (uint32_t)(drawn >> 32)) return 0;
    if (nm_u16(s + AT_SEMANTICS) != NM_SEMANTICS || nm_u16(s + AT_SEMANTICS + 2) != nm_items(e)) return 0;
    if (len != nm_save_size(e)) return 0;
    nm_blake2s_init(&hash);
    nm_blake2s_update(&hash, s + NM_STATE_HEADER, len - NM_STATE_HEADER);
    nm_blake2s_final(&hash, found);
    return memcmp(found, s + AT_HASH, HASH) == 0;
}

int nm_restore(nm_engine *e, const uint8_t *state, uint32_t len) {
    nm_item item = {0};
    uint32_t at = NM_STATE_HEADER;
    if (!belongs(e, state, len)) return NM_E_STATE;
    for (uint32_t k = 0; nm_item_next(e, &item); k++, at += bytes_of(&item))
        if (nm_item_write(e, k, 0, item.count, state + at) != NM_OK) {
            nm_reset(e);
            return NM_E_STATE;
        }
    return nm_seek(e, nm_u32(state + AT_STEP));
}
