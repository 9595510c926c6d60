"""What is attended is learned: acetylcholine, released by spikes of the basal forebrain, gates plasticity.

Protocol. Two tones, A and B, alternate and excite two halves of the inputs of a sheet of cells. Cells of the basal
forebrain fire all the time, and in bursts with tone A. Their spikes release acetylcholine, which decays within 100 ms
and multiplies every change of the sheet's synapses (`Gate`). A second sheet hears the same tones, and its basal
forebrain is silenced. Compared is by which factor the synapses of each tone grow.

Parameters. Kilgard and Merzenich (1998) paired a tone with stimulation of the nucleus basalis 300 to 400 times a day,
for 20 to 25 days. Here 120 pairs of tones take 120 s: compressed by some 60 in number and 15,000 in time. All numbers
are fitted. Learning is the potentiating half of STDP with soft bounds, which needs no trace of the cells, so that
Loihi, too, holds it beside a modulator.

Controls. "shuffled": as many bursts, half of them with tone A, half with tone B, in random order. "silenced": no spikes
of the basal forebrain in either sheet.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

import neuromorph as nm
from neuromorph.lab.base import Bar, Experiment, Machine, Result, Size
from neuromorph.plasticity import Gate, TripletSTDP
from neuromorph.units import Hz, ms

if TYPE_CHECKING:
    from matplotlib.figure import Figure

EACH, CELLS, FOREBRAIN = 30, 20, 10  # inputs of a tone, cells of a sheet, cells of the basal forebrain
TRIALS, BLOCK = 120, 10
TONE_A, TONE_B, LONG, TRIAL = 100, 600, 250, 1000  # ms: starts, duration of a tone, of a trial
LOUD, QUIET = 40.0, 1.0  # Hz of an input in its tone, and else
BURST, TONIC = 50.0, 2.0  # Hz of the basal forebrain
W_START, W_MAX = 0.03, 0.12
SHEETS = ("intact", "silenced")


def network(size: Size = "full") -> nm.Network:  # noqa: ARG001
    """Two sheets behind the same tones, each with a basal forebrain; that of the second one has no input."""
    net = nm.Network(name="attention", dt=1 * ms, seed=1)
    tones = net.input(2 * EACH, name="tones")
    salience = net.input(FOREBRAIN, name="salience")
    for name in SHEETS:
        forebrain = net.population(FOREBRAIN, nm.LIF(tau_m=20 * ms, tau_s=2 * ms), name=f"forebrain_{name}")
        if name == "intact":
            net.connect(salience, forebrain, weights=1.55, topology=nm.OneToOne(), name="drive")
        acetylcholine = net.modulator(sources={forebrain: 0.016}, tau=100 * ms, name=f"ach_{name}")
        cells = net.population(CELLS, nm.LIF(tau_m=20 * ms, tau_s=5 * ms, refractory=5 * ms), name=name)
        pairs = TripletSTDP(a2_plus=0.0008, tau_plus=20 * ms, tau_minus=20 * ms, w_max=W_MAX, soft=True)
        weights = nm.Uniform(0.5 * W_START, 1.5 * W_START)
        net.connect(tones, cells, weights=weights, plasticity=Gate(pairs, by=acetylcholine), name=f"syn_{name}")
        net.probe(cells, "spikes")
        net.probe(forebrain, "spikes")
        net.probe(acetylcholine, "m", every=10 * ms)
    return net


def sounds(condition: str | None) -> dict[str, NDArray[np.float64]]:
    """Rates of both inputs in all trials."""
    tones = np.full((TRIALS, TRIAL, 2 * EACH), QUIET)
    salience = np.full((TRIALS, TRIAL, FOREBRAIN), TONIC)
    for start, part in ((TONE_A, slice(0, EACH)), (TONE_B, slice(EACH, None))):
        tones[:, start : start + LONG, part] = LOUD
    with_a = np.ones(TRIALS, dtype=bool)
    if condition == "shuffled":
        with_a = np.random.default_rng(1).permutation(TRIALS) % 2 == 0
    for trial, a in enumerate(with_a):
        start = TONE_A if a else TONE_B
        salience[trial, start : start + LONG] = BURST
    if condition == "silenced":
        salience[:] = 0.0
    return {"tones": tones, "salience": salience}


def measure(machine: Machine, condition: str | None) -> Result:
    """Factors by which the synapses of both tones grow, in both sheets."""
    rates, course = sounds(condition), []
    with machine.open(network(machine.size)) as bench:
        for block in range(0, TRIALS + 1, BLOCK):
            if block:
                part = {k: nm.Poisson(r[block - BLOCK : block].reshape(-1, r.shape[2]) * Hz) for k, r in rates.items()}
                trace = bench.run(BLOCK * TRIAL * ms, part)
            course.append([bench.weights(f"syn_{name}").reshape(2, EACH, CELLS).mean(axis=(1, 2)) for name in SHEETS])
    grown = np.array(course)  # (blocks, sheets, tones)
    intact, silenced = grown[-1] / grown[0]
    measures = {
        "advantage": float(intact[0] / intact[1]), "silent_difference": float(abs(silenced[0] / silenced[1] - 1.0)),
        "growth_paired": float(intact[0]), "growth_other": float(intact[1]),
    }  # fmt: skip
    last = trace.part(trace.stop - TRIAL, trace.stop)
    spikes, ach = last.spikes("forebrain_intact"), last.states("ach_intact.m")
    data = {"course": grown, "ach": ach.physical.ravel(), "steps": spikes.steps - last.start, "cells": spikes.indices}
    return Result(measures, data)


def plot(figure: Figure, results: Mapping[str, Result]) -> None:
    """A trial: tones, spikes of the basal forebrain, acetylcholine; and how the synapses of both tones grow."""
    left, right = figure.subplots(1, 2, width_ratios=(1.2, 1))
    colors = {"A": "#d6604d", "B": "#2166ac"}
    data = results["experiment"].data
    for tone, start in (("A", TONE_A), ("B", TONE_B)):
        left.axvspan(start, start + LONG, color=colors[tone], alpha=0.15, lw=0)
        left.text(start + 8, 1.55, f"tone {tone}", fontsize=8, color=colors[tone])
    left.plot(np.arange(1, data["ach"].size + 1) * 10, data["ach"], color="#66737f", label="acetylcholine")
    left.plot(data["steps"], 1.05 + data["cells"] * 0.04, "|", color="#1a1a1a", ms=4, label="basal forebrain")
    left.set_ylim(0, 1.65)
    left.set_xlabel("time in a trial (ms)")
    left.set_ylabel("acetylcholine")
    left.legend(frameon=False, fontsize=8, loc="center right")
    trials = np.arange(0, TRIALS + 1, BLOCK)
    for k, tone in enumerate("AB"):
        for name, sheet, style in (("experiment", 0, "-"), ("shuffled", 0, "--"), ("experiment", 1, ":")):
            course = results[name].data["course"][:, sheet, k]
            right.plot(trials, course / course[0], style, color=colors[tone])
    for style, text in (("-", "bursts with A"), ("--", "bursts with A or B"), (":", "silenced")):
        right.plot([], [], style, color="#66737f", label=text)
    right.set_xlabel("trials")
    right.set_ylabel("weight over weight at the start")
    right.legend(frameon=False, fontsize=8)


EXPERIMENT = Experiment(
    name="attention",
    title="acetylcholine from spikes gates plasticity: what is attended is learned",
    table="C",
    source="Kilgard & Merzenich (1998), Science 279:1714; Bear & Singer (1986), Nature 320:172",
    compression=15000,
    bars=(
        Bar("advantage", ">=", 1.5, "synapses of the paired tone grow by a factor that is at least 50% larger"),
        Bar("silent_difference", "<=", 0.05, "with the modulator silenced: no difference", guard=True),
    ),
    controls={"shuffled": ("advantage",), "silenced": ("advantage",)},
    network=network,
    measure=measure,
    plot=plot,
)
