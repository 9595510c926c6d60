"""Random drifts of thresholds and short-term plasticity: what programs got after the recorded ones were made."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from neuromorph.program import THETA_MAX, Population, Program, Projection
from neuromorph.short_term import FACTORS, ONE, USE_MAX, ShortTerm, factors

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["drifting", "releasing"]

DRIFTS, RELEASES = 0.5, 0.2
"""Share of adaptive populations that drift, and of projections with short-term plasticity."""


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


def releasing(program: Program, rng: np.random.Generator) -> Program:
    """The program with projections whose release changes from spike to spike."""
    projs: Mapping[str, Projection] = {
        name: replace(proj, short_term=_short_term(rng, proj)) if rng.random() < RELEASES else proj
        for name, proj in program.projections.items()
    }
    return replace(program, projections=projs)


def _short_term(rng: np.random.Generator, proj: Projection) -> ShortTerm:
    def decay() -> tuple[int, ...]:
        if rng.random() < 0.2:
            return tuple(int(f) for f in rng.choice([0, 1, 12345, ONE - 1, ONE], FACTORS))
        return factors(float(rng.choice([0, 0.7, 5, 60, 800, 13000])))

    use: Any = int(rng.choice([0, 1, 1600, 16384, USE_MAX]))
    if rng.random() < 0.5:
        use = rng.integers(0, USE_MAX + 1, proj.weights.shape)
    learned = proj.rule is not None and proj.rule.has_tag_2 and bool(rng.random() < 0.7)
    return ShortTerm(use, decay(), decay(), learned)
