"""Exact instruction counts of an emulated board, apart from its serial protocol."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, cast

from neuromorph.errors import TargetError

if TYPE_CHECKING:
    from neuromorph.engine import Engine

__all__ = ["can_count", "check_counts", "count", "of_the_engine", "of_the_learning"]

PROTOCOL = re.compile(
    "nm_(link|cobs|crc|port|app|feed|record).*|nm_(main|now|run)|on_.*|emit|report|answer|(__aeabi_)?mem.*"
)
"""Functions that serve the line or copy for it: how often they run depends on the host's pace, too."""
NOT_LEARNING = re.compile(
    "nm_(step|deliver|update|take_in|modulate|probes_step|release)|(dense|sparse)_.*|deliver|take_in_delayed|count_events"
)
"""Functions of the other phases of a step; a new one counts as learning until it stands here."""


def can_count(engine: Engine) -> bool:
    """Whether an engine counts its instructions: emulated boards do."""
    return hasattr(getattr(engine, "port", None), "machine")


def check_counts(engine: Engine) -> None:
    """TargetError if the engine cannot count instructions."""
    if not can_count(engine):
        raise TargetError(f"{engine.target} does not count instructions; use mcu:m4, mcu:m3 or mcu:m0")


def count(engine: Engine, run: Callable[[], None]) -> dict[str, int]:
    """Instructions by function of the firmware while `run` runs.

    Raises
    ------
    TargetError
        The engine cannot count.
    """
    check_counts(engine)
    counting = cast("Callable[[], AbstractContextManager[Mapping[str, int]]]", engine.counting)  # type: ignore[attr-defined]
    with counting() as counts:
        run()
    return dict(counts)


def of_the_engine(counts: Mapping[str, int]) -> int:
    """Instructions of the engine alone, the same in every run."""
    return sum(n for name, n in counts.items() if not PROTOCOL.fullmatch(name))


def of_the_learning(counts: Mapping[str, int]) -> int:
    """Instructions of the learning phase alone: traces, synapses, and all overhead."""
    return of_the_engine({name: n for name, n in counts.items() if not NOT_LEARNING.fullmatch(name)})
