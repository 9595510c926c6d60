/* What a board does for its host: take programs, run them, stream inputs and traces, give and take states.
 *
 * Sits between the link and the engine, and like both it has no I/O of its own: the port's main loop passes bytes and
 * the time in, and calls nm_app_poll as long as it returns true. Messages: docs/link.md, 4. */
#ifndef NM_APP_H
#define NM_APP_H
#include "link.h"
#include "nm.h"
#include "store.h"

/* Requests (host to board) and answers (board to host). */
enum {
    NM_MSG_GET_STATUS = 16, NM_MSG_STAGE, NM_MSG_DATA, NM_MSG_LOAD, NM_MSG_UNLOAD, NM_MSG_RUN, NM_MSG_INPUT,
    NM_MSG_STOP, NM_MSG_READ, NM_MSG_WRITE, NM_MSG_SEEK, NM_MSG_RESTART, NM_MSG_GET_COUNTERS, NM_MSG_STORE, NM_MSG_SAVE,
    NM_MSG_CONFIRM, NM_MSG_FORGET, NM_MSG_GET_STORE, NM_MSG_REQUESTS_END,
    NM_MSG_OK = 64, NM_MSG_ERROR, NM_MSG_STATUS, NM_MSG_PROGRESS, NM_MSG_TRACE, NM_MSG_ITEM, NM_MSG_COUNTERS, NM_MSG_STORED
};

/* Codes of ERROR beside those of nm.h and store.h; a and b are its details. */
enum {
    NM_E_UNSUPPORTED = -16,   /* unknown request */
    NM_E_MESSAGE = -17,       /* too short, or fields that contradict each other */
    NM_E_BUSY = -18,          /* not while the program runs */
    NM_E_PROGRAM = -19,       /* no program is loaded */
    NM_E_STAGED = -21,        /* a: bytes that have arrived, b: bytes announced */
    NM_E_CREDIT = -22         /* a: bytes sent, b: bytes of input that were free */
};

enum { NM_STATE_EMPTY, NM_STATE_IDLE, NM_STATE_RUNNING };

/* What HELLO says of the store. */
enum { NM_KEPT_FLASH = 1, NM_KEPT_IMAGE = 2, NM_KEPT_STARTED = 4, NM_KEPT_TRIAL = 8, NM_KEPT_REVERTED = 16,
       NM_KEPT_RESUMED = 32, NM_KEPT_DAMAGED = 64, NM_KEPT_SAVES = 128 };

#ifndef NM_STORE
#define NM_STORE 0u                     /* 1: this board keeps images and states in flash */
#endif

#define NM_APP_HELLO 112u
#define NM_APP_REPLY 128u               /* the longest answer; NM_LINK_PAYLOAD_LEAST holds it */

typedef struct {
    const char *board, *core, *build;    /* at most 15 characters each */
    uint8_t uid[16];
    uint32_t boots, clock_hz;
    uint8_t *pool;                       /* 8-aligned: all programs live here */
    uint32_t pool_len;
    uint8_t *input;
    uint32_t input_len;                  /* the host may fill half of it ahead */
    uint32_t trace_len;                  /* trace buffer wanted for a program */
    uint32_t steps_per_poll;
    uint32_t (*stack_used)(void);        /* most bytes of stack ever used, or NULL */
    const nm_speed *speed;               /* of this core, or NULL: deadlines are not checked */
    nm_flash flash;                      /* for what is stored; base NULL: none */
    uint8_t cause;                       /* why the board started: docs/link.md, 2 */
    uint32_t now;                        /* milliseconds, as nm_app_poll will get them */
    /* The world, of each step at pace real, with a host or without; NULL: none. `sense` comes before the step and injects
     * spikes (into inputs that the host leaves alone), `act` after it and looks at its spikes. */
    void (*sense)(nm_engine *engine);
    void (*act)(const nm_engine *engine);
} nm_app_config;

/* A program takes one end of the pool, the next one is built at the other end, and only then replaces it:
 *
 *     | image | arena | trace |   free: staged bytes      |     or     |   free    | trace | arena | image |
 */
typedef struct {
    nm_engine *engine;                   /* NULL: none */
    const uint8_t *image;
    uint32_t image_len, arena_len;
    uint32_t step_us;                    /* of its worst step; 0: not known */
    uint8_t *low, *high;                 /* the part of the pool it takes */
    uint8_t *trace;
    uint32_t trace_cap;
} nm_program;

typedef struct {
    nm_app_config config;
    nm_link link;
    uint32_t time;
    uint8_t hello[NM_APP_HELLO];
    nm_program program;

    struct {
        uint8_t *at;
        uint32_t len, got;
        uint8_t key[32];
    } stage;

    struct {
        bool active, listens;            /* listens: the host that asked for the run is there to take its trace */
        bool gap;                        /* records were dropped since the last one that was kept */
        int error;
        uint32_t period, owed, clock_at; /* pace real: microseconds of a step, not yet stepped; time of the last look */
        uint32_t batch, polled_at;       /* steps between two looks at the link, so that none takes long */
        uint32_t target, watermark;      /* last step asked for; last step whose inputs are all here */
        uint32_t head, complete, tail;   /* input: [head, complete) belongs to steps up to the watermark */
        uint32_t taken;                  /* input bytes used since the run began */
        uint32_t trace_head, trace_len;  /* records that wait to be sent */
        uint32_t dropped;                /* steps of this run whose records had no room */
        uint32_t told_at, told_step, told_taken;
    } run;

    struct {
        uint32_t recorded, dropped;      /* steps whose records were kept for the host, had no room */
        uint32_t late, overruns;         /* input records after their step; steps that began a period late */
    } pace;                              /* of runs at pace real, since the program was loaded */

    struct {
        uint16_t item;
        uint8_t width;
        uint32_t next, end;
    } read;

    struct {
        uint8_t type;                    /* 0: none */
        uint16_t len;
        uint8_t bytes[NM_APP_REPLY];
    } reply;

#if NM_STORE
    nm_store store;
    struct {
        uint8_t flags, request;          /* of HELLO; what waits for the end of writing, 0: nobody */
        uint16_t failed;                 /* savings that did not work */
        uint32_t every, next;            /* of a run: steps between savings (0: none), step of the next one */
    } keep;
#endif
} nm_app;

void nm_app_init(nm_app *app, const nm_app_config *config);
void nm_app_receive(nm_app *app, const uint8_t *bytes, uint32_t len, uint32_t now);

/* Do what can be done now; true if there is more to do without waiting for the link. */
bool nm_app_poll(nm_app *app, uint32_t now);

/* The power is about to fail: save the state now, if the program is stored. */
void nm_app_power_fails(nm_app *app);

/* Milliseconds that a port may wait for a byte before the next poll. */
uint32_t nm_app_wait(const nm_app *app, uint32_t now);

#endif
