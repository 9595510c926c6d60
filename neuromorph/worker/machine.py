"""An engine around a machine written in Python: inputs and outputs as records, state as canonical items."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from neuromorph.errors import TargetError, ValidationError
from neuromorph.program import Probe, Program, Projection
from neuromorph.records import decode_records
from neuromorph.state import Item, items

__all__ = ["Counters", "Inputs", "Machine", "SteppedEngine", "initial_state", "plastic_updates"]

Ints = NDArray[np.int64]
Inputs = Mapping[int, Mapping[str, Ints]]
"""By step, then by input population: a payload for each neuron, 0 where silent."""
_RECORD = struct.Struct("<IHBBIHH")
_FORMATS = {"|u1": 2, "<u1": 2, "<i2": 3, "<i4": 4, "<u2": 5}
_RECORD_VALUES = 65535


class Machine(Protocol):
    """What `SteppedEngine` drives."""

    program: Program
    counters: dict[str, int]

    @property
    def t(self) -> int:
        """The last step done."""

    def reset(self) -> None:
        """Back to step 0."""

    def advance(self, steps: int, inputs: Inputs) -> Iterator[None]:
        """Run steps; after each `yield`, `t`, `spikes` and `value` are those of one more step.

        Raises UnsupportedError before the first step where the machine would treat an input in another way.
        """

    def spikes(self, population: str) -> Ints:
        """What a population sent in step `t`: 0 where silent."""

    def value(self, item: Item) -> Ints:
        """A state item, in its shape or flat."""

    def assign(self, item: Item, values: Ints) -> None:
        """Set a state item; values are checked and in its shape."""

    def seek(self, step: int) -> None:
        """Set step counter and random streams; the canonical items stay as they are."""


class SteppedEngine:
    """`neuromorph.engine.Engine` on a `Machine`."""

    def __init__(self, make: Callable[[bytes], Machine]) -> None:
        self._make = make
        self._machine: Machine | None = None
        self._items: tuple[Item, ...] = ()
        self._index: dict[tuple[str, str], Item] = {}

    @property
    def machine(self) -> Machine:
        """The loaded machine."""
        if self._machine is None:
            raise TargetError("no program is loaded")
        return self._machine

    def load(self, image: bytes) -> None:
        """Make a machine of an image; one that is refused leaves the present one as it was."""
        machine = self._make(image)
        self._machine, self._items = machine, items(machine.program)
        self._index = {(item.object, item.variable): item for item in self._items}

    def reset(self) -> None:
        """Back to step 0."""
        self.machine.reset()

    def now(self) -> int:
        """The last step done."""
        return self.machine.t

    def run(
        self, steps: int, records: bytes, on_output: Callable[[bytes], None], on_progress: Callable[[int], None]
    ) -> None:
        """Run (see `Engine.run`); `on_progress` is called after every step."""
        machine = self.machine
        probes = machine.program.probes
        for _ in machine.advance(steps, read_inputs(machine.program, records, machine.t, steps)):
            for k, probe in enumerate(probes):
                if machine.t % probe.every == probe.phase % probe.every:
                    on_output(self._sample(k, probe))
            on_progress(machine.t)

    def _sample(self, index: int, probe: Probe) -> bytes:
        machine = self.machine
        if probe.variable != "spikes":
            item = self._index[probe.object, probe.variable]
            values = np.ravel(machine.value(item)).astype(item.dtype)
            return _values(machine.t, index, values, _FORMATS[item.dtype.str])
        population = machine.program.populations[probe.object]
        with_payload = population.graded or population.kind == "ternary"
        return _spikes(machine.t, index, machine.spikes(probe.object), with_payload)

    def _item(self, item: int, first: int, count: int) -> Item:
        if not 0 <= item < len(self._items) or first < 0 or first + count > self._items[item].count:
            raise ValidationError(f"state item {item} has no values {first}..{first + count - 1}")
        return self._items[item]

    def read_item(self, item: int, first: int, count: int) -> bytes:
        """Values of a state item."""
        held = self._item(item, first, count)
        return np.ravel(self.machine.value(held))[first : first + count].astype(held.dtype).tobytes()

    def write_item(self, item: int, first: int, data: bytes) -> None:
        """Write values of a state item; out of range: refused."""
        width = self._items[item].dtype.itemsize if 0 <= item < len(self._items) else 1
        held = self._item(item, first, len(data) // width)
        values = np.frombuffer(data, held.dtype).astype(np.int64)
        problem = held.check(values)
        if problem:
            raise ValidationError(f"{problem}; nothing was written")
        whole = np.array(self.machine.value(held), dtype=np.int64).ravel()
        whole[first : first + values.size] = values
        self.machine.assign(held, whole.reshape(held.shape))

    def seek(self, step: int) -> None:
        """Set the step counter and the random streams."""
        if not 0 <= step < 1 << 32:
            raise ValidationError(f"step {step} is outside 0..2^32 - 1")
        self.machine.seek(step)

    def counters(self) -> dict[str, int]:
        """Work done since the program was loaded."""
        return dict(self.machine.counters)


def _values(step: int, index: int, values: NDArray[Any], form: int) -> bytes:
    out = []
    for first in range(0, values.size, _RECORD_VALUES):
        data = values[first : first + _RECORD_VALUES].tobytes()
        count = min(_RECORD_VALUES, values.size - first)
        out.append(_RECORD.pack(step, index, form, 0, first, count, 0) + data + bytes(-len(data) % 4))
    return b"".join(out)


def _spikes(step: int, index: int, payload: Ints, with_payload: bool) -> bytes:
    spiking, out = np.flatnonzero(payload), []
    for first in np.unique(spiking >> 16):
        here = spiking[spiking >> 16 == first]
        data = (here & 0xFFFF).astype("<u2").tobytes()
        data += bytes(-len(data) % 4)
        if with_payload:
            data += payload[here].astype("<i4").tobytes()
        out.append(_RECORD.pack(step, index, int(with_payload), 0, int(first) << 16, here.size, 0) + data)
    return b"".join(out)


def read_inputs(program: Program, records: bytes, start: int, steps: int) -> dict[int, dict[str, Ints]]:
    """Dense payloads by step and input.

    Raises
    ------
    ValidationError
        A record that belongs to no input, or to a step outside of the run.
    """
    held, names = decode_records(records), list(program.populations)
    found: dict[int, dict[str, Ints]] = {}
    for number in np.unique(held.object):
        pop = program.populations.get(names[number]) if number < len(names) else None
        if pop is None or pop.kind != "input" or np.any(held.format[held.object == number] > 1):
            raise ValidationError(f"input records for object {number}: no such input")
        events = held.events(int(number))
        if np.any((events.steps <= start) | (events.steps > start + steps)):
            raise ValidationError(f"input records for {pop.name!r} outside of steps {start + 1}..{start + steps}")
        if events.indices.size and int(events.indices.max()) >= pop.n:
            raise ValidationError(f"input records for {pop.name!r}: indices must lie within 0..{pop.n - 1}")
        payloads = np.ones(events.steps.size, np.int64) if events.payloads is None else events.payloads
        bounds = np.flatnonzero(np.diff(events.steps)) + 1
        parts = zip(*(np.split(part, bounds) for part in (events.steps, events.indices, payloads)), strict=True)
        for step, indices, payload in parts:
            if step.size:
                dense = found.setdefault(int(step[0]), {}).setdefault(pop.name, np.zeros(pop.n, np.int64))
                dense[indices] = payload
    return found


def initial_state(program: Program) -> dict[tuple[str, str], Ints]:
    """All items at step 0, before the schedule's entries for step 0."""
    found: dict[tuple[str, str], Ints] = {}
    for item in items(program):
        value = np.zeros(item.shape, np.int64)
        pop, proj = program.populations.get(item.object), program.projections.get(item.object)
        if pop is not None:
            init = {"u": pop.init_u, "v": pop.init_v, "theta": pop.init_theta}.get(item.variable)
            value = value if init is None else np.array(init, np.int64)
            value = np.ones(1, np.int64) if item.variable == "adapt" else value
        elif proj is not None and item.variable == "w":
            value = np.array(proj.weights, np.int64)
        elif proj is not None and item.variable == "plastic":
            value = np.array([int(proj.plastic)], np.int64)
        found[item.object, item.variable] = value
    return found


class Counters(dict[str, int]):
    """Spikes, synaptic events and plastic updates, counted from what happened in a step."""

    def __init__(self, program: Program) -> None:
        super().__init__(spikes=0, synaptic_events=0, plastic_updates=0)
        self._out: dict[str, list[Ints]] = {name: [] for name in program.populations}
        for proj in program.projections.values():
            n_pre = program.populations[proj.pre].n
            fan = np.diff(proj.indptr) if proj.indptr is not None else np.full(n_pre, program.populations[proj.post].n)
            self._out[proj.pre].append(fan)

    def count(self, population: str, payload: Ints) -> None:
        """Spikes of a population in a step."""
        fired = payload != 0
        self["spikes"] += int(fired.sum())
        self["synaptic_events"] += sum(int(fan[fired].sum()) for fan in self._out[population])


def plastic_updates(proj: Projection, epoch: int, tx: Ints, ty: Ints) -> int:
    """Synapses with a product that is due in an epoch; `tx`, `ty` are the spike times before learning."""
    rule = proj.rule
    if rule is None:
        return 0
    if any(p.dependency == "u" and epoch % (1 << p.k) == 0 for p in rule.products):
        return proj.synapses
    due = {p.dependency for p in rule.products}
    x0, y0 = (tx > 0) & ("x0" in due), (ty > 0) & ("y0" in due)
    if proj.indptr is not None and proj.indices is not None:
        return int(np.sum(x0[proj.pre_of] | y0[proj.indices]))
    return int(np.sum(x0[:, None] | y0[None, :]))
