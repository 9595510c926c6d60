"""Coincidence detection: a weak input is potentiated only together with strong depolarisation (NMDA receptors).

Protocol. 100 trials, one per second, in groups of cells: a weak input alone; a strong one alone, the weak one silent;
both, the weak one 2 to 8 ms earlier; both, 200 ms apart; and a silent neighbour of the synapse that is paired. Weak
inputs end on a dendrite. Its own events are what lifts the magnesium block; the soma behind it stays silent in all
groups, so the depolarisation comes without spikes of the cell. So pairing shows cooperativity (weak alone fails),
associativity (with the strong one it succeeds) and input specificity (neighbours fail).

Parameters. Published: time constant, amounts and threshold of calcium and the rate of potentiation for cortical slices
(Graupner & Brunel 2012). Left out: depression (gamma_d = 0) and the delay of the presynaptic calcium. Fitted: weights.
Times are not compressed.

Controls. "blocked": the NMDA receptors are blocked (the gate of the rule is closed). "shuffled": the weak input comes
as often, at random times. "no magnesium": the threshold of calcium is so low that either side passes it alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

import neuromorph as nm
from neuromorph.lab.base import Bar, Experiment, Machine, Result, Size
from neuromorph.plasticity import CalciumRule, Gate
from neuromorph.units import ms

if TYPE_CHECKING:
    from matplotlib.figure import Figure

GROUPS = ("weak", "strong", "paired", "apart")
REPEATS = 16
TRIALS, PERIOD, MIDDLE, APART = 100, 1000, 500, 200  # the times in ms
START, W_MAX = 0.1, 0.2
THRESHOLD = 1.3


def network(size: Size = "full", threshold: float = THRESHOLD, receptors: float = 1.0) -> nm.Network:  # noqa: ARG001
    """One dendrite with a weak, a neighbouring and a strong input, and a soma, for each group and repeat."""
    n = len(GROUPS) * REPEATS
    net = nm.Network(name="coincidence", dt=1 * ms, seed=1)
    weak, neighbour, strong = (net.input(n, name=name) for name in ("weak", "neighbour", "strong"))
    dendrites = net.population(n, nm.LIF(tau_m=10 * ms, tau_s=2 * ms, v_th=1.0, refractory=20 * ms), name="dendrites")
    somas = net.population(n, nm.LIF(tau_m=20 * ms, tau_s=2 * ms, v_th=1.0), name="somas")
    unblocked = net.modulator(name="nmda", init=receptors)
    calcium = CalciumRule(
        tau_calcium=22.6936 * ms, c_pre=0.5617539, c_post=1.23964, theta_p=threshold, theta_d=1.0,
        gamma_p=725.085 / 346.3615, gamma_d=0.0, w_max=W_MAX, peak=2.0,
    )  # fmt: skip
    for source, name in ((weak, "syn"), (neighbour, "beside")):
        rule = Gate(calcium, by=unblocked)
        net.connect(source, dendrites, weights=START, topology=nm.OneToOne(), plasticity=rule, name=name)
    net.connect(strong, dendrites, weights=3.0, topology=nm.OneToOne(), name="depolarise")
    net.connect(dendrites, somas, weights=0.3, topology=nm.OneToOne(), name="axial")
    net.probe(dendrites, "spikes")
    net.probe(somas, "spikes")
    return net


def trials(shuffled: bool) -> dict[str, nm.SpikeTrain]:
    """Weak and strong spikes of all trials."""
    rng = np.random.default_rng(1)
    shape = (TRIALS, REPEATS)
    strong = np.broadcast_to(np.arange(TRIALS)[:, None] * PERIOD + MIDDLE, shape)
    lead = {name: rng.integers(2, 9, shape) for name in ("weak", "paired")} | {"apart": np.full(shape, APART)}
    if shuffled:
        lead["paired"] = rng.integers(-PERIOD // 2 + 1, PERIOD // 2, shape)
    cell = np.broadcast_to(np.arange(REPEATS), shape)

    def train(times: dict[str, NDArray[np.int64]]) -> nm.SpikeTrain:
        cells = [cell + GROUPS.index(name) * REPEATS for name in times]
        return nm.SpikeTrain(np.concatenate(list(times.values())).ravel(), np.concatenate(cells).ravel())

    return {
        "weak": train({name: strong - ahead for name, ahead in lead.items()}),
        "strong": train({name: strong for name in GROUPS if name != "weak"}),
    }


def measure(machine: Machine, condition: str | None) -> Result:
    """Relative changes of the weak synapse of each group, and of the neighbour of the paired one."""
    threshold = 0.3 if condition == "no magnesium" else THRESHOLD
    net = network(machine.size, threshold, receptors=0.0 if condition == "blocked" else 1.0)
    with machine.open(net) as bench:
        before = {name: bench.weights(name) for name in ("syn", "beside")}
        trace = bench.run(TRIALS * PERIOD * ms, trials(shuffled=condition == "shuffled"))
        syn, beside = (
            (bench.weights(name) / before[name] - 1.0).reshape(len(GROUPS), REPEATS) for name in ("syn", "beside")
        )
    changes = dict(zip(GROUPS, syn, strict=True)) | {"neighbour": beside[GROUPS.index("paired")]}
    measures = {name: float(np.abs(change).max()) for name, change in changes.items()}
    measures["paired"] = float(changes["paired"].mean())
    measures["soma_spikes"] = float(len(trace.spikes("somas")))
    return Result(measures, changes)


def plot(figure: Figure, results: Mapping[str, Result]) -> None:
    """Change of the weak synapse in each group, and with the receptors blocked."""
    axes = figure.subplots()
    texts = {
        "weak": "weak alone", "strong": "strong alone", "paired": "weak with strong",
        "apart": f"weak {APART} ms\nbefore strong", "neighbour": "silent neighbour\nof the paired",
    }  # fmt: skip
    for k, name in enumerate(texts):
        for condition, at, colour in (("experiment", -0.2, "#d6604d"), ("blocked", 0.2, "#b8c1c9")):
            change = 100 * results[condition].data[name]
            axes.bar(k + at, change.mean(), 0.38, color=colour)
            spread = np.linspace(-0.12, 0.12, change.size)
            axes.scatter(k + at + spread, change, s=5, color="#333d47", zorder=3)
    axes.bar([0], [0], color="#d6604d", label="change after 100 trials")
    axes.bar([0], [0], color="#b8c1c9", label="NMDA receptors blocked")
    axes.axhline(0, color="#66737f", lw=0.8)
    axes.axhline(20, color="#66737f", lw=0.8, ls=":")
    axes.set_xticks(range(len(texts)), list(texts.values()))
    axes.set_ylabel("change of the weak synapse (%)")
    axes.legend(frameon=False, fontsize=8)


EXPERIMENT = Experiment(
    name="coincidence",
    title="weak inputs are potentiated together with depolarisation only",
    table="A",
    source="Graupner and Brunel (2012), PNAS 109:3991; Bliss and Collingridge (1993), Nature 361:31",
    bars=(
        Bar("paired", ">=", 0.2, "the weak input that comes with strong depolarisation is potentiated by 20% or more"),
        Bar("weak", "<=", 0.02, "alone it changes by 2% at most (cooperativity)"),
        Bar("strong", "<=", 0.02, "and so if it is silent while the strong one comes (input specificity)"),
        Bar("apart", "<=", 0.02, "or if the strong one comes 200 ms later"),
        Bar("neighbour", "<=", 0.02, "a silent neighbour of the paired synapse changes by 2% at most"),
        Bar("soma_spikes", "<=", 0.0, "the depolarisation makes no spikes of the cell", guard=True),
    ),
    controls={
        "blocked": ("paired",),
        "shuffled": ("paired",),
        "no magnesium": ("weak", "strong", "apart", "neighbour"),
    },
    network=network,
    measure=measure,
    plot=plot,
)
