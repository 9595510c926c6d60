"""elaborate: a Network becomes a Graph; connectivity, weights, delays and initial values are drawn.

Every draw comes from a counter-based stream of the seed, the object's name and the parameter (`neuromorph.random`), so
an object's numbers do not depend on the other objects or on the order in which they were added.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from neuromorph import graph
from neuromorph.distributions import Distribution
from neuromorph.errors import CapacityError, ValidationError
from neuromorph.graph_check import DELAY_MAX
from neuromorph.parameters import LIMITS, STEP_TOLERANCE, integer, steps, values
from neuromorph.random import Stream
from neuromorph.topology import AllToAll, Explicit, Pairs, Topology

if TYPE_CHECKING:
    from collections.abc import Mapping

    from neuromorph.handles import Input, Phase, Population, Projection
    from neuromorph.network import Network
    from neuromorph.plasticity.base import PlasticityRule

__all__ = ["draw_population", "draw_projection", "elaborate"]

Floats = NDArray[np.float64]
SYNAPSES_MAX = 1 << 28  # of a projection: 2 GiB of weights
NUMBERS_MAX = 1 << 32  # drawn for one topology: about a minute


def elaborate(net: Network, seed: int | None = None) -> graph.Graph:
    """The Graph of a network.

    Parameters
    ----------
    net : Network
        The description.
    seed : int, optional
        Instead of the network's own, 0..2^32 - 1.

    Raises
    ------
    ValidationError
        A drawn value that is impossible (with another seed than the network's), or a phase without anything to switch.
        It is no network.
    """
    from neuromorph.network import Network

    if not isinstance(net, Network):
        raise ValidationError(
            f"{net!r:.60} is no network: a neuromorph.Network is needed; that of a model file or example is "
            "neuromorph.models.find('digits').source"
        )
    seed = net.seed if seed is None else integer(f"elaborate({net.name!r}): seed", seed, 0, 2**32 - 1)
    drawn = net.drawn if seed == net.seed else net.draw(seed)
    return graph.verify(
        graph.Graph(
            name=net.name,
            dt=net.dt,
            seed=seed,
            populations=tuple(item for item in drawn.values() if isinstance(item, graph.Population)),
            projections=tuple(item for item in drawn.values() if isinstance(item, graph.Projection)),
            probes=tuple(graph.Probe(p.name, p.object.name, p.variable, p.every) for p in net.probes),
            schedule=_schedule(net, drawn),
            modulators=tuple(item for item in drawn.values() if isinstance(item, graph.Modulator)),
        )
    )


# ------------------------------------------------------------------------------------------------------ populations


def draw_population(pop: Input | Population, dt: float, seed: int) -> graph.Population:
    """A population of the Graph, its initial values drawn."""
    from neuromorph.handles import Input

    if isinstance(pop, Input):
        return graph.Population(pop.name, "input", pop.n, graded=pop.graded)
    v_init, u_init = (_initial(pop, key, seed) for key in ("v_init", "u_init"))
    return pop.neuron.population(pop.name, pop.n, dt, v_init, u_init)


def _initial(pop: Population, key: str, seed: int) -> float | Floats:
    value = getattr(pop, key)
    if isinstance(value, Distribution):
        value = value.draw(Stream(seed, pop.name, key), pop.n)
    return values(f"population {pop.name!r}: {key}", value, LIMITS[key], pop.n)


# ------------------------------------------------------------------------------------------------------ projections


def draw_projection(proj: Projection, dt: float, seed: int) -> graph.Projection:
    """A projection of the Graph: pairs, weights and delays drawn, layout and sign chosen.

    Every pair: dense. A diagonal left out of a static all-to-all projection is dense with zeros; of a plastic one
    sparse, for a zero weight that may learn is a synapse. All other topologies are sparse.
    """
    where = f"projection {proj.name!r}"
    topology, given = _explicit(where, proj)
    _check_loops(where, proj)
    _check_size(where, topology, proj.pre.n, proj.post.n)
    n_pre, n_post = proj.pre.n, proj.post.n
    masked = isinstance(topology, AllToAll) and not topology.loops and proj.plasticity is None
    pairs: Pairs | None = None
    if not (topology.all_pairs or masked):
        pairs = topology.pairs(where, n_pre, n_post, Stream(seed, proj.name, "topology"))
    weights = _per_synapse(f"{where}: weights", given, pairs, (n_pre, n_post), Stream(seed, proj.name, "weights"))
    if masked:
        weights = _without_diagonal(where, given, weights)
    bound = proj.w_max
    if bound is None and proj.plasticity is not None:
        bound = proj.plasticity.bound
    return graph.Projection(
        name=proj.name,
        pre=proj.pre.name,
        post=proj.post.name,
        layout="dense" if pairs is None else "sparse",
        weights=_frozen(weights),
        delays=_delays(where, proj, pairs, dt, seed),
        indptr=None if pairs is None else _frozen(pairs.indptr(n_pre)),
        indices=None if pairs is None else _frozen(pairs.post),
        sign=proj.sign or _sign(weights, proj.plasticity),
        graded=proj.graded,
        rule=proj.plasticity,
        w_max=bound,
        short_term=_short_term(where, proj, pairs, seed),
    )


def _short_term(where: str, proj: Projection, pairs: Pairs | None, seed: int) -> graph.ShortTerm | None:
    asked = proj.short_term
    if asked is None:
        return None
    use: Any = asked.U
    if isinstance(use, Distribution) or np.ndim(use):
        shape = (proj.pre.n, proj.post.n)
        use = _frozen(_per_synapse(f"{where}: short_term.U", use, pairs, shape, Stream(seed, proj.name, "U")))
    return graph.ShortTerm(use if np.ndim(use) else float(use), asked.tau_rec, asked.tau_facil, asked.learned_use)


def _explicit(where: str, proj: Projection) -> tuple[Any, Any]:
    """Topology and weights; a sparse matrix gives both."""
    given = proj.weights
    matrix = given.tocoo() if hasattr(given, "tocoo") else given
    if not hasattr(matrix, "row"):
        return proj.topology, given
    if proj.topology != AllToAll():
        raise ValidationError(f"{where}: a sparse matrix of weights says which pairs are connected; leave topology out")
    if matrix.shape != (proj.pre.n, proj.post.n):
        raise ValidationError(
            f"{where}: weights is a sparse matrix of shape {matrix.shape}; needed ({proj.pre.n}, {proj.post.n}), (pre, "
            "post)"
        )
    return Explicit(matrix.row, matrix.col), matrix.data


def _check_loops(where: str, proj: Projection) -> None:
    if not proj.topology.loops and proj.pre is not proj.post:
        raise ValidationError(
            f"{where}: self_loops = False says nothing between {proj.pre.name!r} and {proj.post.name!r}, two "
            "populations; "
            "leave it out, or give the pairs with Explicit(...)"
        )


def _check_size(where: str, topology: Topology, n_pre: int, n_post: int) -> None:
    """Refuse what would fill the memory or take hours, before it does."""
    synapses, numbers = topology.size(n_pre, n_post)
    ends = f"{where} from {n_pre} to {n_post} neurons"
    if synapses > SYNAPSES_MAX:
        raise CapacityError(
            f"{ends}: {synapses:.0f} synapses; at most {SYNAPSES_MAX}: smaller populations or fewer pairs"
        )
    if numbers > NUMBERS_MAX:
        raise CapacityError(
            f"{ends}: {numbers} pairs to draw from; at most {NUMBERS_MAX}: give the pairs with Explicit"
        )


def _per_synapse(where: str, given: Any, pairs: Pairs | None, shape: tuple[int, int], stream: Stream) -> Floats:
    """Values of all synapses: (n_pre, n_post) without pairs, else (nnz,) in their order."""
    count = shape[0] * shape[1] if pairs is None else pairs.pre.size
    target = shape if pairs is None else (count,)
    if isinstance(given, Distribution):
        return given.draw(stream, count).reshape(target)
    array = np.asarray(given)
    if array.dtype.kind not in "iuf":
        raise ValidationError(
            f"{where}: a number, an array or a distribution such as nm.Uniform(0, 0.3) is needed, not {given!r:.60}"
        )
    array = array.astype(np.float64)
    if array.ndim == 0:
        return np.full(target, array)
    if array.shape == shape:
        return array if pairs is None else array[pairs.pre, pairs.post]
    if pairs is not None and pairs.order is not None and array.shape == (count,):
        return array[pairs.order]
    listed = f" or ({count},), one per pair" if pairs is not None and pairs.order is not None else ""
    raise ValidationError(
        f"{where} has shape {array.shape}; needed a scalar, {shape} as (pre, post){listed}, or a distribution"
    )


def _without_diagonal(where: str, given: Any, weights: Floats) -> Floats:
    if np.ndim(given) == 2 and np.any(np.diagonal(weights)):
        k = int(np.flatnonzero(np.diagonal(weights))[0])
        raise ValidationError(
            f"{where}: weights[{k}, {k}] = {weights[k, k]:g}, but self_loops = False; set the diagonal to 0"
        )
    weights = weights.copy()
    np.fill_diagonal(weights, 0.0)
    return weights


def _sign(weights: Floats, rule: PlasticityRule | None) -> Literal["mixed", "exc", "inh"]:
    if rule is not None:
        return rule.sign or "exc"
    if not np.any(weights < 0):
        return "exc"
    return "inh" if not np.any(weights > 0) else "mixed"


def _delays(where: str, proj: Projection, pairs: Pairs | None, dt: float, seed: int) -> int | NDArray[np.int64]:
    """Delays in steps. Drawn ones go to the nearest step; given ones must be steps."""
    where = f"{where}: delay"
    drawn = isinstance(proj.delay, Distribution)
    if not drawn and np.ndim(proj.delay) == 0:
        return steps(where, proj.delay, dt, 1, DELAY_MAX, "use a larger dt or relay cells for longer delays")
    seconds = _per_synapse(where, proj.delay, pairs, (proj.pre.n, proj.post.n), Stream(seed, proj.name, "delay"))
    ticks = seconds / dt
    if not np.all(np.isfinite(ticks)):
        raise ValidationError(f"{where}: {np.sum(~np.isfinite(ticks))} delays are not finite numbers of seconds")
    k = np.rint(ticks).astype(np.int64)
    off = np.zeros(k.shape, bool) if drawn else np.abs(ticks - k) > STEP_TOLERANCE * np.maximum(1, np.abs(k))
    bad = np.argwhere(off | (k < 1) | (k > DELAY_MAX))
    if bad.size:
        at = tuple(bad[0])
        raise ValidationError(
            f"{where}{[int(i) for i in at]} = {seconds[at]:g} s is "
            f"{'not a multiple of' if off[at] else 'too short or too long for'} "
            f"dt = {dt:g} s; {dt:g} s to {DELAY_MAX * dt:g} s (1 to {DELAY_MAX} steps) are allowed"
            + (f"; give the distribution clip=({dt:g}, {DELAY_MAX * dt:g})" if drawn else "")
        )
    return _frozen(k)


def _frozen(array: NDArray[Any]) -> NDArray[Any]:
    """A read-only copy that nobody else holds."""
    held = np.array(array)
    held.flags.writeable = False
    return held


# --------------------------------------------------------------------------------------------------------- schedule


def _schedule(net: Network, drawn: Mapping[str, graph.Drawn]) -> tuple[graph.Phase, ...]:
    """Phases as entries for single objects, sorted by time; an earlier phase keeps its place among equals."""
    found: list[graph.Phase] = []
    for phase in net.phases:
        step = round(phase.start / net.dt)
        found += [graph.Phase(step, "plasticity", name, on) for name, on in _switches(net, drawn, phase, "plasticity")]
        found += [graph.Phase(step, "adaptation", name, on) for name, on in _switches(net, drawn, phase, "adaptation")]
        given = phase.modulators or {}
        found += [graph.Phase(step, "modulator", handle.name, value=float(value)) for handle, value in given.items()]
    return tuple(sorted(found, key=lambda entry: entry.step))


def _switches(net: Network, drawn: Mapping[str, Any], phase: Phase, operation: str) -> list[tuple[str, bool]]:
    asked = getattr(phase, operation)
    if asked is None:
        return []
    if not isinstance(asked, bool):
        return [(handle.name, on) for handle, on in asked.items()]
    attribute = "rule" if operation == "plasticity" else "adaptation"
    able = [item.name for item in drawn.values() if getattr(item, attribute, None) is not None]
    if not able:
        raise ValidationError(
            f"network {net.name!r}: phase at {phase.start:g} s switches {operation}, but nothing has any"
        )
    return [(name, asked) for name in able]
