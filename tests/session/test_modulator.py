"""Modulators in a session: read, written, probed and set by phases, in machine and in physical units."""

import numpy as np
import pytest
from numpy.typing import NDArray

import neuromorph as nm
from neuromorph.plasticity import STDP, Gate, RewardSTDP
from neuromorph.trace import States
from neuromorph.units import Hz, ms

TARGETS = ("cpu:ref", "cpu:float")


def network() -> nm.Network:
    net = nm.Network(name="net", dt=1 * ms, seed=1)
    noise = net.input(5, name="noise", source=nm.Poisson(40 * Hz))
    reward = net.input(1, name="reward", graded=True)
    cells = net.population(3, nm.LIF(tau_m=10 * ms), name="cells")
    dopamine = net.modulator(sources={reward: 0.5}, tau=100 * ms, full_scale=4.0, name="dopamine")
    net.rate(cells, tau=1.0, full_scale=50 * Hz, name="rate")
    gate = net.modulator(name="gate", init=0.25)
    rule = RewardSTDP(
        a_plus=0.1, a_minus=0.1, tau_plus=20 * ms, tau_minus=20 * ms, tau_eligibility=0.5, modulator=dopamine, eta=1.0,
        w_max=1.0,
    )  # fmt: skip
    net.connect(noise, cells, weights=0.5, plasticity=rule, name="syn")
    net.connect(
        noise, cells, weights=0.1, plasticity=Gate(STDP(0.01, 0.01, 20 * ms, 20 * ms, w_max=0.5), by=gate), name="gated"
    )
    net.phase(start=0.05, modulators={gate: 1.0})
    net.probe(dopamine, "m")
    net.probe(gate, "m", every=10 * ms)
    net.probe(net.projections[0], "tag_1")
    return net


def sampled(trace: nm.Trace, probe: str) -> NDArray[np.float64]:
    """The one value of a shared modulator at each sample."""
    column = trace[probe]
    assert isinstance(column, States)
    return np.asarray(column.values, dtype=np.float64)[:, 0]


@pytest.mark.parametrize("target", TARGETS)
def test_a_reward_raises_dopamine_and_it_decays(target: str) -> None:
    with nm.open(network(), target) as session:
        trace = session.run(steps=60, inputs={"reward": nm.SpikeTrain([10, 20], [0, 0], [2, 1])})
        scale = 1.0 if target == "cpu:float" else session.scale("dopamine", "m")
        values = sampled(trace, "dopamine.m") * scale
        t = np.arange(1, 61)
        expected = 1.0 * np.exp(-(t - 10) / 100) * (t >= 10) + 0.5 * np.exp(-(t - 20) / 100) * (t >= 20)
        # the time constant is held within 5 %
        assert values == pytest.approx(expected, rel=0.05 * 50 / 100, abs=1e-6)
        assert session.read("dopamine", "m", physical=True)[0] == pytest.approx(values[-1])


@pytest.mark.parametrize("target", TARGETS)
def test_a_phase_sets_a_gate(target: str) -> None:
    with nm.open(network(), target) as session:
        trace = session.run(steps=60)
        scale = 1.0 if target == "cpu:float" else session.scale("gate", "m")
        assert sampled(trace, "gate.m") * scale == pytest.approx([0.25] * 4 + [1.0, 1.0], rel=1e-5)


@pytest.mark.parametrize("target", TARGETS)
def test_a_modulator_can_be_written(target: str) -> None:
    with nm.open(network(), target) as session:
        session.write("rate", "m", [10.0, 20.0, 30.0], physical=True)
        assert session.read("rate", "m", physical=True) == pytest.approx([10.0, 20.0, 30.0], rel=1e-5)


def test_modulators_are_part_of_a_snapshot() -> None:
    with nm.open(network(), "cpu:ref") as session:
        stimulus = {"reward": nm.SpikeTrain([10], [0], [2])}
        session.run(steps=30, inputs=stimulus)
        state = session.snapshot()
        after = session.run(steps=30)
        session.reset()
        session.restore(state)
        assert nm.compare(after, session.run(steps=30)).equal


def test_an_unknown_object_is_named() -> None:
    with (
        nm.open(network(), "cpu:ref") as session,
        pytest.raises(
            nm.ValidationError, match="no population, projection or modulator 'dopamin'; did you mean 'dopamine'"
        ),
    ):
        session.read("dopamin", "m")
