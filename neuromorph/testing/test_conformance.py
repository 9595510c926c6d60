"""Each operation and each limit, random programs, and states that move: every value as on `cpu:ref`."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from neuromorph.errors import CapacityError, UnsupportedError
from neuromorph.testing.conformance import LIMITS, OPERATIONS, STEPS
from neuromorph.testing.equality import COUNTERS, WIDE, disagreement, random_case

if TYPE_CHECKING:
    from collections.abc import Callable

    from neuromorph.program import Program
    from neuromorph.testing.conformance import Case

RANDOM = 6
"""Random programs on each machine."""


def put(deploy: Callable[..., Any], program: Program) -> Any:
    """The program on the board; a test of what a board cannot hold, and says so, is skipped with its reason."""
    try:
        return deploy(program)
    except (CapacityError, UnsupportedError) as error:
        pytest.skip(f"refused: {error}")


@pytest.fixture
def conforms(
    deploy: Callable[..., Any],
    run: Callable[..., Any],
    reference: Callable[..., Any],
    assert_traces_equal: Callable[..., Any],
) -> Callable[[str, Case], None]:
    """A check that a case runs as on `cpu:ref`: all states of all steps, and the work that was counted."""

    def check(name: str, case: Case) -> None:
        put(deploy, case.program(name))
        got = run(steps=STEPS, inputs=case.inputs(name))
        expected = reference()
        assert_traces_equal(expected, got)
        assert [got.counters[k] for k in COUNTERS] == [expected.counters[k] for k in COUNTERS]

    return check


@pytest.mark.parametrize("name", OPERATIONS)
def test_operation(conforms: Callable[[str, Case], None], name: str) -> None:
    """It does this."""
    conforms(name, OPERATIONS[name])


@pytest.mark.parametrize("name", LIMITS)
def test_limit(conforms: Callable[[str, Case], None], name: str) -> None:
    """It does it right at the end of a range, and where arithmetic wraps, saturates or rounds."""
    conforms(name, LIMITS[name])


@pytest.fixture(scope="session")
def cases() -> Callable[[int], Any]:
    """Random programs with what `cpu:ref` makes of them, computed once for all boards."""
    return cache(random_case)


@pytest.mark.parametrize("seed", [*range(RANDOM), WIDE, WIDE + 1])
def test_random_program(board: Any, cases: Callable[[int], Any], seed: int) -> None:
    """Programs that nobody thought of, interrupted, saved, restored and started again (`testing.programs`)."""
    case = cases(seed)
    unload = getattr(board.engine, "unload", None)
    if unload is not None:
        unload()
    try:
        found = disagreement(case, board.engine)
    except (CapacityError, UnsupportedError) as error:
        pytest.skip(f"refused: {error}")
    assert not found, found


def test_a_state_moves_to_the_reference_and_back(deploy: Callable[..., Any]) -> None:
    """A run that is begun on the board, continued on `cpu:ref` and ended on the board is the run on the board alone."""
    name = "learning: pair STDP"
    case = OPERATIONS[name]
    handle = put(deploy, case.program(name))
    session, third = handle.session, STEPS // 3
    from neuromorph.stimulus import Stimulus

    stimulus = Stimulus.of(handle.program, case.inputs(name), STEPS)
    session.run(steps=STEPS, inputs=stimulus)
    whole = session.snapshot()
    session.reset()
    session.run(steps=third, inputs=stimulus)
    with handle.start_reference() as other:
        other.restore(session.snapshot())
        other.run(steps=third, inputs=stimulus)
        middle = other.snapshot()
    session.run(steps=5, inputs=stimulus)
    session.restore(middle)
    session.run(steps=STEPS - 2 * third, inputs=stimulus)
    assert session.snapshot().to_bytes() == whole.to_bytes()


def test_what_is_written_is_read(deploy: Callable[..., Any]) -> None:
    """Every state can be written and read; a value out of range is refused, and nothing changes."""
    from neuromorph.errors import ValidationError

    name = "learning: pair STDP"
    session = put(deploy, OPERATIONS[name].program(name)).session
    weights = np.arange(12).reshape(4, 3)
    session.write("syn", "w", weights)
    session.write("cells", "v", [5, -6, 7])
    with pytest.raises(ValidationError, match="syn"):
        session.write("syn", "w", weights - 1)
    assert session.read("syn", "w").tolist() == weights.tolist()
    assert session.read("cells", "v").tolist() == [5, -6, 7]
