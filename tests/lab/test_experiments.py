"""Each experiment of the lab meets its bars, misses them without its mechanism, and is equal on all own machines."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import neuromorph as nm
from neuromorph import lab
from neuromorph.errors import CapacityError, UnsupportedError, ValidationError
from neuromorph.lab import cue_conditioning, release
from neuromorph.lab.base import Enough, Machine, Result
from neuromorph.units import ms

OWN = ("cpu:ref", "cpu", "mcu")


@pytest.mark.parametrize("name", lab.experiments())
def test_an_experiment_meets_its_bars_and_its_controls_miss_them(name: str) -> None:
    outcome = lab.run(name, lab.Machine("cpu"))
    bad = [f"{v.condition}: {v.bar.measure} = {v.value}" for v in outcome.verdicts if not v.good]
    assert not bad


@pytest.mark.parametrize("name", lab.experiments())
def test_an_experiment_begins_alike_on_the_own_machines(name: str) -> None:
    """Every probe and all state; ``neuromorph lab compare NAME`` runs all of it."""
    found = lab.compare(name, [Machine(each, "board", held_by=OWN) for each in OWN], steps=500)
    assert found.differences == ()
    assert found.steps == 500


@pytest.mark.parametrize("name", lab.experiments())
def test_an_experiment_is_well_formed(name: str) -> None:
    experiment = lab.find(name)  # checks that each bar is missed by some control
    assert experiment.name == name
    assert experiment.bars
    for size in ("full", "board"):
        net = experiment.network("board" if size == "board" else "full")
        assert net.draw(net.seed)


def test_an_unknown_experiment_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(ValidationError, match="stdp-window"):
        lab.find("stdp-windo")


HELD_BY_LOIHI = frozenset({
    "attention", "competition", "cue-conditioning", "engram", "frequency-ltp-ltd", "homeostatic-scaling",
    "inhibitory-balance", "intrinsic-homeostasis", "stdp-window",
})  # fmt: skip
PEERS = ("loihi", "loihi:lava-fast")


@pytest.mark.parametrize("name", lab.experiments())
def test_the_chip_holds_an_experiment_in_both_sizes_or_refuses_it_by_name(name: str) -> None:
    for size in ("full", "board"):
        net = lab.find(name).network("board" if size == "board" else "full")
        if name in HELD_BY_LOIHI:
            assert nm.compile(net, targets=PEERS, rounding="shared")
            continue
        with pytest.raises((UnsupportedError, CapacityError), match=r"'loihi' (does not hold|cannot hold '.*limit)"):
            nm.compile(net, target="loihi")


@pytest.mark.parametrize("name", sorted(HELD_BY_LOIHI))
def test_an_experiment_meets_its_bars_on_the_chip(name: str) -> None:
    outcome = lab.run(name, lab.Machine("loihi"))
    assert not [f"{v.condition}: {v.bar.measure} = {v.value}" for v in outcome.verdicts if not v.good]


def test_a_shortened_comparison_runs_the_first_steps_of_the_whole() -> None:
    """Over the ends of runs, with the inputs that the whole has."""
    whole, part = (Machine("cpu", "board", records=[], most=most) for most in (None, 45_000))
    experiment = lab.find("homeostatic-scaling")
    experiment.measure(whole, None)
    with pytest.raises(Enough):
        experiment.measure(part, None)
    assert part.records is not None
    assert whole.records is not None
    assert sum(record.trace.steps for record in part.records) == 45_000
    for short, full in zip(part.records, whole.records, strict=False):
        for name in full.trace:
            a, b = short.trace[name], full.trace[name]
            assert np.array_equal(a.steps, b.steps[b.steps <= short.trace.stop])


def test_a_comparison_beyond_the_end_runs_the_controls_then_all_again_with_other_seeds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """So every experiment can be compared over as many steps as are asked for."""
    ran: list[tuple[str, str | None, int]] = []

    def measure(machine: Machine, condition: str | None) -> Result:
        with machine.open(release.network(machine.size)) as bench:
            ran.append((machine.target, condition, bench.session.program.seed))
            bench.run(10 * ms)
        return Result({})

    short = replace(release.EXPERIMENT, measure=measure)
    monkeypatch.setattr(lab, "find", lambda _: short)
    machines = [Machine(name, "board", held_by=("cpu", "cpu:ref")) for name in ("cpu", "cpu:ref")]
    found = lab.compare("short", machines, steps=45)
    assert (found.steps, found.runs, found.equal) == (45, 5, True)
    seed = release.network().seed
    conditions = [(None, seed), ("off", seed), ("swapped", seed), (None, seed + 1), ("off", seed + 1)]
    assert ran == [(machine.target, *each) for machine in machines for each in conditions]
    assert lab.compare("short", machines).steps == 10


def test_compare_tells_steps_and_differences() -> None:
    names = ("cpu", "cpu:ref")
    same = lab.compare("release", [lab.Machine(name, "board", held_by=names) for name in names], steps=60)
    assert (same.steps, same.equal) == (60, True)
    # Rounding of each synapse and shared rounding are two programs.
    other = [lab.Machine("cpu", "board"), lab.Machine("cpu", "board", held_by=PEERS)]
    assert not lab.compare("stdp-window", other, steps=2000).equal
    with pytest.raises(ValidationError, match="at least 1 step"):
        lab.compare("release", other, steps=0)


@pytest.mark.parametrize("target", ["cpu", "cpu:float"])
def test_dopamine_of_the_response_to_a_cue_is_over_when_the_cue_synapses_learn(target: str) -> None:
    """Their window opens 0.3 s after the cue: a response that pays itself would grow without a reward."""
    cue = {"start": nm.SpikeTrain([1], [0])}
    with Machine(target).open(cue_conditioning.network()) as bench:
        bench.run(280 * ms, cue)
        assert bench.session.read("window", "m") == 0
        bench.run(100 * ms)
        assert bench.session.read("window", "m") > 0


def test_cue_conditioning_fits_the_integers_without_a_warning() -> None:
    """Scales that clip or round shift the level of dopamine that learning turns at."""
    report = nm.compile(cue_conditioning.network(), target="cpu").report
    assert report is not None
    assert not report.warnings
