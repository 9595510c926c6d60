/* Pace real: steps follow the clock and wait for nobody. What cannot be sent is dropped and counted. */
#include "app_internal.h"

#include <string.h>

#include "wire.h"

#define HEAD 16u
#define GAP_OBJECT 0xFFFFu               /* a record that says what is missing before the next one */
#define GAP_FORMAT 7u
#define ELAPSED_MOST 1000000u            /* ms: who was away for longer does not catch up */
#define OWED_MOST 2000000000u

void nm_app_real_time(nm_app *a)
{
    uint32_t elapsed = a->time - a->run.clock_at;
    a->run.clock_at = a->time;
    elapsed = elapsed < ELAPSED_MOST ? elapsed : ELAPSED_MOST;
    a->run.owed += elapsed * 1000u;
    a->run.owed = a->run.owed < OWED_MOST ? a->run.owed : OWED_MOST;
}

uint32_t nm_app_real_due(const nm_app *a)
{
    const uint32_t now = nm_now(a->program.engine), end = a->run.target;
    uint32_t n = 0;
    for (uint32_t t = a->run.owed; t >= a->run.period && n < a->run.batch && n < end - now; t -= a->run.period)
        n++;
    return a->run.error ? 0 : n;
}

/* Inputs that come after their step are dropped and counted. */
static void skip_late(nm_app *a)
{
    while (a->run.complete - a->run.head >= HEAD) {
        const uint8_t *p = a->config.input + a->run.head;
        const uint32_t count = nm_wire_get16(p + 12);
        const uint32_t size = HEAD + ((2u * count + 3u) & ~(uint32_t)3) + (p[6] == 1 ? 4u * count : 0u);
        if (nm_wire_get32(p) > nm_now(a->program.engine) || size > a->run.complete - a->run.head)
            return;
        a->run.head += size;
        a->run.taken += size;
        a->pace.late++;
    }
}

static void put_gap(nm_app *a, uint32_t step)
{
    uint8_t *p = a->program.trace + a->run.trace_len;
    memset(p, 0, HEAD);
    nm_wire_put32(p, step);
    nm_wire_put16(p + 4, GAP_OBJECT);
    p[6] = GAP_FORMAT;
    nm_wire_put32(p + 8, a->run.dropped);
    a->run.trace_len += HEAD;
    a->run.gap = false;
}

static void make_room(nm_app *a)
{
    memmove(a->program.trace, a->program.trace + a->run.trace_head, a->run.trace_len - a->run.trace_head);
    a->run.trace_len -= a->run.trace_head;
    a->run.trace_head = 0;
}

/* Bytes of records that the last step made, after room for a gap's; or NM_E_SPACE. */
static int32_t record(const nm_app *a)
{
    const uint32_t gap = a->run.gap ? HEAD : 0u, room = a->program.trace_cap - a->run.trace_len;
    /* Without a host there is no room for anything, but a step that has no records loses none. */
    if (!a->run.listens || room < gap)
        return nm_record(a->program.engine, a->program.trace, 0);
    return nm_record(a->program.engine, a->program.trace + a->run.trace_len + gap, room - gap);
}

static void keep_records(nm_app *a)
{
    int32_t made = record(a);
    if (made < 0 && a->run.trace_head) {
        make_room(a);
        made = record(a);
    }
    if (made < 0) {
        a->pace.dropped++;
        a->run.dropped++;
        a->run.gap = true;
    } else if (made > 0) {
        if (a->run.gap)
            put_gap(a, nm_now(a->program.engine) - 1u);
        a->run.trace_len += (uint32_t)made;
        a->pace.recorded++;
    }
}

void nm_app_real_step(nm_app *a)
{
    skip_late(a);
    if (a->config.sense)
        a->config.sense(a->program.engine);
    const int32_t used = nm_feed(a->program.engine, a->config.input + a->run.head, a->run.complete - a->run.head);
    const int code = used < 0 ? (int)used : nm_step(a->program.engine);
    if (code != NM_OK) {
        a->run.error = code;
        return;
    }
    a->run.head += (uint32_t)used;
    a->run.taken += (uint32_t)used;
    a->run.owed -= a->run.period;
    a->pace.overruns += a->run.owed >= a->run.period;
    if (a->config.act)
        a->config.act(a->program.engine);
    keep_records(a);
}

void nm_app_real_gap(nm_app *a)
{
    if (!a->run.gap || !a->run.listens)
        return;
    if (a->program.trace_cap - a->run.trace_len < HEAD)
        make_room(a);
    if (a->program.trace_cap - a->run.trace_len >= HEAD)
        put_gap(a, nm_now(a->program.engine));
}
