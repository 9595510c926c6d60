"""compile: a network or graph through named passes into one integer Program for all its targets."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Literal

from neuromorph.engine import Target
from neuromorph.errors import ValidationError
from neuromorph.graph import Graph, verify
from neuromorph.parameters import keywords
from neuromorph.passes import Discretise, Emit, Legalise, Pass, Place, Quantise, State
from neuromorph.text import state_text
from neuromorph.validate import check_profile, nearest

if TYPE_CHECKING:
    from neuromorph.network import Network
    from neuromorph.profiles import Profile
    from neuromorph.program import Program

__all__ = ["PASSES", "compile", "run_passes"]

PASSES: tuple[Pass, ...] = (Discretise(), Quantise(), Legalise(), Place(), Emit())
"""The pipeline with its default options."""

OnPass = Callable[[str, State, float], None]


@keywords
def compile(  # noqa: A001
    net: Network | Graph,
    target: str | Target | None = None,
    *,
    targets: Iterable[str | Target] | None = None,
    profile: str = "loihi2",
    rounding: Literal["synapse", "shared"] | None = None,
    deadline: float | None = None,
    counter: int = 0,
    print_after: str | Iterable[str] = (),
    on_pass: OnPass | None = None,
    passes: tuple[Pass, ...] = PASSES,
) -> Program:
    """Compile a network to integers.

    One logical program serves all targets: equal digests mean equal behaviour on each of them.

    Parameters
    ----------
    net : Network or Graph
        What to compile; a Network is elaborated first.
    target, targets : str or Target, or several
        Whose limits to respect; "cpu" if neither is given. A name is looked up in the installed backends.
    profile : str
        Numbers of the machine: "loihi2" (8-bit weights, 7-bit traces) or "wide" (16 bits; own engines only).
    rounding : str, optional
        "synapse": independent stochastic rounding of every synapse; "shared": one number for all, as Lava's. If not
        given, "synapse", unless a rule is to run on a target that has shared rounding only.
    deadline : float, optional
        Seconds that a step may take (whole microseconds, 1e-6..1000): a board that knows its speed refuses a program
        whose worst step takes longer by the estimate of `Report.cost`.
    counter : int
        Security counter, 0..2^32 - 1: once a board has confirmed a program, it refuses those with a lower one.
    print_after : str or several
        Names of passes after which the state is printed.
    on_pass : callable, optional
        Called after each pass with its name, the state, and the seconds that it took.
    passes : tuple of Pass
        The pipeline, to give a pass other options.

    Returns
    -------
    Program
        With `report`: what was asked, what is held, warnings, memory, cost.

    Raises
    ------
    ValidationError
        A parameter that cannot be held, named with its limit and the way out.
    UnsupportedError, CapacityError
        A target that lacks a feature or memory, with the nearest alternative or what would fit.
    TargetError
        An unknown target.
    """
    if target is not None and targets is not None:
        raise ValidationError("give target or targets, not both")
    numbers = check_profile(profile)
    if rounding not in (None, "synapse", "shared"):
        raise ValidationError(f"rounding {rounding!r} is unknown; {nearest(rounding, ('synapse', 'shared'))}")
    if rounding == "shared" and not numbers.shared:
        raise ValidationError(f"profile {profile!r} has no shared rounding; leave out rounding='shared'")
    one = "cpu" if target is None else target
    wanted = [one] if targets is None else [targets] if isinstance(targets, str) else list(targets)
    if not wanted:
        raise ValidationError("targets is empty; name at least one, such as 'cpu'")
    graph = net if isinstance(net, Graph) else _elaborate(net)
    found = tuple(_target(t) for t in wanted)
    held = rounding or _rounding(graph, found, numbers)
    state = State(graph, found, profile, held, deadline_us=_microseconds(deadline), counter=counter)
    program = run_passes(state, passes, print_after=print_after, on_pass=on_pass).program
    if program is None:
        raise ValidationError("the pipeline made no program: it needs the pass 'emit'")
    return program


def run_passes(
    state: State,
    passes: tuple[Pass, ...] = PASSES,
    *,
    print_after: str | Iterable[str] = (),
    on_pass: OnPass | None = None,
) -> State:
    """Run passes in order over a verified graph; integers are verified as they are made (`Population`, `Program`)."""
    shown = {print_after} if isinstance(print_after, str) else set(print_after)
    names = [p.name for p in passes]
    for name in sorted(shown - set(names)):
        raise ValidationError(f"print_after: there is no pass {name!r}; {nearest(name, names)}")
    verify(state.graph)
    for step in passes:
        start = time.perf_counter()
        state = step.run(state)
        seconds = time.perf_counter() - start
        if step.name in shown:
            print(f"# after {step.name}\n{state_text(state)}")
        if on_pass is not None:
            on_pass(step.name, state, seconds)
    return state


def _microseconds(deadline: float | None) -> int:
    """A deadline as it is held; 0 is none."""
    if deadline is None:
        return 0
    if not 1e-6 <= deadline <= 1000 or abs(deadline * 1e6 - round(deadline * 1e6)) > 1e-6 * deadline * 1e6:
        raise ValidationError(f"deadline = {deadline!r} s must be whole microseconds from 1e-6 to 1000 s, or None")
    return round(deadline * 1e6)


def _rounding(graph: Graph, targets: tuple[Target, ...], numbers: Profile) -> Literal["synapse", "shared"]:
    """That of all targets, for weights that are learned."""
    learns = any(projection.rule is not None for projection in graph.projections)
    lacks = any(target.numbers == "integer" and "synapse_rounding" not in target.features for target in targets)
    return "shared" if learns and lacks and numbers.shared else "synapse"


def _target(target: str | Target) -> Target:
    from neuromorph.targets import find

    return target if isinstance(target, Target) else find(target)[1]


def _elaborate(net: Network) -> Graph:
    from neuromorph.elaborate import elaborate

    return elaborate(net)
