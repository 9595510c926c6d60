"""Random drifts of thresholds, short-term plasticity, slow products: what programs got after the recorded ones."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from neuromorph.program import THETA_MAX, Population, Program, Projection
from neuromorph.rule import MODULATORS, Factor, Product, Rule
from neuromorph.short_term import FACTORS, ONE, USE_MAX, ShortTerm, factors

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["drifting", "managing", "releasing"]

DRIFTS, RELEASES, MANAGED = 0.5, 0.2, 0.5
"""Share of adaptive populations that drift, of projections with short-term plasticity, of pairs with slow products."""


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


def managing(program: Program, rng: np.random.Generator) -> Program:
    """The program with slow products beside those of pairs: in most epochs these are all that is due."""
    projs: Mapping[str, Projection] = {
        name: replace(proj, rule=_managed(rng, proj.rule)) if proj.rule and rng.random() < MANAGED else proj
        for name, proj in program.projections.items()
    }
    return replace(program, projections=projs)


def _managed(rng: np.random.Generator, rule: Rule) -> Rule:
    """Only the pairs change, those with products of a side for the tags too."""
    if sorted(p.dependency for p in rule.dw) != ["x0", "y0"]:
        return rule
    k = int(rng.integers(1, 5))
    tags = "dt" if rng.random() < 0.4 else ""
    variables = ["w", "w", "1", *rule.traces, *MODULATORS[: len(rule.modulators)], *tags]

    def slow() -> Product:
        drawn = [str(name) for name in rng.choice(variables, rng.integers(1, 4))]
        constants = [int(rng.choice([0, 0, 3, -12, 200])) or int(name == "1") for name in drawn]
        factors = tuple(Factor(name, constant) for name, constant in zip(drawn, constants, strict=True))
        return Product("u", int(rng.choice([-7, -1, 2])), int(rng.integers(-7, 4)), factors, k + int(rng.integers(2)))

    dw = [*rule.dw, *(slow() for _ in range(rng.integers(1, 3)))]
    dd, dt = ((*rule.dd, slow()), (*rule.dt, slow())) if tags else (rule.dd, rule.dt)
    return replace(rule, dw=tuple(dw[at] for at in rng.permutation(len(dw))), dd=dd, dt=dt)
