"""Sleep renormalises synapses and so keeps the capacity to learn; replay keeps what was learned.

Protocol. Each cell learns to answer a pattern of set A, then one of set B. All its synapses share a resource, and set A
uses it up. Between the two sets lies a time awake, or a night: all synapses shrink, then set A is replayed once, in
short. The test shows all patterns without the teacher; a pattern is recalled if its cell fires more than any other.

Parameters. Fitted: the resource of a cell holds weights that add up to 2.6 thresholds, and a pattern of 16 inputs that
is learned well takes over nine tenths of it; a night leaves 35% of each weight, replay brings set A back to 60%.
Learning is Hebbian (STDP without depression). A day takes 32 s and a night 11 s: times are compressed by some 1,800.

Controls. "no_sleep": awake instead of the night. "no_replay": a night without replay. "unlimited": no resource limit.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

import neuromorph as nm
from neuromorph.lab.base import Bar, Experiment, Machine, Result, Size
from neuromorph.plasticity import STDP, FiniteResource, Sleep
from neuromorph.units import Hz, ms

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INPUTS, CELLS, ACTIVE = 100, 20, 16
LOUD, QUIET, TEACH = 50.0, 0.5, 50.0  # Hz of active and of other inputs, of the teacher
REPEATS, SHOWN, REPLAYED, TESTED, GAP = 4, 350, 200, 250, 50  # ms
DAY, NIGHT = REPEATS * CELLS * (SHOWN + GAP), 6000 + CELLS * (REPLAYED + GAP)  # ms
DOWN = 6.0  # s of downscaling
W_START, W_MAX, RESOURCE, LEFT = 0.004, 0.15, 2.6, 0.35


def network(size: Size = "full", condition: str = "experiment", asleep: bool = True) -> nm.Network:  # noqa: ARG001
    """Inputs to cells, each with a teacher; by night all weights shrink."""
    net = nm.Network(name="sleep", dt=1 * ms, seed=1)
    inputs, teacher = net.input(INPUTS, name="inputs"), net.input(CELLS, name="teacher")
    cells = net.population(CELLS, nm.LIF(tau_m=20 * ms, tau_s=5 * ms, refractory=5 * ms), name="cells")
    night = net.modulator(name="night")
    learn = STDP(a_plus=0.005, a_minus=0.0, tau_plus=20 * ms, tau_minus=20 * ms, w_max=W_MAX)
    limited = learn if condition == "unlimited" else FiniteResource(learn, total=RESOURCE)
    shrink = Sleep(gate=night, speed=float(-np.log(LEFT)) / DOWN, period=0.128)
    weights = nm.Uniform(0.0, 2 * W_START)
    net.connect(inputs, cells, weights=weights, plasticity=limited + shrink, name="syn")
    net.connect(teacher, cells, weights=2.0, topology=nm.OneToOne(), name="teach")
    net.connect(cells, cells, weights=-1.0, topology=nm.AllToAll(self_loops=False), name="inhibition")
    net.probe(cells, "spikes")
    if asleep and condition != "no_sleep":
        net.phase(DAY * ms, modulators={night: 1.0})
        net.phase(DAY * ms + DOWN, modulators={night: 0.0})
    net.phase((2 * DAY + NIGHT) * ms, plasticity=False)
    return net


def patterns() -> NDArray[np.bool_]:
    """Active inputs of both sets, (2, CELLS, INPUTS); a cell's two patterns do not overlap."""
    rng = np.random.default_rng(3)
    found = np.zeros((2, CELLS, INPUTS), dtype=bool)
    for cell in range(CELLS):
        chosen = rng.permutation(INPUTS)
        found[0, cell, chosen[:ACTIVE]] = found[1, cell, chosen[ACTIVE : 2 * ACTIVE]] = True
    return found


def show(shapes: NDArray[np.bool_], duration: int, teach: bool) -> dict[str, nm.Poisson]:
    """Each pattern for some ms, then nothing for a gap; the teacher excites its cell."""
    inputs, teacher = (np.zeros((CELLS, duration + GAP, n)) for n in (INPUTS, CELLS))
    inputs[:, :duration] = np.where(shapes, LOUD, QUIET)[:, None]
    if teach:
        teacher[:, :duration] = TEACH * np.eye(CELLS)[:, None]
    parts = (("inputs", inputs), ("teacher", teacher))
    return {name: nm.Poisson(rates.reshape(-1, rates.shape[2]) * Hz) for name, rates in parts}


def life(machine: Machine, condition: str, asleep: bool) -> tuple[list[float], NDArray[np.float64]]:
    """Set A, a night or not, set B, test: shares recalled of both sets, and the weights of both after each stage."""
    asleep = asleep and condition != "no_sleep"
    replay = asleep and condition != "no_replay"
    set_a, set_b = patterns()
    quiet = {"inputs": nm.Poisson(QUIET * Hz)}
    day, short, tested = ((time + GAP) * CELLS * ms for time in (SHOWN, REPLAYED, TESTED))
    stages = [(day, show(set_a, SHOWN, teach=True))] * REPEATS
    stages += [(DOWN, quiet), (short, show(set_a, REPLAYED, teach=True) if replay else quiet)]
    stages += [(day, show(set_b, SHOWN, teach=True))] * REPEATS
    course = []
    with machine.open(network(machine.size, condition, asleep)) as bench:
        for duration, inputs in stages:
            bench.run(duration, inputs)
            weights = bench.weights("syn").T
            course.append([weights[set_a].mean(), weights[set_b].mean()])
        shares = [recalled(bench.run(tested, show(group, TESTED, teach=False))) for group in (set_a, set_b)]
    return shares, np.array(course)


def recalled(trace: nm.Trace) -> float:
    """Share of the patterns whose own cell fires more than any other."""
    spikes = trace.spikes("cells")
    shown = (spikes.steps - trace.start - 1) // (TESTED + GAP)
    counts = np.zeros((CELLS, CELLS), dtype=int)
    np.add.at(counts, (shown, spikes.indices), 1)
    own = counts.diagonal().copy()
    np.fill_diagonal(counts, 0)
    return float(np.mean(own > counts.max(axis=1)))


def measure(machine: Machine, condition: str | None) -> Result:
    """The same life with and without a night between the two sets."""
    (awake_a, awake_b), awake = life(machine, condition or "experiment", asleep=False)
    (sleep_a, sleep_b), asleep = life(machine, condition or "experiment", asleep=True)
    measures = {
        "awake_b": awake_b, "sleep_b": sleep_b, "sleep_a": sleep_a, "gain": sleep_b - awake_b, "awake_a": awake_a,
    }  # fmt: skip
    return Result(measures, {"awake": awake, "asleep": asleep})


def plot(figure: Figure, results: Mapping[str, Result]) -> None:
    """Weights of both sets in a life with and without a night, and what is recalled in the end."""
    left, middle, right = figure.subplots(1, 3, width_ratios=(1, 1, 1.1))
    colors = {"A": "#d6604d", "B": "#2166ac"}
    day, night = REPEATS * CELLS * (SHOWN + GAP) * ms, [DOWN, CELLS * (REPLAYED + GAP) * ms]
    lengths = [day / REPEATS] * REPEATS + night + [day / REPEATS] * REPEATS
    for axes, life_of, title in ((left, "awake", "awake"), (middle, "asleep", "a night between")):
        course = np.vstack([np.full((1, 2), W_START), results["experiment"].data[life_of]])
        for k, name in enumerate("AB"):
            axes.plot(
                np.cumsum([0.0, *lengths]), course[:, k], color=colors[name], marker="o", ms=3, label=f"set {name}"
            )
        if life_of == "asleep":
            axes.axvspan(day, day + DOWN, color="#d5d9dd", label="downscaling")
            axes.axvspan(day + DOWN, day + sum(night), color="#f4e3c7", label="replay")
        axes.set_title(title, fontsize=9)
        axes.set_xlabel("time (s)")
        axes.set_ylim(0, 0.16)
        axes.legend(frameon=False, fontsize=8, loc="upper left")
    left.set_ylabel("mean weight of a learned pattern")
    labels = ("awake", "night", "no\nreplay", "awake,\nno limit", "night,\nno limit")
    shown = (
        ("experiment", "awake"),
        ("experiment", "sleep"),
        ("no_replay", "sleep"),
        ("unlimited", "awake"),
        ("unlimited", "sleep"),
    )
    for k, name in enumerate("AB"):
        heights = [100 * results[c].measures[f"{when}_{name.lower()}"] for c, when in shown]
        right.bar(np.arange(5) + 0.4 * k - 0.2, heights, 0.36, color=colors[name])
    right.set_xticks(np.arange(5), labels, fontsize=7)
    right.set_ylabel("recalled in the end (%)")


EXPERIMENT = Experiment(
    name="sleep",
    title="a night makes room for new memories, and replay keeps the old ones",
    table="B",
    source="Tononi & Cirelli (2014), Neuron 81:12",
    compression=1800,
    bars=(
        Bar("awake_b", "<=", 0.6, "awake, less than 60% of B is recalled"),
        Bar("sleep_b", ">=", 0.9, "after a night at least 90% of B"),
        Bar("sleep_a", ">=", 0.8, "and at least 80% of A, tested after B"),
        Bar("gain", ">=", 0.3, "what the night adds to B (without the resource limit: nothing)"),
    ),
    controls={"no_sleep": ("sleep_b", "gain"), "no_replay": ("sleep_a",), "unlimited": ("awake_b", "gain")},
    network=network,
    measure=measure,
    plot=plot,
)
