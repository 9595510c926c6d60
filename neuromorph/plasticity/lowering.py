"""From an ideal rule to the products that the machine holds: mantissas, exponents, hidden shifts, constants."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

from neuromorph.errors import UnsupportedError, ValidationError
from neuromorph.plasticity.base import Held, IdealFactor, IdealRule, Lowered, Term
from neuromorph.plasticity.effect import Effect, largest_factor
from neuromorph.plasticity.scales import CLOSE, MANY, WEIGHT_MAX, coefficient, nearest_scale, rule_scales, step_offset
from neuromorph.plasticity.wide import wide_product
from neuromorph.profiles import LOIHI2, Profile
from neuromorph.rule import CONSTANT_FRAC, Factor, Product, Rule, Trace

__all__ = ["nearest_scale", "quantise"]

MODULATORS_MAX = 4
CONSTANT_MAX = 255
FINEST = -7  # exponent
FINE_STEPS = 1 << CONSTANT_FRAC
TARGETS = {"w": "dw", "d": "dd", "t": "dt"}


def quantise(
    name: str,
    ideal: IdealRule,
    w_unit: float,
    dt: float,
    bound: float | None,
    modulators: Mapping[str, float] | None = None,
    profile: Profile = LOIHI2,
) -> Lowered:
    """Hold an ideal rule in physical units as products; see `PlasticityRule.lower`."""
    if not (math.isfinite(w_unit) and w_unit > 0):
        raise ValidationError(f"{name}: weight unit {w_unit!r} must be a finite number > 0")
    if ideal.machine_units:
        raise UnsupportedError(f"{name}: its numbers are those of the machine already; write the rule as Custom")
    _check_reads(name, ideal, modulators or {})
    scales, shift = rule_scales(name, ideal, w_unit, modulators or {}, profile)
    products: dict[str, list[Product]] = {"dw": [], "dd": [], "dt": []}
    notes: list[Held] = []
    warnings: list[str] = []
    wide: list[str] = []
    for target, key in TARGETS.items():
        for term in getattr(ideal, key):
            wanted = coefficient(term, target, scales)
            if not wanted:
                continue
            factors = tuple(_factor(f, scales, name, profile) for f in term.factors)

            def judged(product: Product, term: Term = term, wanted: float = wanted) -> Effect:
                return Effect.of(product, term, wanted, scales, ideal, bound, profile)

            if profile is LOIHI2:
                product, gain, effect = _held(term, wanted, factors, judged)
            else:
                product, gain = wide_product(term, wanted, factors)
                effect = judged(product)
            size = abs(term.coefficient)
            notes.append(Held(term.name, size, size * abs(gain / wanted)))
            if product.mant:
                if abs(effect.ratio - abs(gain / wanted)) > CLOSE / 10:
                    notes.append(Held(f"{term.name}, effective", size, size * effect.ratio))
                products[key].append(product)
            notes += _constants(term, factors, scales, profile)
            warnings += [f"{name}.{term.name}: {text}" for text in effect.warnings(w_unit, target)]
            wide += [f"{term.name}: {why}" for why in effect.needs_wide(product, target)]
    traces = {}
    for trace_name, trace in ideal.traces.items():
        impulse = 0.0 if trace.payload else trace.impulse * scales[trace_name]
        if impulse > 127:
            raise ValidationError(
                f"{name}: the impulse of {trace_name} is {impulse:.4g} machine units, at most 127: it shares its unit "
                "with a modulator; give that one a larger full_scale"
            )
        traces[trace_name] = Trace.of(impulse, trace.tau / dt)
        notes.append(Held(f"{trace_name} tau", trace.tau, traces[trace_name].tau * dt, "s"))
    if bound is not None and abs(WEIGHT_MAX * w_unit - bound) > w_unit:
        warnings.append(f"{name}: weights stop at {WEIGHT_MAX * w_unit:.4g} (255 units), not at w_max = {bound:.4g}")
    rule = Rule(
        dw=tuple(products["dw"]),
        dd=tuple(products["dd"]),
        dt=tuple(products["dt"]),
        traces=traces,
        t_epoch=ideal.t_epoch,
        seed=ideal.seed,
        graded_trace=ideal.graded_trace,
        modulators=ideal.modulators,
        sum_shift=shift,
    )
    return Lowered(rule, tuple(notes), tuple(warnings), tuple(wide))


def _held(
    term: Term, wanted: float, factors: tuple[Factor, ...], judged: Callable[[Product], Effect]
) -> tuple[Product, float, Effect]:
    """The product of profile loihi2 that does best what the term says, its gain, and its effect."""
    product, gain = _product(term, wanted, factors)
    product = _rounded(product)
    effect = judged(product)
    if len(factors) >= MANY and abs(effect.ratio - 1) > CLOSE and effect.ratio > 0.5:
        # What the floor of the hidden shift takes or adds on average, the gain can give back.
        other, other_gain = _product(term, wanted / effect.ratio, factors)
        tuned = judged(_rounded(other))
        if abs(tuned.ratio - 1) < abs(effect.ratio - 1):
            return _rounded(other), other_gain, tuned
    return product, gain, effect


def _check_reads(name: str, ideal: IdealRule, modulators: Mapping[str, float]) -> None:
    tags = {letter for letter in "dt" if letter in ideal.read or getattr(ideal, f"d{letter}")}
    missing = sorted(tags - set(ideal.tags))
    if missing:
        raise UnsupportedError(
            f"{name}: the tag {missing[0]} has no range in physical units; give IdealRule.tags, or write the rule as "
            "Custom"
        )
    if len(ideal.modulators) > MODULATORS_MAX:
        raise UnsupportedError(
            f"{name}: it reads {len(ideal.modulators)} modulators ({', '.join(ideal.modulators)}); at most "
            f"{MODULATORS_MAX}: let one modulator have several sources"
        )
    for modulator in ideal.modulators:
        if modulator not in modulators:
            raise ValidationError(f"{name}: the modulator {modulator!r} has no unit; it belongs to no network here")


def _constants(term: Term, factors: tuple[Factor, ...], scales: Mapping[str, float], profile: Profile) -> list[Held]:
    """Constants beside variables, where they are not held exactly."""
    found = []
    for asked, held in zip(term.factors, factors, strict=True):
        offset = step_offset(asked, asked.constant * scales[asked.measure], profile)
        held_constant = abs((held.constant + held.fine / FINE_STEPS - offset) / scales[asked.measure])
        note = Held(f"{term.name}, constant beside {asked.measure}", abs(asked.constant), held_constant)
        if abs(note.error) > CLOSE / 10:
            found.append(note)
    return found


def _product(term: Term, wanted: float, factors: tuple[Factor, ...]) -> tuple[Product, float]:
    """The product whose gain is nearest to `wanted`, and that gain; a constant factor helps where 3 bits are few."""
    mant, exp = nearest_scale(wanted, Product(term.dependency, 1, 0, factors, term.k).hidden_shift)
    plain = Product(term.dependency, mant, exp, factors, term.k)
    if abs(plain.gain / wanted - 1) <= CLOSE:
        return plain, plain.gain
    # The constant carries the precision, so the lowest exponent that still reaches `wanted` is best.
    shift = Product(term.dependency, 1, 0, (*factors, Factor("1")), term.k).hidden_shift
    room = (1 << 31) / math.prod(map(largest_factor, factors))
    options = [
        (abs(m * c * 2.0 ** (e - shift) / abs(wanted) - 1), e, m, c)
        for e in range(FINEST, 9)
        for m in range(1, 8)
        for c in [min(CONSTANT_MAX, round(abs(wanted) * 2.0 ** (shift - e) / m))]
        if c > 0 and m * c < room
    ]
    if not options:
        return plain, plain.gain
    close = [option for option in options if option[0] <= CLOSE] if len(factors) >= MANY else []
    error, exp, mant, constant = min(close, key=lambda option: (option[1], option[0])) if close else min(options)
    if error >= abs(plain.gain / wanted - 1):
        return plain, plain.gain
    mant = mant if wanted > 0 else -mant
    finer = Product(term.dependency, mant, exp, (*factors, Factor("1", constant)), term.k)
    return finer, finer.gain * constant


def _rounded(product: Product) -> Product:
    """The product with half a step of its hidden shift added, so that the floor of the shift rounds to the nearest.

    It is added to the constant beside the weight or tag that alone varies: decays, whose small errors add up with time.
    With several factors the step depends on the others. Where the variable is 0, half a step is floored to 0: nothing
    moves that should not.
    """
    half = (1 << product.hidden_shift) / 2
    varying = [k for k, f in enumerate(product.factors) if f.function == "" and f.variable != "1"]
    fixed = [f for f in product.factors if f.variable == "1" and not f.second]
    switches = [f for f in product.factors if f.function in ("on", "sgn")]
    if len(varying) != 1 or product.factors[varying[0]].variable not in "wdt":
        return product
    if len(fixed) + len(switches) + 1 != len(product.factors) or half < 1 or not product.mant:
        return product
    step = round(half / (product.mant * math.prod(f.constant for f in fixed)))
    chosen = product.factors[varying[0]]
    if not step or abs(chosen.constant + step) >= 1 << chosen.bits:
        return product
    factors = list(product.factors)
    factors[varying[0]] = replace(chosen, constant=chosen.constant + step)
    return replace(product, factors=tuple(factors))


def _factor(factor: IdealFactor, scales: Mapping[str, float], rule: str, profile: Profile) -> Factor:
    """A factor in machine units."""
    exact = factor.constant * scales[factor.measure]
    steps = 1 << profile.constant_frac
    constant, part = divmod(round((exact + step_offset(factor, exact, profile)) * steps), steps)
    fine = part * FINE_STEPS // steps
    try:
        return Factor(factor.variable, constant, factor.function, factor.second, factor.sign, fine)
    except ValidationError as error:
        way = f"with w_max = {WEIGHT_MAX / scales['w']:g} or less it fits" if factor.measure == "w" else (
            "raise the peak, or the full scale, that its unit comes from"
        )  # fmt: skip
        raise ValidationError(
            f"{rule}: the constant {factor.constant:g} beside {factor.measure} is {constant} machine units; {error}; "
            f"{way}"
        ) from error
