"""Short-term plasticity of `cpu:ref` (docs/semantics.md, 3.1)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from neuromorph.short_term import ShortTerm

__all__ = ["ONE", "release"]

Ints = NDArray[np.int64]
ONE, HALF = 1 << 15, 1 << 14
SINCE_MAX = (1 << 16) - 1


def release(
    held: ShortTerm, u: Ints, x: Ints, since: Ints, spiking: NDArray[np.bool_], source: Ints, tags: Ints | None
) -> Ints:
    """What each synapse releases at this step, 0..4096; changes `u`, `x` and `since`.

    `source` is the source neuron of each synapse, in the shape of u and x or broadcasting to it; `since` and `spiking`
    are those of the source neurons; `tags` are added to the use.
    """
    since[:] = np.minimum(since + 1, SINCE_MAX)
    of_x, of_u = _left(held.recovery, since)[source], _left(held.facilitation, since)[source]
    use = held.use if tags is None else np.minimum(held.use + tags, ONE - 1)
    missing = ((ONE - x) * of_x + HALF) >> 15
    later_u = (u * of_u + HALF) >> 15
    later_u += (use * (ONE - later_u) + HALF) >> 15
    released = (later_u * (ONE - missing) + HALF) >> 15
    now = np.broadcast_to(spiking[source], u.shape)
    u[now], x[now] = later_u[now], (ONE - missing - released)[now]
    since[spiking] = 0
    return np.where(now, released >> 3, 0)


def _left(factors: tuple[int, ...], steps: Ints) -> Ints:
    """What these numbers of steps leave of a state."""
    rest = np.full(steps.shape, ONE)
    for k, factor in enumerate(factors):
        rest = np.where(steps >> k & 1, (rest * factor + HALF) >> 15, rest)
    return rest
