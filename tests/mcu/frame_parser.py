"""The two parsers of frames, in C and in Python, on the same bytes: ``python -m tests.mcu.frame_parser [MEGABYTES]``.

Frames of all sizes, the too short and too long among them, with right and wrong lengths, are strung together; then
bytes are flipped, overwritten, dropped, doubled and put between, at rates drawn for each stretch, and pieces of noise
stand between them. Both must find the same frames, and drop all else for the same reason.
``tests/mcu/test_frame_parser.py`` does a megabyte.
"""

from __future__ import annotations

import ctypes
import sys
import tempfile
import time
from dataclasses import dataclass, fields
from itertools import zip_longest
from pathlib import Path

import numpy as np

from neuromorph_mcu import cobs
from neuromorph_mcu.checksum import crc32c
from neuromorph_mcu.frames import PAYLOAD_MAX, Frame, Splitter
from tests.mcu.soak import build

STRETCH = 1 << 20
"""Bytes, about, that get the same rates of errors."""
FRAMES = 400
"""Different ones in a stretch."""
LONGEST = 12 + PAYLOAD_MAX
RATES = (*(0.0,) * 6, 1e-4, 1e-3, 1e-2, 0.1)


@dataclass
class Parsed:
    """What both made of all bytes; `mislabelled` frames have the right checksum and the wrong length."""

    size: int = 0
    frames: int = 0
    crc_err: int = 0
    cobs_err: int = 0
    overlong: int = 0
    mislabelled: int = 0


def encoded(rng: np.random.Generator) -> bytes:
    """A frame with the right checksum, but otherwise of any content."""
    size = int(
        rng.choice((rng.integers(0, 40), rng.integers(0, LONGEST - 12), rng.integers(LONGEST - 20, LONGEST - 6)))
    )
    alphabet = ((0, 256), (0, 2), (254, 256), (1, 256))[int(rng.integers(4))]
    body = bytearray(rng.integers(*alphabet, size + 8, dtype=np.uint8).tobytes())
    if rng.random() < 0.9:
        body[6:8] = size.to_bytes(2, "little")
    return cobs.encode(bytes(body) + crc32c(bytes(body)).to_bytes(4, "little"))


def stretch(rng: np.random.Generator) -> bytes:
    """Such frames in any order, with errors in them."""
    frames = [encoded(rng) for _ in range(FRAMES)]
    noise = [
        rng.integers(0, int(rng.choice((2, 4, 256))), rng.integers(1, 1200), dtype=np.uint8).tobytes()
        for _ in range(20)
    ]
    picks = rng.integers(0, FRAMES + len(noise), STRETCH // 200)
    line = np.frombuffer(b"\0".join((frames + noise)[k] for k in picks), dtype=np.uint8).copy()
    flip, overwrite, drop, double, put = (line.size * rng.choice(RATES, 5)).astype(int)
    at = rng.integers(0, line.size, flip)
    line[at] ^= np.left_shift(1, rng.integers(0, 8, flip)).astype(np.uint8)
    line[rng.integers(0, line.size, overwrite)] = rng.choice(np.array((0, 0, 1, 255), np.uint8), overwrite)
    line = np.delete(line, rng.integers(0, line.size, drop))
    at = rng.integers(0, line.size, double)
    line = np.insert(line, at, line[at])
    line = np.insert(line, rng.integers(0, line.size, put), rng.integers(0, 256, put, dtype=np.uint8))
    return line.tobytes() + b"\0"


def frames_of(out: bytes) -> list[Frame]:
    """What the C parser wrote."""
    found, at = [], 0
    while at < len(out):
        size = int.from_bytes(out[at : at + 2], "little")
        body = out[at + 2 : at + 2 + size]
        number = int.from_bytes(body[4:6], "little")
        found.append(Frame(body[1], body[2], body[3], number, body[8:], body[0] & 15, body[0] >> 4))
        at += 2 + size
    return found


class Both:
    """The parsers; each gets the bytes in pieces of its own."""

    def __init__(self, library: ctypes.CDLL, seed: int) -> None:
        self.library, self.splitter, self.seed = library, Splitter(), seed
        self.parsed = Parsed()
        self._out = ctypes.create_string_buffer(4 * STRETCH)
        library.parser_start()

    def feed(self, data: bytes, rng: np.random.Generator) -> None:
        """Raises AssertionError with the seed where they differ."""
        ours: list[Frame] = []
        theirs = b""
        at = 0
        while at < len(data):
            piece = data[at : at + int(rng.integers(1, 8192))]
            ours += self.splitter.feed(piece)
            at += len(piece)
        half = int(rng.integers(len(data)))
        for piece in (data[:half], data[half:]):
            size = self.library.parser_run(piece, len(piece), self._out)
            theirs += ctypes.string_at(self._out, size)
        self.parsed.size += len(data)
        self._compare(ours, frames_of(theirs))

    def _compare(self, ours: list[Frame], theirs: list[Frame]) -> None:
        counts = (ctypes.c_uint32 * 5)()
        self.library.parser_counts(counts)
        all_frames, crc_err, cobs_err, overlong, mislabelled = counts
        self.parsed.frames += len(ours)
        here = (self.parsed.frames, self.splitter.crc_err, self.splitter.cobs_err, self.splitter.overlong)
        there = (all_frames - mislabelled, crc_err + mislabelled, cobs_err, overlong)
        if ours != theirs or here != there:
            pairs = enumerate(zip_longest(ours, theirs))
            first = next((item for item in pairs if item[1][0] != item[1][1]), "none")
            raise AssertionError(
                f"seed {self.seed}, within {self.parsed.size} bytes: Python {here}, C {there}; first that differs: "
                f"{first}"
            )
        self.parsed.crc_err, self.parsed.cobs_err, self.parsed.overlong = crc_err, cobs_err, overlong
        self.parsed.mislabelled = mislabelled


def compare(size: int, seed: int = 1) -> Parsed:
    """Both on so many bytes, or a few more."""
    rng = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as folder:
        both = Both(build(Path(folder), f"-DNM_LINK_PAYLOAD={PAYLOAD_MAX}u", source="parser"), seed)
        while both.parsed.size < size:
            both.feed(stretch(rng), rng)
    return both.parsed


def main() -> None:
    """Print what both agree on."""
    size = int(float(sys.argv[1]) * 1e6) if len(sys.argv) > 1 else 1_000_000_000
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    began = time.process_time()
    parsed = compare(size, seed)
    told = ", ".join(f"{getattr(parsed, f.name)} {f.name}" for f in fields(parsed) if f.name != "size")
    print(f"{parsed.size} bytes, seed {seed}: C and Python agree on {told}; {time.process_time() - began:.0f} s of CPU")


if __name__ == "__main__":
    main()
