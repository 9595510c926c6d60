"""A host goes away in mid-run: the board goes on (pace real) or waits (pace free), and the next one finds all of it."""

from __future__ import annotations

import sys

import pytest

from neuromorph.session import Pace
from neuromorph_mcu.boards import posix_program
from tests.mcu.hosts import FAULTS, scenario

pytest.importorskip("serial", reason="ports need pyserial: pip install 'neuromorph[mcu]'")
pytestmark = [
    pytest.mark.skipif(not posix_program().is_file(), reason="the firmware was not built: run `make build`"),
    pytest.mark.skipif(sys.platform == "win32", reason="needs pseudo-terminals"),
]

CASES: list[tuple[str, Pace]] = [*((fault, "real") for fault in FAULTS), ("killed", "free"), ("cable", "free")]
"""All others, and 30 s instead of one: ``python -m tests.mcu.hosts``."""


@pytest.mark.parametrize(("fault", "pace"), CASES)
def test_the_next_host_finds_what_the_board_has_done(fault: str, pace: Pace) -> None:
    found = scenario(fault, pace, stall=1.0)
    assert found.equal  # all state, weights included, is that of cpu:ref at this step
    assert found.goes_on
    assert found.step >= found.seen
    if pace == "real":
        assert found.recorded + found.dropped == found.step  # each step makes a record
        assert found.dropped > 0
    else:
        assert (found.recorded, found.dropped) == (0, 0)  # nothing is ever dropped: the steps wait
