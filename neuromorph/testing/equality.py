"""Equality of an engine with `cpu:ref`: every state of every step, every spike, all work counted."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from neuromorph.compare import compare
from neuromorph.records import Events
from neuromorph.session import Session
from neuromorph.stimulus import Stimulus
from neuromorph.testing.limits import LIMITS, RESOURCES, limits, resources
from neuromorph.testing.lines import LINES, lines
from neuromorph.testing.programs import (
    COLUMNS,
    MANAGED,
    PAIRS,
    STEPS,
    UNSORTED,
    Draw,
    columns,
    draw,
    large,
    managed,
    pairs,
    scheduled,
    unsorted,
)
from neuromorph.testing.separable import LONG_LINES, LOOKALIKES, lookalike
from neuromorph.testing.terms import TERMS, terms

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from neuromorph.engine import Engine
    from neuromorph.trace import Trace

__all__ = [
    "CHECKED", "COUNTERS", "DIRECTED", "UNREACHABLE", "WIDE", "Case", "active", "disagreement", "engine_for",
    "is_active", "random_case", "trace_of",
]  # fmt: skip

COUNTERS = ("spikes", "synaptic_events", "plastic_updates")
ATTEMPTS = 200
WIDE = 1_000_000
"""From this seed on programs are those of profile wide."""
DIRECTED: Mapping[int, Callable[[], Draw]] = {
    -1: large,
    **{-2 - number: partial(columns, number) for number in range(COLUMNS)},
    **{-2 - COLUMNS - number: partial(columns, number, "wide") for number in range(COLUMNS) if number // 3 % 2},
    **{-2 - 2 * COLUMNS - number: partial(pairs, number) for number in range(PAIRS)},
    **{-2 - 2 * COLUMNS - PAIRS - number: partial(unsorted, number) for number in range(UNSORTED)},
    **{-1000 - number: partial(managed, number) for number in range(MANAGED)},
    **{-2000 - 2 * number: partial(lookalike, number) for number in range(LOOKALIKES + LONG_LINES)},
    **{-4000 - number: partial(terms, number) for number in range(TERMS)},
    **{-5000 - number: partial(limits, number) for number in range(LIMITS)},
    **{-6000 - number: partial(resources, number) for number in range(RESOURCES)},
    -6900: scheduled,
    **{-7000 - number: partial(lines, number) for number in range(LINES)},
}
"""Programs made on purpose, by seeds that random ones do not have."""
CHECKED = (range(50), range(50, 100), range(WIDE, WIDE + 24), tuple(seed for seed in DIRECTED if seed < -1))
"""Programs that an engine with run-time checks runs, in batches; the last have full lines of synapses."""
UNREACHABLE = {
    "theta: at the lower end": "its increment is not negative",
    "drifting theta: at the upper end": "it only falls",
    "trace: at the lower end": "traces and impulses are not negative",
    "graded trace, overwrite: at the lower end": "the payload's low byte is not negative",
    "graded trace, add_saturate: at the lower end": "the sum's low byte is not negative",
    "sign of tag_2: at the upper end": "one-sided",
    "tag_2: at the lower end": "the accumulator is not negative",
    "tag_1: at the lower end": "the accumulator's lower end is -257 * 128",
}
"""Ends that cannot be reached, and why; all others must be."""


@dataclass(frozen=True, slots=True)
class Case:
    """A program that is worth comparing, and what the executable specification makes of it.

    Attributes
    ----------
    seed : int
        Of `random_case`.
    draw : Draw
        The program, its inputs, and how it is run.
    reference : Trace
        Of an uninterrupted run on `cpu:ref`.
    """

    seed: int
    draw: Draw
    reference: Trace


def engine_for(seed: int, library: Path | None = None) -> Engine:
    """The C engine: every third time without its kernels, every fiftieth time called as a sketch does."""
    from neuromorph_cpu.native import NativeEngine

    if seed % 50 == 7:
        from neuromorph.testing.sketch import SketchEngine

        return SketchEngine(path=library, kernels=bool(seed % 3))
    return NativeEngine(path=library, kernels=bool(seed % 3))


def random_case(seed: int, steps: int = STEPS, seen: Counter[str] | None = None) -> Case:
    """The first active program of a seed; `seen` counts the wraps, saturations and roundings that it reaches."""
    from neuromorph_cpu.ref_engine import RefEngine

    reached = Counter[str]()

    def reference() -> RefEngine:
        reached.clear()
        return RefEngine(seen=None if seen is None else reached)

    drawn, trace = active(seed, reference, steps)
    if seen is not None:
        seen.update(reached)
    return Case(seed, drawn, trace)


def active(seed: int, engine: Callable[[], Engine], steps: int = STEPS) -> tuple[Draw, Trace]:
    """The program of a seed, of random ones the first that is worth comparing, and its uninterrupted run."""
    for attempt in range(ATTEMPTS):
        drawn = DIRECTED[seed]() if seed in DIRECTED else draw(seed, attempt, steps, profile=_profile(seed))
        trace = trace_of(replace(drawn, pause=0), engine())
        if seed in DIRECTED or is_active(drawn, trace):
            return drawn, trace
    raise RuntimeError(f"no active program found for seed {seed}")  # the generator is at fault, not its user


def _profile(seed: int) -> str:
    return "wide" if seed >= WIDE else "loihi2"


def is_active(drawn: Draw, trace: Trace) -> bool:
    """Whether a program does enough to be worth comparing: 30% of its neurons spike, 20% of plastic weights move."""
    program = drawn.program
    neurons = [trace.rates(f"{p.name}.spikes") > 0 for p in program.populations.values() if p.kind != "input"]
    plastic = [p for p in program.projections.values() if p.rule]
    moved = [
        trace.states(f"{p.name}.w").values[-1] != drawn.state.get((p.name, "w"), p.weights).ravel() for p in plastic
    ]
    return bool(np.concatenate(neurons).mean() >= 0.3) and (not moved or bool(np.concatenate(moved).mean() >= 0.2))


def trace_of(drawn: Draw, engine: Engine) -> Trace:
    """Run a program on an engine, interrupted where it says so; the counters are those of the whole run."""
    program, first = drawn.program, drawn.first
    engine.load(program.image)
    session = Session(program, engine)
    stimulus = Stimulus({
        number: Events(steps + first, indices, payloads if program.populations[name].graded else None)
        for number, name in enumerate(program.populations) if name in drawn.events
        for steps, indices, payloads in [drawn.events[name]]
    })  # fmt: skip
    _begin(session, drawn)
    if not drawn.pause:
        return session.run(steps=drawn.steps, inputs=stimulus)
    before = session.run(steps=drawn.pause, inputs=stimulus)
    if drawn.restart:
        session.reset()
        _begin(session, drawn)
        return session.run(steps=drawn.steps, inputs=stimulus)
    state = session.snapshot()
    engine.load(program.image)
    session.restore(state)
    after = session.run(steps=drawn.steps - drawn.pause, inputs=stimulus)
    counters = {name: before.counters[name] + after.counters[name] for name in COUNTERS}
    return replace(before.joined(after), counters=counters)


def _begin(session: Session, drawn: Draw) -> None:
    for (name, variable), values in drawn.state.items():
        session.write(name, variable, values)
    if drawn.first:
        session.engine.seek(drawn.first)


def disagreement(case: Case, engine: Engine) -> str:
    """How an engine differs from the executable specification; empty if it does not."""
    trace = trace_of(case.draw, engine)
    found = compare(case.reference, trace)
    if not found.equal:
        return f"program {case.seed}, {found.explain()}"
    wrong = [name for name in COUNTERS if trace.counters[name] != case.reference.counters[name]]
    return "; ".join(
        f"program {case.seed}, {name}: {case.reference.counters[name]} and on {trace.target} {trace.counters[name]}"
        for name in wrong
    )
