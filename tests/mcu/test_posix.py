"""The firmware as a program: equal traces over a pseudo-terminal and TCP, ends that are told, nothing left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from neuromorph.errors import LinkError, TargetError
from neuromorph.testing.equality import disagreement, random_case
from neuromorph.testing.leftovers import processes
from neuromorph_mcu import backend
from neuromorph_mcu.boards import FIRMWARE, posix_program
from neuromorph_mcu.engine import McuEngine
from neuromorph_mcu.link import Timing
from neuromorph_mcu.messages import Kind
from neuromorph_mcu.ports import open_port

pytest.importorskip("serial", reason="ports need pyserial: pip install 'neuromorph[mcu]'")
pytestmark = pytest.mark.skipif(not posix_program().is_file(), reason="the firmware was not built: run `make build`")

on_linux = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at processes in /proc")


def left_of(group: int, seconds: float = 2.0) -> list[int]:
    """Processes of a group that are still there when the kernel has had some time to end them."""
    end = time.monotonic() + seconds
    while processes(group) and time.monotonic() < end:
        time.sleep(0.01)
    return processes(group)


def ask_on(engine: McuEngine) -> None:
    """Until it fails."""
    while True:
        engine.now()


def group_of(engine: McuEngine) -> int:
    return int(engine.port.process._process.pid)


@pytest.fixture
def engine() -> Iterator[McuEngine]:
    engine = McuEngine("mcu:posix", "nmposix://")
    yield engine
    engine.close()


@pytest.mark.parametrize("line", ["pty", "tcp"])
def test_traces_equal_the_specification(line: str) -> None:
    engine = McuEngine("mcu:posix", f"nmposix://?line={line}")
    assert engine.hello.board == "posix"
    for seed in range(5):
        assert disagreement(random_case(seed, steps=40), engine) == ""
    assert engine.counters()["board_crc_err"] == 0
    engine.close()


def test_it_is_a_target_that_says_whether_it_checks_itself(engine: McuEngine) -> None:
    target = backend.find("mcu:posix")
    assert target is not None
    assert backend.available(target) == ""
    assert target.image_max == engine.hello.pool
    checked = (FIRMWARE / "posix_checked").is_file()
    assert engine.hello.core == ("host, checked" if checked else "host")


def test_the_program_without_checks_is_there_too() -> None:
    done = subprocess.run([FIRMWARE / "posix"], capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("usage: posix")


def test_a_reset_is_noticed_and_counted(engine: McuEngine) -> None:
    engine.load(random_case(1).draw.program.image)
    engine.port.dtr = False
    engine.port.dtr = True
    with pytest.raises(LinkError, match=r"mcu:posix: the board restarted \(pin\), start 2 since power came"):
        ask_on(engine)
    assert engine.hello.boots == 1


@pytest.mark.parametrize("cause", ["software", "watchdog", "brown-out"])
def test_a_board_that_restarts_in_mid_run_says_why(cause: str) -> None:
    engine = McuEngine("mcu:posix", f"nmposix://?cause={cause}")
    assert engine.hello.cause == "power"
    engine.load(random_case(1).draw.program.image)
    pressed: list[int] = []

    def press(step: int) -> None:
        if not pressed:
            engine.port.process.press_reset()
        pressed.append(step)

    with pytest.raises(LinkError, match=rf"mcu:posix: the board restarted \({cause}\).*while waiting for step"):
        engine.run(100_000_000, b"", lambda _: None, press)
    engine.close()


def test_a_piece_of_no_bytes_before_any_upload_is_nothing(engine: McuEngine) -> None:
    engine._client._send(Kind.DATA, bytes(4))
    assert engine.now() == 0
    assert disagreement(random_case(1, steps=20), engine) == ""


def test_a_slow_line_loses_nothing() -> None:
    engine = McuEngine("mcu:posix", "nmposix://?rate=460800")
    assert disagreement(random_case(1, steps=20), engine) == ""
    engine.close()


@on_linux
def test_a_program_that_dies_is_told_by_its_end(engine: McuEngine) -> None:
    group = group_of(engine)
    (board,) = [pid for pid in processes(group) if "posix" in os.readlink(f"/proc/{pid}/exe")]
    os.kill(board, signal.SIGSEGV)
    with pytest.raises(TargetError, match=r"mcu:posix: the process of the board (was ended by|ended with status)"):
        ask_on(engine)
    engine.close()
    assert left_of(group) == []


def test_a_wrong_option_is_told_with_the_usage() -> None:
    with pytest.raises(TargetError, match=r"(?s)ended with status 2; it said:.*usage: posix"):
        open_port("nmposix://?speed=1")


@on_linux
def test_close_leaves_nothing_behind() -> None:
    engine = McuEngine("mcu:posix", "nmposix://")
    group = group_of(engine)
    assert len(processes(group)) >= 2  # the board and its guard
    engine.close()
    engine.close()
    assert left_of(group) == []


@on_linux
def test_a_killed_host_leaves_nothing_behind() -> None:
    code = (
        "import os, signal; from neuromorph_mcu.engine import McuEngine; e = McuEngine('x', 'nmposix://');"
        "print(e.port.process._process.pid, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL
    assert left_of(int(done.stdout), 10.0) == []


def test_a_host_that_went_away_finds_the_board_as_it_left_it() -> None:
    """Over TCP: the line closes without a word; the next session goes on with the same program and step."""
    case = random_case(1)
    port = open_port("nmposix://?line=tcp")
    url = port._line.portstr
    port._line.close()
    first = McuEngine("board", url)
    first.load(case.draw.program.image)
    first.run(10, b"", lambda _: None)
    first.close()
    second = McuEngine("board", url, Timing(lost=2.0))
    assert second.now() == 10
    second.close()
    port.close()


@on_linux
def test_a_board_may_inherit_any_file() -> None:
    """The third one, too, as a socket is in a process that has nothing else open."""
    code = """
import os
from neuromorph_mcu.processes import BoardProcess
ours, theirs = os.pipe()
os.write(theirs, b"hello\\n")
os.dup2(ours, 3)
board = BoardProcess("board", ["head", "-n", "1", "/dev/fd/3"], [3])
print(board.first_line())
board.close()
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (run.stdout, run.stderr) == ("hello\n", "")
