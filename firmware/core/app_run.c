/* Runs: inputs stream in, steps are done as far as they are there, traces stream out. */
#include "app_internal.h"

#include <string.h>

#include "wire.h"

#define TELL_EVERY 100u                  /* ms between PROGRESS messages while steps go on */
#define LOOK_EVERY 100u                  /* ms between two looks at the link, unless one step takes longer */
#define PACE_REAL 1u
#define PERIOD_MOST 1000000000u

static void begin(nm_app *a, uint32_t steps, uint32_t period)
{
    const uint32_t now = nm_now(a->program.engine);
    memset(&a->run, 0, sizeof a->run);
    a->run.active = true;
    a->run.period = period;
    a->run.batch = a->config.steps_per_poll;
    a->run.target = now + steps;
    a->run.told_at = a->run.clock_at = a->run.polled_at = a->time;
    a->run.told_step = now;
    nm_app_run_begins(a);
}

void nm_app_on_run(nm_app *a, const uint8_t *p, uint16_t n)
{
    const uint32_t steps = nm_wire_get32(p), now = nm_now(a->program.engine);
    const uint32_t period = p[8] && n >= 16 ? nm_wire_get32(p + 12) : 0;
    if (steps == 0 || steps > UINT32_MAX - now || p[8] > PACE_REAL || (p[8] == PACE_REAL) != (period != 0)
        || period > PERIOD_MOST) {
        nm_app_reply_error(a, NM_MSG_RUN, NM_E_ARG, steps, p[8]);
        return;
    }
    begin(a, steps, period);
    a->run.listens = true;
    a->run.watermark = nm_wire_get32(p + 4);
}

/* Without a host, until one stops it or the power goes. */
void nm_app_run_alone(nm_app *a, uint32_t period)
{
    const uint32_t now = nm_now(a->program.engine);
    if (now != UINT32_MAX && period <= PERIOD_MOST)
        begin(a, UINT32_MAX - now, period);
}

void nm_app_on_input(nm_app *a, const uint8_t *p, uint16_t n)
{
    uint32_t len = n - 8u, watermark = nm_wire_get32(p), ahead = nm_wire_get16(p + 4);
    uint8_t *in = a->config.input;
    if (!a->run.active || !a->run.listens || a->run.error)
        return;                                                /* the host learns from what ended the run that it has */
    uint32_t waiting = a->run.tail - a->run.head, room = a->config.input_len / 2u - waiting;
    if (len > room || ahead > len) {
        nm_app_reply_error(a, NM_MSG_INPUT, NM_E_CREDIT, len, room);
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

void nm_app_on_stop(nm_app *a, const uint8_t *p, uint16_t n)
{
    (void)p, (void)n;
    if (a->run.active)
        a->run.target = nm_now(a->program.engine);
    nm_app_reply_ok(a, NM_MSG_STOP, 0);
}

void nm_app_leave_run(nm_app *a)
{
    a->run.listens = false;
    a->run.active &= a->run.period != 0;                       /* pace free waits for its host, real for nobody */
    a->run.trace_head = a->run.trace_len = 0;
    a->run.head = a->run.complete = a->run.tail;               /* the rest of a record will not come */
}

/* Steps that can be done now, up to the next look at the link, or to where the state is saved. */
static uint32_t steps_ready(const nm_app *a)
{
    uint32_t n;
    if (a->run.period) {
        n = nm_app_real_due(a);
    } else {
        const uint32_t now = nm_now(a->program.engine);
        const uint32_t end = a->run.target < a->run.watermark ? a->run.target : a->run.watermark;
        n = end > now && !a->run.error ? end - now : 0;
        n = n < a->run.batch ? n : a->run.batch;
    }
    const uint32_t saved = nm_app_until_saved(a);
    return n < saved ? n : saved;
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
    uint32_t left;
    uint8_t *m;
    while ((left = a->run.trace_len - a->run.trace_head) != 0 && (all || left >= a->link.size)
           && (m = nm_link_reserve(&a->link)) != NULL) {
        const uint32_t n = left < a->link.size ? left : a->link.size;
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
    return (!a->run.period && steps_ready(a) == 0) || used >= a->config.input_len / 8u || a->time - a->run.told_at >= TELL_EVERY;
}

/* The last message of a run says so; until it is on its way the run stays active. */
static void tell(nm_app *a)
{
    const uint32_t now = nm_now(a->program.engine);
    uint8_t *m = nm_link_reserve(&a->link);
    if (!m)
        return;
    if (a->run.error) {
        nm_link_commit(&a->link, NM_MSG_ERROR, nm_app_put_error(m, NM_MSG_RUN, a->run.error, now, 0), a->time);
    } else {
        nm_wire_put32(m, now);
        nm_wire_put32(m + 4, a->run.taken);
        nm_wire_put32(m + 8, over(a) ? NM_STATE_IDLE : NM_STATE_RUNNING);
        nm_wire_put32(m + 12, a->run.dropped);
        nm_link_commit(&a->link, NM_MSG_PROGRESS, 16, a->time);
    }
    a->run.active = !over(a);
    a->run.told_at = a->time;
    a->run.told_step = now;
    a->run.told_taken = a->run.taken;
}

/* Heavy steps must not keep the link from answering. */
static void fit_batch(nm_app *a)
{
    const uint32_t took = a->time - a->run.polled_at;
    a->run.polled_at = a->time;
    if (took >= LOOK_EVERY)
        a->run.batch = a->run.batch > 1u ? a->run.batch / 2u : 1u;
    else if (took < LOOK_EVERY / 2u && a->run.batch < a->config.steps_per_poll)
        a->run.batch++;
}

static void do_steps(nm_app *a)
{
    uint32_t n;
    if (a->run.period) {
        nm_app_real_time(a);
        for (n = steps_ready(a); n && !a->run.error; n--)
            nm_app_real_step(a);
        if (over(a))
            nm_app_real_gap(a);
    } else if ((n = steps_ready(a)) != 0 && trace_fits(a)) {   /* back-pressure: no step while the link takes none */
        run_steps(a, n);
    }
    nm_app_save_if_due(a);
}

bool nm_app_poll_run(nm_app *a)
{
    fit_batch(a);
    do_steps(a);
    if (a->run.listens) {
        /* PROGRESS follows the trace of its step, so the host knows that it has all records up to there. */
        const bool due = must_tell(a), early = a->run.period && !over(a);
        if (due && early)                                      /* at pace real a slow line may never have sent it all */
            tell(a);
        send_trace(a, due || !trace_fits(a));
        if (due && !early && a->run.trace_len == 0)
            tell(a);
    } else {
        a->run.active = !over(a);
    }
    return a->run.active && steps_ready(a) != 0 && (a->run.period || trace_fits(a));
}

uint32_t nm_app_wait_run(const nm_app *a)
{
    if (!a->run.active || !a->run.period)
        return NM_LINK_NEVER;
    return a->run.owed < a->run.period ? (a->run.period - a->run.owed) >> 10 : 0;   /* a little less than 1/1000 */
}
