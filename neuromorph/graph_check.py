"""What every Graph must be, whoever made it: names, shapes, ranges, rows, signs, probes and schedule."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from neuromorph.errors import ValidationError
from neuromorph.graph import Graph, Modulator, Population, Projection, ShortTerm
from neuromorph.modulator import check_modulator, check_value
from neuromorph.parameters import LIMITS, Limit, integer, real, values
from neuromorph.plasticity.short_term import USE
from neuromorph.plasticity.text import Custom
from neuromorph.validate import check_ends, check_rows, nearest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = ["DELAY_MAX", "check", "check_projection", "probe_variables"]

DELAY_MAX = 64  # steps; the stored delay is one less
N_MAX = 1 << 24
MAX_U32 = (1 << 32) - 1
PLASTIC_WEIGHTS = Limit(0.0, open=True, hint="the largest magnitude that the rule may reach")


def check(graph: Graph) -> None:
    """Check a graph; see `neuromorph.graph.verify`."""
    where = f"network {graph.name!r}"
    real(f"{where}: dt", graph.dt, Limit(0.0, open=True, unit="s"))
    integer(f"{where}: seed", graph.seed, 0, MAX_U32)
    if not graph.populations:
        raise ValidationError(f"{where} has no populations; add one with net.population(...)")
    names: set[str] = set()
    objects: list[Population | Projection | Modulator] = [*graph.populations, *graph.projections, *graph.modulators]
    for item in objects:
        if not item.name or item.name in names:
            raise ValidationError(
                f"{where}: the name {item.name!r} is empty or used twice; names of objects are unique"
            )
        names.add(item.name)
    pops = {pop.name: pop for pop in graph.populations}
    projs = {proj.name: proj for proj in graph.projections}
    modulators = {modulator.name: modulator for modulator in graph.modulators}
    for pop in graph.populations:
        _check_population(pop)
    for modulator in graph.modulators:
        check_modulator(modulator, pops)
    for proj in graph.projections:
        check_projection(proj, pops)
        check_read(proj, modulators)
    _check_probes(graph, {**pops, **projs, **modulators})
    _check_schedule(graph, pops, projs, modulators)


def _check_population(pop: Population) -> None:
    where = f"population {pop.name!r}"
    if pop.kind not in ("input", "lif", "ternary"):
        raise ValidationError(f"{where}: kind {pop.kind!r} is unknown; one of 'input', 'lif', 'ternary'")
    integer(f"{where}: n", pop.n, 1, N_MAX)
    if pop.kind == "input":
        return
    if pop.graded:
        raise ValidationError(f"{where}: only inputs have graded spikes")
    for key, limit in LIMITS.items():
        if getattr(pop, key) is not None:
            values(f"{where}: {key}", getattr(pop, key), limit, pop.n)
    integer(f"{where}: reset_interval", pop.reset_interval, 0, 2**31 - 1)
    integer(f"{where}: reset_offset", pop.reset_offset, 0, max(pop.reset_interval - 1, 0))
    if pop.adaptation is not None:
        real(f"{where}: adaptation.tau", pop.adaptation.tau, Limit(0.0, open=True, infinite=True, unit="s"))
        values(f"{where}: adaptation.increment", pop.adaptation.increment, Limit(0.0), pop.n)
        real(f"{where}: adaptation.drift", pop.adaptation.drift, Limit(0.0))
        floor = real(f"{where}: adaptation.floor", pop.adaptation.floor, Limit(high=0.0))
        values(f"{where}: adaptation.init", pop.adaptation.init, Limit(floor), pop.n)
        if pop.adaptation.drift and np.isfinite(pop.adaptation.tau):
            raise ValidationError(f"{where}: a threshold that drifts does not decay; give adaptation.tau = inf")
        if float(np.min(pop.v_th)) + floor <= 0:
            raise ValidationError(f"{where}: adaptation.floor = {floor:g} lets the threshold fall to 0; raise it")
    if pop.kind == "ternary" and (pop.adaptation is not None or np.any(pop.refractory)):
        raise ValidationError(f"{where}: ternary neurons take neither a refractory period nor an adaptive threshold")


def check_projection(proj: Projection, pops: Mapping[str, Population]) -> None:
    """Check a projection between populations of a graph."""
    where = f"projection {proj.name!r}"
    check_ends(where, proj.pre, proj.post, pops)
    if proj.layout == "sparse":
        _check_rows(where, proj, pops[proj.pre].n, pops[proj.post].n)
    elif proj.weights.shape != (pops[proj.pre].n, pops[proj.post].n):
        needed = (pops[proj.pre].n, pops[proj.post].n)
        raise ValidationError(f"{where}: weights of shape {proj.weights.shape}, needed {needed}")
    if proj.weights.size > MAX_U32:
        raise ValidationError(f"{where}: {proj.weights.size} synapses; at most 2^32 - 1")
    if proj.graded and pops[proj.pre].kind == "lif":
        raise ValidationError(f"{where}: graded, but the spikes of {proj.pre!r} carry no payload; leave graded out")
    _check_weights(where, proj)
    if proj.short_term is not None:
        _check_short_term(where, proj, proj.short_term)
    delays = np.asarray(proj.delays)
    if delays.dtype.kind not in "iu" or delays.shape not in ((), proj.weights.shape):
        raise ValidationError(
            f"{where}: delays are whole steps, one or {proj.weights.shape}; got {delays.dtype} {delays.shape}"
        )
    if delays.size and not 1 <= delays.min() <= delays.max() <= DELAY_MAX:
        raise ValidationError(f"{where}: delays of {delays.min()}..{delays.max()} steps; 1..{DELAY_MAX} are allowed")


def _check_short_term(where: str, proj: Projection, asked: ShortTerm) -> None:
    use = np.asarray(asked.U, float)
    if use.shape not in ((), proj.weights.shape):
        raise ValidationError(f"{where}: short_term.U of shape {use.shape}, needed one or {proj.weights.shape}")
    values(f"{where}: short_term.U", use.ravel() if use.ndim else use.item(), USE)
    for key in ("tau_rec", "tau_facil"):
        real(f"{where}: short_term.{key}", getattr(asked, key), Limit(0.0, unit="s"))
    if asked.learned_use and not (isinstance(proj.rule, Custom) and proj.rule.dd):
        raise ValidationError(
            f"{where}: short_term.learned_use adds tag_2 to U, but no rule changes it; give plasticity=Custom(dd=...)"
        )


def check_read(proj: Projection, modulators: Mapping[str, Modulator]) -> None:
    """Check that the modulators which a projection's rule reads exist, and belong to its target."""
    where = f"projection {proj.name!r}"
    for name in () if proj.rule is None else proj.rule.reads:
        if name not in modulators:
            raise ValidationError(
                f"{where}: {type(proj.rule).__name__} reads the modulator {name!r}, which does not exist; "
                f"{nearest(name, modulators)}"
            )
        of = modulators[name].of
        if of is not None and of != proj.post:
            raise ValidationError(
                f"{where}: the modulator {name!r} has a value for each neuron of {of!r}, but {proj.post!r} is the "
                "target, and a synapse can read its target's value only; give a modulator of the target, or one for all"
            )


def _check_rows(where: str, proj: Projection, n_pre: int, n_post: int) -> None:
    indptr, indices, shape = proj.indptr, proj.indices, proj.weights.shape
    if indptr is None or indices is None or indices.shape != shape or len(shape) != 1:
        raise ValidationError(f"{where}: sparse needs indptr, and indices and weights of the same shape (nnz,)")
    if indptr.shape != (n_pre + 1,):
        raise ValidationError(f"{where}: indptr must have {n_pre + 1} values that rise from 0 to {indices.size}")
    check_rows(where, indptr, indices, n_post)


def _check_weights(where: str, proj: Projection) -> None:
    weights: NDArray[np.float64] = proj.weights
    if proj.sign not in ("mixed", "exc", "inh"):
        raise ValidationError(f"{where}: sign = {proj.sign!r} is unknown; one of 'mixed', 'exc', 'inh'")
    if proj.w_max is not None:
        real(f"{where}: w_max", proj.w_max, PLASTIC_WEIGHTS)
    if proj.w_max is not None and proj.rule is None:
        raise ValidationError(
            f"{where}: w_max = {proj.w_max:g} bounds learning, but there is no plasticity; leave it out"
        )
    if proj.rule is not None and proj.rule.sign not in (None, proj.sign):
        raise ValidationError(
            f"{where}: {type(proj.rule).__name__} is made for sign = {proj.rule.sign!r}, not {proj.sign!r}; leave sign "
            "out, and give weights of that sign"
        )
    if not weights.size:
        return
    wrong = ~np.isfinite(weights)
    if wrong.any():
        at = _first(wrong)
        raise ValidationError(f"{where}: weights{at} is {weights[wrong][0]}; weights are finite numbers")
    top = np.inf if proj.w_max is None else proj.w_max
    low, high = (0.0 if proj.sign == "exc" else -top), (0.0 if proj.sign == "inh" else top)
    wrong = (weights < low) | (weights > high)
    if not wrong.any():
        return
    allowed = f"{low:g}..{high:g}" if np.isfinite(top) else ">= 0" if proj.sign == "exc" else "<= 0"
    change = "raise w_max or clip the weights" if np.isfinite(top) else "change sign, or the weights"
    raise ValidationError(
        f"{where}: weights{_first(wrong)} = {weights[wrong][0]:g} is outside {allowed} "
        f"(sign = {proj.sign!r}{'' if proj.w_max is None else f', w_max = {proj.w_max:g}'}); {change}"
    )


def _first(wrong: NDArray[np.bool_]) -> str:
    return str([int(k) for k in np.argwhere(wrong)[0]])


def probe_variables(target: Population | Projection | Modulator, dt: float) -> tuple[str, ...]:
    """What a probe can sample of an object, by the Program's names (docs/image.md, section 2)."""
    if isinstance(target, Modulator):
        return ("m",)
    if isinstance(target, Population):
        if target.kind == "input":
            return ("spikes",)
        extra = ("refr",) * bool(np.any(target.refractory)) + ("theta", "adapt") * (target.adaptation is not None)
        return ("spikes", "u", "v", *extra)
    release = ("stp_u", "stp_x", "since") if target.short_term is not None else ()
    if target.rule is None:
        return ("ring", *release)
    rule = target.rule.ideal(dt)
    tags = ("tag_1",) * bool(rule.dt or "t" in rule.read) + ("tag_2",) * bool(rule.dd or "d" in rule.read)
    traces = tuple(name for name in ("x1", "x2", "y1", "y2", "y3") if name in rule.traces)
    return ("ring", "w", *tags, *traces, "tx", "ty", "plastic", *release)


def _check_probes(graph: Graph, objects: Mapping[str, Population | Projection | Modulator]) -> None:
    names: set[str] = set()
    for probe in graph.probes:
        where = f"probe {probe.name!r}"
        if not probe.name or probe.name in names:
            raise ValidationError(f"{where}: probe names are unique and not empty")
        names.add(probe.name)
        if probe.object not in objects:
            raise ValidationError(f"{where}: {probe.object!r} does not exist; {nearest(probe.object, objects)}")
        have = probe_variables(objects[probe.object], graph.dt)
        if probe.variable not in have:
            raise ValidationError(
                f"{where}: {probe.object!r} has no variable {probe.variable!r}; it has {', '.join(have)}"
            )
        integer(f"{where}: every", probe.every, 1, MAX_U32)
        integer(f"{where}: phase", probe.phase, 0, MAX_U32)


def _check_schedule(
    graph: Graph,
    pops: Mapping[str, Population],
    projs: Mapping[str, Projection],
    modulators: Mapping[str, Modulator],
) -> None:
    last = 0
    seen: set[tuple[int, str, str]] = set()
    for phase in graph.schedule:
        where = f"phase at step {phase.step}"
        integer(f"{where}: step", phase.step, last, MAX_U32, "phases are sorted by step")
        last = phase.step
        if phase.operation == "plasticity":
            fits = phase.object in projs and projs[phase.object].rule is not None
        elif phase.operation == "adaptation":
            fits = phase.object in pops and pops[phase.object].adaptation is not None
        elif phase.operation == "modulator":
            if phase.object not in modulators:
                raise ValidationError(
                    f"{where}: the modulator {phase.object!r} does not exist; {nearest(phase.object, modulators)}"
                )
            check_value(f"{where}: {phase.object!r}", phase.value, modulators[phase.object])
            fits = True
        else:
            raise ValidationError(
                f"{where}: operation {phase.operation!r} is unknown; 'plasticity', 'adaptation' or 'modulator'"
            )
        if not fits:
            raise ValidationError(f"{where}: {phase.object!r} has no {phase.operation} to switch")
        key = (phase.step, phase.operation, phase.object)
        if key in seen:
            raise ValidationError(f"{where}: {phase.operation} of {phase.object!r} is switched twice")
        seen.add(key)
