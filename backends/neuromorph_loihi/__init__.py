"""The targets `loihi` (Loihi 2) and `loihi:1` (Loihi 1): the C engine in process, under the chip's limits."""

from __future__ import annotations

from neuromorph_loihi.backend import LoihiBackend
from neuromorph_loihi.chips import LOIHI_1, LOIHI_2, Chip, Limit
from neuromorph_loihi.energy import Estimate, estimate
from neuromorph_loihi.placement import Core, Placement, Slice, place

__all__ = [
    "LOIHI_1", "LOIHI_2", "Chip", "Core", "Estimate", "Limit", "LoihiBackend", "Placement", "Slice", "backend",
    "estimate", "place",
]  # fmt: skip

backend = LoihiBackend()
