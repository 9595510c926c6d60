"""The gallery shows what was recorded of the experiments as they are."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType

import pytest

from neuromorph import lab

DOCS = Path(__file__).parents[2] / "docs"
KNOWN = json.loads((DOCS / "gallery.json").read_text(encoding="utf-8"))


def test_the_page_is_fresh(gallery: ModuleType) -> None:
    stored = (DOCS / "gallery.md").read_text(encoding="utf-8")
    assert stored == gallery.page(KNOWN), "docs/gallery.md is stale: run `make docs`"


@pytest.mark.parametrize("name", lab.experiments())
def test_each_experiment_is_in_the_gallery_with_its_bars_as_they_are(name: str, gallery: ModuleType) -> None:
    again: dict[str, dict[str, object]] = {}
    for row in KNOWN[name].values():
        gallery.record(again, row)
    assert again == {name: KNOWN[name]}
    assert "cpu" in again[name]
    assert (DOCS / "images" / "lab" / f"{name}.png").exists()


def test_a_result_of_other_bars_another_size_or_target_is_not_recorded(gallery: ModuleType) -> None:
    row = KNOWN["release"]["mcu"]
    changed = [{**row["bar"][0], "limit": 0.5}, *row["bar"][1:]]
    for wrong, match in (
        ({"bar": changed}, "bars have changed"), ({"size": "full"}, "the page has board"),
        ({"target": "cpu:ref"}, "not on the page"),
    ):  # fmt: skip
        known: dict[str, dict[str, object]] = {}
        with pytest.raises(SystemExit, match=match):
            gallery.record(known, {**row, **wrong})
        assert not known


def test_recorded_files_come_to_the_page(gallery: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    row = KNOWN["release"]["cpu"]
    (tmp_path / "gallery.json").write_text(json.dumps({"release": {"cpu": row}}))
    (tmp_path / "float.json").write_text(json.dumps({**row, "target": "cpu:float", "passed": False}))
    (tmp_path / "loihi.json").write_text(json.dumps({"name": "release", "target": "loihi", "passed": None}))
    monkeypatch.setattr(gallery, "FOLDER", tmp_path)
    gallery.main(["--record", str(tmp_path / "float.json"), str(tmp_path / "loihi.json")])
    page = (tmp_path / "gallery.md").read_text()
    assert "| [release](#release) | passed | FAILED | - | no |" in page
    assert "| bar | limit | `cpu` | `cpu:float` | off | swapped |" in page
