"""Synapses tire and facilitate from spike to spike, and pairing changes how much they release (Tsodyks & Markram).

Protocol. Two synapses, one that depresses and one that facilitates, get 10 pulses at 20 Hz and one 500 ms later; each
postsynaptic potential is compared with the closed form. Two groups of further synapses are tested with two pulses,
50 ms apart, then paired six times with a spike of their cell, left alone for 8 s, and tested again: in one group
pairing changes the use U of the resources for good, in the other the weight. Only the first changes the ratio of the
pulses.

Parameters. Published: U 0.5, tau_rec 800 ms, and U 0.05, tau_rec 125 ms, tau_facil 1200 ms (Tsodyks, Pawelzik &
Markram 1998); that pairing moves the release probability: Markram & Tsodyks 1996. Fitted: the size of the change.
Membranes of 5 ms keep the potentials apart. Times are not compressed.

Controls. "off": release is the same at each spike, and learning is switched off. "swapped": the groups learn by each
other's rule, so that each ratio does what it must not.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

import neuromorph as nm
from neuromorph.lab.base import Bar, Experiment, Machine, Result, Size
from neuromorph.plasticity import Custom, ShortTermPlasticity, TraceSpec
from neuromorph.units import ms

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from neuromorph.trace import Trace

WEIGHT, COPIES = 0.4, 16
TRAIN = np.append(np.arange(10) * 50 + 1, 951)  # ms
PULSES = np.array([1, 51])  # ms
PAIRINGS = np.arange(6) * 100 + 1  # ms
LAG = 4  # ms from the input's spike to the cell's
KINDS = {
    "depressing": ShortTermPlasticity(U=0.5, tau_rec=800 * ms),
    "facilitating": ShortTermPlasticity(U=0.05, tau_rec=125 * ms, tau_facil=1200 * ms),
}
LEARNS = ("use", "weight")


def network(size: Size = "full", condition: str | None = None) -> nm.Network:  # noqa: ARG001
    """A cell for each synapse of the train; for each group of the pairing, cells with a teacher."""
    net = nm.Network(name="release", dt=1 * ms, seed=1)
    membrane = nm.LIF(tau_m=5 * ms, v_th=3.0)
    static = condition == "off"
    for name, kind in KINDS.items():
        source, cell = net.input(1, name=f"{name} input"), net.population(1, membrane, name=name)
        net.connect(source, cell, weights=WEIGHT, short_term=None if static else kind, name=f"{name} synapse")
        net.probe(cell, "v")
    traces = {"x1": TraceSpec(impulse=20, tau=20 * ms)}
    for name in LEARNS:
        moves_use = (name == "use") != (condition == "swapped")
        pairing = "2^0*x1*y0"
        changes = ("", pairing) if moves_use else (pairing, "")
        rule = Custom(dw=changes[0], dd=changes[1], traces=traces, w_max=1.0)
        kind = ShortTermPlasticity(U=0.25, tau_rec=800 * ms, learned_use=moves_use)
        source, teacher = net.input(COPIES, name=f"{name} input"), net.input(COPIES, name=f"{name} teacher")
        cells, one = net.population(COPIES, membrane, name=name), nm.OneToOne()
        net.connect(
            source, cells, weights=WEIGHT, topology=one, plasticity=rule, short_term=None if static else kind,
            name=f"{name} synapse",
        )  # fmt: skip
        net.connect(teacher, cells, weights=10.0, topology=one, name=f"{name} teaching")
        net.probe(cells, "v")
    net.phase(0.0, plasticity=not static)
    return net


def closed_form(kind: ShortTermPlasticity) -> NDArray[np.float64]:
    """What each spike of the train releases."""
    u, x, found = 0.0, 1.0, []
    for gap in np.diff(TRAIN, prepend=-math.inf) * 1e-3:
        u *= math.exp(-gap / kind.tau_facil) if kind.tau_facil else 0.0
        x = 1 - (1 - x) * math.exp(-gap / kind.tau_rec)
        u += kind.U * (1 - u)
        found.append(u * x)
        x -= u * x
    return np.array(found)


def spikes(steps: NDArray[np.int64], n: int) -> nm.SpikeTrain:
    """The same steps for all n."""
    return nm.SpikeTrain(np.repeat(steps, n), np.tile(np.arange(n), steps.size))


def potentials(trace: Trace, cells: str, pulses: NDArray[np.int64]) -> NDArray[np.float64]:
    """The mean potential that each pulse causes, one step later."""
    v = trace.states(f"{cells}.v")
    return np.asarray((v.values * v.scale).mean(axis=1)[pulses])


def measure(machine: Machine, condition: str | None) -> Result:
    """The trains, two pulses, pairing, silence, two pulses."""
    data: dict[str, NDArray[np.float64]] = {}
    two = {f"{name} input": spikes(PULSES, COPIES) for name in LEARNS}
    with machine.open(network(machine.size, condition)) as bench:
        trace = bench.run(1.0, two | {f"{name} input": spikes(TRAIN, 1) for name in KINDS})
        data |= {name: potentials(trace, name, TRAIN) / WEIGHT for name in KINDS}
        data |= {f"{name} before": potentials(trace, name, PULSES) for name in LEARNS}
        bench.run(4.0)
        pairing = {f"{name} input": spikes(PAIRINGS, COPIES) for name in LEARNS}
        bench.run(0.6, pairing | {f"{name} teacher": spikes(PAIRINGS + LAG - 1, COPIES) for name in LEARNS})
        bench.run(8.0)
        trace = bench.run(0.1, two)
        data |= {f"{name} after": potentials(trace, name, PULSES) for name in LEARNS}
    errors = [np.abs(data[name] / closed_form(kind) - 1).max() for name, kind in KINDS.items()]
    measures = {"psp_error": float(max(errors))}
    for name in LEARNS:
        before, after = data[f"{name} before"], data[f"{name} after"]
        measures[f"{name}_growth"] = float(after[0] / before[0] - 1)
        measures[f"{name}_ratio_change"] = float(abs((after[1] / after[0]) / (before[1] / before[0]) - 1))
    return Result(measures, data)


def plot(figure: Figure, results: Mapping[str, Result]) -> None:
    """The trains beside the closed form; pairs of pulses before and after the pairing."""
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    data = results["experiment"].data
    for (name, kind), color in zip(KINDS.items(), ("#2166ac", "#d6604d"), strict=True):
        left.plot(TRAIN, closed_form(kind), "-", color=color, lw=1, alpha=0.6)
        left.plot(TRAIN, data[name], "o", ms=4, color=color, label=f"{name}; line: closed form")
    left.plot(TRAIN, results["off"].data["depressing"], "--", lw=1, color="#66737f", label="release without change")
    left.set(xlabel="time (ms)", ylabel="potential / weight", ylim=(0, 1.1))
    left.legend(frameon=False, fontsize=8, loc="upper right", bbox_to_anchor=(1.0, 0.85))
    titles = {"use": "pairing changes U", "weight": "pairing changes w"}
    for at, name in zip((0, 3), LEARNS, strict=True):
        for offset, when, color in ((0, "before", "#b8c1c9"), (1, "after", "#2166ac")):
            pair = data[f"{name} {when}"]
            x = at + offset + np.array([-0.2, 0.2])
            right.bar(x, pair, width=0.36, color=color, label=when if not at else None)
            right.text(at + offset, float(pair.max()) + 0.01, f"ratio {pair[1] / pair[0]:.2f}", ha="center", fontsize=8)
    right.set_xticks([0.5, 3.5], [titles[name] for name in LEARNS])
    right.set(ylabel="potentials of two pulses", ylim=(0, 0.3))
    right.legend(frameon=False, fontsize=8, loc="upper right")


EXPERIMENT = Experiment(
    name="release",
    title="release tires and facilitates, and pairing changes it for good",
    table="A",
    source="Tsodyks, Pawelzik & Markram (1998), Neural Comput 10:821; Markram & Tsodyks (1996), Nature 382:807",
    bars=(
        Bar("psp_error", "<=", 0.03, "each potential within 3% of the closed form"),
        Bar("use_growth", ">=", 0.2, "pairing strengthens the synapses whose use it changes"),
        Bar("weight_growth", ">=", 0.2, "pairing strengthens the synapses whose weight it changes"),
        Bar("use_ratio_change", ">=", 0.2, "a lasting change of U changes the ratio of two pulses"),
        Bar("weight_ratio_change", "<=", 0.03, "a lasting change of the weight does not"),
    ),
    controls={
        "off": ("psp_error", "use_growth", "weight_growth", "use_ratio_change"),
        "swapped": ("use_ratio_change", "weight_ratio_change"),
    },
    network=network,
    measure=measure,
    plot=plot,
)
