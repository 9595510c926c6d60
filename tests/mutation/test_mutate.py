"""The mutation check itself: what it changes in C, what it leaves alone, and that it catches a change."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).with_name("mutate.py")
SOURCE = """
/* a + b in a comment */
#define ONE (1 + 0)
#define TWICE(x) \\
    static int twice_##x(int a) { return a * 2; }

enum { A = 1 << 2 };

static int32_t add(const int32_t *a, int32_t b) {
    int32_t room[4 + 4];
    if (!a) return NM_E_ARG - 1;
    for (int32_t k = 0; k < b; k++) room[k] = a[k] - b;
    const char *text = "a + b";
    return b < 8 ? b : 8;
}

static int nm_init(int a) { return a + 1; }
"""


@pytest.fixture(scope="module")
def mutate() -> ModuleType:
    """The script as a module."""
    spec = importlib.util.spec_from_file_location("mutate", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["mutate"] = module
    spec.loader.exec_module(module)
    return module


def found(mutate: ModuleType, *, constants: bool = False) -> set[tuple[str, str, str]]:
    return {(c.text.strip(), c.old, c.new) for c in mutate.changes("x.c", SOURCE, constants=constants)}


def test_operators_of_bodies_and_macros_are_changed(mutate: ModuleType) -> None:
    loop = "for (int32_t k = 0; k < b; k++) room[k] = a[k] - b;"
    assert found(mutate) == {
        ("static int twice_##x(int a) { return a * 2; }", "*", "+"),
        (loop, "<", ">="),  # not <=: an overrun
        (loop, "++", "--"),
        (loop, "-", "+"),
        ("return b < 8 ? b : 8;", "<", ">="),  # not <=: the smaller one either way
    }


def test_constants_next_to_an_operator_are_changed_on_request(mutate: ModuleType) -> None:
    added = found(mutate, constants=True) - found(mutate)
    assert added == {
        ("static int twice_##x(int a) { return a * 2; }", "2", "3"),
        ("static int twice_##x(int a) { return a * 2; }", "2", "1"),
        ("return b < 8 ? b : 8;", "8", "9"),
        ("return b < 8 ? b : 8;", "8", "7"),
    }


def test_a_change_replaces_one_place(mutate: ModuleType) -> None:
    for change in mutate.changes("x.c", SOURCE, constants=True):
        changed = change.apply(SOURCE)
        assert changed != SOURCE
        assert changed.split("\n")[change.line - 1] != SOURCE.split("\n")[change.line - 1]
        assert len(changed) == len(SOURCE) + len(change.new) - len(change.old)


def test_a_wrong_leak_is_caught_and_the_engine_itself_is_not(mutate: ModuleType, tmp_path: Path) -> None:
    builder = mutate.Builder(tmp_path)
    mutate.make_case(0, tmp_path)
    untouched = builder.build("untouched", None)
    assert mutate.verdict(untouched, tmp_path, 1) == ""
    source = builder.source("lif.c")
    leak = next(c for c in mutate.changes("lif.c", source) if c.function == "current" and c.old == "<<")
    assert "program 0" in mutate.verdict(builder.build("mutant", leak), tmp_path, 1)
