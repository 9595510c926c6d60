/* What the files app*.c share: each concern has its own (programs, state, runs); app.c dispatches. */
#ifndef NM_APP_INTERNAL_H
#define NM_APP_INTERNAL_H
#include "app.h"

/* One answer waits at most, as the host asks one thing at a time. */
uint8_t *nm_app_reply(nm_app *a, uint8_t type, uint16_t len);
void nm_app_reply_ok(nm_app *a, uint8_t request, uint32_t value);
void nm_app_reply_error(nm_app *a, uint8_t request, int code, uint32_t x, uint32_t y);
void nm_app_reply_result(nm_app *a, uint8_t request, int code);
uint16_t nm_app_put_error(uint8_t *p, uint8_t request, int code, uint32_t x, uint32_t y);

/* Handlers of requests: payload and its length, which the dispatcher has found long enough. */
typedef void nm_app_handler(nm_app *a, const uint8_t *p, uint16_t n);

/* app_program.c */
nm_app_handler nm_app_on_stage, nm_app_on_data, nm_app_on_load, nm_app_on_unload;
uint32_t nm_app_free_len(const nm_app *a);                     /* bytes of the pool that the program leaves */
/* Replace the program by a verified image; need: bytes needed (or used), bytes free. */
int nm_app_install(nm_app *a, const uint8_t *image, uint32_t len, uint32_t taken, const nm_report *report, uint32_t need[2]);
int nm_app_verify(const nm_app *a, const uint8_t *image, uint32_t len, nm_report *report);     /* by this board's limits */
uint8_t *nm_app_free(const nm_app *a);                         /* the part itself, if there is no program: all of it */
bool nm_app_staged(nm_app *a, uint8_t request);                /* all announced bytes are here; else answers why not */

/* app_state.c */
nm_app_handler nm_app_on_read, nm_app_on_write, nm_app_on_seek, nm_app_on_restart;
void nm_app_send_items(nm_app *a);

/* app_run.c */
nm_app_handler nm_app_on_run, nm_app_on_input, nm_app_on_stop;
void nm_app_leave_run(nm_app *a);                              /* the host has gone */
bool nm_app_poll_run(nm_app *a);
uint32_t nm_app_wait_run(const nm_app *a);                     /* milliseconds until a step is due */

void nm_app_run_alone(nm_app *a, uint32_t period);

/* app_store.c */
nm_app_handler nm_app_on_store, nm_app_on_save, nm_app_on_confirm, nm_app_on_forget, nm_app_on_get_store;
void nm_app_start_stored(nm_app *a);                           /* what the store says is to run */
bool nm_app_poll_store(nm_app *a);                             /* true: something is being written, nothing else happens */
bool nm_app_writing(const nm_app *a);
void nm_app_leave_store(nm_app *a);                            /* the host has gone */
void nm_app_run_begins(nm_app *a);
uint32_t nm_app_until_saved(const nm_app *a);                  /* steps to the next saving */
void nm_app_save_if_due(nm_app *a);
void nm_app_program_gone(nm_app *a);                           /* another one takes its place, or none */

/* app_pace.c: pace real */
uint32_t nm_app_real_due(const nm_app *a);                     /* steps that the clock asks for, one batch at most */
void nm_app_real_time(nm_app *a);                              /* take note of the time */
void nm_app_real_step(nm_app *a);
void nm_app_real_gap(nm_app *a);                               /* say at the end of a run what was dropped last */

#endif
