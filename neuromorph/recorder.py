"""Recorder: the stream of output records of a run (``docs/image.md``, section 4) becomes a checked Trace."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from neuromorph.errors import TargetError, ValidationError
from neuromorph.records import GRADED, SPIKES, VALUES, Events, Records, decode_records
from neuromorph.state import items
from neuromorph.trace import Gap, Spikes, States, Trace, outside

if TYPE_CHECKING:
    from neuromorph.program import Probe, Program
    from neuromorph.state import Item

__all__ = ["Numbers", "Recorder"]

Numbers = Literal["integer", "float"]
CHUNK = 1 << 18  # bytes that are decoded together
FLOATS = 6


@dataclass
class _Column:
    """What one probe sent so far, in order of arrival; `seen` counts the values of a state.

    `steps` has the steps of these, where gaps may be between them.
    """

    probe: Probe
    item: Item | None
    n: int
    formats: tuple[int, ...]
    events: list[Events] = field(default_factory=list)
    values: list[NDArray[Any]] = field(default_factory=list)
    seen: int = 0
    steps: list[NDArray[np.int64]] = field(default_factory=list)


class Recorder:
    """Takes records as they come, checks order and completeness, and gives the trace.

    Parameters
    ----------
    program : Program
        Whose probes the records belong to.
    start, steps : int
        The run covers steps start + 1 to start + steps.
    numbers : str
        "integer" or "float".
    gaps : bool
        Samples of whole steps may be missing, as a machine at pace real drops them.
    """

    def __init__(
        self, program: Program, start: int, steps: int, numbers: Numbers = "integer", *, gaps: bool = False
    ) -> None:
        self.program, self.start, self.stop, self.numbers = program, start, start + steps, numbers
        self.gaps = gaps
        self.last = start
        self._waiting = bytearray()
        layout = {(item.object, item.variable): item for item in items(program)}
        self._columns = []
        for probe in program.probes:
            item = None if probe.variable == "spikes" else layout[probe.object, probe.variable]
            n = program.populations[probe.object].n if item is None else item.count
            self._columns.append(_Column(probe, item, n, _formats(item, numbers)))

    def feed(self, data: bytes) -> None:
        """Take whole records; they are looked at when there are many, or when the trace is wanted.

        Raises
        ------
        TargetError
            The machine sent something that cannot be a record of this run.
        """
        self._waiting += data
        if len(self._waiting) >= CHUNK:
            self._decode()

    def _decode(self) -> None:
        data, self._waiting = bytes(self._waiting), bytearray()
        if not data:
            return
        try:
            records = decode_records(data)
        except ValidationError as error:
            raise TargetError(f"the machine sent no whole {error}") from error
        step = records.step
        order = np.diff(step, prepend=self.last)
        wrong = np.flatnonzero((order < 0) | (step <= self.start) | (step > self.stop))
        if wrong.size:
            k = int(wrong[0])
            before = int(step[k - 1]) if k else self.last
            raise TargetError(f"record of step {step[k]} after one of step {before}, in a run to step {self.stop}")
        if not records.count.all():
            raise TargetError(f"record of step {step[np.flatnonzero(records.count == 0)[0]]} without values")
        if int(records.object.max()) >= len(self._columns):
            count = len(self._columns)
            raise TargetError(f"record of probe {records.object.max()}; the program has {count} probes")
        for number in np.unique(records.object):
            self._take(self._columns[number], int(number), records)
        self.last = int(step[-1])

    def _take(self, column: _Column, number: int, records: Records) -> None:
        """Note the values of one probe."""
        probe, mine = column.probe, records.object == number
        found = set(records.format[mine].tolist()) - set(column.formats)
        if found:
            raise TargetError(f"probe {probe.name!r}: record of format {found.pop()}, expected {column.formats[-1]}")
        odd = records.step[mine][(records.step[mine] - probe.phase) % probe.every != 0]
        if odd.size:
            raise TargetError(f"probe {probe.name!r}: a sample of step {odd[0]}, which it does not look at")
        if column.item is None:
            column.events.append(records.events(number))
        else:
            steps, elements, values = records.values(number)
            # Value k of a recording without gaps is element k % n of sample k // n.
            place = np.arange(column.seen, column.seen + values.size)
            wrong = elements != place % column.n
            if not self.gaps:
                wrong |= steps != self._first(probe) + place // column.n * probe.every
            if wrong.any():
                step = int(steps[np.flatnonzero(wrong)[0]])
                raise TargetError(f"probe {probe.name!r}: samples are missing or twice, first seen at step {step}")
            column.values.append(values)
            if self.gaps:
                column.steps.append(steps)
            column.seen += values.size

    def _first(self, probe: Probe) -> int:
        """The first step of the run that a probe looks at."""
        return self.start + 1 + (probe.phase - self.start - 1) % probe.every

    def trace(
        self,
        target: str,
        *,
        complete: bool = True,
        counters: dict[str, int] | None = None,
        missing: tuple[Gap, ...] = (),
    ) -> Trace:
        """The trace of the run; with ``complete=False`` of the steps that are certainly whole.

        `missing` are the gaps that the machine told of.

        Raises
        ------
        TargetError
            A sample is missing, twice, or out of order.
        """
        self._decode()
        # Without the end of the run, more records of the last step seen may have been on their way.
        stop = self.stop if complete else max(self.start, self.last - 1)
        columns: dict[str, Spikes | States] = {}
        missing = tuple(gap.within(self.start, stop) for gap in missing if gap.first <= stop)
        for column in self._columns:
            made = self._spikes(column) if column.item is None else self._states(column, column.item, stop, missing)
            columns[column.probe.name] = made._within(self.start, stop)
        return Trace(
            columns=columns, digest=self.program.digest, target=target, dt=self.program.dt, start=self.start, stop=stop,
            name=self.program.name, complete=complete, numbers=self.numbers, counters=counters or {},
            missing=missing,
        )  # fmt: skip

    def _spikes(self, column: _Column) -> Spikes:
        probe, pop = column.probe, self.program.populations[column.probe.object]
        steps = _joined([events.steps for events in column.events])
        indices = _joined([events.indices for events in column.events])
        if indices.size and int(indices.max()) >= pop.n:
            raise TargetError(f"probe {probe.name!r}: a spike of neuron {indices.max()}; {pop.name!r} has {pop.n}")
        if np.any(np.diff(steps * pop.n + indices) <= 0):
            raise TargetError(f"probe {probe.name!r}: spikes out of order or twice")
        payloads = None
        if pop.graded or pop.kind == "ternary":
            given = [np.ones_like(e.steps) if e.payloads is None else e.payloads for e in column.events]
            payloads = _joined(given)
        return Spikes(
            probe.name, pop.name, pop.n, steps, indices, payloads, probe.every, probe.phase, pop.kind == "input"
        )  # fmt: skip

    def _states(self, column: _Column, item: Item, stop: int, missing: tuple[Gap, ...]) -> States:
        probe = column.probe
        expected = np.arange(self._first(probe), stop + 1, probe.every)
        expected = expected[outside(expected, missing)]
        count = expected.size * column.n
        if column.seen < count:
            raise TargetError(f"probe {probe.name!r}: {count - column.seen} of {count} values are missing at the end")
        seen = _joined(column.steps)[:count]
        wrong = np.flatnonzero(seen != np.repeat(expected, column.n)[: seen.size])
        if wrong.size:
            step = int(seen[wrong[0]])
            raise TargetError(f"probe {probe.name!r}: samples that no gap covers are missing, or twice, at step {step}")
        values = np.concatenate([np.empty(0, VALUES[column.formats[0]]), *column.values])[:count]
        pre, post = self._synapses(item)
        known = self.program.scales.get(probe.object, {}) if self.numbers == "integer" else {}
        scale = float(known.get(probe.variable, 1.0))
        return States(
            probe.name, probe.object, probe.variable, item.shape, expected, values.reshape(expected.size, column.n),
            scale, probe.every, probe.phase, pre, post,
        )  # fmt: skip

    def _synapses(self, item: Item) -> tuple[NDArray[np.int64] | None, NDArray[np.int64] | None]:
        """Source and target of each element of a sparse projection's weights and tags."""
        proj = self.program.projections.get(item.object)
        if proj is None or proj.indices is None or item.variable not in ("w", "tag_1", "tag_2", "stp_u", "stp_x"):
            return None, None
        return proj.pre_of, proj.indices


def _formats(item: Item | None, numbers: Numbers) -> tuple[int, ...]:
    """Record formats that a probe may use."""
    if item is None:
        return SPIKES, GRADED
    if numbers == "float":
        return (FLOATS,)
    return tuple(form for form, dtype in VALUES.items() if dtype == item.dtype)


def _joined(parts: list[NDArray[np.int64]]) -> NDArray[np.int64]:
    return np.concatenate([np.empty(0, np.int64), *parts])
