"""An update that is cut at every byte, in virtual time: ready within 2 s, always the old or the new program.

``python -m tests.mcu.resets [STRIDE]`` stores a program of over 16 KiB on a board whose flash holds another, and cuts
that after each byte that the board takes of it (or after each STRIDE-th), once by a reset of the board and once by the
death of the host. After a reset the board goes on with what its flash holds, in every bit of state. Without one the old
program is there until the new one is, and the next upload goes on where this one stopped.
``tests/mcu/test_resets.py`` draws some of the cuts.
"""

from __future__ import annotations

import ctypes
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from neuromorph.errors import LinkError
from neuromorph_mcu.client import Client
from tests.mcu.power import (
    LARGE,
    READY,
    ROOMY,
    Found,
    PowerPort,
    compile_board,
    connect,
    digest,
    image_of,
    look,
    prepare,
    update,
)

STEPS = 5
"""Of the new program, until it is stored."""


class _Cut(Exception):  # noqa: N818 (no error: what the test does)
    """The host dies."""


class CutPort(PowerPort):
    """A board that is reset, or whose host dies, when it has taken so many bytes."""

    sent, cut_at = 0, 0
    cut_after: int | None = None
    reset = True

    def tick(self) -> None:
        last = self.cut_after is not None and self.sent + len(self._to_board) >= self.cut_after
        if last and self.cut_after is not None:
            self._to_board = self._to_board[: self.cut_after - self.sent]
            self.cut_after = None
        self.sent += len(self._to_board)
        super().tick()
        if not last:
            return
        self.cut_at = self.millis
        if not self.reset:
            raise _Cut
        self.power_on()


@dataclass
class Updates:
    """A board with the old program in its flash, and its updates to the new one."""

    port: CutPort
    image: bytes
    begin: np.ndarray
    old: Found
    new: Found
    total: int
    """Bytes on the line of an undisturbed update."""
    seen: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(cls, folder: Path) -> Updates:
        """With a board that is compiled for it."""
        port = CutPort(ctypes.CDLL(str(compile_board(folder, ROOMY, "-O2"))))
        image = image_of(2, LARGE)
        old, begin = prepare(port, image_of(1), 0), port.cells.copy()
        updates = cls(port, image, begin, old, old, 0)
        sent = updates._start()
        update(updates.client, image, STEPS)
        updates.total = port.sent - sent
        port.power_on()
        found = look(connect(port))
        if found is None or found.digest != digest(image):
            raise AssertionError(f"an undisturbed update left {found}")
        updates.new = found
        return updates

    def _start(self) -> int:
        """The board as it was, and a session; bytes that it has taken so far."""
        self.port.cells[:] = self.begin
        self.port.sessions = 0
        self.port.power_on()
        self.client = connect(self.port)
        return self.port.sent

    def cut(self, after: int, *, reset: bool, again: bool = False) -> float:
        """Cut an update after so many bytes; seconds until the board answers again.

        With `again` the update is repeated then. Raises AssertionError with the number of the byte.
        """
        self.port.reset, self.port.cut_at = reset, 0
        self.port.cut_after = self._start() + after
        case = f"cut after byte {after}, reset={reset}"
        with suppress(LinkError, _Cut):
            update(self.client, self.image, STEPS)
        second = connect(self.port)
        second.status()
        ready = self.port.clock() - self.port.cut_at / 1000
        what = self._name(look(second), reset=reset)
        if not what or ready > READY or not self.port.cut_at or self.port.library.board_wrong():
            raise AssertionError(f"{case}: {look(second)}, ready after {ready:.2f} s")
        self.seen[what] += 1
        if again:
            self._update_again(second, case)
        return ready

    def _name(self, found: Found | None, *, reset: bool) -> str:
        """The old program with its state, or the new one: with its state too where it comes from the flash."""
        if found == self.old:
            return "old"
        running = found is not None and not reset and found.digest == self.new.digest and found.step <= STEPS
        return "new" if found == self.new or running else ""

    def _update_again(self, client: Client, case: str) -> None:
        update(client, self.image, STEPS)
        self.port.power_on()
        found = look(connect(self.port))
        if found != self.new:
            raise AssertionError(f"{case}: the next update left {found}")


def main() -> None:
    """Every byte, or every STRIDE-th."""
    stride = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    with tempfile.TemporaryDirectory() as folder:
        updates = Updates.of(Path(folder))
        for reset in (True, False):
            began, cuts = time.monotonic(), sorted({*range(0, updates.total, stride), updates.total})
            updates.seen.clear()
            slowest = max(updates.cut(after, reset=reset, again=after % 61 == 0) for after in cuts)
            what, size = "resets of the board" if reset else "deaths of the host", len(updates.image)
            found = ", ".join(f"{n} x {k}" for k, n in sorted(updates.seen.items()))
            print(
                f"{len(cuts)} {what} within the {updates.total} bytes of an update to a program of {size}: "
                f"found {found}; ready within {slowest:.2f} s; {time.monotonic() - began:.0f} s",
                flush=True,
            )


if __name__ == "__main__":
    main()
