"""The emulated machine: a Cortex-M with flash, RAM and one serial device, in process (Unicorn).

The serial device is a pair of rings in memory, as a DMA controller would keep them. Bytes move only while the core
sleeps (WFI), so nothing is trapped while it computes. The machine has its own clock, which advances with every sleep
and stands still while nobody reads from the board.

Memory map and rings are those of ``firmware/port/unicorn``.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import struct
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from neuromorph.errors import TargetError
from neuromorph_mcu.boards import Board
from neuromorph_mcu.firmware import Firmware

__all__ = ["Machine"]

FLASH, FLASH_SIZE = 0x00000000, 1 << 20
RAM, RAM_SIZE = 0x20000000, 1 << 20
STORE, STORE_SIZE = 0x08000000, 256 << 10
DEVICE, DEVICE_SIZE = 0x40000000, 0x9000
RING = 16384
_RX, _TX = DEVICE + 0x1000, DEVICE + 0x1000 + RING
_HEADS = struct.Struct("<6I")
_U32 = 1 << 32
_HANG = 60.0
"""Seconds of the computer without a sleep of the core: the firmware hangs."""
_TICK, _LONG_TICK, _LONG = 1, 50, 0.05
"""Milliseconds of the machine per sleep, also for one that came late (after so many seconds of the computer): time does
not depend on the computer's load, but someone who waits for heavy steps hears of their progress."""


class _FlashFile:
    """Memory that keeps its content: of a file, or of nobody."""

    def __init__(self, path: str | Path | None) -> None:
        if path is None:
            self._map = mmap.mmap(-1, STORE_SIZE)
            self._map.write(b"\xff" * STORE_SIZE)
        else:
            self._map = self._of(Path(path))
        self.cells: Any = (ctypes.c_char * STORE_SIZE).from_buffer(self._map)

    @staticmethod
    def _of(path: Path) -> mmap.mmap:
        try:
            if not path.exists():
                path.write_bytes(b"\xff" * STORE_SIZE)
            with path.open("r+b") as file:
                if os.fstat(file.fileno()).st_size != STORE_SIZE:
                    raise TargetError(f"{path} is no flash of this board: it must have {STORE_SIZE} bytes")
                return mmap.mmap(file.fileno(), STORE_SIZE)
        except OSError as error:
            raise TargetError(f"the board's flash cannot be kept in {path}: {error}") from error

    def close(self) -> None:
        """Free it. May be called twice."""
        self.cells = None
        self._map.close()


class Machine:
    """A board that has just been switched on.

    Parameters
    ----------
    board : Board
        Which one.
    uid : bytes
        Its own number, 16 bytes.
    flash : str or Path, optional
        File that keeps what the board stores; it is made if it is not there. Without, that is lost at the end.

    Attributes
    ----------
    millis : int
        The machine's clock.

    Raises
    ------
    TargetError
        The firmware or Unicorn is missing.
    """

    def __init__(self, board: Board, uid: bytes = b"emulated", flash: str | Path | None = None) -> None:
        try:
            unicorn: Any = import_module("unicorn")
            arm: Any = import_module("unicorn.arm_const")
        except ImportError as error:
            raise TargetError(
                "the emulated boards need Unicorn and pyelftools: pip install 'neuromorph[mcu]'"
            ) from error
        self.board, self.firmware = board, Firmware.load(board.elf)
        self.millis = 0
        self._unicorn, self._arm = unicorn, arm
        self._uc: Any = unicorn.Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_THUMB | unicorn.UC_MODE_MCLASS)
        self._uc.ctl_set_cpu_model(getattr(arm, f"UC_CPU_ARM_{board.core}"))
        self._uc.mem_map(FLASH, FLASH_SIZE, unicorn.UC_PROT_READ | unicorn.UC_PROT_EXEC)
        self._uc.mem_map(RAM, RAM_SIZE, unicorn.UC_PROT_READ | unicorn.UC_PROT_WRITE)
        self._uc.mem_map(DEVICE, DEVICE_SIZE, unicorn.UC_PROT_READ | unicorn.UC_PROT_WRITE)
        self._flash = _FlashFile(flash)
        self._uc.mem_map_ptr(STORE, STORE_SIZE, unicorn.UC_PROT_READ | unicorn.UC_PROT_WRITE, self._flash.cells)
        for address, content in self.firmware.segments:
            self._uc.mem_write(address, content)
        self._uid = uid.ljust(16, b"\0")[:16]
        self._bad_access = ""
        self._uc.hook_add(unicorn.UC_HOOK_MEM_INVALID, self._on_bad_access)
        self._to_board = bytearray()
        self._from_board = bytearray()
        self._started = 0.0
        self._hung = self._counting = False
        self._watch = threading.Thread(target=self._watchdog, name="neuromorph-watchdog", daemon=True)
        self._closing = threading.Event()
        self._watch.start()
        self.reset()

    def close(self) -> None:
        """Free the machine. May be called twice."""
        self._closing.set()
        self._uc = None
        self._flash.close()

    def reset(self) -> None:
        """Press the reset button: what was on the line is lost, RAM keeps its content."""
        self._uc.mem_write(DEVICE, bytes(24) + self._uid)
        self._to_board.clear()
        self._from_board.clear()
        stack, self._pc = struct.unpack("<II", self._uc.mem_read(FLASH, 8))
        self._uc.reg_write(self._arm.UC_ARM_REG_SP, stack)
        self._idle_until = self.millis

    # ------------------------------------------------------------------------------------------ the line

    def send(self, data: bytes) -> None:
        """Put bytes on the board's receive line."""
        self._to_board += data

    def received(self) -> int:
        """How many bytes the board has sent that were not taken yet."""
        return len(self._from_board)

    def take(self, size: int) -> bytes:
        """Take at most `size` bytes that the board has sent."""
        data = bytes(self._from_board[:size])
        del self._from_board[:size]
        return data

    def run(self, millis: int) -> None:
        """Let the board run until it sends something, or for `millis` milliseconds of its clock."""
        end, sent = self.millis + millis, len(self._from_board)
        while len(self._from_board) == sent and self.millis < end:
            if not self._to_board and self._idle_until > self.millis:
                self.millis = min(end, self._idle_until)  # it sleeps: nothing happens until its timer is due
            else:
                self._slice()

    def _slice(self) -> None:
        """Let the core run until it sleeps, then move bytes."""
        rx_head, rx_tail, _, tx_tail, _, _ = _HEADS.unpack(self._uc.mem_read(DEVICE, _HEADS.size))
        n = min(len(self._to_board), RING - (rx_head - rx_tail) % _U32)
        if n:
            self._write_ring(_RX, rx_head % RING, bytes(self._to_board[:n]))
            del self._to_board[:n]
        self._uc.mem_write(DEVICE, struct.pack("<I", (rx_head + n) % _U32))
        self._uc.mem_write(DEVICE + 16, struct.pack("<I", self.millis % _U32))
        started = time.monotonic()
        self._compute()
        self.millis += _TICK if time.monotonic() - started < _LONG else _LONG_TICK
        _, _, tx_head, _, _, wait = _HEADS.unpack(self._uc.mem_read(DEVICE, _HEADS.size))
        self._from_board += self._read_ring(_TX, tx_tail % RING, (tx_head - tx_tail) % _U32)
        self._uc.mem_write(DEVICE + 12, struct.pack("<I", tx_head))
        self._idle_until = self.millis + wait

    def _compute(self) -> None:
        self._started = time.monotonic()
        try:
            self._uc.emu_start(self._pc | 1, 0xFFFFFFFE)
        except self._unicorn.UcError as error:
            raise TargetError(self._fault(str(error))) from None
        finally:
            self._started = 0.0
        self._pc = int(self._uc.reg_read(self._arm.UC_ARM_REG_PC))
        if self._hung:
            raise TargetError(self._fault(f"no sleep for {_HANG:g} s"))

    def _write_ring(self, base: int, at: int, data: bytes) -> None:
        first = min(len(data), RING - at)
        self._uc.mem_write(base + at, data[:first])
        if first < len(data):
            self._uc.mem_write(base, data[first:])

    def _read_ring(self, base: int, at: int, size: int) -> bytes:
        first = min(size, RING - at)
        data = bytes(self._uc.mem_read(base + at, first)) if first else b""
        return data + bytes(self._uc.mem_read(base, size - first)) if first < size else data

    # ------------------------------------------------------------------------------------------ faults

    def _on_bad_access(self, _uc: Any, access: int, address: int, size: int, _value: int, _data: Any) -> bool:
        u = self._unicorn
        kinds = {u.UC_MEM_READ_UNMAPPED: "read", u.UC_MEM_READ_PROT: "read", u.UC_MEM_FETCH_UNMAPPED: "fetch",
                 u.UC_MEM_FETCH_PROT: "fetch"}  # fmt: skip
        self._bad_access = f"{kinds.get(access, 'write')} of {size} bytes at 0x{address:08x}"
        return False

    def _fault(self, what: str) -> str:
        pc, lr = (int(self._uc.reg_read(r)) for r in (self._arm.UC_ARM_REG_PC, self._arm.UC_ARM_REG_LR))
        where = f"0x{pc:08x} in {self.firmware.function(pc)}, called from {self.firmware.function(lr & ~1)}"
        return f"the firmware of {self.board.name} stopped at {where}: {self._bad_access or what}"

    def _watchdog(self) -> None:
        while not self._closing.wait(1.0):
            started = self._started
            if started and not self._counting and time.monotonic() - started > _HANG:
                self._hung = True
                self._uc.emu_stop()

    # ------------------------------------------------------------------------------------------ counting

    @contextmanager
    def counting(self) -> Iterator[Counter[str]]:
        """Count the instructions that run meanwhile, by function; exact (blocks times their length), and slower.

        The counter is filled at the end of the block; its ``total()`` is the number of all instructions.
        """
        blocks: defaultdict[tuple[int, int], int] = defaultdict(int)

        def on_block(_uc: Any, address: int, size: int, _data: Any) -> None:
            blocks[address, size] += 1

        self._counting = True
        hook = self._uc.hook_add(self._unicorn.UC_HOOK_BLOCK, on_block)
        self._uc.ctl_flush_tb()  # blocks that are translated already would not call the hook
        counts: Counter[str] = Counter()
        try:
            yield counts
        finally:
            self._counting = False
            self._uc.hook_del(hook)
            self._uc.ctl_flush_tb()
            for (address, size), times in blocks.items():
                counts[self.firmware.function(address)] += times * self._length(address, size)

    def _length(self, address: int, size: int) -> int:
        """Instructions in a block: a half word whose top five bits are 11101, 11110 or 11111 begins one of 32 bits."""
        halves = struct.unpack(f"<{size // 2}H", self._uc.mem_read(address, size))
        at = count = 0
        while at < len(halves):
            at += 2 if halves[at] >> 11 >= 0b11101 else 1
            count += 1
        return count
