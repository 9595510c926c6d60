"""Branches of the C core that its tests take: ``python -m tests.cover [link] [verifier]`` counts them by gcov.

The exit status is 1 if a branch of a file in `GROUPS` is never taken. Without gcc and gcov it says so and does nothing.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
CORE = ROOT / "firmware" / "core"
FLAGS = "--coverage -O0 -fprofile-abs-path"
SERIAL_ONLY = ("app", "cobs", "link")

Branches = dict[str, Counter[tuple[int, int]]]


@dataclass(frozen=True)
class Group:
    """Files of the core, and the tests that are to take each of their branches."""

    files: tuple[str, ...]
    tests: tuple[str, ...]


GROUPS = {
    "link": Group(
        ("link.c", "link_send.c", "link_internal.h", "cobs.c"),
        tuple(
            f"tests/mcu/{name}.py"
            for name in ("test_link", "test_pace", "test_client", "test_hostile", "test_link_corners", "test_cobs")
        ),
    ),
    "verifier": Group(
        ("verify.c", "verify_net.c", "verify_rules.c", "verify_internal.h", "cost.c"),
        ("tests/system/test_images.py", "tests/system/test_verifier.py", "tests/system/test_demands.py"),
    ),
}


def host_engine(folder: Path) -> Path:
    """The engine as a library that counts its branches; `tests/conftest.py` has it loaded in place of the built one."""
    sources = [path for path in sorted(CORE.glob("*.c")) if not path.name.startswith(SERIAL_ONLY)]
    built = folder / "engine.so"
    command = ["gcc", *FLAGS.split(), "-std=c11", "-fPIC", "-shared", f"-I{CORE}", *map(str, sources), "-o", str(built)]
    subprocess.run(command, cwd=folder, check=True, timeout=300)
    return built


def measure(group: Group, folder: Path) -> Branches:
    """How often each branch (line, number) of each file was taken."""
    engine = host_engine(folder)
    env = {**os.environ, "NM_COVERAGE_FLAGS": FLAGS, "NM_COVERAGE_ENGINE": str(engine)}
    command = [sys.executable, "-m", "pytest", "-q", "-n0", "-p", "no:cacheprovider", f"--basetemp={folder / 'run'}"]
    command += ["-k", "not mutants"]  # they run in a process of their own, which is not counted
    subprocess.run([*command, *group.tests], cwd=ROOT, env=env, check=True)
    taken: Branches = {name: Counter() for name in group.files}
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


def show(taken: Branches) -> int:
    """Print each file's share, and every branch that no test takes; how many those are."""
    missed = 0
    for name, branches in taken.items():
        never = sorted(where for where, count in branches.items() if not count)
        missed += len(never)
        print(f"{name}: {len(branches) - len(never)} of {len(branches)} branches")
        source = (CORE / name).read_text().splitlines()
        for line, k in never:
            print(f"  {name}:{line}, branch {k}: {source[line - 1].strip()}")
    return missed


def main() -> int:
    """Count, print, and say whether any is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("groups", nargs="*", default=list(GROUPS), help=f"of {', '.join(GROUPS)}; all by default")
    names, good = parser.parse_args().groups, True
    if not (shutil.which("gcc") and shutil.which("gcov")):
        print("coverage: skipped, no gcc and gcov on PATH")
        return 0
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            taken = measure(GROUPS[name], Path(folder))
        good = show(taken) == 0 and any(taken.values()) and good
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
