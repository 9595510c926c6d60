/* State items to and from the host; the step counter. */
#include "app_internal.h"

#include <string.h>

#include "wire.h"

void nm_app_on_read(nm_app *a, const uint8_t *p, uint16_t n)
{
    uint16_t item = nm_wire_get16(p);
    uint32_t first = nm_wire_get32(p + 4), count = nm_wire_get32(p + 8);
    nm_item info;
    (void)n;
    if (nm_item_info(a->program.engine, item, &info) < 0 || first > info.count || count > info.count - first
        || !count) {
        nm_app_reply_error(a, NM_MSG_READ, NM_E_ARG, first, count);
        return;
    }
    a->read.item = item;
    a->read.width = info.width;
    a->read.next = first;
    a->read.end = first + count;
}

/* As many as the window takes now; the rest in later polls. */
void nm_app_send_items(nm_app *a)
{
    uint8_t *m;
    while (a->read.next != a->read.end && (m = nm_link_reserve(&a->link)) != NULL) {
        uint32_t n = (a->link.size - 8u) >> (a->read.width / 2u), left = a->read.end - a->read.next;
        n = n < left ? n : left;
        nm_wire_put32(m, a->read.next);
        nm_wire_put16(m + 4, n);
        nm_wire_put16(m + 6, 0);
        (void)nm_item_read(a->program.engine, a->read.item, a->read.next, n, m + 8);   /* nm_app_on_read checked the bounds */
        nm_link_commit(&a->link, NM_MSG_ITEM, (uint16_t)(8u + n * a->read.width), a->time);
        a->read.next += n;
    }
}

void nm_app_on_write(nm_app *a, const uint8_t *p, uint16_t n)
{
    const uint16_t item = nm_wire_get16(p);
    const uint32_t first = nm_wire_get32(p + 4), len = a->stage.len;
    nm_item info;
    (void)n;
    if (!nm_app_staged(a, NM_MSG_WRITE))
        return;
    a->stage.len = a->stage.got = 0;
    if (nm_item_info(a->program.engine, item, &info) < 0 || (len & (info.width - 1u)) != 0) {
        nm_app_reply_error(a, NM_MSG_WRITE, NM_E_ARG, first, len);
        return;
    }
    const uint32_t count = len >> (info.width / 2u);
    const int code = nm_item_write(a->program.engine, item, first, count, a->stage.at);
    if (code < 0)
        nm_app_reply_error(a, NM_MSG_WRITE, code, first, count);
    else
        nm_app_reply_ok(a, NM_MSG_WRITE, count);
}

void nm_app_on_seek(nm_app *a, const uint8_t *p, uint16_t n)
{
    (void)n;
    nm_app_reply_result(a, NM_MSG_SEEK, nm_seek(a->program.engine, nm_wire_get32(p)));
}

void nm_app_on_restart(nm_app *a, const uint8_t *p, uint16_t n)
{
    (void)p, (void)n;
    nm_reset(a->program.engine);
    nm_app_reply_ok(a, NM_MSG_RESTART, 0);
}
