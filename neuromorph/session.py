"""Session: run, read, write, snapshot and restore a program on a machine; the same class whatever the machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from neuromorph.durations import MAX_STEP, PERIOD_MOST, microseconds_of, steps_of
from neuromorph.engine import Accounting, Engine, Storing
from neuromorph.errors import CapacityError, NeuromorphError, TargetError, UnsupportedError, ValidationError
from neuromorph.parameters import as_numbers, keywords
from neuromorph.program import Program
from neuromorph.recorder import Recorder
from neuromorph.state import Item, State, checked, items
from neuromorph.stimulus import Stimulus
from neuromorph.validate import nearest

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

    from neuromorph.engine import GraphEngine, Pacing
    from neuromorph.report import Section
    from neuromorph.store import Store, Stored
    from neuromorph.trace import Gap, Trace

__all__ = ["Pace", "Progress", "Session"]

Pace = Literal["free", "real"]
Progress = Callable[[int, int], None]
"""Called with the steps done in this run and their total."""


class Session:
    """A program on a machine.

    Made by `open`; a context manager, so that the machine is freed at its end. All integers are those of
    ``docs/semantics.md``; ``physical=True`` converts to and from the units of the description.

    Parameters
    ----------
    program : Program
        The program; the engine holds its image already.
    engine : Engine
        The machine.
    numbers : str
        "integer", or "float" for a machine that computes in floats.
    sources : mapping, optional
        What inputs send, by name, in a run that gives them nothing else.

    Attributes
    ----------
    partial : Trace or None
        What was recorded until the last run was interrupted; the error carries it too, as ``error.trace``.
    """

    def __init__(
        self,
        program: Program,
        engine: Engine,
        numbers: Literal["integer", "float"] = "integer",
        sources: Mapping[str, Any] | None = None,
    ) -> None:
        self.program, self.numbers, self.target = program, numbers, engine.target
        self.sources = dict(sources or {})
        self.items = items(program)
        self.partial: Trace | None = None
        self._engine: Engine | None = engine
        self._index = {(item.object, item.variable): k for k, item in enumerate(self.items)}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Free the machine. May be called twice."""
        if self._engine is not None:
            engine, self._engine = self._engine, None
            engine.close()

    @property
    def engine(self) -> Engine:
        """The machine; TargetError if the session is closed."""
        if self._engine is None:
            raise TargetError(f"the session on {self.target} is closed; open a new one")
        return self._engine

    @property
    def now(self) -> int:
        """The last step done."""
        with self._machine("asked for its step"):
            return self.engine.now()

    @property
    def counters(self) -> dict[str, int]:
        """Work done since the program was loaded: spikes, synaptic_events, plastic_updates; machines may add more."""
        with self._machine("asked for its counters"):
            return self.engine.counters()

    @property
    def store(self) -> Store:
        """What the machine keeps for the time without power; UnsupportedError where it keeps nothing."""
        from neuromorph.store import Store

        if not isinstance(self.engine, Storing):
            raise UnsupportedError(f"{self.target} stores nothing: save snapshot() to a file, or use a board")
        return Store(self.engine)

    def persist(self, *, alone: bool | float = False, every: float | None = None, trial: bool = False) -> Stored:
        """Store the program with its present state on the machine: after a loss of power it goes on from there.

        Called again, it stores the state of then; a program that is stored already is not written again. At any moment
        of it the power may fail: the machine has what was stored before, or all of this.

        Parameters
        ----------
        alone : bool or float
            From its start on the machine runs by itself, a step every dt, or every so many seconds. Else it waits for a
            host (`neuromorph.open` with ``attach=True``).
        every : float, optional
            Seconds of the network's time, a whole number of steps, after which the machine stores its state by itself
            while it runs.
        trial : bool
            The program is tried at the next start. Unless `Store.confirm` is called until the start after that, the
            program that was stored before counts again.

        Returns
        -------
        Stored
            What the machine has stored then.

        Raises
        ------
        UnsupportedError, TargetError
            The machine keeps nothing; its flash fails.
        CapacityError
            Program or state is too large for it.
        """
        store, dt = self.store, self.program.dt
        period = microseconds_of(dt if alone is True else float(alone))
        steps = 0 if every is None else steps_of(every, dt)
        if every is not None and not 0 < steps <= MAX_STEP:
            most = f"{MAX_STEP * dt:g} s, {MAX_STEP} steps"
            raise ValidationError(f"every = {every!r} s must be at least one step, {dt:g} s, and at most {most}")
        with self._machine("storing its program"):
            store.engine.persist(period, steps, trial=trial)
            return store.info()

    def leave(self, period: float | None = None) -> None:
        """Have the machine run on by itself, a step every dt or every `period` seconds, and end the session.

        `neuromorph.open` with ``attach=True`` finds it again; UnsupportedError where it cannot run alone.
        """
        engine = self.store.engine
        with self._machine("left to itself"):
            engine.leave(microseconds_of(self.program.dt if period is None else period))
        self.close()

    @contextmanager
    def _machine(self, doing: str) -> Iterator[None]:
        """What breaks below a machine becomes an error that names it."""
        try:
            yield
        except (OSError, EOFError) as error:
            raise TargetError(f"{self.target} failed while it was {doing}: {error}") from error

    # ------------------------------------------------------------------------------------------- running

    @keywords
    def run(
        self,
        duration: float | None = None,
        *,
        steps: int | None = None,
        inputs: Mapping[Any, Any] | Stimulus | None = None,
        progress: Progress | None = None,
        pace: Pace = "free",
        period: float | None = None,
    ) -> Trace:
        """Run on from the present step.

        Parameters
        ----------
        duration : float, optional
            Seconds, a whole number of steps; or give `steps`.
        steps : int, optional
            Number of steps.
        inputs : mapping or Stimulus, optional
            What each input sends, by its handle or name; others send what the network says, or nothing. Step 1 of a
            source is the first step of this run; a `Stimulus` knows the steps since the program's start.
        progress : callable, optional
            Called now and then with (steps done, steps in all).
        pace : str
            "free": the machine waits for its host, and nothing is lost. "real": a step begins every `period` by the
            machine's own clock and waits for nobody, even if the host goes away. What the line then does not take of
            the records is dropped, whole steps at a time, and counted: `Trace.missing`. `counters` has "recorded" and
            "dropped" (steps whose records were kept for the host, or not), "late_inputs" (input records that came after
            their step, and had no effect) and "overruns" (steps that began a whole period late).
        period : float, optional
            Seconds of a step at pace real, 1 µs to 1000 s; dt if not given.

        Returns
        -------
        Trace
            Of exactly these steps; at pace real without those in `Trace.missing`.

        Raises
        ------
        ValidationError
            A duration, an input or a name that cannot be.
        UnsupportedError
            The machine has no clock that its steps could follow.
        CapacityError
            What is sent or recorded does not fit into this computer's memory.
        TargetError, LinkError
            The machine failed; what it had recorded is in ``error.trace`` and `partial`.
        """
        count = self._count(duration, steps)
        real = self._period(pace, period)
        start = self.now
        if start + count > MAX_STEP:
            raise ValidationError(f"{count} steps from step {start} on would pass the last step, {MAX_STEP}")
        self.partial = None
        if progress is not None and not callable(progress):
            raise ValidationError(f"progress = {progress!r:.60}: a function (steps done, steps in all) is needed")
        with self._memory(count):
            return self._run(start, count, {} if inputs is None else inputs, progress, real)

    def _run(
        self, start: int, count: int, inputs: Mapping[Any, Any] | Stimulus, progress: Progress | None, real: int
    ) -> Trace:
        """`run` of checked numbers; `real` are microseconds of a step, 0 at pace free."""
        records = self._records(inputs, start, count)
        recorder = Recorder(self.program, start, count, self.numbers, gaps=real > 0)
        before = self.counters
        report = (lambda step: progress(step - start, count)) if progress else None
        try:
            with self._machine("running"):
                if real:
                    cast("Pacing", self.engine).run(count, records, recorder.feed, report, period=real)
                else:
                    self.engine.run(count, records, recorder.feed, report)
            if self.now != start + count:
                raise TargetError(f"{self.target} stopped at step {self.now}; the run was to end at {start + count}")
            after = self.counters
            done = {key: value - before.get(key, 0) for key, value in after.items()}
            return recorder.trace(self.target, counters=done, missing=self._gaps(recorder))
        except BaseException as error:
            self._keep_partial(recorder, error)
            raise

    @contextmanager
    def _memory(self, steps: int) -> Iterator[None]:
        """What does not fit into this computer's memory becomes an error that says how much it is."""
        try:
            yield
        except MemoryError as error:
            probes = [p for p in self.program.probes if p.variable != "spikes"]
            held = [(self.items[self._index[p.object, p.variable]], p.every) for p in probes]
            size = sum(item.size * (steps // every) for item, every in held)
            full = CapacityError(
                f"{steps} steps of {self.program.name!r} do not fit into this computer's memory: samples of its "
                f"{len(probes)} probes of states take {size / 2**20:.1f} MiB, spikes come on top; run fewer steps at a "
                "time, or give probes every="
            )
            full.trace = self.partial
            raise full from error

    def _period(self, pace: str, period: float | None) -> int:
        """Microseconds of a step at pace real, 0 at pace free."""
        if pace not in ("free", "real"):
            raise ValidationError(f"pace = {pace!r} must be 'free' (the machine waits for its host) or 'real'")
        if pace == "free":
            if period is not None:
                raise ValidationError(f"period = {period!r} s has no meaning at pace 'free'; add pace='real'")
            return 0
        if not hasattr(self.engine, "gaps"):  # asked so, as an engine may be wrapped in another
            raise UnsupportedError(f"{self.target} has no clock that steps could follow: pace='real' is for boards")
        found = microseconds_of(self.program.dt if period is None else period)
        if not found:
            raise ValidationError(f"period = {period!r} s: it must be between 1 µs and {PERIOD_MOST} s")
        return found

    def _gaps(self, recorder: Recorder) -> tuple[Gap, ...]:
        return cast("Pacing", self.engine).gaps if recorder.gaps else ()

    def account(self, trace: Trace) -> Section | None:
        """What a run of this session costs on the machine that its target stands for; None if that cannot be told."""
        if not isinstance(self.engine, Accounting):
            return None
        return self.engine.account(trace.counters, trace.steps)

    def _records(self, inputs: Mapping[Any, Any] | Stimulus, start: int, steps: int) -> bytes:
        """Input records of steps start + 1 .. start + steps."""
        if isinstance(inputs, Stimulus):
            return inputs.records(start, steps)
        if not isinstance(inputs, Mapping):
            raise ValidationError(
                f"inputs = {inputs!r:.60}: a dict is needed, such as {{'noise': nm.Poisson(50 * Hz)}}, or a Stimulus"
            )
        given = {**self.sources, **{_name(key): value for key, value in inputs.items()}}
        if not given:
            return b""
        from neuromorph.inputs import collect

        return collect(self.program, given, start, steps)

    def _keep_partial(self, recorder: Recorder, error: BaseException) -> None:
        try:
            self.partial = recorder.trace(self.target, complete=False, missing=self._gaps(recorder))
        except TargetError:  # records that contradict each other; the error under way says so
            return
        if isinstance(error, NeuromorphError):
            error.trace = self.partial

    def _count(self, duration: float | None, steps: int | None) -> int:
        if (duration is None) == (steps is None):
            both = "; give one of them, not both" if steps is not None else ""
            raise ValidationError(f"a run needs either a duration in seconds or a number of steps{both}")
        if duration is not None:
            return steps_of(duration, self.program.dt)
        if not isinstance(steps, (int, np.integer)) or isinstance(steps, bool) or steps < 0:
            raise ValidationError(f"steps = {steps!r} must be a whole number >= 0")
        return int(steps)

    def reset(self) -> None:
        """Back to step 0 with the program's initial state."""
        with self._machine("reset"):
            self.engine.reset()

    # ------------------------------------------------------------------------------------------- state

    def read(self, obj: object, variable: str, *, physical: bool = False) -> NDArray[Any]:
        """A variable of a population, projection or modulator as it is now.

        Parameters
        ----------
        obj : handle or str
            Population, projection or modulator.
        variable : str
            u, v, refr, theta, threshold, adapt; w, tag_1, tag_2, x1, x2, y1, y2, y3, tx, ty, ring, plastic,
            stp_u, stp_x, since; m.
        physical : bool
            Convert to the units of the description (float64).

        Returns
        -------
        numpy.ndarray
            int64; shape (n,) for neurons and traces, (n_pre, n_post) or, sparse, (nnz,) for weights and tags.

        Raises
        ------
        ValidationError
            The object or the variable does not exist.
        """
        name = _name(obj)
        values = self._read(name, variable)
        if not physical or self.numbers == "float":
            return values
        return values * self.scale(name, variable)

    def _read(self, name: str, variable: str) -> NDArray[Any]:
        if self.numbers == "float":
            return cast("GraphEngine", self.engine).read(name, variable)
        pop, proj = self.program.populations.get(name), self.program.projections.get(name)
        if variable == "threshold" and pop is not None and pop.kind != "input":
            base = pop.per_neuron("vth") << 6
            return base + (self._read(name, "theta") >> pop.theta_frac) if pop.adaptive else base.copy()
        if variable == "w" and proj is not None and proj.rule is None:
            return proj.weights.copy()
        item = self._item(name, variable)
        with self._machine(f"asked for {item.name}"):
            data = self.engine.read_item(self._index[name, variable], 0, item.count)
        if len(data) != item.size:
            raise TargetError(f"{self.target} sent {len(data)} bytes for {item.name}, expected {item.size}")
        return item.decode(data)

    def write(self, obj: object, variable: str, values: object, *, physical: bool = False) -> None:
        """Set a state variable; a scalar sets all elements. Nothing is written unless all values are in range.

        Raises
        ------
        ValidationError
            The variable does not exist or is fixed in the program; values of another shape, not whole, or out of range.
        """
        name = _name(obj)
        if self.numbers == "float":
            cast("GraphEngine", self.engine).write(name, variable, values)
            return
        proj = self.program.projections.get(name)
        if variable == "w" and proj is not None and proj.rule is None:
            raise ValidationError(f"{name}.w is static: part of the program. Change the network and compile it again")
        item = self._item(name, variable)
        if physical:
            values = np.rint(as_numbers(item.name, values) / self.scale(name, variable))
        data = item.encode(checked(self.program, item, values))
        with self._machine(f"given {item.name}"):
            self.engine.write_item(self._index[name, variable], 0, data)

    def scale(self, obj: object, variable: str) -> float:
        """Physical value of one unit of a variable; ValidationError if the program does not say."""
        name = _name(obj)
        known = self.program.scales.get(name, {})
        key = "v" if variable in ("threshold", "theta") and variable not in known else variable
        if key not in known:
            raise ValidationError(f"the program has no physical scale for {name}.{variable}; leave out physical=True")
        return float(known[key])

    def _item(self, name: str, variable: str) -> Item:
        if (name, variable) in self._index:
            return self.items[self._index[name, variable]]
        known = [*self.program.populations, *self.program.projections, *self.program.modulators]
        if name not in known:
            raise ValidationError(
                f"the program has no population, projection or modulator {name!r}; {nearest(name, known)}"
            )
        if variable == "spikes":
            raise ValidationError(f"{name}.spikes is not a state: record it with a probe")
        have = [item.variable for item in self.items if item.object == name]
        raise ValidationError(f"{name!r} has no state variable {variable!r}; {nearest(variable, have)}")

    def snapshot(self) -> State:
        """All state of this moment; `State.save` keeps it, `restore` brings it back, here or on another machine."""
        with self._machine("saving its state"):
            values = [self.engine.read_item(k, 0, item.count) for k, item in enumerate(self.items)]
        return State.of(self.program, self.now, values)

    def restore(self, state: State) -> None:
        """Put the machine into a saved state.

        Raises
        ------
        ImageError
            The state belongs to another program or a value is out of range; the machine is left as it was.
        ValidationError
            It is no state.
        """
        if not isinstance(state, State):
            raise ValidationError(f"{state!r:.60} is no state: give what snapshot() or State.load(path) returned")
        state.arrays(self.program)  # every value is checked before any is written
        with self._machine("restoring a state"):
            for k, (_, data) in enumerate(state.split(self.program)):
                self.engine.write_item(k, 0, data)
            self.engine.seek(state.step)


def _name(obj: object) -> str:
    """The name behind a handle."""
    name = obj if isinstance(obj, str) else getattr(obj, "name", None)
    if not isinstance(name, str):
        raise ValidationError(f"{obj!r} is neither a name nor a population, projection or modulator of a network")
    return name
