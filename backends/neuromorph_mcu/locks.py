"""A lock for each board that processes of this computer share: a file lock, and beside it a note of who holds it."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from neuromorph.errors import NeuromorphError, TargetError
from neuromorph_mcu.ports import baud_of

if TYPE_CHECKING:
    from filelock import BaseFileLock

__all__ = ["Holder", "Locked", "device_of", "hold", "holder_of", "lock_folder", "locked_by"]

_OWN = ("nmemu", "nmposix", "nmqemu", "loop")
"""Schemes of ports that belong to the process that opens them."""


class Locked(NeuromorphError):  # noqa: N818 (an outcome, as pytest has skipped and failed)
    """Somebody else uses the board."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a board.

    Parameters
    ----------
    board : str
        Its id, as the holder calls it.
    pid : int
        The process.
    what : str
        What it does there, for people.
    run : str
        Number of its test run, that all workers of the run share; empty if it is none.
    since : float
        Seconds of the Unix epoch.
    host : str
        The computer.
    """

    board: str
    pid: int
    what: str
    run: str = ""
    since: float = 0.0
    host: str = ""

    def __str__(self) -> str:
        seconds = max(0, round(time.time() - self.since))
        return f"process {self.pid} on {self.host} has had it for {seconds} s ({self.what})"


def device_of(url: str) -> str:
    """What the lock of a port is called: the device itself, whatever it is called today; empty if nobody shares it."""
    scheme, remote, _ = url.partition("://")
    if scheme == "fault":
        return device_of(parse_qs(urlsplit(url).query).get("url", [""])[0])
    if remote:
        return "" if scheme in _OWN else url
    device, _ = baud_of(url)
    if "/" in device:
        return str(Path(device).resolve())
    return device.upper() if device.upper().startswith("COM") else ""


def lock_folder() -> Path:
    """Where the locks of this computer are: one place for all users."""
    return Path(tempfile.gettempdir()) / "neuromorph-boards"


def _files(key: str, folder: Path) -> tuple[Path, Path]:
    # The lock file itself stays empty: on some systems a locked file cannot be read by others.
    name = hashlib.blake2s(key.encode(), digest_size=8).hexdigest()
    return folder / f"{name}.lock", folder / f"{name}.json"


def holder_of(key: str, folder: Path | None = None) -> Holder | None:
    """What the holder of a lock wrote down; None if there is no note."""
    try:
        return Holder(**json.loads(_files(key, folder or lock_folder())[1].read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def locked_by(key: str, board: str, folder: Path | None = None) -> str:
    """Who holds a board now, in words; empty if nobody does."""
    lock = _lock(key, board, folder or lock_folder(), shared=False)
    try:
        _acquire(lock, board)
    except Locked:
        return str(_locked(key, board, folder or lock_folder()))
    lock.release()
    return ""


@contextmanager
def hold(
    key: str, board: str, what: str, *, run: str = "", wait: float = 0.0, wait_own: float = 600.0,
    folder: Path | None = None,
) -> Iterator[None]:  # fmt: skip
    """Hold a board while the context is open. The lock ends with the process, whatever ends it.

    A process that holds it already holds it once more: a test run has its board, and opens sessions on it.

    Parameters
    ----------
    key : str
        The device (`Entry.key`).
    board, what, run : str
        For the note (see `Holder`).
    wait, wait_own : float
        Seconds to wait for another holder; for one of the same run.
    folder : Path, optional
        Where the locks are.

    Raises
    ------
    Locked
        Somebody else has it still; says who.
    """
    place = folder or lock_folder()
    lock, begin = _lock(key, board, place, shared=True), time.monotonic()
    first = not lock.is_locked
    while True:
        try:
            _acquire(lock, board)
            break
        except Locked:
            holder = holder_of(key, place)
            own = holder is not None and bool(run) and holder.run == run
            if time.monotonic() - begin >= (wait_own if own else wait):
                raise _locked(key, board, place) from None
            time.sleep(0.1)
    note = _files(key, place)[1]
    try:
        if first:
            mine = Holder(board, os.getpid(), what, run, time.time(), socket.gethostname())
            with suppress(OSError):  # a note that another user's process left when it was killed
                note.write_text(json.dumps(asdict(mine)), encoding="utf-8")
        yield
    finally:
        if first:
            with suppress(OSError):
                note.unlink(missing_ok=True)
        lock.release()


def _lock(key: str, board: str, folder: Path, *, shared: bool) -> BaseFileLock:
    """The lock of a board; `shared`: the one that all holders within this process have."""
    try:
        from filelock import FileLock
    except ImportError as error:
        raise TargetError("boards are shared by file locks: pip install 'neuromorph[mcu]'") from error
    try:
        _make(folder)
    except OSError as error:
        raise TargetError(f"cannot lock {board}: {folder}: {error.strerror or error}") from error
    return FileLock(_files(key, folder)[0], mode=0o666, thread_local=False, is_singleton=shared)


def _acquire(lock: BaseFileLock, board: str) -> None:
    """Take a lock now; Locked if another process has it."""
    from filelock import Timeout

    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise Locked(board) from None
    except OSError as error:
        raise TargetError(f"cannot lock {board}: {lock.lock_file}: {error.strerror or error}") from error


def _locked(key: str, board: str, folder: Path) -> Locked:
    return Locked(f"{board} is locked: {holder_of(key, folder) or 'its holder left no note'}")


def _make(folder: Path) -> None:
    """The folder, open to all users as the temporary folder is: a board is held whoever holds it."""
    folder.mkdir(parents=True, exist_ok=True)
    with suppress(PermissionError):  # another user made it
        folder.chmod(0o1777)
