"""Random programs of three factors: rules that read modulators where those of two factors read post traces."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from neuromorph.program import Modulator, Probe, Program, ScheduleEntry
from neuromorph.state import items

if TYPE_CHECKING:
    from neuromorph.program import Projection
    from neuromorph.rule import Factor, Product, Rule
    from neuromorph.testing.programs import Draw

__all__ = ["modulated"]

NAMES = {"y1": "m1", "y2": "m2", "y3": "m3"}
VALUE = 1 << 12
POOL = 3  # modulators of a program; rules share them


def modulated(drawn: Draw, rng: np.random.Generator) -> Draw:
    """The same program with modulators in the place of the post traces of its rules; unchanged if none learns."""
    program = drawn.program
    plastic = [p for p in program.projections.values() if p.rule is not None]
    if not plastic or program.modulators:
        return drawn
    modulators: dict[str, Modulator] = {}
    projs = dict(program.projections)
    for proj in plastic:
        projs[proj.name] = _reading(rng, proj, program, modulators)
    entries = [
        ScheduleEntry(int(rng.integers(0, drawn.steps)), "modulator", name, value=int(rng.integers(-VALUE, VALUE)))
        for name in modulators if rng.random() < 0.3
    ]  # fmt: skip
    schedule = tuple(sorted([*program.schedule, *entries], key=lambda entry: entry.step))
    changed = replace(program, projections=projs, modulators=modulators, schedule=schedule, probes=())
    probes = [Probe(f"{name}.spikes", name, "spikes") for name in program.populations]
    probes += [Probe(item.name, item.object, item.variable) for item in items(changed)]
    kept = {(item.object, item.variable) for item in items(changed)}
    state = {key: values for key, values in drawn.state.items() if key in kept}
    return replace(drawn, program=replace(changed, probes=tuple(probes)), state=state)


def _reading(
    rng: np.random.Generator, proj: Projection, program: Program, modulators: dict[str, Modulator]
) -> Projection:
    """A projection whose rule reads one to three modulators; they are made as they are needed."""
    rule = proj.rule
    assert rule is not None
    names: list[str] = []
    for _ in range(max([1, *(int(name[1]) for name in rule.variables & set(NAMES))])):
        fits = [m.name for m in modulators.values() if m.name not in names and m.of in (None, proj.post)]
        if fits and (len(modulators) >= POOL or rng.random() < 0.4):
            names.append(str(rng.choice(fits)))
            continue
        made = _modulator(rng, f"m{len(modulators)}", proj.post, program)
        modulators[made.name] = made
        names.append(made.name)
    traces = {name: trace for name, trace in rule.traces.items() if name not in NAMES}
    return replace(proj, rule=_renamed(replace(rule, modulators=tuple(names)), traces=traces))


def _renamed(rule: Rule, **changes: object) -> Rule:
    def factor(f: Factor) -> Factor:
        return replace(f, variable=NAMES.get(f.variable, f.variable))

    def series(products: tuple[Product, ...]) -> tuple[Product, ...]:
        return tuple(replace(p, factors=tuple(map(factor, p.factors))) for p in products)

    return replace(rule, dw=series(rule.dw), dd=series(rule.dd), dt=series(rule.dt), **changes)  # type: ignore[arg-type]


def _modulator(rng: np.random.Generator, name: str, post: str, program: Program) -> Modulator:
    """One value for all, or one for each target, fed by any populations (of the same size); signs both ways."""
    of = post if rng.random() < 0.5 else None
    n = program.populations[post].n
    fit = [pop.name for pop in program.populations.values() if of is None or pop.n == n]
    frac = int(rng.integers(0, 9))
    sources = rng.choice(fit, int(rng.integers(0, min(3, len(fit)) + 1)), replace=False)
    gains = rng.integers(-40, 60, sources.size) * (1 << frac)
    mode: Literal["add", "hold"] = "hold" if rng.random() < 0.3 else "add"
    single = of is None or rng.random() < 0.5
    init = int(rng.integers(-200, 200)) << frac if single else rng.integers(-200, 200, n) << frac
    return Modulator(
        name, of, tuple((str(s), int(g)) for s, g in zip(sources, gains, strict=True)), mode,
        decay=int(rng.integers(0, 1000)), period=int(rng.integers(0, 4)), frac=frac, init=init,
    )  # fmt: skip
