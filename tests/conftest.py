"""For all tests: what `record_property` notes is shown at the end of the report; how properties are searched.

Examples of a property are the same in each run, so that a change is told by what it breaks;
``--hypothesis-profile=search`` draws others, and more of them where a test does not say how many.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("same", deadline=None, derandomize=True)
settings.register_profile("search", deadline=None, max_examples=1000)
settings.load_profile("same")

pytest_plugins = ["pytester"]  # for tests/hil; only the uppermost conftest.py may name plugins


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print recorded properties of the tests that passed."""
    for report in terminalreporter.stats.get("passed", []):
        for title, text in report.user_properties:
            terminalreporter.section(title)
            terminalreporter.line(str(text))


@pytest.fixture(scope="session", autouse=True)
def counted_engine() -> None:
    """Under ``tests/cover.py`` the host engine is the build that counts its branches."""
    if counting := os.environ.get("NM_COVERAGE_ENGINE"):
        from neuromorph_cpu import native

        native.library_path = lambda level=None: Path(counting)  # type: ignore[assignment]  # noqa: ARG005
        native.library.cache_clear()
