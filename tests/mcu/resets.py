"""An upload that is cut at every byte, in virtual time: ready within 2 s, always the old or the new image.

``python -m tests.mcu.resets [STRIDE]`` cuts a 16 KiB upload after each byte that the board takes of it (or after each
STRIDE-th), once by a reset of the board and once by the death of the host. A reset takes what is in RAM, so the old
image is none then; without a reset it is the program that was there, and the next upload goes on where this one
stopped.
``tests/mcu/test_resets.py`` draws some of the cuts.
"""

from __future__ import annotations

import ctypes
import sys
import tempfile
import time
from pathlib import Path

from neuromorph.errors import LinkError
from neuromorph_mcu.client import Client
from neuromorph_mcu.faults import Faults
from tests.mcu.conftest import BoardPort, Kit, compile_board

SIZE = 16 << 10
READY = 2.0
ROOMY = "-DPOOL=65536u"
"""Room for both images on the board."""
OLD, NEW = Kit.image(2000, seed=2), Kit.image(SIZE, seed=1)


class _Cut(Exception):  # noqa: N818 (no error: what the test does)
    """The host dies."""


class _MortalPort(BoardPort):
    """A port whose host dies when the board has taken so many bytes."""

    dies_after: int | None = None

    def tick(self) -> None:
        data = self.up.take(self.clock())
        if self.dies_after is not None and self.sent + len(data) >= self.dies_after:
            data = data[: self.dies_after - self.sent]
            self.dies_after = None
            self.library.board_receive(data, len(data), self.millis)
            self.change_line()
            raise _Cut
        self.up.put(data, self.clock())
        super().tick()


def upload_bytes(library: ctypes.CDLL) -> int:
    """Bytes on the line of an undisturbed upload."""
    return cut_upload(library, 1 << 30, reset=False)[0]


def cut_upload(library: ctypes.CDLL, after: int, *, reset: bool, again: bool = False) -> tuple[int, float]:
    """Cut an upload after so many bytes; bytes that the board has taken of it, and seconds until it answers again.

    With `again` the upload is repeated then. Raises AssertionError with the number of the byte.
    """
    port = _MortalPort(library, Faults())
    client = Client(port, "board", seed=1)
    client.upload(OLD)
    begin = port.sent
    if reset:
        port.reset_after = begin + after
    else:
        port.dies_after = begin + after
    try:
        client.upload(NEW)
        client.status()
    except (LinkError, _Cut):
        pass
    cut = port.reset_millis if reset else port.millis
    if port.reset_after is not None or port.dies_after is not None:
        return port.sent - begin, 0.0
    second = Client(port, "board", seed=2)
    status = second.status()
    ready = port.clock() - cut / 1000
    old = bytes(32) if reset else OLD[64:96]
    if status.digest not in (old, NEW[64:96]) or ready > READY:
        raise AssertionError(f"cut after byte {after}, reset={reset}: {status}, ready after {ready:.2f} s")
    if again:
        second.upload(NEW)
        if second.status().digest != NEW[64:96]:
            raise AssertionError(f"cut after byte {after}, reset={reset}: the next upload left another image")
    return after, ready


def main() -> None:
    """Every byte, or every STRIDE-th."""
    stride = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    with tempfile.TemporaryDirectory() as folder:
        library = ctypes.CDLL(str(compile_board(Path(folder), ROOMY)))
        total = upload_bytes(library)
        for reset in (True, False):
            began = time.monotonic()
            cuts = range(0, total, stride)
            slowest = max(cut_upload(library, after, reset=reset, again=after % 61 == 0)[1] for after in cuts)
            what = "resets of the board" if reset else "deaths of the host"
            print(
                f"{len(cuts)} {what} within the {total} bytes of an upload of {SIZE}: old or new image each "
                f"time, ready within {slowest:.2f} s; {time.monotonic() - began:.0f} s",
                flush=True,
            )


if __name__ == "__main__":
    main()
