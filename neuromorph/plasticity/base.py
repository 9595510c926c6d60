"""What every plasticity rule is: an ideal rule in physical units that lowers to the products of the machine.

A named rule states its formula once, as `Term`s over traces in physical units (`PlasticityRule.ideal`). The float
engine runs exactly that; `lower` quantises it to a `Rule` for the integer machine and says what each parameter became.
"""

from __future__ import annotations

import math
import numbers
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from neuromorph.errors import ValidationError
from neuromorph.profiles import LOIHI2, Profile
from neuromorph.rule import Function, Rule

if TYPE_CHECKING:
    from neuromorph.handles import Modulator
    from neuromorph.plasticity.sum import Sum

__all__ = [
    "EXTENSION", "Held", "IdealFactor", "IdealRule", "IdealTag", "IdealTrace", "Lowered", "PlasticityRule", "Term",
    "decay_exponent", "epoch_steps", "modulator_held", "modulator_name", "period_exponent", "require",
]  # fmt: skip

EXTENSION = {"extension": True}
"""Metadata of a rule's field that texts of graphs leave out where it has its default."""
EPOCH_MAX = 64  # steps (docs/semantics.md, 4)
K_MAX = 15  # u_k: every 2^k epochs


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
    """A rule in integers, with what became of each parameter and what the user should know.

    `wide`: why it needs profile wide to be held well; empty where this profile does.
    """

    rule: Rule
    notes: tuple[Held, ...] = ()
    warnings: tuple[str, ...] = ()
    wide: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class IdealFactor:
    """``function(variable + sign second + constant)`` in the units of the rule: traces in spikes, w in weight units.

    Variables are those of the rule language; m1 to m4 are the values of `IdealRule.modulators` (for a synapse the one
    of its target, or of all), q the sum of the weights onto the target, "1" nothing but the constant.
    """

    variable: str
    constant: float = 0.0
    function: Function = ""
    second: str = ""
    sign: int = 1

    @property
    def variables(self) -> tuple[str, ...]:
        """The one or two variables."""
        return (self.variable, self.second) if self.second else (self.variable,)

    @property
    def measure(self) -> str:
        """The variable in whose unit the sum and its constant are."""
        return self.second if self.second and self.variable == "1" else self.variable


@dataclass(frozen=True, slots=True)
class Term:
    """``coefficient * factors`` whenever the dependency is 1; `name` is the user's parameter behind the coefficient.

    `u` with `k`: every 2^k epochs. `potentiates`: the term is what strengthens a synapse, so that `FiniteResource` may
    limit it.
    """

    name: str
    dependency: Literal["x0", "y0", "u"]
    coefficient: float
    factors: tuple[IdealFactor, ...] = ()
    k: int = 0
    potentiates: bool = False


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
class IdealTag:
    """A tag: `peak`, in the units of the rule, is the largest size that should be held (in 255 steps)."""

    peak: float


@dataclass(frozen=True, slots=True)
class IdealRule:
    """A rule without rounding: changes of w, of tag_2 (`dd`, never below 0) and of tag_1 (`dt`), once per epoch.

    In `machine_units` all variables are on the machine's scales (w over `w_unit`, modulators 127 at full scale, q
    shifted by `sum_shift`), else in physical units. `tags` has the tags `d` and `t` that a rule in physical units uses;
    `total` is the largest sum of weights onto a neuron that q must tell.
    """

    dw: tuple[Term, ...]
    traces: Mapping[str, IdealTrace]
    dd: tuple[Term, ...] = ()
    dt: tuple[Term, ...] = ()
    t_epoch: int = 1
    seed: int = 0
    graded_trace: str = "none"
    machine_units: bool = False
    modulators: tuple[str, ...] = ()
    tags: Mapping[str, IdealTag] = field(default_factory=dict)
    total: float = 0.0
    sum_shift: int = 0

    @property
    def terms(self) -> tuple[Term, ...]:
        """All terms of dw, dd and dt."""
        return self.dw + self.dd + self.dt

    @property
    def read(self) -> set[str]:
        """Variables that its factors read."""
        return {name for term in self.terms for factor in term.factors for name in factor.variables}


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

    @property
    def reads(self) -> tuple[str, ...]:
        """Names of the modulators that it reads, as m1, m2, ... (at most 4)."""
        return ()

    @property
    def sign(self) -> Literal["exc", "inh"] | None:
        """Sign of the weights if the rule is made for one; None: any."""
        return None

    @abstractmethod
    def ideal(self, dt: float) -> IdealRule:
        """The rule without rounding, for steps of `dt` seconds."""

    def at_epoch(self, epoch: float | None) -> PlasticityRule:
        """The same rule with another `epoch`."""
        return replace(self, epoch=epoch)

    def __add__(self, other: PlasticityRule) -> Sum:
        """Both rules on the same synapses: the sum of their changes (see `Sum`)."""
        from neuromorph.plasticity.sum import Sum

        return Sum((self, other))

    def lower(
        self, w_unit: float, dt: float, modulators: Mapping[str, float] | None = None, profile: Profile = LOIHI2
    ) -> Lowered:
        """Quantise the rule for the integer machine.

        Parameters
        ----------
        w_unit : float
            Physical weight of one machine unit (exc holds 0..255 of them, inh -255..0, mixed -256..255).
        dt : float
            Step in seconds.
        modulators : mapping of str to float, optional
            Machine units per physical unit of each modulator that the rule reads.
        profile : Profile
            Numbers of the machine (`neuromorph.profiles`).

        Raises
        ------
        ValidationError
            A parameter that cannot be held with this weight unit and step.
        UnsupportedError
            A form of the rule that the machine does not have; names the nearest one that it has.
        """
        from neuromorph.plasticity.lowering import quantise

        return quantise(type(self).__name__, self.ideal(dt), w_unit, dt, self.bound, modulators or {}, profile)


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
        least = f"{'>=' if closed else '>'} {low:g}" if low > -math.inf else ""
        limit = " and ".join(part for part in (least, f"<= {high:g}" if high < math.inf else "") if part)
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


def modulator_name(owner: object, name: str) -> None:
    """Have a field of a rule hold the name of the modulator that it was given, as a handle or by name."""
    held = modulator_held(f"{type(owner).__name__}.{name}", getattr(owner, name))
    object.__setattr__(owner, name, held)


def modulator_held(where: str, given: Modulator | str) -> str:
    """The name of a modulator that is given as a handle or by name."""
    from neuromorph.handles import Modulator

    held = given.name if isinstance(given, Modulator) else given
    if not isinstance(held, str) or not held:
        raise ValidationError(
            f"{where} = {given!r:.60}: a modulator is needed, as net.modulator(...) or net.rate(...) gives it back"
        )
    return held


def period_exponent(where: str, period: float, epoch: float) -> int:
    """The k of ``u_k`` whose 2^k epochs (of `epoch` seconds) are nearest to a period; refuses what is out of reach."""
    ratio = period / epoch
    if ratio < 1 - 1e-6 or ratio > 2**K_MAX * (1 + 1e-6):
        raise ValidationError(
            f"{where} = {period:g} s is outside {epoch:g} to {epoch * 2**K_MAX:g} s, one to 2^{K_MAX} epochs of "
            f"{epoch:g} s; {'give a longer epoch' if ratio > 1 else 'give a shorter epoch'}"
        )
    return round(math.log2(max(ratio, 1.0)))


def decay_exponent(where: str, tau: float, epoch: float, share: float = 1 / 8) -> int:
    """The largest k for which a state with time constant `tau` loses at most `share` of itself in 2^k epochs.

    Rare and large changes survive rounding where frequent and small ones are noise.
    """
    if tau < epoch:
        raise ValidationError(f"{where} = {tau:g} s is shorter than the epoch of {epoch:g} s; give a shorter epoch")
    return max(0, min(K_MAX, math.floor(math.log2(tau * share / epoch) + 1e-9)))
