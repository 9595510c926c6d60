"""Compile the C core: the host engine for ctypes and the firmware of every board.

Run it as ``python firmware/build.py``, or let the build hook of the Python package (``hatch_build.py``) call it; both
take the same way. Only the standard library and the ``ziglang`` wheel are needed. An output is rebuilt when its
command line or the content of any of its inputs has changed.

The host engine is named ``nm_<machine>[_v3].<so|dylib|dll>``: the plain name runs on every processor of that kind
(x86-64-v2 on x86-64), ``_v3`` needs AVX2, BMI2 and FMA. A board's firmware is ``<board>.elf``, or without suffix where
it is a program of this host; ``<board>_checked`` is the same with address and undefined-behaviour checks, where a
compiler here has them.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import os
import platform
import shutil
import struct
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent
FIRMWARE = ROOT / "firmware"
BUILD = ROOT / "build"
HOST_OUT = ROOT / "backends" / "neuromorph_cpu" / "_lib"
BOARD_OUT = ROOT / "backends" / "neuromorph_mcu" / "_firmware"

FIRMWARE_ONLY = ("app", "cobs", "link", "store")  # how the serial side of core/ begins: of no use in process
WARNINGS = ("-std=c11", "-Wall", "-Wextra", "-Wconversion", "-Werror")
SANITIZE = ("-O1", "-g", "-fno-omit-frame-pointer", "-fno-sanitize-recover=all", "-fsanitize=address,undefined")
HOST_FLAGS = ("-O3", "-g0", "-fPIC", "-shared")
# Freestanding, and without zig's runtime: building that for each core would cost more than the firmware itself.
BOARD_FLAGS = (
    *("-O2", "-g", "-ffreestanding", "-fno-builtin", "-nostdlib", "-ffunction-sections", "-fdata-sections"),
    *("-fno-unwind-tables", "-fno-asynchronous-unwind-tables", "-fno-stack-protector", "-fno-unroll-loops"),
    "-fomit-frame-pointer",  # else arm has a register less, and inner loops spill
    *("-fno-sanitize=undefined", "-Wl,--gc-sections", "-Wl,--build-id=none", "-Wl,--entry=reset"),
)


class BuildError(Exception):
    """The build cannot go on; the message says what to do."""


@dataclass(frozen=True)
class Platform:
    """A kind of host: how zig calls it, what its wheels are tagged, and the engine variants it gets.

    Linux is tested. The others compile (zig carries their headers) but have never been run.
    """

    zig_target: str
    wheel_tag: str
    suffix: str
    machine: str
    variants: tuple[tuple[str, str], ...]  # (suffix of the stem, -mcpu)


_X86 = (("", "x86_64_v2"), ("_v3", "x86_64_v3"))
_ARM = (("", "generic"),)
PLATFORMS = {
    "linux-x86_64": Platform("x86_64-linux-gnu.2.17", "manylinux_2_17_x86_64", "so", "x86_64", _X86),
    "linux-aarch64": Platform("aarch64-linux-gnu.2.17", "manylinux_2_17_aarch64", "so", "aarch64", _ARM),
    "musl-x86_64": Platform("x86_64-linux-musl", "musllinux_1_1_x86_64", "so", "x86_64", _X86),
    "musl-aarch64": Platform("aarch64-linux-musl", "musllinux_1_1_aarch64", "so", "aarch64", _ARM),
    "macos-x86_64": Platform("x86_64-macos.11.0", "macosx_11_0_x86_64", "dylib", "x86_64", _X86),
    "macos-aarch64": Platform("aarch64-macos.11.0", "macosx_11_0_arm64", "dylib", "aarch64", _ARM),
    "windows-x86_64": Platform("x86_64-windows-gnu", "win_amd64", "dll", "x86_64", _X86),
    "windows-aarch64": Platform("aarch64-windows-gnu", "win_arm64", "dll", "aarch64", _ARM),
}


@dataclass(frozen=True)
class Compiler:
    """How to call a compiler, and a name that changes when its output might."""

    command: tuple[str, ...]
    identity: str


@dataclass(frozen=True)
class Job:
    """One compiler call: every source into one output. Paths in `flags` are relative to the checkout."""

    output: Path
    compiler: Compiler
    flags: tuple[str, ...]
    sources: tuple[Path, ...]
    inputs: tuple[Path, ...]  # sources, headers, linker scripts: what the output is a function of
    header: tuple[Path, str] | None = None  # a file to write before: its path and content
    uf2: int = 0  # family number of the chip, if it is to be had as a UF2 file too

    @property
    def outputs(self) -> tuple[Path, ...]:
        """All files that it writes."""
        return (self.output, self.output.with_suffix(".uf2")) if self.uf2 else (self.output,)

    def command(self, output: Path) -> list[str]:
        """Return the command line that writes `output`, to be run in the checkout."""
        # Without the map (and that of zig), debug information would differ from checkout to checkout.
        where = (f"-ffile-prefix-map={ROOT}=.", "-o", str(output))
        return [*self.compiler.command, *self.flags, *map(_relative, self.sources), *where]

    def fingerprint(self) -> str:
        """Return a hash of all that decides the output: compiler, flags, and the content of the inputs."""
        parts = [self.compiler.identity.encode(), " ".join(self.flags).encode()]
        for path in self.inputs:
            parts += [_relative(path).encode(), path.read_bytes()]
        return _digest(parts)

    @property
    def stamp(self) -> Path:
        """File that keeps the fingerprint of the last output."""
        return BUILD / "stamps" / f"{_relative(self.output).replace('/', '_')}"

    def fresh(self) -> bool:
        """Say whether the output is there and up to date."""
        there = all(path.exists() for path in (*self.outputs, self.stamp))
        return there and self.stamp.read_text() == self.fingerprint()


@dataclass(frozen=True)
class Size:
    """What a firmware takes of its board, in bytes."""

    text: int
    data: int
    bss: int

    @property
    def flash(self) -> int:
        """Code, constants, and the initial values of variables."""
        return self.text + self.data

    @property
    def ram(self) -> int:
        """Variables, and whatever the linker script reserves as such."""
        return self.data + self.bss


def host_platform() -> str:
    """Return the key of `PLATFORMS` for the machine we run on, or raise `BuildError`."""
    machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(platform.machine().lower(), platform.machine().lower())
    system = {"darwin": "macos", "win32": "windows"}.get(sys.platform, sys.platform)
    if system == "linux" and "musl" in str(sysconfig.get_config_var("HOST_GNU_TYPE")):
        system = "musl"
    name = f"{system}-{machine}"
    if name not in PLATFORMS:
        known = ", ".join(PLATFORMS)
        raise BuildError(f"no host engine for {name}; known: {known}. Add a line to PLATFORMS in firmware/build.py")
    return name


def host_jobs(name: str | None = None) -> list[Job]:
    """Jobs for the engine of a platform; of another one than this machine's they end in ``build/cross/<name>``."""
    name, native = name or host_platform(), host_platform()
    if name not in PLATFORMS:
        raise BuildError(f"no platform named {name!r}; known: {', '.join(PLATFORMS)}")
    host, out = PLATFORMS[name], HOST_OUT if name == native else BUILD / "cross" / name
    sources = _engine_sources()
    # Calls between our own functions need not go through the dynamic linker; a missing one shows now, not at load time.
    link = ("-Wl,-Bsymbolic", "-Wl,-z,defs") if host.suffix == "so" else ()
    jobs = []
    for variant, mcpu in host.variants if sources else ():
        flags = ("-target", host.zig_target, f"-mcpu={mcpu}", *HOST_FLAGS, "-fno-sanitize=undefined", *WARNINGS, *link)
        output = out / f"nm_{host.machine}{variant}.{host.suffix}"
        jobs.append(_job(output, zig(), (*flags, *_include("core")), sources, _tree("core")))
    return jobs


def second_opinion_jobs(cc: str, *, sanitize: bool = False) -> list[Job]:
    """Jobs for the engine by another compiler, optionally with run-time checks; the output is in ``build/<cc>``."""
    path = shutil.which(cc)
    if path is None:
        raise BuildError(f"compiler {cc!r} is not on PATH: install it, or leave --cc away to build with zig")
    name = "nm_sanitize.so" if sanitize else "nm.so"
    # The checks that gcc weaves in change the types of expressions, so it then warns of what nobody wrote.
    flags = (*HOST_FLAGS, *(("-std=c11", *SANITIZE) if sanitize else WARNINGS), *_include("core"))
    sources = _engine_sources()
    compiler = Compiler((path,), _version(path))
    return [_job(BUILD / Path(cc).name / name, compiler, flags, sources, _tree("core"))] if sources else []


def board_jobs(*, checks: bool = True) -> list[Job]:
    """Jobs for each ``firmware/boards/<board>/board.toml``; `checks`: also programs with run-time checks."""
    return [job for path in sorted(FIRMWARE.glob("boards/*/board.toml")) for job in _board_jobs(path, checks)]


def _board_jobs(path: Path, checks: bool) -> list[Job]:
    board, where = path.parent.name, _relative(path)
    spec = tomllib.loads(path.read_text(encoding="utf-8"))
    unknown, missing = set(spec) - {"core", "target", "ports", "ld", "defines", "uf2"}, {"core", "ports"} - set(spec)
    if unknown or missing:
        what = f"unknown keys {sorted(unknown)}" if unknown else f"keys missing: {sorted(missing)}"
        raise BuildError(f"{where}: {what}")
    folders = ["core", "port", *(f"port/{port}" for port in spec["ports"]), f"boards/{board}"]
    lost = [folder for folder in folders if not (FIRMWARE / folder).is_dir()]
    if lost:
        raise BuildError(f"{where}: no folder firmware/{lost[0]}")
    inputs = {path for folder in folders for path in (FIRMWARE / folder).iterdir() if path.is_file()}
    build_id = _digest(p.read_bytes() for p in sorted(inputs))[:12]  # HELLO reports it: which sources a board runs
    # In a header and not on the command line, where it would have every file compiled again.
    header = (BUILD / "boards" / board / "build_id.h", f'#define NM_BUILD_ID "{build_id}"\n')
    flags = (
        *(*WARNINGS, *_include(*folders), f"-I{_relative(header[0].parent)}"),
        *(f"-D{key}={value}" for key, value in spec.get("defines", {}).items()),
    )
    sources = [path for path in inputs if path.suffix == ".c"]
    if spec["core"] == "host":
        return [replace(job, header=header) for job in _program_jobs(board, checks, flags, sources, inputs)]
    script = FIRMWARE / spec.get("ld", f"boards/{board}/board.ld")
    if not script.is_file():
        raise BuildError(f"{where}: no linker script {_relative(script)}")
    target = ("-target", spec.get("target", "thumb-freestanding-eabi"), f"-mcpu={spec['core']}", *BOARD_FLAGS)
    flags = (*target, *flags, "-T", _relative(script))
    inputs |= {script, *((FIRMWARE / "uf2.py",) if "uf2" in spec else ())}
    job = _job(BOARD_OUT / f"{board}.elf", zig(), flags, sources, inputs)
    return [replace(job, header=header, uf2=spec.get("uf2", 0))]


def _program_jobs(
    board: str, checks: bool, flags: Sequence[str], sources: Iterable[Path], inputs: Iterable[Path]
) -> list[Job]:
    """Jobs for a firmware that is a program of this host: one that runs everywhere, and one with run-time checks."""
    host = PLATFORMS[host_platform()]
    if host.suffix == "dll":
        return []  # no POSIX
    plain = ("-target", host.zig_target, "-O2", "-g", "-fno-sanitize=undefined")
    jobs = [_job(BOARD_OUT / board, zig(), (*plain, *flags), sources, inputs)]
    checking = sanitizing_compiler() if checks else None
    if checking is not None:
        own = [flag for flag in flags if flag not in WARNINGS]  # see second_opinion_jobs
        checked = ("-std=c11", *SANITIZE, "-DNM_CHECKED", *own)
        jobs.append(_job(BOARD_OUT / f"{board}_checked", checking, checked, sources, inputs))
    return jobs


def sanitizing_compiler() -> Compiler | None:
    """Return gcc or clang if it is here with its sanitizers' libraries; zig has none."""
    for name in ("gcc", "clang"):
        path = shutil.which(name)
        if path is None:
            continue
        version = _version(path)
        stamp = BUILD / "stamps" / f"sanitizers_{_digest([path.encode(), version.encode()])[:12]}"
        if not stamp.exists():
            stamp.parent.mkdir(parents=True, exist_ok=True)
            probe = [path, *SANITIZE, "-x", "c", "-", "-o", str(stamp) + ".probe"]
            code = "int main(void) { return 0; }"
            done = subprocess.run(probe, input=code, text=True, capture_output=True, check=False)
            stamp.write_text("" if done.returncode else "yes")
        if stamp.read_text():
            return Compiler((path,), version)
    return None


def zig() -> Compiler:
    """Return the zig C compiler of this Python, or raise `BuildError` if its wheel is not installed."""
    try:
        version = metadata.version("ziglang")
    except metadata.PackageNotFoundError:
        raise BuildError(
            f"the C compiler is missing: {sys.executable} has no 'ziglang'. "
            "Run 'make build', or install the pinned one: pip install 'neuromorph[build]'"
        ) from None
    spec = importlib.util.find_spec("ziglang")
    home = spec.submodule_search_locations[0] if spec and spec.submodule_search_locations else ""
    return Compiler((sys.executable, "-m", "ziglang", "cc", f"-ffile-prefix-map={home}=zig"), f"zig {version}")


def run(jobs: Sequence[Job], *, say: bool = True) -> list[Path]:
    """Bring every output up to date, as many at a time as there are cores; return them, or raise `BuildError`."""
    stale = [job for job in jobs if not job.fresh()]
    with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 2)) as pool:
        errors = zip(stale, pool.map(_compile, stale), strict=True)
        failed = [(_relative(job.output), error) for job, error in errors if error]
    if failed:  # one report: what is wrong with one variant is mostly wrong with all
        (name, error), others = failed[0], [name for name, _ in failed[1:]]
        raise BuildError(f"{name}:\n{error}" + (f"\nnot built either: {', '.join(others)}" if others else ""))
    if say:
        for job in jobs:
            print(f"{'built' if job in stale else 'fresh'}  {_relative(job.output)}{_size_note(job.output)}")
    return [path for job in jobs for path in job.outputs]


def _compile(job: Job) -> str | None:
    """Compile to a name of our own, then move it into place: a concurrent reader never sees half a file."""
    cache = BUILD / "zig"
    env = {**os.environ, "ZIG_LOCAL_CACHE_DIR": str(cache), "ZIG_GLOBAL_CACHE_DIR": str(cache)}
    for folder in (cache, job.output.parent, job.stamp.parent):
        folder.mkdir(parents=True, exist_ok=True)
    if job.header:
        job.header[0].parent.mkdir(parents=True, exist_ok=True)
        job.header[0].write_text(job.header[1])
    fingerprint, partial = job.fingerprint(), BUILD / f"{job.output.stem}.{os.getpid()}{job.output.suffix}"
    command = job.command(partial)
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        return done.stderr.strip() or f"exit status {done.returncode} from: {' '.join(command)}"
    os.replace(partial, job.output)
    if job.uf2:
        convert = [sys.executable, str(FIRMWARE / "uf2.py"), *map(str, job.outputs), hex(job.uf2)]
        subprocess.run(convert, check=True)
    for leftover in BUILD.glob(f"{partial.stem}.*"):  # debug databases and import libraries of Windows
        leftover.unlink()
    job.stamp.write_text(fingerprint)
    return None


def elf_size(path: Path) -> Size:
    """Sum the loadable sections of a little-endian ELF32 file."""
    raw = path.read_bytes()
    if raw[:6] != b"\x7fELF\x01\x01":
        raise BuildError(f"{path.name} is not a little-endian ELF32 file")
    offset, entry, count = struct.unpack_from("<I", raw, 32)[0], *struct.unpack_from("<HH", raw, 46)
    text = data = bss = 0
    for index in range(count):
        _, kind, flags, _, _, size = struct.unpack_from("<6I", raw, offset + index * entry)
        writable, allocated, nobits = flags & 1, flags & 2, kind == 8
        if allocated and nobits:
            bss += size
        elif allocated and writable:
            data += size
        elif allocated:
            text += size
    return Size(text, data, bss)


def _size_note(path: Path) -> str:
    if path.suffix != ".elf":
        return f"  {path.stat().st_size} B"
    size = elf_size(path)
    flash, ram = f"text {size.text}, data {size.data}", f"data {size.data}, bss {size.bss}"
    return f"  flash {size.flash} B ({flash}), RAM {size.ram} B ({ram})"


def _engine_sources() -> list[Path]:
    return [path for path in FIRMWARE.glob("core/*.c") if not path.name.startswith(FIRMWARE_ONLY)]


def _job(
    output: Path, compiler: Compiler, flags: Sequence[str], sources: Iterable[Path], inputs: Iterable[Path]
) -> Job:
    return Job(output, compiler, tuple(flags), tuple(sorted(sources)), tuple(sorted(inputs)))


def _version(compiler: str) -> str:
    return subprocess.run([compiler, "--version"], capture_output=True, text=True, check=False).stdout


def _tree(folder: str) -> list[Path]:
    return [path for path in (FIRMWARE / folder).rglob("*") if path.is_file()]


def _include(*folders: str) -> tuple[str, ...]:
    return tuple(f"-I{_relative(FIRMWARE / folder)}" for folder in folders)


def _relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _digest(parts: Iterable[bytes]) -> str:
    state = hashlib.sha256()
    for part in parts:
        state.update(len(part).to_bytes(8, "little") + part)
    return state.hexdigest()


def build(what: str = "all", *, say: bool = True, checks: bool = True) -> list[Path]:
    """Build ``host``, ``firmware`` or ``all`` for this machine; return the paths of the outputs.

    Without `checks` there are only those that run elsewhere too.
    """
    host = host_jobs() if what in ("host", "all") else []
    jobs = host + (board_jobs(checks=checks) if what in ("firmware", "all") else [])
    return run(jobs, say=say)


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the command line and build; the exit status is 1 when a compiler complains."""
    parser = argparse.ArgumentParser(description="Compile the host engine and the firmware of every board.")
    parser.add_argument("what", nargs="?", choices=("host", "firmware", "all"), default="all")
    parser.add_argument("--cc", metavar="COMPILER", help="build only the host engine, with this compiler, in build/")
    parser.add_argument("--sanitize", action="store_true", help="with --cc: address and undefined-behaviour checks")
    parser.add_argument("--platform", choices=tuple(PLATFORMS), help="build only the host engine, of another platform")
    options = parser.parse_args(arguments)
    if options.sanitize and not options.cc:
        parser.error("--sanitize needs --cc gcc or --cc clang: zig carries no address sanitizer")
    try:
        if options.cc:
            run(second_opinion_jobs(options.cc, sanitize=options.sanitize))
        elif options.platform:
            run(host_jobs(options.platform))
        else:
            build(options.what)
    except BuildError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
