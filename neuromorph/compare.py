"""Compare two traces: equal to the bit, or where they first differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neuromorph.errors import ValidationError
from neuromorph.trace import Gap, Spikes, States, Trace

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.figure import Figure

    from neuromorph.state import Item

__all__ = ["CAUSES", "Difference", "First", "compare", "compare_values"]

_GAPS_NAMED = 3
CAUSES = (
    "u", "theta", "refr", "v", "spikes", "stp_u", "stp_x", "since", "ring", "tx", "ty", "x1", "x2", "y1", "y2", "y3",
    "tag_1", "tag_2", "w", "adapt", "plastic",
)  # fmt: skip
"""Variables in the order in which a step changes them: the first that differs is nearest to the cause."""


@dataclass(frozen=True, slots=True)
class First:
    """The earliest value that differs.

    Attributes
    ----------
    step : int
        Step at whose end it was seen; 0 is the initial state.
    object, variable : str
        The user's name of the population or projection, and the variable.
    element : int or tuple of int
        Neuron, or (pre, post) of a synapse.
    value_a, value_b : int or float
        The values in the first and in the second trace; of a spike its payload, 0 for no spike.
    """

    step: int
    object: str
    element: int | tuple[int, ...]
    variable: str
    value_a: int | float
    value_b: int | float

    def __str__(self) -> str:
        index = ", ".join(map(str, self.element)) if isinstance(self.element, tuple) else self.element
        return f"step {self.step}, {self.object}[{index}], {self.variable}: {self.value_a} / {self.value_b}"


@dataclass(frozen=True, slots=True)
class Difference:
    """The result of a comparison.

    Attributes
    ----------
    a, b : Trace
        What was compared.
    values_compared : int
        Number of values, a neuron that is silent in a step counts as one.
    first : First or None
        The earliest difference; within a step in the order of `CAUSES`.
    count : dict
        Number of values that differ, by the probe's name; only probes with differences.
    note : str
        What else there is to know: that the programs differ, what one of the traces lacks.
    missing : tuple of Gap
        Stretches that were not compared, as a trace of a run at pace real lacks them.
    """

    a: Trace = field(repr=False)
    b: Trace = field(repr=False)
    values_compared: int
    first: First | None
    count: dict[str, int]
    note: str = ""
    missing: tuple[Gap, ...] = ()

    @property
    def equal(self) -> bool:
        """No value differs, of those that both traces have: see `missing`."""
        return self.first is None

    def explain(self) -> str:
        """The verdict in words, with the user's names."""
        names = f"{self.a.target} and {self.b.target}"
        steps = f"steps {self.a.start + 1}..{self.a.stop}"
        lines = []
        if self.first is None:
            lines.append(f"equal: {names}, {self.values_compared} values over {steps} ({', '.join(self.a)})")
        else:
            lines.append(f"different: {names}, first at {self.first}  (t = {self.first.step * self.a.dt:g} s)")
            lines.extend(f"  {name}: {count} values differ" for name, count in self.count.items())
        lines.extend(f"  {line}" for line in self.note.splitlines())
        return "\n".join(lines)

    def plot(self, path: str | Path | None = None) -> Figure:
        """Both rasters over each other, the first difference marked; written to `path` (.png, .svg) if given."""
        from neuromorph.plots import plot_difference

        return plot_difference(self, path)

    def __str__(self) -> str:
        return self.explain()


def compare(a: Trace, b: Trace) -> Difference:
    """Compare two traces value by value.

    Parameters
    ----------
    a, b : Trace
        Over the same steps and probes; of the same program, or of two programs of one layout.

    Returns
    -------
    Difference
        Whose `equal` is true only if every value of every probe is. What a trace lacks because its machine could not
        send it at pace real is no difference: it is not compared, counted in `missing`, and named.

    Raises
    ------
    ValidationError
        The traces cannot be compared; says what does not fit.
    """
    _check_comparable(a, b)
    x, y = common(a, b)
    firsts, count, total = [], {}, 0
    for name, column in x.items():
        size, differing, first = _columns(column, y[name], x)
        total += size
        if first is not None:
            count[name] = differing
            firsts.append(first)
    notes = [] if a.digest == b.digest else [f"the programs differ: {a.digest[:12]} / {b.digest[:12]}"]
    notes += [line for trace in (a, b) for line in _losses(trace)]
    return Difference(a, b, total, earliest(firsts), count, "\n".join(notes), x.missing)


def common(a: Trace, b: Trace) -> tuple[Trace, Trace]:
    """Both without what either lacks."""
    return a.without(b.missing) if b.missing else a, b.without(a.missing) if a.missing else b


def _losses(trace: Trace) -> Iterator[str]:
    if trace.missing:
        places = ", ".join(f"{gap.first}..{gap.last}" for gap in trace.missing[:_GAPS_NAMED])
        more = len(trace.missing) - _GAPS_NAMED
        places += f" and {more} more" if more > 0 else ""
        yield f"not compared: {trace.target} could not send the records of {trace.dropped} steps ({places})"
    late = trace.counters.get("late_inputs", 0)
    if late:
        yield f"{late} input records came to {trace.target} after their step, and had no effect there"


def earliest(firsts: list[First]) -> First | None:
    """The first in time, then in the order of causes."""
    return min(firsts, key=lambda f: (f.step, CAUSES.index(f.variable)), default=None)


def _check_comparable(a: Trace, b: Trace) -> None:
    if not (isinstance(a, Trace) and isinstance(b, Trace)):
        raise ValidationError(f"compare takes two traces, not {type(a).__name__} and {type(b).__name__}")
    for what in ("numbers", "semantics", "dt", "start", "stop"):
        x, y = getattr(a, what), getattr(b, what)
        if x != y:
            raise ValidationError(
                f"the traces cannot be compared: {what} is {x} on {a.target} and {y} on {b.target}{_hint(what, a, b)}"
            )
    if list(a) != list(b):
        odd = sorted(set(a) ^ set(b)) or list(a)
        raise ValidationError(f"the traces cannot be compared: probes differ ({', '.join(odd)})")
    for name in a:
        x, y = a[name], b[name]
        shapes = [c.n if isinstance(c, Spikes) else c.shape for c in (x, y)]
        if shapes[0] != shapes[1] or (x.every, x.phase) != (y.every, y.phase) or x.variable != y.variable:
            raise ValidationError(f"the traces cannot be compared: {name} has {shapes[0]} and {shapes[1]} elements")


def _hint(what: str, a: Trace, b: Trace) -> str:
    if what == "numbers":
        return "; an ideal model in floats has no bits in common with an integer machine: compare rates instead"
    if what in ("start", "stop"):
        return f"; trace.part({max(a.start, b.start)}, {min(a.stop, b.stop)}) gives what both have"
    return ""


def _columns(a: Spikes | States, b: Spikes | States, trace: Trace) -> tuple[int, int, First | None]:
    """Values compared, values that differ, and the first of them."""
    if isinstance(a, Spikes) and isinstance(b, Spikes):
        return a.n * trace.seen(a), *_spikes(a, b)
    if isinstance(a, States) and isinstance(b, States):
        return int(a.values.size), *_states(a, b)
    raise ValidationError(
        f"the traces cannot be compared: {a.name} is {a.variable} in one and {b.variable} in the other"
    )


def _spikes(a: Spikes, b: Spikes) -> tuple[int, First | None]:
    same = np.array_equal(a.steps, b.steps) and np.array_equal(a.indices, b.indices)
    if same and np.array_equal(_payloads(a), _payloads(b)):
        return 0, None
    keys_a, keys_b = a.steps * a.n + a.indices, b.steps * b.n + b.indices
    keys = np.union1d(keys_a, keys_b)
    values = np.zeros((2, keys.size), dtype=np.int64)
    values[0, np.searchsorted(keys, keys_a)] = _payloads(a)
    values[1, np.searchsorted(keys, keys_b)] = _payloads(b)
    wrong = np.flatnonzero(values[0] != values[1])
    if not wrong.size:
        return 0, None
    k = int(wrong[0])
    step, neuron = divmod(int(keys[k]), a.n)
    return int(wrong.size), First(step, a.object, neuron, "spikes", int(values[0, k]), int(values[1, k]))


def _payloads(column: Spikes) -> NDArray[np.int64]:
    return np.ones(column.steps.size, np.int64) if column.payloads is None else column.payloads


def _states(a: States, b: States) -> tuple[int, First | None]:
    if np.array_equal(a.values, b.values):
        return 0, None
    wrong = a.values != b.values
    row = int(np.flatnonzero(wrong.any(axis=1))[0])
    k = int(np.flatnonzero(wrong[row])[0])
    first = First(
        int(a.steps[row]), a.object, a.element(k), a.variable, a.values[row, k].item(), b.values[row, k].item()
    )  # fmt: skip
    return int(np.count_nonzero(wrong)), first


def compare_values(
    layout: Mapping[Item, tuple[NDArray[Any], NDArray[Any]]],
    step: int,
    synapses: Mapping[str, tuple[NDArray[np.int64], NDArray[np.int64]]],
) -> Iterator[First]:
    """The first difference in each state item at the end of a step.

    Parameters
    ----------
    layout : mapping
        Both machines' values of each item.
    step : int
        The step that they belong to.
    synapses : mapping
        (pre, post) of each weight of sparse projections, by name.
    """
    for item, (x, y) in layout.items():
        wrong = np.argwhere(x != y)
        if wrong.size:
            at = tuple(int(k) for k in wrong[0])
            element: int | tuple[int, ...] = at if len(at) > 1 else at[0]
            if item.object in synapses and item.variable in ("w", "tag_1", "tag_2", "stp_u", "stp_x"):
                pre, post = synapses[item.object]
                element = int(pre[at[0]]), int(post[at[0]])
            elif item.variable == "ring":
                element = at[1]
            yield First(step, item.object, element, item.variable, int(x[at]), int(y[at]))
