/* Bytes that nobody may touch: builds with run-time checks see who does. */
#ifndef NM_GUARDS_H
#define NM_GUARDS_H

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#define NM_GUARD 64u
#else
#define NM_GUARD 0u
#define ASAN_POISON_MEMORY_REGION(from, bytes) (void)(from)
#define ASAN_UNPOISON_MEMORY_REGION(from, bytes) (void)(from)
#endif
#endif
