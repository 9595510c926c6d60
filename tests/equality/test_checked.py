"""The C engine breaks no rule of C on random programs: gcc's run-time checks end a run that does."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from neuromorph.testing.equality import CHECKED

ROOT = Path(__file__).resolve().parents[2]

pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.skipif(sys.platform != "linux" or not shutil.which("gcc"), reason="needs gcc: apt install gcc"),
]


@pytest.fixture(scope="module")
def library() -> Path:
    """The engine with checks of addresses and undefined behaviour; between its arrays lie bytes that are forbidden."""
    command = [sys.executable, str(ROOT / "firmware" / "build.py"), "--cc", "gcc", "--sanitize"]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    return ROOT / "build" / "gcc" / "nm_sanitize.so"


@pytest.mark.parametrize(
    "batch", [pytest.param(k, marks=pytest.mark.slow if k == 1 else ()) for k in range(len(CHECKED))]
)
def test_checks_find_nothing(library: Path, batch: int) -> None:
    """Also on lines of all lengths: a lane that is not there must not be touched, not even in scratch memory."""
    command = [sys.executable, "-m", "neuromorph.testing.checked", str(library), str(batch)]
    runtime = subprocess.run(["gcc", "-print-file-name=libasan.so"], capture_output=True, text=True, check=True).stdout
    env = {**os.environ, "LD_PRELOAD": runtime.strip(), "ASAN_OPTIONS": "detect_leaks=0"}
    done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=500, check=False)
    assert not done.stdout
    assert done.returncode == 0, done.stderr[-3000:]
