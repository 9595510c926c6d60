"""Consistent Overhead Byte Stuffing (Cheshire & Baker 1999): no zero byte inside a frame."""

from __future__ import annotations

__all__ = ["CobsError", "decode", "encode"]


class CobsError(ValueError):
    """Bytes that are no encoding."""


_CODES = tuple(bytes((n + 1,)) for n in range(254))


def encode(data: bytes) -> bytes:
    """Encode `data`, without delimiters; at most one byte more per 254."""
    out: list[bytes] = []
    parts = data.split(b"\0")
    for part in parts:
        if len(part) > 253:
            full = len(part) // 254 * 254
            out += (b"\xff" + part[at : at + 254] for at in range(0, full, 254))
            part = part[full:]
        out += (_CODES[len(part)], part)
    # A full group stands for no zero: nothing has to follow it at the end of the data.
    if parts[-1] and not out[-1]:
        del out[-2:]
    return b"".join(out)


def decode(data: bytes) -> bytes:
    """Decode what lies between two delimiters.

    Raises
    ------
    CobsError
        A zero byte, a group that ends early, or no bytes at all.
    """
    if not data or 0 in data:
        raise CobsError("empty, or a zero byte inside")
    # Each code byte stands where the zero before its group was; traces are full of zeros, so this loop is short.
    out, end, at = bytearray(data), len(data), 0
    after_full = []
    while at < end:
        code = data[at]
        out[at] = 0
        at += code
        if code == 0xFF:
            after_full.append(at)
    if at > end:
        raise CobsError("a group ends early")
    for at in reversed(after_full):
        del out[at : at + 1]
    return bytes(out[1:])
