#include "app_internal.h"

#include <string.h>

#include "wire.h"

/* ---- answers: one waits at most, as the host asks one thing at a time ---- */

uint8_t *nm_app_reply(nm_app *a, uint8_t type, uint16_t len)
{
    a->reply.type = type;
    a->reply.len = len;
    memset(a->reply.bytes, 0, sizeof a->reply.bytes);
    return a->reply.bytes;
}

void nm_app_reply_ok(nm_app *a, uint8_t request, uint32_t value)
{
    uint8_t *p = nm_app_reply(a, NM_MSG_OK, 8);
    p[0] = request;
    nm_wire_put32(p + 4, value);
}

uint16_t nm_app_put_error(uint8_t *p, uint8_t request, int code, uint32_t x, uint32_t y)
{
    p[0] = request;
    p[1] = (uint8_t)code;
    p[2] = p[3] = 0;
    nm_wire_put32(p + 4, x);
    nm_wire_put32(p + 8, y);
    return 12;
}

void nm_app_reply_error(nm_app *a, uint8_t request, int code, uint32_t x, uint32_t y)
{
    nm_app_put_error(nm_app_reply(a, NM_MSG_ERROR, 12), request, code, x, y);
}

void nm_app_reply_result(nm_app *a, uint8_t request, int code)
{
    if (code < 0)
        nm_app_reply_error(a, request, code, 0, 0);
    else
        nm_app_reply_ok(a, request, 0);
}

/* ---- what the board is doing ---- */

static void on_get_status(nm_app *a, const uint8_t *p, uint16_t n)
{
    const nm_program *g = &a->program;
    (void)p, (void)n;
    uint8_t *r = nm_app_reply(a, NM_MSG_STATUS, 68);
    r[0] = (uint8_t)(!g->engine ? NM_STATE_EMPTY : a->run.active ? NM_STATE_RUNNING : NM_STATE_IDLE);
    nm_wire_put32(r + 8, nm_app_free_len(a));
    if (!g->engine)
        return;
    nm_wire_put32(r + 4, nm_now(g->engine));
    nm_wire_put32(r + 12, g->image_len);
    nm_wire_put32(r + 16, g->arena_len);
    nm_wire_put32(r + 20, g->trace_cap);
    nm_wire_put32(r + 24, nm_record_bound(g->engine));
    nm_wire_put32(r + 28, nm_items(g->engine));
    memcpy(r + 32, g->image + 64, 32);                         /* logical digest, docs/image.md 1 */
    nm_wire_put32(r + 64, g->step_us);
}

static void on_get_counters(nm_app *a, const uint8_t *p, uint16_t n)
{
    nm_counters c = {0, 0, 0};
    uint32_t link[NM_LINK_COUNTERS];
    (void)p, (void)n;
    if (a->program.engine)
        nm_get_counters(a->program.engine, &c);
    const uint64_t work[3] = {c.spikes, c.synaptic_events, c.plastic_updates};
    uint8_t *r = nm_app_reply(a, NM_MSG_COUNTERS, 44u + sizeof link);
    for (uint32_t i = 0; i < 3; i++) {
        nm_wire_put32(r + 8 * i, (uint32_t)work[i]);
        nm_wire_put32(r + 8 * i + 4, (uint32_t)(work[i] >> 32));
    }
    nm_wire_put32(r + 24, a->config.stack_used ? a->config.stack_used() : 0u);
    nm_wire_put32(r + 28, a->pace.recorded);
    nm_wire_put32(r + 32, a->pace.dropped);
    nm_wire_put32(r + 36, a->pace.late);
    nm_wire_put32(r + 40, a->pace.overruns);
    memcpy(link, &a->link.count, sizeof link);
    for (uint32_t i = 0; i < NM_LINK_COUNTERS; i++)
        nm_wire_put32(r + 44 + 4 * i, link[i]);
}

/* ---- dispatch ---- */

enum { IDLE = 1, PROGRAM = 2 };                                /* what a request needs */

typedef struct {
    nm_app_handler *handle;
    uint8_t least, needs;                                      /* bytes of payload; flags */
} request;

static const request requests[NM_MSG_REQUESTS_END - NM_LINK_SEQUENCED] = {
    [NM_MSG_GET_STATUS - NM_LINK_SEQUENCED] = {on_get_status, 0, 0},
    [NM_MSG_STAGE - NM_LINK_SEQUENCED] = {nm_app_on_stage, 36, IDLE},
    [NM_MSG_DATA - NM_LINK_SEQUENCED] = {nm_app_on_data, 4, IDLE},
    [NM_MSG_LOAD - NM_LINK_SEQUENCED] = {nm_app_on_load, 0, IDLE},
    [NM_MSG_UNLOAD - NM_LINK_SEQUENCED] = {nm_app_on_unload, 0, IDLE},
    [NM_MSG_RUN - NM_LINK_SEQUENCED] = {nm_app_on_run, 12, IDLE | PROGRAM},
    [NM_MSG_INPUT - NM_LINK_SEQUENCED] = {nm_app_on_input, 8, PROGRAM},
    [NM_MSG_STOP - NM_LINK_SEQUENCED] = {nm_app_on_stop, 0, 0},
    [NM_MSG_READ - NM_LINK_SEQUENCED] = {nm_app_on_read, 12, IDLE | PROGRAM},
    [NM_MSG_WRITE - NM_LINK_SEQUENCED] = {nm_app_on_write, 8, IDLE | PROGRAM},
    [NM_MSG_SEEK - NM_LINK_SEQUENCED] = {nm_app_on_seek, 4, IDLE | PROGRAM},
    [NM_MSG_RESTART - NM_LINK_SEQUENCED] = {nm_app_on_restart, 0, IDLE | PROGRAM},
    [NM_MSG_GET_COUNTERS - NM_LINK_SEQUENCED] = {on_get_counters, 0, 0},
    [NM_MSG_STORE - NM_LINK_SEQUENCED] = {nm_app_on_store, 8, IDLE | PROGRAM},
    [NM_MSG_SAVE - NM_LINK_SEQUENCED] = {nm_app_on_save, 0, PROGRAM},
    [NM_MSG_CONFIRM - NM_LINK_SEQUENCED] = {nm_app_on_confirm, 1, 0},
    [NM_MSG_FORGET - NM_LINK_SEQUENCED] = {nm_app_on_forget, 0, IDLE},
    [NM_MSG_GET_STORE - NM_LINK_SEQUENCED] = {nm_app_on_get_store, 0, 0},
};

static bool on_message(void *ctx, uint8_t type, const uint8_t *payload, uint16_t len)
{
    nm_app *a = ctx;
    if (a->reply.type || nm_app_writing(a))
        return false;                                          /* one after the other: there is room for one answer */
    if (type >= NM_MSG_REQUESTS_END) {
        nm_app_reply_error(a, type, NM_E_UNSUPPORTED, 0, 0);
        return true;
    }
    const request *r = &requests[type - NM_LINK_SEQUENCED];
    if (len < r->least)
        nm_app_reply_error(a, type, NM_E_MESSAGE, len, r->least);
    else if ((r->needs & IDLE) && (a->run.active || a->read.next != a->read.end))
        nm_app_reply_error(a, type, NM_E_BUSY, 0, 0);
    else if ((r->needs & PROGRAM) && !a->program.engine)
        nm_app_reply_error(a, type, NM_E_PROGRAM, 0, 0);
    else
        r->handle(a, payload, len);
    return true;
}

/* A new host must not get what was meant for the last one. The program keeps its state and its step,
 * and a run at pace real goes on. */
static void on_session(void *ctx, uint16_t session)
{
    nm_app *a = ctx;
    (void)session;
    nm_app_leave_run(a);
    nm_app_leave_store(a);
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
    a->time = config->now;
    a->config.pool_len &= ~UINT32_C(7);
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
    h[36] = config->cause;
    memcpy(h + 44, config->uid, sizeof config->uid);
    put_name(h + 60, config->build);
    put_name(h + 76, config->core);
    put_name(h + 92, config->board);
    nm_link_init(&a->link, &events, a->hello, sizeof a->hello, config->boots);
    nm_app_start_stored(a);
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

/* Answer, then take what waited for that. */
static void answer(nm_app *a)
{
    do
        send_reply(a);
    while (nm_link_deliver(&a->link));
}

bool nm_app_poll(nm_app *a, uint32_t now)
{
    a->time = now;
    answer(a);                                                 /* first: a trace would take every place in the window */
    if (nm_app_poll_store(a))
        return true;
    nm_app_send_items(a);
    const bool more = a->run.active && nm_app_poll_run(a);
    answer(a);
    return more;
}

uint32_t nm_app_wait(const nm_app *a, uint32_t now)
{
    const uint32_t link = nm_link_wait(&a->link, now), run = nm_app_wait_run(a);
    return link < run ? link : run;
}
