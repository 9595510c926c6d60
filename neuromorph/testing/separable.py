"""Programs on the border of the kernel for separable rules, and of the loop for the weight itself.

Rules that are nearly of their kind, and very long lines.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from neuromorph.program import Population, Projection, build
from neuromorph.rule import Factor, Product, Rule, Trace
from neuromorph.testing.programs import Draw, with_probes

__all__ = ["LONG_LINES", "LOOKALIKES", "lookalike"]


def _product(dependency: str, *factors: Factor) -> Product:
    return Product(dependency, 3 if dependency == "x0" else -5, -2, factors)  # type: ignore[arg-type]


_X1, _Y1 = Factor("x1"), Factor("y1", 3)
_X, _Y = _product("x0", _Y1), _product("y0", _X1)  # the kernel has this pair
_SHAPES: tuple[tuple[Any, ...], ...] = ((), (5,), (0, "sgn"), (0, "pos"), (0, "", "y1"), (0, "", "x1", -1))
_RULES: tuple[tuple[Product, ...], ...] = (
    (_Y, _product("y0", _Y1)),
    (_Y, _product("u")),
    (_X, _product("x0", _X1)),
    (_X, _product("u")),
    (_X, _product("y0", _Y1)),
    (_product("x0", _X1), _Y),
    (_product("x0", Factor("w")), _Y),
    (_product("x0", Factor("y1", -60, "sgn")), _Y),
    (_product("x0", Factor("y1", second="y2", sign=-1)), _Y),
    (_product("x0", _Y1, Factor("y2")), _Y),
    (_X, _product("y0", Factor("x1", -60, "pos"))),
    (_X, _product("y0", Factor("x1", second="x2"))),
    (_X, _product("y0", _X1, Factor("x2"))),
    (_X, _Y, _product("x0")),
    (_product("x0", Factor("w")), _product("y0")),
    (_product("x0"), _product("y0", _Y1)),
    (_product("x0", _X1), _product("y0")),
    *((_product(dependency, Factor("w", *shape)),) for dependency in ("x0", "y0") for shape in _SHAPES),
    (Product("y0", 1, -5, (_X1, Factor("y1"))), _product("y0", Factor("w"))),  # shifted right, and too small to limit
)
LOOKALIKES = 2 * len(_RULES) + 4
"""Of `lookalike`: each rule in both orders, then the pair itself with changes of tags."""
LONG_LINES = 6
"""More programs of `lookalike`: the pair itself over lines that are longer than any list of synapses."""


def lookalike(number: int) -> Draw:
    """Program `number`, 0 .. `LOOKALIKES` + `LONG_LINES` - 1."""
    rng = np.random.default_rng([5, number])
    kind, turned = divmod(number, 2)
    n_pre, n_post, steps = 7, 9, 6
    dd: tuple[Product, ...] = ()
    dt: tuple[Product, ...] = ()
    dw = _RULES[kind] if kind < len(_RULES) else (_X, _Y)
    if len(_RULES) <= kind < LOOKALIKES // 2:
        dd, dt = ((_X,), ()) if kind == len(_RULES) else ((), (_Y,))
    elif kind >= LOOKALIKES // 2:
        n_pre, n_post = (600, 4) if kind == LOOKALIKES // 2 else (4, 600)
    active = rng.random(n_post) < (0.1 if n_post > 99 else 0.7)
    if kind == LOOKALIKES // 2 + 2:  # the interpreter, and more active columns in a row than it takes at once
        dw, active = (_product("x0", _Y1), _product("y0", Factor("w"), _X1)), rng.random(n_post) < 0.3
    traces = {name: Trace(int(rng.integers(1, 60)), 0, 30.0) for name in ("x1", "x2", "y1", "y2")}
    rule = Rule(dw[::-1] if turned else dw, dd, dt, traces, t_epoch=1 + number % 4)
    projection = Projection("p", "input", "cells", rng.integers(-256, 256, (n_pre, n_post)), -8, "mixed", rule=rule)
    cells = Population("cells", n_post, du=741, dv=200, vth=np.where(active, 1, 131071), bias=100_000)
    program = build([Population("input", n_pre, "input"), cells], [projection], rounding="synapse")
    step, index = np.nonzero(rng.random((steps, n_pre)) < (0.02 if n_pre > 99 else 0.4))
    events = {"input": (step + 1, index, np.ones(step.size, np.int64))}
    state = {("p", name): rng.integers(1, 128, n_pre if name[0] == "x" else n_post) for name in traces}
    return Draw(with_probes(rng, program), events, steps, state=state)
