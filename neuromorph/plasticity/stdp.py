"""Pair-based spike-timing-dependent plasticity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from neuromorph.errors import ValidationError
from neuromorph.parameters import described
from neuromorph.plasticity.base import IdealFactor, IdealRule, IdealTrace, PlasticityRule, Term, epoch_steps, require

__all__ = ["STDP"]

Variant = Literal["additive", "multiplicative", "soft", "nearest"]


@described
@dataclass(frozen=True)
class STDP(PlasticityRule):
    """Pair STDP with exponential windows.

    ``x' = -x/tau_plus, x += 1`` at a presynaptic spike; ``y' = -y/tau_minus, y += 1`` at a postsynaptic spike;
    ``dw = + a_plus F+(w) x`` at each postsynaptic spike, ``dw = - a_minus F-(w) y`` at each presynaptic one, so that
    one pair with ``D = t_post - t_pre`` changes the weight by ``+a_plus F+ exp(-D/tau_plus)`` for D >= 0 or
    ``-a_minus F- exp(D/tau_minus)`` for D <= 0; a pair within one step causes both.

    ================== ================ ========== ===================================================
    variant            F+               F-         source
    ================== ================ ========== ===================================================
    ``additive``       1                1          Song, Miller and Abbott (2000), Nat Neurosci 3:919
    ``multiplicative`` 1                w / w_max  van Rossum, Bi and Turrigiano (2000), J Neurosci 20:8812
    ``soft``           1 - w / w_max    w / w_max  Rubin, Lee and Sompolinsky (2001), Phys Rev Lett 86:364
    ``nearest``        1                1          Morrison, Diesmann and Gerstner (2008), Biol Cybern 98:459
    ================== ================ ========== ===================================================

    With ``nearest`` only the last spike of the other side counts: a spike sets its trace to 1 instead of adding 1.

    Parameters
    ----------
    a_plus, a_minus : float
        Largest change of one pair, >= 0, in units of the weight (not both 0).
    tau_plus, tau_minus : float
        Time constants of the windows in seconds, > 0.
    w_max : float
        Largest weight, > 0; weights stay in 0..w_max (``exc``).
    variant : str
        As in the table.
    peak : float
        Trace value (in spikes) up to which the machine's 7 bits must not saturate, 1..127; busy neurons need more, a
        smaller one holds finer changes. Not used by ``nearest``.

    Notes
    -----
    Targets: all that learn.
    """

    a_plus: float
    a_minus: float
    tau_plus: float
    tau_minus: float
    w_max: float
    variant: Variant = "additive"
    peak: float = 4.0

    def __post_init__(self) -> None:
        PlasticityRule.__post_init__(self)
        for name in ("a_plus", "a_minus"):
            require(self, name, 0.0, closed=True)
        for name in ("tau_plus", "tau_minus"):
            require(self, name, 0.0, unit="s")
        require(self, "w_max", 0.0)
        require(self, "peak", 1.0, 127.0, closed=True)
        if self.a_plus == 0 and self.a_minus == 0:
            raise ValidationError("STDP.a_plus and a_minus are both 0: the rule changes nothing")
        if self.variant not in get_args(Variant):
            raise ValidationError(f"STDP.variant = {self.variant!r} is unknown; one of {', '.join(get_args(Variant))}")

    @property
    def bound(self) -> float:
        """`w_max`."""
        return self.w_max

    def ideal(self, dt: float) -> IdealRule:
        """The two terms of the rule."""
        x, y = IdealFactor("x1"), IdealFactor("y1")
        rise: tuple[IdealFactor, ...] = (x,)
        fall: tuple[IdealFactor, ...] = (y,)
        up, down = self.a_plus, -self.a_minus
        if self.variant in ("multiplicative", "soft"):
            fall, down = (y, IdealFactor("w")), down / self.w_max
        if self.variant == "soft":
            # (w_max - w) = -(w - w_max)
            rise, up = (x, IdealFactor("w", -self.w_max)), -up / self.w_max
        terms = (Term("a_plus", "y0", up, rise, potentiates=True), Term("a_minus", "x0", down, fall))
        nearest = self.variant == "nearest"
        traces = {
            "x1": IdealTrace(self.tau_plus, peak=self.peak, nearest=nearest),
            "y1": IdealTrace(self.tau_minus, peak=self.peak, nearest=nearest),
        }
        dw = tuple(term for term in terms if term.coefficient)
        read = {factor.variable for term in dw for factor in term.factors}
        traces = {name: trace for name, trace in traces.items() if name in read}
        return IdealRule(dw, traces, t_epoch=epoch_steps(self, dt), seed=self.seed)
