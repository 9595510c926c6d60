"""A board in process: the firmware's link and application above an engine that echoes, on a line with faults.

Time is virtual: a test that waits five seconds for a silent board takes a moment. Every fault comes from a seed, which
the test's name shows.
"""

from __future__ import annotations

import ctypes
import os
import random
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest

from neuromorph_mcu.client import Client
from neuromorph_mcu.faults import Faults, Line
from tests.scripts import script

ROOT = Path(__file__).parents[2]
CORE = ROOT / "firmware" / "core"
SERIAL = [path for stem in ("app*", "link*", "cobs", "crc32c") for path in sorted(CORE.glob(f"{stem}.c"))]
SOURCES = (Path(__file__).parent / "board.c", *SERIAL)


def compile_board(folder: Path, *more: str) -> Path:
    """The library of ``board.c``; undefined behaviour ends its process (unless ``cover.py`` counts branches)."""
    built = folder / "board.so"
    compiler = [shutil.which("cc")] if shutil.which("cc") else [sys.executable, "-m", "ziglang", "cc"]
    flags = ["-O1", "-g", "-std=c11", "-Wall", "-Wextra", "-Wconversion", "-Werror", "-fPIC", "-shared", f"-I{CORE}"]
    counting = os.environ.get("NM_COVERAGE_FLAGS", "").split()
    flags += counting or ["-fsanitize=undefined", "-fsanitize-undefined-trap-on-error"]
    subprocess.run([*map(str, compiler), *flags, *more, *map(str, SOURCES), "-o", str(built)], check=True, timeout=100)
    return built


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], ctypes.CDLL]:
    """Loads one more board: each copy of the library has its own memory."""
    folder = tmp_path_factory.mktemp("board")
    built = compile_board(folder)

    def load() -> ctypes.CDLL:
        copy = folder / f"board{len(list(folder.iterdir()))}.so"
        shutil.copy(built, copy)
        return ctypes.CDLL(str(copy))

    return load


class BoardPort:
    """A port with the board behind it: what `neuromorph_mcu.client` needs of pyserial, in virtual time."""

    def __init__(self, library: ctypes.CDLL, faults: Faults) -> None:
        self.faults, self.rng = faults, random.Random(faults.seed)
        self.library, self.millis, self.boots, self.silent = library, 0, 0, False
        self.from_board = b""
        self.sent = 0
        self.reset_after: int | None = None
        """The board is reset when it has taken so many bytes."""
        self.room = 1 << 16
        """Bytes that the line takes from the board per millisecond, in whole frames."""
        self._out = ctypes.create_string_buffer(1 << 16)
        self.reset()

    def change_line(self, **faults: float) -> None:
        """Go on with another line; what was on the old one is lost."""
        self.faults = Faults(**faults)  # type: ignore[arg-type]
        self.from_board = b""
        self.up, self.down = Line(self.faults, "up", self.clock()), Line(self.faults, "down", self.clock())

    def reset(self) -> None:
        """What was on the line is lost."""
        self.boots += 1
        self.from_board = b""
        self.up, self.down = Line(self.faults, "up", self.clock()), Line(self.faults, "down", self.clock())
        self.library.board_start(self.boots)

    def clock(self) -> float:
        return self.millis / 1000

    @property
    def in_waiting(self) -> int:
        return len(self.from_board)

    def write(self, data: bytes) -> int:
        self.up.put(data, self.clock())
        return len(data)

    def read(self, size: int = 1) -> bytes:
        end = self.millis + 20
        while len(self.from_board) < size and self.millis < end:
            self.tick()
        data, self.from_board = self.from_board[:size], self.from_board[size:]
        return data

    def tick(self) -> None:
        """One millisecond of the board."""
        self.millis += 1
        data = self.up.take(self.clock())
        if self.reset_after is not None and self.sent + len(data) >= self.reset_after:
            data = data[: self.reset_after - self.sent]
            self.reset_after = None
            self.library.board_receive(data, len(data), self.millis)
            self.reset()
            return
        self.sent += len(data)
        self.library.board_receive(data, len(data), self.millis)
        # A UART sends no faster than its line takes.
        cap = min(self.room, len(self._out)) if len(self.down) < 512 else 0
        n = self.library.board_poll(self._out, cap, self.millis)
        self.down.put(self._out.raw[:n], self.clock())
        if not self.silent:
            self.from_board += self.down.take(self.clock())

    def close(self) -> None:
        pass


@dataclass(frozen=True)
class Kit:
    """What the tests of this folder share."""

    load: Callable[[], ctypes.CDLL]

    def board(self, seed: int = 0, **faults: float) -> BoardPort:
        """A board on a line with the given faults (see `neuromorph_mcu.faults`)."""
        return BoardPort(self.load(), Faults(seed=seed, **faults))  # type: ignore[arg-type]

    @staticmethod
    def connect(port: BoardPort, seed: int = 1) -> Client:
        """A session with a board."""
        return Client(port, "board", seed=seed)

    @staticmethod
    def run(client: Client, steps: int, records: bytes) -> bytes:
        """All output of a run."""
        out: list[bytes] = []
        client.run(steps, records, out.append)
        return b"".join(out)

    @staticmethod
    def image(size: int = 3000, seed: int = 0, kilobytes: int = 0, bad: bool = False, chatty: bool = False) -> bytes:
        """An image for the echoing engine that wants so much memory; `bad` breaks rule R3 at its last byte.

        If `chatty` it echoes nothing: each step makes a record of 64 bytes.
        """
        body = bytearray(random.Random(seed).randbytes(size))
        body[:7] = b"NMI\x1a\0" + bytes((kilobytes, chatty))
        body[-1] = 0xEE if bad else 0
        return bytes(body)

    @staticmethod
    def spikes(steps: int, seed: int = 0, first: int = 1, most: int = 60) -> bytes:
        """Input records of `steps` steps; some steps have none, some several."""
        rng, out = random.Random(seed), bytearray()
        for step in range(first, first + steps):
            for _ in range(rng.choice((0, 0, 1, 1, 2))):
                count = rng.randrange(most)
                out += struct.pack("<IHBBIHH", step, 0, 0, 0, 0, count, 0) + rng.randbytes(2 * count + 3 & ~3)
        return bytes(out)


@pytest.fixture
def kit(library: Callable[[], ctypes.CDLL]) -> Kit:
    """Boards, images and inputs."""
    return Kit(library)


@pytest.fixture(scope="session")
def measure() -> ModuleType:
    """What measures the firmware, and knows its budget."""
    for name, package in (("unicorn", "Unicorn"), ("elftools", "pyelftools")):
        pytest.importorskip(name, reason=f"measuring needs {package}: pip install 'neuromorph[mcu]'")
    return script("firmware/measure.py")
