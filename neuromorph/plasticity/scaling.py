"""Synaptic scaling: homeostasis of a neuron's rate by its weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from neuromorph.parameters import described
from neuromorph.plasticity.base import (
    IdealFactor,
    IdealRule,
    PlasticityRule,
    Term,
    epoch_steps,
    modulator_name,
    period_exponent,
    require,
)

if TYPE_CHECKING:
    from neuromorph.handles import Modulator

__all__ = ["SynapticScaling"]


@described
@dataclass(frozen=True, kw_only=True)
class SynapticScaling(PlasticityRule):
    """All weights onto a neuron grow or shrink by the same factor until it fires at the target rate.

    ``w' = speed w (1 - rate / target)``, where the target's recent rate is outside ``(1 +- dead_zone) target``; within
    it nothing changes, and outside the nearer end takes the target's place. Applied every `period`. Add it to a rule
    that learns: ``STDP(...) + SynapticScaling(...)``.

    Parameters
    ----------
    rate : Modulator
        Recent rate of the target's neurons in Hz: ``net.rate(cells, tau=5.0, full_scale=...)``.
    target : float
        Rate in Hz, > 0.
    speed : float
        1/s, > 0; with a rate that is averaged over tau, speeds well below ``1 / (4 tau)`` do not oscillate.
    period : float
        Time between changes in seconds, held as the nearest power of two of epochs (up to 2^15). Long ones keep the
        weights' proportions better: rare and large changes survive 8 bits.
    dead_zone : float
        0 <= dead_zone < 1, as a share of the target.
    w_max : float, optional
        Largest weight, > 0; needed if no other rule of the projection gives it.

    Notes
    -----
    Source: Turrigiano, Leslie, Desai, Rutherford and Nelson (1998), Nature 391:892; van Rossum, Bi and Turrigiano
    (2000), J Neurosci 20:8812. Targets: those that have modulators.
    """

    rate: Modulator | str
    target: float
    speed: float
    period: float = 1.0
    dead_zone: float = 0.0
    w_max: float | None = None

    def __post_init__(self) -> None:
        PlasticityRule.__post_init__(self)
        modulator_name(self, "rate")
        for name, unit in (("target", "Hz"), ("speed", "1/s"), ("period", "s")):
            require(self, name, 0.0, unit=unit)
        require(self, "dead_zone", 0.0, 0.99, closed=True)
        if self.w_max is not None:
            require(self, "w_max", 0.0)

    @property
    def bound(self) -> float | None:
        """`w_max`."""
        return self.w_max

    @property
    def reads(self) -> tuple[str, ...]:
        """The rate."""
        return (str(self.rate),)

    def ideal(self, dt: float) -> IdealRule:
        """``T speed / target w (target - m1)``; with a dead zone the two sides apart."""
        steps = epoch_steps(self, dt)
        k = period_exponent("SynapticScaling.period", self.period, steps * dt)
        gain = steps * dt * 2**k * self.speed / self.target
        w = IdealFactor("w")
        terms: tuple[Term, ...]
        if self.dead_zone:
            low, high = (1 - self.dead_zone) * self.target, (1 + self.dead_zone) * self.target
            terms = (
                Term("speed, up", "u", gain, (w, IdealFactor("1", low, "pos", "m1", -1)), k),
                Term("speed, down", "u", -gain, (w, IdealFactor("m1", -high, "pos")), k),
            )
        else:
            terms = (Term("speed", "u", -gain, (w, IdealFactor("m1", -self.target)), k),)
        return IdealRule(terms, {}, t_epoch=steps, seed=self.seed, modulators=self.reads)
