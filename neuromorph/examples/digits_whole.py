"""The whole protocol of `digits`: learning from 1,257 images, shown once, then labelling, then the 540 held-out ones.

58,027 steps. ``neuromorph compare digits_whole --targets cpu:ref,cpu,loihi,loihi:lava-fast,mcu`` takes minutes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from neuromorph.examples.digits import Digits
from neuromorph.units import ms

if TYPE_CHECKING:
    import neuromorph as nm

__all__ = ["inputs", "network"]

WHOLE = Digits()


def network(seed: int = 1) -> nm.Network:
    """The network of the whole protocol."""
    return WHOLE.network(seed=seed)


def inputs(net: nm.Network) -> dict[str, nm.SpikeTrain]:  # noqa: ARG001
    """Its input: all images."""
    return {"pixels": WHOLE.spikes()}


duration = WHOLE.steps * ms
"""Seconds of the whole protocol."""
