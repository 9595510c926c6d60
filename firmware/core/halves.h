/* For cores that have instructions for two halves of a word: halves.c prepares two lanes to a word, single_dsp.c has the
 * loops of single.c over such. Of lanes that are not listed. */
#ifndef NM_HALVES_H
#define NM_HALVES_H
#include "lanes.h"

#if NM_DSP
NM_INLINE uint32_t two_of(uint32_t low, uint32_t high) { return (low & 0xFFFFu) | high << 16; }
NM_INLINE uint32_t two_high(uint32_t low, uint32_t high) { return low >> 16 | (high & 0xFFFF0000u); }
NM_INLINE uint32_t two_mixed(uint32_t low, uint32_t high) { return (low & 0xFFFFu) | (high & 0xFFFF0000u); }
NM_INLINE uint32_t turned(uint32_t x) { return x >> 8 | x << 24; }
NM_INLINE uint32_t word_at(const void *p) {     /* anywhere */
    uint32_t x;
    __builtin_memcpy(&x, p, 4);
    return x;
}
/* Two words, one after the other, in one go; compilers do so at multiples of 8 only. */
NM_INLINE const uint32_t *get_words(const uint32_t *from, uint32_t *a, uint32_t *b) {
    __asm__("ldrd %0, %1, [%2], #8" : "=&r"(*a), "=&r"(*b), "+r"(from) : : "memory");
    return from;
}
NM_INLINE uint32_t *put_words(uint32_t *to, uint32_t a, uint32_t b) {
    __asm__("strd %1, %2, [%0], #8" : "+r"(to) : "r"(a), "r"(b) : "memory");
    return to;
}
NM_INLINE void put_word(void *p, uint32_t x) { __builtin_memcpy(p, &x, 4); }


/* How the lanes are prepared: what a product is made of, but for the weight; or what a function has beside it, with its
 * limits. */
void nm_take_start(const nm_line *c, const nm_product *q, nm_single *how);
void nm_beside_start(const nm_line *c, const nm_factor *f, nm_single *how);
/* Every bit inverted from now on, if that costs nothing. */
int nm_take_inverted(nm_single *how);
#endif
#endif
