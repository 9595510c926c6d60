/* Fuzz target: input records, state values and step counters from anywhere, for programs that were accepted.
 *
 * The first byte chooses one of the programs in programs.h (made by tests/fuzz), the rest are commands. */
#include "fuzz.h"
#include "nm.h"
#include "programs.h"

static void write_item(nm_engine *e, fuzz_input *in)
{
    const uint32_t item = fuzz_take(in, 1), first = fuzz_take(in, 2);
    uint32_t bytes = fuzz_take(in, 1);
    nm_item info;
    if (nm_item_info(e, item, &info) != NM_OK) {
        EXPECT(nm_item_write(e, item, 0, 0, in->at) == NM_E_ARG);
        return;
    }
    const uint8_t *values = fuzz_bytes(in, &bytes);
    const size_t all = (size_t)info.count * info.width;
    uint8_t *before = malloc(all + 1), *after = malloc(all + 1);
    EXPECT(before && after);
    EXPECT(nm_item_read(e, item, 0, info.count, before) == NM_OK);
    const int code = nm_item_write(e, item, first, bytes / info.width, values);
    EXPECT(code == NM_OK || code == NM_E_ARG || code == NM_E_STATE);
    EXPECT(nm_item_read(e, item, 0, info.count, after) == NM_OK);
    if (code != NM_OK) EXPECT(memcmp(before, after, all) == 0);      /* nothing, or all of it */
    else reached++;
    EXPECT(nm_item_write(e, item, 0, info.count, after) == NM_OK);   /* whatever it holds can be held */
    free(before);
    free(after);
}

static void feed(nm_engine *e, fuzz_input *in)
{
    uint32_t bytes = fuzz_take(in, 1);
    const uint32_t relative = fuzz_take(in, 1);
    const uint8_t *given = fuzz_bytes(in, &bytes);
    uint8_t *record = malloc(bytes + 1u);
    EXPECT(record);
    memcpy(record, given, bytes);
    if (bytes >= 4 && relative < 128) {                              /* of the next step, most of the time */
        const uint32_t step = nm_now(e) + 1u;
        for (uint32_t k = 0; k < 4; k++) record[k] = (uint8_t)(step >> 8 * k);
    }
    const int32_t used = nm_feed(e, record, bytes);
    EXPECT(used <= (int32_t)bytes);
    if (used > 0) reached++;
    free(record);
}

static void seek(nm_engine *e, fuzz_input *in)
{
    const uint32_t to = fuzz_take(in, 4);
    EXPECT(nm_seek(e, to) == NM_OK);
    EXPECT(nm_now(e) == to);
}

static void step(nm_engine *e)
{
    uint8_t out[4096];
    const int code = nm_step(e);
    EXPECT(code == NM_OK || (code == NM_E_STEPS && nm_now(e) == UINT32_MAX));
    const int32_t made = nm_record(e, out, sizeof out);
    EXPECT(made == NM_E_SPACE || made >= 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_input in = {data, size};
    nm_report report;
    nm_engine *e;
    executions++;
    const uint32_t which = fuzz_take(&in, 1) % (sizeof programs / sizeof programs[0]);
    EXPECT(nm_verify(programs[which].image, programs[which].len, NULL, &report) == NM_OK);
    void *arena = malloc(report.arena);
    EXPECT(arena);
    EXPECT(nm_init(&e, programs[which].image, programs[which].len, arena, report.arena) == NM_OK);
    while (in.left) {
        const uint32_t command = fuzz_take(&in, 1) & 7u;
        if (command == 0) seek(e, &in);
        else if (command == 1) nm_reset(e);
        else if (command <= 3) write_item(e, &in);
        else if (command <= 5) feed(e, &in);
        else step(e);
    }
    free(arena);
    return 0;
}
