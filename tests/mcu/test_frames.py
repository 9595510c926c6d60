"""The frame: its bytes are frozen, its checksum is CRC-32C, damage is dropped and counted."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from cobs import cobs as oracle
from crc import Calculator, Configuration
from hypothesis import given
from hypothesis import strategies as st

from neuromorph.crc import crc32c
from neuromorph.errors import TargetError
from neuromorph_cpu import native
from neuromorph_mcu import checksum
from neuromorph_mcu.frames import Flag, Frame, Splitter, encode

CASTAGNOLI = Calculator(Configuration(32, 0x1EDC6F41, 0xFFFFFFFF, 0xFFFFFFFF, True, True))


@given(st.binary(max_size=600))
def test_checksum_is_crc32c(data: bytes) -> None:
    assert crc32c(data) == CASTAGNOLI.checksum(data)


@pytest.fixture
def without_engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A computer for which the engine was not built."""

    def missing() -> None:
        raise TargetError("the engine's library was not built")

    monkeypatch.setattr(native, "library", missing)
    checksum._chosen.cache_clear()
    yield
    checksum._chosen.cache_clear()


@given(st.binary(max_size=600))
def test_frames_take_the_checksum_of_the_engine(data: bytes) -> None:
    assert checksum._chosen() is not crc32c, "on a busy line the one in Python is a fifth of a session's time"
    assert checksum.crc32c(data) == CASTAGNOLI.checksum(data)


@pytest.mark.usefixtures("without_engine")
def test_frames_need_no_engine() -> None:
    assert checksum._chosen() is crc32c
    assert checksum.crc32c(b"123456789") == 0xE3069283


def test_layout_is_frozen() -> None:
    """Written out by hand from the table in docs/link.md."""
    wire = encode(Frame(type=0x16, seq=3, ack=250, session=0xBEEF, payload=b"\x00\x11\x00", flags=Flag.PING))
    body = bytes((0x11, 0x16, 3, 250, 0xEF, 0xBE, 3, 0, 0x00, 0x11, 0x00))
    assert wire == b"\0" + oracle.encode(body + CASTAGNOLI.checksum(body).to_bytes(4, "little")) + b"\0"


@given(st.lists(st.binary(max_size=512), max_size=8), st.integers(1, 50))
def test_a_stream_in_any_pieces_gives_its_frames(payloads: list[bytes], size: int) -> None:
    frames = [Frame(16, k, 0, 1, payload) for k, payload in enumerate(payloads)]
    wire = b"".join(map(encode, frames))
    splitter = Splitter()
    assert [f for at in range(0, len(wire), size) for f in splitter.feed(wire[at : at + size])] == frames
    assert not splitter.pending


def test_any_few_wrong_bits_are_found() -> None:
    """CRC-32C finds every error of up to five bits in a frame of this size; the stuffing may only add to that."""
    rng, found = random.Random(3), 0
    for _ in range(1000):
        wire = bytearray(encode(Frame(16, 0, 0, 1, rng.randbytes(rng.randrange(513)))))
        for _ in range(rng.randrange(1, 6)):
            wire[rng.randrange(1, len(wire) - 1)] ^= 1 << rng.randrange(8)
        found += len(list(Splitter().feed(bytes(wire))))
    assert found <= 1  # bits that were flipped back


@pytest.mark.parametrize(
    ("wire", "counter"),
    [
        (b"\0\x05ab\0", "cobs_err"),
        (b"\0\x03ab\0", "crc_err"),
        (b"\0" + b"a" * 600 + b"\0", "overlong"),
        (b"\0" + oracle.encode(b"\x10\x10\0\0\x01\0\x05\0") + b"\0", "crc_err"),
    ],
    ids=["stuffing", "runt", "overlong", "no checksum"],
)
def test_damage_is_counted_and_the_next_frame_survives(wire: bytes, counter: str) -> None:
    splitter, frame = Splitter(), Frame(16, 0, 0, 1, b"good")
    assert list(splitter.feed(wire + encode(frame))) == [frame]
    assert {name: getattr(splitter, name) for name in ("cobs_err", "crc_err", "overlong")} == {
        "cobs_err": 0, "crc_err": 0, "overlong": 0, counter: 1,
    }  # fmt: skip


def test_an_endless_frame_takes_no_memory() -> None:
    splitter = Splitter()
    for _ in range(100):
        assert not list(splitter.feed(b"a" * 1000))
    assert len(splitter._rest) < 1000
    assert list(splitter.feed(encode(Frame(16, 0, 0, 1)))) == [Frame(16, 0, 0, 1)]
    assert splitter.overlong == 1
