"""The scripts of examples/ run, and do what they say."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(name: str, directory: Path, *arguments: str) -> str:
    """What a script prints."""
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / name), *arguments],
        capture_output=True, text=True, timeout=90, cwd=directory, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_script_is_tested() -> None:
    elsewhere = {"serve_board.py"}  # docs/howto/board.md
    here = {"closed_loop.py", "own_rule.py", "resume_elsewhere.py", "stdp_window.py"}
    assert {path.name for path in EXAMPLES.glob("*.py")} == here | elsewhere


def test_resume_elsewhere(tmp_path: Path) -> None:
    printed = run("resume_elsewhere.py", tmp_path, "cpu:ref", "cpu")
    assert printed.startswith("equal")
    assert printed.endswith("weights equal\n")


def test_own_rule_prefers_inputs_that_fire_together(tmp_path: Path) -> None:
    together, others = map(float, re.findall(r"\d\.\d{3}", run("own_rule.py", tmp_path, "cpu")))
    assert together > 3 * others


def test_closed_loop_turns_to_the_light() -> None:
    steer = runpy.run_path(str(EXAMPLES / "closed_loop.py"))["steer"]
    for start in (-60.0, 75.0):
        assert abs(np.mean(steer("cpu", start)[-20:]) - 30.0) < 10.0


def test_stdp_window_is_that_of_the_formula(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="pictures need matplotlib: pip install 'neuromorph[plot]'")
    printed = run("stdp_window.py", tmp_path, "cpu", "window.png")
    # The mean of 20 independently rounded pairs: each has a standard deviation of up to 0.5 steps of 1/255.
    assert float(re.findall(r"\d\.\d{4}", printed)[0]) < 4 * 0.5 / 255 / 20**0.5
    assert (tmp_path / "window.png").stat().st_size > 1000
