"""Learning rules as Lava takes them: strings, or products where its grammar cannot say what its engine can do."""

from __future__ import annotations

from lava.magma.core.learning.learning_rule import Loihi2FLearningRule, Loihi3FLearningRule
from lava.magma.core.learning.product_series import Factor as LavaFactor
from lava.magma.core.learning.product_series import Product as LavaProduct

from neuromorph.rule import Product, Rule

__all__ = ["lava_rule"]

SCALE_BITS = 7  # Lava stores exponents with this offset
NAMES = {"1": "C", "m1": "y1", "m2": "y2", "m3": "y3"}
"""Variables whose names differ: a three-factor rule gets modulators in the place of the post traces."""


def lava_rule(rule: Rule) -> Loihi2FLearningRule | Loihi3FLearningRule:
    """A rule with the same products, checked against them: of three factors where it reads modulators."""
    options = {}
    for name, trace in rule.traces.items():
        options[f"{name}_impulse"] = trace.ii + trace.fi / 256
        options[f"{name}_tau"] = trace.tau
    ks = {p.k for p in rule.products if p.dependency == "u"}
    unit = f"u{min(ks)}" if ks else "x0"  # a stand-in where products are put in below
    wanted = {name: getattr(rule, name) for name in ("dw", "dd", "dt") if getattr(rule, name)}
    strings = {name: _expression(series) or unit for name, series in wanted.items()}
    if ks and not any("u" in text for text in strings.values()):
        strings[next(iter(strings))] = unit
    kind = Loihi3FLearningRule if rule.modulators else Loihi2FLearningRule
    made = kind(**strings, t_epoch=rule.t_epoch, rng_seed=rule.seed, **options)
    for name, series in made.active_product_series.items():
        products = [_product(name, p) for p in wanted[name]]
        if [str(p) for p in series.products] != [str(p) for p in products]:
            series._products = products
    return made


def _product(target: str, product: Product) -> LavaProduct:
    factors = [
        LavaFactor(
            NAMES.get(f.variable, f.variable), f.constant if f.constant or f.variable == "1" else None,
            f.function == "sgn",
        )
        for f in product.factors
    ]  # fmt: skip
    k = product.k if product.dependency == "u" else None
    return LavaProduct(target, product.dependency, product.mant, product.exp + SCALE_BITS, factors, k)


def _expression(series: tuple[Product, ...]) -> str | None:
    """The string, or None where the grammar has none."""
    out = []
    for n, product in enumerate(series):
        if product.mant in (0, -8) or any(f.variable == "1" for f in product.factors):
            return None
        dependency = product.dependency + (str(product.k) if product.dependency == "u" else "")
        text = f"{dependency}*{abs(product.mant)}*2^{product.exp}"
        for factor in product.factors:
            body = NAMES.get(factor.variable, factor.variable) + (f"{factor.constant:+d}" if factor.constant else "")
            text += f"*sgn({body})" if factor.function == "sgn" else f"*({body})" if factor.constant else f"*{body}"
        out.append((" - " if product.mant < 0 else " + " if n else "") + text)
    return "".join(out)
