"""The script that measures the tables of the README: one row may be measured alone."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest
from click.testing import CliRunner

from neuromorph.cli import demo

STORED = """
| `mcu` | 100 | at one contrast, adapting | once | **94.4 %** | 92.4 % | 96.3 % |
| `mcu` | 100 | raw, adapting | three times | **91.7 %** | 89.8 % | 93.5 % |
"""


@pytest.fixture
def asked(figures: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """The commands that the script would run; their answer is always the same."""
    found: list[tuple[str, ...]] = []

    def answer(*words: str) -> Any:
        found.append(words)
        return {"targets": {words[words.index("--targets") + 1]: {"mean": 0.5, "min": 0.375, "splits": [0.375, 0.625]}}}

    monkeypatch.setattr(figures, "neuromorph", answer)
    return found


def test_one_row_is_measured_and_the_others_stay(figures: ModuleType, asked: list[tuple[str, ...]]) -> None:
    rows = figures.accuracy(STORED, {"fixed"}).splitlines()
    new = "| `mcu` | 100 | raw, fixed | three times | **50.0 %** | 37.5 % | 62.5 % |"
    assert rows[2:] == [*STORED.split("\n")[1:3], new]
    assert len(asked) == 1
    with pytest.raises(SystemExit, match="no row 'bord' of the accuracy; known: ideal, board"):
        figures.accuracy(STORED, {"bord"})


def test_all_rows_are_commands_that_the_demo_takes(
    figures: ModuleType, asked: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "_scores", lambda *_: 0)
    table = figures.accuracy(STORED, figures.ACCURACY)
    assert len(table.splitlines()) == 2 + len(figures.ACCURACY) == 2 + len(asked)
    for words in asked:
        assert CliRunner().invoke(demo.command, words[1:]).exit_code == 0, words
