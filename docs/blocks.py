"""Run the code blocks of the documentation, so that what a page shows is what happens.

    python docs/blocks.py [--update] [PAGE ...]

Blocks run in order, in one directory and, for Python, in one namespace per page:

- `python`: executed, beside copies of the scripts of examples/. With ``title="NAME"`` it is written to that file.
- `output`: what the Python block before it prints.
- `console`: lines after ``$`` are commands (``neuromorph ...``, ``python FILE``), the others are their output.

`...` in an output stands for anything. Other languages are not run. A comment before a block says more:
``<!-- exit: 1 -->`` the exit status of its last command; ``<!-- test: COMMAND -->`` a shorter command that is run
instead (its output is not compared); ``<!-- needs: MODULE -->`` on a page: it is skipped without that module.

`--update` writes what came out into the pages.
"""

from __future__ import annotations

import contextlib
import doctest
import importlib.util
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TIME_LIMIT = 200  # seconds of a command
_FENCE = re.compile(
    r"(?P<hints>(?:^<!--[^\n]*-->\n)*)^```(?P<language>\w+)(?P<info>[^\n]*)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_HINT = re.compile(r"<!-- (\w+): (.*?) -->")
_FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, title and text, what comments say, and where its text is in the page."""

    line: int
    language: str
    title: str
    text: str
    hints: dict[str, str]
    span: tuple[int, int]


@dataclass(frozen=True)
class Failure:
    """A block that did something else than the page says; `actual` may replace the text of the block."""

    block: Block
    message: str
    actual: str | None = None


def pages() -> list[Path]:
    """The README and all pages of docs/."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page."""
    text = page.read_text(encoding="utf-8")
    found = []
    for match in _FENCE.finditer(text):
        title = re.search(r'title="([^"]+)"', match["info"])
        line = text.count("\n", 0, match.start("text")) + 1
        hints = {str(key): str(value) for key, value in _HINT.findall(match["hints"])}
        found.append(
            Block(line, match["language"], title[1] if title else "", match["text"], hints, match.span("text"))
        )
    return found


def missing_modules(page: Path) -> list[str]:
    """Modules that a page needs and this Python lacks."""
    needed = re.findall(r"<!-- needs: ([\w., ]+) -->", page.read_text(encoding="utf-8"))
    names = {name.strip() for names in needed for name in names.split(",")}
    return sorted(name for name in names if importlib.util.find_spec(name) is None)


def check(page: Path, directory: Path) -> list[Failure]:
    """Run a page's blocks in a directory; stops at the first Python block that fails."""
    failures: list[Failure] = []
    names: dict[str, object] = {"__name__": "__main__"}
    printed = ""
    with _inside(directory):
        for block in blocks(page):
            if block.language == "console":
                failures += _console(block)
            elif block.language == "output":
                if not _agrees(block.text, printed):
                    failures.append(Failure(block, f"printed:\n{printed}", printed))
            elif block.language == "python" and block.title:
                Path(block.title).write_text(block.text, encoding="utf-8")
            elif block.language == "python":
                try:
                    printed = _execute(page, block, names)
                except Exception as error:
                    return [*failures, Failure(block, f"{type(error).__name__}: {error}")]
    return failures


def _execute(page: Path, block: Block, names: dict[str, object]) -> str:
    """Run a block with the page's line numbers; what it prints."""
    # Not this module's `annotations`: a block behaves as in a file of its own.
    code = compile("\n" * (block.line - 1) + block.text, str(page), "exec", dont_inherit=True)
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(code, names)  # noqa: S102
    return out.getvalue()


def _console(block: Block) -> list[Failure]:
    """Run the commands of a block and compare the exit status of each, and what all of them print."""
    shown = [line[2:] for line in block.text.splitlines() if line.startswith("$ ")]
    commands = [block.hints["test"]] if "test" in block.hints else shown
    actual, failures = "", []
    for k, command in enumerate(commands):
        done = _run(command)
        wanted = int(block.hints.get("exit", 0)) if k == len(commands) - 1 else 0
        if done.returncode != wanted:
            message = f"{command}\nexit status {done.returncode}, not {wanted}\n{done.stdout}{done.stderr}"
            failures.append(Failure(block, message))
        actual += f"$ {command}\n{done.stdout}{done.stderr}"
    says_more = any(not line.startswith("$ ") for line in block.text.splitlines())
    if "test" not in block.hints and says_more and not failures and not _agrees(block.text, actual):
        failures.append(Failure(block, f"output:\n{actual}", actual))
    return failures


def _run(command: str) -> subprocess.CompletedProcess[str]:
    words = shlex.split(command, comments=True)
    if words[0] == "make":  # its targets are tested elsewhere: here, that make knows them
        words[1:1] = ["-C", str(ROOT), "--dry-run"]
    elif words[0] in ("neuromorph", ".venv/bin/neuromorph"):
        words[:1] = [sys.executable, "-m", "neuromorph"]
    elif words[0] == "python":
        words[0] = sys.executable
        words[1:] = [str(ROOT / w) if w.startswith(("examples/", "docs/")) else w for w in words[1:]]
    else:
        raise ValueError(f"a page may show neuromorph, python and make, not {words[0]!r}")
    environment = {**os.environ, "MPLBACKEND": "Agg", "COLUMNS": "110"}
    return subprocess.run(words, capture_output=True, text=True, timeout=TIME_LIMIT, env=environment, check=False)


def _agrees(wanted: str, actual: str) -> bool:
    return doctest.OutputChecker().check_output(wanted, actual, _FLAGS)


@contextlib.contextmanager
def _inside(directory: Path) -> Iterator[None]:
    before, path = Path.cwd(), os.environ.get("PYTHONPATH")
    if path:  # relative entries would be lost with the directory
        os.environ["PYTHONPATH"] = os.pathsep.join(str(Path(p).resolve()) for p in path.split(os.pathsep))
    os.chdir(directory)
    for script in (ROOT / "examples").glob("*.py"):
        shutil.copy(script, directory)
    sys.path.insert(0, str(directory))
    try:
        yield
    finally:
        sys.path.remove(str(directory))
        os.chdir(before)


def update(page: Path, failures: list[Failure]) -> None:
    """Write what came out into the page."""
    text = page.read_text(encoding="utf-8")
    for failure in sorted(failures, key=lambda f: f.block.span, reverse=True):
        if failure.actual is not None:
            a, b = failure.block.span
            text = text[:a] + failure.actual.rstrip() + "\n" + text[b:]
    page.write_text(text, encoding="utf-8")


def main(arguments: list[str]) -> int:
    """Check the pages named, or all."""
    chosen = [Path(name).resolve() for name in arguments if name != "--update"] or pages()
    status = 0
    for page in chosen:
        with tempfile.TemporaryDirectory() as directory:
            failures = check(page, Path(directory))
        if "--update" in arguments:
            update(page, failures)
            failures = [f for f in failures if f.actual is None]
        for failure in failures:
            print(f"{page}:{failure.block.line}: {failure.message}")
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
