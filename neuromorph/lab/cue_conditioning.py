"""Dopamine moves from the reward to its cue and dips when the reward stays away; a drug's cannot be predicted away.

Protocol. 300 trials of a cue and a reward 1 s later, 10 without the reward, 10 with it again, then 100 in which a cost
comes with it: inhibition as strong as the reward, for 200 ms (devaluation). Two circuits of 20 dopamine cells see the
same trials. In one the reward is natural: it acts through the cells, so that inhibition can cancel it. In the other it
is a drug that also releases dopamine directly (Redish 2004). A response is the rate in the 140 ms from the cue or
reward on, minus that of the 200 ms before.

Mechanism. Cue synapses onto the cells have an eligibility of coincidences (0.99 s). Dopamine above a set level makes it
weight, below it takes weight away, in a window that opens 0.3 s after the cue (Yagishita et al. 2014), so that dopamine
of the cue's own response does not count; a large weight decays when it is used. A delay line of 34 cells, which the cue
starts, inhibits the dopamine cells from 0.3 s on, and learns by inhibitory STDP (Vogels et al. 2011, tau 20 ms) when
they fire more than usual.

Parameters. Published: the window, tau 20 ms, about 1 s of eligibility. Fitted: learning rates, amplitudes, dopamine's
time constant (0.1 s) and level (what the cells release at 11 Hz), the rate that the line aims at (14 Hz). Scales fill
the bits of an integer machine, so that it learns as real numbers do: what a product drops there acts as a higher level.
Trials follow each other every 2 s, about ten times faster than in experiments; times within a trial are not compressed.

Controls. "off": learning is switched off; 10 trials of each part, for nothing changes. "yoked": as many cues and
rewards, each reward at a random time of its trial; tested with paired trials, and hardly devalued. "cancellable": the
drug releases no dopamine directly.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

import neuromorph as nm
from neuromorph.lab.base import Bar, Experiment, Machine, Result, Size
from neuromorph.plasticity import Custom, InhibitorySTDP, TraceSpec
from neuromorph.units import Hz, ms

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from neuromorph.trace import Trace

CELLS, CHANNELS, NOISE = 20, 10, 20
LINE, STEP, FIRST = 34, 40, 7  # cells of the delay line, ms between them, the first one that predicts
TRIAL, CUE, REWARD = 2000, 300, 1300  # ms
EPOCH = 4  # ms between learning phases, in which no neuron spikes twice
VOLLEYS = np.arange(0, 80, 20)  # ms, of a cue and a reward
COST = np.arange(0, 200, 20)  # ms, of a cost
TRAINED, DEVALUED, TESTED = 300, 100, 10  # trials; the last `TESTED` of a part are measured
BIN, BEFORE, RESPONSE = 20, 200, 140  # ms; a response is compared with the 200 ms before it
CIRCUITS = ("natural", "drug")


def network(size: Size = "full", learning: bool = True, direct: bool = True) -> nm.Network:  # noqa: ARG001
    """Two circuits with the same inputs and noise; in one the reward feeds dopamine `direct`-ly, too."""
    net = nm.Network(name="cue_conditioning", dt=1 * ms, seed=1)
    noise = net.input(NOISE, name="noise", source=nm.Poisson(40 * Hz))
    cue, reward, cost = (net.input(CHANNELS, name=name) for name in ("cue", "reward", "cost"))
    start = net.input(1, name="start")
    relay = nm.LIF(tau_m=2 * ms, v_th=1.0, refractory=5 * ms)
    early, line = net.population(FIRST, relay, name="early"), net.population(LINE - FIRST, relay, name="line")
    net.connect(start, early, weights=2.0, topology=nm.Explicit([0], [0]), name="to_line")
    for part in (early, line):
        along = nm.Explicit(np.arange(part.n - 1), np.arange(1, part.n))
        net.connect(part, part, weights=2.0, topology=along, delay=STEP * ms, name=f"along_{part.name}")
    last = nm.Explicit([FIRST - 1], [0])
    net.connect(early, line, weights=2.0, topology=last, delay=STEP * ms, name="early_to_line")
    window = net.modulator(sources={line: 1.0}, tau=0.1, full_scale=3.1, name="window")
    some = nm.Explicit(*np.nonzero(np.random.default_rng(1).random((NOISE, CELLS)) < 0.5))
    for circuit in CIRCUITS:
        cell = nm.LIF(tau_m=20 * ms, tau_s=15 * ms, v_th=1.0, bias=0.55, refractory=5 * ms)
        cells = net.population(CELLS, cell, name=circuit)
        sources: dict[nm.Input | nm.Population, float] = {cells: 1.0 / CELLS}
        if circuit == "drug" and direct:
            sources[reward] = 0.15
        dopamine = net.modulator(sources=sources, tau=0.1, full_scale=4.0, name=f"{circuit}_dopamine")
        learn = Custom(  # 35 of 127 steps of dopamine: what the cells release at 11 Hz
            dw="3*2^-7*u4*(da - 35)*window*t - 2^-7*x0*w*w", dt="2^-1*y0*x1 - 2^-4*u4*t",
            traces={"x1": TraceSpec(impulse=80, tau=20 * ms)},
            modulators={"da": dopamine, "window": window}, w_max=0.2, epoch=EPOCH * ms,
        )  # fmt: skip
        predict = InhibitorySTDP(eta=0.015, tau=20 * ms, target_rate=14 * Hz, w_max=1.6, epoch=EPOCH * ms)
        net.connect(noise, cells, weights=0.06, topology=some, name=f"{circuit}_noise")
        net.connect(cue, cells, weights=0.03, plasticity=learn, name=f"{circuit}_cue")
        net.connect(line, cells, weights=0.0, plasticity=predict, name=f"{circuit}_line")
        net.connect(reward, cells, weights=0.05, name=f"{circuit}_reward")
        net.connect(cost, cells, weights=-0.05, name=f"{circuit}_cost")
        net.probe(cells, "spikes")
    net.phase(0.0, plasticity=learning)
    return net


def trials(n: int, reward: bool = True, cost: bool = False, shuffled: bool = False) -> dict[str, nm.SpikeTrain]:
    """Spikes of n trials; `shuffled`: the reward comes at a random time."""
    begin = np.arange(n) * TRIAL + 1
    at = np.random.default_rng(1).integers(0, TRIAL - 200, n) if shuffled else np.full(n, REWARD)
    nothing = nm.SpikeTrain([], [])
    return {
        "cue": _burst(begin + CUE), "start": nm.SpikeTrain(begin + CUE, np.zeros(n, int)),
        "reward": _burst(begin + at) if reward else nothing, "cost": _burst(begin + at, COST) if cost else nothing,
    }  # fmt: skip


def _burst(at: NDArray[np.int64], volleys: NDArray[np.int64] = VOLLEYS) -> nm.SpikeTrain:
    """Volleys of all channels, which follow each other by 1 ms."""
    steps = at[:, None, None] + volleys[:, None] + np.arange(CHANNELS)
    return nm.SpikeTrain(steps.ravel(), np.broadcast_to(np.arange(CHANNELS), steps.shape).ravel())


def rates(trace: Trace, circuit: str) -> NDArray[np.float64]:
    """Mean rate of a circuit's cells over the last `TESTED` trials of a run, in Hz, by `BIN` of the trial."""
    last = TESTED * TRIAL
    steps = np.asarray(trace.spikes(f"{circuit}.spikes").steps) - (trace.stop - last) - 1
    counts = np.bincount(steps[steps >= 0] % TRIAL // BIN, minlength=TRIAL // BIN)
    return np.asarray(counts / (TESTED * CELLS * BIN / 1000))


def response(rate: NDArray[np.float64], at: int) -> float:
    """Mean rate from a time of the trial on, minus that of the time before."""
    return float(rate[at // BIN : (at + RESPONSE) // BIN].mean() - rate[(at - BEFORE) // BIN : at // BIN].mean())


def measure(machine: Machine, condition: str | None) -> Result:
    """Condition, leave rewards out, devalue; measure the responses of both circuits."""
    yoked = condition == "yoked"
    # Trials that change nothing are left out: of training without learning, of a devaluation that no bar looks at.
    trained = TESTED if condition == "off" else TRAINED - TESTED
    devalued = TESTED if condition in ("off", "yoked") else DEVALUED
    parts = {
        "naive": (TESTED, trials(TESTED, shuffled=yoked)),
        "trained": (trained, trials(trained, shuffled=yoked)),
        "omission": (TESTED, trials(TESTED, reward=False)),
        "tested": (TESTED, trials(TESTED)),
        "devalued": (devalued, trials(devalued, cost=True)),
    }
    data: dict[str, NDArray[np.float64]] = {}
    with machine.open(network(machine.size, condition != "off", condition != "cancellable")) as bench:
        for part, (n, spikes) in parts.items():
            trace = bench.run(n * TRIAL * ms, spikes)
            data |= {f"{circuit} {part}": rates(trace, circuit) for circuit in CIRCUITS}
    cue = {key: max(response(rate, CUE), 0.0) for key, rate in data.items()}
    paid = max(response(data["natural tested"], REWARD), 0.0)
    missing, tonic = data["natural omission"], data["natural omission"][(CUE - BEFORE) // BIN : CUE // BIN].mean()
    with np.errstate(divide="ignore", invalid="ignore"):
        kept = {c: float(np.divide(cue[f"{c} devalued"], cue[f"{c} tested"])) for c in CIRCUITS}
        measures = {
            "cue_share": float(np.divide(cue["natural tested"], cue["natural tested"] + paid)),
            "omission": float(missing[REWARD // BIN : (REWARD + RESPONSE) // BIN].mean() / tonic),
            "drug_advantage": float(np.divide(cue["drug trained"], cue["natural trained"])),
            "drug_kept": kept["drug"], "natural_kept": kept["natural"],
            "cue_response": cue["natural tested"], "reward_response": paid, "tonic": float(tonic),
        }  # fmt: skip
    return Result(measures, data)


def plot(figure: Figure, results: Mapping[str, Result]) -> None:
    """The responses before, after, at omission, and after devaluation."""
    data = results["experiment"].data
    panels = figure.subplots(1, 4, sharey=True)
    titles = {"naive": "first trials", "tested": f"after {TRAINED} trials", "omission": "no reward"}
    titles["devalued"] = "devalued"
    t = (np.arange(0, TRIAL, 2 * BIN) - CUE) / 1000
    for axes, (part, title) in zip(panels, titles.items(), strict=True):
        for circuit, color, width in (("drug", "#d6604d", 2.2), ("natural", "#2166ac", 1.2)):
            rate = data[f"{circuit} {part}"].reshape(-1, 2).mean(axis=1)
            axes.step(t, rate, where="post", color=color, lw=width, label=circuit)
        axes.axvline(0, color="#66737f", lw=0.8, ls=":")
        axes.axvline((REWARD - CUE) / 1000, color="#66737f", lw=0.8, ls=":" if part != "omission" else "--")
        axes.set_title(title, fontsize=10)
        axes.set_xlabel("time from the cue (s)")
    panels[0].set_ylabel("dopamine cells (Hz)")
    panels[0].legend(frameon=False, fontsize=8)


EXPERIMENT = Experiment(
    name="cue-conditioning",
    title="dopamine moves from the reward to its cue; a drug's does not stop",
    table="C",
    source="Schultz, Dayan & Montague (1997), Science 275:1593; Redish (2004), Science 306:1944",
    compression=10.0,
    bars=(
        Bar("cue_share", ">=", 0.8, "the cue's share of the response to cue and reward"),
        Bar("omission", "<=", 0.3, "rate where the reward stays away, of the tonic rate"),
        Bar("drug_advantage", ">=", 1.25, "response to the cue of the drug, of that of the natural reward"),
        Bar("drug_kept", ">=", 0.8, "response to the drug's cue after devaluation, of that before"),
        Bar("natural_kept", "<=", 0.5, "response to the natural cue after devaluation, of that before"),
    ),
    controls={
        "off": ("cue_share", "omission", "drug_advantage", "natural_kept"),
        "yoked": ("cue_share", "omission"),
        "cancellable": ("drug_advantage", "drug_kept"),
    },
    network=network,
    measure=measure,
    plot=plot,
)
