"""The first steps of experiments of the lab are the same on Lava's models: every probe, and all state."""

from __future__ import annotations

import pytest

from neuromorph import lab

TARGETS = ("cpu", "loihi", "loihi:lava-fast")
STEPS = {"attention": 1000, "competition": 200, "inhibitory-balance": 200, "intrinsic-homeostasis": 1000}


@pytest.mark.parametrize("name", STEPS)
def test_an_experiment_on_lavas_models(name: str, lava) -> None:
    lava("loihi:lava-fast")
    found = lab.compare(name, [lab.Machine(t, "board", held_by=TARGETS) for t in TARGETS], steps=STEPS[name])
    assert found.steps == STEPS[name]
    assert not found.differences
