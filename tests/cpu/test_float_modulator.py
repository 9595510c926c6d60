"""Modulators of the float engine against closed forms."""

import numpy as np
import pytest

import neuromorph as nm
from neuromorph.graph import Graph, Modulator, Phase, Population, Probe
from neuromorph.plasticity import Custom
from neuromorph_cpu.float import FloatEngine

MS = 1e-3
CELLS = Population("cells", "input", 3, graded=True)


def values(modulator, events=(), steps=100, schedule=()):
    """What the modulator is after each step, with spikes (step, neuron, payload) of 'cells'."""
    graph = Graph(
        "test", MS, 0, (CELLS, Population("targets", "lif", 3, tau_m=20 * MS)), (),
        (Probe("m", modulator.name, "m"),), tuple(schedule), {}, (modulator,),
    )  # fmt: skip
    steps_, who, payload = zip(*events, strict=True) if events else ((), (), ())
    return FloatEngine(graph).run(steps, {"cells": (steps_, who, payload)})["m"].values


def test_a_shared_modulator_adds_all_spikes_and_decays():
    dopamine = Modulator("dopamine", sources=(("cells", 0.5),), tau=20 * MS)
    got = values(dopamine, [(10, 0, 1), (10, 2, 3), (30, 1, -2)])[:, 0]
    t = np.arange(1, 101)
    expected = 2.0 * np.exp(-(t - 10) / 20) * (t >= 10) - np.exp(-(t - 30) / 20) * (t >= 30)
    assert got == pytest.approx(expected, abs=1e-12)


def test_each_neuron_feeds_its_own_value():
    rate = Modulator("rate", 3, "targets", (("cells", 10.0),), 0.1)
    got = values(rate, [(1, 0, 1), (51, 2, 1)])
    assert got[-1] == pytest.approx([10 * np.exp(-0.99), 0.0, 10 * np.exp(-0.49)])


def test_hold_takes_the_last_payload():
    level = Modulator("level", sources=(("cells", 0.1),), tau=np.inf, mode="hold")
    got = values(level, [(10, 0, 5), (20, 0, 3)])[:, 0]
    assert got[[8, 9, 18, 19, 99]] == pytest.approx([0.0, 0.5, 0.5, 0.3, 0.3])


def test_hold_by_neuron_keeps_those_that_are_silent():
    level = Modulator("level", 3, "targets", (("cells", 1.0),), init=np.array([1.0, 2.0, 3.0]), mode="hold")
    assert values(level, [(5, 1, 7)], 5)[-1].tolist() == [1.0, 7.0, 3.0]


def test_without_a_time_constant_a_value_stays_and_a_phase_sets_it():
    gate = Modulator("gate", init=0.25)
    got = values(gate, schedule=[Phase(40, "modulator", "gate", value=1.0)])[:, 0]
    # the phase acts at the end of step 40, before the probe looks
    assert got.tolist() == [0.25] * 39 + [1.0] * 61


@pytest.mark.parametrize("gain", [3.0, -3.0])
def test_a_rule_reads_a_modulator_up_to_its_full_scale_as_on_the_machine(gain):
    """The value itself goes on beyond it, and so it takes longer to fall."""
    net = nm.Network(name="much", dt=MS, seed=1)
    pixels, cells = net.input(1, name="pixels"), net.population(1, nm.LIF(tau_m=20 * MS), name="cells")
    dopamine = net.modulator(sources={pixels: gain}, full_scale=1.0, name="dopamine")
    rule = Custom(dw="2^-7*u0*da", modulators={"da": dopamine}, w_max=1.0)
    net.connect(pixels, cells, weights=0.5, plasticity=rule, name="syn")
    change = {}
    for target in ("cpu:float", "cpu"):
        with nm.open(net, target) as session:
            start = session.read("syn", "w", physical=True)[0, 0]
            session.run(steps=60, inputs={"pixels": nm.SpikeTrain([1], [0])})
            change[target] = 255 * (session.read("syn", "w", physical=True)[0, 0] - start)
            assert session.read("dopamine", "m", physical=True)[0] == pytest.approx(gain, rel=0.01)
    # 127 of 128 of a step of the weight each time; the machine's read ends at -128, and it rounds at random
    assert change["cpu:float"] == pytest.approx(np.sign(gain) * 60 * 127 / 128)
    assert change["cpu"] == pytest.approx(change["cpu:float"], abs=4)
