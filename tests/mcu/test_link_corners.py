"""Corners of the board's link that ordinary sessions do not reach; `cover.py` counts its branches."""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from neuromorph.crc import crc32c
from neuromorph_mcu import cobs
from neuromorph_mcu.frames import Frame, LinkType, Nak, encode
from neuromorph_mcu.messages import Kind
from tests.mcu.test_link import frames_from, hello, report

if TYPE_CHECKING:
    from tests.mcu.conftest import BoardPort, Kit

NEVER = 0xFFFFFFFF


@pytest.fixture
def board(kit: Kit) -> BoardPort:
    """A board with session 7."""
    port = kit.board()
    frames_from(port, hello())
    return port


def waits(port: BoardPort) -> int:
    """Milliseconds that the board would sleep now."""
    return int(port.library.board_wait(ctypes.c_uint32(port.millis))) & NEVER


def test_a_message_that_is_held_already_is_a_duplicate(kit: Kit, board: BoardPort) -> None:
    frames_from(board, *[Frame(Kind.SEEK, 1, 0, 7, bytes(4))] * 3, wait=2)
    client = kit.connect(board, seed=5)
    assert client.counters()["board_duplicates"] == 2


@pytest.mark.parametrize("request_", [hello(session=0), hello(payload=127)], ids=["no session", "small payload"])
def test_a_greeting_that_cannot_be_is_refused(kit: Kit, request_: Frame) -> None:
    (answer,) = frames_from(kit.board(), request_, wait=15)
    assert (answer.type, answer.payload) == (LinkType.NAK, bytes((Nak.LENGTH, LinkType.HELLO_REQ, 0)))


def test_a_greeting_whose_length_lies_opens_nothing(kit: Kit) -> None:
    body = struct.pack("<BBBBHH", 0x10, LinkType.HELLO_REQ, 0, 0, 7, 21) + hello().payload
    port = kit.board()
    port.write(b"\0" + cobs.encode(body + struct.pack("<I", crc32c(body))) + b"\0")
    assert [f.type for f in frames_from(port)] == [LinkType.RESET]


def test_an_ack_without_a_report_acknowledges_all_the_same(board: BoardPort) -> None:
    """Whether it is empty or ends too early: the answer that it names is not sent again."""
    for seq, payload in enumerate((b"", bytes(3))):
        answer = frames_from(board, Frame(Kind.GET_STATUS, seq, seq, 7), wait=5)
        assert [f.type for f in answer] == [Kind.STATUS]
        assert frames_from(board, Frame(LinkType.ACK, seq + 1, seq + 1, 7, payload), wait=300) == []


def test_a_window_of_none_is_a_window_of_one(kit: Kit) -> None:
    port = kit.board()
    frames_from(port, hello(window=0))
    statuses = [f for f in frames_from(port, Frame(Kind.GET_STATUS, 1, 0, 7), wait=5) if f.type == Kind.STATUS]
    assert statuses == []  # message 1 is beyond the window
    assert [f.type for f in frames_from(port, Frame(Kind.GET_STATUS, 0, 0, 7), wait=2)] == [Kind.STATUS]


def test_a_host_may_close_its_session(kit: Kit, board: BoardPort) -> None:
    assert board.library.board_has_room() == 1
    assert frames_from(board, Frame(LinkType.RESET, 0, 0, 7)) == []
    assert board.library.board_has_room() == 0
    assert frames_from(board, Frame(Kind.GET_STATUS, 0, 0, 7))[0].type == LinkType.RESET
    assert kit.connect(board, seed=5).counters()["board_closed"] == 1


def test_a_refusal_by_the_host_is_counted(kit: Kit, board: BoardPort) -> None:
    assert frames_from(board, Frame(LinkType.NAK, 0, 0, 7, bytes(3))) == []
    assert kit.connect(board, seed=5).counters()["board_naks"] == 1


def test_an_acknowledgement_of_what_was_never_sent_is_no_round_trip(board: BoardPort) -> None:
    frames_from(board, report(0, 0, credit=0))
    frames_from(board, Frame(Kind.GET_STATUS, 0, 0, 7), wait=2)  # its answer waits for credit
    assert frames_from(board, report(1, 1, credit=4), wait=60) == []


def test_an_old_acknowledgement_changes_nothing(board: BoardPort) -> None:
    (status,) = frames_from(board, Frame(Kind.GET_STATUS, 0, 0, 7), wait=2)
    assert frames_from(board, report(1, 200), wait=2) == []
    (again,) = frames_from(board, wait=50)
    assert (again.type, again.seq) == (status.type, status.seq) == (Kind.STATUS, 0)


def test_the_board_sleeps_until_something_is_due(board: BoardPort) -> None:
    assert waits(board) == NEVER
    frames_from(board, Frame(Kind.GET_STATUS, 0, 0, 7), wait=3)
    assert 40 < waits(board) <= 50  # the answer again
    frames_from(board, report(1, 1), *[Frame(9, 0, 0, 7)], wait=1)  # a NAK at once
    board.write(encode(Frame(9, 0, 0, 7)))
    board.tick()
    assert 0 < waits(board) <= 10  # the next one a little later
    board.write(encode(Frame(16, 0, 0, 99)))
    board.tick()
    assert 0 < waits(board) <= 10  # so does a RESET
    board.millis += 100
    assert waits(board) == 0
    frames_from(board, wait=60)
    assert waits(board) == NEVER


def test_a_refusal_and_an_answer_are_due_at_different_times(board: BoardPort) -> None:
    frames_from(board, Frame(9, 0, 0, 7), wait=1)
    frames_from(board, Frame(9, 0, 0, 7), Frame(Kind.GET_STATUS, 0, 0, 7), wait=1)
    assert 0 < waits(board) <= 10


def test_a_board_without_a_session_sleeps(kit: Kit) -> None:
    assert waits(kit.board()) == NEVER


def test_a_long_clean_run_ends_with_the_largest_frames(kit: Kit) -> None:
    port = kit.board()
    client = kit.connect(port)
    client.upload(kit.image(chatty=True))
    out = bytearray()
    client.run(2500, b"", out.extend)
    assert len(out) == 2500 * 64
    assert client.counters()["board_retransmits"] == 0


def test_stuffing_of_full_groups_and_of_nothing(library: Callable[[], ctypes.CDLL]) -> None:
    lib, out = library(), ctypes.create_string_buffer(1000)
    full = bytes(range(1, 255))
    for data in (full, full * 2, full + b"\0", b""):
        size = lib.nm_cobs_encode(data, len(data), out)
        assert out.raw[:size] == cobs.encode(data)
    assert lib.nm_cobs_decode(b"", 0, out) == -1
