"""Frames of the serial link, byte by byte (``docs/link.md``, 1 and 2)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum, IntFlag

from neuromorph_mcu import cobs
from neuromorph_mcu.checksum import crc32c

__all__ = [
    "MAJOR", "MINOR", "PAYLOAD_LEAST", "PAYLOAD_MAX", "SEQUENCED", "WINDOW_MAX", "Flag", "Frame", "LinkType", "Nak",
    "Splitter", "encode",
]  # fmt: skip

MAJOR, MINOR = 1, 1
PAYLOAD_LEAST, PAYLOAD_MAX, WINDOW_MAX = 128, 512, 16
SEQUENCED = 16
"""Types from here on carry a sequence number; smaller ones belong to the link itself."""

_HEADER = struct.Struct("<BBBBHH")
_CRC = struct.Struct("<I")


class LinkType(IntEnum):
    """Types of frames without a sequence number."""

    HELLO_REQ = 1
    HELLO = 2
    RESET = 3
    ACK = 4
    NAK = 5


class Flag(IntFlag):
    """Flags in the low half of a frame's first byte."""

    PING = 1


class Nak(IntEnum):
    """Why a frame was refused."""

    UNSUPPORTED = 1
    LENGTH = 2
    VERSION = 3


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame; `payload` has at most `PAYLOAD_MAX` bytes."""

    type: int
    seq: int
    ack: int
    session: int
    payload: bytes = b""
    flags: int = 0
    major: int = MAJOR


def encode(frame: Frame) -> bytes:
    """Bytes on the line, with a delimiter at both ends."""
    head = _HEADER.pack(
        frame.major << 4 | frame.flags, frame.type, frame.seq, frame.ack, frame.session, len(frame.payload)
    )
    body = head + frame.payload
    return b"\0" + cobs.encode(body + _CRC.pack(crc32c(body))) + b"\0"


class Splitter:
    """Cuts a stream of bytes into frames and drops what is damaged.

    Parameters
    ----------
    payload_max : int
        Bytes of payload above which a frame is overlong.

    Attributes
    ----------
    crc_err, cobs_err, overlong : int
        Frames dropped: wrong checksum or length, wrong stuffing, longer than any frame.
    """

    def __init__(self, payload_max: int = PAYLOAD_MAX) -> None:
        self.crc_err = self.cobs_err = self.overlong = 0
        self._most = (_HEADER.size + payload_max + _CRC.size) * 255 // 254 + 1
        self._rest = b""

    @property
    def pending(self) -> bool:
        """Whether the last frame is incomplete."""
        return bool(self._rest)

    def drop(self) -> None:
        """Forget an incomplete frame."""
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Frames that `data` completes."""
        *whole, self._rest = (self._rest + data).split(b"\0")
        if len(self._rest) > self._most:
            # Keep one byte too many, so that the rest of this frame is recognised as overlong too.
            self._rest = self._rest[: self._most + 1]
        for coded in whole:
            if coded:
                frame = self._decode(coded)
                if frame is not None:
                    yield frame

    def _decode(self, coded: bytes) -> Frame | None:
        if len(coded) > self._most:
            self.overlong += 1
            return None
        try:
            body = cobs.decode(coded)
        except cobs.CobsError:
            self.cobs_err += 1
            return None
        end = len(body) - _CRC.size
        if end < _HEADER.size or crc32c(body[:end]) != _CRC.unpack_from(body, end)[0]:
            self.crc_err += 1
            return None
        version, kind, seq, ack, session, length = _HEADER.unpack_from(body)
        if length != end - _HEADER.size:
            self.crc_err += 1
            return None
        return Frame(kind, seq, ack, session, body[_HEADER.size : end], version & 15, version >> 4)
