"""Updates that are cut; ``python -m tests.mcu.resets`` does it at every byte."""

from __future__ import annotations

import random

import pytest

from tests.mcu.power import READY
from tests.mcu.resets import Updates


@pytest.fixture(scope="module")
def updates(tmp_path_factory: pytest.TempPathFactory) -> Updates:
    return Updates.of(tmp_path_factory.mktemp("resets"))


@pytest.mark.parametrize("reset", [True, False], ids=["board reset", "host died"])
def test_a_cut_anywhere_leaves_the_old_or_the_new_program(updates: Updates, reset: bool) -> None:
    updates.seen.clear()
    last = updates.total
    for after in [0, 1, last - 1, last, *random.Random(last).sample(range(last), 60)]:
        assert 0 < updates.cut(after, reset=reset, again=after % 4 == 0) < READY
    assert updates.seen["old"] > 40
    assert updates.seen["new"] > 0


def test_what_is_neither_is_noticed(updates: Updates) -> None:
    updates.begin[:] = 0xFF
    with pytest.raises(AssertionError, match="cut after byte 9, reset=True: None"):
        updates.cut(9, reset=True)
