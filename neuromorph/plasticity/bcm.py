"""The BCM rule with a sliding threshold, at spikes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from neuromorph.errors import ValidationError
from neuromorph.parameters import described
from neuromorph.plasticity.base import (
    IdealFactor,
    IdealRule,
    IdealTrace,
    PlasticityRule,
    Term,
    epoch_steps,
    modulator_name,
    require,
)

if TYPE_CHECKING:
    from neuromorph.handles import Modulator

__all__ = ["BCM"]


@described
@dataclass(frozen=True, kw_only=True)
class BCM(PlasticityRule):
    """BCM: a synapse grows where its target is more active than a threshold, which slides with the target's history.

    ``dw = eta x (y - theta)`` at each postsynaptic spike: in the mean ``w' = eta x r (y - theta)`` with the target's
    rate r. ``tau_pre x' = -x, x += 1`` at a presynaptic spike; ``tau_post y' = -y, y += 1`` at a postsynaptic one, read
    as it was before the spike (about ``r tau_post``); ``theta = tau_post rate_0 (R / rate_0)^power`` with the slow rate
    R. A power above 1 makes the rule stable: R settles near `rate_0`.

    Parameters
    ----------
    eta : float
        Learning rate, > 0, in units of the weight.
    tau_pre, tau_post : float
        Time constants of the traces in seconds, > 0.
    rate : Modulator
        R, the recent rate of the target's neurons in Hz: ``net.rate(cells, tau=10.0, full_scale=...)``.
    rate_0 : float
        Rate in Hz, > 0.
    power : int
        1 or 2.
    w_max : float
        Largest weight, > 0; weights stay in 0..w_max (``exc``).
    peak : float
        Trace value (in spikes) up to which the machine's 7 bits must not saturate, 1..127.

    Notes
    -----
    Source: Bienenstock, Cooper and Munro (1982), J Neurosci 2:32; Intrator and Cooper (1992), Neural Netw 5:3 (power
    2). Targets: those that have modulators; not Lava, whose third factor takes the place of the postsynaptic trace.
    """

    eta: float
    tau_pre: float
    tau_post: float
    rate: Modulator | str
    rate_0: float
    w_max: float
    power: int = 2
    peak: float = 4.0

    def __post_init__(self) -> None:
        PlasticityRule.__post_init__(self)
        modulator_name(self, "rate")
        for name, unit in (("eta", ""), ("tau_pre", "s"), ("tau_post", "s"), ("rate_0", "Hz"), ("w_max", "")):
            require(self, name, 0.0, unit=unit)
        if self.power not in (1, 2):
            raise ValidationError(f"BCM.power = {self.power!r}: 1 or 2 is needed")
        require(self, "peak", 1.0, 127.0, closed=True)

    @property
    def bound(self) -> float:
        """`w_max`."""
        return self.w_max

    @property
    def reads(self) -> tuple[str, ...]:
        """The rate."""
        return (str(self.rate),)

    def ideal(self, dt: float) -> IdealRule:
        """``eta y0 x1 (y1 - 1) - eta tau_post rate_0^(1 - power) y0 x1 m1^power``."""
        x, m = IdealFactor("x1"), IdealFactor("m1")
        threshold = self.eta * self.tau_post * self.rate_0 ** (1 - self.power)
        terms = (
            Term("eta", "y0", self.eta, (x, IdealFactor("y1", -1.0)), potentiates=True),
            Term("eta theta", "y0", -threshold, (x, *[m] * self.power)),
        )
        traces = {"x1": IdealTrace(self.tau_pre, peak=self.peak), "y1": IdealTrace(self.tau_post, peak=self.peak)}
        return IdealRule(terms, traces, t_epoch=epoch_steps(self, dt), seed=self.seed, modulators=self.reads)
