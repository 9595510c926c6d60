/* What the files verify*.c share; verify.c runs the checks in their order. */
#ifndef NM_VERIFY_INTERNAL_H
#define NM_VERIFY_INTERNAL_H
#include "wide.h"

typedef struct {
    const uint8_t *image;
    uint32_t len;
    nm_report *report;
    uint32_t features;      /* bits that the contents need */
    uint32_t rounding;
    uint32_t tags;          /* tags that the rule under check mentions */
    uint64_t work;          /* values looked at: pools may be shared, but not so often that checking takes for ever */
    nm_image m;
} nm_check;

/* All checks return 0, or 1 after noting rule and offset. */
int nm_bad(nm_check *c, uint32_t rule, uint32_t offset);
int nm_bad_at(nm_check *c, uint32_t rule, const uint8_t *at);
int nm_zeros(const uint8_t *p, uint32_t n);
int nm_spend(nm_check *c, uint32_t n, const uint8_t *at);      /* account for looking at n values */

static inline uint32_t nm_count(const nm_check *c, uint32_t type) { return c->m.sec[type].count; }
/* Does [first, first + n) lie inside a table of `count`? */
static inline int nm_inside(uint32_t first, uint32_t n, uint32_t count) { return first <= count && n <= count - first; }
static inline int nm_in_range(int32_t x, int32_t lo, int32_t hi) { return x >= lo && x <= hi; }

/* verify_net.c: a record each */
int nm_check_pop(nm_check *c, uint32_t i);
int nm_check_modulator(nm_check *c, uint32_t i);
int nm_check_short_term(nm_check *c, uint32_t i);
int nm_check_proj(nm_check *c, uint32_t i);

/* verify_rules.c */
int nm_check_table(nm_check *c, uint32_t i);
int nm_check_factor(nm_check *c, uint32_t i);
int nm_check_product(nm_check *c, uint32_t i);
int nm_check_rule(nm_check *c, uint32_t i);
#endif
