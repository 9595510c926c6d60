"""Fuzz the C core with libFuzzer, AddressSanitizer and UndefinedBehaviorSanitizer: ``python -m tests.fuzz``.

Targets (``firmware/test/fuzz/``): ``image``, a program from anywhere is verified and run; ``link``, bytes and messages
for a whole board with its flash; ``records``, inputs, states and step counters for accepted programs; ``store``, what
a board finds in its flash at its start, and what it leaves there where the power fails. Checksums and hashes are
compiled out. ``--keep`` stores the inputs that reach new code, and adds to the counts, in ``tests/fuzz/corpus/``. Needs
clang with libFuzzer.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from neuromorph.testing.programs import draw

ROOT = Path(__file__).parents[2]
CORE, HARNESS = ROOT / "firmware" / "core", ROOT / "firmware" / "test" / "fuzz"
CORPUS = Path(__file__).parent / "corpus"
COUNTS = CORPUS / "counts.txt"
TARGETS = ("image", "link", "records", "store")
MOST = {"image": 6144, "link": 4096, "records": 512, "store": 512}
REPLACED = ("blake2s.c", "crc32c.c", "host.c")
FLAGS = (
    *("-std=c11", "-g", "-O2", "-fno-omit-frame-pointer", "-DNM_VERIFY_NO_HASH", "-DNM_STORE=1u"),
    *("-fsanitize=fuzzer,address,undefined", "-fno-sanitize-recover=all"),
)
QUICK = "-fno-sanitize-coverage=trace-cmp"
"""Twice the executions, without looking at what is compared: for inputs that begin far inside."""
CHECKS = "quarantine_size_mb=8:malloc_context_size=4"
"""AddressSanitizer's own defaults spend most of the time of such short runs."""
GUARDS = "-D__SANITIZE_ADDRESS__=1"
"""Forbidden bytes between the engine's arrays; the target `store` copies its memory as a whole."""
SMALL = 3000
"""Bytes of an image that is a seed."""
NEED_CLANG = "needs clang with libFuzzer (Debian: apt install clang libclang-rt-dev)"


@dataclass(frozen=True)
class Count:
    """Executions of a run, those in depth, whether it ended without a finding, and bytes that went over the line."""

    executions: int
    deep: int
    clean: bool
    bytes: int = 0


def seeds() -> list[bytes]:
    """Small images of random programs."""
    found: list[bytes] = []
    for seed in range(400):
        image = draw(seed, profile="wide" if seed % 4 == 3 else "loihi2").program.image
        if len(image) <= SMALL and len(found) < 60:
            found.append(image)
    return found


def messages(image: bytes) -> bytes:
    """Commands of the target ``link``: send an image, load it, run it, read and write its state."""

    def message(kind: int, payload: bytes) -> bytes:
        return bytes([4, kind - 16, len(payload)]) + payload + b"\0"

    sent = message(17, struct.pack("<I", len(image)) + b"k" * 32)
    for at in range(0, len(image), 240):
        sent += message(18, struct.pack("<I", at) + image[at : at + 240].ljust(0) + b"\0" * (len(image[at:]) & 1))
    sent += message(19, b"") + message(16, b"")
    sent += message(21, struct.pack("<III", 20, 0, 0)) + message(22, struct.pack("<II", 20, 0))
    sent += message(24, struct.pack("<HHII", 0, 0, 0, 1)) + message(28, b"") + message(26, struct.pack("<I", 5))
    sent += message(29, struct.pack("<II", 0, 3)) + message(31, b"\2") + message(30, b"") + message(33, b"")
    sent += b"\xf1\xf9" + message(33, b"") + message(32, b"")
    return sent + message(27, b"") + message(20, b"")


def flashes() -> Iterator[bytes]:
    """Commands of the target ``store``: a flash with an image and a state, and work with cuts."""

    def record(slot: int, kind: int, flags: int, number: int, place: int) -> bytes:
        return struct.pack("<BBBHBBHBBB", 0, slot, kind, place, flags, number, 0, number, 0, 0)

    for flags in (1, 4):
        things = struct.pack("<BBH", 3, 0, 256) + struct.pack("<BBH", 5, 0, 1024)
        yield b"\0" + things + record(0, 4, 0, 0, 0) + record(1, 0, flags, 1, 256) + record(2, 1, 0, 2, 1024)
    for k in (0, 3, 9, 17):
        stored = bytes([0, k, 0, 1, 3, 0, 2, 2, k, 3, 0, 2 * k, 4, 2, k])
        yield b"\1" + stored + bytes([6, 0, k, 1, 2, 0, 3, 0, k]) + stored + bytes([4, 0, 1, 5, 0, k, 6, 0, 0])


def starts(target: str) -> Iterator[bytes]:
    """Where a target begins when there is no corpus."""
    for image in seeds():
        if target == "image":
            yield image
        elif target == "link" and len(image) < MOST["link"] - 400:
            yield messages(image)
    if target == "store":
        yield from flashes()
    if target == "records":
        for k in range(12):
            yield bytes([k, 4, 20, 0]) + struct.pack("<IHBBIHH", 1, 0, 0, 0, 0, 1, 0) + b"\0\0\0\0" + b"\6" * 5


def programs_header(path: Path, target: str) -> None:
    """C arrays of a dozen images for the target ``records``, of the smallest ones for ``store``."""
    images = seeds()[:12] if target == "records" else sorted(seeds(), key=len)[:4]
    lines = ["#include <stdint.h>", "#define ALIGNED __attribute__((aligned(8)))"]
    for k, image in enumerate(images):
        lines.append(f"static const uint8_t ALIGNED image_{k}[] = {{{','.join(map(str, image))}}};")
    table = ", ".join(f"{{image_{k}, sizeof image_{k}}}" for k in range(len(images)))
    lines.append(f"static const struct {{ const uint8_t *image; uint32_t len; }} programs[] = {{{table}}};")
    path.write_text("\n".join(lines) + "\n")


def has_fuzzer(compiler: str) -> bool:
    """Whether a compiler comes with libFuzzer and the sanitizers."""
    source = b"int LLVMFuzzerTestOneInput(const char *a, unsigned long n) { return a && n > 9; }"
    with tempfile.TemporaryDirectory() as folder:
        command = [compiler, *FLAGS, "-x", "c", "-", "-o", f"{folder}/empty"]
        return subprocess.run(command, input=source, capture_output=True, timeout=60, check=False).returncode == 0


def core(folder: Path, compiler: str, flags: list[str]) -> list[str]:
    """The core as objects, compiled once for the targets that share the flags."""
    kept = folder / ("guarded" if GUARDS in flags else "plain")
    if not kept.exists():
        kept.mkdir()
        sources = [str(path) for path in sorted(CORE.glob("*.c")) if path.name not in REPLACED]
        subprocess.run([compiler, *flags, "-c", *sources], check=True, timeout=300, cwd=kept)
    return sorted(map(str, kept.glob("*.o")))


def build(target: str, folder: Path, objects: Path, compiler: str, *, quick: bool = False) -> Path:
    """The fuzzer of a target."""
    programs_header(folder / "programs.h", target)
    built = folder / f"fuzz_{target}"
    flags = [*FLAGS, *([QUICK] if quick else []), *([] if target == "store" else [GUARDS]), f"-I{CORE}"]
    command = [compiler, *flags, f"-I{folder}", str(HARNESS / f"{target}.c"), *core(objects, compiler, flags)]
    subprocess.run([*command, "-o", str(built)], check=True, timeout=300)
    return built


def unpack(target: str, into: Path) -> None:
    """The kept inputs, and the seeds."""
    into.mkdir(exist_ok=True)
    kept = CORPUS / f"{target}.zip"
    if kept.exists():
        with zipfile.ZipFile(kept) as archive:
            archive.extractall(into)
    for k, data in enumerate(starts(target)):
        (into / f"seed{k:03}").write_bytes(data)


def keep(target: str, built: Path, folder: Path) -> int:
    """Reduce the corpus to inputs that each reach something new, and store it; how many they are."""
    small = folder / "small"
    small.mkdir()
    command = [str(built), "-merge=1", f"-max_len={MOST[target]}", str(small), str(folder / "corpus")]
    subprocess.run(command, check=True, capture_output=True, timeout=1800)
    CORPUS.mkdir(exist_ok=True)
    found = sorted(small.iterdir())
    with zipfile.ZipFile(CORPUS / f"{target}.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for path in found:
            archive.writestr(zipfile.ZipInfo(path.name, (1980, 1, 1, 0, 0, 0)), path.read_bytes(), zipfile.ZIP_DEFLATED)
    return len(found)


def add(target: str, count: Count) -> None:
    """Add a run to the counts that are kept."""
    rows = {name: [int(x) for x in row] for name, *row in map(str.split, COUNTS.read_text().splitlines()[1:])}
    before = rows.get(target, [0, 0])
    rows[target] = [before[0] + count.executions, before[1] + count.deep]
    lines = [f"{name} {executions} {deep}" for name, (executions, deep) in sorted(rows.items())]
    COUNTS.write_text("\n".join(["target executions in_depth", *lines]) + "\n")


def fuzz(target: str, options: argparse.Namespace, objects: Path, compiler: str) -> Count:
    """Run a target; a finding is left as a file in the present directory."""
    seconds, runs = options.seconds // len(options.targets), options.runs
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        built = build(target, folder, objects, compiler, quick=options.quick)
        unpack(target, folder / "corpus")
        limit = [f"-max_total_time={seconds}"] if seconds else []
        limit += [f"-runs={runs}"] if runs else []
        limit += [f"-seed={options.seed}"] if options.seed else []
        limit += [f"-max_len={options.length or MOST[target]}", "-timeout=25", "-rss_limit_mb=2048"]
        command = [str(built), *limit, f"-artifact_prefix={Path.cwd()}/fuzz-{target}-", str(folder / "corpus")]
        env = {**os.environ, "ASAN_OPTIONS": CHECKS}
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False, env=env)
        counted = re.search(r"executions: (\d+), of them in depth: (\d+), bytes: (\d+)", done.stderr)
        if done.returncode or counted is None:
            print(done.stderr[-6000:])
            return Count(0, 0, False)
        count = Count(int(counted[1]), int(counted[2]), True, int(counted[3]))
        if options.keep:
            print(f"{target}: {keep(target, built, folder)} inputs kept")
            add(target, count)
        return count


def main() -> int:
    """Run what is asked for and print the counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("targets", nargs="*", default=TARGETS, help=f"of {', '.join(TARGETS)}; all by default")
    parser.add_argument("--seconds", type=int, default=60, help="for all targets together; 0: no limit")
    parser.add_argument("--runs", type=int, default=0, help="executions of each target; 0: as many as time allows")
    parser.add_argument("--seed", type=int, default=0, help="of the fuzzer's choices; 0: another one each time")
    parser.add_argument("--keep", action="store_true", help="store the inputs that reach new code, and the counts")
    parser.add_argument("--quick", action="store_true", help="twice the executions, with less guidance")
    parser.add_argument("--length", type=int, default=0, help="bytes of an input at most; 0: enough for all seeds")
    options = parser.parse_args()
    compiler = shutil.which("clang")
    if compiler is None or not has_fuzzer(compiler):
        print(f"fuzz: skipped, {NEED_CLANG}")
        return 0
    clean = True
    with tempfile.TemporaryDirectory() as objects:
        for target in options.targets:
            began = time.monotonic()
            count = fuzz(target, options, Path(objects), compiler)
            took = time.monotonic() - began
            print(
                f"{target}: {count.executions} executions, {count.deep} in depth, "
                f"{f'{count.bytes} bytes over the line, ' if count.bytes else ''}{took:.0f} s, "
                f"{'no finding' if count.clean else 'A FINDING (see above)'}",
                flush=True,
            )
            clean = clean and count.clean
    return 0 if clean else 1


if __name__ == "__main__":
    sys.exit(main())
