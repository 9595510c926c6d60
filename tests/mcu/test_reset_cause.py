"""Why a chip started, from its own registers: the firmware on a model of them, whose bits the manuals name."""

from __future__ import annotations

from typing import Any

import pytest

from neuromorph_mcu.boards import FIRMWARE
from neuromorph_mcu.client import Client
from neuromorph_mcu.firmware import Firmware
from neuromorph_mcu.messages import cause_name
from tests.mcu.test_pico import Pico

unicorn = pytest.importorskip("unicorn", reason="the emulated boards need Unicorn: pip install 'neuromorph[mcu]'")
arm = pytest.importorskip("unicorn.arm_const")
pytest.importorskip("elftools", reason="reading firmware needs pyelftools: pip install 'neuromorph[mcu]'")
pytestmark = pytest.mark.skipif(not (FIRMWARE / "pico.elf").is_file(), reason="the firmware was not built: make build")

STACK, STOP = 0x20001000, 0x20001800
WATCHDOG_REASON, CHIP_RESET = 0x40058008, 0x40064008  # RP2040 datasheet 4.7.6, 2.10.6
RCC_CSR = 0x40023874  # STM32F405, RM0090 7.3.21
RESETREAS = 0x40000400  # nRF51 reference manual 12.1.8


def cause(board: str, registers: dict[int, int]) -> tuple[str, dict[int, int]]:
    """What ``nm_chip_cause`` returns, in words, and what it wrote to registers."""
    firmware = Firmware.load(FIRMWARE / f"{board}.elf")
    uc: Any = unicorn.Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_THUMB | unicorn.UC_MODE_MCLASS)
    written: dict[int, int] = {}
    for base in {address & ~0xFFFFF for address, _ in firmware.segments} | {0x20000000}:
        uc.mem_map(base, 1 << 20)
    for address, content in firmware.segments:
        uc.mem_write(address, content)
    base, size = 0x40000000, 1 << 20
    uc.mmio_map(
        base, size, lambda _uc, at, _size, _data: registers.get(base + at, 0), None,
        lambda _uc, at, _size, value, _data: written.update({base + at: value}), None,
    )  # fmt: skip
    function = next(address for address, _, name in firmware.functions if name == "nm_chip_cause")
    uc.reg_write(arm.UC_ARM_REG_SP, STACK)
    uc.reg_write(arm.UC_ARM_REG_LR, STOP | 1)
    uc.emu_start(function | 1, STOP)
    return cause_name(uc.reg_read(arm.UC_ARM_REG_R0) & 0xFF), written


@pytest.mark.parametrize(
    ("bits", "expected"),
    [
        ((27, 26, 25), "power"),  # which sets those of the pin and of the brown-out too
        ((26, 25), "brown-out"),
        ((26,), "pin"),
        ((28, 26), "software"),
        ((29, 26), "watchdog"),  # the independent one
        ((30, 26), "watchdog"),  # that of the window
        ((31, 26), "pin"),  # low power: not told apart
        ((), "unknown"),  # an emulator
    ],
)
def test_stm32f405(bits: tuple[int, ...], expected: str) -> None:
    flags = sum(1 << bit for bit in bits)
    assert cause("netduinoplus2", {RCC_CSR: flags}) == (expected, {RCC_CSR: flags | 1 << 24})  # RMVF: they are cleared


@pytest.mark.parametrize(
    ("bits", "expected"),
    [((0,), "pin"), ((1,), "watchdog"), ((2,), "software"), ((3,), "software"), ((0, 1), "watchdog"), ((), "unknown")],
)
def test_nrf51(bits: tuple[int, ...], expected: str) -> None:
    flags = sum(1 << bit for bit in bits)
    assert cause("microbit", {RESETREAS: flags}) == (expected, {RESETREAS: flags})  # a one clears


@pytest.mark.parametrize(
    ("watchdog", "chip", "expected"),
    [
        (0, 1 << 8, "power"),
        (0, 1 << 16, "pin"),
        (0, 1 << 20, "software"),  # a debugger
        (1, 1 << 8, "watchdog"),  # the chip's flags are those of the reset before
        (2, 1 << 16, "software"),
        (0, 0, "unknown"),
    ],
)
def test_rp2040(watchdog: int, chip: int, expected: str) -> None:
    assert cause("pico", {WATCHDOG_REASON: watchdog, CHIP_RESET: chip}) == (expected, {})


def test_hello_has_it() -> None:
    """A whole start of the Pico's firmware; one whose chip says nothing tells what its memory knows."""

    class Reset(Pico):
        def _read(self, uc: Any, offset: int, size: int, base: int) -> int:
            return 1 if base + offset == WATCHDOG_REASON else super()._read(uc, offset, size, base)

    firmware = Firmware.load(FIRMWARE / "pico.elf")
    assert Client(Reset(firmware), "pico", seed=1).hello.cause == "watchdog"
    assert Client(Pico(firmware), "pico", seed=1).hello.cause == "power"
