"""Dynamic and learned state: canonical items and the state file (.nms); ``docs/image.md``, sections 2 and 3."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neuromorph.crc import crc32c
from neuromorph.errors import ImageError, ValidationError
from neuromorph.image import PROBE_CODES
from neuromorph.parameters import as_numbers
from neuromorph.program import MODULATOR_MAX, THETA_MAX, U
from neuromorph.rule import TRACES
from neuromorph.short_term import ONE, SINCE_MAX

if TYPE_CHECKING:
    from pathlib import Path

    from neuromorph.profiles import Profile
    from neuromorph.program import Population, Program, Projection
    from neuromorph.rule import Rule

__all__ = ["Item", "State", "checked", "items", "problem"]

MAGIC = b"NMS\x1a"
MAJOR, MINOR, SEMANTICS = 1, 0, 1
_HEADER = struct.Struct("<4sHBBIHHIIQ32s28s")  # all but the CRC at its end
HEADER = _HEADER.size + 4
_I32 = (-(1 << 31), (1 << 31) - 1)
_DTYPES = {
    "u": "<i4", "v": "<i4", "theta": "<i4", "ring": "<i4", "m": "<i4", "refr": "<u2", "w": "<i2", "tag_1": "<i2",
    "tag_2": "<i2", "stp_u": "<u2", "stp_x": "<u2", "since": "<u2",
}  # fmt: skip
"""Canonical types; u8 where none is given."""


@dataclass(frozen=True, slots=True)
class Item:
    """One array of state of a population, projection or modulator.

    Attributes
    ----------
    object : str
        The user's name.
    variable : str
        u, v, refr, theta, adapt of a population;
        ring, w, tag_1, tag_2, x1, x2, y1, y2, y3, tx, ty, plastic, stp_u, stp_x, since of a projection;
        m of a modulator.
    dtype : numpy.dtype
        Canonical form, little-endian.
    shape : tuple of int
        (n,), (n_pre, n_post), (nnz,), (slots, n_post) or (1,).
    low, high : int
        Range of its values.
    unit : int
        They are multiples of it.
    """

    object: str
    variable: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    low: int
    high: int
    unit: int = 1

    @property
    def code(self) -> int:
        """The variable's number in images and states."""
        return PROBE_CODES[self.variable]

    @property
    def name(self) -> str:
        """``object.variable``, as in traces."""
        return f"{self.object}.{self.variable}"

    @property
    def count(self) -> int:
        """Number of values."""
        return int(np.prod(self.shape))

    @property
    def size(self) -> int:
        """Bytes, without padding."""
        return self.count * self.dtype.itemsize

    def decode(self, data: bytes) -> NDArray[np.int64]:
        """Values from canonical bytes, as int64 in the item's shape."""
        return np.frombuffer(data, self.dtype, self.count).astype(np.int64).reshape(self.shape)

    def encode(self, values: NDArray[Any]) -> bytes:
        """Canonical bytes of values that `check` has passed."""
        return np.ascontiguousarray(values, dtype=self.dtype).tobytes()

    def check(self, values: NDArray[Any]) -> str:
        """An empty string, or which value is out of range."""
        if not values.size:
            return ""
        low, high = int(values.min()), int(values.max())
        if low >= self.low and high <= self.high and (self.unit == 1 or not np.any(values % self.unit)):
            return ""
        wrong = (values < self.low) | (values > self.high)
        limit = f"outside {self.low}..{self.high}"
        if not wrong.any():
            wrong, limit = values % self.unit != 0, f"no multiple of {self.unit}, the unit of this projection's weights"
        index = tuple(int(k) for k in np.argwhere(wrong)[0])
        where = ", ".join(map(str, index))
        return f"{self.name}[{where}] = {values[index]} is {limit}"


def items(program: Program) -> tuple[Item, ...]:
    """All state items of a program in canonical order; an item's position is its number for engines."""
    found: list[Item] = []
    for pop in program.populations.values():
        if pop.kind != "input":
            found.extend(_population_items(pop))
    for proj in program.projections.values():
        found.extend(_projection_items(proj, program))
    for modulator in program.modulators.values():
        shape = (program.values_of(modulator),)
        found.append(_item(modulator.name, "m", shape, -MODULATOR_MAX, MODULATOR_MAX))
    return tuple(found)


def _item(name: str, variable: str, shape: tuple[int, ...], low: int, high: int, unit: int = 1) -> Item:
    return Item(name, variable, np.dtype(_DTYPES.get(variable, "<u1")), shape, low, high, unit)


def _population_items(pop: Population) -> Iterator[Item]:
    shape = (pop.n,)
    yield _item(pop.name, "u", shape, *_I32)  # it wraps once only, so a step may leave any number
    yield _item(pop.name, "v", shape, 1 - U, U - 1)
    if pop.is_refractory:
        yield _item(pop.name, "refr", shape, 0, int(np.max(pop.refractory)))
    if pop.adaptive:
        yield _item(pop.name, "theta", shape, pop.theta_min, THETA_MAX)
        yield _item(pop.name, "adapt", (1,), 0, 1)


def _projection_items(proj: Projection, program: Program) -> Iterator[Item]:
    n_pre, n_post = program.populations[proj.pre].n, program.populations[proj.post].n
    yield _item(proj.name, "ring", (proj.slots, n_post), *_contributions(proj, program.numbers))
    if proj.rule is not None:
        yield from _plastic_items(proj, proj.rule, n_pre, n_post, program.numbers)
    if proj.short_term is not None:
        yield _item(proj.name, "stp_u", proj.weights.shape, 0, ONE)
        yield _item(proj.name, "stp_x", proj.weights.shape, 0, ONE)
        yield _item(proj.name, "since", (n_pre,), 0, SINCE_MAX)


def _plastic_items(proj: Projection, rule: Rule, n_pre: int, n_post: int, numbers: Profile) -> Iterator[Item]:
    yield _item(proj.name, "w", proj.weights.shape, *numbers.weights[proj.sign_mode])
    if rule.has_tag_1:
        yield _item(proj.name, "tag_1", proj.weights.shape, *numbers.tag_1)
    if rule.has_tag_2:
        yield _item(proj.name, "tag_2", proj.weights.shape, *numbers.tag_2)
    for trace in TRACES:
        if trace in rule.traces:
            above = trace == "x1" and rule.graded_trace in ("overwrite", "add_wrap") and not numbers.trace_frac
            item = _item(proj.name, trace, (n_pre if trace[0] == "x" else n_post,), 0, numbers.trace_max + above)
            yield replace(item, dtype=np.dtype("<u2")) if numbers.trace_frac else item
    yield _item(proj.name, "tx", (n_pre,), 0, rule.t_epoch)
    yield _item(proj.name, "ty", (n_post,), 0, rule.t_epoch)
    yield _item(proj.name, "plastic", (1,), 0, 1)


def _contributions(proj: Projection, numbers: Profile) -> tuple[int, int, int]:
    """Lowest, highest and unit of what a projection can have on its way."""
    low, high = _I32
    shift = proj.shift(numbers)
    if shift < 0:
        # With one delay for all, a sum of an emission step is shifted as a whole; else shifted sums add up.
        right = 0 if isinstance(proj.delays, np.ndarray) else -shift
        return low >> right, high >> right, 1
    even = proj.rule is None and proj.sign_mode == "mixed" and numbers.even
    return low, high, 1 << (shift + even)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


@dataclass(frozen=True, slots=True)
class State:
    """Everything that a program has learned and is in the middle of; the same bytes whatever the machine.

    Attributes
    ----------
    digest : str
        Logical digest of the program it belongs to, in hex.
    step : int
        The last step done.
    position : int
        Outputs drawn from the shared random stream ``xd``; 0 under synapse rounding.
    count : int
        Number of items.
    data : bytes
        The items in canonical order, each padded to 4 bytes.
    """

    digest: str
    step: int
    position: int
    count: int
    data: bytes

    @classmethod
    def of(cls, program: Program, step: int, values: Sequence[bytes]) -> State:
        """A state from the canonical bytes of each item."""
        position = 2 * step if _shared(program) else 0
        return cls(program.digest, step, position, len(values), b"".join(map(_padded, values)))

    def arrays(self, program: Program) -> dict[str, NDArray[np.int64]]:
        """All items by ``object.variable``, as int64 in their shapes.

        Raises
        ------
        ImageError
            The state belongs to another program, has another size, or a value out of its range.
        """
        found: dict[str, NDArray[np.int64]] = {}
        for item, data in self.split(program):
            values = item.decode(data)
            wrong = problem(program, item, values)
            if wrong:
                raise ImageError(f"the state is not valid: {wrong}")
            found[item.name] = values
        return found

    def split(self, program: Program) -> Iterator[tuple[Item, bytes]]:
        """Each item with its canonical bytes; checks program and sizes, not values."""
        layout = items(program)
        if self.digest != program.digest:
            raise ImageError(
                f"the state belongs to program {self.digest[:12]}, not to {program.name!r} ({program.digest[:12]}): "
                "restore it with the program that it was saved from"
            )
        need = sum(item.size + -item.size % 4 for item in layout)
        if self.count != len(layout) or len(self.data) != need:
            raise ImageError(
                f"state of {self.count} items, {len(self.data)} bytes; needed: {len(layout)}, {need} bytes"
            )
        if self.position != (2 * self.step if _shared(program) else 0):
            raise ImageError(f"random stream position {self.position} does not fit step {self.step}")
        at = 0
        for item in layout:
            yield item, self.data[at : at + item.size]
            at += item.size + -item.size % 4

    def to_bytes(self) -> bytes:
        """The bytes of a .nms file."""
        head = _HEADER.pack(
            MAGIC, HEADER, MAJOR, MINOR, HEADER + len(self.data), SEMANTICS, self.count, self.step, 0, self.position,
            bytes.fromhex(self.digest), hashlib.blake2s(self.data).digest()[:28],
        )  # fmt: skip
        return head + struct.pack("<I", crc32c(head)) + self.data

    @classmethod
    def from_bytes(cls, raw: bytes) -> State:
        """Read a .nms file; checks everything that can be checked without the program.

        Raises
        ------
        ImageError
            Not a state, truncated, extended, damaged, or of another version.
        """
        if len(raw) < HEADER or raw[:4] != MAGIC:
            raise ImageError("not a neuromorph state: the magic bytes are missing")
        _, length, major, minor, total, semantics, count, step, zero, position, digest, content = _HEADER.unpack_from(
            raw
        )
        if major != MAJOR or length != HEADER:
            raise ImageError(f"state format {major}.{minor} ({length} B header); this one reads {MAJOR}.x", offset=4)
        if total != len(raw):
            raise ImageError(f"state of {len(raw)} bytes, its header says {total}: truncated or extended", offset=8)
        if struct.unpack_from("<I", raw, HEADER - 4)[0] != crc32c(raw[: HEADER - 4]):
            raise ImageError("checksum of the header does not match: the state is damaged", offset=HEADER - 4)
        if hashlib.blake2s(raw[HEADER:]).digest()[:28] != content:
            raise ImageError("hash of the contents does not match: the state is damaged", offset=64)
        if semantics != SEMANTICS or zero:
            raise ImageError(f"state of semantics version {semantics}; this version has {SEMANTICS}", offset=12)
        return cls(digest.hex(), step, position, count, raw[HEADER:])

    def save(self, path: str | Path) -> None:
        """Write a .nms file (atomically)."""
        from neuromorph.files import write_atomic

        write_atomic(path, self.to_bytes())

    @classmethod
    def load(cls, path: str | Path) -> State:
        """Read a .nms file; ValidationError if it cannot be read, ImageError if it is not a state or broken."""
        from neuromorph.files import load_file

        return load_file(path, "state", cls.from_bytes)


def _shared(program: Program) -> bool:
    return program.rounding == "shared"


def problem(program: Program, item: Item, values: NDArray[np.int64], first: int = 0) -> str:
    """An empty string, or which of the values, from number `first` on, an item of the program cannot have."""
    found = item.check(values)
    if found or item.variable != "refr":
        return found
    period = program.populations[item.object].per_neuron("refractory")[first : first + values.size]
    over = np.flatnonzero(values > period)
    if not over.size:
        return ""
    k = int(over[0])
    return f"{item.name}[{first + k}] = {values[k]} is longer than its refractory period, {period[k]}"


def checked(program: Program, item: Item, values: object) -> NDArray[np.int64]:
    """What a user wants to write into an item, checked and as int64 in its shape.

    Raises
    ------
    ValidationError
        Not numbers, not whole numbers (NaN too), another shape, or out of range.
    """
    array = as_numbers(item.name, values)
    broken = ~np.isfinite(array) | (array != np.floor(array))
    if broken.any():
        wrong = array[broken].flat[0]
        way = " (physical=True takes values in your units)" if np.isfinite(wrong) else ""
        raise ValidationError(f"{item.name}: {wrong} is not a whole number; the machine holds integers{way}")
    if array.shape != item.shape:
        if array.ndim != 0:
            raise ValidationError(f"{item.name}: values of shape {array.shape}, needed {item.shape} or a scalar")
        array = np.broadcast_to(array, item.shape)
    found = problem(program, item, array)
    if found:
        raise ValidationError(found)
    return array.astype(np.int64)
