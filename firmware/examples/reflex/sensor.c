/* Sensors and an output of the reflex: a stub is the world, so that it runs anywhere. On a board, nm_sense reads pins
 * and nm_act writes one.
 *
 * It serves in both ways to be without a host: in a program of one's own (reflex.c), and in the firmware of a board, which
 * calls nm_sense and nm_act by itself (firmware/port/port.h) and runs the program that was stored on it:
 *
 *     cp -r firmware/boards/posix firmware/boards/reflex            or any other board
 *     python firmware/examples/embed.py firmware/examples/reflex/network.py firmware/boards/reflex/reflex.h
 *     cp firmware/examples/reflex/sensor.[ch] firmware/boards/reflex && python firmware/build.py firmware */
#include "sensor.h"

#include <stdio.h>

#include "reflex.h"                      /* numbers of the populations, written by embed.py */

/* The world: every 100 ms a light, and 8 ms later a touch; from step 6000 on only the light. */
static int lit(uint32_t step) { return step % 100u == 0; }
static int touched(uint32_t step) { return step % 100u == 8 && step > 100u && step < 6000u; }

/* What another program does not have as an input is refused, and nothing happens. */
void nm_sense(nm_engine *engine)
{
    const uint32_t step = nm_now(engine) + 1u, first = 0;      /* the one line that each sense has */
    if (lit(step))
        (void)nm_inject(engine, POP_LIGHT, &first, NULL, 1);
    if (touched(step))
        (void)nm_inject(engine, POP_TOUCH, &first, NULL, 1);
}

static void move(void *context, uint32_t neuron, int32_t payload)
{
    (void)neuron, (void)payload;
    printf("%u\n", (unsigned)*(const uint32_t *)context);
    fflush(stdout);
}

void nm_act(const nm_engine *engine)
{
    uint32_t step = nm_now(engine);
    nm_on_spike(engine, POP_MOTOR, move, &step);
}
