"""Targets are found by name among the installed backends."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint
from types import ModuleType

import pytest

from neuromorph.engine import Target
from neuromorph.errors import TargetError
from neuromorph.targets import GROUP, backends, find, installed


class Toy:
    """A backend with a fixed target and a family of free names."""

    def targets(self) -> tuple[Target, ...]:
        return (Target("toy", "simulator", "integer", ""), Target("toy:fast", "simulator", "integer", ""))

    def find(self, name: str) -> Target | None:
        if name.startswith("toy:/dev/"):
            return Target(name, "hardware", "integer", "")
        return next((t for t in self.targets() if t.name == name), None)


@pytest.fixture
def points(monkeypatch: pytest.MonkeyPatch) -> list[EntryPoint]:
    module = ModuleType("toy_backend")
    module.backend = Toy()  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "toy_backend", module)
    return [EntryPoint("toy", "toy_backend:backend", GROUP), EntryPoint("broken", "no_such_module:backend", GROUP)]


@pytest.mark.parametrize("name", ["toy", "toy:fast", "toy:/dev/ttyACM0"])
def test_names_and_families(name: str, points: list[EntryPoint]) -> None:
    assert find(name, points)[1].name == name


def test_an_unknown_name_suggests_the_nearest(points: list[EntryPoint]) -> None:
    with pytest.raises(TargetError, match="'toy:fats' is unknown; did you mean 'toy:fast'"):
        find("toy:fats", points)


def test_an_unknown_family_lists_all(points: list[EntryPoint]) -> None:
    with pytest.raises(TargetError, match="'zzzzzzz' is unknown; known: 'toy', 'toy:fast'"):
        find("zzzzzzz", points)


def test_a_broken_backend_is_named_only_when_it_is_wanted(points: list[EntryPoint]) -> None:
    with pytest.raises(TargetError, match=r"backend 'broken' \(no_such_module:backend\) cannot be imported"):
        find("broken", points)
    assert [t.name for _, t in installed(points)] == ["toy", "toy:fast"]


def test_nothing_is_imported_before_it_is_wanted() -> None:
    points = [EntryPoint("lazy", "a_module_that_is_not_there:backend", GROUP)]
    assert list(backends(points)) == ["lazy"]


def test_two_backends_of_one_name(points: list[EntryPoint]) -> None:
    with pytest.raises(TargetError, match="offer the backend 'toy': toy_backend:backend and other:b"):
        backends([*points, EntryPoint("toy", "other:b", GROUP)])


def test_one_package_on_two_paths_is_no_clash(points: list[EntryPoint]) -> None:
    assert list(backends([*points, *points])) == ["toy", "broken"]


def test_no_backends() -> None:
    with pytest.raises(TargetError, match="no backends are installed"):
        find("cpu", [])
