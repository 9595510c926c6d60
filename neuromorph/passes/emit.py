"""emit: the Program with its report."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from neuromorph.passes.base import Pass, State
from neuromorph.passes.cost import program_cost, projection_use
from neuromorph.passes.place import check_capacity, state_bytes
from neuromorph.report import Report

__all__ = ["Emit"]


@dataclass(frozen=True)
class Emit(Pass):
    """Put the report into the program and check once more that it fits, now with the report in the image."""

    name: ClassVar[str] = "emit"

    def run(self, state: State) -> State:
        """Draft to program."""
        draft = state.program
        if draft is None:
            raise ValueError("emit runs after legalise")
        uses = tuple(
            projection_use(p, state.scales.get(p.name, {}).get("w"), draft.numbers) for p in draft.projections.values()
        )
        report = Report(
            draft.name, draft.profile, draft.rounding, draft.dt, state.entries, state.warnings, uses,
            state_bytes(draft), state.memory, program_cost(draft), state.sections, state.advice,
        )  # fmt: skip
        program = replace(draft, report=report)
        return replace(state, program=program, memory=check_capacity(program, state.targets))
