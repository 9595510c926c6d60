"""Each experiment of the lab meets its bars, misses them without its mechanism, and is equal on all own machines."""

from __future__ import annotations

import pytest

from neuromorph import lab
from neuromorph.errors import ValidationError

LONG: frozenset[str] = frozenset({"consolidation", "engram", "extinction"})
"""Experiments that take over 10 s: ``neuromorph lab run --all`` runs them."""
QUICK = [name for name in lab.experiments() if name not in LONG]


@pytest.mark.parametrize("name", QUICK)
def test_an_experiment_meets_its_bars_and_its_controls_miss_them(name: str) -> None:
    outcome = lab.run(name, lab.Machine("cpu"))
    bad = [f"{v.condition}: {v.bar.measure} = {v.value}" for v in outcome.verdicts if not v.good]
    assert not bad


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
