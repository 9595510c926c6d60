"""Programs whose parts do not fit each other are refused, with names."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from neuromorph.errors import ValidationError
from neuromorph.program import Population, Probe, Program, Projection, ScheduleEntry, build
from neuromorph.rule import Factor, Product, Rule, Trace
from neuromorph.validate import probe_variables

RULE = Rule((Product("y0", 1, 0, (Factor("x1"),)),), dt=(Product("x0", 1, 0),), traces={"x1": Trace(16, 0, 20.0)})
POPS = [Population("in", 3, "input"), Population("out", 2, adaptive=True, refractory=2)]
DENSE = Projection("syn", "in", "out", np.full((3, 2), 4), sign_mode="exc", rule=RULE)
ROWS, TARGETS = np.array([0, 2, 2, 4]), np.array([0, 1, 0, 1])
SPARSE = Projection("rows", "in", "out", np.full(4, 8), indptr=ROWS, indices=TARGETS)


def program(**more: Any) -> Program:
    return build(POPS, [DENSE, SPARSE], **more)


def test_a_whole_program_is_accepted() -> None:
    made = program(
        probes=(Probe("a", "out", "theta"), Probe("b", "syn", "tag_1")),
        schedule=(ScheduleEntry(0, "plasticity", "syn", False), ScheduleEntry(5, "adaptation", "out", False)),
    )
    assert list(made.projections) == ["syn", "rows"]


PROJECTIONS: list[tuple[Projection, str]] = [
    (replace(DENSE, pre="inn"), "'syn': population 'inn' does not exist; did you mean 'in'"),
    (replace(DENSE, post="in"), "'in' is an input and receives nothing"),
    (replace(DENSE, weights=np.full((2, 3), 4)), r"weights of shape \(2, 3\), needed \(3, 2\)"),
    (replace(DENSE, weights=np.full((3, 2), 256)), r"weight 256 is outside 0\.\.255 of sign mode 'exc'"),
    (replace(DENSE, weights=np.full((3, 2), 0.5)), "weights must be integers, not float64"),
    (replace(DENSE, weight_exp=16), r"weight_exp 16 is outside -16\.\.15"),
    (replace(DENSE, delays=64), r"stored delay 64 is outside 0\.\.63"),
    (replace(DENSE, delays=np.zeros(3, np.int64)), r"delays of shape \(3,\)"),
    (replace(DENSE, sign_mode="both"), "sign mode 'both' is unknown"),  # type: ignore[arg-type]
    (replace(DENSE, rule=None, plastic=False), "switched off, but the projection has no rule"),
    (replace(SPARSE, indices=None), "need both indptr and indices"),
    (replace(SPARSE, indptr=ROWS[:-1]), "indptr"),
    (replace(SPARSE, indptr=np.array([0, 3, 2, 4])), "indptr must rise from 0 to 4"),
    (replace(SPARSE, indices=np.array([0, 2, 0, 1])), r"a target index is outside 0\.\.1"),
    (replace(SPARSE, indices=np.array([0, 1, 1, 0])), "targets of source 2 must ascend"),
    (replace(SPARSE, indices=np.array([0, 0, 0, 1])), "targets of source 0 must ascend"),
]


@pytest.mark.parametrize(("proj", "message"), PROJECTIONS)
def test_projections_that_do_not_fit(proj: Projection, message: str) -> None:
    made = program()
    with pytest.raises(ValidationError, match=message):
        replace(made, projections={**made.projections, proj.name: proj})


def test_odd_static_mixed_weights() -> None:
    made = program()
    odd = replace(SPARSE, weights=np.full(4, 3))
    with pytest.raises(ValidationError, match="'rows': static mixed weights are held even"):
        replace(made, projections={**made.projections, "rows": odd})


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"dt": 0.0}, "dt = 0.0 s must be a positive whole number of nanoseconds"),
        ({"dt": 1.5e-9}, "whole number of nanoseconds"),
        ({"seed": -1}, r"seed -1 is outside 0\.\.2\^32 - 1"),
        ({"rounding": "half"}, "rounding 'half' is unknown"),
        ({"probes": (Probe("a", "out", "v"), Probe("a", "out", "u"))}, "probe names are unique"),
        ({"probes": (Probe("a", "uot", "v"),)}, "'uot' does not exist; did you mean 'out'"),
        ({"probes": (Probe("a", "out", "w"),)}, "'out' has no variable 'w'; it has spikes, u, v, refr, theta"),
        ({"probes": (Probe("a", "rows", "w"),)}, "'rows' has no variable 'w'; it has ring"),
        ({"probes": (Probe("a", "out", "v", every=0),)}, "needed every >= 1"),
        ({"schedule": (ScheduleEntry(5, "plasticity", "rows", False),)}, "'rows' is not a plastic projection"),
        ({"schedule": (ScheduleEntry(5, "adaptation", "in", False),)}, "'in' is not a population with an adaptive"),
        ({"schedule": (ScheduleEntry(5, "plasticity", "syn", False), ScheduleEntry(4, "plasticity", "syn", True))},
         "entries are sorted by step"),
    ],
)  # fmt: skip
def test_programs_that_do_not_fit(more: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        program(**more)


def test_names_are_unique_over_all_objects() -> None:
    with pytest.raises(ValidationError, match="'out' names a projection and another object"):
        build(POPS, [replace(DENSE, name="out")])


def test_inputs_have_no_state() -> None:
    with pytest.raises(ValidationError, match="input 'in' takes no refractory period"):
        build([replace(POPS[0], refractory=1), POPS[1]], [])


def test_what_probes_can_sample() -> None:
    made = program()
    assert probe_variables(made.populations["in"]) == ("spikes",)
    assert probe_variables(made.populations["out"]) == ("spikes", "u", "v", "refr", "theta", "adapt")
    assert probe_variables(made.projections["syn"]) == ("ring", "w", "tag_1", "x1", "tx", "ty", "plastic")
