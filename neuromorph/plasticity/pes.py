"""Prescribed error sensitivity: weights follow an error that is given for each neuron."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from neuromorph.parameters import described
from neuromorph.plasticity.base import (
    IdealFactor,
    IdealRule,
    IdealTrace,
    PlasticityRule,
    Term,
    epoch_steps,
    modulator_name,
    period_exponent,
    require,
)

if TYPE_CHECKING:
    from neuromorph.handles import Modulator

__all__ = ["PES"]


@described
@dataclass(frozen=True, kw_only=True)
class PES(PlasticityRule):
    """Prescribed error sensitivity: weights from active sources move against the error of their target.

    ``w' = -learning_rate E_j a_i`` with the error E_j of the target and the rate a_i of the source in Hz, low-pass
    filtered with `tau`. Positive errors lower the input of the target.

    Parameters
    ----------
    error : Modulator
        ``net.modulator(of=cells, sources={too_much: 1.0, too_little: -1.0}, ...)``: a value for each target, or one for
        all, of either sign.
    learning_rate : float
        1/s per Hz and unit of the error, > 0. Nengo divides its kappa by the number of sources: ``kappa =
        learning_rate * n_pre``.
    w_max : float
        Largest size of a weight, > 0. Nengo has no bound.
    tau : float
        Time constant of the filter in seconds, > 0; Nengo's default is 5 ms.
    period : float, optional
        Time between changes in seconds, held as the nearest power of two of epochs; default: every epoch. Rare, larger
        changes lose less to rounding.
    peak : float
        Trace value (in spikes) up to which the machine's 7 bits must not saturate, 1..127.

    Notes
    -----
    Source: MacNeil and Eliasmith (2011), PLoS ONE 6:e22885; Bekolay, Kolbeck and Eliasmith (2013), CogSci. Targets:
    those that have modulators; `nengo` runs it as nengo.PES, on projections between neurons.
    """

    error: Modulator | str
    learning_rate: float
    w_max: float
    tau: float = 5e-3
    period: float | None = None
    peak: float = 4.0

    def __post_init__(self) -> None:
        PlasticityRule.__post_init__(self)
        modulator_name(self, "error")
        for name in ("learning_rate", "w_max"):
            require(self, name, 0.0)
        require(self, "tau", 0.0, unit="s")
        if self.period is not None:
            require(self, "period", 0.0, unit="s")
        require(self, "peak", 1.0, 127.0, closed=True)

    @property
    def bound(self) -> float:
        """`w_max`."""
        return self.w_max

    @property
    def reads(self) -> tuple[str, ...]:
        """The error."""
        return (str(self.error),)

    def ideal(self, dt: float) -> IdealRule:
        """``-learning_rate T a m1`` every T; ``a = (1 - exp(-dt / tau)) / dt x1``, so that a spike counts 1 in all."""
        steps = epoch_steps(self, dt)
        k = 0 if self.period is None else period_exponent("PES.period", self.period, steps * dt)
        change = self.learning_rate * steps * 2**k * math.expm1(-dt / self.tau)
        return IdealRule(
            dw=(Term("learning_rate", "u", change, (IdealFactor("x1"), IdealFactor("m1")), k),),
            traces={"x1": IdealTrace(self.tau, peak=self.peak)},
            t_epoch=steps,
            seed=self.seed,
            modulators=self.reads,
        )
