/* A network in a sketch of its own, without a host: a touch moves the motor (the LED), and a light that often comes
 * shortly before a touch learns to move it, too.
 *
 * reflex.h is the program, and the numbers of its populations; pack.py writes it with firmware/examples/embed.py from
 * firmware/examples/reflex/network.py. */
#include <Neuromorph.h>
#include "reflex.h"

#define TOUCH_PIN 2                      /* a switch to ground each */
#define LIGHT_PIN 3
#define MOTOR_PIN LED_BUILTIN
#define STEP_MS 1u                       /* the network's dt */

alignas(8) static uint8_t arena[5632];   /* nm_verify says how many bytes a program needs: 5352 on AVR */
static nm_engine *engine;

/* A spike when the switch closes. */
static void sense(uint8_t pin, uint32_t population, bool *was)
{
    const uint32_t first = 0;            /* the one line that each sense has */
    const bool is = digitalRead(pin) == LOW;
    if (is && !*was)
        (void)nm_inject(engine, population, &first, NULL, 1);
    *was = is;
}

static void act(void *moves, uint32_t, int32_t) { *(bool *)moves = true; }

void setup()
{
    nm_report report;
    pinMode(TOUCH_PIN, INPUT_PULLUP);
    pinMode(LIGHT_PIN, INPUT_PULLUP);
    pinMode(MOTOR_PIN, OUTPUT);
    Serial.begin(115200);
    if (nm_verify(program, sizeof program, NULL, &report) < 0 || report.arena > sizeof arena) {
        Serial.print("rule, bytes of arena: ");
        Serial.print(report.rule);
        Serial.print(", ");
        Serial.println(report.arena);
        return;
    }
    const int code = nm_init(&engine, program, sizeof program, arena, sizeof arena);
    if (code == NM_OK)
        Serial.println("ready");
    else
        Serial.println(code);
}

void loop()
{
    static uint32_t due;
    static bool touched, lit;
    const uint32_t now = millis();
    if (!engine || (int32_t)(now - due) < 0)
        return;
    due = now + STEP_MS;
    sense(TOUCH_PIN, POP_TOUCH, &touched);
    sense(LIGHT_PIN, POP_LIGHT, &lit);
    (void)nm_step(engine);
    bool moves = false;
    nm_on_spike(engine, POP_MOTOR, act, &moves);
    digitalWrite(MOTOR_PIN, moves ? HIGH : LOW);
}
