"""Downscaling of synapses during sleep."""

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

__all__ = ["Sleep"]


@described
@dataclass(frozen=True, kw_only=True)
class Sleep(PlasticityRule):
    """All weights shrink in proportion while a modulator says that it is night.

    ``w' = -speed M w``, applied every `period`. Add it to a rule that learns: ``STDP(...) + Sleep(gate=night, ...)``,
    and switch with ``net.phase(start=60.0, modulators={night: 1.0})``. It has no replay: what is to be kept is spikes
    that the host sends at night, as in the lab's `sleep`.

    Parameters
    ----------
    gate : Modulator
        1 asleep, 0 awake.
    speed : float
        1/s, > 0: after a time t asleep ``exp(-speed t)`` of a weight is left.
    period : float
        Time between changes in seconds, held as the nearest power of two of epochs (up to 2^15).
    w_max : float, optional
        Largest weight, > 0; needed if no other rule of the projection gives it.

    Notes
    -----
    Source: Tononi and Cirelli (2003), Brain Res Bull 62:143 (synaptic homeostasis hypothesis). Targets: those that have
    modulators.
    """

    gate: Modulator | str
    speed: float
    period: float = 0.1
    w_max: float | None = None

    def __post_init__(self) -> None:
        PlasticityRule.__post_init__(self)
        modulator_name(self, "gate")
        require(self, "speed", 0.0, unit="1/s")
        require(self, "period", 0.0, unit="s")
        if self.w_max is not None:
            require(self, "w_max", 0.0)

    @property
    def bound(self) -> float | None:
        """`w_max`."""
        return self.w_max

    @property
    def reads(self) -> tuple[str, ...]:
        """The gate."""
        return (str(self.gate),)

    def ideal(self, dt: float) -> IdealRule:
        """``-T speed m1 w``."""
        steps = epoch_steps(self, dt)
        k = period_exponent("Sleep.period", self.period, steps * dt)
        gain = steps * dt * 2**k * self.speed
        term = Term("speed", "u", -gain, (IdealFactor("w"), IdealFactor("m1")), k)
        return IdealRule((term,), {}, t_epoch=steps, seed=self.seed, modulators=self.reads)
