"""Products of profile wide: how a coefficient is held, and what the machine makes of it (docs/semantics.md, 6)."""

from __future__ import annotations

import math
from collections.abc import Mapping

from neuromorph.plasticity.base import Term
from neuromorph.profiles import WIDE
from neuromorph.rule import CONSTANT_FRAC, Factor, Product

__all__ = ["WIDE_STEP", "wide_change", "wide_product"]

WIDE_STEP = 2.0**-21
"""Of the accumulator, in weight steps of profile loihi2."""
CLOSE = 0.002  # relative error of a coefficient up to which no constant is spent on it
FULL = 1 << 16
CONSTANT_MAX = 255
EXP_MAX = 8


def wide_product(term: Term, wanted: float, factors: tuple[Factor, ...]) -> tuple[Product, float]:
    """The product whose gain is nearest to `wanted`, and that gain; a constant factor helps where 3 bits are few."""
    plain = _nearest(term, wanted, factors)
    if abs(plain.gain / wanted - 1) <= CLOSE:
        return plain, plain.gain
    # The largest constant has the most bits: the scale beside it is the one that leaves it under its end.
    shift = Product(term.dependency, 1, 0, (*factors, Factor("1")), term.k).hidden_shift
    least = abs(wanted) * 2.0**shift / CONSTANT_MAX
    exp = min(max(math.ceil(math.log2(least / 7)), WIDE.exp_min), EXP_MAX)
    mant = min(max(math.ceil(least / 2.0**exp), 1), 7)
    steps = 1 << CONSTANT_FRAC
    constant = min(round(abs(wanted) * 2.0 ** (shift - exp) / mant * steps), CONSTANT_MAX * steps)
    whole, fine = divmod(constant, steps)
    gain = math.copysign(mant * 2.0 ** (exp - shift) * constant / steps, wanted)
    if abs(gain / wanted - 1) >= abs(plain.gain / wanted - 1):
        return plain, plain.gain
    mant = mant if wanted > 0 else -mant
    return Product(term.dependency, mant, exp, (*factors, Factor("1", whole, fine=fine)), term.k), gain


def _nearest(term: Term, wanted: float, factors: tuple[Factor, ...]) -> Product:
    """With the mantissa and exponent alone."""
    shift = Product(term.dependency, 1, 0, factors, term.k).hidden_shift
    want = abs(wanted) * 2.0**shift
    scales = [(abs(m * 2.0**e - want), m, e) for m in range(8) for e in range(WIDE.exp_min, EXP_MAX + 1)]
    _, mant, exp = min(scales)
    return Product(term.dependency, mant if wanted > 0 else -mant, exp, factors, term.k)


def wide_change(product: Product, at: Mapping[str, float]) -> float:
    """What the machine adds, in weight steps of profile loihi2, before the last (unbiased) rounding."""
    p = product.mant << 26
    for k, factor in enumerate(product.factors):
        value = _value(factor, at)
        p = (value * product.mant) << 10 if k == 0 else (p * value) >> 16
    shift = product.exp + min(sum(f.bits for f in product.factors), 11) - 5
    change = p << shift if shift >= 0 else p >> -shift
    return max(-(1 << 30), min(1 << 30, change)) * WIDE_STEP


def _value(factor: Factor, at: Mapping[str, float]) -> int:
    """A factor in the machine's steps, 2^(16 - bits) to a unit."""
    value = at.get(factor.variable, 0.0) + factor.constant + factor.fine / (1 << CONSTANT_FRAC)
    value += factor.sign * at[factor.second] if factor.second else 0.0
    unit = 1 << 16 - factor.bits
    if factor.function == "sgn":
        return unit * ((value > 0) - (value < 0))
    if factor.function == "on":
        return unit  # judged where it is
    held = math.floor(value * unit)
    return min(max(held, 0 if factor.function == "pos" else -FULL), FULL - 1)
