"""quantise: physical units become integers, once per profile, consistent over all projections into a population."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np

from neuromorph import program as integer
from neuromorph.errors import ValidationError
from neuromorph.passes.base import Pass, State
from neuromorph.passes.hold import (
    BIAS_MAX,
    check_tau,
    compact,
    hold_adaptation,
    hold_bias,
    hold_du,
    hold_dv,
    hold_threshold,
    tau_of,
)
from neuromorph.passes.modulator import hold_modulator
from neuromorph.passes.scale import (
    CURRENT_MAX,
    EXP_MAX,
    EXP_MIN,
    Incoming,
    Scale,
    choose_scale,
    column_sums,
    peak_current,
)
from neuromorph.passes.short_term import hold_short_term
from neuromorph.profiles import PROFILES
from neuromorph.report import Entry, Notice, compare_values
from neuromorph.short_term import ONE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from neuromorph import graph
    from neuromorph.engine import Target
    from neuromorph.passes.discretise import Dynamics
    from neuromorph.rule import Rule

__all__ = ["Quantise"]

Sign = Literal["mixed", "exc", "inh"]
VTH_COARSE = 256
BIAS_WARN = 0.01
EVEN_ROUNDING = 1.0  # of a static mixed weight; others round by at most half a unit
THETA_ROOM, PLAIN_ROOM = 4, 2


@dataclass(frozen=True)
class Quantise(Pass):
    """Fill in `State.populations`, `State.projections`, `State.modulators`, `State.scales`.

    Parameters
    ----------
    zero_share : float
        Warn when more than this share of a projection's weights that are not 0 round to 0.
    payload_max : int
        Largest payload of graded inputs that the current must hold: 254 is the most that a learning trace can tell.
    """

    name: ClassVar[str] = "quantise"
    zero_share: float = 0.05
    payload_max: int = 254

    def run(self, state: State) -> State:
        """Choose scales, then hold every parameter and weight."""
        book = _Book([], [], [])
        pops: dict[str, integer.Population] = {}
        projs: dict[str, integer.Projection] = {}
        scales: dict[str, dict[str, float]] = {}
        modulators = {m.name: hold_modulator(m, state.graph.dt) for m in state.graph.modulators}
        coarse = {name: held.coarse for name, held in modulators.items()}
        graph_pops = {p.name: p for p in state.graph.populations}
        for pop in state.graph.populations:
            if pop.kind == "input":
                pops[pop.name] = integer.Population(pop.name, pop.n, "input", graded=pop.graded)
                continue
            held = _Held.of(state.dynamics[pop.name])
            arrows = [p for p in state.graph.projections if p.post == pop.name]
            incoming = [self._incoming(p, graph_pops[p.pre], pop, held, state) for p in arrows]
            limited = [t for t in state.targets if t.input_max]
            scale = _choose(pop, held, incoming, state.targets)
            pops[pop.name], scales[pop.name] = _population(pop, held, scale, state.graph.dt, book)
            self._warn_wrap(pop, held, incoming, scale, book)
            _warn_input(pop, incoming, scale, limited, book)
            for proj in arrows:
                projs[proj.name], unit = self._projection(proj, held, scale, state, book, coarse)
                if unit is not None:
                    scales[proj.name] = {"w": unit}
                if proj.short_term is not None:
                    release, lines = hold_short_term(proj, proj.short_term, state.graph.dt)
                    projs[proj.name] = replace(projs[proj.name], short_term=release)
                    scales[proj.name] = {**scales.get(proj.name, {}), "stp_u": 1 / ONE, "stp_x": 1 / ONE}
                    book.entries.extend(lines)
        for name, modulator in modulators.items():
            scales[name] = {"m": 1 / modulator.fine}
            book.entries.extend(modulator.entries)
        return replace(
            state, populations=pops, projections={p.name: projs[p.name] for p in state.graph.projections},
            modulators={name: modulator.made for name, modulator in modulators.items()}, scales=scales,
            advice=(*state.advice, *book.advice),
        ).noting(book.entries, book.warnings)  # fmt: skip

    def _incoming(
        self, proj: graph.Projection, pre: graph.Population, post: graph.Population, held: _Held, state: State
    ) -> Incoming:
        """What scale.py needs to know of a projection."""
        sign = _sign(proj)
        weights, gain = np.asarray(proj.weights, float), held.per_target(proj)
        strength = weights * gain
        spikes = self.payload_max if proj.graded and pre.graded else 1
        period = 1 if pre.kind == "input" else int(np.min(state.dynamics[pre.name].refractory)) + 1
        once = np.broadcast_to(1.0 - held.ku**period, (post.n,))
        weight = spikes / once
        positive, negative, count = column_sums(strength, proj.indices, post.n)
        if proj.graded:  # payloads may be negative
            positive = negative = positive + negative
        groups = np.unique(proj.delays).size
        largest = float(np.max(np.abs(strength), initial=0.0))
        even = sign == "mixed" and proj.rule is None
        if proj.rule is not None:
            if np.ptp(held.gain) > 1e-9 * np.max(held.gain):
                raise ValidationError(
                    f"projection {proj.name!r} is plastic and {post.name!r} has neurons of different gain (tau_s or "
                    "resistance): its weights would have no common unit; use one population per time constant"
                )
            largest = _w_max(proj) * float(np.max(held.gain))
            n = np.ones_like(weights) if proj.indices is None else np.ones(weights.shape)
            count = column_sums(n, proj.indices, post.n)[2]
        return Incoming(
            proj.name, proj.rule is not None, largest, 254 if even else 255, EVEN_ROUNDING if even else 0.5,
            positive * weight, negative * weight, count * weight, groups * weight, once,
            "mixed" if proj.graded else sign,
        )  # fmt: skip

    def _warn_wrap(
        self, pop: graph.Population, held: _Held, incoming: list[Incoming], scale: Scale, book: _Book
    ) -> None:
        start = float(np.max(np.abs(np.asarray(pop.u_init, float) * held.gain))) * scale.k_scale
        excitation, inhibition = peak_current(incoming, scale.k_scale)
        need = max(excitation, inhibition) + start
        if need <= CURRENT_MAX:
            return
        side = int(inhibition >= excitation)
        widest = max(incoming, key=lambda i: float(np.max(i.reach(scale.k_scale)[side])))
        kind = ("sum", "inhibition")[side]
        book.warn(
            "wrap", pop.name,
            f"{kind} into {pop.name!r} could wrap the current and change its sign: if all sources spike it needs "
            f"{need / 64:.0f} of {CURRENT_MAX // 64} units, most of it from {widest.name!r}; use weaker weights, fewer "
            "inputs at a time, a shorter tau_s, or a relay cell for inhibition (a graded input counts with payload "
            f"{self.payload_max})",
        )  # fmt: skip

    def _projection(
        self, proj: graph.Projection, held: _Held, scale: Scale, state: State, book: _Book, coarse: Mapping[str, float]
    ) -> tuple[integer.Projection, float | None]:
        """Integer weights, delays and rule, and the physical weight of one step (None: it differs over the targets)."""
        sign, exponent, numbers = _sign(proj), scale.exponents[proj.name], PROFILES[state.profile]
        unit = 64 * 2.0**exponent / (scale.k_scale * held.per_target(proj)) / numbers.one
        weights = np.asarray(proj.weights, float)
        step = 2 if proj.rule is None and sign == "mixed" and numbers.even else 1
        raw = np.rint(weights / unit / step) * step
        low, high = numbers.weights[sign]
        ints = np.clip(raw, low, high - high % step).astype(np.int64)
        entry = compare_values(
            proj.name, "weights", weights, ints * unit, saturated=int(np.sum(raw != ints)), beside_largest=True
        )
        book.entries.append(entry)
        used = int(np.count_nonzero(weights))
        if entry.to_zero > self.zero_share * used:
            book.warn("to_zero", proj.name, f"{entry.to_zero} of {used} weights of {proj.name!r} are under half of the "
                      f"smallest step ({np.max(unit) * step:.3g}) and are held as 0: narrow the range of its weights, "
                      "or use two projections")  # fmt: skip
        if entry.saturated:
            book.warn("saturated", proj.name, f"{entry.saturated} of {entry.count} weights of {proj.name!r} exceed the "
                      f"largest that can be held ({high * np.max(unit):.4g}): raise w_max or lower "
                      "the weights")  # fmt: skip
        one = float(np.max(unit)) if np.ptp(unit) <= 1e-9 * np.max(unit) else None
        rule = None if one is None else _rule(proj, one * numbers.one, state, book, coarse)
        stored = np.asarray(proj.delays) - 1
        made = integer.Projection(
            proj.name, proj.pre, proj.post, ints, exponent, sign, compact(stored) if stored.size else 0,
            proj.indptr, proj.indices, proj.graded, rule,
        )  # fmt: skip
        return made, one


@dataclass(frozen=True)
class _Book:
    """Lines for the report, collected by one run of the pass."""

    entries: list[Entry]
    warnings: list[Notice]
    advice: list[Notice]

    def warn(self, code: str, where: str, message: str) -> None:
        self.warnings.append(Notice(code, where, message))


@dataclass(frozen=True)
class _Held:
    """Decays as the machine has them; gain and drive follow them, so that charge and rest are right."""

    du: NDArray[np.int64]
    ku: NDArray[np.float64]
    dv: NDArray[np.int64]
    kv: NDArray[np.float64]
    gain: NDArray[np.float64]
    drive: NDArray[np.float64]
    refractory: NDArray[np.int64]

    @classmethod
    def of(cls, dyn: Dynamics) -> _Held:
        du, ku = hold_du(dyn.ku)
        dv, kv = hold_dv(dyn.kv)
        return cls(du, ku, dv, kv, (1 - ku) * dyn.charge, (1 - kv) * dyn.bias, dyn.refractory)

    def per_target(self, proj: graph.Projection) -> NDArray[np.float64]:
        """The gain of each weight's target, to be multiplied with the weights."""
        return self.gain if self.gain.ndim == 0 or proj.indices is None else self.gain[proj.indices]


def _sign(proj: graph.Projection) -> Sign:
    """The sign mode; static weights of one sign use all 8 bits where mixed ones would lose one."""
    if proj.rule is not None or proj.sign != "mixed":
        return proj.sign
    if np.all(np.asarray(proj.weights) >= 0):
        return "exc"
    return "inh" if np.all(np.asarray(proj.weights) <= 0) else "mixed"


def _w_max(proj: graph.Projection) -> float:
    bound = proj.w_max if proj.w_max is not None else (proj.rule.bound if proj.rule is not None else None)
    largest = bound if bound is not None else float(np.max(np.abs(proj.weights), initial=0.0))
    if largest <= 0:
        raise ValidationError(f"projection {proj.name!r}: no largest weight in the rule, all weights 0: give w_max")
    return float(largest)


def _rule(
    proj: graph.Projection, unit: float, state: State, book: _Book, coarse: Mapping[str, float]
) -> Rule | None:  # fmt: skip
    if proj.rule is None:
        return None
    book.entries.append(compare_values(proj.name, "w_max", _w_max(proj), 255 * unit))
    read = {name: coarse[name] for name in proj.rule.reads}
    lowered = proj.rule.lower(unit, state.graph.dt, read, PROFILES[state.profile])
    book.entries.extend(compare_values(proj.name, f"rule {n.name}", n.asked, n.held, n.unit) for n in lowered.notes)
    for message in lowered.warnings:
        book.warn("rule", proj.name, message)
    if lowered.wide:
        book.advice.append(Notice("wide", proj.name, f"{type(proj.rule).__name__}: {'; '.join(lowered.wide)}"))
    return lowered.rule


def _warn_input(
    pop: graph.Population, incoming: list[Incoming], scale: Scale, limited: list[Target], book: _Book
) -> None:
    need = max(peak_current(incoming, scale.k_scale, once=True))
    for target in limited:
        if need > target.input_max:
            book.warn(
                "wrap", pop.name,
                f"what arrives at {pop.name!r} in one step could be too much for {target.name!r}: if all sources spike "
                f"it needs {need / 64:.0f} of {target.input_max // 64} units; use fewer or weaker synapses that are "
                "active together",
            )  # fmt: skip


def _choose(pop: graph.Population, held: _Held, incoming: list[Incoming], targets: tuple[Target, ...]) -> Scale:
    """K under the limits that initial values, bias and targets set."""
    limits = [np.inf]
    for value, most in ((held.drive, BIAS_MAX), (np.asarray(pop.v_init), CURRENT_MAX),
                        (np.asarray(pop.u_init) * held.gain, CURRENT_MAX)):  # fmt: skip
        largest = float(np.max(np.abs(value)))
        limits.append(most / largest if largest else np.inf)
    thresholds = np.asarray(pop.v_th, float).ravel()
    if pop.kind == "ternary":
        low = -np.asarray(pop.v_th_low, float).ravel()
        thresholds = np.concatenate([thresholds, low[low > 0]])
    start = float(np.max(np.abs(np.asarray(pop.u_init, float) * held.gain)))
    return choose_scale(
        incoming, float(thresholds.max()), float(thresholds.min()), min(limits), start=start,
        room=PLAIN_ROOM if pop.adaptation is None else THETA_ROOM,
        input_max=min((float(t.input_max) for t in targets if t.input_max), default=np.inf),
        exponents=(max((t.exponents[0] for t in targets), default=EXP_MIN),
                   min((t.exponents[1] for t in targets), default=EXP_MAX)),
    )  # fmt: skip


def _population(
    pop: graph.Population, held: _Held, scale: Scale, dt: float, book: _Book
) -> tuple[integer.Population, dict[str, float]]:
    where, k = f"population {pop.name!r},", scale.k_scale
    for name, asked, factor in (("tau_s", pop.tau_s, held.ku), ("tau_m", pop.tau_m, held.kv)):
        tau = tau_of(factor, dt)
        check_tau(f"{where} {name}", asked, tau, dt)
        book.entries.append(compare_values(pop.name, name, asked, tau, "s"))
    vth = hold_threshold(f"{where} v_th", pop.v_th, k)
    book.entries.append(compare_values(pop.name, "v_th", pop.v_th, vth * 64 / k))
    smallest = vth.min()
    if smallest < VTH_COARSE:
        book.warn("precision", pop.name, f"the threshold of {pop.name!r} is only {smallest:.0f} units (wanted: "
                  f"{VTH_COARSE}): single inputs are held coarsely; narrow the range of thresholds, bias and initial "
                  "values")  # fmt: skip
    bias = hold_bias(held.drive * k)
    if np.any(held.drive):
        entry = compare_values(pop.name, "bias", pop.bias, bias / k / np.maximum(1 - held.kv, 1e-300))
        book.entries.append(entry)
        if abs(entry.error) > BIAS_WARN:
            book.warn("bias", pop.name, f"a bias of {pop.name!r} is held {entry.error:+.1%} off ({entry.asked:g} as "
                      f"{entry.held:g}): 13 bits and one exponent hold all of its neurons")  # fmt: skip
    kwargs: dict[str, object] = {}
    scales = {"v": 1 / k, "threshold": 1 / k}
    if np.ptp(held.gain) <= 1e-9 * np.max(held.gain):
        scales["u"] = 1 / float(k * np.max(held.gain))
    if pop.kind == "ternary":
        kwargs["vth_lo"] = compact(hold_threshold(f"{where} v_th_low", pop.v_th_low, k))
        book.entries.append(compare_values(pop.name, "v_th_low", pop.v_th_low, np.asarray(kwargs["vth_lo"]) * 64 / k))
    if pop.adaptation is not None:
        kwargs |= _adaptation(pop, pop.adaptation, k, dt, scales, book)
    for key, value, gain in (("init_v", pop.v_init, 1.0), ("init_u", pop.u_init, held.gain)):
        if np.any(value):
            kwargs[key] = np.rint(np.broadcast_to(np.asarray(value) * gain * k, (pop.n,))).astype(np.int64)
    return integer.Population(
        pop.name, pop.n, pop.kind, compact(held.du), compact(held.dv), compact(vth), compact(bias),
        compact(held.refractory), reset_interval=pop.reset_interval, reset_offset=pop.reset_offset,
        **kwargs,  # type: ignore[arg-type]
    ), scales  # fmt: skip


def _adaptation(
    pop: graph.Population, asked: graph.Adaptation, k: float, dt: float, scales: dict[str, float], book: _Book
) -> dict[str, object]:
    theta = hold_adaptation(f"population {pop.name!r}, adaptation", asked, k, dt)
    fine = k * 2.0**theta.frac
    scales["theta"] = 1 / fine
    if asked.drift:
        rate, step = asked.drift / float(np.max(np.asarray(asked.increment))), dt * 2**theta.period
        held_rate = theta.drift / float(np.max(theta.inc)) / step
        book.entries.append(compare_values(pop.name, "adaptation target rate", rate, held_rate, "Hz"))
    else:
        book.entries.append(compare_values(pop.name, "adaptation tau", asked.tau, theta.tau, "s"))
    book.entries.append(compare_values(pop.name, "adaptation increment", asked.increment, theta.inc / fine))
    if asked.floor:
        book.entries.append(compare_values(pop.name, "adaptation floor", asked.floor, theta.floor / fine))
    if theta.loss > 0.05:
        book.warn("precision", pop.name, f"the increment of the adaptive threshold of {pop.name!r} is so small "
                  f"beside its time constant that rounding decays it {theta.loss:.0%} faster: use a larger "
                  "increment")  # fmt: skip
    held: dict[str, object] = {
        "adaptive": True, "theta_inc": compact(theta.inc), "theta_decay": theta.decay,
        "theta_period": theta.period, "theta_frac": theta.frac, "theta_drift": theta.drift, "theta_min": theta.floor,
    }  # fmt: skip
    if np.any(theta.init):
        held["init_theta"] = np.broadcast_to(theta.init, (pop.n,)).astype(np.int64)
    return held
