"""A bad line: bytes and frames that are damaged, lost, doubled, late; stalls and breaks. Seeded, so it can be replayed.

Sans-I/O, as the link itself: bytes and the time go in, bytes come out. ``fault://`` (`neuromorph_mcu.urls`) puts it in
front of any port; tests drive it in virtual time.
"""

from __future__ import annotations

import math
import random
from collections import deque
from dataclasses import dataclass, fields
from typing import Any
from urllib.parse import parse_qsl, urlencode

__all__ = ["Faults", "Line"]

_BYTES = ("corrupt", "drop", "duplicate", "insert")
_FRAMES = ("frame_drop", "frame_duplicate", "frame_delay", "frame_reorder")


@dataclass(frozen=True, slots=True)
class Faults:
    """What a line does to what goes over it, in each direction.

    Parameters
    ----------
    seed : int
        Chooses which bytes and frames are hit.
    corrupt, drop, duplicate, insert : float
        Probabilities per byte: a bit is flipped, the byte is lost, comes twice, has a random byte before it.
    frame_drop, frame_duplicate, frame_delay, frame_reorder : float
        Probabilities per frame (bytes between two zeros): it is lost, comes twice, comes `late` seconds after its time
        (others overtake it), changes places with the next one.
    late : float
        Seconds of `frame_delay`.
    stall_at, stall : float
        Seconds after the line was opened at which it stalls, and for how long: nothing moves, nothing is lost.
    disconnect_at : int
        Bytes (of both directions) after which the line breaks for good; 0 = never.
    rate : float
        Bits per second, ten to a byte; 0 = no limit.
    """

    seed: int = 0
    corrupt: float = 0.0
    drop: float = 0.0
    duplicate: float = 0.0
    insert: float = 0.0
    frame_drop: float = 0.0
    frame_duplicate: float = 0.0
    frame_delay: float = 0.0
    frame_reorder: float = 0.0
    late: float = 0.02
    stall_at: float = 0.0
    stall: float = 0.0
    disconnect_at: int = 0
    rate: float = 0.0

    def __post_init__(self) -> None:
        bad = [name for name in (*_BYTES, *_FRAMES) if not 0.0 <= getattr(self, name) <= 1.0]
        if bad or sum(getattr(self, name) for name in _BYTES) > 1.0:
            raise ValueError(f"{bad[0] if bad else ', '.join(_BYTES)}: probabilities lie in 0..1, their sum too")
        for name in ("late", "stall_at", "stall", "disconnect_at", "rate"):
            value = getattr(self, name)
            if not 0 <= value < math.inf:
                raise ValueError(f"{name}={value:g}: a finite number from 0 on")

    @property
    def token(self) -> str:
        """What replays these faults: the options of a ``fault://`` URL."""
        changed = {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) != f.default}
        return urlencode({"seed": self.seed} | changed)

    @classmethod
    def parse(cls, token: str) -> Faults:
        """Of a `token`.

        Raises
        ------
        ValueError
            An unknown option, or a value that is no number or out of range.
        """
        kinds = {f.name: (int if f.type == "int" else float) for f in fields(cls)}
        options = dict(parse_qsl(token, strict_parsing=bool(token)))
        unknown = sorted(options.keys() - kinds.keys())
        if unknown:
            raise ValueError(f"unknown fault {unknown[0]!r}; there are {', '.join(kinds)}")
        values: dict[str, Any] = {}
        for name, value in options.items():
            try:
                values[name] = kinds[name](value)
            except ValueError:
                what = "a whole number" if kinds[name] is int else "a number"
                raise ValueError(f"{name}={value}: must be {what}") from None
        return cls(**values)


class Line:
    """One direction of a bad line.

    Parameters
    ----------
    faults : Faults
        What happens.
    name : str
        Tells the directions apart: each has its own random numbers.
    now : float
        Seconds; the time at which the line is opened.

    Attributes
    ----------
    hits : int
        Faults that have happened.
    """

    def __init__(self, faults: Faults, name: str, now: float = 0.0) -> None:
        self.faults, self.hits = faults, 0
        self._rng = random.Random(f"{faults.seed} {name}")
        self._byte_faults = [(n, getattr(faults, n)) for n in _BYTES if getattr(faults, n)]
        self._hit = sum(p for _, p in self._byte_faults)
        self._next = self._gap()
        self._cuts = any(getattr(faults, n) for n in _FRAMES)
        self._rest = b""
        self._swapped = b""
        self._ready = bytearray()
        self._late: deque[tuple[float, bytes]] = deque()
        self._opened = self._looked = now

    def put(self, data: bytes, now: float) -> None:
        """Send bytes."""
        if not self._ready:  # what the line could have carried before is gone
            self._looked = max(self._looked, now)
        if self._cuts:
            *whole, self._rest = (self._rest + data).split(b"\0")
            for frame in whole:
                if frame:
                    self._put_frame(b"\0" + frame + b"\0", now)
        else:
            self._ready += self._damage(data)

    def take(self, now: float) -> bytes:
        """What arrives until now."""
        while self._late and self._late[0][0] <= now:
            self._ready += self._damage(self._late.popleft()[1])
        n = len(self._ready)
        stalls = self.faults.stall_at + self._opened
        if self.faults.stall and stalls <= now < stalls + self.faults.stall:
            self._looked = now
            return b""
        if self.faults.rate:
            n = min(n, int((now - self._looked) * self.faults.rate / 10))
            self._looked += n * 10 / self.faults.rate
        data = bytes(self._ready[:n])
        del self._ready[:n]
        return data

    def __len__(self) -> int:
        return len(self._ready)

    def _chance(self, probability: float) -> bool:
        hit = bool(probability) and self._rng.random() < probability
        self.hits += hit
        return hit

    def _put_frame(self, frame: bytes, now: float) -> None:
        if self._chance(self.faults.frame_drop):
            return
        if self._chance(self.faults.frame_delay):
            self._late.append((now + self.faults.late, frame))
            return
        if not self._swapped and self._chance(self.faults.frame_reorder):
            self._swapped = frame
            return
        twice = self._chance(self.faults.frame_duplicate)
        self._ready += self._damage(frame * 2 if twice else frame) + self._damage(self._swapped)
        self._swapped = b""

    def _gap(self) -> int:
        """Bytes until the next one that is hit: the same chance for each, without a draw for each."""
        if self._hit <= 0:
            return 1 << 62
        return 0 if self._hit >= 1 else int(math.log(1 - self._rng.random()) / math.log1p(-self._hit))

    def _damage(self, data: bytes) -> bytes:
        if self._next >= len(data):
            self._next -= len(data)
            return data
        out, at = bytearray(), 0
        while at + self._next < len(data):
            hit = at + self._next
            out += data[at:hit] + self._hit_byte(data[hit])
            at = hit + 1
            self._next = self._gap()
        self._next -= len(data) - at
        return bytes(out + data[at:])

    def _hit_byte(self, byte: int) -> bytes:
        self.hits += 1
        names, weights = zip(*self._byte_faults, strict=True)
        kind = self._rng.choices(names, weights)[0]
        if kind == "drop":
            return b""
        if kind == "duplicate":
            return bytes((byte, byte))
        if kind == "insert":
            return bytes((self._rng.randrange(256), byte))
        return bytes((byte ^ 1 << self._rng.randrange(8),))
