"""`cpu:float` behind the engine protocol: the ideal model, fed and read through the records of the integer machines."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuromorph.errors import TargetError, UnsupportedError
from neuromorph.records import spike_records, value_records
from neuromorph.stepped import read_inputs
from neuromorph_cpu.float import Events, FloatEngine, Samples, SpikeColumn

if TYPE_CHECKING:
    from neuromorph.graph import Graph
    from neuromorph.program import Program

__all__ = ["FloatTarget"]

_CHUNK = 500  # steps between outputs


class FloatTarget:
    """Runs the Graph that a program was made from, on an engine that computes in floats."""

    def __init__(self, engine: FloatEngine | None = None) -> None:
        self._engine = engine or FloatEngine()
        self.target = self._engine.target
        self._program: Program | None = None

    def load(self, image: bytes) -> None:  # noqa: ARG002
        """Refused: an image holds integers only."""
        raise TargetError(
            f"{self.target} runs the network itself, in floats; open it with the network, not with a program"
        )

    def load_graph(self, graph: Graph, program: Program) -> None:
        """Take a graph, and the program made from it for its names; step 0."""
        units = {name: scale["w"] * program.numbers.one for name, scale in program.scales.items() if "w" in scale}
        self._engine.load(graph, units)
        self._program = program

    @property
    def program(self) -> Program:
        """The program whose names are used."""
        if self._program is None:
            raise TargetError(f"{self.target}: no network is loaded")
        return self._program

    def reset(self) -> None:
        """Back to step 0."""
        self._engine.reset()

    def now(self) -> int:
        """The last step done."""
        return self._engine.now()

    def run(
        self,
        steps: int,
        records: bytes,
        on_output: Callable[[bytes], None],
        on_progress: Callable[[int], None] | None = None,
    ) -> None:
        """Run (see `Engine.run`); outputs come every few hundred steps."""
        inputs = read_inputs(self.program, records, self.now(), steps)
        end = self.now() + steps
        while self.now() < end:
            stop = min(end, self.now() + _CHUNK)
            events = _events({t: inputs.pop(t) for t in range(self.now() + 1, stop + 1) if t in inputs})
            columns = self._engine.run(stop - self.now(), events)
            found = [r for k, probe in enumerate(self.program.probes) for r in _records(k, columns[probe.name])]
            on_output(b"".join(data for _, _, data in sorted(found, key=lambda r: r[:2])))
            if on_progress is not None:
                on_progress(stop)

    def read(self, name: str, variable: str) -> NDArray[np.float64]:
        """A state variable in the units of the description."""
        return self._engine.read(name, variable)

    def write(self, name: str, variable: str, values: ArrayLike) -> None:
        """Set a state variable in the units of the description."""
        self._engine.write(name, variable, values)

    def read_item(self, item: int, first: int, count: int) -> bytes:  # noqa: ARG002
        """Refused: items are integers."""
        raise UnsupportedError(f"{self.target} has no integer state; snapshots and .nms files need an integer target")

    def write_item(self, item: int, first: int, data: bytes) -> None:  # noqa: ARG002
        """Refused: items are integers."""
        raise UnsupportedError(f"{self.target} has no integer state; snapshots and .nms files need an integer target")

    def seek(self, step: int) -> None:  # noqa: ARG002
        """Refused: see `read_item`."""
        raise UnsupportedError(f"{self.target} cannot be put to a step; reset it and run")

    def counters(self) -> dict[str, int]:
        """Work done since the network was loaded."""
        return self._engine.counters()

    def close(self) -> None:
        """Forget the network."""
        self._engine.close()
        self._program = None


def _events(inputs: dict[int, dict[str, NDArray[np.int64]]]) -> dict[str, Events]:
    """Spikes by input from dense payloads by step."""
    parts: dict[str, list[NDArray[np.int64]]] = {}
    for step, by_name in inputs.items():
        for name, payload in by_name.items():
            who = np.flatnonzero(payload)
            parts.setdefault(name, []).append(np.stack((np.full(who.size, step), who, payload[who])))
    joined = {name: np.concatenate(found, axis=1) for name, found in parts.items()}
    return {name: (a[0], a[1], a[2]) for name, a in joined.items()}


def _records(index: int, column: SpikeColumn | Samples) -> Iterator[tuple[int, int, bytes]]:
    """Step, probe and bytes of each sample."""
    if isinstance(column, Samples):
        for step, values in zip(column.steps.tolist(), column.values, strict=True):
            yield step, index, value_records(step, index, values)
        return
    steps, starts = np.unique(column.steps, return_index=True)
    groups = zip(
        steps.tolist(), np.split(column.indices, starts[1:]), np.split(column.payloads, starts[1:]), strict=True
    )
    for step, who, payload in groups if steps.size else ():
        yield step, index, spike_records(step, index, who, payload)
