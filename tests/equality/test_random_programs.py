"""Every state of every step of random programs is the same on every fixed-point machine."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from neuromorph.testing.equality import UNREACHABLE, difference, reached
from neuromorph.testing.programs import is_active, random_case

CPU_PROGRAMS, MCU_PROGRAMS, BATCH = 500, 100, 25
BOARDS = ("mcu:m4", "mcu:m3", "mcu:m0")


@pytest.mark.parametrize("first", range(0, CPU_PROGRAMS, BATCH))
def test_cpu_equals_reference(first: int) -> None:
    """The C engine in process, also with its kernels off: the interpreter alone gives the same bits."""
    from neuromorph_cpu.native import NativeEngine

    for seed in range(first, first + BATCH):
        case = random_case(seed)
        found = difference(case, NativeEngine(kernels=bool(seed % 5)))
        assert found.equal, f"program {seed}: {found.explain()}"


@pytest.mark.parametrize("first", range(0, MCU_PROGRAMS, BATCH))
def test_mcu_equals_reference(first: int) -> None:
    """The firmware on emulated Cortex-M4, M3 and M0, through the serial link."""
    from neuromorph.targets import find

    for seed in range(first, first + BATCH):
        backend, target = find(BOARDS[seed % len(BOARDS)])
        engine = backend.open(target)
        try:
            found = difference(random_case(seed), engine)
        finally:
            engine.close()
        assert found.equal, f"program {seed} on {target.name}: {found.explain()}"


def test_programs_reach_every_wrap_saturation_and_rounding() -> None:
    """The programs above go where the machine's arithmetic has an edge (counts are printed)."""
    seen: Counter[str] = Counter()
    for seed in range(CPU_PROGRAMS // 4):
        reached(random_case(seed), seen)
    for name in sorted(seen):
        print(f"{seen[name]:>10}  {name}{'  (cannot be: ' + UNREACHABLE[name] + ')' if name in UNREACHABLE else ''}")
    missed = sorted(name for name in seen if not seen[name] and name not in UNREACHABLE)
    assert not missed
    assert not [name for name in UNREACHABLE if seen[name]]


def test_programs_are_what_they_claim() -> None:
    """Sizes, layouts, roundings, epochs, delays and kinds of all sorts occur, and every program is active."""
    programs = [random_case(seed) for seed in range(100)]
    assert all(is_active(case) and case.steps >= 200 for case in programs)
    projections = [p for case in programs for p in case.program.projections.values()]
    populations = [p for case in programs for p in case.program.populations.values()]
    rules = [p.rule for p in projections if p.rule is not None]
    assert {case.program.rounding for case in programs} == {"shared", "synapse"}
    assert {p.layout for p in projections if p.rule} == {"dense", "sparse"}
    assert {p.sign_mode for p in projections} == {"mixed", "exc", "inh"}
    assert {p.kind for p in populations} == {"input", "lif", "ternary"}
    assert {r.t_epoch for r in rules} >= {1, 2, 3, 4, 7, 8}
    assert {len(r.dw) for r in rules} >= {1, 2, 3, 4, 5}
    assert {d for p in projections for d in np.ravel(p.delays)} >= set(range(64))
    assert any(p.is_refractory for p in populations)
    assert any(p.adaptive for p in populations)
    assert {t for r in rules for t in r.traces} == {"x1", "x2", "y1", "y2", "y3"}
    assert any(p.pre == p.post for p in projections)
