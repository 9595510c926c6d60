/* Flash of the firmware as a program, from the command line: flash FILE CUT, then operations "e OFFSET" (erase) and
 * "w OFFSET LENGTH VALUE" (write) on standard input; prints 1 or 0 for each. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flash.h"
#include "port.h"

int main(int argc, char **argv)
{
    static uint8_t bytes[NM_FLASH_SIZE];
    unsigned offset, len, value;
    char what;
    if (argc != 3 || nm_flash_open(argv[1], strtoull(argv[2], NULL, 10)))
        return 2;
    while (scanf(" %c %u", &what, &offset) == 2) {
        bool good;
        if (what == 'w' && scanf("%u %u", &len, &value) == 2 && len <= sizeof bytes) {
            memset(bytes, (int)value, len);
            good = nm_port_flash_write(offset, bytes, len);
        } else {
            good = nm_port_flash_erase(offset);
        }
        printf("%d\n", good);
    }
    return 0;
}
