"""What the integer machine makes of a product: its mean effect beside the ideal one, and what is lost or clipped.

Judged over typical values: traces after one spike and two thirds and one third of that, weights and the other variables
at a quarter, a half and three quarters of their range.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from neuromorph.plasticity.scales import TAG_MAX, TRACE_MAX, WEIGHT_MAX, WIDE_ROOM
from neuromorph.plasticity.wide import WIDE_STEP, wide_change
from neuromorph.profiles import LOIHI2, Profile
from neuromorph.rule import MODULATORS, Factor, Product

if TYPE_CHECKING:
    from neuromorph.plasticity.base import IdealFactor, IdealRule, Term

__all__ = ["Effect", "largest_factor"]

CHANGE_MAX = 256  # weight steps: 2^15 in 128ths
STEPS = 128  # of the accumulator per weight step
FINEST_WIDE = f"1/{1 / WIDE_STEP:.0f}"
SMALL = 1 / 16  # weight steps: what is smaller moves the weight by rare random steps
OFF = 0.1  # of the effective rate that is worth a warning
LEVELS = (0.25, 0.5, 0.75)
SPIKE_LEVELS = (1.0, 2 / 3, 1 / 3)
MODULATOR_LEVELS = (1 / 16, *LEVELS)
FIXED = {"x0": 1, "y0": 1, "1": 0}
RANGES = {"w": WEIGHT_MAX, "d": TAG_MAX, "t": TAG_MAX, "q": 511}


def largest_factor(factor: Factor) -> float:
    """Bound of the size of a factor: its variables at the ends of their ranges, then the clip of the machine."""
    if factor.function in ("on", "sgn"):
        return 1.0
    ends = sum(0 if name == "1" else RANGES.get(name, TRACE_MAX + 1) for name in factor.variables)
    return float(max(1, min(ends + abs(factor.constant), 1 << factor.bits)))


@dataclass(frozen=True, slots=True)
class Effect:
    """A product in the machine, in weight steps (or steps of its tag).

    Attributes
    ----------
    ratio : float
        Its mean change over the ideal one: 1 is right, 0 is lost, below 0 the sign is wrong.
    typical, largest : float
        Change at the middle of the typical values, and with one factor at its end.
    resolution : float
        Steps in which the product is held.
    wraps : bool
        Whether its factors can exceed 32 bits.
    """

    ratio: float
    typical: float
    largest: float
    resolution: float
    wraps: bool
    profile: Profile = LOIHI2

    @classmethod
    def of(
        cls, product: Product, term: Term, wanted: float, scales: Mapping[str, float], ideal: IdealRule,
        bound: float | None, profile: Profile = LOIHI2,
    ) -> Effect:  # fmt: skip
        """Judge a product that stands for a term with the coefficient `wanted` in machine units."""
        levels = _levels(term, scales, ideal, bound)
        names = sorted(levels)
        asked, made = [], []
        for values in itertools.product(*(levels[name] for name in names)):
            at = dict(zip(names, values, strict=True))
            want = wanted * math.prod(_ideal(factor, at, scales) for factor in term.factors)
            asked.append(want)
            made.append(_held(product, at) if profile is LOIHI2 else wide_change(product, at))
        sizes = [abs(want) for want in asked]
        total = sum(sizes)
        agreed = sum(got * math.copysign(1.0, want) for got, want in zip(made, asked, strict=True) if want)
        typical = float(np.median([size for size in sizes if size] or [math.inf]))  # inf: none of them tells
        # The largest change has one factor at its end and the others at typical values.
        middle = {name: sorted(values)[len(values) // 2] for name, values in levels.items()}
        usual = [max(1.0, abs(_value(factor, middle))) for factor in product.factors]
        peak = TRACE_MAX if profile is LOIHI2 else TRACE_MAX / WIDE_ROOM
        ends = [_end(factor, peak) for factor in product.factors]
        reach = max((end / one for end, one in zip(ends, usual, strict=True)), default=1.0) * math.prod(usual)
        most = math.prod(map(largest_factor, product.factors))
        return cls(
            (agreed / total if total else 1.0) if product.mant else 0.0,
            typical,
            reach * abs(product.gain),
            2.0**product.exp if profile is LOIHI2 else WIDE_STEP,
            most * abs(product.mant) >= 2**31 and profile is LOIHI2,
            profile,
        )

    def warnings(self, w_unit: float, target: str) -> list[str]:
        """What the user should know."""
        step = f"weight step {w_unit:.4g}" if target == "w" else "step of its tag"
        if not self.ratio:
            finest, way = f"1/{STEPS}", f"; profile wide holds changes from {FINEST_WIDE} of it on"
            if self.profile is not LOIHI2:
                finest, way = FINEST_WIDE, ""
            return [
                f"the change is far below {finest} of the {step}: it rounds to zero; make changes rarer and larger (a "
                f"longer period or epoch), or choose a smaller w_max{way}"
            ]
        found = []
        if self.typical < (max(1 / STEPS, self.resolution) if self.profile is LOIHI2 else WIDE_STEP):
            found.append(
                f"after one spike the change, {self.typical:.2g} of the {step}, is too small: it rounds to zero or to "
                f"its sign (effective rate {self.ratio:.0%} of the one asked for); make changes rarer and larger"
            )
        elif abs(self.ratio - 1) > OFF:
            found.append(
                f"rounding leaves an effective rate of {self.ratio:.0%} of the one asked for; make changes rarer and "
                "larger (a longer period or epoch)"
            )
        if self.largest > CHANGE_MAX and target == "w":  # a tag's largest value was given
            found.append(f"the largest change, {self.largest:.4g} weight steps, saturates at {CHANGE_MAX}")
        if self.wraps:
            found.append("the product of the factors can exceed 32 bits and would wrap")
        return found

    def needs_wide(self, product: Product, target: str) -> list[str]:
        """Why the term needs profile wide; empty where the 8 bits of loihi2 hold it."""
        if self.profile is not LOIHI2:
            return []
        step = "a step of the weight" if target == "w" else "a step of its tag"
        if self.typical < SMALL:
            decays = product.dependency == "u" and any(target in f.variables for f in product.factors)
            if decays:
                return [f"the decay is slower than the resolution: {self.typical:.2g} of {step} each time it is due"]
            return [f"a change is {self.typical:.2g} of {step}, under 1/16: mostly rounding noise"]
        if abs(self.ratio - 1) > OFF:
            return [f"rounding leaves an effective rate of {self.ratio:.0%}"]
        return []


def _levels(
    term: Term, scales: Mapping[str, float], ideal: IdealRule, bound: float | None
) -> dict[str, tuple[int, ...]]:
    """Typical values of each variable of a term, in machine units."""
    full = WEIGHT_MAX if bound is None else min(WEIGHT_MAX, bound * scales["w"])
    levels: dict[str, tuple[int, ...]] = {}
    for factor in term.factors:
        for name in factor.variables:
            if name in ideal.traces:
                trace = ideal.traces[name]
                one = TRACE_MAX / 2 if trace.payload else min(TRACE_MAX, trace.impulse * scales[name])
                # A trace without its own last impulse (constant < 0) is typically one spike above it.
                before = max(0.0, -factor.constant * scales[name]) if factor.function == "" else 0.0
                levels[name] = tuple(round(min(TRACE_MAX, before + one * part)) for part in SPIKE_LEVELS)
            elif name in FIXED:
                levels[name] = (FIXED[name],)
            else:
                top = full if name == "w" else RANGES.get(name, TRACE_MAX)
                if name in ideal.tags:
                    top = min(TAG_MAX, ideal.tags[name].peak * scales[name])
                parts = MODULATOR_LEVELS if name in MODULATORS else LEVELS
                levels[name] = tuple(round(top * part) for part in parts)
    return levels


def _ideal(factor: IdealFactor, at: Mapping[str, int], scales: Mapping[str, float]) -> float:
    value = at[factor.variable] + factor.constant * scales[factor.measure]
    return _applied(factor.function, value + (factor.sign * at[factor.second] if factor.second else 0.0))


def _value(factor: Factor, at: Mapping[str, float]) -> int:
    """A factor of the machine."""
    value = at.get(factor.variable, 0) + factor.constant
    value += factor.sign * at[factor.second] if factor.second else 0
    return round(_applied(factor.function, value))


def _end(factor: Factor, peak: float) -> float:
    """The largest size of a factor with its variables at 0 or at the end of their range, traces at their peak."""
    ends = [(0.0, 0.0 if name == "1" else RANGES.get(name, peak)) for name in factor.variables]
    values = (_value(factor, dict(zip(factor.variables, at, strict=True))) for at in itertools.product(*ends))
    return float(max(1, *map(abs, values)))


def _held(product: Product, at: Mapping[str, int]) -> float:
    """What the machine adds, in steps, before the last (unbiased) rounding."""
    p = math.prod(_value(factor, at) for factor in product.factors)
    p = (p * product.mant) >> product.hidden_shift
    return max(-32769.0, min(32767.0, p * 2.0 ** (product.exp + 7))) / STEPS


def _applied(function: str, value: float) -> float:
    if function == "sgn":
        return float(np.sign(value))
    if function == "pos":
        return max(value, 0.0)
    return 1.0 if function == "on" else value  # on: judged where it is
