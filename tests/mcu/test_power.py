"""Some of what ``make store-power`` does all of: the power fails in a flash operation, bytes of the flash turn."""

from __future__ import annotations

import ctypes
import random
import sys
from collections.abc import Callable

import pytest

from neuromorph_mcu.boards import posix_program
from neuromorph_mcu.client import Refused
from tests.mcu import power

World = Callable[[power.PowerPort], power.World]


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> power.PowerPort:
    return power.PowerPort(ctypes.CDLL(str(power.compile_board(tmp_path_factory.mktemp("power")))))


@pytest.mark.parametrize(
    "make",
    [
        lambda port: power.update_world(port),
        lambda port: power.update_world(port, 11),
        lambda port: power.update_world(port, 10, trial=True),
        lambda port: power.save_world(port),
        lambda port: power.save_world(port, 12),
        lambda port: power.save_world(port, 70),
    ],
    ids=["update", "update, journal moves on", "update on trial", "save", "save, journal", "save, ring is full"],
)
def test_a_cut_in_any_operation_leaves_the_old_or_the_new(port: power.PowerPort, make: World) -> None:
    world = make(port)
    operations = world.operations()
    assert operations >= 2
    assert world.singles(range(1, operations + 1), tears=(operations % 4,)) == operations
    assert world.seen["old"]
    assert world.seen["new"]


def test_two_cuts_leave_the_old_or_the_new(port: power.PowerPort) -> None:
    world = power.update_world(port, 11)
    rng = random.Random(1)
    for _ in range(30):
        world.pair(rng.randrange(1, world.operations() + 1), rng.randrange(1, 20), rng.randrange(4))
    assert world.seen["old"]
    assert world.seen["new"]


def test_bytes_that_turn_are_told_and_cost_no_more_than_what_they_were(port: power.PowerPort) -> None:
    damaged, rng = power.Damaged.of(port), random.Random(1)
    journal = rng.sample(range(2048), 60)
    objects = [int(place) for place in damaged.used(2048)]
    damaged.bytes([*journal, *rng.sample(objects, 60)], rng)
    damaged.regions(24, rng)
    assert {"as it was", "an older state", "the program before"} <= set(damaged.seen)


@pytest.mark.skipif(sys.platform == "win32", reason="the firmware as a program needs POSIX")
@pytest.mark.skipif(not posix_program().is_file(), reason="the firmware was not built: run `make build`")
def test_a_process_that_loses_power_or_is_reset_leaves_the_old_or_the_new() -> None:
    from tests.mcu.power_board import cuts

    seen = cuts(4, limit=60.0)
    assert seen.total() >= 8
    assert seen["reset: old"] + seen["reset: new"] == 4
    assert seen["reset: old"] >= 2


def test_a_cut_leaves_a_counter_that_is_as_old_or_as_new_as_the_program(port: power.PowerPort) -> None:
    """The counter counts with the record that makes the program the current one, not before and not after."""
    world, old = power.update_world(port, 11, counters=(1, 2)), power.image_of(1, counter=1)
    for operation in range(1, world.operations() + 1):
        world.cut(operation, operation % 4)
        what = world.check(f"cut in operation {operation}", world.old, world.new)
        client = power.connect(port)
        if what == "old":
            client.upload(old)
            continue
        with pytest.raises(Refused) as refused:
            client.upload(old)
        assert (refused.value.answer.a, refused.value.answer.b) == (11, 2)
    assert world.seen["old"]
    assert world.seen["new"]
