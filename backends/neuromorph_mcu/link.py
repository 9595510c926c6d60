"""The host's end of the serial link: frames, order, sessions (``docs/link.md``, 3).

Sans-I/O, as its counterpart ``firmware/core/link.c``: bytes and the time (seconds) go in, bytes come out. It never
waits, reads no clock, and raises nothing: what ends a session is in `HostLink.failure`.
"""

from __future__ import annotations

import struct
from dataclasses import asdict, dataclass

from neuromorph_mcu.frames import (
    MAJOR,
    MINOR,
    PAYLOAD_LEAST,
    PAYLOAD_MAX,
    SEQUENCED,
    WINDOW_MAX,
    Flag,
    Frame,
    LinkType,
    Nak,
    Splitter,
    encode,
)
from neuromorph_mcu.link_send import Sender, Timing

__all__ = ["HostLink", "LinkCounters", "Timing"]

_HELLO_REQ = struct.Struct("<BBHB15x")
_REPORT = struct.Struct("<HBx")


@dataclass(slots=True)
class LinkCounters:
    """What happened on the line since the link was made."""

    frames_in: int = 0
    frames_out: int = 0
    gap: int = 0
    duplicates: int = 0
    out_of_order: int = 0
    dropped: int = 0
    resets: int = 0
    naks: int = 0


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
        Messages in flight (1..16) and bytes of payload that this end wants at most; HELLO settles the smaller of both
        ends.

    Attributes
    ----------
    hello : bytes or None
        Payload of the board's HELLO once the session is open.
    failure : str
        Empty, or why the session has ended.
    restarted : bool
        It has ended because the board was reset.
    patience : float
        Silence allowed; `Timing.silent` unless the board has something long to do.
    """

    def __init__(
        self,
        session: int,
        now: float,
        timing: Timing | None = None,
        *,
        window: int = WINDOW_MAX,
        payload_max: int = PAYLOAD_MAX,
    ) -> None:
        self.session, self.timing = session, timing or Timing()
        self.hello: bytes | None = None
        self.failure, self.restarted = "", False
        self.patience = self.timing.silent
        self._send = Sender(self.timing, window, payload_max, now)
        self._counters = LinkCounters()
        self._splitter = Splitter()
        self._expect = 0
        self._held: dict[int, tuple[int, bytes]] = {}
        self._want_ack = self._want_report = False
        self._started = self._heard = now
        self._asked = now - self.timing.keep_alive
        self._hello_at: float | None = None
        self._nak: bytes | None = None

    @property
    def window(self) -> int:
        """Messages in flight at most."""
        return self._send.window

    @property
    def payload_max(self) -> int:
        """Bytes of a message at most."""
        return self._send.payload_max

    @property
    def size(self) -> int:
        """Bytes to which a stream should be cut now: fewer on a bad line."""
        return self._send.size

    @property
    def room(self) -> int:
        """How many messages `send` would take now."""
        return 0 if self.hello is None or self.failure else self.window - len(self._send)

    @property
    def idle(self) -> bool:
        """Whether the board has everything that was sent."""
        return not len(self._send)

    def counters(self) -> dict[str, int]:
        """What happened on the line, by name."""
        found = {name: getattr(self._splitter, name) for name in ("crc_err", "cobs_err", "overlong")}
        return asdict(self._counters) | found | {"retransmits": self._send.retransmits}

    def send(self, kind: int, payload: bytes, now: float) -> None:
        """Queue a message; only while there is `room`."""
        if not self.room or len(payload) > self.payload_max or kind < SEQUENCED:
            raise ValueError(f"no room for a message of type {kind} with {len(payload)} bytes")
        self._send.queue(kind, payload, now)

    # ------------------------------------------------------------------------------------------ coming in

    def receive(self, data: bytes, now: float) -> list[tuple[int, bytes]]:
        """Take bytes from the line; return the messages that they complete, in order, each exactly once."""
        messages: list[tuple[int, bytes]] = []
        if not data:
            return messages
        if self._splitter.pending and now - self._heard > self.timing.gap:
            self._splitter.drop()
            self._counters.gap += 1
        self._heard = now
        for frame in self._splitter.feed(data):
            self._counters.frames_in += 1
            if not self.failure:
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
                self.restarted = frame.payload[:4] != self.hello[12:16]  # its count of starts
                known = "restarted" if self.restarted else "was reset, or dropped the session"
                self.failure = f"the board {known}"
            return
        if self.hello is None:
            return
        self._on_ack(frame, now)
        self._want_report |= bool(frame.flags & Flag.PING)
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
        if frame.session != self.session or self.hello is not None:
            return
        major = frame.payload[0] if frame.payload else -1
        if major != MAJOR or len(frame.payload) < 112:
            self.failure = f"the board speaks protocol {major}, this package {MAJOR}: update the older of the two"
            return
        if frame.seq or frame.ack:
            self.failure = "the board had this session number in use; open it again"
            return
        limit, window = struct.unpack_from("<HB", frame.payload, 6)
        self._send = Sender(
            self.timing, min(self.window, max(1, window)), min(self.payload_max, max(PAYLOAD_LEAST, limit)), now
        )
        self.hello = frame.payload

    def _on_ack(self, frame: Frame, now: float) -> None:
        mask = 0
        if frame.type == LinkType.ACK and len(frame.payload) >= _REPORT.size:
            mask, self._send.credit = _REPORT.unpack_from(frame.payload)
        self._send.acknowledged(frame.ack, mask, now)

    def _on_sequenced(self, frame: Frame, messages: list[tuple[int, bytes]]) -> None:
        self._want_ack = True
        ahead = (frame.seq - self._expect) % 256
        if ahead >= 128 or frame.seq in self._held:
            self._counters.duplicates += 1
        elif ahead >= self.window:
            self._counters.dropped += 1  # more than was agreed
        else:
            self._held[frame.seq] = frame.type, frame.payload
            if ahead:
                self._counters.out_of_order += 1
                self._want_report = True  # says which one is missing
            while self._expect in self._held:
                messages.append(self._held.pop(self._expect))
                self._expect = (self._expect + 1) % 256

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
        # Again soon if that was lost too: silence ends the session.
        again = self.timing.rto_min if self._asked > self._heard else self.timing.keep_alive
        ping = now - max(self._heard, self._asked) >= again
        if self._want_report or ping:
            self._asked = now if ping else self._asked
            out.append(self._report(Flag.PING if ping else 0))
        out += [self._emit(m.type, m.payload, m.seq) for m in self._send.due(now)]
        if self._want_ack:
            out.append(self._report())
        return b"".join(out)

    def _greet(self, now: float) -> bytes:
        if now - self._started >= self.timing.lost:
            hint = "is the board on, with this firmware, at this baud rate?"
            self.failure = f"no answer to HELLO within {self.timing.lost:g} s ({hint})"
            return b""
        if self._hello_at is not None and now - self._hello_at < self.timing.hello:
            return b""
        self._hello_at = now
        return self._emit(LinkType.HELLO_REQ, _HELLO_REQ.pack(MAJOR, MINOR, self.payload_max, self.window))

    def _gone(self, now: float) -> bool:
        if now - self._heard >= self.patience:
            self.failure = f"no byte from the board for {self.patience:g} s"
        elif len(self._send) and now - self._send.moved >= self.timing.lost:
            self.failure = f"the board acknowledged nothing for {self.timing.lost:g} s"
        return bool(self.failure)

    def _report(self, flags: int = 0) -> bytes:
        """What has arrived, also behind a gap; this end always takes a whole window."""
        mask = sum(1 << (seq - self._expect - 1) % 256 for seq in self._held)
        self._want_report = False
        return self._emit(LinkType.ACK, _REPORT.pack(mask, self.window), flags=flags)

    def _emit(self, kind: int, payload: bytes = b"", seq: int | None = None, flags: int = 0) -> bytes:
        self._want_ack = False  # every frame carries the acknowledgement
        self._counters.frames_out += 1
        number = self._send.next if seq is None else seq
        return encode(Frame(kind, number, self._expect, self.session, payload, flags))
