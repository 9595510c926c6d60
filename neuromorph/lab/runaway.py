"""A short noxious burst sensitises a recurrent network for good; homeostasis prevents it.

Chronic pain as learning that went wrong: a burst strengthens the synapses between the cells that it excites, and long
after it has passed the same harmless input evokes a larger response (central sensitisation).

Protocol. Two recurrent networks with the same cells, the same lines and the same input, both with triplet STDP, one of
them with synaptic scaling, too. A test of 20 s; 2 s of a noxious input; 120 s of harmless input; the same test again,
with the same spikes. Plasticity is off in the tests.

Parameters. Published: triplet STDP as fitted to visual cortex (Pfister & Gerstner 2006). Fitted: its amplitudes are
multiplied by 0.02 (they are in units of a weight of 1, and weights here are small), weights from 0.03 to 0.15 of the
threshold, a response of 2.5 Hz before, scaling by 0.02/s. Scaling takes a day in cultures: 120 s compress it by 720.

Controls. "no_burst": the same without the noxious input. "no_scaling": the second network learns as the first one.
"off": no plasticity.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

import neuromorph as nm
from neuromorph.lab.base import Bar, Experiment, Machine, Result, Size
from neuromorph.plasticity import SynapticScaling, TripletSTDP
from neuromorph.units import Hz, ms

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CELLS, CHANNELS, EACH, RECURRENT = 50, 200, 10, 10
W_IN, W_START, W_MAX, A_SCALE = 0.3, 0.03, 0.15, 0.02
HARMLESS, NOXIOUS = 8.2, 40.0  # Hz of each channel
SETTLE, TEST, BURST, LATER = 10.0, 20.0, 2.0, 120.0  # s
TARGET, SPEED, PERIOD = 2.5, 0.02, 0.512
NETWORKS = ("plain", "stable")


def network(size: Size = "full", condition: str = "experiment") -> nm.Network:  # noqa: ARG001
    """Two recurrent networks behind one nerve; the second one scales its synapses."""
    net = nm.Network(name="runaway", dt=1 * ms, seed=1)
    nerve = net.input(CHANNELS, name="nerve")
    lines, loops = wiring(CHANNELS, EACH), wiring(CELLS, RECURRENT)
    learn = TripletSTDP.visual_cortex(w_max=W_MAX, scale=A_SCALE)
    for name in NETWORKS:
        cells = net.population(CELLS, nm.LIF(tau_m=20 * ms, tau_s=5 * ms, refractory=5 * ms), name=name)
        rate = net.rate(cells, tau=5.0, full_scale=20 * Hz)
        scaling = SynapticScaling(rate=rate, target=TARGET * Hz, speed=SPEED, period=PERIOD)
        rule = learn + scaling if name == "stable" and condition != "no_scaling" else learn
        net.connect(nerve, cells, weights=W_IN, topology=lines, name=f"nerve_{name}")
        net.connect(cells, cells, weights=W_START, topology=loops, plasticity=rule, name=f"syn_{name}")
        net.probe(cells, "spikes")
    net.phase(0.0, plasticity=False)
    if condition != "off":
        net.phase(SETTLE + TEST, plasticity=True)
        net.phase(SETTLE + TEST + BURST + LATER, plasticity=False)
    return net


def wiring(sources: int, each: int) -> nm.Explicit:
    """The same random lines for both networks: `each` sources to every cell, none to itself."""
    rng = np.random.default_rng(1)
    pre = [rng.choice(np.setdiff1d(np.arange(sources), [cell]), each, replace=False) for cell in range(CELLS)]
    return nm.Explicit(np.concatenate(pre), np.repeat(np.arange(CELLS), each))


def measure(machine: Machine, condition: str | None) -> Result:
    """The response to the same spikes before the burst and long after it."""
    rng = np.random.default_rng(2)
    test = {"nerve": nm.SpikeArray(rng.random((round(TEST / ms), CHANNELS)) < HARMLESS * ms)}
    harmless, noxious = ({"nerve": nm.Poisson(rate * Hz)} for rate in (HARMLESS, NOXIOUS))
    with machine.open(network(machine.size, condition or "experiment")) as bench:
        bench.run(SETTLE, harmless)
        before = bench.run(TEST, test)
        burst = bench.run(BURST, harmless if condition == "no_burst" else noxious)
        between = bench.run(LATER, harmless)
        after = bench.run(TEST, test)
        weights = {name: float(bench.weights(f"syn_{name}").mean()) for name in NETWORKS}
    ratio = {name: float(after.rates(name).mean() / before.rates(name).mean()) for name in NETWORKS}
    measures = {
        "sensitised": ratio["plain"], "protected": ratio["stable"], "drift": abs(ratio["stable"] - 1.0),
        "rate": float(before.rates("plain").mean()),
        "weight_plain": weights["plain"], "weight_stable": weights["stable"],
    }  # fmt: skip
    edges = np.arange(SETTLE, SETTLE + 2 * TEST + BURST + LATER + 1)
    course = {}
    for name in NETWORKS:
        times = np.concatenate([trace.times(f"{name}.spikes") for trace in (before, burst, between, after)])
        course[name] = np.histogram(times, edges)[0] / CELLS
    return Result(measures, course)


def plot(figure: Figure, results: Mapping[str, Result]) -> None:
    """Rates of both networks in time, and the responses before and after."""
    left, right = figure.subplots(1, 2, width_ratios=(3, 1))
    course = results["experiment"].data
    colors = {"plain": "#d6604d", "stable": "#2166ac"}
    labels = {"plain": "STDP alone", "stable": "with scaling"}
    time = np.arange(course["plain"].size) + 0.5
    for name in NETWORKS:
        left.semilogy(time, np.maximum(course[name], 0.1), color=colors[name], label=labels[name])
    end = TEST + BURST + LATER
    for start, stop, color, text in ((0, TEST, "#e6e9ec", "test"), (TEST, TEST + BURST, "#f4c7bd", "burst"),
                                     (end, end + TEST, "#e6e9ec", "test")):  # fmt: skip
        left.axvspan(start, stop, color=color)
        left.text(start + 1, 120, text, fontsize=8)
    left.set_ylim(0.5, 180)
    left.set_xlabel("time (s)")
    left.set_ylabel("mean rate (Hz)")
    left.legend(frameon=False, fontsize=8, loc="lower right")
    heights = [results[name].measures["sensitised"] for name in ("no_burst", "experiment")]
    heights.append(results["experiment"].measures["protected"])
    names = ("no\nburst", "STDP\nalone", "with\nscaling")
    right.bar(names, heights, color=["#b8c1c9", colors["plain"], colors["stable"]])
    right.axhline(1, color="#66737f", lw=0.8, ls="--")
    right.set_ylabel("response after / before")
    right.tick_params(axis="x", labelsize=8)


EXPERIMENT = Experiment(
    name="runaway",
    title="a burst sensitises for good; homeostasis prevents it",
    table="B",
    source="Woolf (1983), Nature 306:686; Pfister & Gerstner (2006), J Neurosci 26:9673",
    compression=720,
    bars=(
        Bar("sensitised", ">=", 2.0, "without homeostasis the response is at least doubled, 120 s later"),
        Bar("drift", "<=", 0.2, "with homeostasis it is within 20%"),
    ),
    controls={"no_burst": ("sensitised",), "no_scaling": ("drift",), "off": ("sensitised",)},
    network=network,
    measure=measure,
    plot=plot,
)
