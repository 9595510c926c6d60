"""Two traces are equal, or there is a page that shows where and how they are not."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from neuromorph.compare import Difference, First, common, compare
from neuromorph.errors import NeuromorphError
from neuromorph.lockstep import Run, locate
from neuromorph.session import Session
from neuromorph.state import items
from neuromorph.stimulus import Stimulus
from neuromorph.trace import Spikes, States

if TYPE_CHECKING:
    from neuromorph.program import Program
    from neuromorph.trace import Trace
    from pytest_neuromorph.handle import Call, Handle

__all__ = ["BEFORE", "History", "Row", "examine", "within"]

BEFORE = 20
"""Steps before the first difference that a page shows."""
REPEATABLE = 20_000
"""Steps of a run, at most, that is repeated to find the first difference in all states."""


@dataclass(frozen=True, slots=True)
class Row:
    """A step in the history: both machines' values of each variable."""

    step: int
    values: tuple[tuple[int | float, int | float], ...]


@dataclass(frozen=True, slots=True)
class History:
    """The steps before the first difference.

    Attributes
    ----------
    variables : tuple of str
        Heads of the columns.
    rows : tuple of Row
        The last one is the step of the difference.
    note : str
        Where the values come from.
    """

    variables: tuple[str, ...]
    rows: tuple[Row, ...]
    note: str = ""


def within(reference: Trace, got: Trace, tol: float) -> str:
    """How two traces differ by more than `tol`; empty if they do not.

    Sampled states may differ by `tol` in machine units, and so may the number of spikes of each neuron.
    """
    compare(reference, got)  # refuses what cannot be compared
    reference, got = common(reference, got)
    for name, a in reference.items():
        b = got[name]
        if isinstance(a, Spikes) and isinstance(b, Spikes):
            what, gap = "spikes of a neuron", np.abs(a.counts() - b.counts())
        else:
            assert isinstance(a, States)
            assert isinstance(b, States)
            what, gap = a.variable, np.abs(a.values.astype(np.float64) - b.values)
        if gap.size and gap.max() > tol:
            where = a.element(int(np.argmax(gap)) % gap.shape[-1]) if isinstance(a, States) else int(np.argmax(gap))
            return f"{name}: {what} differs by {gap.max():g} at {where}, allowed are {tol:g}"
    return ""


def examine(difference: Difference, handle: Handle | None) -> tuple[First, History]:
    """The first difference in any state, found by repeating the run where that can be done; and what led to it.

    Parameters
    ----------
    difference : Difference
        Not an equal one.
    handle : Handle, optional
        What is on the board; its run is repeated if one of the traces is of it.
    """
    first = difference.first
    assert first is not None
    history = _recorded(difference, first)
    runs = [call for call in handle.calls if call.trace is difference.a or call.trace is difference.b] if handle else []
    if handle is None or len(runs) != 1 or difference.a.stop > REPEATABLE:
        return first, history
    (call,) = runs
    try:
        stimulus = _stimulus(handle, call)
        one = Run("reference", handle.program, lambda: handle.start_reference(call))
        two = Run("board", handle.program, lambda: handle.start_again(call))
        if call.trace is difference.a:
            one, two = two, one
        found = locate(one, two, first, stimulus)
        repeated = _repeated(one, two, found, stimulus)
    except NeuromorphError as error:
        return first, replace(history, note=f"{history.note} It could not be repeated: {error}.")
    return (found, repeated) if repeated else (first, replace(history, note=f"{history.note} {_AGREED}"))


_AGREED = (
    "The run was repeated on the board and on cpu:ref, and this time they agreed: the difference is not reproducible, "
    "is one to another program, or comes from what the test did to the board besides."
)


def _stimulus(handle: Handle, call: Call) -> Stimulus:
    if isinstance(call.inputs, Stimulus):
        return call.inputs
    given = {**handle.sources, **{getattr(key, "name", key): value for key, value in (call.inputs or {}).items()}}
    return Stimulus.of(handle.program, given, call.steps, call.start)


def _recorded(difference: Difference, first: First) -> History:
    """What the probes saw of the neuron or synapse that differs."""
    a, b = difference.a, difference.b
    steps = range(max(a.start + 1, first.step - BEFORE), first.step + 1)
    names = [name for name, column in a.items() if column.object == first.object]
    columns = [[(_seen(t[name], first, step)) for t in (a, b)] for name in names for step in steps]
    table = [columns[k * len(steps) : (k + 1) * len(steps)] for k in range(len(names))]
    rows = tuple(Row(step, tuple((column[k][0], column[k][1]) for column in table)) for k, step in enumerate(steps))
    return History(tuple(a[name].variable for name in names), rows, "What the probes of the run saw.")


def _seen(column: Spikes | States, first: First, step: int) -> int | float:
    """The value of a probe at a step; of a state at its last sample, of a spike its payload."""
    if isinstance(column, Spikes):
        hit = np.flatnonzero((column.steps == step) & (column.indices == first.element))
        return 0 if not hit.size else 1 if column.payloads is None else int(column.payloads[hit[0]])
    row = int(np.searchsorted(column.steps, step, side="right")) - 1
    where = next((k for k in range(column.values.shape[1]) if column.element(k) == first.element), None)
    return float("nan") if row < 0 or where is None else column.values[row, where].item()


def _repeated(one: Run, two: Run, first: First, stimulus: Stimulus) -> History | None:
    """Both machines again, step by step over the last steps, with all states of the neuron or synapse.

    None if they agree at the end.
    """
    watched = _watched(one.program, first)
    rows = []
    with one.start() as a, two.start() as b:
        begin = max(a.now, first.step - BEFORE)
        for session in (a, b):
            session.run(steps=begin - session.now, inputs=stimulus)
        for step in range(begin, first.step + 1):
            if step > begin:
                for session in (a, b):
                    session.run(steps=1, inputs=stimulus)
            pairs = tuple((_value(a, *what), _value(b, *what)) for what in watched)
            rows.append(Row(step, pairs))
    if all(x == y for x, y in rows[-1].values):
        return None
    return History(tuple(name for name, *_ in watched), tuple(rows), "The run was repeated on both machines.")


def _watched(program: Program, first: First) -> list[tuple[str, str, str, int]]:
    """(head of the column, object, variable, flat element) of what belongs to the neuron or synapse."""
    found = []
    where = first.element if isinstance(first.element, tuple) else (first.element,)
    for item in items(program):
        if item.object == first.object and item.variable not in ("ring", "plastic", "adapt"):
            at = _flat(program, item.object, item.variable, item.shape, where)
            if at is not None:
                found.append((item.variable, item.object, item.variable, at))
    if first.object in program.projections and len(where) > 1:
        post = program.projections[first.object].post
        have = {(item.object, item.variable) for item in items(program)}
        found += [(f"{v} of {post}[{where[1]}]", post, v, where[1]) for v in ("u", "v") if (post, v) in have]
    return found


def _flat(program: Program, name: str, variable: str, shape: tuple[int, ...], where: tuple[int, ...]) -> int | None:
    """Flat index of a neuron's or synapse's value in an item; None if the item has none for it."""
    if len(where) == 1:
        return where[0] if len(shape) == 1 and where[0] < shape[0] else None
    if variable in ("w", "tag_1", "tag_2"):
        if len(shape) == 2:
            return int(np.ravel_multi_index(where, shape))
        proj = program.projections[name]
        assert proj.indices is not None
        hit = np.flatnonzero((proj.pre_of == where[0]) & (proj.indices == where[1]))
        return int(hit[0]) if hit.size else None
    return where[0] if variable[-2:] in ("tx", "x1", "x2") else where[1]


def _value(session: Session, _head: str, name: str, variable: str, at: int) -> int:
    return int(session.read(name, variable).ravel()[at])
