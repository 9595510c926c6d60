/* A board for the Python package neuromorph: target mcu:/dev/ttyACM0 (with its own port and speed). */
#include <Neuromorph.h>

#ifndef MEMORY
#define MEMORY 4096                      /* bytes for programs with their working memory: as many as the board has */
#endif

static uint8_t memory[MEMORY];
static NeuromorphBoard board(Serial, memory, sizeof memory);

void setup()
{
    Serial.begin(115200);
    board.begin();
}

void loop()
{
    board.poll();
}
