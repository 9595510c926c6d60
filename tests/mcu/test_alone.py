"""The engine as a library, in a loop that no host takes part in: the example of ``firmware/examples``."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from runpy import run_path

import numpy as np
import pytest

import neuromorph as nm

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "firmware" / "examples"
CORE = ROOT / "firmware" / "core"
SERIAL = ("app", "cobs", "link", "host")
LIGHT_ONLY = 6000
"""First step of the stub's world without touches."""


@pytest.fixture(scope="module")
def moves(tmp_path_factory: pytest.TempPathFactory) -> list[int]:
    """Steps at which the example moved its motor."""
    folder = tmp_path_factory.mktemp("reflex")
    command = [sys.executable, EXAMPLES / "embed.py", EXAMPLES / "reflex" / "network.py", folder / "reflex.h"]
    subprocess.run([*map(str, command)], check=True, timeout=60)
    compiler = [shutil.which("cc") or ""] if shutil.which("cc") else [sys.executable, "-m", "ziglang", "cc"]
    sources = [p for p in CORE.glob("*.c") if not p.name.startswith(SERIAL)]
    flags = ["-std=c11", "-O1", "-Wall", "-Wextra", "-Wconversion", "-Werror", f"-I{folder}", f"-I{CORE}"]
    program = folder / "reflex"
    subprocess.run(
        [*compiler, *flags, str(EXAMPLES / "reflex" / "reflex.c"), *map(str, sources), "-o", str(program)],
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
    net = run_path(str(EXAMPLES / "reflex" / "network.py"))["network"]()
    steps = np.arange(1, 6501)
    light = steps[steps % 100 == 0]
    touch = steps[(steps % 100 == 8) & (steps > 100) & (steps < LIGHT_ONLY)]
    inputs = {name: nm.SpikeTrain(at, np.zeros(len(at), int)) for name, at in (("light", light), ("touch", touch))}
    trace = nm.run(net, target="cpu:ref", duration=6.5, inputs=inputs)
    assert trace.spikes("motor").steps.tolist() == moves
