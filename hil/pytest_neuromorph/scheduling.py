"""Parallel boards under pytest-xdist: one worker has all tests of a board.

xdist's own grouping (``--dist loadgroup``) depends on details that pytest changed; a board is in the test's id anyway.
"""

from __future__ import annotations

from collections.abc import Iterable

from xdist.scheduler import LoadScopeScheduling

from pytest_neuromorph.plugin import chosen

__all__ = ["BoardScheduling", "board_of"]


def board_of(nodeid: str, ids: Iterable[str]) -> str | None:
    """The board that a test's id names in its brackets; the longest that fits."""
    _, bracket, parameters = nodeid.partition("[")
    padded = f"-{parameters.removesuffix(']')}-"
    found = [name for name in ids if bracket and f"-{name}-" in padded]
    return max(found, key=len, default=None)


class BoardScheduling(LoadScopeScheduling):  # type: ignore[misc]
    """Tests of one board form one unit of work; any other test is one by itself."""

    _ids: tuple[str, ...] | None = None

    def _split_scope(self, nodeid: str) -> str:
        if "[" not in nodeid:
            return nodeid
        if self._ids is None:  # here, and not before: a run without boards needs nothing of this package
            self._ids = tuple(entry.id for entry in chosen(self.config).entries)
        return board_of(nodeid, self._ids) or nodeid
