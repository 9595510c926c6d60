/* What outlives the loss of power: images and states in flash, with a journal that says which of them count.
 *
 * The first two sectors hold the journal, of which one is in use; the rest is a ring of objects, written one after the
 * other. An object counts from the moment its record is in the journal, so a loss of power at any operation leaves the old
 * or the new. docs/store.md has the bytes. It has no I/O of its own: flash comes as `nm_flash`. */
#ifndef NM_STORE_H
#define NM_STORE_H
#include <stdbool.h>
#include <stdint.h>

#define NM_STORE_WRITE 256u              /* bytes that are written at once: a page is this long at most */
#define NM_STORE_STATES 6u               /* the two newest of each image */
enum { NM_STORE_CANDIDATE, NM_STORE_CURRENT, NM_STORE_PREVIOUS, NM_STORE_IMAGES };
enum { NM_STORE_TRY = 1, NM_STORE_TRIED = 2, NM_STORE_CONFIRMED = 4 };      /* flags of an image */
enum { NM_STORE_DONE = 0, NM_STORE_BUSY = 1 };

/* Codes: of nm_store_poll and all that writes. */
enum { NM_E_CAPACITY = -20, NM_E_FLASH = -23, NM_E_STORE = -24 };

/* As nm_port_flash (port.h), with its functions. */
typedef struct {
    const uint8_t *base;                 /* 8-aligned; NULL: none */
    uint32_t size, sector, page;         /* bytes; powers of two but for the size, a page of 8..256 */
    bool (*erase)(uint32_t offset);
    bool (*write)(uint32_t offset, const uint8_t *bytes, uint32_t len);
} nm_flash;

typedef struct {
    uint32_t at, len;                    /* bytes of flash; len 0: there is none */
    uint32_t key;                        /* first four bytes of the program's logical digest */
    uint32_t record;                     /* where its record is */
} nm_object;

typedef struct {
    nm_object object;
    uint32_t number;                     /* of its record, 0: none */
    uint32_t period, every;              /* what to do with it at start: docs/store.md */
    uint32_t flags;
    uint32_t counter;                    /* its security counter */
} nm_stored_image;

typedef struct {
    nm_object object;
    uint32_t step;
} nm_stored_state;

/* Bytes of an object, from `offset` on. */
typedef void nm_store_source(const void *context, uint32_t offset, uint32_t len, uint8_t *out);

typedef struct {
    nm_flash flash;
    nm_stored_image image[NM_STORE_IMAGES];
    nm_stored_state state[NM_STORE_STATES];      /* in the order of their writing */
    nm_object pinned;                    /* is being used in its place */
    uint32_t journal, slot;              /* sector in use; first free slot of it */
    uint32_t generation, number;         /* of the journal's sector; of the last record */
    uint32_t head;                       /* where the next object may begin */
    uint32_t counter;                    /* the highest security counter of an image that became the current one */
    uint32_t damaged;                    /* records that could not be read, since the start */
    uint32_t erases;                     /* of sectors, in the life of the flash as far as the journal was told */
    bool stale;                          /* the journal's other sector is no empty one: it goes before anything is added */
    struct {
        uint8_t kind;                    /* of the record to be, 0: nothing is being written */
        uint8_t failures;
        uint32_t at, len, done, erase_at;
        uint32_t period, every;
        nm_store_source *source;
        const void *context;
    } job;
} nm_store;

/* Look at what is there. False: there is no flash that could be used. */
bool nm_store_open(nm_store *store, const nm_flash *flash);

/* Begin to write: nm_store_poll does it, an operation at a time, until it is no longer NM_STORE_BUSY. Codes below 0: it
 * does not fit, the flash failed; what was there before stays. */
int nm_store_image(nm_store *store, uint32_t len, nm_store_source *source, const void *context, uint32_t period,
                   uint32_t every);
/* The same bytes as an image that is there, as a new candidate. */
int nm_store_again(nm_store *store, const nm_stored_image *image, uint32_t period, uint32_t every);
int nm_store_state(nm_store *store, uint32_t len, uint32_t key, nm_store_source *source, const void *context);
int nm_store_poll(nm_store *store);
uint32_t nm_store_largest(const nm_store *store);                /* object that an empty store takes */

/* Of the candidate: to be tried at the next start; was tried; is the current one from now on. */
int nm_store_mark(nm_store *store, uint32_t flag);
int nm_store_reject(nm_store *store, uint32_t which);            /* candidate, or current: the one before it counts again */
int nm_store_forget(nm_store *store);                            /* all */

/* Bytes of an object; whether its image or state is the one that the record told of is the caller's to check: */
static inline const uint8_t *nm_store_bytes(const nm_store *store, const nm_object *object)
{
    return store->flash.base + object->at;
}
bool nm_store_named(const nm_store *store, const nm_object *object, const uint8_t *hash);   /* 28 bytes, as in the record */

#endif
