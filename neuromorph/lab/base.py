"""What an experiment is made of: bars, conditions, the machine that it runs on, and its outcome."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from neuromorph.durations import steps_of
from neuromorph.errors import ValidationError
from neuromorph.inputs import gather
from neuromorph.stimulus import Stimulus

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from neuromorph.network import Network
    from neuromorph.progress import Progress
    from neuromorph.session import Session
    from neuromorph.trace import Trace

__all__ = ["Bar", "Bench", "Enough", "Experiment", "Machine", "Outcome", "Record", "Result", "Size", "Verdict", "check"]

Size = Literal["full", "board"]


@dataclass(frozen=True, slots=True)
class Bar:
    """What a measure must reach.

    Attributes
    ----------
    measure : str
        Name of the measure.
    relation : str
        ">=" or "<=".
    limit : float
        The limit.
    text : str
        What it means, in a few words.
    guard : bool
        It limits a side effect, so that it holds without the mechanism, too: no control needs to miss it.
    """

    measure: str
    relation: Literal[">=", "<="]
    limit: float
    text: str
    guard: bool = False

    def met(self, measures: Mapping[str, float]) -> bool:
        """Whether the measure reaches the limit; what is not a number does not."""
        value = measures[self.measure]
        return bool(value >= self.limit if self.relation == ">=" else value <= self.limit)

    def to_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return {"measure": self.measure, "relation": self.relation, "limit": self.limit, "text": self.text}


@dataclass(frozen=True, slots=True)
class Result:
    """What one condition of an experiment gave: measures that bars look at, and arrays that the picture shows."""

    measures: Mapping[str, float]
    data: Mapping[str, NDArray[Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Experiment:
    """A phenomenon, how it is shown, and what must come out.

    Attributes
    ----------
    name, title : str
        As in ``neuromorph lab run NAME``; the phenomenon in a line.
    table : str
        A (synapses), B (stability), C (memory).
    source : str
        Paper.
    compression : float
        By which factor times are shorter than in the source; 1 if they are not.
    bars : tuple of Bar
        All must be met.
    controls : mapping of str to tuple of str
        Conditions without the mechanism (off, yoked, shuffled), and the measures whose bars must be missed there. Each
        bar that is not a guard is in one of them.
    network : callable
        ``network(size)``: the network of the experiment, as it is compiled.
    measure : callable
        ``measure(machine, condition)``: runs it; `condition` is None or one of the controls.
    plot : callable
        ``plot(figure, results)``: draws the results by condition, under "experiment" and each control's name.
    """

    name: str
    title: str
    table: Literal["A", "B", "C"]
    source: str
    bars: tuple[Bar, ...]
    controls: Mapping[str, tuple[str, ...]]
    network: Callable[[Size], Network]
    measure: Callable[[Machine, str | None], Result]
    plot: Callable[[Figure, Mapping[str, Result]], None]
    compression: float = 1.0

    def run(self, machine: Machine) -> Outcome:
        """The experiment and its controls on a machine."""
        results = {"experiment": self.measure(machine.at("experiment"), None)}
        for control in self.controls:
            results[control] = self.measure(machine.at(control), control)
        return Outcome(self, machine.target, machine.size, results)


@dataclass(frozen=True, slots=True)
class Verdict:
    """A bar, the value that was measured, and whether it was met; in a control whether it was missed, as it must."""

    condition: str
    bar: Bar
    value: float
    good: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an experiment gave on a target.

    Attributes
    ----------
    experiment : Experiment
        Which.
    target, size : str
        Where, and whether in full or at the size that a board holds.
    results : mapping of str to Result
        By condition: "experiment", and each control.
    """

    experiment: Experiment
    target: str
    size: Size
    results: Mapping[str, Result]

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """Each bar of the experiment, then each bar that a control must miss."""
        measures = self.results["experiment"].measures
        found = [Verdict("experiment", b, measures[b.measure], b.met(measures)) for b in self.experiment.bars]
        for control, missed in self.experiment.controls.items():
            without = self.results[control].measures
            bars = [bar for bar in self.experiment.bars if bar.measure in missed]
            found += [Verdict(control, b, without[b.measure], not b.met(without)) for b in bars]
        return tuple(found)

    @property
    def passed(self) -> bool:
        """All bars are met, and those of the mechanism are missed without it."""
        return all(verdict.good for verdict in self.verdicts)

    def to_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "name": self.experiment.name, "target": self.target, "size": self.size, "passed": self.passed,
            "measures": dict(self.results["experiment"].measures),
            "bar": [bar.to_dict() for bar in self.experiment.bars],
            "control": {name: dict(self.results[name].measures) for name in self.experiment.controls},
        }  # fmt: skip

    def picture(self, path: str | None = None) -> Figure:
        """The picture, written to `path` (.png, .svg, .pdf) if given."""
        from neuromorph.plots import new_figure, save_figure

        figure = new_figure(8.0, 4.0)
        self.experiment.plot(figure, self.results)
        name = f"{self.experiment.name} on {self.target}: {self.experiment.title}"
        figure.suptitle(name, fontsize=11, x=0.01, ha="left")
        return save_figure(figure, path)


@dataclass(frozen=True, slots=True)
class Record:
    """What one run of an experiment left, for comparing machines: the trace, and all state at the end."""

    condition: str
    trace: Trace
    state: Mapping[str, NDArray[np.int64]]


class Enough(Exception):  # noqa: N818
    """A machine has run as many steps as it was asked for; `compare` ends the experiment there."""


class Bench:
    """A session of an experiment: `run` keeps each trace for the comparison of machines.

    Attributes
    ----------
    session : Session
        To read, write, snapshot and restore.
    """

    def __init__(self, session: Session, machine: Machine) -> None:
        self.session, self._machine = session, machine

    def run(self, duration: float, inputs: Mapping[Any, Any] | None = None) -> Trace:
        """Run for a time in seconds; see `Session.run`. Raises `Enough` after the last step that the machine is for."""
        machine, session = self._machine, self.session
        show = partial(machine.progress, machine.condition) if machine.progress else None
        whole = steps_of(duration, session.program.dt)
        steps = whole if machine.left is None else min(whole, machine.left)
        given = inputs if steps == whole else self._first(inputs or {}, whole)
        trace = session.run(steps=steps, inputs=given, progress=show)
        if machine.records is not None:
            state = {} if session.numbers == "float" else session.snapshot().arrays(session.program)
            machine.records.append(Record(machine.condition, trace, state))
        if machine.left == 0:
            raise Enough
        return trace

    def _first(self, inputs: Mapping[Any, Any], steps: int) -> Stimulus:
        """What is sent in a run of `steps` steps, of which a shorter run takes the first."""
        session, program = self.session, self.session.program
        given = {**session.sources, **{getattr(key, "name", key): value for key, value in inputs.items()}}
        found = gather(program.populations, given, session.now, steps, program.dt, program.seed)
        return Stimulus({list(program.populations).index(name): events for name, events in found.items()})

    def weights(self, projection: object) -> NDArray[np.float64]:
        """Weights of a projection in the units of the description: (n_pre, n_post), of a sparse one (nnz,)."""
        return self.session.read(projection, "w", physical=True)


@dataclass(frozen=True, slots=True)
class Machine:
    """Where an experiment runs.

    Attributes
    ----------
    target : str
        Name of the machine.
    size : str
        "full", or "board": what a board with 1 MiB holds.
    held_by : tuple of str
        Compile for these targets together, so that they run one program; `target` alone if empty.
    condition : str
        Part of the experiment that runs, for progress and records.
    progress : callable, optional
        Called with the condition, the steps done and their total.
    records : list of Record, optional
        Takes what each run left.
    most : int, optional
        Steps in all; then `Bench.run` raises `Enough`. Needs `records`.
    again : int
        How often it has all run before: added to the network's seed.
    """

    target: str
    size: Size = "full"
    held_by: tuple[str, ...] = ()
    condition: str = "experiment"
    progress: Progress | None = None
    records: list[Record] | None = None
    most: int | None = None
    again: int = 0

    @property
    def left(self) -> int | None:
        """Steps that it may still run; None without a limit."""
        return None if self.most is None else self.most - sum(record.trace.steps for record in self.records or [])

    def at(self, condition: str) -> Machine:
        """The same machine for another condition."""
        return replace(self, condition=condition)

    @contextmanager
    def open(self, net: Network) -> Iterator[Bench]:
        """The network on this machine, at step 0; what its inputs send by themselves comes with it."""
        from neuromorph.compile import compile as compile_network
        from neuromorph.elaborate import elaborate
        from neuromorph.open import open as open_session
        from neuromorph.targets import find

        held = list(self.held_by or (self.target,))
        source: Any = elaborate(net, net.seed + self.again)
        if find(self.target)[1].numbers != "float":
            source = compile_network(source, targets=held)
        with open_session(source, self.target) as session:
            session.sources.update(net.sources)
            yield Bench(session, self)


def check(experiment: Experiment) -> None:
    """Raise ValidationError unless each bar that is no guard must be missed by some control, and names fit."""
    known = {bar.measure for bar in experiment.bars}
    named = {measure for missed in experiment.controls.values() for measure in missed}
    if named - known:
        raise ValidationError(f"experiment {experiment.name}: its controls name no bar: {', '.join(named - known)}")
    loose = {bar.measure for bar in experiment.bars if not bar.guard} - named
    if loose:
        raise ValidationError(f"experiment {experiment.name}: no control must miss {', '.join(sorted(loose))}")
