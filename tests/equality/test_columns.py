"""A column that is due as a whole, with no source's row done before it, is run without looking its synapses up."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from neuromorph.program import Population, Program, Projection, build
from neuromorph.rule import Factor, Product, Rule, Trace
from neuromorph.state import items
from neuromorph.targets import find

STEPS, INPUTS, CELLS = 12, 150, 7  # a full batch of lanes and a part of one
W, X1 = (Product("y0", -3, -4, (Factor(name),)) for name in ("w", "x1"))
RULES = {"weight": (W,), "trace": (X1,), "both": (W, X1)}


def program(sign: Any, rounding: Any, dw: tuple[Product, ...]) -> Program:
    """Silent inputs onto neurons that spike in every step; tags change too."""
    low, high = {"exc": (0, 256), "inh": (-255, 1), "mixed": (-256, 256)}[sign]
    weights = np.random.default_rng(5).integers(low, high, (INPUTS, CELLS))
    cells = Population("cells", CELLS, du=741, dv=200, vth=1, bias=100000)
    dd, dt = (Product("y0", 3, -3, (Factor("x1"),)),), (Product("y0", 5, -3, (Factor("w"),)),)
    rule = Rule(dw=dw, dd=dd, dt=dt, traces={"x1": Trace(20, 0, 50.0)})
    projection = Projection("p", "input", "cells", weights, -8, sign, rule=rule)
    return build([Population("input", INPUTS, "input"), cells], [projection], rounding=rounding)


def states(target: str, run: Program) -> list[bytes]:
    """All state after some steps, from traces that are set."""
    backend, found = find(target)
    engine = backend.open(found)
    try:
        engine.load(run.image)
        given = items(run)
        for k, item in enumerate(given):
            if item.variable == "x1":
                engine.write_item(k, 0, item.encode(np.arange(item.shape[0]) % 128))
        engine.run(STEPS, b"", lambda _: None)
        return [engine.read_item(k, 0, item.count) for k, item in enumerate(given)]
    finally:
        engine.close()


@pytest.mark.parametrize("rounding", ["shared", "synapse"])
@pytest.mark.parametrize("sign", ["exc", "inh", "mixed"])
@pytest.mark.parametrize("dw", RULES.values(), ids=RULES)
def test_whole_columns_equal_the_reference(dw: tuple[Product, ...], sign: str, rounding: str) -> None:
    run = program(sign, rounding, dw)
    assert states("cpu", run) == states("cpu:ref", run)
