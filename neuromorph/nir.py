"""NIR in and out: networks of other tools (the extra ``nir``; Pedersen et al. 2024, Nat Commun 15:8122).

A spike of NIR has height 1 and lasts a step. With the equations of ``docs/semantics.md`` 5 that gives

========== ================================================ ==============================
NIR        equations                                        here
========== ================================================ ==============================
`CubaLIF`  tau_syn I' = -I + w_in S, tau v' = v_leak - v + r I   w = dt w_in W / tau_syn, R = r
`LIF`      tau v' = v_leak - v + r W S                      w = W, R = r, tau_s = 0
`IF`       v' = r W S                                       w = dt r W, tau_m = inf, tau_s = 0
========== ================================================ ==============================

and ``b = v_leak + r bias``. Other readers of NIR step by forward Euler; the exponentials here are exact.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neuromorph.errors import NeuromorphError, UnsupportedError, ValidationError

if TYPE_CHECKING:
    from neuromorph.graph import Graph, Population, Projection
    from neuromorph.network import Network

__all__ = ["from_nir", "read", "to_nir", "write"]

Floats = NDArray[np.float64]
NEURONS, PASS = ("LIF", "CubaLIF", "IF"), ("Output", "Flatten", "Input")


def _nir() -> Any:
    try:
        import nir
    except ImportError as error:
        raise NeuromorphError("NIR files need the package nir: pip install 'neuromorph[nir]'") from error
    return nir


def read(path: str | Path, dt: float = 1e-3, *, name: str | None = None, seed: int = 1) -> Network:
    """The network of a .nir file; see `from_nir`.

    Raises
    ------
    ValidationError
        There is no such file, or it is not NIR.
    UnsupportedError
        A node that has no counterpart here, by its name.
    """
    nir, path = _nir(), Path(path)
    if not path.is_file():
        raise ValidationError(f"cannot read {path}: no such file")
    try:
        graph = nir.read(path)
    except Exception as error:
        raise ValidationError(f"cannot read {path} as NIR: {type(error).__name__}: {error}") from error
    return from_nir(graph, dt, name=name or _name(path.stem), seed=seed)


def write(net: Network, path: str | Path) -> None:
    """Write a network as a .nir file; see `to_nir`."""
    from neuromorph.files import check_directory

    check_directory(path)
    graph = to_nir(net)
    _nir().write(path, graph)


# ------------------------------------------------------------------------------------------------ in


@dataclass(frozen=True)
class _Path:
    """From a source through weights (None: each to its own) to a node; delays in seconds, before and behind them."""

    source: str
    weights: Floats | None
    before: Floats | float = 0.0
    behind: Floats | float = 0.0


@dataclass(frozen=True)
class _Signal:
    """What arrives at a node: paths from spiking nodes and inputs, and a constant."""

    paths: tuple[_Path, ...]
    bias: Floats | float = 0.0


def from_nir(graph: Any, dt: float = 1e-3, *, name: str = "nir", seed: int = 1) -> Network:
    """The network of a `nir.NIRGraph`.

    `LIF`, `CubaLIF` and `IF` become populations, `Input` an input; what lies between them (`Linear`, `Affine`,
    `Scale`, `Delay`, `Flatten`, nested graphs) becomes projections and bias. Spikes of all populations are probed.

    Parameters
    ----------
    graph : nir.NIRGraph
        The graph.
    dt : float
        Step in seconds: NIR has continuous time.
    name, seed : str, int
        Of the network.

    Raises
    ------
    UnsupportedError
        A node without a counterpart, a reset to another value than 0, a bias without leak, a delay between two
        matrices, an output of anything but spikes.
    ValidationError
        A cycle without a neuron in it, shapes that do not fit.
    """
    from neuromorph.network import Network

    nodes, edges = _flat(graph, "")
    reader = _Reader(nodes, edges)
    net = Network(name=name, dt=dt, seed=seed)
    handles: dict[str, Any] = {}
    for key, node in nodes.items():
        kind = type(node).__name__
        if kind == "Input" and "." not in key:
            handles[key] = net.input(_size(node.output_type["output"]), name=_name(key))
        elif kind in NEURONS:
            signal = reader.into(key)
            handles[key] = net.population(_count(node), _neuron(key, node, signal.bias), name=_name(key))
        elif kind == "Output" and any(path.weights is not None for path in reader.into(key).paths):
            raise UnsupportedError(
                f"NIR output {key!r} is a weighted sum of spikes; only spikes are recorded: remove the matrix before it"
            )
    for key, node in nodes.items():
        if type(node).__name__ not in NEURONS:
            continue
        for path in reader.into(key).paths:
            if path.source not in handles:
                raise ValidationError(f"NIR node {key!r} is fed by {path.source!r}, which emits nothing")
            _connect(net, handles, key, path, node)
        net.probe(handles[key], "spikes")
    return net


def _flat(graph: Any, prefix: str) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """Nodes and edges, those of nested graphs under ``outer.inner``."""
    nodes: dict[str, Any] = {}
    edges: list[tuple[str, str]] = []
    ends: dict[str, tuple[list[str], list[str]]] = {}
    for key, node in graph.nodes.items():
        full = prefix + key
        if type(node).__name__ == "NIRGraph":
            inner, between = _flat(node, f"{full}.")
            nodes.update(inner)
            edges += between
            own = {k: type(n).__name__ for k, n in inner.items() if k.rpartition(".")[0] == full}
            ends[full] = ([k for k, t in own.items() if t == "Input"], [k for k, t in own.items() if t == "Output"])
        else:
            nodes[full] = node
    for a, b in graph.edges:
        sources = ends[prefix + a][1] if prefix + a in ends else [prefix + a]
        targets = ends[prefix + b][0] if prefix + b in ends else [prefix + b]
        edges += [(s, t) for s in sources for t in targets]
    return nodes, edges


class _Reader:
    """Follows edges backwards from neurons to what emits spikes."""

    def __init__(self, nodes: Mapping[str, Any], edges: list[tuple[str, str]]) -> None:
        self.nodes = nodes
        self.before: dict[str, list[str]] = {key: [] for key in nodes}
        for a, b in edges:
            if a not in nodes or b not in nodes:
                raise ValidationError(f"NIR edge {a!r} -> {b!r} names a node that does not exist")
            self.before[b].append(a)
        self.known: dict[str, _Signal] = {}
        self.open: set[str] = set()

    def into(self, key: str) -> _Signal:
        """What arrives at a node."""
        found = [self.out(before) for before in self.before[key]]
        bias: Floats | float = 0.0
        for signal in found:
            bias = bias + signal.bias
        return _Signal(tuple(path for signal in found for path in signal.paths), bias)

    def out(self, key: str) -> _Signal:
        """What leaves a node."""
        kind = type(self.nodes[key]).__name__
        if kind in NEURONS or (kind == "Input" and not self.before[key]):
            return _Signal((_Path(key, None),))
        if key in self.open:
            raise ValidationError(f"NIR node {key!r} is part of a cycle without a neuron in it")
        if key not in self.known:
            self.open.add(key)
            self.known[key] = _through(key, self.nodes[key], self.into(key))
            self.open.discard(key)
        return self.known[key]


def _through(key: str, node: Any, signal: _Signal) -> _Signal:
    kind = type(node).__name__
    if kind in PASS:
        return signal
    if kind in ("Linear", "Affine"):
        matrix = np.asarray(node.weight, np.float64).T  # (in, out)
        if matrix.ndim != 2:
            raise UnsupportedError(f"NIR node {key!r}: weights of shape {np.shape(node.weight)}; 2 axes are needed")
        bias = np.ravel(signal.bias) @ matrix if np.any(signal.bias) else np.zeros(matrix.shape[1])
        if kind == "Affine":
            bias = bias + np.ravel(np.asarray(node.bias, np.float64))
        return _Signal(tuple(_times(key, path, matrix) for path in signal.paths), bias)
    if kind == "Scale":
        scale = np.ravel(np.asarray(node.scale, np.float64))
        return _Signal(tuple(_times(key, path, np.diag(scale)) for path in signal.paths), signal.bias * scale)
    if kind == "Delay":
        delay = np.ravel(np.asarray(node.delay, np.float64))
        paths = (_Path(p.source, p.weights, p.before, p.behind + delay) for p in signal.paths)
        return _Signal(tuple(paths), signal.bias)
    raise UnsupportedError(
        f"NIR node {key!r} is a {kind}, which has no counterpart here; LIF, CubaLIF, IF, Linear, Affine, Scale, Delay, "
        "Flatten, Input and Output have"
    )


def _times(key: str, path: _Path, matrix: Floats) -> _Path:
    if path.weights is None:
        return _Path(path.source, matrix, path.before + path.behind, 0.0)
    if np.any(path.behind):
        raise UnsupportedError(f"NIR node {key!r} follows a delay that follows a matrix; a synapse has one delay")
    return _Path(path.source, path.weights @ matrix, path.before, 0.0)


def _neuron(key: str, node: Any, constant: Floats | float) -> Any:
    from neuromorph.neurons import LIF

    kind = type(node).__name__
    if np.any(np.asarray(node.v_reset) != 0):
        raise UnsupportedError(f"NIR node {key!r}: v_reset = {_few(node.v_reset)}; membranes are reset to 0 here")
    threshold, r = _flatten(node.v_threshold), _flatten(node.r)
    if kind == "IF":
        if np.any(constant):
            raise UnsupportedError(f"NIR node {key!r}: a bias without leak is not held; use a LIF with a long tau")
        return LIF(tau_m=math.inf, v_th=_scalar(threshold))
    gain = r * _flatten(node.w_in) if kind == "CubaLIF" else r
    bias, resistance = _scalar(_flatten(node.v_leak) + gain * constant), _scalar(r)
    if kind == "LIF":
        return LIF(tau_m=_scalar(_flatten(node.tau)), v_th=_scalar(threshold), bias=bias, resistance=resistance)
    tau_m, tau_s = _scalar(_flatten(node.tau_mem)), _scalar(_flatten(node.tau_syn))
    return LIF(tau_m=tau_m, tau_s=tau_s, v_th=_scalar(threshold), bias=bias, resistance=resistance)


def _connect(net: Network, handles: Mapping[str, Any], key: str, path: _Path, node: Any) -> None:
    from neuromorph.topology import AllToAll, Explicit

    pre, post, kind = handles[path.source], handles[key], type(node).__name__
    matrix = np.eye(pre.n) if path.weights is None else path.weights
    if matrix.shape != (pre.n, post.n):
        raise ValidationError(
            f"NIR: the weights from {path.source!r} to {key!r} have shape {matrix.shape}, needed {(pre.n, post.n)}"
        )
    unit: Floats | float = 1.0
    if kind == "CubaLIF":
        unit = net.dt * _flatten(node.w_in) / _flatten(node.tau_syn)
    elif kind == "IF":
        unit = net.dt * _flatten(node.r)
    weights = matrix * unit
    seconds = np.broadcast_to(np.reshape(path.before, (-1, 1)) + np.reshape(path.behind, (1, -1)), matrix.shape)
    delays = np.maximum(np.rint(seconds / net.dt), 1) * net.dt
    sources, targets = np.nonzero(weights)
    if sources.size == 0:
        return
    uniform = float(delays.flat[0]) if np.all(delays == delays.flat[0]) else None
    if 2 * sources.size < weights.size:  # rows of what is there take less room
        each = delays[sources, targets] if uniform is None else uniform
        net.connect(pre, post, weights[sources, targets], topology=Explicit(sources, targets), delay=each)
    else:
        net.connect(pre, post, weights, topology=AllToAll(), delay=delays if uniform is None else uniform)


def _name(key: str) -> str:
    """A name that a network takes."""
    word = re.sub(r"[^A-Za-z0-9_]", "_", key) or "nir"
    return word if word[0].isalpha() or word[0] == "_" else f"n{word}"


def _size(shape: Any) -> int:
    return int(np.prod(np.asarray(shape))) if np.size(shape) else 1


def _count(node: Any) -> int:
    return int(np.size(node.v_threshold))


def _flatten(values: Any) -> Floats:
    return np.ravel(np.asarray(values, np.float64))


def _scalar(values: Floats) -> Any:
    """One number where all are equal."""
    return float(values[0]) if values.size and np.all(values == values[0]) else values


def _few(values: Any) -> str:
    return f"{np.ravel(values)[0]:g}"


# ------------------------------------------------------------------------------------------------ out


def to_nir(net: Network | Graph) -> Any:
    """A network as a `nir.NIRGraph`: `CubaLIF` (with tau_s), `LIF` (without) or `IF` (no leak), `Linear` and `Delay`.

    What is drawn is written as it was drawn. Probes are not part of NIR.

    Raises
    ------
    UnsupportedError
        What NIR cannot say, by name: plasticity, modulators, refractory periods, adaptive thresholds, scheduled resets,
        ternary neurons, graded inputs, initial states, delays that differ between the synapses of a projection.
    """
    from neuromorph.elaborate import elaborate
    from neuromorph.graph import Graph

    graph = net if isinstance(net, Graph) else elaborate(net)
    nir = _nir()
    if graph.modulators:
        raise UnsupportedError(f"NIR has no modulators: {graph.modulators[0].name!r} cannot be written")
    pops = {pop.name: pop for pop in graph.populations}
    nodes = {name: _node(nir, pop, graph.dt) for name, pop in pops.items()}
    edges: list[tuple[str, str]] = []
    for proj in graph.projections:
        first, last = f"{proj.name}.weights", f"{proj.name}.weights"
        nodes[first] = nir.Linear(weight=_matrix(proj, pops, graph.dt).T)
        delay = _delay(proj)
        if delay > 1:
            last = f"{proj.name}.delay"
            nodes[last] = nir.Delay(delay=np.full(pops[proj.post].n, delay * graph.dt))
            edges.append((first, last))
        edges += [(proj.pre, first), (last, proj.post)]
    for name, pop in pops.items():
        if pop.kind != "input":
            nodes[f"{name}.spikes"] = nir.Output(output_type={"output": np.array([pop.n])})
            edges.append((name, f"{name}.spikes"))
    return nir.NIRGraph(nodes=nodes, edges=edges)


def _node(nir: Any, pop: Population, dt: float) -> Any:
    lacks = {
        "a ternary neuron": pop.kind == "ternary", "graded spikes": pop.graded, "a refractory period": pop.refractory,
        "an adaptive threshold": pop.adaptation is not None, "scheduled resets": pop.reset_interval,
        "initial states": np.any(pop.v_init) or np.any(pop.u_init),
    }  # fmt: skip
    for what, asked in lacks.items():
        if np.any(asked):
            raise UnsupportedError(f"NIR cannot say that {pop.name!r} has {what}; leave it out to write the rest")
    if pop.kind == "input":
        return nir.Input(input_type={"input": np.array([pop.n])})

    def every(values: Any) -> Floats:
        return np.array(np.broadcast_to(np.asarray(values, np.float64), (pop.n,)))

    tau_m, tau_s, zeros = every(pop.tau_m), every(pop.tau_s), np.zeros(pop.n)
    if np.all(np.isinf(tau_m)) and not np.any(tau_s):
        return nir.IF(r=np.ones(pop.n), v_threshold=every(pop.v_th), v_reset=zeros)
    if np.any(np.isinf(tau_m)) or (np.any(tau_s == 0) and np.any(tau_s)):
        raise UnsupportedError(f"NIR cannot say {pop.name!r}: tau_m = inf needs tau_s = 0, one kind for all neurons")
    common = {"v_leak": every(pop.bias), "v_threshold": every(pop.v_th), "v_reset": zeros}
    if not np.any(tau_s):
        return nir.LIF(tau=tau_m, r=_resistance(pop, dt), **common)
    return nir.CubaLIF(tau_mem=tau_m, tau_syn=tau_s, r=_resistance(pop, dt), w_in=np.ones(pop.n), **common)


def _resistance(pop: Population, dt: float) -> Floats:
    """R, by default what makes a weight the charge of a spike."""
    if pop.resistance is not None:
        return np.array(np.broadcast_to(np.asarray(pop.resistance, np.float64), (pop.n,)))
    tau_m, tau_s = (np.broadcast_to(np.asarray(t, np.float64), (pop.n,)) for t in (pop.tau_m, pop.tau_s))
    return np.array(tau_m / tau_s if np.any(tau_s) else 1 / -np.expm1(-dt / tau_m))


def _matrix(proj: Projection, pops: Mapping[str, Population], dt: float) -> Floats:
    """Weights (n_pre, n_post) in NIR's unit."""
    if proj.rule is not None:
        raise UnsupportedError(f"NIR has no learning rules: connect {proj.name!r} without plasticity to write it")
    if proj.short_term is not None:
        raise UnsupportedError(f"NIR has no short-term plasticity: leave it out of {proj.name!r} to write it")
    pre, post = pops[proj.pre], pops[proj.post]
    weights = proj.weights
    if proj.layout == "sparse":
        weights = np.zeros((pre.n, post.n))
        weights[np.repeat(np.arange(pre.n), np.diff(np.asarray(proj.indptr))), proj.indices] = proj.weights
    tau_s = np.asarray(post.tau_s, np.float64)
    if np.any(tau_s):
        return np.asarray(weights * tau_s / dt)
    return np.asarray(weights / dt if np.all(np.isinf(post.tau_m)) else weights)


def _delay(proj: Projection) -> int:
    delays = np.asarray(proj.delays)
    if delays.size == 0 or np.any(delays != delays.flat[0]):
        raise UnsupportedError(f"NIR cannot say the delays of {proj.name!r}: they differ between its synapses")
    return int(delays.flat[0])
