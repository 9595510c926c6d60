"""Loss of power at every flash operation, in virtual time: always the old or the new, and an answer within 2 s.

``python -m tests.mcu.power`` cuts the power in each operation of an image update and of a state save, in four ways of
leaving an operation undone, then in each pair of operations (one of the work, one of the restart and the next try), and
turns each byte of the flash. ``--board N`` does N cuts and N resets instead, drawn at random, of the firmware as a
program, at its pseudo-terminal. Counts are printed. ``tests/mcu/test_power.py`` draws some of it.
"""

from __future__ import annotations

import argparse
import ctypes
import hashlib
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

import neuromorph as nm
from neuromorph.image import without_metadata
from neuromorph_mcu.client import Client
from neuromorph_mcu.messages import Kept
from tests.mcu.conftest import CORE

READY = 2.0
LARGE = 120
"""Cells of each population of a program whose image has over 16 KiB."""
ROOMY = "-DFLASH_SECTORS=200u"
TEARS = {0: "not begun", 1: "half done", 2: "done, unheard of", 3: "some bits of it"}
_NOT_HERE = ("host.c",)


class PowerCut(Exception):  # noqa: N818 (no error: what the test does)
    """The board has no power."""


def compile_board(folder: Path, *defines: str, checks: bool = True) -> Path:
    """The library of ``power.c``, with the real engine; undefined behaviour ends its process."""
    built = folder / "power.so"
    compiler = [shutil.which("cc")] if shutil.which("cc") else [sys.executable, "-m", "ziglang", "cc"]
    flags = ["-O0", "-g", "-std=c11", "-Wall", "-Wextra", "-fPIC", "-shared", "-DNM_STORE=1u"]
    flags += ["-fsanitize=undefined", "-fsanitize-undefined-trap-on-error"] if checks else []
    sources = [path for path in sorted(CORE.glob("*.c")) if path.name not in _NOT_HERE]
    command = [*compiler, *flags, *defines, f"-I{CORE}", Path(__file__).with_name("power.c"), *sources, "-o", built]
    subprocess.run([str(word) for word in command], check=True, timeout=110)
    return built


class PowerPort:
    """A board and its line, in virtual time: what a client needs of a port. The flash outlives the board."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self.library, self.millis, self.boots, self.sessions = library, 0, 0, 0
        size = ctypes.c_uint32()
        library.board_flash.restype = ctypes.POINTER(ctypes.c_uint8)
        cells = library.board_flash(ctypes.byref(size))
        self.cells = np.ctypeslib.as_array(cells, (size.value,))
        self._out = ctypes.create_string_buffer(1 << 14)
        self._to_board, self._from_board, self.alive = b"", b"", False

    def power_on(self) -> None:
        """Start the board; PowerCut if the power fails meanwhile."""
        self.boots += 1
        self._to_board = self._from_board = b""
        self.alive = bool(self.library.board_start(self.boots, self.millis))
        if not self.alive:
            raise PowerCut

    def wipe(self) -> None:
        """A flash as it comes from the factory."""
        self.cells[:] = 0xFF

    def tick(self) -> None:
        """One millisecond of the board."""
        self.millis += 1
        data, self._to_board = self._to_board, b""
        n = self.library.board_poll(data, len(data), self._out, len(self._out), self.millis)
        if n < 0:
            self.alive = False
            raise PowerCut
        self._from_board += self._out.raw[:n]

    def clock(self) -> float:
        return self.millis / 1000

    @property
    def in_waiting(self) -> int:
        return len(self._from_board)

    def write(self, data: bytes) -> int:
        self._to_board += data
        return len(data)

    def read(self, size: int = 1) -> bytes:
        end = self.millis + 20
        while len(self._from_board) < size and self.millis < end:
            self.tick()
        data, self._from_board = self._from_board[:size], self._from_board[size:]
        return data

    def close(self) -> None:
        pass


# ------------------------------------------------------------------------------------------ what is stored


def network(seed: int, cells: int = 4) -> nm.Network:
    """Cells that fire by themselves, and learn from each other."""
    from neuromorph.plasticity import STDP
    from neuromorph.units import ms

    net = nm.Network(name="power", dt=1 * ms, seed=seed)
    drive = np.linspace(2, 4, cells)
    first = net.population(cells, nm.LIF(tau_m=5 * ms, tau_s=2 * ms, v_th=1.0, bias=drive), name="first")
    second = net.population(cells, nm.LIF(tau_m=9 * ms, tau_s=2 * ms, v_th=1.0, bias=1.5), name="second")
    rule = STDP(a_plus=0.1, a_minus=0.12, tau_plus=10 * ms, tau_minus=10 * ms, w_max=1.0)
    net.connect(first, second, weights=nm.Uniform(0.0, 1.0), plasticity=rule, name="syn")
    return net


def image_of(seed: int, cells: int = 4, counter: int = 0) -> bytes:
    """Such a program, as a board gets it."""
    return without_metadata(nm.compile(network(seed, cells), target="cpu", counter=counter).image)


def digest(image: bytes) -> bytes:
    """Its logical digest."""
    return image[64:96]


@dataclass(frozen=True)
class Found:
    """What a board runs: digest, step and all state; None for a board without a program."""

    digest: bytes
    step: int
    state: bytes = field(repr=False)


def look(client: Client) -> Found | None:
    """Ask the board."""
    status = client.status()
    if not status.items:
        return None
    values = hashlib.blake2s()
    for item in range(status.items):
        values.update(_item(client, item))
    return Found(status.digest, status.step, values.digest())


def _item(client: Client, item: int) -> bytes:
    """All values, whatever their number: pieces of one until there is none."""
    from neuromorph_mcu.client import Refused

    data, first, piece = b"", 0, 4096
    while piece:
        try:
            data += client.read(item, first, piece)
            first += piece
        except Refused:
            piece //= 2
    return data


def connect(port: PowerPort) -> Client:
    """A session, with another number than the last one."""
    last = random.Random(port.sessions).randrange(1, 1 << 16)
    port.sessions += 1
    while random.Random(port.sessions).randrange(1, 1 << 16) == last:
        port.sessions += 1
    return Client(port, "board", seed=port.sessions)


def run(client: Client, steps: int) -> None:
    """Steps without inputs."""
    client.run(steps, b"", lambda _: None)


def update(client: Client, image: bytes, steps: int, *, trial: bool = False) -> None:
    """Put a program with its state after so many steps on the board, and into its flash."""
    client.upload(image)
    run(client, steps)
    client.keep(0, 0)
    client.save()
    client.judge(1 if trial else 2)


# ------------------------------------------------------------------------------------------ cuts


@dataclass
class World:
    """A board, and the flash that each case begins with.

    `work` is what the power is cut in; `old` and `new` are what the board may be found with before and after it.
    """

    port: PowerPort
    name: str
    begin: np.ndarray
    work: Callable[[Client], None]
    old: Found
    new: Found
    slowest: float = 0.0
    seen: Counter[str] = field(default_factory=Counter)

    def restore(self) -> None:
        """The flash of the beginning, and a board that has just started."""
        self.port.library.board_cut(0, 0)
        self.port.cells[:] = self.begin
        self.port.power_on()

    def operations(self) -> int:
        """Flash operations of the undisturbed work."""
        self.restore()
        client = connect(self.port)
        self.port.library.board_cut(0, 0)
        self.work(client)
        count = int(self.port.library.board_operations())
        self.check("undisturbed", self.new)
        return count

    def check(self, case: str, *allowed: Found) -> str:
        """Switch the board off and on: it must answer in time, with one of these."""
        self.port.library.board_cut(0, 0)
        began = self.port.clock()
        self.port.power_on()
        client = connect(self.port)
        found = look(client)
        ready = self.port.clock() - began
        self.slowest = max(self.slowest, ready)
        if found not in allowed or ready > READY or self.port.library.board_wrong():
            raise AssertionError(
                f"{self.name}, {case}: found {found} after {ready:.2f} s, expected one of {allowed}; "
                f"writes that flash cannot do: {self.port.library.board_wrong()}"
            )
        what = "new" if found == self.new else "old"
        self.seen[what] += 1
        return what

    def cut(self, operation: int, tear: int) -> bool:
        """Work with a cut in that operation; False if it was over before."""
        self.restore()
        client = connect(self.port)
        self.port.library.board_cut(operation, tear)
        try:
            self.work(client)
        except PowerCut:
            return True
        return False

    def single(self, operation: int, tear: int) -> None:
        """One cut; then the same work again, undisturbed, which must succeed."""
        case = f"cut in operation {operation} ({TEARS[tear]})"
        if not self.cut(operation, tear):
            self.check(f"{case} that never came", self.new)
            return
        self.check(case, self.old, self.new)
        self._again(case)

    def _again(self, case: str) -> None:
        self.work(connect(self.port))
        self.check(f"{case}, then again", self.new)

    def pair(self, first: int, second: int, tear: int) -> bool:
        """A cut, and another in the restart or the second try; False if there are fewer operations than `second`."""
        case = f"cuts in operations {first} and {second} ({TEARS[tear]})"
        if not self.cut(first, tear):
            raise AssertionError(f"{self.name}, {case}: the first never came")
        self.port.library.board_cut(second, (tear + 1) % len(TEARS))
        try:
            self.port.power_on()
            self.work(connect(self.port))
        except PowerCut:
            self.check(case, self.old, self.new)
            return True
        self.check(f"{case}, of which the second never came", self.new)
        return False

    def singles(self, operations: Iterable[int], tears: Iterable[int] = TEARS) -> int:
        """Number of cuts done."""
        cases = [(operation, tear) for tear in tears for operation in operations]
        for operation, tear in cases:
            self.single(operation, tear)
        return len(cases)

    def pairs(self, firsts: Iterable[int], tears: Iterable[int] = TEARS) -> int:
        """Number of pairs done, all seconds for each first."""
        count = 0
        for tear in tears:
            for first in firsts:
                second = 1
                while self.pair(first, second, tear):
                    second += 1
                    count += 1
        return count


def prepare(port: PowerPort, old: bytes, saves: int) -> Found:
    """A board with a program in its flash, and so many states saved, the last after step 10 + saves."""
    port.wipe()
    port.library.board_cut(0, 0)
    port.power_on()
    client = connect(port)
    update(client, old, 10)
    for _ in range(saves):
        run(client, 1)
        client.save()
    found = look(client)
    assert found is not None
    return found


def _after(port: PowerPort, work: Callable[[Client], None]) -> Found:
    """What a board has after undisturbed work."""
    work(connect(port))
    port.power_on()
    found = look(connect(port))
    assert found is not None
    return found


def update_world(
    port: PowerPort, saves: int = 0, cells: int = 4, *, trial: bool = False, counters: tuple[int, int] = (0, 0)
) -> World:
    """An image update; on trial, it is confirmed after a restart (and a board that loses power on trial reverts)."""
    old_image, new_image = (image_of(seed, cells, counter) for seed, counter in zip((1, 2), counters, strict=True))

    def work(client: Client) -> None:
        update(client, new_image, 5, trial=trial)
        if trial:
            port.power_on()
            confirming = connect(port)
            found = look(confirming)
            if found is None or found.digest != digest(new_image):
                raise AssertionError(f"the program on trial was not started: {found}")
            confirming.judge(2)

    old = prepare(port, old_image, saves)
    begin = port.cells.copy()
    port.power_on()
    new = _after(port, work)
    name = f"update of {len(new_image)} bytes{' on trial' if trial else ''} after {saves} saved states"
    return World(port, name, begin, work, old, new)


def save_world(port: PowerPort, saves: int = 0, cells: int = 4) -> World:
    """A state save, seven steps after the last one."""
    image = image_of(1, cells)
    old = prepare(port, image, saves)
    begin = port.cells.copy()
    port.power_on()

    def work(client: Client) -> None:
        run(client, old.step + 7 - client.status().step)
        client.save()

    def work_again(client: Client) -> None:
        if client.status().step < old.step + 7:
            work(client)

    new = _after(port, work)
    return World(port, f"save of a state after {saves} others", begin, work_again, old, new)


# ------------------------------------------------------------------------------------------ damage


@dataclass
class Damaged:
    """A board whose flash holds two programs with two states each, and what it may do when bytes of it turn."""

    port: PowerPort
    begin: np.ndarray
    known: dict[Found, str]
    seen: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0

    @classmethod
    def of(cls, port: PowerPort) -> Damaged:
        """Both programs, the second one current."""
        known = {prepare(port, image_of(1), 0): "the program before"}
        client = connect(port)
        client.restart()
        found = look(client)
        if found is not None:
            known[found] = "the program before, at step 0"  # where both of its states are damaged, too
        port.power_on()
        client = connect(port)
        run(client, 3)
        client.save()
        found = look(client)
        if found is not None:
            known[found] = "the program before"
        for steps, what in ((5, "an older state"), (9, "as it was")):
            if steps == 5:
                update(client, image_of(2), 5)
            else:
                run(client, 4)
                client.save()
            found = look(client)
            if found is not None:
                known[found] = what
        begin = port.cells.copy()
        client.restart()
        found = look(client)
        if found is not None:
            known[found] = "at step 0"
        return cls(port, begin, known)

    def used(self, first: int) -> np.ndarray:
        """Places from `first` on that are not erased."""
        return first + np.flatnonzero(self.begin[first:] != 0xFF)

    def turn(self, cells: np.ndarray, case: str) -> str:
        """Start with such a flash: the board must answer in time, with something known or nothing, and say so."""
        self.port.library.board_cut(0, 0)
        self.port.cells[:] = cells
        began = self.port.clock()
        self.port.power_on()
        client = connect(self.port)
        found = look(client)
        ready = self.port.clock() - began
        self.slowest = max(self.slowest, ready)
        what = "no program" if found is None else self.known.get(found, "")
        changed = not np.array_equal(cells, self.begin)
        told = Kept.DAMAGED in client.hello.kept
        if not what or ready > READY or (what != "as it was" and changed and not told):
            raise AssertionError(f"{case}: {found} after {ready:.2f} s, told {client.hello.kept}")
        self.seen[what] += 1
        return what

    def mend(self) -> None:
        """Store another program on what the last case left."""
        client = connect(self.port)
        update(client, image_of(3), 2)
        self.port.power_on()
        found = look(connect(self.port))
        if found is None or found.digest != digest(image_of(3)) or found.step != 2:
            raise AssertionError(f"a new program does not stay: {found}")

    def bytes(self, places: Iterable[int], rng: random.Random, mend_every: int = 37) -> int:
        """Turn one byte at each place; sometimes see whether the board takes a program again."""
        count = 0
        for place in places:
            cells = self.begin.copy()
            cells[place] ^= rng.randrange(1, 256)
            self.turn(cells, f"byte {place} turned to {cells[place]}")
            if count % mend_every == 0:
                self.mend()
            count += 1
        return count

    def regions(self, cases: int, rng: random.Random) -> int:
        """Many bytes at once, whole sectors, all of it: erased, zeroed, random, exchanged."""
        sector, size = self.port.cells.size // 24, self.port.cells.size
        for case in range(cases):
            cells, kind = self.begin.copy(), case % 4
            first = rng.randrange(size)
            end = min(size, first + rng.choice((16, 100, sector, 4 * sector, size)))
            if kind == 3:
                a, b = (sector * rng.randrange(24) for _ in range(2))
                cells[a : a + sector], cells[b : b + sector] = self.begin[b : b + sector], self.begin[a : a + sector]
            elif kind == 2:
                cells[first:end] = np.frombuffer(rng.randbytes(end - first), np.uint8)
            else:
                cells[first:end] = 0xFF * kind
            self._region(cells, f"case {case}: bytes {first}..{end}, kind {kind}")
        return cases

    def _region(self, cells: np.ndarray, case: str) -> None:
        """As `turn`; an erased region may be told as an empty flash."""
        self.port.library.board_cut(0, 0)
        self.port.cells[:] = cells
        self.port.power_on()
        found = look(connect(self.port))
        what = "no program" if found is None else self.known.get(found, "")
        if not what:
            raise AssertionError(f"{case}: {found}")
        self.seen[what] += 1
        self.mend()


# ------------------------------------------------------------------------------------------ the command


def _cuts(small: PowerPort, large: PowerPort) -> None:
    for world in (
        *(update_world(small, saves) for saves in (0, 10, 11, 12, 70)),  # the journal moves on at each of its records
        *(update_world(small, saves, trial=True) for saves in (0, 9, 10, 11, 12)),
        update_world(large, cells=LARGE), update_world(large, 11, cells=LARGE),
        *(save_world(small, saves) for saves in (0, 11, 12, 70)),
        *(save_world(large, saves, cells=LARGE) for saves in (0, 12)),
    ):  # fmt: skip
        began, total = time.monotonic(), world.operations()
        count = world.singles(range(1, total + 1))
        _print(world.name, f"{count} cuts, in each of {total} operations", world.seen, world.slowest, began)


def _pairs(small: PowerPort, _large: PowerPort) -> None:
    for world in (
        update_world(small), update_world(small, 11), update_world(small, 10, trial=True), save_world(small),
        save_world(small, 12),
    ):  # fmt: skip
        began, total = time.monotonic(), world.operations()
        count = world.pairs(range(1, total + 1))
        _print(world.name, f"{count} pairs of cuts, all there are", world.seen, world.slowest, began)


def _damage(small: PowerPort, _large: PowerPort) -> None:
    began, rng = time.monotonic(), random.Random(1)
    damaged = Damaged.of(small)
    count = damaged.bytes(range(damaged.begin.size), rng)
    regions = damaged.regions(4000, rng)
    what = f"each of {count} bytes of a flash turned, {regions} times whole regions"
    _print("damage", what, damaged.seen, damaged.slowest, began)


def _print(name: str, what: str, seen: Counter[str], slowest: float, began: float) -> None:
    found = ", ".join(f"{n} x {k}" for k, n in sorted(seen.items()))
    print(f"{name}: {what}; found {found}; ready within {slowest:.2f} s; {time.monotonic() - began:.0f} s", flush=True)


_PARTS = {"cuts": _cuts, "pairs": _pairs, "damage": _damage}


def main() -> None:
    """All of it, or the parts that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(_PARTS)}; all without any")
    parser.add_argument("--board", type=int, default=0, metavar="N", help="cuts, and resets, of the program")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path, roomy = Path(folder), Path(folder) / "roomy"
        roomy.mkdir()
        small = PowerPort(ctypes.CDLL(str(compile_board(path))))
        large = PowerPort(ctypes.CDLL(str(compile_board(roomy, ROOMY))))
        for part in options.parts or ([] if options.board else _PARTS):
            _PARTS[part](small, large)
    if options.board:
        from tests.mcu.power_board import cuts

        cuts(options.board)


if __name__ == "__main__":
    main()
