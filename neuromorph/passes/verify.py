"""Checks of a Graph before it is compiled (names, shapes, ranges): it need not come from a Network."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from neuromorph.errors import ValidationError
from neuromorph.validate import nearest

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from neuromorph.graph import Graph, Population, Projection

__all__ = ["check_graph"]

DELAY_MAX = 64
# parameter: (lowest value, may be infinite)
_RANGES = {
    "tau_m": (0.0, True), "tau_s": (0.0, False), "v_th": (0.0, False), "v_th_low": (-np.inf, False),
    "bias": (-np.inf, False), "refractory": (0.0, False), "resistance": (0.0, False), "v_init": (-np.inf, False),
    "u_init": (-np.inf, False),
}  # fmt: skip


def check_graph(graph: Graph) -> None:
    """Check a graph; raises ValidationError with the object, the value and what is allowed."""
    if not (np.isfinite(graph.dt) and graph.dt > 0):
        raise ValidationError(f"dt = {graph.dt!r} s must be positive")
    if not graph.populations:
        raise ValidationError(f"network {graph.name!r} has no populations")
    seen: set[str] = set()
    for name in [p.name for p in graph.populations] + [p.name for p in graph.projections]:
        if not name or name in seen:
            raise ValidationError(f"the name {name!r} is empty or used twice; names of objects are unique")
        seen.add(name)
    pops = {p.name: p for p in graph.populations}
    for pop in graph.populations:
        _check_population(pop)
    for proj in graph.projections:
        for end in (proj.pre, proj.post):
            if end not in pops:
                hint = nearest(end, pops)
                raise ValidationError(f"projection {proj.name!r}: population {end!r} does not exist; {hint}")
        if pops[proj.post].kind == "input":
            raise ValidationError(f"projection {proj.name!r}: {proj.post!r} is an input and receives nothing")
        _check_projection(proj, pops[proj.pre].n, pops[proj.post].n, graph.dt)


def _check_values(where: str, value: ArrayLike, n: int, low: float, infinite: bool = False) -> None:
    array = np.asarray(value)
    if array.dtype.kind not in "iuf" or array.shape not in ((), (n,)):
        raise ValidationError(f"{where}: numbers of shape () or ({n},) are needed, got {array.dtype} {array.shape}")
    bad = array[np.isnan(array) | (array < low) | (np.isinf(array) & (not infinite))]
    if bad.size:
        needed = "a finite number" if low < 0 else f">= {low:g}" if infinite else f">= {low:g} and finite"
        raise ValidationError(f"{where} = {bad.flat[0]}: it must be {needed}")


def _check_population(pop: Population) -> None:
    where = f"population {pop.name!r}"
    if pop.kind not in ("input", "lif", "ternary"):
        raise ValidationError(f"{where}: kind {pop.kind!r} is unknown; one of 'input', 'lif', 'ternary'")
    if not 1 <= pop.n <= 1 << 24:
        raise ValidationError(f"{where}: n = {pop.n} is outside 1..2^24")
    if pop.kind == "input":
        return
    for key, (low, infinite) in _RANGES.items():
        value = getattr(pop, key)
        if value is not None:
            _check_values(f"{where}, {key}", value, pop.n, low, infinite)
    if pop.adaptation is not None:
        _check_values(f"{where}, adaptation increment", pop.adaptation.increment, pop.n, 0.0)
        _check_values(f"{where}, adaptation init", pop.adaptation.init, pop.n, 0.0)
        _check_values(f"{where}, adaptation tau", pop.adaptation.tau, 1, 0.0, infinite=True)
    if pop.kind == "ternary":
        if pop.adaptation is not None or np.any(np.asarray(pop.refractory) > 0):
            raise ValidationError(f"{where}: ternary neurons take no refractory period or adaptive threshold (lif do)")
        if np.any(np.asarray(pop.v_th_low) > 0):
            raise ValidationError(f"{where}, v_th_low: it must be <= 0")


def _check_projection(proj: Projection, n_pre: int, n_post: int, dt: float) -> None:
    where = f"projection {proj.name!r}"
    weights = np.asarray(proj.weights)
    shape: tuple[int, ...] = (n_pre, n_post)
    if proj.layout == "sparse":
        if proj.indptr is None or proj.indices is None:
            raise ValidationError(f"{where}: a sparse projection needs indptr and indices")
        shape = (proj.indices.size,)
        if proj.indptr.shape != (n_pre + 1,) or proj.indptr[0] != 0 or proj.indptr[-1] != proj.indices.size:
            raise ValidationError(f"{where}: indptr must have {n_pre + 1} values from 0 to {proj.indices.size}")
        if proj.indices.size and not 0 <= proj.indices.min() <= proj.indices.max() < n_post:
            raise ValidationError(f"{where}: a target index is outside 0..{n_post - 1}")
    if weights.shape != shape:
        raise ValidationError(f"{where}: weights of shape {weights.shape}, needed {shape}")
    if not np.all(np.isfinite(weights)):
        raise ValidationError(f"{where}: {np.sum(~np.isfinite(weights))} weights are not finite numbers")
    if proj.sign not in ("mixed", "exc", "inh"):
        raise ValidationError(f"{where}: sign {proj.sign!r} is unknown; one of 'mixed', 'exc', 'inh'")
    wrong = (weights < 0) if proj.sign == "exc" else (weights > 0) if proj.sign == "inh" else np.zeros(0, bool)
    if np.any(wrong):
        raise ValidationError(f"{where}: {np.sum(wrong)} weights have the wrong sign for {proj.sign!r}; use 'mixed'")
    if proj.w_max is not None and not (np.isfinite(proj.w_max) and proj.w_max > 0):
        raise ValidationError(f"{where}: w_max = {proj.w_max} must be positive and finite")
    _check_delays(where, np.asarray(proj.delays), shape, dt)


def _check_delays(where: str, delays: NDArray[np.int64], shape: tuple[int, ...], dt: float) -> None:
    if delays.dtype.kind not in "iu" or delays.shape not in ((), shape):
        raise ValidationError(f"{where}: delays are whole steps, a scalar or {shape}; got {delays.dtype}{delays.shape}")
    if not delays.size:
        return
    if delays.min() < 1:
        raise ValidationError(f"{where}: a delay of {delays.min()} steps; the shortest is 1 step = {dt:g} s")
    if delays.max() > DELAY_MAX:
        raise ValidationError(
            f"{where}: a delay of {delays.max()} steps = {delays.max() * dt:g} s; at most {DELAY_MAX} steps = "
            f"{DELAY_MAX * dt:g} s at dt = {dt:g} s: use a larger dt, or relay cells"
        )
