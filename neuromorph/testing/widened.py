"""Random programs in profile wide: the same shapes with all the fractional bits that it has."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from neuromorph.profiles import WIDE
from neuromorph.program import Program
from neuromorph.rule import Factor, Product, Rule, Trace, wide_decay

if TYPE_CHECKING:
    from neuromorph.program import Projection

__all__ = ["widened"]

_LOWER = (0, 0, 0, -2, -5, -9, -15)
_DECAYS = ((0, 16), (1, 31), (1 << 16, 16), (1 << 16, 31), ((1 << 16) - 1, 17), (1 << 15, 24))
"""Loss and shift at the ends of their ranges."""


def widened(program: Program, rng: np.random.Generator) -> Program:
    """The program in profile wide, each weight, constant, scale and decay finer than profile loihi2 can hold them."""
    projections = {name: _projection(proj, rng) for name, proj in program.projections.items()}
    return replace(program, profile="wide", rounding="synapse", projections=projections, probes=())


def _projection(proj: Projection, rng: np.random.Generator) -> Projection:
    low, high = WIDE.weights[proj.sign_mode]
    part = rng.integers(0, WIDE.one, proj.weights.shape) * (rng.random() < 0.8)
    weights = np.clip(proj.weights * WIDE.one + part, low, high)
    return replace(proj, weights=weights, rule=None if proj.rule is None else _rule(proj.rule, rng))


def _rule(rule: Rule, rng: np.random.Generator) -> Rule:
    def series(products: tuple[Product, ...]) -> tuple[Product, ...]:
        return tuple(_product(product, rng) for product in products)

    traces = {name: _trace(trace, rng) for name, trace in rule.traces.items()}
    graded = "add_saturate" if rule.graded_trace == "add_wrap" else rule.graded_trace
    return replace(
        rule, dw=series(rule.dw), dd=series(rule.dd), dt=series(rule.dt), traces=traces, graded_trace=graded
    )  # fmt: skip


def _product(product: Product, rng: np.random.Generator) -> Product:
    exp = max(WIDE.exp_min, product.exp + int(rng.choice(_LOWER)))
    return replace(product, exp=exp, factors=tuple(_factor(factor, rng) for factor in product.factors))


def _factor(factor: Factor, rng: np.random.Generator) -> Factor:
    return replace(factor, fine=int(rng.integers(0, 64))) if rng.random() < 0.5 else factor


def _trace(trace: Trace, rng: np.random.Generator) -> Trace:
    table = b""
    if rng.random() < 0.2:
        loss, shift = _DECAYS[rng.integers(len(_DECAYS))]
        table = b"" if (loss, shift) == wide_decay(trace.tau) else (loss | shift << 24).to_bytes(4, "little")
    return replace(trace, table=table)
