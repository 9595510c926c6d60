"""Items in canonical order, and the state file."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from crc import Calculator, Configuration

from neuromorph.crc import crc32c
from neuromorph.errors import ImageError, NeuromorphError, ValidationError
from neuromorph.files import read_file, write_atomic
from neuromorph.program import Program
from neuromorph.session import Session
from neuromorph.state import HEADER, State, items


@pytest.mark.parametrize("data", [b"", b"123456789", bytes(range(256)) * 3])
def test_crc32c_agrees_with_an_independent_one(data: bytes) -> None:
    castagnoli = Configuration(32, 0x1EDC6F41, 0xFFFFFFFF, 0xFFFFFFFF, reverse_input=True, reverse_output=True)
    assert crc32c(data) == Calculator(castagnoli).checksum(data)
    assert crc32c(data[5:], crc32c(data[:5])) == crc32c(data)


def test_items_come_in_the_order_of_the_format(program: Program) -> None:
    assert [(item.name, item.code, item.dtype.str, item.shape) for item in items(program)] == [
        ("cells.u", 1, "<i4", (4,)),
        ("cells.v", 2, "<i4", (4,)),
        ("cells.refr", 3, "<u2", (4,)),
        ("cells.theta", 4, "<i4", (4,)),
        ("cells.adapt", 5, "|u1", (1,)),
        ("syn.ring", 16, "<i4", (1, 4)),
        ("syn.w", 17, "<i2", (3, 4)),
        ("syn.x1", 20, "|u1", (3,)),
        ("syn.y1", 22, "|u1", (4,)),
        ("syn.tx", 25, "|u1", (3,)),
        ("syn.ty", 26, "|u1", (4,)),
        ("syn.plastic", 27, "|u1", (1,)),
        ("loop.ring", 16, "<i4", (3, 4)),
    ]


def test_a_state_file_has_the_bytes_of_the_specification(session: Session, program: Program) -> None:
    session.run(steps=7)
    raw = session.snapshot().to_bytes()
    magic, length, major, minor, total, semantics, count, step = struct.unpack_from("<4sHBBIHHI", raw)
    assert (magic, length, major, minor, total, semantics, count, step) == (b"NMS\x1a", 96, 1, 0, len(raw), 1, 13, 7)
    assert raw[32:64].hex() == program.digest
    assert np.frombuffer(raw, "<i4", 4, 96).tolist() == session.read("cells", "u").tolist()
    assert len(raw) == 96 + 16 + 16 + 8 + 16 + 4 + 16 + 24 + 4 + 4 + 4 + 4 + 4 + 48


def test_a_saved_state_comes_back_equal(session: Session, tmp_path: Path) -> None:
    session.run(steps=7)
    state = session.snapshot()
    state.save(tmp_path / "half.nms")
    assert State.load(tmp_path / "half.nms") == state


def damaged(raw: bytes, at: int) -> bytes:
    return raw[:at] + bytes([raw[at] ^ 0x55]) + raw[at + 1 :]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda _: b"", "magic"),
        (lambda raw: raw[: HEADER - 1], "magic"),
        (lambda raw: b"NMI\x1a" + raw[4:], "magic"),
        (lambda raw: raw[:-1], "truncated"),
        (lambda raw: raw + b"\0" * 8, "extended"),
        (lambda raw: raw[:6] + b"\x02" + raw[7:], "format 2.0"),
        (lambda raw: damaged(raw, 17), "checksum"),
        (lambda raw: damaged(raw, HEADER + 3), "hash"),
        (lambda raw: damaged(raw, HEADER - 1), "checksum"),
    ],
)
def test_a_damaged_state_is_refused(session: Session, change: Callable[[bytes], bytes], message: str) -> None:
    with pytest.raises(ImageError, match=message):
        State.from_bytes(change(session.snapshot().to_bytes()))


def test_every_single_damaged_byte_is_found(session: Session) -> None:
    raw = session.snapshot().to_bytes()
    for at in range(len(raw)):
        with pytest.raises(ImageError):
            State.from_bytes(damaged(raw, at))


def test_a_state_of_another_program_is_refused_and_changes_nothing(
    session: Session, make_program: Callable[..., Program], started: Callable[..., Session]
) -> None:
    session.run(steps=5)
    before = session.snapshot()
    other = started(make_program(seed=2))
    other.run(steps=9)
    with pytest.raises(ImageError, match="belongs to program"):
        session.restore(other.snapshot())
    assert session.snapshot() == before


@pytest.mark.parametrize(
    ("name", "index", "value", "message"),
    [
        ("syn.w", 1, -1, r"syn.w\[0, 1\] = -1 is outside 0..255"),
        ("syn.x1", 2, 128, r"syn.x1\[2\] = 128 is outside 0..127"),
        ("cells.refr", 0, 3, "outside 0..2"),
        ("cells.theta", 0, (1 << 30) + 1, "theta"),
        ("cells.v", 3, 1 << 23, "cells.v"),
        ("loop.ring", 5, 3, r"loop.ring\[1, 1\] = 3 is no multiple of 2, the unit of this projection's weights"),
    ],
)
def test_a_state_with_a_value_out_of_range_is_refused(
    session: Session, program: Program, name: str, index: int, value: int, message: str
) -> None:
    values = []
    for item, data in session.snapshot().split(program):
        array = item.decode(data)
        if item.name == name:
            array.flat[index] = value
        values.append(item.encode(array))
    with pytest.raises(ImageError, match=message):
        session.restore(State.of(program, 0, values))
    assert session.read("syn", "w").min() >= 0


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "kept.nms"
    write_atomic(path, b"old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(NeuromorphError, match="No space left"):
        write_atomic(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_files_that_cannot_be_read_or_written_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match=r"cannot read the state .*none.nms"):
        State.load(tmp_path / "none.nms")
    with pytest.raises(NeuromorphError, match="cannot write"):
        write_atomic(tmp_path / "no" / "dir.nms", b"")
    (tmp_path / "big").write_bytes(bytes(100))
    with pytest.raises(ValidationError, match="100 bytes are too large for a image, the limit is 99"):
        read_file(tmp_path / "big", "image", limit=99)
