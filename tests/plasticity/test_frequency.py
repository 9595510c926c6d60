"""Triplet STDP tells rates apart, in integers too: depression at low rates, potentiation at high ones."""

import pytest

import neuromorph as nm
from neuromorph.plasticity import TripletSTDP
from neuromorph.units import Hz, ms

W = 1e-3  # largest weight, beside a threshold of 1


def change(rate, target):
    """Mean relative change of 400 synapses after about 60 spikes on each side, independent Poisson."""
    net = nm.Network(name="net", dt=1 * ms, seed=3)
    source = net.input(20, name="source", source=nm.Poisson(rate * Hz))
    teacher = net.input(20, name="teacher", source=nm.Poisson(rate * Hz))
    cells = net.population(20, nm.LIF(tau_m=10 * ms), name="cells")
    net.connect(teacher, cells, weights=3.0, topology=nm.OneToOne(), name="teaching")
    rule = TripletSTDP.visual_cortex(W, scale=3 * W, soft=True)
    syn = net.connect(source, cells, weights=0.5 * W, plasticity=rule, name="syn")
    with nm.open(net, target) as session:
        session.run(60 / rate)
        return session.read(syn, "w", physical=True).mean() / (0.5 * W) - 1


@pytest.mark.parametrize("target", ["cpu", "cpu:float"])
def test_the_sign_turns_between_10_and_30_hz(target):
    assert change(5, target) < -0.1
    assert change(10, target) < -0.1
    assert change(30, target) > 0.1
    assert change(60, target) > 0.3
