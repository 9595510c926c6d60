"""Cross checks of a Program: what one parameter alone cannot show (names, shapes, ranges, schedule, probes)."""

from __future__ import annotations

import math
from difflib import get_close_matches
from typing import TYPE_CHECKING

import numpy as np

from neuromorph.errors import ValidationError
from neuromorph.profiles import LOIHI2, PROFILES, Profile

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from neuromorph import graph
    from neuromorph.program import Ints, Modulator, Population, Program, Projection
    from neuromorph.rule import Rule

__all__ = ["check_ends", "check_profile", "check_program", "check_rows", "check_weights", "nearest", "probe_variables"]

MODULATOR_MAX = 1 << 30
MAX_OBJECTS = (1 << 16) - 1
MAX_U32 = (1 << 32) - 1
DEADLINE_MAX = 10**9  # microseconds


def nearest(name: str, known: Iterable[str]) -> str:
    """The end of a message on an unknown name: the closest known one, capitals aside, or all of them."""
    names = list(known)
    folded = {text.casefold(): text for text in names}
    close = get_close_matches(name.casefold(), folded, 1)
    return f"did you mean {folded[close[0]]!r}?" if close else f"known: {', '.join(map(repr, names)) or 'none'}"


def check_program(program: Program) -> None:
    """Check that the parts of a program fit each other.

    Raises
    ------
    ValidationError
        Names the object, the limit and the value.
    """
    _check_machine(program)
    numbers = program.numbers
    for name, pop in program.populations.items():
        _check_name("population", name, pop.name)
        _check_population(pop)
    for name, proj in program.projections.items():
        _check_name("projection", name, proj.name)
        _check_projection(proj, program.populations, numbers)
        _check_modulators_of(proj, program)
    for name, modulator in program.modulators.items():
        _check_name("modulator", name, modulator.name)
        _check_modulator(modulator, program.populations)
    _check_schedule(program)
    _check_probes(program)


def check_profile(name: str) -> Profile:
    """The profile of a name; ValidationError if there is none."""
    if name not in PROFILES:
        raise ValidationError(f"profile {name!r} is unknown; {nearest(name, PROFILES)}")
    return PROFILES[name]


def _check_machine(program: Program) -> None:
    dt_ns = program.dt * 1e9
    if not (math.isfinite(dt_ns) and 1 <= round(dt_ns) < 1 << 63) or abs(dt_ns - round(dt_ns)) > 1e-6 * dt_ns:
        raise ValidationError(f"dt = {program.dt!r} s must be a positive whole number of nanoseconds")
    if not 0 <= program.seed <= MAX_U32:
        raise ValidationError(f"seed {program.seed} is outside 0..2^32 - 1")
    if not 0 <= program.deadline_us <= DEADLINE_MAX:
        raise ValidationError(f"deadline of {program.deadline_us} us is outside 1..10^9 us (0: none)")
    if not 0 <= program.counter <= MAX_U32:
        raise ValidationError(f"security counter {program.counter} is outside 0..2^32 - 1")
    if program.rounding not in ("shared", "synapse"):
        raise ValidationError(f"rounding {program.rounding!r} is unknown; one of 'shared', 'synapse'")
    numbers = check_profile(program.profile)
    if program.rounding == "shared" and not numbers.shared:
        raise ValidationError(f"profile {program.profile!r} has no shared rounding; use rounding='synapse'")
    for kind, objects in (
        ("populations", program.populations), ("projections", program.projections), ("modulators", program.modulators),
    ):  # fmt: skip
        if len(objects) > MAX_OBJECTS:
            raise ValidationError(f"{len(objects)} {kind}; at most {MAX_OBJECTS}")
    if not program.populations:
        raise ValidationError("the program has no populations")
    for names in (program.projections, program.modulators):
        others = set(program.populations) | (set(program.projections) if names is program.modulators else set())
        both = sorted(others & set(names))
        if both:
            kind = "projection" if names is program.projections else "modulator"
            raise ValidationError(f"{both[0]!r} names a {kind} and another object; names are unique")


def _check_name(kind: str, key: str, name: str) -> None:
    if not name or key != name:
        raise ValidationError(f"{kind} {name!r} is listed as {key!r}; it needs its own, non-empty name")


def _check_population(pop: Population) -> None:
    if pop.kind != "input" and pop.graded:
        raise ValidationError(f"population {pop.name!r}: only inputs have graded spikes")
    if pop.kind == "input" and any(v is not None for v in (pop.init_u, pop.init_v, pop.init_theta)):
        raise ValidationError(f"input {pop.name!r} has no state to initialise")
    if pop.kind == "input" and (pop.adaptive or pop.is_refractory or pop.has_reset):
        raise ValidationError(f"input {pop.name!r} takes no refractory period, reset or adaptive threshold")
    if pop.init_theta is not None and not pop.adaptive:
        raise ValidationError(f"population {pop.name!r}: init_theta needs an adaptive threshold")
    if pop.drifts and not pop.adaptive:
        raise ValidationError(f"population {pop.name!r}: theta_drift and theta_min need an adaptive threshold")
    lowest = (np.min(pop.vth) << 6) + (pop.theta_min >> pop.theta_frac)
    if pop.theta_min and lowest <= 0:
        raise ValidationError(
            f"population {pop.name!r}: theta_min = {pop.theta_min} lets the lowest threshold fall to {lowest}; it must "
            f"stay above 0: theta_min > {-int(np.min(pop.vth) << 6 << pop.theta_frac)}"
        )


def _check_modulator(modulator: Modulator, pops: Mapping[str, Population]) -> None:
    where = f"modulator {modulator.name!r}"
    for name in [name for name, _ in modulator.sources] + ([] if modulator.of is None else [modulator.of]):
        if name not in pops:
            raise ValidationError(f"{where}: population {name!r} does not exist; {nearest(name, pops)}")
    n = 1 if modulator.of is None else pops[modulator.of].n
    if modulator.of is not None and pops[modulator.of].kind == "input":
        raise ValidationError(f"{where}: {modulator.of!r} is an input; values belong to neurons that receive synapses")
    for name, _ in modulator.sources:
        if modulator.of is not None and pops[name].n != n:
            raise ValidationError(
                f"{where}: the source {name!r} has {pops[name].n} neurons, {modulator.of!r} has {n}; they feed one each"
            )
    if np.ndim(modulator.init) and np.shape(modulator.init) != (n,):
        raise ValidationError(f"{where}: init has shape {np.shape(modulator.init)}, needed a scalar or ({n},)")


def _check_modulators_of(proj: Projection, program: Program) -> None:
    """What the rule of a projection reads exists, and has values for its targets."""
    for name in () if proj.rule is None else proj.rule.modulators:
        where = f"projection {proj.name!r}"
        if name not in program.modulators:
            raise ValidationError(f"{where}: modulator {name!r} does not exist; {nearest(name, program.modulators)}")
        of = program.modulators[name].of
        if of is not None and of != proj.post:
            raise ValidationError(
                f"{where}: modulator {name!r} has values of the neurons of {of!r}; its rule can read those of its "
                f"target {proj.post!r}, or one value for all"
            )


def check_ends(where: str, pre: str, post: str, pops: Mapping[str, Population | graph.Population]) -> None:
    """Check that a projection goes from a population to one that takes input."""
    for end in (pre, post):
        if end not in pops:
            raise ValidationError(f"{where}: population {end!r} does not exist; {nearest(end, pops)}")
    if pops[post].kind == "input":
        raise ValidationError(f"{where}: {post!r} is an input and receives nothing")


def _check_projection(proj: Projection, pops: Mapping[str, Population], numbers: Profile) -> None:
    where = f"projection {proj.name!r}"
    check_ends(where, proj.pre, proj.post, pops)
    if not -16 <= proj.weight_exp <= 15:
        raise ValidationError(f"{where}: weight_exp {proj.weight_exp} is outside -16..15")
    _check_shape(proj, pops[proj.pre].n, pops[proj.post].n)
    _check_values(proj, numbers)
    held = proj.short_term
    if held is not None and np.shape(held.use) not in ((), proj.weights.shape):
        raise ValidationError(f"{where}: use of shape {np.shape(held.use)}, needed {proj.weights.shape} or a scalar")
    if held is not None and held.learned_use and not (proj.rule is not None and proj.rule.has_tag_2):
        raise ValidationError(f"{where}: learned_use adds tag_2 to the use, but the projection has no tag_2")
    if proj.rule is not None:
        _check_rule(where, proj.rule, numbers)


def _check_rule(where: str, rule: Rule, numbers: Profile) -> None:
    """Check what a rule has that only some profiles hold."""
    way = "use profile wide" if numbers is LOIHI2 else "make changes rarer and larger"
    for product in rule.products:
        if product.exp < numbers.exp_min:
            raise ValidationError(
                f"{where}: a scale of {product.mant}*2^{product.exp} is below 2^{numbers.exp_min}, the finest of "
                f"profile {numbers.name!r}; {way}"
            )
        fine = [f for f in product.factors if f.fine]
        if fine and not numbers.constant_frac:
            raise ValidationError(
                f"{where}: the constant beside {fine[0].variable} has a fraction, and profile {numbers.name!r} takes "
                "whole numbers; use profile wide"
            )
    for name, trace in rule.traces.items():
        if trace.table and len(trace.table) != numbers.decay_bytes:
            raise ValidationError(f"{where}: the decay of {name} was made for another profile than {numbers.name!r}")
    if rule.graded_trace == "add_wrap" and not numbers.shared:
        raise ValidationError(f"{where}: profile {numbers.name!r} has no graded trace that wraps; use 'add_saturate'")


def _check_shape(proj: Projection, n_pre: int, n_post: int) -> None:
    where = f"projection {proj.name!r}"
    if proj.indptr is None or proj.indices is None:
        if proj.indptr is not None or proj.indices is not None:
            raise ValidationError(f"{where}: sparse weights need both indptr and indices")
        if proj.weights.shape != (n_pre, n_post):
            raise ValidationError(f"{where}: weights of shape {proj.weights.shape}, needed ({n_pre}, {n_post})")
    else:
        indptr, indices, shape = proj.indptr, proj.indices, proj.weights.shape
        if indptr.shape != (n_pre + 1,) or indices.shape != shape or len(shape) != 1:
            raise ValidationError(
                f"{where}: sparse rows need indptr ({n_pre + 1},) and equally many indices and weights; "
                f"got {indptr.shape}, {indices.shape}, {shape}"
            )
        check_rows(where, indptr, indices, n_post)
    if np.ndim(proj.delays) and np.shape(proj.delays) != proj.weights.shape:
        needed = f"{proj.weights.shape} or a scalar"
        raise ValidationError(f"{where}: delays of shape {np.shape(proj.delays)}, needed {needed}")
    if proj.synapses > MAX_U32:
        raise ValidationError(f"{where}: {proj.synapses} synapses; at most 2^32 - 1")


def check_rows(where: str, indptr: Ints, indices: Ints, n_post: int) -> None:
    """Check the rows of a sparse projection: they follow each other, and the targets of each ascend."""
    if indptr[0] != 0 or indptr[-1] != indices.size or np.any(indptr[1:] < indptr[:-1]):
        raise ValidationError(f"{where}: indptr must rise from 0 to {indices.size}")
    if indices.size and (indices.min() < 0 or indices.max() >= n_post):
        raise ValidationError(f"{where}: a target index is outside 0..{n_post - 1}")
    # Within a row targets ascend strictly; a row's first element has no predecessor.
    falls = indices[1:] <= indices[:-1]
    starts = indptr[1:-1]
    falls[starts[(starts > 0) & (starts < indices.size)] - 1] = False
    if falls.any():
        row = int(np.searchsorted(indptr, np.flatnonzero(falls)[0], side="right")) - 1
        raise ValidationError(f"{where}: targets of source {row} must ascend, no pair twice")


def check_weights(proj: Projection, numbers: Profile = LOIHI2) -> None:
    """Check that the weights are integers within the sign mode: nothing is truncated or cut off in silence."""
    where, weights = f"projection {proj.name!r}", np.asarray(proj.weights)
    if weights.dtype.kind not in "iu":
        raise ValidationError(f"{where}: weights must be integers, not {weights.dtype}")
    if proj.sign_mode not in numbers.weights:
        raise ValidationError(f"{where}: sign mode {proj.sign_mode!r} is unknown; one of {', '.join(numbers.weights)}")
    low, high = numbers.weights[proj.sign_mode]
    if weights.size and (weights.min() < low or weights.max() > high):
        bad = weights.min() if weights.min() < low else weights.max()
        raise ValidationError(f"{where}: weight {bad} is outside {low}..{high} of sign mode {proj.sign_mode!r}")


def _check_values(proj: Projection, numbers: Profile) -> None:
    where, delays = f"projection {proj.name!r}", np.asarray(proj.delays)
    check_weights(proj, numbers)
    if delays.dtype.kind not in "iu":
        raise ValidationError(f"{where}: delays must be integers, not {delays.dtype}")
    if proj.rule is None and proj.sign_mode == "mixed" and numbers.even and np.any(proj.weights & 1):
        raise ValidationError(f"{where}: static mixed weights are held even; use held_weights() or program.build()")
    if np.size(proj.delays) and (np.min(proj.delays) < 0 or np.max(proj.delays) > 63):
        raise ValidationError(f"{where}: stored delay {int(np.max(proj.delays))} is outside 0..63")
    if proj.rule is None and not proj.plastic:
        raise ValidationError(f"{where}: plasticity is switched off, but the projection has no rule")


def _check_schedule(program: Program) -> None:
    last = 0
    for entry in program.schedule:
        where = f"schedule entry at step {entry.step}"
        if not last <= entry.step <= MAX_U32:
            raise ValidationError(f"{where}: entries are sorted by step, each within 0..2^32 - 1")
        last = entry.step
        if entry.operation == "plasticity":
            proj = program.projections.get(entry.object)
            if proj is None or proj.rule is None:
                raise ValidationError(f"{where}: {entry.object!r} is not a plastic projection of this program")
        elif entry.operation == "adaptation":
            pop = program.populations.get(entry.object)
            if pop is None or not pop.adaptive:
                raise ValidationError(f"{where}: {entry.object!r} is not a population with an adaptive threshold")
        elif entry.operation == "modulator":
            if entry.object not in program.modulators:
                raise ValidationError(f"{where}: {entry.object!r} is not a modulator of this program")
        else:
            raise ValidationError(
                f"{where}: operation {entry.operation!r} is unknown; 'plasticity', 'adaptation' or 'modulator'"
            )
        sets = entry.operation == "modulator"
        if (not entry.on if sets else entry.value != 0) or abs(entry.value) > MODULATOR_MAX:
            raise ValidationError(
                f"{where}: on = {entry.on}, value = {entry.value}; switches take no value, modulators one of at most "
                f"{MODULATOR_MAX} and are never off"
            )


def probe_variables(target: Population | Projection | Modulator) -> tuple[str, ...]:
    """What a probe can sample of an object of a program (docs/image.md, section 2)."""
    from neuromorph.program import Modulator, Population

    if isinstance(target, Modulator):
        return ("m",)
    if isinstance(target, Population):
        if target.kind == "input":
            return ("spikes",)
        extra = ("refr",) * target.is_refractory + ("theta", "adapt") * target.adaptive
        return ("spikes", "u", "v", *extra)
    release = ("stp_u", "stp_x", "since") if target.short_term is not None else ()
    if target.rule is None:
        return ("ring", *release)
    tags = ("tag_1",) * target.rule.has_tag_1 + ("tag_2",) * target.rule.has_tag_2
    traces = tuple(name for name in ("x1", "x2", "y1", "y2", "y3") if name in target.rule.traces)
    return ("ring", "w", *tags, *traces, "tx", "ty", "plastic", *release)


def _check_probes(program: Program) -> None:
    seen: set[str] = set()
    for probe in program.probes:
        where = f"probe {probe.name!r}"
        if not probe.name or probe.name in seen:
            raise ValidationError(f"{where}: probe names are unique and not empty")
        seen.add(probe.name)
        objects: dict[str, Population | Projection | Modulator] = {
            **program.populations, **program.projections, **program.modulators
        }  # fmt: skip
        target = objects.get(probe.object)
        if target is None:
            known = list(objects)
            raise ValidationError(f"{where}: {probe.object!r} does not exist; {nearest(probe.object, known)}")
        if probe.variable not in probe_variables(target):
            have = ", ".join(probe_variables(target))
            raise ValidationError(f"{where}: {probe.object!r} has no variable {probe.variable!r}; it has {have}")
        if not 1 <= probe.every <= MAX_U32 or not 0 <= probe.phase <= MAX_U32:
            raise ValidationError(f"{where}: every {probe.every}, phase {probe.phase}; needed every >= 1, phase >= 0")
    if len(program.probes) > MAX_OBJECTS:
        raise ValidationError(f"{len(program.probes)} probes; at most {MAX_OBJECTS}")
