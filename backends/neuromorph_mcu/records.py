"""Records of inputs and traces (``docs/image.md``, 4) as a stream that is cut into messages and put together again."""

from __future__ import annotations

import struct
from bisect import bisect_right

from neuromorph.errors import CapacityError, LinkError, ValidationError
from neuromorph.trace import Gap

__all__ = ["InputStream", "RecordBuffer", "record_size"]

_HEADER = struct.Struct("<IHBBIHH")
# Bytes of a value by format; format 1 is two columns: indices padded to 4 bytes, then 32-bit payloads.
_WIDTHS = {0: 2, 2: 1, 3: 2, 4: 4, 5: 2}
_GAP = 7
"""Format of the record that says what a board at pace real has dropped."""


def record_size(kind: int, count: int) -> int:
    """Bytes of a record, header included; -1 for an unknown format."""
    if kind == 1:
        return _HEADER.size + (2 * count + 3 & ~3) + 4 * count
    width = _WIDTHS.get(kind)
    return -1 if width is None else _HEADER.size + (width * count + 3 & ~3)


class RecordBuffer:
    """Puts the records of a trace together from pieces of any size, and takes out what only counts losses.

    Parameters
    ----------
    start : int
        The step before the first one of the trace.

    Attributes
    ----------
    dropped : int
        Steps so far whose records the board had no room for.
    gaps : list of Gap
        Where.
    """

    def __init__(self, start: int = 0) -> None:
        self.dropped = 0
        self.gaps: list[Gap] = []
        self._last = start
        self._bytes = bytearray()

    def feed(self, data: bytes) -> None:
        """Add what has arrived."""
        self._bytes += data

    def take(self) -> bytes:
        """All whole records; LinkError if what arrived can be no record."""
        at, end, begin = 0, len(self._bytes), 0
        parts = []
        while end - at >= _HEADER.size:
            step, _, kind, _, first, count, _ = _HEADER.unpack_from(self._bytes, at)
            size = _HEADER.size if kind == _GAP else record_size(kind, count)
            if size < 0:
                raise LinkError(f"the board sent a record of unknown format {kind}")
            if size > end - at:
                break
            if kind == _GAP:
                parts.append(self._bytes[begin:at])
                begin = at + size
                self.missing(step, first)
            else:
                self._last = step
            at += size
        parts.append(self._bytes[begin:at])
        del self._bytes[:at]
        return b"".join(parts)

    def missing(self, step: int, dropped: int) -> None:
        """The board says that of steps up to this one, so many have no records since the run began."""
        if not 0 < dropped - self.dropped <= step - self._last:
            raise LinkError(f"the board dropped {dropped - self.dropped} of steps {self._last + 1}..{step}")
        self.gaps.append(Gap(self._last + 1, step, dropped - self.dropped))
        self.dropped, self._last = dropped, step

    def __len__(self) -> int:
        return len(self._bytes)


class InputStream:
    """Input records cut into messages, each with the last step whose records are all on the way.

    Parameters
    ----------
    records : bytes
        Whole records sorted by step.
    first, last : int
        Steps that they may belong to.
    credit : int
        Bytes that the board takes ahead.

    Raises
    ------
    ValidationError
        Records that are cut, unsorted, of unknown format, or outside the steps.
    CapacityError
        The records of one step are more than the board can take ahead.
    """

    def __init__(self, records: bytes, first: int, last: int, credit: int) -> None:
        self._records, self._credit = memoryview(records), credit
        # Where each step's records begin; everything before belongs to earlier steps.
        self._starts, self._steps = _steps(records, first, last)
        self._starts.append(len(records))
        self._steps.append(last + 1)
        for k, step in enumerate(self._steps[:-1]):
            size = self._starts[k + 1] - self._starts[k]
            if size > credit:
                raise CapacityError(
                    f"the inputs of step {step} take {size} bytes, the board holds {credit} ahead: "
                    "spread the spikes over more steps, or take a board with more memory"
                )
        self.sent = self.taken = 0

    @property
    def watermark(self) -> int:
        """The last step whose records have all been sent."""
        return self._steps[bisect_right(self._starts, self.sent) - 1] - 1

    @property
    def done(self) -> bool:
        """Whether everything was sent."""
        return self.sent == len(self._records)

    def next(self, size: int) -> bytes | None:
        """Payload of the next INPUT message of at most `size` bytes, or None while there is no credit."""
        room = min(size - 8, len(self._records) - self.sent, self._credit - (self.sent - self.taken))
        if room <= 0:
            return None
        piece = self._records[self.sent : self.sent + room]
        self.sent += room
        ahead = min(room, self.sent - self._starts[bisect_right(self._starts, self.sent) - 1])
        return struct.pack("<IHH", self.watermark, ahead, 0) + piece


def _steps(records: bytes, first: int, last: int) -> tuple[list[int], list[int]]:
    starts: list[int] = []
    steps: list[int] = []
    at, end, before = 0, len(records), -1
    while at < end:
        size = -1
        if end - at >= _HEADER.size:
            step, _, kind, _, _, count, _ = _HEADER.unpack_from(records, at)
            size = record_size(kind, count)
        if size < 0 or size > end - at:
            raise ValidationError(f"input records: no whole record of known format at byte {at} of {end}")
        if step != before:
            if not first <= step <= last or step < before:
                raise ValidationError(
                    f"input records: step {step} after step {before}; they must rise within {first}..{last}"
                )
            starts.append(at)
            steps.append(step)
            before = step
        at += size
    return starts, steps
