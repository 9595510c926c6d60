"""Messages of the application above the link, byte by byte (``docs/link.md``, 4)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum, IntFlag

from neuromorph.errors import LinkError
from neuromorph.store import Stored, StoredProgram

__all__ = [
    "BoardError", "Code", "Hello", "Kept", "Kind", "Progress", "State", "Status", "counters", "stored",
]  # fmt: skip


class Kind(IntEnum):
    """Types of messages: requests below 64, answers from there on."""

    GET_STATUS = 16
    STAGE = 17
    DATA = 18
    LOAD = 19
    UNLOAD = 20
    RUN = 21
    INPUT = 22
    STOP = 23
    READ = 24
    WRITE = 25
    SEEK = 26
    RESTART = 27
    GET_COUNTERS = 28
    STORE = 29
    SAVE = 30
    CONFIRM = 31
    FORGET = 32
    GET_STORE = 33
    OK = 64
    ERROR = 65
    STATUS = 66
    PROGRESS = 67
    TRACE = 68
    ITEM = 69
    COUNTERS = 70
    STORED = 71


class Code(IntEnum):
    """Codes of ERROR: those of the engine (``nm.h``) and of the application (``app.h``)."""

    IMAGE = -1
    ARENA = -2
    ARGUMENT = -3
    INPUT = -4
    STATE = -5
    SPACE = -6
    STEPS = -7
    UNSUPPORTED = -16
    MESSAGE = -17
    BUSY = -18
    PROGRAM = -19
    CAPACITY = -20
    STAGED = -21
    CREDIT = -22
    FLASH = -23
    STORE = -24


class State(IntEnum):
    """What a board is doing."""

    EMPTY = 0
    IDLE = 1
    RUNNING = 2


_COUNTERS = (
    "spikes", "synaptic_events", "plastic_updates", "stack_used", "recorded", "dropped", "late_inputs", "overruns",
)  # fmt: skip
_LINK_COUNTERS = (
    "frames_in", "frames_out", "crc_err", "cobs_err", "overlong", "gap", "framing", "overrun", "retransmits",
    "duplicates", "out_of_order", "dropped", "resets", "naks", "lost", "replaced", "closed",
)  # fmt: skip
_COUNTERS_LAYOUT = struct.Struct(f"<3Q{len(_COUNTERS) - 3 + len(_LINK_COUNTERS)}I")


def _unpack(layout: struct.Struct, payload: bytes, what: str) -> tuple[int, ...]:
    if len(payload) < layout.size:
        raise LinkError(f"the board sent {what} with {len(payload)} bytes instead of {layout.size}")
    return layout.unpack_from(payload)


def _name(raw: bytes) -> str:
    return raw.split(b"\0")[0].decode("ascii", "replace")


class Kept(IntFlag):
    """What a board says of its store."""

    FLASH = 1
    IMAGE = 2
    STARTED = 4
    TRIAL = 8
    REVERTED = 16
    RESUMED = 32
    DAMAGED = 64
    SAVES = 128


_CAUSES = ("unknown", "power", "pin", "software", "watchdog", "brown-out")


def cause_name(number: int) -> str:
    """Why a board started, in words."""
    return _CAUSES[number] if number < len(_CAUSES) else "unknown"


@dataclass(frozen=True, slots=True)
class Hello:
    """What a board says about itself.

    Parameters
    ----------
    protocol, image_format : tuple of int
        Version of the protocol (major, minor); of the image format (lowest and highest major, highest minor).
    semantics : int
        Semantics version of the engine.
    payload, window : int
        Largest payload in bytes, frames in flight.
    boots : int
        Starts since power came.
    pool : int
        Bytes for programs, their working memory and their trace buffer.
    credit, trace : int
        Bytes of input that may be sent ahead; bytes of trace buffer that a program gets at least if there is room.
    features : int
        Feature bits of the engine, as in an image.
    clock : int
        Core clock in Hz, 0 if it has none.
    uid : bytes
        The board's own number, 16 bytes.
    build, core, board : str
        Firmware build, processor core, board.
    cause : str
        Why the board started: power, pin, software, watchdog, brown-out, or unknown.
    kept : Kept
        What it has stored, and what it made of that when it started.
    stored_step : int
        Step of the newest state that is stored with the current image; 0 without.
    stored_digest : bytes
        First four bytes of the logical digest of the image that is stored as the current one; zeros without.
    """

    protocol: tuple[int, int]
    image_format: tuple[int, int, int]
    semantics: int
    payload: int
    window: int
    boots: int
    pool: int
    credit: int
    trace: int
    features: int
    clock: int
    uid: bytes
    build: str
    core: str
    board: str
    cause: str
    kept: Kept
    stored_step: int
    stored_digest: bytes

    _LAYOUT = struct.Struct("<4BHHBB2x6IBB2xI16s16s16s16s4s")

    @classmethod
    def parse(cls, payload: bytes) -> Hello:
        """Of a HELLO payload of at least 112 bytes."""
        major, minor, low, high, semantics, limit, window, image_minor, *numbers = cls._LAYOUT.unpack_from(payload)
        boots, pool, credit, trace, features, clock, cause, kept, step, uid, build, core, board, stored = numbers
        names = (_name(build), _name(core), _name(board))
        return cls(
            (major, minor), (low, high, image_minor), semantics, limit, window,
            boots, pool, credit, trace, features, clock, uid, *names, cause_name(cause), Kept(kept), step, stored,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Status:
    """What a board holds and does; sizes in bytes."""

    state: State
    step: int
    free: int
    image: int
    arena: int
    trace: int
    record_bound: int
    items: int
    digest: bytes
    step_us: int = 0
    """Microseconds of the worst step by the board's estimate; 0: not known."""

    @classmethod
    def parse(cls, payload: bytes) -> Status:
        """Of a STATUS message."""
        state, step, free, image, arena, trace, bound, items = _unpack(struct.Struct("<B3x7I"), payload, "STATUS")
        step_us = int.from_bytes(payload[64:68], "little")  # not sent by an older firmware
        return cls(_state(state), step, free, image, arena, trace, bound, items, payload[32:64], step_us)


@dataclass(frozen=True, slots=True)
class Progress:
    """All records up to `step` have been sent but those of `dropped` steps; `taken` bytes of input are used up."""

    step: int
    taken: int
    state: State
    dropped: int = 0

    @classmethod
    def parse(cls, payload: bytes) -> Progress:
        """Of a PROGRESS message."""
        step, taken, state, dropped = _unpack(struct.Struct("<IIII"), payload, "PROGRESS")
        return cls(step, taken, _state(state), dropped)


def _state(value: int) -> State:
    try:
        return State(value)
    except ValueError:
        raise LinkError(f"the board sent an unknown state, {value}") from None


@dataclass(frozen=True, slots=True)
class BoardError:
    """A request that the board refused; `a` and `b` are the code's details."""

    request: int
    code: int
    a: int
    b: int

    @classmethod
    def parse(cls, payload: bytes) -> BoardError:
        """Of an ERROR message."""
        return cls(*_unpack(struct.Struct("<Bb2xII"), payload, "ERROR"))

    def __str__(self) -> str:
        request = Kind(self.request).name if self.request in Kind.__members__.values() else str(self.request)
        code = Code(self.code).name if self.code in Code.__members__.values() else str(self.code)
        return f"{request}: {code.lower()} ({self.a}, {self.b})"


def counters(payload: bytes) -> dict[str, int]:
    """Of a COUNTERS message: work done, stack used, what pace real lost; ``board_...``: the board's end of the link."""
    names = [*_COUNTERS, *(f"board_{name}" for name in _LINK_COUNTERS)]
    return dict(zip(names, _unpack(_COUNTERS_LAYOUT, payload, "COUNTERS"), strict=True))


_STORED = struct.Struct("<BBH5I96s")
_STORED_IMAGE = struct.Struct("<4IBB2x12s")
_TRIAL = 3
"""Flags of an image that is to be tried, or was."""


def stored(payload: bytes) -> Stored:
    """Of a STORED message."""
    if len(payload) < _STORED.size:
        raise LinkError(f"the board sent STORED with {len(payload)} bytes instead of {_STORED.size}")
    flags, cause, failed, size, sector, largest, erases, unreadable, images = _STORED.unpack_from(payload)
    kept = Kept(flags)
    candidate, current, previous = (_stored_program(images[k : k + 32]) for k in range(0, 96, 32))
    return Stored(
        current, candidate, previous, started=Kept.STARTED in kept, trial=Kept.TRIAL in kept,
        reverted=Kept.REVERTED in kept, resumed=Kept.RESUMED in kept, damaged=Kept.DAMAGED in kept,
        cause=cause_name(cause), size=size, sector=sector, largest=largest, erases=erases, failed=failed,
        unreadable=unreadable,
    )  # fmt: skip


def _stored_program(raw: bytes) -> StoredProgram | None:
    size, period, every, step, flags, states, digest = _STORED_IMAGE.unpack(raw)
    if not size:
        return None
    newest = step if states else None
    return StoredProgram(digest.hex(), size, newest, states, period / 1e6, every, bool(flags & _TRIAL))
