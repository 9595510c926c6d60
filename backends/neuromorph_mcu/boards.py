"""The emulated boards as data."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["BOARDS", "FIRMWARE", "Board"]

FIRMWARE = Path(__file__).parent / "_firmware"


@dataclass(frozen=True, slots=True)
class Board:
    """A board that neuromorph brings along; the same name as its folder in ``firmware/boards``.

    Parameters
    ----------
    name, core : str
        Board, and Unicorn's name of its processor core.
    pool : int
        Bytes for a program with its working memory, a little less than what HELLO reports.
    """

    name: str
    core: str
    pool: int = 960 << 10

    @property
    def elf(self) -> Path:
        """The firmware."""
        return FIRMWARE / f"{self.name}.elf"


BOARDS = {
    "m4": Board("unicorn_m4", "CORTEX_M4"),
    "m3": Board("unicorn_m3", "CORTEX_M3"),
    "m0": Board("unicorn_m0", "CORTEX_M0"),
}
