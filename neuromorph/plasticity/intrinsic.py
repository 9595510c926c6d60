"""Intrinsic plasticity: excitability settles where a neuron fires at its target rate."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from neuromorph.parameters import described
from neuromorph.plasticity.base import require
from neuromorph.plasticity.homeostasis import Homeostasis

if TYPE_CHECKING:
    from neuromorph.graph import Adaptation

__all__ = ["IntrinsicPlasticity"]


@described
@dataclass(frozen=True)
class IntrinsicPlasticity(Homeostasis):
    """A threshold that drifts until the neuron fires at a target rate, whatever drives it.

    ``v_th(t) = v_th + theta``; ``theta += increment`` at each spike of the neuron; between spikes theta falls by
    ``increment * target_rate`` per second, down to `floor`. So theta rests where the neuron fires at `target_rate`:
    busy neurons become less excitable, silent ones more.

    Parameters
    ----------
    target_rate : float
        Rate r0 in Hz, > 0; held within 5% or refused.
    increment : float
        Step of the threshold at a spike, > 0, in units of v. Small steps adapt slowly and exactly, large ones fast:
        a neuron at n times its target raises its threshold by ``(n - 1) increment r0`` per second.
    floor : float
        Lowest theta, <= 0, in units of v; ``v_th + floor`` stays above 0. 0: the threshold never falls below v_th.
    init : float
        Initial theta, >= floor, in units of v.

    Notes
    -----
    The compiler holds it as `theta_inc`, `theta_drift`, `theta_period`, `theta_frac` and `theta_min`
    (docs/semantics.md, 2). A schedule switches it as "adaptation".
    Source: Turrigiano, Abbott and Marder (1994), Science 264:974; Desai, Rutherford and Turrigiano (1999), Nature
    Neuroscience 2:515; as a rule of the threshold: Diehl and Cook (2015), with a constant drift for the decay.
    Targets: those that have adaptive thresholds with drift.
    """

    target_rate: float
    increment: float = 0.02
    floor: float = 0.0
    init: float = 0.0

    def __post_init__(self) -> None:
        require(self, "target_rate", 0.0, unit="Hz")
        require(self, "increment", 0.0)
        require(self, "floor", high=0.0, closed=True)
        require(self, "init", self.floor, closed=True)

    def adaptation(self, where: str, n: int) -> Adaptation:  # noqa: ARG002
        """What the Graph has of it."""
        from neuromorph.graph import Adaptation

        drift = self.increment * self.target_rate
        return Adaptation(float(self.increment), math.inf, float(self.init), drift, float(self.floor))
