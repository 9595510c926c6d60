"""What Lava would misread is refused by name before anything starts; needs no Lava."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from neuromorph.errors import TargetError, UnsupportedError
from neuromorph.program import Modulator, Population, Program, Projection, build
from neuromorph.rule import Factor, Product, Rule, Trace
from neuromorph_lava.backend import LavaBackend
from neuromorph_lava.holds import bias_parts, check_inputs, check_program, own_models

PAIR = Rule((Product("y0", 1, 0, (Factor("x1"),)),), traces={"x1": Trace(16, 0, 10.0)})


def program(rule: Rule | None = PAIR, bias: Any = 0, rounding: Any = "shared", **projection: Any) -> Program:
    weights = np.full((3, 2), 100)
    return build(
        [Population("in", 3, "input", graded=True), Population("cells", 2, vth=100, bias=bias)],
        [Projection("syn", "in", "cells", weights, sign_mode="exc", rule=rule, **projection)],
        rounding=rounding,
    )


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (program(bias=np.array([4, 100_001])), "population 'cells': bias 100001 of neuron 1"),
        (program(bias=(1 << 23) - 1), "16 bits"),
        (program(rounding="synapse"), "'syn': Lava rounds .* rounding='shared'"),
        (program(delays=3), "'syn': Lava has no plastic projections with delays"),
        (
            program(replace(PAIR, dw=(*PAIR.dw, Product("u", 1, 0, k=1), Product("u", 1, 0, k=3)))),
            "'syn': the rule mixes u1, u3",
        ),
        (program(Rule(traces={"x1": Trace(16, 0, 10.0)})), "no products"),
    ],
)
def test_what_lava_lacks_is_refused_by_name(made: Program, message: str) -> None:
    with pytest.raises(UnsupportedError, match=message):
        check_program(made)


def test_what_lava_holds_passes() -> None:
    check_program(program())
    check_program(program(None, delays=3, rounding="synapse", weight_exp=-3))


@pytest.mark.parametrize("bias", [0, 1, -1, 4095, -4096, 32767, -32768, 4096, 8190, 4095 << 7, -(1 << 19), 32767 << 7])
def test_a_bias_is_split_into_mantissa_and_exponent(bias: int) -> None:
    mant, exp = bias_parts(np.array([bias]))
    assert int(mant[0]) << int(exp[0]) == bias
    assert 0 <= exp[0] <= 7
    if bias % 8 == 0 and abs(bias) <= 4095 << 7:
        assert -4096 <= mant[0] <= 4095


def test_payloads_that_lava_takes_in_another_way_are_refused() -> None:
    overwrite = replace(PAIR, graded_trace="overwrite", traces={"x1": Trace(0, 0, 10.0)})
    made = program(overwrite, graded=True)
    check_inputs(made, {3: {"in": np.array([0, 257, 513])}})
    for payload in (258, -2):
        with pytest.raises(UnsupportedError, match=f"'syn': a payload of {payload}"):
            check_inputs(made, {2: {"in": np.zeros(3, int)}, 3: {"in": np.array([0, payload, 0])}})
    delayed = program(None, delays=np.full((3, 2), 2), graded=True, weight_exp=-1)
    check_inputs(delayed, {1: {"in": np.array([7_000_000, 0, 0])}})
    with pytest.raises(UnsupportedError, match="sums in 64 bits"):
        check_inputs(delayed, {1: {"in": np.array([0, 0, -(1 << 23) + 1])}})


def test_an_image_is_refused_before_a_worker_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    from neuromorph.worker import peer

    def no_worker(*_: object) -> None:
        raise AssertionError("a worker was started")

    monkeypatch.setattr(peer, "Worker", no_worker)
    backend = LavaBackend()
    if backend.environment.found() is None:
        with pytest.raises(TargetError, match="neuromorph targets install loihi:lava"):
            backend.open(backend.targets()[0])
        return
    with pytest.raises(UnsupportedError, match="plastic projections with delays"):
        backend.open(backend.targets()[0]).load(program(delays=3).image)


@pytest.mark.parametrize(
    ("cells", "modulated", "ours"),
    [
        ({}, False, ()),
        ({"reset_interval": 10}, False, ()),
        ({"kind": "ternary"}, False, ()),
        ({"refractory": 3}, False, ("cells",)),
        ({"adaptive": True, "theta_inc": 5}, False, ("cells",)),
        ({"kind": "ternary", "reset_interval": 10}, False, ("cells",)),
        ({}, True, ("dopamine",)),
    ],
)
def test_what_runs_on_a_model_of_ours_is_told(cells: dict[str, Any], modulated: bool, ours: tuple[str, ...]) -> None:
    made = program(None)
    pops = {**made.populations, "cells": replace(made.populations["cells"], **cells)}
    modulators = {"dopamine": Modulator("dopamine")} if modulated else {}
    assert own_models(replace(made, populations=pops, modulators=modulators)) == ours
