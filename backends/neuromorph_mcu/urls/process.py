"""The port of a board that is a process: pyserial's interface, and errors that say how the process ended."""

from __future__ import annotations

import select
import socket
import time
from abc import abstractmethod
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from serial import PortNotOpenError, SerialBase, SerialException

from neuromorph.errors import TargetError
from neuromorph_mcu.link import Timing
from neuromorph_mcu.processes import BoardProcess

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["ProcessSerial", "SocketLine"]


class SocketLine:
    """One end of a pair of connected sockets, as the part of a pyserial port that is needed here."""

    def __init__(self, end: socket.socket) -> None:
        self._socket = end
        self.timeout: float | None = None
        self.write_timeout: float | None = None
        self._socket.setblocking(False)
        self._waiting = bytearray()

    @property
    def in_waiting(self) -> int:
        """Bytes that can be read without waiting."""
        self._fetch(0.0)
        return len(self._waiting)

    def _fetch(self, seconds: float | None) -> bool:
        if not select.select([self._socket], [], [], seconds)[0]:
            return False
        data = self._socket.recv(1 << 16)
        if not data:
            raise SerialException("the other end closed the line")
        self._waiting += data
        return True

    def read(self, size: int = 1) -> bytes:
        """At most `size` bytes, fewer after the timeout."""
        end = None if self.timeout is None else time.monotonic() + self.timeout
        while len(self._waiting) < size:
            left = None if end is None else end - time.monotonic()
            if (left is not None and left <= 0) or not self._fetch(left):
                break
        data = bytes(self._waiting[:size])
        del self._waiting[:size]
        return data

    def write(self, data: bytes) -> int:
        """Send all bytes, or raise SerialException after the time limit."""
        end, sent = time.monotonic() + (self.write_timeout or 5.0), 0
        while sent < len(data):
            if not select.select([], [self._socket], [], max(0.0, end - time.monotonic()))[1]:
                raise SerialException("the board takes no bytes: write timeout")
            sent += self._socket.send(data[sent:])
        return sent

    def reset_input_buffer(self) -> None:
        """Drop what waits."""
        while self._fetch(0.0):
            self._waiting.clear()

    def close(self) -> None:
        """Close this end."""
        self._socket.close()


class ProcessSerial(SerialBase):
    """The port of a board that is started when it is opened and ended when it is closed."""

    process: BoardProcess | None = None
    """The board, while the port is open."""
    timing = Timing(silent=5.0)
    """A board that shares its processor with others may be late."""
    _line: Any = None

    @abstractmethod
    def _start(self, name: str, options: dict[str, str]) -> tuple[BoardProcess, Any]:
        """Start the board of the URL's name with the URL's options; give its process and its line."""

    @abstractmethod
    def _press_reset(self) -> None:
        """Reset the board."""

    def open(self) -> None:
        """Start the board."""
        if self.is_open:
            raise SerialException("the port is open already")
        url = urlsplit(self.portstr or "")
        self.process, self._line = self._start(url.netloc, dict(parse_qsl(url.query)))
        self.is_open = True
        self._reconfigure_port()

    def close(self) -> None:
        """End the board and all that it started."""
        line, process = self._line, self.process
        self._line = self.process = None
        self.is_open = False
        if line is not None:
            line.close()
        if process is not None:
            process.close()

    @contextmanager
    def _talking(self) -> Iterator[Any]:
        """The line; what goes wrong with it is told by how the process ended, if it did."""
        if self._line is None or self.process is None:
            raise PortNotOpenError
        try:
            yield self._line
        except OSError as error:
            ended = self.process.ended()
            if ended:
                raise TargetError(ended) from error
            raise

    @property
    def in_waiting(self) -> int:
        """Bytes that the board has sent."""
        with self._talking() as line:
            return int(line.in_waiting)

    def read(self, size: int = 1) -> bytes:
        """At most `size` bytes, fewer after the timeout."""
        with self._talking() as line:
            return bytes(line.read(size))

    def write(self, data: Any) -> int:
        """Send bytes to the board."""
        with self._talking() as line:
            return int(line.write(bytes(data)))

    def reset_input_buffer(self) -> None:
        """Drop what the board has sent."""
        with self._talking() as line:
            line.reset_input_buffer()

    def reset_output_buffer(self) -> None:
        """Nothing waits here."""

    def _reconfigure_port(self, force_update: bool = False) -> None:  # noqa: ARG002 (the interface's name)
        """Hand the time limits on; speed and parity mean nothing here."""
        if self._line is not None:
            self._line.timeout, self._line.write_timeout = self.timeout, self.write_timeout

    def _update_dtr_state(self) -> None:
        """The reset line of many boards: a falling edge resets this one too."""
        if self.is_open and not self.dtr:
            self._press_reset()

    _update_rts_state = _update_break_state = reset_output_buffer
