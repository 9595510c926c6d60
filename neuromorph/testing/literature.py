"""Rules of the literature as the machine's language writes them, for random programs and tests."""

from __future__ import annotations

from neuromorph.language import parse_products
from neuromorph.rule import Product, Rule

__all__ = ["THREE_FACTORS", "TWO_FACTORS", "name_of", "products"]

TWO_FACTORS = {
    "pair": {"dw": "2^-2*x1*y0 - 2^-2*y1*x0"},
    "soft bounds": {"dw": "2^-4*y0*x1*(255-w) - 2^-4*x0*y1*w"},
    "triplet, minimal": {"dw": "2^0*y0*x1*y2 - 2^-3*x0*y1"},
    "triplet, full": {"dw": "y0*x1 + y0*x1*y2 - x0*y1 - x0*y1*x2"},
    "rate": {"dw": "2^0*u2*x1*y1"},
    "Oja": {"dw": "2^0*u2*x1*y1 - 2^-1*u2*w*y1*y1"},
    "BCM, fixed threshold": {"dw": "2^0*u2*x1*y1*(y1-32)"},
    "BCM, sliding threshold": {"dw": "u2*x1*y1*y1 - u2*x1*y1*y2"},
    "weight decay": {"dw": "-2^-4*u4*w"},
    "L1": {"dw": "-1*u4*sgn(w)"},
    "inhibitory": {"dw": "2^-2*x0*y1 + 2^-2*y0*x1 - 8*x0"},
    "heterosynaptic": {"dw": "2^-2*y0*x1 - 2^-6*y0*w"},
    "drift": {"dw": "2^-2*x1*y0 + 1*u4 - 2^-3*y0*y1"},
    "scaling": {"dw": "2^-3*u3*w*(40-y3)"},
    "tag, read as a two-factor rule": {"dt": "2^-1*y0*x1 - 2^-1*x0*y1 - 2^-3*u0*t", "dw": "2^-2*u0*t*y2"},
    "second tag": {"dd": "2^-4*y0*x1 - 2^-4*x0*y1"},
    "age": {"dt": "4*y0*x1 - 1*u3*sgn(t)"},
}
"""By name: the sums of products for the weight and the tags."""
THREE_FACTORS = {
    "R-STDP with eligibility": {"dt": "2^-1*y0*x1 - 2^-1*x0*m2 - 2^-3*u0*t", "dw": "2^-2*u0*t*m1"},
    "activity target": {"dw": "2^-3*u3*w*m2"},
    "gate": {"dw": "2^-2*y0*x1*m3 - 2^-3*x0*x2*sgn(w)"},
    "prescribed error": {"dw": "-2^-1*u0*x1*m2"},
}
"""The same with modulators: a reward, m1, an error or rate of each target, m2, a switch, m3."""


Products = tuple[Product, ...]


def products(rule: dict[str, str]) -> tuple[Products, Products, Products]:
    """A rule's texts as sums of products: dw, dd, dt."""
    dw, dd, dt = (tuple(parse_products(rule[target])) if target in rule else () for target in ("dw", "dd", "dt"))
    return dw, dd, dt


def name_of(rule: Rule) -> str:
    """The name of a rule of the literature, or an empty string."""
    for name, texts in {**TWO_FACTORS, **THREE_FACTORS}.items():
        if products(texts) == (rule.dw, rule.dd, rule.dt):
            return name
    return ""
