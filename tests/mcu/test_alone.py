"""The engine as a library, in a loop that no host takes part in: the example of ``firmware/examples``."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from runpy import run_path

import numpy as np
import pytest

import neuromorph as nm
from neuromorph.session import Session
from neuromorph_mcu.engine import McuEngine
from neuromorph_mcu.link import Timing

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FIRMWARE = Path(__file__).parents[2] / "firmware"
EXAMPLES, CORE = FIRMWARE / "examples", FIRMWARE / "core"
FAST = 1e-4
"""Seconds of a step of a board that is in a hurry."""
COMPILER = [shutil.which("cc") or ""] if shutil.which("cc") else [sys.executable, "-m", "ziglang", "cc"]
SERIAL = ("app", "cobs", "link", "host")
LIGHT_ONLY = 6000
"""First step of the stub's world without touches."""


def embedded(folder: Path) -> Path:
    """The folder, with the program and its constants in ``reflex.h``."""
    command = [sys.executable, EXAMPLES / "embed.py", EXAMPLES / "reflex" / "network.py", folder / "reflex.h"]
    subprocess.run([*map(str, command)], check=True, timeout=60)
    return folder


def network() -> nm.Network:
    """The example's."""
    made = run_path(str(EXAMPLES / "reflex" / "network.py"))["network"]()
    assert isinstance(made, nm.Network)
    return made


def world(steps: int) -> dict[str, nm.SpikeTrain]:
    """What the stub of ``sensor.c`` says in steps 1 .. `steps`."""
    at = np.arange(1, steps + 1)
    light, touch = at[at % 100 == 0], at[(at % 100 == 8) & (at > 100) & (at < LIGHT_ONLY)]
    return {name: nm.SpikeTrain(t, np.zeros(len(t), int)) for name, t in (("light", light), ("touch", touch))}


@pytest.fixture(scope="module")
def moves(tmp_path_factory: pytest.TempPathFactory) -> list[int]:
    """Steps at which the example moved its motor."""
    folder = embedded(tmp_path_factory.mktemp("reflex"))
    sources = [p for p in CORE.glob("*.c") if not p.name.startswith(SERIAL)]
    flags = ["-std=c11", "-O0", "-Wall", "-Wextra", "-Wconversion", "-Werror", f"-I{folder}", f"-I{CORE}"]
    program = folder / "reflex"
    subprocess.run(
        [*COMPILER, *flags, *map(str, (EXAMPLES / "reflex").glob("*.c")), *map(str, sources), "-o", str(program)],
        check=True, timeout=110,
    )  # fmt: skip
    done = subprocess.run([program], capture_output=True, text=True, check=True, timeout=60)
    return [int(line) for line in done.stdout.splitlines()]


def test_it_learns_to_move_at_the_light_alone(moves: list[int]) -> None:
    early, late = [t for t in moves if t < 3000], [t for t in moves if t >= LIGHT_ONLY]
    assert early
    assert all(8 <= t % 100 < 20 for t in early)  # at first the touch moves it
    assert [t // 100 for t in late] == [60, 61, 62, 63, 64]  # in the end each light does
    assert all(0 < t % 100 < 8 for t in late)


def test_it_moves_as_the_specification_says(moves: list[int]) -> None:
    trace = nm.run(network(), target="cpu:ref", duration=6.5, inputs=world(6500))
    assert trace.spikes("motor").steps.tolist() == moves


@pytest.fixture
def switch_on(tmp_path: Path) -> Iterator[Callable[[], Callable[[], McuEngine]]]:
    """Give power to a board with the sensor and the motor of ``sensor.c``: the power before goes, its flash stays.

    What it returns connects to the board.
    """
    board, log = tmp_path / "board", tmp_path / "moves"
    made: list[subprocess.Popen[bytes]] = []
    define = tomllib.loads((FIRMWARE / "boards" / "posix" / "board.toml").read_text())["defines"]
    folders = [CORE, FIRMWARE / "port", FIRMWARE / "port" / "posix", FIRMWARE / "boards" / "posix"]
    sources = [p for folder in folders for p in folder.glob("*.c") if p.name != "host.c"]
    flags = ["-std=c11", "-O0", "-Wall", "-Wextra", "-Wconversion", "-Werror", *(f"-I{p}" for p in folders)]
    flags += [f"-I{embedded(tmp_path)}", *(f"-D{name}={value}" for name, value in define.items())]
    own = [*map(str, sources), str(EXAMPLES / "reflex" / "sensor.c")]
    subprocess.run([*COMPILER, *flags, *own, "-o", str(board)], check=True, timeout=110)

    def start() -> Callable[[], McuEngine]:
        while made:
            end(made.pop())
        with log.open("w") as output:
            made.append(subprocess.Popen([board, "--pty", "--flash", tmp_path / "flash"], stdout=output))
        while not (said := log.read_text().partition("\n"))[1]:
            time.sleep(0.01)
        return lambda: McuEngine("board", said[0].removeprefix("pty "), Timing(silent=5.0))

    yield start
    while made:
        end(made.pop())


def end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait(20)


def test_a_stored_program_learns_from_the_sensor_of_its_board(
    switch_on: Callable[[], Callable[[], McuEngine]], tmp_path: Path
) -> None:
    """The firmware calls nm_sense and nm_act; the host comes for the state, and goes."""
    program = nm.compile(network(), target="mcu")
    with Session(program, switch_on()()) as session:
        session.engine.load(program.image)
        session.persist(alone=FAST)
    connect = switch_on()  # the power comes, and nobody asks anything
    done = 0
    while done < LIGHT_ONLY + 300:
        time.sleep(0.3)
        with Session(program, engine := connect()) as session:
            engine.attach(program.digest)
            done = session.now
            session.leave(FAST)
    with Session(program, engine := connect()) as session:
        assert engine.hello.cause == "power"
        engine.attach(program.digest)
        done, state = session.now, session.snapshot()
    moved = [int(line) for line in (tmp_path / "moves").read_text().splitlines()[1:]]
    with nm.open(program, "cpu:ref") as reference:
        trace = reference.run(steps=done, inputs=world(done))
        assert reference.snapshot() == state
    assert trace.spikes("motor").steps.tolist() == moved
    assert done > LIGHT_ONLY
    assert all(0 < step % 100 < 8 for step in moved if step > LIGHT_ONLY)  # it has learned
