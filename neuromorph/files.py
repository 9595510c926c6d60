"""Files: read with a limit, written whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from neuromorph.errors import ImageError, NeuromorphError, ValidationError

__all__ = ["check_directory", "load_file", "read_file", "write_atomic"]

R = TypeVar("R")
READ_LIMIT = 1 << 30
AGAIN = {"image": "compile its network again", "state": "save it again"}


def check_directory(path: str | Path) -> None:
    """Before long work: whether there is a directory to write `path` into.

    Raises
    ------
    NeuromorphError
        There is none.
    """
    if not Path(path).parent.is_dir():
        raise NeuromorphError(f"cannot write {path}: there is no directory {Path(path).parent}")


def write_atomic(path: str | Path, data: bytes) -> None:
    """Write `data` to `path`; a failure at any point leaves the file that was there as it was.

    Raises
    ------
    NeuromorphError
        The directory is missing, not writable or full.
    """
    target = Path(path)
    temporary = None
    try:
        # In the same directory: only within one file system is a rename atomic.
        handle, temporary = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, _mode(target))
        os.replace(temporary, target)
    except OSError as error:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        raise NeuromorphError(f"cannot write {target}: {error.strerror or error}") from error


def _mode(target: Path) -> int:
    """Permissions of the file that is replaced, else those that a plain open would give."""
    try:
        return target.stat().st_mode & 0o777
    except FileNotFoundError:
        mask = os.umask(0)
        os.umask(mask)
        return 0o666 & ~mask


def read_file(path: str | Path, what: str, limit: int = READ_LIMIT) -> bytes:
    """The bytes of a file that a user named.

    Raises
    ------
    ValidationError
        No such file, not readable, or larger than `limit` bytes; `what` names what was expected, e.g. "image".
    """
    source = Path(path)
    try:
        size = source.stat().st_size
        if size > limit:
            raise ValidationError(f"{source}: {size} bytes are too large for a {what}, the limit is {limit} bytes")
        return source.read_bytes()
    except OSError as error:
        raise ValidationError(f"cannot read the {what} {source}: {error.strerror or error}") from error


def load_file(path: str | Path, what: str, decode: Callable[[bytes], R]) -> R:
    """What `decode` makes of the bytes of an "image" or "state" file.

    Raises
    ------
    ValidationError
        It cannot be read, see `read_file`.
    ImageError
        What `decode` refuses, with the path and the way out.
    """
    raw = read_file(path, what)
    try:
        return decode(raw)
    except ImageError as error:
        raise ImageError(f"{path}: {error}; {AGAIN[what]}", error.rule, error.offset) from error
