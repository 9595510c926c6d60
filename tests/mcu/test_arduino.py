"""The Arduino library: Debian's AVR core compiles it, and simavr runs it. Its int has 16 bits, its pointers too."""

from __future__ import annotations

import ctypes
import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from neuromorph.errors import CapacityError
from neuromorph.testing.equality import disagreement, random_case
from neuromorph_mcu import engine as engines
from neuromorph_mcu.processes import BoardProcess
from tests.mcu.power import PowerPort
from tests.mcu.test_qemu import states_at_both_paces
from tests.scripts import script

if TYPE_CHECKING:
    from neuromorph_mcu.urls.process import SocketLine

pytest.importorskip("serial", reason="ports need pyserial: pip install 'neuromorph[mcu]'")

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent / "arduino"
CORE = Path("/usr/share/arduino/hardware/arduino/avr")
RUNTIME = ("wiring.c", "hooks.c", "main.cpp", "HardwareSerial.cpp", "HardwareSerial0.cpp", "Print.cpp", "Stream.cpp",
           "WString.cpp", "abi.cpp", "new.cpp", "wiring_digital.c")  # fmt: skip
HERTZ = 16_000_000
Tell = Callable[[str, object], None]

needs_avr = pytest.mark.skipif(
    shutil.which("avr-g++") is None or not CORE.is_dir(),
    reason="needs an AVR compiler and Arduino's core: apt install gcc-avr avr-libc arduino-core-avr",
)
needs_simavr = pytest.mark.skipif(
    shutil.which("gcc") is None or not Path("/usr/include/simavr").is_dir(),
    reason="needs simavr: apt install libsimavr-dev gcc libc6-dev",
)


class Noting(PowerPort):
    """Notes the most bytes that came in a poll of the board."""

    most = 0

    def tick(self) -> None:
        before = len(self._from_board)
        super().tick()
        self.most = max(self.most, len(self._from_board) - before)


@dataclass(frozen=True)
class Chip:
    """A chip, what its sketch gets for programs, and where the header with its pins is."""

    name: str
    memory: int
    flash: int
    ram: int
    variant: Path


ATMEGA1284P = Chip("atmega1284p", 9600, 128 << 10, 16 << 10, HERE)
ATMEGA2560 = Chip("atmega2560", 2048, 256 << 10, 8 << 10, CORE / "variants" / "mega")


def library(folder: Path) -> Path:
    """The library as a user gets it."""
    assert (folder / "Neuromorph.zip").is_file() or script("firmware/arduino/pack.py").pack(folder)
    return folder / "Neuromorph"


def compile_sketch(folder: Path, sketch: str, chip: Chip) -> Path:
    """As the Arduino builder does, but with our warnings as errors."""
    ours, core = library(folder), CORE / "cores" / "arduino"
    out = folder / f"{sketch}_{chip.name}"
    out.mkdir()
    flags = [f"-mmcu={chip.name}", f"-DF_CPU={HERTZ}L", "-DARDUINO=10819", "-DARDUINO_ARCH_AVR", "-Os",
             "-ffunction-sections", "-fdata-sections", f"-DMEMORY={chip.memory}", "-DSERIAL_RX_BUFFER_SIZE=256",
             f"-I{core}", f"-I{chip.variant}", f"-I{ours / 'src'}"]  # fmt: skip
    cpp = ["-std=gnu++11", "-fno-exceptions", "-fno-threadsafe-statics"]
    strict = ["-Wall", "-Wextra", "-Werror"]
    jobs = [["avr-gcc", *flags, *strict, "-std=gnu11", "-c", p] for p in (ours / "src").glob("*.c")]
    jobs += [["avr-g++", *flags, *strict, *cpp, "-c", p] for p in (ours / "src").glob("*.cpp")]
    ino = ours / "examples" / sketch / f"{sketch}.ino"
    jobs += [["avr-g++", *flags, *strict, *cpp, "-include", "Arduino.h", "-x", "c++", "-c", ino]]
    # Debian's compiler is older than the core expects.
    jobs += [["avr-g++", *flags, "-w", *cpp, "-DDECIMAL_DIG=17", "-c", core / n] for n in RUNTIME if n.endswith("pp")]
    jobs += [["avr-gcc", *flags, "-w", "-c", core / n] for n in RUNTIME if n.endswith(".c")]

    def run(job: list[Any]) -> Path:
        output = out / f"{Path(job[-1]).name}.o"
        done = subprocess.run([*map(str, job), "-o", output], capture_output=True, text=True, timeout=110, check=False)
        assert done.returncode == 0, done.stderr
        return output

    with ThreadPoolExecutor(2) as pool:
        objects = list(pool.map(run, jobs))
    elf = out / "sketch.elf"
    link = ["avr-g++", f"-mmcu={chip.name}", "-Os", "-Wl,--gc-sections", *map(str, objects), "-o", str(elf)]
    subprocess.run(link, check=True, timeout=110)
    return elf


def sizes(elf: Path) -> tuple[int, int]:
    """Bytes of flash and of RAM."""
    text = subprocess.run(["avr-size", elf], capture_output=True, text=True, check=True, timeout=20).stdout
    code, data, bss = map(int, text.splitlines()[1].split()[:3])
    return code + data, data + bss


@pytest.fixture
def simavr(tmp_path: Path) -> Path:
    program = tmp_path / "simavr_board"
    command = ["gcc", "-O2", str(HERE / "simavr.c"), "-o", str(program), "-lsimavr"]
    command += ["-Wl,--unresolved-symbols=ignore-in-shared-libs"]  # libraries of the library, which are there
    subprocess.run(command, check=True, timeout=110)
    return program


def stack_used(process: BoardProcess) -> int:
    """The most bytes of stack that a sketch in simavr has had."""
    output = process._process.stdout
    assert output is not None
    return int(os.read(output.fileno(), 1 << 16).split()[-1])


@pytest.fixture
def started() -> list[tuple[BoardProcess, SocketLine]]:
    """Sketches in simavr, and their lines."""
    return []


@pytest.fixture
def plug(simavr: Path, started: list[tuple[BoardProcess, SocketLine]]) -> Iterator[Any]:
    """Start a sketch in simavr; gives its line."""
    from neuromorph_mcu.urls.process import SocketLine

    def start(elf: Path, chip: str) -> SocketLine:
        ours, theirs = socket.socketpair()
        command = [str(simavr), str(elf), chip, str(HERTZ), str(theirs.fileno())]
        process = BoardProcess(chip, command, (theirs.fileno(),))
        theirs.close()
        line = SocketLine(ours)
        line.timeout = 0.02
        started.append((process, line))
        return line

    yield start
    for process, line in started:
        line.close()
        process.close()


@pytest.fixture
def switch_on(plug: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Start a sketch in simavr; gives its engine."""

    def start(elf: Path, chip: str) -> engines.McuEngine:
        line = plug(elf, chip)
        monkeypatch.setattr(engines, "open_port", lambda *_args, **_options: line)
        return engines.McuEngine(chip, "simavr")

    return start


def check_fit(elf: Path, chip: Chip, measure: ModuleType, tell: Tell) -> None:
    """With room for a boot loader and for the stack; and within the budget."""
    flash, ram = sizes(elf)
    tell(f"the sketch {elf.parent.name}", f"{flash} B of flash, {ram} B of RAM")
    assert measure.over_budget({elf.parent.name: measure.Figures(flash, ram)}) == []
    assert flash <= chip.flash - 4096
    assert ram <= chip.ram - 1536


@needs_avr
@pytest.mark.slow
def test_the_sketch_fits_an_arduino_mega(tmp_path: Path, measure: ModuleType, record_property: Tell) -> None:
    check_fit(compile_sketch(tmp_path, "Board", ATMEGA2560), ATMEGA2560, measure, record_property)


@needs_avr
@needs_simavr
@pytest.mark.slow
def test_a_sketch_with_a_network_of_its_own_starts_it(
    tmp_path: Path, plug: Any, measure: ModuleType, record_property: Tell
) -> None:
    elf = compile_sketch(tmp_path, "Reflex", ATMEGA1284P)
    check_fit(elf, ATMEGA1284P, measure, record_property)
    line = plug(elf, "atmega1284p")
    line.timeout = 60.0
    assert line.read(7) == b"ready\r\n"


@pytest.mark.skipif(not (shutil.which("g++") and shutil.which("gcc")), reason="needs g++: apt install g++")
@pytest.mark.parametrize("stream", ["Silent", "Telling"])
def test_a_stream_that_does_not_tell_its_room_is_heard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stream: str
) -> None:
    """Print answers 0 for all that do not know; they get eight bytes at a time."""
    source = library(tmp_path) / "src"
    flags = ["-O1", "-fPIC", f"-DSTREAM={stream}", f"-I{HERE / 'host'}", f"-I{source}"]
    strict = ["-std=gnu++11", "-Wall", "-Wextra", *flags]
    cpp = ["g++", *strict, "-c", str(HERE / "stream.cpp"), str(source / "Neuromorph.cpp")]
    subprocess.run(cpp, cwd=tmp_path, check=True, timeout=110)
    subprocess.run(["gcc", *flags, "-c", *source.glob("*.c")], cwd=tmp_path, check=True, timeout=110)
    built = tmp_path / "board.so"
    subprocess.run(["g++", "-shared", *tmp_path.glob("*.o"), "-o", built], check=True, timeout=110)
    port = Noting(ctypes.CDLL(str(built)))
    port.power_on()
    monkeypatch.setattr(engines, "open_port", lambda *_args, **_options: port)
    engine = engines.McuEngine("arduino", "stream")
    assert (engine.hello.board, engine.hello.uid) == ("left", b"sixteen letters,")
    assert disagreement(random_case(1, steps=20), engine) == ""
    assert port.most == {"Silent": 8, "Telling": 64}[stream]


@needs_avr
@needs_simavr
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_traces_of_an_8_bit_board_equal_the_specification(
    tmp_path: Path,
    switch_on: Any,
    started: list[tuple[BoardProcess, SocketLine]],
    measure: ModuleType,
    record_property: Tell,
) -> None:
    elf = compile_sketch(tmp_path, "Board", ATMEGA1284P)
    check_fit(elf, ATMEGA1284P, measure, record_property)
    engine = switch_on(elf, "atmega1284p")
    assert (engine.hello.board, engine.hello.core, engine.hello.cause) == ("arduino", "avr", "power")
    held = 0
    for seed in range(200):
        engine.unload()
        try:
            assert disagreement(random_case(seed, steps=20), engine) == ""
        except CapacityError:
            continue
        held += 1
        if held == 3:
            free, real = states_at_both_paces(engine, random_case(seed, steps=20))
            break
    counters, stack = engine.counters(), stack_used(started[0][0])
    engine.close()
    free_ram = ATMEGA1284P.ram - sizes(elf)[1]
    record_property(f"stack that {elf.parent.name} has used", f"{stack} of {free_ram} B")
    assert 0 < stack <= free_ram * 3 // 4
    assert held == 3
    assert free == real
    assert counters["recorded"] + counters["dropped"] == 50
