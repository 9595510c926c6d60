"""What tests record with `record_property` is shown at the end of the report: counts that a person may want to see."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

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
