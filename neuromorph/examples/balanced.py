"""Balanced network: sparse excitation and stronger inhibition keep each other in check; activity is irregular.

After Brunel (2000), J Comput Neurosci 8:183, made small: 400 excitatory and 100 inhibitory cells, 10% connectivity.
"""

from __future__ import annotations

import neuromorph as nm
from neuromorph.units import Hz, ms

duration = 1.0
EXCITATORY, INHIBITORY = 400, 100
J, G = 0.1, 5.0  # weight of an excitatory synapse (units of the threshold); inhibition is G times as strong


def network(seed: int = 1) -> nm.Network:
    """Every cell gets 40 excitatory and 10 inhibitory inputs from the network, and its own noise."""
    net = nm.Network(name="balanced", dt=1 * ms, seed=seed)
    cell = nm.LIF(tau_m=20 * ms, tau_s=2 * ms, v_th=1.0, refractory=2 * ms)
    noise = net.input(EXCITATORY + INHIBITORY, name="noise", source=nm.Poisson(40 * Hz))
    exc = net.population(EXCITATORY, cell, name="exc", v_init=nm.Uniform(0.0, 0.9))
    inh = net.population(INHIBITORY, cell, name="inh", v_init=nm.Uniform(0.0, 0.9))
    for cells, name in ((exc, "exc"), (inh, "inh")):
        net.connect(noise, cells, weights=4 * J, topology=nm.FixedInDegree(4), name=f"noise_to_{name}")
        net.connect(exc, cells, weights=J, topology=nm.FixedInDegree(40), delay=2 * ms, name=f"exc_to_{name}")
        net.connect(inh, cells, weights=-G * J, topology=nm.FixedInDegree(10), delay=2 * ms, name=f"inh_to_{name}")
    net.probe(exc, "spikes")
    net.probe(inh, "spikes")
    return net
