"""PES: weights of active sources move against the error, as much as the formula says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import neuromorph as nm
from neuromorph.errors import ValidationError
from neuromorph.plasticity import PES
from neuromorph.units import ms

RATE, ERROR = 4e-3, 0.8  # 1/s per Hz and unit of the error; the error
SPIKES, SOURCES = np.array([5, 20, 35]), 100
EXPECTED = -RATE * SPIKES.size * np.array([ERROR, -ERROR])


def learned(target: str, **rule: Any) -> np.ndarray:
    """Weights of sources that spike alike, and of one that is silent, onto two targets with errors of both signs."""
    net = nm.Network(name="pes", dt=1 * ms, seed=1)
    pre = net.input(SOURCES + 1, name="pre")
    cells = net.population(2, nm.LIF(tau_m=20 * ms, v_th=100.0), name="cells")
    error = net.modulator(of=cells, init=np.array([ERROR, -ERROR]), full_scale=1.0, name="error")
    syn = net.connect(
        pre, cells, weights=0.0, sign="mixed", name="syn",
        plasticity=PES(error=error, learning_rate=RATE, w_max=0.1, **rule),
    )  # fmt: skip
    spikes = nm.SpikeTrain(np.repeat(SPIKES, SOURCES), np.tile(np.arange(SOURCES), SPIKES.size))
    with nm.open(net, target) as session:
        session.run(duration=0.2, inputs={pre: spikes})
        return session.read(syn, "w", physical=True)


@pytest.mark.parametrize("tau", [2 * ms, 5 * ms, 20 * ms])
def test_a_spike_changes_a_weight_by_rate_times_error(tau: float) -> None:
    weights = learned("cpu:float", tau=tau)
    np.testing.assert_allclose(weights[:SOURCES], np.broadcast_to(EXPECTED, (SOURCES, 2)), rtol=1e-3)
    assert np.all(weights[SOURCES] == 0)


def test_the_integer_machine_learns_the_same_within_its_resolution() -> None:
    # The trace (7 bits) and the change are rounded in each of up to 40 steps after a spike, each synapse alone.
    weights, step = learned("cpu:ref"), 0.1 / 255
    noise = 0.5 * step * np.sqrt(40 * SPIKES.size / SOURCES)
    assert np.all(np.abs(weights[:SOURCES].mean(axis=0) - EXPECTED) < 4 * noise)
    assert np.all(np.abs(EXPECTED) > 16 * noise)
    assert np.all(weights[SOURCES] == 0)


def test_parameters_are_checked() -> None:
    wrongs: tuple[dict[str, Any], ...] = ({"learning_rate": 0.0}, {"w_max": -1.0}, {"tau": 0.0}, {"error": 3})
    for wrong in wrongs:
        with pytest.raises(ValidationError, match=f"PES.{next(iter(wrong))}"):
            PES(**{"error": "error", "learning_rate": 1e-3, "w_max": 1.0, **wrong})
