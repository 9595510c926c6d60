"""Raspberry Pi Pico: what can be checked without one. Its firmware starts as the boot ROM starts it, on a model of the
registers that it uses (Unicorn has no interrupts: they come while the core sleeps or waits), and gives the right
traces.
"""

from __future__ import annotations

import struct
from collections import deque
from typing import Any

import pytest

from neuromorph.testing.equality import disagreement, random_case
from neuromorph_mcu import engine as engines
from neuromorph_mcu.boards import FIRMWARE
from neuromorph_mcu.client import Client
from neuromorph_mcu.firmware import Firmware
from tests.mcu.test_qemu import states_at_both_paces

unicorn = pytest.importorskip("unicorn", reason="the emulated boards need Unicorn: pip install 'neuromorph[mcu]'")
arm = pytest.importorskip("unicorn.arm_const", reason="the emulated boards need Unicorn: pip install 'neuromorph[mcu]'")
pytest.importorskip("elftools", reason="reading firmware needs pyelftools: pip install 'neuromorph[mcu]'")
ELF = FIRMWARE / "pico.elf"
pytestmark = pytest.mark.skipif(not ELF.is_file(), reason="the firmware was not built: run `make build`")

FLASH, BOOT, RAM, STOP = 0x10000000, 0x20041F00, 0x20000000, 0x20041000
SSI_STATUS, SSI_DATA, SELECT = 0x18000028, 0x18000060, 0x4001800C
NUMBER = bytes.fromhex("e6616408437e2a2f")
TURNS = 200
"""Of the main loop in a millisecond, at most; one takes some 500 cycles."""


@pytest.fixture(scope="module")
def firmware() -> Firmware:
    return Firmware.load(ELF)


def crc_mpeg2(data: bytes) -> int:
    """CRC-32/MPEG-2: polynomial 04C11DB7, most significant bit first."""
    rest = 0xFFFFFFFF
    for byte in data:
        rest ^= byte << 24
        for _ in range(8):
            rest = (rest << 1 ^ 0x04C11DB7 if rest >> 31 else rest << 1) & 0xFFFFFFFF
    return rest


def test_the_boot_rom_accepts_the_boot_code(firmware: Firmware) -> None:
    assert crc_mpeg2(b"123456789") == 0x0376E6E7  # the check value of the catalogue of CRCs
    address, content = firmware.segments[0]
    assert address == FLASH
    assert int.from_bytes(content[252:256], "little") == crc_mpeg2(content[:252])


def test_the_uf2_file_holds_the_flash(firmware: Firmware) -> None:
    data = ELF.with_suffix(".uf2").read_bytes()
    assert len(data) % 512 == 0
    flash = b""
    for k in range(0, len(data), 512):
        start0, start1, flags, address, size, number, blocks, family = struct.unpack_from("<8I", data, k)
        assert (start0, start1, data[k + 508 : k + 512]) == (0x0A324655, 0x9E5D5157, b"\x30\x6f\xb1\x0a")
        assert (flags, size, family) == (0x2000, 256, 0xE48BFF56)
        assert (number, blocks, address) == (k // 512, len(data) // 512, FLASH + k // 2)
        flash += data[k + 32 : k + 288]
    content = bytearray(len(flash))
    for address, part in firmware.segments:  # code, and what variables begin with
        content[address - FLASH : address - FLASH + len(part)] = part
    assert flash == content


class Pico:
    """The chip as far as the firmware looks at it, behind what a client needs of a port.

    Its boot ROM (datasheet 2.8.3) is there as far as flash needs it, and its flash knows the command that asks for its
    number; it is not read while that is used otherwise. `wrong` lists what a real one would not take.
    """

    CODES = ("IF", "EX", "RE", "RP", "FC", "CX")
    LOOKUP, FIRST = 0x80, 0x100
    number: bytes = NUMBER

    def __init__(self, firmware: Firmware) -> None:
        self.calls: list[str] = []
        self.wrong: list[str] = []
        self.asked: list[int] = []
        self.answers: deque[int] = deque()
        self.uc: Any = unicorn.Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_THUMB | unicorn.UC_MODE_MCLASS)
        self.uc.ctl_set_cpu_model(arm.UC_CPU_ARM_CORTEX_M0)
        self.uc.mem_map(FLASH, 2 << 20)
        self.uc.mem_map(RAM, 264 << 10)
        self.regs: dict[int, int] = {}
        for base, size in ((0x18000000, 1 << 12), (0x40000000, 1 << 20), (0xE000E000, 1 << 12)):
            self.uc.mmio_map(base, size, self._read, base, self._write, base)
        for address, content in firmware.segments:
            self.uc.mem_write(address, content)
        self.uc.mem_write(BOOT, bytes(self.uc.mem_read(FLASH, 256)))
        self.uc.mem_map(0, 16 << 10)
        self.uc.mem_write(0x14, struct.pack("<HHH", 0x40, 0, self.LOOKUP | 1))
        self.uc.mem_write(self.LOOKUP, b"\x70\x47" * 200)  # bx lr
        self.uc.hook_add(unicorn.UC_HOOK_CODE, self._on_rom, begin=self.LOOKUP, end=0x3FFF)
        self.interrupt = next(a for a, _, name in firmware.functions if name == "nm_serial_interrupt")
        wait = next(a for a, _, name in firmware.functions if name == "nm_port_wait")
        self.uc.hook_add(unicorn.UC_HOOK_CODE, self._turn, begin=wait, end=wait)
        self.turns = 0
        self.to_board: deque[int] = deque()
        self.from_board = bytearray()
        self.millis, self.ticked = 0, False
        self._continue_at(BOOT)

    def _read(self, _uc: Any, offset: int, _size: int, base: int) -> int:
        address = base + offset
        ready = {0x40024004: 1 << 31, 0x40028000: 1 << 31, 0x40034018: 0 if self.to_board else 1 << 4}
        if address in ready:
            return ready[address]
        if address == SSI_STATUS:
            return 1 << 1 | bool(self.answers) << 3
        if address == SSI_DATA:
            return self.answers.popleft() if self.answers else 0
        if address == 0x4000C008:  # parts out of reset
            return self.regs.get(0x4000F000, 0)
        if address in (0x40008038, 0x40008044):  # which source a clock runs from
            return int(1 << (self.regs.get(address - 8, 0) & 3))
        if address == 0x40034000:
            return self.to_board.popleft()
        if address == 0xE000E010:
            due, self.ticked = self.ticked, False
            return due << 16
        return self.regs.get(address, 0)

    def _write(self, _uc: Any, offset: int, _size: int, value: int, base: int) -> None:
        if base + offset == 0x40034000:
            self.from_board.append(value & 0xFF)
        if base + offset == SELECT and value >> 8 & 3 == 3:
            self.asked.clear()
        if base + offset == SSI_DATA:
            self._ask(value & 0xFF)
        self.regs[base + offset] = value

    def _ask(self, byte: int) -> None:
        """A byte goes to the flash by hand, and one comes back."""
        if self.regs.get(SELECT, 0) >> 8 & 3 != 2 or self.calls[-2:] != ["IF", "EX"]:
            self.wrong.append("a byte for a flash that is not listening")
        if int(self.uc.reg_read(arm.UC_ARM_REG_PC)) < RAM:
            self.wrong.append("flash is read while it is asked")
        at = len(self.asked) - 5
        self.asked.append(byte)
        self.answers.append(self.number[at] if self.asked[0] == 0x4B and 0 <= at < len(self.number) else 0xFF)

    def _on_rom(self, uc: Any, address: int, _size: int, _data: Any) -> None:
        r = [int(uc.reg_read(x)) for x in (arm.UC_ARM_REG_R0, arm.UC_ARM_REG_R1, arm.UC_ARM_REG_R2)]
        if address == self.LOOKUP:
            name = struct.pack("<H", r[1]).decode()
            uc.reg_write(arm.UC_ARM_REG_R0, self.FIRST + 8 * self.CODES.index(name) | 1)
            return
        name = self.CODES[(address - self.FIRST) // 8]
        self.calls.append(name)
        if int(uc.reg_read(arm.UC_ARM_REG_LR)) < RAM:
            self.wrong.append(f"{name} is called from flash")
        self._work(name, r)

    def _work(self, name: str, r: list[int]) -> None:
        """What a function of the ROM does to the flash, with its arguments."""

    def _turn(self, uc: Any, _address: int, _size: int, _user: Any) -> None:
        """At pace real the main loop turns, without sleep, until the tick of its next step comes."""
        self.turns += 1
        if self.turns == TURNS:
            uc.emu_stop()

    def _continue_at(self, address: int) -> None:
        """Run until the core sleeps, or waits in its main loop."""
        self.turns = 0
        self.uc.emu_start(address | 1, STOP)
        self.pc = int(self.uc.reg_read(arm.UC_ARM_REG_PC))

    def millisecond(self) -> None:
        """The tick comes while the core sleeps or waits; the handler and then the main loop run."""
        saved = self.uc.context_save()
        self.millis, self.ticked = self.millis + 1, True
        self.uc.reg_write(arm.UC_ARM_REG_LR, STOP | 1)
        self.uc.emu_start(self.interrupt | 1, STOP)
        self.uc.context_restore(saved)
        self._continue_at(self.pc)

    # What neuromorph_mcu.client needs.

    def clock(self) -> float:
        return self.millis / 1000

    @property
    def in_waiting(self) -> int:
        return len(self.from_board)

    def read(self, size: int = 1) -> bytes:
        end = self.millis + 20
        while len(self.from_board) < size and self.millis < end:
            self.millisecond()
        data = bytes(self.from_board[:size])
        del self.from_board[:size]
        return data

    def write(self, data: bytes) -> int:
        self.to_board.extend(data)
        return len(data)

    def close(self) -> None:
        pass


def test_it_starts_as_the_boot_rom_starts_it_and_sets_its_clock_and_pins(firmware: Firmware) -> None:
    regs = Pico(firmware).regs
    assert regs[0x18000014] >= 2  # flash at half the core clock at most
    assert regs[0xE000ED08] == FLASH + 256
    assert (regs[0x40028008], regs[0x4002800C]) == (125, 6 << 16 | 2 << 12)  # 12 MHz * 125 / 6 / 2
    assert regs[0x4000803C] & 1  # the core runs from the PLL
    assert regs[0xE000E014] + 1 == 125_000  # cycles in a millisecond
    assert (regs[0x40014004], regs[0x4001400C]) == (2, 2)  # UART0 on GP0 and GP1
    assert 125e6 / 16 / (regs[0x40034024] + regs[0x40034028] / 64) == pytest.approx(921600, rel=0.01)


def test_its_number_is_that_of_its_flash(firmware: Firmware) -> None:
    """Command 4B, four bytes of anything, and the flash answers with eight; then it is memory again."""
    board = Pico(firmware)
    assert (board.calls, board.wrong) == (["IF", "EX", "FC", "CX"], [])
    assert Client(board, "pico", seed=1).hello.uid == NUMBER + bytes(8)


@pytest.mark.parametrize("number", [b"\xff" * 8, None], ids=["no number", "no answer"])
def test_a_flash_without_a_number_leaves_it_unknown(
    firmware: Firmware, monkeypatch: pytest.MonkeyPatch, number: bytes | None
) -> None:
    monkeypatch.setattr(Pico, "number", number or b"")
    if number is None:
        monkeypatch.setattr(Pico, "_ask", lambda *_: None)
    board = Pico(firmware)
    assert board.calls == ["IF", "EX", "FC", "CX"]
    assert Client(board, "pico", seed=1).hello.uid == bytes(16)


def test_traces_equal_the_specification(firmware: Firmware, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "open_port", lambda *_args, **_options: Pico(firmware))
    engine = engines.McuEngine("pico", "model")
    assert engine.hello.board == "pico"
    for seed in (1, 3, 5):
        engine.unload()
        assert disagreement(random_case(seed, steps=20), engine) == ""
    assert engine.counters()["stack_used"] < 6 << 10


def test_both_paces_do_the_same_steps(firmware: Firmware, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "open_port", lambda *_args, **_options: Pico(firmware))
    engine = engines.McuEngine("pico", "model")
    case = random_case(1, steps=20)
    engine.load(case.draw.program.image)
    free, real = states_at_both_paces(engine, case)
    counters = engine.counters()
    assert free == real
    assert counters["recorded"] + counters["dropped"] == 50
