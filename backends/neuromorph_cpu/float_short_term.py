"""Short-term plasticity of the float engine: the closed form between spikes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from neuromorph.passes.discretise import decay

if TYPE_CHECKING:
    from neuromorph.graph import Projection, ShortTerm

__all__ = ["FloatShortTerm"]

Floats = NDArray[np.float64]
USE_STEPS = 256
"""tag_2 that adds 1 to U."""


class FloatShortTerm:
    """u and x of one projection; its arrays live in the engine's state as "stp_u", "stp_x" and "since"."""

    def __init__(
        self, projection: Projection, asked: ShortTerm, state: dict[tuple[str, str], Floats], n_pre: int, dt: float
    ) -> None:
        self.name, self.state, self.asked = projection.name, state, asked
        self.use = np.broadcast_to(np.asarray(asked.U, float), projection.weights.shape)
        self.step_x, self.step_u = (float(decay(np.asarray(t, float), dt)) for t in (asked.tau_rec, asked.tau_facil))
        self.indptr = projection.indptr
        state[self.name, "stp_u"] = np.zeros(projection.weights.shape)
        state[self.name, "stp_x"] = np.ones(projection.weights.shape)
        state[self.name, "since"] = np.zeros(n_pre)

    def released(self, s: NDArray[np.int64], weights: Floats) -> Floats:
        """A step with the spikes `s` of the sources: the weights, those of spiking sources times what is released."""
        u, x, since = (self.state[self.name, key] for key in ("stp_u", "stp_x", "since"))
        since += 1.0
        active = np.flatnonzero(s)
        if not active.size:
            return weights
        if self.indptr is None:
            rows: tuple[NDArray[np.int64], ...] = (active,)
            steps = since[active][:, None]
        else:
            counts = np.diff(self.indptr)
            rows = (np.flatnonzero(np.repeat(s != 0, counts)),)
            steps = np.repeat(since, counts)[rows]
        use = self.use[rows]
        if self.asked.learned_use:
            use = np.minimum(use + self.state[self.name, "tag_2"][rows] / USE_STEPS, 1.0)
        full = 1.0 - (1.0 - x[rows]) * self.step_x**steps
        now = u[rows] * self.step_u**steps
        now += use * (1.0 - now)
        u[rows], x[rows] = now, full - now * full
        since[active] = 0.0
        given = weights.copy()
        given[rows] *= now * full
        return given
