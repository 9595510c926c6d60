/* Flash in a file, for the firmware as a program: it counts its operations, and the power can be cut in any of them. */
#ifndef NM_POSIX_FLASH_H
#define NM_POSIX_FLASH_H
#include <stdint.h>

#define NM_FLASH_SIZE 262144u
#define NM_FLASH_SECTOR 4096u
#define NM_FLASH_PAGE 8u

/* The file is made, erased, if it is not there; after the flash it has a u64: operations in its life. The power is cut in
 * operation number `cut` from now on (0: never): half of it is done, and the program ends with status NM_FLASH_CUT. */
int nm_flash_open(const char *path, uint64_t cut);
#define NM_FLASH_CUT 75

#endif
