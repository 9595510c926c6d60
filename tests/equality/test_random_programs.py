"""Every state of every step of random programs is the same on every fixed-point machine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from neuromorph.passes.cost import is_pair_rule
from neuromorph.rule import FUNCTIONS, VARIABLES
from neuromorph.testing.equality import DIRECTED, UNREACHABLE, disagreement, engine_for, random_case
from neuromorph.testing.lines import LINES
from neuromorph.testing.programs import draw

CPU_PROGRAMS, MCU_PROGRAMS, BATCH = 500, 100, 25
ALL_REACHED = 80  # as many as it takes, and some
BOARDS = ("mcu:m4", "mcu:m3", "mcu:m0")

pytestmark = pytest.mark.timeout(600)  # a batch takes 10 s of CPU; a shared machine may need many times that


def disagreement_on(board: str, seed: int) -> str:
    """Compare a program on an emulated board, which is opened anew for it."""
    from neuromorph.targets import find

    backend, target = find(board)
    engine = backend.open(target)
    try:
        return disagreement(random_case(seed), engine)
    finally:
        engine.close()


def batches(programs: int) -> list[Any]:
    """First seeds of the batches; all but the first are slow."""
    return [pytest.param(first, marks=pytest.mark.slow if first else ()) for first in range(0, programs, BATCH)]


@pytest.mark.parametrize("first", batches(CPU_PROGRAMS))
def test_cpu_equals_reference(first: int) -> None:
    """The C engine in process, also with its kernels off, and called as a sketch does: all give the same bits."""
    for seed in range(first, first + BATCH):
        found = disagreement(random_case(seed), engine_for(seed))
        assert not found, found


def test_cpu_equals_reference_on_programs_made_on_purpose() -> None:
    """Indices of more than 16 bits, records in blocks; columns that are due as a whole, and with gaps."""
    for seed in DIRECTED:
        found = disagreement(random_case(seed), engine_for(seed))
        assert not found, found


@pytest.mark.parametrize("first", batches(MCU_PROGRAMS))
def test_mcu_equals_reference(first: int) -> None:
    """The firmware on emulated Cortex-M4, M3 and M0, through the serial link."""
    for seed in range(first, first + BATCH):
        found = disagreement_on(BOARDS[seed % len(BOARDS)], seed)
        assert not found, found


@pytest.mark.slow
def test_mcu_equals_reference_on_whole_lines() -> None:
    """The loops for rows and columns, of which a Cortex-M4 has its own, with instructions for two halves of a word."""
    for seed in range(-7000, -7000 - LINES, -1):
        found = disagreement_on("mcu:m4", seed)
        assert not found, found


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_programs_reach_every_wrap_saturation_and_rounding(record_property: Callable[[str, object], None]) -> None:
    """The programs above go where the machine's arithmetic has an edge; the counts stand at the end of the report."""
    seen: Counter[str] = Counter()
    for seed in range(ALL_REACHED):
        random_case(seed, seen=seen)
    notes = {name: f"  (cannot be: {why})" for name, why in UNREACHABLE.items()}
    rows = [f"{seen[name]:>10}  {name}{notes.get(name, '')}" for name in sorted(seen)]
    record_property("reached by the random programs", "\n".join(rows))
    missed = sorted(name for name in seen if not seen[name] and name not in UNREACHABLE)
    assert not missed
    assert not [name for name in UNREACHABLE if seen[name]]


def test_programs_are_what_they_claim() -> None:
    """Sizes, layouts, roundings, epochs, delays and kinds of all sorts occur, in at least 200 steps."""
    programs = [draw(seed) for seed in range(100)]
    assert all(drawn.steps >= 200 for drawn in programs)
    assert {bool(drawn.pause) for drawn in programs} == {False, True}
    projections = [p for drawn in programs for p in drawn.program.projections.values()]
    populations = [p for drawn in programs for p in drawn.program.populations.values()]
    rules = [p.rule for p in projections if p.rule is not None]
    assert {drawn.program.rounding for drawn in programs} == {"shared", "synapse"}
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


def test_slow_products_stand_beside_pairs() -> None:
    """In dense and sparse projections, with both roundings, of weights and of tags, in runs that are interrupted."""
    found = [
        (p.layout, drawn.program.rounding, bool(p.rule.dt), bool(drawn.pause))
        for drawn in (draw(seed) for seed in range(200)) for p in drawn.program.projections.values()
        if p.rule is not None and is_pair_rule(p.rule) and len(p.rule.dw) > 2
    ]  # fmt: skip
    assert {(layout, rounding) for layout, rounding, _, _ in found} == {
        (layout, rounding) for layout in ("dense", "sparse") for rounding in ("shared", "synapse")
    }
    assert {(tags, paused) for layout, _, tags, paused in found if layout == "dense"} == {
        (tags, paused) for tags in (False, True) for paused in (False, True)
    }


def test_extensions_are_what_they_claim() -> None:
    """Modulators of all sorts, every function and variable, long periods that are due, sets and saves on the way."""
    found = [drawn for drawn in (draw(seed) for seed in range(100)) if drawn.program.modulators]
    assert 20 <= len(found) <= 80
    modulators = [m for drawn in found for m in drawn.program.modulators.values()]
    rules = [p.rule for drawn in found for p in drawn.program.projections.values() if p.rule is not None]
    products = [product for rule in rules for product in rule.products]
    factors = [factor for product in products for factor in product.factors]
    assert {(m.shared, m.mode) for m in modulators} == {(a, b) for a in (True, False) for b in ("add", "hold")}
    assert {len(m.sources) for m in modulators} >= {0, 1, 2, 3, 8}
    assert {drawn.program.rounding for drawn in found} == {"shared", "synapse"}
    assert {bool(drawn.pause) for drawn in found} == {False, True}
    assert {(f.function, len(f.variables)) for f in factors} == {(g, n) for g in FUNCTIONS for n in (1, 2)}
    assert {name for f in factors for name in f.variables} == set(VARIABLES)
    assert {f.sign for f in factors} == {1, -1}
    assert {product.k for product in products} >= {*range(3), *range(10, 16)}
    assert {entry.operation for drawn in found for entry in drawn.program.schedule} >= {"modulator"}
    late = [
        drawn for drawn in found for p in drawn.program.projections.values() if p.rule for product in p.rule.products
        if product.k > 9 and drawn.first % (p.rule.t_epoch << product.k) > (p.rule.t_epoch << product.k) - drawn.steps
    ]  # fmt: skip
    assert late
    payloads = [
        drawn.events[source][2] for drawn in found for m in drawn.program.modulators.values() for source, _ in m.sources
        if source in drawn.events
    ]  # fmt: skip
    assert min(map(np.min, filter(np.size, payloads))) < 0
