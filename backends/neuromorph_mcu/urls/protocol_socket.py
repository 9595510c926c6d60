"""``socket://host:port`` as pyserial has it, but one that knows how many bytes wait: theirs has them read singly.

Requests leave at once, too: by default one waits until what was sent before is acknowledged, 40 ms each time.
"""

from __future__ import annotations

import select
import socket
from contextlib import suppress
from urllib.parse import urlsplit

from serial import PortNotOpenError, SerialException
from serial.urlhandler import protocol_socket

__all__ = ["Serial"]

_PEEK = 1 << 16


class Serial(protocol_socket.Serial):
    """A port at the other end of a TCP connection."""

    _socket: socket.socket

    def open(self) -> None:
        """Connect."""
        super().open()
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def from_url(self, url: str) -> tuple[str, int]:
        """Host and port; theirs trips over a URL without one of them."""
        parts = urlsplit(url)
        with suppress(ValueError):  # a port that is no number
            if parts.hostname and parts.port:
                host, port = super().from_url(url)
                return str(host), int(port)
        raise SerialException(f"{url} needs a host and the number of its port: socket://127.0.0.1:5555")

    @property
    def in_waiting(self) -> int:
        """Bytes that can be read without waiting."""
        if not self.is_open:
            raise PortNotOpenError
        if not select.select([self._socket], [], [], 0)[0]:
            return 0
        return len(self._socket.recv(_PEEK, socket.MSG_PEEK)) or 1  # at the end of the line: let read find out
