"""The firmware as a program loses its power in the middle of a flash operation, or is reset in the middle of an update.

``python -m tests.mcu.power --board N`` does N of each.
"""

from __future__ import annotations

import random
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from neuromorph.errors import LinkError, NeuromorphError, TargetError
from neuromorph_mcu.client import Client
from neuromorph_mcu.ports import open_port
from tests.mcu.power import LARGE, READY, Found, image_of, look, run, update

_MOST = 15
"""Operations of the longest work, a little more."""
_SIGNAL = 0.02
"""Seconds that a signal takes to the board, as a rule."""


class _ResetPort:
    """A port whose board is reset when the host has written so many bytes."""

    sent = 0
    reset_after: int | None = None

    def __init__(self, port: Any) -> None:
        self._port = port

    def __getattr__(self, name: str) -> Any:
        return getattr(self._port, name)

    def write(self, data: bytes) -> int:
        begin, self.sent = self.sent, self.sent + len(data)
        if self.reset_after is None or self.sent < self.reset_after:
            return int(self._port.write(data))
        first, self.reset_after = self.reset_after - begin, None
        self._port.write(data[:first])
        self._port.process.press_reset()
        time.sleep(_SIGNAL)
        return first + int(self._port.write(data[first:]))


class Board:
    """The firmware as a program, with its flash in a file."""

    def __init__(self, folder: Path) -> None:
        self.flash = folder / "flash"
        self.slowest = 0.0
        self.client: Client | None = None
        self.port: Any = None

    def power_on(self, cut: int = 0) -> Client:
        """Start it; the power fails in that operation from now on."""
        self.off()
        self.port = _ResetPort(open_port(f"nmposix://?flash={self.flash}" + (f"&cut={cut}" if cut else "")))
        return self.connect()

    def connect(self) -> Client:
        """A session, the first one or another."""
        began = time.monotonic()
        try:
            self.client = Client(self.port, "mcu:posix")
        except BaseException:
            self.port.close()
            raise
        self.slowest = max(self.slowest, time.monotonic() - began)
        return self.client

    def off(self) -> None:
        """Take the power away."""
        if self.client is not None:
            self.client.close()
            self.client = None

    def found(self) -> Found | None:
        """What it starts with."""
        return look(self.power_on())


def cut(
    board: Board, images: tuple[bytes, bytes], known: dict[str, Found], rng: random.Random, limit: float = READY
) -> str:
    """One cut within an image update or a state save; returns what the board was found with then."""
    old, new = images
    client = board.power_on()
    update(client, old, 10)
    updating = rng.random() < 0.5
    for _ in range(rng.randrange(14)):
        client.save()
    allowed = {"old": known["old"], "new": known["new" if updating else "saved"]}
    try:
        client = board.power_on(rng.randrange(1, _MOST))
        if updating:
            update(client, new, 5)
        else:
            run(client, 7)
            for _ in range(6):
                client.save()
    except TargetError as error:
        if "power cut in flash operation" not in str(error):
            raise
        finished = False
    else:
        finished = True
    what = verdict(board, board.found(), allowed, finished, limit)
    return ("update: " if updating else "save: ") + what + (", not cut" if finished else "")


def verdict(board: Board, found: Found | None, allowed: dict[str, Found], finished: bool, limit: float) -> str:
    """Which of the states that are allowed was found; what was finished must be the new one."""
    what = next((name for name, state in allowed.items() if state == found), "")
    if not what or (finished and what != "new") or board.slowest > limit:
        raise AssertionError(f"found {found}, expected one of {allowed}; answered within {board.slowest:.2f} s")
    return what


def reset(
    board: Board, images: tuple[bytes, bytes], known: dict[str, Found], rng: random.Random, limit: float = READY
) -> str:
    """One reset after a random byte of an image update; returns what the board was found with then."""
    old, new = images
    client = board.power_on()
    update(client, old, 10)
    board.port.reset_after = board.port.sent + rng.randrange(len(new) + len(new) // 8)
    finished = False
    try:
        update(client, new, 5)
        finished = True
    except LinkError as error:
        if "restarted" not in str(error):
            raise
    missed, board.port.reset_after = board.port.reset_after is not None, None
    client, end = board.connect(), time.monotonic() + limit
    while client.hello.boots < 2 - missed and time.monotonic() < end:
        client = board.connect()
    what = verdict(board, look(client), {name: known[name] for name in ("old", "new")}, finished, limit)
    return f"reset: {what}" + (", over before" if missed else "")


def known_states(board: Board, images: tuple[bytes, bytes]) -> dict[str, Found]:
    """What a board has after undisturbed work, all with the program kept in memory only."""
    states = {}
    for name, image, steps in (("old", images[0], 10), ("new", images[1], 5), ("saved", images[0], 17)):
        client = board.power_on()
        client.upload(image)
        run(client, steps)
        found = look(client)
        if found is None:
            raise NeuromorphError("the board lost its program")
        states[name] = found
    return states


def cuts(count: int, seed: int = 1, limit: float = READY) -> Counter[str]:
    """So many cuts and resets, drawn at random; prints what they left. It must answer within `limit` seconds."""
    rng, began, seen = random.Random(seed), time.monotonic(), Counter[str]()
    small, large = (image_of(1), image_of(2)), (image_of(1), image_of(2, LARGE))
    with tempfile.TemporaryDirectory() as folder:
        board = Board(Path(folder))
        try:
            known = known_states(board, small)
            for _ in range(count):
                seen[cut(board, small, known, rng, limit)] += 1
            known = known_states(board, large)
            resets = 0
            while resets < count:
                what = reset(board, large, known, rng, limit)
                seen[what] += 1
                resets += "over before" not in what
        finally:
            board.off()
    found = ", ".join(f"{n} x {k}" for k, n in sorted(seen.items()))
    print(
        f"the firmware as a program, at its pseudo-terminal: {count} cuts and {count} resets within an update of "
        f"{len(large[1])} bytes, seed {seed}; found {found}; ready within {board.slowest:.2f} s; "
        f"{time.monotonic() - began:.0f} s",
        flush=True,
    )
    return seen
