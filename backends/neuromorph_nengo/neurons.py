"""What Nengo's neurons lack: an adaptive threshold (nengo.AdaptiveLIF subtracts a current instead)."""

from __future__ import annotations

from typing import Any

import nengo
import numpy as np
from nengo.dists import Choice
from nengo.params import NdarrayParam, NumberParam

__all__ = ["ThresholdAdaptingLIF"]


class ThresholdAdaptingLIF(nengo.LIF):
    """nengo.LIF that spikes above ``1 + theta``: theta decays by the factor `keep` in a step, and grows at a spike.

    Parameters
    ----------
    tau_rc, tau_ref : float
        As of nengo.LIF.
    increment : array (n,)
        What a spike adds to theta, in thresholds.
    keep : float
        What is left of theta after a step.
    """

    state = {**nengo.LIF.state, "theta": Choice([0])}  # noqa: RUF012
    increment = NdarrayParam("increment", shape=("*",))
    keep = NumberParam("keep", low=0, high=1)

    def __init__(self, tau_rc: float, tau_ref: float, increment: Any, keep: float) -> None:
        super().__init__(tau_rc=tau_rc, tau_ref=tau_ref, min_voltage=-np.inf)
        self.increment, self.keep = increment, keep

    def step(self, dt: float, J: Any, output: Any, voltage: Any, refractory_time: Any, theta: Any) -> None:
        """One step as of nengo.LIF, with its own threshold."""
        theta *= self.keep
        refractory_time -= dt
        free = np.clip(dt - refractory_time, 0, dt)
        voltage -= (J - voltage) * np.expm1(-free / self.tau_rc)
        spiked = voltage > 1 + theta
        output[:] = spiked * (self.amplitude / dt)
        over = (voltage[spiked] - 1 - theta[spiked]) / (J[spiked] - 1 - theta[spiked])
        voltage[spiked] = 0
        refractory_time[spiked] = self.tau_ref + dt + self.tau_rc * np.log1p(-over)
        theta[spiked] += self.increment[spiked]
