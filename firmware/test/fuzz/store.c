/* Fuzz target: what a board finds in its flash, and what it leaves there.
 *
 * First byte even: a flash from anywhere, of records, images, states and bytes. The board starts from it, several times;
 * what it runs is one of the images that the records tell of, and soon always the same. Checksums are off.
 * First byte odd: the board's own work on a new flash, while the power fails in any operation. After each loss it runs
 * what it ran before, or what it would have run after. */
#include <setjmp.h>

#include "app_internal.h"
#include "flash.h"
#include "programs.h"
#include "wire.h"

#define POOL 32768u
#define STATE_MOST 8192u
#define PROGRAMS (sizeof programs / sizeof programs[0])
#define RECORD 64u
#define LOOKS 6u                         /* starts until nothing may change any more: trial, rejections, what is left */

static nm_app app, app_before;
static uint64_t pool[POOL / 8], pool_before[POOL / 8], input_buffer[256];
static jmp_buf power;
static nm_report reports[PROGRAMS];
static uint32_t state_len[PROGRAMS];
static uint8_t states[PROGRAMS][STATE_MOST];

static void off(void) { longjmp(power, 1); }

static void boot(void)
{
    const nm_app_config config = {
        .board = "fuzz", .core = "host", .build = "0", .boots = 1, .pool = (uint8_t *)pool, .pool_len = POOL,
        .input = (uint8_t *)input_buffer, .input_len = sizeof input_buffer, .trace_len = 2048, .steps_per_poll = 4,
        .flash = flash_of_board,
    };
    nm_app_init(&app, &config);
}

/* What runs, as a number: program, step and all state; 0 if nothing does. */
static uint64_t running(void)
{
    static uint8_t saved[STATE_MOST];
    if (!app.program.engine) return 0;
    const uint32_t len = nm_save_size(app.program.engine);
    EXPECT(len <= sizeof saved && len % 4u == 0);
    nm_save(app.program.engine, 0, len, saved);
    return fuzz_sum(fuzz_sum(FUZZ_SUM, app.program.image, app.program.image_len), saved, len) | 1u;
}

static void load(uint32_t k)
{
    uint32_t need[2];
    EXPECT(nm_app_install(&app, programs[k].image, programs[k].len, 0, reports + k, need) == NM_OK);
}

static void prepare(void)
{
    for (uint32_t k = 0; k < PROGRAMS; k++) {
        EXPECT(nm_verify(programs[k].image, programs[k].len, NULL, reports + k) == NM_OK);
        flash_new();
        boot();
        load(k);
        for (uint32_t t = 0; t < 5; t++) EXPECT(nm_step(app.program.engine) == NM_OK);
        state_len[k] = nm_save_size(app.program.engine);
        EXPECT(state_len[k] <= STATE_MOST);
        nm_save(app.program.engine, 0, state_len[k], states[k]);
    }
}

/* ---- a flash from anywhere ---- */

static uint32_t a_place(fuzz_input *in) { return 8u * (fuzz_take(in, 2) % (FLASH_SIZE / 8u)); }

static void put(uint32_t at, const uint8_t *bytes, uint32_t len)
{
    memcpy(flash_cells + at, bytes, len < FLASH_SIZE - at ? len : FLASH_SIZE - at);
}

/* Right but for what the input says; of an object that is there it has the names. */
static void put_record(fuzz_input *in)
{
    static const uint8_t kinds[] = {1, 2, 3, 4, 0x4A, 1, 2, 3};
    uint8_t r[RECORD] = {0};
    const uint32_t slot = fuzz_take(in, 1) % (2u * FLASH_SECTOR / RECORD), odd = fuzz_take(in, 1), at = a_place(in);
    r[0] = kinds[odd & 7u];
    r[1] = 1;
    r[2] = (uint8_t)fuzz_take(in, 1);
    nm_wire_put32(r + 4, fuzz_take(in, odd & 8u ? 4 : 1));
    nm_wire_put32(r + 8, odd & 16u ? fuzz_take(in, 4) : at);
    nm_wire_put32(r + 12, fuzz_take(in, odd & 32u ? 4 : 2));
    nm_wire_put32(r + 20, fuzz_take(in, odd & 8u ? 4 : 1));
    nm_wire_put32(r + 24, fuzz_take(in, odd & 64u ? 3 : 1));
    nm_wire_put32(r + 28, fuzz_take(in, 1));
    if (r[0] == 0x4A)
        nm_wire_put32(r + 16, 0x54534D4E);
    else if (at <= FLASH_SIZE - 160u) {
        memcpy(r + 16, flash_cells + at + (r[0] == 1 ? 64 : 32), 4);
        memcpy(r + 32, flash_cells + at + (r[0] == 1 ? 96 : 64), 28);
        if (!(odd & 32u)) memcpy(r + 12, flash_cells + at + 8, 4);       /* both have their length there */
    }
    put(RECORD * slot, r, RECORD);
}

static void build(fuzz_input *in)
{
    for (uint32_t k = 0; in->left && k < 64; k++) {
        const uint32_t command = fuzz_take(in, 1), which = fuzz_take(in, 1), program = which % PROGRAMS;
        uint32_t len = which, at;
        switch (command & 7u) {
        case 0: case 1: case 2: put_record(in); break;
        case 3: case 4: put(a_place(in), programs[program].image, programs[program].len); break;
        case 5: put(a_place(in), states[program], state_len[program]); break;
        default:
            at = a_place(in) + (command >> 3 & 7u);
            const uint8_t *bytes = fuzz_bytes(in, &len);
            put(at, bytes, len);
        }
    }
}

static bool is_stored(void)
{
    for (uint32_t k = 0; k < NM_STORE_IMAGES; k++) {
        const nm_object *o = &app.store.image[k].object;
        if (app.store.image[k].number && o->len == app.program.image_len
            && memcmp(nm_store_bytes(&app.store, o), app.program.image, o->len) == 0)
            return true;
    }
    return false;
}

static void any_flash(fuzz_input *in)
{
    uint64_t last = 0;
    build(in);
    for (uint32_t k = 0; k < LOOKS; k++) {
        boot();
        if (app.program.engine) {
            reached += k == 0;
            EXPECT(is_stored());
            EXPECT(nm_now(app.program.engine) == 0 || (app.keep.flags & NM_KEPT_RESUMED));
        }
        if (k == LOOKS - 2) last = running();
    }
    EXPECT(running() == last);
    for (uint32_t t = 0; t < 4; t++) (void)nm_app_poll(&app, t);        /* it may run alone, and save */
    EXPECT(!app.program.engine || nm_step(app.program.engine) == NM_OK);
}

/* ---- the board's own work ---- */

typedef struct { uint8_t command, argument, cut; } task;

static void ask(uint8_t type, uint32_t argument)
{
    uint8_t payload[8] = {0};
    if (type == NM_MSG_STORE) {
        nm_wire_put32(payload, argument & 1u ? 1000u : 0);
        nm_wire_put32(payload + 4, argument >> 1 & 3u);
        if (app.program.engine) nm_app_on_store(&app, payload, 8);
    } else if (type == NM_MSG_CONFIRM) {
        payload[0] = (uint8_t)(argument % 3u);
        nm_app_on_confirm(&app, payload, 1);
    } else if (type == NM_MSG_SAVE) {
        if (app.program.engine) nm_app_on_save(&app, payload, 0);
    } else {
        nm_app_on_forget(&app, payload, 0);
    }
    while (nm_app_poll_store(&app)) {
    }
}

static void work(const task *todo)
{
    switch (todo->command & 7u) {
    case 0: load(todo->argument % PROGRAMS); break;
    case 1:
        for (uint32_t t = 0; app.program.engine && t < (todo->argument & 3u); t++)
            EXPECT(nm_step(app.program.engine) == NM_OK);
        break;
    case 2: ask(NM_MSG_STORE, todo->argument); break;
    case 3: ask(NM_MSG_SAVE, 0); break;
    case 4: ask(NM_MSG_CONFIRM, todo->argument); break;
    case 5: todo->argument & 7u ? ask(NM_MSG_SAVE, 0) : ask(NM_MSG_FORGET, 0); break;
    case 6: boot(); break;
    default: nm_app_power_fails(&app);
    }
}

static uint64_t boot_from(const uint8_t *flash)
{
    memcpy(flash_cells, flash, FLASH_SIZE);
    boot();
    return running();
}

/* A task in which the power fails: old or new. */
static void cut(const task *todo)
{
    static uint8_t before[FLASH_SIZE], torn[FLASH_SIZE], after[FLASH_SIZE];
    memcpy(before, flash_cells, FLASH_SIZE);
    memcpy(&app_before, &app, sizeof app);
    memcpy(pool_before, pool, sizeof pool);
    flash_operations = 0;
    flash_cut_at = todo->cut % 64u;
    flash_tear = todo->cut / 64u % 3u;
    if (!setjmp(power)) {
        work(todo);
        flash_cut_at = 0;
        return;                                                /* it took fewer operations */
    }
    flash_cut_at = 0;
    reached++;
    memcpy(torn, flash_cells, FLASH_SIZE);
    memcpy(flash_cells, before, FLASH_SIZE);
    memcpy(&app, &app_before, sizeof app);
    memcpy(pool, pool_before, sizeof pool);
    work(todo);
    memcpy(after, flash_cells, FLASH_SIZE);
    const uint64_t old = boot_from(before), new = boot_from(after), found = boot_from(torn);
    EXPECT(found == old || found == new);
}

static void own_flash(fuzz_input *in)
{
    boot();
    for (uint32_t k = 0; in->left && k < 48; k++) {
        const task todo = {(uint8_t)fuzz_take(in, 1), (uint8_t)fuzz_take(in, 1), (uint8_t)fuzz_take(in, 1)};
        if ((todo.command & 7u) < 2 || todo.cut % 64u == 0) work(&todo);
        else cut(&todo);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_input in = {data, size};
    flash_power = off;
    fuzz_checksums = false;
    if (!executions++) prepare();
    flash_new();
    fuzz_checksums = fuzz_take(&in, 1) & 1u;
    if (fuzz_checksums) own_flash(&in);
    else any_flash(&in);
    return 0;
}
