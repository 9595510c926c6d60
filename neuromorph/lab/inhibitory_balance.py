"""Inhibitory plasticity restores balance: cells find their rate from above and from silence (Vogels et al. 2011).

Protocol. Each cell gets a random eighth of 800 excitatory Poisson inputs and half of 200 inhibitory ones, all at 10 Hz.
One half of the cells starts with too little inhibition and fires more than three times the target rate, the other half
with so much that it is silent. 60 s of learning; rates are measured over 20 s with learning switched off, before and
after with the same input.

Parameters. Published: the rule, tau = 20 ms, target 5 Hz (alpha = 0.2). Fitted: weights, and a learning rate that lets
60 s suffice (the paper learns for minutes to an hour). Times are not compressed otherwise.

Controls. "off": learning is switched off. "no target": alpha is next to 0, so that pairs strengthen inhibition and
nothing weakens it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

import neuromorph as nm
from neuromorph.lab.base import Bar, Experiment, Machine, Result, Size
from neuromorph.plasticity import InhibitorySTDP
from neuromorph.units import Hz, ms

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TARGET, TAU = 5 * Hz, 20 * ms
TEST, LEARN = 20, 60  # s
BIN = 2000  # steps
RATE = 10 * Hz
WEAK, STRONG, W_MAX = 0.0075, 0.1, 0.15
N_EXC, N_INH = 800, 200
CELLS = {"full": 100, "board": 20}


def network(size: Size = "full", learning: bool = True, target: float = TARGET) -> nm.Network:
    """Static excitation and plastic inhibition; the first half of the cells has little of it, the other half much."""
    n = CELLS[size]
    net = nm.Network(name="inhibitory_balance", dt=1 * ms, seed=1)
    exc, inh = net.input(N_EXC, name="exc"), net.input(N_INH, name="inh")
    cells = net.population(n, nm.LIF(tau_m=20 * ms, tau_s=5 * ms, v_th=1.0, refractory=5 * ms), name="cells")
    net.connect(exc, cells, weights=0.075, topology=nm.FixedInDegree(N_EXC // 8), name="drive")
    rule = InhibitorySTDP(eta=1.2e-3, tau=TAU, target_rate=target, w_max=W_MAX)
    weights = np.where(np.arange(n) < n // 2, -WEAK, -STRONG) * np.ones((N_INH, 1))
    net.connect(inh, cells, weights=weights, topology=nm.FixedInDegree(N_INH // 2), plasticity=rule, name="inhibition")
    net.probe(cells, "spikes")
    net.phase(0.0, plasticity=False)
    net.phase(TEST, plasticity=learning)
    net.phase(TEST + LEARN, plasticity=False)
    return net


def noise(duration: int, seed: int) -> dict[str, nm.SpikeTrain]:
    """Poisson spikes of both inputs."""
    rng = np.random.default_rng(seed)
    steps = duration * 1000
    found = {}
    for name, n in (("exc", N_EXC), ("inh", N_INH)):
        step, index = np.divmod(np.flatnonzero(rng.random(steps * n) < RATE * ms), n)
        found[name] = nm.SpikeTrain(step + 1, index)
    return found


def measure(machine: Machine, condition: str | None) -> Result:
    """Rates before, during and after learning."""
    target = TARGET / 100 if condition == "no target" else TARGET
    net = network(machine.size, learning=condition != "off", target=target)
    test = noise(TEST, seed=1)
    with machine.open(net) as bench:
        parts = [bench.run(TEST, test), bench.run(LEARN, noise(LEARN, seed=2)), bench.run(TEST, test)]
    before, after = (parts[k].rates("cells") / TARGET for k in (0, 2))
    half = before.size // 2
    above, silent = after[:half].mean(), after[half:].mean()
    measures = {
        "high_before": float(before[:half].mean()), "low_before": float(before[half:].mean()),
        "high_error": abs(float(above) - 1), "low_error": abs(float(silent) - 1),
    }  # fmt: skip
    course = [part.part(first, first + BIN).rates("cells") for part in parts for first in bins(part)]
    return Result(measures, {"course": np.array(course)})


def bins(part: nm.Trace) -> range:
    """First steps of the pieces in which the picture shows rates."""
    return range(part.start, part.stop, BIN)


def plot(figure: Figure, results: Mapping[str, Result]) -> None:
    """Rates over time, from both sides, and without learning."""
    axes = figure.subplots()
    colours = {"high": "#d6604d", "low": "#2166ac"}
    time = np.arange(0, 2 * TEST + LEARN, BIN / 1000) + BIN / 2000
    for name in ("off", "experiment"):
        course = results[name].data["course"]
        half = course.shape[1] // 2
        for key, part, text in (
            ("high", course[:, :half], "little inhibition at first"), ("low", course[:, half:], "much inhibition"),
        ):  # fmt: skip
            if name == "off":
                axes.plot(time, part.mean(axis=1), color=colours[key], lw=1, ls="--", label="no learning")
                continue
            axes.fill_between(time, *np.quantile(part, (0.1, 0.9), axis=1), color=colours[key], alpha=0.2, lw=0)
            axes.plot(time, part.mean(axis=1), color=colours[key], label=text)
    axes.axhline(TARGET, color="#66737f", lw=0.8)
    axes.axvspan(TEST, TEST + LEARN, color="#f1f3f5", zorder=-1)
    axes.annotate("learning", (TEST + LEARN / 2, 0.97), xycoords=("data", "axes fraction"), ha="center", va="top")
    axes.annotate("target", (0.5, TARGET), va="bottom", color="#66737f")
    axes.set_xlim(0, 2 * TEST + LEARN)
    axes.set_xlabel("time (s)")
    axes.set_ylabel("rate of the cells (Hz)")
    axes.legend(frameon=False, fontsize=8, loc="center right")


EXPERIMENT = Experiment(
    name="inhibitory-balance",
    title="inhibitory plasticity brings cells to their rate",
    table="A",
    source="Vogels, Sprekeler, Zenke, Clopath and Gerstner (2011), Science 334:1569",
    bars=(
        Bar("high_before", ">=", 3.0, "one half starts at three times the target or more", guard=True),
        Bar("low_before", "<=", 0.02, "the other half starts silent", guard=True),
        Bar("high_error", "<=", 0.2, "mean rate from above within 20% of the target"),
        Bar("low_error", "<=", 0.2, "mean rate from silence within 20% of the target"),
    ),
    controls={"off": ("high_error", "low_error"), "no target": ("high_error", "low_error")},
    network=network,
    measure=measure,
    plot=plot,
)
