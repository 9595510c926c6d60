"""``nmqemu://microbit``: a board in QEMU behind pyserial's interface; the name is that of QEMU's machine."""

from __future__ import annotations

import shutil
import socket
from typing import Any

from serial import SerialException

from neuromorph.errors import TargetError
from neuromorph_mcu.boards import QEMU
from neuromorph_mcu.processes import BoardProcess
from neuromorph_mcu.urls.process import ProcessSerial, SocketLine

__all__ = ["Serial"]


class Serial(ProcessSerial):
    """The port of a board that is switched on when it is opened."""

    _monitor: socket.socket | None = None

    def _start(self, name: str, options: dict[str, str]) -> tuple[BoardProcess, Any]:
        board = QEMU.get(name)
        if board is None:
            raise SerialException(f"no board for QEMU's machine {name!r}; there are {', '.join(QEMU)}")
        if options:
            raise SerialException(f"there is no option {', '.join(options)}: a board in QEMU has none")
        program = shutil.which(board.program)
        if program is None:
            raise TargetError(f"mcu:qemu-{name}: {board.missing()}")
        if not board.elf.is_file():
            raise TargetError(
                f"the firmware {board.elf.name} was not built; run `make build` in a checkout, or reinstall neuromorph"
            )
        line, monitor = socket.socketpair(), socket.socketpair()
        theirs = (line[1].fileno(), monitor[1].fileno())
        command = [
            program, "-machine", name, *board.options, "-kernel", str(board.elf), "-display", "none", "-nodefaults",
            "-chardev", f"socket,id=line,fd={theirs[0]}", "-serial", "chardev:line",
            "-chardev", f"socket,id=monitor,fd={theirs[1]}", "-mon", "chardev=monitor",
        ]  # fmt: skip
        try:
            process = BoardProcess(f"mcu:qemu-{name}", command, theirs)
        except TargetError:
            for end in (*line, *monitor):
                end.close()
            raise
        line[1].close()
        monitor[1].close()
        self._monitor = monitor[0]
        return process, SocketLine(line[0])

    def close(self) -> None:
        """Switch the board off."""
        super().close()
        if self._monitor is not None:
            self._monitor.close()
            self._monitor = None

    def _press_reset(self) -> None:
        if self._monitor is not None:
            self._monitor.sendall(b"system_reset\n")
