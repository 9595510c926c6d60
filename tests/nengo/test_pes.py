"""A network with PES on `loihi:nengo`: our learning engine writes its weights; equal to all other targets."""

from __future__ import annotations

import pytest

import neuromorph as nm
from neuromorph.plasticity import PES
from neuromorph.targets import find
from neuromorph.units import Hz, ms


@pytest.mark.parametrize("target", ["loihi:nengo", "loihi:lava-fast"])
def test_pes_is_the_same_on_the_peers(target: str) -> None:
    missing = find(target)[0].available(find(target)[1])
    if missing:
        pytest.skip(missing)
    net = nm.Network(name="errors", dt=1 * ms, seed=2)
    noise, more, less = (net.input(n, name=name) for n, name in ((20, "noise"), (4, "more"), (4, "less")))
    cells = net.population(4, nm.LIF(tau_m=20 * ms, tau_s=5 * ms, bias=0.8), name="cells")
    error = net.modulator(of=cells, sources={more: 0.4, less: -0.4}, tau=50 * ms, full_scale=2.0, name="error")
    rule = PES(error=error, learning_rate=5e-3, w_max=0.5)
    syn = net.connect(noise, cells, weights=nm.Uniform(-0.1, 0.1), sign="mixed", plasticity=rule, name="syn")
    for what, variable in ((cells, "spikes"), (syn, "w"), (error, "m")):
        net.probe(what, variable)
    inputs = {noise: nm.Poisson(30 * Hz), more: nm.Poisson(40 * Hz), less: nm.Poisson(20 * Hz)}
    program = nm.compile(net, targets=["cpu:ref", target], rounding="shared")
    traces = [nm.run(program, name, duration=0.5, inputs=inputs) for name in ("cpu:ref", target)]
    found = nm.compare(*traces)
    assert found.equal, found
    weights = traces[0].states("syn.w").values
    assert (weights[-1] != weights[0]).mean() > 0.5
