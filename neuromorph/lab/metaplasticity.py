"""Metaplasticity: earlier activity moves the rate at which depression turns to potentiation (BCM).

Protocol. Cells are active at 15 Hz for 80 s, or primed: at 5 Hz for 80 s, or at 50 Hz for the last 20 s. Their inputs
are silent, so that no weight changes. Then come 20 s of independent Poisson spikes of both sides at one rate for each
group of cells, 5 to 50 Hz: the frequency curve. A teacher makes the cells fire.

Parameters. Published: windows and amplitudes of triplet STDP as fitted to visual cortex (Pfister & Gerstner 2006). The
threshold is linear in the slow rate of the cell (tau 100 s; hours in tissue). Fitted: amplitudes are halved relative to
the largest weight, so that the weights of most groups stay away from their ends; the rate of depression as in the plain
rule at 15 Hz. Times of priming are those of the protocol.

Control. "fixed": the slow rate stays at 15 Hz whatever the cells do, so that the threshold does not slide.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

import neuromorph as nm
from neuromorph.lab.base import Bar, Experiment, Machine, Result, Size
from neuromorph.plasticity import Metaplasticity
from neuromorph.units import Hz, ms

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RATES = np.array([5.0, 7.0, 9.0, 11.0, 14.0, 17.0, 21.0, 25.0, 30.0, 36.0, 43.0, 50.0])  # Hz
NORMAL, SLOW_TAU = 15 * Hz, 100.0  # s
PRIMING = {"unprimed": (NORMAL, NORMAL), "low": (5 * Hz, 5 * Hz), "high": (NORMAL, 50 * Hz)}  # for 60 s, for 20 s
WAIT, PRIME, TEST = 60, 20, 20  # s
SIDE = {"full": 20, "board": 10}  # inputs, and cells, of a rate
START, W_MAX = 0.1, 0.2


def network(size: Size = "full", sliding: bool = True) -> nm.Network:
    """Inputs and cells, all connected, for each priming and rate."""
    side = SIDE[size]
    n = len(PRIMING) * RATES.size * side
    net = nm.Network(name="metaplasticity", dt=1 * ms, seed=1)
    pre, teacher = net.input(n, name="pre"), net.input(n, name="teacher")
    cells = net.population(n, nm.LIF(tau_m=5 * ms, v_th=10.0), name="cells")
    rate = net.modulator(
        of=cells, sources={cells: 1 / SLOW_TAU} if sliding else None, tau=SLOW_TAU if sliding else None,
        full_scale=32 * Hz, init=NORMAL, name="slow_rate",
    )  # fmt: skip
    rule = Metaplasticity(
        a2_minus=7.1e-3 * W_MAX / 2, a3_plus=6.5e-3 * W_MAX / 2, tau_plus=16.8 * ms, tau_minus=33.7 * ms,
        tau_y=114 * ms, rate=rate, rate_0=NORMAL, w_max=W_MAX, peak=8.0,
    )  # fmt: skip
    i, j = np.divmod(np.arange(n * side), side)
    net.connect(pre, cells, weights=START, topology=nm.Explicit(i, j + i // side * side), plasticity=rule, name="syn")
    net.connect(teacher, cells, weights=40.0, topology=nm.OneToOne(), name="teach")
    net.probe(rate, "m", every=10.0)
    return net


def poisson(rng: np.random.Generator, rates: NDArray[np.float64], duration: int) -> nm.SpikeTrain:
    """Poisson spikes; one rate for each neuron."""
    step, cell = np.nonzero(rng.random((duration * 1000, rates.size)) < rates * ms)
    return nm.SpikeTrain(step + 1, cell)


def crossing(curve: NDArray[np.float64]) -> float:
    """Rate at which depression turns to potentiation; NaN unless it does so once, and never the other way."""
    turns = np.flatnonzero(np.diff(np.sign(curve)))
    if turns.size != 1 or curve[0] >= 0:
        return float("nan")
    k = int(turns[0])
    return float(np.interp(0.0, curve[k : k + 2], RATES[k : k + 2]))


def measure(machine: Machine, condition: str | None) -> Result:
    """Prime, then take the frequency curve."""
    side, rng = SIDE[machine.size], np.random.default_rng(1)
    with machine.open(network(machine.size, sliding=condition != "fixed")) as bench:
        for k, duration in enumerate((WAIT, PRIME)):
            rates = np.repeat([rates[k] for rates in PRIMING.values()], RATES.size * side)
            bench.run(duration, {"teacher": poisson(rng, rates, duration)})
        before = bench.weights("syn")
        rates = np.tile(np.repeat(RATES, side), len(PRIMING))
        bench.run(TEST, {name: poisson(rng, rates, TEST) for name in ("pre", "teacher")})
        change = (bench.weights("syn") / before - 1.0).reshape(len(PRIMING), RATES.size, -1).mean(axis=2)
    measures = {name: crossing(curve) for name, curve in zip(PRIMING, change, strict=True)}
    measures |= {f"{name}_shift": measures[name] / measures["unprimed"] - 1.0 for name in ("low", "high")}
    return Result(measures, dict(zip(PRIMING, change, strict=True)))


def plot(figure: Figure, results: Mapping[str, Result]) -> None:
    """The frequency curves after each priming, and those of a threshold that does not slide."""
    colours = {"unprimed": "#66737f", "low": "#2166ac", "high": "#d6604d"}
    texts = {"unprimed": "15 Hz", "low": "5 Hz for 80 s", "high": "50 Hz for 20 s"}
    sliding, fixed = figure.subplots(1, 2, width_ratios=(1.8, 1), sharey=True)
    for axes, condition in ((sliding, "experiment"), (fixed, "fixed")):
        axes.axhline(0, color="#b8c1c9", lw=0.8)
        result = results[condition]
        for name, colour in colours.items():
            turn = result.measures[name]
            axes.plot(RATES, 100 * result.data[name], "o-", ms=4, color=colour, label=f"{texts[name]}: {turn:.0f} Hz")
            axes.plot(turn, 0, "v", ms=7, color=colour, mec="white")
        axes.set_xlabel("rate of both sides (Hz)")
    sliding.set_ylabel("change of the weight (%)")
    sliding.set_title("by earlier activity, and the rate where the sign turns", fontsize=9)
    sliding.legend(frameon=False, fontsize=8, loc="lower right")
    fixed.set_title("threshold fixed", fontsize=9)


EXPERIMENT = Experiment(
    name="metaplasticity",
    title="earlier activity moves the threshold of potentiation",
    table="B",
    source="Bienenstock, Cooper and Munro (1982), J Neurosci 2:32; Abraham and Bear (1996), Trends Neurosci 19:126",
    bars=(
        Bar("high_shift", ">=", 0.25, "after high activity the crossing is 25% higher or more"),
        Bar("low_shift", "<=", -0.25, "after low activity it is 25% lower or more"),
    ),
    controls={"fixed": ("high_shift", "low_shift")},
    network=network,
    measure=measure,
    plot=plot,
)
