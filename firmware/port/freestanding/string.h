/* The four functions of libc that the core uses, for boards that have no libc (libcalls.c). */
#ifndef NM_STRING_H
#define NM_STRING_H
#include <stddef.h>

void *memcpy(void *restrict to, const void *restrict from, size_t n);
void *memmove(void *to, const void *from, size_t n);
void *memset(void *to, int byte, size_t n);
int memcmp(const void *a, const void *b, size_t n);

#endif
