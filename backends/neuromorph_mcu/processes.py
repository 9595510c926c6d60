"""Boards that are processes of this computer: the firmware as a program, or an emulator that runs it.

A board's process lives in a session of its own and ends with us, whatever ends us: a guard waits for the end of a pipe
that only we hold, and kills it.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress

from neuromorph.errors import TargetError

__all__ = ["BoardProcess"]

_GUARD = """
exec OURS<&0
trap 'kill -USR1 $board' USR1
trap 'kill -USR2 $board' USR2
"$@" OURS<&- </dev/null & board=$!
{ read -r _; kill -9 $board; } <&OURS 2>/dev/null & guard=$!
while wait $board; status=$?; kill -0 $board 2>/dev/null; do :; done
kill $guard 2>/dev/null
exit $status
"""
"""Runs its arguments; passes USR1 and USR2 on to them, and kills them when standard input ends. OURS: a number
that no file of theirs has."""
_FIRST_LINE = 20.0
"""Seconds that a program may take to say where its port is; with run-time checks, on a busy computer."""
_END = 2.0
"""Seconds that are left to a process whose line has closed, to end."""
_TOLD = 2000
"""Characters of what a process said on its standard error, at most, that an error repeats."""


class BoardProcess:
    """A process that is a board.

    Parameters
    ----------
    name : str
        How errors call it.
    command : sequence of str
        Program and arguments.
    fds : sequence of int
        File descriptors that it inherits.

    Raises
    ------
    TargetError
        The program cannot be started.
    """

    def __init__(self, name: str, command: Sequence[str], fds: Sequence[int] = ()) -> None:
        self.name = name
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (closed in close)
        guard = _GUARD.replace("OURS", str(next(n for n in range(3, 10) if n not in fds)))
        try:
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", guard, "sh", *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=self._errors, pass_fds=tuple(fds), start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            self._errors.close()
            raise TargetError(f"{name}: cannot start {command[0]}: {error}") from error

    def first_line(self) -> str:
        """Wait for the first line of its standard output; TargetError if it ends, or says nothing, before."""
        output, text, end = self._process.stdout, b"", time.monotonic() + _FIRST_LINE
        while output is not None and not text.endswith(b"\n"):
            ready, _, _ = select.select([output], [], [], max(0.0, end - time.monotonic()))
            if not ready:
                raise TargetError(f"{self.name}: no word from its process within {_FIRST_LINE:g} s")
            byte = os.read(output.fileno(), 1)
            if not byte:
                raise TargetError(self.ended() or f"{self.name}: its process closed its output")
            text += byte
        return text.decode(errors="replace").strip()

    def ended(self) -> str:
        """How the process ended, with what it said last; empty while it lives (asked again for a moment)."""
        try:
            status = self._process.wait(_END)
        except subprocess.TimeoutExpired:
            return ""
        by_signal = 128 < status < 160  # as a shell tells it
        how = f"was ended by {signal.Signals(status - 128).name}" if by_signal else f"ended with status {status}"
        said = self._said()
        return f"{self.name}: the process of the board {how}" + (f"; it said:\n{said}" if said else "")

    def _said(self) -> str:
        self._errors.seek(0)
        said = self._errors.read().decode(errors="replace").strip()
        return said if len(said) <= _TOLD else f"{said[:_TOLD]} ..."

    def press_reset(self) -> None:
        """Send the signal that resets the firmware as a program."""
        self._tell(signal.SIGUSR1)

    def power_fails(self) -> None:
        """Send the signal that tells the firmware as a program that its power is about to fail."""
        self._tell(signal.SIGUSR2)

    def _tell(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.kill(self._process.pid, number)

    def close(self) -> None:
        """End the process and all that it started. May be called twice."""
        if self._process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._process.wait()
        self._errors.close()
