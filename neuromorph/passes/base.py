"""What a pass is, and the state that passes hand on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar, Literal

if TYPE_CHECKING:
    from neuromorph.engine import Target
    from neuromorph.graph import Graph
    from neuromorph.passes.discretise import Dynamics
    from neuromorph.program import Modulator, Population, Program, Projection
    from neuromorph.report import Entry, MemoryUse, Notice, Section

__all__ = ["Pass", "State"]


@dataclass(frozen=True, slots=True)
class State:
    """A network on its way from `Graph` to `Program`; each pass fills in its part.

    Attributes
    ----------
    graph, targets, profile, rounding
        What is compiled, for which machines, in which numbers.
    deadline_us, counter
        What the program will ask of a board (`Program`).
    dynamics
        After discretise: the equations per step, of each population that is not an input.
    populations, projections, modulators, scales
        After quantise: integers, and the physical value of one unit of each variable.
    program
        After legalise: the draft of the program; after emit: the program with its report.
    entries, warnings, advice, memory, sections
        What the report will say.
    """

    graph: Graph
    targets: tuple[Target, ...] = ()
    profile: str = "loihi2"
    rounding: Literal["shared", "synapse"] = "synapse"
    deadline_us: int = 0
    counter: int = 0
    dynamics: Mapping[str, Dynamics] = field(default_factory=dict)
    populations: Mapping[str, Population] = field(default_factory=dict)
    projections: Mapping[str, Projection] = field(default_factory=dict)
    modulators: Mapping[str, Modulator] = field(default_factory=dict)
    scales: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    program: Program | None = None
    entries: tuple[Entry, ...] = ()
    warnings: tuple[Notice, ...] = ()
    advice: tuple[Notice, ...] = ()
    memory: tuple[MemoryUse, ...] = ()
    sections: tuple[Section, ...] = ()

    def noting(self, entries: list[Entry], warnings: list[Notice]) -> State:
        """The state with more lines for the report."""
        return replace(self, entries=(*self.entries, *entries), warnings=(*self.warnings, *warnings))


@dataclass(frozen=True)
class Pass(ABC):
    """A step of the compiler: an immutable value whose fields are its options."""

    name: ClassVar[str]

    @abstractmethod
    def run(self, state: State) -> State:
        """The state with this pass's part filled in; raises a `NeuromorphError` where that cannot be."""
