"""Random drifts of thresholds: what programs got after the files with recorded ones were made."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from neuromorph.program import THETA_MAX, Population, Program

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["drifting"]

DRIFTS = 0.5
"""Share of adaptive populations that drift."""


def drifting(program: Program, rng: np.random.Generator) -> Program:
    """The program with thresholds that fall, some below where they began."""
    pops: Mapping[str, Population] = {
        name: _drift(rng, pop) if pop.adaptive and rng.random() < DRIFTS else pop
        for name, pop in program.populations.items()
    }
    return replace(program, populations=pops)


def _drift(rng: np.random.Generator, pop: Population) -> Population:
    inc = int(np.max(pop.theta_inc))
    drift = int(rng.choice([0, 1, max(1, inc // 9), THETA_MAX]))
    room = (int(np.min(pop.vth)) << 6 << pop.theta_frac) - (1 << pop.theta_frac)  # the threshold stays above 0
    lowest = -min(int(room * rng.choice([0, 0.1, 0.9, 1])), THETA_MAX) if room > 0 else 0
    init = pop.init_theta
    if lowest and rng.random() < 0.5:
        init = rng.integers(lowest, 1000, pop.n)
    return replace(pop, theta_drift=drift, theta_min=lowest, init_theta=init)
