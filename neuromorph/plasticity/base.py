"""What every plasticity rule is: an ideal rule in physical units that lowers to the products of the machine.

A named rule states its formula once, as `Term`s over traces in physical units (`PlasticityRule.ideal`). The float
engine runs exactly that; `lower` quantises it to a `Rule` for the integer machine and says what each parameter became.
"""

from __future__ import annotations

import math
import numbers
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from neuromorph.errors import ValidationError
from neuromorph.rule import Rule

__all__ = [
    "Held", "IdealFactor", "IdealRule", "IdealTrace", "Lowered", "PlasticityRule", "Term", "epoch_steps", "require",
]  # fmt: skip

EPOCH_MAX = 64  # steps (docs/semantics.md, 4)


@dataclass(frozen=True, slots=True)
class Held:
    """What a parameter became: `asked` by the user, `held` by the machine, both in `unit`."""

    name: str
    asked: float
    held: float
    unit: str = ""

    @property
    def error(self) -> float:
        """Relative error ``held / asked - 1`` (0 if both are 0, infinite if only `asked` is)."""
        if self.asked == 0:
            return 0.0 if self.held == 0 else math.inf
        return self.held / self.asked - 1.0


@dataclass(frozen=True, slots=True)
class Lowered:
    """A rule in integers, with what became of each parameter and what the user should know."""

    rule: Rule
    notes: tuple[Held, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class IdealFactor:
    """``(variable + constant)`` or its sign, in the units of the rule: traces in spikes, w in weight units."""

    variable: str
    constant: float = 0.0
    sgn: bool = False


@dataclass(frozen=True, slots=True)
class Term:
    """``coefficient * factors`` whenever the dependency is 1; `name` is the user's parameter behind the coefficient."""

    name: str
    dependency: Literal["x0", "y0", "u"]
    coefficient: float
    factors: tuple[IdealFactor, ...] = ()
    k: int = 0


@dataclass(frozen=True, slots=True)
class IdealTrace:
    """A trace in physical units.

    Parameters
    ----------
    tau : float
        Time constant in seconds; 0 forgets at once.
    impulse : float
        What a spike adds (with `nearest`: the value that it sets).
    peak : float
        Largest value that should be held, in impulses; the machine's 7 bits saturate above it.
    nearest : bool
        A spike sets the trace instead of adding to it.
    payload : float
        Trace per unit of payload of a graded source (`IdealRule.graded_trace` says how it enters).
    """

    tau: float
    impulse: float = 1.0
    peak: float = 4.0
    nearest: bool = False
    payload: float = 0.0


@dataclass(frozen=True, slots=True)
class IdealRule:
    """A rule without rounding: changes of w, of tag_2 (`dd`) and of tag_1 (`dt`), once per epoch.

    In `machine_units` w and the traces are on the machine's scales (w over `w_unit`), else in physical units.
    """

    dw: tuple[Term, ...]
    traces: Mapping[str, IdealTrace]
    dd: tuple[Term, ...] = ()
    dt: tuple[Term, ...] = ()
    t_epoch: int = 1
    seed: int = 0
    graded_trace: str = "none"
    machine_units: bool = False

    @property
    def terms(self) -> tuple[Term, ...]:
        """All terms of dw, dd and dt."""
        return self.dw + self.dd + self.dt


@dataclass(frozen=True, kw_only=True)
class PlasticityRule(ABC):
    """Base of all synaptic rules: an immutable value with the parameters that every rule shares.

    Parameters
    ----------
    epoch : float, optional
        Learning epoch in seconds, a multiple of the network's dt, 1 to 64 steps. None: every step. Only the last spike
        of a neuron in an epoch keeps its time; earlier ones count from the start of the epoch.
    seed : int
        Seed of the shared random streams (rounding "shared" only), 0..2^32 - 4.
    """

    epoch: float | None = field(default=None)
    seed: int = field(default=0)

    def __post_init__(self) -> None:
        if self.epoch is not None:
            require(self, "epoch", 0.0, unit="s")
        require(self, "seed", 0, 2**32 - 4, closed=True)
        if self.seed != int(self.seed):
            raise ValidationError(f"{type(self).__name__}.seed = {self.seed!r}: an integer is needed")

    @property
    @abstractmethod
    def bound(self) -> float | None:
        """Largest weight magnitude that the rule may reach, in the network's weight unit; None: the machine's range."""

    @abstractmethod
    def ideal(self, dt: float) -> IdealRule:
        """The rule without rounding, for steps of `dt` seconds."""

    def lower(self, w_unit: float, dt: float) -> Lowered:
        """Quantise the rule for the integer machine.

        Parameters
        ----------
        w_unit : float
            Physical weight of one machine unit (exc holds 0..255 of them, inh -255..0, mixed -256..255).
        dt : float
            Step in seconds.

        Raises
        ------
        ValidationError
            A parameter that cannot be held with this weight unit and step.
        UnsupportedError
            A form of the rule that the machine does not have; names the nearest one that it has.
        """
        from neuromorph.plasticity.lowering import quantise

        return quantise(type(self).__name__, self.ideal(dt), w_unit, dt, self.bound)


def require(
    owner: object, name: str, low: float = -math.inf, high: float = math.inf, *, closed: bool = False, unit: str = ""
) -> None:
    """Refuse a parameter that is not a finite number within (low, high], or [low, high] if `closed`."""
    value = getattr(owner, name)
    where = f"{type(owner).__name__}.{name} = {value!r}"
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not math.isfinite(value):
        raise ValidationError(f"{where}: a finite number is needed")
    value = float(value)
    if value < low or value > high or (value == low and not closed):
        side = ">=" if closed else ">"
        limit = f"{side} {low:g}" + (f" and <= {high:g}" if high < math.inf else "")
        raise ValidationError(f"{where}{' ' + unit if unit else ''}: it must be {limit}{' ' + unit if unit else ''}")


def epoch_steps(rule: PlasticityRule, dt: float) -> int:
    """Steps of the rule's epoch, 1..64; ValidationError if it is no multiple of `dt` or too long."""
    if rule.epoch is None:
        return 1
    steps = round(rule.epoch / dt)
    if steps < 1 or abs(rule.epoch / dt - steps) > 1e-6 * steps:
        raise ValidationError(f"{type(rule).__name__}.epoch = {rule.epoch:g} s is no multiple of dt = {dt:g} s")
    if steps > EPOCH_MAX:
        raise ValidationError(
            f"{type(rule).__name__}.epoch = {rule.epoch:g} s is {steps} steps; "
            f"at most {EPOCH_MAX}, which is {EPOCH_MAX * dt:g} s"
        )
    return steps
