"""Hosts that go away, in real time: ``python -m tests.mcu.hosts [--stall SECONDS] [--pace free|real] [--fault NAME]``.

The firmware as a program runs a network that is active by itself and learns, and streams its trace to a host. To that
something happens in mid-run: it is killed, it is stopped for a while, its port is closed, the cable is pulled, it reads
a byte in 10 ms. Then another host comes. At pace real the board must have gone on, at pace free it must have waited; in
both all state must be that of `cpu:ref` at that step, and the counts must add up.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import neuromorph as nm
from neuromorph.errors import LinkError
from neuromorph.plasticity import STDP
from neuromorph.program import Program
from neuromorph.session import Pace, Session
from neuromorph.units import ms
from neuromorph_mcu.boards import posix_program
from neuromorph_mcu.engine import McuEngine
from neuromorph_mcu.link import Timing
from neuromorph_mcu.messages import State

ROOT = Path(__file__).parents[2]
PERIOD = 1e-3
STEPS = 10_000_000
"""More than any host lives to see."""
TROUBLE_AT, GOES_ON = 200, 300
"""Steps before something happens, and that the board must make afterwards at pace real."""
PATIENCE = 60.0


def network(*, chatty: bool = True) -> nm.Network:
    """Cells that fire by themselves and learn from each other; if `chatty`, each step makes a record of 300 bytes."""
    net = nm.Network(name="alive", dt=1 * ms, seed=3)
    cell = nm.LIF(tau_m=20 * ms, tau_s=4 * ms, v_th=1.0, refractory=3 * ms, bias=1.2)
    cells = net.population(60, cell, name="cells", v_init=nm.Uniform(0.0, 0.9))
    rule = STDP(a_plus=0.02, a_minus=0.02, tau_plus=20 * ms, tau_minus=20 * ms, w_max=0.4)
    syn = net.connect(
        cells, cells, weights=nm.Uniform(0.0, 0.2), topology=nm.FixedInDegree(5), plasticity=rule, name="syn"
    )
    if chatty:
        net.probe(cells, "v")
        net.probe(cells, "spikes")
    net.probe(syn, "w", every=100 * ms)
    return net


class Cut:
    """A port whose cable is pulled: nothing comes, what is sent goes nowhere."""

    in_waiting = 0

    def __init__(self, port: Any) -> None:
        self.port = port

    def read(self, _size: int = 1) -> bytes:
        """Silence."""
        time.sleep(0.02)
        return b""

    def write(self, data: bytes) -> int:
        """All of it, to nobody."""
        return len(data)

    def close(self) -> None:
        """The port behind."""
        self.port.close()


class Slow(Cut):
    """A host that takes a byte in 10 ms, and goes away after a while."""

    def __init__(self, port: Any, seconds: float) -> None:
        super().__init__(port)
        self.end = time.monotonic() + seconds

    def read(self, _size: int = 1) -> bytes:
        """One byte."""
        if time.monotonic() > self.end:
            raise OSError("the host has had enough")
        time.sleep(0.01)
        return bytes(self.port.read(1))

    def write(self, data: bytes) -> int:
        """At full speed."""
        return int(self.port.write(data))


@dataclass(frozen=True, slots=True)
class Found:
    """What the second host found.

    Attributes
    ----------
    seen : int
        The last step that the first host knew of.
    step : int
        The step of the board when it was attached to.
    recorded, dropped : int
        Steps of pace real whose records were kept for a host, and were not.
    equal : bool
        All state is that of `cpu:ref` at that step.
    goes_on : bool
        And so is the trace of the next steps.
    """

    seen: int
    step: int
    recorded: int
    dropped: int
    equal: bool
    goes_on: bool


@contextmanager
def board(line: str) -> Iterator[str]:
    """A board that outlives its hosts; gives the URL of its port."""
    with tempfile.TemporaryFile("w+b") as output:
        process = subprocess.Popen([posix_program(), *(["--pty"] if line == "pty" else ["--tcp", "0"])], stdout=output)
        try:
            said, end = b"", time.monotonic() + PATIENCE
            while b"\n" not in said and time.monotonic() < end:
                time.sleep(0.01)
                said = os.pread(output.fileno(), 100, 0)
            where = said.decode().split()[1]
            yield where if line == "pty" else f"socket://{where}"
        finally:
            process.kill()
            process.wait(PATIENCE)


def connect(url: str) -> McuEngine:
    """A session; the board shares its processor, and may be late."""
    return McuEngine("board", url, Timing(silent=5.0))


# ------------------------------------------------------------------------------------------ the first host


def host_in_process(url: str, program: Program, pace: Pace, trouble: Callable[[McuEngine], None]) -> int:
    """Run, and let something happen; the last step that arrived."""
    engine = connect(url)
    seen = [0]
    with Session(program, engine) as session:
        engine.load(program.image)

        def progress(step: int, _all: int) -> None:
            if step >= TROUBLE_AT > seen[0]:
                trouble(engine)
            seen[0] = step

        period = PERIOD if pace == "real" else None
        with suppress(LinkError):
            session.run(steps=STEPS, pace=pace, period=period, progress=progress)
            raise AssertionError("the run ended")
    return seen[0]


def close_port(engine: McuEngine) -> None:
    """By another part of the program."""
    engine.port.close()


def pull_cable(engine: McuEngine) -> None:
    """Of a serial port: no byte any more. The host has its default patience of a second."""
    client: Any = engine._client
    client._port, client._link.patience = Cut(engine.port), 1.0


def cut_connection(engine: McuEngine) -> None:
    """Of TCP: reset, without a word."""
    line: socket.socket = engine.port._socket
    line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    line.close()


def host_process(url: str, pace: Pace, signals: tuple[signal.Signals, ...], seconds: float) -> int:
    """A host of its own, which gets signals, with so many seconds between them; the last step that it told of."""
    command = [sys.executable, "-m", "tests.mcu.hosts", "--serve", url, "--pace", pace]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            assert process.stdout is not None
            seen = 0
            while seen < TROUBLE_AT and (line := process.stdout.readline()):
                seen = int(line)
            for number in signals:
                process.send_signal(number)
                time.sleep(seconds if number == signal.SIGSTOP else min(seconds, 1.0))
        finally:
            process.kill()
        return max([seen, *map(int, process.stdout.read().split())])


def serve(url: str, pace: Pace) -> None:
    """What the host of its own does."""
    program = nm.compile(network(), target="mcu")

    def progress(step: int, _all: int) -> None:
        print(step, flush=True)

    with Session(program, connect(url)) as session:
        session.engine.load(program.image)
        with suppress(LinkError):
            session.run(steps=STEPS, pace=pace, period=PERIOD if pace == "real" else None, progress=progress)


FAULTS = ("killed", "closed", "cable", "connection", "slow", "stalled")


def trouble(fault: str, url: str, program: Program, pace: Pace, stall: float) -> int:
    """Let a host of that fate run; the last step that it knew of."""
    if fault == "killed":
        return host_process(url, pace, (signal.SIGKILL,), 0.0)
    if fault == "stalled":
        return host_process(url, pace, (signal.SIGSTOP, signal.SIGCONT), stall)

    def slow_down(engine: McuEngine) -> None:
        client: Any = engine._client
        client._port = Slow(engine.port, stall)

    what = {"closed": close_port, "cable": pull_cable, "connection": cut_connection, "slow": slow_down}[fault]
    return host_in_process(url, program, pace, what)


# ------------------------------------------------------------------------------------------ the second host


def wait_for_steps(url: str, least: int) -> None:
    """Look on until the board has made them by itself."""
    end = time.monotonic() + PATIENCE
    engine = connect(url)
    try:
        while (status := engine._client.status()).step < least:
            if status.state != State.RUNNING or time.monotonic() > end:
                raise AssertionError(f"the board stands at step {status.step}")
            time.sleep(0.02)
    finally:
        engine.close()


def look(url: str, program: Program, pace: Pace, seen: int) -> Found:
    """Attach to the board and hold all that it has against `cpu:ref`."""
    if pace == "real":
        wait_for_steps(url, seen + GOES_ON)
    with Session(program, engine := connect(url)) as session, nm.open(program, "cpu:ref") as reference:
        running = engine._client.status()
        engine.attach(program.digest)
        step, counts = session.now, session.counters
        if pace == "free" and (running.state != State.IDLE or running.step != step):
            raise AssertionError(f"the board did not wait: {running}")
        reference.run(steps=step)
        equal = reference.snapshot() == session.snapshot()
        goes_on = nm.compare(session.run(steps=50), reference.run(steps=50)).equal
        return Found(seen, step, counts["recorded"], counts["dropped"], equal, goes_on)


def scenario(fault: str, pace: Pace, stall: float) -> Found:
    """A host to which something happens, and the one that comes after it."""
    program = nm.compile(network(), target="mcu")
    with board("tcp" if fault == "connection" else "pty") as url:
        seen = trouble(fault, url, program, pace, stall)
        return look(url, program, pace, seen)


def main() -> int:
    """All of them, one line each; 1 if one is not as it must be."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--stall", type=float, default=30.0, help="seconds that a host stalls, or is slow (default 30)")
    parser.add_argument("--pace", choices=("free", "real"))
    parser.add_argument("--fault", choices=FAULTS)
    parser.add_argument("--serve", metavar="URL", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve, options.pace)
        return 0
    wrong = 0
    paces: tuple[Pace, ...] = (options.pace,) if options.pace else ("free", "real")
    for fault in (options.fault,) if options.fault else FAULTS:
        for pace in paces:
            found = scenario(fault, pace, options.stall)
            good = found.equal and found.goes_on and (pace == "free" or found.recorded + found.dropped == found.step)
            wrong += not good
            print(f"{'good' if good else 'WRONG'}: {fault}, pace {pace}: {found}", flush=True)
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
