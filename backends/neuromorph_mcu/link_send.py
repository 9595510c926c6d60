"""What an end of the link sends: selective repeat, the timer, the size of frames (``docs/link.md``, 3).

The counterpart of ``firmware/core/link_send.c``; times are in seconds here.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

__all__ = ["SIZE_LEAST", "SIZE_START", "Outgoing", "Sender", "Timing"]

SIZE_LEAST, SIZE_START = 32, 64
"""Bytes to which streams are cut: at least, and before anything is known of the line."""
_CLEAN_MOST = 1 << 16
_FRAMING = 15
"""Bytes of a frame beside its payload: header, checksum, stuffing, delimiters."""


@dataclass(frozen=True, slots=True)
class Timing:
    """Times in seconds.

    Parameters
    ----------
    rto_min, rto_max : float
        Bounds of the time after which an unacknowledged message is sent again: 4 x the round trip.
    rto_backoff : float
        Where doubling it ends: on a bad line the next try may be the one that arrives.
    hello : float
        Time between two HELLO_REQ.
    keep_alive : float
        Silence after which the board is asked for a sign of life.
    silent : float
        Silence after which the board is given up.
    lost : float
        Time without an answer to HELLO_REQ, or with messages of which none is acknowledged, after which the board is
        given up; also the silence allowed while it loads a program.
    gap : float
        Silence inside a frame that ends it.
    """

    rto_min: float = 0.05
    rto_max: float = 1.0
    rto_backoff: float = 0.25
    hello: float = 0.1
    keep_alive: float = 0.25
    silent: float = 1.0
    lost: float = 5.0
    gap: float = 0.2


@dataclass(slots=True, eq=False)
class Outgoing:
    """A message until it is acknowledged."""

    type: int
    payload: bytes
    seq: int
    waits: bool = True
    there: bool = False
    sends: int = 0
    stamp: int = 0
    at: float = 0.0


class Sender:
    """The messages on their way.

    Parameters
    ----------
    timing : Timing
        Time limits.
    window : int
        Most messages in flight.
    payload_max : int
        Most bytes of a message.
    now : float
        Seconds.

    Attributes
    ----------
    size : int
        Bytes to which a stream should be cut now: with one error in `spacing` bytes, payloads of sqrt(15 x spacing)
        bytes carry most.
    credit : int
        How many messages the other end takes now.
    moved : float
        When a message was last acknowledged, or the window stopped being empty.
    retransmits : int
        Messages sent again.
    """

    def __init__(self, timing: Timing, window: int, payload_max: int, now: float) -> None:
        self.timing, self.window, self.payload_max = timing, window, payload_max
        self.size, self.credit, self.moved, self.retransmits = SIZE_START, window, now, 0
        self._queue: deque[Outgoing] = deque()
        self._next = 0
        self._stamp = self._newest = self._strikes = 0
        self._clean, self._spacing = 0.0, SIZE_START**2 / 16
        self._timer, self._rto, self._srtt = now, timing.rto_min, 0.0
        self._choose_size()

    def __len__(self) -> int:
        return len(self._queue)

    @property
    def next(self) -> int:
        """The number that the next message will have."""
        return self._next

    def queue(self, kind: int, payload: bytes, now: float) -> None:
        """Take a message, while fewer than `window` are in flight."""
        if not self._queue:
            self.moved = self._timer = now
        self._queue.append(Outgoing(kind, payload, self._next))
        self._next = (self._next + 1) % 256

    def acknowledged(self, ack: int, mask: int, now: float) -> None:
        """Everything before `ack` has arrived, and of what follows it the messages of `mask` (bit 0: ack + 1)."""
        queue = self._queue
        self._strikes = 0  # a line that loses some is not one that is slow
        done = (ack - self._next + len(queue)) % 256
        if done > len(queue):
            return  # older than the window: a late duplicate
        news = [queue.popleft() for _ in range(done)]
        news += [m for k, m in enumerate(queue) if k and mask >> (k - 1) & 1]
        self._arrived([m for m in news if m.sends and not m.there], now)
        # A line keeps the order, so what was sent before something that has arrived is lost.
        for message in queue:
            if not message.waits and not message.there and message.stamp < self._newest:
                self._lost(message)
        if done or mask:
            self._choose_size()

    def due(self, now: float) -> list[Outgoing]:
        """Messages to send now; they count as sent."""
        if self._queue and now - self._timer >= self._timeout():
            # Only the oldest is repeated: its acknowledgement tells what else is lost.
            self._timer = now
            self._strikes += 1
            oldest = next((m for m in self._queue if not m.waits and not m.there), None)
            if oldest is not None:
                self._lost(oldest)
                self._choose_size()
            else:
                self.credit = max(1, self.credit)  # the report of more may be what was lost: try
        out = [m for k, m in enumerate(self._queue) if m.waits and k < self.credit]
        for message in out:
            self.retransmits += message.sends > 0
            self._stamp += 1
            message.waits, message.at, message.stamp = False, now, self._stamp
            message.sends += 1
            self._timer = now
        return out

    def _timeout(self) -> float:
        return max(self._rto, min(self.timing.rto_backoff, self._rto * 2.0 ** min(self._strikes, 8)))

    def _arrived(self, messages: list[Outgoing], now: float) -> None:
        if not messages:
            return
        for message in messages:
            message.there, message.waits = True, False
            self._newest = max(self._newest, message.stamp)
        once = [m for m in messages if m.sends == 1]  # Karn: a repeated frame tells nothing about the round trip
        if once:
            self._clean = min(_CLEAN_MOST, self._clean + sum(len(m.payload) + _FRAMING for m in once))
            # The shortest: others waited for this acknowledgement. A long one may only mean that some were lost.
            sample = min(now - max(m.at for m in once), 4 * self.timing.rto_min + 2 * self._srtt)
            self._srtt = self._srtt + (sample - self._srtt) / 8 if self._srtt else sample
            self._rto = min(self.timing.rto_max, max(self.timing.rto_min, 4 * self._srtt))
        self.moved = self._timer = now

    def _lost(self, message: Outgoing) -> None:
        message.waits = True
        self._spacing += (self._clean - self._spacing) / 8
        self._clean = 0.0

    def _choose_size(self) -> None:
        spacing, size = max(self._spacing, self._clean), SIZE_LEAST
        while size < self.payload_max and spacing >= size * size / 4:  # (2 size)^2 / 16
            size *= 2
        self.size = min(size, self.payload_max)
