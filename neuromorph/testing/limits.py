"""Programs in which products just pass their limits, or just do not: all that they read is at an end of its range.

An engine that takes a factor to be smaller than it can be leaves out a limit that is needed here.
"""

from __future__ import annotations

from itertools import product
from typing import Any, Literal

import numpy as np

from neuromorph.program import Modulator, Population, Projection, build
from neuromorph.rule import FUNCTIONS, Factor, Product, Rule, Trace
from neuromorph.testing.programs import Draw, with_probes

__all__ = ["LIMITS", "RESOURCES", "limits", "resources"]

_SHAPES = tuple(product(("w", "1"), FUNCTIONS, ("", "w", "2", "m1", "q"), (1, -1)))
LIMITS = len(_SHAPES)
"""Programs of `limits`: each shape of a factor; 1 and 2 are traces of the far end, m1 is a level of each target."""
RESOURCES = 2
"""Programs of `resources`: one of each profile."""
_SCALES = ((1, 0), (3, -2), (5, -2), (1, 1), (7, 8), (7, -5))
_STEPS, _N_PRE, _N_POST = 3, 4, 6


def limits(number: int) -> Draw:
    """One factor in a product of its own: of rows and of columns, of either sign, small and large."""
    variable, function, second, sign = _SHAPES[number]
    rng = np.random.default_rng([8, number])

    def rule(dependency: Literal["x0", "y0"], mant: int, exp: int) -> Rule:
        end = "y" if dependency == "x0" else "x"
        first, then = (end + name if name in ("1", "2") else name for name in (variable, second))
        factor = Factor(first, int(rng.choice([0, 0, 3, -3])), function, then, sign if then else 1)
        traces = {end + k: Trace(0, 0, 1000.0) for k in "12"}
        modulators = ("level",) if second == "m1" else ()
        return Rule((Product(dependency, mant, exp, (factor,)),), traces=traces, modulators=modulators, sum_shift=1)

    rules = [rule(way, turn * mant, exp) for way in ("x0", "y0") for turn in (1, -1) for mant, exp in _SCALES]
    projections = [
        Projection(f"p{k}", "input", "cells", rng.choice([-256, -255, 255], (_N_PRE, _N_POST)), -8, "mixed", rule=rule)
        for k, rule in enumerate(rules)
    ]
    state = {
        (p.name, name): rng.choice([0, 126, 127], _N_PRE if name[0] == "x" else _N_POST)
        for p in projections if p.rule for name in p.rule.traces
    }  # fmt: skip
    return _drawn(rng, projections, state, "loihi2", "shared" if number % 2 else "synapse")


def resources(number: int) -> Draw:
    """The sum of a target's weights, at either end, with constants that bring it back to a small number."""
    rng, wide = np.random.default_rng([9, number]), number == 1
    one = 128 if wide else 1
    projections = []
    for k, (weight, constant) in enumerate(((-256, 511), (255, -511), (-256, 509), (255, -505))):
        rule = Rule((Product("x0", 1, 2, (Factor("q", constant),)),), sum_shift=0)
        weights = np.full((_N_PRE, _N_POST), weight * one)
        weights[0] = 0  # of the source that spikes: what is added to them shows
        projections.append(Projection(f"p{k}", "input", "cells", weights, -8, "mixed", rule=rule))
    return _drawn(rng, projections, {}, "wide" if wide else "loihi2", "synapse")


def _drawn(
    rng: np.random.Generator,
    projections: list[Projection],
    state: dict[tuple[str, str], Any],
    profile: str,
    rounding: Any,
) -> Draw:
    """A source spikes alone, some together, and none; half of the targets always do."""
    cells = Population("cells", _N_POST, du=741, dv=200, vth=np.tile([1, 131071], _N_POST // 2), bias=100_000)
    levels = np.linspace(-1500, 1500, _N_POST).astype(np.int64)
    level = Modulator("level", "cells", (("cells", 900),), "add", 40, 0, 4, levels)
    program = build(
        [Population("input", _N_PRE, "input"), cells], projections, rounding=rounding, profile=profile,
        modulators=[level] if any(p.rule and p.rule.modulators for p in projections) else (),
    )  # fmt: skip
    steps, index = np.array([1, 2, 2, 2]), np.array([0, 0, 1, 3])
    events = {"input": (steps, index, np.ones(steps.size, np.int64))}
    return Draw(with_probes(rng, program), events, _STEPS, state=state)
