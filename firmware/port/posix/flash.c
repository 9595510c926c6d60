#define _DEFAULT_SOURCE
#include "flash.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "port.h"

static uint8_t *cells;                   /* NULL: no flash */
static uint64_t done, cut_at;            /* operations since the program began */

static int make(int file)
{
    uint8_t erased[NM_FLASH_SECTOR];
    const uint64_t none = 0;
    memset(erased, 0xFF, sizeof erased);
    for (uint32_t at = 0; at < NM_FLASH_SIZE; at += NM_FLASH_SECTOR)
        if (write(file, erased, sizeof erased) != (ssize_t)sizeof erased)
            return -1;
    return write(file, &none, sizeof none) == (ssize_t)sizeof none ? 0 : -1;
}

int nm_flash_open(const char *path, uint64_t cut)
{
    const size_t len = NM_FLASH_SIZE + sizeof(uint64_t);
    struct stat info;
    const int file = open(path, O_RDWR | O_CREAT, 0666);
    if (file < 0 || fstat(file, &info) || (info.st_size == 0 && make(file)))
        return -1;
    if (info.st_size != 0 && (size_t)info.st_size != len) {
        errno = EINVAL;                  /* somebody else's file */
        return -1;
    }
    void *const map = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (map == MAP_FAILED)
        return -1;
    cells = map;
    cut_at = cut;
    return 0;
}

nm_port_flash nm_port_flash_info(void)
{
    const nm_port_flash flash = {cells, cells ? NM_FLASH_SIZE : 0u, NM_FLASH_SECTOR, NM_FLASH_PAGE};
    return flash;
}

/* True: this is the operation in which the power fails. */
static bool count(void)
{
    uint64_t life;
    memcpy(&life, cells + NM_FLASH_SIZE, sizeof life);
    life++;
    memcpy(cells + NM_FLASH_SIZE, &life, sizeof life);
    return ++done == cut_at;
}

static void power_off(void)
{
    fprintf(stderr, "power cut in flash operation %llu\n", (unsigned long long)done);
    _exit(NM_FLASH_CUT);
}

bool nm_port_flash_erase(uint32_t offset)
{
    if (!cells || offset % NM_FLASH_SECTOR || offset >= NM_FLASH_SIZE)
        return false;
    const bool cut = count();
    memset(cells + offset, 0xFF, cut ? NM_FLASH_SECTOR / 2u : NM_FLASH_SECTOR);
    if (cut)
        power_off();
    return true;
}

/* What was not erased is refused: on real flash it would be neither the old nor the new. */
bool nm_port_flash_write(uint32_t offset, const uint8_t *bytes, uint32_t len)
{
    if (!cells || offset % NM_FLASH_PAGE || len % NM_FLASH_PAGE || offset > NM_FLASH_SIZE || len > NM_FLASH_SIZE - offset)
        return false;
    for (uint32_t i = 0; i < len; i++)
        if (cells[offset + i] != 0xFFu)
            return false;
    const bool cut = count();
    memcpy(cells + offset, bytes, cut ? len / 2u : len);
    if (cut)
        power_off();
    return true;
}
