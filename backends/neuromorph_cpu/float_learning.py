"""Plasticity of the float engine: the ideal rule, with the epochs and reading times of docs/semantics.md, section 4."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from neuromorph.graph import Projection
    from neuromorph.plasticity.base import IdealFactor, IdealRule, IdealTrace, Term
    from neuromorph_cpu.float_modulator import FloatModulator

__all__ = ["Learner", "machine_unit"]

Floats = NDArray[np.float64]
State = dict[tuple[str, str], Floats]
MACHINE_MAX = 255
TRACE_MAX = 127


def machine_unit(projection: Projection) -> float:
    """Physical weight of one machine unit, for rules in machine units: the largest weight over 255."""
    rule = projection.rule
    bound = projection.w_max if projection.w_max is not None else rule.bound if rule is not None else None
    largest = float(np.max(np.abs(projection.weights), initial=0.0)) if bound is None else bound
    return (largest or 1.0) / MACHINE_MAX


class Learner:
    """Traces and weight changes of one projection; its arrays live in the engine's state under (projection, variable).

    Parameters
    ----------
    projection : Projection
        With a rule.
    state : dict
        The engine's state; holds "w" already. The learner adds traces, tags, "tx", "ty" and "plastic".
    n_pre, n_post : int
        Neurons on both sides.
    dt : float
        Step in seconds.
    w_unit : float
        Physical weight of one machine unit, for rules in machine units.
    modulators : tuple of FloatModulator
        Those that the rule reads, in the order of its m1, m2, ...
    """

    def __init__(
        self,
        projection: Projection,
        state: State,
        n_pre: int,
        n_post: int,
        dt: float,
        w_unit: float,
        modulators: tuple[FloatModulator, ...] = (),
    ) -> None:
        if projection.rule is None:
            raise ValueError("the projection has no rule")
        self.name, self.state, self.updates = projection.name, state, 0
        self.rule: IdealRule = projection.rule.ideal(dt)
        self.unit = w_unit if self.rule.machine_units else 1.0
        self.modulators = {f"m{k + 1}": modulator for k, modulator in enumerate(modulators)}
        bound = projection.w_max if projection.w_max is not None else projection.rule.bound
        high = math.inf if bound is None else bound
        self.low = 0.0 if projection.sign == "exc" else -high
        self.high = 0.0 if projection.sign == "inh" else high
        self.sparse = projection.indices is not None
        if projection.indptr is None or projection.indices is None:
            self.pre, self.post = np.arange(n_pre)[:, None], np.arange(n_post)[None, :]
        else:
            self.pre, self.post = np.repeat(np.arange(n_pre), np.diff(projection.indptr)), projection.indices
        self.n_pre, self.n_post = n_pre, n_post
        self.decay = {
            name: math.exp(-dt / trace.tau) if trace.tau > 0 else 0.0 for name, trace in self.rule.traces.items()
        }
        self.tag_series = {"tag_2": self.rule.dd, "tag_1": self.rule.dt}
        self._add_state()

    def _add_state(self) -> None:
        read = self.rule.read
        self.sums = "q" in read
        self.state[self.name, "w"] = self.state[self.name, "w"].copy()
        for tag, letter in (("tag_1", "t"), ("tag_2", "d")):
            if letter in read or self.tag_series[tag]:
                self.state[self.name, tag] = np.zeros_like(self.state[self.name, "w"])
        for name in self.rule.traces:
            self.state[self.name, name] = np.zeros(self.n_pre if name[0] == "x" else self.n_post)
        self.state[self.name, "tx"] = np.zeros(self.n_pre)
        self.state[self.name, "ty"] = np.zeros(self.n_post)
        self.state[self.name, "plastic"] = np.ones(1)

    def __getitem__(self, variable: str) -> Floats:
        return self.state[self.name, variable]

    # -- spikes

    def note(self, t: int, source: NDArray[np.int64], target: NDArray[np.int64]) -> None:
        """Take note of the spikes (payloads, 0 where silent) of both sides at step `t`; source spikes first."""
        te = (t - 1) % self.rule.t_epoch + 1
        counted = source != 0
        if self.rule.graded_trace != "none" and counted.any():
            counted = self._graded(source, counted)
        for side, time, spiking in (("x", self["tx"], counted), ("y", self["ty"], target != 0)):
            if not spiking.any():
                continue
            again = spiking & (time > 0)
            for name, trace in self.rule.traces.items():
                if name[0] == side and not trace.payload:
                    _bump(trace, self[name], again)
            time[spiking] = te

    def _graded(self, payload: NDArray[np.int64], spiking: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Payloads enter x1; returns which spikes count for tx."""
        x1, gain = self["x1"], self.rule.traces["x1"].payload
        value = payload[spiking] * gain
        if self.rule.graded_trace == "overwrite":
            x1[spiking] = value
            return spiking
        total = x1[spiking] + value
        counted = spiking.copy()
        if self.rule.graded_trace == "add_wrap":
            over = total > TRACE_MAX
            total = np.where(over, total - TRACE_MAX, total)
            counted[spiking] = over
        x1[spiking] = total
        return counted

    # -- learning phase

    def learn(self, t: int) -> None:
        """The learning phase at the end of step `t`, if it ends an epoch."""
        if t % self.rule.t_epoch:
            return
        tx, ty = self["tx"].astype(np.int64), self["ty"].astype(np.int64)
        history = {
            name: self._history(name, trace, tx if name[0] == "x" else ty) for name, trace in self.rule.traces.items()
        }
        if self["plastic"][0]:
            self._apply(t, tx, ty, history)
        for name, values in history.items():
            self[name][:] = values[-1]
        self["tx"][:] = 0
        self["ty"][:] = 0

    def _history(self, name: str, trace: IdealTrace, times: NDArray[np.int64]) -> list[Floats]:
        """The trace after each step of the epoch; index 0 is its beginning."""
        values = [self[name]]
        for k in range(1, self.rule.t_epoch + 1):
            value = values[-1] * self.decay[name]
            if not trace.payload:
                _bump(trace, value, times == k)
            values.append(value)
        return values

    def _apply(self, t: int, tx: NDArray[np.int64], ty: NDArray[np.int64], history: Mapping[str, list[Floats]]) -> None:
        """All changes from the old values, then the limits."""
        regions: dict[str, Any] = {}
        epoch = t // self.rule.t_epoch
        total = self._total() if self.sums else np.zeros(0)  # of the old weights
        read = _Read(tx, ty, history, total)
        changes: list[tuple[Floats, Any, Floats]] = []
        for variable, terms, unit in (
            ("w", self.rule.dw, self.unit), ("tag_2", self.rule.dd, 1.0), ("tag_1", self.rule.dt, 1.0),
        ):  # fmt: skip
            for term in terms:
                if term.dependency == "u" and epoch % (1 << term.k):
                    continue
                if term.dependency not in regions:
                    regions[term.dependency] = self._region(term.dependency, tx, ty)
                region = regions[term.dependency]
                if region is not None:
                    changes.append((self[variable], region, self._value(term, region, read) * unit))
        for array, region, change in changes:
            array[region] += change
        for array, region, _ in changes:
            if array is self["w"]:
                array[region] = np.clip(array[region], self.low, self.high)
            elif (self.name, "tag_2") in self.state and array is self["tag_2"]:
                array[region] = np.maximum(array[region], 0.0)
        self.updates += sum(self["w"][region].size for region in regions.values() if region is not None)

    def _region(self, dependency: str, tx: NDArray[np.int64], ty: NDArray[np.int64]) -> Any:
        """Index of the synapses whose dependency is 1, or None."""
        if dependency == "u":
            return (slice(None),) if self.sparse else (slice(None), slice(None))
        times = tx if dependency == "x0" else ty
        if not times.any():
            return None
        if self.sparse:
            return (np.flatnonzero(times[self.pre if dependency == "x0" else self.post]),)
        active = np.flatnonzero(times)
        return (active, slice(None)) if dependency == "x0" else (slice(None), active)

    def _total(self) -> Floats:
        """Sum of the weights onto each target."""
        total = np.bincount(self.post, self["w"], self.n_post) if self.sparse else self["w"].sum(axis=0)
        return np.asarray(total / self.unit / 2.0**self.rule.sum_shift)

    def _value(self, term: Term, region: Any, read: _Read) -> Floats:
        """``coefficient * factors`` over a region."""
        if self.sparse:
            pre, post = self.pre[region], self.post[region]
        else:
            pre, post = self.pre[region[0]], self.post[:, region[1]]
        when: Any = self.rule.t_epoch
        if self.rule.t_epoch > 1 and term.dependency != "u":
            when = read.tx[pre] if term.dependency == "x0" else read.ty[post]
        at = _At(region, pre, post, when)
        value: Any = term.coefficient
        for factor in term.factors:
            value = value * self._factor(factor, at, read)
        return np.asarray(value, dtype=np.float64)

    def _factor(self, factor: IdealFactor, at: _At, read: _Read) -> Floats:
        """``function(variable + sign second + constant)`` over a region."""
        value = self._variable(factor.variable, at, read) + factor.constant
        if factor.second:
            value = value + factor.sign * self._variable(factor.second, at, read)
        if factor.function == "sgn":
            value = np.sign(value)
        elif factor.function == "pos":
            value = np.maximum(value, 0.0)
        elif factor.function == "on":
            value = (value > 0).astype(np.float64)
        return np.asarray(value)

    def _variable(self, name: str, at: _At, read: _Read) -> Any:
        if name in read.history:
            neurons = at.pre if name[0] == "x" else at.post
            values = read.history[name]
            return values[at.when][neurons] if isinstance(at.when, int) else np.stack(values)[at.when, neurons]
        if name in ("x0", "y0"):
            return ((read.tx[at.pre] if name == "x0" else read.ty[at.post]) > 0).astype(np.float64)
        if name == "1":
            return 0.0
        if name == "q":
            return read.total[at.post]
        if name in self.modulators:
            modulator = self.modulators[name]
            level = modulator.read(at.post)
            return level / modulator.machine_unit if self.rule.machine_units else level
        held = self[{"w": "w", "d": "tag_2", "t": "tag_1"}[name]][at.region]
        return held / self.unit if name == "w" else held

    def variables(self) -> Iterator[str]:
        """Names of the learner's own state."""
        return (variable for object_, variable in self.state if object_ == self.name)


def _bump(trace: IdealTrace, values: Floats, spiking: NDArray[np.bool_]) -> None:
    """A spike's impulse, in place."""
    if trace.nearest:
        values[spiking] = trace.impulse
    else:
        values[spiking] += trace.impulse


@dataclass(frozen=True, slots=True)
class _Read:
    """What all terms of a learning phase read: spike times, traces within the epoch, sums of weights by target."""

    tx: NDArray[np.int64]
    ty: NDArray[np.int64]
    history: Mapping[str, list[Floats]]
    total: Floats


@dataclass(frozen=True, slots=True)
class _At:
    """The synapses that a term changes, their neurons, and the step of the epoch at which traces are read."""

    region: Any
    pre: NDArray[np.int64]
    post: NDArray[np.int64]
    when: Any
