/* A board with an ATmega1284P of which the serial port and pins 0..7 (port B) are used: what the Arduino core asks of a
 * variant. */
#ifndef Pins_Arduino_h
#define Pins_Arduino_h
#include <avr/pgmspace.h>

#define NUM_DIGITAL_PINS 8
#define LED_BUILTIN 0
#define digitalPinHasPWM(p) 0

#ifdef ARDUINO_MAIN
const uint16_t PROGMEM port_to_mode_PGM[] = {0, 0, (uint16_t)&DDRB};
const uint16_t PROGMEM port_to_output_PGM[] = {0, 0, (uint16_t)&PORTB};
const uint16_t PROGMEM port_to_input_PGM[] = {0, 0, (uint16_t)&PINB};
const uint8_t PROGMEM digital_pin_to_port_PGM[] = {2, 2, 2, 2, 2, 2, 2, 2};
const uint8_t PROGMEM digital_pin_to_bit_mask_PGM[] = {1, 2, 4, 8, 16, 32, 64, 128};
const uint8_t PROGMEM digital_pin_to_timer_PGM[] = {0, 0, 0, 0, 0, 0, 0, 0};
#endif

#endif
