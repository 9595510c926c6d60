"""Hebbian learning with a forgetting term that normalises the weights."""

from __future__ import annotations

from dataclasses import dataclass

from neuromorph.parameters import described
from neuromorph.plasticity.base import (
    IdealFactor,
    IdealRule,
    IdealTrace,
    PlasticityRule,
    Term,
    epoch_steps,
    period_exponent,
    require,
)

__all__ = ["Oja"]


@described
@dataclass(frozen=True, kw_only=True)
class Oja(PlasticityRule):
    """Oja's rule on low-pass filtered rates: the weights of a linear neuron become the first principal component.

    ``w' = eta (x y - alpha y^2 w)``; ``tau_pre x' = -x``, ``x += 1`` at a presynaptic spike; ``tau_post y' = -y``,
    ``y += 1`` at a postsynaptic one. For ``y = sum w x`` the sum of the squared weights goes to 1 / alpha; at constant
    rates w goes to ``x / (alpha y)``. Applied every `period`.

    Parameters
    ----------
    eta : float
        Learning rate, > 0, in units of the weight per second.
    alpha : float
        Forgetting, > 0, in 1 / unit of the weight.
    tau_pre, tau_post : float
        Time constants of the traces in seconds, > 0.
    w_max : float
        Largest weight, > 0; weights stay in 0..w_max (``exc``).
    period : float
        Time between changes in seconds, held as the nearest power of two of epochs (up to 2^15).
    peak : float
        Trace value (in spikes) up to which the machine's 7 bits must not saturate, 1..127.

    Notes
    -----
    Source: Oja (1982), J Math Biol 15:267. Targets: all that learn; Lava up to a period of 2^9 epochs.
    """

    eta: float
    alpha: float
    tau_pre: float
    tau_post: float
    w_max: float
    period: float
    peak: float = 4.0

    def __post_init__(self) -> None:
        PlasticityRule.__post_init__(self)
        for name, unit in (("eta", ""), ("alpha", ""), ("w_max", "")):
            require(self, name, 0.0, unit=unit)
        for name in ("tau_pre", "tau_post", "period"):
            require(self, name, 0.0, unit="s")
        require(self, "peak", 1.0, 127.0, closed=True)

    @property
    def bound(self) -> float:
        """`w_max`."""
        return self.w_max

    def ideal(self, dt: float) -> IdealRule:
        """``T eta u_k x1 y1 - T eta alpha u_k y1 y1 w`` with the held period T."""
        steps = epoch_steps(self, dt)
        k = period_exponent("Oja.period", self.period, steps * dt)
        held = steps * dt * 2**k
        x, y, w = IdealFactor("x1"), IdealFactor("y1"), IdealFactor("w")
        terms = (
            Term("eta", "u", held * self.eta, (x, y), k, potentiates=True),
            Term("eta alpha", "u", -held * self.eta * self.alpha, (y, y, w), k),
        )
        traces = {"x1": IdealTrace(self.tau_pre, peak=self.peak), "y1": IdealTrace(self.tau_post, peak=self.peak)}
        return IdealRule(terms, traces, t_epoch=steps, seed=self.seed)
