/* The main loop, the same on every board. */
#include <string.h>

#include "app.h"
#include "board.h"
#include "port.h"

#if __has_include("build_id.h")
#include "build_id.h"             /* written by firmware/build.py: a hash of all sources */
#else
#define NM_BUILD_ID "unknown"
#endif

#ifndef NM_RECEIVE_BYTES
#define NM_RECEIVE_BYTES 1024u    /* taken from the line at a time */
#endif

/* How fast the core is, for deadlines: two cycles for an instruction, as loads and branches take more than one. */
#ifndef NM_PER_US
#define NM_PER_US (NM_CLOCK_HZ / 2000000u)
#endif
#if defined(__ARM_ARCH_6M__) && NM_PER_US > 0
static const nm_speed speed = {NM_PER_US, NM_COSTS_M0};
#define NM_SPEED &speed
#elif defined(__arm__) && NM_PER_US > 0
static const nm_speed speed = {NM_PER_US, NM_COSTS_M4};
#define NM_SPEED &speed
#else
#define NM_SPEED NULL             /* no clock, or nothing was counted on such a core */
#endif

static nm_app app;
static uint64_t input[NM_INPUT_BYTES / 8u];
static uint8_t received[NM_RECEIVE_BYTES], wire[NM_WIRE_MAX];

static volatile bool power_fails;

void nm_power_fails(void) { power_fails = true; }

__attribute__((weak)) void nm_sense(nm_engine *engine) { (void)engine; }
__attribute__((weak)) void nm_act(const nm_engine *engine) { (void)engine; }

static void start(void)
{
    nm_app_config config = {
        .board = NM_BOARD_NAME, .core = NM_CORE_NAME, .build = NM_BUILD_ID, .clock_hz = NM_CLOCK_HZ,
        .input = (uint8_t *)input, .input_len = sizeof input, .trace_len = NM_TRACE_BYTES,
        .steps_per_poll = NM_STEPS_PER_POLL, .stack_used = nm_port_stack_used, .speed = NM_SPEED,
        .sense = nm_sense, .act = nm_act,
    };
    nm_port_board board = {0};
    nm_port_init(&board);
#if NM_STORE
    const nm_port_flash flash = nm_port_flash_info();
    const nm_flash stored = {flash.base, flash.size, flash.sector, flash.page, nm_port_flash_erase, nm_port_flash_write};
    config.flash = stored;
#endif
    config.cause = board.cause;
    config.now = nm_port_millis();
    memcpy(config.uid, board.uid, sizeof board.uid);
    config.boots = board.boots;
    config.pool = board.pool;
    config.pool_len = board.pool_len;
    nm_app_init(&app, &config);
}

void nm_main(void)
{
    uint32_t wire_at = 0, wire_len = 0;
    start();
    for (;;) {
        uint32_t now = nm_port_millis(), n = nm_port_read(received, sizeof received);
        uint32_t framing, overrun;
        nm_port_line_errors(&framing, &overrun);
        nm_link_line_errors(&app.link, framing, overrun);
        nm_app_receive(&app, received, n, now);
        if (power_fails) {
            power_fails = false;
            nm_app_power_fails(&app);
        }
        bool more = nm_app_poll(&app, now) || n == sizeof received;
        do {
            if (wire_at == wire_len) {
                wire_len = nm_link_transmit(&app.link, wire, now);
                wire_at = 0;
            }
            wire_at += nm_port_write(wire + wire_at, wire_len - wire_at);
        } while (wire_len && wire_at == wire_len);
        nm_port_wait(more ? 0 : nm_app_wait(&app, now));
    }
}
