"""Learn on the board, save the state, go on learning on another machine: the same bits as without the break.

python examples/resume_elsewhere.py [FIRST TARGET] [SECOND TARGET]
"""

from __future__ import annotations

import sys

import neuromorph as nm
from neuromorph.plasticity import STDP
from neuromorph.units import Hz, ms


def network() -> nm.Network:
    """Fifty noisy inputs and five cells that learn."""
    net = nm.Network(name="resume", dt=1 * ms, seed=1)
    noise = net.input(50, name="noise", source=nm.Poisson(20 * Hz))
    cells = net.population(5, nm.LIF(tau_m=20 * ms, tau_s=5 * ms, refractory=2 * ms), name="cells")
    rule = STDP(a_plus=0.01, a_minus=0.011, tau_plus=20 * ms, tau_minus=20 * ms, w_max=0.3)
    net.connect(noise, cells, weights=nm.Uniform(0.0, 0.2), plasticity=rule, name="syn")
    net.probe(cells, "spikes")
    return net


if __name__ == "__main__":
    first, second = sys.argv[1:3] if len(sys.argv) > 2 else ("mcu", "cpu")
    net = network()
    with nm.open(net, first) as session:
        before = session.run(2.0)
        session.snapshot().save("half.nms")
    with nm.open(net, second) as session:
        session.restore(nm.State.load("half.nms"))
        after = session.run(2.0)
        weights = session.read("syn", "w")
    with nm.open(net, "cpu") as session:
        whole = session.run(4.0)
        same_weights = (session.read("syn", "w") == weights).all()
    print(nm.compare(before.joined(after), whole))
    print("weights equal" if same_weights else "weights differ")
