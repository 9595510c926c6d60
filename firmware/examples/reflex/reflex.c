/* A network in a loop of its own: a sensor feeds it, its spikes drive an output, and it learns, without any host.
 *
 * Here a stub is the world, so that it runs anywhere: `reflex` prints a line when the motor moves. On a board, sense()
 * reads pins, move() writes one, and main() waits for the next millisecond before each step.
 *
 *     python firmware/examples/embed.py firmware/examples/reflex/network.py build/reflex.h
 *     cc -Ibuild -Ifirmware/core firmware/examples/reflex/reflex.c firmware/core/<all but app, cobs, link>.c */
#include <stdio.h>

#include "nm.h"
#include "reflex.h"                      /* the program: written by embed.py */

#define ARENA_BYTES 8192u

static uint64_t arena[ARENA_BYTES / 8u];

/* The world: every 100 ms a light, and 8 ms later a touch; from step 6000 on only the light. */
static int lit(uint32_t step) { return step % 100u == 0; }
static int touched(uint32_t step) { return step % 100u == 8 && step > 100u && step < 6000u; }

static void sense(nm_engine *engine, uint32_t step)
{
    const uint32_t first = 0;            /* the one line that each sense has */
    if (lit(step))
        nm_inject(engine, POP_LIGHT, &first, NULL, 1);
    if (touched(step))
        nm_inject(engine, POP_TOUCH, &first, NULL, 1);
}

static void move(void *context, uint32_t neuron, int32_t payload)
{
    (void)neuron, (void)payload;
    printf("%u\n", (unsigned)*(const uint32_t *)context);
}

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
        sense(engine, step);
        if (nm_step(engine) < 0)
            return 1;
        nm_on_spike(engine, POP_MOTOR, move, &step);
    }
    return 0;
}
