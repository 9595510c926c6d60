"""`cpu:float`: the ideal model of a Graph in float64.

No rounding, no saturation, no random numbers; the steps, delays and epochs of docs/semantics.md, the exact exponential
solution of the equations between steps, and the rules as written (weights stop at their bounds).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuromorph.errors import UnsupportedError, ValidationError
from neuromorph.graph import Graph, Population, Probe, Projection
from neuromorph.parameters import as_numbers
from neuromorph.passes.discretise import Dynamics, decay, dynamics
from neuromorph_cpu.float_learning import Learner, machine_unit
from neuromorph_cpu.float_modulator import FloatModulator
from neuromorph_cpu.float_short_term import FloatShortTerm

__all__ = ["Events", "FloatEngine", "Samples", "SpikeColumn"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Events = tuple[ArrayLike, ArrayLike, "ArrayLike | None"]
"""Steps, neurons and payloads (None: 1) of an input's spikes."""


@dataclass(frozen=True, slots=True)
class SpikeColumn:
    """Spikes that a probe saw, by step, then neuron; arrays of shape (spikes,)."""

    steps: Ints
    indices: Ints
    payloads: Ints


@dataclass(frozen=True, slots=True)
class Samples:
    """A sampled variable: `steps` (samples,), `values` (samples, *shape of the variable)."""

    steps: Ints
    values: Floats


@dataclass(slots=True)
class _Neurons:
    """A population that computes: its equations per step and its thresholds."""

    pop: Population
    held: Dynamics
    v_th: Floats
    theta_decay: float = 1.0
    drift: float = 0.0
    floor: float = 0.0
    incoming: list[_Synapses] = field(default_factory=list)


class _Synapses:
    """Delivery of one projection: weights, delays, and the ring of what is under way."""

    def __init__(self, projection: Projection, n_pre: int, n_post: int) -> None:
        self.projection, self.n_post = projection, n_post
        self.delays = np.asarray(projection.delays, dtype=np.int64)
        self.slots = int(self.delays.max(initial=1))
        self.indptr, self.indices = projection.indptr, projection.indices
        self.fan_out = np.full(n_pre, n_post) if self.indptr is None else np.diff(self.indptr)
        self.one_delay = int(self.delays) if self.delays.ndim == 0 else 0
        self.learner: Learner | None = None
        self.short_term: FloatShortTerm | None = None

    def send(self, t: int, s: Ints, active: Ints, weights: Floats, ring: Floats) -> int:
        """Put the spikes `s` of step `t`, those of the neurons `active`, under way; returns the synaptic events."""
        sent = s[active].astype(np.float64) if self.projection.graded else np.ones(active.size)
        if self.indptr is None or self.indices is None:
            rows = weights[active] * sent[:, None]
            if self.one_delay:
                ring[(t + self.one_delay) % self.slots] += rows.sum(axis=0)
            else:
                slot = (t + self.delays[active]) % self.slots
                np.add.at(ring, (slot, np.broadcast_to(np.arange(self.n_post), slot.shape)), rows)
        else:
            counts = self.fan_out[active]
            place = np.repeat(self.indptr[active] - np.cumsum(counts) + counts, counts) + np.arange(counts.sum())
            slot = (t + (np.full(place.size, self.one_delay) if self.one_delay else self.delays[place])) % self.slots
            np.add.at(ring, (slot, self.indices[place]), weights[place] * np.repeat(sent, counts))
        return int(self.fan_out[active].sum())


class FloatEngine:
    """Runs a Graph.

    Parameters
    ----------
    graph : Graph, optional
        Loaded at once if given.
    w_units : mapping, optional
        By projection: physical weight of one machine unit, for rules in machine units; default: largest weight / 255.
    """

    target = "cpu:float"

    def __init__(self, graph: Graph | None = None, w_units: Mapping[str, float] | None = None) -> None:
        self._graph: Graph | None = None
        if graph is not None:
            self.load(graph, w_units)

    # -- life

    def load(self, graph: Graph, w_units: Mapping[str, float] | None = None) -> None:
        """Take a graph and put it at step 0."""
        _check(graph)
        self._graph, self._w_units = graph, dict(w_units or {})
        self.reset()

    @property
    def graph(self) -> Graph:
        """The loaded graph."""
        if self._graph is None:
            raise ValidationError("cpu:float has no network yet; load one")
        return self._graph

    def reset(self) -> None:
        """Back to step 0 with the initial state."""
        graph = self.graph
        self._t = 0
        self._state: dict[tuple[str, str], Floats] = {}
        self._spikes = {pop.name: np.zeros(pop.n, dtype=np.int64) for pop in graph.populations}
        self._counters = {"spikes": 0, "synaptic_events": 0}
        self._neurons = {p.name: self._make_neurons(p) for p in graph.populations if p.kind != "input"}
        self._modulators = {m.name: FloatModulator.of(m, graph.dt) for m in graph.modulators}
        self._state |= {(name, "m"): modulator.values for name, modulator in self._modulators.items()}
        self._synapses = {p.name: self._make_synapses(p) for p in graph.projections}
        self._manage()

    def _make_neurons(self, pop: Population) -> _Neurons:
        held = dynamics(pop, self.graph.dt)
        for variable, initial in (("u", pop.u_init), ("v", pop.v_init)):
            self._state[pop.name, variable] = np.array(np.broadcast_to(initial, pop.n), dtype=np.float64)
        if np.any(held.refractory):
            self._state[pop.name, "refr"] = np.zeros(pop.n)
        keep, drift, floor = 1.0, 0.0, 0.0
        if pop.adaptation is not None:
            drift, floor = pop.adaptation.drift * self.graph.dt, pop.adaptation.floor
            keep = float(decay(np.asarray(pop.adaptation.tau, dtype=np.float64), self.graph.dt))
            self._state[pop.name, "theta"] = np.array(np.broadcast_to(pop.adaptation.init, pop.n), dtype=np.float64)
            self._state[pop.name, "adapt"] = np.ones(1)
        return _Neurons(pop, held, np.asarray(pop.v_th, dtype=np.float64), keep, drift, floor)

    def _make_synapses(self, projection: Projection) -> _Synapses:
        n_pre, n_post = self._spikes[projection.pre].size, self._spikes[projection.post].size
        synapses = _Synapses(projection, n_pre, n_post)
        self._state[projection.name, "w"] = np.array(projection.weights, dtype=np.float64)
        self._state[projection.name, "ring"] = np.zeros((synapses.slots, n_post))
        self._neurons[projection.post].incoming.append(synapses)
        asked = projection.short_term
        if asked is not None:
            synapses.short_term = FloatShortTerm(projection, asked, self._state, n_pre, self.graph.dt)
        if projection.rule is not None:
            unit = self._w_units.get(projection.name, machine_unit(projection))
            read = tuple(self._modulators[name] for name in projection.rule.reads)
            synapses.learner = Learner(projection, self._state, n_pre, n_post, self.graph.dt, unit, read)
        return synapses

    def now(self) -> int:
        """The last step done."""
        return self._t

    def counters(self) -> dict[str, int]:
        """Work done: spikes, synaptic_events, plastic_updates."""
        learners = [s.learner for s in self._synapses.values() if s.learner is not None]
        return {**self._counters, "plastic_updates": sum(learner.updates for learner in learners)}

    def close(self) -> None:
        """Nothing to free."""

    # -- state

    def variables(self) -> tuple[tuple[str, str], ...]:
        """All (object, variable) of the state that `read` and `write` take."""
        return tuple(self._state)

    def read(self, object_name: str, variable: str) -> Floats:
        """A copy of a state variable; `threshold` is ``v_th + theta``."""
        if variable == "threshold" and object_name in self._neurons:
            neurons = self._neurons[object_name]
            base = np.broadcast_to(neurons.v_th, neurons.pop.n)
            return np.array(base + self._state.get((object_name, "theta"), 0.0))
        return self._find(object_name, variable).copy()

    def write(self, object_name: str, variable: str, values: ArrayLike) -> None:
        """Set a state variable; a scalar or an array of its shape, finite."""
        held = self._find(object_name, variable)
        array = as_numbers(f"{object_name}.{variable}", values)
        if array.shape not in ((), held.shape) or not np.isfinite(array).all():
            raise ValidationError(
                f"{object_name}.{variable}: finite numbers of shape {held.shape} are needed, got shape {array.shape}"
            )
        held[...] = array

    def _find(self, object_name: str, variable: str) -> Floats:
        found = self._state.get((object_name, variable))
        if found is None:
            known = [v for o, v in self._state if o == object_name]
            hint = f"it has {', '.join(known)}" if known else f"objects: {', '.join({o: 0 for o, _ in self._state})}"
            raise ValidationError(f"{object_name!r} has no variable {variable!r}; {hint}")
        return found

    def snapshot(self) -> dict[str, object]:
        """The whole state, to be restored here or in another engine with the same graph."""
        return {"step": self._t, "state": {key: value.copy() for key, value in self._state.items()}}

    def restore(self, snapshot: Mapping[str, object]) -> None:
        """Go back to a snapshot; one of another graph is refused and changes nothing."""
        step, state = snapshot.get("step"), snapshot.get("state")
        if not isinstance(step, int) or not isinstance(state, dict) or state.keys() != self._state.keys():
            raise ValidationError("the snapshot belongs to another network")
        if any(np.shape(state[key]) != value.shape for key, value in self._state.items()):
            raise ValidationError("the snapshot belongs to another network: shapes differ")
        for key, value in self._state.items():
            value[...] = state[key]
        self._t = step

    # -- running

    def run(
        self,
        steps: int,
        events: Mapping[str, Events] | None = None,
        probes: Iterable[Probe] | None = None,
        on_progress: Callable[[int], None] | None = None,
    ) -> dict[str, SpikeColumn | Samples]:
        """Run steps ``now() + 1 .. now() + steps``.

        Parameters
        ----------
        steps : int
            How many, >= 0.
        events : mapping
            By input: steps, neurons and payloads of its spikes, in any order; steps count from 1 and lie in this run.
        probes : iterable of Probe, optional
            What to record; default: the graph's probes.
        on_progress : callable, optional
            Called with the last step done, every thousand steps.

        Returns
        -------
        dict
            By probe: a `SpikeColumn` or `Samples`.
        """
        if steps < 0:
            raise ValidationError(f"steps = {steps} must be >= 0")
        chosen = self.graph.probes if probes is None else tuple(probes)
        inputs = {name: self._schedule(name, given, steps) for name, given in (events or {}).items()}
        recorders = [_Recorder(probe, self) for probe in chosen]
        for _ in range(steps):
            self._step({name: given[self._t + 1] for name, given in inputs.items() if self._t + 1 in given})
            for recorder in recorders:
                recorder.sample(self._t)
            if on_progress is not None and self._t % 1000 == 0:
                on_progress(self._t)
        return {recorder.probe.name: recorder.column() for recorder in recorders}

    def _schedule(self, name: str, events: Events, steps: int) -> dict[int, tuple[Ints, Ints]]:
        """An input's events by step."""
        pop = next((p for p in self.graph.populations if p.name == name), None)
        if pop is None or pop.kind != "input":
            raise ValidationError(f"{name!r} is no input of this network")
        when, who = (np.atleast_1d(np.asarray(a, dtype=np.int64)) for a in events[:2])
        payload = np.ones_like(who) if events[2] is None else np.atleast_1d(np.asarray(events[2], dtype=np.int64))
        if when.shape != who.shape or payload.shape != who.shape or when.ndim != 1:
            raise ValidationError(f"input {name!r}: steps, neurons and payloads must be of one length")
        if when.size and (when.min() <= self._t or when.max() > self._t + steps):
            raise ValidationError(f"input {name!r}: steps must lie in {self._t + 1}..{self._t + steps}")
        if who.size and (who.min() < 0 or who.max() >= pop.n):
            raise ValidationError(f"input {name!r}: neurons must lie in 0..{pop.n - 1}")
        if not when.size:
            return {}
        order = np.argsort(when, kind="stable")
        distinct, first = np.unique(when[order], return_index=True)
        groups = zip(np.split(who[order], first[1:]), np.split(payload[order], first[1:]), strict=True)
        return dict(zip(distinct.tolist(), groups, strict=True))

    def _step(self, injected: Mapping[str, tuple[Ints, Ints]]) -> None:
        """One step in the order of docs/semantics.md, section 1."""
        self._t += 1
        t = self._t
        active: dict[str, Ints] = {}
        for pop in self.graph.populations:
            if pop.kind == "input":
                spikes = np.zeros(pop.n, dtype=np.int64)
                if pop.name in injected:
                    who, payload = injected[pop.name]
                    spikes[who] = payload
            else:
                spikes = self._update(self._neurons[pop.name])
            self._spikes[pop.name], active[pop.name] = spikes, spikes.nonzero()[0]
            self._counters["spikes"] += active[pop.name].size
        for name, synapses in self._synapses.items():
            pre, post = synapses.projection.pre, synapses.projection.post
            weights = self._state[name, "w"]
            if synapses.short_term is not None:
                weights = synapses.short_term.released(self._spikes[pre], weights)
            if active[pre].size:
                ring = self._state[name, "ring"]
                self._counters["synaptic_events"] += synapses.send(t, self._spikes[pre], active[pre], weights, ring)
            if synapses.learner is not None and (active[pre].size or active[post].size):
                synapses.learner.note(t, self._spikes[pre], self._spikes[post])
        for modulator in self._modulators.values():
            modulator.advance(self._spikes)
        for synapses in self._synapses.values():
            if synapses.learner is not None:
                synapses.learner.learn(t)
        self._manage()

    def _update(self, neurons: _Neurons) -> Ints:
        """Input, current, threshold, refractory period, voltage, spike, reset."""
        t, pop, held = self._t, neurons.pop, neurons.held
        u, v = self._state[pop.name, "u"], self._state[pop.name, "v"]
        refr, theta = self._state.get((pop.name, "refr")), self._state.get((pop.name, "theta"))
        if pop.reset_interval and t % pop.reset_interval == pop.reset_offset % pop.reset_interval:
            u[:], v[:] = 0.0, 0.0
            if refr is not None:
                refr[:] = 0.0
        u *= held.ku
        for synapses in neurons.incoming:
            arriving = self._state[synapses.projection.name, "ring"][t % synapses.slots]
            u += arriving
            arriving[:] = 0.0
        moved = held.kv * v + held.gain * u + held.drive
        threshold = neurons.v_th
        adapting = theta is not None and bool(self._state[pop.name, "adapt"][0])
        if theta is not None:
            if adapting:
                theta *= neurons.theta_decay
                if neurons.drift:
                    np.maximum(theta - neurons.drift, neurons.floor, out=theta)
            threshold = threshold + theta
        if refr is None:
            v[:] = moved
            s = (v > threshold).astype(np.int64)
        else:
            free = refr == 0
            np.copyto(v, moved, where=free)
            s = (free & (v > threshold)).astype(np.int64)
            refr -= ~free
        if pop.kind == "ternary":
            s -= v < pop.v_th_low
        fired = s != 0
        if fired.any():
            v[fired] = 0.0
            if refr is not None:
                np.copyto(refr, held.refractory, where=fired)
            if theta is not None and adapting and pop.adaptation is not None:
                theta += np.where(fired, pop.adaptation.increment, 0.0)
        return s

    def _manage(self) -> None:
        """Schedule entries of this step; they hold from the next one on."""
        for entry in self.graph.schedule:
            if entry.step == self._t and entry.operation == "modulator":
                self._state[entry.object, "m"][:] = entry.value
            elif entry.step == self._t:
                self._state[entry.object, "plastic" if entry.operation == "plasticity" else "adapt"][:] = entry.on


class _Recorder:
    """Collects what one probe sees."""

    def __init__(self, probe: Probe, engine: FloatEngine) -> None:
        self.probe, self.engine = probe, engine
        self.steps: list[int] = []
        self.values: list[Floats] = []
        self.spikes: list[Ints] = []
        if probe.variable == "spikes":
            if probe.object not in engine._spikes:
                raise ValidationError(f"probe {probe.name!r}: {probe.object!r} is no population")
        else:
            self.shape = engine.read(probe.object, probe.variable).shape

    def sample(self, t: int) -> None:
        if (t - self.probe.phase) % self.probe.every:
            return
        if self.probe.variable == "spikes":
            s = self.engine._spikes[self.probe.object]
            who = np.flatnonzero(s)
            if who.size:
                self.spikes.append(np.stack((np.full(who.size, t), who, s[who])))
            return
        self.steps.append(t)
        self.values.append(self.engine.read(self.probe.object, self.probe.variable))

    def column(self) -> SpikeColumn | Samples:
        if self.probe.variable == "spikes":
            joined = np.concatenate(self.spikes, axis=1) if self.spikes else np.zeros((3, 0), dtype=np.int64)
            return SpikeColumn(joined[0], joined[1], joined[2])
        values = np.stack(self.values) if self.values else np.zeros((0, *self.shape))
        return Samples(np.array(self.steps, dtype=np.int64), values)


def _check(graph: Graph) -> None:
    """What would fail later and far from its cause."""
    kinds = {p.name: p.kind for p in graph.populations}
    for projection in graph.projections:
        if projection.pre not in kinds or kinds.get(projection.post, "input") == "input":
            raise ValidationError(f"projection {projection.name!r} does not lead from a population to neurons")
    plastic = {p.name for p in graph.projections if p.rule is not None}
    adaptive = {p.name for p in graph.populations if p.adaptation is not None}
    able = {"plasticity": plastic, "adaptation": adaptive, "modulator": {m.name for m in graph.modulators}}
    for entry in graph.schedule:
        if entry.object not in able[entry.operation]:
            raise UnsupportedError(f"schedule, step {entry.step}: {entry.object!r} has no {entry.operation} to switch")
