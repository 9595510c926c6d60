"""The engine behind the targets `mcu...`: a board and its client as `neuromorph.engine.Engine`."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any, NoReturn, cast

from neuromorph.errors import CapacityError, ImageError, LinkError, TargetError, UnsupportedError, ValidationError
from neuromorph.image import FEATURES, without_metadata
from neuromorph.image.layout import MAJOR, SEMANTICS
from neuromorph.store import Stored
from neuromorph.trace import Gap
from neuromorph_mcu.client import Client, Refused
from neuromorph_mcu.link import Timing
from neuromorph_mcu.locks import device_of, hold
from neuromorph_mcu.messages import BoardError, Code, Hello, Kept, Kind, State
from neuromorph_mcu.ports import BAUD, open_port

__all__ = ["McuEngine"]

_REJECT, _TRY, _CONFIRM = 0, 1, 2
_RESET = 0.5
"""Seconds after which a reset that was pressed has reached the board."""


class McuEngine:
    """A board that holds one program; one that processes share is held until `close`.

    Parameters
    ----------
    target : str
        The user's name of the board.
    url : str
        Its port (see `neuromorph_mcu.ports.open_port`).
    timing : Timing, optional
        Time limits of the link.
    baud : int
        Bits per second, where the port has such a thing.

    Attributes
    ----------
    port
        The pyserial port; that of an emulated board has a `machine`.

    Raises
    ------
    TargetError, LinkError
        The port cannot be opened; nobody answers there.
    Locked
        Another process uses the board.
    """

    def __init__(self, target: str, url: str, timing: Timing | None = None, *, baud: int = BAUD) -> None:
        self.target = target
        self._timing = timing
        with ExitStack() as opened:
            if device := device_of(url):
                opened.enter_context(hold(device, target, f"a session of {Path(sys.argv[0]).name or 'python'}"))
            self.port: Any = open_port(url, baud)
            opened.callback(self.port.close)
            self._client = Client(self.port, target, timing)
            self._opened = opened.pop_all()

    @property
    def hello(self) -> Hello:
        """What the board says about itself: versions, limits, names."""
        return self._client.hello

    def load(self, image: bytes) -> None:
        """Send an image, verify it on the board, start it; a rejected one leaves the running one as it was.

        Raises
        ------
        UnsupportedError
            The board's firmware is of another version, and lacks what the program needs.
        """
        if not image:
            raise ImageError(f"{self.target}: the image is empty: no magic bytes", 1)
        image = _for_board(self.target, self.hello, image)
        self.stop()
        try:
            self._client.upload(image)
        except Refused as refused:
            self._raise(refused.answer)

    def unload(self) -> None:
        """Free the board of its program, for one that does not fit beside it."""
        self.stop()
        try:
            self._client.unload()
        except Refused as refused:
            self._raise(refused.answer)

    def reset(self) -> None:
        """Back to step 0."""
        try:
            self._client.restart()
        except Refused as refused:
            self._raise(refused.answer)

    def now(self) -> int:
        """The last step done."""
        return self._client.status().step

    def run(
        self,
        steps: int,
        records: bytes,
        on_output: Callable[[bytes], None],
        on_progress: Callable[[int], None] | None = None,
        *,
        period: int = 0,
    ) -> None:
        """Run (see `neuromorph.engine.Engine.run`); `on_progress` gets the last step done.

        With a `period` (microseconds per step) the board keeps the pace of its own clock (pace real), even when its
        host goes away; `dropped` then tells of how many steps the trace lacks the records.
        """
        if steps == 0:
            return
        try:
            self._client.run(steps, records, on_output, on_progress, period=period)
        except Refused as refused:
            self._raise(refused.answer)

    @property
    def dropped(self) -> int:
        """Steps of the last run whose records the board had no room for; 0 unless it ran at pace real."""
        return self._client.dropped

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """Where these are (see `neuromorph.engine.Pacing`)."""
        return self._client.gaps

    def stop(self) -> None:
        """End a run at pace real that an earlier session has left going; the program keeps its state and step."""
        if self._client.status().state == State.RUNNING:
            self._client.stop()

    def attach(self, digest: str) -> None:
        """Take the program that the board holds instead of loading one; a run of its own is stopped.

        Raises
        ------
        TargetError
            It holds none, or another one than that of this logical digest.
        """
        status = self._client.status()
        if status.state == State.EMPTY:
            damaged = Kept.DAMAGED in self.hello.kept
            why = ": what was stored on it is damaged and could not be read" if damaged else ""
            raise TargetError(f"{self.target} holds no program{why}; open it without attach=True to load one")
        if status.digest.hex() != digest:
            raise TargetError(
                f"{self.target} holds program {status.digest.hex()[:12]}, not {digest[:12]}; "
                "attach with the program that it was given, or open it without attach=True to load this one"
            )
        self.stop()

    def leave(self, period: int) -> None:
        """Have the board run on by itself, a step every `period` microseconds."""
        try:
            self._client.leave(period)
        except Refused as refused:
            self._raise(refused.answer)

    def persist(self, period: int, every: int, *, trial: bool) -> None:
        """Store program and state (see `neuromorph.engine.Storing`)."""
        with self._storing():
            self._client.keep(period, every)
            self._client.save()
            self._client.judge(_TRY if trial else _CONFIRM)

    def confirm(self) -> None:
        """Keep the program that is on trial."""
        with self._storing():
            self._client.judge(_CONFIRM)

    def revert(self) -> None:
        """Drop the newest stored program: the one before it counts again."""
        with self._storing():
            self._client.judge(_REJECT)

    def forget(self) -> None:
        """Forget all that is stored."""
        self.stop()
        with self._storing():
            self._client.forget()

    def stored(self) -> Stored:
        """What is stored, and what the board made of it when it started."""
        with self._storing():
            return self._client.stored()

    @contextmanager
    def _storing(self) -> Iterator[None]:
        try:
            yield
        except Refused as refused:
            answer = refused.answer
            if answer.code == Code.CAPACITY:
                raise CapacityError(
                    f"{self.target}: {answer.a} bytes do not fit into its flash beside what has to stay; "
                    f"an empty one takes {answer.b}"
                ) from refused
            self._raise(answer)

    def read_item(self, item: int, first: int, count: int) -> bytes:
        """Values of a state item."""
        try:
            return self._client.read(item, first, count)
        except Refused as refused:
            self._raise(refused.answer, f"item {item} has no values {first}..{first + count - 1}")

    def write_item(self, item: int, first: int, data: bytes) -> None:
        """Values of a state item; all or none."""
        try:
            self._client.write(item, first, data)
        except Refused as refused:
            self._raise(refused.answer, f"item {item} cannot take {len(data)} bytes from value {first} on")

    def seek(self, step: int) -> None:
        """Set the step counter."""
        try:
            self._client.seek(step)
        except Refused as refused:
            self._raise(refused.answer, f"step {step} is out of range")

    def counters(self) -> dict[str, int]:
        """Work done since the program was loaded, stack used, and both ends of the link."""
        return self._client.counters()

    def counting(self) -> AbstractContextManager[Counter[str]]:
        """Count the instructions of the firmware by function while the context is open; exact, but slower.

        Raises
        ------
        TargetError
            The board is not an emulated one.
        """
        machine = getattr(self.port, "machine", None)
        if machine is None:
            raise TargetError(f"{self.target}: only emulated boards count instructions")
        return cast("AbstractContextManager[Counter[str]]", machine.counting())

    def reset_board(self) -> None:
        """Press the board's reset button, by the line that it hangs on (DTR), and greet it again; its RAM is lost.

        Raises
        ------
        LinkError
            The board does not come back.
        """
        boots, end = self.hello.boots, time.monotonic() + _RESET
        self.port.dtr = True
        self.port.dtr = False
        self.port.dtr = True
        while True:
            self._client = Client(self.port, self.target, self._timing)
            # One that answers at once may not have felt it yet; but not every board can count its starts.
            if self.hello.boots != boots or time.monotonic() > end:
                return

    def close(self) -> None:
        """Free the port, and the board. May be called twice."""
        self._opened.close()

    def _raise(self, answer: BoardError, argument: str = "an argument is out of range") -> NoReturn:
        """What the board's answer means to the user."""
        me, a, b = self.target, answer.a, answer.b
        if answer.code == Code.IMAGE:
            raise ImageError(f"{me} rejected the image: {_reason(a, b)}", a, {10: 32, 11: 36}.get(a, b))
        if answer.code == Code.CAPACITY:
            raise CapacityError(self._too_large(answer))
        if answer.code == Code.STATE:
            raise ValidationError(f"{me}: a value is out of range; nothing was written")
        if answer.code == Code.ARGUMENT:
            raise ValidationError(f"{me}: {argument}")
        if answer.code == Code.INPUT:
            raise ValidationError(f"{me}: the input records for step {a + 1} are malformed, late or name no input")
        if answer.code == Code.STEPS:
            raise TargetError(f"{me}: the step counter ends at 2^32 - 1; save the state and start again at step 0")
        if answer.code == Code.PROGRAM:
            raise TargetError(f"{me} holds no program: load one first")
        if answer.code == Code.BUSY:
            raise TargetError(f"{me} still runs at its own pace, as an earlier session left it: stop() it first")
        if answer.code == Code.STORE:
            raise TargetError(f"{me}: {self._no_store()}")
        if answer.code == Code.FLASH:
            raise TargetError(f"{me}: its flash does not hold what is written; what was stored before still counts")
        if answer.code in (Code.STAGED, Code.CREDIT, Code.MESSAGE, Code.UNSUPPORTED):
            raise LinkError(f"{me}: the protocol broke down ({answer}); open the session again")
        raise TargetError(f"{me}: the engine failed ({answer})")

    def _no_store(self) -> str:
        if Kept.FLASH in self.hello.kept:
            return "this program is not stored on it, or nothing is; persist() or `neuromorph store MODEL` stores one"
        file = "; it has with a file: mcu:nmposix://?flash=FILE" if self.hello.board == "posix" else ""
        return f"board {self.hello.board} has no flash that its firmware could store anything in{file}"

    def _too_large(self, answer: BoardError) -> str:
        what = "the values" if answer.request == Kind.WRITE else "the program"
        whole = self.hello.pool
        next_step = (
            "make it smaller"
            if answer.a > whole
            else f"unload the program that is there (it leaves {answer.b} of {whole} bytes free)"
        )
        return f"{self.target}: {what} needs {answer.a} bytes of memory, the board has {answer.b}; {next_step}"


def _reason(rule: int, figure: int) -> str:
    """The rule that an image breaks, and what to do about it."""
    if rule == 10:
        return (
            f"rule R10: its worst step takes about {figure} us here, which is over its deadline; compile it with "
            f"deadline={figure}e-6 or more, make it smaller, or use a faster board"
        )
    if rule == 11:
        return (
            f"rule R11: a program with security counter {figure} was confirmed here, and this one has a lower one; "
            f"compile it with counter={figure} or more"
        )
    return f"rule R{rule} at byte {figure}; compile the network again"


def _check_versions(name: str, hello: Hello, image: bytes) -> None:
    """Raise UnsupportedError where the board's firmware lacks what the program needs, by what it says itself."""
    lowest, highest, _ = hello.image_format
    missing = int.from_bytes(image[20:24], "little") & ~hello.features
    lacks = [feature for bit, feature in enumerate(FEATURES) if missing >> bit & 1]
    if not lowest <= MAJOR <= highest:
        lacks.append(f"version {MAJOR} of the image format (it has {lowest} to {highest})")
    if hello.semantics != SEMANTICS:
        lacks.append(f"version {SEMANTICS} of the semantics (it has {hello.semantics})")
    if lacks:
        raise UnsupportedError(
            f"{name}: its firmware ({hello.board} {hello.build}) lacks {', '.join(lacks)}, which the program needs; "
            "flash the firmware of this version of neuromorph (`neuromorph flash`)"
        )


def _for_board(name: str, hello: Hello, image: bytes) -> bytes:
    """Without names and report; what is no image goes as it is: the board has the last word."""
    try:
        image = without_metadata(image)
    except ImageError:
        return image
    _check_versions(name, hello, image)
    return image
