"""``nmemu://unicorn_m4``: an emulated board behind pyserial's interface.

``nmemu://unicorn_m4?flash=FILE`` keeps what it stores.

pyserial imports this module when the package is in ``serial.protocol_handler_packages`` (`neuromorph_mcu.ports` sees to
that). The board runs while its port is read, on its own clock.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlsplit

from serial import PortNotOpenError, SerialBase, SerialException

from neuromorph_mcu.boards import BOARDS
from neuromorph_mcu.emulator import Machine

__all__ = ["Serial"]


class Serial(SerialBase):
    """The port of an emulated board that is switched on when the port is opened."""

    machine: Machine | None = None
    """The board, while the port is open."""

    def open(self) -> None:
        """Switch the board on."""
        if self.is_open:
            raise SerialException("the port is open already")
        boards = {board.name: board for board in BOARDS.values()}
        url = urlsplit(self.portstr or "")
        name, options = url.netloc, dict(parse_qsl(url.query))
        flash = options.pop("flash", None)
        if name not in boards:
            raise SerialException(f"no emulated board {name!r}; there are {', '.join(boards)}")
        if options:
            raise SerialException(f"{self.portstr}: there is no option {', '.join(options)}; flash=FILE is one")
        self.machine = Machine(boards[name], flash=flash)
        self.is_open = True

    def close(self) -> None:
        """Switch the board off."""
        if self.machine is not None:
            self.machine.close()
            self.machine = None
        self.is_open = False

    def _board(self) -> Machine:
        if not self.is_open or self.machine is None:
            raise PortNotOpenError
        return self.machine

    def clock(self) -> float:
        """Seconds on the board's own clock."""
        return self._board().millis / 1000

    @property
    def in_waiting(self) -> int:
        """Bytes that the board has sent."""
        return self._board().received()

    def read(self, size: int = 1) -> bytes:
        """At most `size` bytes, fewer after the timeout (of the board's clock)."""
        board = self._board()
        end = None if self.timeout is None else board.millis + max(1, round(self.timeout * 1000))
        while board.received() < size and (end is None or board.millis < end):
            board.run(1000 if end is None else end - board.millis)
        return board.take(size)

    def write(self, data: Any) -> int:
        """Send bytes to the board, which takes them when it runs."""
        self._board().send(bytes(data))
        return len(data)

    def reset_input_buffer(self) -> None:
        """Drop what the board has sent."""
        board = self._board()
        board.take(board.received())

    def reset_output_buffer(self) -> None:
        """Nothing waits here."""

    def _reconfigure_port(self, force_update: bool = False) -> None:
        """Speed and parity mean nothing here."""

    def _update_dtr_state(self) -> None:
        """The reset line of many boards: a falling edge resets this one too."""
        if self.is_open and not self.dtr:
            self._board().reset()

    _update_rts_state = _update_break_state = reset_output_buffer
