/* A board as a library: the firmware's link and application above an engine that only echoes. For tests of the link.
 *
 * The engine's image is "NMI", 0x1A, then anything; R3 fails where the last byte is 0xEE. It needs 64 bytes of arena,
 * or as many kilobytes as the image's byte 5 says. A step returns the input records of the step as its output; if the
 * image's byte 6 is 1, 64 bytes of its own instead. */
#include <string.h>

#include "app.h"
#include "wire.h"

/* ---- the engine ---- */

struct nm_engine {
    uint32_t now;
    uint8_t item[5000];
};

static uint8_t output[4096];
static uint32_t made_last;
static bool chatty;

static uint32_t arena_of(const uint8_t *image) { return (uint32_t)sizeof(nm_engine) + 1024u * image[5]; }

int nm_verify(const uint8_t *image, size_t len, const nm_limits *limits, nm_report *report)
{
    (void)limits;
    report->rule = len < 128 || memcmp(image, "NMI\x1A", 4) != 0 ? 1 : image[len - 1] == 0xEE ? 3 : 0;
    report->offset = report->rule == 3 ? (uint32_t)len - 1 : 0;
    report->arena = report->rule ? 0 : arena_of(image);
    report->step_us = 0;
    return report->rule ? NM_E_IMAGE : NM_OK;
}

int nm_init(nm_engine **engine, const uint8_t *image, size_t len, void *arena, size_t arena_len)
{
    (void)len;
    if (arena_len < arena_of(image) || ((uintptr_t)arena & 7u) || ((uintptr_t)image & 7u))
        return NM_E_ARENA;
    memset(arena, 0, arena_len);
    *engine = arena;
    chatty = image[6] == 1;
    return NM_OK;
}

void nm_reset(nm_engine *e) { e->now = 0; }
uint32_t nm_now(const nm_engine *e) { return e->now; }
uint32_t nm_record_bound(const nm_engine *e) { (void)e; return 3000; }
uint32_t nm_items(const nm_engine *e) { (void)e; return 1; }
int nm_seek(nm_engine *e, uint32_t step) { e->now = step; return NM_OK; }

int nm_item_info(const nm_engine *e, uint32_t item, nm_item *info)
{
    const nm_item one = {0, 1, 2, 0, sizeof e->item / 2};
    *info = one;
    return item == 0 ? NM_OK : NM_E_ARG;
}

int nm_item_read(const nm_engine *e, uint32_t item, uint32_t first, uint32_t count, uint8_t *out)
{
    (void)item;
    memcpy(out, e->item + 2 * first, 2 * count);
    return NM_OK;
}

int nm_item_write(nm_engine *e, uint32_t item, uint32_t first, uint32_t count, const uint8_t *in)
{
    (void)item;
    if (first > sizeof e->item / 2 || count > sizeof e->item / 2 - first)
        return NM_E_ARG;
    for (uint32_t i = 0; i < count; i++)
        if (nm_wire_get16(in + 2 * i) == 0xFFFF)
            return NM_E_STATE;
    memcpy(e->item + 2 * first, in, 2 * count);
    return NM_OK;
}

void nm_get_counters(const nm_engine *e, nm_counters *c)
{
    c->spikes = e->now;
    c->synaptic_events = UINT64_C(1) << 40;
    c->plastic_updates = 0;
}

int32_t nm_feed(nm_engine *e, const uint8_t *in, uint32_t len)
{
    uint32_t used = 0;
    made_last = 0;
    while (len - used >= 16 && nm_wire_get32(in + used) <= e->now + 1) {
        uint32_t size = 16u + ((2u * nm_wire_get16(in + used + 12) + 3u) & ~3u);
        if (nm_wire_get32(in + used) <= e->now || nm_wire_get16(in + used + 4) != 0 || size > len - used)
            return NM_E_INPUT;
        memcpy(output + made_last, in + used, size);
        used += size;
        made_last += size;
    }
    if (used != len && len - used < 16)
        return NM_E_INPUT;
    return (int32_t)used;
}

int nm_step(nm_engine *e)
{
    e->now++;
    if (chatty) {
        made_last = 64;
        memset(output, (int)(e->now & 0xFFu), made_last);
        nm_wire_put32(output, e->now);
        nm_wire_put32(output + 4, UINT32_C(2) << 16);              /* object 0, format 2: bytes */
        nm_wire_put32(output + 8, 0);
        nm_wire_put32(output + 12, 48);
        nm_wire_put16(e->item, e->now & 0x7FFFu);                  /* what it has "learned" */
    }
    return NM_OK;
}

int32_t nm_record(const nm_engine *e, uint8_t *out, uint32_t cap)
{
    (void)e;
    if (made_last > cap)
        return NM_E_SPACE;
    memcpy(out, output, made_last);
    return (int32_t)made_last;
}

int32_t nm_run(nm_engine *e, uint32_t steps, const uint8_t *in, uint32_t in_len, uint32_t *in_used, uint8_t *out,
               uint32_t out_cap, uint32_t *out_used)
{
    uint32_t done = 0;
    *in_used = *out_used = 0;
    for (; done < steps && out_cap - *out_used >= nm_record_bound(e); done++) {
        const int32_t used = nm_feed(e, in + *in_used, in_len - *in_used);
        if (used < 0)
            return used;
        nm_step(e);
        *in_used += (uint32_t)used;
        *out_used += (uint32_t)nm_record(e, out + *out_used, out_cap - *out_used);
    }
    return (int32_t)done;
}

/* ---- the board ---- */

#define POOL 32768u
#define INPUT 4096u

static nm_app app;
static uint64_t pool[POOL / 8], input[INPUT / 8];
static uint8_t wire[NM_WIRE_MAX];

void board_start(uint32_t boots);
void board_receive(const uint8_t *bytes, uint32_t len, uint32_t now);
uint32_t board_poll(uint8_t *out, uint32_t cap, uint32_t now);
void board_counters(uint32_t out[4]);
uint32_t board_wait(uint32_t now);
uint32_t board_has_room(void);

void board_start(uint32_t boots)
{
    nm_app_config config = {
        .board = "library", .core = "host", .build = "test", .boots = boots,
        .pool = (uint8_t *)pool, .pool_len = sizeof pool, .input = (uint8_t *)input, .input_len = sizeof input,
        .trace_len = 6000, .steps_per_poll = 4,
    };
    memset(pool, 0xA5, sizeof pool);
    nm_app_init(&app, &config);
}

void board_receive(const uint8_t *bytes, uint32_t len, uint32_t now) { nm_app_receive(&app, bytes, len, now); }

/* As the main loop of a port does; returns the bytes that go on the line, at most `cap`. */
uint32_t board_poll(uint8_t *out, uint32_t cap, uint32_t now)
{
    uint32_t n = 0, frame;
    (void)nm_app_poll(&app, now);
    while (cap - n >= NM_WIRE_MAX && (frame = nm_link_transmit(&app.link, wire, now)) != 0) {
        memcpy(out + n, wire, frame);
        n += frame;
    }
    return n;
}

/* What the decoder found: whole frames, wrong checksums, wrong stuffing, overlong. */
void board_counters(uint32_t out[4])
{
    out[0] = app.link.count.frames_in;
    out[1] = app.link.count.crc_err;
    out[2] = app.link.count.cobs_err;
    out[3] = app.link.count.overlong;
}

uint32_t board_wait(uint32_t now) { return nm_app_wait(&app, now); }
uint32_t board_has_room(void) { return nm_link_reserve(&app.link) != NULL; }
