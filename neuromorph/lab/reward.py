"""Dopamine comes late and finds the right synapse: eligibility solves the distal reward problem (Izhikevich 2007).

Protocol. A session has six pairs of an input and a cell, with one synapse each, and a dopamine of its own; ten sessions
run side by side. Inputs and cells fire at random, and every 20 s, at a random time, each pair is paired: its input
fires 5 ms before its cell, three times. A pairing of the first pair is followed by a pulse of dopamine, 1 to 3 s later,
when other pairs have been paired, too. Synapses are too weak to make a cell fire, so learning cannot change how often
they are paired.

Parameters. Published: eligibility 1 s, dopamine 0.2 s, reward after 1 to 3 s, tau 20 ms, A-/A+ = 1.5 (Izhikevich 2007).
Fitted: learning rate, start, rates. Times are not compressed.

Controls. "off": learning is switched off. "yoked": each session has the pulses of the next one: as many and of the same
kind, but they say nothing about its own pairs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

import neuromorph as nm
from neuromorph.lab.base import Bar, Experiment, Machine, Result, Size
from neuromorph.plasticity import RewardSTDP
from neuromorph.units import Hz, ms

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SESSIONS, PAIRS, REWARDED = 10, 6, 0
ROUND, ROUNDS = 20_000, 60  # ms; each pair is paired once per round
NOISE = 2 * Hz
LEAD = 5  # ms from the input to the cell
BURST = (0, 40, 80)  # ms
SEED = 1


def network(size: Size = "full", learning: bool = True) -> nm.Network:  # noqa: ARG001
    """Pairs of all sessions side by side: an input, a cell with its teacher, a synapse, and dopamine where it is."""
    n = SESSIONS * PAIRS
    net = nm.Network(name="reward", dt=1 * ms, seed=1)
    pre, teacher, reward = (net.input(n, name=name) for name in ("pre", "teacher", "reward"))
    cells = net.population(n, nm.LIF(tau_m=5 * ms, tau_s=1 * ms, v_th=1.0, refractory=3 * ms), name="cells")
    dopamine = net.modulator(of=cells, sources={reward: 1.0}, tau=0.2, full_scale=2.0, name="dopamine")
    rule = RewardSTDP(
        a_plus=0.1, a_minus=0.15, tau_plus=20 * ms, tau_minus=20 * ms, tau_eligibility=1.0,
        modulator=dopamine, eta=1.2, w_max=0.6,
    )  # fmt: skip
    syn = net.connect(pre, cells, weights=0.05, topology=nm.OneToOne(), plasticity=rule, name="syn")
    net.connect(teacher, cells, weights=4.0, topology=nm.OneToOne(), name="teach")
    net.probe(cells, "spikes")
    net.probe(syn, "w", every=10.0)
    net.phase(0.0, plasticity=learning)
    return net


def spikes(yoked: bool) -> dict[str, nm.SpikeTrain]:
    """Noise, pairings, and the pulses of each session, or of the next one."""
    rng = np.random.default_rng(SEED)
    n, last = SESSIONS * PAIRS, ROUNDS * ROUND
    rounds = np.arange(ROUNDS)[:, None, None] * ROUND
    pairing = rounds + rng.integers(1, ROUND - 4000, (ROUNDS, SESSIONS, PAIRS))
    pulse = pairing[..., REWARDED] + rng.integers(1000, 3001, (ROUNDS, SESSIONS))
    if yoked:
        pulse = np.roll(pulse, 1, axis=1)
    which = np.broadcast_to(np.arange(n).reshape(SESSIONS, PAIRS), pairing.shape)
    trains = {"reward": nm.SpikeTrain(np.repeat(pulse, PAIRS), np.ravel(which))}
    for name, lead in (("pre", 0), ("teacher", LEAD - 1)):  # a cell fires one step after its teacher
        count = rng.poisson(NOISE * last / 1000 * n)
        noise = np.stack([rng.integers(1, last, count), rng.integers(0, n, count)])
        paired = [np.stack([(pairing + lead + at).ravel(), which.ravel()]) for at in BURST]
        train = np.unique(np.concatenate([*paired, noise], axis=1), axis=1)
        trains[name] = nm.SpikeTrain(train[0], train[1])
    return trains


def measure(machine: Machine, condition: str | None) -> Result:
    """Run the sessions and compare the mean weight of the rewarded pair with that of each other one."""
    with machine.open(network(machine.size, learning=condition != "off")) as bench:
        trace = bench.run(ROUNDS * ROUND * ms, spikes(yoked=condition == "yoked"))
        weights = bench.weights("syn").reshape(SESSIONS, PAIRS)
    means = weights.mean(axis=0)
    others = np.delete(means, REWARDED)
    measures = {
        "advantage": float(means[REWARDED] / others.max()), "rewarded": float(means[REWARDED]),
        "others": float(others.mean()), "largest_other": float(others.max()),
        "sessions_won": float(np.mean(weights.argmax(axis=1) == REWARDED)),
    }  # fmt: skip
    course: NDArray[np.float64] = trace.states("syn.w").physical.reshape(-1, SESSIONS, PAIRS)
    return Result(measures, {"course": course})


def plot(figure: Figure, results: Mapping[str, Result]) -> None:
    """The weights over the session, with the reward that was earned and with that of another session."""
    panels = figure.subplots(1, 2, sharey=True)
    titles = {"experiment": "reward 1 to 3 s after the pairing", "yoked": "yoked: the rewards of another session"}
    for axes, (condition, title) in zip(panels, titles.items(), strict=True):
        course = results[condition].data["course"]
        minutes = np.linspace(0.0, ROUNDS * ROUND / 60_000, len(course))
        means = course.mean(axis=1)
        error = course[..., REWARDED].std(axis=1) / np.sqrt(SESSIONS)
        axes.plot(minutes, np.delete(means, REWARDED, axis=1), color="#b8c1c9", lw=1.2)
        axes.plot([], [], color="#b8c1c9", label=f"the {PAIRS - 1} other pairs")
        low, high = means[:, REWARDED] - error, means[:, REWARDED] + error
        axes.fill_between(minutes, low, high, color="#d6604d", alpha=0.25, lw=0)
        axes.plot(minutes, means[:, REWARDED], color="#d6604d", lw=2, label="rewarded pair")
        axes.set_title(title, fontsize=10)
        axes.set_xlabel("time (min)")
    panels[0].set_ylabel(f"weight (of the threshold), mean of {SESSIONS}")
    panels[0].legend(frameon=False, fontsize=8, loc="upper left")


EXPERIMENT = Experiment(
    name="reward",
    title="a late reward strengthens the synapse that earned it",
    table="C",
    source="Izhikevich (2007), Cereb Cortex 17:2443",
    bars=(Bar("advantage", ">=", 1.7, "the rewarded synapse is at least 1.7 times each other one"),),
    controls={"off": ("advantage",), "yoked": ("advantage",)},
    network=network,
    measure=measure,
    plot=plot,
)
