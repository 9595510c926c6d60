"""A network on a board, and the same network on `cpu:ref`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

from neuromorph.engine import Engine, Target
from neuromorph.errors import ValidationError
from neuromorph.image import FEATURES
from neuromorph.program import Program
from neuromorph.session import Pace, Session
from neuromorph.stimulus import Stimulus

if TYPE_CHECKING:
    from neuromorph.graph import Graph
    from neuromorph.network import Network
    from neuromorph.trace import Trace
    from pytest_neuromorph.rig import Rig

__all__ = ["Borrowed", "Call", "Handle", "References", "deploy"]

REFERENCE = "cpu:ref"


class Borrowed:
    """An engine that stays open when a session on it ends, and what the session has done to it.

    Attributes
    ----------
    engine : Engine
        The board's.
    journal : list of tuple
        Names and arguments of all that changed the state of the program since it was loaded.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine, self.journal = engine, list[tuple[Any, ...]]()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.engine, name)

    def run(self, steps: int, records: bytes, *rest: Any, **pace: Any) -> None:
        """Run; at which pace is of no importance for what it does."""
        self.engine.run(steps, records, *rest, **pace)
        self.journal.append(("run", steps, records))

    def write_item(self, item: int, first: int, data: bytes) -> None:
        """Write a state."""
        self.engine.write_item(item, first, data)
        self.journal.append(("write_item", item, first, bytes(data)))

    def seek(self, step: int) -> None:
        """Set the step."""
        self.engine.seek(step)
        self.journal.append(("seek", step))

    def reset(self) -> None:
        """Back to step 0."""
        self.engine.reset()
        self.journal.append(("reset",))

    def close(self) -> None:
        """Nothing: the board goes on."""


def _repeat(journal: Iterable[tuple[Any, ...]], engine: Engine) -> None:
    """Do the same to another engine that holds the program."""
    for name, *given in journal:
        if name == "run":
            given.append(_ignore)
        getattr(engine, name)(*given)


def _ignore(_output: bytes) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Call:
    """One run.

    Parameters
    ----------
    start, steps : int
        The step before it; its steps.
    inputs : mapping, Stimulus or None
        What it was given.
    before : int
        Length of the journal before it.
    trace : Trace
        What came of it.
    """

    start: int
    steps: int
    inputs: Mapping[Any, Any] | Stimulus | None
    before: int
    trace: Trace


@dataclass(slots=True)
class References:
    """Traces of `cpu:ref` that were computed already: the boards of a run share them.

    Attributes
    ----------
    known : dict
        By a hash of the image and of all that was done up to the end of the run that the trace belongs to.
    """

    known: dict[bytes, Trace] = field(default_factory=dict)


@dataclass(slots=True)
class Handle:
    """A network that was put on a board.

    Attributes
    ----------
    program : Program
        Compiled once, for the board and for `cpu:ref`.
    session : Session
        On the board, with all that a session can do: read, write, snapshot, ...
    calls : list of Call
        Its runs.
    """

    program: Program
    session: Session
    references: References
    sources: Mapping[str, Any]
    calls: list[Call] = field(default_factory=list)

    def run(
        self,
        duration: float | None = None,
        *,
        steps: int | None = None,
        inputs: Mapping[Any, Any] | Stimulus | None = None,
        pace: Pace = "free",
        period: float | None = None,
    ) -> Trace:
        """Run on from the present step, as `Session.run` does."""
        before = len(self._board.journal)
        trace = self.session.run(duration, steps=steps, inputs=inputs, pace=pace, period=period)
        self.calls.append(Call(trace.start, trace.steps, inputs, before, trace))
        return trace

    def reference(self) -> Trace:
        """What `cpu:ref` records in the last run, after all that was run and written before it."""
        if not self.calls:
            raise ValidationError("the reference repeats what the board did: call run() before reference()")
        call = self.calls[-1]
        digest = hashlib.blake2s(self.program.image)
        for entry in self._board.journal[: call.before + 1]:  # the run itself is the last
            digest.update(repr(entry).encode())
        known, key = self.references.known, digest.digest()
        if key not in known:
            with self.start_reference(call) as session:
                known[key] = session.run(steps=call.steps, inputs=call.inputs)
        return known[key]

    def start_reference(self, call: Call | None = None) -> Session:
        """A session on `cpu:ref`: fresh, or in the state in which a run of the board began."""
        return self._at(call, _engine(REFERENCE))

    def start_again(self, call: Call) -> Session:
        """A session on the board in the state in which a run of it began; the board stays open at its end."""
        return self._at(call, cast("Engine", Borrowed(self._board.engine)))

    @property
    def _board(self) -> Borrowed:
        return cast("Borrowed", self.session.engine)

    def _at(self, call: Call | None, engine: Engine) -> Session:
        engine.load(self.program.image)
        _repeat(self._board.journal[: call.before if call else 0], engine)
        return Session(self.program, engine, "integer", self.sources)


def _engine(target: str) -> Engine:
    from neuromorph.targets import find

    backend, chosen = find(target)
    return backend.open(chosen)


def deploy(rig: Rig, model: Program | Network | Graph, references: References) -> Handle:
    """Compile a model for a board and for `cpu:ref`, and put it on the board at step 0.

    Raises
    ------
    CapacityError, UnsupportedError
        The board cannot hold it.
    """
    from neuromorph.compile import compile as compile_network
    from neuromorph.network import Network

    sources = model.sources if isinstance(model, Network) else {}
    engine = rig.engine
    program = model if isinstance(model, Program) else compile_network(model, targets=[_limits(rig), REFERENCE])
    unload = getattr(engine, "unload", None)
    if unload is not None:
        unload()  # the next program may need the memory of the one before
    engine.load(program.image)
    session = Session(program, cast("Engine", Borrowed(engine)), "integer", sources)
    return Handle(program, session, references, sources)


def _limits(rig: Rig) -> Target:
    """The board's limits, as it says itself where nobody else knows."""
    from neuromorph.targets import find

    target, hello = find(rig.target)[1], rig.hello
    if target.image_max or hello is None:
        return target
    held = frozenset(name for bit, name in enumerate(FEATURES) if hello.features >> bit & 1)
    return replace(target, image_max=hello.pool, arena_max=hello.pool, features=held)
