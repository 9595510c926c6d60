"""Changes that cannot be caught, each with its proof: the changed engine gives the same bits for all programs.

A proof is of one operator, between ``[[`` and ``]]``, of one line of one file; where the line is gone, the tool stops.
Speed and scratch memory may differ; spikes, states, records, counters and result codes may not.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tests.mutation.changes import Change

__all__ = ["PROOFS", "Proof", "proof_of", "stale"]


@dataclass(frozen=True)
class Proof:
    """Why one operator of a line can as well be another.

    Attributes
    ----------
    file, line : str
        Where: the line without indentation and comment, the operator in brackets.
    new : tuple of str
        What can take its place.
    why : str
        The proof.
    """

    file: str
    line: str
    new: tuple[str, ...]
    why: str

    def covers(self, change: Change) -> bool:
        """Whether a change is one that is proven here."""
        indent = len(change.text) - len(change.text.lstrip())
        text = change.text.split("/*")[0].strip()
        at, end = self.line.index("[["), self.line.index("]]")
        return (
            change.file == self.file
            and text == self.line.replace("[[", "").replace("]]", "")
            and change.column - 1 - indent == at
            and change.old == self.line[at + 2 : end]
            and change.new in self.new
        )


_EITHER = "where both sides are equal, either branch gives the same value"
_ONE_BY_ONE = "rows that are not taken together are taken one by one by the loops below; sums do not depend on order"
_FIVE = "the sixth bit of `traces` is 0 (the verifier refuses others, R8), so a sixth round does nothing"
_LARGER = "says `may` once more often; then each product is limited one by one, which is the definition"
_SAME_DECAY = "both ways compute floor(D v) + (number < T(v)) of each value; which one is a matter of speed"
_ONE_IS_CONSTANT = "VAR_ONE does not vary along the lanes, which is asked before"
_LIST = "a row's cells listed, or the row as a whole: where nothing is added, the number alone moves nothing"
_NONE = "where synapses have numbers of their own, `some` = 0 makes the cells be listed: " + _LIST
_INTERPRETED = "fewer rules go to the kernel; the interpreter gives the same results (nm.h)"
_BITS_16 = "products of 32 bits wrap to the same in any order; parts of 16 bits matter to cores that multiply by such"
_LONG_WAY = "fewer go a short way; those that are refused go the long one, with the same sums"
_SHARED = "what is the same along the lanes may as well be asked for in each"
_BOUND = "2^bits is no less than the largest value: " + _LARGER
_AT_TY = "in epochs of one step a target that spiked did so in the last one; others are masked by the dependency"
_WITHIN = "without constant and second variable each value is within its width: to limit it changes nothing"
_ZERO = "a value of 0 stays 0 in every decay (R8), and -0 is 0"
_ROWS = "a row whole, or without its active columns and these again: two ways to the same values"
_TOGETHER = "const uint32_t together = 2 {} spiked {} n ? spiked {} n ? 1 : 2 : 0, again = together ? 0 : spiked;"
_IN_ONE_LOOP = "if (weight == NOT_ALIKE || size {} NM_SHORT_MAX || (far && !halves && !formed)) return 0;"
_LIMITS = "const uint32_t far = is_byte && most {} NM_ADDEND_MAX >> BELOW, limited = !is_byte && most {} 32767u;"
_SCRATCH = "more projections have the table, which only the kernel fills and reads"
_EITHER_WAY = "traces are read where they lie, or were prepared: which lines do what is a matter of speed"
_FEWER_THAN_TWO = "with one factor no second is found; what is not tried goes the long way, to the same products"
_DIRECT = "if (c->lines {} 1 {} (kind != LIMITED {} !how->own) {} few[0] != NONE {} few[2] == NONE) {{"
_ALONE = "const uint32_t listed = a->other != 0, alone = !NM_DSP {} c->lines {} 1;"
_CAN_PASS = "return f->add + (trace ? 0 : -257) {} f->lo || f->add + (trace ? 128 : 255) {} f->hi;"
_BITS_16 = (
    "products of 32 bits wrap to the same in any order; whether a part of them has 16 bits matters to cores that "
    "multiply by such, which programs for the loops of lines tell in tests/equality"
)
_LONG_WAY = "a product that is refused goes the long way, with the same sums"

PROOFS: tuple[Proof, ...] = (
    Proof(
        "nm_internal.h",
        "NM_INLINE int32_t nm_clip(int32_t x, int32_t lo, int32_t hi) { return x [[<]] lo ? lo : x > hi ? hi : x; }",
        ("<=",),
        "x = lo: with the change lo, without it x, as lo <= hi",
    ),
    Proof(
        "nm_internal.h",
        "NM_INLINE int32_t nm_clip(int32_t x, int32_t lo, int32_t hi) { return x < lo ? lo : x [[>]] hi ? hi : x; }",
        (">=",),
        _EITHER,
    ),
    Proof(
        "nm_internal.h",
        "NM_INLINE uint32_t nm_min(uint32_t a, uint32_t b) { return a [[<]] b ? a : b; }",
        ("<=",),
        _EITHER,
    ),
    Proof(
        "layout.c",
        "static uint32_t u32_max(uint32_t a, uint32_t b) { return a [[>]] b ? a : b; }",
        (">=",),
        _EITHER,
    ),
    Proof(
        "engine.c",
        "void nm_set_kernels(nm_engine *e, int enabled) { e->kernels = enabled [[!=]] 0; }",
        ("==",),
        "the two ways to run a rule change places; by nm.h results are equal, and the programs hold both ways to that",
    ),
    Proof(
        "lif.c",
        "const int32_t w = c [[>]] NM_U ? c - 2 * NM_U : c;",
        (">=",),
        "c = U becomes -U, and the next line brings -U back to U",
    ),
    Proof(
        "lif.c",
        "if (run_block(p, i, m, gap, &b, mode) [[>=]] 0) continue;",
        (">",),
        "0: no gap has its sign bit set, so the rest of the round counts no spike",
    ),
    Proof(
        "lif.c",
        "if (mode [[&]] LOW)",
        ("|",),
        "always true: then `low` is filled also where nothing reads it (only `voltages` does, with LOW)",
    ),
    Proof(
        "projection.c",
        "for (; FOUR && k + 4 [[<=]] pre->count; k += 4)",
        ("<",),
        _ONE_BY_ONE,
    ),
    Proof(
        "projection.c",
        "for (; k + 2 [[<=]] pre->count; k += 2) dense2_##name(acc, w + index[k] * n, w + index[k + 1] * n, n);",
        ("<",),
        _ONE_BY_ONE,
    ),
    Proof(
        "record.c",
        "static uint32_t saturating(uint32_t a, uint64_t b) { "
        "return b [[>]] UINT32_MAX - a ? UINT32_MAX : a + (uint32_t)b; }",
        (">=",),
        "b = UINT32_MAX - a: the sum is UINT32_MAX, which the other branch gives too",
    ),
    Proof(
        "record.c",
        "const int32_t made = nm_record(e, out + *out_used, out_cap [[-]] *out_used);",
        ("+",),
        "there is room for the worst case of the step, or the loop would have ended: the limit is never reached",
    ),
    Proof(
        "state.c",
        "return k [[<]] TR_COUNT && l->trace[k] ? set(info, (uint8_t)(1u + wide), k < TR_Y1 ? p->n_pre : p->n_post)"
        " : 0;",
        ("<=",),
        "k = TR_COUNT is the code ITEM_TX, which has a case of its own above",
    ),
    Proof("layout.c", "for (uint32_t k = 0; k [[<]] TR_COUNT; k++)", ("<=",), _FIVE),
    Proof("layout.c", "for (uint32_t k = 0; k [[<]] TR_COUNT; k++) {", ("<=",), _FIVE),
    Proof(
        "learn.c",
        "const uint32_t n = c->p->n_post, *cols = c->l->cols, "
        "spiked = c->r->deps [[&]] (1u << DEP_Y0) ? c->l->ncols : 0;",
        ("|",),
        "without y0-products the active columns are computed twice, from the same old values, by the same products",
    ),
    Proof(
        "learn.c",
        "if (l->rule->t_epoch [[>]] 1) nm_active(p);",
        (">=",),
        "lists the same neurons once more, in ascending order, in which all that follows takes them",
    ),
    Proof(
        "stdp.c",
        "c.x_first = find(e, r, DEP_X0) [[<]] find(e, r, DEP_Y0);",
        ("<=",),
        "two different products of one array",
    ),
    Proof("stdp.c", "if (list[x] [[<]] list[x - 1]) return 0;", ("<=",), "a neuron is listed once"),
    Proof(
        "stdp.c",
        "const int listed = c->hashed && (!FEW || FEW * some [[<]] c->p->n_post);",
        ("<=", ">="),
        "a cell that is not listed would get a number of 0..127, which the shift by 7 drops: list or row is speed",
    ),
    Proof("factors.c", _CAN_PASS.format("[[<]]", ">"), ("<=",), "limits values of which none passes the limits"),
    Proof("factors.c", _CAN_PASS.format("<", "[[>]]"), (">=",), "limits values of which none passes the limits"),
    Proof(
        "sums.c",
        "const uint32_t most = q->most[c->column], size = (int32_t)s < 0 ? 0u [[-]] s : s;",
        ("+",),
        "a negative s counts as over 2^31: " + _LARGER,
    ),
    Proof(
        "sums.c",
        "const uint32_t most = q->most[c->column], size = (int32_t)s [[<]] 0 ? 0u - s : s;",
        ("<=",),
        "-0 is 0",
    ),
    Proof(
        "sums.c",
        "const uint32_t largest = largest_product(c, q, s), "
        "limited = (largest >> q->right) + 1u [[>]] 32767u >> q->left;",
        (">=",),
        _LARGER,
    ),
    Proof(
        "sums.c",
        "if (largest [[>=]] (is_short ? 32767u : NM_ADDEND_MAX) >> q->left) return 0;",
        (">",),
        "what is as large as the limit is not over it",
    ),
    Proof(
        "factors.c",
        "if (var [[>=]] VAR_W && var <= VAR_T && !f->form && !f->second && !f->add) return c->old[var - VAR_W];",
        (">",),
        "weights go on, and are copied as they are",
    ),
    Proof("single.c", _IN_ONE_LOOP.format("[[>]]"), (">=",), _LONG_WAY),
    Proof("single.c", _LIMITS.format("[[>]]", ">"), (">=",), _LONG_WAY),
    Proof(
        "single.c",
        "const uint32_t plain = weight == NO_WEIGHT && !halves && !q->right && most [[<=]] 32767u;",
        ("<",),
        "a product that may be taken either way",
    ),
    Proof(
        "single.c",
        _LIMITS.format(">", "[[>]]"),
        (">=",),
        "a limit that is not passed changes nothing",
    ),
    Proof("image.c", "p->right = (uint8_t)(shift [[<]] 0 ? -shift : 0);", ("<=",), "-0 is 0"),
    Proof("image.c", "p->left = (uint8_t)((shift [[>]] 0 ? (uint32_t)shift : 0u) + half);", (">=",), _EITHER),
    Proof(
        "image.c",
        "p->staged = p->delay_kind == 1 && shift [[<]] 0;",
        ("<=",),
        "nothing is shifted to the right; signs and left shifts distribute over sums",
    ),
    Proof("learn_wide.c", "p->left = (uint8_t)(shift [[>]] 0 ? shift : 0);", (">=",), _EITHER),
    Proof("learn_wide.c", "p->right = (uint8_t)(shift [[<]] 0 ? -shift : 0);", ("<=",), "-0 is 0"),
    Proof(
        "learn_wide.c",
        "const shifts s = {want [[>]] from ? want - from : 0, want > from ? 0 : from - want};",
        (">=",),
        _EITHER,
    ),
    Proof(
        "learn_wide.c",
        "const shifts s = {want > from ? want - from : 0, want [[>]] from ? 0 : from - want};",
        (">=",),
        _EITHER,
    ),
    Proof(
        "learn_wide.c",
        "if (m->frac [[>=]] 9) return nm_clip(x >> (m->frac - 9), -FULL, FULL - 1);",
        (">",),
        "nothing is shifted, and the lines below limit x to the same ends",
    ),
    Proof(
        "learn_wide.c",
        "return x >= end ? FULL - 1 : x [[<]] -end ? -FULL : x * (INT32_C(1) << left);",
        ("<=",),
        "x = -end: times 2^left this is -FULL, as end is FULL / 2^left without a rest",
    ),
    Proof(
        "learn_wide.c",
        "if (var [[>]] VAR_ONE) return modulator(c, var - VAR_M1, c->column ? c->self : 0);",
        (">=",),
        "VAR_ONE was returned above",
    ),
    Proof("learn_wide.c", "} else if (var [[>]] VAR_ONE) {", (">=",), _ONE_IS_CONSTANT),
    Proof("factors.c", "} else if (var [[>]] VAR_ONE) {", (">=",), _ONE_IS_CONSTANT),
    Proof(
        "image.c",
        "if (q.dep == DEP_U ? q.k [[==]] 0 : s != SUM_W) return 0;",
        ("!=",),
        "without it pairs beside slow products are interpreted; with one that is due in every epoch they are anyway",
    ),
    Proof("lif.c", "theta[i] = x [[<]] least ? least : x;", ("<=",), _EITHER),
    Proof(
        "lif.c",
        "p->theta[i] = p->theta[i] [[<]] most ? p->theta[i] + inc : NM_THETA_MAX;",
        ("<=",),
        "theta = most: with the increment it is NM_THETA_MAX",
    ),
    Proof(
        "lif.c",
        "if (p->payload) p->payload[k] = p->v[i] [[>]] 0 ? 1 : -1;",
        (">=",),
        "v was above a threshold over 0 or below one that is not (R8): it is not 0",
    ),
    Proof(
        "lif.c",
        "if (mode [[&]] THRESHOLDS) thresholds(p, i, m, high);",
        ("|",),
        "always true: then `high` is filled also where nothing reads it (only `voltages` does, with THRESHOLDS)",
    ),
    Proof(
        "lif.c",
        "if (mode [[&]] ARRAYS) {",
        ("|",),
        "always true: then blocks are filled or found where nothing reads them (only `voltages` does, with ARRAYS)",
    ),
    Proof(
        "layout.c",
        "if (need [[>]] 0x80000000u || a->used > 0x80000000u - (uint32_t)need) {",
        (">=",),
        "2^31 bytes more than what the engine itself takes, which comes first: the other condition holds",
    ),
    Proof(
        "layout.c",
        "const uint32_t ring = cells [[>]] 0x80000000u ? UINT32_MAX : (uint32_t)cells;",
        (">=",),
        "2^31 cells are 2^33 bytes: both are refused",
    ),
    Proof(
        "layout.c",
        "s->history = u32_max(s->history, history [[>]] 0x80000000u ? UINT32_MAX : (uint32_t)history);",
        (">=",),
        "2^31 bytes and those of the engine itself: both are refused",
    ),
    Proof(
        "layout.c",
        "for (uint32_t k = 0; k [[<]] 3; k++)",
        ("<=",),
        "OPT_INIT_U << 3 is OPT_GRADED, of inputs, which left above; the verifier refuses it elsewhere (R8)",
    ),
    Proof(
        "engine.c",
        "if (!engine || !image || len [[<]] 160 || !arena) return NM_E_ARG;",
        ("<=",),
        "160 bytes have no section, the verifier takes no such image (R5), and nm_init is for what it took",
    ),
    Proof(
        "lif.c",
        "const int32_t drive = nm_clip(u[k], -4 * NM_U, 4 * NM_U [[-]] 1) + (mode & ARRAYS ? bias[k] : bias0);",
        ("+",),
        "so far above the range of v, with a bias and a v of less than U each, that v is limited in either case",
    ),
    Proof("stdp.c", "const uint32_t some = c->hashed [[&&]] !FEW ? 0 : row_deltas(c, k);", ("||",), _NONE),
    Proof("stdp.c", "const uint32_t some = c->hashed && [[!]]FEW ? 0 : row_deltas(c, k);", ("",), _NONE),
    Proof("stdp.c", "const int listed = c->hashed [[&&]] (!FEW || FEW * some < c->p->n_post);", ("||",), _LIST),
    Proof("stdp.c", "const int listed = c->hashed && ([[!]]FEW || FEW * some < c->p->n_post);", ("",), _LIST),
    Proof("stdp.c", "const int listed = c->hashed && (!FEW [[||]] FEW * some < c->p->n_post);", ("&&",), _LIST),
    Proof("stdp.c", "const int listed = c->hashed && (!FEW || FEW [[*]] some < c->p->n_post);", ("+",), _LIST),
    Proof(
        "stdp.c",
        "if (f->var [[<]] first || f->var > last || (read != VAR_ONE && f->var != read)) return 0;",
        ("<=",),
        _INTERPRETED,
    ),
    Proof(
        "stdp.c",
        "if (f->var < first || f->var [[>]] last || (read != VAR_ONE && f->var != read)) return 0;",
        (">=",),
        _INTERPRETED,
    ),
    Proof(
        "stdp.c",
        "if (f->var < first || f->var > last || (read != VAR_ONE [[&&]] f->var != read)) return 0;",
        ("||",),
        _INTERPRETED,
    ),
    Proof(
        "stdp.c",
        "while (from [[<]] along->n && n < CELLS - 3u) {",
        ("<=",),
        "behind the last neuron nothing is picked",
    ),
    Proof(
        "factors.c",
        "if (column) return var == VAR_Y0 || (var >= VAR_Y1 && var <= VAR_Y3) || var [[>]] VAR_ONE;",
        (">=",),
        "VAR_ONE was returned above",
    ),
    Proof(
        "layout.c",
        "if (p->layout == 0 [[&&]] !wide && nm_paired(m, r)) l->by_value = take(a, 2 * NM_DECAY_ENTRIES, 4);",
        ("||",),
        _SCRATCH,
    ),
    Proof(
        "layout.c",
        "if (p->layout == 0 && !wide [[&&]] nm_paired(m, r)) l->by_value = take(a, 2 * NM_DECAY_ENTRIES, 4);",
        ("||",),
        _SCRATCH,
    ),
    Proof(
        "layout.c",
        "r->sums = (reads [[&]] (1u << VAR_Q)) != 0;",
        ("|",),
        "always true: then each due product is asked whether it reads q, and none does",
    ),
    Proof(
        "record.c",
        "if (*in_used [[<]] in_len) {",
        ("<=",),
        "nm_feed is given no bytes, takes none and returns 0",
    ),
    Proof("single.c", _DIRECT.format("[[==]]", "&&", "||", "&&", "&&"), ("!=",), _EITHER_WAY),
    Proof("single.c", _DIRECT.format("==", "&&", "[[||]]", "&&", "&&"), ("&&",), _EITHER_WAY),
    Proof("lanes.h", _ALONE.format("[[&&]]", "=="), ("||",), _EITHER_WAY),
    Proof(
        "lanes.h",
        "const uint32_t listed = a->other [[!=]] 0, alone = !NM_DSP && c->lines == 1;",
        ("==",),
        "the bit says the opposite everywhere: keys are equal and unequal as before",
    ),
    Proof("products.c", "most = nm_min(most [[*]] largest(f), 32768);", ("+",), _BITS_16),
    Proof(
        "products.c",
        "if (most > 32767u && weight [[!=]] NOT_ALIKE) weight = weight == NO_WEIGHT ? ENDED : NOT_ALIKE;",
        ("==",),
        _BITS_16,
    ),
    Proof(
        "products.c",
        "const int fits = largest [[>>]] q->right <= NM_SHORT_MAX && q->right <= NM_RIGHT_MAX;",
        ("<<",),
        _BITS_16,
    ),
    Proof(
        "products.c",
        "const int fits = largest >> q->right [[<=]] NM_SHORT_MAX && q->right <= NM_RIGHT_MAX;",
        (">",),
        _BITS_16,
    ),
    Proof("products.c", "if (!limited && (ended [[||]] !q->right)) {", ("&&",), _LONG_WAY),
    Proof(
        "layout.c",
        "if (rule.traces [[&]] (1u << k)) history += k < TR_Y1 ? p->n_pre : p->n_post;",
        ("|",),
        "more room for histories, none of which is read",
    ),
    Proof(
        "products.c",
        "if (varies && (weight == NO_WEIGHT [[||]] ended) && !nm_masked(q, a)) {",
        ("&&",),
        _LONG_WAY,
    ),
    Proof("lanes.h", _ALONE.format("&&", "[[==]]"), ("!=",), _EITHER_WAY),
    Proof(
        "single.c",
        "NM_UNROLL4 for (uint32_t k = 0; k [[<]] 4; k++) {",
        ("<=",),
        "rounds of five words are the same numbers in the same order; what comes after the lanes' is room",
    ),
    Proof(
        "layout.c",
        "history *= (rule.t_epoch [[-]] 1u) * (1u + m->wide);",
        ("+",),
        "more room for histories, none of which is read",
    ),
    Proof(
        "products.c",
        "const int alone = NM_ROOM && n == 1 && (f->var == VAR_W || f->second == VAR_W [[+]] 1);",
        ("-",),
        "a second variable w goes the long way; where y2 is taken for it, the first is alike too, as is asked before, "
        "or is not, and then `formed` is 0",
    ),
    Proof("products.c", "const uint32_t several = varies [[&]] (varies - 1u);", ("|", "^"), _FEWER_THAN_TWO),
    Proof("products.c", "const uint32_t several = varies & (varies [[-]] 1u);", ("+",), _FEWER_THAN_TWO),
    Proof(
        "products.c",
        "if (f->form || f->second || f->var [[<]] VAR_X1 || f->var > VAR_T) return 1u << f->bits;",
        ("<=",),
        _BOUND,
    ),
    Proof(
        "products.c",
        "if (f->form || f->second || f->var < VAR_X1 || f->var [[>]] VAR_T) return 1u << f->bits;",
        (">=",),
        _BOUND,
    ),
    Proof("products.c", "return (uint32_t)(-low [[>]] high ? -low : high);", (">=",), _EITHER),
    Proof(
        "lanes.h",
        "return f->var [[>=]] VAR_X1 && f->var <= VAR_Y3 && !f->form && !f->second;",
        (">",),
        _LONG_WAY,
    ),
    Proof(
        "lanes.h",
        "return f->var >= VAR_X1 && f->var [[<=]] VAR_Y3 && !f->form && !f->second;",
        ("<",),
        _LONG_WAY,
    ),
    Proof(
        "products.c",
        "return (weight || nm_is_trace(f)) && low + f->add [[>=]] f->lo && high + f->add <= f->hi;",
        (">",),
        _LONG_WAY,
    ),
    Proof(
        "products.c",
        "return (weight || nm_is_trace(f)) && low + f->add >= f->lo && high + f->add [[<=]] f->hi;",
        ("<",),
        _LONG_WAY,
    ),
    Proof(
        "products.c", "const int each_time = !column [[&&]] q->dep == DEP_Y0 && c->r->t_epoch > 1;", ("||",), _LONG_WAY
    ),
    Proof(
        "products.c", "const int each_time = !column && q->dep == DEP_Y0 [[&&]] c->r->t_epoch > 1;", ("||",), _LONG_WAY
    ),
    Proof(
        "products.c", "const int each_time = !column && q->dep == DEP_Y0 && c->r->t_epoch [[>]] 1;", (">=",), _LONG_WAY
    ),
    Proof(
        "factors.c",
        "if (var >= VAR_W && var [[<=]] VAR_T && !f->form && !f->second && !f->add) return c->old[var - VAR_W];",
        ("<",),
        "tags go on, and are copied as they are",
    ),
    Proof("sums.c", "if ((a->other [[&&]] !a->syn) || nm_masked(q, a)) return 0;", ("||",), _LONG_WAY),
    Proof(
        "sums.c",
        "const int only_one = order == (FIRST | ENDS) && sum != SUM_T && (!a->syn [[||]] a->syn == a->other);",
        ("&&",),
        _LONG_WAY,
    ),
    Proof(
        "sums.c",
        "const int sunk = sum == SUM_T [[&&]] c->l->floor_tag;",
        ("||",),
        "products of 0 are taken where they matter to nothing: they add 0 to what is within its limits",
    ),
    Proof("lanes.h", "return !c->column && q->dep == DEP_Y0 && c->r->t_epoch [[>]] 1;", (">=",), _AT_TY),
    Proof("learn_wide.c", "return q->dep == DEP_Y0 && !c->column && c->r->t_epoch [[>]] 1;", (">=",), _AT_TY),
    Proof(
        "learn_wide.c",
        "if (var [[>=]] VAR_M1 && var <= VAR_M4 && !c->e->modulator[c->r->modulator[var - VAR_M1] - 1].of) return 1;",
        (">",),
        _SHARED,
    ),
    Proof(
        "learn_wide.c",
        "if (var >= VAR_M1 && var [[<=]] VAR_M4 && !c->e->modulator[c->r->modulator[var - VAR_M1] - 1].of) return 1;",
        ("<",),
        _SHARED,
    ),
    Proof("learn_wide.c", "if (f->form [[&]] FN_MASK)", ("|",), _WITHIN),
    Proof("learn_wide.c", "else if (add || f->second || f->bits [[<]] 9)", ("<=", ">="), _WITHIN),
    Proof(
        "modulators.c",
        "static int32_t limited(int64_t x, int32_t most) { return x [[>]] most ? most : x < -most ? -most : "
        "(int32_t)x; }",
        (">=",),
        _EITHER,
    ),
    Proof(
        "modulators.c",
        "static int32_t limited(int64_t x, int32_t most) { return x > most ? most : x [[<]] -most ? -most : "
        "(int32_t)x; }",
        ("<=",),
        _EITHER,
    ),
    Proof("modulators.c", "const uint32_t flip = x [[<]] 0 ? UINT32_MAX : 0;", ("<=",), _ZERO),
    Proof("modulators.c", "uint32_t v = (uint32_t)(x [[<]] 0 ? -x : x);", ("<=",), _ZERO),
    Proof("modulators.c", "return x [[<]] 0 ? -(int32_t)v : (int32_t)v;", ("<=",), _ZERO),
    Proof("modulators.c", "if (x [[<]] 0 && spike && spike <= when) return 0;", ("<=",), _ZERO),
    Proof(
        "learn.c",
        "if (r->sums [[&&]] sums_due(&c)) add_weights(e, p);",
        ("||",),
        "sums are made also where no product that reads them is due; there is scratch memory for them if any "
        "reads them",
    ),
    Proof(
        "image.c",
        "if (f->second && f->second <= VAR_COUNT && bits[f->second - 1u] [[>]] width) width = bits[f->second - 1u];",
        (">=",),
        _EITHER,
    ),
    Proof("image.c", "bits = bits [[>]] 15 ? bits - 15 : 0;", (">=",), _EITHER),
    Proof(
        "lanes.h",
        "return q->varies[c->column] + 1u == 1u [[<<]] q->factors ? s : s * nm_scalars(c, q);",
        (">>",),
        "where all factors vary, `nm_scalars` has none to multiply and gives 1",
    ),
    Proof("learn.c", _TOGETHER.format("[[*]]", ">", "<"), ("+",), _ROWS),
    Proof("learn.c", _TOGETHER.format("*", "[[>]]", "<"), (">=", "<="), _ROWS),
    Proof(
        "learn.c",
        _TOGETHER.format("*", ">", "[[<]]"),
        ("<=",),
        "`some` where all spiked: each lane is asked, and has",
    ),
    Proof(
        "nm_internal.h",
        "NM_INLINE uint32_t nm_feature(const nm_image *m, uint32_t bit) "
        "{ return m->base[20 + bit / 8] >> bit % 8 [[&]] 1u; }",
        ("|",),
        "only nm_layout asks: there is scratch memory for features that the image does not have",
    ),
    Proof(
        "traces.c",
        "if (n [[<=]] NM_DECAY_ENTRIES) {",
        ("<", ">"),
        _SAME_DECAY,
    ),
    Proof("traces.c", "if (n [[<=]] NM_DECAY_ENTRIES) {", ("<", ">"), _SAME_DECAY),
)


def proof_of(change: Change) -> str:
    """The proof that a change is equivalent; empty if there is none."""
    return next((proof.why for proof in PROOFS if proof.covers(change)), "")


def stale(all_changes: Iterable[Change]) -> list[str]:
    """Proofs of lines that the sources do not have."""
    left = set(PROOFS)
    for change in all_changes:
        left -= {proof for proof in left if proof.covers(change)}
    return [f"{proof.file}: {proof.line}" for proof in left]
