"""neuromorph lab."""

from __future__ import annotations

import json

import pytest

from neuromorph.cli import main


def test_list_names_table_and_title(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lab", "list"]) == 0
    assert "A  stdp-window " in capsys.readouterr().out


def test_run_prints_verdicts_and_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lab", "run", "stdp-window", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["passed"] is True
    assert set(found) >= {"name", "target", "passed", "measures", "bar", "control"}
    assert main(["lab", "run", "stdp-window"]) == 0
    assert "control 'shuffled' must miss" in capsys.readouterr().out


def test_what_a_target_cannot_hold_is_refused_with_its_bars(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lab", "run", "release", "--target", "loihi", "--json"]) == 2
    found = json.loads(capsys.readouterr().out)
    assert (found["passed"], found["measures"], found["control"]) == (None, {}, {})
    assert found["bar"]
    assert found["refused"]


def test_run_needs_one_name_or_all(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lab", "run"]) == 2
    assert "--all" in capsys.readouterr().err
    assert main(["lab", "run", "nothing"]) == 2
    assert "neuromorph lab list" in capsys.readouterr().err
