#include "store.h"

#include <string.h>

#include "nm.h"
#include "wire.h"

#define RECORD 64u
#define MAGIC 0x54534D4Eu                /* "NMST" */
#define NOWHERE UINT32_MAX
#define SLOTS_LEAST 16u                  /* of a sector: more than what must be copied to the next one */
#define FAILURES_MOST 8u                 /* places that are tried for an object */
#define HASH 28u

/* Fields of a record. */
enum { AT_KIND = 0, AT_VERSION = 1, AT_FLAGS = 2, AT_NUMBER = 4, AT_PLACE = 8, AT_LEN = 12, AT_KEY = 16, AT_REFERS = 20,
       AT_PERIOD = 24, AT_EVERY = 28, AT_HASH = 32, AT_CRC = 60 };
enum { IMAGE = 1, STATE, MARK, REJECT, HEADER = 0x4A };
#define VERSION 1u

/* Where an image and a state have what their record repeats (docs/image.md). */
enum { IMAGE_COUNTER = 36, IMAGE_KEY = 64, IMAGE_HASH = 96, STATE_STEP = 16, STATE_KEY = 32, STATE_HASH = 64 };

static uint32_t round_up(uint32_t n, uint32_t unit) { return (n + unit - 1u) & ~(unit - 1u); }
static uint32_t slot_size(const nm_store *s) { return s->flash.page > RECORD ? s->flash.page : RECORD; }
static uint32_t data_start(const nm_store *s) { return 2u * s->flash.sector; }
static uint32_t data_end(const nm_store *s) { return s->flash.size & ~(s->flash.sector - 1u); }
static uint32_t end_of(const nm_object *o) { return o->at + o->len; }

static bool blank(const nm_store *s, uint32_t at, uint32_t len)
{
    for (const uint8_t *p = s->flash.base + at, *end = p + len; p < end; p++)
        if (*p != 0xFFu)
            return false;
    return true;
}

/* ---- operations: whatever the flash says, it must hold what it was given ---- */

static bool erase(nm_store *s, uint32_t at)
{
    s->erases++;
    return s->flash.erase(at) && blank(s, at, s->flash.sector);
}

static bool write(nm_store *s, uint32_t at, const uint8_t *bytes, uint32_t len)
{
    return s->flash.write(at, bytes, len) && memcmp(s->flash.base + at, bytes, len) == 0;
}

/* ---- records ---- */

static bool is_record(const uint8_t *r)
{
    return r[AT_VERSION] == VERSION && nm_wire_get32(r + AT_CRC) == nm_crc32c(0, r, AT_CRC);
}

static bool is_header(const nm_store *s, uint32_t sector)
{
    const uint8_t *r = s->flash.base + sector;
    return is_record(r) && r[AT_KIND] == HEADER && nm_wire_get32(r + AT_KEY) == MAGIC;
}

/* Of what a record says, nothing is believed that would lead out of the ring. */
static bool get_object(const nm_store *s, uint32_t record, nm_object *o)
{
    const uint8_t *r = s->flash.base + record;
    const uint32_t least = r[AT_KIND] == IMAGE ? 160u : NM_STATE_HEADER, end = data_end(s);
    o->at = nm_wire_get32(r + AT_PLACE);
    o->len = nm_wire_get32(r + AT_LEN);
    o->key = nm_wire_get32(r + AT_KEY);
    o->record = record;
    return o->at >= data_start(s) && o->at <= end && o->len <= end - o->at && o->len >= least && (o->at & 7u) == 0;
}

bool nm_store_named(const nm_store *s, const nm_object *o, const uint8_t *hash)
{
    return memcmp(s->flash.base + o->record + AT_HASH, hash, HASH) == 0;
}

/* ---- what the records amount to ---- */

static void drop_state(nm_store *s, uint32_t k)
{
    memmove(s->state + k, s->state + k + 1u, (NM_STORE_STATES - 1u - k) * sizeof *s->state);
    memset(s->state + NM_STORE_STATES - 1u, 0, sizeof *s->state);
}

static bool wanted(const nm_store *s, uint32_t key)
{
    for (uint32_t k = 0; k < NM_STORE_IMAGES; k++)
        if (s->image[k].number && s->image[k].object.key == key)
            return true;
    return false;
}

/* Whether a later state of the same program is there. */
static bool outdated(const nm_store *s, uint32_t k)
{
    for (uint32_t later = k + 1u; later < NM_STORE_STATES; later++)
        if (s->state[later].object.len && s->state[later].object.key == s->state[k].object.key)
            return true;
    return false;
}

static void drop_unwanted(nm_store *s)
{
    for (uint32_t k = NM_STORE_STATES; k-- > 0;)
        if (s->state[k].object.len && !wanted(s, s->state[k].object.key))
            drop_state(s, k);
}

static void add_state(nm_store *s, const nm_stored_state *new)
{
    uint32_t count = 0;
    for (uint32_t k = 0; k < NM_STORE_STATES && s->state[k].object.len; k++)
        if (s->state[k].object.key == new->object.key && outdated(s, k))
            drop_state(s, k);
    while (count < NM_STORE_STATES && s->state[count].object.len)
        count++;
    if (count == NM_STORE_STATES)
        drop_state(s, --count);
    s->state[count] = *new;
}

static void promote(nm_store *s, const nm_stored_image *new)
{
    const nm_stored_image image = *new;                        /* it may be the candidate itself */
    if (s->image[NM_STORE_CANDIDATE].number == image.number)
        memset(s->image + NM_STORE_CANDIDATE, 0, sizeof *s->image);
    if (s->image[NM_STORE_CURRENT].object.at != image.object.at)
        s->image[NM_STORE_PREVIOUS] = s->image[NM_STORE_CURRENT];
    s->image[NM_STORE_CURRENT] = image;
    s->image[NM_STORE_CURRENT].flags = NM_STORE_CONFIRMED;
    s->counter = image.counter > s->counter ? image.counter : s->counter;
}

static void apply_image(nm_store *s, const uint8_t *r, const nm_object *o)
{
    nm_stored_image image = {*o, nm_wire_get32(r + AT_NUMBER), nm_wire_get32(r + AT_PERIOD), nm_wire_get32(r + AT_EVERY),
                             nm_wire_get16(r + AT_FLAGS), nm_wire_get32(r + AT_REFERS)};
    if (image.flags & NM_STORE_CONFIRMED)
        promote(s, &image);
    else
        s->image[NM_STORE_CANDIDATE] = image;
}

static void apply_reject(nm_store *s, uint32_t number)
{
    nm_stored_image *i = s->image;
    if (i[NM_STORE_CANDIDATE].number == number) {
        memset(i + NM_STORE_CANDIDATE, 0, sizeof *i);
    } else if (i[NM_STORE_CURRENT].number == number) {
        i[NM_STORE_CURRENT] = i[NM_STORE_PREVIOUS];
        memset(i + NM_STORE_PREVIOUS, 0, sizeof *i);
    }
}

static void apply(nm_store *s, uint32_t record)
{
    const uint8_t *r = s->flash.base + record;
    nm_stored_image *candidate = s->image + NM_STORE_CANDIDATE;
    const uint32_t refers = nm_wire_get32(r + AT_REFERS), flag = nm_wire_get16(r + AT_FLAGS);
    nm_stored_state state = {.step = nm_wire_get32(r + AT_PERIOD)};
    nm_object o;
    switch (r[AT_KIND]) {
    case IMAGE:
    case STATE:
        if (!get_object(s, record, &o)) {
            s->damaged++;
            return;
        }
        state.object = o;
        if (r[AT_KIND] == IMAGE)
            apply_image(s, r, &o);
        else
            add_state(s, &state);
        if (nm_wire_get32(r + AT_NUMBER) > s->number)          /* a copy says nothing about where the ring has come to */
            s->head = round_up(end_of(&o), s->flash.page);
        break;
    case MARK:
        if (refers == 0 || candidate->number != refers)
            break;
        candidate->flags = flag == NM_STORE_TRY ? flag : candidate->flags | flag;      /* to be tried: once more */
        if (candidate->flags & NM_STORE_CONFIRMED)
            promote(s, candidate);
        break;
    case REJECT:
        if (refers)
            apply_reject(s, refers);
        break;
    default:
        break;
    }
    drop_unwanted(s);
    if (nm_wire_get32(r + AT_NUMBER) > s->number)
        s->number = nm_wire_get32(r + AT_NUMBER);
}

static void replay(nm_store *s)
{
    const uint32_t size = slot_size(s), end = s->journal + s->flash.sector;
    const uint8_t *header = s->flash.base + s->journal;
    memset(s->image, 0, sizeof s->image);
    memset(s->state, 0, sizeof s->state);
    s->generation = s->number = s->erases = s->head = s->counter = 0;
    if (is_header(s, s->journal)) {
        s->generation = nm_wire_get32(header + AT_REFERS);
        s->number = nm_wire_get32(header + AT_NUMBER);
        s->erases = nm_wire_get32(header + AT_EVERY);
        s->head = nm_wire_get32(header + AT_PLACE);
        s->counter = nm_wire_get32(header + AT_LEN);
    }
    s->slot = s->journal + size;
    for (uint32_t at = s->slot; at < end; at += size) {
        if (blank(s, at, size))
            continue;
        s->slot = at + size;                                   /* what is torn stays, until the journal moves on */
        if (is_record(s->flash.base + at))
            apply(s, at);
        else
            s->damaged++;
    }
}

/* The highest number of a sector's records. */
static uint32_t newest(const nm_store *s, uint32_t sector)
{
    uint32_t number = 0;
    for (uint32_t at = sector; at < sector + s->flash.sector; at += slot_size(s))
        if (is_record(s->flash.base + at) && nm_wire_get32(s->flash.base + at + AT_NUMBER) > number)
            number = nm_wire_get32(s->flash.base + at + AT_NUMBER);
    return number;
}

/* The sector that has the newest record, as a header may be damaged; if they are equal, the one that was finished; if both
 * were, the later one. */
static void choose(nm_store *s)
{
    uint32_t number = 0, generation = 0;
    for (uint32_t at = 0; at <= s->flash.sector; at += s->flash.sector) {
        const uint32_t n = newest(s, at), g = is_header(s, at) ? nm_wire_get32(s->flash.base + at + AT_REFERS) : 0;
        if (g == 0 && !blank(s, at, s->flash.sector)) {
            s->stale = true;
            s->damaged++;
        }
        if ((g || n) && (s->journal == NOWHERE || n > number || (n == number && g > generation))) {
            s->journal = at;
            number = n;
            generation = g;
        }
    }
}

bool nm_store_open(nm_store *s, const nm_flash *flash)
{
    memset(s, 0, sizeof *s);
    s->flash = *flash;
    s->journal = NOWHERE;
    if (!flash->base || flash->page < 8u || flash->page > NM_STORE_WRITE || flash->size / 4u < flash->sector
        || flash->sector < SLOTS_LEAST * slot_size(s)) {
        s->flash.base = NULL;
        return false;
    }
    choose(s);
    if (s->journal != NOWHERE)
        replay(s);
    return true;
}

/* ---- adding to the journal ---- */

static bool put_slot(nm_store *s, uint32_t at, const uint8_t *record)
{
    uint8_t slot[NM_STORE_WRITE];
    memset(slot, 0xFF, sizeof slot);
    memcpy(slot, record, RECORD);
    return blank(s, at, slot_size(s)) && write(s, at, slot, slot_size(s));
}

static void seal(uint8_t *record) { nm_wire_put32(record + AT_CRC, nm_crc32c(0, record, AT_CRC)); }

/* Copy a record into the new journal, an image with what has been said of it since. */
static bool copy(nm_store *s, uint32_t *at, uint32_t end, const nm_object *o, uint32_t flags)
{
    uint8_t record[RECORD];
    bool done = false;
    memcpy(record, s->flash.base + o->record, RECORD);
    nm_wire_put16(record + AT_FLAGS, flags);
    seal(record);
    for (; !done && *at < end; *at += slot_size(s))
        done = put_slot(s, *at, record);
    return done;
}

/* All that counts goes to the journal's other sector, the header last: until then the old one is the journal. */
static int move_on(nm_store *s)
{
    const uint32_t to = s->journal == 0 ? s->flash.sector : 0, end = to + s->flash.sector;
    uint32_t at = to + slot_size(s);
    uint8_t header[RECORD] = {HEADER, VERSION};
    if (!erase(s, to))
        return NM_E_FLASH;
    for (uint32_t k = NM_STORE_IMAGES; k-- > 0;)
        if (s->image[k].number && !copy(s, &at, end, &s->image[k].object, s->image[k].flags))
            return NM_E_FLASH;
    for (uint32_t k = 0; k < NM_STORE_STATES; k++)
        if (s->state[k].object.len && !copy(s, &at, end, &s->state[k].object, 0))
            return NM_E_FLASH;
    nm_wire_put32(header + AT_NUMBER, s->number);
    nm_wire_put32(header + AT_PLACE, s->head);
    nm_wire_put32(header + AT_LEN, s->counter);
    nm_wire_put32(header + AT_KEY, MAGIC);
    nm_wire_put32(header + AT_REFERS, s->generation + 1u);
    nm_wire_put32(header + AT_EVERY, s->erases);
    seal(header);
    if (!put_slot(s, to, header))
        return NM_E_FLASH;
    s->journal = to;
    s->stale = false;
    replay(s);
    return NM_STORE_DONE;
}

static int append(nm_store *s, uint8_t record[RECORD])
{
    const uint32_t size = slot_size(s);
    int code;
    record[AT_VERSION] = VERSION;
    nm_wire_put32(record + AT_NUMBER, s->number + 1u);
    seal(record);
    if (!s->flash.base)
        return NM_E_STORE;
    if ((s->journal == NOWHERE || s->stale) && (code = move_on(s)) < 0)
        return code;
    for (uint32_t turn = 0; turn < 2; turn++) {
        while (s->slot < s->journal + s->flash.sector) {
            const uint32_t at = s->slot;
            s->slot += size;
            if (put_slot(s, at, record)) {
                apply(s, at);
                return NM_STORE_DONE;
            }
        }
        if ((code = move_on(s)) < 0)
            return code;
    }
    return NM_E_FLASH;
}

int nm_store_mark(nm_store *s, uint32_t flag)
{
    uint8_t record[RECORD] = {MARK};
    if (!s->image[NM_STORE_CANDIDATE].number)
        return NM_E_STORE;
    nm_wire_put16(record + AT_FLAGS, flag);
    nm_wire_put32(record + AT_REFERS, s->image[NM_STORE_CANDIDATE].number);
    return append(s, record);
}

int nm_store_reject(nm_store *s, uint32_t which)
{
    uint8_t record[RECORD] = {REJECT};
    if (!s->image[which].number)
        return NM_E_STORE;
    nm_wire_put32(record + AT_REFERS, s->image[which].number);
    return append(s, record);
}

int nm_store_forget(nm_store *s)
{
    if (!s->flash.base)
        return NM_E_STORE;
    s->job.kind = 0;
    memset(s->image, 0, sizeof s->image);
    memset(s->state, 0, sizeof s->state);
    const int code = move_on(s);
    if (code < 0 && s->journal != NOWHERE)
        replay(s);                                             /* it is all still there */
    else if (code == NM_STORE_DONE)
        (void)erase(s, s->journal ^ s->flash.sector);          /* nothing is left to fall back on */
    return code;
}

/* ---- room for an object ---- */

/* What must stay, in three degrees: 0 all; 1 without the older states; 2 without the previous image too. */
static bool stays(const nm_store *s, uint32_t k, uint32_t degree, nm_object *o)
{
    if (k < NM_STORE_IMAGES) {
        *o = s->image[k].object;
        return s->image[k].number != 0 && (k != NM_STORE_PREVIOUS || degree < 2u);
    }
    k -= NM_STORE_IMAGES;
    if (k == NM_STORE_STATES) {
        *o = s->pinned;
        return o->len != 0;
    }
    *o = s->state[k].object;
    const bool of_previous = o->key != s->image[NM_STORE_CURRENT].object.key && o->key != s->image[NM_STORE_CANDIDATE].object.key;
    return o->len != 0 && (degree == 0 || !outdated(s, k)) && (degree < 2u || !of_previous);
}
#define STAYING (NM_STORE_IMAGES + NM_STORE_STATES + 1u)

/* Whether an object may be written there; if not, where to look next. */
static bool fits(const nm_store *s, uint32_t at, uint32_t len, uint32_t degree, uint32_t *next)
{
    const uint32_t sector = s->flash.sector, end = round_up(at + len, sector), edge = round_up(at, sector);
    nm_object o;
    if (edge != at && !blank(s, at, edge - at)) {
        *next = edge;
        return false;
    }
    for (uint32_t k = 0; k < STAYING; k++)
        if (stays(s, k, degree, &o) && o.at < end && end_of(&o) > at) {
            *next = round_up(end_of(&o), sector);
            return false;
        }
    return true;
}

/* The next place of the ring, from where the last object ended: so all sectors wear alike. */
static uint32_t place(const nm_store *s, uint32_t len)
{
    const uint32_t start = data_start(s), end = data_end(s);
    for (uint32_t degree = 0; degree < 3u; degree++) {
        uint32_t at = s->head >= start && s->head < end && (s->head & (s->flash.page - 1u)) == 0 ? s->head : start;
        for (uint32_t turn = 0; turn < 2u;) {
            uint32_t next = start;
            if (at > end || len > end - at)
                turn++;
            else if (fits(s, at, len, degree, &next))
                return at;
            at = next;
        }
    }
    return NOWHERE;
}

/* What the new object will take the place of is no longer there. */
static void drop_overwritten(nm_store *s, uint32_t at, uint32_t len)
{
    const uint32_t end = round_up(at + len, s->flash.sector);
    nm_stored_image *previous = s->image + NM_STORE_PREVIOUS;
    if (previous->number && previous->object.at < end && end_of(&previous->object) > at)
        memset(previous, 0, sizeof *previous);
    for (uint32_t k = NM_STORE_STATES; k-- > 0;)
        if (s->state[k].object.len && s->state[k].object.at < end && end_of(&s->state[k].object) > at)
            drop_state(s, k);
}

/* ---- writing an object ---- */

static int settle(nm_store *s)
{
    const uint32_t at = place(s, round_up(s->job.len, s->flash.page));
    if (at == NOWHERE) {
        s->job.kind = 0;
        return NM_E_CAPACITY;
    }
    drop_overwritten(s, at, s->job.len);
    s->job.at = at;
    s->job.done = 0;
    s->job.erase_at = round_up(at, s->flash.sector);
    return NM_STORE_BUSY;
}

static int start(nm_store *s, uint8_t kind, uint32_t len, nm_store_source *source, const void *context)
{
    if (!s->flash.base || s->job.kind)
        return NM_E_STORE;
    if (len > data_end(s) - data_start(s))
        return NM_E_CAPACITY;
    memset(&s->job, 0, sizeof s->job);
    s->job.kind = kind;
    s->job.len = len;
    s->job.source = source;
    s->job.context = context;
    return settle(s);
}

int nm_store_image(nm_store *s, uint32_t len, nm_store_source *source, const void *context, uint32_t period, uint32_t every)
{
    nm_stored_image *candidate = s->image + NM_STORE_CANDIDATE;
    if (candidate->number && !(candidate->flags & NM_STORE_TRY)) {
        memset(candidate, 0, sizeof *candidate);               /* nobody waits for it: at a start it would not count */
        drop_unwanted(s);
    }
    const int code = start(s, IMAGE, len, source, context);
    s->job.period = period;
    s->job.every = every;
    return code;
}

int nm_store_state(nm_store *s, uint32_t len, uint32_t key, nm_store_source *source, const void *context)
{
    return wanted(s, key) ? start(s, STATE, len, source, context) : NM_E_STORE;
}

/* The place is bad: another one, in another sector. */
static int elsewhere(nm_store *s, uint32_t bad)
{
    s->head = round_up(bad + 1u, s->flash.sector);
    if (++s->job.failures > FAILURES_MOST) {
        s->job.kind = 0;
        return NM_E_FLASH;
    }
    return settle(s);
}

static int write_piece(nm_store *s)
{
    uint8_t piece[NM_STORE_WRITE];
    const uint32_t left = s->job.len - s->job.done, n = left < sizeof piece ? left : sizeof piece;
    memset(piece, 0xFF, sizeof piece);
    s->job.source(s->job.context, s->job.done, n, piece);
    if (!write(s, s->job.at + s->job.done, piece, round_up(n, s->flash.page)))
        return elsewhere(s, s->job.at + s->job.done);
    s->job.done += n;
    return NM_STORE_BUSY;
}

/* It is all there: now it counts. */
static int finish(nm_store *s)
{
    uint8_t record[RECORD] = {s->job.kind};
    const bool image = s->job.kind == IMAGE;
    const uint8_t *object = s->flash.base + s->job.at;
    nm_wire_put32(record + AT_PLACE, s->job.at);
    nm_wire_put32(record + AT_LEN, s->job.len);
    memcpy(record + AT_KEY, object + (image ? IMAGE_KEY : STATE_KEY), 4);
    nm_wire_put32(record + AT_PERIOD, image ? s->job.period : nm_wire_get32(object + STATE_STEP));
    nm_wire_put32(record + AT_EVERY, s->job.every);
    nm_wire_put32(record + AT_REFERS, image ? nm_wire_get32(object + IMAGE_COUNTER) : 0);
    memcpy(record + AT_HASH, object + (image ? IMAGE_HASH : STATE_HASH), HASH);
    s->job.kind = 0;
    return append(s, record);
}

int nm_store_again(nm_store *s, const nm_stored_image *image, uint32_t period, uint32_t every)
{
    uint8_t record[RECORD];
    if (s->job.kind)
        return NM_E_STORE;
    memcpy(record, s->flash.base + image->object.record, RECORD);
    nm_wire_put16(record + AT_FLAGS, 0);
    nm_wire_put32(record + AT_PERIOD, period);
    nm_wire_put32(record + AT_EVERY, every);
    return append(s, record);
}

int nm_store_poll(nm_store *s)
{
    if (!s->job.kind)
        return NM_STORE_DONE;
    if (s->job.erase_at < s->job.at + s->job.len) {
        const uint32_t at = s->job.erase_at;
        s->job.erase_at += s->flash.sector;
        return erase(s, at) ? NM_STORE_BUSY : elsewhere(s, at);
    }
    return s->job.done < s->job.len ? write_piece(s) : finish(s);
}

uint32_t nm_store_largest(const nm_store *s) { return s->flash.base ? data_end(s) - data_start(s) : 0; }
