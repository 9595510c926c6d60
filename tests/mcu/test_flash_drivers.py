"""Flash of chips, by the registers that their manuals name: what can be checked without the chips.

The STM32's driver runs on a model of its flash controller, the Pico's firmware on a model of its boot ROM, and that
of the nRF51 in QEMU, which has its controller.
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator
from typing import Any

import pytest

import neuromorph as nm
from neuromorph.program import Program
from neuromorph.session import Session
from neuromorph_mcu import engine as engines
from neuromorph_mcu.boards import FIRMWARE, QEMU
from neuromorph_mcu.engine import McuEngine
from neuromorph_mcu.firmware import Firmware
from tests.mcu.power import network
from tests.mcu.test_pico import FLASH as PICO_FLASH
from tests.mcu.test_pico import Pico
from tests.mcu.test_qemu import lacks
from tests.mcu.test_store import after

unicorn = pytest.importorskip("unicorn", reason="the emulated boards need Unicorn: pip install 'neuromorph[mcu]'")
arm = pytest.importorskip("unicorn.arm_const", reason="the emulated boards need Unicorn: pip install 'neuromorph[mcu]'")
pytest.importorskip("elftools", reason="reading firmware needs pyelftools: pip install 'neuromorph[mcu]'")
built = pytest.mark.skipif(not (FIRMWARE / "pico.elf").is_file(), reason="the firmware was not built: run `make build`")


@pytest.fixture(scope="module")
def program() -> Program:
    return nm.compile(network(1), target="mcu")


# ------------------------------------------------------------------------------------------ STM32F405


class Stm32Flash:
    """Its flash controller (RM0090, 3.9), around calls of the driver's functions."""

    ACR, KEYR, SR, CR = 0x40023C00, 0x40023C04, 0x40023C0C, 0x40023C10
    BASE, SECTOR, SECTORS = 0x08020000, 131072, 7
    RAM, STOP = 0x20000000, 0x20001000

    def __init__(self) -> None:
        self.firmware = Firmware.load(FIRMWARE / "netduinoplus2.elf")
        self.uc: Any = unicorn.Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_THUMB | unicorn.UC_MODE_MCLASS)
        self.uc.ctl_set_cpu_model(arm.UC_CPU_ARM_CORTEX_M4)
        self.uc.mem_map(0x08000000, 1 << 20)
        self.uc.mem_map(self.RAM, 128 << 10)
        self.uc.mmio_map(0x40023000, 1 << 12, self._read, 0x40023000, self._write, 0x40023000)
        self.uc.mmio_map(0xE0042000, 1 << 12, lambda *_: 0x413, None, lambda *_: None, None)
        for address, content in self.firmware.segments:
            self.uc.mem_write(address, content)
        self.uc.mem_write(self.BASE, bytes(self.SECTORS * self.SECTOR))  # not erased yet
        self.uc.hook_add(unicorn.UC_HOOK_MEM_WRITE, self._on_write, begin=self.BASE, end=0x080FFFFF)
        self.acr, self.cr, self.errors = 1 << 10 | 1 << 9, 1 << 31, 0
        self.keys: list[int] = []
        self.protected = 0
        """Errors that clearing does not help."""
        self.wrong: list[str] = []
        self.erased: list[int] = []

    def _read(self, _uc: Any, offset: int, _size: int, base: int) -> int:
        return {self.ACR: self.acr, self.CR: self.cr, self.SR: self.errors}.get(base + offset, 0)

    def _write(self, _uc: Any, offset: int, _size: int, value: int, base: int) -> None:
        address = base + offset
        if address == self.KEYR:
            self.keys.append(value)
            if self.keys[-2:] == [0x45670123, 0xCDEF89AB]:
                self.cr &= ~(1 << 31)
        elif address == self.SR:
            self.errors &= ~value | self.protected
        elif address == self.ACR:
            if value & 1 << 12 and value & 1 << 10:
                self.wrong.append("the data cache is reset while it is on")
            self.acr = value
        elif address == self.CR:
            self._control(value)

    def _control(self, value: int) -> None:
        if self.cr >> 31:
            self.wrong.append("CR is written while it is locked")
            return
        self.cr = value
        if value & 1 << 16:  # start
            number = value >> 3 & 15
            if value & 3 != 2 or not 5 <= number <= 11:
                self.wrong.append(f"CR {value:#x} starts something else than an erase of one of our sectors")
                return
            self.erased.append(number)
            self.uc.mem_write(self.BASE + (number - 5) * self.SECTOR, b"\xff" * self.SECTOR)
            self.cr &= ~(1 << 16)

    def _on_write(self, _uc: Any, _access: int, address: int, size: int, _value: int, _data: Any) -> None:
        before = int.from_bytes(self.uc.mem_read(address, 4), "little")
        if self.cr & 0x80000303 != 0x201 or size != 4 or address % 4:
            self.wrong.append(f"{size} bytes written to {address:#x} with CR {self.cr:#x}")
        if before != 0xFFFFFFFF:
            self.wrong.append(f"{address:#x} was not erased")

    def call(self, name: str, *arguments: int) -> int:
        """A function of the firmware."""
        at = next(address for address, _, function in self.firmware.functions if function == name)
        for register, value in zip((arm.UC_ARM_REG_R0, arm.UC_ARM_REG_R1, arm.UC_ARM_REG_R2), arguments, strict=False):
            self.uc.reg_write(register, value)
        self.uc.reg_write(arm.UC_ARM_REG_SP, self.RAM + (64 << 10))
        self.uc.reg_write(arm.UC_ARM_REG_LR, self.STOP | 1)
        self.uc.emu_start(at | 1, self.STOP)
        return int(self.uc.reg_read(arm.UC_ARM_REG_R0))


@built
def test_the_stm32_erases_and_writes_by_its_manual() -> None:
    chip = Stm32Flash()
    info = chip.RAM + 256
    chip.call("nm_port_flash_info", info)
    assert struct.unpack("<4I", chip.uc.mem_read(info, 16)) == (chip.BASE, 7 * 131072, 131072, 8)
    data = bytes(range(64))
    chip.uc.mem_write(chip.RAM, data)
    for sector in (0, 6):
        assert chip.call("nm_port_flash_erase", sector * chip.SECTOR) & 1
        assert chip.call("nm_port_flash_write", sector * chip.SECTOR + 8, chip.RAM, 64) & 1
        content = bytes(chip.uc.mem_read(chip.BASE + sector * chip.SECTOR, 80))
        assert content == b"\xff" * 8 + data + b"\xff" * 8
    assert (chip.erased, chip.wrong) == ([5, 11], [])
    assert chip.cr >> 31  # locked again
    assert chip.acr == 1 << 10 | 1 << 9  # the cache is on again


@built
def test_the_stm32_tells_what_its_flash_refuses() -> None:
    chip = Stm32Flash()
    chip.errors = chip.protected = 1 << 4  # write protection
    assert not chip.call("nm_port_flash_erase", 0) & 1


# ------------------------------------------------------------------------------------------ Raspberry Pi Pico


class PicoWithFlash(Pico):
    """With something in its flash above the firmware, where the functions of its boot ROM erase and write."""

    def __init__(self, firmware: Firmware, stored: bytes = b"") -> None:
        self.initial: bytes | None = stored or b"\xff" * (1 << 20)
        super().__init__(firmware)

    def _continue_at(self, address: int) -> None:
        if self.initial is not None:  # it is switched on
            stored, self.initial = self.initial, None
            self.uc.mem_write(PICO_FLASH + (1 << 20), stored)
        super()._continue_at(address)

    def _work(self, name: str, r: list[int]) -> None:
        if name == "RE":
            self.uc.mem_write(PICO_FLASH + r[0], b"\xff" * r[1])
        elif name == "RP":
            old, new = bytes(self.uc.mem_read(PICO_FLASH + r[0], r[2])), bytes(self.uc.mem_read(r[1], r[2]))
            if r[2] != 256 or r[0] % 256 or not r[1] >= 0x20000000:
                self.wrong.append(f"writes {r[2]} bytes from {r[1]:#x} to {r[0]:#x}")
            self.uc.mem_write(PICO_FLASH + r[0], bytes(a & b for a, b in zip(old, new, strict=True)))

    @property
    def stored(self) -> bytes:
        """The flash above the firmware."""
        return bytes(self.uc.mem_read(PICO_FLASH + (1 << 20), 1 << 20))


@contextlib.contextmanager
def pico(stored: bytes, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[PicoWithFlash, McuEngine]]:
    """The board, switched on with that in its flash."""
    board = PicoWithFlash(Firmware.load(FIRMWARE / "pico.elf"), stored)
    monkeypatch.setattr(engines, "open_port", lambda *_args, **_options: board)
    yield board, McuEngine("pico", "model")


@built
def test_the_pico_goes_on_with_what_it_had_learned(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    with pico(b"", monkeypatch) as (board, engine):
        engine.load(program.image)
        engine.run(12, b"", lambda _: None)
        board.calls.clear()  # of its start
        engine.persist(0, 0, trial=False)
        stored = board.stored
        assert board.wrong == []
        one = ["IF", "EX", "RE", "FC", "CX"]
        assert board.calls[:5] == one
        calls = [board.calls[k : k + 5] for k in range(0, len(board.calls), 5)]
        assert {tuple(call) for call in calls} == {tuple(one), ("IF", "EX", "RP", "FC", "CX")}
    with pico(stored, monkeypatch) as (_, engine):
        engine.attach(program.digest)
        assert Session(program, engine).snapshot() == after(program, 12)


# ------------------------------------------------------------------------------------------ nRF51


@pytest.mark.skipif(bool(lacks(QEMU["microbit"])), reason=f"mcu:qemu-microbit {lacks(QEMU['microbit'])}")
def test_the_nrf51_goes_on_after_a_reset(program: Program) -> None:
    engine = McuEngine("mcu:qemu-microbit", "nmqemu://microbit")
    try:
        engine.load(program.image)
        engine.run(12, b"", lambda _: None)
        engine.persist(0, 3, trial=False)
        engine.run(7, b"", lambda _: None)  # saves at 15 and 18
        engine.reset_board()
        assert engine.stored().resumed
        engine.attach(program.digest)
        assert Session(program, engine).snapshot() == after(program, 18)
    finally:
        engine.close()
