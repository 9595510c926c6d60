"""Both ends of the link against each other: the firmware's C and the package's Python, on a line with faults."""

from __future__ import annotations

import struct
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from neuromorph.errors import LinkError
from neuromorph_mcu.client import Refused
from neuromorph_mcu.frames import Frame, LinkType, Nak, Splitter, encode
from neuromorph_mcu.link import HostLink
from neuromorph_mcu.messages import Code, Kind

if TYPE_CHECKING:
    from tests.mcu.conftest import BoardPort, Kit

FAULTS = ("drop", "corrupt", "duplicate", "insert")


def frames_from(port: BoardPort, *frames: Frame, wait: int = 30) -> list[Frame]:
    """What the board answers to frames within some milliseconds."""
    port.write(b"".join(map(encode, frames)))
    splitter = Splitter()
    answer: list[Frame] = []
    for _ in range(wait):
        port.tick()
        answer += splitter.feed(port.from_board)
        port.from_board = b""
    return answer


def hello(session: int = 7, major: int = 1, payload: int = 512, window: int = 8) -> Frame:
    return Frame(LinkType.HELLO_REQ, 0, 0, session, struct.pack("<BBHB15x", major, 0, payload, window), major=major)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", FAULTS)
def test_streams_survive_faults_of_one_kind(kit: Kit, kind: str, seed: int) -> None:
    """One byte in 1000 is hit: an image goes up, inputs in, traces out, exactly once and in order."""
    port = kit.board(seed, **{kind: 1e-3})
    client = kit.connect(port)
    client.upload(kit.image(8000, seed))
    records = kit.spikes(200, seed)
    assert kit.run(client, 200, records) == records
    counters = client.counters()
    assert counters["host_retransmits"] + counters["board_retransmits"] > 0
    assert port.clock() < 60


@pytest.mark.parametrize("seed", range(4))
def test_streams_survive_all_faults_together(kit: Kit, seed: int) -> None:
    port = kit.board(seed, drop=5e-4, corrupt=5e-4, duplicate=5e-4, insert=5e-4)
    client = kit.connect(port)
    client.upload(kit.image(4000, seed))
    records = kit.spikes(150, seed)
    assert kit.run(client, 150, records) == records


def test_numbers_wrap_around(kit: Kit) -> None:
    """More messages than sequence numbers, with losses on the way."""
    client = kit.connect(kit.board(5, drop=3e-4))
    client.upload(kit.image())
    for value in range(600):
        client.seek(value)
    assert client.status().step == 599


def test_a_clean_line_repeats_nothing(kit: Kit) -> None:
    client = kit.connect(kit.board())
    client.upload(kit.image(8000))
    client.run(100, kit.spikes(100), lambda _: None)
    counters = client.counters()
    trouble = ("retransmits", "duplicates", "out_of_order", "crc_err", "cobs_err", "overlong", "gap")
    assert not any(counters[f"{end}_{name}"] for end in ("host", "board") for name in trouble)


def report(seq: int, ack: int, here: tuple[int, ...] = (), credit: int = 4) -> Frame:
    """An ACK: everything before `ack` has arrived, and the messages `here` behind it."""
    mask = sum(1 << (number - ack - 1) for number in here)
    return Frame(LinkType.ACK, seq, ack, 7, struct.pack("<HBx", mask, credit))


def test_a_message_behind_a_gap_is_kept_and_the_missing_one_asked_for(kit: Kit) -> None:
    port = kit.board()
    frames_from(port, hello())
    later = [Frame(Kind.SEEK, seq, 0, 7, bytes(4)) for seq in (1, 3)]
    assert frames_from(port, *later, wait=2) == [report(0, 0, here=(1, 3))]
    answer = frames_from(port, Frame(Kind.GET_STATUS, 0, 0, 7), wait=2)
    assert [(f.type, f.seq, f.ack) for f in answer] == [
        (LinkType.ACK, 2, 2), (Kind.STATUS, 0, 2), (Kind.ERROR, 1, 2),
    ]  # fmt: skip
    assert answer[0] == report(2, 2, here=(3,))


def test_only_what_is_missing_is_sent_again(kit: Kit) -> None:
    """Of four messages the second is lost: the report makes the board send that one at once, and no other."""
    port = kit.board()
    frames_from(port, hello())
    sent = frames_from(port, *[Frame(Kind.GET_STATUS, seq, 0, 7) for seq in range(4)], wait=8)
    assert [f.seq for f in sent if f.type == Kind.STATUS] == [0, 1, 2, 3]
    again = frames_from(port, report(4, 1, here=(2, 3)), wait=2)
    assert [(f.type, f.seq) for f in again] == [(Kind.STATUS, 1)]
    assert frames_from(port, report(4, 4), wait=100) == []


def test_a_host_that_takes_nothing_gets_nothing(kit: Kit) -> None:
    """Credit 0: what is queued waits; with credit again it comes."""
    port = kit.board()
    frames_from(port, hello(), report(0, 0, credit=0))
    assert [f.type for f in frames_from(port, Frame(Kind.GET_STATUS, 0, 0, 7), wait=45)] == [LinkType.ACK]
    assert [f.type for f in frames_from(port, report(1, 0, credit=1), wait=2)] == [Kind.STATUS]


def test_credit_that_was_never_told_is_tried(kit: Kit) -> None:
    """The report that there is room again may be lost: after the timer one message goes out, not the whole window."""
    port = kit.board()
    frames_from(port, hello(), report(0, 0, credit=0))
    requests = [Frame(Kind.GET_STATUS, seq, 0, 7) for seq in range(3)]
    answer = [f for request in requests for f in frames_from(port, request, wait=2)]
    assert {f.type for f in answer} == {LinkType.ACK}
    assert [(f.type, f.seq) for f in frames_from(port, wait=60)] == [(Kind.STATUS, 0)]


def test_a_busy_board_says_how_much_it_takes(kit: Kit) -> None:
    """One answer waits at a time: requests behind it stay on the board, and credit tells how many more it can hold."""
    port = kit.board()
    frames_from(port, hello(), report(0, 0, credit=0))
    answers = [frames_from(port, Frame(Kind.GET_STATUS, seq, 0, 7), wait=2) for seq in range(8)]
    # Four answers fill the board's window, a fifth waits; the three requests behind it leave one place.
    assert [answer[-1].payload[2] for answer in answers] == [4, 4, 4, 4, 4, 3, 2, 1]
    got = [f for f in frames_from(port, report(8, 0, credit=4), wait=20) if f.type == Kind.STATUS]
    got += [f for f in frames_from(port, report(8, 4, credit=4), wait=20) if f.type == Kind.STATUS]
    assert [f.seq for f in got] == list(range(8))


def test_unacknowledged_messages_come_again_ever_slower_until_the_session_is_lost(kit: Kit) -> None:
    port = kit.board()
    frames_from(port, hello())
    times = []
    port.write(encode(Frame(Kind.GET_STATUS, 0, 0, 7)))
    splitter = Splitter()
    for _ in range(6000):
        port.tick()
        times += [port.millis for f in splitter.feed(port.from_board) if f.type == Kind.STATUS]
        port.from_board = b""
    gaps = [b - a for a, b in pairwise(times)]
    assert gaps == [50, 100, 200, *[250] * 18]  # the next would be after the 5 s
    assert frames_from(port, Frame(LinkType.ACK, 0, 1, 7))[0].type == LinkType.RESET


def test_hello_of_the_same_session_restarts_nothing(kit: Kit) -> None:
    port = kit.board()
    frames_from(port, hello())
    frames_from(port, Frame(Kind.GET_STATUS, 0, 0, 7), wait=2)
    (again,) = frames_from(port, Frame(LinkType.HELLO_REQ, 1, 1, 7, hello().payload), wait=2)
    assert (again.type, again.seq, again.ack) == (LinkType.HELLO, 1, 1)


def test_the_smaller_limits_of_both_ends_hold(kit: Kit) -> None:
    port = kit.board()
    small = hello(payload=128, window=2)
    link = HostLink(7, 0.0, window=2, payload_max=128)
    link.receive(b"".join(map(encode, frames_from(port, small, wait=2))), 0.0)
    assert (link.window, link.payload_max) == (2, 128)
    (answer,) = frames_from(port, Frame(Kind.INPUT, 0, 0, 7, bytes(129)), wait=2)
    assert (answer.type, answer.payload[0]) == (LinkType.NAK, Nak.LENGTH)


@pytest.mark.parametrize(
    ("frame", "kind", "payload"),
    [
        (Frame(9, 0, 0, 7), LinkType.NAK, bytes((Nak.UNSUPPORTED, 9, 0))),
        (Frame(16, 4, 0, 7, major=2), LinkType.NAK, bytes((Nak.VERSION, 16, 4))),
        (Frame(16, 0, 0, 99), LinkType.RESET, struct.pack("<I", 1)),
        (Frame(16, 0, 0, 0), LinkType.RESET, struct.pack("<I", 1)),
        (Frame(200, 0, 0, 7), Kind.ERROR, struct.pack("<BbHII", 200, Code.UNSUPPORTED, 0, 0, 0)),
        (Frame(50, 0, 0, 7), Kind.ERROR, struct.pack("<BbHII", 50, Code.UNSUPPORTED, 0, 0, 0)),
        (Frame(Kind.READ, 0, 0, 7, b"abc"), Kind.ERROR, struct.pack("<BbHII", Kind.READ, Code.MESSAGE, 0, 3, 12)),
        (Frame(Kind.RUN, 0, 0, 7, bytes(12)), Kind.ERROR, struct.pack("<BbHII", Kind.RUN, Code.PROGRAM, 0, 0, 0)),
        (Frame(LinkType.HELLO_REQ, 0, 0, 5, b"\1"), LinkType.NAK, bytes((Nak.LENGTH, 1, 0))),
    ],
    ids=["link type", "version", "session", "no session", "message", "gap in messages", "short", "no program", "hello"],
)
def test_nothing_is_refused_in_silence(kit: Kit, frame: Frame, kind: int, payload: bytes) -> None:
    port = kit.board()
    frames_from(port, hello())
    answer = next(f for f in frames_from(port, frame, wait=20) if f.type != LinkType.ACK)
    assert (answer.type, answer.payload) == (kind, payload)


def test_another_major_version_is_told_ours_and_given_up(kit: Kit) -> None:
    port = kit.board()
    (answer,) = frames_from(port, hello(major=2), wait=3)
    assert answer.type == LinkType.HELLO
    assert answer.payload[0] == 1
    assert frames_from(port, Frame(16, 0, 0, 7), wait=3)[0].type == LinkType.RESET  # no session was opened
    link = HostLink(7, 0.0)
    link.receive(encode(Frame(LinkType.HELLO, 0, 0, 7, b"\2" + bytes(111))), 0.0)
    assert "protocol 2" in link.failure


def test_complaints_are_rare(kit: Kit) -> None:
    """Garbage with a right checksum cannot make the board flood the line."""
    port = kit.board()
    answer = frames_from(port, *[Frame(9, 0, 0, 1)] * 500, wait=100)
    assert 1 <= len(answer) <= 11


def test_hello_is_at_most_four_times_its_request(kit: Kit) -> None:
    port = kit.board()
    (answer,) = frames_from(port, hello(), wait=3)
    assert len(encode(answer)) <= 4 * len(encode(hello()))


@pytest.mark.parametrize("seed", range(20))
def test_garbage_leaves_the_board_ready(kit: Kit, seed: int) -> None:
    """Random bytes, and whole frames of random content, then an ordinary session."""
    port = kit.board(seed)
    rng = port.rng
    frames_from(port, hello())
    for seq in range(60):
        port.write(rng.randbytes(rng.randrange(80)))
        payload = rng.randbytes(rng.choice((0, 3, 8, 12, 40, 512)))
        kind = rng.choice((rng.randrange(256), rng.randrange(16, 34)))
        frames_from(port, Frame(kind, seq if rng.random() < 0.9 else rng.randrange(256), 0, 7, payload), wait=2)
    client = kit.connect(port, seed)
    client.unload()
    client.upload(kit.image())
    records = kit.spikes(20)
    assert kit.run(client, 20, records) == records


def test_a_silent_board_is_given_up_with_what_was_waited_for(kit: Kit) -> None:
    port = kit.board()
    port.silent = True
    with pytest.raises(
        LinkError, match=r"no answer to HELLO within 5 s \(.*baud rate\?\), while waiting for its HELLO"
    ):
        kit.connect(port)
    assert port.clock() < 6


def test_a_board_that_falls_silent_is_given_up(kit: Kit) -> None:
    port = kit.board()
    client = kit.connect(port)
    client.upload(kit.image())
    port.silent = True
    start = port.clock()
    with pytest.raises(LinkError, match="no byte from the board for 1 s, while waiting for its answer to GET_STATUS"):
        client.status()
    assert port.clock() - start < 1.1


def test_a_busy_host_is_no_silent_board(kit: Kit) -> None:
    """Time that passes between calls counts for nobody."""
    port = kit.board()
    client = kit.connect(port)
    port.millis += 60_000
    assert client.status().step == 0


def test_a_second_host_takes_the_board_over(kit: Kit) -> None:
    port = kit.board()
    first = kit.connect(port, 1)
    first.upload(kit.image())
    second = kit.connect(port, 2)
    assert second.status().digest == kit.image()[64:96]
    with pytest.raises(LinkError, match="reset, or dropped the session"):
        first.status()


def test_requests_while_it_runs_are_refused(kit: Kit) -> None:
    port = kit.board()
    client = kit.connect(port)
    client.upload(kit.image())
    client._send(Kind.RUN, struct.pack("<IIB3x", 10, 5, 0))  # and no inputs for steps 6..10
    with pytest.raises(Refused, match="SEEK: busy"):
        client.seek(3)


def test_uploads_and_traces_use_the_line(kit: Kit) -> None:
    """At 921600 baud, bytes of the image and of the trace, without all framing, over what the line could carry."""
    rate = 921_600
    port = kit.board(rate=rate)
    client = kit.connect(port)
    image = kit.image(16_000, chatty=True)
    begin = port.clock()
    client.upload(image)
    upload = len(image) * 10 / rate / (port.clock() - begin)
    begin, out = port.clock(), bytearray()
    client.run(1000, b"", out.extend)
    trace = len(out) * 10 / rate / (port.clock() - begin)
    assert len(out) == 64_000
    assert upload > 0.8
    assert trace > 0.8
