"""`open` and `run`: start a machine by its name, and put a network or a program on it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from neuromorph.engine import Engine, Storing
from neuromorph.errors import TargetError, UnsupportedError, ValidationError
from neuromorph.parameters import keywords
from neuromorph.program import Program
from neuromorph.session import Session

if TYPE_CHECKING:
    from neuromorph.engine import GraphEngine
    from neuromorph.graph import Graph
    from neuromorph.network import Network
    from neuromorph.session import Pace, Progress
    from neuromorph.stimulus import Stimulus
    from neuromorph.trace import Trace

__all__ = ["open", "run"]


@keywords
def open(  # noqa: A001
    program: Program | Network | Graph, target: str = "cpu", *, attach: bool = False, profile: str | None = None
) -> Session:
    """Start a machine and put a program on it.

    Parameters
    ----------
    program : Program, Network or Graph
        A network is compiled for `target` first.
    target : str
        Name of the machine; ``neuromorph targets`` lists them.
    attach : bool
        The machine holds this program already, stored on it or left by an earlier session: go on with its state and
        step. A run of its own is stopped.
    profile : str, optional
        Numbers that a network is compiled to, "loihi2" if not given (see `neuromorph.compile`).

    Returns
    -------
    Session
        At step 0, or at that of the machine; use it in a ``with`` statement.

    Raises
    ------
    TargetError
        No such target, or something that it needs is missing; says how to get it. It holds no program to attach to, or
        another one.
    CapacityError, UnsupportedError
        The program does not fit the target.
    """
    from neuromorph.targets import find

    backend, chosen = find(target)
    held, graph, sources = _prepared(program, target, chosen.numbers == "float", profile)
    engine = backend.open(chosen)
    try:
        if attach:
            _attach(engine, held)
        elif graph is None:
            engine.load(held.image)
        else:
            cast("GraphEngine", engine).load_graph(graph, held)
        return Session(held, engine, "integer" if graph is None else "float", sources)
    except BaseException:
        engine.close()
        raise


def _attach(engine: Engine, program: Program) -> None:
    if not isinstance(engine, Storing):
        raise UnsupportedError(f"{engine.target} begins anew in each session: attach=True is for boards")
    engine.attach(program.digest)


def _prepared(
    program: Program | Network | Graph, target: str, floats: bool, profile: str | None
) -> tuple[Program, Graph | None, Mapping[str, Any]]:
    """The program, the graph for a machine that computes in floats, and what inputs send by themselves."""
    if isinstance(program, Program):
        if profile not in (None, program.profile):
            raise ValidationError(
                f"{program.name!r} is compiled already, in profile {program.profile!r}; compile its network with "
                f"profile={profile!r}"
            )
        if floats:
            raise TargetError(
                f"{target} computes the network itself in floats: open it with the network, not a program"
            )
        return program, None, {}
    from neuromorph.compile import compile as compile_network
    from neuromorph.elaborate import elaborate
    from neuromorph.graph import Graph

    held = compile_network(program, target=target, profile=profile or "loihi2")
    if isinstance(program, Graph):
        return held, program if floats else None, {}
    return held, elaborate(program) if floats else None, program.sources


@keywords
def run(
    program: Program | Network | Graph,
    target: str = "cpu",
    *,
    duration: float | None = None,
    steps: int | None = None,
    inputs: Mapping[Any, Any] | Stimulus | None = None,
    progress: Progress | None = None,
    profile: str | None = None,
    pace: Pace = "free",
    period: float | None = None,
) -> Trace:
    """Run a network or program from step 0 on a machine and return the trace; see `open` and `Session.run`."""
    with open(program, target, profile=profile) as session:
        return session.run(duration, steps=steps, inputs=inputs, progress=progress, pace=pace, period=period)
