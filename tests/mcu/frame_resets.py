"""Resets of boards in QEMU after each frame of an update: ``python -m tests.mcu.frame_resets [--boards NAMES]``.

The first reset comes before the first frame that the host sends, the next one after it, and so on to the last, once at
once and once when the board had time to take the frame. A board without a store must then hold no program, one with a
store the old or the new one, in every bit of state; never a part of one. It must answer within 2 s, and take an update.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from neuromorph.errors import LinkError
from neuromorph_mcu.client import Client
from neuromorph_mcu.messages import Kept
from neuromorph_mcu.ports import open_port
from tests.mcu.power import READY, Found, image_of, look, run, update

BOARDS = {"mps2-an385": 40, "microbit": 4}
"""QEMU's machines, with the cells of each population of the new program; the microbit has a store, and 8 KiB."""
OLD_STEPS, NEW_STEPS = 10, 5
_TAKEN = 0.02
"""Seconds in which a board takes a frame, as a rule."""
_PRESSED = 5.0
"""Seconds in which a reset that was pressed must have come."""


class FramePort:
    """A port whose board is reset when the host has sent so many frames."""

    frames = 0
    reset_after: int | None = None
    late = False
    reset_at = 0.0

    def __init__(self, port: Any) -> None:
        self._port, self._inside = port, False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._port, name)

    def write(self, data: bytes) -> int:
        """Frame by frame; a host writes whole ones, each with a zero at both ends."""
        for frame in data.split(b"\0"):
            if frame:
                self._press()
                self._port.write(b"\0" + frame + b"\0")
                self.frames += 1
        self._press()
        return len(data)

    def _press(self) -> None:
        if self.reset_after is None or self.frames < self.reset_after:
            return
        self.reset_after = None
        time.sleep(_TAKEN if self.late else 0)
        self.press()

    def press(self) -> None:
        """The reset button."""
        self._port.dtr = False
        self._port.dtr = True
        self.reset_at = time.monotonic()


@dataclass
class Resets:
    """A board, the programs before and after the update, and what it was found with."""

    port: FramePort
    new_image: bytes
    slowest: float = 0.0
    seen: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.client = Client(self.port, "board")
        self.stores = Kept.FLASH in self.client.hello.kept
        self.old_image = image_of(1)
        self.update(self.old_image, OLD_STEPS)
        self.old = look(self.client) if self.stores else None
        sent = self.port.frames
        self.update(self.new_image, NEW_STEPS)
        self.frames = self.port.frames - sent
        self.new = look(self.client)
        if self.new is None or self.new == self.old:
            raise AssertionError(f"an undisturbed update left {self.new}")

    def update(self, image: bytes, steps: int) -> None:
        """Put a program on the board, with its state after so many steps, and into its flash if it has one."""
        if self.stores:
            self.client.unload()  # it has no room for both
            update(self.client, image, steps)
        else:
            self.client.upload(image)
            run(self.client, steps)

    def connect(self, boots: int) -> Client:
        """A session with a board that has started once more than `boots` times."""
        while True:
            self.client = Client(self.port, "board")
            if self.client.hello.boots > boots:
                self.slowest = max(self.slowest, time.monotonic() - self.port.reset_at)
                return self.client
            if time.monotonic() - self.port.reset_at > _PRESSED:
                raise AssertionError(f"the reset never came; starts: {self.client.hello.boots}")

    def reset(self, after: int, limit: float = READY, *, late: bool = False) -> str:
        """One reset, then the update again; what the board was found with. Raises AssertionError."""
        self.update(self.old_image, OLD_STEPS)
        boots = self.client.hello.boots
        self.port.late, self.port.reset_after = late, self.port.frames + after
        finished, case = False, f"reset after frame {after}, late={late}"
        try:
            self.update(self.new_image, NEW_STEPS)
            finished = True
        except LinkError as error:
            if "restarted" not in str(error):
                raise AssertionError(f"{case}: {error}") from error
        if self.port.reset_after is not None:  # fewer frames than in the first update: after the last one, then
            self.port.reset_after = None
            self.port.press()
        what = self._verdict(look(self.connect(boots)), case, finished, limit)
        self.update(self.new_image, NEW_STEPS)
        if look(self.client) != self.new:
            raise AssertionError(f"{case}: the next update left {look(self.client)}")
        self.seen[what] += 1
        return what

    def _verdict(self, found: Found | None, case: str, finished: bool, limit: float) -> str:
        allowed = {"old": self.old, "new": self.new} if self.stores else {"none": None}
        what = next((name for name, state in allowed.items() if state == found), "")
        if not what or (self.stores and finished and what != "new") or self.slowest > limit:
            raise AssertionError(f"{case}: found {found}, of {allowed}; answered within {self.slowest:.2f} s")
        return what


@contextmanager
def resets_of(machine: str, cells: int) -> Iterator[Resets]:
    """With that board switched on."""
    port = FramePort(open_port(f"nmqemu://{machine}"))
    try:
        yield Resets(port, image_of(2, cells))
    finally:
        port.close()


def main() -> int:
    """Each board, every frame; one line each."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--boards", default=",".join(BOARDS))
    options = parser.parse_args()
    for machine in options.boards.split(","):
        began = time.monotonic()
        with resets_of(machine, BOARDS[machine]) as resets:
            for after in range(resets.frames + 1):
                for late in (False, True):
                    resets.reset(after, late=late)
            found = ", ".join(f"{n} x {k}" for k, n in sorted(resets.seen.items()))
            print(
                f"mcu:qemu-{machine}: {resets.seen.total()} resets at the ends of the {resets.frames} frames of an "
                f"update to a program of {len(resets.new_image)} bytes: found {found}; ready within "
                f"{resets.slowest:.2f} s, and every next update came to its end; {time.monotonic() - began:.0f} s",
                flush=True,
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
