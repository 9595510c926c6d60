"""A board in use by tests: locked, flashed, opened, watched; reset, switched off and on, and disturbed on demand."""

from __future__ import annotations

import shlex
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from neuromorph.errors import LinkError, NeuromorphError, TargetError, ValidationError
from neuromorph_mcu.locks import hold
from pytest_neuromorph.flashers import plan, run_program
from pytest_neuromorph.roster import Entry

if TYPE_CHECKING:
    from neuromorph.engine import Engine
    from neuromorph_mcu.messages import Hello

__all__ = ["TROUBLE", "Rig", "Rules", "parse_fault"]

TROUBLE = ("overlong", "framing", "overrun", "naks", "lost")
"""Counters of a link that stay at zero on a good line. Frames that were sent again do not belong to them: a busy
computer or a heavy step delays an answer."""
DAMAGED = ("crc_err", "cobs_err")
"""Frames that arrived damaged. A pause of the sender inside a frame makes one too, and is counted in ``gap``."""
FIGURES = ("stack_used", "late_inputs", "overruns")
"""What a board tells about itself beside its link: bytes of stack at most; inputs and steps that came too late."""
_POWER_LIMIT = 30.0
_RETURN = 15.0
"""Seconds for a board's USB port to come back after power."""


@dataclass(frozen=True, slots=True)
class Rules:
    """How a run treats its boards.

    Parameters
    ----------
    flash : str
        "never"; "always", once per run; "auto", where nobody answers or another build runs.
    fault : str
        ``SEED[:NAME=VALUE,...]``: faults on every link, or empty.
    wait : float
        Seconds to wait for a board that somebody else uses.
    run : str
        Number of the test run.
    locks : Path, optional
        Folder of the locks.
    """

    flash: str = "never"
    fault: str = ""
    wait: float = 0.0
    run: str = ""
    locks: Path | None = None


def parse_fault(text: str) -> dict[str, str]:
    """Options of a ``fault://`` URL from ``SEED[:NAME=VALUE,...]``, e.g. ``7:corrupt=1e-3,drop=1e-4``.

    Raises
    ------
    ValidationError
        It does not read so, or `neuromorph_mcu.faults.Faults` knows no such fault.
    """
    seed, _, rest = text.partition(":")
    pairs = [part.partition("=") for part in rest.split(",") if part]
    if not seed.isdecimal() or any(not name or not value for name, _, value in pairs):
        raise ValidationError(f"faults {text!r}: write SEED or SEED:NAME=VALUE,..., e.g. 7:corrupt=1e-3,drop=1e-4")
    found = {"seed": seed, **{name: value for name, _, value in pairs}}
    from neuromorph_mcu.faults import Faults

    try:
        Faults.parse(urlencode(found))
    except ValueError as error:
        raise ValidationError(f"faults {text!r}: {error}") from error
    return found


@dataclass(slots=True)
class Rig:
    """One board and what tests do with it; its lock is held by `locked`.

    Attributes
    ----------
    id, target, kind : str
        Of the board (see `Entry`); `target` is its name for `neuromorph.compile` and `neuromorph.open`.
    hello : Hello or None
        What the board says about itself; None of machines without a link.
    resets : Counter
        How often the board was seen to start anew, by cause (see `Hello`), since whoever reports it has emptied it.
    """

    entry: Entry
    rules: Rules
    suspect: bool = False
    disturbed: bool = False
    _engine: Engine | None = field(default=None, repr=False)
    _flashed: bool = False
    _fault: dict[str, str] = field(default_factory=dict)
    _base: dict[str, int] = field(default_factory=dict)
    resets: Counter[str] = field(default_factory=Counter)
    _boots: int | None = None

    @property
    def id(self) -> str:
        """Its name in test ids and reports."""
        return self.entry.id

    @property
    def target(self) -> str:
        """Its name as a target."""
        return self.entry.target

    @property
    def kind(self) -> str:
        """unicorn, posix, qemu, serial, or another machine's family."""
        return self.entry.kind

    @property
    def hello(self) -> Hello | None:
        """What the board says about itself."""
        return getattr(self.engine, "hello", None)

    @property
    def memory(self) -> int:
        """Bytes for a program with its working memory; 0: no limit but the computer's."""
        from neuromorph.targets import find

        return self.hello.pool if self.hello else find(self.target)[1].arena_max

    @contextmanager
    def locked(self, what: str) -> Iterator[Rig]:
        """Hold the board; at the end it is closed."""
        with self._lock(what):
            try:
                yield self
            finally:
                self.close()

    @contextmanager
    def _lock(self, what: str) -> Iterator[None]:
        if not self.entry.shared:
            yield
            return
        rules = self.rules
        with hold(self.entry.key, self.id, what, run=rules.run, wait=rules.wait, folder=rules.locks):
            yield

    # ------------------------------------------------------------------------------------------ open and close

    @property
    def engine(self) -> Engine:
        """The machine; opened where it is not."""
        if self._engine is None:
            self._engine = self._open()
        return self._engine

    def check(self) -> None:
        """A machine that answers: what was left broken by a test is opened again."""
        try:
            if self._engine is not None and not self.suspect:
                self._engine.now()
                return
        except NeuromorphError:
            pass
        self.close()
        self._engine = self._open()
        self.suspect = False

    def close(self) -> None:
        """Free the machine; `engine` opens it again."""
        engine, self._engine = self._engine, None
        # A real board goes on counting when its port is opened anew; an emulated one ends with it.
        if self.entry.kind == "serial":
            self._count_anew("host_")
        else:
            self._count_anew("host_", "board_")
            self._boots = None
        if engine is not None:
            with suppress(NeuromorphError, OSError):
                engine.close()

    def answers(self) -> bool:
        """Whether the machine is open and still answers."""
        try:
            return self._engine is not None and self._engine.now() >= 0
        except (NeuromorphError, OSError):
            return False

    def _open(self) -> Engine:
        if self.entry.missing:
            raise TargetError(f"{self.id}: {self.entry.missing}")
        faults = self._present_faults()
        if not self.entry.flasher or self.rules.flash == "never" or self._flashed:
            return self._connect(faults)
        self._flashed = True
        if self.rules.flash == "auto":
            with suppress(LinkError):
                engine = self._connect(faults)
                if self._is_current(engine):
                    return engine
                engine.close()
        for step in plan(self.entry):
            step.do()
        return self._connect(faults, _RETURN)

    def _connect(self, faults: Mapping[str, str], patience: float = 0.0) -> Engine:
        end = time.monotonic() + patience
        while True:
            try:
                return self._checked(self._start(faults))
            except (LinkError, TargetError):
                if time.monotonic() > end:
                    raise
                time.sleep(0.2)

    def _start(self, faults: Mapping[str, str]) -> Engine:
        from neuromorph.targets import find

        if not self.link or not (faults or self.entry.transport):
            backend, target = find(self.target)
            return backend.open(target)
        from neuromorph_mcu.engine import McuEngine

        url = self.entry.url or self._own_url()
        if faults:
            url = f"fault://?{urlencode({**faults, 'url': url})}"
        return McuEngine(self.id, url, baud=self.entry.baud)

    def _own_url(self) -> str:
        """The port of a board that comes along: it says it itself."""
        from neuromorph.targets import find

        backend, target = find(self.target)
        engine: Any = backend.open(target)
        engine.close()
        return str(engine.port.port)

    def _checked(self, engine: Engine) -> Engine:
        """The machine, if it is the board that the map means."""
        hello: Hello | None = getattr(engine, "hello", None)
        if hello is not None and self.entry.uid not in ("", hello.uid.hex()):
            engine.close()
            raise TargetError(
                f"{self.id}: the board at {self.entry.url} has the number {hello.uid.hex()}, the hardware map says "
                f"{self.entry.uid}: it is another board (`neuromorph boards scan --merge` adds it to the map)"
            )
        self._greeted(hello)
        return engine

    def _greeted(self, hello: Hello | None, started: bool = False) -> None:
        """Note a start of the board: one that was asked for, or one that its number of starts tells of."""
        if hello is not None:
            if started or self._boots not in (None, hello.boots):
                self.resets[hello.cause] += 1
            self._boots = hello.boots

    def _is_current(self, engine: Engine) -> bool:
        """Whether the board runs the firmware that is here: its build number stands in the file."""
        from neuromorph_mcu.boards import FIRMWARE

        file = FIRMWARE / f"{self.entry.board}.elf"
        hello: Hello | None = getattr(engine, "hello", None)
        return hello is None or not file.is_file() or hello.build.encode() in file.read_bytes()

    # ------------------------------------------------------------------------------------------ the link

    @property
    def link(self) -> bool:
        """Whether there is a serial link between this computer and the machine."""
        return self.target.partition(":")[0] == "mcu"

    def counters(self) -> dict[str, int]:
        """Counters of both ends of the link since the test began, or since that end was last started anew in it.

        Empty for machines without a link.
        """
        if not self.link or self._engine is None:
            return {}
        now = {k: n for k, n in self._engine.counters().items() if k.startswith(("board_", "host_"))}
        for end in ("board_", "host_"):
            if any(n < self._base.get(k, 0) for k, n in now.items() if k.startswith(end)):
                self._count_anew(end)  # a reset that nobody here has asked for
        return {k: n - self._base.get(k, 0) for k, n in now.items()}

    def figures(self) -> dict[str, int]:
        """What the board tells about the program that it holds (`FIGURES`); empty for machines without a link."""
        if not self.link or self._engine is None:
            return {}
        found = self._engine.counters()
        return {name: found[name] for name in FIGURES if name in found}

    def _count_anew(self, *ends: str) -> None:
        """These ends of the link count from 0 again."""
        self._base = {k: n for k, n in self._base.items() if not k.startswith(ends)}

    @contextmanager
    def uncounted(self) -> Iterator[dict[str, int]]:
        """What the link does while the context is open does not count; gives the counters before it."""
        before = self.counters()
        yield before
        with suppress(NeuromorphError):  # whoever uses the link next will say so
            self._base = {k: self._base.get(k, 0) + n - before.get(k, 0) for k, n in self.counters().items()}

    def clear(self) -> None:
        """Count from now on."""
        self.disturbed = bool(self.rules.fault)
        self._base = {}
        self._base = self.counters()

    def trouble(self) -> dict[str, int]:
        """Counters that should be zero and are not; empty if faults were asked for."""
        if self.disturbed:
            return {}
        found: dict[str, int] = {}
        counters = self.counters()
        for end in ("board", "host"):
            damaged = sum(counters.get(f"{end}_{name}", 0) for name in DAMAGED)
            names = TROUBLE if damaged <= counters.get(f"{end}_gap", 0) else (*TROUBLE, *DAMAGED)
            found |= {f"{end}_{name}": counters.get(f"{end}_{name}", 0) for name in names}
        return {name: n for name, n in found.items() if n}

    def fault(self, seed: int = 1, **faults: float) -> str:
        """Put faults on the line from now on (`neuromorph_mcu.faults.Faults` has them all); returns their token.

        The line is opened anew: what was on the board is gone if it is an emulated one.
        """
        pairs = ",".join(f"{name}={value}" for name, value in faults.items())
        self._fault = parse_fault(f"{seed}:{pairs}" if pairs else str(seed))
        self.disturbed = True
        self.close()
        self.check()
        return self.faults

    @property
    def faults(self) -> str:
        """The faults on the line as `--nm-fault` takes them; empty if it is a good one."""
        found = self._present_faults()
        pairs = ",".join(f"{k}={v}" for k, v in found.items() if k != "seed")
        return ":".join(filter(None, (found.get("seed"), pairs)))

    def _present_faults(self) -> dict[str, str]:
        return self._fault or (parse_fault(self.rules.fault) if self.rules.fault and self.link else {})

    def heal(self) -> None:
        """A good line again, or as good as the run wants it; it is opened by the next `check`."""
        if self._fault:
            self._fault = {}
            self.close()

    # ------------------------------------------------------------------------------------------ the board

    def reset(self) -> None:
        """Press reset and greet the board again; sessions from before are over."""
        self.disturbed = True
        engine: Any = self.engine
        self._count_anew("host_", "board_")
        engine.reset_board()
        self._greeted(self.hello, started=True)

    def press_reset(self) -> None:
        """Press reset, and nothing else: in the middle of something."""
        self.disturbed = True
        port = getattr(self.engine, "port")  # noqa: B009 (engines without a port have no reset)
        for level in (True, False, True):
            port.dtr = level
        self._count_anew("board_")

    def switch(self, on: bool) -> None:
        """Switch the board's power; sessions from before are over."""
        self.disturbed = True
        if not on:
            self.close()
            self._count_anew("board_")
            self._boots = None
        if self.entry.power:
            words = [word.replace("{action}", "on" if on else "off") for word in shlex.split(self.entry.power)]
            run_program(self.id, words, _POWER_LIMIT)
        if on:
            self._engine = self._connect(self._present_faults(), _RETURN if self.entry.power else 0.0)
            self._greeted(self.hello, started=True)
