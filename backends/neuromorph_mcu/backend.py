"""What the package offers to `neuromorph.targets`; engines are imported when they are opened."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from neuromorph.engine import Engine, Target
from neuromorph.image import FEATURES
from neuromorph.profiles import PROFILES
from neuromorph_mcu.boards import BOARDS, POSIX_POOL, QEMU, posix_program

__all__ = ["McuBackend"]

_ALL, _PROFILES = frozenset(FEATURES), frozenset(PROFILES)
_DEFAULT = "m4"


@dataclass(frozen=True, slots=True)
class _Own:
    """A board that comes along: its target, the URL of its port, and what it needs."""

    target: Target
    url: str
    elf: Path
    needs: tuple[tuple[str, str], ...] = (("serial", "pyserial"),)
    program: str = ""
    missing: str = ""

    def lacks(self) -> str:
        """Empty, or what is missing and how to get it."""
        packages = [name for module, name in self.needs if find_spec(module) is None]
        if packages:
            return _needs(", ".join(packages))
        if self.program and shutil.which(self.program) is None:
            return self.missing
        return "" if self.elf.is_file() else f"{self.elf.name} was not built: run `make build`, or reinstall"


def _needs(packages: str) -> str:
    return f"needs {packages}: pip install 'neuromorph[mcu]'"


def _target(name: str, description: str, pool: int) -> Target:
    return Target(
        name, "emulator", "integer", description, image_max=pool, arena_max=pool, features=_ALL, profiles=_PROFILES
    )


def _in_process(name: str, core: str) -> _Own:
    board, needs = BOARDS[core], (("serial", "pyserial"), ("unicorn", "Unicorn"), ("elftools", "pyelftools"))
    what = f"the firmware on an emulated Cortex-{core.upper()}, in process, through the serial protocol"
    return _Own(_target(name, what, board.pool), f"nmemu://{board.name}", board.elf, needs)


def _qemu(machine: str) -> _Own:
    board = QEMU[machine]
    what = f"the firmware in QEMU on machine {machine} ({board.core}), with its UART, timer and interrupts"
    target = _target(f"mcu:qemu-{machine}", what, board.pool)
    return _Own(target, f"nmqemu://{machine}", board.elf, program=board.program, missing=board.missing())


def _posix() -> tuple[_Own, ...]:
    if sys.platform == "win32":
        return ()
    what = "the firmware as a program of this computer, on a pseudo-terminal"
    return (_Own(_target("mcu:posix", what, POSIX_POOL), "nmposix://", posix_program()),)


def _own() -> tuple[_Own, ...]:
    emulated = (_in_process("mcu", _DEFAULT), *(_in_process(f"mcu:{core}", core) for core in BOARDS))
    return (*emulated, *_posix(), *(_qemu(machine) for machine in QEMU))


@dataclass(frozen=True, slots=True)
class McuBackend:
    """Boards, emulated and real."""

    def targets(self) -> tuple[Target, ...]:
        """The boards that come along."""
        return tuple(own.target for own in _own())

    def find(self, name: str) -> Target | None:
        """A board that comes along, or ``mcu:<port>`` with a port of pyserial, ``/dev/ttyACM0?baud=9600`` or a URL."""
        known = _find(name)
        if known is not None:
            return known.target
        port = _port(name)
        if not port:
            return None
        what = f"the board at {port}; HELLO tells its limits"
        return Target(name, "hardware", "integer", what, features=_ALL, profiles=_PROFILES)

    def open(self, target: Target) -> Engine:
        """Open the port and greet the board."""
        from neuromorph_mcu.engine import McuEngine

        own = _find(target.name)
        return McuEngine(target.name, own.url if own else _port(target.name))

    def available(self, target: Target) -> str:
        """Empty, or what is missing."""
        own = _find(target.name)
        if own is not None:
            return own.lacks()
        return "" if all(map(find_spec, ("serial", "filelock"))) else _needs("pyserial, filelock")


def _find(name: str) -> _Own | None:
    return next((own for own in _own() if own.target.name == name), None)


def _port(name: str) -> str:
    """The port in a target's name, empty if it names none."""
    family, _, port = name.partition(":")
    looks_like_port = "/" in port or port.upper().startswith("COM")
    return port if family == "mcu" and looks_like_port else ""
