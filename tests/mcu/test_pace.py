"""Who waits for whom: pace free waits for the host, pace real for nobody, and counts what the trace lacks."""

from __future__ import annotations

import contextlib
import struct
from typing import TYPE_CHECKING

import pytest

from neuromorph.errors import LinkError
from neuromorph.trace import Gap
from neuromorph_mcu.client import Client, Refused
from neuromorph_mcu.messages import Code, Kind, State
from neuromorph_mcu.records import RecordBuffer

if TYPE_CHECKING:
    from tests.mcu.conftest import BoardPort, Kit

MILLISECOND = 1000


def steps_of(records: bytes) -> list[int]:
    """Steps of the records of a chatty program, each of which must be whole."""
    assert len(records) % 64 == 0
    steps = [struct.unpack_from("<I", records, at)[0] for at in range(0, len(records), 64)]
    assert all(records[64 * k + 16 : 64 * k + 64] == bytes((step % 256,)) * 48 for k, step in enumerate(steps))
    return steps


@pytest.fixture
def board(kit: Kit) -> tuple[BoardPort, Client]:
    """A board with a program that makes 64 bytes in each step."""
    port = kit.board()
    client = kit.connect(port)
    client.upload(kit.image(chatty=True))
    return port, client


def test_pace_real_keeps_the_clock_and_loses_nothing_on_a_good_line(board: tuple[BoardPort, Client]) -> None:
    port, client = board
    out, start = bytearray(), port.clock()
    client.run(1000, b"", out.extend, period=MILLISECOND)
    assert steps_of(bytes(out)) == list(range(1, 1001))
    assert client.dropped == 0
    assert port.clock() - start == pytest.approx(1.0, abs=0.03)


def test_steps_shorter_than_the_clocks_tick(board: tuple[BoardPort, Client]) -> None:
    port, client = board
    out, start = bytearray(), port.clock()
    client.run(300, b"", out.extend, period=300)
    assert len(steps_of(bytes(out))) == 300
    assert port.clock() - start == pytest.approx(0.09, abs=0.03)


def test_a_slow_line_loses_records_but_no_step_and_counts_each(board: tuple[BoardPort, Client]) -> None:
    """The line carries 20 kB/s, the trace has 64 kB/s."""
    port, client = board
    port.change_line(rate=200_000)
    out, start = bytearray(), port.clock()
    progress: list[int] = []
    client.run(1000, b"", out.extend, progress.append, period=MILLISECOND)
    got = steps_of(bytes(out))
    assert got == sorted(set(got))
    assert 200 < len(got) < 800
    assert client.dropped == 1000 - len(got)
    assert port.clock() - start < 1.5  # what waited in the buffer still comes
    assert progress[-1] == client.status().step == 1000
    counters = client.counters()
    assert (counters["recorded"], counters["dropped"]) == (len(got), client.dropped)
    assert client.read(0, 0, 1) == struct.pack("<h", 1000)


def test_a_line_that_is_full_still_tells_of_progress(board: tuple[BoardPort, Client]) -> None:
    """Inputs depend on it: their credit comes back with it."""
    port, client = board
    port.change_line(rate=100_000)
    progress: list[int] = []
    client.run(3000, b"", lambda _: None, progress.append, period=MILLISECOND)
    assert max(b - a for a, b in zip([0, *progress], progress, strict=False)) < 1000
    assert client.dropped > 1500


def test_the_same_line_at_pace_free_loses_nothing(board: tuple[BoardPort, Client]) -> None:
    port, client = board
    port.change_line(rate=200_000)
    out, start = bytearray(), port.clock()
    client.run(1000, b"", out.extend)
    assert steps_of(bytes(out)) == list(range(1, 1001))
    assert port.clock() - start > 3  # 64 kB take that long


def test_gaps_are_told_where_they_are() -> None:
    """A record of format 7 says up to which step records are missing, and of how many steps since the run began."""
    record, later = (struct.pack("<IHBBIHH", step, 0, 2, 0, 0, 4, 0) + b"abcd" for step in (1, 5))
    gap = struct.pack("<IHBBIHH", 4, 0xFFFF, 7, 0, 3, 0, 0)
    buffer = RecordBuffer()
    buffer.feed(record + gap[:9])
    assert buffer.take() == record
    buffer.feed(gap[9:] + later)
    assert buffer.take() == later
    assert (buffer.dropped, buffer.gaps, len(buffer)) == (3, [Gap(2, 4, 3)], 0)


def test_a_gap_that_cannot_be_is_the_boards_fault() -> None:
    """More steps than lie between two records, or fewer than before."""
    gap = struct.pack("<IHBBIHH", 4, 0xFFFF, 7, 0, 5, 0, 0)
    for wrong in (gap, gap[:8] + bytes(8)):
        buffer = RecordBuffer()
        buffer.feed(wrong)
        with pytest.raises(LinkError, match=r"the board dropped \d of steps 1\.\.4"):
            buffer.take()


def test_inputs_that_come_late_are_dropped_and_counted(kit: Kit) -> None:
    port = kit.board()
    client = kit.connect(port)
    client.upload(kit.image())
    port.change_line(rate=40_000)  # 4 kB/s: those of the first steps arrive after them, the others in time
    steps = [*range(1, 41), *range(341, 401)]
    records = b"".join(struct.pack("<IHBBIHH", step, 0, 0, 0, 0, 8, 0) + bytes(16) for step in steps)
    out = bytearray()
    client.run(400, records, out.extend, period=5 * MILLISECOND)
    arrived = len(out) // 32
    assert 60 <= arrived < 100
    assert out.endswith(records[-60 * 32 :])
    assert client.counters()["late_inputs"] == 100 - arrived
    assert client.status().step == 400


def leave(client: Client, port: BoardPort, period: int, steps: int = 2000, millis: int = 300) -> set[int]:
    """Start a run, listen for a while, and die; steps whose records arrived."""
    pace = struct.pack("<B3xI", 1, period) if period else bytes(4)
    client._send(Kind.RUN, struct.pack("<II", steps, steps) + pace)
    end, trace = port.millis + millis, RecordBuffer()
    while port.millis < end:
        client._pump("nothing")
        for kind, payload in client._inbox:
            if kind == Kind.TRACE:
                trace.feed(payload)
        client._inbox.clear()
    return set(steps_of(trace.take()))


def test_a_run_at_pace_real_outlives_its_host(board: tuple[BoardPort, Client], kit: Kit) -> None:
    """The next session reads step, state and exactly how much of the trace it lacks."""
    port, client = board
    got = leave(client, port, MILLISECOND)
    for _ in range(1000):
        port.tick()
    second = kit.connect(port, seed=2)
    assert second.status().state == State.RUNNING
    with pytest.raises(Refused, match="READ: busy"):
        second.read(0, 0, 1)
    second.stop()
    status = second.status()
    assert status.state == State.IDLE
    assert 1250 < status.step < 1450
    assert second.read(0, 0, 1) == struct.pack("<h", status.step)
    counters = second.counters()
    assert counters["recorded"] + counters["dropped"] == status.step
    assert len(got) <= counters["recorded"]
    assert counters["board_lost"] + counters["board_replaced"] == 1
    out = bytearray()
    second.run(5, b"", out.extend)
    assert steps_of(bytes(out)) == list(range(status.step + 1, status.step + 6))


def test_a_run_at_pace_real_ends_by_itself_without_a_host(board: tuple[BoardPort, Client], kit: Kit) -> None:
    port, client = board
    leave(client, port, MILLISECOND, steps=1000)
    for _ in range(8000):
        port.tick()
    second = kit.connect(port, seed=2)
    assert (second.status().state, second.status().step) == (State.IDLE, 1000)
    counters = second.counters()
    assert counters["recorded"] + counters["dropped"] == 1000
    assert counters["board_lost"] == 1


@pytest.mark.parametrize("period", [MILLISECOND, 0], ids=["real", "free"])
def test_a_host_that_stalls_for_30_s(board: tuple[BoardPort, Client], kit: Kit, period: int) -> None:
    port, client = board
    port.change_line(stall_at=0.1, stall=30.0)
    with pytest.raises(LinkError, match="no byte from the board for 1 s"):
        client.run(20_000, b"", lambda _: None, period=period)
    for _ in range(32_000):
        port.tick()
    second = kit.connect(port, seed=2)
    status = second.status()
    if period:
        assert (status.state, status.step) == (State.IDLE, 20_000)
        counters = second.counters()
        assert counters["recorded"] + counters["dropped"] == 20_000
        assert counters["dropped"] > 19_000
    else:  # it did what its buffer had room for, and kept that
        assert status.state == State.IDLE
        assert 0 < status.step < 1000
    assert second.read(0, 0, 1) == struct.pack("<h", status.step & 0x7FFF)


@pytest.mark.parametrize("period", [MILLISECOND, 0], ids=["real", "free"])
def test_a_host_that_reads_a_byte_in_10_ms(board: tuple[BoardPort, Client], kit: Kit, period: int) -> None:
    port, client = board
    port.change_line(rate=1000)
    out = bytearray()
    with contextlib.suppress(LinkError):  # a line that slow may count as lost
        client.run(3000, b"", out.extend, period=period)
    port.change_line()
    for _ in range(6000):
        port.tick()
    second = kit.connect(port, seed=2)
    status, got = second.status(), steps_of(bytes(out))
    assert got == list(range(1, len(got) + 1)) or period
    if period:
        assert status.step == 3000
        counters = second.counters()
        assert counters["recorded"] + counters["dropped"] == 3000
        assert len(got) <= counters["recorded"]
    assert second.read(0, 0, 1) == struct.pack("<h", status.step)


@pytest.mark.parametrize("period", [MILLISECOND, 0], ids=["real", "free"])
def test_a_port_that_is_closed_in_mid_run(board: tuple[BoardPort, Client], kit: Kit, period: int) -> None:
    """Nothing is read or written any more; the board's bytes go nowhere."""
    port, client = board
    got = leave(client, port, period, steps=3000, millis=20)
    port.silent = True
    for _ in range(7000):
        port.tick()
    port.silent = False
    second = kit.connect(port, seed=2)
    status = second.status()
    assert status.state == State.IDLE
    assert status.step == 3000 if period else len(got) <= status.step < 3000
    assert second.read(0, 0, 1) == struct.pack("<h", status.step)


@pytest.mark.parametrize(
    "pace", [struct.pack("<B3x", 1), struct.pack("<B3xI", 1, 0), struct.pack("<B3xI", 1, 2_000_000_000), b"\2\0\0\0"]
)
def test_a_pace_that_cannot_be_is_refused(board: tuple[BoardPort, Client], pace: bytes) -> None:
    _, client = board
    client._send(Kind.RUN, struct.pack("<II", 5, 5) + pace)
    with pytest.raises(Refused) as caught:
        client._receive("the answer", Kind.PROGRESS)
    assert caught.value.answer.code == Code.ARGUMENT
