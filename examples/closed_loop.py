"""A closed loop: two eyes, crossed to two motors, turn an agent to the light. The board steers, the host is the world.

python examples/closed_loop.py [TARGET]

After Braitenberg (1984), Vehicles. Every 20 ms the host tells the board what the eyes see, and turns by what the motors
did.
"""

from __future__ import annotations

import sys

import numpy as np

import neuromorph as nm
from neuromorph.units import Hz, ms

LIGHT, TICK, TICKS = 30.0, 20 * ms, 60
TURN = 2.0  # degrees per spike


def network() -> nm.Network:
    """The left eye drives the right motor and the other way round; the motors inhibit each other."""
    net = nm.Network(name="closed_loop", dt=1 * ms, seed=1)
    eyes = net.input(2, name="eyes")
    motors = net.population(2, nm.LIF(tau_m=10 * ms, tau_s=2 * ms, refractory=2 * ms), name="motors")
    net.connect(eyes, motors, weights=np.array([[0.0, 0.6], [0.6, 0.0]]), name="crossed")
    net.connect(motors, motors, weights=-0.3, topology=nm.AllToAll(self_loops=False), name="rivalry")
    net.probe(motors, "spikes")
    return net


def seen(heading: float) -> nm.Poisson:
    """Rates of the left and the right eye: the one that is nearer to the light sees more."""
    to_the_right = (LIGHT - heading) / 90.0
    return nm.Poisson(200 * Hz * np.clip([0.5 - to_the_right, 0.5 + to_the_right], 0.0, 1.0))


def steer(target: str, heading: float) -> list[float]:
    """Headings in degrees, one per tick."""
    headings = [heading]
    with nm.open(network(), target) as board:
        for _ in range(TICKS):
            left, right = board.run(TICK, inputs={"eyes": seen(headings[-1])}).spikes("motors").counts()
            headings.append(headings[-1] + TURN * float(left - right))
    return headings


if __name__ == "__main__":
    target = sys.argv[1] if len(sys.argv) > 1 else "mcu"
    headings = steer(target, -60.0)
    shown = ", ".join(f"{h:.0f}" for h in headings[::10])
    print(f"{target}: heading {shown} degrees; the light is at {LIGHT:.0f}")
