"""What a board does for its host: programs, runs, states; and what stays as it was when something goes wrong."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import pytest

from neuromorph.errors import CapacityError, LinkError, ValidationError
from neuromorph.image import FEATURES
from neuromorph_mcu.client import Refused
from neuromorph_mcu.messages import BoardError, Code, Kind, State

if TYPE_CHECKING:
    from neuromorph_mcu.client import Client
    from tests.mcu.conftest import BoardPort, Kit

POOL, CREDIT = 32768, 2048  # tests/mcu/board.c


def refused(client: Client, image: bytes) -> BoardError:
    with pytest.raises(Refused) as caught:
        client.upload(image)
    return caught.value.answer


def digest(image: bytes) -> bytes:
    return image[64:96]


def test_hello_tells_versions_limits_and_names(kit: Kit) -> None:
    hello = kit.connect(kit.board()).hello
    assert (hello.protocol, hello.image_format, hello.semantics) == ((1, 1), (1, 1, 0), 1)
    assert (hello.payload, hello.window, hello.boots) == (256, 4, 1)
    assert (hello.pool, hello.credit, hello.trace, hello.features) == (POOL, CREDIT, 6000, (1 << len(FEATURES)) - 1)
    assert (hello.board, hello.core, hello.build) == ("library", "host", "test")


def test_status_of_an_empty_and_a_loaded_board(kit: Kit) -> None:
    client, image = kit.connect(kit.board()), kit.image(3001)
    assert (client.status().state, client.status().free) == (State.EMPTY, POOL)
    client.upload(image)
    status = client.status()
    assert (status.state, status.step, status.image, status.digest) == (State.IDLE, 0, 3001, digest(image))
    assert status.free == POOL - 3008 - status.arena - status.trace


def test_programs_replace_each_other_at_both_ends_of_the_memory(kit: Kit) -> None:
    client = kit.connect(kit.board())
    for seed in range(6):
        image, records = kit.image(1000 + seed, seed), kit.spikes(10, seed)
        client.upload(image)
        assert kit.run(client, 10, records) == records
        assert client.status().digest == digest(image)


@pytest.fixture
def running(kit: Kit) -> tuple[BoardPort, Client, bytes]:
    """A board at step 7 of a program, with a state of its own."""
    port = kit.board()
    client, image = kit.connect(port), kit.image(3000, seed=9)
    client.upload(image)
    client.write(0, 0, bytes(range(200)))
    client.run(7, b"", lambda _: None)
    return port, client, image


def assert_unharmed(client: Client, image: bytes) -> None:
    status = client.status()
    assert (status.state, status.step, status.digest) == (State.IDLE, 7, digest(image))
    assert client.read(0, 0, 100) == bytes(range(200))
    out: list[bytes] = []
    client.run(3, struct.pack("<IHBBIHH", 9, 0, 0, 0, 0, 0, 0), out.append)
    assert b"".join(out) == struct.pack("<IHBBIHH", 9, 0, 0, 0, 0, 0, 0)


@pytest.mark.parametrize(
    ("size", "options", "code", "a", "b"),
    [
        (2000, {"bad": True}, Code.IMAGE, 3, 1999),
        (100, {}, Code.IMAGE, 1, 0),
        (40_000, {}, Code.CAPACITY, 40_000, None),
        (1000, {"kilobytes": 30}, Code.CAPACITY, 1000 + 5004 + 30 * 1024, None),
        (1000, {"kilobytes": 11}, Code.CAPACITY, 1000 + 5008 + 11 * 1024 + 3000, None),
    ],
    ids=["hash", "header", "image too large", "arena too large", "no room for a step's trace"],
)
def test_a_rejected_image_leaves_the_running_one(
    running: tuple[BoardPort, Client, bytes],
    kit: Kit,
    size: int,
    options: dict[str, Any],
    code: int,
    a: int,
    b: int | None,
) -> None:
    _, client, image = running
    free = client.status().free
    answer = refused(client, kit.image(size, **options))
    assert (answer.code, answer.a, answer.b) == (code, a, free if b is None else b)
    assert_unharmed(client, image)


def test_a_truncated_upload_leaves_the_running_program(running: tuple[BoardPort, Client, bytes], kit: Kit) -> None:
    _, client, image = running
    other = kit.image(2000, 5)
    client._ask(Kind.STAGE, struct.pack("<I32s", len(other), b"k" * 32))
    for at in (0, 250):
        client._send(Kind.DATA, struct.pack("<I", at) + other[at : at + 250])
    with pytest.raises(Refused, match=r"LOAD: staged \(500, 2000\)"):
        client._ask(Kind.LOAD)
    assert_unharmed(client, image)


def test_a_broken_upload_goes_on_where_it_stopped(running: tuple[BoardPort, Client, bytes], kit: Kit) -> None:
    port, client, image = running
    other = kit.image(2000, 5)
    key = struct.pack("<I32s", len(other), b"k" * 32)
    client._ask(Kind.STAGE, key)
    for at in (0, 250):
        client._send(Kind.DATA, struct.pack("<I", at) + other[at : at + 250])
    client.status()
    again = kit.connect(port, seed=2)
    assert_unharmed(again, image)
    assert again._ask(Kind.STAGE, key) == struct.pack("<B3xI", Kind.STAGE, 500)
    assert again._ask(Kind.STAGE, struct.pack("<I32s", len(other), b"q" * 32)) == struct.pack("<B3xI", Kind.STAGE, 0)


def test_unload_makes_room(kit: Kit) -> None:
    client = kit.connect(kit.board())
    client.upload(kit.image(12_000))
    assert refused(client, kit.image(12_000, 2)).code == Code.CAPACITY
    client.unload()
    client.upload(kit.image(12_000, 2))


@pytest.mark.parametrize("after", range(0, 3200, 29))
def test_a_reset_anywhere_in_an_upload_leaves_a_board_that_works(kit: Kit, after: int) -> None:
    """The board is reset after so many bytes on the line; the next session finds it ready."""
    port = kit.board()
    client, image = kit.connect(port), kit.image()
    port.reset_after = port.sent + after
    with pytest.raises(LinkError, match=r"the board (restarted|was reset)"):  # noqa: PT012
        client.upload(image)
        client.status()
    start = port.clock()
    again = kit.connect(port, seed=2)
    assert again.hello.boots == 2
    again.upload(image)
    assert again.status().digest == digest(image)
    assert port.clock() - start < 2


def test_a_reset_in_mid_run_keeps_what_was_received(kit: Kit) -> None:
    port = kit.board()
    client = kit.connect(port)
    client.upload(kit.image())
    records = kit.spikes(400)
    out: list[bytes] = []
    done: list[int] = []
    port.reset_after = port.sent + len(records) // 2
    with pytest.raises(LinkError, match=r"restarted \(unknown\), start 2 .*, while waiting for step \d+ of 1\.\.400"):
        client.run(400, records, out.append, done.append)
    part = b"".join(out)
    assert 1000 < len(part) < len(records)
    assert records.startswith(part)
    assert 0 < max(done) < 400


def test_silence_in_mid_run_keeps_what_was_received(kit: Kit) -> None:
    port = kit.board()
    client = kit.connect(port)
    client.upload(kit.image())
    records = kit.spikes(400)
    out: list[bytes] = []

    def listen(data: bytes) -> None:
        out.append(data)
        port.silent = len(out) > 3

    with pytest.raises(LinkError, match="for 1 s, while waiting for step"):
        client.run(400, records, listen)
    assert records.startswith(b"".join(out))


def test_a_slow_line_stalls_the_steps_and_loses_nothing(kit: Kit) -> None:
    """One frame per three milliseconds at most: the trace backs up, the board waits."""
    port = kit.board()
    port.room = 600
    client = kit.connect(port)
    client.upload(kit.image())
    records = kit.spikes(300)
    assert kit.run(client, 300, records) == records


def test_outputs_are_whole_records_and_progress_rises(kit: Kit) -> None:
    client = kit.connect(kit.board())
    client.upload(kit.image())
    client.run(5, b"", lambda _: None)
    chunks: list[bytes] = []
    done: list[int] = []
    client.run(300, kit.spikes(300, first=6), chunks.append, done.append)
    for chunk in chunks:
        at = 0
        while at < len(chunk):
            at += 16 + (2 * struct.unpack_from("<H", chunk, at + 12)[0] + 3 & ~3)
        assert at == len(chunk)
    assert done == sorted(done)
    assert done[-1] == 305


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_an_interrupted_run_leaves_the_session_usable(kit: Kit, error: type[BaseException]) -> None:
    client = kit.connect(kit.board())
    client.upload(kit.image())

    def stop(_: bytes) -> None:
        raise error

    with pytest.raises(error):
        client.run(10_000, kit.spikes(10_000), stop)
    step = client.status().step
    assert 0 < step < 10_000
    records = kit.spikes(10, first=step + 1)
    assert kit.run(client, 10, records) == records


def test_the_largest_step_of_input_is_the_credit(kit: Kit) -> None:
    client = kit.connect(kit.board())
    client.upload(kit.image())

    def burst(bytes_: int) -> bytes:
        count = (bytes_ - 16) // 2
        return struct.pack("<IHBBIHH", 2, 0, 0, 0, 0, count, 0) + bytes(2 * count)

    assert kit.run(client, 3, burst(CREDIT)) == burst(CREDIT)
    client.restart()
    with pytest.raises(CapacityError, match="inputs of step 2 take 2052 bytes, the board holds 2048"):
        kit.run(client, 3, burst(CREDIT + 4))


@pytest.mark.parametrize(
    "records",
    [
        struct.pack("<IHBBIHH", 11, 0, 0, 0, 0, 0, 0),
        struct.pack("<IHBBIHH", 0, 0, 0, 0, 0, 0, 0),
        struct.pack("<IHBBIHH", 3, 0, 0, 0, 0, 0, 0) + struct.pack("<IHBBIHH", 2, 0, 0, 0, 0, 0, 0),
        struct.pack("<IHBBIHH", 3, 0, 9, 0, 0, 0, 0),
        struct.pack("<IHBBIHH", 3, 0, 0, 0, 0, 1, 0),
        b"abc",
    ],
    ids=["late", "step 0", "unsorted", "format", "cut", "no record"],
)
def test_inputs_that_cannot_be_are_refused_before_the_run(kit: Kit, records: bytes) -> None:
    client = kit.connect(kit.board())
    client.upload(kit.image())
    with pytest.raises(ValidationError, match="input records"):
        client.run(10, records, lambda _: None)
    assert client.status().step == 0


def test_an_input_that_the_engine_refuses_ends_the_run_after_its_trace(kit: Kit) -> None:
    """Only input 0 exists."""
    client = kit.connect(kit.board())
    client.upload(kit.image())
    good = kit.spikes(20)
    out: list[bytes] = []
    with pytest.raises(Refused) as caught:
        client.run(40, good + struct.pack("<IHBBIHH", 30, 5, 0, 0, 0, 0, 0), out.append)
    assert (caught.value.answer.code, caught.value.answer.a) == (Code.INPUT, 29)
    assert b"".join(out) == good
    assert client.status().state == State.IDLE


def test_items_in_pieces_and_all_or_nothing(kit: Kit) -> None:
    client = kit.connect(kit.board())
    client.upload(kit.image())
    values = struct.pack("<2500h", *range(2500))
    client.write(0, 0, values)
    assert client.read(0, 0, 2500) == values
    assert client.read(0, 1234, 3) == values[2468:2474]
    with pytest.raises(Refused, match="WRITE: state"):
        client.write(0, 0, bytes(4000) + b"\xff\xff")
    assert client.read(0, 0, 2500) == values


def test_values_larger_than_the_free_memory_go_in_pieces(kit: Kit) -> None:
    client = kit.connect(kit.board())
    client.upload(kit.image(18_001))
    values = struct.pack("<2500h", *range(2500))
    assert 64 < client.status().free < len(values)
    client.write(0, 0, values)
    assert client.read(0, 0, 2500) == values


def test_values_for_a_full_board_are_refused(kit: Kit) -> None:
    client = kit.connect(kit.board())
    client.upload(kit.image(POOL - 5008 - 3000 - 40))
    with pytest.raises(Refused, match="STAGE: capacity"):
        client.write(0, 0, bytes(5000))


@pytest.mark.parametrize(("item", "first", "count"), [(1, 0, 1), (0, 2500, 1), (0, 2499, 2), (0, 2501, 1)])
def test_values_that_do_not_exist(kit: Kit, item: int, first: int, count: int) -> None:
    client = kit.connect(kit.board())
    client.upload(kit.image())
    with pytest.raises(Refused, match="READ: argument"):
        client.read(item, first, count)
    with pytest.raises(Refused, match="WRITE: argument"):
        client.write(item, first, bytes(2 * count))
    assert client.read(0, 0, 0) == b""
    assert client.status().step == 0


def test_counters_of_the_engine_and_of_both_ends(kit: Kit) -> None:
    client = kit.connect(kit.board())
    client.upload(kit.image())
    client.run(12, b"", lambda _: None)
    counters = client.counters()
    assert (counters["spikes"], counters["synaptic_events"], counters["plastic_updates"]) == (12, 1 << 40, 0)
    assert counters["board_frames_in"] <= counters["host_frames_out"]


def test_a_host_that_is_busy_elsewhere_keeps_its_session(kit: Kit) -> None:
    """Between two calls it neither reads nor writes; what it was told last is acknowledged."""
    port = kit.board()
    client = kit.connect(port)
    client.upload(kit.image(chatty=True))
    for call in (client.status, lambda: client.read(0, 0, 1), lambda: kit.run(client, 5, b""), client.stop):
        call()
        for _ in range(7000):
            port.tick()
    assert client.status().step == 5
    assert client.counters()["board_lost"] == 0
