"""The page of a failing comparison: one HTML file that needs no other."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from neuromorph.compare import Difference, First
from neuromorph.errors import TargetError
from neuromorph.trace import Spikes

if TYPE_CHECKING:
    from pytest_neuromorph.verdict import History

__all__ = ["Facts", "render"]

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 960, 300, 46, 940, 30, 256
_SPAN = 400
"""Steps that a raster shows at most; it shows those around the first difference."""
_MARKS = 8000
_RASTERS = 6


@dataclass(frozen=True, slots=True)
class Facts:
    """What else a page says.

    Parameters
    ----------
    test, replay : str
        The test's id, and the command that runs it again.
    board : dict
        Id, uid, firmware, ...
    counters : dict
        Of the link.
    """

    test: str
    replay: str
    board: dict[str, str]
    counters: dict[str, int]


@dataclass(frozen=True, slots=True)
class _Group:
    """Spikes of one colour."""

    label: str
    color: str
    stroke: float
    path: str
    count: int
    at: int


@dataclass(frozen=True, slots=True)
class _Raster:
    """A picture: both rasters over each other."""

    name: str
    n: int
    begin: int
    end: int
    mark: float
    groups: tuple[_Group, ...]
    shown: str
    width: int = _WIDTH
    height: int = _HEIGHT
    left: int = _LEFT
    right: int = _RIGHT
    top: int = _TOP
    bottom: int = _BOTTOM

    @property
    def anchor(self) -> str:
        """Where the text at the mark begins, so that it stays in the picture."""
        share = (self.mark - self.left) / (self.right - self.left)
        return "start" if share < 0.2 else "end" if share > 0.8 else "middle"


def render(difference: Difference, first: First, history: History, facts: Facts) -> str:
    """The page.

    Raises
    ------
    TargetError
        Jinja is missing.
    """
    try:
        from jinja2 import Environment
    except ImportError as error:
        raise TargetError("pages of failing comparisons need Jinja: pip install 'neuromorph[hil]'") from error
    text = Path(__file__).with_name("page.html.jinja").read_text(encoding="utf-8")
    template = Environment(autoescape=True, trim_blocks=True).from_string(text)
    a, b = difference.a, difference.b
    element = ", ".join(map(str, first.element)) if isinstance(first.element, tuple) else str(first.element)
    rasters = [
        _raster(column, b[name], first, difference)
        for name, column in a.items()
        if isinstance(column, Spikes) and (len(column) or len(b[name]))
    ]
    rasters.sort(key=lambda raster: raster.name not in difference.count)  # those that differ first
    return template.render(
        test=facts.test, replay=facts.replay, name=a.name, steps=a.steps, dt=a.dt, reference=a.target, board=b.target,
        compared=difference.values_compared, first=first, element=element, counts=tuple(difference.count.items()),
        rasters=rasters[:_RASTERS], history=history, facts=tuple(facts.board.items()),
        counters=tuple(facts.counters.items()), digest=a.digest,
    )  # fmt: skip


def _raster(one: Spikes, two: Spikes | object, first: First, difference: Difference) -> _Raster:
    assert isinstance(two, Spikes)
    a, b = difference.a, difference.b
    begin = max(a.start, min(first.step - _SPAN // 2, a.stop - _SPAN))
    end = min(a.stop, begin + _SPAN)
    keys = [_keys(column, begin, end) for column in (one, two)]
    both = np.intersect1d(keys[0], keys[1])
    found = (
        ("both", "#8a96a3", 1.4, both),
        (f"{a.target} only", "#2166ac", 2.2, np.setdiff1d(keys[0], both)),
        (f"{b.target} only", "#d6604d", 2.2, np.setdiff1d(keys[1], both)),
    )
    groups = tuple(
        _Group(label, color, stroke, _path(some, one.n, begin, end), some.size, _LEFT + 300 * k)
        for k, (label, color, stroke, some) in enumerate(found)
    )
    cut = f"Steps {begin + 1} to {end} of {a.start + 1} to {a.stop}." if (begin, end) != (a.start, a.stop) else ""
    return _Raster(one.name, one.n, begin, end, _x(first.step, begin, end), groups, cut)


def _keys(column: Spikes, begin: int, end: int) -> NDArray[np.int64]:
    """A number for each spike in the picture, of its step and neuron."""
    inside = (column.steps > begin) & (column.steps <= end)
    key: NDArray[np.int64] = column.steps[inside] * column.n + column.indices[inside]
    return key


def _x(step: int, begin: int, end: int) -> float:
    return round(_LEFT + (step - begin) / max(1, end - begin) * (_RIGHT - _LEFT), 1)


def _path(keys: NDArray[np.int64], n: int, begin: int, end: int) -> str:
    tall = (_BOTTOM - _TOP) / n
    shown = keys[:: max(1, -(-keys.size // _MARKS))]
    return "".join(
        f"M{_x(int(key) // n, begin, end)} {_BOTTOM - (int(key) % n + 1) * tall:.1f}v{max(tall * 0.85, 1.2):.1f}"
        for key in shown
    )
