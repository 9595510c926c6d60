"""Rate-based Hebbian learning."""

from __future__ import annotations

from dataclasses import dataclass

from neuromorph.errors import ValidationError
from neuromorph.parameters import described
from neuromorph.plasticity.base import IdealFactor, IdealRule, IdealTrace, PlasticityRule, Term, epoch_steps, require

__all__ = ["Hebbian"]


@described
@dataclass(frozen=True)
class Hebbian(PlasticityRule):
    """Hebb's rule on low-pass filtered rates, with decay.

    ``w' = eta x y - decay w``; ``tau_pre x' = -x``, ``x += 1`` at a presynaptic spike; ``tau_post y' = -y``,
    ``y += 1`` at a postsynaptic one (so x is about the rate times tau_pre). Applied every `period`:
    ``dw = period (eta x y - decay w)``.

    Parameters
    ----------
    eta : float
        Learning rate, > 0, in units of the weight per second.
    tau_pre, tau_post : float
        Time constants of the traces in seconds, > 0.
    w_max : float
        Largest weight, > 0; weights stay in 0..w_max (``exc``).
    period : float
        Time between changes in seconds: the epoch (dt if none is given) times a power of two up to 2^9.
    decay : float
        Forgetting rate in 1/s, >= 0; ``period * decay`` at most 1.
    peak : float
        Trace value (in spikes) up to which the machine's 7 bits must not saturate, 1..127.

    Notes
    -----
    Source: Hebb (1949), The Organization of Behavior; Gerstner and Kistler (2002), Biol Cybern 87:404. Targets: all
    that learn.
    """

    eta: float
    tau_pre: float
    tau_post: float
    w_max: float
    period: float
    decay: float = 0.0
    peak: float = 4.0

    def __post_init__(self) -> None:
        PlasticityRule.__post_init__(self)
        for name in ("eta", "w_max"):
            require(self, name, 0.0)
        for name in ("tau_pre", "tau_post", "period"):
            require(self, name, 0.0, unit="s")
        require(self, "decay", 0.0, closed=True, unit="1/s")
        require(self, "peak", 1.0, 127.0, closed=True)
        if self.period * self.decay > 1:
            raise ValidationError(f"Hebbian: period * decay = {self.period * self.decay:g} must be at most 1")

    @property
    def bound(self) -> float:
        """`w_max`."""
        return self.w_max

    def ideal(self, dt: float) -> IdealRule:
        """``period eta u_k x1 y1 - period decay u_k w``."""
        steps = epoch_steps(self, dt)
        ratio = self.period / (steps * dt)
        k = max(0, round(ratio).bit_length() - 1)
        if k > 9 or abs(ratio - 2**k) > 1e-6 * ratio:
            raise ValidationError(
                f"Hebbian.period = {self.period:g} s must be the epoch of {steps * dt:g} s times a power of two, "
                f"{steps * dt:g} to {512 * steps * dt:g} s"
            )
        terms = [Term("eta", "u", self.period * self.eta, (IdealFactor("x1"), IdealFactor("y1")), k, potentiates=True)]
        if self.decay:
            terms.append(Term("decay", "u", -self.period * self.decay, (IdealFactor("w"),), k))
        traces = {
            "x1": IdealTrace(self.tau_pre, peak=self.peak),
            "y1": IdealTrace(self.tau_post, peak=self.peak),
        }
        return IdealRule(tuple(terms), traces, t_epoch=steps, seed=self.seed)
