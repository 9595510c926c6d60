"""Neurons of very different drive come to fire alike, for the threshold of each drifts to a target rate.

Protocol. 100 neurons get Poisson spikes of one rate each over weights that differ tenfold: the weakest are silent, the
strongest fire at over 50 Hz. For 10 s thresholds rest, for 30 s they adapt, and for 10 s, still adapting, the spikes of
the first 10 s come again.

Parameters. Threshold: ``theta += 0.02`` at a spike, ``theta' = -0.02 r0``, r0 = 10 Hz (a constant drift in place of the
decay of Diehl & Cook 2015). Fitted: drive. Excitability of cultured neurons adapts within hours to days (Desai,
Rutherford & Turrigiano 1999): times are compressed by about 3000.

Control. "off": thresholds rest all the time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

import neuromorph as nm
from neuromorph.lab.base import Bar, Experiment, Machine, Result, Size
from neuromorph.plasticity import IntrinsicPlasticity
from neuromorph.units import Hz, ms

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from neuromorph.trace import Trace

N, TARGET = 100, 10 * Hz
WINDOW, ADAPTING = 10_000, 30_000  # ms
DRIVE = 200 * Hz
WEIGHTS = np.geomspace(0.06, 0.6, N)


def network(size: Size = "full", adapting: bool = True) -> nm.Network:  # noqa: ARG001
    """An input with spikes of its own for each neuron."""
    net = nm.Network(name="intrinsic_homeostasis", dt=1 * ms, seed=1)
    noise = net.input(N, name="noise")
    threshold = IntrinsicPlasticity(target_rate=TARGET, increment=0.02, floor=-0.9)
    cells = net.population(N, nm.LIF(tau_m=20 * ms, refractory=2 * ms, homeostasis=threshold), name="cells")
    net.connect(noise, cells, weights=WEIGHTS, topology=nm.OneToOne(), name="drive")
    net.probe(cells, "spikes")
    net.probe(cells, "theta", every=100 * ms)
    net.phase(0.0, adaptation=False)
    net.phase(WINDOW * ms, adaptation=adapting)
    return net


def drive(steps: int, seed: int) -> nm.SpikeTrain:
    """Poisson spikes of all neurons."""
    step, neuron = np.nonzero(np.random.default_rng(seed).random((steps, N)) < DRIVE * 1e-3)
    return nm.SpikeTrain(step + 1, neuron)


def rates(trace: Trace) -> NDArray[np.float64]:
    """Spikes per second of each neuron."""
    return trace.rates("cells.spikes")


def measure(machine: Machine, condition: str | None) -> Result:
    """The same spikes before and after the neurons have adapted."""
    frozen = drive(WINDOW, 1)
    with machine.open(network(machine.size, adapting=condition != "off")) as bench:
        before = bench.run(WINDOW * ms, {"noise": frozen})
        between = bench.run(ADAPTING * ms, {"noise": drive(ADAPTING, 2)})
        after = bench.run(WINDOW * ms, {"noise": frozen})
    states = [trace.states("cells.theta") for trace in (before, between, after)]
    spread = [float(np.std(rates(trace)) / np.mean(rates(trace))) for trace in (before, after)]
    measures = {
        "fall": 1 - spread[1] / spread[0], "rate_error": abs(float(np.mean(rates(after))) / TARGET - 1),
        "spread_before": spread[0], "spread_after": spread[1],
    }  # fmt: skip
    data = {
        "before": rates(before), "after": rates(after), "steps": np.concatenate([s.steps for s in states]),
        "theta": np.concatenate([s.values * s.scale for s in states]),
    }  # fmt: skip
    return Result(measures, data)


def plot(figure: Figure, results: Mapping[str, Result]) -> None:
    """Rates by drive before and after, and the thresholds on their way."""
    left, right = figure.subplots(1, 2)
    result, off = results["experiment"].data, results["off"].data
    left.axhline(TARGET, color="#b8c1c9", lw=0.8)
    left.plot(WEIGHTS, result["before"], "o", ms=3, color="#66737f", label="before")
    left.plot(WEIGHTS, result["after"], "o", ms=3, color="#2166ac", label="after 30 s of adapting")
    left.plot(WEIGHTS, off["after"], lw=1, color="#d6604d", ls="--", label="thresholds at rest")
    left.set(xscale="log", xlabel="weight (thresholds)", ylabel="rate (Hz)")
    left.set_xticks([0.06, 0.1, 0.2, 0.4, 0.6], ["0.06", "0.1", "0.2", "0.4", "0.6"])
    left.set_xticks([], minor=True)
    left.legend(frameon=False, fontsize=8)
    chosen = np.linspace(0, N - 1, 8).astype(int)
    right.plot(result["steps"] * 1e-3, 1 + result["theta"][:, chosen], lw=1, color="#2166ac")
    right.axvline(WINDOW * 1e-3, color="#b8c1c9", lw=0.8)
    right.set(xlabel="time (s)", ylabel="threshold", ylim=(0, None))


EXPERIMENT = Experiment(
    name="intrinsic-homeostasis",
    title="thresholds adapt until neurons of any drive fire alike",
    table="B",
    source="Desai, Rutherford & Turrigiano (1999), Nat Neurosci 2:515; Diehl & Cook (2015), Front Comput Neurosci 9:99",
    bars=(
        Bar("fall", ">=", 0.85, "the coefficient of variation of the rates falls by 85%"),
        Bar("rate_error", "<=", 0.1, "the mean rate is within 10% of the target"),
    ),
    controls={"off": ("fall", "rate_error")},
    network=network,
    measure=measure,
    plot=plot,
    compression=3000.0,
)
