"""From an ideal rule to the products that the machine holds: trace scales, mantissas, exponents, hidden shifts."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from neuromorph.errors import UnsupportedError, ValidationError
from neuromorph.plasticity.base import Held, IdealFactor, IdealRule, IdealTrace, Lowered, Term
from neuromorph.rule import WIDTHS, Factor, Product, Rule, Trace

__all__ = ["nearest_scale", "quantise"]

TRACE_MAX = 127
WEIGHT_MAX = 255
CHANGE_MAX = 256  # weight steps: 2^15 in 128ths
RESOLUTION = 1 / 128  # weight steps
CLOSE = 0.01
"""Relative error of a coefficient up to which a cheaper form is kept."""

_SCALES = [(m * 2.0**e, m, e) for m in range(1, 8) for e in range(-7, 9)]
_GAINS = np.array(sorted({gain for gain, _, _ in _SCALES}))


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


def _relative_error(wanted: NDArray[np.float64]) -> NDArray[np.float64]:
    """Relative error of the nearest scale to each positive value (hidden shift already taken out)."""
    upper = np.clip(np.searchsorted(_GAINS, wanted), 1, _GAINS.size - 1)
    nearest = np.minimum(np.abs(_GAINS[upper] - wanted), np.abs(_GAINS[upper - 1] - wanted))
    return np.asarray(nearest / wanted)


def _product(term: Term, wanted: float, factors: tuple[Factor, ...]) -> tuple[Product, float]:
    """The product whose gain is nearest to `wanted`, and that gain; a constant factor helps where 3 bits are few."""
    mant, exp = nearest_scale(wanted, _hidden_shift(factors))
    plain = Product(term.dependency, mant, exp, factors, term.k)
    if abs(plain.gain / wanted - 1) <= CLOSE:
        return plain, plain.gain
    finest = -7  # the constant carries the precision, so the lowest exponent that still reaches `wanted` is best
    shift = _hidden_shift((*factors, Factor("1")))
    options = [
        (abs(m * c * 2.0 ** (e - shift) / abs(wanted) - 1), e, m, c)
        for e in range(finest, 9)
        for m in range(1, 8)
        for c in [min(255, round(abs(wanted) * 2.0 ** (shift - e) / m))]
        if c > 0
    ]
    if not options:
        return plain, plain.gain
    error, exp, mant, constant = min(options)
    if error >= abs(plain.gain / wanted - 1):
        return plain, plain.gain
    mant = mant if wanted > 0 else -mant
    finer = Product(term.dependency, mant, exp, (*factors, Factor("1", constant)), term.k)
    return finer, finer.gain * constant


def _hidden_shift(factors: tuple[Factor, ...] | tuple[IdealFactor, ...]) -> int:
    return max(0, 4 + sum(WIDTHS[f.variable] for f in factors) - 15)


def _machine_coefficient(term: Term, scales: Mapping[str, float], w_unit: float) -> float:
    """The coefficient when every variable is on the machine's scale; `scales` are machine units per physical unit."""
    value = term.coefficient / w_unit
    for factor in term.factors:
        if not factor.sgn:
            value *= w_unit if factor.variable == "w" else 1.0 / scales.get(factor.variable, 1.0)
    return value


def _fixed_scale(trace: IdealTrace) -> float | None:
    """Machine units per physical unit of a trace that leaves no choice."""
    if trace.nearest:
        return TRACE_MAX / trace.impulse  # every spike saturates the trace, so it is set instead of added
    if trace.payload:
        return 0.5 / trace.payload  # the machine takes half the payload
    return None


def _choose_scale(name: str, ideal: IdealRule, scales: dict[str, float], w_unit: float) -> float:
    """Machine units per physical unit of trace `name`: uses the 7 bits and holds the coefficients best."""
    trace = ideal.traces[name]
    top = max(1.0, math.floor(TRACE_MAX / trace.peak))
    readers = [t for t in ideal.terms if t.coefficient and any(f.variable == name and not f.sgn for f in t.factors)]

    def errors(impulses: NDArray[np.float64]) -> NDArray[np.float64]:
        worst = np.zeros(impulses.size)
        for term in readers:
            power = sum(f.variable == name and not f.sgn for f in term.factors)
            unscaled = abs(_machine_coefficient(term, {**scales, name: 1.0}, w_unit)) * 2.0 ** _hidden_shift(
                term.factors
            )
            worst = np.maximum(worst, _relative_error(unscaled / (impulses / trace.impulse) ** power))
        return worst

    whole = np.arange(top, top / 2, -1.0)
    error = errors(whole)
    if error.min() <= CLOSE:
        return float(whole[np.argmin(error)]) / trace.impulse
    # A finer choice over the whole range: small changes need small impulses, awkward ratios need fractions (they cost a
    # random number, and count double under shared rounding); of those that are close the largest, since small traces
    # decay in coarse steps.
    fine = np.arange(256 * top, 255, -1.0) / 256
    error = errors(fine)
    place = np.argmax(error <= CLOSE / 10) if error.min() <= CLOSE / 10 else np.argmin(error)
    return float(fine[place]) / trace.impulse


def _factor(factor: IdealFactor, scales: Mapping[str, float], w_unit: float, rule: str) -> Factor:
    scale = 1.0 / w_unit if factor.variable == "w" else scales.get(factor.variable, 1.0)
    constant = round(factor.constant * scale)
    limit = 1 << WIDTHS[factor.variable]
    if not -limit <= constant < limit:
        raise ValidationError(
            f"{rule}: the constant {factor.constant:g} beside {factor.variable} is {constant} machine units, outside "
            f"{-limit}..{limit - 1}: with w_max = {WEIGHT_MAX * w_unit:g} or less it fits"
        )
    return Factor(factor.variable, constant, factor.sgn)


def quantise(name: str, ideal: IdealRule, w_unit: float, dt: float, bound: float | None) -> Lowered:
    """Hold an ideal rule in physical units as products; see `PlasticityRule.lower`."""
    if not (math.isfinite(w_unit) and w_unit > 0):
        raise ValidationError(f"{name}: weight unit {w_unit!r} must be a finite number > 0")
    if ideal.dd or ideal.dt or ideal.machine_units:
        raise UnsupportedError(f"{name}: tags are held for rules in machine units only; write the rule as Custom")
    scales: dict[str, float] = {}
    for trace_name, trace in ideal.traces.items():
        fixed = _fixed_scale(trace)
        scales[trace_name] = TRACE_MAX / trace.peak if fixed is None else fixed
    for trace_name, trace in ideal.traces.items():
        if _fixed_scale(trace) is None:
            scales[trace_name] = _choose_scale(trace_name, ideal, scales, w_unit)

    products: list[Product] = []
    notes: list[Held] = []
    warnings: list[str] = []
    for term in ideal.dw:
        wanted = _machine_coefficient(term, scales, w_unit)
        product, gain = _product(term, wanted, tuple(_factor(f, scales, w_unit, name) for f in term.factors))
        notes.append(Held(term.name, abs(term.coefficient), abs(term.coefficient * gain / wanted)))
        warnings += [f"{name}.{term.name}: {w}" for w in _limits(product, wanted, scales, ideal.traces, bound, w_unit)]
        if product.mant:
            products.append(product)
    traces = {}
    for trace_name, trace in ideal.traces.items():
        traces[trace_name] = Trace.of(0.0 if trace.payload else trace.impulse * scales[trace_name], trace.tau / dt)
        notes.append(Held(f"{trace_name} tau", trace.tau, traces[trace_name].tau * dt, "s"))
    if bound is not None and abs(WEIGHT_MAX * w_unit - bound) > w_unit:
        warnings.append(f"{name}: weights stop at {WEIGHT_MAX * w_unit:.4g} (255 units), not at w_max = {bound:.4g}")
    rule = Rule(
        dw=tuple(products), traces=traces, t_epoch=ideal.t_epoch, seed=ideal.seed, graded_trace=ideal.graded_trace
    )
    return Lowered(rule, tuple(notes), tuple(warnings))


def _limits(
    product: Product,
    wanted: float,
    scales: Mapping[str, float],
    traces: Mapping[str, IdealTrace],
    bound: float | None,
    w_unit: float,
) -> list[str]:
    """What is lost or clipped of a product: judged after one spike at half the weights' range, and at full range."""
    if not product.mant:
        return [f"the change is far below 1/128 of the weight step {w_unit:.4g}: it rounds to zero"]
    full_weight = WEIGHT_MAX if bound is None else min(WEIGHT_MAX, bound / w_unit)
    typical = largest = 1.0  # of the factors as integers
    for f in product.factors:
        if f.sgn:
            continue
        one, full = full_weight / 2, float(full_weight)
        if f.variable == "1":
            one = full = 0.0
        elif f.variable in traces:
            trace = traces[f.variable]
            one = TRACE_MAX / 2 if trace.payload else trace.impulse * scales[f.variable]
            full = TRACE_MAX
        largest *= max(abs(f.constant), abs(full + f.constant))
        if f.variable != "1":  # `wanted` has the constant alone in it already
            typical *= abs(one + f.constant) or 1.0
    found = []
    change = typical * abs(wanted)
    if change < RESOLUTION or change < RESOLUTION * 2.0 ** (product.exp + 7):
        found.append(
            f"after one spike the change, {change:.2g} weight steps, is too small: it rounds to zero or to its sign"
        )
    if largest * abs(product.gain) > CHANGE_MAX:
        found.append(f"the largest change, {largest * abs(product.gain):.4g} weight steps, saturates at {CHANGE_MAX}")
    if largest * abs(product.mant) >= 2**31:
        found.append("the product of the factors can exceed 32 bits and would wrap")
    return found
