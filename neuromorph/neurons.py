"""Neuron models: what a modeller writes, in SI units; potentials in units of the writer's choice, usually of v_th.

All models share the equations

    tau_s u' = -u            u += w when a spike arrives over a synapse of weight w
    tau_m v' = -v + R u + b

and differ in when they spike. By default ``R = tau_m / tau_s``, so that w is the depolarisation which one spike would
cause without leak, whatever the time constants. With ``tau_s = 0`` a spike acts within one step: by default v jumps by
w.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from neuromorph.errors import ValidationError
from neuromorph.parameters import LIMITS, Limit, described, real, steps, values

if TYPE_CHECKING:
    from neuromorph.graph import Population
    from neuromorph.plasticity.homeostasis import Homeostasis

__all__ = ["LIF", "LIFReset", "Neuron", "TernaryLIF"]

RESET_MAX = 2**31 - 1  # steps


@dataclass(frozen=True, kw_only=True, eq=False)
class Neuron(ABC):
    """Base of the neuron models: two leaky states and scheduled resets. Numbers may be arrays, one per neuron.

    Parameters
    ----------
    tau_m : float or array (n,)
        Membrane time constant in seconds, > 0; `math.inf` for no leak (then no bias).
    tau_s : float or array (n,)
        Synaptic time constant in seconds, >= 0; 0: a spike acts within one step.
    bias : float or array (n,)
        b, in units of v: where v rests without input.
    resistance : float or array (n,), optional
        R, > 0; None: tau_m / tau_s.
    reset_every : float, optional
        u, v and the refractory period are cleared at the start of steps t (from 1) with ``t % k == o % k``, with
        ``k = reset_every / dt`` and ``o = reset_offset / dt``; None: never.
    reset_offset : float, optional
        Seconds; default one step, so that a period starts cleanly at steps 1, k + 1, 2k + 1, ...
    """

    tau_m: ArrayLike
    tau_s: ArrayLike = 0.0
    bias: ArrayLike = 0.0
    resistance: ArrayLike | None = None
    reset_every: float | None = None
    reset_offset: float | None = None

    def __post_init__(self) -> None:
        for key, limit in LIMITS.items():
            if getattr(self, key, None) is not None:
                object.__setattr__(self, key, values(f"{self.model}.{key}", getattr(self, key), limit))
        if np.any(np.isinf(self.tau_m) & (np.asarray(self.bias) != 0)):
            raise ValidationError(f"{self.model}.bias has no effect without leak (tau_m = inf); give a finite tau_m")
        if self.resistance is not None and np.any(np.isinf(self.tau_m)):
            raise ValidationError(f"{self.model}.resistance has no effect without leak (tau_m = inf); leave it out")
        if self.reset_every is not None:
            real(f"{self.model}.reset_every", self.reset_every, Limit(0.0, open=True, unit="s"))
        if self.reset_offset is not None:
            real(f"{self.model}.reset_offset", self.reset_offset, Limit(0.0, unit="s"))
            if self.reset_every is None:
                raise ValidationError(f"{self.model}.reset_offset means nothing without reset_every; give both")

    @property
    def model(self) -> str:
        """Name of the model."""
        return type(self).__name__

    @abstractmethod
    def population(self, name: str, n: int, dt: float, v_init: Any = 0.0, u_init: Any = 0.0) -> Population:
        """The population of the Graph; refuses arrays that are not of n neurons and times that are no steps."""

    def _shared(self, name: str, n: int, dt: float) -> dict[str, Any]:
        """The arguments of the Graph's population that all models have."""
        shared = {
            key: values(f"population {name!r}: {self.model}.{key}", getattr(self, key), limit, n)
            for key, limit in LIMITS.items()
            if getattr(self, key, None) is not None
        }
        if self.reset_every is None:
            return shared
        where = f"population {name!r}: {self.model}"
        interval = steps(f"{where}.reset_every", self.reset_every, dt, 1, RESET_MAX)
        offset = self.reset_offset
        shift = 1 if offset is None else steps(f"{where}.reset_offset", offset, dt, 0, RESET_MAX)
        return shared | {"reset_interval": interval, "reset_offset": shift % interval}


@described
@dataclass(frozen=True, kw_only=True, eq=False)
class LIF(Neuron):
    """Leaky integrate-and-fire neuron with a synaptic current.

    ``tau_s u' = -u``, u += w at an arriving spike; ``tau_m v' = -v + R u + b``; a spike at ``v > v_th + theta``, then v
    = 0 and the voltage stays there for the refractory period while u goes on. theta is 0 without homeostasis.

    Parameters
    ----------
    tau_m, tau_s, bias, resistance, reset_every, reset_offset
        See `Neuron`.
    v_th : float or array (n,)
        Threshold, > 0; weights and all potentials are in the same unit.
    refractory : float or array (n,)
        Seconds, >= 0, held in whole steps.
    homeostasis : ThresholdAdaptation or IntrinsicPlasticity, optional
        What moves the threshold: theta += increment at each spike of the neuron, and it decays with a time constant or
        drifts to where the neuron fires at a target rate.

    Raises
    ------
    ValidationError
        An unknown parameter, or one that is not finite or out of its range.
    """

    v_th: ArrayLike = 1.0
    refractory: ArrayLike = 0.0
    homeostasis: Homeostasis | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        from neuromorph.plasticity.homeostasis import Homeostasis

        if self.homeostasis is not None and not isinstance(self.homeostasis, Homeostasis):
            raise ValidationError(
                f"{self.model}.homeostasis = {self.homeostasis!r}: needed "
                "neuromorph.plasticity.ThresholdAdaptation(...), IntrinsicPlasticity(...) or None"
            )
        floor, lowest = getattr(self.homeostasis, "floor", 0.0), float(np.min(self.v_th))
        if lowest + floor <= 0:
            raise ValidationError(
                f"{self.model}.homeostasis: floor = {floor:g} lets a threshold of {lowest:g} fall to "
                f"{lowest + floor:g}; it stays above 0: floor > {-lowest:g}"
            )

    def population(self, name: str, n: int, dt: float, v_init: Any = 0.0, u_init: Any = 0.0) -> Population:
        """The population of the Graph."""
        from neuromorph.graph import Population

        rule = self.homeostasis
        adaptation = None if rule is None else rule.adaptation(f"population {name!r}: {type(rule).__name__}", n)
        return Population(
            name, "lif", n, **self._shared(name, n, dt), v_init=v_init, u_init=u_init, adaptation=adaptation
        )  # fmt: skip


@described
@dataclass(frozen=True, kw_only=True, eq=False)
class LIFReset(LIF):
    """`LIF` whose states are cleared on a schedule, e.g. between the samples that it is shown.

    Parameters
    ----------
    reset_every : float
        Seconds between resets; must be given.
    reset_offset : float, optional
        Seconds; see `Neuron`.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.reset_every is None:
            raise ValidationError("LIFReset.reset_every is missing: give the seconds between resets, or use LIF")


@described
@dataclass(frozen=True, kw_only=True, eq=False)
class TernaryLIF(Neuron):
    """Leaky integrate-and-fire neuron with signed spikes: +1 at ``v > v_th_high``, -1 at ``v < v_th_low``, then v = 0.

    It takes neither a refractory period nor homeostasis. Over a graded projection a spike delivers its sign times the
    weight.

    Parameters
    ----------
    tau_m, tau_s, bias, resistance, reset_every, reset_offset
        See `Neuron`.
    v_th_high : float or array (n,)
        Upper threshold, > 0.
    v_th_low : float or array (n,)
        Lower threshold, <= 0.
    """

    v_th_high: ArrayLike = 1.0
    v_th_low: ArrayLike = -1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "v_th_high", values("TernaryLIF.v_th_high", self.v_th_high, LIMITS["v_th"]))

    def population(self, name: str, n: int, dt: float, v_init: Any = 0.0, u_init: Any = 0.0) -> Population:
        """The population of the Graph."""
        from neuromorph.graph import Population

        high = values(f"population {name!r}: TernaryLIF.v_th_high", self.v_th_high, LIMITS["v_th"], n)
        return Population(
            name, "ternary", n, v_th=high, **self._shared(name, n, dt), v_init=v_init, u_init=u_init
        )  # fmt: skip
