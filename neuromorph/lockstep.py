"""One program on several machines: run them all, compare all they do, and find the step at which one goes astray."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neuromorph.compare import Difference, First, compare, compare_values, earliest
from neuromorph.errors import CapacityError, KnownDifferenceError, NeuromorphError, TargetError, ValidationError
from neuromorph.program import Probe
from neuromorph.progress import Progress
from neuromorph.session import Session
from neuromorph.stimulus import Stimulus

if TYPE_CHECKING:
    from neuromorph.program import Program
    from neuromorph.state import Item, State
    from neuromorph.trace import Trace

__all__ = ["Outcome", "Run", "check", "program_changes"]

Values = dict["Item", NDArray[np.int64]]
WATCHED = 1 << 18
"""Neurons times steps that are compared at once."""


@dataclass(frozen=True, slots=True)
class Run:
    """A program on a target: `label` for people, `start` opens a fresh session."""

    label: str
    program: Program
    start: Callable[[], Session]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the comparison of several runs gave.

    Attributes
    ----------
    labels : tuple of str
        The runs; each is compared with the first.
    traces : tuple of Trace
        What each recorded.
    differences : tuple of Difference
        Of each run but the first with the first one, traces and final states.
    steps, values_compared : int
        Steps of the run; values compared in all pairs.
    first : First or None
        The earliest difference of the first pair that differs, at the resolution of single steps and all states.
    astray : int
        Which run `first.value_b` belongs to; 0 if none differs.
    changes : str
        How the programs differ, where they do.
    allowed : dict
        By run: why it stopped before the end, where it is known to differ and allowed to; it is compared up to there.
    """

    labels: tuple[str, ...]
    traces: tuple[Trace, ...]
    differences: tuple[Difference, ...]
    steps: int
    values_compared: int
    first: First | None
    astray: int = 0
    changes: str = ""
    allowed: dict[str, str] = field(default_factory=dict)

    @property
    def equal(self) -> bool:
        """All runs gave the same values."""
        return self.first is None

    def to_dict(self) -> dict[str, object]:
        """For JSON: equal, targets, steps, values_compared, first; and `allowed`, if a run stopped early."""
        first = None
        if self.first is not None:
            element = self.first.element
            first = {
                "step": self.first.step, "object": self.first.object,
                "element": list(element) if isinstance(element, tuple) else element, "variable": self.first.variable,
                "values": {self.labels[0]: self.first.value_a, self.labels[self.astray]: self.first.value_b},
            }  # fmt: skip
        found = {
            "equal": self.equal, "targets": list(self.labels), "steps": self.steps,
            "values_compared": self.values_compared, "first": first,
        }  # fmt: skip
        return found | ({"allowed": self.allowed} if self.allowed else {})


def check(
    runs: list[Run], steps: int, inputs: Mapping[Any, Any] | Stimulus | None = None, progress: Progress | None = None
) -> Outcome:
    """Run all, compare traces and final states, and locate the first difference.

    Parameters
    ----------
    runs : list of Run
        At least two, of programs of one layout.
    steps : int
        Steps from 0 on.
    inputs : mapping or Stimulus, optional
        As for `Session.run`; the same spikes go to all.
    progress : callable, optional
        Called with (label, steps done, steps in all).

    Raises
    ------
    ValidationError
        The programs have different populations, projections or probes.
    NeuromorphError
        A machine failed.
    """
    if len(runs) < 2:
        raise ValidationError("a comparison needs at least two runs: two targets, or two programs")
    stimulus = inputs if isinstance(inputs, Stimulus) else Stimulus.of(runs[0].program, inputs or {}, steps)
    traces: list[Trace] = []
    states: list[State | None] = []
    allowed: dict[str, str] = {}
    for run in runs:
        with run.start() as session:
            report = (lambda done, total, label=run.label: progress(label, done, total)) if progress else None
            try:
                trace = session.run(steps=steps, inputs=stimulus, progress=report)
                states.append(session.snapshot())
            except KnownDifferenceError as error:
                if session.partial is None or not traces:  # the first run is what all others are measured by
                    raise
                trace = session.partial
                states.append(None)
                allowed[run.label] = str(error)
            traces.append(replace(trace, target=run.label))
    differences, total, found, astray = [], 0, None, 0
    for k in range(1, len(runs)):
        known = traces[0].part(traces[k].start, traces[k].stop) if states[k] is None else traces[0]
        difference, size = _with_states(compare(known, traces[k]), runs[0], runs[k], states[0], states[k])
        differences.append(difference)
        total += size
        if difference.first is not None and found is None:
            found, astray = locate(runs[0], runs[k], difference.first, stimulus), k
    for k in range(1, len(runs)) if found is None else ():
        if runs[k].program.digest != runs[0].program.digest and found is None:
            hidden = _hidden(runs[0], runs[k], steps, stimulus)
            if hidden is not None:
                found, astray = hidden.first, k
                differences[k - 1] = replace(differences[k - 1], first=hidden.first, count=hidden.count)
    suspects = runs[astray : astray + 1] if astray else runs[1:]
    changes = next(filter(None, (program_changes(runs[0].program, run.program) for run in suspects)), "")
    return Outcome(
        tuple(run.label for run in runs), tuple(traces), tuple(differences), steps, total, found, astray, changes,
        allowed,
    )  # fmt: skip


def _hidden(a: Run, b: Run, steps: int, stimulus: Stimulus) -> Difference | None:
    """How the neurons of two different programs differ at any step, where neither probes nor final states show it.

    A changed weight may move a current that a reset clears again. None if no neuron differs, or if a machine has no
    room for the probes.
    """
    try:
        with a.start() as one, b.start() as two:
            pair = [_watched(run.program, session) for run, session in ((a, one), (b, two))]
            per_step = sum(pop.n for pop in a.program.populations.values()) * len(pair)
            while (left := steps - pair[0].now) > 0:
                some = min(left, max(1, WATCHED // per_step))
                difference = compare(*(session.run(steps=some, inputs=stimulus) for session in pair))
                if difference.first is not None:
                    return difference
    except CapacityError:
        pass
    return None


def _watched(program: Program, session: Session) -> Session:
    """The program with a probe on every state of its neurons, on the machine of a session."""
    held = [item for item in session.items if item.object in program.populations and item.variable != "adapt"]
    probes = tuple(Probe(item.name, item.object, item.variable) for item in held)
    watched = replace(program, probes=probes, report=None)
    session.engine.load(watched.image)
    return Session(watched, session.engine)


def _with_states(
    difference: Difference, a: Run, b: Run, state_a: State | None, state_b: State | None
) -> tuple[Difference, int]:
    """The difference of the traces, completed by that of the final states; and the number of values compared."""
    if state_a is None or state_b is None:
        return difference, difference.values_compared
    pairs = _pairs(_values(a.program, state_a), _values(b.program, state_b))
    size = difference.values_compared + sum(item.count for item in pairs)
    firsts = list(compare_values(pairs, state_a.step, _synapses(a.program)))
    if not firsts:
        return replace(difference, values_compared=size), size
    count = dict(difference.count)
    for item, (x, y) in pairs.items():
        if np.any(x != y):
            count[f"{item.name} at the end"] = int(np.count_nonzero(x != y))
    first = earliest([*firsts, *([difference.first] if difference.first else [])])
    return replace(difference, values_compared=size, first=first, count=count), size


def _values(program: Program, state: State) -> Values:
    arrays = state.arrays(program)
    return {item: arrays[item.name] for item, _ in state.split(program)}


def _pairs(a: Values, b: Values) -> dict[Item, tuple[NDArray[np.int64], NDArray[np.int64]]]:
    # Ranges may differ between two programs of one layout; what and where it is must not.
    if [(i.name, i.shape) for i in a] != [(i.name, i.shape) for i in b]:
        raise ValidationError(
            "the programs hold different state (populations, rules or delays); they cannot be compared"
        )
    return {item: (x, y) for (item, x), y in zip(a.items(), b.values(), strict=True)}


def _synapses(program: Program) -> dict[str, tuple[NDArray[np.int64], NDArray[np.int64]]]:
    return {p.name: (p.pre_of, p.indices) for p in program.projections.values() if p.indices is not None}


def locate(a: Run, b: Run, seen: First, stimulus: Stimulus) -> First:
    """The first difference in any state, at or before one that was `seen` in a trace, by bisection with snapshots.

    Probes see only some variables at some steps, and a wrong current shows as a spike much later. Values that differ
    from the start on (a weight that was changed) are the cause, not the first effect: they are left aside, unless
    nothing else differs.
    """
    try:
        with a.start() as one, b.start() as two:
            return _bisect(one, two, seen, stimulus)
    except NeuromorphError as error:
        if isinstance(error, (TargetError, ValidationError)):
            return seen
        raise


def _bisect(one: Session, two: Session, seen: First, stimulus: Stimulus) -> First:
    low, low_states = one.now, (one.snapshot(), two.snapshot())
    initial = {item: x != y for item, (x, y) in _both(one, two, low_states).items()}
    high, found = seen.step, seen
    while high - low > 1:
        middle = (low + high) // 2
        states = _advance(one, two, low_states, middle, stimulus)
        first = _first_new(one, two, states, initial)
        if first is None:
            low, low_states = middle, states
        else:
            high, found = middle, first
    if high == seen.step and high > low:
        first = _first_new(one, two, _advance(one, two, low_states, high, stimulus), initial)
        found = earliest([seen, first]) or seen if first else seen
    return found


def _advance(
    one: Session, two: Session, states: tuple[State, State], step: int, stimulus: Stimulus
) -> tuple[State, State]:
    """Both machines from `states` to `step`."""
    found = []
    for session, state in zip((one, two), states, strict=True):
        session.restore(state)
        session.run(steps=step - state.step, inputs=stimulus)
        found.append(session.snapshot())
    return found[0], found[1]


def _both(one: Session, two: Session, states: tuple[State, State]) -> dict[Item, tuple[NDArray[Any], NDArray[Any]]]:
    return _pairs(_values(one.program, states[0]), _values(two.program, states[1]))


def _first_new(
    one: Session, two: Session, states: tuple[State, State], initial: Mapping[Item, NDArray[np.bool_]]
) -> First | None:
    """The first cause among the values that were equal at the start and differ now.

    What is on its way in a ring is left to the step at which it arrives: there it has a neuron and a meaning.
    """
    both = {item: pair for item, pair in _both(one, two, states).items() if item.variable != "ring"}
    pairs = {item: (x, np.where(initial[item], x, y)) for item, (x, y) in both.items()}
    return earliest(list(compare_values(pairs, states[0].step, _synapses(one.program))))


def program_changes(a: Program, b: Program) -> str:
    """How two programs of one layout differ, in words; empty if they are the same."""
    if a.digest == b.digest:
        return ""
    found = []
    for name, proj in a.projections.items():
        other = b.projections.get(name)
        if other is not None and other.weights.shape == proj.weights.shape:
            wrong = np.argwhere(proj.weights != other.weights)
            if wrong.size:
                at = tuple(wrong[0])
                where = tuple(int(k) for k in at)
                if proj.indices is not None:
                    where = int(proj.pre_of[at[0]]), int(proj.indices[at[0]])
                more = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
                found.append(f"{name}.weights[{where[0]}, {where[1]}]: {proj.weights[at]} / {other.weights[at]}{more}")
    return "; ".join(found) or "parameters other than weights"
