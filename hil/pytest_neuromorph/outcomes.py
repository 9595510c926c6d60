"""Outcomes: a verdict fails; a broken board or link is an error, tried once more; somebody else's board is locked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from _pytest.runner import call_and_report

from pytest_neuromorph.plugin import RIG, entry_of

if TYPE_CHECKING:
    from collections.abc import Generator

    from pytest_neuromorph.rig import Rig

_WHY = pytest.StashKey[str]()
_NOTE = "the board or its link failed, not the test; it was tried twice"


def _is(error: BaseException | None, module: str, name: str) -> bool:
    """Whether an error is of a class, without importing what nobody used."""
    import sys

    return module in sys.modules and isinstance(error, getattr(sys.modules[module], name))


def _is_infrastructure(error: BaseException | None, rig: Rig | None) -> bool:
    """A broken link, or a machine that failed; what a machine refuses that still answers is the test's own affair."""
    if _is(error, "neuromorph.errors", "LinkError"):
        return True
    return _is(error, "neuromorph.errors", "TargetError") and not (rig is not None and rig.answers())


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """Run a test on a board; once more if the board or its link failed. A verdict stands."""
    entry = entry_of(item)
    if entry is None:
        return None
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    item.user_properties.append(("board", entry.id))
    reports, broken = _attempt(item, nextitem, again=True)
    if broken:
        item.user_properties[:] = [("board", entry.id), ("retried", broken)]
        item._initrequest()  # type: ignore[attr-defined]
        reports, _ = _attempt(item, nextitem, again=False)
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


def _attempt(item: Any, nextitem: pytest.Item | None, again: bool) -> tuple[list[pytest.TestReport], str]:
    """Set up, call, tear down; and how the infrastructure failed, if it did and the test is to be tried again."""
    item.stash[_WHY] = ""
    if not item._request:
        item._initrequest()
    reports = [call_and_report(item, "setup", log=False)]
    if reports[0].passed:
        reports.append(call_and_report(item, "call", log=False))
    broken = item.stash[_WHY] if again else ""
    # Before a second try only the test itself is torn down: its parent stands for the next test, and the board stays.
    following = item.parent if broken else nextitem
    reports.append(call_and_report(item, "teardown", log=False, nextitem=following))
    item._request = False
    item.funcargs = None
    return reports, broken


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[Any]) -> Generator[None, Any, Any]:
    """Sort the outcomes."""
    report: Any = yield
    error = call.excinfo.value if call.excinfo else None
    if entry_of(item) is None:
        return report
    if _is(error, "neuromorph_mcu.locks", "Locked"):
        report.outcome, report.nm_locked = "skipped", True
        report.longrepr = (str(item.path), item.location[1] or 0, f"Skipped: {error}")
        return report
    rig: Rig | None = (getattr(item, "funcargs", None) or {}).get(RIG)
    if report.failed and rig and rig.faults:
        report.sections.append(("faults on the line", f"{rig.faults} (as --nm-fault takes them)"))
    if report.failed and _is_infrastructure(error, rig):
        item.stash[_WHY] = str(error)
        if rig:
            rig.suspect = True
        report.sections.append(("infrastructure", _NOTE))
        if report.when == "call":
            report.when = "setup"  # pytest and JUnit count what fails there as an error, not as a failure
    return report


def pytest_report_teststatus(report: Any) -> tuple[str, str, tuple[str, dict[str, bool]]] | None:
    """Locked boards have an outcome of their own."""
    if getattr(report, "nm_locked", False):
        return "locked", "L", ("LOCKED", {"yellow": True})
    return None


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Which boards were locked, and by whom; which failed once."""
    retried = (r for some in terminalreporter.stats.values() for r in some if getattr(r, "when", "") == "teardown")
    for report in retried:
        found = dict(report.user_properties)
        if "retried" in found:
            terminalreporter.line(f"RETRIED {report.nodeid}: {found['retried']}")
    reasons: dict[str, int] = {}
    for report in terminalreporter.stats.get("locked", []):
        text = report.longrepr[2].removeprefix("Skipped: ")
        reasons[text] = reasons.get(text, 0) + 1
    for text, count in reasons.items():
        terminalreporter.line(f"LOCKED [{count}] {text}")
