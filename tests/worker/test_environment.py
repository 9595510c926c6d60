"""Environments of peers: how an interpreter is found, what is refused, what is remembered."""

from __future__ import annotations

import json
import sys
import venv
from pathlib import Path

import pytest

from neuromorph.engine import Target
from neuromorph.errors import TargetError
from neuromorph.worker.environment import Environment, Installed, data_folder
from neuromorph.worker.peer import PeerBackend

HERE = "%d.%d" % sys.version_info[:2]  # noqa: UP031


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test sees or changes what this user has installed."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return tmp_path


def environment(python: str = HERE, check: str = "import json") -> Environment:
    return Environment("toy", python, ("pip",), check, ("pip",))


@pytest.mark.slow
def test_an_environment_is_made_checked_and_remembered(home: Path) -> None:
    said: list[str] = []
    assert environment().found() is None
    made = environment().install(said.append)
    assert made.python.is_relative_to(data_folder() if sys.platform != "darwin" else home)
    assert made.versions["python"].startswith(HERE)
    assert "pip" in made.versions
    assert environment().found() == made
    assert said[0].endswith(f"with {sys.executable}")


def test_one_that_is_there_is_taken_as_it_is(home: Path) -> None:
    venv.create(home / "mine", with_pip=True)
    said: list[str] = []
    assert environment().install(said.append, into=home / "mine").python == home / "mine" / "bin" / "python"
    assert not said


def test_without_an_interpreter_it_says_what_was_tried(home: Path) -> None:
    wrong = home / ".pyenv" / "versions" / "2.99.1" / "bin" / "python"
    wrong.parent.mkdir(parents=True)
    wrong.write_text("#!/bin/sh\necho broken >&2; exit 1\n")
    wrong.chmod(0o755)
    with pytest.raises(TargetError, match=r"no Python 2\.99") as error:
        environment("2.99").install(print)
    text = str(error.value)
    assert f"{wrong}: broken" in text
    assert f"{sys.executable}: is Python {HERE}" in text
    assert "uv: not on PATH" in text
    with pytest.raises(TargetError, match="/no/python: No such file"):
        environment().install(print, Path("/no/python"))


def test_a_folder_that_is_no_environment_is_left_alone(home: Path) -> None:
    (home / "thesis").mkdir()
    (home / "thesis" / "thesis.tex").write_text("")
    with pytest.raises(TargetError, match="neither empty nor an environment"):
        environment().install(print, into=home / "thesis")
    assert (home / "thesis" / "thesis.tex").exists()


def test_packages_that_do_not_import_are_reported() -> None:
    with pytest.raises(TargetError, match=r"do not import: .*no_such_module"):
        environment(check="import no_such_module").install(lambda _: None)
    assert environment().found() is None


def test_a_target_says_what_is_missing() -> None:
    class Backend(PeerBackend):
        environment = Environment("toy", "3.10", ("toy==1", "numpy<2"), "import toy", ("toy",))
        module = "toy.worker"
        held = (Target("toy:fast", "emulator", "integer", "a toy"),)

    backend = Backend()
    missing = backend.available(backend.held[0])
    assert "toy==1 and numpy<2 for Python 3.10" in missing
    assert "neuromorph targets install toy:fast" in missing
    with pytest.raises(TargetError, match="neuromorph targets install toy:fast"):
        backend.open(backend.held[0])


def test_the_command_line_tells_what_it_installed_as_json(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from neuromorph.cli import main

    done = Installed(Path("/there/python"), {"lava-nc": "1.0"})
    monkeypatch.setattr(Environment, "install", lambda *_: done)
    assert main(["targets", "install", "loihi:lava", "--json"]) == 0
    found = {"target": "loihi:lava", "python": str(done.python), "versions": done.versions}
    assert json.loads(capsys.readouterr().out) == found


def test_the_command_line_installs_and_lists(capsys: pytest.CaptureFixture[str], home: Path) -> None:
    from neuromorph.cli import main

    assert main(["targets", "install", "cpu:ref"]) == 2
    assert "needs no environment of its own" in capsys.readouterr().err
    assert main(["targets", "install", "loihi:lava", "--python", "/no/python", "--into", str(home / "lava")]) == 2
    assert "/no/python: No such file" in capsys.readouterr().err
    assert main(["targets"]) == 0
    assert "run `neuromorph targets install loihi:lava`" in capsys.readouterr().out
