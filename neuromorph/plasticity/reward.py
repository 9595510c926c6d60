"""Reward-modulated STDP with eligibility: learning that waits for a third factor."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from neuromorph.errors import ValidationError
from neuromorph.parameters import described
from neuromorph.plasticity.base import (
    IdealFactor,
    IdealRule,
    IdealTag,
    IdealTrace,
    PlasticityRule,
    Term,
    decay_exponent,
    epoch_steps,
    modulator_name,
    period_exponent,
    require,
)

if TYPE_CHECKING:
    from neuromorph.handles import Modulator

__all__ = ["RewardSTDP"]


@described
@dataclass(frozen=True, kw_only=True)
class RewardSTDP(PlasticityRule):
    """Pair STDP moves an eligibility; a modulator turns eligibility into weight.

    ``c += a_plus x`` at a postsynaptic spike, ``c -= a_minus y`` at a presynaptic one, ``tau_eligibility c' = -c``;
    ``w' = eta M c`` with the modulator M (dopamine). The traces x and y are those of `STDP`. c is the synapse's tag_1.

    Parameters
    ----------
    a_plus, a_minus : float
        Change of c by one pair, >= 0 (not both 0), in units of the weight.
    tau_plus, tau_minus : float
        Time constants of the STDP windows in seconds, > 0.
    tau_eligibility : float
        Time constant of c in seconds, > 0.
    modulator : Modulator
        ``net.modulator(sources={reward: 1.0}, tau=0.2, full_scale=...)``; negative values unlearn.
    eta : float
        1/s per unit of the modulator, > 0.
    w_max : float
        Largest weight, > 0; weights stay in 0..w_max (``exc``).
    c_max : float, optional
        Largest size of c that must be held, > 0; default 4 times the larger amplitude.
    period : float, optional
        Time between changes of w and decays of c in seconds, held as the nearest power of two of epochs; default: the
        longest that is at most ``tau_eligibility / 16``. Keep it well under the modulator's time constant.
    peak : float
        Trace value (in spikes) up to which the machine's 7 bits must not saturate, 1..127.

    Notes
    -----
    Source: Izhikevich (2007), Cereb Cortex 17:2443 (tau_eligibility 1 s, dopamine 0.2 s); Fremaux and Gerstner (2016),
    Front Neural Circuits 9:85. Targets: those that have modulators and tags; not Lava, whose third factor takes the
    place of the postsynaptic trace.
    """

    a_plus: float
    a_minus: float
    tau_plus: float
    tau_minus: float
    tau_eligibility: float
    modulator: Modulator | str
    eta: float
    w_max: float
    c_max: float | None = None
    period: float | None = None
    peak: float = 4.0

    def __post_init__(self) -> None:
        PlasticityRule.__post_init__(self)
        modulator_name(self, "modulator")
        for name in ("a_plus", "a_minus"):
            require(self, name, 0.0, closed=True)
        if self.a_plus == 0 and self.a_minus == 0:
            raise ValidationError("RewardSTDP.a_plus and a_minus are both 0: the rule changes nothing")
        for name in ("tau_plus", "tau_minus", "tau_eligibility"):
            require(self, name, 0.0, unit="s")
        for name in ("eta", "w_max"):
            require(self, name, 0.0)
        for name in ("c_max", "period"):
            if getattr(self, name) is not None:
                require(self, name, 0.0)
        require(self, "peak", 1.0, 127.0, closed=True)

    @property
    def bound(self) -> float:
        """`w_max`."""
        return self.w_max

    @property
    def reads(self) -> tuple[str, ...]:
        """The modulator."""
        return (str(self.modulator),)

    def ideal(self, dt: float) -> IdealRule:
        """STDP and decay of t; ``eta T m1 t`` of w, both every T."""
        steps = epoch_steps(self, dt)
        if self.period is None:
            k = decay_exponent("RewardSTDP.tau_eligibility", self.tau_eligibility, steps * dt, 1 / 16)
        else:
            k = period_exponent("RewardSTDP.period", self.period, steps * dt)
        held = steps * dt * 2**k
        t = IdealFactor("t")
        pairs = (
            Term("a_plus", "y0", self.a_plus, (IdealFactor("x1"),)),
            Term("a_minus", "x0", -self.a_minus, (IdealFactor("y1"),)),
            Term("decay of c", "u", math.expm1(-held / self.tau_eligibility), (t,), k),
        )
        traces = {
            "x1": IdealTrace(self.tau_plus, peak=self.peak),
            "y1": IdealTrace(self.tau_minus, peak=self.peak),
        }
        c_max = 4.0 * max(self.a_plus, self.a_minus) if self.c_max is None else self.c_max
        return IdealRule(
            dw=(Term("eta", "u", held * self.eta, (IdealFactor("m1"), t), k),),
            traces=traces,
            dt=tuple(term for term in pairs if term.coefficient),
            t_epoch=steps,
            seed=self.seed,
            modulators=self.reads,
            tags={"t": IdealTag(c_max)},
        )
