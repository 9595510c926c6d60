"""Plasticity rules by name, in physical units; `Custom` takes a rule of your own as text."""

from __future__ import annotations

from neuromorph.plasticity.base import Held, Lowered, PlasticityRule
from neuromorph.plasticity.homeostasis import ThresholdAdaptation
from neuromorph.plasticity.stdp import STDP

__all__ = ["STDP", "Held", "Lowered", "PlasticityRule", "ThresholdAdaptation"]
