/* What the board keeps for the time without power: programs, what they have learned, and what to do at the next start. */
#include "app_internal.h"

#include <string.h>

#include "wire.h"

#if NM_STORE

#define TRY 1u
#define CONFIRM 2u

/* ---- which of the stored images is the program that is loaded ---- */

static const nm_stored_image *stored(const nm_app *a)
{
    for (uint32_t k = NM_STORE_CANDIDATE; k <= NM_STORE_CURRENT && a->program.engine; k++)
        if (a->store.image[k].number && nm_store_named(&a->store, &a->store.image[k].object, a->program.image + 96))
            return a->store.image + k;
    return NULL;
}

static const nm_stored_state *newest(const nm_app *a, const nm_stored_image *image)
{
    const nm_stored_state *found = NULL;
    for (uint32_t k = 0; k < NM_STORE_STATES; k++)
        if (image->number && a->store.state[k].object.len && a->store.state[k].object.key == image->object.key)
            found = a->store.state + k;
    return found;
}

static void tell(nm_app *a)
{
    const nm_stored_image *image = a->store.image + NM_STORE_CURRENT;
    const nm_stored_state *state = newest(a, image);
    a->keep.flags = (uint8_t)((a->keep.flags & ~(unsigned)(NM_KEPT_IMAGE | NM_KEPT_SAVES)) | (image->number ? NM_KEPT_IMAGE : 0u)
                              | (image->every ? NM_KEPT_SAVES : 0u));
    a->hello[37] = a->keep.flags;
    nm_wire_put32(a->hello + 40, state ? state->step : 0);
    nm_wire_put32(a->hello + 108, image->number ? image->object.key : 0);
}

/* ---- starting ---- */

/* A copy in RAM is faster than most flash; where there is no room for both, the image stays where it is. */
static int install(nm_app *a, const nm_object *o, const nm_report *report)
{
    const uint8_t *image = nm_store_bytes(&a->store, o);
    const uint32_t taken = (o->len + 7u) & ~UINT32_C(7);
    uint32_t need[2];
    uint8_t *const copy = nm_app_free(a);
    int code = NM_E_CAPACITY;
    if (taken <= a->config.pool_len) {
        memcpy(copy, image, o->len);
        code = nm_app_install(a, copy, o->len, taken, report, need);
    }
    (void)nm_app_free(a);
    if (code == NM_E_CAPACITY && (code = nm_app_install(a, image, o->len, 0, report, need)) == NM_OK)
        a->store.pinned = *o;
    return code;
}

static void resume(nm_app *a, const nm_object *image)
{
    for (uint32_t k = NM_STORE_STATES; k-- > 0;) {
        const nm_object *o = &a->store.state[k].object;
        const uint8_t *state = nm_store_bytes(&a->store, o);
        if (!o->len || o->key != image->key)
            continue;
        if (nm_store_named(&a->store, o, state + 64) && nm_restore(a->program.engine, state, o->len) == NM_OK) {
            a->keep.flags |= NM_KEPT_RESUMED;
            return;
        }
        a->keep.flags |= NM_KEPT_DAMAGED;
    }
}

static bool start(nm_app *a, uint32_t which)
{
    const nm_stored_image image = a->store.image[which];
    const uint8_t *bytes = nm_store_bytes(&a->store, &image.object);
    nm_report report;
    if (!image.number)
        return false;
    if (!nm_store_named(&a->store, &image.object, bytes + 96) || nm_app_verify(a, bytes, image.object.len, &report) < 0) {
        a->keep.flags |= NM_KEPT_DAMAGED;
        return false;
    }
    if (install(a, &image.object, &report) < 0)
        return false;                                          /* stored by a firmware that left it more memory */
    a->keep.flags |= NM_KEPT_STARTED;
    resume(a, &image.object);
    if (image.period)
        nm_app_run_alone(a, image.period);
    return true;
}

/* A candidate is tried once: who was not confirmed by the next start is rejected. What cannot be noted is not tried. */
static bool start_candidate(nm_app *a)
{
    const nm_stored_image *candidate = a->store.image + NM_STORE_CANDIDATE;
    if (!candidate->number || !(candidate->flags & NM_STORE_TRY))
        return false;
    if (!(candidate->flags & NM_STORE_TRIED) && nm_store_mark(&a->store, NM_STORE_TRIED) == NM_STORE_DONE
        && start(a, NM_STORE_CANDIDATE)) {
        a->keep.flags |= NM_KEPT_TRIAL;
        return true;
    }
    (void)nm_store_reject(&a->store, NM_STORE_CANDIDATE);      /* if that fails: tried, and so rejected at the next start */
    a->keep.flags |= NM_KEPT_REVERTED;
    return false;
}

void nm_app_start_stored(nm_app *a)
{
    if (!nm_store_open(&a->store, &a->config.flash))
        return;
    a->keep.flags = NM_KEPT_FLASH;
    if (!start_candidate(a) && !start(a, NM_STORE_CURRENT)) {
        const bool gone = (a->keep.flags & NM_KEPT_DAMAGED) && nm_store_reject(&a->store, NM_STORE_CURRENT) == NM_STORE_DONE;
        (void)start(a, gone ? NM_STORE_CURRENT : NM_STORE_PREVIOUS);
    }
    if (a->store.damaged)
        a->keep.flags |= NM_KEPT_DAMAGED;
    tell(a);
}

/* ---- writing, an operation at each poll ---- */

static void image_bytes(const void *context, uint32_t offset, uint32_t len, uint8_t *out)
{
    memcpy(out, ((const nm_app *)context)->program.image + offset, len);
}

static void state_bytes(const void *context, uint32_t offset, uint32_t len, uint8_t *out)
{
    nm_save(((const nm_app *)context)->program.engine, offset, len, out);
}

static int begin_state(nm_app *a)
{
    const nm_engine *e = a->program.engine;
    if (!stored(a))
        return NM_E_STORE;
    return nm_store_state(&a->store, nm_save_size(e), nm_wire_get32(a->program.image + 64), state_bytes, a);
}

/* Answer who asked, at the end; a program is there, as only one can be stored. */
static void ended(nm_app *a, int code)
{
    const uint8_t request = a->keep.request;
    const nm_engine *e = a->program.engine;
    const uint32_t size = request == NM_MSG_STORE ? a->program.image_len : nm_save_size(e);
    a->keep.request = 0;
    a->keep.failed = (uint16_t)(a->keep.failed + (code < 0 && a->keep.failed < UINT16_MAX));
    tell(a);
    if (request && code < 0)
        nm_app_reply_error(a, request, code, size, nm_store_largest(&a->store));
    else if (request)
        nm_app_reply_ok(a, request, request == NM_MSG_STORE ? size : nm_now(e));
}

bool nm_app_writing(const nm_app *a) { return a->store.job.kind != 0; }

bool nm_app_poll_store(nm_app *a)
{
    if (!nm_app_writing(a))
        return false;
    const int code = nm_store_poll(&a->store);
    if (code != NM_STORE_BUSY)
        ended(a, code);
    return true;
}

void nm_app_leave_store(nm_app *a) { a->keep.request = 0; }

void nm_app_program_gone(nm_app *a) { memset(&a->store.pinned, 0, sizeof a->store.pinned); }

/* ---- saving by itself ---- */

void nm_app_run_begins(nm_app *a)
{
    const nm_stored_image *image = stored(a);
    a->keep.every = image ? image->every : 0;
    a->keep.next = nm_now(a->program.engine) + a->keep.every;
}

uint32_t nm_app_until_saved(const nm_app *a)
{
    return a->keep.every ? a->keep.next - nm_now(a->program.engine) : UINT32_MAX;
}

void nm_app_save_if_due(nm_app *a)
{
    if (!a->keep.every || nm_now(a->program.engine) != a->keep.next)
        return;
    a->keep.next += a->keep.every;
    const int code = begin_state(a);
    if (code < 0)
        ended(a, code);
}

void nm_app_power_fails(nm_app *a)
{
    a->store.job.kind = 0;                                     /* what is not there by now will not be */
    a->keep.request = 0;
    if (!a->program.engine || begin_state(a) < 0)
        return;
    while (nm_app_poll_store(a))
        ;
}

/* ---- requests ---- */

/* The answer comes when it is written. */
static void wait_for(nm_app *a, uint8_t request, int code)
{
    a->keep.request = request;
    if (code != NM_STORE_BUSY)
        ended(a, code);
}

/* The same bytes need not be written again, and the same with the same orders not even be noted. */
void nm_app_on_store(nm_app *a, const uint8_t *p, uint16_t n)
{
    const uint32_t period = nm_wire_get32(p), every = nm_wire_get32(p + 4);
    const nm_stored_image *same = stored(a);
    int code = NM_STORE_DONE;
    (void)n;
    if (same && (same->object.len != a->program.image_len
                 || memcmp(nm_store_bytes(&a->store, &same->object), a->program.image, same->object.len) != 0))
        same = NULL;                                           /* damaged */
    if (same == a->store.image + NM_STORE_CURRENT && a->store.image[NM_STORE_CANDIDATE].number)
        code = nm_store_reject(&a->store, NM_STORE_CANDIDATE); /* what was to come is not wanted any more */
    if (code == NM_STORE_DONE && !same)
        code = nm_store_image(&a->store, a->program.image_len, image_bytes, a, period, every);
    else if (code == NM_STORE_DONE && (same->period != period || same->every != every))
        code = nm_store_again(&a->store, same, period, every);
    wait_for(a, NM_MSG_STORE, code);
}

void nm_app_on_save(nm_app *a, const uint8_t *p, uint16_t n)
{
    (void)p, (void)n;
    wait_for(a, NM_MSG_SAVE, begin_state(a));
}

/* Twice the same changes nothing: a host whose answer was lost asks again. */
void nm_app_on_confirm(nm_app *a, const uint8_t *p, uint16_t n)
{
    const bool candidate = a->store.image[NM_STORE_CANDIDATE].number != 0;
    const nm_stored_image *previous = a->store.image + NM_STORE_PREVIOUS;
    int code = NM_E_ARG;
    (void)n;
    if (p[0] == 0 && !candidate && previous->number && previous->counter < a->store.counter) {
        nm_app_reply_error(a, NM_MSG_CONFIRM, NM_E_IMAGE, 11, a->store.counter);   /* it would not start any more */
        return;
    }
    if (p[0] == 0)
        code = nm_store_reject(&a->store, candidate ? NM_STORE_CANDIDATE : NM_STORE_CURRENT);
    else if (p[0] == TRY || p[0] == CONFIRM)
        code = candidate ? nm_store_mark(&a->store, p[0] == TRY ? NM_STORE_TRY : NM_STORE_CONFIRMED)
             : a->store.image[NM_STORE_CURRENT].number ? NM_STORE_DONE : NM_E_STORE;
    if (p[0] == CONFIRM && code == NM_STORE_DONE)
        a->keep.flags &= (uint8_t)~(unsigned)NM_KEPT_TRIAL;
    tell(a);
    nm_app_reply_result(a, NM_MSG_CONFIRM, code);
}

void nm_app_on_forget(nm_app *a, const uint8_t *p, uint16_t n)
{
    (void)p, (void)n;
    const int code = nm_store_forget(&a->store);
    tell(a);
    nm_app_reply_result(a, NM_MSG_FORGET, code);
}

void nm_app_on_get_store(nm_app *a, const uint8_t *p, uint16_t n)
{
    uint8_t *r = nm_app_reply(a, NM_MSG_STORED, 120);
    (void)p, (void)n;
    r[0] = a->keep.flags;
    r[1] = a->config.cause;
    nm_wire_put16(r + 2, a->keep.failed);
    nm_wire_put32(r + 4, a->store.flash.base ? a->store.flash.size : 0);
    nm_wire_put32(r + 8, a->store.flash.sector);
    nm_wire_put32(r + 12, nm_store_largest(&a->store));
    nm_wire_put32(r + 16, a->store.erases);
    nm_wire_put32(r + 20, a->store.damaged);
    for (uint32_t k = 0; k < NM_STORE_IMAGES; k++) {
        const nm_stored_image *image = a->store.image + k;
        const nm_stored_state *state = newest(a, image);
        uint8_t *q = r + 24 + 32 * k;
        if (!image->number)
            continue;
        nm_wire_put32(q, image->object.len);
        nm_wire_put32(q + 4, image->period);
        nm_wire_put32(q + 8, image->every);
        nm_wire_put32(q + 12, state ? state->step : 0);
        q[16] = (uint8_t)image->flags;
        for (uint32_t j = 0; j < NM_STORE_STATES; j++)
            q[17] = (uint8_t)(q[17] + (a->store.state[j].object.len && a->store.state[j].object.key == image->object.key));
        memcpy(q + 20, nm_store_bytes(&a->store, &image->object) + 64, 12);
    }
}

#else                                    /* a board that keeps nothing says so */

void nm_app_start_stored(nm_app *a) { (void)a; }
bool nm_app_poll_store(nm_app *a) { (void)a; return false; }
bool nm_app_writing(const nm_app *a) { (void)a; return false; }
void nm_app_leave_store(nm_app *a) { (void)a; }
void nm_app_program_gone(nm_app *a) { (void)a; }
void nm_app_run_begins(nm_app *a) { (void)a; }
uint32_t nm_app_until_saved(const nm_app *a) { (void)a; return UINT32_MAX; }
void nm_app_save_if_due(nm_app *a) { (void)a; }
void nm_app_power_fails(nm_app *a) { (void)a; }

static void refuse(nm_app *a, uint8_t request) { nm_app_reply_error(a, request, NM_E_STORE, 0, 0); }

void nm_app_on_store(nm_app *a, const uint8_t *p, uint16_t n) { (void)p, (void)n, refuse(a, NM_MSG_STORE); }
void nm_app_on_save(nm_app *a, const uint8_t *p, uint16_t n) { (void)p, (void)n, refuse(a, NM_MSG_SAVE); }
void nm_app_on_confirm(nm_app *a, const uint8_t *p, uint16_t n) { (void)p, (void)n, refuse(a, NM_MSG_CONFIRM); }
void nm_app_on_forget(nm_app *a, const uint8_t *p, uint16_t n) { (void)p, (void)n, refuse(a, NM_MSG_FORGET); }

void nm_app_on_get_store(nm_app *a, const uint8_t *p, uint16_t n)
{
    (void)p, (void)n;
    nm_app_reply(a, NM_MSG_STORED, 120)[1] = a->config.cause;
}

#endif
