"""Extinction hides a fear memory and does not erase it: the fear comes back with time and context (Bouton 2004).

Protocol. A cue of 1 s comes with a shock in context A, 20 times; then 40 times alone in context B. Tests are the cue
without learning, with the very same spikes each time: before all, after conditioning, after extinction, and after a
delay, in the context of extinction (B) and in the old one (A). The response is the spikes of the fear cells during the
cue, in parts of the one in the same context after conditioning.

Mechanism. Fear cells (amygdala) learn the cue by STDP that the shock gates, by an alarm
cell that fires for seconds after it. Inhibitory cells, each for the cue in one
context, learn by inhibitory STDP that the shock brakes: a fear cell that fires without a shock is inhibited. That
inhibition fades by the same rule when its cells fire at their 2 Hz of background and the fear cells are silent.

Parameters. All fitted, but for time constants of STDP (17 and 34 ms; 20 ms, Vogels et al. 2011).

Compression: 3600 for the delay (240 s for ten days); the pauses between trials are short, too.

Controls. "off": no learning. "no extinction": the context, but no cue after conditioning. "no inhibition": the
inhibitory synapses do not learn. "yoked": the tests of relapse come at once, in the context of extinction.
Unlearning, the textbook's other explanation, runs beside: fear cells with the same input whose excitation depresses
where there is no shock.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

import neuromorph as nm
from neuromorph.lab.base import Bar, Experiment, Machine, Result, Size
from neuromorph.plasticity import STDP, Gate, InhibitorySTDP
from neuromorph.units import Hz, ms

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CHANNELS = 30  # of the cue, and of each context
FEAR, INHIBITORY = 20, 40  # cells; one half of the inhibitory ones for each context
RATE, BACKGROUND = 40, 2  # Hz of a channel; of an inhibitory cell
CUE, PERIOD, SHOCK = 1000, 2000, 200  # ms; from one trial to the next; of the shock's start after that of the cue
CONDITIONING, EXTINCTION, DELAY = 20, 40, 240_000  # trials; trials; ms
W_MAX = 0.08

TESTS = ("naive", "conditioned", "extinguished", "delayed")
Ints = NDArray[np.int64]
"""Spikes: steps, channels."""


def starts(delay: int = DELAY) -> dict[str, int]:
    """Step before each part."""
    tests = 2 * PERIOD  # one in each context
    order = {
        "naive": tests, "conditioning": CONDITIONING * PERIOD, "conditioned": tests,
        "extinction": EXTINCTION * PERIOD, "extinguished": tests, "delay": delay, "delayed": tests,
    }  # fmt: skip
    ends = np.cumsum([*order.values()]).tolist()
    return dict(zip([*order, "end"], [0, *ends], strict=True))


def network(
    size: Size = "full",  # noqa: ARG001
    learning: bool = True,
    inhibition: bool = True,
    delay: int = DELAY,
) -> nm.Network:
    """Fear cells that are inhibited, and fear cells that unlearn, with the same inputs."""
    net = nm.Network(name="extinction", dt=1 * ms, seed=1)
    cue, shock = net.input(CHANNELS, name="cue"), net.input(FEAR, name="shock")
    contexts = {name: net.input(CHANNELS, name=name) for name in ("A", "B")}
    background = net.input(INHIBITORY, name="background")
    cell = nm.LIF(tau_m=20 * ms, tau_s=5 * ms, refractory=2 * ms)
    fear, unlearning = net.population(FEAR, cell, name="fear"), net.population(FEAR, cell, name="unlearning")
    interneurons = net.population(INHIBITORY, cell, name="interneurons")
    alarm = net.population(1, nm.LIF(tau_m=20 * ms, tau_s=1.0, refractory=2 * ms), name="alarm")
    net.connect(shock, alarm, weights=10.0, name="shock to alarm")
    arousal = net.modulator(sources={alarm: 1.0}, tau=1.0, mode="hold", name="arousal")

    for cells in (fear, unlearning):
        net.connect(shock, cells, weights=3.0, topology=nm.OneToOne(), name=f"shock to {cells.name}")
    net.connect(cue, interneurons, weights=0.029, name="cue to interneurons")
    half = INHIBITORY // 2
    for k, (name, context) in enumerate(contexts.items()):
        pre, post = np.meshgrid(np.arange(CHANNELS), np.arange(k * half, (k + 1) * half), indexing="ij")
        where = nm.Explicit(pre.ravel(), post.ravel())
        net.connect(context, interneurons, weights=0.029, topology=where, name=f"{name} to interneurons")
    net.connect(background, interneurons, weights=3.0, topology=nm.OneToOne(), name="spontaneous")

    rise = Gate(STDP(a_plus=0.001, a_minus=0.0, tau_plus=17 * ms, tau_minus=34 * ms, w_max=W_MAX), by=arousal)
    fall = Gate(
        STDP(a_plus=0.0, a_minus=0.0004, tau_plus=17 * ms, tau_minus=34 * ms, w_max=W_MAX), by=arousal, brake=True
    )
    balance = InhibitorySTDP(eta=0.0008, tau=20 * ms, target_rate=4 * Hz, w_max=0.15)
    net.connect(cue, fear, weights=0.01, plasticity=rise, name="learned fear")
    net.connect(cue, unlearning, weights=0.01, plasticity=rise + fall, name="unlearned fear")
    safety = Gate(balance, by=arousal, brake=True)
    safe = net.connect(interneurons, fear, weights=0.0, plasticity=safety, name="learned safety")
    for cells in (fear, unlearning, interneurons):
        net.probe(cells, "spikes")

    for part, start in starts(delay).items():
        on = learning and part not in (*TESTS, "end")
        net.phase(
            start * ms,
            plasticity={syn: on and (syn is not safe or inhibition) for syn in net.projections if syn.plasticity},
        )
    return net


def spikes(at: Mapping[str, int], condition: str | None) -> dict[str, nm.SpikeTrain]:
    """What all inputs send in the parts that start at those steps."""
    rng = np.random.default_rng(1)
    found: dict[str, list[Ints]] = {name: [] for name in ("cue", "shock", "A", "B", "background")}

    def poisson(channels: int, duration: int, rate: float = RATE) -> Ints:
        steps, which = np.nonzero(rng.random((duration, channels)) < rate * 0.001)
        return np.stack([steps + 1, which])

    def add(name: str, start: int, events: Ints) -> None:
        found[name].append(events + np.array([[start], [0]]))

    test_cue, test_context = poisson(CHANNELS, CUE), poisson(CHANNELS, CUE)
    test_background = poisson(INHIBITORY, CUE, BACKGROUND)
    for test in TESTS:
        relapse = condition == "yoked" and test in ("extinguished", "delayed")
        for k, context in enumerate("AB"):
            add("cue", at[test] + k * PERIOD, test_cue)
            add("background", at[test] + k * PERIOD, test_background)
            add("B" if relapse else context, at[test] + k * PERIOD, test_context)
    for trial in range(CONDITIONING):
        start = at["conditioning"] + trial * PERIOD
        add("cue", start, poisson(CHANNELS, CUE))
        add("shock", start + SHOCK, poisson(FEAR, CUE - SHOCK))
    for trial in range(EXTINCTION if condition != "no extinction" else 0):
        add("cue", at["extinction"] + trial * PERIOD, poisson(CHANNELS, CUE))
    for name, part, trials in (("A", "conditioning", CONDITIONING), ("B", "extinction", EXTINCTION)):
        add(name, at[part], poisson(CHANNELS, trials * PERIOD))
        add("background", at[part], poisson(INHIBITORY, trials * PERIOD, BACKGROUND))
    add("background", at["delay"], poisson(INHIBITORY, at["delayed"] - at["delay"], BACKGROUND))
    return {name: nm.SpikeTrain(*np.concatenate(events, axis=1)) for name, events in found.items()}


def measure(machine: Machine, condition: str | None) -> Result:
    """Condition, extinguish, wait, and test in between."""
    delay = PERIOD if condition == "yoked" else DELAY
    at = starts(delay)
    net = network(machine.size, condition != "off", condition != "no inhibition", delay)
    with machine.open(net) as bench:
        trace = bench.run(at["end"] * ms, spikes(at, condition))

    def response(cells: str, start: int) -> float:
        """Rate during a cue, in Hz."""
        steps = trace.spikes(f"{cells}.spikes").steps
        return float(np.sum((steps > start) & (steps <= start + CUE))) / FEAR / (CUE * 0.001)

    def part(cells: str, test: str, context: str) -> float:
        """Of the response after conditioning in the same context; NaN if there was none."""
        learned, now = (response(cells, at[t] + "AB".index(context) * PERIOD) for t in ("conditioned", test))
        return now / learned if learned >= 1.0 else float("nan")

    measures = {
        "extinguished": part("fear", "extinguished", "B"),
        "delayed": part("fear", "delayed", "B"),
        "renewed": part("fear", "extinguished", "A"),
        "unlearning": max(part("unlearning", "delayed", "B"), part("unlearning", "extinguished", "A")),
        "naive": max(response("fear", at["naive"]), response("fear", at["naive"] + PERIOD)),
    }
    parts = (("conditioning", CONDITIONING), ("extinction", EXTINCTION))
    trials = [at[name] + k * PERIOD for name, count in parts for k in range(count)]
    data = {
        f"{cells} {test} {context}": np.array(response(cells, at[test] + k * PERIOD))
        for cells in ("fear", "unlearning") for test in TESTS for k, context in enumerate("AB")
    }  # fmt: skip
    before_shock = [
        float(np.sum((steps > start) & (steps <= start + SHOCK))) / FEAR / (SHOCK * 0.001)
        for steps in [trace.spikes("fear.spikes").steps] for start in trials
    ]  # fmt: skip
    return Result(measures, data | {"trials": np.array(before_shock)})


def plot(figure: Figure, results: Mapping[str, Result]) -> None:
    """The course of learning and extinction, and the tests of both explanations."""
    course, tests = figure.subplots(1, 2, width_ratios=(1.3, 1), sharey=True)
    data = results["experiment"].data
    trial = np.arange(1, CONDITIONING + EXTINCTION + 1)
    course.axvspan(0.5, CONDITIONING + 0.5, color="#fddbc7", lw=0)
    course.axvspan(CONDITIONING + 0.5, trial[-1] + 0.5, color="#d1e5f0", lw=0)
    course.plot(trial, data["trials"], "o-", ms=3, lw=1, color="#2166ac")
    course.set_xlabel("trial: cue and shock in A, then the cue in B")
    course.set_ylabel(f"fear cells (Hz), in the first {SHOCK} ms of the cue in trials", fontsize=8)
    shown = (
        ("naive", "B", "before"), ("conditioned", "B", "after\nconditioning"),
        ("extinguished", "B", "after\nextinction"),
        ("delayed", "B", "after the\ndelay"), ("extinguished", "A", "in the old\ncontext"),
    )  # fmt: skip
    for shift, cells, label, colour in (
        (-0.2, "fear", "inhibited", "#2166ac"),
        (0.2, "unlearning", "unlearned", "#b8c1c9"),
    ):
        values = [float(data[f"{cells} {test} {context}"]) for test, context, _ in shown]
        tests.bar(np.arange(len(shown)) + shift, values, 0.4, label=label, color=colour)
    tests.set_xticks(range(len(shown)), [text for _, _, text in shown], fontsize=7)
    tests.legend(frameon=False, fontsize=8)


EXPERIMENT = Experiment(
    name="extinction",
    title="extinguished fear is inhibited, not erased, and comes back",
    table="C",
    source="Bouton (2004), Learn Mem 11:485; Quirk (2002), Learn Mem 9:402",
    bars=(
        Bar("extinguished", "<=", 0.20, "the cue alone brings the response to at most 20%"),
        Bar("delayed", ">=", 0.50, "at least 50% of it is back after the delay"),
        Bar("renewed", ">=", 0.80, "at least 80% is back in the old context"),
        Bar("unlearning", "<=", 0.20, "what was unlearned is not: at most 20% after the delay, in the old context"),
        Bar("naive", "<=", 1.0, "no response to the cue before conditioning (Hz)", guard=True),
    ),
    controls={
        "off": ("delayed", "renewed", "unlearning"),
        "no extinction": ("extinguished", "unlearning"),
        "no inhibition": ("extinguished",),
        "yoked": ("delayed", "renewed"),
    },
    network=network,
    measure=measure,
    plot=plot,
    compression=3600.0,
)
