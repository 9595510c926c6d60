"""Branches of the board's link that the tests of this folder take: ``python -m tests.mcu.cover`` prints them by gcov.

The exit status is 1 if a branch of a file in FILES is never taken. Needs gcc and gcov.
"""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[2]
TESTS = ("test_link.py", "test_pace.py", "test_client.py", "test_hostile.py", "test_link_corners.py", "test_cobs.py")
FILES = ("link.c", "link_send.c", "link_internal.h", "cobs.c")

Branches = dict[str, Counter[tuple[int, int]]]


def measure(folder: Path) -> Branches:
    """How often each branch (line, number) of each file was taken."""
    env = {**os.environ, "NM_COVERAGE_FLAGS": "--coverage -O0 -fprofile-abs-path"}
    tests = [str(ROOT / "tests" / "mcu" / name) for name in TESTS]
    command = [sys.executable, "-m", "pytest", "-q", "-n0", "-p", "no:cacheprovider", f"--basetemp={folder / 'run'}"]
    subprocess.run([*command, *tests], cwd=ROOT, env=env, check=True)
    taken: Branches = {name: Counter() for name in FILES}
    for counts in sorted(folder.rglob("*.gcda")):
        command = ["gcov", "--branch-probabilities", "--json-format", "--stdout", counts.name]
        done = subprocess.run(command, cwd=counts.parent, check=True, capture_output=True)
        raw = gzip.decompress(done.stdout) if done.stdout[:2] == b"\x1f\x8b" else done.stdout
        for file in json.loads(raw)["files"]:
            name = Path(file["file"]).name
            for line in file["lines"] if name in taken else ():
                for k, branch in enumerate(line["branches"]):
                    taken[name][line["line_number"], k] += branch["count"]
    return taken


def main() -> int:
    """Print each file's share, and every branch that no test takes."""
    with tempfile.TemporaryDirectory() as folder:
        taken = measure(Path(folder))
    missed = 0
    for name, branches in taken.items():
        never = sorted(where for where, count in branches.items() if not count)
        missed += len(never)
        print(f"{name}: {len(branches) - len(never)} of {len(branches)} branches")
        source = (ROOT / "firmware" / "core" / name).read_text().splitlines()
        for line, k in never:
            print(f"  {name}:{line}, branch {k}: {source[line - 1].strip()}")
    return 1 if missed or not any(taken.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
