"""Records: the bytes in which inputs go in and traces come out (docs/image.md, section 4); no loop over values."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from neuromorph.errors import ValidationError

__all__ = ["Events", "Records", "decode_records", "encode_records", "spike_records", "value_records"]

Ints = NDArray[np.int64]
HEADER = 16
BLOCK_BITS = 16  # a record holds indices relative to a multiple of 2^16
COUNT_MAX = (1 << 16) - 1
_HEAD = struct.Struct("<IHBBIHH")
SPIKES, GRADED = 0, 1
VALUES: dict[int, np.dtype[Any]] = {
    2: np.dtype("u1"),
    3: np.dtype("<i2"),
    4: np.dtype("<i4"),
    5: np.dtype("<u2"),
    6: np.dtype("<f8"),
}
"""Element of each format of values; 6 comes from machines that compute in floats, in process only."""
_WIDTHS = np.zeros(256, np.int32)
_WIDTHS[[SPIKES, GRADED, *VALUES]] = [2, 2, *(dtype.itemsize for dtype in VALUES.values())]
_FORMATS = {dtype: form for form, dtype in VALUES.items()}


class Events(NamedTuple):
    """Spikes sorted by step, then index; `payloads` is None where spikes have none."""

    steps: Ints
    indices: Ints
    payloads: Ints | None = None


def _padded(size: Ints) -> Ints:
    return (size + 3) & ~3


def encode_records(events: Mapping[int, Events]) -> bytes:
    """Spikes of objects (by number) as records, sorted by step, object and first index.

    A step of an object makes one record per block of 65536 neurons that spike in it, two if all of them do.
    """
    some = {number: spikes for number, spikes in events.items() if spikes.steps.size}
    if not some:
        return b""
    step = np.concatenate([spikes.steps for spikes in some.values()])
    index = np.concatenate([spikes.indices for spikes in some.values()])
    number = np.concatenate([np.full(spikes.steps.size, k) for k, spikes in some.items()])
    graded = np.concatenate([np.full(spikes.steps.size, spikes.payloads is not None) for spikes in some.values()])
    ones = [np.ones_like(spikes.steps) if spikes.payloads is None else spikes.payloads for spikes in some.values()]
    payload = np.concatenate(ones)
    if len(some) > 1 or np.any(_falls(step, index)):
        order = np.lexsort((index, number, step))
        step, index, number, graded, payload = (part[order] for part in (step, index, number, graded, payload))

    block = index >> BLOCK_BITS
    begins = np.flatnonzero(_changes(step, number, block))
    position = np.arange(step.size) - np.repeat(begins, np.diff(begins, append=step.size))
    begins = np.flatnonzero(_changes(step, number, block, position // COUNT_MAX))
    count = np.diff(begins, append=step.size)
    position = np.arange(step.size) - np.repeat(begins, count)

    payload_at = HEADER + _padded(2 * count)  # within the record
    size = payload_at + np.where(graded[begins], 4 * count, 0)
    at = np.cumsum(size) - size
    out = np.zeros(int(size.sum()) // 4, dtype="<u4")
    word = at // 4
    out[word] = step[begins]
    out[word + 1] = number[begins] | (graded[begins].astype(np.int64) << 16)
    out[word + 2] = block[begins] << BLOCK_BITS
    out[word + 3] = count
    out.view("<u2")[np.repeat((at + HEADER) // 2, count) + position] = index & COUNT_MAX
    if graded.any():
        where = np.repeat((at + payload_at) // 4, count) + position
        out.view("<i4")[where[graded]] = payload[graded]
    return out.tobytes()


def value_records(step: int, number: int, values: NDArray[Any]) -> bytes:
    """All elements of an array of one of the types in `VALUES` as the records of one step."""
    flat, form = np.ravel(values), _FORMATS[values.dtype]
    return b"".join(
        _record(step, number, form, first, flat[first : first + COUNT_MAX], b"")
        for first in range(0, flat.size, COUNT_MAX)
    )


def spike_records(step: int, number: int, indices: Ints, payloads: Ints | None = None) -> bytes:
    """The spikes of one step, by ascending index, with their payloads if the format is to have them."""
    out = []
    for block in np.unique(indices >> BLOCK_BITS):
        here = indices >> BLOCK_BITS == block
        some = (indices[here] & COUNT_MAX).astype("<u2")
        sent = None if payloads is None else payloads[here].astype("<i4")
        form = SPIKES if sent is None else GRADED
        for k in range(0, some.size, COUNT_MAX):  # twice if all of a block spike
            tail = b"" if sent is None else sent[k : k + COUNT_MAX].tobytes()
            out.append(_record(step, number, form, int(block) << BLOCK_BITS, some[k : k + COUNT_MAX], tail))
    return b"".join(out)


def _record(step: int, number: int, form: int, first: int, values: NDArray[Any], tail: bytes) -> bytes:
    data = values.tobytes()
    return _HEAD.pack(step, number, form, 0, first, values.size, 0) + data + bytes(-len(data) % 4) + tail


def _falls(step: Ints, index: Ints) -> NDArray[np.bool_]:
    """Where spikes are not in order."""
    later = np.diff(step)
    return np.asarray((later < 0) | ((later == 0) & (np.diff(index) < 0)))


def _changes(*keys: Ints) -> NDArray[np.bool_]:
    """True at each position where any key differs from the one before, and at the first."""
    changed = np.ones(keys[0].size, dtype=bool)
    changed[1:] = keys[0][1:] != keys[0][:-1]
    for key in keys[1:]:
        changed[1:] |= key[1:] != key[:-1]
    return changed


@dataclass(frozen=True)
class Records:
    """Headers of a stream of records as arrays, one element per record, and the bytes behind them."""

    data: NDArray[np.uint8]
    at: Ints
    step: Ints
    object: Ints
    format: Ints
    first: Ints
    count: Ints

    def __len__(self) -> int:
        return int(self.at.size)

    def events(self, number: int) -> Events:
        """Spikes of an object; payloads if any of its records has them (1 where a record has none)."""
        mine = np.flatnonzero((self.object == number) & (self.format <= GRADED))
        count = self.count[mine]
        steps = np.repeat(self.step[mine], count)
        inside = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
        pairs = self.data[: self.data.size // 2 * 2].view("<u2")
        indices = pairs[np.repeat((self.at[mine] + HEADER) // 2, count) + inside].astype(np.int64)
        indices += np.repeat(self.first[mine], count)
        graded = np.repeat(self.format[mine] == GRADED, count)
        if not graded.any():
            return Events(steps, indices)
        payloads = np.ones(steps.size, dtype=np.int64)
        where = np.repeat((self.at[mine] + HEADER + _padded(2 * count)) // 4, count) + inside
        payloads[graded] = self.data[: self.data.size // 4 * 4].view("<i4")[where[graded]]
        return Events(steps, indices, payloads)

    def values(self, number: int) -> tuple[Ints, Ints, NDArray[Any]]:
        """Values of an object: step and element of each, and the values in the type of their format."""
        mine = np.flatnonzero((self.object == number) & (self.format > GRADED))
        kinds = {int(kind) for kind in self.format[mine]}
        if len(kinds) > 1:
            raise ValidationError(f"records of object {number} have the formats {sorted(kinds)}; one is needed")
        dtype = VALUES[kinds.pop()] if kinds else VALUES[4]
        count = self.count[mine]
        inside = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
        begin = np.repeat(self.at[mine] + HEADER, count) + inside * dtype.itemsize
        raw = self.data[begin[:, None] + np.arange(dtype.itemsize)]
        elements = np.repeat(self.first[mine], count) + inside
        return np.repeat(self.step[mine], count), elements, raw.reshape(-1).view(dtype)


def decode_records(data: bytes | bytearray | memoryview) -> Records:
    """Read a stream of whole records.

    Raises
    ------
    ValidationError
        A record of an unknown format or one that the data ends within; says at which byte.
    """
    raw = np.frombuffer(data, dtype=np.uint8)
    words = raw[: raw.size // 4 * 4].view("<u4")
    lengths, begins, at = _lengths(words).data, [], 0
    with contextlib.suppress(IndexError):
        while length := lengths[at]:
            begins.append(at)
            at += length
    if at * 4 != raw.size:
        broken = 4 * (begins[-1] if at > words.size else at)
        raise ValidationError(f"record at byte {broken} of {raw.size} is cut short or of an unknown format")
    start = np.array(begins, dtype=np.int64)
    step, kind, first, count = (words[start + k].astype(np.int64) for k in range(HEADER // 4))
    return Records(raw, 4 * start, step, kind & 0xFFFF, (kind >> 16) & 0xFF, first, count & COUNT_MAX)


def _lengths(words: NDArray[np.uint32]) -> NDArray[np.int32]:
    """The words that a record would have if it began at a word, 0 where none can: only the walk over them is a loop."""
    form = words[1:-2].view("<u2")[1::2].astype(np.uint8)
    count = words[3:].view("<u2")[::2].astype(np.int32)
    size = np.zeros(words.size, np.int32)
    size[:-3] = (HEADER + 3 + count * _WIDTHS[form]) >> 2
    graded = np.flatnonzero(form == GRADED)
    size[graded] += count[graded]
    size[np.flatnonzero(_WIDTHS[form] == 0)] = 0
    return size
