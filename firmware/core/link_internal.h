/* What link.c and link_send.c share. */
#ifndef NM_LINK_INTERNAL_H
#define NM_LINK_INTERNAL_H
#include "link.h"

#define NM_SLOT(seq) ((seq) & (NM_LINK_WINDOW - 1u))

static inline uint8_t nm_link_in_flight(const nm_link *l) { return (uint8_t)(l->next - l->base); }

/* How many more messages there is room for. */
static inline uint8_t nm_link_credit(const nm_link *l) { return (uint8_t)(l->window - (l->expect - l->taken)); }

/* Session 0 is none. Whatever was queued belongs to the old one and is forgotten. */
void nm_link_start_session(nm_link *l, uint16_t session, uint32_t now);
void nm_link_start_sending(nm_link *l, uint32_t now);

/* Everything before `ack` has arrived, and of what follows it the messages of `mask` (bit 0: ack + 1). */
void nm_link_acknowledged(nm_link *l, uint8_t ack, uint32_t mask, uint32_t now);

#endif
