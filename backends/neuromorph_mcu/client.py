"""A board as its host sees it: requests that end in an answer, an error, or a timeout that says what it waited for."""

from __future__ import annotations

import hashlib
import random
import struct
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Protocol

from neuromorph.errors import LinkError, TargetError
from neuromorph.store import Stored
from neuromorph.trace import Gap
from neuromorph_mcu.link import HostLink, Timing
from neuromorph_mcu.messages import BoardError, Code, Hello, Kept, Kind, Progress, State, Status, counters, stored
from neuromorph_mcu.records import InputStream, RecordBuffer

__all__ = ["Client", "Port", "Refused"]

_PIECE = 64
"""Bytes of free memory on a board below which state is not written piece by piece."""
_STOP = 60.0
"""Seconds within which a run ends that was stopped: what is left of its trace may go over a slow line."""
_GREETING = 1.0
"""Seconds in which a board that was reset is to say why."""
_BATCH = 16384
"""Bytes that are taken from a port at once; a busy one must not keep the link from answering."""


class Port(Protocol):
    """What the client needs of a pyserial port, opened with a short timeout."""

    @property
    def in_waiting(self) -> int:
        """Bytes that can be read without waiting."""

    def read(self, size: int = 1, /) -> bytes:
        """At most `size` bytes; fewer, or none, after the port's timeout."""

    def write(self, data: bytes, /) -> int | None:
        """Send all bytes."""

    def close(self) -> None:
        """Free the port."""


class Refused(Exception):  # noqa: N818 (an answer, which the engine turns into an error of the user's world)
    """The board answered a request with ERROR.

    Attributes
    ----------
    answer : BoardError
        Its code and details.
    """

    def __init__(self, answer: BoardError) -> None:
        self.answer = answer
        super().__init__(str(answer))


class Client:
    """A session with a board.

    The clock of the link counts only the time spent in waiting for the port, so a caller who is busy (or a user who
    stops the process) is not mistaken for a silent board. A port may bring its own clock (``port.clock()``, seconds).

    Parameters
    ----------
    port : Port
        An open port.
    name : str
        How errors call the board.
    timing : Timing, optional
        Time limits of the link; those of the port (``port.timing``) if it has such.
    seed : int, optional
        Chooses the session number; for tests.

    Attributes
    ----------
    hello : Hello
        What the board says about itself.
    dropped : int
        Steps of the last run whose records had no room on the board; always 0 at pace free.
    gaps : tuple of Gap
        Where.

    Raises
    ------
    LinkError
        Nobody answers, or not in this protocol.
    """

    def __init__(self, port: Port, name: str, timing: Timing | None = None, *, seed: int | None = None) -> None:
        self.name = name
        self._port = port
        self._clock: Callable[[], float] = getattr(port, "clock", time.monotonic)
        self._now = 0.0
        self._inbox: deque[tuple[int, bytes]] = deque()
        timing = timing or getattr(port, "timing", None)
        self._link = HostLink(random.Random(seed).randrange(1, 1 << 16), self._now, timing)
        self.dropped = 0
        self.gaps: tuple[Gap, ...] = ()
        while self._link.hello is None:
            self._pump("its HELLO")
        self.hello = Hello.parse(self._link.hello)
        self._expect_silence(saving=Kept.SAVES in self.hello.kept)

    def _expect_silence(self, *, saving: bool) -> None:
        """A board that saves by itself may erase flash at any time, and hears nothing meanwhile."""
        timing = self._link.timing
        self._silent = max(timing.lost, timing.silent) if saving else timing.silent
        self._link.patience = self._silent

    def close(self) -> None:
        """Free the port. May be called twice."""
        self._port.close()

    # ------------------------------------------------------------------------------------------ the line

    def _pump(self, waiting_for: str) -> None:
        """Send what is due, wait a moment for bytes, take them."""
        out = self._link.transmit(self._now)
        try:
            if out:
                self._port.write(out)
            before = self._clock()
            data = self._port.read(1)
            while data and len(data) < _BATCH and (waiting := self._port.in_waiting):
                data += self._port.read(waiting)
            self._now += self._clock() - before
        except TargetError as error:  # an emulated board that stopped
            self._link.failure = str(error)
            raise
        except (OSError, TypeError) as error:
            if isinstance(error, TypeError) and getattr(self._port, "is_open", True):
                raise  # pyserial raises it where another thread has closed the port
            self._link.failure = f"the port failed: {error}"
            raise LinkError(f"{self.name}: the port failed while waiting for {waiting_for}: {error}") from error
        self._inbox.extend(self._link.receive(data, self._now))
        if self._link.failure and not self._inbox:  # what arrived before it failed still counts
            self._explain_reset()
            raise LinkError(f"{self.name}: {self._link.failure}, while waiting for {waiting_for}")

    def _explain_reset(self) -> None:
        """Ask a board that has started anew why. One that only took another host is left alone."""
        if not self._link.restarted:
            return
        start, timing = self._clock(), replace(self._link.timing, lost=_GREETING)
        link = HostLink(self._link.session % 0xFFFF + 1, 0.0, timing)
        with suppress(OSError, TargetError):  # the port has gone too: what is known already must do
            while link.hello is None and not link.failure:
                now = self._clock() - start
                self._port.write(link.transmit(now))
                link.receive(self._port.read(max(1, self._port.in_waiting)), now)
        if link.hello is not None:
            found = Hello.parse(link.hello)
            self._link.failure = f"the board restarted ({found.cause}), start {found.boots} since power came"

    def _send(self, kind: Kind, payload: bytes = b"") -> None:
        while not self._link.room:
            self._pump(f"room for {kind.name}")
        self._link.send(kind, payload, self._now)

    def _receive(self, waiting_for: str, *expected: Kind) -> tuple[int, bytes]:
        """The next message, which must be one of `expected`; raises `Refused` for ERROR."""
        while not self._inbox:
            self._pump(waiting_for)
        kind, payload = self._inbox.popleft()
        if kind == Kind.ERROR:
            raise Refused(BoardError.parse(payload))
        if kind not in expected:
            raise LinkError(f"{self.name}: message of type {kind} instead of {waiting_for}")
        return kind, payload

    def _acknowledge(self) -> None:
        """The last message of a call: nobody may look at the line for long, and the board would give this host up."""
        with suppress(OSError, TargetError):  # the next call tells
            if out := self._link.transmit(self._now):
                self._port.write(out)

    def _ask(self, kind: Kind, payload: bytes = b"", answer: Kind = Kind.OK) -> bytes:
        self._send(kind, payload)
        found = self._receive(f"its answer to {kind.name}", answer)[1]
        self._acknowledge()
        return found

    @contextmanager
    def _patient(self) -> Iterator[None]:
        """The board may be silent for longer."""
        self._link.patience = max(self._link.timing.lost, self._link.timing.silent)
        try:
            yield
        finally:
            self._link.patience = self._silent

    def counters(self) -> dict[str, int]:
        """Work done and stack used on the board, what pace real lost, both ends of the link (``board_``, ``host_``)."""
        board = counters(self._ask(Kind.GET_COUNTERS, answer=Kind.COUNTERS))
        return board | {f"host_{name}": n for name, n in self._link.counters().items()}

    # ------------------------------------------------------------------------------------------ programs

    def status(self) -> Status:
        """What the board holds and does."""
        return Status.parse(self._ask(Kind.GET_STATUS, answer=Kind.STATUS))

    def upload(self, image: bytes) -> None:
        """Send an image, have the board verify it, and start it at step 0; a `Refused` one leaves the old one there."""
        self._stage(image, hashlib.blake2s(image).digest())
        with self._patient():  # the board computes the hash of it all
            self._ask(Kind.LOAD)

    def unload(self) -> None:
        """Forget the program, so that the next one may take all memory."""
        self._ask(Kind.UNLOAD)

    def _stage(self, data: bytes, key: bytes) -> None:
        answer = self._ask(Kind.STAGE, struct.pack("<I32s", len(data), key))
        at = min(int.from_bytes(answer[4:8], "little"), len(data))
        while at < len(data):
            piece = data[at : at + self._link.size - 4]
            self._send(Kind.DATA, struct.pack("<I", at) + piece)
            at += len(piece)

    def keep(self, period: int, every: int) -> None:
        """Store the program as the candidate of the next start, with its orders (microseconds, steps)."""
        self._keeping(Kind.STORE, struct.pack("<II", period, every))
        self._expect_silence(saving=every > 0)

    def save(self) -> int:
        """Store the state of the stored program; return its step."""
        return int.from_bytes(self._keeping(Kind.SAVE)[4:8], "little")

    def judge(self, verdict: int) -> None:
        """The candidate: 0 it goes (without one: the current image), 1 is tried at the next start, 2 is the one."""
        self._keeping(Kind.CONFIRM, bytes((verdict,)))

    def forget(self) -> None:
        """Forget all that is stored."""
        self._keeping(Kind.FORGET)

    def stored(self) -> Stored:
        """What is stored."""
        return stored(self._ask(Kind.GET_STORE, answer=Kind.STORED))

    def _keeping(self, kind: Kind, payload: bytes = b"") -> bytes:
        with self._patient():  # flash erases slowly
            return self._ask(kind, payload)

    def restart(self) -> None:
        """Back to step 0."""
        self._ask(Kind.RESTART)

    def seek(self, step: int) -> None:
        """Set the step counter and the random streams."""
        self._ask(Kind.SEEK, struct.pack("<I", step))

    # ------------------------------------------------------------------------------------------ state

    def read(self, item: int, first: int, count: int) -> bytes:
        """Values of a state item in canonical form."""
        if not count:
            return b""
        self._send(Kind.READ, struct.pack("<HHII", item, 0, first, count))
        parts = []
        at, end = first, first + count
        while at < end:
            payload = self._receive(f"item {item} from value {at} on", Kind.ITEM)[1]
            here, got = struct.unpack_from("<IH", payload) if len(payload) > 8 else (at, 0)
            if here != at or not 0 < got <= end - at:
                raise LinkError(f"{self.name}: {got} values of item {item} from {here} on, expected them from {at} on")
            parts.append(payload[8:])
            at += got
        self._acknowledge()
        return b"".join(parts)

    def write(self, item: int, first: int, data: bytes) -> None:
        """Write values of a state item; all of them or, if `Refused`, none.

        Values that do not fit beside the program go in pieces, each of them all or none.
        """
        size, at = len(data), 0
        while at < len(data):
            try:
                self._stage(data[at : at + size], bytes(32))
            except Refused as refused:
                room = refused.answer.b & ~3
                if refused.answer.code != Code.CAPACITY or not _PIECE <= room < min(size, len(data) - at):
                    raise
                size = room
                continue
            answer = self._ask(Kind.WRITE, struct.pack("<HHI", item, 0, first))
            first += int.from_bytes(answer[4:8], "little")
            at += size

    # ------------------------------------------------------------------------------------------ running

    def leave(self, period: int) -> None:
        """Have the board run on by itself, a step every `period` microseconds, for as long as there are steps."""
        start = self.status().step
        self._send(Kind.RUN, struct.pack("<IIB3xI", 0xFFFFFFFF - start, 0xFFFFFFFF, 1, period))
        self._send(Kind.GET_STATUS)
        kind = -1
        while kind != Kind.STATUS:
            kind, _ = self._receive("its status", Kind.STATUS, Kind.PROGRESS, Kind.TRACE)
        self._acknowledge()

    def run(
        self,
        steps: int,
        records: bytes,
        on_output: Callable[[bytes], None],
        on_progress: Callable[[int], None] | None = None,
        *,
        period: int = 0,
    ) -> None:
        """Run; inputs stream in and traces out meanwhile (see `neuromorph.engine.Engine.run`).

        With a `period` (microseconds per step) the board keeps the pace of its clock whatever the line does: what the
        trace then lacks is counted in `dropped` and `gaps`. Without, steps wait for the line and nothing is lost.
        """
        start = self.status().step
        inputs = InputStream(records, start + 1, start + steps, self.hello.credit)
        pace = struct.pack("<B3xI", 1, period) if period else bytes(4)
        self.dropped, self.gaps = 0, ()
        self._send(Kind.RUN, struct.pack("<II", steps, inputs.watermark) + pace)
        trace = RecordBuffer(start)
        try:
            self._stream(inputs, trace, start, steps, on_output, on_progress)
            if self.dropped > trace.dropped:  # at the end, where the board had no room to say so
                trace.missing(start + steps, self.dropped)
        except BaseException:
            _hand_on(trace, on_output)  # what the user gets to see of an interrupted run
            raise
        finally:
            self.gaps = tuple(trace.gaps)
        self._acknowledge()
        if len(trace):
            raise LinkError(f"{self.name}: the trace ends within a record at step {start + steps}")

    def _stream(
        self,
        inputs: InputStream,
        trace: RecordBuffer,
        start: int,
        steps: int,
        on_output: Callable[[bytes], None],
        on_progress: Callable[[int], None] | None,
    ) -> None:
        progress = Progress(start, 0, State.RUNNING)
        try:
            while progress.state == State.RUNNING:
                waiting_for = f"step {progress.step + 1} of {start + 1}..{start + steps}"
                self._feed(inputs)
                while not self._inbox:
                    self._pump(waiting_for)
                    self._feed(inputs)
                kind, payload = self._receive(waiting_for, Kind.TRACE, Kind.PROGRESS)
                if kind == Kind.TRACE:
                    trace.feed(payload)
                    if not self._inbox:  # once per batch of frames
                        _hand_on(trace, on_output)
                    continue
                progress = Progress.parse(payload)
                inputs.taken, self.dropped = progress.taken, progress.dropped
                _hand_on(trace, on_output)
                if on_progress is not None:
                    on_progress(progress.step)
        except BaseException:  # the user's interrupt, an error in a callback, a run that the board ended
            if not self._link.failure:
                self.stop()
            raise

    def _feed(self, inputs: InputStream) -> None:
        while not inputs.done and self._link.room:
            message = inputs.next(self._link.size)
            if message is None:
                return
            self._link.send(Kind.INPUT, message, self._now)

    def stop(self) -> None:
        """End a run, also one at pace real that an earlier session has left; OK follows its last message."""
        self._send(Kind.STOP)
        kind, end = -1, self._now + _STOP
        while kind != Kind.OK:
            if self._now > end:
                raise LinkError(f"{self.name}: the run goes on {_STOP:g} s after it was stopped; reset the board")
            with suppress(Refused):
                kind, _ = self._receive("the end of the run", Kind.OK, Kind.TRACE, Kind.PROGRESS)
        self._acknowledge()


def _hand_on(trace: RecordBuffer, on_output: Callable[[bytes], None]) -> None:
    whole = trace.take()
    if whole:
        on_output(whole)
