/* The Arduino library's board on a Stream that may not tell how much it takes: a library as `PowerPort` wants it. */
#include <string.h>

#include "Neuromorph.h"

static uint32_t time_ms;

uint32_t millis() { return time_ms; }

struct Silent : Stream {
    const uint8_t *in = nullptr;
    uint32_t left = 0, made = 0;
    uint8_t *out = nullptr;

    int available() override { return (int)left; }
    int read() override { return left ? (left--, *in++) : -1; }
    size_t write(const uint8_t *bytes, size_t len) override
    {
        memcpy(out + made, bytes, len);
        made += (uint32_t)len;
        return len;
    }
};

/* As HardwareSerial: a buffer of 64 bytes that is empty again at each look. */
struct Telling : Silent {
    int availableForWrite() override { return 64 - (int)made; }
};

#ifndef STREAM
#define STREAM Silent
#endif

static STREAM line;
static uint8_t memory[65536], flash[1];
static NeuromorphBoard board(line, memory, sizeof memory);

extern "C" {

uint8_t *board_flash(uint32_t *size)
{
    *size = sizeof flash;
    return flash;
}

int board_start(uint32_t, uint32_t now)
{
    time_ms = now;
    board.begin("left", "sixteen letters, not more");
    return 1;
}

int board_poll(const uint8_t *bytes, uint32_t len, uint8_t *out, uint32_t, uint32_t now)
{
    time_ms = now;
    line.in = bytes, line.left = len;
    line.out = out, line.made = 0;
    board.poll();
    return (int)line.made;
}

}
