"""The emulated flash of `mcu:posix`: it behaves as flash does, counts its operations, and can lose power in each."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

FIRMWARE = Path(__file__).parents[2] / "firmware"
SIZE, SECTOR = 256 << 10, 4096
POWER_CUT = 75

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the firmware as a program needs POSIX")


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    built = tmp_path_factory.mktemp("flash") / "flash"
    compiler = [shutil.which("cc") or ""] if shutil.which("cc") else [sys.executable, "-m", "ziglang", "cc"]
    port = FIRMWARE / "port"
    folders = [f"-I{folder}" for folder in (port, port / "posix", FIRMWARE / "core")]
    sources = [Path(__file__).parent / "flash.c", port / "posix" / "flash.c"]
    flags = ["-std=c11", "-Wall", "-Wextra", "-Wconversion", "-Werror", *folders]
    subprocess.run([*compiler, *flags, *map(str, sources), "-o", str(built)], check=True, timeout=100)
    return built


def operate(program: Path, file: Path, operations: str, cut: int = 0) -> tuple[str, int]:
    """Answers, one digit each, and the exit status."""
    done = subprocess.run(
        [program, file, str(cut)], input=operations, capture_output=True, text=True, timeout=20, check=False
    )
    return done.stdout.replace("\n", ""), done.returncode


def test_what_is_written_stays_and_operations_are_counted(program: Path, tmp_path: Path) -> None:
    file = tmp_path / "flash"
    assert operate(program, file, "w 0 16 7\nw 4096 8 9\n") == ("11", 0)
    assert operate(program, file, "e 0\n") == ("1", 0)
    content = file.read_bytes()
    assert content[:SECTOR] == b"\xff" * SECTOR
    assert content[SECTOR : SECTOR + 9] == b"\x09" * 8 + b"\xff"
    assert content[SIZE:] == (3).to_bytes(8, "little")


@pytest.mark.parametrize(
    "operation",
    ["w 0 8 1", "w 4 8 1", "w 16 12 1", f"w {SIZE} 8 1", f"w {SIZE - 8} 16 1", "e 8", f"e {SIZE}"],
    ids=["not erased", "place", "length", "outside", "across the end", "no sector", "no such sector"],
)
def test_what_flash_cannot_do_is_refused(program: Path, tmp_path: Path, operation: str) -> None:
    file = tmp_path / "flash"
    operate(program, file, "w 0 8 5\n")
    before = file.read_bytes()
    assert operate(program, file, operation) == ("0", 0)
    assert file.read_bytes() == before


def test_power_that_fails_leaves_half_an_operation(program: Path, tmp_path: Path) -> None:
    file = tmp_path / "flash"
    assert operate(program, file, "w 0 16 3\nw 16 16 4\nw 32 8 5\n", cut=2)[1] == POWER_CUT
    assert file.read_bytes()[:40] == b"\x03" * 16 + b"\x04" * 8 + b"\xff" * 16
    operate(program, file, "w 4088 8 6\n")
    assert operate(program, file, "e 0\n", cut=1)[1] == POWER_CUT
    content = file.read_bytes()
    assert content[: SECTOR // 2] == b"\xff" * (SECTOR // 2)
    assert content[4088:SECTOR] == b"\x06" * 8


def test_a_file_that_is_none_is_left_alone(program: Path, tmp_path: Path) -> None:
    file = tmp_path / "letter"
    file.write_text("not a flash")
    assert operate(program, file, "e 0\n")[1] == 2
    assert file.read_text() == "not a flash"
