"""A neuron that gets less input makes all its synapses stronger, one that gets more weaker, by one factor.

Protocol. Cells fire at their set point. The rate of all their inputs is halved; when the cells have recovered it is
doubled again. Rates are compared over the same frozen input (half of its spikes, where it is halved), and weights as
Turrigiano et al. (1998) compared amplitudes: on a line, whose slope is the factor; its intercept is 0 if the scaling is
multiplicative.

Parameters. Fitted: a set point of 10 Hz, a rate that is averaged over 10 s and a speed of 0.02/s. The experiments took
48 hours: times are compressed by 1,728 (to 100 s). Changes are rare (every 8 s), for frequent small ones would be
rounded at random and blur the proportions of weights of 8 bits.

Controls. "off": no scaling. "additive": the same homeostasis adds the same amount to all weights of a cell.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

import neuromorph as nm
from neuromorph.lab.base import Bar, Experiment, Machine, Result, Size
from neuromorph.plasticity import Custom, SynapticScaling
from neuromorph.units import Hz, ms

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from neuromorph.plasticity import PlasticityRule

INPUTS, EACH, RATE, TARGET = 200, 100, 20.0, 10.0  # of the inputs each cell has 100; Hz
W_MAX, MEAN = 0.1, 0.022  # w_max is 255 units: the mean is 56 of them, and has room to double
SPEED, TAU, EPOCH, PERIOD = 0.02, 10.0, 64 * ms, 8.192  # 1/s, s
ADAPT, LISTEN, BIN = 100.0, 40.0, 10.0  # s


def additive(rate: nm.Modulator) -> PlasticityRule:
    """All weights of a cell change by the same amount, in proportion to the error of its rate.

    In the units of the machine: a rate of 127 is the full scale of 25 Hz, u7 is every 128th epoch.
    """
    return Custom(dw="-2^-3*u7*(r - 51)", modulators={"r": rate}, w_max=W_MAX, epoch=EPOCH)


def network(size: Size = "full", scaling: str = "multiplicative") -> nm.Network:
    """Poisson inputs to all cells; each cell scales its weights by its own rate."""
    net = nm.Network(name="homeostatic_scaling", dt=1 * ms, seed=1)
    inputs = net.input(INPUTS, name="inputs")
    cells = net.population(
        100 if size == "full" else 20, nm.LIF(tau_m=20 * ms, tau_s=5 * ms, refractory=5 * ms), name="cells"
    )
    rate = net.rate(cells, tau=TAU, full_scale=25 * Hz)
    rule: PlasticityRule = SynapticScaling(
        rate=rate, target=TARGET * Hz, speed=SPEED, period=PERIOD, w_max=W_MAX, epoch=EPOCH
    )
    if scaling == "additive":
        rule = additive(rate)
    weights = nm.Uniform(0.2 * MEAN, 1.8 * MEAN)
    net.connect(inputs, cells, weights=weights, topology=nm.FixedInDegree(EACH), plasticity=rule, name="syn")
    net.probe(cells, "spikes")
    net.phase(0.0, plasticity=scaling != "off")
    return net


def line(before: NDArray[np.float64], after: NDArray[np.float64]) -> tuple[float, float, float]:
    """Pearson's r, the slope, and the intercept as a share of the mean, of all weights."""
    slope, intercept = np.polyfit(before, after, 1)
    return float(np.corrcoef(before, after)[0, 1]), float(slope), float(abs(intercept) / after.mean())


def measure(machine: Machine, condition: str | None) -> Result:
    """Halve the input, then double it; rates and weights after each."""
    with machine.open(network(machine.size, condition or "multiplicative")) as bench:
        chances = np.random.default_rng(1).random((round(LISTEN / ms), INPUTS))
        weights, rates, course = [], [], []
        cells = bench.weights("syn").size / EACH
        for factor in (1.0, 0.5, 1.0):
            adapting = bench.run(ADAPT, {"inputs": nm.Poisson(factor * RATE * Hz)})
            listening = bench.run(LISTEN, {"inputs": nm.SpikeArray(chances < factor * RATE * ms)})
            weights.append(bench.weights("syn"))
            rates.append(float(listening.rates("cells").mean()))
            times = np.concatenate([adapting.times("cells.spikes"), listening.times("cells.spikes")])
            course.append(np.histogram(times, np.arange(adapting.start * ms, listening.stop * ms + 5, BIN))[0])
    fits = [line(a, b) for a, b in pairwise(weights)]
    measures = {
        "rate_error": max(abs(rate / rates[0] - 1) for rate in rates[1:]),
        "r": min(fit[0] for fit in fits),
        "intercept": max(fit[2] for fit in fits),
        "slope_up": fits[0][1],
        "slope_down": fits[1][1],
        "rate": rates[0],
    }
    return Result(measures, {"weights": np.array(weights), "course": np.concatenate(course) / BIN / cells})


def plot(figure: Figure, results: Mapping[str, Result]) -> None:
    """The rate while the input changes, and weights before and after."""
    left, middle, right = figure.subplots(1, 3, width_ratios=(1.3, 1, 1))
    result = results["experiment"]
    for name, label, color in (("off", "off", "#b8c1c9"), ("experiment", "scaling", "#2166ac")):
        course = results[name].data["course"]
        left.plot((np.arange(course.size) + 0.5) * BIN, course, color=color, label=label)
    left.axhline(TARGET, color="#66737f", lw=0.8, ls="--")
    for time, text in ((0, "input: 1"), (ADAPT + LISTEN, "1/2"), (2 * (ADAPT + LISTEN), "1")):
        left.axvline(time, color="#66737f", lw=0.8)
        left.text(time + 8, 47, text, fontsize=8)
    left.set_xlabel("time (s)")
    left.set_ylabel("mean rate (Hz)")
    left.set_ylim(-1, 50)
    left.legend(frameon=False, fontsize=8, loc="center left")
    for axes, k, title in ((middle, 0, "input halved"), (right, 1, "input doubled")):
        before, after = result.data["weights"][k : k + 2]
        axes.scatter(before, after, s=2, color="#2166ac", alpha=0.4, linewidths=0)
        slope, intercept = np.polyfit(before, after, 1)
        ends = np.array([0.0, before.max()])
        axes.plot(ends, slope * ends + intercept, color="#d6604d", label=f"slope {slope:.2f}")
        axes.plot(ends, ends, color="#b8c1c9", lw=0.8)
        axes.set_title(title, fontsize=9)
        axes.set_xlabel("weight before")
        axes.legend(frameon=False, fontsize=8)
    middle.set_ylabel("weight after")


EXPERIMENT = Experiment(
    name="homeostatic-scaling",
    title="all synapses of a neuron scale together until its rate is back",
    table="B",
    source="Turrigiano et al. (1998), Nature 391:892",
    compression=1728,
    bars=(
        Bar("rate_error", "<=", 0.05, "rate back within 5%, after halving and after doubling"),
        Bar("r", ">=", 0.99, "weights before and after: Pearson's r", guard=True),
        Bar("intercept", "<=", 0.05, "multiplicative: intercept at most 5% of the mean weight"),
    ),
    controls={"off": ("rate_error",), "additive": ("intercept",)},
    network=network,
    measure=measure,
    plot=plot,
)
