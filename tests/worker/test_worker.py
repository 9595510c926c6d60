"""A machine in another process: the same bits, bounded waits, nothing left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

import neuromorph
import neuromorph_cpu
from neuromorph.errors import ImageError, TargetError, ValidationError
from neuromorph.program import Population, Probe, Program, Projection, build
from neuromorph.session import Session
from neuromorph.testing.equality import disagreement, random_case
from neuromorph.testing.leftovers import processes, segments
from neuromorph.worker.engine import WorkerEngine
from neuromorph.worker.frames import HEAD, pack, unpack
from neuromorph.worker.process import Worker

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
LIMIT = 10.0  # seconds that a failure may take to be noticed
PACKAGES = {
    "neuromorph": str(Path(neuromorph.__file__).parent), "neuromorph_cpu": str(Path(neuromorph_cpu.__file__).parent),
    "toy": str(Path(__file__).parent / "toy"),
}  # fmt: skip

Open = Callable[..., WorkerEngine]


@pytest.fixture
def engine() -> Iterator[Open]:
    made: list[WorkerEngine] = []

    def start(fault: str = "") -> WorkerEngine:
        engine = WorkerEngine("toy", lambda: Worker("toy", sys.executable, "toy.worker", PACKAGES, {"fault": fault}))
        made.append(engine)
        return engine

    yield start
    for each in made:
        each.close()


def program() -> Program:
    return build(
        [Population("in", 3, "input"), Population("cells", 2, vth=100, bias=900)],
        [Projection("syn", "in", "cells", np.full((3, 2), 50), sign_mode="exc")],
        probes=(Probe("spikes", "cells", "spikes"), Probe("v", "cells", "v")),
    )


def session(engine: WorkerEngine) -> Session:
    engine.load(program().image)
    return Session(program(), engine)


def test_messages_go_over_a_pipe_whole() -> None:
    data = pack({"call": "x", "n": 3}, b"raw") + pack({}, b"")
    at = [0]

    def read(count: int) -> bytes:
        at[0] += count
        return data[at[0] - count : at[0]]

    assert unpack(read) == ({"call": "x", "n": 3}, b"raw")
    assert unpack(read) == ({}, b"")
    with pytest.raises(ValueError, match="no message"):
        unpack(lambda count: bytes(HEAD.size)[:count])


@pytest.mark.parametrize("seed", range(4))
def test_runs_states_and_counters_are_those_of_the_machine(engine: Open, seed: int) -> None:
    found = disagreement(random_case(seed), engine())
    assert not found, found


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("raise", "the peer's own words"), ("die", "(?s)exited with status 3.*last words"),
        ("stop", "no sign of life"), ("litter", "ended by signal 9"),
    ],
)  # fmt: skip
def test_a_worker_that_fails_is_ended_with_all_that_it_left(engine: Open, fault: str, message: str) -> None:
    machine = engine(fault)
    with session(machine) as running:
        group, mark, begin = machine.worker.pid, machine.worker.mark, time.monotonic()
        with pytest.raises(TargetError, match=message) as error:
            running.run(steps=50)
        assert time.monotonic() - begin < LIMIT
        assert error.value.trace is not None
        assert not processes(group)
        assert not segments(mark)
        with pytest.raises(TargetError, match=r"reset\(\) starts another"):
            running.read("cells", "v")
        running.reset()  # the same session, another worker
        assert running.run(steps=10).complete


def test_a_worker_killed_from_outside_is_noticed(engine: Open) -> None:
    machine = engine("wait")
    running = session(machine)
    threading.Timer(0.5, os.kill, (machine.worker.pid, signal.SIGKILL)).start()
    with pytest.raises(TargetError, match="ended by signal 9"):
        running.run(steps=50)


def test_cpu_time_is_that_of_all_processes_of_a_worker(engine: Open) -> None:
    machine = engine("burn")  # 0.2 s of its own, 0.2 s in a process that it starts
    running = session(machine)
    before = machine.cpu_seconds()
    running.run(steps=50)
    # Of each process the kernel counts in ticks of 10 ms; its own time alone would be 0.2 s.
    assert machine.cpu_seconds() - before >= 0.36


def test_what_a_peer_prints_is_no_message(engine: Open) -> None:
    assert session(engine("chat")).run(steps=50).complete


def test_an_interrupted_run_ends_the_worker(engine: Open) -> None:
    machine = engine()
    running = session(machine)
    group = machine.worker.pid

    def interrupt(*_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        running.run(steps=500, progress=interrupt)
    assert not processes(group)


def test_refusals_leave_the_worker_as_it_was(engine: Open) -> None:
    machine = engine()
    running = session(machine)
    running.run(steps=5)
    with pytest.raises(ImageError):
        machine.load(b"no image")
    with pytest.raises(ValidationError, match="nothing was written"):
        machine.write_item(1, 0, np.array([1 << 24, 0], "<i4").tobytes())
    with pytest.raises(ValidationError, match="no values"):
        machine.read_item(7, 0, 1)
    assert running.now == 5
    assert machine.versions()["toy"] == "1"


def test_a_missing_interpreter_is_named() -> None:
    with pytest.raises(TargetError, match="/no/python cannot be started"):
        Worker("toy", "/no/python", "toy.worker", PACKAGES, {})


def test_a_worker_ends_with_its_parent(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(
        "import json, os, sys\n"
        "from neuromorph.worker.process import Worker\n"
        "packages = json.loads(sys.argv[1])\n"
        "worker = Worker('toy', sys.executable, 'toy.worker', packages, {'fault': ''})\n"
        "print(worker.pid, flush=True)\n"
        "os._exit(0)\n"
    )
    path = os.pathsep.join(str(Path(folder).parent) for folder in PACKAGES.values())
    done = subprocess.run(
        [sys.executable, str(script), json.dumps(PACKAGES)], capture_output=True, text=True, timeout=60, check=True,
        env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip
    group, end = int(done.stdout), time.monotonic() + LIMIT
    while processes(group) and time.monotonic() < end:
        time.sleep(0.1)
    assert not processes(group)
