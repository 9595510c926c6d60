"""Synaptic consolidation: an early phase that fades, tags, and a late phase that proteins make last."""

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
    PlasticityRule,
    Term,
    decay_exponent,
    epoch_steps,
    modulator_name,
    require,
)

if TYPE_CHECKING:
    from neuromorph.handles import Modulator

__all__ = ["Consolidation"]


@described
@dataclass(frozen=True, kw_only=True)
class Consolidation(PlasticityRule):
    """Tagging and capture: what a rule learns fades unless the synapse is tagged while proteins are there.

    The weight is ``w = w_0 + early + late``. ``tau_early early' = -early``; the tag t is 1 while ``early > threshold``
    and then decays, ``tau_tag t' = -t``; ``tau_late late' = P t (late_max - late)`` with the proteins P. Add it to the
    rule that learns: ``STDP(...) + Consolidation(...)``. late is the synapse's tag_2, t its tag_1.

    Parameters
    ----------
    tau_early, tau_tag, tau_late : float
        Time constants in seconds, > 0.
    threshold : float
        Early phase that sets the tag, > 0, in units of the weight.
    late_max : float
        Largest late phase, > 0, in units of the weight.
    protein : Modulator
        P: one for all, or one for each neuron of the target, fed for example by spikes of the target (strong
        stimulation) or of a reward; 1 is plenty.
    w_0 : float
        Weight without early and late phase, >= 0, in units of the weight.
    w_max : float, optional
        Largest weight, > 0; needed if no other rule of the projection gives it.

    Notes
    -----
    Applied every 2^k epochs, the longest that is at most an eighth of the shortest time constant.
    Source: Frey and Morris (1997), Nature 385:533; Clopath, Ziegler, Vasilaki, Busing and Gerstner (2008), PLoS Comput
    Biol 4:e1000248; Luboeinski and Tetzlaff (2021), Commun Biol 4:275. Targets: those that have modulators, tags and
    extended factors.
    """

    tau_early: float
    tau_tag: float
    tau_late: float
    threshold: float
    late_max: float
    protein: Modulator | str
    w_0: float = 0.0
    w_max: float | None = None

    def __post_init__(self) -> None:
        PlasticityRule.__post_init__(self)
        modulator_name(self, "protein")
        for name in ("tau_early", "tau_tag", "tau_late"):
            require(self, name, 0.0, unit="s")
        for name in ("threshold", "late_max"):
            require(self, name, 0.0)
        require(self, "w_0", 0.0, closed=True)
        if self.w_max is not None:
            require(self, "w_max", 0.0)
            if self.w_0 + self.late_max > self.w_max:
                raise ValidationError(
                    f"Consolidation.late_max = {self.late_max:g} above w_0 = {self.w_0:g} is over w_max = "
                    f"{self.w_max:g}; lower late_max"
                )

    @property
    def bound(self) -> float | None:
        """`w_max`."""
        return self.w_max

    @property
    def reads(self) -> tuple[str, ...]:
        """The proteins."""
        return (str(self.protein),)

    def ideal(self, dt: float) -> IdealRule:
        """``early = w - d - w_0``, ``late = d``, the tag t; all every T."""
        steps = epoch_steps(self, dt)
        shortest = min(self.tau_early, self.tau_tag, self.tau_late)
        k = decay_exponent("Consolidation: the shortest time constant", shortest, steps * dt)
        held = steps * dt * 2**k
        tagged = IdealFactor("w", -self.w_0 - self.threshold, "on", "d", -1)
        return IdealRule(
            dw=(Term("decay of early", "u", math.expm1(-held / self.tau_early), (_early(self.w_0),), k),),
            traces={},
            dd=(
                Term(
                    "1 / tau_late", "u", -held / self.tau_late,
                    (IdealFactor("m1"), IdealFactor("t"), IdealFactor("d", -self.late_max)), k,
                ),
            ),
            dt=(
                Term("tagging", "u", -1.0, (tagged, IdealFactor("t", -1.0)), k),
                Term("decay of the tag", "u", math.expm1(-held / self.tau_tag), (IdealFactor("t"),), k),
            ),
            t_epoch=steps,
            seed=self.seed,
            modulators=self.reads,
            tags={"t": IdealTag(1.0), "d": IdealTag(self.late_max)},
        )  # fmt: skip


def _early(w_0: float) -> IdealFactor:
    return IdealFactor("w", -w_0, "", "d", -1)
