"""Profile wide: every state of every step of random programs is the same on every machine that has it."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

from neuromorph.rule import VARIABLES
from neuromorph.testing.equality import UNREACHABLE, WIDE, disagreement, engine_for, random_case
from neuromorph.testing.programs import draw

CPU_PROGRAMS, BATCH, MCU_PROGRAMS, MCU_BATCH = 200, 10, 40, 4
ALL_REACHED = 60  # as many as it takes, and some
BOARDS = ("mcu:m4", "mcu:m0", "mcu:m3", "mcu:posix")
OWN = ("product", "accumulator", "factor", "trace", "graded trace", "payload:", "modulator, read", "q:", "w:", "tag_",
       "sign of")  # fmt: skip
"""Arithmetic of this profile, by the beginnings of its names; the rest is that of the other programs."""
UNREACHABLE_HERE = {name: why for name, why in UNREACHABLE.items() if name != "tag_1: at the lower end"}
"""Ends that no program reaches, and why. Here the sum reaches beyond the range of tag_1."""

pytestmark = pytest.mark.timeout(600)


def batches(programs: int, size: int) -> list[Any]:
    """First seeds of the batches; all but the first are slow."""
    return [pytest.param(first, marks=pytest.mark.slow if first else ()) for first in range(0, programs, size)]


@pytest.mark.parametrize("first", batches(CPU_PROGRAMS, BATCH))
def test_cpu_equals_reference(first: int) -> None:
    for seed in range(WIDE + first, WIDE + first + BATCH):
        found = disagreement(random_case(seed), engine_for(seed))
        assert not found, found


@pytest.mark.parametrize("first", batches(MCU_PROGRAMS, MCU_BATCH))
def test_mcu_equals_reference(first: int) -> None:
    """The firmware on emulated cores, and as a program with run-time checks, through the serial link."""
    from neuromorph.targets import find

    for seed in range(first, first + MCU_BATCH):
        backend, target = find(BOARDS[seed % len(BOARDS)])
        if backend.available(target):
            pytest.skip(backend.available(target))
        engine = backend.open(target)
        try:
            found = disagreement(random_case(WIDE + seed, steps=60), engine)
        finally:
            engine.close()
        assert not found, found


@pytest.mark.slow
def test_programs_reach_every_wrap_saturation_and_rounding() -> None:
    seen: Counter[str] = Counter()
    for seed in range(WIDE, WIDE + ALL_REACHED):
        random_case(seed, seen=seen)
    own = [name for name in seen if name.startswith(OWN)]
    kinds = {name.split(":")[0] for name in own}
    assert kinds >= {"product", "accumulator", "factor", "trace", "payload", "q", "tag_1"}
    assert not sorted(name for name in own if not seen[name] and name not in UNREACHABLE_HERE)
    assert not [name for name in UNREACHABLE_HERE if seen[name]]


def test_programs_are_what_they_claim() -> None:
    """The shapes of the other random programs, with fractions that 8 bits do not have."""
    programs = [draw(seed, profile="wide").program for seed in range(60)]
    projections = [p for program in programs for p in program.projections.values()]
    rules = [p.rule for p in projections if p.rule is not None]
    products = [product for rule in rules for product in rule.products]
    factors = [factor for product in products for factor in product.factors]
    assert {program.profile for program in programs} == {"wide"}
    assert {program.rounding for program in programs} == {"synapse"}
    assert {(p.layout, p.sign_mode) for p in projections if p.rule} == {
        (layout, sign) for layout in ("dense", "sparse") for sign in ("mixed", "exc", "inh")
    }
    assert {bool(p.rule) for p in projections if np.any(p.weights % 128)} == {True, False}
    assert min(product.exp for product in products) == -22
    assert {rule.graded_trace for rule in rules} == {"none", "overwrite", "add_saturate"}
    assert {rule.t_epoch for rule in rules} >= {1, 2, 3, 4, 7, 8}
    assert {name for factor in factors for name in factor.variables} == set(VARIABLES)
    assert len({factor.fine for factor in factors}) == 64
    assert {trace.wide[1] for rule in rules for trace in rule.traces.values()} >= {16, 17, 31}


def test_a_run_goes_on_where_another_machine_was_stopped() -> None:
    """The state file has the fine bits of weights, tags and traces."""
    import neuromorph as nm

    program = next(
        program for program in (draw(seed, profile="wide").program for seed in range(50))
        if any(p.rule and p.rule.has_tag_1 and p.rule.traces for p in program.projections.values())
    )  # fmt: skip

    def run(machines: list[str]) -> dict[str, Any]:
        state = None
        for target in machines:
            with nm.open(program, target) as session:
                if state is not None:
                    session.restore(nm.State.from_bytes(state.to_bytes()))
                session.run(steps=30)
                state = session.snapshot()
        assert state is not None
        return state.arrays(program)

    through, alone = run(["cpu:ref", "cpu", "mcu"]), run(["cpu", "cpu", "cpu"])
    assert {name: values.tolist() for name, values in through.items()} == {n: v.tolist() for n, v in alone.items()}
