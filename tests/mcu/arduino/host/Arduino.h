/* What the library needs of Arduino, on the host: a Stream, and the time. Streams beside HardwareSerial mostly leave
 * availableForWrite as Print has it. */
#ifndef ARDUINO_H
#define ARDUINO_H
#include <stddef.h>
#include <stdint.h>

#define F_CPU 16000000L

uint32_t millis();

class Stream {
public:
    virtual int available() = 0;
    virtual int read() = 0;
    virtual size_t write(const uint8_t *bytes, size_t len) = 0;
    virtual int availableForWrite() { return 0; }
};

#endif
