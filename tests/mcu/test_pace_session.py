"""Pace real as users have it: what a trace lacks is named, and is no difference."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import neuromorph as nm
from neuromorph.errors import UnsupportedError, ValidationError
from neuromorph.plots import plot_difference
from neuromorph.program import Program
from neuromorph.session import Session
from neuromorph.trace import Gap, Trace
from neuromorph_mcu.boards import posix_program
from tests.mcu.hosts import network

pytest.importorskip("serial", reason="ports need pyserial: pip install 'neuromorph[mcu]'")
pytestmark = pytest.mark.skipif(not posix_program().is_file(), reason="the firmware was not built: run `make build`")

STEPS = 600


@pytest.fixture(scope="module")
def program() -> Program:
    return nm.compile(network(), target="mcu")


@pytest.fixture(scope="module")
def reference(program: Program) -> Trace:
    return nm.run(program, "cpu:ref", steps=STEPS)


@pytest.fixture(scope="module")
def narrow(program: Program) -> Iterator[tuple[Session, Trace]]:
    """A run whose records the line of its board cannot carry."""
    with nm.open(program, "mcu:nmposix://?rate=60000") as session:
        yield session, session.run(steps=STEPS, pace="real", period=1e-3)


def test_what_the_line_carries_is_all_there() -> None:
    """Few records: the board has room for those of the whole run, however late its host is."""
    program = nm.compile(network(chatty=False), target="mcu")
    with nm.open(program, "mcu:posix") as session:
        trace = session.run(steps=STEPS, pace="real", period=2e-4)
    reference = nm.run(program, "cpu:ref", steps=STEPS)
    diff = nm.compare(trace, reference)
    assert (trace.missing, trace.dropped, trace.counters["dropped"], diff.missing) == ((), 0, 0, ())
    assert trace.counters["recorded"] == len(trace["syn.w"]) == STEPS // 100
    assert diff.equal
    assert diff.values_compared == nm.compare(reference, reference).values_compared


def test_a_narrow_line_loses_records_and_says_which(narrow: tuple[Session, Trace]) -> None:
    session, trace = narrow
    assert (trace.start, trace.stop, trace.complete) == (0, STEPS, True)
    assert trace.dropped == trace.counters["dropped"] > 0
    assert trace.counters["recorded"] + trace.dropped == STEPS
    got = trace.states("cells.v").steps
    inside = [step for gap in trace.missing for step in range(gap.first, gap.last + 1)]
    assert sorted([*got, *inside]) == list(range(1, STEPS + 1))  # each step makes a record here
    assert [gap.last - gap.first + 1 for gap in trace.missing] == [gap.steps for gap in trace.missing]
    assert session.counters["dropped"] == trace.dropped
    assert f"{trace.dropped} steps missing" in repr(trace)


def test_a_comparison_names_what_is_missing(narrow: tuple[Session, Trace], reference: Trace) -> None:
    _, trace = narrow
    for diff in (nm.compare(trace, reference), nm.compare(reference, trace)):
        assert diff.equal
        assert diff.missing == trace.missing
        assert f"not compared: {trace.target} could not send the records of {trace.dropped} steps (" in str(diff)
    spikes, potentials, weights = trace.spikes("cells"), trace.states("cells.v"), trace.states("syn.w")
    assert diff.values_compared == len(potentials) * spikes.n + potentials.values.size + weights.values.size
    assert plot_difference(diff).axes


def test_a_difference_beside_a_gap_is_still_one(narrow: tuple[Session, Trace], reference: Trace) -> None:
    _, trace = narrow
    values = reference.states("cells.v").values.copy()
    inside, beside = trace.missing[0].first, int(trace.states("cells.v").steps[-1])
    values[inside - 1] += 1  # at a step that the trace lacks
    assert nm.compare(trace, changed(reference, values)).equal
    values[beside - 1] += 1
    diff = nm.compare(trace, changed(reference, values))
    assert diff.first is not None
    assert (diff.first.step, diff.count) == (beside, {"cells.v": values.shape[1]})


def changed(trace: Trace, values: NDArray[Any]) -> Trace:
    column = replace(trace.states("cells.v"), values=values)
    return replace(trace, columns={**trace.columns, "cells.v": column})


def test_gaps_survive_a_file_a_cut_and_a_join(narrow: tuple[Session, Trace], tmp_path: Path) -> None:
    _, trace = narrow
    trace.save(tmp_path / "trace.npz")
    loaded = Trace.load(tmp_path / "trace.npz")
    assert loaded.missing == trace.missing
    gap = trace.missing[0]
    middle = (gap.first + gap.last) // 2
    first, second = trace.part(0, middle), trace.part(middle, STEPS)
    assert first.missing[-1] == Gap(gap.first, middle, middle - gap.first + 1)
    joined = first.joined(second)
    assert joined.dropped == trace.dropped
    assert nm.compare(joined, trace).equal


def test_rates_are_those_of_the_steps_that_are_there(narrow: tuple[Session, Trace], reference: Trace) -> None:
    _, trace = narrow
    there = trace.states("cells.v").steps
    spikes = reference.spikes("cells")
    kept = np.isin(spikes.steps, there)
    expected = np.bincount(spikes.indices[kept], minlength=spikes.n) / (there.size * trace.dt)
    np.testing.assert_allclose(trace.rates("cells"), expected)


def test_who_has_no_clock_refuses(program: Program) -> None:
    with nm.open(program, "cpu") as session, pytest.raises(UnsupportedError, match="cpu has no clock that steps could"):
        session.run(steps=5, pace="real")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"pace": "fast"}, "pace = 'fast' must be 'free'"),
        ({"period": 1e-3}, "period = 0.001 s has no meaning at pace 'free'"),
        ({"pace": "real", "period": 0.0}, r"period = 0.0 s: it must be between 1 µs and 1000 s"),
        ({"pace": "real", "period": 1e4}, "between 1 µs and 1000 s"),
        ({"pace": "real", "period": float("nan")}, "between 1 µs and 1000 s"),
    ],
)
def test_a_pace_that_cannot_be(narrow: tuple[Session, Trace], given: dict[str, Any], message: str) -> None:
    session, _ = narrow
    with pytest.raises(ValidationError, match=message):
        session.run(steps=1, **given)


def test_inputs_that_came_late_are_named(reference: Trace) -> None:
    late = replace(reference, counters={"late_inputs": 7})
    diff = nm.compare(late, reference)
    assert diff.equal
    assert "7 input records came to cpu:ref after their step, and had no effect there" in str(diff)
