"""A rule of your own as text: a cell that learns which inputs come before its spikes, and forgets the others.

python examples/own_rule.py [TARGET]

``dw = 2^-3*y0*x1 - 2^-5*y0*w``: at each postsynaptic spike the weight grows by what is left of the presynaptic trace
and loses a share of itself. The first ten of fifty inputs fire together, the others at random and equally often.
"""

from __future__ import annotations

import sys

import numpy as np

import neuromorph as nm
from neuromorph.plasticity import Custom, TraceSpec
from neuromorph.units import Hz, ms

RULE = Custom(
    dw="2^-3*y0*x1 - 2^-5*y0*w",
    traces={"x1": TraceSpec(impulse=60, tau=10 * ms)},
    w_max=0.5,  # what 255 machine units of weight stand for
)
TOGETHER, CHANNELS, STEPS, RATE = 10, 50, 20_000, 10 * Hz


def network() -> nm.Network:
    """Fifty inputs on one cell."""
    net = nm.Network(name="own_rule", dt=1 * ms, seed=1)
    inputs = net.input(CHANNELS, name="inputs")
    cell = net.population(1, nm.LIF(tau_m=20 * ms, tau_s=5 * ms, refractory=10 * ms), name="cell")
    net.connect(inputs, cell, weights=0.15, plasticity=RULE, name="syn")
    net.probe(cell, "spikes")
    return net


def volleys() -> nm.SpikeArray:
    """Spikes per step and channel."""
    rng = np.random.default_rng(1)
    spikes = rng.random((STEPS, CHANNELS)) < RATE * ms
    spikes[:, :TOGETHER] = (rng.random(STEPS) < RATE * ms)[:, None]
    return nm.SpikeArray(spikes)


if __name__ == "__main__":
    target = sys.argv[1] if len(sys.argv) > 1 else "mcu"
    with nm.open(network(), target) as session:
        trace = session.run(steps=STEPS, inputs={"inputs": volleys()})
        w = session.read("syn", "w", physical=True).ravel()
    print(f"{target}: {len(trace.spikes('cell'))} spikes")
    together, others = w[:TOGETHER].mean(), w[TOGETHER:].mean()
    print(f"mean weight of the inputs that fire together {together:.3f}, of the others {others:.3f}")
