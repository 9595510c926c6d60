"""Comparison: equal to the bit, or the first difference in the order of causes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from neuromorph.compare import First, compare
from neuromorph.errors import ValidationError
from neuromorph.lockstep import Run, check
from neuromorph.models import with_weight
from neuromorph.program import Program
from neuromorph.session import Session
from neuromorph.trace import Spikes, States, Trace

Started = Callable[..., Session]


@pytest.fixture
def trace(session: Session) -> Trace:
    return session.run(steps=60)


def changed(trace: Trace, name: str, **values: object) -> Trace:
    """The trace with another column under a name."""
    return replace(trace, columns={**trace.columns, name: replace(trace[name], **values)})  # type: ignore[arg-type]


def test_a_trace_equals_itself_and_counts_silence_as_values(trace: Trace) -> None:
    difference = compare(trace, trace)
    assert difference.equal
    assert difference.first is None
    samples = 3 * 60 + 4 * 60 + 4 * 60 + 12 * 6 + 12 * 8
    assert difference.values_compared == samples
    assert difference.explain().startswith("equal: cpu:ref and cpu:ref")


def test_one_changed_value_is_named(trace: Trace) -> None:
    column = trace.states("syn.w")
    values = column.values.copy()
    values[2, 7] += 1  # step 23, from input 1 to cell 3
    difference = compare(trace, changed(trace, "syn.w", values=values))
    was = int(column.values[2, 7])
    assert difference.first == First(23, "syn", (1, 3), "w", was, was + 1)
    assert difference.count == {"syn.w": 1}
    assert f"step 23, syn[1, 3], w: {was} / {was + 1}" in difference.explain()


def test_a_missing_and_an_extra_spike_are_named(trace: Trace) -> None:
    spikes = trace.spikes("cells")
    step, neuron = int(spikes.steps[3]), int(spikes.indices[3])
    less = changed(trace, "cells.spikes", steps=np.delete(spikes.steps, 3), indices=np.delete(spikes.indices, 3))
    assert compare(trace, less).first == First(step, "cells", neuron, "spikes", 1, 0)
    assert compare(less, trace).first == First(step, "cells", neuron, "spikes", 0, 1)
    assert compare(less, trace).count == {"cells.spikes": 1}


def test_payloads_count_as_values() -> None:
    steps, indices = np.array([1, 4]), np.array([0, 2])
    a = Spikes("in.spikes", "in", 3, steps, indices, np.array([5, -3]))
    b = replace(a, payloads=np.array([5, 3]))
    traces = [Trace({"in.spikes": c}, "00", "cpu", 1e-3, 0, 5) for c in (a, b)]
    assert compare(*traces).first == First(4, "in", 2, "spikes", -3, 3)


def test_within_a_step_the_cause_comes_first() -> None:
    def made(value: int) -> Trace:
        names = ("w", "spikes", "v", "x1", "u")
        columns: dict[str, Spikes | States] = {}
        for name in names:
            if name == "spikes":
                columns[name] = Spikes(name, "cells", 1, np.array([3] * value), np.array([0] * value))
            else:
                columns[name] = States(name, "o", name, (1,), np.array([3]), np.array([[value]]))
        return Trace(columns, "00", "cpu", 1e-3, 0, 3)

    first = compare(made(0), made(1)).first
    assert first is not None
    assert first.variable == "u"
    assert list(compare(made(0), made(1)).count) == ["w", "spikes", "v", "x1", "u"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.part(0, 50), r"stop is 60 on cpu:ref and 50 .*trace.part\(0, 50\)"),
        (lambda t: t.part(10, 60), "start is 0 on cpu:ref and 10"),
        (lambda t: replace(t, dt=2e-3), "dt is 0.001"),
        (lambda t: replace(t, semantics=2), "semantics is 1"),
        (lambda t: replace(t, numbers="float"), "compare rates instead"),
        (lambda t: replace(t, columns=dict(list(t.columns.items())[1:])), r"probes differ \(in.spikes\)"),
        (lambda t: changed(t, "cells.spikes", n=5), "cells.spikes has 4 and 5 elements"),
        (lambda _: None, "takes two traces"),
    ],
)
def test_traces_that_cannot_be_compared_say_why(trace: Trace, change: Callable[[Trace], Trace], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        compare(trace, change(trace))


def run_of(program: Program, label: str, started: Started) -> Run:
    return Run(label, program, partial(started, program, None, label))


def test_equal_machines_are_equal_in_traces_and_final_states(program: Program, started: Started) -> None:
    outcome = check([run_of(program, name, started) for name in ("one", "two", "three")], 60)
    assert outcome.equal
    state = 4 * 4 + 1 + 4 + 12 + 3 + 4 + 3 + 4 + 1 + 12
    assert outcome.values_compared == 2 * (828 + state)
    assert outcome.to_dict() == {
        "equal": True, "targets": ["one", "two", "three"], "steps": 60,
        "values_compared": outcome.values_compared, "first": None,
    }  # fmt: skip


def test_a_changed_weight_is_traced_to_its_first_effect(program: Program, started: Started) -> None:
    """The loop's synapse 0 -> 3: the first difference is the current of neuron 3 after a spike of neuron 0."""
    program = replace(program, probes=program.probes[:2])
    patched = with_weight(program, "loop", 0, 3, 60)
    outcome = check([run_of(program, "a", started), run_of(patched, "b", started)], 100)
    spikes = outcome.traces[0].spikes("cells")
    first_spike = int(spikes.steps[spikes.indices == 0][0])
    assert outcome.first is not None
    # The stored delay of the synapse is 1: it arrives two steps after the spike.
    assert (outcome.first.step, outcome.first.object, outcome.first.element) == (first_spike + 2, "cells", 3)
    assert outcome.first.variable == "u"
    assert outcome.first.value_b - outcome.first.value_a == (60 - -40) << 6
    assert outcome.changes == "loop.weights[0, 3]: -40 / 60"
    values = {"a": outcome.first.value_a, "b": outcome.first.value_b}
    assert outcome.to_dict()["first"] == {
        "step": first_spike + 2, "object": "cells", "element": 3, "variable": "u", "values": values,
    }  # fmt: skip


def test_a_machine_that_goes_astray_in_one_hidden_value_is_found(program: Program, started: Started) -> None:
    """No probe sees theta; a machine that adds 500 to it in step 37 is found by its state at that step."""

    def astray() -> Session:
        def fault(step: int, data: bytes) -> bytes:
            if step == 37:
                session.write("cells", "theta", session.read("cells", "theta") + np.array([500, 0, 0, 0]))
            return data

        session: Session = started(program, fault, "two")
        return session

    outcome = check([run_of(program, "one", started), Run("two", program, astray)], 60)
    assert outcome.first is not None
    assert (outcome.first.step, outcome.first.object, outcome.first.element, outcome.first.variable) == (
        37, "cells", 0, "theta",
    )  # fmt: skip
    assert outcome.first.value_b == outcome.first.value_a + 500


def test_one_run_alone_is_no_comparison(program: Program, started: Started) -> None:
    with pytest.raises(ValidationError, match="at least two runs"):
        check([run_of(program, "one", started)], 10)


@pytest.mark.parametrize(
    ("where", "message"),
    [
        (("lop", 0, 0, 1), "no projection 'lop'; did you mean 'loop'"),
        (("syn", 3, 0, 1), "it has 3 x 4 neurons"),
        (("loop", 1, 1, 1), "no synapse from 1 to 1"),
        (("syn", 0, 0, 300), "300 is outside 0..255"),
        (("loop", 0, 1, 3), "held even"),
    ],
)
def test_a_weight_that_cannot_be_changed_is_refused(
    program: Program, where: tuple[str, int, int, int], message: str
) -> None:
    with pytest.raises(ValidationError, match=message):
        with_weight(program, *where)


def test_plots_are_pictures(trace: Trace, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="plots need matplotlib: pip install 'neuromorph[plot]'")
    spikes = trace.spikes("cells")
    other = changed(trace, "cells.spikes", steps=spikes.steps[1:], indices=spikes.indices[1:])
    trace.plot(tmp_path / "trace.png")
    compare(trace, other).plot(tmp_path / "difference.svg")
    assert (tmp_path / "trace.png").read_bytes().startswith(b"\x89PNG")
    assert b"<svg" in (tmp_path / "difference.svg").read_bytes()
