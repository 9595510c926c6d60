"""A small network for each named rule, and what the rule costs on an emulated board."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import get_args

import numpy as np

import neuromorph as nm
from neuromorph import plasticity
from neuromorph.bench.counting import check_counts, count, of_the_engine, of_the_learning
from neuromorph.plasticity.stdp import Variant
from neuromorph.progress import Progress
from neuromorph.session import Session
from neuromorph.targets import find
from neuromorph.units import Hz, ms

__all__ = ["RULES", "RuleCost", "rule_costs", "small"]

VARIANTS: tuple[Variant, ...] = get_args(Variant)
SCALE, STEPS = 4, 256


@dataclass(frozen=True, slots=True)
class RuleCost:
    """Instructions that a rule adds.

    Attributes
    ----------
    update : float or None
        Of the learning phase, decay of traces and all overhead included, per plastic update; None: it has none.
    neuron_step : float
        All that the rule adds to a step (modulators and thresholds, too) against the same network without it, per
        postsynaptic neuron.
    """

    update: float | None
    neuron_step: float


def rule_costs(
    target: str = "mcu:m4", names: Iterable[str] = (), progress: Progress | None = None
) -> dict[str, RuleCost]:
    """What each named rule costs: 64 Poisson inputs at 10 Hz to 32 neurons that fire at about 20 Hz, over 256 steps.

    Parameters
    ----------
    target : str
        An emulated board.
    names : iterable of str
        Of `RULES`; all if empty.
    progress : callable, optional
        Called with ("rules", done, in all).

    Raises
    ------
    TargetError
        The target cannot count instructions.
    """
    costs, plain = {}, {graded: _measured(small(graded=graded, scale=SCALE), target) for graded in (False, True)}
    wanted = list(names or RULES)
    for k, name in enumerate(wanted):
        net = RULES[name](scale=SCALE)
        engine, learning, updates = _measured(net, target)
        without = plain[any(getattr(pop, "graded", False) for pop in net.populations)][0]
        costs[name] = RuleCost(learning / updates if updates else None, (engine - without) / (8 * SCALE * STEPS))
        if progress:
            progress("rules", k + 1, len(wanted))
    return costs


def _measured(net: nm.Network, target: str) -> tuple[int, int, int]:
    """Instructions of the engine, those of its learning phase, and plastic updates."""
    backend, found = find(target)
    program, engine = nm.compile(net, target=target), backend.open(found)
    rng = np.random.default_rng(1)
    inputs = {}
    for name, rate in (("source", 0.01), ("teacher", 0.02)):
        n = program.populations[name].n
        steps, index = np.nonzero(rng.random((STEPS, n)) < rate)
        payloads = rng.integers(1, 128, steps.size) if program.populations[name].graded else None
        inputs[name] = nm.SpikeTrain(steps + 1, index, payloads)
    with Session(program, engine) as session:
        check_counts(engine)
        engine.load(program.image)
        counts = count(engine, lambda: _run(session, inputs))
        return of_the_engine(counts), of_the_learning(counts), session.counters["plastic_updates"]


def _run(session: Session, inputs: dict[str, nm.SpikeTrain]) -> None:
    session.run(steps=STEPS, inputs=inputs)


def small(
    neuron: nm.LIF | nm.TernaryLIF | None = None,
    rule: plasticity.PlasticityRule | None = None,
    graded: bool = False,
    short_term: plasticity.ShortTermPlasticity | None = None,
    scale: int = 0,
) -> nm.Network:
    """16 inputs to 8 neurons; `scale` times as many, each with a teacher that makes it fire, if it is given."""
    net = nm.Network(name="probe", dt=1 * ms, seed=1)
    source = net.input(16 * max(scale, 1), name="source", graded=graded, source=None if graded else nm.Poisson(10 * Hz))
    cells = net.population(8 * max(scale, 1), neuron or nm.LIF(tau_m=20 * ms, tau_s=5 * ms), name="cells")
    for name in rule.reads if rule is not None else ():
        if name == "rate":
            net.rate(cells, tau=1.0, full_scale=100 * Hz, name=name)
        else:
            net.modulator(name=name, full_scale=4.0)
    weights = -0.1 if rule is not None and rule.sign == "inh" else 0.1
    net.connect(source, cells, weights=weights, plasticity=rule, short_term=short_term, name="syn")
    if scale:
        teacher = net.input(8 * scale, name="teacher")
        net.connect(teacher, cells, weights=4.0, topology=nm.OneToOne(), name="teach")
    return net


PAIRS = plasticity.STDP(0.01, 0.01, 20 * ms, 20 * ms, w_max=0.3)
_NAMED: dict[str, plasticity.PlasticityRule] = {
    "TripletSTDP": plasticity.TripletSTDP.visual_cortex(w_max=0.3),
    "InhibitorySTDP": plasticity.InhibitorySTDP(0.005, 20 * ms, target_rate=5 * Hz, w_max=0.3),
    "Oja": plasticity.Oja(eta=0.1, alpha=1.0, tau_pre=50 * ms, tau_post=50 * ms, w_max=0.3, period=16 * ms),
    "CalciumRule": plasticity.CalciumRule(
        tau_calcium=20 * ms, c_pre=1.0, c_post=2.0, theta_p=1.3, theta_d=1.0, gamma_p=2.0, gamma_d=1.0, w_max=0.3
    ),
    "FiniteResource(STDP)": plasticity.FiniteResource(PAIRS, total=2.0),
    "RewardSTDP": plasticity.RewardSTDP(
        a_plus=0.1, a_minus=0.1, tau_plus=20 * ms, tau_minus=20 * ms, tau_eligibility=1.0, modulator="dopamine",
        eta=1.0, w_max=0.3,
    ),
    "PES": plasticity.PES(error="error", learning_rate=1e-3, w_max=0.3),
    "BCM": plasticity.BCM(
        eta=0.01, tau_pre=20 * ms, tau_post=50 * ms, rate="rate", rate_0=10 * Hz, w_max=0.3
    ),
    "Metaplasticity": plasticity.Metaplasticity(
        a2_minus=0.01, a3_plus=0.01, tau_plus=16.8 * ms, tau_minus=33.7 * ms, tau_y=114 * ms, rate="rate",
        rate_0=10 * Hz, w_max=0.3,
    ),
    "STDP + SynapticScaling": PAIRS + plasticity.SynapticScaling(rate="rate", target=10 * Hz, speed=0.05),
    "STDP + Sleep": PAIRS + plasticity.Sleep(gate="night", speed=0.1),
    "STDP + Consolidation": PAIRS + plasticity.Consolidation(
        tau_early=40.0, tau_tag=60.0, tau_late=45.0, threshold=0.05, late_max=0.15, protein="protein"
    ),
    "Gate(STDP)": plasticity.Gate(PAIRS, by="attention"),
    'Custom(dw="2^-2*u4*reward*x1", modulators=...)': plasticity.Custom(
        dw="2^-2*u4*reward*x1", traces={"x1": plasticity.TraceSpec(60, 10 * ms)}, modulators={"reward": "dopamine"}
    ),
}  # fmt: skip
RULES: dict[str, Callable[..., nm.Network]] = {
    **{f'STDP(variant="{name}")': partial(small, rule=replace(PAIRS, variant=name)) for name in VARIANTS},
    "InstarSTDP": partial(small, rule=plasticity.InstarSTDP(0.125, 20 * ms, w_max=0.3)),
    "InstarSTDP(graded=True)": partial(
        small, rule=plasticity.InstarSTDP(0.125, 20 * ms, w_max=0.3, graded=True), graded=True
    ),
    "Hebbian": partial(small, rule=plasticity.Hebbian(0.5, 20 * ms, 20 * ms, w_max=0.3, period=16 * ms, decay=0.1)),
    'Custom(dw="2^-3*y0*x1 - 2^-5*y0*w")': partial(
        small, rule=plasticity.Custom(dw="2^-3*y0*x1 - 2^-5*y0*w", traces={"x1": plasticity.TraceSpec(60, 10 * ms)})
    ),
    **{name: partial(small, rule=rule) for name, rule in _NAMED.items()},
    "ThresholdAdaptation": partial(small, nm.LIF(tau_m=20 * ms, homeostasis=plasticity.ThresholdAdaptation(0.02, 2.0))),
    "ShortTermPlasticity": partial(small, short_term=plasticity.ShortTermPlasticity(U=0.5, tau_rec=800 * ms)),
    "IntrinsicPlasticity": partial(
        small, nm.LIF(tau_m=20 * ms, homeostasis=plasticity.IntrinsicPlasticity(target_rate=5 * Hz))
    ),
}
