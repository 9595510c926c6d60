"""The near side of a worker: its process group, its messages, and its end."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import select
import signal
import subprocess
import tempfile
import time
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from neuromorph import errors
from neuromorph.errors import NeuromorphError, TargetError
from neuromorph.worker.frames import Message, pack, unpack

__all__ = ["SILENCE", "Worker"]

SILENCE = 7.0
"""Seconds: a worker says every second that it lives; one that is silent for so long is ended."""
START = 60.0
"""Seconds that an interpreter may take to come up, also from a cold disk."""
RETURNED = (
    errors.ValidationError, errors.UnsupportedError, errors.KnownDifferenceError, errors.CapacityError,
    errors.ImageError,
)  # fmt: skip
"""Errors after which a worker goes on."""
_CHUNK = 1 << 16
_TAIL = 4000
_GONE = 1.0
_SHARED = Path("/dev/shm")


class Worker:
    """A process of another interpreter, in a session of its own.

    Parameters
    ----------
    name : str
        Of the target, for messages.
    python : str or Path
        The interpreter.
    module : str
        What it runs; imports of this project's `packages` come from their folders.
    packages : mapping
        Names and folders.
    options : mapping
        Given to the module as JSON.

    Raises
    ------
    TargetError
        It cannot be started.
    """

    def __init__(
        self, name: str, python: str | Path, module: str, packages: Mapping[str, str], options: Mapping[str, Any]
    ) -> None:
        self.name = name
        self.mark = mark = f"nm{secrets.token_hex(2)}"  # names of the worker's shared memory begin with it
        arguments = {"packages": dict(packages), "module": module, "options": {**options, "mark": mark}}
        script = Path(__file__).with_name("bootstrap.py")
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
        try:
            self._process = subprocess.Popen(
                [str(python), "-I", "-u", str(script), json.dumps(arguments)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, bufsize=0, start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            self._errors.close()
            raise TargetError(f"{name}: {python} cannot be started: {error.strerror or error}") from error
        self.pid = self._process.pid
        self._end = weakref.finalize(self, _end, self._process, self._errors, mark)
        self._limit, self._heard = START, time.monotonic()
        self.busy = False  # a request is under way

    @property
    def alive(self) -> bool:
        """Whether it has not been ended."""
        return self._end.alive

    def close(self) -> None:
        """End the whole process group and remove its shared memory. May be called twice."""
        self._end()

    def send(self, message: Message, raw: bytes = b"") -> None:
        """Send a request; TargetError if the worker is gone or takes nothing."""
        data, at = memoryview(pack(message, raw)), 0
        stdin = self._process.stdin
        if not self.alive or stdin is None:
            raise TargetError(f"{self.name}: its worker is closed")
        os.set_blocking(stdin.fileno(), False)
        self.busy = True
        self._heard = time.monotonic()
        while at < len(data):
            if not select.select([], [stdin], [], 0.1)[1]:
                self._check("taking a request")
                continue
            try:
                at += os.write(stdin.fileno(), data[at : at + _CHUNK])
                self._heard = time.monotonic()
            except BlockingIOError:
                continue
            except OSError:
                self._check("taking a request")
                raise self._failure("has closed its pipe") from None

    def receive(self) -> tuple[Message, bytes]:
        """The next message that is not just a sign of life.

        Raises
        ------
        NeuromorphError
            The worker reported an error: of the same class as there, with its message.
        TargetError
            It died or is silent; it has been ended.
        """
        while True:
            try:
                message, raw = unpack(self._read)
            except (ValueError, KeyError) as error:
                raise self._failure(f"sent something unreadable ({error})") from error
            self._limit = SILENCE
            self.busy = message.get("type") not in ("done", "error")
            if message.get("type") == "error":
                raise self._reported(message)
            if message.get("type") != "alive":
                return message, raw

    def _reported(self, message: Message) -> NeuromorphError:
        """An error of the worker's as one of ours."""
        kind = getattr(errors, str(message.get("kind")), TargetError)
        text = f"{self.name}: {message.get('message')}"
        if kind in RETURNED:
            return kind(text)  # type: ignore[no-any-return]
        self.close()  # who knows in which state it is
        return TargetError(text)

    def _read(self, count: int) -> bytes:
        stdout, found = self._process.stdout, bytearray()
        if not self.alive or stdout is None:
            raise TargetError(f"{self.name}: its worker is closed")
        while len(found) < count:
            if not select.select([stdout], [], [], 0.1)[0]:
                self._check("answering")
                continue
            data = os.read(stdout.fileno(), min(count - len(found), _CHUNK))
            if not data:
                time.sleep(0.05)
                self._check("answering")
                raise self._failure("has closed its pipe")
            found += data
            self._heard = time.monotonic()
        return bytes(found)

    def _check(self, doing: str) -> None:
        """Raise if the process has ended or has been silent for too long."""
        ended = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)  # not reaped: the pid stays ours
        if ended is not None:
            how = "exited with status" if ended.si_code == os.CLD_EXITED else "was ended by signal"
            raise self._failure(f"{how} {ended.si_status} instead of {doing}")
        silent = time.monotonic() - self._heard
        if silent > self._limit:
            raise self._failure(f"gave no sign of life for {silent:.0f} s instead of {doing}")

    def _failure(self, what: str) -> TargetError:
        self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(0, self._errors.tell() - _TAIL))
        said = self._errors.read().decode(errors="replace").strip()
        self.close()
        return TargetError(f"{self.name}: its worker {what}" + (f"; it said:\n{said}" if said else ""))


def _end(process: subprocess.Popen[bytes], log: IO[bytes], mark: str) -> None:
    """Kill the group before its leader is reaped (so that its number is still ours), then clean up."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    end = time.monotonic() + _GONE
    with contextlib.suppress(ProcessLookupError, PermissionError):
        while time.monotonic() < end:  # what it started takes a moment to go
            os.killpg(process.pid, 0)
            time.sleep(0.002)
    for pipe in (process.stdin, process.stdout, log):
        if pipe is not None:
            pipe.close()
    if _SHARED.is_dir():
        for path in _SHARED.glob(f"{mark}*"):
            path.unlink(missing_ok=True)
