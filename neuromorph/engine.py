"""What a target must offer: limits as data (`Target`) and a way to run (`Engine`)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from neuromorph.graph import Graph
    from neuromorph.program import Program
    from neuromorph.report import Section
    from neuromorph.store import Stored
    from neuromorph.trace import Gap

__all__ = ["Accounting", "Backend", "Engine", "GraphEngine", "Pacing", "Storing", "Target"]


class Engine(Protocol):
    """A machine that holds one program and runs it step by step.

    Items are numbered in the canonical order of ``docs/image.md``, section 2; records are those of section 4.
    Every call ends in bounded time or raises a `NeuromorphError`.
    """

    target: str

    def load(self, image: bytes) -> None:
        """Verify an image and put it at step 0; a rejected image leaves the running one as it was."""

    def reset(self) -> None:
        """Back to step 0 with the program's initial state."""

    def now(self) -> int:
        """The last step done."""

    def run(
        self,
        steps: int,
        records: bytes,
        on_output: Callable[[bytes], None],
        on_progress: Callable[[int], None] | None = None,
    ) -> None:
        """Run steps ``now() + 1 .. now() + steps``; `records` are inputs sorted by step.

        `on_output` gets the probes' records in order, whole records in each call.
        """

    def read_item(self, item: int, first: int, count: int) -> bytes:
        """Read values of a state item in canonical form."""

    def write_item(self, item: int, first: int, data: bytes) -> None:
        """Write values of a state item; a value out of range is refused and nothing is written."""

    def seek(self, step: int) -> None:
        """Set the step counter and the random streams to `step`."""

    def counters(self) -> dict[str, int]:
        """Work done: spikes, synaptic_events, plastic_updates, and what the engine adds (link counters, ...)."""

    def close(self) -> None:
        """Free the machine. May be called twice."""


@runtime_checkable
class GraphEngine(Engine, Protocol):
    """What an engine that computes in floats has besides: it runs the graph itself, in the units of the description."""

    def load_graph(self, graph: Graph, program: Program) -> None:
        """Take a graph, and the program made from it for its names."""

    def read(self, name: str, variable: str) -> NDArray[np.float64]:
        """A state variable."""

    def write(self, name: str, variable: str, values: object) -> None:
        """Set a state variable."""


@runtime_checkable
class Accounting(Protocol):
    """What an engine offers besides if it can say what a run would cost on the machine that it stands for."""

    def account(self, counters: dict[str, int], steps: int) -> Section:
        """The cost of a run of `steps` steps that did this work; its notes name the source of the figures."""


@runtime_checkable
class Pacing(Protocol):
    """What an engine offers besides if its machine has a clock that the steps can follow: pace real."""

    def run(
        self,
        steps: int,
        records: bytes,
        on_output: Callable[[bytes], None],
        on_progress: Callable[[int], None] | None = None,
        *,
        period: int = 0,
    ) -> None:
        """As `Engine.run`; with a `period` a step begins every so many microseconds, and waits for nobody.

        What the line does not take is dropped, whole steps at a time, and is in `gaps`.
        """

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """What of the last run is missing in what `on_output` got so far."""


@runtime_checkable
class Storing(Protocol):
    """What an engine offers besides if its machine keeps programs and states for the time without power."""

    def persist(self, period: int, every: int, *, trial: bool) -> None:
        """Store program and state: from the next start on they count, on `trial` for one start unless it is confirmed.

        `period`: microseconds of a step that the machine makes by itself from its start on, 0: it waits for a host;
        `every`: steps after which it stores its state by itself, 0: never.
        """

    def confirm(self) -> None:
        """Keep the program that is on trial."""

    def revert(self) -> None:
        """Drop the newest stored program: the one before it counts again."""

    def forget(self) -> None:
        """Forget all that is stored."""

    def stored(self) -> Stored:
        """What is stored, and what the machine made of it when it started."""

    def attach(self, digest: str) -> None:
        """Take the program of that logical digest, which the machine holds, with the state that it has."""

    def leave(self, period: int) -> None:
        """Have the machine run on by itself, a step every `period` microseconds."""


@dataclass(frozen=True, slots=True)
class Target:
    """A machine as data; generic passes check it.

    Parameters
    ----------
    name : str
        As users write it, e.g. ``"mcu:m4"``.
    kind : str
        "simulator", "emulator" or "hardware".
    numbers : str
        "integer" or "float".
    description : str
        One line: what it is.
    image_max, arena_max : int
        Bytes of program and of working memory; 0 = no limit but the host's.
    features : frozenset of str
        Features of ``docs/image.md`` that it holds.
    profiles : frozenset of str
        Profiles that it holds (`neuromorph.profiles`).
    input_max : int
        Largest current, in units of u, that it can take in at a neuron in one step without wrapping; 0 = that of u.
    exponents : (int, int)
        Lowest and highest exponent of a projection's weights; the compiler keeps to them if some scale does.
    place : callable, optional
        Lays a program out on the machine, for the report; raises CapacityError where it does not fit.
    """

    name: str
    kind: str
    numbers: str
    description: str
    image_max: int = 0
    arena_max: int = 0
    features: frozenset[str] = field(default_factory=frozenset)
    input_max: int = 0
    profiles: frozenset[str] = frozenset({"loihi2"})
    exponents: tuple[int, int] = (-16, 15)
    place: Callable[[Program], Section] | None = field(default=None, compare=False, repr=False)


class Backend(Protocol):
    """The object behind an entry point of the group ``neuromorph.backends``."""

    def targets(self) -> tuple[Target, ...]:
        """The targets that this backend offers."""

    def find(self, name: str) -> Target | None:
        """The target of that name, also of a family with free names (``mcu:/dev/ttyACM0``), or None."""

    def open(self, target: Target) -> Engine:
        """Start the machine; raises TargetError with what to install where something is missing."""

    def available(self, target: Target) -> str:
        """An empty string, or what is missing and how to get it."""
