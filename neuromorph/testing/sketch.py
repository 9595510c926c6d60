"""The C engine driven call by call, as a sketch on a board would, with calls in between that it must refuse."""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuromorph.errors import TargetError
from neuromorph.image import decode
from neuromorph.program import Probe, Program
from neuromorph.state import Item, items
from neuromorph_cpu.native import E_ARENA, E_ARG, E_INPUT, E_SPACE, E_STATE, NativeEngine, verify

__all__ = ["SketchEngine"]

OK, HEAD = 0, 16
SPIKES, GRADED = 0, 1  # formats of records
SLACK = 32  # bytes that the bound of a probe's records may be too large
PAYLOAD_END = 1 << 23
_head = struct.Struct("<IHBBIHH")  # step, object, format, 0, first index, count, 0
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class _Record:
    """Spikes of an input in one step, or of any population where they were recorded."""

    step: int
    object: int
    indices: Ints
    payloads: Ints | None

    def encoded(self, **changed: int) -> bytes:
        """Its bytes; `changed` gives fields of the head other values."""
        count, graded = self.indices.size, self.payloads is not None
        fields = {"step": self.step, "object": self.object, "format": int(graded), "zero": 0, "first": 0} | {
            "count": count, "high": 0
        } | changed  # fmt: skip
        body = self.indices.astype("<u2").tobytes()
        body += bytes(-len(body) % 4) + (self.payloads.astype("<i4").tobytes() if self.payloads is not None else b"")
        return _head.pack(*fields.values()) + body


def _records(data: bytes) -> Iterator[_Record]:
    """Those of spikes; TargetError if padding is not 0."""
    at = 0
    while at < len(data):
        step, number, form, _, first, count, _ = _head.unpack_from(data, at)
        at += HEAD
        width = {SPIKES: 2, GRADED: 2, 2: 1, 3: 2, 4: 4, 5: 2}[form]
        values, at = at, at + ((count * width + 3) & ~3)
        if any(data[values + count * width : at]):
            raise TargetError(f"the padding of a record of step {step} is not 0")
        if form > GRADED:
            continue
        payloads, at = at, at + 4 * count * form
        yield _Record(
            step,
            number,
            np.frombuffer(data, "<u2", count, values).astype(np.int64) + first,
            np.frombuffer(data, "<i4", count, payloads).astype(np.int64) if form else None,
        )


class SketchEngine(NativeEngine):
    """Steps one by one: ``nm_inject`` or ``nm_feed``, ``nm_step``, ``nm_spikes``, ``nm_record``.

    Before each step something is asked for that cannot be; the engine must refuse it with the code of ``nm.h`` and go
    on as if nothing had happened.

    Raises
    ------
    TargetError
        It took what it had to refuse, or the other way round.
    """

    def __init__(self, target: str = "cpu", path: Path | None = None, *, kernels: bool = True) -> None:
        super().__init__(target, path, kernels=kernels)
        for name in ("inject", "step", "feed", "record"):
            getattr(self._lib, f"nm_{name}").restype = ctypes.c_int32
        self._lib.nm_spikes.restype = ctypes.c_uint32

    def load(self, image: bytes) -> None:
        """Also tries to start it in ways that cannot be."""
        super().load(image)
        self.program: Program = decode(image)
        self.items = items(self.program)
        self.names = list(self.program.populations)
        need, engine = verify(image, self._lib), ctypes.byref(ctypes.c_void_p())
        spare = np.zeros(need + 16, np.uint8)
        at, held = spare.ctypes.data + -spare.ctypes.data % 8, self._image.ctypes.data
        n = len(image)
        for given, wanted in (
            ((None, held, n, at, need), E_ARG),
            ((engine, None, n, at, need), E_ARG),
            ((engine, held, 159, at, need), E_ARG),
            ((engine, held, n, None, need), E_ARG),
            ((engine, held, n, at + 4, need), E_ARENA),
            ((engine, held + 4, n - 4, at, need), E_ARENA),
            ((engine, held, n, at, need - 1), E_ARENA),
        ):
            self._expect(self._lib.nm_init(*given), wanted, "nm_init")
        spare[:] = 0xA5  # memory is not always clean
        self._engine, self._arena = ctypes.c_void_p(), spare
        self._expect(self._lib.nm_init(ctypes.byref(self._engine), held, n, at, need), OK, "nm_init")
        self._lib.nm_set_kernels(self._engine, int(self._kernels))
        bound = int(self._lib.nm_record_bound(self._engine))
        most = sum(self._most(probe) for probe in self.program.probes)
        self._expect(most <= bound <= most + SLACK * len(self.program.probes), True, "nm_record_bound")

    def _most(self, probe: Probe) -> int:
        """Bytes of the longest records of a probe, all in one step; fewer than 65536 values."""
        if probe.variable == "spikes":
            pop = self.program.populations[probe.object]
            width = 6 if pop.graded or pop.kind == "ternary" else 2
            return HEAD + pop.n * width
        item = next(i for i in self.items if (i.object, i.variable) == (probe.object, probe.variable))
        return HEAD + item.size

    def run(
        self,
        steps: int,
        records: bytes,
        on_output: Callable[[bytes], None],
        on_progress: Callable[[int], None] | None = None,
    ) -> None:
        """Run step by step (see `Engine.run`)."""
        given: dict[int, list[_Record]] = {}
        for record in _records(records):
            given.setdefault(record.step, []).append(record)
        for _ in range(steps):
            step = self.now() + 1
            self._refuse(step)
            self._give(step, given.get(step, []))
            self._expect(self._lib.nm_step(self._engine), OK, "nm_step")
            output = self._recorded(step)
            self._check_spikes(output)
            on_output(output)
        if on_progress is not None:
            on_progress(self.now())

    # ------------------------------------------------------------------------------------------- inputs and outputs

    def _give(self, step: int, records: list[_Record]) -> None:
        if step % 3 == 0:
            data = b"".join(record.encoded() for record in records)
            if records and step % 2:  # the last one is of no spikes
                data += _Record(step, records[-1].object, np.zeros(0, np.int64), None).encoded()
                self._expect(self._feed(data), len(data), "nm_feed with an empty record")
            else:
                self._expect(self._feed(data + _later(step)), len(data), "nm_feed")
            return
        for record in records:
            cut = step % (record.indices.size + 1)
            for part in (slice(0, cut), slice(cut, None)):
                payloads = None if record.payloads is None else record.payloads[part]
                if payloads is not None and np.all(payloads == 1):
                    payloads = None
                self._expect(self._inject(record.object, record.indices[part], payloads), OK, "nm_inject")

    def _inject(self, population: int, indices: Ints, payloads: Ints | None) -> int:
        size = indices.size
        index = (ctypes.c_uint32 * max(1, size))(*indices.tolist())
        payload = None if payloads is None else (ctypes.c_int32 * max(1, size))(*payloads.tolist())
        given = (ctypes.c_uint16(population), index, payload, ctypes.c_uint32(size))
        return int(self._lib.nm_inject(self._engine, *given))

    def _feed(self, data: bytes) -> int:
        return int(self._lib.nm_feed(self._engine, data, ctypes.c_uint32(len(data))))

    def _recorded(self, step: int) -> bytes:
        """The records of the step, first with too little room."""
        bound = int(self._lib.nm_record_bound(self._engine))
        out = (ctypes.c_uint8 * bound)(*b"\xa5" * bound)
        size = int(self._lib.nm_record(self._engine, out, ctypes.c_uint32(bound)))
        self._expect(0 <= size <= bound, True, "nm_record")
        output = bytes(out[:size])
        if size:
            exact = (ctypes.c_uint8 * size)()
            short = ctypes.c_uint32(size - 1 - step % size)
            self._expect(self._lib.nm_record(self._engine, exact, short), E_SPACE, "nm_record without room")
            self._expect(self._lib.nm_record(self._engine, exact, ctypes.c_uint32(size)), size, "nm_record")
            self._expect(bytes(exact), output, "the same records again")
        return output

    def _check_spikes(self, output: bytes) -> None:
        """``nm_spikes`` says what the probes on spikes record; a step without spikes has no record."""
        probes = self.program.probes
        numbers = [self.names.index(probe.object) if probe.variable == "spikes" else -1 for probe in probes]
        found = {numbers[record.object]: record for record in _records(output)}
        for number in numbers:
            if number < 0:
                continue
            index, payload = ctypes.POINTER(ctypes.c_uint32)(), ctypes.POINTER(ctypes.c_int32)()
            count = self._lib.nm_spikes(
                self._engine, ctypes.c_uint16(number), ctypes.byref(index), ctypes.byref(payload)
            )
            record = found.get(number)
            self._expect(count, 0 if record is None else record.indices.size, "nm_spikes")
            if record is not None:
                self._expect(index[:count], record.indices.tolist(), "nm_spikes")
                if record.payloads is not None:
                    self._expect(payload[:count], record.payloads.tolist(), "nm_spikes")
        beyond = ctypes.c_uint16(len(self.names))
        self._expect(self._lib.nm_spikes(self._engine, beyond, None, None), 0, "nm_spikes")

    # ------------------------------------------------------------------------------------------- what must be refused

    def _refuse(self, step: int) -> None:
        inputs = [k for k, name in enumerate(self.names) if self.program.populations[name].kind == "input"]
        number = inputs[step % len(inputs)]
        n, graded = self.program.populations[self.names[number]].n, self.program.populations[self.names[number]].graded
        whole = np.arange(n)
        record = _Record(step, number, whole, np.full(n, PAYLOAD_END - 1) if graded else None)
        bad = list(self._bad_records(record, n, graded=graded))
        before = record.encoded() if step // len(bad) % 2 else b""  # alone, or after one that is right
        self._expect(self._feed(before + bad[step % len(bad)]), E_INPUT, f"record {step % len(bad)}")
        for k, (number_, indices, payloads) in enumerate(self._bad_spikes(number, n, graded=graded)):
            self._expect(self._inject(number_, indices, payloads), E_INPUT, f"spikes {k}")
        self._refuse_items(step)

    def _bad_records(self, good: _Record, n: int, *, graded: bool) -> Iterator[bytes]:
        one = _Record(good.step, good.object, good.indices[:1], None if good.payloads is None else good.payloads[:1])
        yield one.encoded(step=good.step - 1)
        yield from (one.encoded(object=len(self.names)), one.encoded(object=len(self.names) - 1))
        yield from (one.encoded(format=2), one.encoded(zero=1), one.encoded(high=1), one.encoded(first=1))
        yield from (one.encoded(first=1 << 16), one.encoded()[:-1], one.encoded()[:-4], one.encoded()[: HEAD - 1])
        yield one.encoded() + one.encoded()  # the same neuron twice
        yield _Record(good.step, good.object, np.arange(n + 1), np.ones(n + 1, np.int64) if graded else None).encoded()
        yield _Record(good.step, good.object, np.array([n]), np.ones(1, np.int64) if graded else None).encoded()
        if graded:
            yield from (_Record(good.step, good.object, np.array([n - 1]), np.array([x])).encoded() for x in _TOO_LARGE)
        else:
            yield _Record(good.step, good.object, np.array([n - 1]), np.array([1])).encoded()

    def _bad_spikes(self, number: int, n: int, *, graded: bool) -> Iterator[tuple[int, Ints, Ints | None]]:
        last = np.array([n - 1])
        yield len(self.names), last, None
        yield len(self.names) - 1, last, None  # a population that computes
        yield number, np.array([n]), None
        yield number, np.array([n - 1, n - 1]), None
        yield number, np.array([n - 1, n - 2]), None
        for x in _TOO_LARGE:
            yield number, last, np.array([x])
        if not graded:
            yield number, last, np.array([1])

    def _refuse_items(self, step: int) -> None:
        lib, engine, count = self._lib, self._engine, len(self.items)
        number = step % count
        item = self.items[number]
        buffer = ctypes.create_string_buffer(item.size + item.dtype.itemsize)
        for beyond in (count, 2**32 - 1):
            self._expect(lib.nm_item_read(engine, beyond, 0, 0, buffer), E_ARG, "item")
            self._expect(lib.nm_item_write(engine, beyond, 0, 0, buffer), E_ARG, "item")
        for first, values in ((0, item.count + 1), (item.count + 1, 0), (1, 2**32 - 1), (item.count, 1)):
            self._expect(lib.nm_item_read(engine, number, first, values, buffer), E_ARG, "values")
            self._expect(lib.nm_item_write(engine, number, first, values, buffer), E_ARG, "values")
        self._expect(lib.nm_item_read(engine, number, item.count, 0, buffer), OK, "no values")
        held = item.decode(self.read_item(number, 0, item.count)).ravel()
        for low, high in zip(*self._ends(item), strict=True):
            for value, wanted in ((low, OK), (high, OK), (low - item.unit, E_STATE), (high + item.unit, E_STATE)):
                if np.iinfo(item.dtype).min <= value <= np.iinfo(item.dtype).max:
                    changed = np.full(item.count, low)
                    changed[-1] = value
                    code = lib.nm_item_write(engine, number, 0, item.count, changed.astype(item.dtype).tobytes())
                    self._expect(code, wanted, f"{item.name} = {value}")
            self.write_item(number, 0, held.astype(item.dtype).tobytes())

    def _ends(self, item: Item) -> tuple[list[int], list[int]]:
        """Lowest and highest value that the last element of an item can have."""
        if item.variable == "refr":
            return [0], [int(self.program.populations[item.object].per_neuron("refractory")[-1])]
        return [-(-item.low // item.unit) * item.unit], [item.high // item.unit * item.unit]

    def _expect(self, found: Any, wanted: Any, what: str) -> None:
        if found != wanted:
            raise TargetError(f"{self.target}, step {self.now()}, {what}: {found}; expected {wanted}")


_TOO_LARGE = (PAYLOAD_END, -PAYLOAD_END)


def _later(step: int) -> bytes:
    """A record of the step after, which must be left alone."""
    return _Record(step + 1, 0, np.array([0]), None).encoded() if step < 2**32 - 1 else b""
