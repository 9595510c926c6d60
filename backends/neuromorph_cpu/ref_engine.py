"""`cpu:ref` behind the `Engine` protocol: records and items around the executable specification."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuromorph.errors import TargetError, ValidationError
from neuromorph.image import decode
from neuromorph.program import Probe, Program, U
from neuromorph.records import decode_records
from neuromorph.state import Item, items, problem
from neuromorph_cpu.ref import Reference

__all__ = ["RefEngine"]

Ints = NDArray[np.int64]
_RECORD = struct.Struct("<IHBBIHH")
_FORMATS = {"|u1": 2, "<u1": 2, "<i2": 3, "<i4": 4, "<u2": 5}
_RECORD_VALUES = 65535
_PROGRESS_STEPS = 256


class RefEngine:
    """Runs a program on `Reference`, one step at a time; `seen` counts wraps, saturations and roundings."""

    def __init__(self, target: str = "cpu:ref", seen: Counter[str] | None = None) -> None:
        self.target, self._seen = target, seen
        self._machine: Reference | None = None
        self._items: tuple[Item, ...] = ()
        self._dtypes: dict[tuple[str, str], np.dtype[Any]] = {}

    def load(self, image: bytes) -> None:
        """Read an image (checked by the decoder) and put it at step 0."""
        program = decode(image)
        self._items = items(program)
        self._dtypes = {(item.object, item.variable): item.dtype for item in self._items}
        self._machine = Reference(program, self._seen)

    @property
    def machine(self) -> Reference:
        """The loaded reference machine."""
        if self._machine is None:
            raise TargetError(f"{self.target}: no program is loaded")
        return self._machine

    def reset(self) -> None:
        """Back to step 0."""
        self.machine.reset()

    def now(self) -> int:
        """The last step done."""
        return self.machine.t

    def run(
        self,
        steps: int,
        records: bytes,
        on_output: Callable[[bytes], None],
        on_progress: Callable[[int], None] | None = None,
    ) -> None:
        """Run (see `Engine.run`)."""
        machine = self.machine
        inputs = _inputs(machine.program, records, machine.t, steps)
        for _ in range(steps):
            machine.step(inputs.pop(machine.t + 1, None))
            output = b"".join(
                self._sample(k, probe)
                for k, probe in enumerate(machine.program.probes)
                if machine.t % probe.every == probe.phase % probe.every
            )
            if output:
                on_output(output)
            if on_progress is not None and machine.t % _PROGRESS_STEPS == 0:
                on_progress(machine.t)

    def _sample(self, index: int, probe: Probe) -> bytes:
        """The records of one probe at the present step."""
        t = self.machine.t
        if probe.variable != "spikes":
            dtype = self._dtypes[probe.object, probe.variable]
            values = self.machine.state[probe.object, probe.variable].ravel().astype(dtype)
            return _dense(t, index, values, _FORMATS[dtype.str])
        population = self.machine.program.populations[probe.object]
        payload = self.machine.spikes[probe.object].payload
        with_payload = population.graded or population.kind == "ternary"
        spiking = np.flatnonzero(payload)
        out = []
        for first in np.unique(spiking >> 16):
            here = spiking[spiking >> 16 == first]
            data = (here & 0xFFFF).astype("<u2").tobytes()
            data += bytes(-len(data) % 4)
            if with_payload:
                data += payload[here].astype("<i4").tobytes()
            out.append(_RECORD.pack(t, index, int(with_payload), 0, int(first) << 16, here.size, 0) + data)
        return b"".join(out)

    def _item(self, item: int, first: int, count: int) -> Item:
        if not 0 <= item < len(self._items) or first < 0 or first + count > self._items[item].count:
            raise ValidationError(f"{self.target}: state item {item} has no values {first}..{first + count - 1}")
        return self._items[item]

    def read_item(self, item: int, first: int, count: int) -> bytes:
        """Values of a state item."""
        held = self._item(item, first, count)
        values = self.machine.state[held.object, held.variable].ravel()[first : first + count]
        return values.astype(held.dtype).tobytes()

    def write_item(self, item: int, first: int, data: bytes) -> None:
        """Write values of a state item; out of range: refused."""
        width = self._items[item].dtype.itemsize if 0 <= item < len(self._items) else 1
        held = self._item(item, first, len(data) // width)
        values = np.frombuffer(data, held.dtype).astype(np.int64)
        wrong = problem(self.machine.program, held, values, first)
        if wrong:
            raise ValidationError(f"{self.target}: {wrong}; nothing was written")
        flat = self.machine.state[held.object, held.variable].ravel()
        flat[first : first + values.size] = values
        self.machine.state[held.object, held.variable] = flat.reshape(held.shape)

    def seek(self, step: int) -> None:
        """Set the step counter; the random numbers are functions of it."""
        if not 0 <= step < 1 << 32:
            raise ValidationError(f"{self.target}: step {step} is outside 0..2^32 - 1")
        self.machine.t = step

    def counters(self) -> dict[str, int]:
        """Work done since the program was loaded."""
        return dict(self.machine.counters)

    def close(self) -> None:
        """Forget the program."""
        self._machine = None


def _dense(step: int, index: int, values: NDArray[np.generic], form: int) -> bytes:
    out = []
    for first in range(0, values.size, _RECORD_VALUES):
        data = values[first : first + _RECORD_VALUES].tobytes()
        count = min(_RECORD_VALUES, values.size - first)
        out.append(_RECORD.pack(step, index, form, 0, first, count, 0) + data + bytes(-len(data) % 4))
    return b"".join(out)


def _inputs(program: Program, records: bytes, start: int, steps: int) -> dict[int, dict[str, Ints]]:
    """Dense payloads by step and input; ValidationError on records that do not belong to the run."""
    names = list(program.populations)
    found: dict[int, dict[str, Ints]] = {}
    read = decode_records(records)
    wrong = (read.step <= start) | (read.step > start + steps)
    wrong[1:] |= np.diff(read.step) < 0
    if wrong.any():
        step = int(read.step[wrong.argmax()])
        raise ValidationError(f"input record for step {step}: they must rise within {start + 1}..{start + steps}")
    if np.any(read.first & 0xFFFF) or np.any(read.data[read.at[:, None] + [7, 14, 15]]):
        raise ValidationError("input record with an odd first index or reserved bytes that are not 0")
    for number in np.unique(read.object).tolist():
        pop = program.populations[names[number]] if number < len(names) else None
        mine = read.format[read.object == number]
        if pop is None or pop.kind != "input" or mine.max() > int(pop.graded):
            raise ValidationError(f"input record for object {number} of format {mine.max()}: no such input")
        events = read.events(number)
        place = events.steps * pop.n + events.indices
        if np.any(np.diff(place) <= 0) or int(events.indices.max(initial=0)) >= pop.n:
            raise ValidationError(f"input record for {pop.name!r}: indices must ascend within 0..{pop.n - 1}")
        payloads = np.ones_like(place) if events.payloads is None else events.payloads
        if np.any(np.abs(payloads) >= U):
            raise ValidationError(f"input record for {pop.name!r}: a payload is outside -2^23 + 1..2^23 - 1")
        for step in np.unique(events.steps).tolist():
            here = slice(*np.searchsorted(events.steps, (step, step + 1)))
            dense = found.setdefault(step, {}).setdefault(pop.name, np.zeros(pop.n, np.int64))
            dense[events.indices[here]] = payloads[here]
    return found
