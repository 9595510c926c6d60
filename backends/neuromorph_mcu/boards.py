"""The boards that come along, as data; a real one needs none, it says in HELLO what it is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["BOARDS", "FIRMWARE", "POSIX_POOL", "QEMU", "Board", "QemuBoard", "posix_program"]

FIRMWARE = Path(__file__).parent / "_firmware"


@dataclass(frozen=True, slots=True)
class Board:
    """A board on the emulated machine; the same name as its folder in ``firmware/boards``.

    Parameters
    ----------
    name, core : str
        Board, and Unicorn's name of its processor core.
    pool : int
        Bytes for a program with its working memory, a little less than what HELLO reports.
    """

    name: str
    core: str
    pool: int = 960 << 10

    @property
    def elf(self) -> Path:
        """The firmware."""
        return FIRMWARE / f"{self.name}.elf"


BOARDS = {
    "m4": Board("unicorn_m4", "CORTEX_M4"),
    "m3": Board("unicorn_m3", "CORTEX_M3"),
    "m0": Board("unicorn_m0", "CORTEX_M0"),
}


@dataclass(frozen=True, slots=True)
class QemuBoard:
    """A board that QEMU emulates, interrupts and timers included; the same name as its folder in ``firmware/boards``.

    Parameters
    ----------
    name, core : str
        Board, and what kind of core it has.
    pool : int
        Bytes for a program with its working memory, a little less than what HELLO reports.
    program : str
        QEMU's program for this kind of core.
    options : tuple of str
        Of its command line, besides machine and firmware.
    """

    name: str
    core: str
    pool: int
    program: str = "qemu-system-arm"
    options: tuple[str, ...] = ()

    @property
    def elf(self) -> Path:
        """The firmware."""
        return FIRMWARE / f"{self.name}.elf"

    def missing(self) -> str:
        """What to do where QEMU is not installed."""
        package = "qemu-system-arm" if self.program == "qemu-system-arm" else "qemu-system-misc"
        return f"needs {self.program} on PATH: apt install {package} (Debian, Ubuntu), brew install qemu (macOS)"


QEMU = {
    "mps2-an385": QemuBoard("mps2-an385", "Cortex-M3", 3900 << 10),
    "mps2-an386": QemuBoard("mps2-an386", "Cortex-M4", 3900 << 10),
    "mps2-an500": QemuBoard("mps2-an500", "Cortex-M7", 3900 << 10),
    "mps2-an505": QemuBoard("mps2-an505", "Cortex-M33", 3900 << 10),
    "lm3s6965evb": QemuBoard("lm3s6965evb", "Cortex-M3", 32 << 10),
    "microbit": QemuBoard("microbit", "Cortex-M0", 8 << 10),
    "netduinoplus2": QemuBoard("netduinoplus2", "Cortex-M4", 80 << 10),
    "virt": QemuBoard("riscv32-virt", "RISC-V 32", 3900 << 10, "qemu-system-riscv32", ("-bios", "none")),
}
"""By QEMU's name of the machine."""

POSIX_POOL = 8 << 20
"""Bytes that the firmware as a program has for programs."""


def posix_program() -> Path:
    """The firmware as a program: with run-time checks where a compiler for them was there, else plain."""
    checked = FIRMWARE / "posix_checked"
    return checked if checked.is_file() else FIRMWARE / "posix"
