"""A modulator that lets a rule learn, or not."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from neuromorph.errors import UnsupportedError, ValidationError
from neuromorph.parameters import described
from neuromorph.plasticity.base import IdealFactor, IdealRule, modulator_name
from neuromorph.plasticity.wrapper import Wrapper

if TYPE_CHECKING:
    from neuromorph.handles import Modulator

__all__ = ["Gate"]


@described
@dataclass(frozen=True)
class Gate(Wrapper):
    """A rule whose changes of the weight are multiplied by a modulator.

    ``dw = M dw_rule``, or with `brake` ``dw = (1 - M) dw_rule``: attention (acetylcholine, noradrenaline), a critical
    period, a brake that closes it. Gates may be nested.

    Parameters
    ----------
    rule : PlasticityRule
        A rule without tags.
    by : Modulator
        1: the rule as it is; 0: no learning.
    brake : bool
        Whether the modulator hinders learning instead.

    Notes
    -----
    Source: Bear and Singer (1986), Nature 320:172 (acetylcholine and noradrenaline gate plasticity). Targets: those
    that have modulators; not Lava where the rule reads a postsynaptic trace.
    """

    by: Modulator | str
    brake: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        modulator_name(self, "by")
        if not isinstance(self.brake, bool):
            raise ValidationError(f"Gate.brake = {self.brake!r}: True or False is needed")

    @property
    def reads(self) -> tuple[str, ...]:
        """Those of the rule, and the gate."""
        return tuple(dict.fromkeys((*self.rule.reads, str(self.by))))

    def changed(self, inner: IdealRule) -> IdealRule:
        """One more factor in each term."""
        if inner.dd or inner.dt:
            raise UnsupportedError(
                f"Gate: {type(self.rule).__name__} has tags, and it is open which of their changes to gate; gate the "
                "rule that it is added to, or write the rule as Custom"
            )
        name = f"m{self.reads.index(str(self.by)) + 1}"
        factor = IdealFactor(name, -1.0 if self.brake else 0.0)  # (1 - M) = -(M - 1)
        sign = -1.0 if self.brake else 1.0
        terms = (replace(t, coefficient=sign * t.coefficient, factors=(*t.factors, factor)) for t in inner.dw)
        return replace(inner, dw=tuple(terms), modulators=self.reads)
