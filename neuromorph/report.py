"""What a compile did: each parameter asked and held, warnings, memory, cost and kernels; object, table and JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
    from rich.text import Text

__all__ = ["Cost", "Entry", "MemoryUse", "Notice", "ProjectionUse", "Report", "Section", "compare_values"]

ROWS_MAX = 40  # of a target's own table, in text


@dataclass(frozen=True, slots=True)
class Entry:
    """A parameter as asked and as held.

    Attributes
    ----------
    object, parameter, unit : str
        Where and what, as the user writes it.
    asked, held : float
        Of an array: the element that is held worst.
    error, mean_error : float
        Relative error ``held / asked - 1``, of weights ``(held - asked) / largest |asked|``: the worst one and the mean
        of their sizes (over elements that are not 0).
    count, saturated, to_zero : int
        Values; how many met a limit of the machine; how many that were not 0 are held as 0.
    """

    object: str
    parameter: str
    unit: str
    asked: float
    held: float
    error: float
    mean_error: float = 0.0
    count: int = 1
    saturated: int = 0
    to_zero: int = 0


def compare_values(
    name: str, parameter: str, asked: ArrayLike, held: ArrayLike, unit: str = "", saturated: int = 0,
    *, beside_largest: bool = False,
) -> Entry:  # fmt: skip
    """An `Entry` from values asked and held, scalars or arrays of one shape; errors beside the largest if asked for."""
    want, have = np.broadcast_arrays(np.asarray(asked, float), np.asarray(held, float))
    want, have = want.ravel(), have.ravel()
    if want.size == 0:
        return Entry(name, parameter, unit, 0.0, 0.0, 0.0, count=0)
    same = want == have  # also inf == inf
    error = np.zeros(want.shape)
    base = np.full(want.shape, np.max(np.abs(want))) if beside_largest else want
    np.subtract(have, want, out=error, where=~same)
    np.divide(error, base, out=error, where=~same & (base != 0))
    error[~same & (base == 0)] = math.inf
    worst = int(np.argmax(np.abs(error)))
    finite = np.abs(error[(want != 0) & np.isfinite(error)])
    return Entry(
        name, parameter, unit, float(want[worst]), float(have[worst]), float(error[worst]),
        float(finite.mean()) if finite.size else 0.0, int(want.size), saturated, int(np.sum((want != 0) & (have == 0))),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Notice:
    """What the user should know; `code` is stable: wrap, to_zero, saturated, precision, bias, rule."""

    code: str
    object: str
    message: str


@dataclass(frozen=True, slots=True)
class ProjectionUse:
    """A projection in the machine: `unit` is the weight of one integer step (None: it differs over the targets)."""

    name: str
    synapses: int
    layout: str
    sign_mode: str
    weight_exp: int
    unit: float | None
    weight_bytes: int
    kernel: str
    t_epoch: int = 0


@dataclass(frozen=True, slots=True)
class MemoryUse:
    """Bytes on a target; a limit of 0 is none, an arena of None could not be told here."""

    target: str
    image: int
    image_max: int
    arena: int | None
    arena_max: int


@dataclass(frozen=True, slots=True)
class Cost:
    """Work of the worst step (every neuron spikes, every epoch ends) and an estimate of its instructions by core."""

    neuron_updates: int = 0
    synaptic_events: int = 0
    plastic_updates: int = 0
    products: int = 0
    instructions: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Section:
    """A target's own table, such as the use of each core of a chip.

    Attributes
    ----------
    target, title : str
        Whose, and what it shows.
    heads : tuple of str
        Headings of the columns.
    rows : tuple of tuples of str, int or float
        Cells; the text shows the first 40 rows.
    notes : tuple of str
        What the reader must know: what is assumed, where the figures come from.
    """

    target: str
    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str | int | float, ...], ...]
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:  # JSON has lists
        object.__setattr__(self, "heads", tuple(self.heads))
        object.__setattr__(self, "rows", tuple(tuple(row) for row in self.rows))
        object.__setattr__(self, "notes", tuple(self.notes))

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return asdict(self)

    def table(self) -> tuple[str, list[str], list[list[str]]]:
        """Title, headings and rows as text."""
        rows = [[f"{cell:.4g}" if isinstance(cell, float) else str(cell) for cell in row] for row in self.rows]
        left = len(rows) - ROWS_MAX
        if left > 0:
            rows = [*rows[:ROWS_MAX], [f"({left} more)", *[""] * (len(self.heads) - 1)]]
        return f"{self.title} ({self.target})", list(self.heads), rows

    def text(self) -> str:
        """The table for a terminal, with its notes."""
        return "\n".join([_table(*self.table()), *(f"  {note}" for note in self.notes)])


@dataclass(frozen=True)
class Report:
    """The account of a compile. `text` is for people, `to_dict` and `to_json` have stable keys.

    `advice` names the rules that another profile (`code`) would hold better, and why.
    """

    name: str
    profile: str
    rounding: str
    dt: float
    entries: tuple[Entry, ...] = ()
    warnings: tuple[Notice, ...] = ()
    projections: tuple[ProjectionUse, ...] = ()
    state_bytes: int = 0
    memory: tuple[MemoryUse, ...] = ()
    cost: Cost = field(default_factory=Cost)
    sections: tuple[Section, ...] = ()
    advice: tuple[Notice, ...] = ()

    @property
    def summary(self) -> str:
        """One line."""
        synapses = sum(p.synapses for p in self.projections)
        size = ", ".join(f"{m.target} {_bytes(m.image)}" for m in self.memory)
        worst = max(
            (abs(e.error) for e in self.entries if math.isfinite(e.error) and not e.parameter.startswith("rule ")),
            default=0.0,
        )
        notes = f"{len(self.warnings)} warning{'' if len(self.warnings) == 1 else 's'}"
        return (
            f"{self.name}: {self.cost.neuron_updates} neurons, {synapses} synapses, profile {self.profile}, "
            f"{self.rounding} rounding; image {size or 'not placed'}; worst relative error {worst:.2%}; {notes}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; values that are not finite become None."""
        data = asdict(self)
        data["entries"] = [{k: _finite(v) for k, v in e.items()} for e in data["entries"]]
        data["cost"]["instructions"] = dict(self.cost.instructions)
        data["summary"] = self.summary
        return data

    def to_json(self) -> str:
        """`to_dict` as JSON text."""
        return json.dumps(self.to_dict(), indent=2, allow_nan=False)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Report:
        """The inverse of `to_dict`; unknown keys (of a newer version) are left out."""
        known = {f.name for f in fields(cls)}
        parts = {k: v for k, v in data.items() if k in known}
        entries = [{k: math.inf if v is None else v for k, v in e.items()} for e in parts.get("entries", [])]
        parts["entries"] = _load(Entry, entries)
        parts["warnings"] = _load(Notice, parts.get("warnings", []))
        parts["advice"] = _load(Notice, parts.get("advice", []))
        parts["projections"] = _load(ProjectionUse, parts.get("projections", []))
        parts["memory"] = _load(MemoryUse, parts.get("memory", []))
        parts["cost"] = _load(Cost, [parts.get("cost", {})])[0]
        parts["sections"] = _load(Section, parts.get("sections", []))
        return cls(**parts)

    def tables(self) -> list[tuple[str, list[str], list[list[str]]]]:
        """Title, headings and rows of each table; empty tables are left out."""
        c = self.cost
        cost = [["neuron updates", f"{c.neuron_updates}"], ["synaptic events", f"{c.synaptic_events}"],
                ["plastic updates", f"{c.plastic_updates}"], ["interpreted products", f"{c.products}"],
                *([f"instructions, {core} (estimate)", f"{n}"] for core, n in c.instructions.items())]  # fmt: skip
        every = [
            ("Parameters", ["object", "parameter", "asked", "held", "error", "mean", "values", "saturated", "to zero"],
             [[e.object, e.parameter, _number(e.asked, e.unit), _number(e.held, e.unit), f"{e.error:+.3%}",
               f"{e.mean_error:.3%}", f"{e.count}", f"{e.saturated}", f"{e.to_zero}"] for e in self.entries]),
            ("Projections", ["projection", "synapses", "layout", "sign", "exponent", "unit", "bytes", "kernel"],
             [[p.name, f"{p.synapses}", p.layout, p.sign_mode, f"{p.weight_exp}",
               "per target" if p.unit is None else f"{p.unit:.6g}", f"{p.weight_bytes}", p.kernel]
              for p in self.projections]),
            ("Memory", ["target", "image", "limit", "arena", "limit"],
             [[m.target, _bytes(m.image), _limit(m.image_max), "?" if m.arena is None else _bytes(m.arena),
               _limit(m.arena_max)] for m in self.memory]),
            ("Worst step", ["work", "count"], cost),
            ("Would be held better by", ["profile", "projection", "rule and why"],
             [[a.code, a.object, a.message] for a in self.advice]),
            ("Warnings", ["kind", "object", "message"], [[w.code, w.object, w.message] for w in self.warnings]),
        ]  # fmt: skip
        return [t for t in (*every, *(s.table() for s in self.sections)) if t[2]]

    def text(self) -> str:
        """Plain tables for a terminal."""
        own = len(self.tables()) - len(self.sections)
        shown = [_table(*table) for table in self.tables()[:own]]
        return "\n\n".join([self.summary, *shown, *(section.text() for section in self.sections)])

    def __str__(self) -> str:
        return self.text()

    def __rich__(self) -> Text:
        """The same tables with titles set off, for ``rich.print`` (extra `cli`)."""
        from rich.text import Text

        shown = Text(self.text())
        shown.highlight_words([self.summary, *(f"{title}\n" for title, _, _ in self.tables())], "bold")
        return shown


def _table(title: str, heads: list[str], rows: list[list[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    lines = ("  ".join(c.ljust(w) for c, w in zip(r, widths, strict=True)).rstrip() for r in [heads, *rows])
    return "\n".join([title, *(f"  {line}" for line in lines)])


def _load(kind: Any, items: Iterable[Mapping[str, Any]]) -> tuple[Any, ...]:
    known = {f.name for f in fields(kind)}
    return tuple(kind(**{k: v for k, v in item.items() if k in known}) for item in items)


def _finite(value: object) -> object:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _number(value: float, unit: str) -> str:
    return f"{value:.6g}{' ' + unit if unit else ''}"


def _bytes(count: int) -> str:
    if count < 10_000:
        return f"{count} B"
    return f"{count / 2**10:.1f} KiB" if count < 2**30 else f"{count / 2**30:g} GiB"


def _limit(count: int) -> str:
    return _bytes(count) if count else "-"
