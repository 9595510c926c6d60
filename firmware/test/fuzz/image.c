/* Fuzz target: an image from anywhere. What the verifier takes must run: a few steps, all state out and in again. */
#include "fuzz.h"
#include "nm.h"

#define ARENA_MOST (1u << 18)       /* larger networks only make it slow */
#define STEPS 6u

/* Write back what was read: it must be taken, and be the same again. */
static void exchange(nm_engine *e)
{
    for (uint32_t k = 0; k < nm_items(e); k++) {
        nm_item item;
        EXPECT(nm_item_info(e, k, &item) == NM_OK);
        const size_t bytes = (size_t)item.count * item.width;
        uint8_t *a = malloc(bytes + 1), *b = malloc(bytes + 1);
        EXPECT(a && b);
        EXPECT(nm_item_read(e, k, 0, item.count, a) == NM_OK);
        EXPECT(nm_item_write(e, k, 0, item.count, a) == NM_OK);
        EXPECT(nm_item_read(e, k, 0, item.count, b) == NM_OK);
        EXPECT(memcmp(a, b, bytes) == 0);
        free(a);
        free(b);
    }
}

static void inject(nm_engine *e)
{
    /* Population 0 is an input in every seed; where a mutant made it something else it is refused. */
    const uint32_t index[2] = {0, 1};
    (void)nm_inject(e, 0, index, NULL, 1u + (nm_now(e) & 1u));
}

static void run(const uint8_t *image, size_t size, uint32_t arena_len)
{
    nm_engine *e = NULL;
    void *arena = malloc(arena_len);            /* of just that size: one byte more is a finding */
    EXPECT(arena);
    EXPECT(nm_init(&e, image, size, arena, arena_len) == NM_OK);
    const uint32_t bound = nm_record_bound(e);
    uint8_t *out = malloc(bound <= ARENA_MOST ? bound + 1u : 1u);
    EXPECT(out);
    for (uint32_t t = 0; t < STEPS; t++) {
        inject(e);
        EXPECT(nm_step(e) == NM_OK);
        if (bound <= ARENA_MOST) EXPECT(nm_record(e, out, bound) >= 0);
        if (t == STEPS / 2) exchange(e);
    }
    const uint32_t now = nm_now(e);
    EXPECT(nm_seek(e, now) == NM_OK);
    EXPECT(nm_step(e) == NM_OK);
    nm_reset(e);
    EXPECT(nm_now(e) == 0);
    free(out);
    free(arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    nm_report report = {0, 0, 0, 0};
    uint8_t *image = malloc(size ? size : 1);   /* a block of its own: reading past its end is a finding */
    EXPECT(image);
    memcpy(image, data, size);
    if (size >= 160) {                          /* what a mutant would otherwise fail on: length and magic */
        const uint32_t len = (uint32_t)size;
        memcpy(image, "NMI\x1A\xA0\0\x01", 7);
        for (uint32_t k = 0; k < 4; k++) image[8 + k] = (uint8_t)(len >> 8 * k);
        memset(image + 156, 0, 4);
    }
    executions++;
    const nm_speed speed = {16, NM_COSTS_M0};
    const nm_limits limits = {0, 0, NM_FEATURES_ALL, 0, &speed};
    const int code = nm_verify(image, size, &limits, &report);
    EXPECT((code == NM_OK) == (report.rule == 0));
    if (code == NM_OK || report.rule >= 4) reached++;
    EXPECT(code == NM_OK || report.offset <= size);
    if (code == NM_OK && report.arena <= ARENA_MOST) run(image, size, report.arena);
    free(image);
    return 0;
}
