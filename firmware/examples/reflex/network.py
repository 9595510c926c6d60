"""A conditioned reflex: a touch moves the motor; what comes shortly before a touch learns to move it too."""

import neuromorph as nm
from neuromorph.plasticity import STDP
from neuromorph.units import ms


def network() -> nm.Network:
    """Two senses of one line each, one motor neuron; only the way from the light learns."""
    net = nm.Network(name="reflex", dt=1 * ms, seed=1)
    touch = net.input(1, name="touch")
    light = net.input(1, name="light")
    motor = net.population(1, nm.LIF(tau_m=20 * ms, tau_s=5 * ms, v_th=1.0, refractory=10 * ms), name="motor")
    net.connect(touch, motor, weights=8.0, name="reflex")
    stdp = STDP(a_plus=0.05, a_minus=0.02, tau_plus=20 * ms, tau_minus=20 * ms, w_max=8.0)
    net.connect(light, motor, weights=0.2, plasticity=stdp, name="learned")
    net.probe(motor, "spikes")
    return net
