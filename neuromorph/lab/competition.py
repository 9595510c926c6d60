"""Hebbian competition: inputs that fire together win the cell, the others lose it (Song, Miller & Abbott 2000).

Protocol. Each cell gets many Poisson inputs of one rate. One half of them is correlated (0.5 between any two): each
spike of a hidden process is copied by each of them with probability 0.5. The other half is independent. All synapses
start near half of their largest weight and learn by additive pair STDP, whose depression is a little the stronger.

Parameters. Published: 1,000 inputs at 10 Hz, additive STDP with windows of 20 ms and A- / A+ = 1.05. Fitted: the
largest weights (the paper has conductances), and A+ = 0.01 of the largest weight, twice the published one: 300 s
suffice. Times are not compressed otherwise. The board has 200 inputs with larger weights.

Controls. "off": learning is switched off. "independent": all inputs have the same rates, and none are correlated.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

import neuromorph as nm
from neuromorph.lab.base import Bar, Experiment, Machine, Result, Size
from neuromorph.plasticity import STDP
from neuromorph.units import Hz, ms

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CORRELATION = 0.5
CELLS = 4
DURATION, PART = 300, 20  # s
RATE = 10 * Hz
SIZES = {"full": (1000, 0.01), "board": (200, 0.04)}  # inputs, the largest weight in thresholds


def network(size: Size = "full", learning: bool = True) -> nm.Network:
    """Inputs, and cells that get all of them."""
    n, w_max = SIZES[size]
    net = nm.Network(name="competition", dt=1 * ms, seed=1)
    inputs = net.input(n, name="inputs")
    cells = net.population(CELLS, nm.LIF(tau_m=20 * ms, tau_s=5 * ms, v_th=1.0, refractory=2 * ms), name="cells")
    a_plus = 0.01 * w_max
    rule = STDP(a_plus=a_plus, a_minus=1.05 * a_plus, tau_plus=20 * ms, tau_minus=20 * ms, w_max=w_max)
    start = nm.Uniform(0.3 * w_max, 0.7 * w_max)
    net.connect(inputs, cells, weights=start, plasticity=rule, name="syn")
    net.probe(cells, "spikes")
    net.phase(0.0, plasticity=learning)
    return net


def spikes(size: Size, duration: int, rng: np.random.Generator, correlation: float) -> dict[str, nm.SpikeTrain]:
    """Spikes of all inputs; those of the first half are copies of a hidden process."""
    n, _ = SIZES[size]
    steps = duration * 1000
    found = rng.random((steps, n)) < RATE * ms
    if correlation:
        hidden = rng.random((steps, 1)) < RATE * ms / correlation
        found[:, : n // 2] = hidden & (rng.random((steps, n // 2)) < correlation)
    step, index = np.nonzero(found)
    return {"inputs": nm.SpikeTrain(step + 1, index)}


def measure(machine: Machine, condition: str | None) -> Result:
    """Learn, and compare the weights of both halves."""
    n, w_max = SIZES[machine.size]
    rng = np.random.default_rng(1)
    course, rates = [], []
    with machine.open(network(machine.size, learning=condition != "off")) as bench:
        for _ in range(DURATION // PART):
            given = spikes(machine.size, PART, rng, 0.0 if condition == "independent" else CORRELATION)
            course.append(bench.weights("syn") / w_max)
            rates.append(bench.run(PART, given).rates("cells"))
        course.append(bench.weights("syn") / w_max)
    w = course[-1]
    together, alone = w[: n // 2].mean(), w[n // 2 :].mean()
    measures = {
        "ratio": float(together / alone) if alone else float("inf"),
        "between": float(np.mean((w > 0.2) & (w < 0.8))),
        "slowest": float(rates[-1].min()), "fastest": float(rates[-1].max()),
    }  # fmt: skip
    halves = np.array([[part[: n // 2].mean(), part[n // 2 :].mean()] for part in course])
    return Result(measures, {"weights": w, "course": halves})


def plot(figure: Figure, results: Mapping[str, Result]) -> None:
    """Mean weights over time, and the weights at the end by input and as a distribution."""
    over, each, spread = figure.subplots(1, 3, width_ratios=(1.1, 1.4, 0.8))
    colours = ("#d6604d", "#2166ac")
    result = results["experiment"]
    time = np.arange(0, DURATION + 1, PART)
    for k, text in enumerate(("correlated", "independent")):
        over.plot(time, result.data["course"][:, k], color=colours[k], label=text)
        over.plot(time, results["independent"].data["course"][:, k], color=colours[k], lw=1, ls="--")
    over.plot([], [], color="#66737f", lw=1, ls="--", label="none correlated")
    over.set_xlabel("time (s)")
    over.set_ylabel("mean weight / largest")
    over.set_ylim(-0.03, 1.03)
    over.legend(frameon=False, fontsize=8, loc="center right", bbox_to_anchor=(1.0, 0.75))
    w = result.data["weights"]
    half = w.shape[0] // 2
    for k, part in enumerate((w[:half], w[half:])):
        each.scatter(np.arange(k * half, (k + 1) * half), part[:, 0], s=4, color=colours[k])
        spread.hist(part.ravel(), bins=20, range=(0, 1), color=colours[k], alpha=0.8, orientation="horizontal")
    each.set_xlabel("input")
    each.set_title("weights of a cell at the end", fontsize=9)
    spread.set_xlabel("synapses")
    for axes in (each, spread):
        axes.set_ylim(-0.03, 1.03)
        axes.set_yticklabels([])


EXPERIMENT = Experiment(
    name="competition",
    title="correlated inputs win the competition for a cell",
    table="A",
    source="Song, Miller and Abbott (2000), Nat Neurosci 3:919",
    bars=(
        Bar("ratio", ">=", 3.0, "correlated inputs end at three times the mean weight of the others or more"),
        Bar("between", "<=", 0.25, "bimodal: at most 25% of the weights within 0.2 to 0.8 of the largest"),
        Bar("slowest", ">=", 8.0, "the cells still fire at 8 Hz or more", guard=True),
        Bar("fastest", "<=", 40.0, "and at 40 Hz at most", guard=True),
    ),
    controls={"off": ("ratio", "between"), "independent": ("ratio",)},
    network=network,
    measure=measure,
    plot=plot,
)
