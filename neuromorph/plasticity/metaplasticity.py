"""Metaplasticity: earlier activity moves the threshold between depression and potentiation."""

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

__all__ = ["Metaplasticity"]


@described
@dataclass(frozen=True, kw_only=True)
class Metaplasticity(PlasticityRule):
    """Minimal triplet STDP whose depression grows with the target's slow rate R: BCM with spikes.

    ``dw = a3_plus r1 o2`` at a postsynaptic spike, ``dw = -a2_minus (R / rate_0)^power o1`` at a presynaptic one; the
    traces are those of `TripletSTDP`. At independent rates depression turns to potentiation where the target fires at
    ``a2_minus tau_minus / (a3_plus tau_plus tau_y) (R / rate_0)^power``: higher after a busy time than after a quiet
    one.

    Parameters
    ----------
    a2_minus, a3_plus : float
        Changes of a pair and of a triplet, > 0, in units of the weight.
    tau_plus, tau_minus, tau_y : float
        Time constants of the traces in seconds, > 0.
    rate : Modulator
        R, the slow rate of the target's neurons in Hz: ``net.rate(cells, tau=100.0, full_scale=...)``.
    rate_0 : float
        Rate in Hz, > 0, at which depression is that of the plain rule.
    power : int
        1 or 2.
    w_max : float
        Largest weight, > 0; weights stay in 0..w_max (``exc``).
    peak : float
        Trace value (in spikes) up to which the machine's 7 bits must not saturate, 1..127.

    Notes
    -----
    Source: Pfister and Gerstner (2006), J Neurosci 26:9673 (relation to BCM); Abraham and Bear (1996), Trends Neurosci
    19:126. Targets: those that have modulators; not Lava, whose third factor takes the place of the postsynaptic trace.
    """

    a2_minus: float
    a3_plus: float
    tau_plus: float
    tau_minus: float
    tau_y: float
    rate: Modulator | str
    rate_0: float
    w_max: float
    power: int = 1
    peak: float = 4.0

    def __post_init__(self) -> None:
        PlasticityRule.__post_init__(self)
        modulator_name(self, "rate")
        for name, unit in (
            ("a2_minus", ""), ("a3_plus", ""), ("tau_plus", "s"), ("tau_minus", "s"), ("tau_y", "s"), ("rate_0", "Hz"),
            ("w_max", ""),
        ):  # fmt: skip
            require(self, name, 0.0, unit=unit)
        if self.power not in (1, 2):
            raise ValidationError(f"Metaplasticity.power = {self.power!r}: 1 or 2 is needed")
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
        """``a3_plus y0 x1 (y2 - 1) - a2_minus rate_0^-power x0 y1 m1^power``."""
        slide = [IdealFactor("m1")] * self.power
        terms = (
            Term("a3_plus", "y0", self.a3_plus, (IdealFactor("x1"), IdealFactor("y2", -1.0)), potentiates=True),
            Term("a2_minus", "x0", -self.a2_minus / self.rate_0**self.power, (IdealFactor("y1"), *slide)),
        )
        taus = {"x1": self.tau_plus, "y1": self.tau_minus, "y2": self.tau_y}
        traces = {name: IdealTrace(tau, peak=self.peak) for name, tau in taus.items()}
        return IdealRule(terms, traces, t_epoch=epoch_steps(self, dt), seed=self.seed, modulators=self.reads)
