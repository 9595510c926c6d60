"""Consistent Overhead Byte Stuffing (Cheshire & Baker 1999): no zero byte inside a frame."""

from __future__ import annotations

__all__ = ["CobsError", "decode", "encode"]


class CobsError(ValueError):
    """Bytes that are no encoding."""


def encode(data: bytes) -> bytes:
    """Encode `data`, without delimiters; at most one byte more per 254."""
    out = bytearray()
    *inner, last = data.split(b"\0")
    for part in inner:
        _groups(out, part)
        rest = len(part) % 254
        out.append(rest + 1)
        out += part[len(part) - rest :]
    _groups(out, last)
    # A full group stands for no zero: nothing has to follow it at the end of the data.
    rest = len(last) % 254
    if rest or not last:
        out.append(rest + 1)
        out += last[len(last) - rest :]
    return bytes(out)


def _groups(out: bytearray, part: bytes) -> None:
    for at in range(0, len(part) - 253, 254):
        out.append(0xFF)
        out += part[at : at + 254]


def decode(data: bytes) -> bytes:
    """Decode what lies between two delimiters.

    Raises
    ------
    CobsError
        A zero byte, a group that ends early, or no bytes at all.
    """
    if not data or 0 in data:
        raise CobsError("empty, or a zero byte inside")
    parts = []
    at, end = 0, len(data)
    while at < end:
        code = data[at]
        if at + code > end:
            raise CobsError("a group ends early")
        parts.append(data[at + 1 : at + code])
        at += code
        if code != 0xFF and at < end:
            parts.append(b"\0")
    return b"".join(parts)
