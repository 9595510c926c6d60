"""Spike timing decides: pre before post strengthens, post before pre weakens (Bi & Poo 1998, 2001).

Protocol. 60 pairings per time difference from -120 to +100 ms, once per second, for 16 synapses each whose pairings are
staggered. A teacher that is stronger than any plastic weight makes the postsynaptic cell fire.

Parameters. Published: A+ = 0.777, tau+ = 16.8 ms, A- = 0.273, tau- = 33.7 ms (relative changes after 60 pairings, Bi &
Poo 2001, Annu Rev Neurosci 24:139), additive pair STDP. Times are not compressed.

Controls. "off": learning is switched off. "shuffled": the same spikes, but the teacher's times are drawn anew in each
pairing, so that no distance is special.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

import neuromorph as nm
from neuromorph.lab.base import Bar, Experiment, Machine, Result, Size
from neuromorph.plasticity import STDP
from neuromorph.units import ms

if TYPE_CHECKING:
    from matplotlib.figure import Figure

A_PLUS, TAU_PLUS, A_MINUS, TAU_MINUS = 0.777, 16.8, 0.273, 33.7  # ms
PAIRINGS, PERIOD, MIDDLE, REPEATS = 60, 1000, 500, 16
DISTANCES = np.setdiff1d(np.arange(-120, 101, 4), [0])  # ms from the presynaptic to the postsynaptic spike
START = 0.5


def network(size: Size = "full", learning: bool = True) -> nm.Network:  # noqa: ARG001
    """For each distance and repeat one input, one cell with its teacher, and one plastic synapse that is too weak."""
    n = DISTANCES.size * REPEATS
    net = nm.Network(name="stdp_window", dt=1 * ms, seed=1)
    pre, teacher = net.input(n, name="pre"), net.input(n, name="teacher")
    cells = net.population(n, nm.LIF(tau_m=5 * ms, tau_s=1 * ms, v_th=10.0, refractory=10 * ms), name="cells")
    rule = STDP(
        a_plus=A_PLUS * START / PAIRINGS, a_minus=A_MINUS * START / PAIRINGS,
        tau_plus=TAU_PLUS * ms, tau_minus=TAU_MINUS * ms, w_max=1.0,
    )  # fmt: skip
    net.connect(pre, cells, weights=START, topology=nm.OneToOne(), plasticity=rule, name="syn")
    net.connect(teacher, cells, weights=40.0, topology=nm.OneToOne(), name="teach")
    net.probe(cells, "spikes")
    net.phase(0.0, plasticity=learning)
    return net


def pairings(shuffled: bool) -> dict[str, nm.SpikeTrain]:
    """Pre and teacher spikes of all pairings; a teacher's spike makes its cell fire one step later."""
    rng = np.random.default_rng(1)
    distance = np.repeat(DISTANCES, REPEATS)
    n = distance.size
    stagger = np.tile(np.arange(REPEATS) * PERIOD // (4 * REPEATS), DISTANCES.size)
    pre = np.arange(PAIRINGS)[:, None] * PERIOD + MIDDLE + stagger
    later = rng.integers(-120, 101, (PAIRINGS, n)) if shuffled else distance
    cells = np.broadcast_to(np.arange(n), pre.shape).ravel()
    return {
        "pre": nm.SpikeTrain(pre.ravel(), cells),
        "teacher": nm.SpikeTrain((pre + later - 1).ravel(), cells),
    }


def fitted_tau(distance: NDArray[np.float64], change: NDArray[np.float64]) -> float:
    """Time constant of an exponential through the mean changes, by least squares; NaN where there is none."""
    taus = np.linspace(2.0, 150.0, 1481)
    shapes = np.exp(-distance / taus[:, None])
    heights = shapes @ change / np.sum(shapes**2, axis=1)
    errors = np.sum((heights[:, None] * shapes - change) ** 2, axis=1)
    best = int(np.argmin(errors))
    return float(taus[best]) if heights[best] > 0 else float("nan")


def measure(machine: Machine, condition: str | None) -> Result:
    """Pair, read the weights, and fit both sides of the window."""
    with machine.open(network(machine.size, learning=condition != "off")) as bench:
        before_pairing = bench.weights("syn")
        bench.run(PAIRINGS * PERIOD * ms, pairings(shuffled=condition == "shuffled"))
        change = (bench.weights("syn") / before_pairing - 1.0).reshape(DISTANCES.size, REPEATS)
    mean = change.mean(axis=1)
    after, before = DISTANCES > 0, DISTANCES < 0
    rise, fall = float(mean[after].max()), float(-mean[before].min())
    near = (np.abs(DISTANCES) <= 2 * np.where(after, TAU_PLUS, TAU_MINUS)) & (DISTANCES != 0)
    signs = np.sign(mean[near]) == np.sign(DISTANCES[near])
    far_after, far_before = DISTANCES > 3.5 * TAU_PLUS, DISTANCES < -3.5 * TAU_MINUS
    with np.errstate(divide="ignore", invalid="ignore"):
        tail = max(np.abs(mean[far_after]).max() / rise, np.abs(mean[far_before]).max() / fall)
    plus = fitted_tau(DISTANCES[after].astype(float), mean[after])
    minus = fitted_tau(-DISTANCES[before].astype(float), -mean[before])
    measures = {
        "signs": float(signs.mean()), "tau_plus_error": abs(plus / TAU_PLUS - 1),
        "tau_minus_error": abs(minus / TAU_MINUS - 1), "tail": float(tail), "tau_plus": plus, "tau_minus": minus,
    }  # fmt: skip
    return Result(measures, {"change": change})


def plot(figure: Figure, results: Mapping[str, Result]) -> None:
    """The window: every synapse, the means, and the fits."""
    axes = figure.subplots()
    axes.axhline(0, color="#b8c1c9", lw=0.8)
    axes.axvline(0, color="#b8c1c9", lw=0.8)
    result = results["experiment"]
    change = 100 * result.data["change"]
    axes.scatter(np.repeat(DISTANCES, REPEATS), change.ravel(), s=5, color="#b8c1c9", label="synapses")
    axes.plot(DISTANCES, change.mean(axis=1), "o", ms=4, color="#2166ac", label="mean of 16")
    t = np.arange(1.0, 121.0)
    axes.plot(t[:100], 100 * A_PLUS * np.exp(-t[:100] / TAU_PLUS), color="#d6604d", label="Bi & Poo")
    axes.plot(-t, -100 * A_MINUS * np.exp(-t / TAU_MINUS), color="#d6604d")
    shuffled = 100 * results["shuffled"].data["change"].mean(axis=1)
    axes.plot(DISTANCES, shuffled, color="#66737f", lw=1, ls="--", label="shuffled times")
    axes.set_xlabel("postsynaptic minus presynaptic spike (ms)")
    axes.set_ylabel("change of the weight (%)")
    axes.legend(frameon=False, fontsize=8)


EXPERIMENT = Experiment(
    name="stdp-window",
    title="spike timing decides between potentiation and depression",
    table="A",
    source="Bi & Poo (2001), Annu Rev Neurosci 24:139",
    bars=(
        Bar("signs", ">=", 1.0, "the sign flips at 0, at every distance up to 2 tau"),
        Bar("tau_plus_error", "<=", 0.15, "tau+ within 15%"),
        Bar("tau_minus_error", "<=", 0.15, "tau- within 15%"),
        Bar("tail", "<=", 0.06, "beyond 3.5 tau under 6% of the peak"),
    ),
    controls={
        "off": ("signs", "tau_plus_error", "tau_minus_error", "tail"),
        "shuffled": ("signs", "tau_plus_error", "tau_minus_error", "tail"),
    },
    network=network,
    measure=measure,
    plot=plot,
)
