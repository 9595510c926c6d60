"""Measure an engine on a benchmark network: CPU time of the engine alone, or exact instructions on a board."""

from __future__ import annotations

import sys
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from neuromorph.bench.counting import can_count, count, of_the_engine
from neuromorph.bench.networks import Benchmark, benchmark
from neuromorph.engine import GraphEngine
from neuromorph.errors import UnsupportedError
from neuromorph.records import Events, encode_records
from neuromorph.targets import find

if TYPE_CHECKING:
    from neuromorph.engine import Backend, Engine, Target
    from neuromorph.program import Program
    from neuromorph.progress import Progress

__all__ = ["Measurement", "integer_machine", "measure", "measure_network"]

REPEATS = 5
REF_STEPS = 200  # of the slow specification
BOARD_STEPS = 200  # of an emulated board: instructions are exact, so that no more are needed


@dataclass(frozen=True, slots=True)
class Measurement:
    """One row. Times are minima over repeats, of the engine's run alone (no compiling, no plotting).

    `instructions_per_step` is exact and of the engine alone; `instructions` has every function of the firmware, the
    serial protocol's too.
    """

    network: str
    target: str
    scale: float
    steps: int
    spikes: int
    synaptic_events: int
    plastic_updates: int
    cpu_us_per_step: float
    wall_us_per_step: float
    peak_rss_mb: float
    instructions_per_step: float | None
    mean_weight: float | None
    instructions: dict[str, float] | None = None

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def measure(
    name: str,
    target: str,
    *,
    scale: float = 1.0,
    steps: int | None = None,
    repeats: int = REPEATS,
    progress: Progress | None = None,
) -> Measurement:
    """Run a benchmark on a target.

    Parameters
    ----------
    name : str
        Network, see `neuromorph.bench.networks`.
    target : str
        Any target; one that computes in floats runs the same equations, nothing rounded (`neuromorph.bench.ideal`).
    scale : float
        Share of the neurons, for machines that cannot hold the whole network.
    steps : int, optional
        Steps; default: all of the network, fewer for `cpu:ref`, `cpu:float` and boards.
    repeats : int
        Runs of which the fastest counts.
    progress : callable, optional
        Called with (network, done, in all): runs, or steps of a slow machine's one run.

    Raises
    ------
    CapacityError
        The target cannot hold the network.
    """
    network = benchmark(name, scale)
    return measure_network(network, target, scale=scale, steps=steps, repeats=repeats, progress=progress)


def measure_network(
    network: Benchmark,
    target: str,
    *,
    scale: float = 1.0,
    steps: int | None = None,
    repeats: int = REPEATS,
    progress: Progress | None = None,
) -> Measurement:
    """`measure` of a network that is there already; `scale` is what it was made with.

    Raises
    ------
    UnsupportedError
        The target computes in floats, and the network is none of the benchmarks.
    """
    from neuromorph.bench.ideal import ideal

    backend, found = find(target)
    graph = ideal(network.program) if found.numbers == "float" else None
    slow = _slow(target) or network.steps
    count = steps or min(network.steps, slow)
    engine = backend.open(found)
    try:
        if graph is None:
            engine.load(network.program.image)
        else:
            cast("GraphEngine", engine).load_graph(graph, network.program)
        return _measure(engine, network, target, scale, count, 1 if slow < network.steps else repeats, progress)
    finally:
        engine.close()


def integer_machine(name: str) -> tuple[Backend, Target]:
    """The backend and target of a name; UnsupportedError of one that computes in floats."""
    backend, target = find(name)
    if target.numbers != "integer":
        raise UnsupportedError(
            f"{name} computes in floats: it has no bits in common with the others; measure it alone, with --target"
        )
    return backend, target


def _slow(target: str) -> int:
    """Steps of a machine that runs fewer of them; 0 for the others."""
    return REF_STEPS if target in ("cpu:ref", "cpu:float") else BOARD_STEPS if target.startswith("mcu") else 0


def records(network: Benchmark, steps: int) -> bytes:
    """The network's raster as input records."""
    if network.raster is None:
        return b""
    step, index = np.nonzero(network.raster[:steps])
    return encode_records({0: Events(step.astype(np.int64) + 1, index.astype(np.int64))})


def _measure(
    engine: Engine, network: Benchmark, target: str, scale: float, steps: int, repeats: int, progress: Progress | None
) -> Measurement:
    given = records(network, steps)
    cpu = wall = float("inf")
    work: dict[str, int] = {}
    # Within a run only of slow machines: elsewhere the calls would be measured, too.
    report = (lambda step: progress(network.name, step, steps)) if progress and _slow(target) else None
    for k in range(repeats):
        engine.reset()
        before, chunks = engine.counters(), list[bytes]()
        cpu0, wall0 = time.process_time(), time.perf_counter()
        engine.run(steps, given, chunks.append, report)
        cpu, wall = min(cpu, time.process_time() - cpu0), min(wall, time.perf_counter() - wall0)
        work = {key: value - before[key] for key, value in engine.counters().items() if key in before}
        if progress and report is None:
            progress(network.name, k + 1, repeats)
    mean = _mean_weight(engine, network.program)
    instructions = _instructions(engine, steps, given)
    per_step = None if instructions is None else of_the_engine(instructions) / steps
    return Measurement(
        network.name, target, scale, steps, work["spikes"] - _given(network, steps), work["synaptic_events"],
        work["plastic_updates"], cpu / steps * 1e6, wall / steps * 1e6, _peak_rss(), per_step, mean,
        None if instructions is None else {k: v / steps for k, v in instructions.items()},
    )  # fmt: skip


def _given(network: Benchmark, steps: int) -> int:
    return 0 if network.raster is None else int(network.raster[:steps].sum())


def _mean_weight(engine: Engine, program: Program) -> float | None:
    """Mean of the plastic weights, to compare the learning with other programs'."""
    from neuromorph.state import items

    for k, item in enumerate(items(program)):
        if item.variable == "w":
            if isinstance(engine, GraphEngine):
                return float(engine.read(item.object, "w").mean())
            return float(np.frombuffer(engine.read_item(k, 0, item.count), item.dtype).mean())
    return None


def _instructions(engine: Engine, steps: int, given: bytes) -> dict[str, int] | None:
    """Exact instructions of a run by function of the firmware; None where they cannot be counted."""
    if not can_count(engine):
        return None
    engine.reset()
    return count(engine, lambda: engine.run(steps, given, lambda _: None))


def _peak_rss() -> float:
    """Peak resident memory of this process in MB."""
    try:
        import resource
    except ImportError:
        return float("nan")
    unit = 1e6 if sys.platform == "darwin" else 1024.0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
