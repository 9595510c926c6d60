"""Programs for the loops of the rule interpreter: products of one to three factors, in sums of one to four.

Weights, traces and payloads are anywhere in their ranges, so that factors, products and sums reach their limits.
"""

from __future__ import annotations

from typing import Any, Literal, cast

import numpy as np

from neuromorph.program import Population, Projection, build
from neuromorph.rule import FUNCTIONS, Factor, Product, Rule, Trace
from neuromorph.testing.programs import Draw, with_probes

__all__ = ["TERMS", "terms"]

TERMS = 144
"""Programs of `terms`."""
SIGNS: tuple[tuple[Literal["exc", "inh", "mixed"], int, int], ...] = (
    ("exc", 0, 256), ("inh", -255, 1), ("mixed", -256, 256),
)  # fmt: skip
_TRACES = ("x1", "x2", "y1", "y2", "y3")
ROUNDINGS: tuple[Literal["shared", "synapse"], ...] = ("shared", "synapse")
SHAPES = ((6, 131), (131, 6), (40, 40))
"""Sources and targets: long rows, long columns, and both with gaps."""
EXPS = (-7, -5, -3, 0, 2, 5, 8)


def terms(number: int) -> Draw:
    """Program `number`, 0 .. `TERMS` - 1: it tells the sign mode, the rounding, the shape, and the dearest factor.

    Factors are plain (0), have constants that are out of their range (1), functions (2), or a second variable (3).
    """
    rng = np.random.default_rng([7, number])
    rest, sign = divmod(number, 3)
    rest, rounding = divmod(rest, 2)
    rest, shape = divmod(rest, 3)
    dearest = rest % 4
    (mode, low, high), (n_pre, n_post) = SIGNS[sign], SHAPES[shape]
    graded = bool(rng.random() < 0.3)
    names = {name: Trace(0 if graded and name == "x1" else int(rng.integers(60)), 0, 30.0) for name in _TRACES}

    def products() -> tuple[Product, ...]:
        last = 2 if dearest == 1 and rng.random() < 0.3 else 3
        return tuple(_product(rng, dearest) for _ in range(int(rng.choice([1, 1, 2, last]))))

    dd, dt = (products() if rng.random() < 0.2 else () for _ in range(2))
    # the first of these is nothing in rows of which x1 is: then the second is alone, with lanes that are listed or not
    turns = (Product("y0", 3, -2, (Factor("x1"),)), Product("u", -1, 5, (Factor("y1", -60), Factor("y2", 3))))
    dw = turns if dearest == 0 and rng.random() < 0.3 else products()
    mode_of_x1 = "overwrite" if graded else "none"
    rule = Rule(dw, dd, dt, names, t_epoch=int(rng.choice([1, 1, 2])), graded_trace=mode_of_x1)
    weights = rng.integers(low, high, (n_pre, n_post))
    projection = Projection("p", "input", "cells", weights, -8, mode, graded=graded, rule=rule)
    active = rng.random(n_post) < rng.choice([0.1, 0.9])
    cells = Population("cells", n_post, du=741, dv=200, vth=np.where(active, 1, 131071), bias=100_000)
    source = Population("input", n_pre, "input", graded=graded)
    program = build([source, cells], [projection], rounding=ROUNDINGS[rounding])
    steps = 6
    step, index = np.nonzero(rng.random((steps, n_pre)) < rng.choice([0.1, 0.5, 0.9]))
    events = {"input": (step + 1, index, rng.integers(1, 600, step.size) if graded else np.ones(step.size, np.int64))}
    sizes = {("p", name): n_pre if name[0] == "x" else n_post for name in names}
    state = {item: rng.integers(0, 128, n) * (rng.random(n) < 0.7) for item, n in sizes.items()}
    return Draw(with_probes(rng, program), events, steps, state=state)


def _product(rng: np.random.Generator, dearest: int) -> Product:
    dependency = rng.choice(["x0", "y0", "u"], p=[0.4, 0.4, 0.2])
    ends = {"x0": ("y1", "y2", "y3"), "y0": ("x1", "x2"), "u": (*_TRACES, "y0")}[str(dependency)]
    factors = tuple(_factor(rng, ends, dearest) for _ in range(int(rng.integers(1, 4))))
    mant = int(rng.choice([-8, -3, -1, 1, 2, 7]))
    return Product(cast("Any", dependency), mant, int(rng.choice(EXPS)), factors)


def _factor(rng: np.random.Generator, ends: tuple[str, ...], dearest: int) -> Factor:
    """Mostly of what varies along the synapses: the weight, or a trace at their other end."""
    others = ("w", *_TRACES, "x0", "y0", "d", "t")

    def name() -> str:
        return str(rng.choice(ends if rng.random() < 0.5 else ("w",) if rng.random() < 0.7 else others))

    constant = int(rng.choice([0, 3, -3, -40, 90, -200])) if dearest != 1 else int(rng.integers(-512, 512))
    function = cast("Any", FUNCTIONS[int(rng.integers(4))] if dearest >= 2 else "")
    if dearest == 3 and rng.random() < 0.5:
        return Factor(name(), constant, function, name(), int(rng.choice([-1, 1])))
    return Factor(name(), constant, function)
