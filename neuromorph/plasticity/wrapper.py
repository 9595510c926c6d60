"""Base of rules that change another rule."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field, replace
from typing import Literal

from neuromorph.errors import ValidationError
from neuromorph.plasticity.base import IdealRule, PlasticityRule
from neuromorph.plasticity.sum import refuse_machine_units

__all__ = ["Wrapper"]


@dataclass(frozen=True)
class Wrapper(PlasticityRule):
    """A rule made from another one; epoch, seed, bound and sign are those of that one.

    Parameters
    ----------
    rule : PlasticityRule
        The rule, in physical units.
    """

    rule: PlasticityRule
    epoch: float | None = field(default=None, init=False)
    seed: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        if not isinstance(self.rule, PlasticityRule):
            raise ValidationError(
                f"{type(self).__name__}.rule = {self.rule!r:.60}: a rule of neuromorph.plasticity is needed"
            )
        object.__setattr__(self, "epoch", self.rule.epoch)
        object.__setattr__(self, "seed", self.rule.seed)

    def at_epoch(self, epoch: float | None) -> PlasticityRule:
        """The same of the inner rule at another epoch."""
        return replace(self, rule=self.rule.at_epoch(epoch))

    @property
    def bound(self) -> float | None:
        """That of the inner rule."""
        return self.rule.bound

    @property
    def sign(self) -> Literal["exc", "inh"] | None:
        """That of the inner rule."""
        return self.rule.sign

    @property
    def reads(self) -> tuple[str, ...]:
        """Those of the inner rule."""
        return self.rule.reads

    def ideal(self, dt: float) -> IdealRule:
        """The inner rule, changed."""
        inner = self.rule.ideal(dt)
        refuse_machine_units(type(self).__name__, type(self.rule).__name__, inner)
        return self.changed(inner)

    @abstractmethod
    def changed(self, inner: IdealRule) -> IdealRule:
        """What becomes of the inner rule."""
