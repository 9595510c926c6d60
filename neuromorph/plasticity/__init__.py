"""Plasticity rules by name, in physical units; `Custom` takes a rule of your own as text."""

from __future__ import annotations

from neuromorph.plasticity.base import Held, Lowered, PlasticityRule
from neuromorph.plasticity.hebbian import Hebbian
from neuromorph.plasticity.homeostasis import ThresholdAdaptation
from neuromorph.plasticity.instar import InstarSTDP
from neuromorph.plasticity.stdp import STDP
from neuromorph.plasticity.text import Custom, TraceSpec

__all__ = [
    "STDP", "Custom", "Hebbian", "Held", "InstarSTDP", "Lowered", "PlasticityRule", "ThresholdAdaptation", "TraceSpec",
]  # fmt: skip
