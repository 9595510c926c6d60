"""A line that damages and loses bytes: each UART's driver counts them, and the link repairs what they leave.

The drivers run on models of the registers that the manuals name. The whole firmware of the Pico, and the firmware as a
program, then meet such lines, and a host at another baud rate.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pytest

from neuromorph.errors import LinkError
from neuromorph.testing.equality import disagreement, random_case
from neuromorph_mcu import engine as engines
from neuromorph_mcu.boards import FIRMWARE, QEMU, posix_program
from neuromorph_mcu.client import Client
from neuromorph_mcu.firmware import Firmware
from neuromorph_mcu.link import Timing
from neuromorph_mcu.ports import open_port
from tests.mcu.test_pico import Pico
from tests.mcu.test_qemu import lacks

unicorn = pytest.importorskip("unicorn", reason="the emulated boards need Unicorn: pip install 'neuromorph[mcu]'")
arm = pytest.importorskip("unicorn.arm_const", reason="the emulated boards need Unicorn: pip install 'neuromorph[mcu]'")
riscv = pytest.importorskip(
    "unicorn.riscv_const", reason="the emulated boards need Unicorn: pip install 'neuromorph[mcu]'"
)
pytest.importorskip("elftools", reason="reading firmware needs pyelftools: pip install 'neuromorph[mcu]'")
pytestmark = pytest.mark.skipif(not (FIRMWARE / "pico.elf").is_file(), reason="the firmware was not built: make build")


@dataclass(frozen=True)
class Arrival:
    """A byte as the receiver has it; `late`: the overrun comes between the driver's looks at state and data."""

    byte: int
    overrun: bool = False
    framing: bool = False
    pause: bool = False
    """A break: the line was low for longer than a byte."""
    late: bool = False


class Uart:
    """Registers of a receiver that holds a byte at a time; the transmitter always has room."""

    base = 0

    def __init__(self) -> None:
        self.byte: Arrival | None = None
        self.overrun = False

    def put(self, arrival: Arrival) -> None:
        """A byte arrives."""
        self.byte, self.overrun = arrival, arrival.overrun

    def take(self) -> int:
        """It is read."""
        byte, self.byte = self.byte, None
        return byte.byte if byte else 0

    def read(self, offset: int) -> int:  # noqa: ARG002
        """What a register has: 0 where a chip has nothing to tell."""
        return 0

    def write(self, offset: int, value: int) -> None:
        """Nothing but bytes to send, and what interrupts."""


class Cmsdk(Uart):
    """Arm DDI 0479: STATE 1 receive buffer full, 3 receive overrun (write 1 to clear). It tells no framing errors."""

    base = 0x40004000

    def read(self, offset: int) -> int:
        if offset == 0:
            return self.take()
        return (self.byte is not None) << 1 | self.overrun << 3 if offset == 4 else 0

    def write(self, offset: int, value: int) -> None:
        if offset == 4 and value >> 3 & 1:
            self.overrun = False


class Pl011(Uart):
    """Arm DDI 0183: DR has framing (8), break (10) and overrun (11) beside the byte; FR 4 receiver empty."""

    base = 0x40034000

    def read(self, offset: int) -> int:
        if offset == 0x18:
            return (self.byte is None) << 4
        if offset or self.byte is None:
            return 0
        flags = self.byte.framing << 8 | self.byte.pause << 10 | self.byte.overrun << 11
        return self.take() | flags


class Nrf51(Uart):
    """nRF51 reference manual 29: RXDRDY, ERRORSRC overrun (0), framing (2), break (3), ones clear; RXD."""

    base = 0x40002000

    def put(self, arrival: Arrival) -> None:
        super().put(arrival)
        self.errors, self.ready = arrival.overrun | arrival.framing << 2 | arrival.pause << 3, True

    def read(self, offset: int) -> int:
        return self.take() if offset == 0x518 else {0x108: self.ready, 0x480: self.errors}.get(offset, 0)

    def write(self, offset: int, value: int) -> None:
        if offset == 0x480:
            self.errors &= ~value
        elif offset == 0x108:
            self.ready = bool(value)


class Stm32(Uart):
    """RM0090 30.6.1: SR framing (1), overrun (3), not empty (5); a read of SR, then one of DR clear both errors."""

    base = 0x40011000
    state = seen = 0

    def put(self, arrival: Arrival) -> None:
        super().put(arrival)
        self.state = 1 << 5 | (arrival.framing or arrival.pause) << 1 | arrival.overrun << 3

    def read(self, offset: int) -> int:
        if offset == 0:
            self.seen = self.state
            return self.state | 1 << 7
        if offset != 4:
            return 0
        late = self.byte is not None and self.byte.late
        self.state = self.state & ~(self.seen | 1 << 5) | late << 3
        return self.take()


class Ns16550(Uart):
    """PC16550D: LSR data ready (0), overrun (1), framing (3), break (4); a read of LSR clears the errors."""

    base = 0x10000000

    def put(self, arrival: Arrival) -> None:
        super().put(arrival)
        self.errors = arrival.overrun << 1 | arrival.framing << 3 | arrival.pause << 4

    def read(self, offset: int) -> int:
        if offset == 0:
            return self.take()
        if offset != 5:
            return 0
        errors, self.errors = self.errors, 0
        return errors | (self.byte is not None) | 1 << 5


UARTS: dict[str, type[Uart]] = {
    "mps2-an385": Cmsdk, "pico": Pl011, "microbit": Nrf51, "netduinoplus2": Stm32, "riscv32-virt": Ns16550,
}  # fmt: skip


class Chip:
    """The functions of a board's port, called one by one."""

    def __init__(self, board: str) -> None:
        firmware = Firmware.load(FIRMWARE / f"{board}.elf")
        self.names = {name: address for address, _, name in firmware.functions}
        self.uart, self.thumb = UARTS[board](), board != "riscv32-virt"
        if self.thumb:
            self.uc: Any = unicorn.Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_THUMB | unicorn.UC_MODE_MCLASS)
            self.stack, self.back, self.ram = arm.UC_ARM_REG_SP, arm.UC_ARM_REG_LR, 0x20000000
            self.arguments = (arm.UC_ARM_REG_R0, arm.UC_ARM_REG_R1)
            self.result = arm.UC_ARM_REG_R0
        else:
            self.uc = unicorn.Uc(unicorn.UC_ARCH_RISCV, unicorn.UC_MODE_RISCV32)
            self.stack, self.back, self.ram = riscv.UC_RISCV_REG_SP, riscv.UC_RISCV_REG_RA, 0x80100000
            self.arguments = (riscv.UC_RISCV_REG_A0, riscv.UC_RISCV_REG_A1)
            self.result = riscv.UC_RISCV_REG_A0
        flash = min(address for address, _ in firmware.segments) & ~0xFFFFF
        self.uc.mem_map(flash, 1 << 20)
        self.uc.mem_map(self.ram, 8 << 20)
        for address, content in firmware.segments:
            self.uc.mem_write(address, content)
        self.scratch = self.ram + (7 << 20)
        page = self.uart.base & ~0xFFF
        for base, size in (
            (page, 4096),
            (0xE000E000 if self.thumb else 0x02000000, 1 << 16 if not self.thumb else 4096),
        ):
            self._registers(base, size)
        if board == "microbit":
            self._registers(0x40008000, 4096)  # its tick

    def _registers(self, base: int, size: int) -> None:
        mine = base == self.uart.base & ~0xFFF
        self.uc.mmio_map(
            base, size,
            lambda _uc, at, _size, _data: self.uart.read(at) if mine else 0, None,
            lambda _uc, at, _size, value, _data: self.uart.write(at, value) if mine else None, None,
        )  # fmt: skip

    def call(self, name: str, *arguments: int) -> int:
        """A function of the firmware."""
        for register, value in zip(self.arguments, arguments, strict=False):
            self.uc.reg_write(register, value)
        stop = self.scratch + 4096
        self.uc.reg_write(self.stack, self.scratch)
        self.uc.reg_write(self.back, stop | self.thumb)
        self.uc.emu_start(self.names[name] | self.thumb, stop, count=100_000)
        return int(self.uc.reg_read(self.result))

    def arrive(self, arrivals: Iterable[Arrival]) -> tuple[bytes, int, int]:
        """Bytes arrive, one interrupt each; those that the board has then, how many were damaged, how many lost."""
        for arrival in arrivals:
            self.uart.put(arrival)
            self.call("nm_serial_interrupt")
            if arrival.late:
                self.call("nm_serial_interrupt")  # the error still interrupts
            assert self.uart.byte is None
        taken = self.call("nm_port_read", self.scratch, 1000)
        data = bytes(self.uc.mem_read(self.scratch, taken))
        self.call("nm_port_line_errors", self.scratch, self.scratch + 4)
        return data, *struct.unpack("<2I", self.uc.mem_read(self.scratch, 8))


@pytest.mark.parametrize("board", UARTS)
def test_a_driver_counts_what_the_line_damaged_and_lost(board: str) -> None:
    """What is damaged is no byte; what came after a loss is one."""
    chip = Chip(board)
    told = board != "mps2-an385"
    clean = [Arrival(byte) for byte in b"abc"]
    assert chip.arrive(clean) == (b"abc", 0, 0)
    overrun = [Arrival(1), Arrival(2, overrun=True), Arrival(3)]
    assert chip.arrive(overrun) == (b"\1\2\3", 0, 1)
    if told:
        damaged = [Arrival(4), Arrival(5, framing=True), Arrival(0, framing=True, pause=True), Arrival(6)]
        assert chip.arrive(damaged) == (b"\4\6", 2, 0)
        both = [Arrival(7, framing=True, overrun=True), Arrival(8)]
        assert chip.arrive(both) == (b"\x08", 1, 1)
    assert chip.arrive(clean) == (b"abc", 0, 0)  # each is told once


def test_an_overrun_that_comes_while_a_byte_is_read_does_not_interrupt_for_ever() -> None:
    """Of the STM32: its flag stays after the byte has gone, and would call the handler again and again."""
    chip = Chip("netduinoplus2")
    assert chip.arrive([Arrival(1), Arrival(2, late=True), Arrival(3)]) == (b"\1\2\3", 0, 1)
    uart = chip.uart
    assert isinstance(uart, Stm32)
    assert uart.state == 0


# ------------------------------------------------------------------------------------------ whole boards


class BadLine(Pico):
    """A Pico whose receiver meets damaged bytes, breaks, and losses."""

    damaged = lost = 0
    flags = 0

    def write(self, data: bytes) -> int:
        rng = random.Random(self.millis)
        for byte in data:
            draw = rng.random()
            if draw < 0.003:
                self.to_board.append(byte ^ rng.randrange(256) | 1 << 8)
                self.damaged += 1
            elif draw < 0.006:
                self.to_board.append(1 << 10 | 1 << 8)  # a break, and the byte after it
                self.to_board.append(byte)
                self.damaged += 1
            elif draw < 0.009:
                self.lost += not self.flags
                self.flags = 1 << 11  # comes with the next byte
            else:
                self.to_board.append(byte | self.flags)
                self.flags = 0
        return len(data)


def test_content_arrives_once_and_in_order_over_damage_breaks_and_losses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Image and inputs in, all states out; and the board has counted each of them."""
    port = BadLine(Firmware.load(FIRMWARE / "pico.elf"))
    monkeypatch.setattr(engines, "open_port", lambda *_args, **_options: port)
    engine = engines.McuEngine("pico", "model")
    assert disagreement(random_case(1, steps=20), engine) == ""
    counters = engine.counters()
    assert port.damaged > 10
    assert port.lost > 5
    assert 0 <= port.damaged - counters["board_framing"] <= 1  # the last one may be on its way
    assert 0 <= port.lost - counters["board_overrun"] <= 1


def misread(data: bytes, rate: float) -> list[int]:
    """What a receiver makes of bytes that come `rate` times as fast as it expects; framing errors have bit 8."""
    line = [level for byte in data for level in (0, *(byte >> k & 1 for k in range(8)), 1)]

    def level(time: float) -> int:
        at = int(time * rate)
        return line[at] if at < len(line) else 1

    out, end, now = [], len(line) / rate, 0.0
    while now < end:
        if level(now):
            now += 0.01
            continue
        bits = [level(now + k + 0.5) for k in range(10)]
        if not bits[0]:
            out.append(sum(bit << k for k, bit in enumerate(bits[1:9])) | (not bits[9]) << 8)
        now += 9.5
        while now < end and not level(now):  # a break lasts until the line is idle
            now += 0.01
    return out


def test_a_receiver_at_the_right_rate_reads_what_was_sent() -> None:
    assert bytes(misread(bytes(range(256)), 1.0)) == bytes(range(256))
    assert misread(b"\0", 0.125) == [256]  # nine bits of 0 are a break for one that expects eight times as many


class WrongBaud:
    """A port whose host sends and reads at another rate; damaged bytes are none."""

    def __init__(self, port: Any, rate: float) -> None:
        self.port, self.rate, self.waiting = port, rate, b""

    def write(self, data: bytes) -> int:
        self.port.write(bytes(n for n in misread(data, self.rate) if n < 256))
        return len(data)

    @property
    def in_waiting(self) -> int:
        return int(self.port.in_waiting)

    def read(self, size: int = 1) -> bytes:
        return bytes(n for n in misread(self.port.read(size), 1 / self.rate) if n < 256)

    def close(self) -> None:
        self.port.close()


built = pytest.mark.skipif(not posix_program().is_file(), reason="the firmware was not built: run `make build`")
in_qemu = pytest.mark.skipif(bool(lacks(QEMU["mps2-an385"])), reason=lacks(QEMU["mps2-an385"]))


@pytest.mark.parametrize(
    ("url", "rate"),
    [
        pytest.param("nmposix://", 115_200 / 921_600, marks=built),
        pytest.param("nmqemu://mps2-an385", 0.5, marks=in_qemu),
    ],
)
def test_a_host_at_another_baud_rate_is_told_and_harms_nothing(url: str, rate: float) -> None:
    case, port = random_case(1, steps=20), open_port(url)
    try:
        client = Client(port, "board")
        client.upload(case.draw.program.image)
        client.run(7, b"", lambda _: None)
        before = client.status()
        with pytest.raises(LinkError, match=r"no answer to HELLO within 0\.5 s.*baud"):
            Client(WrongBaud(port, rate), "board", Timing(lost=0.5))
        client = Client(port, "board")
        assert client.status() == before
        client.run(3, b"", lambda _: None)
        counters = client.counters()
        assert counters["board_crc_err"] + counters["board_cobs_err"] + counters["board_gap"] > 0
    finally:
        port.close()
