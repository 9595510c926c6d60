"""The scripts of docs/, which are no package."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

DOCS = Path(__file__).parents[2] / "docs"


def _load(name: str) -> ModuleType:
    if f"neuromorph_docs_{name}" in sys.modules:
        return sys.modules[f"neuromorph_docs_{name}"]
    spec = importlib.util.spec_from_file_location(f"neuromorph_docs_{name}", DOCS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def blocks() -> ModuleType:
    """docs/blocks.py."""
    return _load("blocks")


@pytest.fixture(scope="session")
def generate() -> ModuleType:
    """docs/generate.py."""
    return _load("generate")


@pytest.fixture(scope="session")
def gallery() -> ModuleType:
    """docs/gallery.py."""
    return _load("gallery")


@pytest.fixture(scope="session")
def figures() -> ModuleType:
    """docs/figures.py."""
    return _load("figures")
