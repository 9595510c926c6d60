"""An engine around a machine written in Python: inputs and outputs as records, state as canonical items."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from neuromorph.errors import TargetError, ValidationError
from neuromorph.program import Probe, Program, U
from neuromorph.records import decode_records, spike_records, value_records
from neuromorph.state import Item, items, problem

__all__ = ["Inputs", "Machine", "SteppedEngine", "read_inputs"]

Ints = NDArray[np.int64]
Inputs = Mapping[int, Mapping[str, Ints]]
"""By step, then by input population: a payload for each neuron, 0 where silent."""
_PROGRESS_STEPS, _PROGRESS_SECONDS = 64, 0.2  # whichever comes first


class Machine(Protocol):
    """What `SteppedEngine` drives."""

    program: Program

    @property
    def counters(self) -> dict[str, int]:
        """Work done since the program was loaded."""

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
    """`neuromorph.engine.Engine` on a `Machine`.

    Parameters
    ----------
    make : callable
        Makes a machine at step 0 from an image.
    target : str
        Name in messages; empty where another one is put before them.
    """

    def __init__(self, make: Callable[[bytes], Machine], target: str = "") -> None:
        self.target, self._make = target, make
        self._prefix = f"{target}: " if target else ""
        self._machine: Machine | None = None
        self._items: tuple[Item, ...] = ()
        self._index: dict[tuple[str, str], Item] = {}

    @property
    def machine(self) -> Machine:
        """The loaded machine."""
        if self._machine is None:
            raise TargetError(f"{self._prefix}no program is loaded")
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
        self,
        steps: int,
        records: bytes,
        on_output: Callable[[bytes], None],
        on_progress: Callable[[int], None] | None = None,
    ) -> None:
        """Run (see `Engine.run`)."""
        machine = self.machine
        probes = tuple(enumerate(machine.program.probes))
        last, shown = machine.t + steps, time.monotonic()
        for _ in machine.advance(steps, read_inputs(machine.program, records, machine.t, steps)):
            t = machine.t
            due = (self._sample(k, probe) for k, probe in probes if t % probe.every == probe.phase % probe.every)
            output = b"".join(due)
            if output:
                on_output(output)
            if on_progress is None:
                continue
            if t % _PROGRESS_STEPS == 0 or t == last or time.monotonic() - shown > _PROGRESS_SECONDS:
                shown = time.monotonic()
                on_progress(t)

    def _sample(self, index: int, probe: Probe) -> bytes:
        """The records of one probe at the present step."""
        machine = self.machine
        if probe.variable != "spikes":
            item = self._index[probe.object, probe.variable]
            return value_records(machine.t, index, np.asarray(machine.value(item)).astype(item.dtype))
        population = machine.program.populations[probe.object]
        payload = machine.spikes(probe.object)
        spiking = np.flatnonzero(payload)
        sent = payload[spiking] if population.graded or population.kind == "ternary" else None
        return spike_records(machine.t, index, spiking, sent)

    def _item(self, item: int, first: int, count: int) -> Item:
        if not 0 <= item < len(self._items) or first < 0 or first + count > self._items[item].count:
            raise ValidationError(f"{self._prefix}state item {item} has no values {first}..{first + count - 1}")
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
        wrong = problem(self.machine.program, held, values, first)
        if wrong:
            raise ValidationError(f"{self._prefix}{wrong}; nothing was written")
        whole = np.array(self.machine.value(held), dtype=np.int64).ravel()
        whole[first : first + values.size] = values
        self.machine.assign(held, whole.reshape(held.shape))

    def seek(self, step: int) -> None:
        """Set the step counter and the random streams."""
        if not 0 <= step < 1 << 32:
            raise ValidationError(f"{self._prefix}step {step} is outside 0..2^32 - 1")
        self.machine.seek(step)

    def counters(self) -> dict[str, int]:
        """Work done since the program was loaded."""
        return dict(self.machine.counters)

    def close(self) -> None:
        """Forget the program."""
        self._machine = None


def read_inputs(program: Program, records: bytes, start: int, steps: int) -> dict[int, dict[str, Ints]]:
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
