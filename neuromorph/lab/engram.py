"""A memory is a set of strengthened synapses: part of its cells recalls the rest (Hebb 1949; Josselyn & Tonegawa 2020).

Protocol. Four disjoint patterns of 30 among 200 recurrently connected cells are shown 20 times for 200 ms each, by
driving their cells at 60 Hz, in random order, once a second. Then learning is off. Half of a pattern's cells are cued
for 300 ms with the very spikes that they were cued with before learning, and only the cells that were not cued are
scored: recalled is who fires at 10 Hz or more. The same cues are given while half of the engram's cells are silenced
(half of the cued ones, half of the others), while as many cells out of all are, and while half of another engram's are.
Cells that are silenced do not count.

Parameters. Published: the triplet rule of visual cortex (Pfister & Gerstner 2006), amplitudes times twice the largest
weight. Fitted: weights, inhibition (one cell in six), rates, so that about ten cues are needed. Times are not
compressed. The network is the same at both sizes: it fits a board.

Controls. "off": no learning. "shuffled": the learned weights change places among all synapses. "yoked": the silenced
half of the engram is as many cells of no engram instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

import neuromorph as nm
from neuromorph.lab.base import Bar, Experiment, Machine, Result, Size
from neuromorph.plasticity import TripletSTDP
from neuromorph.units import ms

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CELLS, INHIBITORY, PATTERNS, SIZE = 200, 40, 4, 30
CUED = SIZE // 2
RATE = 60  # Hz of a driven cell
SHOWN, SHOW, CUE, PAUSE = 20, 200, 300, 1000  # times; ms; ms; ms from one start to the next
UNTRAINED = PATTERNS * PAUSE  # ms of cues before learning
TRAINED = UNTRAINED + SHOWN * PATTERNS * PAUSE  # ms
RECALLED = 3  # spikes within a cue: 10 Hz
W_MAX = 0.061

Ints = NDArray[np.int64]


def network(size: Size = "full", learning: bool = True) -> nm.Network:  # noqa: ARG001
    """Cells that excite each other over plastic synapses, and inhibition that all share."""
    net = nm.Network(name="engram", dt=1 * ms, seed=1)
    drive, lesion = net.input(CELLS, name="drive"), net.input(CELLS, name="lesion")
    cells = net.population(CELLS, nm.LIF(tau_m=20 * ms, tau_s=5 * ms, refractory=3 * ms), name="cells")
    shared = net.population(INHIBITORY, nm.LIF(tau_m=10 * ms, tau_s=5 * ms, refractory=2 * ms), name="inhibition")
    net.connect(drive, cells, weights=3.0, topology=nm.OneToOne(), name="drives")
    net.connect(lesion, cells, weights=-60.0, topology=nm.OneToOne(), name="silences")
    rule = TripletSTDP.visual_cortex(w_max=W_MAX, scale=2 * W_MAX)
    net.connect(
        cells,
        cells,
        weights=nm.Uniform(0.0, 0.006),
        topology=nm.AllToAll(self_loops=False),
        plasticity=rule,
        name="syn",
    )
    net.connect(cells, shared, weights=0.045, name="recruit")
    net.connect(shared, cells, weights=-0.06, name="inhibit")
    net.probe(cells, "spikes")
    net.phase(0.0, plasticity=False)
    net.phase(UNTRAINED * ms, plasticity=learning)
    net.phase(TRAINED * ms, plasticity=False)
    return net


@dataclass(frozen=True, slots=True)
class Cue:
    """A cue to a pattern that starts after step `start`, while the `silenced` cells are."""

    kind: str
    pattern: int
    start: int
    silenced: Ints


class Plan:
    """Patterns, their frozen cues, what is shown and what is tested."""

    def __init__(self, yoked: bool) -> None:
        rng = np.random.default_rng(1)
        order = rng.permutation(CELLS)
        self.patterns = order[: PATTERNS * SIZE].reshape(PATTERNS, SIZE)
        nobody = order[PATTERNS * SIZE :]
        self._cues = [_spikes(rng, pattern[:CUED], CUE) for pattern in self.patterns]
        shown = np.concatenate([rng.permutation(PATTERNS) for _ in range(SHOWN)])
        self._shown = [_spikes(rng, self.patterns[p], SHOW) for p in shown]
        none = np.zeros(0, dtype=np.int64)
        self.before = [Cue("untrained", p, p * PAUSE, none) for p in range(PATTERNS)]
        self.after: list[Cue] = []
        for p in range(PATTERNS):
            half = np.concatenate(
                [rng.permutation(CUED)[: CUED - CUED // 2], CUED + rng.permutation(CUED)[: CUED // 2]]
            )
            anyone = rng.permutation(nobody)[: half.size]
            other = rng.permutation(self.patterns[(p + 1) % PATTERNS])[: half.size]
            engram = anyone if yoked else self.patterns[p][half]
            silenced = {"whole": none, "engram": engram, "random": rng.permutation(CELLS)[: half.size], "other": other}
            for kind, cells in silenced.items():
                self.after.append(Cue(kind, p, TRAINED + len(self.after) * PAUSE, cells))

    def training(self) -> dict[str, nm.SpikeTrain]:
        """Inputs of the cues before learning, and of learning."""
        parts = [(self._cues[cue.pattern] + np.array([[cue.start], [0]])) for cue in self.before]
        parts += [show + np.array([[UNTRAINED + k * PAUSE], [0]]) for k, show in enumerate(self._shown)]
        return {"drive": nm.SpikeTrain(*np.concatenate(parts, axis=1))}

    def tests(self) -> dict[str, nm.SpikeTrain]:
        """Inputs of the cues after learning; steps count from the end of learning."""
        cues, silence = [], []
        for cue in self.after:
            start = cue.start - TRAINED
            cues.append(self._cues[cue.pattern] + np.array([[start], [0]]))
            times = np.arange(start + 1, start + CUE, 10)
            silence.append(np.stack([np.repeat(times, cue.silenced.size), np.tile(cue.silenced, times.size)]))
        named = {"drive": cues, "lesion": silence}
        return {name: nm.SpikeTrain(*np.concatenate(parts, axis=1)) for name, parts in named.items()}


def _spikes(rng: np.random.Generator, cells: Ints, duration: int) -> Ints:
    """Poisson spikes of some cells: steps and cells."""
    steps, which = np.nonzero(rng.random((duration, cells.size)) < RATE * 0.001)
    return np.stack([steps + 1, cells[which]])


def measure(machine: Machine, condition: str | None) -> Result:
    """Cue, learn, cue again with and without silenced cells."""
    plan = Plan(yoked=condition == "yoked")
    with machine.open(network(machine.size, learning=condition != "off")) as bench:
        first = bench.run(TRAINED * ms, plan.training())
        learned = bench.session.read("syn", "w")
        if condition == "shuffled":
            bench.session.write("syn", "w", np.random.default_rng(2).permutation(learned))
        weights = bench.weights("syn")
        second = bench.run(len(plan.after) * PAUSE * ms, plan.tests())
    spikes = first.joined(second).spikes("cells.spikes")
    scores: dict[str, list[float]] = {}
    spurious = []
    for cue in plan.before + plan.after:
        fired = spikes.indices[(spikes.steps > cue.start) & (spikes.steps <= cue.start + CUE)]
        active = np.bincount(fired, minlength=CELLS) >= RECALLED
        pattern = plan.patterns[cue.pattern]
        scores.setdefault(cue.kind, []).append(float(active[np.setdiff1d(pattern[CUED:], cue.silenced)].mean()))
        spurious.append(float(active[np.setdiff1d(np.arange(CELLS), pattern)].mean()))
    measures = {
        "completion": min(scores["whole"]), "engram_silenced": max(scores["engram"]),
        "random_silenced": min(scores["random"]), "others": min(scores["other"]),
        "spurious": max(spurious), "untrained": max(scores["untrained"]),
    }  # fmt: skip
    matrix = np.zeros((CELLS, CELLS))
    matrix[~np.eye(CELLS, dtype=bool)] = weights
    order = np.concatenate([plan.patterns.ravel(), np.setdiff1d(np.arange(CELLS), plan.patterns)])
    place = np.argsort(order)
    data = {
        "weights": matrix[np.ix_(order, order)], "steps": spikes.steps, "cells": place[spikes.indices],
        **{f"scores, {kind}": np.array(values) for kind, values in scores.items()},
        **{kind: np.array([cue.start for cue in plan.before + plan.after if cue.kind == kind]) for kind in scores},
    }  # fmt: skip
    return Result(measures, data)


def plot(figure: Figure, results: Mapping[str, Result]) -> None:
    """What was learned, a cue before and after with and without half of the engram, and the scores."""
    matrix, raster, bars = figure.subplots(1, 3, width_ratios=(1, 1.6, 1))
    data = results["experiment"].data
    matrix.imshow(data["weights"], cmap="Greys", vmin=0, vmax=W_MAX, interpolation="nearest")
    matrix.set_title("weights after learning", fontsize=9)
    matrix.set_xlabel("to cell")
    matrix.set_ylabel("from cell")
    kinds = {"untrained": "before", "whole": "after", "engram": "engram\nsilenced", "random": "as many\nsilenced"}
    for k, (kind, label) in enumerate(kinds.items()):
        start = data[kind][0]
        inside = (data["steps"] > start) & (data["steps"] <= start + CUE) & (data["cells"] < 2 * SIZE)
        times, cells = data["steps"][inside] - start + k * 1.2 * CUE, data["cells"][inside]
        cued = cells < CUED
        raster.scatter(times[cued], cells[cued], s=1.5, color="#d6604d")
        raster.scatter(times[~cued], cells[~cued], s=1.5, color="#2166ac")
        raster.text((1.2 * k + 0.5) * CUE, 2 * SIZE + 1, label, ha="center", fontsize=7)
    raster.set_ylim(-1, 2 * SIZE + 8)
    raster.set_xticks([])
    raster.axhline(SIZE - 0.5, color="#b8c1c9", lw=0.8)
    raster.set_xlabel("300 ms each: cued (red), not (blue)")
    raster.set_ylabel("cells of two engrams")
    labels = {**kinds, "random": "as many\nof all", "other": "of another\nmemory"}
    bars.barh([*labels.values()], [100 * data[f"scores, {kind}"].mean() for kind in labels], color="#2166ac")
    bars.invert_yaxis()
    bars.tick_params(axis="y", labelsize=7)
    bars.set_xlabel("recalled cells (%)")


EXPERIMENT = Experiment(
    name="engram",
    title="part of a memory recalls the rest, and dies with its cells",
    table="C",
    source="Josselyn & Tonegawa (2020), Science 367:eaaw4325; Han et al. (2009), Science 323:1492",
    bars=(
        Bar("completion", ">=", 0.90, "half of each memory recalls at least 90% of the rest"),
        Bar("engram_silenced", "<=", 0.50, "with half of its cells silenced less than 50% of those left"),
        Bar("random_silenced", ">=", 0.80, "with as many cells out of all silenced at least 80%"),
        Bar("others", ">=", 0.80, "with half of another memory's cells silenced at least 80%"),
        Bar("spurious", "<=", 0.05, "at most 5% of the cells of no or another memory fire", guard=True),
        Bar("untrained", "<=", 0.0, "nothing is recalled before learning", guard=True),
    ),
    controls={
        "off": ("completion", "random_silenced", "others"),
        "shuffled": ("completion", "random_silenced", "others"),
        "yoked": ("engram_silenced",),
    },
    network=network,
    measure=measure,
    plot=plot,
)
