"""A finite resource that the synapses of a neuron share."""

from __future__ import annotations

from dataclasses import dataclass, replace

from neuromorph.errors import UnsupportedError
from neuromorph.parameters import described
from neuromorph.plasticity.base import IdealFactor, IdealRule, require
from neuromorph.plasticity.wrapper import Wrapper

__all__ = ["FiniteResource"]


@described
@dataclass(frozen=True)
class FiniteResource(Wrapper):
    """A rule whose potentiation needs a resource that all weights onto a neuron use up.

    Potentiating terms are multiplied by ``max(1 - sum w / total, 0)``, the sum over all synapses of the projection onto
    the neuron; depression stays. What one synapse gains the others can no longer have.

    Parameters
    ----------
    rule : PlasticityRule
        A rule with potentiating terms, such as `STDP`, `TripletSTDP`, `Hebbian`.
    total : float
        Sum of the weights (of their sizes, if inhibitory) at which nothing is left, > 0, in units of the weight.

    Notes
    -----
    Source: Triesch, Vo and Hafner (2018), eLife 7:e37836 (competition for synaptic building blocks); Tononi and Cirelli
    (2014), Neuron 81:12 (saturation while awake). Targets: those that have resource sums.
    """

    total: float

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self, "total", 0.0)

    def changed(self, inner: IdealRule) -> IdealRule:
        """One more factor in each potentiating term."""
        if not any(term.potentiates for term in inner.terms):
            raise UnsupportedError(
                f"FiniteResource: {type(self.rule).__name__} has no term that only potentiates; use it on a rule such "
                "as STDP, TripletSTDP or Hebbian, or write the rule as Custom with the factor pos(c - q)"
            )
        left = IdealFactor("1", self.total, "pos", "q", -1)  # total - q
        if self.rule.sign == "inh":
            left = IdealFactor("q", self.total, "pos")
        terms = (
            replace(t, coefficient=t.coefficient / self.total, factors=(*t.factors, left)) if t.potentiates else t
            for t in inner.dw
        )
        return replace(inner, dw=tuple(terms), total=max(inner.total, self.total))
