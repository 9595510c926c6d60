"""Competitive learning: weights move towards what the input was when the cell fired."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from neuromorph.errors import ValidationError
from neuromorph.parameters import described
from neuromorph.plasticity.base import (
    Held,
    IdealFactor,
    IdealRule,
    IdealTrace,
    Lowered,
    PlasticityRule,
    Term,
    epoch_steps,
    require,
)
from neuromorph.plasticity.lowering import nearest_scale
from neuromorph.profiles import LOIHI2, Profile

__all__ = ["InstarSTDP"]

PAYLOAD_MAX = 254  # the payload that fills the 7 bits of a trace


@described
@dataclass(frozen=True)
class InstarSTDP(PlasticityRule):
    """Instar rule on spikes: at each postsynaptic spike the weight moves towards the presynaptic trace.

    ``dw = eta (gain x - w)`` at each postsynaptic spike; ``tau x' = -x``, ``x += 1`` at a presynaptic spike. With a
    graded source ``x = payload / 254`` at a spike instead. With one winner per input (lateral inhibition) this is an
    online k-means: the weights of a cell become the mean of the inputs that it won.

    Parameters
    ----------
    eta : float
        Learning rate, 0 < eta <= 1; held as ``mant * 2^exp`` (mant 1..7), so 1/2, 1/4, 1/8, ... exactly.
    tau : float
        Time constant of the presynaptic trace in seconds, > 0.
    w_max : float
        Largest weight, > 0; weights stay in 0..w_max (``exc``).
    gain : float, optional
        Weight per unit of trace, > 0; None: `w_max`: one spike just now (or the largest payload) asks for w_max.
    graded : bool
        The source sends graded spikes, and the payload (0..254) overwrites the trace.
    peak : float
        Trace value up to which the machine's 7 bits must not saturate, 1..127. Not used by graded sources.

    Notes
    -----
    Source: Grossberg (1976), Biological Cybernetics 23:121 (instar); Diehl and Cook (2015) use its spiking form.
    Targets: all that learn; with `graded` those that have graded spikes.
    """

    eta: float
    tau: float
    w_max: float
    gain: float | None = None
    graded: bool = False
    peak: float = 4.0

    def __post_init__(self) -> None:
        PlasticityRule.__post_init__(self)
        require(self, "eta", 0.0, 1.0)
        require(self, "tau", 0.0, unit="s")
        require(self, "w_max", 0.0)
        require(self, "peak", 1.0, 127.0, closed=True)
        if self.gain is not None:
            require(self, "gain", 0.0)
        if not isinstance(self.graded, bool):
            raise ValidationError(f"InstarSTDP.graded = {self.graded!r}: True or False is needed")

    @property
    def bound(self) -> float:
        """`w_max`."""
        return self.w_max

    def ideal(self, dt: float) -> IdealRule:
        """``eta gain y0 x1 - eta y0 w``."""
        gain = self.w_max if self.gain is None else self.gain
        terms = (
            Term("eta gain", "y0", self.eta * gain, (IdealFactor("x1"),)),
            Term("eta", "y0", -self.eta, (IdealFactor("w"),)),
        )
        trace = IdealTrace(self.tau, payload=1.0 / PAYLOAD_MAX) if self.graded else IdealTrace(self.tau, peak=self.peak)
        return IdealRule(
            terms,
            {"x1": trace},
            t_epoch=epoch_steps(self, dt),
            seed=self.seed,
            graded_trace="overwrite" if self.graded else "none",
        )

    def lower(
        self, w_unit: float, dt: float, modulators: Mapping[str, float] | None = None, profile: Profile = LOIHI2
    ) -> Lowered:
        """Quantise with the held eta in both terms: the weight's goal, their ratio, matters more than the rate."""
        if profile is not LOIHI2:  # fine enough for both terms
            return PlasticityRule.lower(self, w_unit, dt, modulators, profile)
        mant, exp = nearest_scale(self.eta)
        if not mant:
            raise ValidationError(
                f"InstarSTDP.eta = {self.eta:g} is below the machine's smallest scale, 1/128; profile wide holds it"
            )
        held = replace(self, eta=mant * 2.0**exp)
        lowered = PlasticityRule.lower(held, w_unit, dt, modulators)
        return replace(lowered, notes=(Held("learning rate", self.eta, held.eta), *lowered.notes))
