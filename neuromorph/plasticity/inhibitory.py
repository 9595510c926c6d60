"""Inhibitory plasticity that balances excitation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from neuromorph.parameters import described
from neuromorph.plasticity.base import IdealFactor, IdealRule, IdealTrace, PlasticityRule, Term, epoch_steps, require

__all__ = ["InhibitorySTDP"]


@described
@dataclass(frozen=True)
class InhibitorySTDP(PlasticityRule):
    """Symmetric STDP of inhibitory synapses, with depression at each presynaptic spike.

    For the strength ``s = -w >= 0``: ``ds = eta x`` at a postsynaptic spike, ``ds = eta (y - alpha)`` at a presynaptic
    one; ``tau x' = -x, x += 1`` at a presynaptic spike and y alike at a postsynaptic one;
    ``alpha = 2 target_rate tau``. Inhibition grows while the target fires above `target_rate` and shrinks while below.

    Parameters
    ----------
    eta : float
        Learning rate, > 0, in units of the weight.
    tau : float
        Time constant of both traces in seconds, > 0.
    target_rate : float
        Rate in Hz at which the target settles, > 0.
    w_max : float
        Largest strength, > 0; weights stay in -w_max..0 (``inh``).
    peak : float
        Trace value (in spikes) up to which the machine's 7 bits must not saturate, 1..127.

    Notes
    -----
    Source: Vogels, Sprekeler, Zenke, Clopath and Gerstner (2011), Science 334:1569. Targets: all that learn; it needs
    no modulator.
    """

    eta: float
    tau: float
    target_rate: float
    w_max: float
    peak: float = 4.0

    def __post_init__(self) -> None:
        PlasticityRule.__post_init__(self)
        for name, unit in (("eta", ""), ("tau", "s"), ("target_rate", "Hz"), ("w_max", "")):
            require(self, name, 0.0, unit=unit)
        require(self, "peak", 1.0, 127.0, closed=True)

    @property
    def bound(self) -> float:
        """`w_max`."""
        return self.w_max

    @property
    def sign(self) -> Literal["inh"]:
        """Inhibitory."""
        return "inh"

    def ideal(self, dt: float) -> IdealRule:
        """The weight is minus the strength, so the signs are turned."""
        alpha = 2.0 * self.target_rate * self.tau
        # alpha has a term of its own: beside the trace, as a constant, it would be held in whole trace units.
        terms = (
            Term("eta", "y0", -self.eta, (IdealFactor("x1"),), potentiates=True),
            Term("eta", "x0", -self.eta, (IdealFactor("y1"),), potentiates=True),
            Term("eta alpha", "x0", self.eta * alpha),
        )
        trace = IdealTrace(self.tau, peak=self.peak)
        return IdealRule(terms, {"x1": trace, "y1": trace}, t_epoch=epoch_steps(self, dt), seed=self.seed)
