"""An early phase fades unless proteins meet its tag: tagging and capture (Frey & Morris 1997, 1998).

Protocol. Each cell has three pathways. One pairing is a train of 10 presynaptic spikes at 20 Hz, each 5 ms before a
spike of the cell. Weak: one pairing. Strong: three trains of four pairings, 10 min apart. Groups of cells get the weak
one alone; the strong one alone; the weak one 30 min before or after the strong one, or 4 h before or after it, on
another pathway; the strong one while protein synthesis is blocked. What is left is the change of a pathway's weights 8
h after its training, in parts of the change right after it.

Mechanism. Pairing moves the early phase by STDP with soft bounds; the early phase fades; it tags its synapse; a cell
that fires often within seconds drives its synthesis cell over threshold, and that sets the proteins of the cell to 1,
from where they decay. A late phase grows where proteins meet a tag. All of it runs on the machine.

Parameters. Time constants of early phase 40 min, tag 60 min, proteins 50 min, growth 45 min: fitted, in the range of
what tagging experiments show (an early phase of 1-3 h, a window of 1-2 h). Amplitudes, thresholds, tau_minus: fitted.

Compression: 120 (a minute is half a second), but for the pairings themselves.

Controls. "off": STDP alone, so that nothing fades. "no proteins": no synthesis in any group. "shuffled": the same
trains, but each cell's weak and strong training are a random time apart, within and beyond the window alike.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

import neuromorph as nm
from neuromorph.lab.base import Bar, Experiment, Machine, Result, Size
from neuromorph.plasticity import STDP, Consolidation, PlasticityRule
from neuromorph.units import ms

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COMPRESSION = 120.0
MINUTE = 500  # steps of 1 ms
W_0, W_MAX = 0.4, 1.0
PATHWAYS, SYNAPSES = 3, 8  # of a cell; of a pathway
PULSES, INTERVAL, LEAD = 10, 50, 5  # of a pairing; ms; ms
EVERY = 4  # minutes between looks at the weights

ONE, OTHER, SILENT = range(PATHWAYS)
AT, WINDOW, FAR, TEST = 250, 30, 240, 480  # minutes: of the strong training, from it to the weak one, until the test
LAST = 20  # minutes from the first to the last strong train
GROUPS = ("weak", "strong", "before", "after", "far before", "far after", "blocked")
WEAK_AT = {
    "weak": AT, "before": AT - WINDOW, "after": AT + LAST + WINDOW,
    "far before": AT - FAR, "far after": AT + LAST + FAR,
}  # fmt: skip
MINUTES = AT + LAST + FAR + TEST + EVERY

Training = tuple[int, int, int]
"""Pathway, minute, pairings in a row."""


def tissue(n: int, fading: bool = True, proteins: bool = True, name: str = "tissue") -> nm.Network:
    """`n` cells with their pathways, their synthesis cells and proteins."""
    net = nm.Network(name=name, dt=1 * ms, seed=1)
    pre = net.input(n * PATHWAYS * SYNAPSES, name="pre")
    teacher, blocker = net.input(n, name="teacher"), net.input(n, name="blocker")
    cells = net.population(n, nm.LIF(tau_m=5 * ms, tau_s=1 * ms, v_th=20.0, refractory=5 * ms), name="cells")
    synthesis = net.population(n, nm.LIF(tau_m=2.0, v_th=14.0, refractory=1.0), name="synthesis")
    net.connect(cells, synthesis, weights=1.0, topology=nm.OneToOne(), name="much_firing")
    net.connect(blocker, synthesis, weights=-200.0, topology=nm.OneToOne(), name="block")
    net.connect(teacher, cells, weights=80.0, topology=nm.OneToOne(), name="teach")
    protein = net.modulator(
        of=cells, sources={synthesis: float(proteins)}, tau=50 * MINUTE * ms, mode="hold", name="protein"
    )
    rule: PlasticityRule = STDP(
        a_plus=0.15, a_minus=0.02, tau_plus=17 * ms, tau_minus=34 * ms, w_max=W_MAX, variant="soft", peak=2.0,
        epoch=16 * ms,
    )  # fmt: skip
    if fading:
        rule += Consolidation(
            tau_early=40 * MINUTE * ms, tau_tag=60 * MINUTE * ms, tau_late=45 * MINUTE * ms, threshold=0.15,
            late_max=W_MAX - W_0, protein=protein, w_0=W_0, w_max=W_MAX, epoch=16 * ms,
        )  # fmt: skip
    own = np.arange(pre.n)
    topology = nm.Explicit(own, own // (PATHWAYS * SYNAPSES))
    syn = net.connect(pre, cells, weights=W_0, topology=topology, plasticity=rule, name="syn")
    net.probe(syn, "w", every=EVERY * MINUTE * ms)
    net.probe(protein, "m", every=EVERY * MINUTE * ms)
    net.probe(synthesis, "spikes")
    return net


def trains(plans: Sequence[Sequence[Training]], blocked: Collection[int] = ()) -> dict[str, nm.SpikeTrain]:
    """What the inputs send for the training of each cell; `blocked` cells cannot make proteins then."""
    rhythm = np.arange(PULSES) * INTERVAL
    pre, teacher, block = [], [], []
    for cell, plan in enumerate(plans):
        for pathway, minute, pairings in plan:
            times = minute * MINUTE + 1 + np.arange(pairings)[:, None] * PULSES * INTERVAL + rhythm
            first = (cell * PATHWAYS + pathway) * SYNAPSES
            for synapse in range(first, first + SYNAPSES):
                pre.append((times.ravel(), np.full(times.size, synapse)))
            teacher.append((times.ravel() + LEAD, np.full(times.size, cell)))
            if cell in blocked:
                block.append((times[:, 0], np.full(pairings, cell)))
    names = {"pre": pre, "teacher": teacher, "blocker": block}
    return {name: nm.SpikeTrain(*np.concatenate(parts, axis=1)) for name, parts in names.items() if parts}


def cells_of_a_group(size: Size) -> int:
    """How many cells each group has."""
    return 10 if size == "full" else 5


def network(size: Size = "full", fading: bool = True, proteins: bool = True) -> nm.Network:
    """The cells of all groups."""
    return tissue(len(GROUPS) * cells_of_a_group(size), fading, proteins, name="consolidation")


def plan(group: str) -> list[Training]:
    """When a group's cells are trained."""
    weak = [(OTHER, WEAK_AT[group], 1)] if group in WEAK_AT else []
    return weak + ([] if group == "weak" else [(ONE, AT + minute, 4) for minute in (0, 10, LAST)])


def measure(machine: Machine, condition: str | None) -> Result:
    """Train all groups, wait, and see what is left of each training."""
    each = cells_of_a_group(machine.size)
    groups = np.repeat(GROUPS, each)
    plans = [plan(group) for group in groups]
    weak_at = np.array([WEAK_AT.get(group, 0) for group in groups])
    if condition == "shuffled":
        rng = np.random.default_rng(1)
        elsewhere = [*range(AT - FAR, AT - 10), *range(AT + LAST + 10, AT + LAST + FAR)]
        for cell in np.flatnonzero(np.isin(groups, ("before", "after", "far before", "far after"))):
            weak_at[cell] = rng.choice(elsewhere)
            plans[cell][0] = (OTHER, int(weak_at[cell]), 1)
    net = network(machine.size, fading=condition != "off", proteins=condition != "no proteins")
    with machine.open(net) as bench:
        trace = bench.run(MINUTES * MINUTE * ms, trains(plans, np.flatnonzero(groups == "blocked").tolist()))
    changes = trace.states("syn.w").physical.reshape(-1, groups.size, PATHWAYS, SYNAPSES).mean(axis=3) - W_0
    first = {"strong": AT + LAST, "blocked": AT + LAST}

    def left(group: str, pathway: int) -> float:
        rows = np.flatnonzero(groups == group)
        trained = np.array([first.get(group, weak_at[row]) for row in rows])
        after = changes[(trained + 4) // EVERY, rows, pathway].mean()
        return float(changes[(trained + TEST) // EVERY, rows, pathway].mean() / after)

    captured = [left("before", OTHER), left("after", OTHER)]
    silent = changes[-1, groups == "strong", SILENT].mean() / changes[-1, groups == "strong", ONE].mean()
    measures = {
        "weak": left("weak", OTHER), "strong": left("strong", ONE), "captured": min(captured),
        "captured_most": max(captured), "outside": max(left("far before", OTHER), left("far after", OTHER)),
        "blocked": abs(left("blocked", ONE)), "silent": float(abs(silent)),
    }  # fmt: skip
    data = {
        f"{group}, {pathway}": changes[:, groups == group, pathway].mean(axis=1)
        for group in GROUPS
        for pathway in (ONE, OTHER)
    }
    return Result(measures, data | {"minutes": trace.states("syn.w").steps / MINUTE})


def plot(figure: Figure, results: Mapping[str, Result]) -> None:
    """The course of the weights of each training, as potentials are drawn in the papers."""
    panels = (
        (
            "strong lasts, weak fades",
            (("strong", ONE, "strong"), ("weak", OTHER, "weak"), ("blocked", ONE, "strong, no proteins")),
        ),
        ("weak, strong 30 min apart", (("before", OTHER, "weak first"), ("after", OTHER, "strong first"))),
        ("weak, strong 4 h apart", (("far before", OTHER, "weak first"), ("far after", OTHER, "strong first"))),
    )
    colours = ("#2166ac", "#d6604d", "#66737f")
    data = results["experiment"].data
    hours = (data["minutes"] - AT) / 60
    for axes, (title, curves) in zip(figure.subplots(1, 3, sharey=True), panels, strict=True):
        for colour, (group, pathway, label) in zip(colours, curves, strict=False):
            axes.plot(hours, 100 * data[f"{group}, {pathway}"] / W_0, color=colour, label=label)
        if group != "blocked":
            axes.plot(hours, 100 * data[f"{group}, {ONE}"] / W_0, color="#b8c1c9", lw=1, label="strong pathway")
        axes.axhline(0, color="#b8c1c9", lw=0.8)
        axes.set_title(title, fontsize=9)
        axes.set_xlabel("hours after the strong training")
        axes.legend(frameon=False, fontsize=7)
    figure.axes[0].set_ylabel("change of the weight (%)")


EXPERIMENT = Experiment(
    name="consolidation",
    title="what fades is kept where proteins meet a tag",
    table="C",
    source="Frey & Morris (1997), Nature 385:533; (1998), Trends Neurosci 21:181",
    bars=(
        Bar("weak", "<=", 0.10, "weak training: less than 10% left after 8 h"),
        Bar("strong", ">=", 0.70, "strong training: at least 70% left"),
        Bar("captured", ">=", 0.50, "weak within the window of strong, in both orders: at least 50% left"),
        Bar("captured_most", "<=", 1.20, "and at most 120%", guard=True),
        Bar("outside", "<=", 0.15, "weak outside of the window, in both orders: less than 15% left"),
        Bar("blocked", "<=", 0.005, "protein synthesis blocked: 0% left"),
        Bar("silent", "<=", 0.02, "a silent pathway beside the strong one takes nothing", guard=True),
    ),
    controls={
        "off": ("weak", "outside", "blocked"),
        "no proteins": ("strong", "captured"),
        "shuffled": ("captured", "outside"),
    },
    network=network,
    measure=measure,
    plot=plot,
    compression=COMPRESSION,
)
