"""`nengo`: NengoCore runs the network as `cpu:float` does; where it differs, it differs as docs/peers.md says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import neuromorph as nm
from neuromorph.errors import UnsupportedError
from neuromorph.plasticity import STDP, ThresholdAdaptation
from neuromorph.units import Hz, ms

pytest.importorskip("nengo", reason="pip install 'neuromorph[nengo]'")
TOLERANCE = 1e-9  # of v and u, in thresholds: rounding of float64 alone
HOMEOSTASIS = ThresholdAdaptation(increment=0.1, tau=0.5)


def network(graded: bool = False, delay: float = 1 * ms, topology: Any = None, start: float = 0.0, **neurons: Any):
    """Noise drives recurrent cells; everything that is drawn is drawn alike."""
    net = nm.Network(name="noise", dt=1 * ms, seed=3)
    noise = net.input(20, name="noise", graded=graded)
    model = nm.LIF(**{"tau_m": 20 * ms, "tau_s": 5 * ms, "v_th": 1.5, "bias": 0.3, **neurons})
    cells = net.population(12, model, v_init=start, u_init=start, name="cells")
    net.connect(
        noise, cells, weights=nm.Uniform(-0.1, 0.5), delay=delay, graded=graded, name="drive",
        **({} if topology is None else {"topology": topology}),
    )  # fmt: skip
    net.connect(cells, cells, weights=nm.Uniform(-0.3, 0.2), delay=3 * ms, name="lateral")
    for variable in ("spikes", "u", "v", *(["theta"] if neurons.get("homeostasis") else [])):
        net.probe(cells, variable)
    return net, noise


def both(made, steps: int = 1000) -> list[nm.Trace]:
    net, noise = made
    return [nm.run(net, target, steps=steps, inputs={noise: nm.Poisson(40 * Hz)}) for target in ("cpu:float", "nengo")]


@pytest.mark.parametrize(
    "options",
    [
        {}, {"tau_s": 0}, {"delay": 5 * ms}, {"v_th": np.linspace(0.7, 2.0, 12)}, {"bias": np.linspace(-2, 2, 12)},
        {"topology": nm.FixedProbability(0.5)}, {"graded": True}, {"start": 0.5}, {"homeostasis": HOMEOSTASIS},
        {"resistance": 3.0},
    ],
    ids=lambda options: next(iter(options), "plain"),
)  # fmt: skip
def test_without_refractory_periods_all_spikes_and_states_are_the_same(options: dict[str, Any]) -> None:
    ideal, nengo = both(network(**options))
    assert nengo.target == "nengo"
    assert ideal.spikes("cells.spikes").steps.size > 100
    np.testing.assert_array_equal(nengo.spikes("cells.spikes").steps, ideal.spikes("cells.spikes").steps)
    np.testing.assert_array_equal(nengo.spikes("cells.spikes").indices, ideal.spikes("cells.spikes").indices)
    for variable in set(ideal) - {"cells.spikes"}:
        np.testing.assert_allclose(nengo.states(variable).values, ideal.states(variable).values, atol=TOLERANCE, rtol=0)
    assert nengo.counters == ideal.counters


def test_a_refractory_period_ends_within_a_step_so_that_intervals_are_up_to_one_step_shorter() -> None:
    net = nm.Network(name="constant", dt=1 * ms, seed=1)
    bias = np.linspace(1.2, 8.0, 40)
    cells = net.population(40, nm.LIF(tau_m=20 * ms, bias=bias, refractory=4 * ms), name="cells")
    net.probe(cells, "spikes")
    ideal, nengo = (nm.run(net, target, duration=2.0) for target in ("cpu:float", "nengo"))
    for k in range(40):
        slow, fast = (intervals(trace, k).mean() for trace in (ideal, nengo))
        assert slow - 1 <= fast <= slow
    assert intervals(nengo, 39).size > intervals(ideal, 39).size


def intervals(trace: nm.Trace, neuron: int):
    spikes = trace.spikes("cells.spikes")
    return np.diff(spikes.steps[spikes.indices == neuron])


def test_a_session_goes_on_resets_and_sets_states() -> None:
    net, noise = network()
    whole = nm.run(net, "nengo", steps=100, inputs={noise: nm.SpikeTrain(np.arange(1, 101, 5), np.zeros(20, int))})
    with nm.open(net, "nengo") as session:
        session.run(steps=60, inputs={noise: nm.SpikeTrain(np.arange(1, 61, 5), np.zeros(12, int))})
        session.reset()
        parts = [
            session.run(steps=60, inputs={noise: nm.SpikeTrain(np.arange(1, 61, 5), np.zeros(12, int))}),
            session.run(steps=40, inputs={noise: nm.SpikeTrain(np.arange(1, 41, 5), np.zeros(8, int))}),
        ]
        joined = np.concatenate([part.states("cells.v").values for part in parts])
        np.testing.assert_array_equal(joined, whole.states("cells.v").values)
        session.write("cells", "v", 1.25)
        assert np.all(session.read("cells", "v") == 1.25)
        with pytest.raises(UnsupportedError, match=r"can be set, not cells\.u"):
            session.write("cells", "u", 0.0)
        with pytest.raises(UnsupportedError, match="integer"):
            session.snapshot()


@pytest.mark.parametrize(
    ("neurons", "message"),
    [
        (nm.TernaryLIF(tau_m=20 * ms), "'cells': Nengo has no ternary neurons"),
        (nm.LIFReset(tau_m=20 * ms, reset_every=50 * ms), "'cells': Nengo has no scheduled resets"),
        (nm.LIF(tau_m=np.inf), "'cells': Nengo has no LIF neurons without leak"),
        (nm.LIF(tau_m=np.array([10, 20, 30]) * ms), "'cells': tau_m differs .* a population for each value"),
        (nm.LIF(tau_m=20 * ms, refractory=np.array([1, 2, 3]) * ms), "'cells': refractory differs"),
    ],
)
def test_what_nengo_lacks_is_refused_by_name(neurons: Any, message: str) -> None:
    net = nm.Network(name="net", dt=1 * ms, seed=1)
    net.population(3, neurons, name="cells")
    with pytest.raises(UnsupportedError, match=message):
        nm.open(net, "nengo")


def test_rules_and_schedules_are_refused_by_name() -> None:
    net = nm.Network(name="net", dt=1 * ms, seed=1)
    noise = net.input(3, name="in")
    cells = net.population(3, nm.LIF(tau_m=20 * ms, homeostasis=HOMEOSTASIS), name="cells")
    net.phase(0.1, adaptation=False)
    with pytest.raises(UnsupportedError, match="no schedule"):
        nm.open(net, "nengo")
    rule = STDP(a_plus=0.01, a_minus=0.01, tau_plus=20 * ms, tau_minus=20 * ms, w_max=1.0)
    net.connect(noise, cells, weights=0.5, plasticity=rule, name="syn")
    with pytest.raises(UnsupportedError, match="'syn': NengoCore does not have STDP"):
        nm.open(net, "nengo")
