/* Programs: bytes arrive in the free part of the pool, become a program there, and replace the present one. */
#include "app_internal.h"

#include <string.h>

#include "guards.h"
#include "wire.h"

static uint32_t align8(uint32_t n) { return (n + 7u) & ~UINT32_C(7); }

static bool at_low_end(const nm_app *a) { return a->program.engine != NULL && a->program.low == a->config.pool; }
static uint8_t *free_low(const nm_app *a) { return at_low_end(a) ? a->program.high : a->config.pool; }

uint32_t nm_app_free_len(const nm_app *a)
{
    return a->config.pool_len - (a->program.engine ? (uint32_t)(a->program.high - a->program.low) : 0u);
}

/* The guards of an earlier program end with it. */
uint8_t *nm_app_free(const nm_app *a)
{
    ASAN_UNPOISON_MEMORY_REGION(free_low(a), nm_app_free_len(a));
    return free_low(a);
}

/* Give the block of `len` bytes nearest to the end of the free part that a new program starts from. */
static uint8_t *carve(const nm_app *a, uint32_t used, uint32_t len)
{
    uint8_t *low = free_low(a);
    return at_low_end(a) ? low + nm_app_free_len(a) - used - len : low + used;
}

void nm_app_on_stage(nm_app *a, const uint8_t *p, uint16_t n)
{
    uint32_t len = nm_wire_get32(p), have = nm_app_free_len(a);
    (void)n;
    if (len > have) {
        nm_app_reply_error(a, NM_MSG_STAGE, NM_E_CAPACITY, len, have);
        return;
    }
    /* The same bytes as last time (the link broke): go on where they stopped. An item's bytes have no key. */
    bool same = len == a->stage.len && memcmp(p + 4, a->stage.key, 32) == 0 && (p[4] | p[5] | p[6] | p[7]) != 0;
    (void)nm_app_free(a);
    if (!same) {
        a->stage.at = carve(a, 0, align8(len));
        a->stage.len = len;
        a->stage.got = 0;
        memcpy(a->stage.key, p + 4, 32);
    }
    nm_app_reply_ok(a, NM_MSG_STAGE, a->stage.got);
}

void nm_app_on_data(nm_app *a, const uint8_t *p, uint16_t n)
{
    uint32_t len = n - 4u;
    /* A wrong offset is not answered here: the bytes will be missing at LOAD or WRITE. */
    if (len != 0 && nm_wire_get32(p) == a->stage.got && len <= a->stage.len - a->stage.got) {
        memcpy(a->stage.at + a->stage.got, p + 4, len);
        a->stage.got += len;
    }
}

bool nm_app_staged(nm_app *a, uint8_t request)
{
    bool all = a->stage.len != 0 && a->stage.got == a->stage.len;
    if (!all)
        nm_app_reply_error(a, request, NM_E_STAGED, a->stage.got, a->stage.len);
    return all;
}

static uint32_t counter_least(const nm_app *a)
{
#if NM_STORE
    return a->store.counter;
#else
    (void)a;
    return 0;
#endif
}

int nm_app_verify(const nm_app *a, const uint8_t *image, uint32_t len, nm_report *report)
{
    const nm_limits limits = {len, 0, NM_FEATURES_ALL, counter_least(a), a->config.speed};
    return nm_verify(image, len, &limits, report);
}

/* Everything is built in the free part, so whatever fails here leaves the running program as it was. The image is there
 * already, in `taken` bytes of that part (0: it is elsewhere). Sizes are compared, never added, before they are known to be
 * small. */
int nm_app_install(nm_app *a, const uint8_t *image, uint32_t len, uint32_t taken, const nm_report *report, uint32_t need[2])
{
    const uint32_t arena = report->arena;
    nm_program new = {.image = image, .image_len = len, .arena_len = align8(arena), .step_us = report->step_us};
    uint32_t have = nm_app_free_len(a), room = have - taken;
    need[0] = taken + arena;
    need[1] = have;
    if (arena > room || new.arena_len > room)
        return NM_E_CAPACITY;
    int code = nm_init(&new.engine, new.image, new.image_len, carve(a, taken, new.arena_len), new.arena_len);
    if (code < 0) {
        need[0] = need[1] = 0;
        return code;
    }
    uint32_t bound = align8(nm_record_bound(new.engine)), used = taken + new.arena_len;
    room -= new.arena_len;
    need[0] = used + bound;
    if (bound > room)
        return NM_E_CAPACITY;
    new.trace_cap = bound >= a->config.trace_len ? bound : room < a->config.trace_len ? room : a->config.trace_len;
    new.trace_cap &= ~UINT32_C(7);
    new.trace = carve(a, used, new.trace_cap);
    used += new.trace_cap;
    new.low = carve(a, 0, used);
    new.high = new.low + used;
    nm_app_program_gone(a);
    a->program = new;
    memset(&a->pace, 0, sizeof a->pace);
    need[0] = used;
    return NM_OK;
}

void nm_app_on_load(nm_app *a, const uint8_t *p, uint16_t n)
{
    nm_report report;
    uint32_t need[2], len = a->stage.len;
    (void)p, (void)n;
    if (!nm_app_staged(a, NM_MSG_LOAD))
        return;
    a->stage.len = a->stage.got = 0;
    if (nm_app_verify(a, a->stage.at, len, &report) < 0) {
        const uint32_t figure = report.rule == 10u ? report.step_us : report.rule == 11u ? counter_least(a) : report.offset;
        nm_app_reply_error(a, NM_MSG_LOAD, NM_E_IMAGE, report.rule, figure);
        return;
    }
    /* The verifier computed the arena itself (R9). */
    const int code = nm_app_install(a, a->stage.at, len, align8(len), &report, need);
    if (code < 0)
        nm_app_reply_error(a, NM_MSG_LOAD, code, need[0], need[1]);
    else
        nm_app_reply_ok(a, NM_MSG_LOAD, need[0]);
}

void nm_app_on_unload(nm_app *a, const uint8_t *p, uint16_t n)
{
    (void)p, (void)n;
    nm_app_program_gone(a);
    memset(&a->program, 0, sizeof a->program);
    a->stage.len = a->stage.got = 0;
    nm_app_reply_ok(a, NM_MSG_UNLOAD, 0);
}
