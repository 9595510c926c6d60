"""The scripts of docs/, which are no package."""

from __future__ import annotations

from types import ModuleType

import pytest

from tests.scripts import script


@pytest.fixture(scope="session")
def blocks() -> ModuleType:
    """docs/blocks.py."""
    return script("docs/blocks.py")


@pytest.fixture(scope="session")
def generate() -> ModuleType:
    """docs/generate.py."""
    return script("docs/generate.py")


@pytest.fixture(scope="session")
def gallery() -> ModuleType:
    """docs/gallery.py."""
    return script("docs/gallery.py")


@pytest.fixture(scope="session")
def figures() -> ModuleType:
    """docs/figures.py."""
    return script("docs/figures.py")
