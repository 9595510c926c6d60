/* A board with an ATmega1284P of which only the serial port is used: what the Arduino core asks of a variant. */
#ifndef Pins_Arduino_h
#define Pins_Arduino_h
#include <avr/pgmspace.h>

#define NUM_DIGITAL_PINS 0
#define LED_BUILTIN 0
#define digitalPinHasPWM(p) 0

#endif
