"""Frequency decides: fast stimulation potentiates, slow stimulation depresses, and takes potentiation back.

Protocol. Independent Poisson spikes of both sides at one rate, 0.5 to 100 Hz, for the time of 900 pulses each; the mean
of all synapses between the inputs and cells of a rate. One more group gets 900 pulses at 100 Hz and then 1,800 at 1 Hz
(depotentiation). A teacher that is much stronger than the plastic weights makes the cells fire.

Parameters. Published: triplet STDP as fitted to visual cortex, all spikes interact (Pfister & Gerstner 2006), with
amplitudes relative to the weight at the start. Fitted: soft bounds, the largest weight twice that of the start. Times
are compressed by 5: 180 and 360 pulses, and amplitudes five times as large.

Controls. "off": learning is switched off. "pairs": pair STDP of the same windows, whose potentiation and depression are
in balance at the start: it cannot tell rates.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

import neuromorph as nm
from neuromorph.lab.base import Bar, Bench, Experiment, Machine, Result, Size
from neuromorph.plasticity import STDP, PlasticityRule, TripletSTDP
from neuromorph.units import ms

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RATES = (0.5, 1.0, 3.0, 5.0, 8.0, 12.0, 20.0, 30.0, 50.0, 100.0)  # Hz
COMPRESSION = 5
PULSES, SLOW_PULSES = 900 // COMPRESSION, 1800 // COMPRESSION
SIDE = {"full": 20, "board": 10}  # inputs, and cells, of a rate
START, W_MAX = 0.1, 0.2


def network(size: Size = "full", learning: bool = True, pairs: bool = False) -> nm.Network:
    """For each rate, and for depotentiation, inputs and cells, all connected."""
    side, groups = SIDE[size], len(RATES) + 1
    net = nm.Network(name="frequency", dt=1 * ms, seed=1)
    pre, teacher = net.input(groups * side, name="pre"), net.input(groups * side, name="teacher")
    cells = net.population(groups * side, nm.LIF(tau_m=5 * ms, v_th=10.0), name="cells")
    rule: PlasticityRule = TripletSTDP.visual_cortex(w_max=W_MAX, scale=COMPRESSION * W_MAX, soft=True)
    if pairs:
        a_minus = 7.1e-3 * COMPRESSION * W_MAX
        rule = STDP(
            a_plus=a_minus * 33.7 / 16.8, a_minus=a_minus, tau_plus=16.8 * ms, tau_minus=33.7 * ms, w_max=W_MAX,
            variant="soft", peak=6.0,
        )  # fmt: skip
    i, j = np.divmod(np.arange(groups * side * side), side)
    net.connect(pre, cells, weights=START, topology=nm.Explicit(i, j + i // side * side), plasticity=rule, name="syn")
    net.connect(teacher, cells, weights=40.0, topology=nm.OneToOne(), name="teach")
    net.phase(0.0, plasticity=learning)
    return net


def pulses(rng: np.random.Generator, side: int, parts: list[tuple[float, int]]) -> nm.SpikeTrain:
    """Poisson spikes of one side: each group of neurons has a rate and a number of pulses that it takes."""
    times: list[NDArray[np.int64]] = []
    cells: list[NDArray[np.int64]] = []
    for group, (rate, number) in enumerate(parts):
        if rate:
            step, cell = np.nonzero(rng.random((round(1000 * number / rate), side)) < rate * ms)
            times.append(step + 1)
            cells.append(cell + group * side)
    return nm.SpikeTrain(np.concatenate(times), np.concatenate(cells))


def mean_changes(bench: Bench, before: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean relative change of the weights of each group."""
    relative = (bench.weights("syn") / before - 1.0).reshape(len(RATES) + 1, -1)
    return np.asarray(relative.mean(axis=1))


def crossing(curve: NDArray[np.float64]) -> float:
    """Rate at which depression turns to potentiation; NaN unless it does so once, and never the other way."""
    turns = np.flatnonzero(np.diff(np.sign(curve)))
    if turns.size != 1 or curve[0] >= 0:
        return float("nan")
    k = int(turns[0])
    return float(np.exp(np.interp(0.0, curve[k : k + 2], np.log(RATES[k : k + 2]))))


def measure(machine: Machine, condition: str | None) -> Result:
    """Mean relative change at each rate, and the share of what 100 Hz added that 1 Hz takes back."""
    side, rng = SIDE[machine.size], np.random.default_rng(1)
    net = network(machine.size, learning=condition != "off", pairs=condition == "pairs")
    fast = [(0.0, 0)] * len(RATES) + [(100.0, PULSES)]
    slow = [(rate, PULSES) for rate in RATES] + [(1.0, SLOW_PULSES)]
    with machine.open(net) as bench:
        before = bench.weights("syn")
        bench.run(PULSES / 100.0, {name: pulses(rng, side, fast) for name in ("pre", "teacher")})
        potentiated = mean_changes(bench, before)[-1]
        bench.run(PULSES / RATES[0], {name: pulses(rng, side, slow) for name in ("pre", "teacher")})
        *means, left = mean_changes(bench, before)
    curve = np.array(means)
    measures = {f"at_{rate:g}_hz": float(change) for rate, change in zip(RATES, curve, strict=True)}
    measures["crossing"] = crossing(curve)
    measures["potentiated"] = float(potentiated)
    measures["taken_back"] = float(1.0 - left / potentiated) if potentiated > 0 else float("nan")
    return Result(measures, {"curve": curve, "depotentiation": np.array([0.0, potentiated, left])})


def plot(figure: Figure, results: Mapping[str, Result]) -> None:
    """The change over the rate, and depotentiation."""
    axes, back = figure.subplots(1, 2, width_ratios=(2.2, 1))
    curve = 100 * results["experiment"].data["curve"]
    axes.axhline(0, color="#b8c1c9", lw=0.8)
    axes.semilogx(RATES, curve, "o-", color="#2166ac", label="triplets")
    axes.semilogx(RATES, 100 * results["pairs"].data["curve"], "--", color="#66737f", lw=1, label="pairs only")
    turn = results["experiment"].measures["crossing"]
    axes.annotate(f"{turn:.0f} Hz", (turn, 0), xytext=(0, -14), textcoords="offset points", color="#2166ac")
    axes.set_xticks(RATES, [f"{rate:g}" for rate in RATES])
    axes.minorticks_off()
    axes.set_xlabel("rate of both sides (Hz)")
    axes.set_ylabel("change of the weight (%)")
    axes.legend(frameon=False, fontsize=8)
    back.bar(range(3), 100 * results["experiment"].data["depotentiation"], color=("#b8c1c9", "#d6604d", "#2166ac"))
    back.axhline(0, color="#b8c1c9", lw=0.8)
    back.set_xticks(range(3), ["start", "after\n100 Hz", "then\n1 Hz"])


EXPERIMENT = Experiment(
    name="frequency-ltp-ltd",
    title="fast stimulation potentiates, slow depresses, and reverses it",
    table="A",
    source="Pfister and Gerstner (2006), J Neurosci 26:9673; Sjostrom, Turrigiano and Nelson (2001), Neuron 32:1149",
    compression=COMPRESSION,
    bars=(
        Bar("at_0.5_hz", "<=", -0.02, "0.5 Hz depresses"),
        Bar("at_1_hz", "<=", -0.1, "1 Hz depresses by 10% or more"),
        Bar("at_3_hz", "<=", -0.1, "3 Hz depresses by 10% or more"),
        Bar("at_100_hz", ">=", 0.3, "100 Hz potentiates by 30% or more"),
        Bar("crossing", ">=", 5.0, "the one change of sign is at 5 Hz or above"),
        Bar("crossing", "<=", 30.0, "and at 30 Hz or below"),
        Bar("potentiated", ">=", 0.3, "before depotentiation there is as much potentiation"),
        Bar("taken_back", ">=", 0.5, "1 Hz takes half of it back, or more"),
    ),
    controls={
        "off": ("at_0.5_hz", "at_1_hz", "at_3_hz", "at_100_hz", "crossing", "potentiated", "taken_back"),
        "pairs": ("at_1_hz", "at_3_hz", "at_100_hz", "potentiated"),
    },
    network=network,
    measure=measure,
    plot=plot,
)
