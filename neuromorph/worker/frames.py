"""Messages over a pipe: a JSON object and raw bytes behind it, each with its length in front."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from typing import Any

__all__ = ["HEAD", "Message", "pack", "unpack"]

Message = dict[str, Any]
HEAD = struct.Struct("<4sII")
_MAGIC = b"nmw1"
_JSON_MAX, _RAW_MAX = 1 << 20, 1 << 31


def pack(message: Message, raw: bytes = b"") -> bytes:
    """The bytes of a message."""
    text = json.dumps(message, separators=(",", ":")).encode()
    return HEAD.pack(_MAGIC, len(text), len(raw)) + text + raw


def unpack(read: Callable[[int], bytes]) -> tuple[Message, bytes]:
    """One message; `read` gives exactly as many bytes as asked for.

    Raises
    ------
    ValueError
        What arrives is not a message.
    """
    magic, text, raw = HEAD.unpack(read(HEAD.size))
    if magic != _MAGIC or text > _JSON_MAX or raw > _RAW_MAX:
        raise ValueError(f"no message: {magic!r}, lengths {text} and {raw}")
    message = json.loads(read(text))
    if not isinstance(message, dict):
        raise ValueError(f"a message is an object, not {type(message).__name__}")
    return message, read(raw)
