"""The firmware in QEMU, on eight machines: interrupts, timers and UARTs of real chips, and the same bits."""

from __future__ import annotations

import functools
import os
import re
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from neuromorph.errors import CapacityError, LinkError, TargetError
from neuromorph.session import Session
from neuromorph.testing.equality import Case, disagreement, random_case
from neuromorph.testing.leftovers import processes
from neuromorph_mcu import backend
from neuromorph_mcu.boards import QEMU, QemuBoard
from neuromorph_mcu.engine import McuEngine
from neuromorph_mcu.ports import open_port
from tests.mcu.test_posix import ask_on, group_of, left_of, on_linux

pytest.importorskip("serial", reason="ports need pyserial: pip install 'neuromorph[mcu]'")

ROOT = Path(__file__).parents[2]


def lacks(board: QemuBoard) -> str:
    """Why a board cannot run here; empty if it can."""
    if shutil.which(board.program) is None:
        return board.missing()
    return "" if board.elf.is_file() else f"{board.elf.name} was not built: run `make build`"


machines = [
    pytest.param(name, marks=pytest.mark.skipif(bool(lacks(board)), reason=f"mcu:qemu-{name} {lacks(board)}"))
    for name, board in QEMU.items()
]
one = next(iter(QEMU))
with_one = pytest.mark.skipif(bool(lacks(QEMU[one])), reason=f"mcu:qemu-{one} {lacks(QEMU[one])}")


@functools.cache
def case(seed: int) -> Case:
    return random_case(seed, steps=20)


def cases_that_fit(engine: McuEngine, count: int) -> list[Case]:
    """Random programs that a board has the memory for; the last one stays loaded."""
    found: list[Case] = []
    for seed in range(30):
        engine.unload()
        try:
            engine.load(case(seed).draw.program.image)
        except CapacityError:
            continue
        found.append(case(seed))
        if len(found) == count:
            return found
    raise RuntimeError(f"{engine.target} holds {len(found)} of 30 programs")


def states_at_both_paces(engine: McuEngine, loaded: Case) -> tuple[bytes, bytes]:
    """After 50 steps of the program that is loaded: at pace free, and with a step each millisecond of the board."""
    session, states = Session(loaded.draw.program, engine), []
    for period in (0, 1000):
        engine.reset()
        engine._client.run(50, b"", lambda _: None, period=period)
        states.append(session.snapshot().to_bytes())
    return states[0], states[1]


def stack_of(board: QemuBoard) -> int:
    """Bytes, from its linker script."""
    text = (ROOT / "firmware" / "boards" / board.name / "board.ld").read_text()
    found = re.search(r"STACK_SIZE = (\d+)(K?);", text)
    assert found is not None
    return int(found[1]) << (10 if found[2] else 0)


@pytest.fixture
def engine() -> Iterator[McuEngine]:
    engine = McuEngine(f"mcu:qemu-{one}", f"nmqemu://{one}")
    yield engine
    engine.close()


@pytest.mark.parametrize("machine", machines)
def test_traces_equal_the_specification(machine: str, record_property: Callable[[str, object], None]) -> None:
    """Two random programs that fit: image in, inputs in, every state of every step out; and the stack holds them."""
    target = backend.find(f"mcu:qemu-{machine}")
    assert target is not None
    assert backend.available(target) == ""
    engine = backend.open(target)
    assert isinstance(engine, McuEngine)
    assert engine.hello.board == QEMU[machine].name
    assert QEMU[machine].pool <= engine.hello.pool
    for fitting in cases_that_fit(engine, 2):
        engine.unload()
        assert disagreement(fitting, engine) == ""
    used = engine.counters()["stack_used"]
    engine.close()
    record_property(f"stack that mcu:qemu-{machine} has used", f"{used} of {stack_of(QEMU[machine])} B")
    assert 0 < used <= stack_of(QEMU[machine]) * 3 // 4
    assert engine.port.process is None


@pytest.mark.parametrize("machine", machines)
def test_both_paces_do_the_same_steps(machine: str) -> None:
    """At pace real a step comes each millisecond of the board's timer; the line may lose records."""
    engine = McuEngine("board", f"nmqemu://{machine}")
    (fitting,) = cases_that_fit(engine, 1)
    free, real = states_at_both_paces(engine, fitting)
    counters = engine.counters()
    engine.close()
    assert free == real
    assert counters["recorded"] + counters["dropped"] == 50


@with_one
def test_a_reset_is_noticed_and_counted(engine: McuEngine) -> None:
    engine.port.dtr = False
    engine.port.dtr = True
    with pytest.raises(LinkError, match=f"mcu:qemu-{one}: the board restarted"):
        ask_on(engine)


@on_linux
@with_one
def test_a_killed_emulator_is_told_by_its_end(engine: McuEngine) -> None:
    group = group_of(engine)
    (qemu,) = [pid for pid in processes(group) if "qemu" in os.readlink(f"/proc/{pid}/exe")]
    os.kill(qemu, signal.SIGKILL)
    with pytest.raises(TargetError, match=f"mcu:qemu-{one}: the process of the board was ended by SIGKILL"):
        ask_on(engine)
    engine.close()
    assert left_of(group) == []


def test_a_missing_qemu_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    target = backend.find("mcu:qemu-virt")
    assert target is not None
    assert "apt install qemu-system-misc" in backend.available(target)
    with pytest.raises(TargetError, match="mcu:qemu-virt: needs qemu-system-riscv32 on PATH"):
        open_port("nmqemu://virt")


def test_a_machine_without_firmware_is_refused_with_those_that_have_one() -> None:
    with pytest.raises(TargetError, match=r"no board for QEMU's machine 'virt64'; there are mps2-an385, .*virt"):
        open_port("nmqemu://virt64")
    assert backend.find("mcu:qemu-virt64") is None
