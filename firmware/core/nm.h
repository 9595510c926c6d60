/* neuromorph core: verified image in, equal bits out. The one C API for host and boards.
 *
 * No allocation: the caller gives an image (kept in place, read only, 8-aligned) and an arena (RAM, 8-aligned).
 * No float, no libc beyond memcpy/memset/memmove.
 * docs/image.md states the bytes, docs/semantics.md the meaning of a step. */
#ifndef NM_H
#define NM_H
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NM_SEMANTICS 1u

/* Result codes. Rules R1..R11 of the verifier are reported apart, in nm_report. */
enum {
    NM_OK = 0,
    NM_E_IMAGE = -1,    /* the verifier rejected the image: see nm_report */
    NM_E_ARENA = -2,    /* arena too small or misaligned */
    NM_E_ARG = -3,      /* an argument is out of range */
    NM_E_INPUT = -4,    /* an input record is malformed, late, or names no input */
    NM_E_STATE = -5,    /* a state value is out of range */
    NM_E_SPACE = -6,    /* the output buffer cannot take this step's records: nothing was done, call again with room */
    NM_E_STEPS = -7     /* step counter would overflow */
};

/* What the verifier found: `rule` 0 if accepted, else 1..11, `offset` the byte of the image that broke it. */
typedef struct {
    uint8_t rule;
    uint32_t offset;
    uint32_t arena;     /* bytes of arena that the image needs (R9) */
    uint32_t step_us;   /* microseconds of its worst step (R10), if the speed is known */
} nm_report;

/* What a core does in a microsecond, and what each element of the worst step takes of it (docs/image.md, 5). */
typedef struct {
    uint16_t per_us;    /* instructions, not 0 */
    uint16_t neuron, dense, sparse, delayed, pair, interpreted, trace, release;     /* tenths of one, below 4096 */
} nm_speed;
#define NM_COSTS_M0 769, 46, 113, 222, 350, 502, 320, 814
#define NM_COSTS_M4 477, 31, 70, 133, 260, 236, 180, 619

/* Limits of a machine that the verifier applies (0 = no limit). */
typedef struct {
    uint32_t image_max;
    uint32_t arena_max;
    uint32_t features;  /* feature bits that this engine has */
    uint32_t counter_least;     /* security counters below are refused (R11) */
    const nm_speed *speed;      /* null: not known, no deadline is checked (R10) */
} nm_limits;

#define NM_FEATURES_ALL 0x1FFFFu

typedef struct nm_engine nm_engine;   /* lives at the start of the arena */

/* Check rules R1..R11 of an image; O(n), no state, no recursion. Flag NM_VERIFY_NO_HASH skips CRC and hash (for fuzz
 * builds only). */
int nm_verify(const uint8_t *image, size_t len, const nm_limits *limits, nm_report *report);

/* Lay the engine out in the arena and put it at step 0. The image must have passed nm_verify and stay in place. */
int nm_init(nm_engine **engine, const uint8_t *image, size_t len, void *arena, size_t arena_len);

/* Back to step 0 with the image's initial state. */
void nm_reset(nm_engine *engine);

uint32_t nm_now(const nm_engine *engine);            /* the last step done */

/* Inject spikes for the next step (indices ascending, also over several calls; payload NULL = 1 each, only for graded
 * inputs otherwise; payload 0 is no spike). Kept until nm_step. Read and record the last step's spikes before. */
int nm_inject(nm_engine *engine, uint16_t population, const uint32_t *index, const int32_t *payload, uint32_t count);

/* One step. */
int nm_step(nm_engine *engine);

/* Spikes of a population in the last step; payload NULL = 1 each. */
uint32_t nm_spikes(const nm_engine *engine, uint16_t population, const uint32_t **index, const int32_t **payload);

/* Call `spike` for each spike of a population in the last step, in ascending order; its payload is 1 but for graded and
 * ternary populations. */
static inline void nm_on_spike(const nm_engine *engine, uint16_t population,
                               void (*spike)(void *context, uint32_t neuron, int32_t payload), void *context)
{
    const uint32_t *index;
    const int32_t *payload;
    const uint32_t count = nm_spikes(engine, population, &index, &payload);
    for (uint32_t i = 0; i < count; i++)
        spike(context, index[i], payload ? payload[i] : 1);
}

/* Records: parse inputs, write outputs (docs/image.md, 4).
 * nm_feed takes the input records of step nm_now()+1 from buf and returns the bytes used (>= 0; records of later
 * steps are left), or a negative code. */
int32_t nm_feed(nm_engine *engine, const uint8_t *buf, uint32_t len);
uint32_t nm_record_bound(const nm_engine *engine);   /* worst-case bytes of all records of one step */
/* Write the records of the last step; returns bytes written or NM_E_SPACE. */
int32_t nm_record(const nm_engine *engine, uint8_t *buf, uint32_t cap);

/* Many steps: feeds from `in`, records into `out`; stops early when `out` has no room for the worst case of one step.
 * Returns steps done (>= 0) or a negative code; *in_used and *out_used are always set. */
int32_t nm_run(nm_engine *engine, uint32_t steps, const uint8_t *in, uint32_t in_len, uint32_t *in_used,
               uint8_t *out, uint32_t out_cap, uint32_t *out_used);

/* State items in canonical order (docs/image.md, 2). */
typedef struct {
    uint8_t kind;                         /* of the object: 0 population, 1 projection, 2 modulator */
    uint8_t code, width;                  /* width: bytes of a value in canonical form (1, 2, 4) */
    uint16_t object;
    uint32_t count;                       /* values */
} nm_item;
uint32_t nm_items(const nm_engine *engine);
int nm_item_info(const nm_engine *engine, uint32_t item, nm_item *info);
int nm_item_read(const nm_engine *engine, uint32_t item, uint32_t first, uint32_t count, uint8_t *out);
/* Checks every value before it writes any: NM_E_STATE leaves the item as it was. */
int nm_item_write(nm_engine *engine, uint32_t item, uint32_t first, uint32_t count, const uint8_t *in);
/* Set the step counter and move the random streams to it (after items were written, for a restore). */
int nm_seek(nm_engine *engine, uint32_t step);

/* All state as the bytes of a file .nms (docs/image.md, 3), to be kept where the loss of power leaves it. nm_save gives
 * `len` of its bytes from `offset` on, both multiples of 4; the engine must not step meanwhile. The header is the last to
 * be known: asking for any of it reads all state. nm_restore: NM_E_STATE for what is damaged or of another program, which
 * leaves the state as it was, and for a value out of range, which leaves the engine at step 0. */
#define NM_STATE_HEADER 96u
uint32_t nm_save_size(const nm_engine *engine);
void nm_save(const nm_engine *engine, uint32_t offset, uint32_t len, uint8_t *out);
int nm_restore(nm_engine *engine, const uint8_t *state, uint32_t len);

/* Use the specialised learning kernels (on after nm_init); off, every rule is interpreted. Results are equal. */
void nm_set_kernels(nm_engine *engine, int enabled);

/* Work done since init, for benchmarks and cost reports. */
typedef struct { uint64_t spikes, synaptic_events, plastic_updates; } nm_counters;
void nm_get_counters(const nm_engine *engine, nm_counters *out);

/* Checksums shared with the link. */
uint32_t nm_crc32c(uint32_t crc, const uint8_t *data, size_t len);      /* start with crc = 0 */
typedef struct { uint32_t h[8], t[2]; uint8_t buf[64]; uint32_t fill; } nm_blake2s;
void nm_blake2s_init(nm_blake2s *s);                                     /* 32-byte digest, no key */
void nm_blake2s_update(nm_blake2s *s, const uint8_t *data, size_t len);
void nm_blake2s_final(nm_blake2s *s, uint8_t out[32]);

#ifdef __cplusplus
}
#endif
#endif
