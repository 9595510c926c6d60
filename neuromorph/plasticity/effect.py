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

from neuromorph.plasticity.scales import TAG_MAX, TRACE_MAX, WEIGHT_MAX
from neuromorph.rule import WIDTHS, Factor, Product

if TYPE_CHECKING:
    from neuromorph.plasticity.base import IdealRule, Term

__all__ = ["Effect", "largest_factor"]

CHANGE_MAX = 256  # weight steps: 2^15 in 128ths
STEPS = 128  # of the accumulator per weight step
OFF = 0.1  # of the effective rate that is worth a warning
LEVELS = (0.25, 0.5, 0.75)
SPIKE_LEVELS = (1.0, 2 / 3, 1 / 3)
RANGES = {"w": WEIGHT_MAX, "d": TAG_MAX, "t": TAG_MAX, "q": 511}


def largest_factor(factor: Factor) -> float:
    """Bound of the size of a factor: its variables at the ends of their ranges, then the clip of the machine."""
    if _function(factor) in ("on", "sgn"):
        return 1.0
    ends = sum(0 if name == "1" else RANGES.get(name, TRACE_MAX + 1) for name in _variables(factor))
    width = max(WIDTHS[name] for name in _variables(factor))
    return float(max(1, min(ends + abs(factor.constant), 1 << width)))


@dataclass(frozen=True, slots=True)
class Effect:
    """A product in the machine, in weight steps (or steps of its tag).

    Attributes
    ----------
    ratio : float
        Its mean change over the ideal one: 1 is right, 0 is lost, below 0 the sign is wrong.
    typical, largest : float
        Change at the middle of the typical values, and bound of the change.
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

    @classmethod
    def of(
        cls, product: Product, term: Term, wanted: float, scales: Mapping[str, float], ideal: IdealRule,
        bound: float | None,
    ) -> Effect:  # fmt: skip
        """Judge a product that stands for a term with the coefficient `wanted` in machine units."""
        full = WEIGHT_MAX if bound is None else min(WEIGHT_MAX, bound * scales["w"])
        levels: dict[str, tuple[float, ...]] = {}
        for name in {name for factor in term.factors for name in factor.variables}:
            if name in ideal.traces:
                trace = ideal.traces[name]
                one = TRACE_MAX / 2 if trace.payload else min(TRACE_MAX, trace.impulse * scales[name])
                levels[name] = tuple(one * part for part in SPIKE_LEVELS)
            elif name in ("x0", "y0"):
                levels[name] = (1.0,)
            elif name == "1":
                levels[name] = (0.0,)
            else:
                top = full if name == "w" else RANGES.get(name, TRACE_MAX)
                levels[name] = tuple(top * part for part in LEVELS)
        names = sorted(levels)
        asked, made = [], []
        for values in itertools.product(*(levels[name] for name in names)):
            at = dict(zip(names, values, strict=True))
            want = wanted
            for factor in term.factors:
                value = at[factor.variable] + factor.constant * scales[factor.second or factor.variable]
                value += factor.sign * at[factor.second] if factor.second else 0.0
                want *= _applied(factor.function, value)
            asked.append(want)
            made.append(_held(product, at))
        sizes = [abs(want) for want in asked]
        total = sum(sizes)
        agreed = sum(got * math.copysign(1.0, want) for got, want in zip(made, asked, strict=True) if want)
        largest = math.prod(map(largest_factor, product.factors))
        return cls(
            agreed / total if total else 0.0,
            float(np.median(sizes)),
            largest * abs(product.gain),
            2.0**product.exp,
            largest * abs(product.mant) >= 2**31,
        )

    def warnings(self, w_unit: float, target: str) -> list[str]:
        """What the user should know."""
        step = f"weight step {w_unit:.4g}" if target == "w" else "step of its tag"
        if not self.ratio:
            return [
                f"the change is far below 1/128 of the {step}: it rounds to zero; make changes rarer and larger (a "
                "longer period or epoch), or choose a smaller w_max"
            ]
        found = []
        if self.typical < max(1 / STEPS, self.resolution):
            found.append(
                f"after one spike the change, {self.typical:.2g} of the {step}, is too small: it rounds to zero or to "
                f"its sign (effective rate {self.ratio:.0%} of the one asked for); make changes rarer and larger"
            )
        elif abs(self.ratio - 1) > OFF:
            found.append(
                f"rounding leaves an effective rate of {self.ratio:.0%} of the one asked for; make changes rarer and "
                "larger (a longer period or epoch)"
            )
        if self.largest > CHANGE_MAX:
            found.append(f"the largest change, {self.largest:.4g} weight steps, saturates at {CHANGE_MAX}")
        if self.wraps:
            found.append("the product of the factors can exceed 32 bits and would wrap")
        return found


def _applied(function: str, value: float) -> float:
    if function == "sgn":
        return float(np.sign(value))
    if function == "pos":
        return max(value, 0.0)
    return float(value > 0) if function == "on" else value


def _held(product: Product, at: Mapping[str, float]) -> float:
    """What the machine adds for whole values near `at`, in steps, before the last (unbiased) rounding."""
    p = 1
    for factor in product.factors:
        value = round(at.get(factor.variable, 0.0)) + factor.constant
        value += getattr(factor, "sign", 1) * sum(round(at[name]) for name in _variables(factor)[1:])
        value = round(_applied(_function(factor), value))
        p *= value
    p = (p * product.mant) >> product.hidden_shift
    held = p * 2.0 ** (product.exp + 7)
    return max(-32769.0, min(32767.0, held)) / STEPS


def _function(factor: Factor) -> str:
    return getattr(factor, "function", "sgn" if getattr(factor, "sgn", False) else "")


def _variables(factor: Factor) -> tuple[str, ...]:
    second = getattr(factor, "second", "")
    return (factor.variable, second) if second else (factor.variable,)
