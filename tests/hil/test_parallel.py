"""Boards in parallel: one worker per board, and a board of somebody else is locked, not failed."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from pytest_neuromorph.scheduling import board_of

pytest.importorskip("filelock", reason="needs the extra hil: pip install 'neuromorph[hil]'")

Suite = Callable[..., pytest.RunResult]
Hardware = Callable[..., Path]

WITNESS = """
import os, time
from pathlib import Path

@pytest.mark.parametrize("k", range(4))
def test_it(board, k):
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    begin = time.monotonic()
    time.sleep(0.1)
    with Path("witness.txt").open("a") as file:
        file.write(f"{board.id} {worker} {begin} {time.monotonic()}\\n")

def test_without_a_board():
    pass
"""


def witness(folder: Path) -> dict[str, list[tuple[str, float, float]]]:
    """By board: worker, begin and end of each test, by begin."""
    found = defaultdict(list)
    for line in (folder / "witness.txt").read_text().splitlines():
        board, worker, begin, end = line.split()
        found[board].append((worker, float(begin), float(end)))
    return {board: sorted(rows, key=lambda row: row[1]) for board, rows in found.items()}


def test_two_boards_in_parallel_are_never_shared(suite: Suite, hardware: Hardware, pytester: pytest.Pytester) -> None:
    """Two workers, two boards: each board belongs to one worker, and no two tests of a board overlap."""
    hardware(2)
    result = suite(WITNESS, "-n", "2", apart=True)
    assert "9 passed" in result.stdout.str()
    found = witness(pytester.path)
    assert set(found) == {"b0", "b1"}
    workers = [{worker for worker, *_ in rows} for rows in found.values()]
    assert [len(some) for some in workers] == [1, 1]
    assert workers[0] != workers[1]
    for rows in found.values():
        assert all(one[2] <= two[1] for one, two in pairwise(rows))


def test_with_another_distribution_the_lock_keeps_the_boards_apart(
    suite: Suite, hardware: Hardware, pytester: pytest.Pytester
) -> None:
    """`--dist each` sends every test to every worker: the workers of one run wait for each other."""
    hardware(1)
    result = suite(WITNESS, "-n", "2", "--dist", "each", apart=True)
    assert "10 passed" in result.stdout.str()
    (rows,) = witness(pytester.path).values()
    assert len({worker for worker, *_ in rows}) == 2
    assert all(one[2] <= two[1] for one, two in pairwise(rows))


@pytest.mark.parametrize(
    ("names", "count"), [((), 3), (("--nm-board", "b0", "--nm-board", "b1"), 2), (("--nm-target", "unicorn"), 6)]
)
def test_automatic_workers_are_as_many_as_the_boards(
    suite: Suite, hardware: Hardware, names: tuple[str, ...], count: int
) -> None:
    hardware(3)
    result = suite("def test_it(board): pass", "-n", "auto", *names, apart=True)
    result.stdout.fnmatch_lines([f"{count} workers*"])


HOLDER = """
import sys
from pathlib import Path
from neuromorph_mcu.locks import hold

with hold(sys.argv[1], "b0", "a test of locks", folder=Path(sys.argv[2])):
    print("held", flush=True)
    sys.stdin.readline()
"""


def test_a_board_of_another_process_is_locked_not_failed(
    suite: Suite, hardware: Hardware, pytester: pytest.Pytester
) -> None:
    """The tests of the free board pass; those of the other are locked, with the holder; the run is green."""
    hardware(2)
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, "b0", str(pytester.path / "locks")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        result = suite("def test_it(board): pass\ndef test_more(board): pass", "--junitxml", "out.xml")
    finally:
        holder.communicate("\n", timeout=20)
    assert result.ret == 0
    assert re.search("2 passed, 2 locked", result.outlines[-1])
    result.stdout.fnmatch_lines([f"LOCKED [[]2[]] b0 is locked: process {holder.pid} on * (a test of locks)"])
    junit = (pytester.path / "out.xml").read_text()
    assert 'skipped="2"' in junit
    assert 'failures="0"' in junit
    assert "2 passed" in suite("def test_it(board): pass").outlines[-1]  # the lock went with its holder


def test_a_board_that_a_session_has_is_locked(suite: Suite) -> None:
    """Sessions hold the board by the device; so does a run whose own locks are elsewhere."""
    from neuromorph_mcu.locks import lock_folder

    url = "socket://127.0.0.1:9"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, url, str(lock_folder())],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        result = suite("def test_it(board): pass", "--nm-target", f"mcu:{url}")
    finally:
        holder.communicate("\n", timeout=20)
    assert result.ret == 0
    assert "1 locked" in result.outlines[-1]
    result.stdout.fnmatch_lines([f"LOCKED [[]1[]] * is locked: process {holder.pid} on * (a test of locks)"])


def test_waiting_for_a_board_and_a_holder_that_is_killed(pytester: pytest.Pytester) -> None:
    """A lock ends with its process, whatever ends it; who waits gets the board then."""
    from neuromorph_mcu.locks import Locked, hold, holder_of, locked_by

    folder = pytester.path / "locks"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, "b0", str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(Locked, match=f"process {holder.pid}"), hold("b0", "b0", "a second one", folder=folder):
            pass
    finally:
        holder.kill()
        holder.communicate(timeout=20)
    begin = time.monotonic()
    with hold("b0", "b0", "a third one", wait=30, folder=folder):
        note = holder_of("b0", folder)
        assert note is not None
        assert note.what == "a third one"
        assert "a third one" in locked_by("b0", "b0", folder)
    assert time.monotonic() - begin < 30
    assert locked_by("b0", "b0", folder) == ""


@pytest.mark.parametrize(
    ("nodeid", "board"),
    [
        ("t.py::test_it[mcu:m4]", "mcu:m4"),
        ("t.py::test_it[mcu:qemu-mps2-an385-3-x]", "mcu:qemu-mps2-an385"),
        ("t.py::test_it[3-mcu:qemu-mps2]", "mcu:qemu-mps2"),
        ("t.py::test_it[mcu:socket://host:5-a]", "mcu:socket://host:5"),
        ("t.py::test_it[mcu:m40]", None),
        ("mcu:m4.py::test_it", None),
    ],
)
def test_the_board_of_a_test_is_in_its_id(nodeid: str, board: str | None) -> None:
    ids = ("mcu:m4", "mcu:qemu-mps2", "mcu:qemu-mps2-an385", "mcu:socket://host:5")
    assert board_of(nodeid, ids) == board
