"""`cpu:ref`, the executable specification: docs/semantics.md in NumPy integers, one function per paragraph.

Slow and plain on purpose. It shares no code with the C engine; every other engine is tested against it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from neuromorph.program import Modulator, Population, Program, Projection
from neuromorph.rule import MODULATORS, Factor, Product, Rule, modulator_table
from neuromorph_cpu.ref_short_term import ONE, release

__all__ = ["Reference", "SharedNumbers", "mix"]

Ints = NDArray[np.int64]
Number = TypeVar("Number", Ints, int)
U = 1 << 23
THETA_MAX = 1 << 30
MODULATOR_MAX = 1 << 30
PAYLOADS_MAX = 1 << 20
TRACE_MAX = 127
CODES = {"x1": 0, "x2": 1, "y1": 2, "y2": 3, "y3": 4, "w": 10, "tag_2": 11, "tag_1": 12}
IMPULSE = 5  # code of a trace's impulse stream = code of its decay stream + IMPULSE
TAG_FLOOR = -257  # a tag_1 below the range of the accumulator
M32 = 0xFFFFFFFF


def w32(x: Ints) -> Ints:
    """Wrap to 32-bit two's complement."""
    return x.astype(np.int32).astype(np.int64)


def tz(x: Ints, k: Ints | int) -> Ints:
    """``x * k / 4096`` rounded toward zero."""
    magnitude: Ints = np.multiply(np.abs(x), k, dtype=np.int64)
    return np.asarray(np.sign(x) * (magnitude >> 12))


def mix(x: Number) -> Number:
    """32-bit finaliser of the counter-based numbers; of products only the low 32 bits count."""
    h = x & M32
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        h = ((h ^ (h >> shift)) * factor) & M32
    return h ^ (h >> 16)


def hashed(seed: int, stream: int, step: int, i: Ints, j: Ints | None = None) -> Ints:
    """hash1(stream, step, i), or hash2(stream, step, i, j)."""
    key = mix(mix(seed ^ (stream * 0x9E3779B1)) + step)
    return mix(key + i * 0x9E3779B1 + (0 if j is None else j * 0x85EBCA6B))


class SharedNumbers:
    """The scalar random numbers of "shared" rounding, by step: positions are functions of the step alone."""

    def __init__(self, seed: int) -> None:
        self._seeds = {"xd": seed, "xi": seed + 1, "yd": seed + 2, "yi": seed + 3, "c": 2}
        self._at: dict[str, int] = {}
        self._last: dict[str, int] = {}
        self._generators: dict[str, np.random.PCG64] = {}

    def raw(self, stream: str, n: int) -> int:
        """The n-th 64-bit output of a stream."""
        at = self._at.get(stream, -1)
        if n != at:
            if stream not in self._generators:
                self._generators[stream] = np.random.PCG64(self._seeds[stream])
            self._generators[stream].advance(n - at - 1)  # also backwards: the period is 2^128
            self._last[stream] = int(self._generators[stream].random_raw())
            self._at[stream] = n
        return self._last[stream]

    def r53(self, stream: str, n: int) -> int:
        """53-bit number n of a stream."""
        return self.raw(stream, n) >> 11

    def r7(self, stream: str, n: int) -> int:
        """7-bit number n of a stream: two per 64-bit output, low half first."""
        return (self.raw(stream, n // 2) >> (32 * (n % 2)) & M32) >> 25


def _delay_groups(proj: Projection) -> tuple[tuple[int, NDArray[np.bool_] | None], ...]:
    """Stored delays with the synapses that have them (None: all)."""
    if not isinstance(proj.delays, np.ndarray):
        return ((proj.delays, None),)
    return tuple((int(d), proj.delays == d) for d in np.unique(proj.delays))


@dataclass
class Spikes:
    """What a population sent in a step: 0 where silent."""

    payload: Ints

    @property
    def binary(self) -> Ints:
        """1 where there is a spike."""
        return np.asarray(self.payload != 0, dtype=np.int64)


class Reference:
    """A program and its state; `step` runs one step.

    `state` maps (object, variable) to arrays; variables are the state items of docs/image.md, section 2.
    `seen`, if given, counts every wrap, saturation and rounding, by name: tests ask it what they have reached.
    Profile wide is `neuromorph_cpu.ref_wide.WideReference`.
    """

    ACC_FRAC = 7  # bits of the accumulator below a step of the weight

    resource_end = 512
    """`q` ends below it, and at its negative."""

    def __init__(self, program: Program, seen: Counter[str] | None = None) -> None:
        self.program = program
        self.numbers = program.numbers
        self.seen = seen
        self.index = {name: k for k, name in enumerate(program.projections)}
        self.tables = {
            trace: trace.decay.astype(np.int64)
            for proj in program.projections.values() if proj.rule and not self.numbers.trace_frac
            for trace in proj.rule.traces.values() if trace.tau
        }  # fmt: skip
        self.delay_groups = {p.name: _delay_groups(p) for p in program.projections.values()}
        self.fan_out = {
            p.name: np.full(p.weights.shape[0], p.weights.shape[1]) if p.indptr is None else np.diff(p.indptr)
            for p in program.projections.values()
        }
        self.shared = {p.name: SharedNumbers(p.rule.seed) for p in program.projections.values() if p.rule}
        self.modulator_table = modulator_table().astype(np.int64)
        self.reset()

    def reset(self) -> None:
        """Step 0 with the program's initial state."""
        self.t = 0
        self.state: dict[tuple[str, str], Ints] = {}
        self.spikes: dict[str, Spikes] = {}
        self.counters = {"spikes": 0, "synaptic_events": 0, "plastic_updates": 0}
        for pop in self.program.populations.values():
            self._init_population(pop)
        for proj in self.program.projections.values():
            self._init_projection(proj)
        for modulator in self.program.modulators.values():
            n = self.program.values_of(modulator)
            self.state[modulator.name, "m"] = np.zeros(n, np.int64) + modulator.init
        self._manage()

    def _init_population(self, pop: Population) -> None:
        if pop.kind == "input":
            return
        zero = np.zeros(pop.n, np.int64)
        self.state[pop.name, "u"] = zero.copy() if pop.init_u is None else pop.init_u.copy()
        self.state[pop.name, "v"] = zero.copy() if pop.init_v is None else pop.init_v.copy()
        if pop.is_refractory:
            self.state[pop.name, "refr"] = zero.copy()
        if pop.adaptive:
            self.state[pop.name, "theta"] = zero.copy() if pop.init_theta is None else pop.init_theta.copy()
            self.state[pop.name, "adapt"] = np.ones(1, np.int64)

    def _init_projection(self, proj: Projection) -> None:
        n_pre, n_post = self._sizes(proj)
        self.state[proj.name, "ring"] = np.zeros((proj.slots, n_post), np.int64)
        if proj.short_term is not None:
            self.state[proj.name, "stp_u"] = np.zeros_like(proj.weights)
            self.state[proj.name, "stp_x"] = np.full_like(proj.weights, ONE)
            self.state[proj.name, "since"] = np.zeros(n_pre, np.int64)
        if proj.rule is None:
            return
        self.state[proj.name, "w"] = proj.weights.copy()
        for tag, present in (("tag_1", proj.rule.has_tag_1), ("tag_2", proj.rule.has_tag_2)):
            if present:
                self.state[proj.name, tag] = np.zeros_like(proj.weights)
        for trace in proj.rule.traces:
            self.state[proj.name, trace] = np.zeros(n_pre if trace[0] == "x" else n_post, np.int64)
        self.state[proj.name, "tx"] = np.zeros(n_pre, np.int64)
        self.state[proj.name, "ty"] = np.zeros(n_post, np.int64)
        self.state[proj.name, "plastic"] = np.array([int(proj.plastic)])

    def _sizes(self, proj: Projection) -> tuple[int, int]:
        return self.program.populations[proj.pre].n, self.program.populations[proj.post].n

    def _wrap(self, what: str, x: Ints) -> Ints:
        """w32, counted."""
        wrapped = w32(x)
        if self.seen is not None:
            self.seen[f"{what}: wrapped"] += int(np.sum(wrapped != x))
        return wrapped

    def _clip(self, what: str, x: Ints, low: int, high: int) -> Ints:
        """Saturation, counted."""
        if self.seen is not None:
            self.seen[f"{what}: at the upper end"] += int(np.sum(x > high))
            self.seen[f"{what}: at the lower end"] += int(np.sum(x < low))
        return np.minimum(np.maximum(x, low), high)

    def _round_up(self, what: str, r: Ints | int, fraction: Ints | int) -> NDArray[np.bool_]:
        """``r < fraction``, counted where there is a fraction."""
        up = np.asarray(r < np.asarray(fraction))
        if self.seen is not None:
            self.seen[f"{what}: rounded up"] += int(np.sum(up))
            self.seen[f"{what}: rounded down"] += int(np.sum(~up & (np.asarray(fraction) > 0)))
        return up

    # ------------------------------------------------------------------------------------------- one step

    def step(self, injected: Mapping[str, Ints] | None = None) -> None:
        """Run a step; `injected` gives the payloads (n,) of inputs, 0 where silent."""
        self.t += 1
        for name, pop in self.program.populations.items():
            if pop.kind == "input":
                given = (injected or {}).get(name)
                self.spikes[name] = Spikes(np.zeros(pop.n, np.int64) if given is None else given)
            else:
                self.spikes[name] = Spikes(self._update(pop, self._deliver(name, pop.n)))
            self.counters["spikes"] += int(self.spikes[name].binary.sum())
        for proj in self.program.projections.values():
            self._take_in(proj)
        for modulator in self.program.modulators.values():
            self._modulate(modulator)
        for proj in self.program.projections.values():
            if proj.rule is not None and self.t % proj.rule.t_epoch == 0:
                self._learn(proj, proj.rule)
        self._manage()

    def follow(self, spikes: Mapping[str, Ints]) -> None:
        """A step of the learning engine alone, with spikes (n,) of all populations from another machine."""
        self.t += 1
        self.spikes = {name: Spikes(payload) for name, payload in spikes.items()}
        plastic = [(proj, proj.rule) for proj in self.program.projections.values() if proj.rule is not None]
        for proj, rule in plastic:
            self._note_source(proj, rule)
            self._note_target(proj, rule)
        for modulator in self.program.modulators.values():
            self._modulate(modulator)
        for proj, rule in plastic:
            if self.t % rule.t_epoch == 0:
                self._learn(proj, rule)
        self._manage()

    def _deliver(self, population: str, n: int) -> Ints:
        """Section 1.1: what arrives at this step, and the slots emptied."""
        a = np.zeros(n, np.int64)
        for proj in self.program.projections.values():
            if proj.post == population:
                slot = self.state[proj.name, "ring"][self.t % proj.slots]
                a = self._wrap("sum of the input", a + slot)
                slot[:] = 0
        return a

    def _update(self, pop: Population, a: Ints) -> Ints:
        """Section 2: the new u, v, theta, refr; returns the spikes."""
        t, state = self.t, self.state
        u, v = state[pop.name, "u"], state[pop.name, "v"]
        refr = state.get((pop.name, "refr"), np.zeros(pop.n, np.int64))
        theta = state.get((pop.name, "theta"), np.zeros(pop.n, np.int64))
        if pop.has_reset and t % pop.reset_interval == pop.reset_offset % pop.reset_interval:
            u, v, refr = np.zeros_like(u), np.zeros_like(v), np.zeros_like(refr)
        c = self._wrap("u in 32 bits", tz(u, 4095 - pop.du) + self._wrap("input << 6", a << 6))
        wrapped = np.where(c > U, c - 2 * U, c)
        u = np.where(wrapped <= -U, c + 2 * U, wrapped)
        if self.seen is not None:
            self.seen["u in 24 bits: from above"] += int(np.sum(c > U))
            self.seen["u in 24 bits: from below"] += int(np.sum(wrapped <= -U))
        adapting = pop.adaptive and bool(state[pop.name, "adapt"][0])
        if adapting and t % (1 << pop.theta_period) == 0:
            fallen = tz(theta, 4096 - pop.theta_decay) - pop.theta_drift
            theta = self._clip("drifting theta", fallen, pop.theta_min, THETA_MAX)
        free = refr == 0
        refr = np.where(free, 0, refr - 1)
        new_v = self._clip("v", tz(v, 4096 - pop.dv) + u + pop.bias, -U + 1, U - 1)
        v = np.where(free, new_v, v)
        threshold = (pop.vth << 6) + (theta >> pop.theta_frac)
        s = np.asarray(free & (v > threshold), dtype=np.int64)
        if pop.kind == "ternary":
            s -= v < (pop.vth_lo << 6)
        fired = s != 0
        v = np.where(fired, 0, v)
        refr = np.where(fired, pop.refractory, refr)
        if adapting:
            raised = np.where(fired, theta + pop.theta_inc, theta)
            theta = self._clip("theta", raised, pop.theta_min, THETA_MAX)
        state[pop.name, "u"], state[pop.name, "v"] = u, v
        if pop.is_refractory:
            state[pop.name, "refr"] = refr
        if pop.adaptive:
            state[pop.name, "theta"] = theta
        return s

    # ------------------------------------------------------------------------------------------- projections

    def _weights(self, proj: Projection) -> Ints:
        return self.state[proj.name, "w"] if proj.rule is not None else proj.weights

    def _released(self, proj: Projection, sent: Spikes) -> Ints:
        """The weights, times what their synapses release where that changes (3.1)."""
        held, state = proj.short_term, self.state
        if held is None:
            return self._weights(proj)
        frac = self.numbers.weight_frac
        tags = state[proj.name, "tag_2"] << (7 - frac) if held.learned_use else None
        u, x, since = (state[proj.name, key] for key in ("stp_u", "stp_x", "since"))
        released = release(held, u, x, since, sent.payload != 0, self._pairs(proj)[0], tags)
        return (self._weights(proj) * released) >> frac

    def _take_in(self, proj: Projection) -> None:
        """Section 3: contributions into the ring; then the spike times of plastic projections (4.2)."""
        sent = self.spikes[proj.pre]
        s = sent.payload if proj.graded else sent.binary
        weights, ring = self._released(proj, sent), self.state[proj.name, "ring"]
        n_post = ring.shape[1]
        for d, group in self.delay_groups[proj.name] if s.any() else ():
            here = weights if group is None else np.where(group, weights, 0)
            if proj.indices is None:
                acc = s @ here
            else:
                acc = np.zeros(n_post, np.int64)
                np.add.at(acc, proj.indices, here * s[proj.pre_of])
            acc = self._wrap("sum of weights", acc)
            shift = proj.shift(self.numbers)
            contribution = self._wrap("sum << weight_exp", acc << shift) if shift >= 0 else acc >> -shift
            if self.seen is not None:
                lost = (acc & ((1 << -min(shift, 0)) - 1)) != 0
                self.seen["sum >> -weight_exp: bits lost below zero"] += int(np.sum(lost & (acc < 0)))
            slot = (self.t + 1 + d) % proj.slots
            ring[slot] = self._wrap("contributions of one arrival step", ring[slot] + contribution)
        self.counters["synaptic_events"] += int(self.fan_out[proj.name][sent.payload != 0].sum())
        if proj.rule is not None:
            self._note_source(proj, proj.rule)
            self._note_target(proj, proj.rule)

    def _impulse(self, proj: Projection, trace: str, values: Ints, r: Ints | int) -> Ints:
        held = proj.rule.traces[trace]  # type: ignore[union-attr]
        return self._clip("trace", values + held.ii + self._round_up("impulse", r, held.fi), 0, TRACE_MAX)

    def _hash1(self, proj: Projection, code: int, step: int, n: int) -> Ints:
        return hashed(self.program.seed, 16 * self.index[proj.name] + code, step, np.arange(n))

    def _note_source(self, proj: Projection, rule: Rule) -> None:
        te = (self.t - 1) % rule.t_epoch + 1
        sent = self.spikes[proj.pre]
        payload = sent.payload if proj.graded else sent.binary
        spiking, tx = payload != 0, self.state[proj.name, "tx"]
        counted = spiking
        if rule.graded_trace != "none":
            counted = self._graded_trace(proj, rule, payload, spiking)
        again = counted & (tx > 0)
        for trace in ("x1", "x2") if again.any() else ():
            if trace not in rule.traces or (trace == "x1" and rule.graded_trace != "none"):
                continue
            x = self.state[proj.name, trace]
            r: Ints | int = 0
            if self.program.rounding == "synapse":
                r = self._hash1(proj, CODES[trace] + IMPULSE, self.t, x.size) >> 24
            self.state[proj.name, trace] = np.where(again, self._impulse(proj, trace, x, r), x)
        self.state[proj.name, "tx"] = np.where(counted, te, tx)

    def _graded_trace(
        self, proj: Projection, rule: Rule, payload: Ints, spiking: NDArray[np.bool_]
    ) -> NDArray[np.bool_]:
        """x1 takes the payload; returns which spikes count for tx."""
        x1 = self.state[proj.name, "x1"]
        half, odd = payload >> 1, payload & 1
        q = (half + (odd & half)) & 0xFF  # payload / 2, ties to even
        total = (x1 + q) & 255
        counted = spiking
        if rule.graded_trace == "overwrite":
            new = np.where(spiking, self._clip("graded trace, overwrite", q, 0, TRACE_MAX + 1), x1)
        elif rule.graded_trace == "add_saturate":
            new = self._clip("graded trace, add_saturate", total, 0, TRACE_MAX)
        else:  # silent neurons too: an x1 of 128 lasts for one step and becomes 1
            new = np.where(total > TRACE_MAX, total - TRACE_MAX, total)
            counted = spiking & (total > TRACE_MAX)
        self.state[proj.name, "x1"] = new
        return counted

    def _note_target(self, proj: Projection, rule: Rule) -> None:
        te = (self.t - 1) % rule.t_epoch + 1
        spiking, ty = self.spikes[proj.post].payload != 0, self.state[proj.name, "ty"]
        again = spiking & (ty > 0)
        for trace in ("y1", "y2", "y3") if again.any() else ():
            if trace not in rule.traces:
                continue
            y = self.state[proj.name, trace]
            if self.program.rounding == "shared":
                r: Ints | int = self.shared[proj.name].r7("yi", 2 * self.t - 1)
            else:
                r = self._hash1(proj, CODES[trace] + IMPULSE, self.t, y.size) >> 24
            self.state[proj.name, trace] = np.where(again, self._impulse(proj, trace, y, r), y)
        self.state[proj.name, "ty"] = np.where(spiking, te, ty)

    # ------------------------------------------------------------------------------------------- modulators

    def _modulate(self, modulator: Modulator) -> None:
        """Section 4.4: decay, then what the sources sent."""
        value = self.state[modulator.name, "m"]
        if self.t % (1 << modulator.period) == 0:
            value = tz(value, 4096 - modulator.decay)
        for source, gain in modulator.sources:
            payload = self.spikes[source].payload
            sent = payload != 0
            if modulator.shared:
                payload, sent = payload.sum(keepdims=True), sent.any(keepdims=True)
            change = gain * self._clip("payloads of a source", payload, -PAYLOADS_MAX, PAYLOADS_MAX)
            what = f"modulator, {modulator.mode}"
            if modulator.mode == "add":
                value = self._clip(what, value + change, -MODULATOR_MAX, MODULATOR_MAX)
            else:
                value = np.where(sent, self._clip(what, change, -MODULATOR_MAX, MODULATOR_MAX), value)
                if self.seen is not None:
                    self.seen["held modulator: set to 0 by a source that sent"] += int(np.sum(sent & (change == 0)))
        self.state[modulator.name, "m"] = value

    def _modulator_history(self, proj: Projection, rule: Rule, name: str) -> Ints:
        """What a rule reads of a modulator at each step of its epoch, shape (t_epoch + 1, n_post) (4.4)."""
        modulator = self.program.modulators[name]
        read = self._clip("modulator, read", self.state[name, "m"] >> modulator.frac, -128, 127)
        spike_time = self.state[proj.name, "ty"]
        h = [np.broadcast_to(read, spike_time.shape)]
        for k in range(1, rule.t_epoch + 1):
            value = h[-1]
            if self.program.rounding == "shared":
                entry = self.modulator_table[np.abs(value)]
                whole, fraction = entry >> 54, entry & ((1 << 54) - 1)
                below = (value < 0) & (fraction > 0)  # floor(-x) = -floor(x) - 1
                floor = np.where(value < 0, -whole - (fraction > 0), whole)
                fraction = np.where(below, (1 << 53) - fraction, fraction)
                r = self.shared[proj.name].r53("yd", 2 * self.t)
                value = floor + self._round_up("modulator within an epoch", r, fraction)
                spiked = spike_time == k
                if self.seen is not None:
                    self.seen["modulator below 0: read as 0 from the target's spike on"] += int(
                        np.sum(spiked & (value < 0))
                    )
                value = np.where(spiked & (value < 0), 0, value)
            h.append(value)
        return np.array(h)

    def _resource(self, proj: Projection, rule: Rule) -> Ints:
        """What `q` is for each target: the sum of its old weights (4.3)."""
        w, total = self.state[proj.name, "w"], np.zeros(self._sizes(proj)[1], np.int64)
        if proj.indices is None:
            total = w.sum(axis=0)
        else:
            np.add.at(total, proj.indices, w)
        return self._clip("q", w32(total) >> rule.sum_shift, -self.resource_end, self.resource_end - 1)

    # ------------------------------------------------------------------------------------------- learning

    def _learn(self, proj: Projection, rule: Rule) -> None:
        """Section 4: histories of the traces, then the sums of products, all from the old values."""
        name, state = proj.name, self.state
        histories = {trace: self._history(proj, rule, trace) for trace in rule.traces}
        for variable, modulator in zip(MODULATORS, rule.modulators, strict=False):
            histories[variable] = self._modulator_history(proj, rule, modulator)
        due = self._due(proj, rule)
        # Nothing due, nothing changes; but a tag_1 of -257 lies below the range of acc.
        below = bool(np.any(state.get((name, "tag_1"), np.zeros(1)) == TAG_FLOOR))
        if state[name, "plastic"][0] and (due or below):
            old = {"w": state[name, "w"], "d": state.get((name, "tag_2")), "t": state.get((name, "tag_1"))}
            if "q" in rule.variables:
                old["q"] = self._resource(proj, rule)[self._pairs(proj)[1]]
            for variable, series in (("w", rule.dw), ("tag_2", rule.dd), ("tag_1", rule.dt)):
                if (name, variable) in state and series:
                    acc = self._sum(proj, rule, series, state[name, variable] << self.ACC_FRAC, old, histories)
                    state[name, variable] = self._rounded(proj, variable, acc)
            self.counters["plastic_updates"] += due
        for trace in rule.traces:
            state[name, trace] = histories[trace][-1]
        state[name, "tx"] = np.zeros_like(state[name, "tx"])
        state[name, "ty"] = np.zeros_like(state[name, "ty"])

    def _history(self, proj: Projection, rule: Rule, trace: str) -> Ints:
        """h[0..t_epoch] of a trace, shape (t_epoch + 1, n) (4.2)."""
        table = self.tables.get(rule.traces[trace])
        h = [self.state[proj.name, trace]]
        spike_time = self.state[proj.name, "t" + trace[0]]
        n = spike_time.size
        for k in range(1, rule.t_epoch + 1):
            if self.program.rounding == "shared":
                numbers = self.shared[proj.name]
                r_decay: Ints | int = numbers.r53(trace[0] + "d", 2 * self.t)
                r_impulse: Ints | int = numbers.r7(trace[0] + "i", 2 * self.t)
            else:
                step = self.t - rule.t_epoch + k
                r_decay = self._hash1(proj, CODES[trace], step, n) << 21
                r_impulse = self._hash1(proj, CODES[trace] + IMPULSE, step, n) >> 24
            if table is None:
                value = np.zeros(n, np.int64)
            else:
                entry = table[h[-1]]
                value = (entry >> 54) + self._round_up("trace decay", r_decay, entry & ((1 << 54) - 1))
            spiked = spike_time == k
            if spiked.any():
                value = np.where(spiked, self._impulse(proj, trace, value, r_impulse), value)
            h.append(value)
        return np.array(h)

    def _pairs(self, proj: Projection) -> tuple[Ints, Ints]:
        """Source and target index of each weight, in the shape of the weights (or broadcasting to it)."""
        if proj.indptr is None:
            n_pre, n_post = proj.weights.shape
            return np.arange(n_pre)[:, None], np.arange(n_post)[None, :]
        return proj.pre_of, np.asarray(proj.indices)

    def _sum(
        self, proj: Projection, rule: Rule, series: tuple[Product, ...], acc: Ints,
        synaptic: dict[str, Ints | None], histories: dict[str, Ints],
    ) -> Ints:  # fmt: skip
        """The accumulator plus the products (4.3), saturating after each."""
        for product in series:
            active, read = self._reader(proj, rule, product, synaptic, histories)
            p = np.zeros_like(acc) + active
            for factor in product.factors:
                value = read(factor.variable) + factor.constant
                if factor.second:
                    value = value + factor.sign * read(factor.second)
                value, bound = self._function(factor, value), 1 << factor.bits
                p = self._wrap("product of factors", p * self._clip("factor", value, -bound, bound - 1))
            p = self._wrap("product * mantissa", p * product.mant) >> product.hidden_shift
            p = self._clip("product", p << (product.exp + 7), -32769, 32767)
            acc = self._clip("accumulator", acc + p, -32769, 32767)
        return acc

    def _reader(
        self, proj: Projection, rule: Rule, product: Product, synaptic: dict[str, Ints | None],
        histories: dict[str, Ints],
    ) -> tuple[Ints, Callable[[str], Ints]]:  # fmt: skip
        """Where a product's dependency is 1, and what its variables are there (4.3)."""
        i, j = self._pairs(proj)
        tx, ty = self.state[proj.name, "tx"], self.state[proj.name, "ty"]
        if product.dependency == "x0":
            active, at = np.asarray(tx > 0, np.int64)[i], tx[i]
        elif product.dependency == "y0":
            active, at = np.asarray(ty > 0, np.int64)[j], ty[j]
        else:
            active = np.array((self.t // rule.t_epoch) % (1 << product.k) == 0, np.int64)
            at = np.array(rule.t_epoch)

        def read(variable: str) -> Ints:
            if variable in histories:
                return np.asarray(histories[variable][at, i if variable[0] == "x" else j])
            if variable in ("x0", "y0"):
                return (tx > 0)[i].astype(np.int64) if variable == "x0" else (ty > 0)[j].astype(np.int64)
            return np.asarray(0 if variable == "1" else synaptic[variable])

        return active, read

    def _function(self, factor: Factor, value: Ints) -> Ints:
        """sgn, pos or on of a sum (4.3)."""
        if self.seen is not None and factor.extended:
            what = f"{factor.function or 'a sum'} of {'two variables' if factor.second else 'a variable'}"
            for case, where in (("below", value < 0), ("at", value == 0), ("above", value > 0)):
                self.seen[f"{what}: {case} 0"] += int(np.sum(where))
        if factor.function == "sgn":
            return np.sign(value)
        if factor.function == "pos":
            return np.maximum(value, 0)
        return np.asarray(value > 0, dtype=np.int64) if factor.function == "on" else value

    def _rounded(self, proj: Projection, variable: str, acc: Ints) -> Ints:
        """Stochastic rounding of the accumulator and the clip to the variable's range."""
        low, high = self._range(proj, variable)
        if variable == "tag_2" or (variable == "w" and proj.sign_mode == "exc"):
            acc = self._clip(f"sign of {variable}", acc, 0, 32767)
        elif variable == "w" and proj.sign_mode == "inh":
            acc = self._clip("sign of w", acc, -32769, 0)
        if self.program.rounding == "shared":
            epoch = self.t // proj.rule.t_epoch  # type: ignore[union-attr]
            r: Ints | int = self.shared[proj.name].r53("c", epoch) >> 46
        else:
            stream = 16 * self.index[proj.name] + CODES[variable]
            r = hashed(self.program.seed, stream, self.t, *self._pairs(proj)) >> 25
        return self._clip(variable, (acc >> 7) + self._round_up(variable, r, acc & 127), low, high)

    def _range(self, proj: Projection, variable: str) -> tuple[int, int]:
        """Of a weight or a tag."""
        if variable == "w":
            return self.numbers.weights[proj.sign_mode]
        return self.numbers.tag_2 if variable == "tag_2" else self.numbers.tag_1

    def _due(self, proj: Projection, rule: Rule) -> int:
        """Synapses that have a product due in this epoch: the count of plastic updates."""
        i, j = self._pairs(proj)
        epoch = self.t // rule.t_epoch
        x0, y0 = self.state[proj.name, "tx"] > 0, self.state[proj.name, "ty"] > 0
        if any(p.dependency == "u" and epoch % (1 << p.k) == 0 for p in rule.products):
            return proj.synapses
        dependencies = {p.dependency for p in rule.products}
        by_source = x0[i] & ("x0" in dependencies)
        by_target = y0[j] & ("y0" in dependencies)
        return int(np.sum(by_source | by_target))

    def _manage(self) -> None:
        """Section 1.5: schedule entries of this step."""
        for entry in self.program.schedule:
            if entry.step == self.t:
                variable = {"plasticity": "plastic", "adaptation": "adapt", "modulator": "m"}[entry.operation]
                held = self.state[entry.object, variable]
                self.state[entry.object, variable] = np.full_like(
                    held, entry.value if variable == "m" else int(entry.on)
                )
