#include "Neuromorph.h"

#if defined(__AVR__)
#define CORE_NAME "avr"
#else
#define CORE_NAME "arduino"
#endif

/* A boot loader may have cleared the flags already (ATmega1284P datasheet, 11.5.1). Numbers: docs/link.md, 2. */
static uint8_t reset_cause()
{
#if defined(__AVR__) && defined(MCUSR)
    const uint8_t flags = MCUSR;
    MCUSR = 0;
    return flags & _BV(PORF) ? 1 : flags & _BV(WDRF) ? 4 : flags & _BV(BORF) ? 5 : flags & _BV(EXTRF) ? 2 : 0;
#else
    return 0;
#endif
}

/* Starts since power came, where the memory outlives a reset. */
static uint32_t boots()
{
#if defined(__AVR__)
    static struct { uint32_t magic, boots; } kept __attribute__((section(".noinit")));
    kept.boots = kept.magic == 0x4E4D4254ul ? kept.boots + 1u : 1u;
    kept.magic = 0x4E4D4254ul;
    return kept.boots;
#else
    return 1;
#endif
}

void NeuromorphBoard::begin(const char *name, const char *uid)
{
    nm_app_config config = {};
    config.board = name;
    for (uint8_t i = 0; i < sizeof config.uid && uid[i]; i++)
        config.uid[i] = (uint8_t)uid[i];
    config.core = CORE_NAME;
    config.build = __DATE__;
    config.boots = boots();
    config.clock_hz = F_CPU;
    const uint8_t skip = (uint8_t)(-(uintptr_t)memory & 7u);     /* a uint64_t may be aligned to less than its size */
    config.pool = memory + skip;
    config.pool_len = bytes - skip;
    config.input = input;
    config.input_len = sizeof input;
    config.trace_len = 256;
    config.steps_per_poll = 1;
    config.cause = reset_cause();
    config.sense = sense;
    config.act = act;
    wire_at = wire_len = 0;
    tells_room = false;
    nm_app_init(&app, &config);
}

void NeuromorphBoard::receive(uint32_t now)
{
    uint8_t bytes[32];
    for (int n = line.available(); n > 0; n = line.available()) {
        uint32_t got = 0;
        while (got < sizeof bytes && got < (uint32_t)n)
            bytes[got++] = (uint8_t)line.read();
        nm_app_receive(&app, bytes, got, now);
    }
}

/* Only what the Stream takes at once: while write() waits, bytes that come in could be lost. One that has never told of
 * room does not know (Print's own answer is 0, and SoftwareSerial leaves it at that): it gets a few bytes each time. */
void NeuromorphBoard::transmit(uint32_t now)
{
    uint16_t blind = 8;
    for (;;) {
        if (wire_at == wire_len) {
            wire_len = (uint16_t)nm_link_transmit(&app.link, wire, now);
            wire_at = 0;
        }
        if (wire_len == 0)
            return;
        const int told = line.availableForWrite();
        tells_room = tells_room || told > 0;
        const uint16_t room = tells_room ? (uint16_t)(told > 0 ? told : 0) : blind;
        const uint16_t left = (uint16_t)(wire_len - wire_at), most = left < room ? left : room;
        const uint16_t sent = most ? (uint16_t)line.write(wire + wire_at, most) : 0;
        if (sent == 0)
            return;
        wire_at = (uint16_t)(wire_at + sent);
        blind = (uint16_t)(tells_room ? 0 : blind - sent);
    }
}

void NeuromorphBoard::poll()
{
    const uint32_t now = millis();
    receive(now);
    nm_app_poll(&app, now);
    transmit(now);
}
