"""Modulators and what rules make of them: numbers worked out by hand from docs/semantics.md, 4.3 and 4.4."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import neuromorph as nm
from neuromorph.language import parse_products
from neuromorph.program import Modulator, Population, Probe, Program, Projection, ScheduleEntry, build
from neuromorph.rule import Rule
from neuromorph.session import Session

TARGETS = ("cpu:ref", "cpu", "mcu:m0")
Machine = Callable[[Program, str], Session]
CELLS = Population("cells", 2, bias=np.array([100, 0]), vth=1, dv=4096)
"""The first one spikes in each step, the second never."""


def values(machine: Machine, target: str, program: Program, steps: int, **inputs: Any) -> dict[str, list[Any]]:
    """What each probe saw, one row per step."""
    trace = machine(program, target).run(steps=steps, inputs=inputs)
    return {probe.name: trace.states(probe.name).values.tolist() for probe in program.probes}


def seen(*names: str) -> tuple[Probe, ...]:
    return tuple(Probe(name, name, "m") for name in names)


@pytest.mark.parametrize("target", TARGETS)
def test_spikes_add_to_a_value_for_all_that_decays_toward_zero(machine: Machine, target: str) -> None:
    program = build(
        [Population("in", 3, "input")], [], probes=seen("fed", "alone"),
        modulators=[
            Modulator("fed", None, (("in", 100),), decay=2048, period=1, init=-7),
            Modulator("alone", decay=2048, period=1, init=-7),
        ],
    )  # fmt: skip
    found = values(machine, target, program, 6, **{"in": nm.SpikeTrain(np.array([1, 1, 3]), np.array([0, 2, 1]))})
    assert found["fed"] == [[193], [96], [196], [98], [98], [49]]
    assert found["alone"] == [[-7], [-3], [-3], [-1], [-1], [0]]


@pytest.mark.parametrize("target", TARGETS)
def test_a_held_value_is_that_of_the_last_spike_until_the_schedule_sets_it(machine: Machine, target: str) -> None:
    program = build(
        [Population("in", 2, "input", graded=True)], [], probes=seen("held"),
        modulators=[Modulator("held", None, (("in", 10),), "hold", init=1)],
        schedule=(ScheduleEntry(6, "modulator", "held", value=40),),
    )  # fmt: skip
    steps, indices, payloads = np.array([2, 4, 4, 5, 5]), np.array([0, 0, 1, 0, 1]), np.array([5, -3, -1, 7, -7])
    found = values(machine, target, program, 7, **{"in": nm.SpikeTrain(steps, indices, payloads)})
    assert found["held"] == [[1], [50], [50], [-40], [0], [40], [40]]


@pytest.mark.parametrize("target", TARGETS)
def test_each_neuron_has_a_value_of_its_own_and_values_stay_in_range(machine: Machine, target: str) -> None:
    top, most = 1 << 30, 1 << 24
    program = build(
        [CELLS, Population("in", 1, "input", graded=True)], [], probes=seen("rate", "large"),
        modulators=[
            Modulator("rate", "cells", (("cells", 10),), init=np.array([1, 2])),
            Modulator("large", None, (("in", most),), init=-5),
        ],
    )  # fmt: skip
    found = values(machine, target, program, 3, **{
        "in": nm.SpikeTrain(np.array([1, 2, 3]), np.array([0, 0, 0]), np.array([1, 2**23 - 1, -(2**23) + 1]))
    })  # fmt: skip
    assert found["rate"] == [[11, 2], [21, 2], [31, 2]]
    # 2^23 - 1 counts as 2^20
    assert found["large"] == [[most - 5], [top], [-top]]


def learning(dw: str, rounding: Any, weight: int = 100, **more: Any) -> Program:
    """Two sources onto both cells; m1 is 20, m2 is -30; q of each cell is a quarter of its two weights."""
    rule = Rule(parse_products(dw), modulators=("plus", "minus"), sum_shift=2, seed=3)
    return build(
        [Population("in", 2, "input"), CELLS],
        [Projection("syn", "in", "cells", np.full((2, 2), weight), sign_mode="exc", rule=rule)],
        modulators=[Modulator("plus", init=81, frac=2), Modulator("minus", "cells", init=np.array([-30, -30]))],
        probes=(Probe("w", "syn", "w"),), rounding=rounding, **more,
    )  # fmt: skip


CHANGES = {
    "u0*m1": 20,
    "u0*-m1": -20,
    "u0*pos(m2)": 0,
    "u0*pos(5 - m2)": 35,
    "u0*on(m1 - 20)": 0,
    "u0*on(m1 - 19)": 1,
    "u0*3*sgn(m2)": -3,
    "u0*(m1 + m2)": -10,
    "u0*(m1 - m2 + 3)": 53,
    "u0*(m1 + m1 + 120)": 127,
    "u0*(w - m1 - 90)": -10,
    "u0*q": 50,
    "u0*pos(q - 40)": 10,
    "u0*on(w + q - 149)*m1": 20,
    "u0*m1*m2": -75,  # (20 * -30) >> (4 + 7 + 7 - 15)
    "u0*2^3*m1*m2": -100,  # -600, but a weight ends at 0
    "u10*m1": 0,  # step 1 is no multiple of 2^10
}


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("dw", CHANGES)
def test_what_a_factor_is_worth(machine: Machine, target: str, dw: str) -> None:
    """On the synapses of the silent cell: those of the other one are below."""
    for rounding in ("synapse", "shared"):
        (w,) = values(machine, target, learning(dw, rounding), 1)["w"]
        assert np.array(w).reshape(2, 2)[:, 1].tolist() == [100 + CHANGES[dw]] * 2, rounding


@pytest.mark.parametrize("target", TARGETS)
def test_a_negative_modulator_after_a_spike_of_the_target(machine: Machine, target: str) -> None:
    """Shared rounding does as the reference implementation: it is 0 from the spike on; the other rounding reads it."""
    found = {
        rounding: values(machine, target, learning("u0*m2", rounding), 1)["w"] for rounding in ("shared", "synapse")
    }
    assert found["shared"] == [[100, 70, 100, 70]]
    assert found["synapse"] == [[70, 70, 70, 70]]


@pytest.mark.parametrize("target", TARGETS)
def test_the_schedule_opens_a_gate_for_learning(machine: Machine, target: str) -> None:
    gate = (ScheduleEntry(2, "modulator", "plus", value=4), ScheduleEntry(4, "modulator", "plus", value=-8))
    for rounding in ("synapse", "shared"):
        program = learning("u0*m1 - u0*const(20)", rounding, weight=60, schedule=gate)
        rows = values(machine, target, program, 6)["w"]
        assert [row[1] for row in rows] == [60, 60, 41, 22, 0, 0], rounding
