"""The emulated boards: the real firmware behind pyserial, exact instruction counts, faults that say where."""

from __future__ import annotations

import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from neuromorph.errors import LinkError, TargetError
from neuromorph.testing.equality import random_case, trace_of
from neuromorph_mcu import backend
from neuromorph_mcu.boards import BOARDS, Board
from neuromorph_mcu.emulator import DEVICE, FLASH, RAM, Machine
from neuromorph_mcu.engine import McuEngine
from neuromorph_mcu.ports import open_port

pytest.importorskip("unicorn", reason="the emulated boards need Unicorn: pip install 'neuromorph[mcu]'")
pytestmark = pytest.mark.skipif(
    not all(board.elf.is_file() for board in BOARDS.values()), reason="the firmware was not built: run `make build`"
)


@pytest.fixture(params=BOARDS)
def engine(request: pytest.FixtureRequest) -> Iterator[McuEngine]:
    engine = McuEngine(f"mcu:{request.param}", f"nmemu://{BOARDS[request.param].name}")
    yield engine
    engine.close()


def test_boards_say_who_they_are_and_hold_what_their_target_says(engine: McuEngine) -> None:
    core = engine.target.partition(":")[2]
    assert (engine.hello.board, engine.hello.core) == (f"unicorn_{core}", f"cortex_{core}")
    assert len(engine.hello.build) == 12
    assert BOARDS[core].pool <= engine.hello.pool < BOARDS[core].pool + (64 << 10)


def test_a_reset_forgets_the_session_and_counts_the_start(engine: McuEngine) -> None:
    engine.port.machine.reset()
    with pytest.raises(LinkError, match=f"{engine.target}: the board restarted"):
        engine.now()
    engine.port.reset_input_buffer()
    assert engine.hello.boots == 1


def test_two_boards_do_not_share_anything() -> None:
    one, two = (McuEngine("mcu", "nmemu://unicorn_m4") for _ in range(2))
    one.close()
    assert two.counters()["spikes"] == 0
    two.close()
    two.close()


def test_the_stack_stays_far_from_its_limit(engine: McuEngine) -> None:
    assert 0 < engine.counters()["stack_used"] < 8192


@pytest.mark.parametrize("core", BOARDS)
def test_counts_by_block_are_the_instructions_that_ran(core: str) -> None:
    """Against a hook on every instruction; only those that a false condition skips are not seen by that one."""
    unicorn = pytest.importorskip("unicorn", reason="the emulated boards need Unicorn: pip install 'neuromorph[mcu]'")
    totals = []
    for single in (False, True):
        machine = Machine(BOARDS[core])
        machine.run(5)
        ran = 0

        def on_code(_uc: Any, _address: int, _size: int, _data: Any) -> None:
            nonlocal ran
            ran += 1

        machine.send(bytes(range(256)) * 2)
        if single:
            machine._uc.hook_add(unicorn.UC_HOOK_CODE, on_code)
            machine._uc.ctl_flush_tb()
            machine.run(5)
        else:
            with machine.counting() as counts:
                machine.run(5)
            ran = counts.total()
            assert counts["nm_link_receive"] > 512
            assert "?" not in counts
        totals.append(ran)
        machine.close()
    by_block, by_instruction = totals
    assert by_block >= by_instruction > 1000
    if core == "m0":  # it has no conditional instructions but branches
        assert by_block == by_instruction


@pytest.mark.slow
def test_the_m0_firmware_never_reads_or_writes_unaligned() -> None:
    """A real one would fault; Unicorn does not."""
    unicorn = pytest.importorskip("unicorn", reason="the emulated boards need Unicorn: pip install 'neuromorph[mcu]'")
    engine = McuEngine("mcu:m0", f"nmemu://{BOARDS['m0'].name}")
    machine, found = engine.port.machine, set()

    def on_access(_uc: Any, _access: int, address: int, size: int, _value: int, _data: Any) -> None:
        if address % size:
            found.add(machine.firmware.function(int(machine._uc.reg_read(machine._arm.UC_ARM_REG_PC))))

    machine._uc.hook_add(unicorn.UC_HOOK_MEM_READ | unicorn.UC_HOOK_MEM_WRITE, on_access)
    machine._uc.ctl_flush_tb()
    trace_of(random_case(0).draw, engine)
    engine.close()
    assert not found


def with_code(machine: Machine, *halves: int) -> Machine:
    """Let the core go on with other instructions."""
    machine._uc.mem_write(RAM + 0x8000, struct.pack("<I", 0))
    machine._uc.mem_protect(FLASH, 1 << 20, 7)
    machine._uc.mem_write(FLASH + 0x80000, struct.pack(f"<{len(halves)}H", *halves))
    machine._pc = FLASH + 0x80000
    return machine


def test_a_fault_says_where_and_what() -> None:
    machine = with_code(Machine(BOARDS["m4"]), 0xF04F, 0x4080, 0x6800)  # mov.w r0, #0x40000000; ldr r0, [r0]
    machine._uc.mem_unmap(DEVICE, 0x9000)
    machine._uc.mem_map(DEVICE + 0x10000, 0x9000)
    with pytest.raises(
        TargetError, match=r"unicorn_m4 stopped at 0x0008000[04] in \?, .*read of 4 bytes at 0x40000000"
    ):
        machine._compute()
    machine.close()


def test_a_hanging_firmware_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("neuromorph_mcu.emulator._HANG", 0.1)
    machine = with_code(Machine(BOARDS["m4"]), 0xE7FE)  # b .
    with pytest.raises(TargetError, match=r"stopped at 0x00080000 .* no sleep for 0\.1 s"):
        machine._compute()
    machine.close()


def test_targets_by_name() -> None:
    assert [t.name for t in backend.targets()][:4] == ["mcu", "mcu:m4", "mcu:m3", "mcu:m0"]
    assert all(t.kind == "emulator" for t in backend.targets())
    assert all(backend.available(t) == "" for t in backend.targets()[:4])
    for name in ("mcu:/dev/ttyACM0", "mcu:COM3", "mcu:socket://localhost:7000"):
        target = backend.find(name)
        assert target is not None
        assert target.kind == "hardware"
    assert backend.find("mcu:m5") is None
    assert backend.find("cpu") is None


def test_ports_that_are_not_there() -> None:
    with pytest.raises(TargetError, match="cannot open the port /dev/not-there"):
        McuEngine("mcu:/dev/not-there", "/dev/not-there")
    with pytest.raises(
        TargetError, match=r"no emulated board 'unicorn_m9'; there are unicorn_m4, unicorn_m3, unicorn_m0"
    ):
        open_port("nmemu://unicorn_m9")


def test_a_port_with_nobody_behind_it() -> None:
    from neuromorph_mcu.link import Timing

    with pytest.raises(LinkError, match=r"no answer to HELLO within 0\.2 s"):
        McuEngine("mcu:nobody", "loop://", Timing(lost=0.2))


def test_firmware_that_was_not_built(tmp_path: Path) -> None:
    class Missing(Board):
        elf = property(lambda _: tmp_path / "missing.elf")

    with pytest.raises(TargetError, match=r"missing\.elf was not built; run `make build`"):
        Machine(Missing("unicorn_m4", "CORTEX_M4"))
    (tmp_path / "missing.elf").write_bytes(b"no ELF")
    with pytest.raises(TargetError, match="cannot be read"):
        Machine(Missing("unicorn_m4", "CORTEX_M4"))


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = "import sys, neuromorph_mcu; print([m for m in ('serial', 'unicorn', 'elftools') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
