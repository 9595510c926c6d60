"""A port that is closed, or whose cable is pulled, and that is opened again: ``python -m tests.mcu.reconnects``.

A thousand times on the firmware as a program (at its pseudo-terminal and over TCP), a hundred times on a board in QEMU.
Meanwhile nothing goes on, or a run whose trace streams, an upload, a reading of state; the byte at which that breaks
off is drawn. Then the port is opened anew: within 3 s there must be a session again, the step must be one that the run
can have come to, and all state must be that of a machine which ran to that step in one go.
``tests/mcu/test_reconnects.py`` does a few.
"""

from __future__ import annotations

import argparse
import random
import shutil
import socket
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import neuromorph as nm
from neuromorph.errors import LinkError
from neuromorph.program import Program
from neuromorph.session import Session
from neuromorph_mcu.boards import QEMU
from neuromorph_mcu.engine import McuEngine
from neuromorph_mcu.link import Timing
from neuromorph_mcu.processes import BoardProcess
from tests.mcu.hosts import STEPS, Cut, board, connect, network

READY = 3.0
"""Seconds within which there is a session again."""
MACHINE = "mps2-an385"
WAYS = (("closed", "nothing"), *((tear, what) for what in ("run", "upload", "read") for tear in ("closed", "pulled")))
"""In turn."""
LARGE = 8000
"""Bytes of an upload, of which no more than three quarters go over before it breaks off."""
_PULLED = Timing(silent=0.1, lost=0.1)
"""What a host that hears nothing waits for; the pulled cable is known by then."""


class Breaking:
    """A port that breaks after so many bytes: it is closed, or from then on nothing comes and nothing goes."""

    def __init__(self, port: Any, after: int, *, silent: bool) -> None:
        self._port, self._left, self._silent = port, after, silent

    def __getattr__(self, name: str) -> Any:
        return getattr(self._port, name)

    def _broken(self, size: int) -> bool:
        self._left -= size
        if self._left < 0 and not self._silent:
            self._port.close()
        elif self._left < 0 and not isinstance(self._port, Cut):
            self._port = Cut(self._port)
        return self._left < 0

    @property
    def in_waiting(self) -> int:
        """Bytes that can be read without waiting."""
        return int(self._port.in_waiting)

    def read(self, size: int = 1) -> bytes:
        """Of the port behind, as long as there is one."""
        data = bytes(self._port.read(size))
        self._broken(len(data))
        return data

    def write(self, data: bytes) -> int:
        """The first bytes may still go."""
        keep = max(0, self._left)
        if keep < len(data):
            self._port.write(data[:keep])
        self._broken(len(data))
        return int(self._port.write(data))


@dataclass
class Seen:
    """What came of all reconnects: seconds of each, and how often what broke off which way."""

    seconds: list[float] = field(default_factory=list)
    what: Counter[str] = field(default_factory=Counter)
    steps: int = 0

    def told(self) -> str:
        """In a line."""
        return (
            f"{len(self.seconds)} reconnects, {self.steps} steps, state and step as they must be each time; session "
            f"again within {max(self.seconds):.3f} s, median {statistics.median(self.seconds):.3f} s "
            f"({', '.join(f'{n} x {k}' for k, n in sorted(self.what.items()))})"
        )


@contextmanager
def qemu(machine: str = MACHINE) -> Iterator[str]:
    """A board in QEMU that outlives its hosts; gives the URL of its port."""
    known, program = QEMU[machine], shutil.which(QEMU[machine].program)
    if program is None:
        raise RuntimeError(known.missing())
    with socket.create_server(("127.0.0.1", 0)) as listener:
        command = [
            program, "-machine", machine, *known.options, "-kernel", str(known.elf), "-display", "none", "-nodefaults",
            "-chardev", f"socket,id=line,fd={listener.fileno()},server=on,wait=off", "-serial", "chardev:line",
        ]  # fmt: skip
        process = BoardProcess(f"mcu:qemu-{machine}", command, [listener.fileno()])
        try:
            yield f"socket://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            process.close()


def break_off(session: Session, engine: McuEngine, what: str, rng: random.Random, *, silent: bool) -> None:
    """Begin something that does not come to its end, as the port breaks."""
    client: Any = engine._client
    if what == "nothing":
        return
    client._port = Breaking(engine.port, rng.randrange(LARGE * 3 // 4), silent=silent)
    client._link.timing, client._silent, client._link.patience = _PULLED, _PULLED.silent, _PULLED.silent
    try:
        if what == "run":
            session.run(steps=STEPS)
        elif what == "upload":
            client.upload(rng.randbytes(LARGE))
        while what == "read":
            session.snapshot()
    except LinkError:
        return
    raise AssertionError(f"{what} came to its end")


@dataclass
class Reconnects:
    """A board that a program is on, beside a machine that is never disturbed."""

    url: str
    program: Program
    reference: Session
    rng: random.Random
    seen: Seen = field(default_factory=Seen)
    meanwhile: str = "nothing"

    def load(self) -> None:
        """Begin with the program at step 0."""
        with Session(self.program, engine := connect(self.url)):
            engine.load(self.program.image)

    def once(self) -> None:
        """Open, look, break off. Raises AssertionError."""
        began = time.monotonic()
        with Session(self.program, engine := connect(self.url)) as session:
            engine.attach(self.program.digest)
            seconds = time.monotonic() - began
            if seconds > READY:
                raise AssertionError(f"{seconds:.2f} s until there was a session")
            self.check(session)
            tear, self.meanwhile = WAYS[len(self.seen.seconds) % len(WAYS)]
            self.seen.seconds.append(seconds)
            self.seen.what[f"{tear} in {self.meanwhile}"] += 1
            break_off(session, engine, self.meanwhile, self.rng, silent=tear == "pulled")

    def check(self, session: Session) -> None:
        """The step, and all state at it."""
        step, before = session.now, self.reference.now
        if not before <= step < STEPS or (step > before and self.meanwhile != "run"):
            raise AssertionError(f"step {step}; it was {before} before {self.meanwhile}")
        if step > before:
            self.reference.run(steps=step - before)
        if session.snapshot() != self.reference.snapshot():
            raise AssertionError(f"the state of step {step} is another, after {self.meanwhile}")
        self.seen.steps = step

    def finish(self) -> None:
        """A host that stays: the steps that follow are right, and an upload comes to its end."""
        with Session(self.program, engine := connect(self.url)) as session:
            engine.attach(self.program.digest)
            self.check(session)
            found = nm.compare(session.run(steps=50), self.reference.run(steps=50))
            engine.load(self.program.image)
            if not found.equal or session.now:
                raise AssertionError(f"afterwards: {found.explain()}, step {session.now} of a new program")


def reconnects(url: str, count: int, seed: int = 1) -> Seen:
    """So many, on one board."""
    program = nm.compile(network(), target="mcu")
    with nm.open(program, "cpu") as reference:
        work = Reconnects(url, program, reference, random.Random(seed))
        work.load()
        for _ in range(count):
            work.once()
        work.finish()
        return work.seen


def main() -> int:
    """Each board, one line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--count", type=int, default=500, help="of each of the program's two lines; a fifth in QEMU")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    boards: dict[str, tuple[Callable[[], AbstractContextManager[str]], int]] = {
        "mcu:posix, pseudo-terminal": (partial(board, "pty"), options.count),
        "mcu:posix, TCP": (partial(board, "tcp"), options.count),
        f"mcu:qemu-{MACHINE}": (qemu, options.count // 5),
    }
    for name, (start, count) in boards.items():
        began = time.monotonic()
        with start() as url:
            seen = reconnects(url, count, options.seed)
        print(f"{name}, seed {options.seed}: {seen.told()}; {time.monotonic() - began:.0f} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
