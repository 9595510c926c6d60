"""Mutation check: do the equality tests notice when one operator of the C engine is another one?

    python -m tests.mutation.mutate [--seed 1 2 3] [--count 50] [--constants] [--json]

Draws one-operator changes (`changes.py`: any operator of any function of the files that ``nm_step`` needs), builds each
into a library of its own, and runs the programs of ``tests/equality`` against it, up to the first one that answers
otherwise than the unchanged engine, whose answers are those of `cpu:ref`. A crash or a hang counts as caught. Exit
status 1 if under 95% of a seed's changes are caught.

Three kinds of changes are drawn again, told by machine and never by what the tests say:

- what does not compile;
- what compiles to the very same object code, with any of the compilers and levels at hand: then it cannot differ
  (trivial compiler equivalence: Papadakis, Jia, Harman and Le Traon, ICSE 2015);
- what `equivalent.py` proves to be equal, one by one and in writing; these are counted and printed.

Whatever else survives counts as not caught. Where gcc is there, what survives is run once more with the checks that it
weaves in (addresses, undefined behaviour), as ``tests/equality`` does too: one element too many is a mistake even if
nothing comes of it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import os
import pickle
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.mutation.changes import Change, changes, engine_files
from tests.mutation.equivalent import proof_of, stale

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[2]
CORE = ROOT / "firmware" / "core"
WANTED = 0.95
CASE_SECONDS = 3.0  # of CPU; a case takes milliseconds, so a change that takes so long hangs
CHECKS = ("-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
PROGRAMS = 500  # of tests/equality/test_random_programs.py
WIDE_PROGRAMS = 150  # of tests/equality/test_wide_programs.py
PROBED = 60  # scripts that the unchanged engine must pass before anything is drawn


# ----------------------------------------------------------------------------------------------------------- building


class Builder:
    """Compiles changed engines in a folder; what does not change is compiled once."""

    def __init__(self, folder: Path, *, equivalence: bool = True) -> None:
        self.folder, self.core = folder, folder / "core"
        shutil.copytree(CORE, self.core)  # what is edited meanwhile has no effect
        self.sources = {path.name: path.read_text() for path in sorted(self.core.glob("*.[ch]"))}
        self.files = engine_files(self.sources)
        linked = {*self.files, *engine_files(self.sources, "nm_verify")}
        self.linked = sorted(name for name in linked if name.endswith(".c"))
        self.compilers = _compilers()[: None if equivalence else 1]
        self.checked = len(self.compilers) if os.environ.get("LD_PRELOAD") else None  # its place among the bases
        for k in (0, self.checked) if self.checked else (0,):
            if not all(self.base(k, name).exists() for name in self.linked):
                raise SystemExit("the engine itself does not compile")

    def base(self, k: int, name: str) -> Path:
        """The unchanged object of a source, made when asked for; the last compiler is that with checks."""
        path = self.folder / f"base{k}" / f"{name}.o"
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            compiler = [*self.compilers, _checked()][k]
            with tempfile.TemporaryDirectory(dir=path.parent) as own:  # another process may be at it, too
                if _compile(compiler, self.core / name, Path(own), self.core):
                    (Path(own) / path.name).replace(path)
        return path

    def changed_files(self, change: Change) -> list[str]:
        """Sources to compile again. What does not belong to the engine proper keeps the true headers."""
        return [n for n in self.files if n.endswith(".c")] if change.file.endswith(".h") else [change.file]

    def build(self, where: Path, change: Change | None) -> Path | None:
        """The library with a change, or None if it does not compile, or to the same instructions."""
        where.mkdir()
        objects = {name: self.base(0, name) for name in self.linked}
        if change is not None:
            for path in self.core.glob("*.[ch]"):  # a copy: a changed header must be found before the true one
                shutil.copy(path, where)
            (where / change.file).write_text(change.apply(self.sources[change.file]))
            for name in self.changed_files(change):
                if not _compile(self.compilers[0], where / name, where, where):
                    return None
                objects[name] = where / f"{name}.o"
            if self._same(where, 0, change):
                return None
        return self._link(where, self.compilers[0], objects)

    def build_checked(self, where: Path, change: Change | None) -> Path | None:
        """The same with run-time checks, in a folder in which it was built without."""
        objects = {name: self.base(self.checked or 0, name) for name in self.linked}
        for name in self.changed_files(change) if change else ():
            _compile(_checked(), where / name, where, where)
            objects[name] = where / f"{name}.o"
        return self._link(where, _checked(), objects)

    def _link(self, where: Path, compiler: list[str], objects: dict[str, Path]) -> Path | None:
        library = where / f"engine{len(list(where.glob('*.so')))}.so"
        done = _run([*compiler, "-shared", "-o", str(library), *map(str, objects.values())])
        return library if done else None

    def is_same_elsewhere(self, where: Path, change: Change) -> bool:
        """Whether another compiler makes the same instructions of a change that was built in `where`."""
        for k, compiler in list(enumerate(self.compilers))[1:]:
            done = [_compile(compiler, where / name, where, where) for name in self.changed_files(change)]
            if all(done) and self._same(where, k, change):
                return True
        return False

    def _same(self, where: Path, k: int, change: Change) -> bool:
        names = self.changed_files(change)
        return all((where / f"{name}.o").read_bytes() == self.base(k, name).read_bytes() for name in names)


def _compilers() -> list[list[str]]:
    """The first one, which is quick, builds; the others only tell which changes make no difference."""
    flags = ["-std=c11", "-g0", "-fPIC", "-w", "-Werror=int-conversion"]
    zig = [sys.executable, "-m", "ziglang", "cc", "-fno-sanitize=undefined"]
    gcc = [[shutil.which("gcc") or "", level] for level in ("-O1", "-O2", "-O3")] if shutil.which("gcc") else []
    return [[*command, *flags] for command in (*gcc, [*zig, "-O2"])]


def _checked() -> list[str]:
    return ["gcc", "-std=c11", "-g0", "-fPIC", "-w", *CHECKS]


def _compile(compiler: list[str], source: Path, out: Path, include: Path) -> bool:
    return _run([*compiler, f"-I{include}", "-c", str(source), "-o", str(out / f"{source.name}.o")])


def _run(command: list[str]) -> bool:
    env = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
    return subprocess.run(command, capture_output=True, check=False, env=env).returncode == 0


# ----------------------------------------------------------------------------------------------------------- checking


class Recorded:
    """An engine that notes each call and its result."""

    def __init__(self, engine: Any) -> None:
        self._engine, self.target = engine, engine.target
        self.calls: list[tuple[str, tuple[Any, ...], Any]] = []

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return partial(self._call, name)

    def _call(self, name: str, *given: Any) -> Any:
        result = getattr(self._engine, name)(*given)
        self.calls.append((name, given, result))
        return result

    def run(self, steps: int, records: bytes, on_output: Callable[[bytes], None], on_progress: Any = None) -> None:
        """As the engine; the output is the result."""
        output: list[bytes] = []
        self._engine.run(steps, records, output.append, on_progress)
        self.calls.append(("run", (steps, records), b"".join(output)))
        on_output(b"".join(output))


@dataclass(frozen=True)
class Script:
    """What the equality test of a program asks of an engine, and what the unchanged engine answers.

    The test compares these answers with those of `cpu:ref`, which are the same: a changed engine that answers otherwise
    fails it.
    """

    seed: int
    calls: tuple[tuple[str, tuple[Any, ...], bytes], ...]  # name, arguments, digest of the result

    @staticmethod
    def of(seed: int, library: Path) -> Script:
        """By running the program as the test does."""
        from neuromorph.testing.equality import active, engine_for, trace_of

        recorded = Recorded(engine_for(seed, library))
        trace_of(active(seed, lambda: engine_for(0, library))[0], recorded)
        return Script(seed, tuple((name, given, _digest(result)) for name, given, result in recorded.calls))

    def difference(self, library: Path) -> str:
        """How an engine answers otherwise; empty if it does not."""
        from neuromorph.testing.equality import engine_for

        try:
            engine = engine_for(self.seed, library)
            for k, (name, given, result) in enumerate(self.calls):
                if _digest(_answer(engine, name, given)) != result:
                    return f"program {self.seed}: call {k}, {name}, answers otherwise"
        except Exception as error:  # whatever a broken engine leads to
            return f"program {self.seed}: {type(error).__name__}: {error}"
        return ""


@dataclass(frozen=True)
class Memory:
    """What the test of the limit of memory asks; a program that is refused says so by its rule."""

    needs: tuple[tuple[bytes, int | str], ...]  # image, answer

    @staticmethod
    def of(library: Path) -> Memory:
        """By asking the unchanged engine."""
        from neuromorph.testing.roomy import at_the_limit

        images = at_the_limit(lambda image: int(_need(image, library)))
        return Memory(tuple((image, _need(image, library)) for image in images))

    def difference(self, library: Path) -> str:
        """How an engine answers otherwise; empty if it does not."""
        wrong = [answer for image, answer in self.needs if _need(image, library) != answer]
        return f"limit of memory: no longer {wrong[0]}" if wrong else ""


def _need(image: bytes, path: Path) -> int | str:
    from neuromorph.errors import ImageError
    from neuromorph_cpu.native import library, verify

    try:
        return verify(image, library(path))
    except ImageError as error:
        return f"R{error.rule}"


def _digest(result: Any) -> bytes:
    return hashlib.blake2b(result if isinstance(result, bytes) else repr(result).encode(), digest_size=16).digest()


def _answer(engine: Any, name: str, given: tuple[Any, ...]) -> Any:
    if name != "run":
        return getattr(engine, name)(*given)
    output: list[bytes] = []
    engine.run(*given, output.append)
    return b"".join(output)


def verdict(library: Path, scripts: Sequence[Script | Memory]) -> str:
    """How a changed engine was caught, by a process of its own; empty if it was not."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        for script in scripts:
            signal.setitimer(signal.ITIMER_VIRTUAL, CASE_SECONDS)  # its default action ends a loop in C too
            found = script.difference(library)
            if found:
                os.write(write, found.encode()[:4000])
                break
        os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        found = pipe.read().decode(errors="replace")
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status == -signal.SIGVTALRM:
        return "hang"
    return found.split("\n")[0] or (f"ended with {status}" if status else "")


# ------------------------------------------------------------------------------------------------------------ running


@dataclass(frozen=True)
class Result:
    """What became of a change."""

    change: Change
    caught: str = ""  # by what; empty: by nothing
    proof: str = ""  # why it cannot be caught
    void: str = ""  # why it is drawn again: it does not compile, or to the same instructions


def checked_scripts(scripts: Sequence[Script | Memory]) -> list[Script]:
    """Those that ``tests/equality/test_checked.py`` runs."""
    from neuromorph.testing.equality import CHECKED

    wanted = {seed for batch in CHECKED for seed in batch}
    return [script for script in scripts if isinstance(script, Script) and script.seed in wanted]


def try_change(builder: Builder, scripts: Sequence[Script | Memory], change: Change) -> Result:
    """Build a change and run the cases."""
    proof = proof_of(change)
    if proof:
        return Result(change, proof=proof)
    with tempfile.TemporaryDirectory(dir=builder.folder) as folder:
        where = Path(folder) / "mutant"
        library = builder.build(where, change)
        if library is None:
            return Result(change, void="does not compile, or to the same instructions")
        caught = verdict(library, scripts)
        if not caught and builder.is_same_elsewhere(where, change):
            return Result(change, void="compiles to the same instructions")
        if not caught and builder.checked:
            checked = builder.build_checked(where, change)
            caught = "with run-time checks: " + verdict(checked, checked_scripts(scripts)) if checked else ""
            caught = caught if not caught.endswith(": ") else ""
    return Result(change, caught)


def make_scripts(path: Path, jobs: int) -> None:
    """Run all programs on the unchanged engine and keep what it answers."""
    from neuromorph.testing.equality import DIRECTED, WIDE

    with tempfile.TemporaryDirectory() as folder:
        untouched = Builder(Path(folder), equivalence=False).build(Path(folder) / "untouched", None)
        if untouched is None:
            raise SystemExit("the engine does not link")
        seeds = [*DIRECTED, *range(PROGRAMS), *range(WIDE, WIDE + WIDE_PROGRAMS)]
        with multiprocessing.get_context("fork").Pool(jobs) as pool:
            scripts = [*pool.map(partial(Script.of, library=untouched), seeds, chunksize=5), Memory.of(untouched)]
    path.write_bytes(pickle.dumps(scripts))


def again_with_checks(scripts: Path) -> None:
    """Start this process anew with the run-time library of gcc's checks, which must be there before all others."""
    found = subprocess.run(["gcc", "-print-file-name=libasan.so"], capture_output=True, text=True, check=False)
    library = found.stdout.strip()
    if os.path.isabs(library):
        settings = {"LD_PRELOAD": library, "ASAN_OPTIONS": "detect_leaks=0:handle_segv=0"}
        again = [sys.executable, "-m", "tests.mutation.mutate", *sys.argv[1:], "--scripts", str(scripts)]
        os.execve(sys.executable, again, {**os.environ, **settings})


def run(
    seeds: Sequence[int], count: int, jobs: int, scripts: Sequence[Script | Memory], *, constants: bool = False
) -> dict[int, list[Result]]:
    """For each seed the results of the first `count` changes that are neither void nor proven equal, and those too."""
    with tempfile.TemporaryDirectory() as temporary:
        builder = Builder(Path(temporary))
        check_proofs(builder)
        untouched = Path(temporary) / "untouched"
        library = builder.build(untouched, None)
        checked = builder.build_checked(untouched, None) if builder.checked else library
        if library is None or checked is None:
            raise SystemExit("the engine does not link")
        found = verdict(library, scripts[:PROBED]) or verdict(checked, checked_scripts(scripts)[:PROBED])
        if found:
            raise SystemExit(f"the unchanged engine fails, so nothing can be learned: {found}")
        drawn = [c for name in builder.files for c in changes(name, builder.sources[name], constants=constants)]
        known: dict[Change, Result] = {}
        context = multiprocessing.get_context("fork")  # the scripts are in memory once
        with context.Pool(jobs, initializer=_hold, initargs=(builder, scripts)) as pool:
            return {seed: list(_draw(pool, seed, count, drawn, known)) for seed in seeds}


_held: list[Any] = []
"""In a worker: the builder and the scripts, inherited and never sent."""


def _hold(builder: Builder, scripts: Sequence[Script | Memory]) -> None:
    _held[:] = [builder, scripts]


def _try(change: Change) -> Result:
    return try_change(_held[0], _held[1], change)


def _draw(pool: Any, seed: int, count: int, drawn: Sequence[Change], known: dict[Change, Result]) -> Iterator[Result]:
    order = random.Random(seed).sample(list(drawn), len(drawn))
    wanted = count
    while wanted > 0 and order:
        part, order = order[:wanted], order[wanted:]
        fresh = [change for change in part if change not in known]
        for result in pool.imap_unordered(_try, fresh):
            known[result.change] = result
            survived = not (result.caught or result.void or result.proof)
            print(f"\nnot caught: {result.change}" if survived else ".", end="", file=sys.stderr, flush=True)
        for change in part:
            wanted -= not (known[change].void or known[change].proof)
            yield known[change]


def check_proofs(builder: Builder) -> None:
    """A proof is of a certain line: where the line is gone, so is the proof."""
    lost = stale(change for name in builder.files for change in changes(name, builder.sources[name]))
    if lost:
        raise SystemExit("equivalent.py proves what is not in the sources:\n  " + "\n  ".join(lost))


def report(seed: int, results: Sequence[Result], *, verbose: bool) -> bool:
    """Print what became of the changes of a seed; whether enough were caught."""
    counted = [r for r in results if not (r.void or r.proof)]
    caught = [r for r in counted if r.caught]
    proven = [r for r in results if r.proof]
    for result in counted if verbose else ():
        print(f"{'caught' if result.caught else 'NOT CAUGHT'}  {result.change}\n    {result.caught}")
    void = len(results) - len(counted) - len(proven)
    share = 100 * len(caught) / max(1, len(counted))
    print(
        f"seed {seed}: {len(caught)} of {len(counted)} changes caught ({share:.1f}%); "
        f"also drawn: {void} that make no other program, {len(proven)} proven equal"
    )
    for result in proven:
        print(f"  proven equal: {result.change}\n      {result.proof}")
    for result in counted:
        if not result.caught:
            print(f"  not caught: {result.change}")
    return len(caught) >= WANTED * len(counted)


def _slowness(script: Script | Memory) -> int:
    """Programs made on purpose are short; the large one and the calls of a sketch are slow."""
    if isinstance(script, Memory) or script.seed == -1 or script.seed % 50 == 7:
        return 2
    return int(script.seed >= 0)


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--seed", type=int, nargs="+", default=[1], help="of the draw; several: one after the other")
    parser.add_argument("--count", type=int, default=50, help="changes per seed; a large number: all there are")
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--constants", action="store_true", help="change integer constants, by one, not operators")
    parser.add_argument("--verbose", action="store_true", help="say of each change how it was caught")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--scripts", type=Path, help="keeps what the unchanged engine answers in this file")
    options = parser.parse_args()
    scripts = options.scripts or Path(tempfile.mkdtemp()) / "scripts"
    if not scripts.exists():
        make_scripts(scripts, options.jobs)
    if "LD_PRELOAD" not in os.environ and shutil.which("gcc"):
        again_with_checks(scripts)
    quick_first = sorted(pickle.loads(scripts.read_bytes()), key=_slowness)
    done = run(options.seed, options.count, options.jobs, quick_first, constants=options.constants)
    print(file=sys.stderr)
    if options.json:
        print(json.dumps({seed: [asdict(result) for result in results] for seed, results in done.items()}, indent=1))
        enough = [sum(not (r.caught or r.void or r.proof) for r in results) for results in done.values()]
        return 0 if all(missed <= (1 - WANTED) * options.count for missed in enough) else 1
    passed = [report(seed, results, verbose=options.verbose) for seed, results in done.items()]
    return 0 if all(passed) else 1


if __name__ == "__main__":
    sys.exit(main())
