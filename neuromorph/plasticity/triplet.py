"""Triplet spike-timing-dependent plasticity."""

from __future__ import annotations

from dataclasses import dataclass

from neuromorph.errors import ValidationError
from neuromorph.parameters import described
from neuromorph.plasticity.base import IdealFactor, IdealRule, IdealTrace, PlasticityRule, Term, epoch_steps, require

__all__ = ["TripletSTDP"]


@described
@dataclass(frozen=True, kw_only=True)
class TripletSTDP(PlasticityRule):
    """Triplet STDP: pairs, and triplets that make potentiation grow with the rate.

    ``r1, r2`` (tau_plus, tau_x) grow by 1 at a presynaptic spike, ``o1, o2`` (tau_minus, tau_y) at a postsynaptic one,
    and decay; r2 and o2 are read as they were before the spike. At a postsynaptic spike
    ``dw = F+ r1 (a2_plus + a3_plus o2)``, at a presynaptic one ``dw = -F- o1 (a2_minus + a3_minus r2)``; F+ = F- = 1,
    or with `soft` ``F+ = 1 - w / w_max, F- = w / w_max``. The minimal rule has ``a2_plus = a3_minus = 0``.

    Parameters
    ----------
    a2_plus, a2_minus : float
        Change of a pair, >= 0, in units of the weight.
    a3_plus, a3_minus : float
        Change of a triplet, >= 0, in units of the weight.
    tau_plus, tau_minus : float
        Time constants of the pair windows in seconds, > 0.
    tau_x, tau_y : float, optional
        Time constants of the triplet traces in seconds, > 0; needed with a3_minus and a3_plus.
    w_max : float
        Largest weight, > 0; weights stay in 0..w_max (``exc``).
    soft : bool
        Bounds as above instead of a hard stop.
    peak : float
        Trace value (in spikes) up to which the machine's 7 bits must not saturate, 1..127; busy neurons need more, a
        smaller one holds finer changes.

    Notes
    -----
    All spikes interact (the nearest-spike form needs a trace as it was before it was set, which the machine has not).
    Source: Pfister and Gerstner (2006), J Neurosci 26:9673. Targets: all that learn; it needs no modulator.
    """

    a2_plus: float = 0.0
    a2_minus: float = 0.0
    a3_plus: float = 0.0
    a3_minus: float = 0.0
    tau_plus: float
    tau_minus: float
    tau_x: float | None = None
    tau_y: float | None = None
    w_max: float
    soft: bool = False
    peak: float = 4.0

    def __post_init__(self) -> None:
        PlasticityRule.__post_init__(self)
        for name in ("a2_plus", "a2_minus", "a3_plus", "a3_minus"):
            require(self, name, 0.0, closed=True)
        for name in ("tau_plus", "tau_minus"):
            require(self, name, 0.0, unit="s")
        require(self, "w_max", 0.0)
        require(self, "peak", 1.0, 127.0, closed=True)
        if not (self.a2_plus or self.a2_minus or self.a3_plus or self.a3_minus):
            raise ValidationError(
                "TripletSTDP: a2_plus, a2_minus, a3_plus and a3_minus are 0: the rule changes nothing"
            )
        for tau, amplitude in (("tau_x", "a3_minus"), ("tau_y", "a3_plus")):
            if getattr(self, tau) is not None:
                require(self, tau, 0.0, unit="s")
            elif getattr(self, amplitude):
                raise ValidationError(f"TripletSTDP.{tau} is missing: {amplitude} is read with its trace; give seconds")
        if not isinstance(self.soft, bool):
            raise ValidationError(f"TripletSTDP.soft = {self.soft!r}: True or False is needed")

    @classmethod
    def visual_cortex(cls, w_max: float, scale: float = 1.0, soft: bool = False, peak: float = 6.0) -> TripletSTDP:
        """The minimal rule fitted to visual cortex (all spikes interact); `scale` multiplies its amplitudes.

        A peak of 6 holds the turn from depression to potentiation near 20 Hz; it saturates above some 50 Hz.
        """
        return cls(
            a2_minus=7.1e-3 * scale, a3_plus=6.5e-3 * scale, tau_plus=16.8e-3, tau_minus=33.7e-3, tau_y=114e-3,
            w_max=w_max, soft=soft, peak=peak,
        )  # fmt: skip

    @property
    def bound(self) -> float:
        """`w_max`."""
        return self.w_max

    def ideal(self, dt: float) -> IdealRule:
        """The terms whose amplitude is not 0, and the traces that they read."""
        x, y = IdealFactor("x1"), IdealFactor("y1")
        # -1: the trace before this very spike.
        before_x, before_y = IdealFactor("x2", -1.0), IdealFactor("y2", -1.0)
        sign = 1.0
        up: tuple[IdealFactor, ...] = ()
        down: tuple[IdealFactor, ...] = ()
        if self.soft:
            # (w_max - w) / w_max = -(w - w_max) / w_max
            sign, up, down = 1.0 / self.w_max, (IdealFactor("w", -self.w_max),), (IdealFactor("w"),)
        rise, fall = (-sign if self.soft else sign), -sign
        terms = (
            Term("a2_plus", "y0", rise * self.a2_plus, (x, *up), potentiates=True),
            Term("a3_plus", "y0", rise * self.a3_plus, (x, before_y, *up), potentiates=True),
            Term("a2_minus", "x0", fall * self.a2_minus, (y, *down)),
            Term("a3_minus", "x0", fall * self.a3_minus, (y, before_x, *down)),
        )
        dw = tuple(term for term in terms if term.coefficient)
        taus = {"x1": self.tau_plus, "x2": self.tau_x, "y1": self.tau_minus, "y2": self.tau_y}
        read = {factor.variable for term in dw for factor in term.factors}
        traces = {name: IdealTrace(tau, peak=self.peak) for name, tau in taus.items() if tau and name in read}
        return IdealRule(dw, traces, t_epoch=epoch_steps(self, dt), seed=self.seed)
