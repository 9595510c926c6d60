"""What tests record with `record_property` is shown at the end of the report: counts that a person may want to see."""

from __future__ import annotations

import pytest

pytest_plugins = ["pytester"]  # for tests/hil; only the uppermost conftest.py may name plugins


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print recorded properties of the tests that passed."""
    for report in terminalreporter.stats.get("passed", []):
        for title, text in report.user_properties:
            terminalreporter.section(title)
            terminalreporter.line(str(text))
