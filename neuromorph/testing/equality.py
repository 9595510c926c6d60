"""Equality of an engine with `cpu:ref`: every state of every step, every spike."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from neuromorph.inputs import SpikeTrain
from neuromorph.session import Session
from neuromorph.testing.programs import Case, with_all_probes

if TYPE_CHECKING:
    from neuromorph.compare import Difference
    from neuromorph.engine import Engine
    from neuromorph.trace import Trace

__all__ = ["UNREACHABLE", "difference", "reached", "trace_of"]

UNREACHABLE = {
    "theta: at the lower end": "theta and its increment are not negative",
    "trace: at the lower end": "traces and impulses are not negative",
    "graded trace, overwrite: at the lower end": "the payload's low byte is not negative",
    "graded trace, add_saturate: at the lower end": "the sum's low byte is not negative",
    "sign of tag_2: at the upper end": "one-sided",
    "tag_2: at the lower end": "the accumulator is not negative",
    "tag_1: at the lower end": "the accumulator's lower end is -257 * 128",
}
"""Ends that cannot be reached, and why; all others must be."""


def trace_of(case: Case, engine: Engine) -> Trace:
    """Run a case with a probe on every state at every step."""
    program = with_all_probes(case.program)
    engine.load(program.image)
    inputs = {
        name: SpikeTrain(steps, indices, payloads if program.populations[name].graded else None)
        for name, (steps, indices, payloads) in case.events.items()
    }
    return Session(program, engine).run(steps=case.steps, inputs=inputs)


def difference(case: Case, engine: Engine, reference: Trace | None = None) -> Difference:
    """How an engine differs from the executable specification on a case."""
    from neuromorph.compare import compare
    from neuromorph_cpu.ref_engine import RefEngine

    return compare(reference or trace_of(case, RefEngine()), trace_of(case, engine))


def reached(case: Case, seen: Counter[str]) -> None:
    """Count the wraps, saturations and roundings that a case reaches."""
    from neuromorph_cpu.ref import Reference

    machine = Reference(case.program, seen)
    for step in range(1, case.steps + 1):
        machine.step(case.payloads(step))
