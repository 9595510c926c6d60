"""Fault injection: seeded, replayed by its token, in virtual time or in front of any port."""

from __future__ import annotations

import random
from typing import Any
from urllib.parse import quote

import pytest

from neuromorph.errors import LinkError, TargetError
from neuromorph_mcu.faults import Faults, Line
from neuromorph_mcu.frames import Frame, Splitter, encode

DATA = random.Random(1).randbytes(100_000)


def through(faults: Faults, data: bytes = DATA, piece: int = 100) -> bytes:
    line = Line(faults, "up")
    for at in range(0, len(data), piece):
        line.put(data[at : at + piece], 0.0)
    return line.take(1e6)


def test_a_good_line_changes_nothing() -> None:
    assert through(Faults()) == DATA


@pytest.mark.parametrize(
    ("kind", "change"), [("corrupt", 0), ("drop", -1), ("duplicate", 1), ("insert", 1)], ids=lambda x: str(x)
)
def test_as_many_bytes_are_hit_as_asked_for(kind: str, change: int) -> None:
    line = Line(Faults(seed=5, **{kind: 0.01}), "up")  # type: ignore[arg-type]
    line.put(DATA, 0.0)
    got = line.take(0.0)
    assert 900 < line.hits < 1100  # 1000 +- 3 standard deviations
    assert len(got) - len(DATA) == change * line.hits
    assert got != DATA


def test_the_same_token_gives_the_same_faults_in_any_pieces() -> None:
    faults = Faults(seed=7, corrupt=0.001, drop=0.001, insert=0.001, duplicate=0.001)
    again = Faults.parse(faults.token)
    assert again == faults
    assert through(again, piece=7) == through(faults, piece=1000) != through(Faults.parse("seed=8&drop=0.001"))


def test_directions_have_faults_of_their_own() -> None:
    faults = Faults(drop=0.01)
    up, down = Line(faults, "up"), Line(faults, "down")
    for line in (up, down):
        line.put(DATA, 0.0)
    assert up.take(0.0) != down.take(0.0)


@pytest.mark.parametrize("bad", ["drop=2", "drop=0.6&insert=0.6", "loss=0.1", "drop=much", "drop"])
def test_options_that_cannot_be_are_refused(bad: str) -> None:
    with pytest.raises(ValueError, match=r"drop|loss|much|strict|bad query"):
        Faults.parse(bad)


def frames_through(now: float = 1.0, **faults: float) -> list[int]:
    """Numbers of the frames that come out of a line, of 0..99."""
    line = Line(Faults(seed=2, **faults), "up")  # type: ignore[arg-type]
    for seq in range(100):
        line.put(encode(Frame(16, seq, 0, 1, b"payload")), 0.0)
    early = line.take(0.0)
    return [frame.seq for frame in Splitter().feed(early + line.take(now))]


def test_frames_are_lost_doubled_late_and_swapped() -> None:
    assert 80 < len(frames_through(frame_drop=0.1)) < 97
    doubled = frames_through(frame_duplicate=0.1)
    assert sorted(set(doubled)) == list(range(100))
    assert len(doubled) > 103
    for kind in ("frame_delay", "frame_reorder"):
        got = frames_through(**{kind: 0.1})
        assert sorted(got)[:99] == list(range(99))
        assert got != sorted(got)
    assert len(frames_through(now=0.01, frame_delay=0.1)) < 97  # 20 ms late


def test_a_line_has_its_speed() -> None:
    line = Line(Faults(rate=10_000), "up")  # 1000 bytes per second
    line.put(bytes(5000), 0.0)
    assert [len(line.take(t)) for t in (0.5, 1.0, 3.0, 3.0005)] == [500, 500, 2000, 0]
    line.take(10.0)
    line.put(bytes(5000), 20.0)
    assert len(line.take(20.5)) == 500  # an idle line saves nothing up


def test_a_stall_keeps_everything() -> None:
    line = Line(Faults(stall_at=1.0, stall=30.0), "up", now=5.0)
    line.put(b"abc", 5.5)
    assert line.take(5.9) == b"abc"
    line.put(b"def", 6.5)
    assert line.take(35.9) == b""
    assert line.take(36.0) == b"def"


serial = pytest.importorskip("serial", reason="ports need pyserial: pip install 'neuromorph[mcu]'")


def loop(faults: str) -> Any:
    from neuromorph_mcu.ports import open_port

    return open_port(f"fault://?{faults}&url={quote('loop://')}")


def test_a_port_behind_a_bad_line() -> None:
    port = loop("seed=4&drop=0.01")
    assert port.replay == "fault://?seed=4&drop=0.01&url=loop%3A%2F%2F"
    port.write(DATA[:3000])
    got = port.read(3000)
    assert 2900 < len(got) < 3000
    there_and_back = Line(Faults(seed=4, drop=0.01), "down")
    there_and_back.put(through(Faults(seed=4, drop=0.01), DATA[:3000]), 0.0)
    assert got == there_and_back.take(0.0)
    port.close()
    with pytest.raises(serial.PortNotOpenError):
        port.write(b"x")


def test_a_line_that_breaks_says_what_replays_it() -> None:
    port = loop("seed=4&disconnect_at=100")
    port.write(bytes(100))
    with pytest.raises(serial.SerialException, match=r"broke after \d+ bytes, as fault://\?seed=4&disconnect_at=100"):
        port.read(1)


def test_a_fault_port_needs_a_port_and_known_faults() -> None:
    from neuromorph_mcu.ports import open_port

    with pytest.raises(TargetError, match="needs the port"):
        open_port("fault://?seed=1")
    with pytest.raises(TargetError, match="unknown fault 'loss'"):
        open_port("fault://?loss=1&url=loop://")


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("seed=x", "seed=x: must be a whole number"),
        ("disconnect_at=inf", "disconnect_at=inf: must be a whole number"),
        ("drop=some", "drop=some: must be a number"),
        ("drop=nan", "drop: probabilities lie in 0..1"),
        ("rate=-100", "rate=-100: a finite number from 0 on"),
        ("late=-3", "late=-3: a finite number from 0 on"),
        ("stall=inf", "stall=inf: a finite number from 0 on"),
    ],
)
def test_a_fault_that_cannot_be_is_refused_by_name(fault: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Faults.parse(fault)


def test_a_whole_program_over_a_bad_line() -> None:
    from neuromorph.testing.equality import disagreement, random_case
    from neuromorph_mcu.boards import BOARDS
    from neuromorph_mcu.engine import McuEngine

    pytest.importorskip("unicorn", reason="the emulated boards need Unicorn: pip install 'neuromorph[mcu]'")
    if not BOARDS["m4"].elf.is_file():
        pytest.skip("the firmware was not built: run `make build`")
    engine = McuEngine("mcu", "fault://?seed=3&corrupt=0.001&drop=0.001&frame_reorder=0.05&url=nmemu://unicorn_m4")
    assert disagreement(random_case(1), engine) == ""
    counters = engine.counters()
    assert counters["board_crc_err"] + counters["board_cobs_err"] > 0
    engine.close()
    with pytest.raises((LinkError, serial.SerialException)):
        engine.now()
