"""The STDP window: pairs of spikes at every distance, and what each pair does to its weight."""

from __future__ import annotations

import numpy as np

import neuromorph as nm
from neuromorph.plasticity import STDP
from neuromorph.units import ms

DISTANCES = np.arange(-40, 41, 2)  # ms from the presynaptic to the postsynaptic spike, one cell each
PERIOD, PAIRS, MIDDLE = 400, 10, 200
duration = PERIOD * PAIRS * 1e-3


def network(seed: int = 1) -> nm.Network:
    """For each distance one input, one cell that a teacher makes fire, and one plastic synapse that is too weak to."""
    n = DISTANCES.size
    net = nm.Network(name="stdp_pair", dt=1 * ms, seed=seed)
    pre = net.input(n, name="pre")
    teacher = net.input(n, name="teacher")
    cells = net.population(n, nm.LIF(tau_m=5 * ms, tau_s=1 * ms, v_th=10.0, refractory=10 * ms), name="cells")
    rule = STDP(a_plus=0.02, a_minus=0.02, tau_plus=20 * ms, tau_minus=20 * ms, w_max=1.0)
    syn = net.connect(pre, cells, weights=0.5, topology=nm.OneToOne(), plasticity=rule, name="syn")
    net.connect(teacher, cells, weights=40.0, topology=nm.OneToOne(), name="teach")
    net.probe(cells, "spikes")
    net.probe(syn, "w", every=PERIOD * ms)
    return net


def inputs(net: nm.Network) -> dict[str, nm.SpikeTrain]:  # noqa: ARG001
    """The pairs; a teacher's spike makes its cell fire one step later."""
    n, start = DISTANCES.size, np.repeat(np.arange(PAIRS) * PERIOD + MIDDLE, DISTANCES.size)
    cells = np.tile(np.arange(n), PAIRS)
    return {
        "pre": nm.SpikeTrain(start, cells),
        "teacher": nm.SpikeTrain(start + np.tile(DISTANCES, PAIRS) - 1, cells),
    }
