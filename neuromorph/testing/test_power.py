"""Reset and power: a board comes back, and does again what it did."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from neuromorph.errors import CapacityError, LinkError
from neuromorph.stimulus import Stimulus
from neuromorph.testing.test_long import network, noise

if TYPE_CHECKING:
    from collections.abc import Callable

STEPS = 300


@pytest.fixture
def works(
    deploy: Callable[..., Any],
    run: Callable[..., Any],
    reference: Callable[..., Any],
    assert_traces_equal: Callable[..., Any],
) -> Callable[[], None]:
    """A check that the board takes a program and runs it."""

    def check() -> None:
        try:
            deploy(network())
        except CapacityError as error:
            pytest.skip(f"refused: {error}")
        got = run(steps=STEPS, inputs=noise(STEPS))
        assert_traces_equal(reference(), got)

    return check


def test_power_comes_back(works: Callable[[], None], power: Any) -> None:
    """Off and on, twice: it works as before."""
    works()
    for _ in range(2):
        power.cycle()
        works()


def test_reset(works: Callable[[], None], reset: Callable[[], None]) -> None:
    """Reset, twice: it works as before."""
    works()
    for _ in range(2):
        reset()
        works()


def test_reset_in_the_middle_of_a_run(board: Any, deploy: Callable[..., Any], reset: Callable[[], None]) -> None:
    """The run ends with an error that says so; what the board had sent until then is there, and is right."""
    try:
        handle = deploy(network())
    except CapacityError as error:
        pytest.skip(f"refused: {error}")
    steps = 200_000
    pressed: list[int] = []
    stimulus = Stimulus.of(handle.program, noise(steps), steps)

    def press(done: int, _total: int) -> None:
        if done > 200 and not pressed:
            pressed.append(done)
            board.press_reset()

    with pytest.raises(LinkError, match=r"restart|reset"):
        handle.session.run(steps=steps, inputs=stimulus, progress=press)
    part = handle.session.partial
    assert part is not None
    assert 0 < part.stop < steps
    with handle.start_reference() as other:
        whole = other.run(steps=part.stop, inputs=stimulus)
    assert part.spikes("cells").steps.tolist() == whole.spikes("cells").steps.tolist()
    reset()
    assert deploy(network()).session.now == 0
