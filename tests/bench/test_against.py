"""Targets beside each other: the same spikes or an error, and the cost of a step without what happens once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from neuromorph.bench import against as module
from neuromorph.bench.against import against
from neuromorph.bench.networks import benchmark
from neuromorph.errors import TargetError
from neuromorph.session import Session


def test_targets_are_set_beside_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    measured = module._measured
    cost = {"cpu": 2.0, "cpu:ref": 9.0}

    def known(network, target, steps, progress):
        made, trace = measured(network, target, steps, progress)
        assert (made.few, made.steps) == (4, 40)
        return replace(made, cpu_us=cost[target]), trace

    monkeypatch.setattr(module, "_measured", known)
    rows = against("N1", ["cpu", "cpu:ref"], steps=40, scale=0.05)
    assert [(row.target, row.ratio) for row in rows] == [("cpu", 1.0), ("cpu:ref", 4.5)]


def test_progress_is_told_of_each_target_to_the_end() -> None:
    told: list[tuple[str, int, int]] = []
    against("N1", ["cpu", "cpu:ref"], steps=20, scale=0.05, progress=lambda *at: told.append(at))
    for what in ("N1 on cpu", "N1 on cpu:ref"):
        done = [at[1] for at in told if at[0] == what]
        assert (done[0], done[-1]) == (0, module.REPEATS)
        assert done == sorted(set(done))
    assert {at[2] for at in told} == {module.REPEATS}


def test_what_happens_once_in_a_run_is_no_part_of_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]

    def session_run(self, steps, inputs):
        clock[0] += 5.0 + 0.25 * steps  # seconds of CPU
        return run(self, steps=steps, inputs=inputs)

    run = Session.run
    monkeypatch.setattr(Session, "run", session_run)
    monkeypatch.setattr(module, "_cpu", lambda _: clock[0])
    row = against("N1", ["cpu"], steps=40, scale=0.05)[0]
    assert row.cpu_us == pytest.approx(250_000)
    assert row.once_ms == pytest.approx(5_000)


def test_a_target_with_other_spikes_is_no_comparison(monkeypatch: pytest.MonkeyPatch) -> None:
    measured, network = module._measured, benchmark("N1", 0.05)
    assert network.raster is not None
    other = replace(network, raster=network.raster[::-1])

    def wrong(_, target, steps, progress):
        return measured(network if target == "cpu" else other, target, steps, progress)

    monkeypatch.setattr(module, "_measured", wrong)
    with pytest.raises(TargetError, match="do not run the same: different: cpu and cpu:ref"):
        against("N1", ["cpu", "cpu:ref"], steps=200, scale=0.05)
