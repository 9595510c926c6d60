"""Many frames over bad lines in virtual time: each arrives exactly once, in order, and nothing stalls.

``python -m tests.mcu.soak [FRAMES]`` shares a million frames among the kinds of faults in bytes, and a tenth of that
among those that hit whole frames; it prints one line for each, with the token that replays it. The board is the
firmware's C link, which sends back whatever comes; the host is the package's.
"""

from __future__ import annotations

import ctypes
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from neuromorph_mcu.faults import Faults, Line
from neuromorph_mcu.link import HostLink

ROOT = Path(__file__).parents[2]
CORE = ROOT / "firmware" / "core"
RATE = 921_600.0
STALL = 5.0
KINDS = ("corrupt", "drop", "duplicate", "insert")
FRAME_KINDS = ("frame_drop", "frame_duplicate", "frame_delay", "frame_reorder")
COUNTERS = (
    "frames_in", "frames_out", "crc_err", "cobs_err", "overlong", "gap", "framing", "overrun", "retransmits",
    "duplicates", "out_of_order", "dropped", "resets", "naks", "lost", "replaced", "closed",
)  # fmt: skip


@dataclass(frozen=True)
class Case:
    """Payloads of at most `size` bytes on a line with `faults`."""

    size: int
    faults: Faults


@dataclass(frozen=True)
class Outcome:
    """What came of it: messages delivered both ways, seconds of the line, the longest silence, bytes per second."""

    frames: int
    seconds: float
    stall: float
    goodput: float
    hits: int
    retransmits: int


def cases(seed: int = 1) -> list[Case]:
    """Large frames on good lines, small ones on bad lines; each kind of fault alone, then all together."""
    alone = [
        Case(size, Faults(seed=seed, rate=RATE, **{kind: p}))  # type: ignore[arg-type]
        for size, p in ((256, 1e-4), (64, 1e-3), (32, 1e-2))
        for kind in KINDS
    ]
    frames = [Case(256, Faults(seed=seed, rate=RATE, **{kind: 0.05})) for kind in FRAME_KINDS]  # type: ignore[arg-type]
    every = Faults(seed=seed, rate=RATE, corrupt=0.0025, drop=0.0025, duplicate=0.0025, insert=0.0025)
    return [*alone, *frames, Case(32, every)]


def shares(frames: int) -> list[tuple[Case, int]]:
    """`cases`, each with its share of `frames` where bytes are hit, or of a tenth of that where frames are."""
    every = cases()
    whole = [any(getattr(case.faults, kind) for kind in FRAME_KINDS) for case in every]
    bytewise, framewise = -(-frames // whole.count(False)), -(-frames // (10 * whole.count(True)))
    return [(case, framewise if of_frames else bytewise) for case, of_frames in zip(every, whole, strict=True)]


def build(folder: Path, *flags: str, source: str = "echo") -> ctypes.CDLL:
    """The C link as a library, with a source of this folder around it."""
    sources = [
        Path(__file__).with_name(f"{source}.c"),
        *(CORE / f"{n}.c" for n in ("link", "link_send", "cobs", "crc32c")),
    ]
    gcc = shutil.which("cc")
    compiler = [gcc] if gcc else [sys.executable, "-m", "ziglang", "cc"]
    out = folder / f"{source}.so"
    command = [*compiler, "-O2", "-std=c11", "-fPIC", "-shared", "-DNM_LINK_WINDOW=8u", f"-I{CORE}", *flags]
    subprocess.run([*command, *map(str, sources), "-o", str(out)], check=True, timeout=100)
    return ctypes.CDLL(str(out))


class Pair:
    """Both ends and the line between them."""

    def __init__(self, library: ctypes.CDLL, faults: Faults) -> None:
        self.library, self.millis = library, 0
        self.up, self.down = Line(faults, "up"), Line(faults, "down")
        self.host = HostLink(faults.seed % 65535 + 1, 0.0)
        self._out = ctypes.create_string_buffer(1 << 14)
        library.echo_start()

    def tick(self) -> list[tuple[int, bytes]]:
        """One millisecond; what the host got."""
        self.millis += 1
        now = self.millis / 1000
        if len(self.up) < 256:  # a port takes what its driver has room for
            self.up.put(self.host.transmit(now), now)
        data = self.up.take(now)
        # The board sends only while its line takes bytes.
        cap = len(self._out) if len(self.down) < 256 else 0
        n = self.library.echo_run(data, len(data), self._out, cap, self.millis)
        if n:
            self.down.put(self._out.raw[:n], now)
        return self.host.receive(self.down.take(now), now)


def soak(library: ctypes.CDLL, case: Case, frames: int) -> Outcome:
    """Send messages until `frames` were delivered, half of them each way; raises AssertionError with the token."""
    pair, rng = Pair(library, case.faults), random.Random(case.faults.seed)
    expected: deque[bytes] = deque()
    got = payload = 0
    last, stall = 0, 0
    while 2 * got < frames:
        while pair.host.room and len(expected) < 32:
            data = rng.randbytes(rng.randrange(1, min(case.size, pair.host.size) + 1) if got % 8 else case.size)
            expected.append(data)
            pair.host.send(16 + len(data) % 200, data, pair.millis / 1000)
        for kind, data in pair.tick():
            wanted = expected.popleft()
            if (kind, data) != (16 + len(wanted) % 200, wanted):
                raise AssertionError(f"message {got} is another; replay: size={case.size} {case.faults.token}")
            got += 1
            payload += len(data)
            stall, last = max(stall, pair.millis - last), pair.millis
        if pair.host.failure or pair.millis - last > STALL * 1000:
            why = pair.host.failure or f"nothing arrived for {STALL:g} s"
            raise AssertionError(f"{why} after {2 * got} frames; replay: size={case.size} {case.faults.token}")
    seconds = pair.millis / 1000
    again = pair.host.counters()["retransmits"] + library.echo_counter(COUNTERS.index("retransmits"))
    return Outcome(2 * got, seconds, stall / 1000, payload / seconds, pair.up.hits + pair.down.hits, again)


def main() -> None:
    """Print one line for each kind of fault."""
    frames = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    began = time.monotonic()
    total = 0
    with tempfile.TemporaryDirectory() as folder:
        library = build(Path(folder))
        for case, part in shares(frames):
            done = soak(library, case, part)
            total += done.frames
            share = done.goodput * 10 / RATE
            print(
                f"{done.frames:8d} frames, {done.hits:8d} faults, {done.retransmits:8d} sent again, longest silence "
                f"{done.stall:5.2f} s, goodput {done.goodput / 1000:6.2f} kB/s each way ({share:4.0%} of the line): "
                f"size={case.size} {case.faults.token}",
                flush=True,
            )
    print(f"{total} frames: content exactly once, in order; {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
