"""Both ends of the link on bad lines, in virtual time; ``python -m tests.mcu.soak`` is the long form of this."""

from __future__ import annotations

import ctypes
import re
from dataclasses import replace

import pytest

from neuromorph_mcu.boards import posix_program
from neuromorph_mcu.faults import Faults, Line
from tests.mcu.soak import FRAME_KINDS, STALL, Case, Pair, build, cases, shares, soak
from tests.mcu.soak_boards import soak as soak_board


@pytest.fixture(scope="module")
def echo(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    return build(tmp_path_factory.mktemp("echo"), "-fsanitize=undefined", "-fsanitize-undefined-trap-on-error")


@pytest.mark.parametrize("case", cases(), ids=lambda case: f"{case.size}&{case.faults.token}")
def test_each_message_arrives_once_in_order_and_soon(echo: ctypes.CDLL, case: Case) -> None:
    done = soak(echo, case, 1500)
    assert done.frames >= 1500
    assert done.hits > 0
    assert done.stall < STALL


def test_frames_shrink_on_a_bad_line_and_grow_again(echo: ctypes.CDLL) -> None:
    """With one byte in a hundred hit, frames of 32 bytes; when the line is good again, the largest."""
    bad = Faults(seed=3, corrupt=0.01)
    pair = Pair(echo, bad)
    sizes: list[int] = []

    def talk(millis: int) -> None:
        for _ in range(millis):
            if pair.host.room:
                pair.host.send(16, bytes(pair.host.size), pair.millis / 1000)
            pair.tick()
            sizes.append(pair.host.size)

    talk(5000)
    assert sizes.count(32) > len(sizes) / 2
    assert echo.echo_size() <= 64
    pair.up, pair.down = (Line(replace(bad, corrupt=0.0), name) for name in ("up", "down"))
    talk(2000)
    assert pair.host.size == pair.host.payload_max == 256
    assert echo.echo_size() == 256


def test_the_long_form_has_all_its_frames_where_bytes_are_hit_and_a_tenth_where_frames_are() -> None:
    bytewise = framewise = 0
    for case, frames in shares(1_000_000):
        if any(getattr(case.faults, kind) for kind in FRAME_KINDS):
            framewise += frames
        else:
            bytewise += frames
    assert bytewise >= 1_000_000
    assert framewise >= 100_000


def test_what_a_board_moved_is_counted() -> None:
    pytest.importorskip("serial", reason="ports need pyserial: pip install 'neuromorph[mcu]'")
    if not posix_program().is_file():
        pytest.skip("the firmware was not built: run `make build`")
    said = soak_board("mcu:posix", "nmposix://", "seed=1&corrupt=0.001", 100)
    found = re.search(r"(\d+) frames, .* ([\d.]+) kB/s, longest silence ([\d.]+) s", said)
    assert found is not None, said
    assert int(found[1]) >= 100
    assert float(found[2]) > 0
    assert float(found[3]) < STALL
