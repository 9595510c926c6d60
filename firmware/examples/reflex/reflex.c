/* A network in a loop of its own: a sensor feeds it, its spikes drive an output, and it learns, without any host.
 *
 * `reflex` prints a line when the motor moves; sensor.c is its world. On a board, main() waits for the next millisecond
 * before each step.
 *
 *     python firmware/examples/embed.py firmware/examples/reflex/network.py build/reflex.h
 *     cc -Ibuild -Ifirmware/core firmware/examples/reflex/{reflex,sensor}.c firmware/core/<all but app, cobs, link>.c */
#include <stdio.h>

#include "nm.h"
#include "reflex.h"                      /* the program: written by embed.py */
#include "sensor.h"

#define ARENA_BYTES 8192u

static uint64_t arena[ARENA_BYTES / 8u];

int main(void)
{
    nm_report report;
    nm_engine *engine;
    if (nm_verify(program, sizeof program, NULL, &report) < 0) {
        fprintf(stderr, "rule R%u, byte %u\n", (unsigned)report.rule, (unsigned)report.offset);
        return 1;
    }
    if (report.arena > sizeof arena || nm_init(&engine, program, sizeof program, arena, sizeof arena) < 0) {
        fprintf(stderr, "%u bytes of arena are needed\n", (unsigned)report.arena);
        return 1;
    }
    for (uint32_t step = 1; step <= 6500; step++) {
        nm_sense(engine);
        if (nm_step(engine) < 0)
            return 1;
        nm_act(engine);
    }
    return 0;
}
