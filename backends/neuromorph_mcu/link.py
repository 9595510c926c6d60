"""The host's end of the serial link: order, retransmission, sessions (``docs/link.md``, 3).

Sans-I/O, as its counterpart ``firmware/core/link.c``: bytes and the time (seconds) go in, bytes come out. It never
waits, reads no clock, and raises nothing: what ends a session is in `HostLink.failure`.
"""

from __future__ import annotations

import struct
from collections import deque
from dataclasses import asdict, dataclass

from neuromorph_mcu.frames import MAJOR, MINOR, PAYLOAD_MAX, SEQUENCED, Flag, Frame, LinkType, Nak, Splitter, encode

__all__ = ["HostLink", "LinkCounters", "Timing"]

_HELLO_REQ = struct.Struct("<BBHB15x")


@dataclass(frozen=True, slots=True)
class Timing:
    """Times in seconds.

    Parameters
    ----------
    rto_min, rto_max : float
        Bounds of the time after which unacknowledged frames are sent again: 4 x the round trip.
    rto_backoff : float
        Where doubling it ends: on a bad line the next try may be the one that arrives.
    hello : float
        Time between two HELLO_REQ.
    keep_alive : float
        Silence after which the board is asked for a sign of life.
    lost : float
        Silence, or frames unacknowledged, after which the board is given up.
    gap : float
        Silence inside a frame that ends it.
    """

    rto_min: float = 0.05
    rto_max: float = 1.0
    rto_backoff: float = 0.25
    hello: float = 0.1
    keep_alive: float = 0.25
    lost: float = 5.0
    gap: float = 0.2


@dataclass(slots=True)
class LinkCounters:
    """What happened on the line since the link was made."""

    frames_in: int = 0
    frames_out: int = 0
    crc_err: int = 0
    cobs_err: int = 0
    overrun: int = 0
    gap: int = 0
    retransmits: int = 0
    duplicates: int = 0
    out_of_order: int = 0
    resets: int = 0
    naks: int = 0


@dataclass(slots=True)
class _Sent:
    """A message of the window."""

    type: int
    payload: bytes
    at: float = 0.0
    sends: int = 0


class HostLink:
    """One session with a board.

    Parameters
    ----------
    session : int
        A random number 1..65535: what is left on the line of an older session is told apart by it.
    now : float
        Seconds.
    timing : Timing
        Time limits.
    window, payload_max : int
        Frames in flight and bytes of payload that this end wants at most; HELLO settles the smaller of both ends.

    Attributes
    ----------
    hello : bytes or None
        Payload of the board's HELLO once the session is open.
    failure : str
        Empty, or why the session has ended.
    """

    def __init__(
        self, session: int, now: float, timing: Timing | None = None, *, window: int = 8, payload_max: int = PAYLOAD_MAX
    ) -> None:
        self.session, self.timing, self.window, self.payload_max = session, timing or Timing(), window, payload_max
        self.hello: bytes | None = None
        self.failure = ""
        self._counters = LinkCounters()
        self._splitter = Splitter()
        self._window: deque[_Sent] = deque()
        self._base = self._cursor = self._expect = 0  # base and expect modulo 256; cursor counts from base
        self._ahead = 0
        self._want_ack = self._go_back = False
        self._started = self._moved = self._timer = self._heard = now
        self._asked = now - self.timing.keep_alive
        self._hello_at: float | None = None
        self._rto, self._srtt = self.timing.rto_min, 0.0
        self._nak: bytes | None = None

    @property
    def room(self) -> int:
        """How many messages `send` would take now."""
        return 0 if self.hello is None or self.failure else self.window - len(self._window)

    @property
    def idle(self) -> bool:
        """Whether the board has everything that was sent."""
        return not self._window

    def counters(self) -> dict[str, int]:
        """What happened on the line, by name."""
        held = asdict(self._counters)
        return held | {name: getattr(self._splitter, name) for name in ("crc_err", "cobs_err", "overrun")}

    def send(self, kind: int, payload: bytes, now: float) -> None:
        """Queue a message; only while there is `room`."""
        if not self.room or len(payload) > self.payload_max or kind < SEQUENCED:
            raise ValueError(f"no room for a message of type {kind} with {len(payload)} bytes")
        if not self._window:
            self._moved = now
        self._window.append(_Sent(kind, payload))

    # ------------------------------------------------------------------------------------------ coming in

    def receive(self, data: bytes, now: float) -> list[tuple[int, bytes]]:
        """Take bytes from the line; return the messages that they complete, in order, each exactly once."""
        if data and self._splitter.pending and now - self._heard > self.timing.gap:
            self._splitter.drop()
            self._counters.gap += 1
        messages: list[tuple[int, bytes]] = []
        if data:
            self._heard = now
            for frame in self._splitter.feed(data):
                self._counters.frames_in += 1
                self._on_frame(frame, now, messages)
        return messages

    def _on_frame(self, frame: Frame, now: float, messages: list[tuple[int, bytes]]) -> None:
        if frame.type == LinkType.HELLO:
            self._on_hello(frame, now)
            return
        if frame.session != self.session or frame.major != MAJOR:
            return  # left over from an older session
        if frame.type == LinkType.RESET:
            self._counters.resets += 1
            if self.hello is not None:
                self.failure = "the board was reset, or dropped the session"
            return
        self._on_ack(frame, now)
        self._want_ack |= bool(frame.flags & Flag.PING)
        if frame.type >= SEQUENCED:
            self._on_sequenced(frame, messages)
        elif frame.type == LinkType.NAK:
            self._counters.naks += 1
            reason = frame.payload[0] if frame.payload else 0
            name = Nak(reason).name.lower() if reason in Nak.__members__.values() else str(reason)
            self.failure = f"the board refused a frame ({name}); do firmware and package belong together?"
        elif frame.type != LinkType.ACK:
            self._nak = bytes((Nak.UNSUPPORTED, frame.type, frame.seq))

    def _on_hello(self, frame: Frame, now: float) -> None:
        if frame.session != self.session or self.hello is not None or self.failure:
            return
        major = frame.payload[0] if frame.payload else -1
        if major != MAJOR or len(frame.payload) < 112:
            self.failure = f"the board speaks protocol {major}, this package {MAJOR}: update the older of the two"
            return
        if frame.seq or frame.ack:
            self.failure = "the board had this session number in use; open it again"
            return
        limit, window = struct.unpack_from("<HB", frame.payload, 6)
        self.payload_max, self.window = min(self.payload_max, max(64, limit)), min(self.window, max(1, window))
        self.hello = frame.payload
        self._moved = now

    def _on_ack(self, frame: Frame, now: float) -> None:
        taken = (frame.ack - self._base) % 256
        if self.hello is None or taken > len(self._window):
            return  # older than the window: a late duplicate
        if taken:
            last = self._window[taken - 1]
            if last.sends == 1:  # Karn: a repeated frame tells nothing about the round trip
                sample = now - last.at
                self._srtt = self._srtt + (sample - self._srtt) / 8 if self._srtt else sample
                self._rto = min(self.timing.rto_max, max(self.timing.rto_min, 4 * self._srtt))
            for _ in range(taken):
                self._window.popleft()
            self._base = frame.ack
            self._cursor = max(0, self._cursor - taken)
            self._moved = self._timer = now
        if frame.flags & Flag.GO_BACK:
            self._cursor = 0

    def _on_sequenced(self, frame: Frame, messages: list[tuple[int, bytes]]) -> None:
        self._want_ack = True
        ahead = (frame.seq - self._expect) % 256
        if ahead == 0:
            self._expect = (self._expect + 1) % 256
            self._ahead = 0
            messages.append((frame.type, frame.payload))
        elif ahead < 128:
            self._counters.out_of_order += 1
            # Once per gap, or each follower would restart the sender; again when it has restarted and the same one
            # was lost.
            self._go_back |= self._ahead == 0 or ahead <= self._ahead
            self._ahead = ahead
        else:
            self._counters.duplicates += 1

    # ------------------------------------------------------------------------------------------ going out

    def transmit(self, now: float) -> bytes:
        """All bytes that are due on the line; also looks at the clocks, so call it even when nothing was received."""
        if self.failure:
            return b""
        if self.hello is None:
            return self._greet(now)
        if self._gone(now):
            return b""
        out = []
        if self._nak is not None:
            out.append(self._emit(LinkType.NAK, self._nak))
            self._nak = None
        if self._window and self._cursor == len(self._window) and now - self._timer >= self._rto:
            self._cursor = 0  # go back n
            self._rto = max(self._rto, min(self.timing.rto_backoff, 2 * self._rto))
        while self._cursor < len(self._window):
            out.append(self._transmit_message(self._window[self._cursor], now))
        ping = now - max(self._heard, self._asked) >= self.timing.keep_alive
        if self._want_ack or ping:
            self._asked = now if ping else self._asked
            out.append(self._emit(LinkType.ACK, flags=Flag.PING if ping else 0))
        return b"".join(out)

    def _greet(self, now: float) -> bytes:
        if now - self._started >= self.timing.lost:
            self.failure = f"no answer to HELLO within {self.timing.lost:g} s"
            return b""
        if self._hello_at is not None and now - self._hello_at < self.timing.hello:
            return b""
        self._hello_at = now
        return self._emit(LinkType.HELLO_REQ, _HELLO_REQ.pack(MAJOR, MINOR, self.payload_max, self.window))

    def _gone(self, now: float) -> bool:
        if now - self._heard >= self.timing.lost:
            self.failure = f"no byte from the board for {self.timing.lost:g} s"
        elif self._window and now - self._moved >= self.timing.lost:
            self.failure = f"the board acknowledged nothing for {self.timing.lost:g} s"
        return bool(self.failure)

    def _transmit_message(self, sent: _Sent, now: float) -> bytes:
        seq = (self._base + self._cursor) % 256
        self._counters.retransmits += sent.sends > 0
        sent.sends += 1
        sent.at = self._timer = now
        self._cursor += 1
        return self._emit(sent.type, sent.payload, seq)

    def _emit(self, kind: int, payload: bytes = b"", seq: int | None = None, flags: int = 0) -> bytes:
        if seq is None:
            seq = (self._base + len(self._window)) % 256
        if self._go_back:
            flags |= Flag.GO_BACK
        self._want_ack = self._go_back = False  # every frame carries the acknowledgement
        self._counters.frames_out += 1
        return encode(Frame(kind, seq, self._expect, self.session, payload, flags))
