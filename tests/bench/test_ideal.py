"""The benchmark networks in floats: the same equations, so that only rounding tells them from the integers."""

from __future__ import annotations

import pytest

from neuromorph.bench.measure import measure
from neuromorph.bench.networks import NETWORKS


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_in_floats_does_the_work_of_that_in_integers(name: str) -> None:
    """Truncation moves single spikes, which in a recurrent network (N2) move others."""
    held, ideal = (measure(name, target, scale=0.2, steps=200, repeats=1) for target in ("cpu", "cpu:float"))
    assert held.spikes > 50
    assert ideal.spikes == pytest.approx(held.spikes, rel=0.1 if name == "N2" else 0.03)
    assert ideal.synaptic_events == pytest.approx(held.synaptic_events, rel=0.1 if name == "N2" else 0.03)
    assert ideal.plastic_updates == pytest.approx(held.plastic_updates, rel=0.05)
    assert ideal.cpu_us_per_step > 0
    if held.mean_weight is None:
        assert ideal.mean_weight is None
    else:
        assert ideal.mean_weight == pytest.approx(held.mean_weight, rel=0.01)
