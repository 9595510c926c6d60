/* neuromorph for Arduino: a board that takes programs over any Stream and runs them.
 *
 *     static uint8_t memory[8192];                   // for programs with their working memory
 *     NeuromorphBoard board(Serial, memory, sizeof memory);
 *
 *     void setup() { Serial.begin(115200); board.begin(); }
 *     void loop()  { board.poll(); }
 *
 * For sketches that run a program of their own, nm.h is the engine alone (nm_verify, nm_init, nm_inject, nm_step,
 * nm_spikes): see the example Reflex. */
#ifndef NEUROMORPH_H
#define NEUROMORPH_H
#include <Arduino.h>

extern "C" {
#include "app.h"
#include "nm.h"
}

#ifndef NEUROMORPH_INPUT
#define NEUROMORPH_INPUT 512u            /* bytes of input that are kept, half of them ahead of the steps */
#endif

class NeuromorphBoard {
public:
    NeuromorphBoard(Stream &line, uint8_t *memory, uint32_t bytes) : line(line), memory(memory), bytes(bytes) {}

    /* `uid`: at most 16 characters that tell this board from others of its kind, for the hosts' hardware maps. */
    void begin(const char *name = "arduino", const char *uid = "");
    void poll();                         /* in every loop, as often as can be */

    /* The program that a host has loaded; NULL: none. A sketch may inject spikes and look at them between polls. */
    nm_engine *engine() { return app.program.engine; }

    /* The sketch's sensors and outputs, before and after each step that follows the board's own clock (a run at pace
     * real), if they are set before begin(): see app.h. */
    void (*sense)(nm_engine *engine) = nullptr;
    void (*act)(const nm_engine *engine) = nullptr;

private:
    Stream &line;
    uint8_t *memory;
    uint32_t bytes;
    uint8_t input[NEUROMORPH_INPUT];
    uint8_t wire[NM_WIRE_MAX];
    uint16_t wire_at, wire_len;
    bool tells_room;                     /* the Stream has said how many bytes it takes */
    nm_app app;

    void receive(uint32_t now);
    void transmit(uint32_t now);
};

#endif
