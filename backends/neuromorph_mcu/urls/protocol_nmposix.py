"""``nmposix://``: the firmware as a program of this computer, behind pyserial's interface.

Options follow as in ``nmposix://?line=tcp&rate=921600``: `line` is ``pty`` (default) or ``tcp``; all others go to the
program as they are (``posix --help``).
"""

from __future__ import annotations

from typing import Any

import serial

from neuromorph.errors import TargetError
from neuromorph_mcu.boards import posix_program
from neuromorph_mcu.processes import BoardProcess
from neuromorph_mcu.urls.process import ProcessSerial

__all__ = ["Serial"]


class Serial(ProcessSerial):
    """The port of a board that starts when it is opened."""

    def _start(self, _name: str, options: dict[str, str]) -> tuple[BoardProcess, Any]:
        line = options.pop("line", "pty")
        if line not in ("pty", "tcp"):
            raise serial.SerialException(f"line={line} in {self.portstr}: pty or tcp")
        command = [str(posix_program()), *(["--pty"] if line == "pty" else ["--tcp", "0"])]
        process = BoardProcess("mcu:posix", command + [w for k, v in options.items() for w in (f"--{k}", v)])
        try:
            _, _, where = process.first_line().partition(" ")
            url = where if line == "pty" else f"socket://{where}"
            return process, serial.serial_for_url(url, timeout=self.timeout, write_timeout=self.write_timeout)
        except (TargetError, OSError):
            process.close()
            raise

    def _press_reset(self) -> None:
        if self.process is not None:
            self.process.press_reset()
