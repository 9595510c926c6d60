"""How a benchmark tells its progress."""

from __future__ import annotations

import pytest

from neuromorph.bench.measure import measure


@pytest.mark.parametrize(("target", "last"), [("cpu", 2), ("cpu:ref", 20)])
def test_progress_counts_runs_or_the_steps_of_a_slow_machine(target: str, last: int) -> None:
    seen: list[tuple[str, int, int]] = []
    measure("N1", target, scale=0.1, steps=20, repeats=2, progress=lambda *args: seen.append(args))
    assert seen[-1] == ("N1", last, last)
    assert {name for name, _, _ in seen} == {"N1"}
