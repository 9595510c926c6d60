"""Runs of pytest within pytest, on boards that come along and on machines that are faulty on purpose."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from pathlib import Path

import pytest

# A run in this process forgets what it imported: modules with C in them must not come twice, and others cost time.
for _name in (
    "numpy.random", "unicorn.arm_const", "serial", "serial.tools.list_ports", "filelock", "jinja2", "tomlkit",
    "elftools.elf.elffile", "neuromorph", "neuromorph.lockstep", "neuromorph.compile", "neuromorph.network",
    "neuromorph_cpu.native", "neuromorph_cpu.ref_engine", "neuromorph_mcu.engine", "neuromorph_mcu.emulator",
    "pytest_neuromorph.rig", "pytest_neuromorph.handle", "pytest_neuromorph.page", "pytest_neuromorph.verdict",
):  # fmt: skip
    with suppress(ImportError):
        import_module(_name)

MINE = '''
"""A third party's backend: the C engine, with faults that its name asks for."""

from neuromorph.engine import Target
from neuromorph.errors import LinkError
from neuromorph.image import FEATURES
from neuromorph_cpu.native import NativeEngine
from pathlib import Path


class Wrong(NativeEngine):
    """Before step 10, the current of the second neuron becomes too large."""

    def run(self, steps, records, on_output, on_progress=None):
        start = self.now()
        at = 0
        while at < len(records) and int.from_bytes(records[at : at + 4], "little") <= 9:
            at += 16 + (2 * int.from_bytes(records[at + 12 : at + 14], "little") + 3 & ~3)
        if not start < 10 <= start + steps:
            super().run(steps, records, on_output, on_progress)
            return
        if start < 9:
            super().run(9 - start, records[:at], on_output, on_progress)
        u = bytearray(self.read_item(0, 0, 2))
        u[6] ^= 0x05
        self.write_item(0, 0, bytes(u))
        super().run(start + steps - 9, records[at:], on_output, on_progress)


class Broken(NativeEngine):
    """The link breaks in every run; how often it ran is in a file."""

    def run(self, steps, records, on_output, on_progress=None):
        with Path("runs.txt").open("a") as file:
            file.write("run\\n")
        raise LinkError("no byte from the board for 5 s")


class Shaky(NativeEngine):
    """The link breaks in the first run of a process."""

    def run(self, steps, records, on_output, on_progress=None):
        if not Path("broke.txt").exists():
            Path("broke.txt").touch()
            raise LinkError("no byte from the board for 5 s")
        super().run(steps, records, on_output, on_progress)


KINDS = {"mine": NativeEngine, "mine:wrong": Wrong, "mine:broken": Broken, "mine:shaky": Shaky}


class Backend:
    def targets(self):
        return tuple(
            Target(name, "simulator", "integer", "a third party's", features=frozenset(FEATURES)) for name in KINDS
        )

    def find(self, name):
        return next((t for t in self.targets() if t.name == name), None)

    def open(self, target):
        engine = KINDS[target.name]()
        engine.target = target.name
        return engine

    def available(self, target):
        return ""


backend = Backend()
'''

NETWORK = """
import numpy as np
import pytest
from neuromorph.inputs import SpikeTrain
from neuromorph.program import Population, Probe, Projection, build

def network(weight=30):
    return build(
        [Population("input", 4, "input"), Population("cells", 3, du=2000, dv=200, vth=700)],
        [Projection("syn", "input", "cells", np.full((4, 3), weight))],
        probes=(Probe("input.spikes", "input", "spikes"), Probe("cells.spikes", "cells", "spikes")),
        name="small",
    )

INPUTS = {"input": SpikeTrain(np.arange(1, 101), np.arange(100) % 4)}
"""


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Callable[..., pytest.RunResult]:
    """Runs a test module in a folder that has the third party's backend installed."""
    for module, extra in (("filelock", "hil"), ("jinja2", "hil"), ("serial", "mcu"), ("unicorn", "mcu")):
        pytest.importorskip(module, reason=f"needs the extra {extra}: pip install 'neuromorph[hil]'")
    pytester.makepyfile(mine=MINE)
    info = pytester.mkdir("mine-0.1.dist-info")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 0.1\n")
    (info / "entry_points.txt").write_text("[neuromorph.backends]\nmine = mine:backend\n")
    monkeypatch.setenv("PYTHONPATH", str(pytester.path), prepend=os.pathsep)  # for runs in a process of their own
    pytester.syspathinsert()
    for name in ("NM_BOARD_MAP", "PYTEST_ADDOPTS", "PYTEST_XDIST_WORKER", "PYTEST_XDIST_TESTRUNUID"):
        monkeypatch.delenv(name, raising=False)

    def run(code: str, *options: str, apart: bool = False) -> pytest.RunResult:
        """`apart`: in a process of its own, which takes seconds."""
        pytester.makepyfile(test_it=NETWORK + textwrap.dedent(code))
        given = ("-p", "no:cacheprovider", "--nm-lock-dir", "locks", *options)
        if apart:
            return pytester.runpytest_subprocess(*given, timeout=100)
        return pytester.runpytest_inprocess("-p", "no:xdist", *given)

    return run


@pytest.fixture
def hardware(pytester: pytest.Pytester) -> Callable[..., Path]:
    """Writes a hardware map with so many emulated boards, that processes share as if they were real ones."""

    def write(count: int, **fields: str) -> Path:
        more = "".join(f"{key} = {value}\n" for key, value in fields.items())
        path = pytester.path / "boards.toml"
        tables = (f'[[board]]\nid = "b{k}"\ntransport = "nmemu://unicorn_m4"\n{more}' for k in range(count))
        path.write_text("\n".join(tables))
        return path

    return write
