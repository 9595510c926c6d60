"""Trace: what the probes of a run recorded, over steps, in the integers of the machine."""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from neuromorph.errors import ImageError, ValidationError
from neuromorph.validate import nearest

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.figure import Figure

__all__ = ["Gap", "Spikes", "States", "Trace"]

SCHEMA = 1
SEMANTICS = 1
SIZE_LIMIT = 1 << 33  # bytes that a trace file may unpack to


@dataclass(frozen=True, slots=True)
class Gap:
    """A stretch of a run at pace real of which the machine could not send records.

    Attributes
    ----------
    first, last : int
        Steps that it covers: nothing of them is in the trace.
    steps : int
        Of how many of these steps there were records, which were dropped; the others had none. In a part of a trace
        that cuts a gap: that many at most.
    """

    first: int
    last: int
    steps: int

    def within(self, start: int, stop: int) -> Gap:
        """What of it belongs to steps start + 1 to stop."""
        first, last = max(self.first, start + 1), min(self.last, stop)
        return Gap(first, last, min(self.steps, max(0, last - first + 1)))


@dataclass(frozen=True, slots=True, eq=False)
class _Column:
    """Base of what a probe recorded: equal in all fields, arrays by their values; without a hash."""

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        names = [field.name for field in fields(self)]
        return all(np.array_equal(getattr(self, name), getattr(other, name)) for name in names)


@dataclass(frozen=True, slots=True, eq=False)
class Spikes(_Column):
    """Spikes of a population that a probe saw, sorted by step, then neuron.

    Attributes
    ----------
    name, object : str
        The probe and the population.
    n : int
        Neurons of the population.
    steps, indices : numpy.ndarray, shape (spikes,)
        Step and neuron of each spike.
    payloads : numpy.ndarray or None
        Signed payload of each spike where spikes have one (graded inputs, ternary neurons).
    every, phase : int
        The probe looks at steps t with ``t % every == phase % every``.
    source : bool
        The population is an input.
    """

    name: str
    object: str
    n: int
    steps: NDArray[np.int64]
    indices: NDArray[np.int64]
    payloads: NDArray[np.int64] | None = None
    every: int = 1
    phase: int = 0
    source: bool = False

    @property
    def variable(self) -> str:
        """Always "spikes"."""
        return "spikes"

    def counts(self) -> NDArray[np.int64]:
        """Number of spikes of each neuron, shape (n,)."""
        return np.bincount(self.indices, minlength=self.n)

    def __len__(self) -> int:
        return int(self.steps.size)

    def _within(self, start: int, stop: int) -> Spikes:
        a, b = np.searchsorted(self.steps, (start, stop), side="right")
        held = None if self.payloads is None else self.payloads[a:b]
        return replace(self, steps=self.steps[a:b], indices=self.indices[a:b], payloads=held)

    def _outside(self, gaps: Iterable[Gap]) -> Spikes:
        kept = outside(self.steps, gaps)
        held = None if self.payloads is None else self.payloads[kept]
        return replace(self, steps=self.steps[kept], indices=self.indices[kept], payloads=held)


@dataclass(frozen=True, slots=True, eq=False)
class States(_Column):
    """A state variable that a probe sampled.

    Attributes
    ----------
    name, object, variable : str
        The probe, what it looks at, and which variable.
    shape : tuple of int
        Of one sample: (n,), (n_pre, n_post), (nnz,), ...
    steps : numpy.ndarray, shape (samples,)
        Step of each sample.
    values : numpy.ndarray, shape (samples, elements)
        The machine's integers (float64 from a machine that computes in floats).
    scale : float
        Physical value of one unit; see `physical`.
    pre, post : numpy.ndarray or None
        Source and target neuron of each element of a sparse projection.
    """

    name: str
    object: str
    variable: str
    shape: tuple[int, ...]
    steps: NDArray[np.int64]
    values: NDArray[Any]
    scale: float = 1.0
    every: int = 1
    phase: int = 0
    pre: NDArray[np.int64] | None = None
    post: NDArray[np.int64] | None = None

    @property
    def array(self) -> NDArray[Any]:
        """The samples in the shape of the object, shape (samples, *shape)."""
        return self.values.reshape(self.steps.size, *self.shape)

    @property
    def physical(self) -> NDArray[np.float64]:
        """The samples in the units of the description, shape (samples, *shape)."""
        return self.array * self.scale

    def element(self, index: int) -> int | tuple[int, ...]:
        """Position of a flat element for people: a neuron, or (pre, post) of a synapse."""
        if self.pre is not None and self.post is not None:
            return int(self.pre[index]), int(self.post[index])
        where = tuple(int(k) for k in np.unravel_index(index, self.shape))
        if self.variable == "ring":  # (slot, neuron)
            return where[1]
        return where[0] if len(where) == 1 else where

    def __len__(self) -> int:
        return int(self.steps.size)

    def _within(self, start: int, stop: int) -> States:
        a, b = np.searchsorted(self.steps, (start, stop), side="right")
        return replace(self, steps=self.steps[a:b], values=self.values[a:b])

    def _outside(self, gaps: Iterable[Gap]) -> States:
        kept = outside(self.steps, gaps)
        return replace(self, steps=self.steps[kept], values=self.values[kept])


@dataclass(frozen=True, slots=True)
class Trace(Mapping[str, "Spikes | States"]):
    """What the probes recorded in steps ``start + 1 .. stop``; a mapping from probe names to `Spikes` and `States`.

    Attributes
    ----------
    columns : dict
        By the probe's name, e.g. ``trace["cells.spikes"].steps``.
    digest : str
        Logical digest of the program, in hex.
    semantics : int
        Version of ``docs/semantics.md``.
    target, name : str
        The machine and the program.
    dt : float
        Step in seconds.
    start, stop : int
        The trace covers steps start + 1 to stop.
    complete : bool
        False for the partial trace of a run that was interrupted; it holds every record up to `stop`.
    numbers : str
        "integer", or "float" from a machine that computes in floats.
    counters : dict
        Work done in the run, as the machine counted it; at pace real also what it lost (see `Session.run`).
    missing : tuple of Gap
        Stretches that a machine at pace real could not send; in order, empty if the trace lacks nothing.
    """

    columns: dict[str, Spikes | States]
    digest: str
    target: str
    dt: float
    start: int
    stop: int
    name: str = "program"
    semantics: int = SEMANTICS
    complete: bool = True
    numbers: Literal["integer", "float"] = "integer"
    counters: dict[str, int] = field(default_factory=dict)
    missing: tuple[Gap, ...] = ()

    def __getitem__(self, name: str) -> Spikes | States:
        try:
            return self.columns[name]
        except KeyError:
            raise UnknownProbeError(name, self.columns) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self.columns)

    def __len__(self) -> int:
        return len(self.columns)

    def spikes(self, name: str) -> Spikes:
        """The spikes of a probe or, by its name, of a population."""
        column = self[name if name in self.columns else f"{name}.spikes"]
        if not isinstance(column, Spikes):
            raise ValidationError(f"probe {name!r} recorded {column.variable}, not spikes")
        return column

    def states(self, name: str) -> States:
        """The samples of a probe of a state variable."""
        column = self[name]
        if not isinstance(column, States):
            raise ValidationError(f"probe {name!r} recorded spikes; its steps and indices are in .steps and .indices")
        return column

    @property
    def steps(self) -> int:
        """Number of steps covered."""
        return self.stop - self.start

    @property
    def dropped(self) -> int:
        """Number of steps whose records are missing."""
        return sum(gap.steps for gap in self.missing)

    def times(self, name: str) -> NDArray[np.float64]:
        """Time of each spike or sample of a probe in seconds."""
        return np.asarray(self[name].steps * self.dt, dtype=np.float64)

    def rates(self, name: str) -> NDArray[np.float64]:
        """Mean rate of each neuron in hertz, shape (n,)."""
        column = self.spikes(name)
        return column.counts() / max(self.seen(column) * self.dt, self.dt)

    def seen(self, column: Spikes | States) -> int:
        """Number of steps that a probe looked at and of which nothing is missing."""
        steps = np.arange(self.start + 1, self.stop + 1)
        looked = steps % column.every == column.phase % column.every
        return int(np.count_nonzero(looked & outside(steps, self.missing)))

    def part(self, start: int, stop: int) -> Trace:
        """Steps start + 1 to stop of this trace; a stretch outside gives what is there."""
        start, stop = max(start, self.start), min(stop, self.stop)
        held = {name: column._within(start, stop) for name, column in self.columns.items()}
        stop = max(start, stop)
        missing = tuple(gap.within(start, stop) for gap in self.missing if gap.last > start and gap.first <= stop)
        return replace(self, columns=held, start=start, stop=stop, counters={}, missing=missing)

    def without(self, gaps: Iterable[Gap]) -> Trace:
        """The same trace as if it lacked these gaps too; to be held against one that does."""
        held = {name: column._outside(gaps) for name, column in self.columns.items()}
        return replace(self, columns=held, missing=joined_gaps((*self.missing, *gaps)))

    def joined(self, later: Trace) -> Trace:
        """Append to this trace the one of the next run of the same session or of a restored one.

        Raises
        ------
        ValidationError
            Another program, or the later one does not begin where this one stops.
        """
        if later.digest != self.digest or set(later.columns) != set(self.columns):
            raise ValidationError("the traces come from different programs or probes; they cannot be joined")
        if later.start != self.stop:
            raise ValidationError(f"the later trace begins after step {later.start}, this one stops at {self.stop}")
        columns = {name: _joined(column, later.columns[name]) for name, column in self.columns.items()}
        return replace(
            self, columns=columns, stop=later.stop, complete=later.complete, counters={},
            missing=(*self.missing, *later.missing),
        )  # fmt: skip

    def save(self, path: str | Path) -> None:
        """Write a .npz file (atomically, without pickles); NeuromorphError if it cannot be written."""
        from neuromorph.files import write_atomic

        arrays: dict[str, NDArray[Any]] = {}
        columns = []
        for k, column in enumerate(self.columns.values()):
            meta: dict[str, object] = {"kind": type(column).__name__}
            for key in column.__dataclass_fields__:
                value = getattr(column, key)
                if isinstance(value, np.ndarray):
                    arrays[f"{k}.{key}"] = value
                else:
                    meta[key] = value
            columns.append(meta)
        keys = ("digest", "target", "dt", "start", "stop", "name", "semantics", "complete", "numbers", "counters")
        missing = [[gap.first, gap.last, gap.steps] for gap in self.missing]
        head = {"schema": SCHEMA, **{key: getattr(self, key) for key in keys}, "missing": missing, "columns": columns}
        arrays["trace"] = np.frombuffer(json.dumps(head).encode(), np.uint8)
        buffer = io.BytesIO()
        np.savez_compressed(buffer, allow_pickle=False, **arrays)
        write_atomic(path, buffer.getvalue())

    @classmethod
    def load(cls, path: str | Path) -> Trace:
        """Read a .npz file written by `save`.

        Raises
        ------
        ValidationError
            The file cannot be read.
        ImageError
            It is not a trace, is damaged, or was made by a newer version.
        """
        from neuromorph.files import read_file

        raw = read_file(path, "trace")
        try:
            return cls._decode(raw)
        except (zipfile.BadZipFile, ValueError, KeyError, TypeError, OSError, EOFError, zlib.error) as error:
            raise ImageError(f"{path} is not a trace or is damaged: {error}") from error

    @classmethod
    def _decode(cls, raw: bytes) -> Trace:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
        if size > SIZE_LIMIT:
            raise ValueError(f"it unpacks to {size} bytes, the limit is {SIZE_LIMIT}")
        with np.load(io.BytesIO(raw), allow_pickle=False) as file:
            head = json.loads(file["trace"].tobytes())
            if head.pop("schema") != SCHEMA:
                raise ValueError(f"schema version of a newer release; this one reads {SCHEMA}")
            arrays: dict[int, dict[str, NDArray[Any]]] = {}
            for key in file.files:
                index, _, name = key.partition(".")
                if name:
                    arrays.setdefault(int(index), {})[name] = file[key]
        columns: dict[str, Spikes | States] = {}
        for k, meta in enumerate(head.pop("columns")):
            kind = meta.pop("kind")
            if "shape" in meta:
                meta["shape"] = tuple(meta["shape"])
            values = meta | arrays.get(k, {})
            columns[meta["name"]] = Spikes(**values) if kind == "Spikes" else States(**values)
        missing = tuple(Gap(*map(int, gap)) for gap in head.pop("missing", ()))
        return cls(columns=columns, missing=missing, **head)

    def plot(self, path: str | Path | None = None, *, names: list[str] | None = None) -> Figure:
        """Rasters and state traces of the probes, one panel each; written to `path` (.png, .svg) if given."""
        from neuromorph.plots import plot_trace

        return plot_trace(self, path, names=names)

    def __repr__(self) -> str:
        kinds = ", ".join(f"{name} ({len(column)})" for name, column in self.columns.items())
        part = "" if self.complete else ", partial"
        part += f", {self.dropped} steps missing" if self.missing else ""
        return f"Trace({self.name!r} on {self.target}, steps {self.start + 1}..{self.stop}{part}: {kinds})"


def outside(steps: NDArray[np.int64], gaps: Iterable[Gap]) -> NDArray[np.bool_]:
    """Where steps lie in no gap."""
    kept = np.ones(steps.shape, dtype=bool)
    for gap in gaps:
        kept &= (steps < gap.first) | (steps > gap.last)
    return kept


def joined_gaps(gaps: Iterable[Gap]) -> tuple[Gap, ...]:
    """In order; those that overlap become one."""
    out: list[Gap] = []
    for gap in sorted(gaps, key=lambda gap: gap.first):
        if out and gap.first <= out[-1].last:
            before = out.pop()
            last = max(before.last, gap.last)
            out.append(Gap(before.first, last, min(before.steps + gap.steps, last - before.first + 1)))
        else:
            out.append(gap)
    return tuple(out)


class UnknownProbeError(ValidationError, KeyError):
    """A trace has no probe of that name."""

    def __init__(self, name: str, known: Mapping[str, object]) -> None:
        way = nearest(name, known) if known else "it has none: add net.probe(...) to the network before the run"
        super().__init__(f"the trace has no probe {name!r}; {way}")

    def __str__(self) -> str:  # KeyError would show the repr
        return str(self.args[0])


def _joined(a: Spikes | States, b: Spikes | States) -> Spikes | States:
    steps = np.concatenate([a.steps, b.steps])
    if isinstance(a, States) and isinstance(b, States):
        return replace(a, steps=steps, values=np.concatenate([a.values, b.values]))
    if isinstance(a, Spikes) and isinstance(b, Spikes):
        payloads = None
        if a.payloads is not None and b.payloads is not None:
            payloads = np.concatenate([a.payloads, b.payloads])
        return replace(a, steps=steps, indices=np.concatenate([a.indices, b.indices]), payloads=payloads)
    raise ValidationError(f"probe {a.name!r} recorded {a.variable} in one trace and {b.variable} in the other")
