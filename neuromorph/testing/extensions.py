"""Random modulators, and rules that read them: functions, two variables in a factor, sums of weights, long periods."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from neuromorph.program import GAIN_MAX, MODULATOR_MAX, SOURCES_MAX, Modulator, Program, Projection, ScheduleEntry, U
from neuromorph.rule import FUNCTIONS, MODULATORS, OLD_PERIOD_MAX, PERIOD_MAX, Factor, Product, Rule

if TYPE_CHECKING:
    from neuromorph.testing.programs import Draw

__all__ = ["SHARE", "extended", "large_payloads"]

SHARE = 0.45
"""Share of programs that are changed."""
_CONSTANTS = (0, 0, 0, 1, -5, 40, -60, -200, 511, -512)
_WITHOUT_RULES = 0.3


def extended(program: Program, rng: np.random.Generator, first: int, steps: int) -> tuple[Program, int]:
    """The program with modulators and richer rules, and the step to begin after: some so that long periods are due."""
    if rng.random() >= SHARE:
        return program, first
    names = [f"slow{k}" for k in range(rng.integers(1, 8))]
    modulators = {name: _modulator(rng, name, program) for name in names}
    projections = {
        name: proj if proj.rule is None or rng.random() < _WITHOUT_RULES else _richer(rng, proj, modulators)
        for name, proj in program.projections.items()
    }
    epochs = [p.rule.t_epoch << _longest(p.rule) for p in projections.values() if p.rule and _longest(p.rule)]
    if epochs and rng.random() < 0.5:
        first = int(rng.choice(epochs)) * int(rng.integers(1, 9)) - int(rng.integers(1, steps))
    entries = [*program.schedule]
    while rng.random() < 0.5:
        name = str(rng.choice(names))
        value = _value(rng, modulators[name].frac)
        entries.append(ScheduleEntry(first + int(rng.integers(0, steps)), "modulator", name, value=value))
    entries.sort(key=lambda entry: entry.step)
    return replace(program, projections=projections, modulators=modulators, schedule=tuple(entries)), first


def large_payloads(drawn: Draw, rng: np.random.Generator) -> Draw:
    """Some payloads of inputs that modulators read are as large as can be, with either sign."""
    read = {source for m in drawn.program.modulators.values() for source, _ in m.sources}
    events = dict(drawn.events)
    for name in sorted(read & set(events)):
        steps, indices, payloads = events[name]
        if drawn.program.populations[name].graded and rng.random() < 0.3:
            large = np.where(rng.random(payloads.size) < 0.1, rng.choice([1 - U, U - 1], payloads.size), payloads)
            events[name] = steps, indices, large
    return replace(drawn, events=events)


def _longest(rule: Rule) -> int:
    """The longest period of its products, if an extension."""
    return max((p.k for p in rule.products if p.k > OLD_PERIOD_MAX), default=0)


def _value(rng: np.random.Generator, frac: int) -> int:
    """A modulator's value, mostly of a size that rules tell."""
    size = MODULATOR_MAX if rng.random() < 0.1 else 200 << frac
    return int(rng.integers(-size, size + 1))


def _modulator(rng: np.random.Generator, name: str, program: Program) -> Modulator:
    pops = program.populations
    of = str(rng.choice([p.name for p in pops.values() if p.kind != "input"])) if rng.random() < 0.5 else None
    fit = [p.name for p in pops.values() if of is None or p.n == pops[of].n]
    graded = [name for name in fit if pops[name].graded]
    fit = graded if graded and rng.random() < 0.5 else fit
    frac = int(rng.integers(0, 17))

    def gain() -> int:
        size = GAIN_MAX if rng.random() < 0.2 else min(GAIN_MAX, int(rng.choice([1, 20, 300])) << frac)
        return int(rng.integers(-size if rng.random() < 0.5 else 1, size + 1))

    count = SOURCES_MAX if rng.random() < 0.1 else int(rng.integers(0, 4))
    size = 1 if of is None else pops[of].n
    init: Any = _value(rng, frac)
    if rng.random() < 0.4:
        init = np.array([_value(rng, frac) for _ in range(size)])
    return Modulator(
        name, of, tuple((str(rng.choice(fit)), gain()) for _ in range(count)),
        cast("Any", rng.choice(["add", "add", "hold"])), int(rng.choice([0, 1, 40, 1000, 4096])),
        int(rng.integers(0, 7)), frac, init,
    )  # fmt: skip


def _richer(rng: np.random.Generator, proj: Projection, modulators: dict[str, Modulator]) -> Projection:
    """The projection with further products in its rule."""
    rule = cast("Rule", proj.rule)
    fit = [m.name for m in modulators.values() if m.of in (None, proj.post)]
    names = [str(name) for name in rng.permutation(fit)[: rng.integers(0, 5)]]
    variables = [*rule.traces, "w", "q", "x0", "y0", *2 * MODULATORS[: len(names)]]
    tags = 2 * bool(rng.random() < 0.4)
    variables += "dt"[:tags]

    def more(key: str, low: int, high: int) -> tuple[Product, ...]:
        return (*getattr(rule, key), *(_product(rng, variables) for _ in range(rng.integers(low, high))))

    shift = int(rng.choice([0, int(rng.integers(0, 8)), int(rng.integers(0, 32))]))
    dw, dd, dt = more("dw", 1, 4), more("dd", 0, 1 + tags), more("dt", 0, 1 + tags)
    changed = replace(rule, dw=dw, dd=dd, dt=dt, modulators=tuple(names), sum_shift=shift)
    return replace(proj, rule=changed)


def _factor(rng: np.random.Generator, variables: list[str]) -> Factor:
    first, constant = str(rng.choice(variables)), int(rng.choice(_CONSTANTS))
    function = cast("Any", str(rng.choice(FUNCTIONS)))
    if rng.random() < 0.5:
        return Factor(first, constant, function)
    if rng.random() < 0.15:
        return Factor("1", constant, cast("Any", str(rng.choice(["pos", "on"]))), first, -1)
    return Factor(first, constant, function, str(rng.choice(variables)), int(rng.choice([-1, 1])))


def _product(rng: np.random.Generator, variables: list[str]) -> Product:
    dependency = str(rng.choice(["x0", "y0", "u"]))
    k = int(rng.integers(0, 3)) if dependency == "u" else 0
    if k and rng.random() < 0.3:
        k = int(rng.integers(OLD_PERIOD_MAX + 1, PERIOD_MAX + 1))
    factors = tuple(_factor(rng, variables) for _ in range(rng.integers(1, 4)))
    mant, exp = int(rng.choice([-8, -3, -1, 1, 2, 7])), int(rng.integers(-7, 9))
    return Product(cast("Any", dependency), mant, exp, factors, k)
