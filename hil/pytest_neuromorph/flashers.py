"""Get firmware onto a board: each flasher is a function from a job to the steps that it takes."""

from __future__ import annotations

import shlex
import shutil
import string
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from neuromorph.errors import TargetError, ValidationError
from neuromorph.validate import nearest
from neuromorph_mcu.ports import baud_of
from pytest_neuromorph.roster import Entry

__all__ = ["FLASHERS", "Flasher", "Job", "Step", "firmware_names", "plan", "unmapped"]

_DRIVE_WAIT = 60.0
"""Seconds for a person to press the button that makes a board show its drive."""
_PROGRAM_LIMIT = 300.0
"""Seconds that a program has to flash a board."""
_TOLD = 1500
"""Characters that an error repeats of what a program said."""


@dataclass(frozen=True, slots=True)
class Job:
    """Firmware for a board.

    Parameters
    ----------
    entry : Entry
        The board.
    stem : Path
        The firmware's file without its suffix; a flasher takes the format that it needs.
    file : Path, optional
        A file of the user's, instead.
    """

    entry: Entry
    stem: Path
    file: Path | None = None

    def image(self, suffix: str) -> Path:
        """The firmware in a format; ValidationError if nothing says which, TargetError if it was not built."""
        if not self.entry.board and self.file is None:
            raise ValidationError(
                f"{self.entry.id}: the hardware map names no `board`, so its firmware is unknown; add it or use --file"
            )
        path = self.file or self.stem.with_name(f"{self.stem.name}.{suffix}")
        if not path.is_file():
            raise TargetError(
                f"{self.entry.id}: no firmware {path.name} in {path.parent}; run `make build` in a checkout, reinstall "
                "neuromorph, or name a file with --file"
            )
        return path


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do: in words, and as a function that raises TargetError if it fails."""

    what: str
    do: Callable[[], None]


Flasher = Callable[[Job], tuple[Step, ...]]


def plan(entry: Entry, file: Path | None = None) -> tuple[Step, ...]:
    """The steps that put firmware onto a board; nothing is done yet.

    Raises
    ------
    ValidationError
        The map names no flasher, or one that is not there.
    TargetError
        Firmware or a program is missing.
    """
    from neuromorph_mcu.boards import FIRMWARE

    if not entry.flasher:
        known = ", ".join(f'"{name}"' for name in FLASHERS)
        raise ValidationError(f"{entry.id} has no flasher: write one of {known} as `flasher` in the hardware map")
    if entry.flasher not in FLASHERS:
        raise ValidationError(
            f"{entry.id}: flasher {entry.flasher!r} is unknown; {nearest(entry.flasher, list(FLASHERS))}"
        )
    return FLASHERS[entry.flasher](Job(entry, FIRMWARE / entry.board, file))


def firmware_names() -> tuple[str, ...]:
    """The firmware that comes along for real boards."""
    from neuromorph_mcu.boards import BOARDS, FIRMWARE

    emulated = {board.name for board in BOARDS.values()}
    return tuple(sorted({path.stem for path in FIRMWARE.glob("*.elf")} - emulated))


def unmapped(firmware: str, port: str = "", flasher: str = "", args: tuple[str, ...] = ()) -> Entry:
    """A board that no hardware map has, for firmware of ours; by its boot loader's drive where it has one.

    Raises
    ------
    ValidationError
        There is no such firmware; lists what there is.
    """
    from neuromorph_mcu.boards import FIRMWARE

    if firmware not in firmware_names():
        raise ValidationError(f"no firmware {firmware!r}; {nearest(firmware, list(firmware_names()))}")
    usual = "uf2" if (FIRMWARE / f"{firmware}.uf2").is_file() else "pyocd"
    url, baud = baud_of(port)
    return Entry(
        firmware, f"mcu:{port}", "serial", transport=url, baud=baud, board=firmware, flasher=flasher or usual,
        flash_args=args,
    )  # fmt: skip


# ---------------------------------------------------------------------------------------------- UF2


def uf2(job: Job) -> tuple[Step, ...]:
    """Copy a UF2 file to the drive that the boot loader shows; `flash_args`: label or path, if there are several."""
    image = job.image("uf2")
    wanted = job.entry.flash_args[0] if job.entry.flash_args else ""
    which = f" {wanted}" if wanted else ""

    def copy() -> None:
        drive = _wait_for_drive(job.entry.id, wanted)
        try:
            shutil.copyfile(image, drive / image.name)
        except OSError as error:
            raise TargetError(f"{job.entry.id}: cannot copy {image.name} to {drive}: {error}") from error

    return (Step(f"copy {image} to the boot loader's drive{which} (hold BOOTSEL while plugging the board in)", copy),)


def drives(roots: tuple[Path, ...] | None = None) -> Iterator[Path]:
    """Drives of UF2 boot loaders: they have a file INFO_UF2.TXT."""
    if roots is None and sys.platform == "win32":
        places = [Path(f"{letter}:/") for letter in string.ascii_uppercase]
    else:
        places = [
            p for root in roots or (Path("/media"), Path("/run/media"), Path("/Volumes")) for p in _below(root, 2)
        ]
    for place in places:
        if (place / "INFO_UF2.TXT").is_file():
            yield place


def _below(folder: Path, depth: int) -> Iterator[Path]:
    try:
        inside = sorted(path for path in folder.iterdir() if path.is_dir())
    except OSError:  # not there, or of another user
        return
    for path in inside:
        yield path
        if depth > 1:
            yield from _below(path, depth - 1)


def _wait_for_drive(name: str, wanted: str, limit: float | None = None) -> Path:
    end = time.monotonic() + (_DRIVE_WAIT if limit is None else limit)
    while True:
        found = [drive for drive in drives() if wanted in ("", drive.name, str(drive))]
        if len(found) == 1:
            return found[0]
        if len(found) > 1:
            some = ", ".join(map(str, found))
            raise TargetError(f"{name}: several boards show their drives ({some}): name one in `flash_args`")
        if time.monotonic() > end:
            raise TargetError(f"{name}: no drive of a UF2 boot loader: hold BOOTSEL while plugging the board in")
        time.sleep(0.2)


# ---------------------------------------------------------------------------------------------- programs


def pyocd(job: Job) -> tuple[Step, ...]:
    """Through a debug probe with pyOCD; `flash_args` are its own, e.g. ``["--target", "stm32f405rg"]``."""
    found = shutil.which("pyocd")
    program = [sys.executable, "-m", "pyocd"] if _has_module("pyocd") else [found] if found else []
    if not program:
        raise TargetError(
            f"{job.entry.id}: flashing through a debug probe needs pyOCD: pip install 'neuromorph[flash]'"
        )
    return (_program(job, [*program, "flash", *job.entry.flash_args, str(job.image("elf"))]),)


def command(job: Job) -> tuple[Step, ...]:
    """Any program: `flash_args` with {elf}, {hex}, {bin} or {uf2} for the firmware, {port} and {baud} for the line."""
    if not job.entry.flash_args:
        raise ValidationError(
            f'{job.entry.id}: the flasher "command" needs the program in `flash_args`, e.g. ["dfu-util", "{{bin}}"]'
        )
    words = [_filled(word, job) for word in job.entry.flash_args]
    if shutil.which(words[0]) is None:
        raise TargetError(f"{job.entry.id}: the program {words[0]} is not on PATH: install it")
    return (_program(job, words),)


def _filled(word: str, job: Job) -> str:
    values = {"port": job.entry.url, "baud": str(job.entry.baud)}
    for _, name, _, _ in string.Formatter().parse(word):
        if name in ("elf", "hex", "bin", "uf2"):
            values[name] = str(job.image(name))
    try:
        return word.format_map(values)
    except (KeyError, ValueError, IndexError) as error:
        raise ValidationError(f"{job.entry.id}: flash_args: {word!r} has an unknown placeholder: {error}") from error


def _program(job: Job, words: list[str]) -> Step:
    return Step(shlex.join(words), lambda: run_program(job.entry.id, words, _PROGRAM_LIMIT))


def run_program(name: str, words: list[str], limit: float) -> None:
    """Run a program to its end; TargetError with what it said if it cannot be run, fails, or takes too long."""
    try:
        done = subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=limit,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise TargetError(f"{name}: {shlex.join(words)} did not end within {limit:g} s") from error
    except OSError as error:
        raise TargetError(f"{name}: cannot run {words[0]}: {error.strerror or error}") from error
    if done.returncode:
        said = done.stdout.decode(errors="replace").strip()[-_TOLD:]
        raise TargetError(
            f"{name}: {shlex.join(words)} ended with status {done.returncode}" + (f":\n{said}" if said else "")
        )


def _has_module(name: str) -> bool:
    from importlib.util import find_spec

    return find_spec(name) is not None


FLASHERS: Mapping[str, Flasher] = {"uf2": uf2, "pyocd": pyocd, "command": command}
"""By the name in the hardware map."""
