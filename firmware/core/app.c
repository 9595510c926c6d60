#include "app.h"

#include <string.h>

#include "wire.h"

#define TELL_EVERY 100u                  /* ms between PROGRESS messages while steps go on */

static uint32_t align8(uint32_t n) { return (n + 7u) & ~7u; }

/* ---- answers: one waits at most, as the host asks one thing at a time ---- */

static uint8_t *reply(nm_app *a, uint8_t type, uint16_t len)
{
    a->reply.type = type;
    a->reply.len = len;
    memset(a->reply.bytes, 0, sizeof a->reply.bytes);
    return a->reply.bytes;
}

static void reply_ok(nm_app *a, uint8_t request, uint32_t value)
{
    uint8_t *p = reply(a, NM_MSG_OK, 8);
    p[0] = request;
    nm_wire_put32(p + 4, value);
}

static uint16_t put_error(uint8_t *p, uint8_t request, int code, uint32_t x, uint32_t y)
{
    p[0] = request;
    p[1] = (uint8_t)code;
    p[2] = p[3] = 0;
    nm_wire_put32(p + 4, x);
    nm_wire_put32(p + 8, y);
    return 12;
}

static void reply_error(nm_app *a, uint8_t request, int code, uint32_t x, uint32_t y)
{
    put_error(reply(a, NM_MSG_ERROR, 12), request, code, x, y);
}

static void reply_result(nm_app *a, uint8_t request, int code)
{
    if (code < 0)
        reply_error(a, request, code, 0, 0);
    else
        reply_ok(a, request, 0);
}

/* ---- programs ---- */

static bool at_low_end(const nm_app *a) { return a->program.engine != NULL && a->program.low == a->config.pool; }
static uint8_t *free_low(const nm_app *a) { return at_low_end(a) ? a->program.high : a->config.pool; }

static uint32_t free_len(const nm_app *a)
{
    return a->config.pool_len - (a->program.engine ? (uint32_t)(a->program.high - a->program.low) : 0u);
}

/* Give the block of `len` bytes nearest to the end of the free part that a new program starts from. */
static uint8_t *carve(const nm_app *a, uint32_t used, uint32_t len)
{
    uint8_t *low = free_low(a);
    return at_low_end(a) ? low + free_len(a) - used - len : low + used;
}

static void on_stage(nm_app *a, const uint8_t *p, uint16_t n)
{
    uint32_t len = nm_wire_get32(p), have = free_len(a);
    (void)n;
    if (len > have) {
        reply_error(a, NM_MSG_STAGE, NM_E_CAPACITY, len, have);
        return;
    }
    /* The same bytes as last time (the link broke): go on where they stopped. An item's bytes have no key. */
    bool same = len == a->stage.len && memcmp(p + 4, a->stage.key, 32) == 0 && (p[4] | p[5] | p[6] | p[7]) != 0;
    if (!same) {
        a->stage.at = carve(a, 0, align8(len));
        a->stage.len = len;
        a->stage.got = 0;
        memcpy(a->stage.key, p + 4, 32);
    }
    reply_ok(a, NM_MSG_STAGE, a->stage.got);
}

static void on_data(nm_app *a, const uint8_t *p, uint16_t n)
{
    uint32_t len = n - 4u;
    /* A wrong offset is not answered here: the bytes will be missing at LOAD or WRITE. */
    if (nm_wire_get32(p) == a->stage.got && len <= a->stage.len - a->stage.got) {
        memcpy(a->stage.at + a->stage.got, p + 4, len);
        a->stage.got += len;
    }
}

static bool staged(nm_app *a, uint8_t request)
{
    bool all = a->stage.len != 0 && a->stage.got == a->stage.len;
    if (!all)
        reply_error(a, request, NM_E_STAGED, a->stage.got, a->stage.len);
    return all;
}

/* Everything is built in the free part, so whatever fails here leaves the running program as it was. */
static void on_load(nm_app *a, const uint8_t *p, uint16_t n)
{
    nm_limits limits = {0, 0, NM_FEATURES_ALL};
    nm_report report = {0, 0, 0};
    nm_program new = {0};
    (void)p, (void)n;
    if (!staged(a, NM_MSG_LOAD))
        return;
    new.image = a->stage.at;
    new.image_len = a->stage.len;
    a->stage.len = a->stage.got = 0;
    if (nm_verify(new.image, new.image_len, &limits, &report) < 0) {
        reply_error(a, NM_MSG_LOAD, NM_E_IMAGE, report.rule, report.offset);
        return;
    }
    /* The verifier computed the arena itself (R9). Sizes are compared, never added, before they are known
     * to be small. */
    uint32_t have = free_len(a), image = align8(new.image_len), room = have - image;
    new.arena_len = align8(report.arena);
    if (report.arena > room || new.arena_len > room) {
        reply_error(a, NM_MSG_LOAD, NM_E_CAPACITY, image + report.arena, have);
        return;
    }
    int code = nm_init(&new.engine, new.image, new.image_len, carve(a, image, new.arena_len), new.arena_len);
    if (code < 0) {
        reply_error(a, NM_MSG_LOAD, code, 0, 0);
        return;
    }
    uint32_t bound = align8(nm_record_bound(new.engine)), used = image + new.arena_len;
    room -= new.arena_len;
    if (bound > room) {
        reply_error(a, NM_MSG_LOAD, NM_E_CAPACITY, used + bound, have);
        return;
    }
    new.trace_cap = bound >= a->config.trace_len ? bound : room < a->config.trace_len ? room : a->config.trace_len;
    new.trace_cap &= ~7u;
    new.trace = carve(a, used, new.trace_cap);
    used += new.trace_cap;
    new.low = carve(a, 0, used);
    new.high = new.low + used;
    a->program = new;
    reply_ok(a, NM_MSG_LOAD, used);
}

static void on_unload(nm_app *a, const uint8_t *p, uint16_t n)
{
    (void)p, (void)n;
    memset(&a->program, 0, sizeof a->program);
    a->stage.len = a->stage.got = 0;
    reply_ok(a, NM_MSG_UNLOAD, 0);
}

static void on_get_status(nm_app *a, const uint8_t *p, uint16_t n)
{
    const nm_program *g = &a->program;
    (void)p, (void)n;
    uint8_t *r = reply(a, NM_MSG_STATUS, 64);
    r[0] = (uint8_t)(!g->engine ? NM_STATE_EMPTY : a->run.active ? NM_STATE_RUNNING : NM_STATE_IDLE);
    nm_wire_put32(r + 8, free_len(a));
    if (!g->engine)
        return;
    nm_wire_put32(r + 4, nm_now(g->engine));
    nm_wire_put32(r + 12, g->image_len);
    nm_wire_put32(r + 16, g->arena_len);
    nm_wire_put32(r + 20, g->trace_cap);
    nm_wire_put32(r + 24, nm_record_bound(g->engine));
    nm_wire_put32(r + 28, nm_items(g->engine));
    memcpy(r + 32, g->image + 64, 32);                         /* logical digest, docs/image.md 1 */
}

/* ---- state ---- */

static void on_read(nm_app *a, const uint8_t *p, uint16_t n)
{
    uint16_t item = nm_wire_get16(p);
    uint32_t first = nm_wire_get32(p + 4), count = nm_wire_get32(p + 8);
    nm_item info;
    (void)n;
    if (nm_item_info(a->program.engine, item, &info) < 0 || first > info.count || count > info.count - first
        || !count) {
        reply_error(a, NM_MSG_READ, NM_E_ARG, first, count);
        return;
    }
    a->read.item = item;
    a->read.width = info.width;
    a->read.next = first;
    a->read.end = first + count;
}

/* As many as the window takes now; the rest in later polls. */
static void send_items(nm_app *a)
{
    uint8_t *m;
    while (a->read.next != a->read.end && (m = nm_link_reserve(&a->link)) != NULL) {
        uint32_t n = (a->link.payload_max - 8u) >> (a->read.width / 2u), left = a->read.end - a->read.next;
        n = n < left ? n : left;
        nm_wire_put32(m, a->read.next);
        nm_wire_put16(m + 4, n);
        nm_wire_put16(m + 6, 0);
        (void)nm_item_read(a->program.engine, a->read.item, a->read.next, n, m + 8);   /* on_read checked the bounds */
        nm_link_commit(&a->link, NM_MSG_ITEM, (uint16_t)(8u + n * a->read.width), a->time);
        a->read.next += n;
    }
}

static void on_write(nm_app *a, const uint8_t *p, uint16_t n)
{
    const uint16_t item = nm_wire_get16(p);
    const uint32_t first = nm_wire_get32(p + 4), len = a->stage.len;
    nm_item info;
    (void)n;
    if (!staged(a, NM_MSG_WRITE))
        return;
    a->stage.len = a->stage.got = 0;
    if (nm_item_info(a->program.engine, item, &info) < 0 || (len & (info.width - 1u)) != 0) {
        reply_error(a, NM_MSG_WRITE, NM_E_ARG, first, len);
        return;
    }
    const uint32_t count = len >> (info.width / 2u);
    const int code = nm_item_write(a->program.engine, item, first, count, a->stage.at);
    if (code < 0)
        reply_error(a, NM_MSG_WRITE, code, first, count);
    else
        reply_ok(a, NM_MSG_WRITE, count);
}

static void on_seek(nm_app *a, const uint8_t *p, uint16_t n)
{
    (void)n;
    reply_result(a, NM_MSG_SEEK, nm_seek(a->program.engine, nm_wire_get32(p)));
}

static void on_restart(nm_app *a, const uint8_t *p, uint16_t n)
{
    (void)p, (void)n;
    nm_reset(a->program.engine);
    reply_ok(a, NM_MSG_RESTART, 0);
}

static void on_get_counters(nm_app *a, const uint8_t *p, uint16_t n)
{
    nm_counters c = {0, 0, 0};
    uint32_t link[NM_LINK_COUNTERS];
    (void)p, (void)n;
    if (a->program.engine)
        nm_get_counters(a->program.engine, &c);
    const uint64_t work[3] = {c.spikes, c.synaptic_events, c.plastic_updates};
    uint8_t *r = reply(a, NM_MSG_COUNTERS, 28u + sizeof link);
    for (uint32_t i = 0; i < 3; i++) {
        nm_wire_put32(r + 8 * i, (uint32_t)work[i]);
        nm_wire_put32(r + 8 * i + 4, (uint32_t)(work[i] >> 32));
    }
    nm_wire_put32(r + 24, a->config.stack_used ? a->config.stack_used() : 0u);
    memcpy(link, &a->link.count, sizeof link);
    for (uint32_t i = 0; i < NM_LINK_COUNTERS; i++)
        nm_wire_put32(r + 28 + 4 * i, link[i]);
}

/* ---- running ---- */

static void on_run(nm_app *a, const uint8_t *p, uint16_t n)
{
    uint32_t steps = nm_wire_get32(p), now = nm_now(a->program.engine);
    (void)n;
    if (steps == 0 || steps > UINT32_MAX - now || p[8] != 0) {           /* p[8]: pace, 0 = free */
        reply_error(a, NM_MSG_RUN, NM_E_ARG, steps, p[8]);
        return;
    }
    memset(&a->run, 0, sizeof a->run);
    a->run.active = true;
    a->run.target = now + steps;
    a->run.watermark = nm_wire_get32(p + 4);
    a->run.told_at = a->time;
    a->run.told_step = now;
}

static void on_input(nm_app *a, const uint8_t *p, uint16_t n)
{
    uint32_t len = n - 8u, watermark = nm_wire_get32(p), ahead = nm_wire_get16(p + 4);
    uint8_t *in = a->config.input;
    if (!a->run.active || a->run.error)
        return;                                                /* the host learns from what ended the run that it has */
    uint32_t waiting = a->run.tail - a->run.head, room = a->config.input_len / 2u - waiting;
    if (len > room || ahead > len) {
        reply_error(a, NM_MSG_INPUT, NM_E_CREDIT, len, room);
        a->run.target = nm_now(a->program.engine);
        return;
    }
    /* The buffer is twice what the host may send ahead: a byte is moved at most once. */
    if (len > a->config.input_len - a->run.tail) {
        memmove(in, in + a->run.head, waiting);
        a->run.complete -= a->run.head;
        a->run.tail = waiting;
        a->run.head = 0;
    }
    memcpy(in + a->run.tail, p + 8, len);
    a->run.tail += len;
    if (watermark > a->run.watermark) {
        a->run.watermark = watermark;
        a->run.complete = a->run.tail - ahead;
    }
}

static void on_stop(nm_app *a, const uint8_t *p, uint16_t n)
{
    (void)p, (void)n;
    if (a->run.active)
        a->run.target = nm_now(a->program.engine);
    reply_ok(a, NM_MSG_STOP, 0);
}

/* Steps whose inputs are all here, up to the next look at the link. */
static uint32_t steps_ready(const nm_app *a)
{
    const uint32_t now = nm_now(a->program.engine);
    const uint32_t end = a->run.target < a->run.watermark ? a->run.target : a->run.watermark;
    const uint32_t n = end > now && !a->run.error ? end - now : 0;
    return n < a->config.steps_per_poll ? n : a->config.steps_per_poll;
}

/* Room for the records of one more step, after those that wait. */
static bool trace_fits(const nm_app *a)
{
    return a->program.trace_cap - a->run.trace_len >= nm_record_bound(a->program.engine);
}

static void run_steps(nm_app *a, uint32_t n)
{
    uint32_t used = 0, made = 0;
    int32_t done = nm_run(a->program.engine, n, a->config.input + a->run.head, a->run.complete - a->run.head, &used,
                          a->program.trace + a->run.trace_len, a->program.trace_cap - a->run.trace_len, &made);
    a->run.head += used;
    a->run.taken += used;
    a->run.trace_len += made;
    if (done <= 0)
        a->run.error = done < 0 ? (int)done : NM_E_SPACE;
}

/* Full frames; the rest too if `all`. */
static void send_trace(nm_app *a, bool all)
{
    const uint32_t most = a->link.payload_max;
    uint32_t left;
    uint8_t *m;
    while ((left = a->run.trace_len - a->run.trace_head) != 0 && (all || left >= most)
           && (m = nm_link_reserve(&a->link)) != NULL) {
        uint32_t n = left < most ? left : most;
        memcpy(m, a->program.trace + a->run.trace_head, n);
        nm_link_commit(&a->link, NM_MSG_TRACE, (uint16_t)n, a->time);
        a->run.trace_head += n;
    }
    if (left == 0)
        a->run.trace_head = a->run.trace_len = 0;
}

static bool over(const nm_app *a) { return a->run.error || nm_now(a->program.engine) >= a->run.target; }

/* Often enough that the host never runs out of credit while there is input to send. */
static bool must_tell(const nm_app *a)
{
    const uint32_t used = a->run.taken - a->run.told_taken;
    if (over(a))
        return true;
    if (used == 0 && nm_now(a->program.engine) == a->run.told_step)
        return false;                                          /* nothing new */
    return steps_ready(a) == 0 || used >= a->config.input_len / 8u || a->time - a->run.told_at >= TELL_EVERY;
}

/* The last message of a run says so; until it is on its way the run stays active. */
static void tell(nm_app *a)
{
    const uint32_t now = nm_now(a->program.engine);
    uint8_t *m = nm_link_reserve(&a->link);
    if (!m)
        return;
    if (a->run.error) {
        nm_link_commit(&a->link, NM_MSG_ERROR, put_error(m, NM_MSG_RUN, a->run.error, now, 0), a->time);
    } else {
        nm_wire_put32(m, now);
        nm_wire_put32(m + 4, a->run.taken);
        nm_wire_put32(m + 8, over(a) ? NM_STATE_IDLE : NM_STATE_RUNNING);
        nm_link_commit(&a->link, NM_MSG_PROGRESS, 12, a->time);
    }
    a->run.active = !over(a);
    a->run.told_at = a->time;
    a->run.told_step = now;
    a->run.told_taken = a->run.taken;
}

static bool poll_run(nm_app *a)
{
    uint32_t n = steps_ready(a);
    /* Back-pressure: no step while the link has not taken enough of the trace. */
    if (n && trace_fits(a))
        run_steps(a, n);
    /* PROGRESS follows the trace of its step, so the host knows that it has all records up to there. */
    const bool due = must_tell(a);
    send_trace(a, due || !trace_fits(a));
    if (due && a->run.trace_len == 0)
        tell(a);
    return a->run.active && steps_ready(a) != 0 && trace_fits(a);
}

/* ---- dispatch ---- */

enum { IDLE = 1, PROGRAM = 2 };                                /* what a request needs */

typedef struct {
    void (*handle)(nm_app *a, const uint8_t *p, uint16_t n);
    uint8_t least, needs;                                      /* bytes of payload; flags */
} request;

static const request requests[NM_MSG_REQUESTS_END - NM_LINK_SEQUENCED] = {
    [NM_MSG_GET_STATUS - NM_LINK_SEQUENCED] = {on_get_status, 0, 0},
    [NM_MSG_STAGE - NM_LINK_SEQUENCED] = {on_stage, 36, IDLE},
    [NM_MSG_DATA - NM_LINK_SEQUENCED] = {on_data, 4, IDLE},
    [NM_MSG_LOAD - NM_LINK_SEQUENCED] = {on_load, 0, IDLE},
    [NM_MSG_UNLOAD - NM_LINK_SEQUENCED] = {on_unload, 0, IDLE},
    [NM_MSG_RUN - NM_LINK_SEQUENCED] = {on_run, 12, IDLE | PROGRAM},
    [NM_MSG_INPUT - NM_LINK_SEQUENCED] = {on_input, 8, PROGRAM},
    [NM_MSG_STOP - NM_LINK_SEQUENCED] = {on_stop, 0, 0},
    [NM_MSG_READ - NM_LINK_SEQUENCED] = {on_read, 12, IDLE | PROGRAM},
    [NM_MSG_WRITE - NM_LINK_SEQUENCED] = {on_write, 8, IDLE | PROGRAM},
    [NM_MSG_SEEK - NM_LINK_SEQUENCED] = {on_seek, 4, IDLE | PROGRAM},
    [NM_MSG_RESTART - NM_LINK_SEQUENCED] = {on_restart, 0, IDLE | PROGRAM},
    [NM_MSG_GET_COUNTERS - NM_LINK_SEQUENCED] = {on_get_counters, 0, 0},
};

static void on_message(void *ctx, uint8_t type, const uint8_t *payload, uint16_t len)
{
    nm_app *a = ctx;
    if (type >= NM_MSG_REQUESTS_END) {
        reply_error(a, type, NM_E_UNSUPPORTED, 0, 0);
        return;
    }
    const request *r = &requests[type - NM_LINK_SEQUENCED];
    if (len < r->least)
        reply_error(a, type, NM_E_MESSAGE, len, r->least);
    else if ((r->needs & IDLE) && (a->run.active || a->read.next != a->read.end))
        reply_error(a, type, NM_E_BUSY, 0, 0);
    else if ((r->needs & PROGRAM) && !a->program.engine)
        reply_error(a, type, NM_E_PROGRAM, 0, 0);
    else
        r->handle(a, payload, len);
}

/* A new host must not get what was meant for the last one. The program keeps its state and its step. */
static void on_session(void *ctx, uint16_t session)
{
    nm_app *a = ctx;
    (void)session;
    a->run.active = false;
    a->read.next = a->read.end;
    a->reply.type = 0;
}

/* ---- the application ---- */

static void put_name(uint8_t *to, const char *name)
{
    for (uint32_t i = 0; i < 15 && name[i]; i++)
        to[i] = (uint8_t)name[i];
}

void nm_app_init(nm_app *a, const nm_app_config *config)
{
    const nm_link_events events = {a, on_message, on_session};
    uint8_t *h = a->hello;
    memset(a, 0, sizeof *a);
    a->config = *config;
    a->config.pool_len &= ~7u;
    h[0] = NM_LINK_MAJOR;
    h[1] = NM_LINK_MINOR;
    h[2] = h[3] = 1;                                           /* image format: lowest, highest major; highest minor */
    nm_wire_put16(h + 4, NM_SEMANTICS);
    nm_wire_put16(h + 6, NM_LINK_PAYLOAD);
    h[8] = NM_LINK_WINDOW;
    nm_wire_put32(h + 12, config->boots);
    nm_wire_put32(h + 16, a->config.pool_len);
    nm_wire_put32(h + 20, config->input_len / 2u);
    nm_wire_put32(h + 24, config->trace_len);
    nm_wire_put32(h + 28, NM_FEATURES_ALL);
    nm_wire_put32(h + 32, config->clock_hz);
    memcpy(h + 44, config->uid, sizeof config->uid);
    put_name(h + 60, config->build);
    put_name(h + 76, config->core);
    put_name(h + 92, config->board);
    nm_link_init(&a->link, &events, a->hello, sizeof a->hello, config->boots);
}

void nm_app_receive(nm_app *a, const uint8_t *bytes, uint32_t len, uint32_t now)
{
    a->time = now;
    nm_link_receive(&a->link, bytes, len, now);
}

static void send_reply(nm_app *a)
{
    const bool last = a->reply.type == NM_MSG_OK && a->reply.bytes[0] == NM_MSG_STOP;
    uint8_t *m;
    if (!a->reply.type || (last && a->run.active) || (m = nm_link_reserve(&a->link)) == NULL)
        return;                                                /* OK to STOP waits for the last message of the run */
    memcpy(m, a->reply.bytes, a->reply.len);
    nm_link_commit(&a->link, a->reply.type, a->reply.len, a->time);
    a->reply.type = 0;
}

bool nm_app_poll(nm_app *a, uint32_t now)
{
    a->time = now;
    send_reply(a);                                             /* first: a trace would take every place in the window */
    send_items(a);
    const bool more = a->run.active && poll_run(a);
    send_reply(a);
    return more;
}
