"""Mutation check: do the random programs notice when one operator of the C engine is another one?

    python tests/mutation/mutate.py [--seed 1] [--count 50] [--programs 500] [--json]

Draws changes of one operator or constant from the sources that decide bits (all but `ELSEWHERE`), builds each into a
library of its own, and runs it against `cpu:ref` exactly as ``tests/equality`` does, up to the first program that
differs. A crash or a hang counts as caught. A change that does not compile, or to the same instructions, is drawn
again. Exit status 1 if under 95% are caught.

What is changed (`REPLACEMENTS`): arithmetic, shift, comparison, bit and logic operators and increments, also in the
bodies of macros; with --constants integer constants next to such an operator too, by one up or down. Left alone is
what random programs hardly tell, so that the share caught is one of the rest. Most of it cannot change a bit, but not
all: lines go whole, and some of them decide rarely. The lists were drawn up from survivors of earlier runs:

- comments, strings, other preprocessor lines; sizes in declarations; lines that refuse bad arguments (``NM_E_``);
- functions that such runs do not call, or that only choose among ways to the same bits (`SKIPPED`), and lines of that
  kind (`SHORTCUTS`), whole lines and with all that could be seen on them;
- ``<`` for ``<=`` in a choice of the smaller or larger of two values (``a < b ? a : b``): the same by arithmetic;
- ``<=`` for ``<`` in the head of a loop: one element too many is undefined, and what it does depends on what lies
  there; builds with run-time checks look for that.

Changes that alter speed alone can still be drawn: they count as not caught and are listed, for a person to judge.
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CORE = ROOT / "firmware" / "core"
WANTED = 0.95
PROGRAM_SECONDS = 20  # a program takes milliseconds; a mutant that takes so long hangs

ELSEWHERE = frozenset({
    "app.c", "app.h", "app_internal.h", "app_pace.c", "app_program.c", "app_run.c", "app_state.c", "link.c", "link.h",
    "link_internal.h", "link_send.c", "cobs.c", "cobs.h", "wire.h", "crc32c.c", "blake2s.c", "host.c", "nm.h",
    "verify.c", "state.c", "record.c",
})  # fmt: skip
"""Files that move, check and pack bytes: they have tests of their own."""

PARTS = {"layout.c": ("nm_udivmod",), "image.c": ("nm_product_right", "nm_decode_factor")}
"""Files of which only some functions compute; the rest places and reads bytes."""

SKIPPED = {
    "nm_inject": "the call for sketches; programs get their inputs as records",
    "nm_spikes": "the call for sketches",
    "nm_set_kernels": "a switch of the tests",
    "nm_init": "pointers and counts; it computes nothing",
    "nm_separable": "may a kernel run; else the interpreter does",
    "one_trace": "part of nm_separable",
    "columns_matter": "may a row be left out because it adds 0",
    "may_saturate": "may clips be left out because nothing reaches them",
}

SHORTCUTS = {
    r"\bfraction\b|\bexact\b|any & 127": "numbers are drawn only where something is to be rounded",
    r"\bany\b": "what adds nothing is left out",
    r"t_epoch > 1\b|t_epoch == 1\b": "in an epoch of one step every time is the same",
    r"\bwhole\b": "whole numbers need no rounding",
    r"\bFEW\b|\bsome\b": "rows go as lists or whole, with the same bits",
    r"\bloaded\b|\breads\b|\bdirty\b": "fetches and sums only what is needed",
    r"\bby_trace\b|\bby_value\b|NM_DECAY_ENTRIES": "worked out per value where values are fewer than neurons",
    r"uint32_t mode =|if \(mode & (ARRAYS|THRESHOLDS|THETA|LOW)\)": "loops of their own for scalars",
    r"\bt_lo\b|\btop\b|<< 21|0x1FFFFFu": "the low word of a 53-bit number: it decides once in two million decays",
}

REPLACEMENTS: dict[str, tuple[str, ...]] = {
    "+": ("-",), "-": ("+",), "*": ("+",), "<<": (">>",), ">>": ("<<",), "<": ("<=", ">="), "<=": ("<", ">"),
    ">": (">=", "<="), ">=": (">", "<"), "==": ("!=",), "!=": ("==",), "&": ("|", "^"), "|": ("&",),
    "^": ("&",), "&&": ("||",), "||": ("&&",), "++": ("--",), "--": ("++",), "+=": ("-=",), "-=": ("+=",),
    "|=": ("&=",), "&=": ("|=",), "^=": ("&=",), "*=": ("+=",), ">>=": ("<<=",), "<<=": (">>=",),
}  # fmt: skip

_HIDDEN = re.compile(r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'", re.DOTALL)
# The sources put spaces around binary operators and none after a pointer's star or an address's ampersand.
_BINARY = re.compile(r"(?<= )(<<=|>>=|<<|>>|<=|>=|==|!=|&&|\|\||\+=|-=|\*=|\|=|&=|\^=|[-+*<>&|^])(?= )")
_STEP = re.compile(r"\+\+|--")
_CONSTANT = re.compile(r"(?<![\w.])(0[xX][0-9a-fA-F]+|\d+)([uUlL]*)(?![\w.])")
_SIZES = re.compile(r"^\s*(?:static |const |typedef )*(?:u?int\d+_t|nm_\w+|int)\b[^=;(]*\[[^=;]*")
_LEFT_ALONE = re.compile("|".join(["NM_E_", "sizeof", *SHORTCUTS]))
_FUNCTION = re.compile(r"^\w[\w \t\*]*?\b(\w+)\((?:[^;{}]*?)\) \{(?:[^\n]*\}$|.*?^\})", re.MULTILINE | re.DOTALL)
_MACRO = re.compile(r"^#define (\w+)\([^\n]*\\\n(?:[^\n]*\\\n)*[^\n]*\n", re.MULTILINE)


@dataclass(frozen=True)
class Change:
    """One operator or constant of a source file and what takes its place."""

    file: str
    function: str
    line: int
    column: int
    at: int
    old: str
    new: str
    text: str  # the line

    def apply(self, source: str) -> str:
        """The changed source."""
        return source[: self.at] + self.new + source[self.at + len(self.old) :]

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}:{self.column} {self.function}"
        return f"{where}: {self.old!r} -> {self.new!r} in: {self.text.strip()}"


def changes(file: str, source: str, only: tuple[str, ...] = (), *, constants: bool = False) -> Iterator[Change]:
    """All changes of a source file, in functions named `only` if given."""
    code = _HIDDEN.sub(lambda found: re.sub(r"[^\n]", " ", found.group()), source)
    for name, start, end in _bodies(code):
        if name in SKIPPED or (only and name not in only):
            continue
        for at, old, new in _replacements(code, start, end, constants=constants):
            first, last = source.rfind("\n", 0, at) + 1, source.find("\n", at)
            line, text = source.count("\n", 0, at) + 1, source[first:last].rstrip("\\ ")
            yield Change(file, name, line, at - first + 1, at, old, new, text)


def _bodies(code: str) -> Iterator[tuple[str, int, int]]:
    """Name, start and end of the body of each function and of each macro that spans lines."""
    for found in _MACRO.finditer(code):
        yield found.group(1), code.index("\n", found.start()) + 1, found.end()
    for found in _FUNCTION.finditer(re.sub(r"^#[^\n]*(?:\\\n[^\n]*)*", _blank, code, flags=re.MULTILINE)):
        yield found.group(1), code.index(" {", found.end(1)) + 1, found.end()


def _blank(found: re.Match[str]) -> str:
    return re.sub(r"[^\n]", " ", found.group())


def _replacements(code: str, start: int, end: int, *, constants: bool) -> Iterator[tuple[int, str, str]]:
    """Place, old and new text of each change between `start` and `end`."""
    at = start
    while at < end:
        stop = code.find("\n", at) + 1 or end
        line = code[at:stop]
        sizes = _SIZES.match(line)
        first = sizes.end() if sizes else 0
        if not _LEFT_ALONE.search(line):
            for found in [*_BINARY.finditer(line, first), *_STEP.finditer(line, first)]:
                for new in REPLACEMENTS[found.group()]:
                    if not _same_choice(line, found, new) and not _overrun(line, found, new):
                        yield at + found.start(), found.group(), new
            for found in _CONSTANT.finditer(line, first) if constants else ():
                if _is_operand(line, found):
                    near = _neighbours(*found.groups())[_is_bound(line, found) :]
                    yield from ((at + found.start(), found.group(), new) for new in near)
        at = stop


def _neighbours(digits: str, suffix: str) -> tuple[str, ...]:
    value, form = int(digits, 0), "#x" if digits[:2] in ("0x", "0X") else "d"
    return tuple(f"{x:{form}}{suffix}" for x in (value + 1, value - 1) if x >= 0)


def _is_operand(line: str, found: re.Match[str]) -> bool:
    before, after = _BINARY.findall(line[: found.start()]), _BINARY.match(line, found.end() + 1)
    return bool(after or (before and line[: found.start()].endswith(f" {before[-1]} ")))


def _is_bound(line: str, found: re.Match[str]) -> bool:
    """Whether a constant ends a loop: one more would be an overrun."""
    return "for (" in line[: found.start()] and line[: found.start()].endswith("< ")


def _same_choice(line: str, found: re.Match[str], new: str) -> bool:
    """Whether the change only decides which of two equal values is taken: ``a < b ? a : b``."""
    if {found.group(), new} not in ({"<", "<="}, {">", ">="}):
        return False
    left = re.search(r"([\w.\->\[\]]+) $", line[: found.start()])
    right = re.match(r" ([\w.\->\[\]]+) \? ([\w.\->\[\]]+) :", line[found.end() :])
    return bool(left and right and right.group(2) in (left.group(1), right.group(1)))


def _overrun(line: str, found: re.Match[str], new: str) -> bool:
    """Whether the change makes a loop run once more."""
    return (found.group(), new) == ("<", "<=") and "for (" in line[: found.start()] and ";" in line[found.end() :]


# ----------------------------------------------------------------------------------------------------------- building


class Builder:
    """Compiles changed engines in a folder; what does not change is compiled once."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.core = folder, folder / "core"
        shutil.copytree(CORE, self.core)  # what is edited meanwhile has no effect
        self.sources = sorted(p for p in self.core.glob("*.c") if not p.name.startswith(("app", "cobs", "link")))
        gcc = shutil.which("gcc")
        compiler = [gcc] if gcc else [sys.executable, "-m", "ziglang", "cc", "-fno-sanitize=undefined"]
        self._cc = [*compiler, "-std=c11", "-O2", "-g0", "-fPIC", "-w", "-Werror=int-conversion"]
        self.base = folder / "base"
        self.base.mkdir()
        if not all(self._compile(source, self.base, self.core) for source in self.sources):
            raise SystemExit("the engine itself does not compile")

    def build(self, name: str, change: Change | None) -> Path | None:
        """The library with a change, or None if it does not compile, or to the same instructions."""
        where = self.folder / name
        where.mkdir()
        library = where / "engine.so"
        objects = {source.stem: self.base / f"{source.stem}.o" for source in self.sources}
        changed: list[Path] = []
        if change is not None:
            for path in self.core.glob("*.[ch]"):  # a copy: a changed header must be found before the true one
                shutil.copy(path, where)
            (where / change.file).write_text(change.apply(self.source(change.file)))
            changed = self.sources if change.file.endswith(".h") else [self.core / change.file]
        for source in changed:
            if not self._compile(where / source.name, where, where):
                return None
            objects[source.stem] = where / f"{source.stem}.o"
        if change is not None and not self._differs(where, changed):
            return None
        linked = [*self._cc, "-shared", "-o", str(library), *map(str, objects.values())]
        return library if subprocess.run(linked, capture_output=True, check=False).returncode == 0 else None

    def _differs(self, where: Path, changed: list[Path]) -> bool:
        names = [f"{source.stem}.o" for source in changed]
        return any((where / name).read_bytes() != (self.base / name).read_bytes() for name in names)

    def source(self, file: str) -> str:
        """Text of an unchanged file."""
        return (self.core / file).read_text()

    def _compile(self, source: Path, out: Path, include: Path) -> bool:
        command = [*self._cc, f"-I{include}", "-c", str(source), "-o", str(out / f"{source.stem}.o")]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0


# ----------------------------------------------------------------------------------------------------------- checking


def make_case(seed: int, folder: Path) -> None:
    """Write a program and what `cpu:ref` makes of it."""
    from neuromorph.testing.equality import random_case

    (folder / f"{seed}.case").write_bytes(zlib.compress(pickle.dumps(random_case(seed)), 1))


def check(library: Path, folder: Path, programs: int) -> None:
    """In a process of its own: run the programs; prints what differs first, or nothing."""
    from neuromorph.testing.equality import disagreement
    from neuromorph_cpu.native import NativeEngine

    for seed in range(programs):
        case = pickle.loads(zlib.decompress((folder / f"{seed}.case").read_bytes()))
        if hasattr(signal, "alarm"):
            signal.alarm(PROGRAM_SECONDS)  # its default action ends a loop in C too
        try:
            found = disagreement(case, NativeEngine(path=library, kernels=bool(seed % 3)))
        except Exception as error:  # whatever a broken engine leads to
            found = f"program {seed}: {error}"
        if found:
            print(found)
            return


def verdict(library: Path, folder: Path, programs: int) -> str:
    """How a changed engine was caught; empty if it was not."""
    command = [sys.executable, __file__, "--check", str(library), "--cases", str(folder), "--programs", str(programs)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PROGRAM_SECONDS + programs, check=False)
    except subprocess.TimeoutExpired:
        return "hang"
    if done.returncode == -getattr(signal, "SIGALRM", 0):
        return "hang"
    if done.returncode < 0:
        return f"crash (signal {-done.returncode})"
    if done.returncode:
        raise SystemExit(f"the check itself failed:\n{done.stderr}")
    return done.stdout.strip().split("\n")[0]


@dataclass(frozen=True)
class Result:
    """What became of a change."""

    change: Change
    caught: str  # by what; empty: by nothing


def run(
    seed: int, count: int, programs: int, jobs: int, files: list[str] | None = None, *, constants: bool = False
) -> list[Result]:
    """Draw, build and check `count` changes that compile to something else."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        builder = Builder(folder)
        with ProcessPoolExecutor(jobs) as processes:
            list(processes.map(make_case, range(programs), [folder] * programs, chunksize=5))
        names = files or sorted(p.name for p in builder.core.glob("*.[ch]") if p.name not in ELSEWHERE)
        drawn = [
            c for name in names for c in changes(name, builder.source(name), PARTS.get(name, ()), constants=constants)
        ]
        random.Random(seed).shuffle(drawn)
        untouched = builder.build("untouched", None)
        found = verdict(untouched, folder, programs) if untouched else "it does not link"
        if found:
            raise SystemExit(f"the unchanged engine differs from cpu:ref, so nothing can be learned: {found}")

        def one(k: int, change: Change) -> Result | None:
            library = builder.build(f"mutant{k}", change)
            result = None if library is None else Result(change, verdict(library, folder, programs))
            shutil.rmtree(folder / f"mutant{k}")
            return result

        results: list[Result] = []
        with ThreadPoolExecutor(jobs) as threads:
            while len(results) < count and drawn:  # those that do not compile are drawn again
                part = [drawn.pop() for _ in range(min(count - len(results), len(drawn)))]
                first = len(results) + 10_000 * len(drawn)
                results += [r for r in threads.map(one, range(first, first + len(part)), part) if r is not None]
    return results


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--seed", type=int, default=1, help="of the draw")
    parser.add_argument("--count", type=int, default=50, help="changes that compile")
    parser.add_argument("--programs", type=int, default=500, help="random programs to catch them with")
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--files", nargs="*", help="draw from these only")
    parser.add_argument("--constants", action="store_true", help="change integer constants too")
    parser.add_argument("--verbose", action="store_true", help="say of each change how it was caught")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--check", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--cases", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.check:
        check(options.check, options.cases, options.programs)
        return 0
    results = run(
        options.seed, options.count, options.programs, options.jobs, options.files, constants=options.constants
    )
    survivors = [r.change for r in results if not r.caught]
    caught = len(results) - len(survivors)
    if options.json:
        print(json.dumps({
            "seed": options.seed, "programs": options.programs, "changes": len(results), "caught": caught,
            "survivors": [asdict(change) for change in survivors],
        }, indent=2))  # fmt: skip
    else:
        for result in results if options.verbose else ():
            print(f"{'caught' if result.caught else 'NOT CAUGHT'}  {result.change}\n    {result.caught}")
        print(f"{caught} of {len(results)} changes caught by {options.programs} programs (seed {options.seed})")
        for change in survivors:
            print(f"not caught: {change}")
    return 0 if caught >= WANTED * len(results) else 1


if __name__ == "__main__":
    sys.path[:0] = [str(ROOT), str(ROOT / "backends")]
    sys.exit(main())
