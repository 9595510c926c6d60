"""Neuron-level homeostasis."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from neuromorph.errors import ValidationError
from neuromorph.parameters import Limit, described, values
from neuromorph.plasticity.base import require

if TYPE_CHECKING:
    from neuromorph.graph import Adaptation

__all__ = ["Homeostasis", "ThresholdAdaptation"]


class Homeostasis(ABC):
    """Base of what moves a neuron's threshold."""

    @abstractmethod
    def adaptation(self, where: str, n: int) -> Adaptation:
        """What the Graph has of it, for `n` neurons; `where` names them in errors."""


@described
@dataclass(frozen=True)
class ThresholdAdaptation(Homeostasis):
    """Adaptive threshold: a neuron that fires becomes harder to fire.

    ``v_th(t) = v_th + theta``; ``tau theta' = -theta``; ``theta += increment`` at each spike of the neuron. At a
    rate r well above ``1/tau`` theta settles at ``increment * r * tau``: busy neurons leave the race to silent ones.

    Parameters
    ----------
    increment : float or array (n,)
        Step of the threshold at a spike, >= 0, in units of v.
    tau : float
        Time constant in seconds, > 0.
    init : float or array (n,)
        Initial theta, >= 0, in units of v.

    Notes
    -----
    The compiler holds it as `theta_inc`, `theta_decay`, `theta_period` and `theta_frac` (docs/semantics.md, 2).
    Source: Diehl and Cook (2015), Frontiers in Computational Neuroscience 9:99. Targets: those that have adaptive
    thresholds.
    """

    increment: ArrayLike
    tau: float
    init: ArrayLike = 0.0

    def __post_init__(self) -> None:
        require(self, "tau", 0.0, unit="s")
        for name in ("increment", "init"):
            message = f"ThresholdAdaptation.{name}: finite numbers >= 0 are needed, one or one per neuron"
            try:
                values = np.asarray(getattr(self, name), dtype=np.float64)
            except (TypeError, ValueError):
                raise ValidationError(message) from None
            if values.ndim > 1 or not values.size or not np.isfinite(values).all() or values.min() < 0:
                raise ValidationError(message)

    def adaptation(self, where: str, n: int) -> Adaptation:
        """What the Graph has of it."""
        from neuromorph.graph import Adaptation

        increment = values(f"{where}.increment", self.increment, Limit(0.0), n)
        return Adaptation(increment, self.tau, values(f"{where}.init", self.init, Limit(0.0), n))
