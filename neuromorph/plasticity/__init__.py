"""Plasticity rules by name, in physical units; `Custom` takes a rule of your own as text."""

from __future__ import annotations

from neuromorph.plasticity.base import Held, Lowered, PlasticityRule
from neuromorph.plasticity.bcm import BCM
from neuromorph.plasticity.calcium import CalciumRule
from neuromorph.plasticity.consolidation import Consolidation
from neuromorph.plasticity.gate import Gate
from neuromorph.plasticity.hebbian import Hebbian
from neuromorph.plasticity.homeostasis import ThresholdAdaptation
from neuromorph.plasticity.inhibitory import InhibitorySTDP
from neuromorph.plasticity.instar import InstarSTDP
from neuromorph.plasticity.intrinsic import IntrinsicPlasticity
from neuromorph.plasticity.metaplasticity import Metaplasticity
from neuromorph.plasticity.oja import Oja
from neuromorph.plasticity.pes import PES
from neuromorph.plasticity.resource import FiniteResource
from neuromorph.plasticity.reward import RewardSTDP
from neuromorph.plasticity.scaling import SynapticScaling
from neuromorph.plasticity.short_term import ShortTermPlasticity
from neuromorph.plasticity.sleep import Sleep
from neuromorph.plasticity.stdp import STDP
from neuromorph.plasticity.sum import Sum
from neuromorph.plasticity.text import Custom, TraceSpec
from neuromorph.plasticity.triplet import TripletSTDP

__all__ = [
    "BCM", "PES", "STDP", "CalciumRule", "Consolidation", "Custom", "FiniteResource", "Gate", "Hebbian", "Held",
    "InhibitorySTDP", "InstarSTDP", "IntrinsicPlasticity", "Lowered", "Metaplasticity", "Oja", "PlasticityRule",
    "RewardSTDP", "ShortTermPlasticity", "Sleep", "Sum", "SynapticScaling", "ThresholdAdaptation", "TraceSpec",
    "TripletSTDP",
]  # fmt: skip
