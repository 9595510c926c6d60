/* Profile wide: 16-bit weights, tags and traces (docs/semantics.md 6). traces_wide.c and learn_wide.c do what traces.c
 * and sums.c do for 8 bits. */
#ifndef NM_WIDE_H
#define NM_WIDE_H
#include "lanes.h"

enum { WIDE_WEIGHT_FRAC = 7, WIDE_TRACE_FRAC = 8, WIDE_TRACE_MAX = 127 << WIDE_TRACE_FRAC, WIDE_TOP = 255 << WIDE_WEIGHT_FRAC };

NM_INLINE uint16_t *nm_wide_trace(const nm_plastic *l, uint32_t trace) {
    return (uint16_t *)(void *)l->trace[trace];
}

/* traces_wide.c */
void nm_wide_bump(nm_plastic *l, uint32_t trace, uint32_t i);
void nm_wide_graded(nm_plastic *l, uint32_t i, int32_t payload);
void nm_wide_histories(nm_engine *e, uint32_t index, nm_proj *p);
const uint16_t *nm_wide_history(const nm_engine *e, const nm_proj *p, uint32_t trace, uint32_t k);

/* learn_wide.c */
void nm_wide_shifts(const nm_image *m, nm_product *p);     /* left and right of a product */
void nm_wide_lanes(nm_line *c, const nm_lanes *a);

/* Range of a weight by its sign mode, in 128ths. */
NM_INLINE int32_t nm_wide_low(uint32_t sign) { return sign == SIGN_EXC ? 0 : sign == SIGN_INH ? -WIDE_TOP : -32768; }
NM_INLINE int32_t nm_wide_high(uint32_t sign) { return sign == SIGN_INH ? 0 : WIDE_TOP; }
#endif
