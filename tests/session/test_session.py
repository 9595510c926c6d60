"""A session drives any engine; nothing is dropped unnoticed."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from neuromorph.durations import steps_of
from neuromorph.errors import CapacityError, LinkError, TargetError, ValidationError
from neuromorph.inputs import Events, Poisson
from neuromorph.program import Program
from neuromorph.session import Session
from neuromorph.stimulus import Stimulus
from neuromorph.trace import Spikes, States

Started = Callable[..., Session]


def test_a_run_gives_the_trace_of_its_steps(session: Session) -> None:
    first, second = session.run(0.020), session.run(steps=30)
    assert (first.start, first.stop, second.start, second.stop) == (0, 20, 20, 50)
    assert session.now == 50
    assert second.counters["spikes"] == len(second.spikes("cells"))
    v = second.states("cells.v")
    assert v.steps.tolist() == list(range(21, 51))
    assert v.values[-1].tolist() == session.read("cells", "v").tolist()
    assert second.states("syn.w").steps.tolist() == [23, 33, 43]  # every 10 steps, phase 3
    assert second.states("syn.w").array.shape == (3, 3, 4)


def test_two_halves_joined_are_the_whole(program: Program, started: Started) -> None:
    whole = started(program).run(steps=60)
    session = started(program)
    half = session.run(steps=30)
    saved = session.snapshot()
    resumed = started(program)
    resumed.restore(saved)
    joined = half.joined(resumed.run(steps=30))
    for name, column in whole.items():
        other = joined[name]
        assert np.array_equal(column.steps, other.steps)
        if isinstance(column, Spikes) and isinstance(other, Spikes):
            assert np.array_equal(column.indices, other.indices)
        if isinstance(column, States) and isinstance(other, States):
            assert np.array_equal(column.values, other.values)


def test_progress_counts_the_steps_of_the_run(session: Session) -> None:
    seen: list[tuple[int, int]] = []
    session.run(steps=100)
    session.run(steps=600, progress=lambda done, total: seen.append((done, total)))
    assert seen
    assert all(0 < done <= 600 and total == 600 for done, total in seen)


def test_what_is_written_is_read(session: Session) -> None:
    weights = np.arange(12).reshape(3, 4)
    session.write("syn", "w", weights)
    assert session.read("syn", "w").tolist() == weights.tolist()
    session.write("cells", "v", 5)
    assert session.read("cells", "v").tolist() == [5] * 4
    session.write("cells", "theta", [0, 64, 128, 192])
    assert session.read("cells", "threshold").tolist() == [7680, 7744, 7808, 7872]


def test_a_closed_session_says_so(session: Session) -> None:
    with session:
        pass
    session.close()
    with pytest.raises(TargetError, match="closed"):
        session.run(steps=1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda s: s.read("cell", "v"), "no population, projection or modulator 'cell'; did you mean 'cells'"),
        (lambda s: s.read("cells", "thetta"), "no state variable 'thetta'; did you mean 'theta'"),
        (lambda s: s.read("cells", "spikes"), "record it with a probe"),
        (lambda s: s.read("in", "v"), "no state variable 'v'"),
        (lambda s: s.read(3, "v"), "neither a name nor"),
        (lambda s: s.read("cells", "v", physical=True), "no physical scale for cells.v"),
        (lambda s: s.write("syn", "w", np.full((3, 4), np.nan)), "syn.w: nan is not a whole number"),
        (lambda s: s.write("syn", "w", np.full((3, 4), 0.5)), "0.5 is not a whole number.*physical=True takes"),
        (lambda s: s.write("syn", "w", np.zeros((4, 3))), r"shape \(4, 3\), needed \(3, 4\)"),
        (lambda s: s.write("syn", "w", 256), r"syn.w\[0, 0\] = 256 is outside 0..255"),
        (lambda s: s.write("syn", "w", "heavy"), "numbers are needed"),
        (lambda s: s.write("loop", "w", 0), "loop.w is static"),
        (lambda s: s.write("cells", "v", 1 << 23), "outside"),
        (lambda s: s.write("syn", "w", [[1], [1, 2]]), "syn.w: numbers are needed"),
        (lambda s: s.run(steps=1, inputs=[1, 2]), r"inputs = \[1, 2\]: a dict is needed"),
        (lambda s: s.run(steps=1, inputs=np.ones(3)), "inputs = array.*: a dict is needed"),
        (lambda s: s.run(steps=1, progress=3), "progress = 3: a function"),
        (lambda s: s.restore("x"), "'x' is no state"),
        (lambda s: s.run(), "either a duration in seconds or a number of steps"),
        (lambda s: s.run(1.0, steps=3), "give one of them, not both"),
        (lambda s: s.run("1"), "duration = '1': a number is needed"),
        (lambda s: s.run(True), "duration = True: a number is needed"),
        (lambda s: s.run(1e12), r"<= 4\.29497e\+06 s; machines count 4294967295 steps, here of 0\.001 s"),
        (lambda s: s.run(0.0105), "not a whole number of steps"),
        (lambda s: s.run(float("nan")), "duration = nan s: it must be >= 0"),
        (lambda s: s.run(-1.0), "duration = -1 s: it must be >= 0 and <= 4"),
        (lambda s: s.run(steps=-1), "whole number >= 0"),
        (lambda s: s.run(steps=2.5), "whole number >= 0"),
        (lambda s: s.run(steps=1 << 32), "would pass the last step"),
    ],
)
def test_a_wrong_call_is_refused_and_changes_nothing(
    session: Session, call: Callable[[Session], Any], message: str
) -> None:
    session.run(steps=3)
    before = session.snapshot()
    with pytest.raises(ValidationError, match=message):
        call(session)
    assert session.snapshot() == before


@pytest.mark.parametrize(("duration", "steps"), [(0.0, 0), (0.3, 300), (0.1 + 0.2, 300), (3600.0, 3_600_000)])
def test_durations_are_whole_steps_in_spite_of_binary_fractions(duration: float, steps: int) -> None:
    assert steps_of(duration, 1e-3) == steps


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (LinkError("no answer for 2 s"), LinkError),
        (OSError("the port is gone"), TargetError),
        (EOFError("the worker ended"), TargetError),
        (MemoryError(), CapacityError),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ],
)
def test_an_interrupted_run_keeps_what_it_recorded(
    program: Program, started: Started, error: BaseException, shown: type[BaseException]
) -> None:
    def fail(step: int, data: bytes) -> bytes:
        if step == 31:
            raise error
        return data

    session = started(program, fail)
    with pytest.raises(shown) as caught:
        session.run(steps=60)
    whole = started(program).run(steps=60)
    partial = session.partial
    assert partial is not None
    assert not partial.complete
    assert partial.stop == 29  # of step 30, records may have been on their way
    assert np.array_equal(partial.states("cells.v").values, whole.part(0, 29).states("cells.v").values)
    assert np.array_equal(partial["cells.spikes"].steps, whole.part(0, 29)["cells.spikes"].steps)
    if not isinstance(caught.value, KeyboardInterrupt):
        assert caught.value.trace is partial  # type: ignore[attr-defined]


def test_spikes_beyond_the_memory_name_their_input(program: Program) -> None:
    class Endless(Poisson):
        def events(self, *_: Any) -> Events:
            raise MemoryError

    with pytest.raises(CapacityError, match=r"input 'in': the spikes of \d+ channels in 9 steps do not fit"):
        Stimulus.of(program, {"in": Endless(1.0)}, 9)


def records_of(data: bytes) -> list[bytes]:
    found = []
    while data:
        _, _, form, _, _, count, _ = struct.unpack_from("<IHBBIHH", data)
        size = 16 + (count * {0: 2, 2: 1, 3: 2, 4: 4, 5: 2}[form] + 3 & ~3)
        found.append(data[:size])
        data = data[size:]
    return found


@pytest.mark.parametrize(
    ("at", "change", "message"),
    [
        (20, lambda r: r[:-1], "missing or twice"),  # the last record of a step is lost
        (20, lambda r: [*r, r[-1]], "missing or twice"),
        (20, lambda _: [], "missing or twice"),
        (20, lambda r: [struct.pack("<I", 18) + r[0][4:], *r[1:]], "record of step 18 after one of step 19"),
        (20, lambda r: [struct.pack("<I", 99) + r[0][4:]], "in a run to step 60"),
        (20, lambda r: [r[0][:4] + b"\x09\0" + r[0][6:]], "probe 9; the program has 5 probes"),
        (20, lambda r: [*r, struct.pack("<IHBBIHHQ", 20, 2, 3, 0, 0, 4, 0, 0)], "format 3, expected 4"),
        (20, lambda r: [r[-1][:12] + b"\xff\xff" + r[-1][14:]], "no whole record|samples are missing"),
        (20, lambda r: [*r, b"\0" * 7], "no whole record at byte"),
        (20, lambda r: [*r, struct.pack("<IHBBIHH", 20, 2, 4, 0, 0, 0, 0)], "record of step 20 without values"),
        (22, lambda r: [struct.pack("<IHBBIHHHH", 22, 1, 0, 0, 0, 1, 0, 4, 0), *r], "spike of neuron 4; 'cells' has 4"),
        (22, lambda r: [struct.pack("<IHBBIHHHH", 22, 1, 0, 0, 0, 2, 0, 1, 1), *r], "out of order or twice"),
        (22, lambda r: [struct.pack("<IHBBIHHI", 22, 4, 4, 0, 0, 1, 0, 0), *r], "does not look at"),
    ],
)
def test_a_machine_that_loses_or_garbles_a_record_is_found_out(
    program: Program, started: Started, at: int, change: Callable[[list[bytes]], list[bytes]], message: str
) -> None:
    def fault(step: int, data: bytes) -> bytes:
        return b"".join(change(records_of(data))) if step == at else data

    with pytest.raises(TargetError, match=message):
        started(program, fault).run(steps=60)


def test_a_machine_that_stops_early_is_found_out(
    program: Program, started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = started(program)
    run = session.engine.run
    monkeypatch.setattr(session.engine, "run", lambda steps, *rest: run(steps - 1, *rest))
    with pytest.raises(TargetError, match="stopped at step 59; the run was to end at 60"):
        session.run(steps=60)
