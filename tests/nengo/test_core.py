"""`nengo`: NengoCore runs the network as `cpu:float` does; where it differs, it differs as docs/peers.md says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import neuromorph as nm
from neuromorph.errors import UnsupportedError
from neuromorph.plasticity import PES, STDP, IntrinsicPlasticity, ThresholdAdaptation
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
        with pytest.raises(UnsupportedError, match=r"can be set in a running network, not cells\.u"):
            session.write("cells", "u", 0.0)
        with pytest.raises(UnsupportedError, match="integer"):
            session.snapshot()


@pytest.mark.parametrize(
    ("neurons", "message"),
    [
        (nm.TernaryLIF(tau_m=20 * ms), "'cells': Nengo has no ternary neurons"),
        (nm.LIFReset(tau_m=20 * ms, reset_every=50 * ms), "'cells': Nengo has no scheduled resets"),
        (nm.LIF(tau_m=np.inf), "'cells': Nengo has no LIF neurons without leak"),
        (
            nm.LIF(tau_m=20 * ms, homeostasis=IntrinsicPlasticity(target_rate=5.0)),
            "'cells': Nengo has no thresholds that drift",
        ),
        (nm.LIF(tau_m=np.array([10, 20, 30]) * ms), "'cells': tau_m differs .* a population for each value"),
        (nm.LIF(tau_m=20 * ms, refractory=np.array([1, 2, 3]) * ms), "'cells': refractory differs"),
    ],
)
def test_what_nengo_lacks_is_refused_by_name(neurons: Any, message: str) -> None:
    net = nm.Network(name="net", dt=1 * ms, seed=1)
    net.population(3, neurons, name="cells")
    with pytest.raises(UnsupportedError, match=message):
        nm.open(net, "nengo")


def error_network():
    """Cells learn against an error that two inputs give: one too much, one too little."""
    net = nm.Network(name="errors", dt=1 * ms, seed=2)
    noise, more, less = (net.input(n, name=name) for n, name in ((20, "noise"), (4, "more"), (4, "less")))
    relay = net.population(20, nm.LIF(tau_m=5 * ms, v_th=0.5), name="relay")
    net.connect(noise, relay, weights=1.0, topology=nm.OneToOne(), name="to_relay")
    cells = net.population(4, nm.LIF(tau_m=20 * ms, tau_s=5 * ms, bias=0.8), name="cells")
    error = net.modulator(of=cells, sources={more: 0.4, less: -0.4}, tau=50 * ms, full_scale=2.0, name="error")
    syn = net.connect(
        relay, cells, weights=nm.Uniform(-0.1, 0.1), sign="mixed", name="syn",
        plasticity=PES(error=error, learning_rate=5e-3, w_max=0.5),
    )  # fmt: skip
    net.probe(cells, "spikes")
    net.probe(syn, "w", every=100 * ms)
    net.probe(error, "m")
    return net, {noise: nm.Poisson(30 * Hz), more: nm.Poisson(40 * Hz), less: nm.Poisson(20 * Hz)}


def test_pes_is_nengos_own() -> None:
    net, inputs = error_network()
    ideal, nengo = (nm.run(net, target, duration=2.0, inputs=inputs) for target in ("cpu:float", "nengo"))
    moved = ideal.states("syn.w").values[-1] - ideal.states("syn.w").values[0]
    assert np.abs(moved).max() > 0.05
    np.testing.assert_allclose(nengo.states("error.m").values, ideal.states("error.m").values, atol=TOLERANCE)
    # Nengo's error and filter act a step later: of the time constants of 5 and 50 ms, a few percent of a change.
    difference = nengo.states("syn.w").values - ideal.states("syn.w").values
    assert np.abs(difference).max() < 0.05 * np.abs(moved).max()


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


def test_pes_from_an_input_is_refused_by_name() -> None:
    net = nm.Network(name="net", dt=1 * ms, seed=1)
    noise, cells = net.input(3, name="in"), net.population(3, nm.LIF(tau_m=20 * ms), name="cells")
    rule = PES(error=net.modulator(of=cells, name="error"), learning_rate=1e-3, w_max=1.0)
    net.connect(noise, cells, weights=0.5, plasticity=rule, name="syn")
    with pytest.raises(UnsupportedError, match=r"'syn': .* from an input: let it feed a population"):
        nm.open(net, "nengo")
