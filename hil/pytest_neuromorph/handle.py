"""A network on a board, and the same network on `cpu:ref`."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

from neuromorph.durations import steps_of
from neuromorph.engine import Engine, Target
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
    """An engine that stays open when a session on it ends."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def close(self) -> None:
        """Nothing: the board goes on."""


@dataclass(frozen=True, slots=True)
class Call:
    """One run: its steps and what it was given."""

    steps: int
    inputs: Mapping[Any, Any] | Stimulus | None


@dataclass(slots=True)
class References:
    """Traces of `cpu:ref` that were computed already: the boards of a run share them.

    Attributes
    ----------
    known : dict
        By a hash of the image and of all runs up to the one that the trace belongs to.
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
    """

    program: Program
    session: Session
    references: References
    sources: Mapping[str, Any]
    calls: list[Call] = field(default_factory=list)
    traces: list[Trace] = field(default_factory=list)

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
        trace = self.session.run(duration, steps=steps, inputs=inputs, pace=pace, period=period)
        count = steps_of(duration, self.program.dt) if steps is None and duration is not None else int(steps or 0)
        self.calls.append(Call(count, inputs))
        self.traces.append(trace)
        return trace

    def reference(self) -> Trace:
        """What `cpu:ref` records in the last run, after all runs before it."""
        if not self.calls:
            raise ValueError("the reference repeats what the board did: call run() first")
        keys, start, digest = [], 0, hashlib.blake2s(self.program.image)
        for call in self.calls:
            records = self.session._records(call.inputs or {}, start, call.steps)
            digest.update(b"%d:%d:" % (call.steps, len(records)) + records)
            keys.append(digest.digest())
            start += call.steps
        known = self.references.known
        if keys[-1] not in known:
            with self.start_reference() as session:
                for key, call in zip(keys, self.calls, strict=True):
                    known[key] = session.run(steps=call.steps, inputs=call.inputs)
        return known[keys[-1]]

    def start_reference(self) -> Session:
        """A fresh session with the program on `cpu:ref`."""
        return _session(self.program, REFERENCE, self.sources)

    def start_again(self) -> Session:
        """A fresh session with the program on the board, which stays open at its end."""
        engine = cast("Engine", Borrowed(self.session.engine))
        engine.load(self.program.image)
        return Session(self.program, engine, "integer", self.sources)


def _session(program: Program, target: str, sources: Mapping[str, Any]) -> Session:
    from neuromorph.targets import find

    backend, chosen = find(target)
    engine = backend.open(chosen)
    engine.load(program.image)
    return Session(program, engine, "integer", sources)


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
