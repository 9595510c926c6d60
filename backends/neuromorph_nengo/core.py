"""`nengo`: a Graph as a nengo.Network, run by NengoCore in float64.

Populations become ensembles of nengo.LIF whose currents are in units of their thresholds, projections become
connections from neurons to neurons through nengo.Lowpass, inputs nodes. Neurons are updated in continuous time: a
refractory period begins and ends within a step, which is what differs from `cpu:float` (docs/peers.md).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import nengo
import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuromorph.errors import UnsupportedError
from neuromorph.graph import Graph, Population, Projection
from neuromorph.passes.discretise import Dynamics, decay, dynamics
from neuromorph.plasticity import PES
from neuromorph_cpu.float import FloatEngine
from neuromorph_nengo.neurons import ThresholdAdaptingLIF

__all__ = ["NengoEngine"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class _Ensemble:
    """A population in Nengo: J = (gain u + drive) / rest, in units of the threshold."""

    pop: Population
    held: Dynamics
    neurons: nengo.ensemble.Neurons
    v_th: Floats

    @property
    def rest(self) -> Floats:
        """What J counts less in one step of v than at rest."""
        return np.asarray(1.0 - self.held.kv)

    def current(self, u: Floats) -> Floats:
        """J that a current u causes."""
        return np.asarray(self.held.gain / self.rest / self.v_th * u)


@dataclass(frozen=True)
class _Learned:
    """A connection that learns; its weights are those of the graph times `scale`."""

    connection: nengo.Connection
    scale: Floats


class NengoEngine(FloatEngine):
    """Runs a Graph on NengoCore; see `FloatEngine`."""

    target = "nengo"
    _simulator: Any = None

    def load(self, graph: Graph, w_units: Mapping[str, float] | None = None) -> None:
        """Take a graph and put it at step 0.

        Raises
        ------
        UnsupportedError
            Something that NengoCore has not, by name.
        """
        _check(graph)
        super().load(graph, w_units)

    def reset(self) -> None:
        """Back to step 0: a new simulator."""
        super().reset()
        dt, learning = self.graph.dt, {p.post for p in self.graph.projections if p.rule is not None}
        self._sent: dict[str, Ints] = dict(self._spikes)
        self._ensembles: dict[str, _Ensemble] = {}
        with nengo.Network(self.graph.name, seed=self.graph.seed) as network:
            for pop in self.graph.populations:
                if pop.kind != "input":
                    self._ensembles[pop.name] = _ensemble(pop, dt, pop.name in learning)
            self._learned: dict[str, _Learned] = {}
            for projection in self.graph.projections:
                self._connect(projection)
        self._simulator = nengo.Simulator(network, dt=dt, progress_bar=False)
        for name, ensemble in self._ensembles.items():
            self._signal(name, "voltage")[:] = self._state[name, "v"] / ensemble.v_th
            if ensemble.pop.adaptation is not None:
                self._signal(name, "theta")[:] = self._state[name, "theta"] / ensemble.v_th
        kept = {(name, variable) for name in self._ensembles for variable in ("u", "v", "theta")}
        self._state = {
            key: value for key, value in self._state.items() if key in kept or key[1] in ("w", "m")
        }  # rings and counters of steps are not Nengo's

    def _signal(self, population: str, key: str) -> Any:
        """A state of a population's neurons in the simulator."""
        return self._simulator.signals[self._simulator.model.sig[self._ensembles[population].neurons][key]]

    def _connect(self, projection: Projection) -> None:
        """A connection for each delay."""
        target, dt = self._ensembles[projection.post], self.graph.dt
        ku = float(target.held.ku)
        scale = np.broadcast_to(target.current(np.ones(())) * dt / (1.0 - ku), target.pop.n)
        delays = np.broadcast_to(projection.delays, projection.weights.shape)
        source = self._source(projection)
        for k in np.unique(delays):
            weights = np.where(delays == k, projection.weights, 0.0)
            made = nengo.Connection(
                source, target.neurons, transform=_transform(projection, weights, scale, source.size_out),
                synapse=_synapse(float(np.max(target.pop.tau_s)), ku, int(k)),
            )  # fmt: skip
            if isinstance(projection.rule, PES):
                self._learn(projection, projection.rule, made, scale)

    def _learn(self, projection: Projection, rule: PES, connection: nengo.Connection, scale: Floats) -> None:
        """nengo.PES with the modulator as its error; both in units of the target's current."""
        kappa = rule.learning_rate * self._spikes[projection.pre].size  # Nengo divides by the number of sources
        connection.learning_rule_type = nengo.PES(kappa, pre_synapse=nengo.Lowpass(rule.tau))
        error = self._state[str(rule.error), "m"]
        node = nengo.Node(lambda _: scale * error, size_out=scale.size)
        nengo.Connection(node, connection.learning_rule, synapse=None)
        self._learned[projection.name] = _Learned(connection, scale)

    def _source(self, projection: Projection) -> Any:
        """Neurons, or a node that sends an input's spikes: area 1, times the payload where the projection takes it."""
        name, dt = projection.pre, self.graph.dt
        if name in self._ensembles:
            return self._ensembles[name].neurons

        def sent(_: float) -> Floats:
            payload = self._sent[name]
            return (payload if projection.graded else payload != 0) / dt

        return nengo.Node(sent, size_out=self._spikes[name].size)

    def _step(self, injected: Mapping[str, tuple[Ints, Ints]]) -> None:
        self._t += 1
        for pop in self.graph.populations:
            if pop.kind == "input":
                spikes = np.zeros(pop.n, dtype=np.int64)
                if pop.name in injected:
                    who, payload = injected[pop.name]
                    spikes[who] = payload
                self._sent[pop.name] = spikes
        self._simulator.step()
        for pop in self.graph.populations:
            spikes = self._sent[pop.name] if pop.kind == "input" else self._update_from(self._ensembles[pop.name])
            self._spikes[pop.name] = spikes
            self._counters["spikes"] += int(np.count_nonzero(spikes))
        for modulator in self._modulators.values():
            modulator.advance(self._spikes)
        for name, learned in self._learned.items():
            weights = self._simulator.signals[self._simulator.model.sig[learned.connection]["weights"]]
            self._state[name, "w"][:] = weights.T / learned.scale
        for synapses in self._synapses.values():
            fired = self._spikes[synapses.projection.pre] != 0
            self._counters["synaptic_events"] += int(synapses.fan_out[fired].sum())

    def _update_from(self, ensemble: _Ensemble) -> Ints:
        """Take a population's state out of the simulator; its spikes."""
        name, held = ensemble.pop.name, ensemble.held
        self._state[name, "v"][:] = self._signal(name, "voltage") * ensemble.v_th
        rest = ensemble.rest * ensemble.v_th
        self._state[name, "u"][:] = (self._signal(name, "in") * rest - held.drive) / held.gain
        if ensemble.pop.adaptation is not None:
            self._state[name, "theta"][:] = self._signal(name, "theta") * ensemble.v_th
        return (self._signal(name, "out") != 0).astype(np.int64)

    def write(self, object_name: str, variable: str, values: ArrayLike) -> None:
        """Set v or theta of a population, m of a modulator."""
        if variable == "m":
            super().write(object_name, variable, values)
            return
        if object_name not in self._ensembles or variable not in ("v", "theta"):
            raise UnsupportedError(
                f"nengo: v, theta and m can be set in a running network, not {object_name}.{variable}"
            )
        super().write(object_name, variable, values)
        key = "voltage" if variable == "v" else variable
        self._signal(object_name, key)[:] = self._state[object_name, variable] / self._ensembles[object_name].v_th

    def close(self) -> None:
        """Free the simulator."""
        if self._simulator is not None:
            self._simulator.close()


def _ensemble(pop: Population, dt: float, learning: bool) -> _Ensemble:
    """With a dimension for each neuron where a rule gives each an error of its own."""
    held, v_th = dynamics(pop, dt), np.broadcast_to(np.asarray(pop.v_th, float), pop.n)
    tau = {"tau_rc": float(np.max(pop.tau_m)), "tau_ref": float(np.max(held.refractory)) * dt}
    kind: nengo.neurons.NeuronType = nengo.LIF(**tau, min_voltage=-np.inf)
    if pop.adaptation is not None:
        keep = float(decay(np.asarray(pop.adaptation.tau, float), dt))
        kind = ThresholdAdaptingLIF(**tau, increment=np.broadcast_to(pop.adaptation.increment / v_th, pop.n), keep=keep)
    encoders = np.eye(pop.n) if learning else np.ones((pop.n, 1))
    made = nengo.Ensemble(
        pop.n, encoders.shape[1], neuron_type=kind, gain=np.ones(pop.n), bias=np.ones(pop.n), encoders=encoders,
        label=pop.name,
    )  # fmt: skip
    ensemble = _Ensemble(pop, held, made.neurons, v_th)
    # Nengo tunes neurons by their bias and warns of one that alone makes no spikes: the node corrects it.
    bias, left = held.bias / v_th - 1.0, ensemble.current(np.broadcast_to(np.asarray(pop.u_init, float), pop.n))
    node = nengo.Node(lambda t: bias + left * float(held.ku) ** round(t / dt), size_out=pop.n)
    nengo.Connection(node, made.neurons, synapse=None)
    return ensemble


def _transform(projection: Projection, weights: Floats, scale: Floats, n_pre: int) -> Any:
    """Weights by target first, times what each target's current takes of them."""
    if projection.indptr is None or projection.indices is None:
        return (weights * scale).T
    used = np.flatnonzero(weights)
    rows = np.repeat(np.arange(n_pre), np.diff(projection.indptr))
    return nengo.Sparse(
        (scale.size, n_pre), indices=np.stack((projection.indices, rows), axis=1)[used],
        init=(weights * scale[projection.indices])[used],
    )  # fmt: skip


def _synapse(tau: float, ku: float, delay: int) -> Any:
    """A low-pass filter; what it takes in acts in the next step: that is a delay of one.

    With more, ``(1 - ku) z^-k / (1 - ku z^-1)``: Nengo takes one step from a filter that has no direct way through.
    """
    if delay == 1:
        return nengo.Lowpass(tau)
    return nengo.LinearFilter([1.0 - ku], [1.0, -ku, *[0.0] * (delay - 1)], analog=False)


def _check(graph: Graph) -> None:
    """Raise UnsupportedError for what NengoCore has not."""
    for pop in graph.populations:
        if pop.kind != "input":
            _check_population(pop)
    inputs = {pop.name for pop in graph.populations if pop.kind == "input"}
    for projection in graph.projections:
        if projection.short_term is not None:
            raise UnsupportedError(
                f"projection {projection.name!r}: NengoCore has no short-term plasticity; use cpu:float"
            )
        if projection.rule is not None:
            _check_plastic(projection, projection.pre in inputs)
    if graph.schedule:
        raise UnsupportedError("nengo: a network of Nengo has no schedule; run the phases one after the other")


def _check_plastic(projection: Projection, from_input: bool) -> None:
    where, rule = f"projection {projection.name!r}", projection.rule
    if not isinstance(rule, PES):
        raise UnsupportedError(
            f"{where}: NengoCore does not have {type(rule).__name__}; use cpu:float, or freeze the weights"
        )
    lacks = {
        "from an input: let it feed a population": from_input,
        "with sparse weights: use a dense projection": projection.indptr is not None,
        "with several delays: use a projection for each": np.unique(projection.delays).size > 1,
        "with an epoch or a period: leave them out": rule.epoch is not None or rule.period is not None,
    }
    for what, asked in lacks.items():
        if asked:
            raise UnsupportedError(f"{where}: nengo.PES does not learn {what}")


def _check_population(pop: Population) -> None:
    lacks: dict[str, Callable[[], bool]] = {
        "ternary neurons": lambda: pop.kind == "ternary", "scheduled resets": lambda: bool(pop.reset_interval),
        "LIF neurons without leak (tau_m = inf)": lambda: bool(np.any(np.isinf(pop.tau_m))),
        "thresholds that drift (IntrinsicPlasticity)": lambda: bool(pop.adaptation and pop.adaptation.drift),
    }  # fmt: skip
    for what, asked in lacks.items():
        if asked():
            raise UnsupportedError(f"population {pop.name!r}: Nengo has no {what}; run the network on cpu:float")
    for key in ("tau_m", "tau_s", "refractory"):
        if np.ptp(getattr(pop, key)) > 0:
            raise UnsupportedError(
                f"population {pop.name!r}: {key} differs over its neurons, and Nengo has one for each ensemble: use a "
                "population for each value"
            )
