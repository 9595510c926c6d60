"""Recorder: the stream of output records of a run (``docs/image.md``, section 4) becomes a checked Trace."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from neuromorph.errors import TargetError
from neuromorph.state import items
from neuromorph.trace import Spikes, States, Trace

if TYPE_CHECKING:
    from neuromorph.program import Probe, Program
    from neuromorph.state import Item

__all__ = ["Numbers", "Recorder"]

Numbers = Literal["integer", "float"]

_HEADER = struct.Struct("<IHBBIHH")
# Format 6 is for machines that compute in floats; they run in process and never send it over a line.
_WIDTH = {2: 1, 3: 2, 4: 4, 5: 2, 6: 8}
_FORMAT = {"<u1": 2, "|u1": 2, "<i2": 3, "<i4": 4, "<u2": 5, "<f8": 6}


class _Column:
    """Records of one probe, in arrival order."""

    def __init__(self, probe: Probe, item: Item | None, n: int, numbers: str) -> None:
        self.probe, self.item, self.n = probe, item, n
        self.dtype: np.dtype[Any] = np.dtype("<f8") if numbers == "float" else item.dtype if item else np.dtype("<u2")
        self.format = 0 if item is None else _FORMAT[self.dtype.str]
        self.steps: list[int] = []
        self.firsts: list[int] = []
        self.counts: list[int] = []
        self.values: list[bytes] = []
        self.payloads: list[bytes] = []


class Recorder:
    """Takes records as they come, checks order and completeness, and gives the trace.

    Parameters
    ----------
    program : Program
        Whose probes the records belong to.
    start, steps : int
        The run covers steps start + 1 to start + steps.
    """

    def __init__(self, program: Program, start: int, steps: int, numbers: Numbers = "integer") -> None:
        self.program, self.start, self.stop, self.numbers = program, start, start + steps, numbers
        self.last = start
        layout = {(item.object, item.variable): item for item in items(program)}
        self._columns = []
        for probe in program.probes:
            item = None if probe.variable == "spikes" else layout[probe.object, probe.variable]
            n = program.populations[probe.object].n if item is None else item.count
            self._columns.append(_Column(probe, item, n, numbers))

    def feed(self, data: bytes) -> None:
        """Take whole records.

        Raises
        ------
        TargetError
            The machine sent something that cannot be a record of this run.
        """
        at, end = 0, len(data)
        while at < end:
            if end - at < _HEADER.size:
                raise TargetError(f"the machine sent {end - at} bytes after its last record; a record has at least 16")
            step, index, form, _, first, count, _ = _HEADER.unpack_from(data, at)
            at += _HEADER.size
            if not self.last <= step <= self.stop or step <= self.start:
                raise TargetError(f"record of step {step} after one of step {self.last}, in a run to step {self.stop}")
            if index >= len(self._columns):
                raise TargetError(f"record of probe {index}; the program has {len(self._columns)} probes")
            self.last = step
            at = self._take(self._columns[index], data, at, step, form, first, count)

    def _take(self, column: _Column, data: bytes, at: int, step: int, form: int, first: int, count: int) -> int:
        """Note one record's values; returns where the next one begins."""
        probe = column.probe
        spikes = column.item is None
        if form != column.format and not (spikes and form == 1):
            raise TargetError(f"probe {probe.name!r}: record of format {form}, expected {column.format}")
        if (step - probe.phase) % probe.every:
            raise TargetError(f"probe {probe.name!r}: a sample of step {step}, which it does not look at")
        width = 2 if spikes else _WIDTH[form]
        size = count * width
        stop = at + size + -size % 4
        if stop + (4 * count if form == 1 else 0) > len(data) or (not spikes and first + count > column.n):
            raise TargetError(f"probe {probe.name!r}: a record of {count} values from {first} on does not fit")
        column.steps.append(step)
        column.firsts.append(first)
        column.counts.append(count)
        column.values.append(data[at : at + size])
        if not spikes:
            return stop
        if form == 1:
            column.payloads.append(data[stop : stop + 4 * count])
            return stop + 4 * count
        column.payloads.append(b"\x01\0\0\0" * count)
        return stop

    def trace(self, target: str, *, complete: bool = True, counters: dict[str, int] | None = None) -> Trace:
        """The trace of the run; with ``complete=False`` of the steps that are certainly whole.

        Raises
        ------
        TargetError
            A sample is missing, twice, or out of order.
        """
        # Without the end of the run, more records of the last step seen may have been on their way.
        stop = self.stop if complete else max(self.start, self.last - 1)
        columns: dict[str, Spikes | States] = {}
        for column in self._columns:
            made = self._spikes(column) if column.item is None else self._states(column, column.item, stop)
            columns[column.probe.name] = made._within(self.start, stop)
        return Trace(
            columns=columns, digest=self.program.digest, target=target, dt=self.program.dt, start=self.start, stop=stop,
            name=self.program.name, complete=complete, numbers=self.numbers, counters=counters or {},
        )  # fmt: skip

    def _spikes(self, column: _Column) -> Spikes:
        probe, pop = column.probe, self.program.populations[column.probe.object]
        counts = np.array(column.counts, dtype=np.int64)
        steps = np.repeat(np.array(column.steps, dtype=np.int64), counts)
        indices = np.repeat(np.array(column.firsts, dtype=np.int64), counts)
        indices += np.frombuffer(b"".join(column.values), "<u2")
        if indices.size and int(indices.max()) >= pop.n:
            raise TargetError(f"probe {probe.name!r}: a spike of neuron {indices.max()}; {pop.name!r} has {pop.n}")
        if np.any(np.diff(steps * pop.n + indices) <= 0):
            raise TargetError(f"probe {probe.name!r}: spikes out of order or twice")
        payloads = None
        if pop.graded or pop.kind == "ternary":
            payloads = np.frombuffer(b"".join(column.payloads), "<i4").astype(np.int64)
        return Spikes(
            probe.name, pop.name, pop.n, steps, indices, payloads, probe.every, probe.phase, pop.kind == "input"
        )  # fmt: skip

    def _states(self, column: _Column, item: Item, stop: int) -> States:
        probe, width = column.probe, max(column.n, 1)
        first = self.start + 1 + (probe.phase - self.start - 1) % probe.every
        expected = np.arange(first, stop + 1, probe.every)
        steps, counts = np.array(column.steps, dtype=np.int64), np.array(column.counts, dtype=np.int64)
        whole = (steps <= stop) & (column.n > 0)
        steps, counts = steps[whole], counts[whole]
        firsts = np.array(column.firsts, dtype=np.int64)[whole]
        # Records of a sample follow each other without gap: each begins where the one before it ended.
        begins = np.cumsum(counts) - counts
        sample = begins // width
        gap = (firsts != begins % width) | (sample >= expected.size)
        if not gap.any():
            gap = steps != expected[sample]
        if gap.any() or int(counts.sum()) != expected.size * column.n:
            step = int(steps[gap][0]) if gap.any() else stop
            raise TargetError(f"probe {probe.name!r}: samples are missing or twice, first seen at step {step}")
        data = b"".join(column.values[: int(np.count_nonzero(whole))])
        values = np.frombuffer(data, column.dtype).reshape(expected.size, column.n)
        pre, post = self._synapses(item)
        known = self.program.scales.get(probe.object, {}) if self.numbers == "integer" else {}
        scale = float(known.get(probe.variable, 1.0))
        return States(
            probe.name, probe.object, probe.variable, item.shape, expected, values, scale, probe.every, probe.phase,
            pre, post,
        )  # fmt: skip

    def _synapses(self, item: Item) -> tuple[NDArray[np.int64] | None, NDArray[np.int64] | None]:
        """Source and target of each element of a sparse projection's weights and tags."""
        proj = self.program.projections.get(item.object)
        if proj is None or proj.indices is None or item.variable not in ("w", "tag_1", "tag_2"):
            return None, None
        return proj.pre_of, proj.indices
