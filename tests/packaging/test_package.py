"""What pip installs: the wheel's content and tag, the sdist, and the declarations in pyproject.toml."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tarfile
import zipfile
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[2]
needs_tools = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("hatchling", "ziglang")),
    reason="needs the build tools: pip install 'neuromorph[build]'",
)


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def hatchling(target: str, out: Path) -> Path:
    command = [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stderr
    (path,) = out.iterdir()
    return path


@needs_tools
@pytest.mark.skipif(sys.platform != "linux", reason="the tag is Linux's")
def test_the_wheel_carries_the_engine_and_each_board_for_any_python(tmp_path: Path) -> None:
    wheel = hatchling("wheel", tmp_path)
    names = set(zipfile.ZipFile(wheel).namelist())
    assert "-py3-none-m" in wheel.name  # manylinux or musllinux
    assert any(name.startswith("neuromorph_cpu/_lib/nm_") for name in names)
    boards = {path.parent.name for path in ROOT.glob("firmware/boards/*/board.toml")}
    firmware = {Path(name).stem for name in names if name.startswith("neuromorph_mcu/_firmware/")}
    assert firmware == boards
    packages = {name.split("/")[0] for name in names if ".dist-info" not in name}
    assert packages == {"neuromorph", "pytest_neuromorph", *(path.name for path in ROOT.glob("backends/neuromorph_*"))}
    assert {name for name in names if name.endswith("py.typed")} == {f"{package}/py.typed" for package in packages}


@needs_tools
def test_the_sdist_has_what_a_build_needs_and_nothing_built(tmp_path: Path) -> None:
    with tarfile.open(hatchling("sdist", tmp_path)) as archive:
        names = {name.split("/", 1)[1] for name in archive.getnames()}
    assert {"pyproject.toml", "hatch_build.py", "firmware/build.py", "firmware/core/nm.h", "LICENSE"} <= names
    assert not {name for name in names if name.endswith((".so", ".elf", ".pyc")) or name.startswith((".venv", "build"))}


def test_pytest_finds_the_plugin(project: dict[str, Any]) -> None:
    (declared,) = project["project"]["entry-points"]["pytest11"].values()
    assert declared in {point.value for point in metadata.entry_points(group="pytest11")}


def test_the_compiler_is_pinned_in_one_version(project: dict[str, Any]) -> None:
    requires = project["build-system"]["requires"]
    assert project["project"]["optional-dependencies"]["build"] == requires
    assert any(requirement.startswith("ziglang==") for requirement in requires)


def test_all_lists_every_extra_of_a_user_but_the_one_for_old_pythons(project: dict[str, Any]) -> None:
    extras = project["project"]["optional-dependencies"]
    (everything,) = extras["all"]
    listed = everything.removeprefix("neuromorph[").removesuffix("]").split(",")
    assert set(listed) == set(extras) - {"all", "loihi", "build", "test", "dev"}


def test_each_declared_backend_is_installed_and_loads(project: dict[str, Any]) -> None:
    declared = project["project"]["entry-points"]["neuromorph.backends"]
    found = {point.name: point for point in metadata.entry_points(group="neuromorph.backends")}
    assert set(declared) <= set(found)
    for name, value in declared.items():
        assert found[name].value == value
        assert found[name].load() is not None


def test_backends_are_imported_by_one_name_only() -> None:
    """``backends.neuromorph_cpu`` would be a second copy of the module, with classes that differ."""
    code = "import sys, neuromorph, neuromorph_cpu, neuromorph_mcu; sys.exit('backends' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=60, check=False).returncode == 0
