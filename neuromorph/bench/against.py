"""One benchmark on several targets, in one run on one machine: CPU time of a step, of all processes that take part.

What a user waits for is measured: `Session.run` with a network's inputs, its outputs recorded and turned into a trace.
Every target runs the network for few and for many steps; the difference of the two, over the steps between, is the cost
of a step; what happens once in a run (building a network, starting Lava's processes) is left out on all sides alike.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from neuromorph.bench.measure import integer_machine
from neuromorph.bench.networks import Benchmark, benchmark
from neuromorph.compare import compare
from neuromorph.errors import TargetError
from neuromorph.records import Events
from neuromorph.session import Session
from neuromorph.stimulus import Stimulus

if TYPE_CHECKING:
    from collections.abc import Iterable

    from neuromorph.progress import Progress
    from neuromorph.trace import Trace

__all__ = ["Step", "against"]

FEW = 10  # part of the steps that the short run has
REPEATS, SLOW_REPEATS = 10, 2
SLOW = 2.0
"""Seconds: longer runs are repeated fewer times."""


@runtime_checkable
class ElsewhereEngine(Protocol):
    """An engine that takes CPU time in other processes."""

    def cpu_seconds(self) -> float:
        """CPU time of these processes so far."""


@dataclass(frozen=True, slots=True)
class Step:
    """What a step takes on a target.

    Attributes
    ----------
    network, target : str
        What ran where.
    few, steps : int
        Steps of the short and of the long run.
    cpu_us : float
        CPU microseconds of a step.
    once_ms : float
        CPU milliseconds of what happens once in a run.
    ratio : float
        CPU time beside that of the first target.
    """

    network: str
    target: str
    few: int
    steps: int
    cpu_us: float
    once_ms: float
    ratio: float = 1.0

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def against(
    name: str, targets: Iterable[str], steps: int | None = None, scale: float = 1.0, progress: Progress | None = None
) -> list[Step]:
    """Measure a benchmark network on several targets; all give the same spikes, or it is an error.

    Parameters
    ----------
    name : str
        Network, see `neuromorph.bench.networks`.
    targets : iterable of str
        Integer targets; the first is what the others are compared with.
    steps : int, optional
        Steps of the long run; default: all of the network.
    scale : float
        Share of the neurons.
    progress : callable, optional
        Called with (network and target, done, in all), in repeats; a slow target skips most of them.

    Raises
    ------
    TargetError
        A target is missing, failed, or gave other spikes than the first.
    UnsupportedError
        A target computes in floats.
    """
    network = benchmark(name, scale)
    if network.program.rounding != "shared":  # what every target holds
        network = replace(network, program=replace(network.program, rounding="shared"))
    count = min(steps or network.steps, network.steps)
    found: list[Step] = []
    first: Trace | None = None
    for target in targets:
        made, trace = _measured(network, target, count, progress)
        first = first or trace
        difference = compare(first, trace)
        if not difference.equal:
            raise TargetError(f"the targets do not run the same: {difference.explain()}")
        found.append(replace(made, ratio=made.cpu_us / found[0].cpu_us) if found else made)
    return found


def _measured(network: Benchmark, target: str, steps: int, progress: Progress | None) -> tuple[Step, Trace]:
    backend, chosen = integer_machine(target)
    engine = backend.open(chosen)
    engine.load(network.program.image)
    few, stimulus = max(1, steps // FEW), _stimulus(network)
    with Session(network.program, engine) as session:
        least = {few: np.inf, steps: np.inf}
        left = REPEATS
        while left:
            if progress:
                progress(f"{network.name} on {target}", REPEATS - left, REPEATS)
            left -= 1
            for length in (few, steps):
                session.reset()
                begin, since = _cpu(session), time.monotonic()
                trace = session.run(steps=length, inputs=stimulus)
                least[length] = min(least[length], _cpu(session) - begin)
                if time.monotonic() - since > SLOW:
                    left = min(left, SLOW_REPEATS - 1)
        if progress:
            progress(f"{network.name} on {target}", REPEATS, REPEATS)
        each = (least[steps] - least[few]) / (steps - few)
        return Step(network.name, target, few, steps, each * 1e6, (least[few] - few * each) * 1e3), trace


def _cpu(session: Session) -> float:
    """CPU time so far, of this process and of a worker."""
    engine = session.engine
    return time.process_time() + (engine.cpu_seconds() if isinstance(engine, ElsewhereEngine) else 0.0)


def _stimulus(network: Benchmark) -> Stimulus:
    if network.raster is None:
        return Stimulus({})
    step, index = np.nonzero(network.raster)
    return Stimulus({0: Events(step.astype(np.int64) + 1, index.astype(np.int64))})
