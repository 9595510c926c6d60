"""Machine units of every variable of a rule, and the scales ``mant * 2^exp`` of its products."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from neuromorph.errors import ValidationError
from neuromorph.plasticity.base import IdealFactor, IdealRule, IdealTrace, Term
from neuromorph.profiles import LOIHI2, Profile
from neuromorph.rule import MODULATORS, Factor, Product

__all__ = [
    "CLOSE",
    "MANY",
    "TAG_MAX",
    "TRACE_MAX",
    "WEIGHT_MAX",
    "WIDE_ROOM",
    "coefficient",
    "hidden_shift",
    "nearest_scale",
    "rule_scales",
    "step_offset",
]

TRACE_MAX = 127
WEIGHT_MAX = 255
TAG_MAX = 255
TOTAL_MAX = 511
SUM_SHIFT_MAX = 20
MODULATOR_END = 126.5
WIDE_ROOM = 4
"""Times its peak that a trace of profile wide holds: bits enough to saturate later than was asked."""
CLOSE = 0.01
"""Relative error of a coefficient up to which a cheaper form is kept."""

MANY = 3
"""Factors from which on a product is shifted so far that its traces need all their bits."""

_SCALES = [(m * 2.0**e, m, e) for m in range(1, 8) for e in range(-7, 9)]
_GAINS = np.array(sorted({gain for gain, _, _ in _SCALES}))
_LINEAR = ("", "pos")


def nearest_scale(value: float, hidden_shift: int = 0) -> tuple[int, int]:
    """The ``mant * 2^(exp - hidden_shift)`` nearest to `value`; (0, 0) where 0 is nearer than the smallest scale.

    Under a hidden shift the largest of equal mantissas is taken: the machine then drops fewer bits of the product.
    """
    wanted = abs(value) * 2.0**hidden_shift
    if wanted < _GAINS[0] / 2:
        return 0, 0
    best = min(abs(gain - wanted) for gain, _, _ in _SCALES)
    same = [(m, e) for gain, m, e in _SCALES if abs(gain - wanted) == best]
    mant, exp = max(same) if hidden_shift else min(same)
    return (mant if value > 0 else -mant), exp


def hidden_shift(factors: tuple[IdealFactor, ...]) -> int:
    """Right shift that the machine applies to a product of factors."""
    held = tuple(Factor(f.variable, 0, f.function, f.second, f.sign) for f in factors)
    return Product("u", 1, 0, held).hidden_shift


def step_offset(factor: IdealFactor, constant: float = 0.0, profile: Profile = LOIHI2) -> float:
    """What is added to a constant (in machine units) before it is rounded, so that it is right on average.

    A whole number that was rounded at random is above a step from half a unit below it on. A modulator is read rounded
    down, so half a unit is missing, but for one that is set to its end. Profile wide has steps so fine that neither
    matters.
    """
    if profile is not LOIHI2:
        return 0.0
    offset = 0.5 if factor.function == "on" else 0.0
    if factor.measure in MODULATORS and 0 < abs(constant) < MODULATOR_END:
        offset += -0.5 if factor.variable == "1" else 0.5
    return offset


def coefficient(term: Term, target: str, scales: Mapping[str, float]) -> float:
    """The coefficient when every variable is on the machine's scale: `scales` are machine units per physical unit."""
    value = term.coefficient * scales[target]
    for factor in term.factors:
        if factor.function in _LINEAR:
            value /= scales[factor.measure]
    return value


def rule_scales(
    rule: str, ideal: IdealRule, w_unit: float, modulators: Mapping[str, float], profile: Profile = LOIHI2
) -> tuple[dict[str, float], int]:
    """Machine units per physical unit of each variable, and the shift of q.

    Weights and modulators have theirs; tags and traces use their bits, and hold coefficients and constants best (in
    profile wide traces hold four times their peak: coefficients and constants are fine enough everywhere).
    Variables that are added to each other share one.

    Raises
    ------
    ValidationError
        Variables that are added to each other and whose units are given; a sum of weights that no shift holds.
    """
    scales = {"w": 1.0 / w_unit, "1": 1.0, "x0": 1.0, "y0": 1.0}
    shift = 0
    if "q" in ideal.read:
        shift = max(0, math.ceil(math.log2(ideal.total / w_unit / TOTAL_MAX))) if ideal.total > 0 else 0
        if shift > SUM_SHIFT_MAX:
            raise ValidationError(
                f"{rule}: a sum of weights of {ideal.total:g} is {ideal.total / w_unit:.3g} units; at most "
                f"{TOTAL_MAX << SUM_SHIFT_MAX}: give a smaller total"
            )
        scales["q"] = 1.0 / w_unit / 2**shift
    scales |= {f"m{k + 1}": modulators[name] for k, name in enumerate(ideal.modulators)}
    fixed = {name: value for name, trace in ideal.traces.items() if (value := _fixed_scale(trace)) is not None}
    scales |= fixed
    groups = _groups(ideal)
    room = 1 if profile is LOIHI2 else WIDE_ROOM
    start = {name: _largest_scale(trace) / room for name, trace in ideal.traces.items() if name not in scales}
    start |= {name: TAG_MAX / tag.peak for name, tag in ideal.tags.items()}
    for group in groups:
        given = {scales[name] for name in group if name in scales and name != "1"}
        if len(given) > 1:
            raise ValidationError(f"{rule}: {' and '.join(sorted(group))} are added, but have units of their own")
        common = given.pop() if given else min((start[name] for name in group if name in start), default=1.0)
        held = bool({name for name in group if name in scales and name != "1"})
        for name in group:
            (scales if held else start)[name] = common
    # Those beside a constant first: it is theirs to hold, and coefficients have the others.
    free = [name for name in ideal.traces if name not in scales]
    scales = {**start, **scales}
    for name in sorted(free, key=lambda name: not _beside_constant(name, ideal)):
        if profile is not LOIHI2:
            scales[name] = start[name]
            continue
        group = next((g for g in groups if name in g), frozenset((name,)))
        chosen = _choose_scale(name, group, ideal, scales)
        scales |= {member: chosen for member in group if member != "1"}
    return scales, shift


def _fixed_scale(trace: IdealTrace) -> float | None:
    """Machine units per physical unit of a trace that leaves no choice."""
    if trace.nearest:
        return TRACE_MAX / trace.impulse  # every spike saturates the trace, so it is set instead of added
    if trace.payload:
        return 0.5 / trace.payload  # the machine takes half the payload
    return None


def _largest_scale(trace: IdealTrace) -> float:
    """Machine units per physical unit with which a trace's peak just fits."""
    return TRACE_MAX / trace.peak / trace.impulse


def _groups(ideal: IdealRule) -> list[frozenset[str]]:
    """Variables that are added to each other, and so share their unit."""
    groups: list[frozenset[str]] = []
    for term in ideal.terms:
        for factor in term.factors:
            joined = frozenset(factor.variables) - {"1"}
            if len(joined) > 1:
                touching = [g for g in groups if g & joined]
                groups = [g for g in groups if not g & joined] + [joined.union(*touching)]
    return groups


def _beside_constant(name: str, ideal: IdealRule) -> bool:
    return any(name in f.variables and f.constant for term in ideal.terms for f in term.factors)


def _choose_scale(name: str, group: frozenset[str], ideal: IdealRule, scales: Mapping[str, float]) -> float:
    """Machine units per physical unit of trace `name` (and its group): uses the 7 bits, holds the coefficients best."""
    impulse = ideal.traces[name].impulse
    most = min(_largest_scale(ideal.traces[member]) for member in group if member in ideal.traces)
    top = max(1.0, math.floor(most * impulse + 1e-9))
    readers = []
    constants = []
    many = False
    for target, terms in (("w", ideal.dw), ("d", ideal.dd), ("t", ideal.dt)):
        for term in terms:
            power = sum(bool(group & set(f.variables)) and f.function in _LINEAR for f in term.factors)
            if power and term.coefficient:
                many |= len(term.factors) >= MANY
                unscaled = coefficient(term, target, {**scales, **dict.fromkeys(group, 1.0)})
                readers.append((abs(unscaled) * 2.0 ** hidden_shift(term.factors), power))
            beside = [f for f in term.factors if f.constant and group & set(f.variables)]
            constants += [(f.constant, step_offset(f)) for f in beside]

    def errors(impulses: NDArray[np.float64]) -> NDArray[np.float64]:
        worst = np.zeros(impulses.size)
        for unscaled, power in readers:
            worst = np.maximum(worst, _relative_error(unscaled / (impulses / impulse) ** power))
        for constant, offset in constants:
            exact = constant * impulses / impulse
            worst = np.maximum(worst, np.abs((np.rint(exact + offset) - offset) / exact - 1))
        return worst

    whole = np.arange(top, top / 2, -1.0)
    error = errors(whole)
    if error.min() <= CLOSE or (constants and len(group) == 1):
        # An impulse with a fraction is random, and a constant beside it would be right on average only.
        return float(whole[np.argmin(error)]) / impulse
    # A finer choice over the whole range: small changes need small impulses, awkward ratios need fractions (they cost a
    # random number, and count double under shared rounding); of those that are close the largest, since small traces
    # decay in coarse steps.
    fine = np.arange(256 * top, 255, -1.0) / 256
    if constants or many:
        fine = fine[fine >= top / 2]
    error = errors(fine)
    place = np.argmax(error <= CLOSE / 10) if error.min() <= CLOSE / 10 else np.argmin(error)
    return float(fine[place]) / impulse


def _relative_error(wanted: NDArray[np.float64]) -> NDArray[np.float64]:
    """Relative error of the nearest scale to each positive value (hidden shift already taken out)."""
    upper = np.clip(np.searchsorted(_GAINS, wanted), 1, _GAINS.size - 1)
    nearest = np.minimum(np.abs(_GAINS[upper] - wanted), np.abs(_GAINS[upper - 1] - wanted))
    return np.asarray(nearest / wanted)
