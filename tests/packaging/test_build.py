"""firmware/build.py: what is rebuilt when, what is said when it fails, and what is measured."""

from __future__ import annotations

import importlib.util
import shutil
import struct
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.scripts import script

ROOT = Path(__file__).resolve().parents[2]
ENGINE = '#include "nm.h"\nint nm_twice(int a) { return 2 * a; }\n'
needs_zig = pytest.mark.skipif(
    importlib.util.find_spec("ziglang") is None, reason="needs the compiler: pip install 'neuromorph[build]'"
)


@pytest.fixture
def build() -> ModuleType:
    return script("firmware/build.py")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with one C file, which shares the compiler's cache with ours."""
    core = tmp_path / "firmware" / "core"
    core.mkdir(parents=True)
    shutil.copy(ROOT / "firmware" / "build.py", tmp_path / "firmware")
    (core / "nm.h").write_text("int nm_twice(int a);\n")
    (core / "twice.c").write_text(ENGINE)
    (tmp_path / "build").mkdir()
    (ROOT / "build" / "zig").mkdir(parents=True, exist_ok=True)
    (tmp_path / "build" / "zig").symlink_to(ROOT / "build" / "zig")
    return tmp_path


def run(checkout: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(checkout / "firmware" / "build.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=110, check=False)


def verdicts(done: subprocess.CompletedProcess[str]) -> set[str]:
    assert done.returncode == 0, done.stderr
    return {line.split()[0] for line in done.stdout.splitlines()}


@needs_zig
def test_content_decides_what_is_rebuilt_and_time_does_not(checkout: Path) -> None:
    source = checkout / "firmware" / "core" / "twice.c"
    assert verdicts(run(checkout, "host")) == {"built"}
    assert verdicts(run(checkout, "host")) == {"fresh"}
    source.touch()
    assert verdicts(run(checkout, "host")) == {"fresh"}
    source.write_text(ENGINE.replace("2", "3"))
    assert verdicts(run(checkout, "host")) == {"built"}
    (checkout / "firmware" / "core" / "nm.h").write_text("int nm_twice(int a); /* changed */\n")
    assert verdicts(run(checkout, "host")) == {"built"}


@needs_zig
def test_a_compile_error_names_the_line_and_keeps_the_last_good_output(checkout: Path) -> None:
    assert verdicts(run(checkout, "host")) == {"built"}
    outputs = {path: path.read_bytes() for path in (checkout / "backends/neuromorph_cpu/_lib").iterdir()}
    assert outputs
    (checkout / "firmware" / "core" / "twice.c").write_text(ENGINE.replace("2 * a", "2.5 * a"))
    done = run(checkout, "host")
    assert done.returncode == 1
    assert done.stderr.count("twice.c:2:") == 1  # once, for all variants
    assert {path: path.read_bytes() for path in outputs} == outputs
    assert "Traceback" not in done.stderr


@needs_zig
@pytest.mark.slow
@pytest.mark.parametrize(
    ("platform", "magic"),
    [("linux-aarch64", b"\x7fELF"), ("macos-aarch64", b"\xcf\xfa\xed\xfe")],
    ids=["linux", "macos"],
)
def test_another_platform_compiles_here(checkout: Path, platform: str, magic: bytes) -> None:
    assert verdicts(run(checkout, "--platform", platform)) == {"built"}
    (output,) = (checkout / "build" / "cross" / platform).iterdir()
    assert output.read_bytes().startswith(magic)


@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc from the system's package manager")
def test_gcc_gives_a_second_opinion_with_sanitizers(checkout: Path) -> None:
    assert verdicts(run(checkout, "--cc", "gcc", "--sanitize")) == {"built"}
    assert b"__ubsan" in (checkout / "build" / "gcc" / "nm_sanitize.so").read_bytes()


def test_sanitizers_without_gcc_or_clang_are_refused(checkout: Path) -> None:
    done = run(checkout, "--sanitize")
    assert done.returncode == 2
    assert "--cc" in done.stderr


def test_an_unknown_compiler_is_named(checkout: Path) -> None:
    done = run(checkout, "--cc", "no-such-compiler")
    assert done.returncode == 1
    assert "'no-such-compiler' is not on PATH" in done.stderr


def test_a_missing_zig_says_how_to_get_it(build: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> str:
        raise build.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(build.metadata, "version", absent)
    with pytest.raises(build.BuildError, match="make build"):
        build.zig()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('core = "cortex_m4"\n', "keys missing: ['ports']"),
        ('core = "cortex_m4"\nports = ["here"]\nclock = 1\n', "unknown keys ['clock']"),
        ('core = "cortex_m4"\nports = ["here", "there"]\n', "no folder firmware/port/there"),
        ('core = "cortex_m4"\nports = ["here"]\nld = "a.ld"\n', "no linker script firmware/a.ld"),
        ('core = "cortex_m4"\nports = ["here"]\n', "no linker script firmware/boards/mine/board.ld"),
    ],
    ids=["a key is missing", "a key is unknown", "a port is missing", "the script is missing", "so is the usual one"],
)
def test_a_board_description_that_cannot_be_built_is_refused_by_name(checkout: Path, text: str, complaint: str) -> None:
    for folder in ("boards/mine", "port/here"):
        (checkout / "firmware" / folder).mkdir(parents=True)
    (checkout / "firmware/port/here/port.c").write_text("")
    (checkout / "firmware/boards/mine/board.toml").write_text(text)
    done = run(checkout, "firmware")
    assert done.returncode == 1
    assert f"firmware/boards/mine/board.toml: {complaint}" in done.stderr


def elf32(sections: list[tuple[int, int, int]]) -> bytes:
    """An ELF32 header and section headers of (type, flags, size), after the ELF specification; no content."""
    fields = struct.pack("<HHIIIIIHHHHHH", 2, 40, 1, 0, 0, 52, 0, 52, 0, 0, 40, len(sections), 0)
    headers = [struct.pack("<10I", 0, kind, flags, 0, 0, size, 0, 0, 4, 0) for kind, flags, size in sections]
    return b"\x7fELF\x01\x01\x01" + bytes(9) + fields + b"".join(headers)


def test_sizes_count_initial_values_twice_and_debug_information_never(build: ModuleType, tmp_path: Path) -> None:
    progbits, nobits, write, alloc, execute = 1, 8, 1, 2, 4
    path = tmp_path / "board.elf"
    sections = [(0, 0, 0), (progbits, alloc | execute, 1000), (progbits, alloc, 50), (progbits, alloc | write, 7)]
    path.write_bytes(elf32([*sections, (nobits, alloc | write, 300), (progbits, 0, 99999)]))
    size = build.elf_size(path)
    assert (size.text, size.data, size.bss) == (1050, 7, 300)
    assert (size.flash, size.ram) == (1057, 307)


def test_a_host_library_has_no_firmware_size(build: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "x.elf").write_bytes(b"\x7fELF\x02\x01" + bytes(60))
    with pytest.raises(build.BuildError, match=r"x\.elf is not a little-endian ELF32"):
        build.elf_size(tmp_path / "x.elf")
