"""Bytes from the other end are hostile: every length is checked before it is used, on the board and on the host.

``python -m tests.mcu.test_hostile [EXECUTIONS]`` fuzzes the host for longer (a million by default).
"""

from __future__ import annotations

import contextlib
import ctypes
import random
import struct
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from neuromorph.crc import crc32c
from neuromorph.errors import NeuromorphError
from neuromorph_mcu import cobs
from neuromorph_mcu.client import Client, Refused
from neuromorph_mcu.frames import Frame, LinkType, Nak, Splitter, encode
from neuromorph_mcu.link import HostLink
from neuromorph_mcu.messages import Code, Kind

if TYPE_CHECKING:
    from tests.mcu.conftest import BoardPort, Kit

HELLO = struct.pack("<4BHHBB2x6I8x16s16s16s16s4x", 1, 1, 1, 1, 1, 256, 4, 0, 1, 9000, 2048, 600, 0, 0, *[b"x" * 16] * 4)
POOL, CREDIT, PAYLOAD = 32768, 2048, 256  # tests/mcu/board.c, link.h


def sizes(most: int, width: int = 32) -> list[int]:
    """The sizes that go wrong: 0, 1, the most, one more, and the ends of the integers."""
    return sorted({n for n in (0, 1, most, most + 1, 0xFFFF, 1 << 31, 0xFFFFFFFF) if n < 1 << width})


# ------------------------------------------------------------------------------------------ to the board


def answer_to(port: BoardPort, wire: bytes) -> list[Frame]:
    """What the board says within 30 ms."""
    port.write(wire)
    splitter = Splitter()
    frames: list[Frame] = []
    for _ in range(30):
        port.tick()
        frames += splitter.feed(port.from_board)
        port.from_board = b""
    return frames


def raw(kind: int, length: int, payload: bytes, seq: int = 0) -> bytes:
    """A frame whose length field may lie; its checksum is right."""
    body = struct.pack("<BBBBHH", 0x10, kind, seq, 0, 7, length) + payload
    return b"\0" + cobs.encode(body + struct.pack("<I", crc32c(body))) + b"\0"


@pytest.fixture
def open_board(kit: Kit) -> BoardPort:
    """A board with session 7."""
    port = kit.board()
    answer_to(port, encode(Frame(LinkType.HELLO_REQ, 0, 0, 7, struct.pack("<BBHB15x", 1, 1, 512, 16))))
    return port


@pytest.mark.parametrize("length", sizes(PAYLOAD, 16))
def test_a_length_field_that_lies_is_refused(open_board: BoardPort, length: int) -> None:
    for payload in (b"", bytes(PAYLOAD)):
        if length == len(payload):
            continue
        (frame,) = answer_to(open_board, raw(Kind.GET_STATUS, length, payload))
        assert (frame.type, frame.payload) == (LinkType.NAK, bytes((Nak.LENGTH, Kind.GET_STATUS, 0)))


def test_the_largest_payload_is_taken_and_one_more_is_not(open_board: BoardPort) -> None:
    (refused,) = answer_to(open_board, raw(Kind.GET_STATUS, PAYLOAD + 1, bytes(PAYLOAD + 1)))
    assert refused.type != Kind.STATUS
    answers = answer_to(open_board, raw(Kind.GET_STATUS, PAYLOAD, bytes(PAYLOAD)))
    assert Kind.STATUS in [frame.type for frame in answers]


def refusal(client: Client, kind: Kind, payload: bytes, answer: Kind = Kind.OK) -> int | None:
    """The code of ERROR, or None."""
    try:
        client._ask(kind, payload, answer)
    except Refused as refused:
        return refused.answer.code
    return None


@pytest.mark.parametrize("length", sizes(POOL))
def test_lengths_of_stage(kit: Kit, length: int) -> None:
    client = kit.connect(kit.board())
    assert refusal(client, Kind.STAGE, struct.pack("<I32s", length, b"k" * 32)) == (
        None if length <= POOL else Code.CAPACITY
    )


@pytest.mark.parametrize("offset", sizes(500))
def test_offsets_of_data_are_taken_only_in_order(kit: Kit, offset: int) -> None:
    client = kit.connect(kit.board())
    key = struct.pack("<I32s", 500, b"k" * 32)
    client._ask(Kind.STAGE, key)
    client._send(Kind.DATA, struct.pack("<I", offset) + b"x")
    assert client._ask(Kind.STAGE, key)[4:] == struct.pack("<I", 1 if offset == 0 else 0)


@pytest.mark.parametrize("first", sizes(2499))
@pytest.mark.parametrize("count", sizes(2500))
def test_ranges_of_read_and_write(kit: Kit, first: int, count: int) -> None:
    client = kit.connect(kit.board())
    client.upload(kit.image())
    inside = first + count <= 2500
    if not (inside and count):
        assert refusal(client, Kind.READ, struct.pack("<HHII", 0, 0, first, count)) == Code.ARGUMENT
    else:
        assert len(client.read(0, first, count)) == 2 * count
    if 0 < count <= 2501:
        client._stage(bytes(2 * count), bytes(32))
        assert refusal(client, Kind.WRITE, struct.pack("<HHI", 0, 0, first)) == (None if inside else Code.ARGUMENT)


@pytest.mark.parametrize("item", sizes(0, 16))
def test_items_that_do_not_exist(kit: Kit, item: int) -> None:
    client = kit.connect(kit.board())
    client.upload(kit.image())
    if item:
        assert refusal(client, Kind.READ, struct.pack("<HHII", item, 0, 0, 1)) == Code.ARGUMENT


@pytest.mark.parametrize("steps", sizes(0xFFFFFFFF - 7))
def test_steps_of_run(kit: Kit, steps: int) -> None:
    client = kit.connect(kit.board())
    client.upload(kit.image())
    client.seek(7)
    allowed = 0 < steps <= 0xFFFFFFFF - 7
    client._send(Kind.RUN, struct.pack("<IIB3x", steps, 0, 0))  # and no inputs: it waits, or says no
    if allowed:
        client.stop()
        assert client.status().step == 7
    else:
        with pytest.raises(Refused) as caught:
            client._receive("the answer", Kind.PROGRESS)
        assert caught.value.answer.code == Code.ARGUMENT


@pytest.mark.parametrize("ahead", sizes(10, 16))
def test_bytes_ahead_of_an_input(kit: Kit, ahead: int) -> None:
    client = kit.connect(kit.board())
    client.upload(kit.image())
    client._send(Kind.RUN, struct.pack("<IIB3x", 9, 0, 0))
    client._send(Kind.INPUT, struct.pack("<IHH", 0, ahead, 0) + bytes(10))
    if ahead > 10:
        with pytest.raises(Refused) as caught:
            client._receive("the answer")
        assert caught.value.answer.code == Code.CREDIT
    client.stop()
    assert client.status().step == 0


@pytest.mark.parametrize("count", [*sizes(8, 16), 6])
def test_counts_of_input_records(kit: Kit, count: int) -> None:
    """A record that says more values than were sent for its step is no record."""
    client = kit.connect(kit.board())
    client.upload(kit.image())
    client._send(Kind.RUN, struct.pack("<IIB3x", 3, 0, 0))
    record = struct.pack("<IHBBIHH", 1, 0, 0, 0, 0, count, 0) + bytes(16)
    client._send(Kind.INPUT, struct.pack("<IHH", 3, 0, 0) + record)
    got: list[int] = []
    with contextlib.suppress(Refused):  # also fewer are refused: what follows is a record of step 0
        while Kind.PROGRESS not in got:
            got.append(client._receive("the end", Kind.PROGRESS, Kind.TRACE)[0])
    assert (Kind.PROGRESS in got) == (count == 8)
    assert client.status().step == (3 if count == 8 else 0)


def test_more_input_than_credit_is_refused(kit: Kit) -> None:
    client = kit.connect(kit.board())
    client.upload(kit.image())
    client._send(Kind.RUN, struct.pack("<IIB3x", 9, 0, 0))
    for size in [240] * (CREDIT // 240) + [CREDIT % 240, 1]:
        client._send(Kind.INPUT, struct.pack("<IHH", 0, 0, 0) + bytes(size))
    with pytest.raises(Refused) as caught:
        client._receive("the answer")
    assert (caught.value.answer.code, caught.value.answer.a, caught.value.answer.b) == (Code.CREDIT, 1, 0)


# ------------------------------------------------------------------------------------------ C and Python agree


def test_both_decoders_take_the_same_frames(library: Callable[[], ctypes.CDLL]) -> None:
    """Damaged and crafted frames: the board counts them as the host does."""
    lib, rng = library(), random.Random(11)
    lib.board_start(1)
    names = ("frames_in", "crc_err", "cobs_err", "overlong")
    counts = (ctypes.c_uint32 * 4)()
    for k in range(2000):
        kind = rng.choice((3, 4, 5, rng.randrange(256)))
        payload = rng.randbytes(rng.choice((0, 3, 250)))
        wire = bytearray(encode(Frame(kind, rng.randrange(256), 0, rng.choice((7, 9)), payload)))
        for _ in range(rng.choice((0, 0, 1, 3))):
            at = rng.randrange(len(wire))
            wire[at : at + rng.randrange(2)] = rng.randbytes(rng.randrange(3))
        if k % 50 == 0:
            wire += rng.randbytes(700).replace(b"\0", b"\1")
        lib.board_start(1)
        lib.board_receive(bytes(wire) + b"\0", len(wire) + 1, k)
        splitter = Splitter(256)
        found = len(list(splitter.feed(bytes(wire) + b"\0")))
        lib.board_counters(counts)
        assert dict(zip(names, counts, strict=True)) == {
            "frames_in": found, "crc_err": splitter.crc_err, "cobs_err": splitter.cobs_err,
            "overlong": splitter.overlong,
        }, wire.hex()  # fmt: skip


# ------------------------------------------------------------------------------------------ to the host


class EvilPort:
    """A board that answers each HELLO, and everything else with frames that a fuzzer made."""

    def __init__(self, seed: int) -> None:
        self.rng, self.millis = random.Random(seed), 0
        self._out = b""
        self._splitter = Splitter()
        self._session = self._seq = self._ack = 0

    def clock(self) -> float:
        return self.millis / 1000

    @property
    def in_waiting(self) -> int:
        return len(self._out)

    def write(self, data: bytes) -> int:
        for frame in self._splitter.feed(data):
            self._session = frame.session
            if frame.type == LinkType.HELLO_REQ:
                hello = HELLO if self.rng.random() < 0.95 else self.mangled(HELLO)
                self._out += encode(Frame(LinkType.HELLO, 0, 0, self._session, hello))
                continue
            if frame.type >= 16:
                self._ack = (frame.seq + 1) % 256
            for _ in range(self.rng.randrange(3)):
                self._out += self.evil()
        return len(data)

    def mangled(self, payload: bytes) -> bytes:
        """Cut, grown or with some bytes changed."""
        out = bytearray(payload)
        for _ in range(self.rng.randrange(4)):
            if out:
                out[self.rng.randrange(len(out))] = self.rng.choice((0, 1, 127, 128, 255, self.rng.randrange(256)))
        return bytes(out[: self.rng.randrange(len(out) + 1)]) if self.rng.random() < 0.3 else bytes(out)

    def evil(self) -> bytes:
        """A frame of plausible form with hostile content."""
        rng = self.rng
        kind = rng.choice((*Kind, *Kind, *LinkType, rng.randrange(256)))
        number = struct.pack("<I", rng.choice((0, 1, 5, 0x7FFFFFFF, 0xFFFFFFFF)))
        record = struct.pack("<IHBBIHH", 1, 0, 2, 0, 0, 9, 0)
        payload = self.mangled(rng.choice((bytes(64), number * 4, number * 9, bytes(4) + number, record, b"")))
        seq = self._seq if rng.random() < 0.9 else rng.randrange(256)
        self._seq = (self._seq + (kind >= 16)) % 256
        wire = encode(Frame(kind, seq, self._ack, self._session if rng.random() < 0.97 else 9, payload[:512]))
        return wire if rng.random() < 0.95 else self.mangled(wire)

    def read(self, size: int = 1) -> bytes:
        self.millis += 20
        if self.millis > 100_000:
            raise OSError("pulled the plug")  # a run may go on as long as its board says that it does
        data, self._out = self._out[:size], self._out[size:]
        return data

    def close(self) -> None:
        pass


def talk(seed: int) -> int:
    """One conversation with a hostile board: it ends soon, with an error of ours or none."""
    port = EvilPort(seed)
    requests = 0
    try:
        client = Client(port, "evil", seed=seed)
        for _ in range(6):
            requests += 1
            action = port.rng.randrange(6)
            try:
                if action == 0:
                    client.status()
                elif action == 1:
                    client.upload(bytes(900))
                elif action == 2:
                    client.read(0, 0, 5000)
                elif action == 3:
                    client.write(0, 0, bytes(300))
                elif action == 4:
                    client.run(50, b"", lambda _: None, period=port.rng.randrange(2))
                else:
                    client.counters()
            except Refused:
                continue
            if len(client._inbox) > 1000 or len(client._link._held) > 16:
                raise AssertionError("the host keeps more than it should")
    except NeuromorphError:
        pass
    if port.clock() > 120:
        raise AssertionError(f"seed {seed}: the host listened for {port.clock():.0f} s")
    return requests


@pytest.mark.parametrize("seed", range(0, 1000, 100))
def test_a_hostile_board_gets_only_our_errors(seed: int) -> None:
    assert sum(talk(seed + k) for k in range(100)) > 50


def feed_garbage(seed: int, executions: int) -> int:
    """Frames and bytes of a fuzzer straight into the host's link; how many messages came out."""
    rng, link, came = random.Random(seed), HostLink(7, 0.0), 0
    link.receive(encode(Frame(LinkType.HELLO, 0, 0, 7, HELLO)), 0.0)
    port = EvilPort(seed)
    port._session = 7
    now = 0.0
    for k in range(executions):
        now += 0.001
        if link.failure or k % 97 == 0:
            link = HostLink(7, now)
            link.receive(encode(Frame(LinkType.HELLO, 0, 0, 7, HELLO)), now)
            port._seq = 0
        if link.room:
            link.send(16 + k % 100, bytes(k % 40), now)
        came += len(link.receive(port.evil() if rng.random() < 0.9 else rng.randbytes(30), now))
        if len(link.transmit(now)) > 16 * 600 or len(link._held) > 16 or len(link._splitter._rest) > 700:
            raise AssertionError(f"seed {seed}, execution {k}: out of bounds")
    return came


def test_garbage_in_the_hosts_link_is_bounded() -> None:
    assert feed_garbage(1, 3000) > 300


if __name__ == "__main__":
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    done = 0
    while done < wanted:
        feed_garbage(done, 9 * 2000)
        done += 9 * 2000 + sum(talk(done + k) for k in range(400))
    print(f"{done} executions: nothing but errors of ours, everything bounded")
