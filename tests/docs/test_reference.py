"""The generated pages say what the code says now."""

from __future__ import annotations

from types import ModuleType

import pytest

import neuromorph as nm

PAGES = ["api.md", "cli.md", "targets.md"]


def test_all_generated_pages_are_tested(generate: ModuleType) -> None:
    assert sorted(generate.PAGES) == PAGES


@pytest.mark.parametrize("name", PAGES)
def test_page_is_fresh(name: str, generate: ModuleType) -> None:
    stored = (generate.FOLDER / name).read_text(encoding="utf-8")
    assert stored == generate.PAGES[name](), f"docs/reference/{name} is stale: run `make docs`"


def test_every_public_name_is_in_the_reference(generate: ModuleType) -> None:
    listed = {path.rpartition(".")[2] for names in generate.SECTIONS.values() for path in names}
    assert set(nm.__all__) - {"plasticity", "program", "units"} <= listed
