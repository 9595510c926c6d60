"""Environments of peers: an interpreter of the right version is found, packages are installed, imports are tried."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from neuromorph.errors import TargetError
from neuromorph.files import write_atomic

__all__ = ["Environment", "Installed", "data_folder"]

Say = Callable[[str], None]
_REGISTER = "environments.json"
_INSTALL_SECONDS = 1800
_QUICK_SECONDS = 60


def data_folder() -> Path:
    """Where this user's environments are, by the platform's convention."""
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "neuromorph"
    base = os.environ.get("XDG_DATA_HOME", "")
    return (Path(base) if base.startswith("/") else Path.home() / ".local" / "share") / "neuromorph"


@dataclass(frozen=True, slots=True)
class Installed:
    """An environment that was checked: its interpreter and versions by package."""

    python: Path
    versions: dict[str, str]


@dataclass(frozen=True, slots=True)
class Environment:
    """What a peer needs.

    Parameters
    ----------
    name : str
        Of its folder and its entry in the register.
    python : str
        Version of the interpreter, such as "3.10".
    requirements : tuple of str
        For pip.
    check : str
        Python code that imports the peer.
    versions : tuple of str
        Distributions whose versions are shown.
    """

    name: str
    python: str
    requirements: tuple[str, ...]
    check: str
    versions: tuple[str, ...]

    def found(self) -> Installed | None:
        """What was installed and is still there."""
        try:
            entry = json.loads((data_folder() / _REGISTER).read_text(encoding="utf-8"))[self.name]
            held = Installed(Path(entry["python"]), dict(entry["versions"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return held if held.python.exists() else None

    def install(self, say: Say, python: Path | None = None, into: Path | None = None) -> Installed:
        """Make the environment, or take one that has all packages already, and note it in the register.

        Parameters
        ----------
        say : callable
            Gets a line for each thing that is done.
        python : Path, optional
            The interpreter to use; else one is looked for.
        into : Path, optional
            The environment's folder; default: one under `data_folder`.

        Raises
        ------
        TargetError
            No interpreter (says what was tried), a folder that is no environment, or pip or the imports failed.
        """
        folder = (into or data_folder() / "environments" / self.name).expanduser().absolute()
        own = folder / "bin" / "python"
        if folder.exists() and any(folder.iterdir()) and not (folder / "pyvenv.cfg").exists():
            raise TargetError(f"{folder} is neither empty nor an environment of Python: choose another folder")
        if not own.exists() or self._versions(own)[1]:
            base = self._interpreter(python)
            say(f"making {folder} with {base}")
            folder.parent.mkdir(parents=True, exist_ok=True)
            _run([str(base), "-m", "venv", "--clear", str(folder)], "the environment cannot be made", _QUICK_SECONDS)
            say(f"installing {', '.join(self.requirements)}")
            _run(
                [str(own), "-m", "pip", "install", "--disable-pip-version-check", "-q", *self.requirements],
                "pip failed", _INSTALL_SECONDS,
            )  # fmt: skip
        versions, problem = self._versions(own)
        if problem:
            raise TargetError(f"{folder}: the packages are installed but do not import: {problem}")
        installed = Installed(own, versions)
        self._register(installed)
        return installed

    def _versions(self, python: Path) -> tuple[dict[str, str], str]:
        """Versions, and why it cannot be used."""
        code = (
            f"import json, sys; from importlib.metadata import version; {self.check}\n"
            f"print(json.dumps({{'python': sys.version.split()[0], **{{n: version(n) for n in {self.versions!r}}}}}))"
        )
        done = _try([str(python), "-I", "-c", code], 2 * _QUICK_SECONDS)
        if isinstance(done, str):
            return {}, done
        try:
            versions = dict(json.loads(done.stdout.strip().splitlines()[-1]))
        except (ValueError, IndexError):
            return {}, done.stdout[-500:] or "no answer"
        if not versions["python"].startswith(self.python + "."):
            return {}, f"Python {versions['python']}, needed {self.python}"
        return versions, ""

    def _register(self, installed: Installed) -> None:
        path = data_folder() / _REGISTER
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            entries = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            entries = {}
        entries[self.name] = {"python": str(installed.python), "versions": installed.versions}
        write_atomic(path, json.dumps(entries, indent=2, sort_keys=True).encode())

    def _interpreter(self, given: Path | None) -> Path:
        tried = []
        for candidate in [given] if given is not None else self._candidates():
            problem = self._unusable(candidate)
            if not problem:
                return candidate
            tried.append(f"  {candidate}: {problem}")
        if given is None:
            made = self._by_uv(tried)
            if made is not None:
                return made
        listed = "\n".join(tried)
        raise TargetError(
            f"no Python {self.python} with venv was found; install one (`uv python install {self.python}`, "
            f"`pyenv install {self.python}`) or name it with --python. Tried:\n{listed}"
        )

    def _candidates(self) -> Iterator[Path]:
        """Interpreters that may be right: this one, pyenv's, those on PATH."""
        yield Path(sys.executable)
        for folder in sorted((Path.home() / ".pyenv" / "versions").glob(f"{self.python}*"), reverse=True):
            yield folder / "bin" / "python"
        for name in (f"python{self.python}", "python3", "python"):
            path = shutil.which(name)
            if path is not None:
                yield Path(path)

    def _unusable(self, python: Path) -> str:
        """An empty string, or why an interpreter will not do; by executing it."""
        code = "import sys, venv, ensurepip; print('%d.%d' % sys.version_info[:2])"
        done = _try([str(python), "-I", "-c", code], _QUICK_SECONDS)
        if isinstance(done, str):
            return done
        is_right = done.stdout.strip() == self.python
        return "" if is_right else f"is Python {done.stdout.strip()}"

    def _by_uv(self, tried: list[str]) -> Path | None:
        uv = shutil.which("uv")
        if uv is None:
            tried.append("  uv: not on PATH")
            return None
        for command in ([uv, "python", "install", self.python], [uv, "python", "find", self.python]):
            done = _try(command, _INSTALL_SECONDS)
            if isinstance(done, str):
                tried.append(f"  {' '.join(command)}: {done}")
                return None
        return Path(done.stdout.strip())  # type: ignore[union-attr]


def _try(command: list[str], seconds: float) -> subprocess.CompletedProcess[str] | str:
    """The result of a command, or why there is none."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=seconds, check=False, stdin=subprocess.DEVNULL
        )
    except OSError as error:
        return str(error.strerror or error)
    except subprocess.TimeoutExpired:
        return f"gave no answer in {seconds:.0f} s"
    if done.returncode:
        lines = done.stderr.strip().splitlines() or done.stdout.strip().splitlines()
        return lines[-1] if lines else f"exit status {done.returncode}"
    return done


def _run(command: list[str], what: str, seconds: float) -> None:
    done = _try(command, seconds)
    if isinstance(done, str):
        raise TargetError(f"{what}: {' '.join(command)}: {done}")
