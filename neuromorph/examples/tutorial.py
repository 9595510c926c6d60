"""First steps: Poisson noise drives leaky integrate-and-fire neurons that inhibit each other."""

from __future__ import annotations

import neuromorph as nm
from neuromorph.units import Hz, ms

duration = 1.0


def network(seed: int = 1) -> nm.Network:
    """20 noisy channels, 10 cells, inhibition among the cells; spikes and voltages are recorded."""
    net = nm.Network(name="tutorial", dt=1 * ms, seed=seed)
    noise = net.input(20, name="noise", source=nm.Poisson(40 * Hz))
    cells = net.population(10, nm.LIF(tau_m=20 * ms, tau_s=5 * ms, v_th=1.0, refractory=2 * ms), name="cells")
    net.connect(noise, cells, weights=nm.Uniform(0.0, 0.12), delay=1 * ms, name="drive")
    net.connect(cells, cells, weights=-0.1, topology=nm.AllToAll(self_loops=False), delay=2 * ms, name="inhibition")
    net.probe(noise, "spikes")
    net.probe(cells, "spikes")
    net.probe(cells, "v")
    return net
