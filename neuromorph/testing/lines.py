"""Programs for the loops that take a whole row, or column, at once: of each shape of a product, of each that limits.

A line is alone in some steps, and one of several in others; none has a number of synapses that is a multiple of four.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING, Literal

import numpy as np

from neuromorph.program import Modulator, Population, Projection, build
from neuromorph.rule import Factor, Product, Rule, Trace
from neuromorph.testing.programs import Draw, with_probes
from neuromorph.testing.terms import ROUNDINGS, SIGNS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["LINES", "lines"]

_SHAPES = ((7, 131), (131, 7))
"""Sources and targets: long rows, long columns."""
_EXPONENTS = ((-6, 7), (-3, 6), (2, 8))
"""Of fractions and of whole numbers, up to the largest: some pass the limits with every spike."""
_CASES = tuple(product(range(len(SIGNS)), ROUNDINGS, _SHAPES, _EXPONENTS))
LINES = len(_CASES)
"""Programs of `lines`: each sign mode, with each rounding, in each shape."""
_STEPS = 5


def lines(number: int) -> Draw:
    """One product to a projection, of rows or of columns, in steps that reach the limits of the sum and in others."""
    sign, rounding, (n_pre, n_post), exponents = _CASES[number]
    mode, low, high = SIGNS[sign]
    rng = np.random.default_rng([10, number])

    def rule(products: tuple[Product, ...]) -> Rule:
        return Rule(products, traces=_traces(), modulators=("level",))

    def weights() -> NDArray[np.int64]:
        return rng.integers(low, high, (n_pre, n_post))

    products = [
        (Product(way, int(rng.choice([-7, -1, 1, 5])), exp, factors),) for way, exp, factors in _products(exponents)
    ]
    projections = [
        Projection(f"p{k}", "input", "cells", weights(), -8, mode, rule=rule(one)) for k, one in enumerate(products)
    ]
    # x2 stays 0: what is due in columns is alone in rows, too, where sources have spiked; and its columns have gaps
    nothing = Product("x0", 1, 0, (Factor("x2"),))
    held = {"x1": Trace(1, 0, 300.0), "x2": Trace(0, 0, 300.0)}
    plain = (Factor("w", -200),)
    turns: list[tuple[int, tuple[Factor, ...]]] = [
        (-3, (Factor("w", 3, "pos"),)), (-3, (Factor("w", 0, "", "q", 1),)), (-3, plain), (exponents[1], plain),
        (exponents[1], (Factor("w"), Factor("x1", 3))), (exponents[1], (Factor("x1"), Factor("x1", -3))),
    ]  # fmt: skip
    projections += [
        Projection(
            f"turns{k}", "input", "many", weights(), -8, mode,
            rule=Rule((nothing, Product("y0", -3, exp, factors)), traces=held),
        )
        for k, (exp, factors) in enumerate(turns)
    ]  # fmt: skip
    # sources that spiked at different times of an epoch read different traces
    projections += [
        Projection(
            f"times{k}", "input", "cells", weights(), -8, mode,
            rule=Rule((Product("x0", -3, exponents[0], factors),), traces=_traces(), t_epoch=2),
        )
        for k, factors in enumerate((
            (Factor("y1", 3),), (Factor("y1"), Factor("y2"), Factor("y3")), (Factor("w"), Factor("y1")),
            (Factor("y1", -40, "on"),), (Factor("w", -20, "pos", "y1", -1),),
        ))
    ]  # fmt: skip
    # the largest trace of all: 128, until the spike that makes it; targets that spiked before read it
    largest = Rule(traces={"x1": Trace(0, 0, 1e6), "x2": Trace(1, 0, 300.0)}, t_epoch=4, graded_trace="overwrite")
    projections += [
        Projection(
            f"graded{k}", "loud", "early", weights(), -8, mode, graded=True,
            rule=replace(largest, dw=(Product("y0", -3, exponents[0] + 2, factors),)),
        )
        for k, factors in enumerate((
            (Factor("x1", -3),), (Factor("x1", -60), Factor("w")),
            (Factor("x1", -1), Factor("x2", 3), Factor("x1", -3)), (Factor("x1", -127, "on"),),
            (Factor("w", -20, "pos", "x1", -1),), (Factor("x1", -100, "", "w", 1),),
        ))
    ]  # fmt: skip
    # one target spikes by itself in each step: a column that is alone; and one population's all do
    cells = Population("cells", n_post, du=0, dv=0, vth=np.where(np.arange(n_post) == 2, 1, 131071), bias=100)
    many = Population("many", n_post, du=0, dv=0, vth=1, bias=100)
    level = Modulator("level", "cells", (), "add", 0, 0, 1, np.linspace(-100, 100, n_post).astype(np.int64))
    source = Population("input", n_pre, "input")
    loud = Population("loud", n_pre, "input", graded=True)
    early = Population("early", n_post, du=0, dv=0, vth=1, init_v=np.where(np.arange(n_post) == 2, 1000, 0))
    program = build([source, cells, many, loud, early], projections, rounding=rounding, modulators=[level])
    step, index = np.array([1, 2, 2, 3, 4, 4, 4]), np.array([0, 1, 3, 6, 0, 2, 5])
    state = {
        (p.name, name): rng.integers(0, 128, n_pre if name[0] == "x" else n_post)
        for p in projections if p.pre == "input" for name in (_traces() if p.post == "cells" else ("x1",))
    }  # fmt: skip
    all_at_once = np.full(n_pre, 3), np.arange(n_pre), np.full(n_pre, 255)
    given = {"input": (step, index, np.ones(7, np.int64)), "loud": all_at_once}
    return Draw(with_probes(rng, program), given, _STEPS, state=state)


def _traces() -> dict[str, Trace]:
    return {name: Trace(1, 0, 300.0) for name in ("x1", "x2", "y1", "y2", "y3")}


def _products(exponents: Sequence[int]) -> Sequence[tuple[Literal["x0", "y0"], int, tuple[Factor, ...]]]:
    """Dependency, exponent and factors: the weight, traces, and functions of them, with constants that pass limits."""
    found = []
    ways: tuple[tuple[Literal["x0", "y0"], str], ...] = (("x0", "y"), ("y0", "x"))
    for (way, end), exp in product(ways, exponents):
        one, two, three = Factor(end + "1", 3), Factor(end + "2", -60), Factor(end + "1", -3)
        weight = Factor("w", -200)
        found += [
            (way, exp, factors)
            for factors in (
                (one,), (one, two), (one, two, three), (weight, one), (weight, one, two), (Factor("w"),),
                (Factor(end + "1", 150), Factor(end + "2", -100)), (Factor(end + "1"), Factor(end + "2", -140)),
                (Factor("w", -40, "sgn"),),
                (Factor("w", 10, "on", end + "1", 1),), (Factor(end + "2", -30, "pos", "w", 1),),
                (Factor(end + "1", -40, "on"),), (Factor(end + "2", -40, "sgn"), Factor("w")),
                (Factor("w", 40, "pos"),), (Factor("w", -20, "pos", end + "1", -1),),
                (Factor(end + "2", 5, "", "w", -1),), (Factor("q", -3), weight), (Factor("w", -9, "", "q", -1),),
                (Factor("1", 30, "pos", "w", -1),), (Factor("m1"), weight),
            )
        ]  # fmt: skip
    return found
