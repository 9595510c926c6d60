"""discretise: equations in continuous time become factors per step, delays and refractory periods whole steps."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from neuromorph.errors import ValidationError
from neuromorph.parameters import as_ms
from neuromorph.passes.base import Pass, State
from neuromorph.report import Entry, compare_values

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from neuromorph.graph import Population

__all__ = ["Discretise", "Dynamics", "dynamics"]

REFRACTORY_MAX = 65535


@dataclass(frozen=True, slots=True)
class Dynamics:
    """A population per step, exactly: ``u = ku u + w;  v = kv v + gain u + drive`` (arrays of shape () or (n,)).

    Attributes
    ----------
    ku, kv : array
        ``exp(-dt / tau_s)`` and ``exp(-dt / tau_m)``; a time constant of 0 gives 0, an infinite one 1.
    charge : array
        What one unit of weight adds to v over all time, without leak: ``R tau_s / tau_m``, 1 by default.
    bias : array
        b, the depolarisation that it reaches in rest.
    refractory : array of int
        Steps.
    """

    ku: NDArray[np.float64]
    kv: NDArray[np.float64]
    charge: NDArray[np.float64]
    bias: NDArray[np.float64]
    refractory: NDArray[np.int64]

    @property
    def gain(self) -> NDArray[np.float64]:
        """What u adds to v in a step, ``(1 - ku) charge``."""
        return (1.0 - self.ku) * self.charge

    @property
    def drive(self) -> NDArray[np.float64]:
        """What the bias adds to v in a step, ``(1 - kv) b``."""
        return (1.0 - self.kv) * self.bias


def decay(tau: NDArray[np.float64], dt: float) -> NDArray[np.float64]:
    """``exp(-dt / tau)``; 0 for tau = 0, 1 for tau = inf."""
    with np.errstate(divide="ignore"):
        return np.exp(-dt / tau)


def dynamics(pop: Population, dt: float) -> Dynamics:
    """The equations of a population per step of `dt` (docs/semantics.md, "Continuous meaning and how it is held").

    Raises
    ------
    ValidationError
        A refractory period shorter than half a step or longer than 65535, a resistance that makes weights ineffective.
    """
    tau_m, tau_s = np.asarray(pop.tau_m, float), np.asarray(pop.tau_s, float)
    ku, kv = decay(tau_s, dt), decay(tau_m, dt)
    charge = np.ones(())
    if pop.resistance is not None:
        resistance = np.asarray(pop.resistance, float)
        # tau_s = 0: u lasts for the step.
        charge = np.where(tau_s == 0, (1.0 - kv) * resistance, resistance * tau_s / tau_m)
        if not np.all(np.isfinite(charge) & (charge > 0)):
            raise ValidationError(
                f"population {pop.name!r}: resistance {_worst(resistance)} with tau_m = {_worst(tau_m)} s gives "
                "weights no effect on v; give a finite tau_m and resistance > 0, or no resistance (R = tau_m / tau_s)"
            )
    bias = np.asarray(pop.bias, float)
    if np.any((bias != 0) & (kv == 1.0)):
        raise ValidationError(f"population {pop.name!r}: a bias has no effect with tau_m = inf; give a finite tau_m")
    return Dynamics(ku, kv, charge, bias, _refractory_steps(pop, dt))


def _worst(values: NDArray[np.float64]) -> str:
    return f"{values.flat[0]:g}" if np.all(values == values.flat[0]) else f"{values.min():g}..{values.max():g}"


def _refractory_steps(pop: Population, dt: float) -> NDArray[np.int64]:
    asked = np.asarray(pop.refractory, float)
    short = (asked > 0) & (asked < dt / 2)
    if np.any(short):
        raise ValidationError(
            f"population {pop.name!r}: refractory = {asked[short].min():g} s is under half a step (dt = {dt:g} s); "
            f"use 0, at least {dt:g} s, or a smaller dt"
        )
    steps = np.floor(asked / dt + 0.5)
    if np.any(steps > REFRACTORY_MAX):
        raise ValidationError(
            f"population {pop.name!r}: refractory = {asked.max():g} s is {steps.max():.0f} steps; "
            f"at most {REFRACTORY_MAX} ({REFRACTORY_MAX * dt:g} s at dt = {dt:g} s): use a larger dt"
            f"{as_ms(float(asked.max()), dt / 2, REFRACTORY_MAX * dt)}"
        )
    return steps.astype(np.int64)


@dataclass(frozen=True)
class Discretise(Pass):
    """Fill in `State.dynamics`."""

    name: ClassVar[str] = "discretise"

    def run(self, state: State) -> State:
        """Continuous time to steps."""
        found: dict[str, Dynamics] = {}
        entries: list[Entry] = []
        dt = state.graph.dt
        for pop in state.graph.populations:
            if pop.kind == "input":
                continue
            found[pop.name] = held = dynamics(pop, dt)
            if np.any(held.refractory):
                entries.append(compare_values(pop.name, "refractory", pop.refractory, held.refractory * dt, "s"))
        return replace(state, dynamics=found).noting(entries, [])
