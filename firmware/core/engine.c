/* The engine: start, inputs, and the order of a step (docs/semantics.md 1). */
#include "wide.h"
#include <string.h>

static void rule_start(nm_engine *e, uint32_t index) {
    nm_rule *r = e->rule + index;
    r->separable = !e->wide && nm_separable(e, r);
}

int nm_init(nm_engine **engine, const uint8_t *image, size_t len, void *arena, size_t arena_len) {
    nm_image m;
    if (!engine || !image || len < 160 || !arena) return NM_E_ARG;
    if (((uintptr_t)image & 7u) != 0 || ((uintptr_t)arena & 7u) != 0) return NM_E_ARENA;
    nm_sections(&m, image);
    const uint32_t need = nm_layout(&m, NULL);
    if (need == UINT32_MAX || need > arena_len) return NM_E_ARENA;
    nm_layout(&m, arena);
    nm_engine *e = arena;
    const uint8_t *machine = nm_rec(&m, SEC_MACHINE, 0);
    e->image = m;
    e->seed = nm_u32(machine + 8);
    e->rounding = machine[12];
    e->wide = (uint8_t)m.wide;
    e->kernels = 1;
    e->pops = (uint16_t)m.sec[SEC_POPS].count;
    e->projs = (uint16_t)m.sec[SEC_PROJS].count;
    e->rules = (uint16_t)m.sec[SEC_RULES].count;
    e->probes = (uint16_t)m.sec[SEC_PROBES].count;
    e->modulators = (uint16_t)m.sec[SEC_MODULATORS].count;
    e->entries = m.sec[SEC_SCHEDULE].count;
    for (uint32_t i = 0; i < m.sec[SEC_FACTORS].count; i++) nm_decode_factor(&m, i, e->factor + i);
    for (uint32_t i = 0; i < m.sec[SEC_PRODUCTS].count; i++) {
        nm_decode_product(&m, i, e->product + i);
        e->product[i].single = e->single ? e->single + i : NULL;
        if (m.wide) nm_wide_shifts(&m, e->product + i);
        else e->product[i].right = (uint8_t)nm_product_right(&m, e->product + i);
    }
    for (uint32_t i = 0; i < e->probes; i++) nm_decode_probe(&m, i, e->probe + i);
    for (uint32_t i = 0; i < e->rules; i++) rule_start(e, i);
    for (uint32_t i = 0; i < e->projs; i++) {
        const nm_proj *p = e->proj + i;
        if (p->rule == 0) continue;
        p->plastic->rule = e->rule + (p->rule - 1u);
        if (p->plastic->rule->separable && p->layout == 0) nm_separable_start(e, p);
    }
    nm_reset(e);
    *engine = e;
    return NM_OK;
}

static void start_values(int32_t *to, const int32_t *from, uint32_t n) {
    if (from) memcpy(to, from, (size_t)n * 4);
    else memset(to, 0, (size_t)n * 4);
}

static void reset_pop(nm_pop *p) {
    p->count = 0;
    p->fresh = 0;
    if (p->kind == POP_INPUT) return;
    memset(p->a, 0, (size_t)p->n * 4);
    start_values(p->u, p->init[0], p->n);
    start_values(p->v, p->init[1], p->n);
    if (p->theta) start_values(p->theta, p->init[2], p->n);
    if (p->refr) memset(p->refr, 0, (size_t)p->n * 2);
    p->adapt = p->theta != NULL;
}

static void reset_proj(const nm_engine *e, uint32_t index, nm_proj *p) {
    memset(p->ring, 0, (size_t)p->slots * p->n_post * 4);
    memset(p->dirty, 0, p->slots);
    if (p->short_term) nm_short_term_reset(e, p);
    if (!p->plastic) return;
    nm_plastic *l = p->plastic;
    const uint8_t *from = nm_rec(&e->image, SEC_WEIGHTS, 0) + p->w_off;
    memcpy((uint8_t *)(uintptr_t)p->w, from, (size_t)p->w_count * (p->element == ELEM_I16 ? 2u : 1u));
    if (l->tag1) memset(l->tag1, 0, (size_t)p->w_count * 2);
    if (l->tag2) memset(l->tag2, 0, (size_t)p->w_count * 2);
    for (uint32_t k = 0; k < TR_COUNT; k++)
        if (l->trace[k]) memset(l->trace[k], 0, (size_t)(k < TR_Y1 ? p->n_pre : p->n_post) << e->wide);
    memset(l->tx, 0, p->n_pre);
    memset(l->ty, 0, p->n_post);
    l->nrows = l->ncols = 0;
    l->floor_tag = 0;
    l->on = nm_rec(&e->image, SEC_PROJS, index)[11] == 0;
}

/* Counters that would need a division in each step are set here and then count. */
static void place_in_time(nm_engine *e, uint32_t t) {
    uint32_t rest;
    for (uint32_t i = 0; i < e->projs; i++)
        if (e->proj[i].short_term) nm_short_term_seek(e->proj + i, t - e->now);
    e->now = t;
    for (uint32_t i = 0; i < e->pops; i++) {
        nm_pop *p = e->pop + i;
        p->count = 0;
        p->fresh = 0;
        p->reset_left = 0;
        if (!(p->options & OPT_RESET)) continue;
        uint32_t due, at;
        nm_udivmod(p->reset_offset, p->reset_interval, &due);
        nm_udivmod(t, p->reset_interval, &at);
        p->reset_left = due > at ? due - at : due + (p->reset_interval - at);
    }
    for (uint32_t i = 0; i < e->projs; i++) {
        nm_udivmod(t, e->proj[i].slots, &rest);
        e->proj[i].slot = (uint8_t)rest;
    }
    for (uint32_t i = 0; i < e->rules; i++) {
        nm_rule *r = e->rule + i;
        r->epochs = nm_udivmod(t, r->t_epoch, &rest);
        r->te = (uint8_t)(rest ? rest : r->t_epoch);
        if (!r->stream) continue;
        for (uint32_t s = 0; s < STREAM_COUNT; s++) {
            const uint8_t *image = nm_rec(&e->image, SEC_STREAMS, r->stream_ref[s] - 1u);
            const uint64_t drawn = s == STREAM_C ? r->epochs : s == STREAM_XD || s == STREAM_YD ? 2 * (uint64_t)t : t;
            nm_stream_jump(r->stream + s, image, drawn);
        }
    }
    e->entry = 0;
    while (e->entry < e->entries && nm_u32(nm_rec(&e->image, SEC_SCHEDULE, e->entry)) <= t) e->entry++;
    nm_probes_start(e);
}

static void apply_schedule(nm_engine *e) {
    for (; e->entry < e->entries; e->entry++) {
        const uint8_t *b = nm_rec(&e->image, SEC_SCHEDULE, e->entry);
        if (nm_u32(b) != e->now) return;
        const uint32_t object = nm_u16(b + 6);
        if (b[4] == 1) e->proj[object].plastic->on = b[5];
        else if (b[4] == 2) e->pop[object].adapt = b[5];
        else
            for (uint32_t k = 0; k < e->modulator[object].n; k++)
                e->modulator[object].value[k] = (int32_t)nm_u32(b + 8);
    }
}

void nm_reset(nm_engine *e) {
    for (uint32_t i = 0; i < e->pops; i++) reset_pop(e->pop + i);
    for (uint32_t i = 0; i < e->projs; i++) reset_proj(e, i, e->proj + i);
    for (uint32_t i = 0; i < e->modulators; i++) nm_modulator_reset(e, e->modulator + i);
    place_in_time(e, 0);
    e->entry = 0;
    apply_schedule(e);
    memset(&e->work, 0, sizeof e->work);
}

int nm_seek(nm_engine *e, uint32_t step) {
    place_in_time(e, step);
    return NM_OK;
}

uint32_t nm_now(const nm_engine *e) { return e->now; }

void nm_set_kernels(nm_engine *e, int enabled) { e->kernels = enabled != 0; }

void nm_get_counters(const nm_engine *e, nm_counters *out) { *out = e->work; }

int nm_inject(nm_engine *e, uint16_t population, const uint32_t *index, const int32_t *payload, uint32_t count) {
    if (population >= e->pops) return NM_E_INPUT;
    nm_pop *p = e->pop + population;
    if (p->kind != POP_INPUT || (payload && !p->payload)) return NM_E_INPUT;
    const uint32_t held = p->fresh ? p->count : 0;
    for (uint32_t k = 0; k < count; k++) {
        if (index[k] >= p->n || (k && index[k] <= index[k - 1])) return NM_E_INPUT;
        if (payload && (payload[k] <= -NM_PAYLOAD_END || payload[k] >= NM_PAYLOAD_END)) return NM_E_INPUT;
    }
    if (count && held && index[0] <= p->index[held - 1]) return NM_E_INPUT;
    p->count = held;
    p->fresh = 1;
    for (uint32_t k = 0; k < count; k++) {
        if (payload && payload[k] == 0) continue;      /* no spike */
        if (p->payload) p->payload[p->count] = payload ? payload[k] : 1;
        p->index[p->count++] = index[k];
    }
    return NM_OK;
}

uint32_t nm_spikes(const nm_engine *e, uint16_t population, const uint32_t **index, const int32_t **payload) {
    if (population >= e->pops) return 0;
    const nm_pop *p = e->pop + population;
    if (index) *index = p->index;
    if (payload) *payload = p->payload;
    return p->count;
}

int nm_step(nm_engine *e) {
    if (e->now == UINT32_MAX) return NM_E_STEPS;
    const uint32_t t = ++e->now;
    for (uint32_t i = 0; i < e->projs; i++) nm_deliver(e, e->proj + i);
    for (uint32_t i = 0; i < e->pops; i++) {
        nm_pop *p = e->pop + i;
        if (p->kind != POP_INPUT) nm_update(p, t);
        else if (!p->fresh) p->count = 0;
        p->fresh = 0;
        e->work.spikes += p->count;
    }
    for (uint32_t i = 0; i < e->rules; i++) {
        nm_rule *r = e->rule + i;
        r->te = r->te == r->t_epoch ? 1 : (uint8_t)(r->te + 1u);
        r->epochs += r->te == r->t_epoch;
    }
    for (uint32_t i = 0; i < e->projs; i++) {
        nm_take_in(e, e->proj + i);
        if (e->proj[i].plastic) nm_note(e, i, e->proj + i);
    }
    for (uint32_t i = 0; i < e->modulators; i++) nm_modulate(e, e->modulator + i);
    for (uint32_t i = 0; i < e->projs; i++) {
        nm_proj *p = e->proj + i;
        if (p->plastic && p->plastic->rule->te == p->plastic->rule->t_epoch) nm_learn(e, i, p);
    }
    apply_schedule(e);
    nm_probes_step(e);
    return NM_OK;
}
