"""The passes of the compiler: discretise -> quantise -> legalise -> place -> emit."""

from __future__ import annotations

from neuromorph.passes.base import Pass, State
from neuromorph.passes.discretise import Discretise, Dynamics, dynamics
from neuromorph.passes.emit import Emit
from neuromorph.passes.legalise import Legalise
from neuromorph.passes.place import Place
from neuromorph.passes.quantise import Quantise

__all__ = ["Discretise", "Dynamics", "Emit", "Legalise", "Pass", "Place", "Quantise", "State", "dynamics"]
