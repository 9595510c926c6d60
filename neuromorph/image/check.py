"""What is checked of an image before it becomes a Program: rules R4 to R8 of the verifier (``docs/image.md``, 1).

The order of checks and the byte that is named are those of ``firmware/core/verify*.c``: a file is refused for the same
reason everywhere. Ranges of single parameters (R8) are left to the classes that the reader makes from them.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import TYPE_CHECKING, NoReturn

import numpy as np
from numpy.typing import NDArray

from neuromorph.errors import ImageError
from neuromorph.image.layout import SIGNS
from neuromorph.profiles import LOIHI2, WIDE

if TYPE_CHECKING:
    from neuromorph.image.sections import Section

__all__ = ["check_contents"]

_MACHINE, _POPS, _PROJS, _PARAMS, _ROWS, _TARGETS, _WEIGHTS, _DELAYS = 1, 3, 4, 5, 6, 7, 8, 9
_RULES, _PRODUCTS, _FACTORS, _TRACES, _TABLES, _STREAMS, _SCHEDULE, _PROBES, _INITIAL, _MODULATORS, _SOURCES = range(
    10, 21
)
_SHORT_TERM, _USES = 21, 22
_WHOLE, _USE_MAX = 1 << 15, (1 << 15) - 1
_OPTIONS = (0x40, 0x3F, 0x1C)  # of inputs, lif, ternary
_REFRACTORY = 4  # place among the parameters
_TRACE_VARIABLES, _D, _T, _ONE, _MODULATOR_VARIABLES = range(2, 7), 8, 9, 10, range(11, 15)
_VARIABLES = 16
_VALUE_MAX, _GAIN_MAX = 1 << 30, 1 << 24
_TAG_1, _TAG_2 = 1, 2
_RANGES = (*(WIDE.weights[sign] for sign in SIGNS), LOIHI2.weights["mixed"])
"""Of weights with 16 bits: by sign mode in profile wide, then those of profile loihi2."""
_FINITE = 0x7FF0 << 48
"""Bits of the first double that is no number >= 0."""


def check_contents(image: bytes, found: Mapping[int, Section]) -> None:
    """Check the records of an image whose header and section table are right.

    Raises
    ------
    ImageError
        With the verifier's rule and the offset.
    """
    checker = _Checker(image, found)
    checker.machine()
    checker.tables()
    for k in range(checker.count(_POPS)):
        checker.population(k)
    for k in range(checker.count(_MODULATORS)):
        checker.modulator(k)
    for k in range(checker.count(_FACTORS)):
        checker.factor(k)
    for k in range(checker.count(_PRODUCTS)):
        checker.product(k)
    for k in range(checker.count(_RULES)):
        checker.rule(k)
    for k in range(checker.count(_SHORT_TERM)):
        checker.short_term(k)
    for k in range(checker.count(_PROJS)):
        checker.projection(k)
    for k in range(checker.count(_SCHEDULE)):
        checker.entry(k)
    for k in range(checker.count(_PROBES)):
        checker.probe(k)


class _Checker:
    """Access to records by their bytes, and one method for each kind."""

    def __init__(self, image: bytes, found: Mapping[int, Section]) -> None:
        self.image, self.found = image, found
        self.rounding = 0
        (self.wide,) = struct.unpack_from("<I", image, 16)
        self.work = 0

    def spend(self, n: int, at: int) -> None:
        """Account for looking at n values: pools may be shared, but not so often that checking takes for ever."""
        self.work += n
        self.need(self.work <= 8 * len(self.image), 6, at, "records share their pools too often")

    def count(self, kind: int) -> int:
        return self.found[kind].count if kind in self.found else 0

    def at(self, kind: int, k: int) -> int:
        """Offset of a record."""
        return self.found[kind].offset + k * self.found[kind].stride

    def bytes(self, kind: int, k: int) -> bytes:
        return self.image[self.at(kind, k) : self.at(kind, k) + self.found[kind].stride]

    def pool(self, kind: int, dtype: str, first: int, n: int) -> NDArray[np.int64]:
        return np.frombuffer(self.image, dtype, n, self.at(kind, first) if n else 0).astype(np.int64)

    def inside(self, kind: int, first: int, n: int) -> bool:
        return first + n <= self.count(kind)

    @staticmethod
    def fail(rule: int, at: int, what: str) -> NoReturn:
        raise ImageError(f"the image breaks rule R{rule} at byte {at}: {what}", rule, at)

    def need(self, good: object, rule: int, at: int, what: str) -> None:
        if not good:
            self.fail(rule, at, what)

    # ------------------------------------------------------------------------------------------- machine, populations

    def machine(self) -> None:
        at, b = self.at(_MACHINE, 0), self.bytes(_MACHINE, 0)
        self.need(1 <= int.from_bytes(b[:8], "little") < 1 << 63, 8, at, "dt is outside 1..2^63 - 1 ns")
        self.rounding = b[12]
        self.need(self.rounding <= 1, 8, at + 12, f"rounding {self.rounding} is unknown")
        good = b[13] == self.wide and not any(b[14:16]) and not any(b[22:32])
        self.need(good, 8, at + 13, "the profile is not that of the header, or reserved bytes are not 0")
        self.need(self.rounding or not self.wide, 8, at + 12, "profile wide has no shared rounding")
        counts = struct.unpack_from("<3H", b, 16)
        for k, kind in enumerate((_POPS, _PROJS, _RULES)):
            said = f"the machine record says {counts[k]} records in section {kind}, it has {self.count(kind)}"
            self.need(counts[k] == self.count(kind), 6, at + 16 + 2 * k, said)

    def tables(self) -> None:
        """Decay never lets a value grow."""
        for k in range(self.count(_TABLES)):
            at = self.at(_TABLES, k)
            entries = np.frombuffer(self.image, "<u8", 129, at)
            whole, part = entries >> np.uint64(54), entries & np.uint64((1 << 54) - 1)
            wrong = (part > np.uint64(1 << 53)) | (whole + (part > 0) > np.arange(129, dtype=np.uint64))
            self.need(not wrong.any(), 8, at + 8 * int(wrong.argmax()), "an entry of a decay table lets a value grow")

    def population(self, k: int) -> None:
        at, b = self.at(_POPS, k), self.bytes(_POPS, k)
        kind, arrays, options = b[:3]
        self.need(kind <= 2, 8, at, f"kind {kind} is unknown")
        self.need(arrays < 0x80, 8, at + 1, "an array flag is unknown")
        self.need(not options & ~_OPTIONS[kind], 8, at + 2, "an option is unknown, or not for this kind")
        self.need(options & 1 or not options & 32, 8, at + 2, "an initial theta without an adaptive threshold")
        self.need(not b[3] and not any(b[60:64]), 8, at + 3, "reserved bytes are not 0")
        n, *values = struct.unpack_from("<I7i", b, 4)
        self.need(1 <= n <= 1 << 24, 8, at + 4, f"{n} neurons; the limits are 1 and 2^24")
        for bit in range(7):
            if arrays >> bit & 1:
                first = values[bit] & 0xFFFFFFFF
                self.need(self.inside(_PARAMS, first, n), 7, at + 8 + 4 * bit, "an array lies outside its pool")
                self.spend(n, at + 8 + 4 * bit)
        for bit in range(3):
            if options >> 3 + bit & 1:
                (first,) = struct.unpack_from("<I", b, 48 + 4 * bit)
                self.need(self.inside(_INITIAL, first, n), 7, at + 48 + 4 * bit, "initial values outside their pool")
                self.spend(n, at + 48 + 4 * bit)
        period = values[_REFRACTORY]
        if arrays >> _REFRACTORY & 1:
            period = int(self.pool(_PARAMS, "<i4", period & 0xFFFFFFFF, n).any())
        self.need(bool(options & 2) == bool(period), 8, at + 2, "the option and the refractory periods contradict")
        self.need(bool(options & 4) == any(b[36:40]), 8, at + 36, "the option and the reset interval contradict")
        if len(b) >= 72:
            self._drift(at, n, values[2], arrays >> 2 & 1)

    def _drift(self, at: int, n: int, vth: int, each: int) -> None:
        """The threshold must stay above 0."""
        drift, lowest = struct.unpack_from("<Ii", self.image, at + 64)
        adapts, frac = self.image[at + 2] & 1 or drift == lowest == 0, self.image[at + 47]
        self.need(adapts and drift <= _VALUE_MAX, 8, at + 64, "the drift of a threshold is out of range")
        least = int(self.pool(_PARAMS, "<i4", vth & 0xFFFFFFFF, n).min()) if each else vth
        good = -_VALUE_MAX <= lowest <= 0 and (not lowest or (least << 6) + (lowest >> min(frac, 31)) > 0)
        self.need(good, 8, at + 68, "a threshold could fall to 0 or below")

    def modulator(self, k: int) -> None:
        at, b = self.at(_MODULATORS, k), self.bytes(_MODULATORS, k)
        mode, each, of, decay, period, frac, first, count, zero, init = struct.unpack_from("<BBHHBBIHHi", b)
        good = mode <= 1 and each <= 1 and decay <= 4096 and period <= 15 and frac <= 16 and count <= 8
        self.need(good and not zero and not any(b[20:32]), 8, at, "a modulator's mode, decay or scale is out of range")
        owner = of <= self.count(_POPS) and (not of or self.bytes(_POPS, of - 1)[0])
        self.need(owner, 7, at + 2, "the population of a modulator does not exist, or is an input")
        n = self._neurons(of - 1) if of else 1
        self.need(self.inside(_SOURCES, first, count), 7, at + 8, "a source lies outside its section")
        for source in range(first, first + count):
            place = self.at(_SOURCES, source)
            pop, zero, gain = struct.unpack_from("<HHi", self.image, place)
            good = pop < self.count(_POPS) and (not of or self._neurons(pop) == n)
            self.need(good, 7, place, "the source of a modulator does not exist, or has another size")
            self.need(not zero and abs(gain) <= _GAIN_MAX, 8, place + 2, "the gain of a source is out of range")
        if each:
            self.need(self.inside(_INITIAL, init & 0xFFFFFFFF, n), 7, at + 16, "initial values outside their pool")
            self.spend(n, at + 16)
        else:
            self.need(abs(init) <= _VALUE_MAX, 8, at + 16, "the value of a modulator is out of range")

    def _neurons(self, pop: int) -> int:
        return int(struct.unpack_from("<I", self.bytes(_POPS, pop), 4)[0])

    # ------------------------------------------------------------------------------------------- rules

    def factor(self, k: int) -> None:
        at = self.at(_FACTORS, k)
        variable, form, constant = struct.unpack_from("<BBh", self.image, at)
        function, minus, second = form & 3, form >> 2 & 1, form >> 3
        good = variable < _VARIABLES and second <= _VARIABLES and (self.wide or -512 <= constant <= 511)
        self.need(good, 8, at, "a factor is out of range")
        right = second != _ONE + 1 and (second or not minus)
        if variable == _ONE:  # alone, or subtracted from in pos and on
            right = right and (bool(minus) and function >= 2 if second else not function)
        self.need(right, 8, at + 1, "the function of a factor, or its second variable, does not fit")

    def product(self, k: int) -> None:
        at = self.at(_PRODUCTS, k)
        dependency, every, mant, exp, first, factors, zero = struct.unpack_from("<BBbbHBB", self.image, at)
        good = dependency <= 2 and every <= 15 and (dependency == 2 or not every)
        self.need(good, 8, at, "the dependency of a product is out of range")
        good = -8 <= mant <= 7 and (-22 if self.wide else -7) <= exp <= 8
        self.need(good, 8, at + 2, "the scale of a product is out of range")
        self.need(factors <= 6 and not zero, 8, at + 6, f"{factors} factors; at most 6")
        self.need(self.inside(_FACTORS, first, factors), 7, at + 4, "a factor lies outside its section")

    def rule(self, k: int) -> None:
        at, b = self.at(_RULES, k), self.bytes(_RULES, k)
        epoch, graded, traces, flags, seed, *rest = struct.unpack_from("<BBBBI3H3H5H2x5I", b)
        first, count, refs, streams = rest[:3], rest[3:6], rest[6:11], rest[11:]
        self.need(1 <= epoch <= 64, 8, at, f"epoch of {epoch} steps; the limits are 1 and 64")
        good = graded <= 3 - self.wide and (not graded or traces & 1)
        self.need(good, 8, at + 1, "a graded trace needs x1, and in profile wide it does not wrap")
        self.need(traces < 32, 8, at + 2, "a trace is unknown")
        self.need(flags < 4, 8, at + 3, "a flag is unknown")
        self.need(flags & 2 or not count[1], 7, at + 3, "dd without tag_2")
        self.need(flags & 1 or not count[2], 7, at + 3, "dt without tag_1")
        self.need(seed <= 0xFFFFFFFC, 8, at + 4, f"seed {seed} is outside 0..2^32 - 4")
        self.need(not any(b[30:32]) and not b[61], 8, at + 30, "reserved bytes are not 0")
        read = self._modulators_of(at)
        tags = (_TAG_2 if count[1] else 0) | (_TAG_1 if count[2] else 0)
        for s in range(3):
            self.need(self.inside(_PRODUCTS, first[s], count[s]), 7, at + 8 + 2 * s, "a product outside its section")
            for product in range(first[s], first[s] + count[s]):
                tags |= self._reads(product, traces, flags, read)
        self.need(flags == tags, 8, at + 3, "tags that the sums do not mention")
        for t, ref in enumerate(refs):
            self._trace(t, ref, traces, graded, at + 20 + 2 * t)
        for s, ref in enumerate(streams):
            good = ref == 0 if self.rounding else 1 <= ref <= self.count(_STREAMS)
            self.need(good, 7, at + 32 + 4 * s, "a random stream lies outside its section, or is not needed")

    def _modulators_of(self, at: int) -> int:
        """Number of modulators of a rule."""
        *refs, shift, decay = struct.unpack_from("<4HBxH", self.image, at + 52)
        read = 4 - refs.count(0)
        good = all(refs[:read]) and max(refs) <= self.count(_MODULATORS)
        self.need(good, 7, at + 52, "a modulator does not exist, or is missing before another one")
        self.need(shift <= 31, 8, at + 60, f"a sum shifted by {shift} bits; at most 31")
        good = bool(decay) == (read > 0 and not self.rounding) and decay <= self.count(_TABLES)
        self.need(good, 7, at + 62, "the decay of modulators lies outside its section, or is not needed")
        return read

    def _reads(self, product: int, traces: int, flags: int, modulators: int) -> int:
        """The tags that a product mentions."""
        first, count = struct.unpack_from("<HB", self.image, self.at(_PRODUCTS, product) + 4)
        self.spend(1 + count, self.at(_PRODUCTS, product))
        tags = 0
        for k in range(first, first + count):
            at = self.at(_FACTORS, k)
            for variable in (self.image[at], (self.image[at + 1] >> 3) - 1):
                if variable in _TRACE_VARIABLES:
                    self.need(traces >> variable - 2 & 1, 7, at, "a factor reads a trace that the rule does not have")
                if variable in _MODULATOR_VARIABLES:
                    good = variable - _MODULATOR_VARIABLES.start < modulators
                    self.need(good, 7, at, "a factor reads a modulator that the rule does not have")
                tag = {_D: _TAG_2, _T: _TAG_1}.get(variable, 0)
                self.need(not tag & ~flags, 7, at, "a factor reads a tag that the rule does not have")
                tags |= tag
        return tags

    def _trace(self, t: int, ref: int, traces: int, graded: int, at: int) -> None:
        good = bool(ref) == bool(traces >> t & 1) and ref <= self.count(_TRACES)
        self.need(good, 7, at, "a trace lies outside its section, or contradicts the rule's traces")
        if ref == 0:
            return
        at = self.at(_TRACES, ref - 1)
        ii, fi, table, decay, tau = struct.unpack_from("<BBHIQ", self.image, at)
        loss, shift = decay & (1 << 24) - 1, decay >> 24
        good = loss <= 1 << 16 and 16 <= shift <= 31 if self.wide else decay == 0
        self.need(ii <= 127 and good, 8, at, "the impulse or the decay of a trace is out of range")
        self.need(not (graded and t == 0 and (ii or fi)), 8, at, "a graded x1 has no impulse of its own")
        good = not table if self.wide else table <= self.count(_TABLES)
        self.need(good, 7, at + 2, "a decay table lies outside its section, or is not needed")
        good = tau < _FINITE and (self.wide or bool(tau) == bool(table))
        self.need(good, 8, at + 8, "tau is no time, or contradicts the table")

    # ------------------------------------------------------------------------------------------- projections

    def projection(self, k: int) -> None:
        at, b = self.at(_PROJS, k), self.bytes(_PROJS, k)
        pre, post, layout, sign, graded, exp, element, each, delay, off, rule = struct.unpack_from("<HHBBBbBBBBH", b)
        self.need(pre < self.count(_POPS), 7, at, "the source does not exist")
        self.need(post < self.count(_POPS) and self.bytes(_POPS, post)[0], 7, at + 2, "the target does not exist")
        for place, good in enumerate((layout <= 1, sign <= 2, graded <= 1, -16 <= exp <= 15), 4):
            self.need(good, 8, at + place, "layout, sign mode, message or exponent out of range")
        self.need(each <= 1, 8, at + 9, "the kind of delays is unknown")
        self.need(delay <= 63, 8, at + 10, f"stored delay {delay} is outside 0..63")
        self.need(off <= 1 and (rule or not off), 8, at + 11, "plasticity is switched off, but there is no rule")
        self.need(rule <= self.count(_RULES), 7, at + 12, "the rule does not exist")
        for ref in struct.unpack_from("<4H", self.bytes(_RULES, rule - 1), 52) if rule else ():
            of = struct.unpack_from("<H", self.bytes(_MODULATORS, ref - 1), 2)[0] if ref else 0
            self.need(not of or of - 1 == post, 7, at + 12, "a modulator of the rule belongs to another population")
        release = int.from_bytes(b[14:16], "little")
        self.need(release <= self.count(_SHORT_TERM), 7, at + 14, "the short-term plasticity does not exist")
        self.need(not any(b[36:64]), 8, at + 36, "reserved bytes are not 0")
        start, count, delays, rows, targets = struct.unpack_from("<5I", b, 16)
        n_pre, n_post = (struct.unpack_from("<I", self.bytes(_POPS, p), 4)[0] for p in (pre, post))
        self.need(layout or n_pre * n_post == count, 6, at + 20, f"{count} weights of {n_pre} x {n_post} neurons")
        right = 2 if self.wide else 1 if sign else 2 if rule else 0
        self.need(element == right, 8, at + 8, "the type of the weights does not fit sign mode and rule")
        size = 2 if element == 2 else 1
        self.need(start % size == 0 and self.inside(_WEIGHTS, start, count * size), 7, at + 16, "weights outside pool")
        if element == 2:
            self.spend(count, at + 20)
            weights = self.pool(_WEIGHTS, "<i2", start, count)
            low, high = _RANGES[sign if self.wide else -1]
            wrong = (weights < low) | (weights > high)
            self.need(not wrong.any(), 8, self._place(_WEIGHTS, start, 2, wrong), "a weight is out of range")
        if each:
            self.need(self.inside(_DELAYS, delays, count), 7, at + 24, "delays lie outside their pool")
            self.spend(count, at + 24)
            values = self.pool(_DELAYS, "u1", delays, count)
            self.need(not (values > delay).any(), 8, self._place(_DELAYS, delays, 1, values > delay), "delay too large")
            self.need(int(values.max(initial=0)) == delay, 8, at + 10, "the largest delay is another one")
        if layout:
            self._rows(at, rows, targets, count, n_pre, n_post)
            self._gaps(rows, n_pre, start, size, delays if each else None, count)
        if release:
            self._use(at, release, rule, count, rows if layout else None, n_pre)

    def _use(self, at: int, release: int, rule: int, count: int, rows: int | None, n_pre: int) -> None:
        """What a projection needs of its short-term plasticity."""
        record = self.at(_SHORT_TERM, release - 1)
        flags, first = self.image[record], int.from_bytes(self.image[record + 4 : record + 8], "little")
        tag = bool(rule) and self.bytes(_RULES, rule - 1)[3] & _TAG_2
        self.need(tag or not flags & 2, 7, at + 14, "short-term plasticity reads a tag that the rule does not have")
        if not flags & 1:
            return
        self.need(self.inside(_USES, first, count), 7, record + 4, "values of U lie outside their pool")
        self.spend(count, record + 4)
        values = self.pool(_USES, "<u2", first, count)
        self.need(not (values > _USE_MAX).any(), 8, self._place(_USES, first, 2, values > _USE_MAX), "U is over 32767")
        if rows is not None:
            table = self.pool(_ROWS, "<u4", rows, 3 * n_pre).reshape(n_pre, 3)
            wrong = ~_used(table, count) & (values != 0)
            self.need(not wrong.any(), 8, self._place(_USES, first, 2, wrong), "a U behind the end of its row is not 0")

    def short_term(self, k: int) -> None:
        at = self.at(_SHORT_TERM, k)
        flags, zero, use, _, *factors = struct.unpack_from("<BBHI32H", self.image, at)
        self.need(flags <= 3 and not zero, 8, at, "a flag of short-term plasticity is unknown")
        self.need(use <= (0 if flags & 1 else _USE_MAX), 8, at + 2, "U is out of range, or not for all")
        self.need(max(factors) <= _WHOLE, 8, at + 8, "a factor of short-term plasticity is over 32768")

    def _place(self, kind: int, first: int, size: int, wrong: NDArray[np.bool_]) -> int:
        return self.at(kind, first) + size * int(wrong.argmax()) if wrong.size else 0

    def _rows(self, at: int, rows: int, targets: int, count: int, n_pre: int, n_post: int) -> None:
        self.need(self.inside(_ROWS, rows, n_pre), 7, at + 28, "rows lie outside their section")
        self.need(self.inside(_TARGETS, targets, count), 7, at + 32, "targets lie outside their pool")
        self.spend(n_pre, at + 28)
        self.spend(count, at + 32)
        table = self.pool(_ROWS, "<u4", rows, 3 * n_pre).reshape(n_pre, 3)
        start, capacity, length = table.T
        ends = np.cumsum(capacity)
        moved, long = (start != ends - capacity) | (ends > count), length > capacity
        wrong = moved | long
        if wrong.any():  # of the first wrong row, the first wrong field
            first = int(wrong.argmax())
            place = self._place(_ROWS, rows, 12, wrong)
            self.need(not moved[first], 7, place, "a row begins elsewhere than the last ends")
            self.fail(6, place + 8, "a row is longer than its capacity")
        self.need(int(ends[-1]) == count, 6, at + 20, "the rows do not fill the weights")
        j = self.pool(_TARGETS, "<u4", targets, count)
        used = _used(table, count)
        row = np.repeat(np.arange(n_pre), capacity)
        falls = np.zeros(count, bool)
        falls[1:] = (np.diff(j) <= 0) & (row[1:] == row[:-1]) & used[1:]
        wrong = np.where(used, (j >= n_post) | falls, j != 0)
        self.need(not wrong.any(), 7, self._place(_TARGETS, targets, 4, wrong), "a target is out of range or order")

    def _gaps(self, rows: int, n_pre: int, start: int, size: int, delays: int | None, count: int) -> None:
        """What rows may grow into is 0."""
        table = self.pool(_ROWS, "<u4", rows, 3 * n_pre).reshape(n_pre, 3)
        gaps = ~_used(table, count)
        weights = self.pool(_WEIGHTS, "<i2" if size == 2 else "u1", start, count)
        self.need(not weights[gaps].any(), 8, self.at(_ROWS, rows), "a weight behind the end of its row is not 0")
        if delays is not None:
            wrong = gaps & (self.pool(_DELAYS, "u1", delays, count) != 0)
            self.need(not wrong.any(), 8, self._place(_DELAYS, delays, 1, wrong), "a delay behind its row is not 0")

    # ------------------------------------------------------------------------------------------- schedule and probes

    def entry(self, k: int) -> None:
        at = self.at(_SCHEDULE, k)
        _, operation, switch, obj, value = struct.unpack_from("<IBBHi", self.image, at)
        self.need(operation in (1, 2, 3), 8, at + 4, f"operation {operation} is unknown")
        good = not switch and abs(value) <= _VALUE_MAX if operation == 3 else switch <= 1 and not value
        self.need(good, 8, at + 5, "a value is out of range, or neither off nor on")
        objects = self.count((_PROJS, _POPS, _MODULATORS)[operation - 1])
        self.need(obj < objects, 7, at + 6, "the object does not exist")

    def probe(self, k: int) -> None:
        at = self.at(_PROBES, k)
        kind, _, obj, every, _, zero = struct.unpack_from("<BBHIII", self.image, at)
        self.need(kind <= 2, 8, at, f"object kind {kind} is unknown")
        self.need(obj < self.count((_POPS, _PROJS, _MODULATORS)[kind]), 7, at + 2, "the object does not exist")
        self.need(every >= 1, 8, at + 4, "a period of 0 steps")
        self.need(not zero, 8, at + 12, "reserved bytes are not 0")


def _used(table: NDArray[np.int64], count: int) -> NDArray[np.bool_]:
    """Which places of a sparse projection's pools belong to synapses."""
    start, capacity, length = table.T
    used: NDArray[np.bool_] = np.arange(count) - np.repeat(start, capacity) < np.repeat(length, capacity)
    return used
