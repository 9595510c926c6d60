"""``fault://?seed=1&url=<quoted>&corrupt=1e-3``: any port behind a bad line.

Options are those of `neuromorph_mcu.faults.Faults`; ``url`` is the port, quoted (``urllib.parse.quote``) where it has
``&`` or ``#`` in it. `Serial.replay` names the seed and all faults, so that a failure can be repeated.
"""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from serial import PortNotOpenError, SerialBase, SerialException

from neuromorph_mcu.faults import Faults, Line
from neuromorph_mcu.ports import open_port

__all__ = ["Serial"]

_LOOK = 0.005
"""Seconds between two looks at what a line holds back."""


class Serial(SerialBase):
    """A port in front of another one."""

    _inner: Any = None
    _up: Line
    _down: Line
    _arrived: bytearray
    replay = ""
    """What repeats the faults of this port."""

    def open(self) -> None:
        """Open the port behind the bad line."""
        if self.is_open:
            raise SerialException("the port is open already")
        options = dict(parse_qsl(urlsplit(self.portstr or "").query))
        url = options.pop("url", "")
        if not url:
            raise SerialException("fault:// needs the port it stands before: fault://?seed=1&url=...")
        faults = Faults.parse(urlencode(options))
        self._inner = open_port(url, self.baudrate)
        self.replay = f"fault://?{faults.token}&{urlencode({'url': url})}"
        self._up, self._down = Line(faults, "up", self.clock()), Line(faults, "down", self.clock())
        self._moved, self._arrived = 0, bytearray()
        self.is_open = True

    def close(self) -> None:
        """Close the port behind."""
        if self._inner is not None:
            self._inner.close()
            self._inner = None
        self.is_open = False

    def __getattr__(self, name: str) -> Any:
        """Whatever else the port behind offers (its machine, its process, its time limits)."""
        if name.startswith("_") or self._inner is None:
            raise AttributeError(name)
        return getattr(self._inner, name)

    def clock(self) -> float:
        """Seconds, on the clock of the port behind if it has its own."""
        own = getattr(self._inner, "clock", time.monotonic)
        return float(own())

    def _behind(self) -> Any:
        if self._inner is None:
            raise PortNotOpenError
        limit = self._up.faults.disconnect_at
        if limit and self._moved >= limit:
            raise SerialException(f"the line broke after {self._moved} bytes, as {self.replay} asks for")
        return self._inner

    def _pump(self) -> None:
        port = self._behind()
        due = self._up.take(self.clock())
        if due:
            port.write(due)
        waiting = port.in_waiting
        if waiting:
            self._take(port.read(waiting))
        self._arrived += self._down.take(self.clock())

    def _take(self, data: bytes) -> None:
        self._moved += len(data)
        self._down.put(data, self.clock())

    @property
    def in_waiting(self) -> int:
        """Bytes that can be read without waiting."""
        self._pump()
        return len(self._arrived)

    def read(self, size: int = 1) -> bytes:
        """At most `size` bytes, fewer after the timeout."""
        end = None if self.timeout is None else self.clock() + self.timeout
        port = self._behind()
        port.timeout = _LOOK
        self._pump()
        while len(self._arrived) < size and (end is None or self.clock() < end):
            self._take(port.read(1))
            self._pump()
        data = bytes(self._arrived[:size])
        del self._arrived[:size]
        return data

    def write(self, data: Any) -> int:
        """Send bytes over the bad line."""
        self._behind()
        self._up.put(bytes(data), self.clock())
        self._pump()
        self._moved += len(data)
        return len(data)

    def reset_input_buffer(self) -> None:
        """Drop what the board has sent."""
        self._behind().reset_input_buffer()
        self._arrived.clear()
        self._down = Line(self._down.faults, "down again", self.clock())

    def reset_output_buffer(self) -> None:
        """Nothing waits here but what the line holds back."""

    def _reconfigure_port(self, force_update: bool = False) -> None:
        """Speed and parity are those of the port behind, from when it was opened."""

    def _update_dtr_state(self) -> None:
        """The reset line of many boards."""
        if self._inner is not None:
            self._inner.dtr = self.dtr

    _update_rts_state = _update_break_state = reset_output_buffer
