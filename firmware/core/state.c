/* State items in canonical order and form (docs/image.md 2), whatever the layout inside. */
#include "wide.h"

#include <string.h>

static int set(nm_item *info, uint8_t width, uint32_t count) {
    info->width = width;
    info->count = count;
    return 1;
}

static int pop_item(const nm_pop *p, nm_item *info) {
    if (p->kind == POP_INPUT) return 0;
    switch (info->code) {
    case ITEM_U:
    case ITEM_V: return set(info, 4, p->n);
    case ITEM_REFR: return p->refr ? set(info, 2, p->n) : 0;
    case ITEM_THETA: return p->theta ? set(info, 4, p->n) : 0;
    case ITEM_ADAPT: return p->theta ? set(info, 1, 1) : 0;
    default: return 0;
    }
}

static int proj_item(const nm_proj *p, nm_item *info, uint32_t wide) {
    const nm_plastic *l = p->plastic;
    if (info->code == ITEM_RING) return set(info, 4, (uint32_t)p->slots * p->n_post);
    if (info->code == ITEM_STP_U || info->code == ITEM_STP_X) return p->short_term ? set(info, 2, p->w_count) : 0;
    if (info->code == ITEM_SINCE) return p->short_term ? set(info, 2, p->n_pre) : 0;
    if (!l) return 0;
    switch (info->code) {
    case ITEM_W: return set(info, 2, p->w_count);
    case ITEM_TAG1: return l->tag1 ? set(info, 2, p->w_count) : 0;
    case ITEM_TAG2: return l->tag2 ? set(info, 2, p->w_count) : 0;
    case ITEM_TX: return set(info, 1, p->n_pre);
    case ITEM_TY: return set(info, 1, p->n_post);
    case ITEM_PLASTIC: return set(info, 1, 1);
    default: break;
    }
    const uint32_t k = (uint32_t)info->code - ITEM_TRACE;
    return k < TR_COUNT && l->trace[k] ? set(info, (uint8_t)(1u + wide), k < TR_Y1 ? p->n_pre : p->n_post) : 0;
}

/* The item `code` of an object, if it has it: 1, else 0. */
int nm_item_find(const nm_engine *e, uint8_t kind, uint16_t object, uint8_t code, nm_item *info) {
    info->kind = kind;
    info->object = object;
    info->code = code;
    info->width = 0;
    info->count = 0;
    if (kind == KIND_MODULATOR) return code == ITEM_M ? set(info, 4, e->modulator[object].n) : 0;
    return kind == KIND_PROJ ? proj_item(e->proj + object, info, e->wide) : pop_item(e->pop + object, info);
}

/* Codes ascend in canonical order. */
int nm_item_next(const nm_engine *e, nm_item *item) {
    static const uint8_t codes[KIND_COUNT + 1] = {ITEM_U, ITEM_RING, ITEM_M, ITEM_M + 1};
    const uint32_t counts[KIND_COUNT] = {e->pops, e->projs, e->modulators};
    uint32_t kind = item->kind, i = item->object, code = item->code + 1u;
    for (; kind < KIND_COUNT; kind++, i = 0, code = codes[kind])
        for (; i < counts[kind]; i++, code = codes[kind])
            for (; code < codes[kind + 1]; code++)
                if (nm_item_find(e, (uint8_t)kind, (uint16_t)i, (uint8_t)code, item)) return 1;
    return 0;
}

/* Returns the number of items up to `wanted`, which is then in info. */
static uint32_t walk(const nm_engine *e, uint32_t wanted, nm_item *info) {
    uint32_t n = 0;
    memset(info, 0, sizeof *info);
    while (nm_item_next(e, info) && n++ != wanted)
        ;
    return n;
}

uint32_t nm_items(const nm_engine *e) {
    nm_item info;
    return walk(e, UINT32_MAX, &info);
}

int nm_item_info(const nm_engine *e, uint32_t item, nm_item *info) {
    return item != UINT32_MAX && walk(e, item, info) == item + 1 ? NM_OK : NM_E_ARG;
}

static int32_t weight(const nm_proj *p, uint32_t k) {
    if (p->element == ELEM_I16) return ((const int16_t *)(const void *)p->w)[k];
    return (int32_t)((p->w[k] ^ p->flip) - p->flip);
}

static int32_t contribution(const nm_proj *p, uint32_t k) {
    return p->staged ? p->ring[k] : nm_shift(p->ring[k], p->flip, p->left, p->right);
}

static int32_t value(const nm_engine *e, const nm_item *item, uint32_t k) {
    const nm_pop *q = e->pop + (item->kind == KIND_POP ? item->object : 0);
    const nm_proj *p = e->proj + (item->kind == KIND_PROJ ? item->object : 0);
    switch (item->code) {
    case ITEM_U: return q->u[k];
    case ITEM_V: return q->v[k];
    case ITEM_REFR: return q->refr[k];
    case ITEM_THETA: return q->theta[k];
    case ITEM_ADAPT: return q->adapt;
    case ITEM_RING: return contribution(p, k);
    case ITEM_W: return weight(p, k);
    case ITEM_TAG1: return p->plastic->tag1[k];
    case ITEM_TAG2: return p->plastic->tag2[k];
    case ITEM_TX: return p->plastic->tx[k];
    case ITEM_TY: return p->plastic->ty[k];
    case ITEM_PLASTIC: return p->plastic->on;
    case ITEM_STP_U: return p->short_term->u[k];
    case ITEM_STP_X: return p->short_term->x[k];
    case ITEM_SINCE: return (int32_t)nm_since(e, p->short_term, k);
    case ITEM_M: return e->modulator[item->object].value[k];
    default:
        if (e->wide) return nm_wide_trace(p->plastic, (uint32_t)item->code - ITEM_TRACE)[k];
        return p->plastic->trace[item->code - ITEM_TRACE][k];
    }
}

void nm_values(const nm_engine *e, const nm_item *item, uint32_t first, uint32_t count, uint8_t *out) {
    for (uint32_t k = 0; k < count; k++, out += item->width) {
        const uint32_t x = (uint32_t)value(e, item, first + k);
        if (item->width == 1) out[0] = (uint8_t)x;
        else if (item->width == 2) nm_put16(out, x);
        else nm_put32(out, x);
    }
}

static int inside(const nm_item *item, uint32_t first, uint32_t count) {
    return first <= item->count && count <= item->count - first;
}

int nm_item_read(const nm_engine *e, uint32_t item, uint32_t first, uint32_t count, uint8_t *out) {
    nm_item info;
    if (nm_item_info(e, item, &info) != NM_OK || !inside(&info, first, count)) return NM_E_ARG;
    nm_values(e, &info, first, count, out);
    return NM_OK;
}

static int32_t given(const nm_item *item, const uint8_t *in, uint32_t k) {
    if (item->width == 1) return in[k];
    if (item->width == 4) return (int32_t)nm_u32(in + 4 * k);
    const uint32_t x = nm_u16(in + 2 * k);
    return nm_unsigned(item->code) ? (int32_t)x : (int16_t)x;
}

/* The raw sum that delivers contribution x; `ok` is cleared if there is none. */
static int32_t raw_of(const nm_proj *p, int32_t x, int *ok) {
    if (p->staged) return x;
    const uint32_t scaled = (uint32_t)x << p->right;
    const uint32_t raw = (uint32_t)((int32_t)scaled >> p->left);
    const int32_t result = (int32_t)((raw ^ p->flip) - p->flip);
    if (nm_shift(result, p->flip, p->left, p->right) != x) *ok = 0;
    return result;
}

static int valid_wide(const nm_proj *p, uint32_t code, int32_t x) {
    if (code >= ITEM_TRACE) return x <= WIDE_TRACE_MAX;
    if (code == ITEM_W) return x >= nm_wide_low(p->sign) && x <= nm_wide_high(p->sign);
    return x <= WIDE_TOP && (code == ITEM_TAG1 || x >= 0);
}

static int valid(const nm_engine *e, const nm_item *item, uint32_t k, int32_t x) {
    static const int16_t weights[3][2] = {{-256, 255}, {0, 255}, {-255, 0}};
    const nm_pop *q = e->pop + (item->kind == KIND_POP ? item->object : 0);
    const nm_proj *p = e->proj + (item->kind == KIND_PROJ ? item->object : 0);
    int ok = 1;
    if (e->wide && item->kind == KIND_PROJ && item->code >= ITEM_W && item->code < ITEM_TX) return valid_wide(p, item->code, x);
    switch (item->code) {
    case ITEM_U: return 1;              /* a single wrap may leave any 32-bit value */
    case ITEM_V: return x > -NM_U && x < NM_U;
    case ITEM_REFR: return x <= (q->array[PAR_REFR] ? q->array[PAR_REFR][k] : q->value[PAR_REFR]);
    case ITEM_THETA: return x >= q->theta_min && x <= NM_THETA_MAX;
    case ITEM_ADAPT:
    case ITEM_PLASTIC: return x <= 1;
    case ITEM_RING: raw_of(p, x, &ok); return ok;
    case ITEM_W: return x >= weights[p->sign][0] && x <= weights[p->sign][1];
    case ITEM_TAG1: return x >= -257 && x <= 255;
    case ITEM_TAG2: return x >= 0 && x <= 255;
    case ITEM_M: return x >= -NM_MODULATOR_MAX && x <= NM_MODULATOR_MAX;
    case ITEM_STP_U:
    case ITEM_STP_X: return x <= 32768;
    case ITEM_SINCE: return 1;
    case ITEM_TX:
    case ITEM_TY: return x <= p->plastic->rule->t_epoch;
    case ITEM_TRACE: return x <= (p->plastic->rule->graded & 1u ? 128 : 127);    /* overwrite, add_wrap */
    default: return x <= 127;
    }
}

static void write(nm_engine *e, const nm_item *item, uint32_t k, int32_t x) {
    nm_pop *q = e->pop + (item->kind == KIND_POP ? item->object : 0);
    nm_proj *p = e->proj + (item->kind == KIND_PROJ ? item->object : 0);
    int ok = 1;
    switch (item->code) {
    case ITEM_U: q->u[k] = x; break;
    case ITEM_V: q->v[k] = x; break;
    case ITEM_REFR: q->refr[k] = (uint16_t)x; break;
    case ITEM_THETA: q->theta[k] = x; break;
    case ITEM_ADAPT: q->adapt = (uint8_t)x; break;
    case ITEM_RING: p->ring[k] = raw_of(p, x, &ok); break;
    case ITEM_W:
        if (p->element == ELEM_I16) ((int16_t *)(uintptr_t)p->w)[k] = (int16_t)x;
        else ((uint8_t *)(uintptr_t)p->w)[k] = (uint8_t)(x < 0 ? -x : x);
        break;
    case ITEM_TAG1:
        p->plastic->tag1[k] = (int16_t)x;
        p->plastic->floor_tag |= x == -257 && !e->wide;
        break;
    case ITEM_TAG2: p->plastic->tag2[k] = (int16_t)x; break;
    case ITEM_TX: p->plastic->tx[k] = (uint8_t)x; break;
    case ITEM_TY: p->plastic->ty[k] = (uint8_t)x; break;
    case ITEM_PLASTIC: p->plastic->on = (uint8_t)x; break;
    case ITEM_STP_U: p->short_term->u[k] = (uint16_t)x; break;
    case ITEM_STP_X: p->short_term->x[k] = (uint16_t)x; break;
    case ITEM_SINCE: p->short_term->last[k] = e->now - (uint32_t)x; break;
    case ITEM_M: e->modulator[item->object].value[k] = x; break;
    default:
        if (e->wide) nm_wide_trace(p->plastic, (uint32_t)item->code - ITEM_TRACE)[k] = (uint16_t)x;
        else p->plastic->trace[item->code - ITEM_TRACE][k] = (uint8_t)x;
        break;
    }
}

int nm_item_write(nm_engine *e, uint32_t item, uint32_t first, uint32_t count, const uint8_t *in) {
    nm_item info;
    if (nm_item_info(e, item, &info) != NM_OK || !inside(&info, first, count)) return NM_E_ARG;
    for (uint32_t k = 0; k < count; k++)
        if (!valid(e, &info, first + k, given(&info, in, k))) return NM_E_STATE;
    for (uint32_t k = 0; k < count; k++) write(e, &info, first + k, given(&info, in, k));
    nm_proj *p = e->proj + (info.kind == KIND_PROJ ? info.object : 0);
    if (info.code == ITEM_RING)
        for (uint32_t s = 0; s < p->slots; s++) p->dirty[s] = 1;
    if (info.code == ITEM_TX || info.code == ITEM_TY) nm_active(p);
    return NM_OK;
}
