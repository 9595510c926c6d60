"""Hooks of the plugin: options, markers, which test runs on which board, outcomes, reports.

pytest imports this module in every run, so it imports nothing but the standard library and pytest.
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pytest_neuromorph.rig import Rules
    from pytest_neuromorph.roster import Entry

MARKERS = (
    "board(target=None, fixtures=(), min_ram=0): run on boards of this kind, id or target, with these things wired to "
    "them and so many bytes of memory",
    "nm_slow: takes minutes; left out without --nm-slow",
    "nm_destructive: wears or changes the board, e.g. writes its flash many times; left out without --nm-destructive",
    "nm_xfail_target(name, reason): known to fail on this kind, id or target",
    "nm_quarantine(issue): fails now and then for a known reason; left out without --nm-quarantine",
)
WIRED = ("power", "reset", "fault_link")
"""Fixtures that need something wired to the board."""
RIG = "_nm_rig"
CHOOSING = ("--nm-board-map", "--nm-board", "--nm-target", "--nm-wait", "--nm-flash", "--nm-fault")
"""Options that can be wrong for the boards of a run."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """The boards of this run."""

    entries: tuple[Entry, ...]
    rules: Rules
    report: Path
    map: Path | None


_CHOSEN = pytest.StashKey[Chosen]()


# ---------------------------------------------------------------------------------------------- options


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options."""
    group = parser.getgroup("neuromorph", "spiking networks on boards (neuromorph)")
    group.addoption("--nm-board-map", metavar="FILE", help="hardware map (TOML); else boards.toml, if there is one")
    group.addoption("--nm-board", action="append", default=[], metavar="ID", help="only this board (may be repeated)")
    group.addoption(
        "--nm-target", action="append", default=[], metavar="NAME",
        help="unicorn, posix, qemu, serial, all, or any installed target such as cpu or mcu:/dev/ttyACM0 (may be "
        "repeated); default: the boards of the map, without a map unicorn and posix",
    )  # fmt: skip
    group.addoption("--nm-wait", type=float, default=0.0, metavar="SEC", help="wait so long for a board that is locked")
    group.addoption(
        "--nm-flash", choices=("auto", "never", "always"), default="never",
        help="flash boards that have a flasher first: those that run another build, or all",
    )  # fmt: skip
    group.addoption("--nm-fault", default="", metavar="SEED[:SPEC]", help="faults on every link, e.g. 7:corrupt=1e-3")
    group.addoption("--nm-report", metavar="DIR", help="folder for pages of failing comparisons (default: nm-report)")
    group.addoption("--nm-update-golden", action="store_true", help="write the traces that tests compare with")
    group.addoption("--nm-slow", action="store_true", help="run tests that are marked nm_slow too")
    group.addoption("--nm-destructive", action="store_true", help="run tests that are marked nm_destructive too")
    group.addoption("--nm-quarantine", action="store_true", help="run tests that are marked nm_quarantine too")
    group.addoption("--nm-lock-dir", metavar="DIR", help="folder of the boards' locks (default: one per computer)")
    parser.addini("nm_board_map", "hardware map (TOML) of neuromorph")


def pytest_configure(config: pytest.Config) -> None:
    """Markers and fixtures."""
    from pytest_neuromorph import fixtures, outcomes

    for text in MARKERS:
        config.addinivalue_line("markers", text)
    if not config.pluginmanager.hasplugin("timeout"):  # our own tests have time limits where pytest-timeout is there
        config.addinivalue_line("markers", "timeout(seconds): time limit of a test (pytest-timeout)")
    config.pluginmanager.register(fixtures, "neuromorph-fixtures")
    config.pluginmanager.register(outcomes, "neuromorph-outcomes")
    if any(config.getoption(name) not in (None, "", 0.0, [], "never") for name in CHOOSING):
        chosen(config)  # what is wrong with them is told before tests are collected


def map_of(config: pytest.Config) -> Path | None:
    """The hardware map: of the option, the environment, pytest's ini file, or boards.toml beside it."""
    named = config.getoption("--nm-board-map") or os.environ.get("NM_BOARD_MAP") or config.getini("nm_board_map")
    if named:
        return config.invocation_params.dir / str(named)
    default = config.rootpath / "boards.toml"
    return default if default.is_file() else None


def chosen(config: pytest.Config) -> Chosen:
    """The boards of this run; UsageError if an option or the map is wrong."""
    if _CHOSEN not in config.stash:
        from neuromorph.errors import NeuromorphError
        from pytest_neuromorph.rig import Rules, parse_fault
        from pytest_neuromorph.roster import choose, read_map

        option, path = config.getoption, map_of(config)
        targets = [name for text in option("--nm-target") for name in text.split(",") if name]
        try:
            if option("--nm-fault"):
                parse_fault(option("--nm-fault"))
            entries = choose(read_map(path) if path else (), targets, option("--nm-board"))
        except NeuromorphError as error:
            raise pytest.UsageError(str(error)) from error
        _insist(entries, (*targets, *option("--nm-board")), path)
        here = [entry for entry in entries if not entry.missing]
        if not option("--nm-wait") >= 0:
            raise pytest.UsageError(f"--nm-wait {option('--nm-wait'):g}: it takes 0 or more seconds")
        if option("--nm-flash") == "always" and not any(entry.flasher for entry in here):
            raise pytest.UsageError("--nm-flash always: no board of this run has a flasher in the hardware map")
        if option("--nm-fault") and not any(entry.target.partition(":")[0] == "mcu" for entry in here):
            raise pytest.UsageError("--nm-fault: no board of this run has a link that could have faults")
        run = os.environ.get("PYTEST_XDIST_TESTRUNUID", f"{os.getpid()}-{id(config)}")
        locks = Path(option("--nm-lock-dir")) if option("--nm-lock-dir") else None
        rules = Rules(option("--nm-flash"), option("--nm-fault"), option("--nm-wait"), run, locks)
        report = config.invocation_params.dir / (option("--nm-report") or "nm-report")
        config.stash[_CHOSEN] = Chosen(entries, rules, report, path)
    return config.stash[_CHOSEN]


def _insist(entries: tuple[Entry, ...], names: tuple[str, ...], path: Path | None) -> None:
    """UsageError if no board of a name that the user has given is here: nothing would run, and all would be green."""
    for name in names:
        meant = [entry for entry in entries if name in ("all", entry.kind, entry.id, entry.target)]
        if all(entry.missing for entry in meant):
            why = "; ".join(f"{entry.id}: {entry.missing}" for entry in meant)
            where = f"the hardware map {path}" if path else "a hardware map (--nm-board-map FILE, or boards.toml)"
            raise pytest.UsageError(f"no board here is {name!r} ({why or f'{where} would have to name it'})")


# ---------------------------------------------------------------------------------------------- which test runs where


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One item per board that has what the test asks for; one that is skipped, with the reason, if none has."""
    if RIG not in metafunc.fixturenames:
        return
    from pytest_neuromorph.roster import offers

    try:
        wanted, everything = _wanted(metafunc), chosen(metafunc.config).entries
    except pytest.UsageError as error:
        raise pytest.Collector.CollectError(str(error)) from error  # told without a traceback
    needed = [*wanted["fixtures"], *(name for name in WIRED if name in metafunc.fixturenames)]
    entries = [e for e in everything if not e.missing and offers(e, wanted["target"], needed)]
    if not entries:
        asked = " and ".join(filter(None, (str(wanted["target"] or ""), ", ".join(dict.fromkeys(needed)))))
        looked = "; ".join(f"{e.id}: {e.missing}" if e.missing else e.id for e in everything) or "none"
        skip = pytest.mark.skip(reason=f"no board offers {asked or 'anything'} (looked at: {looked})")
        metafunc.parametrize(RIG, [pytest.param(None, marks=skip, id="no board")], indirect=True, scope="session")
        return
    metafunc.parametrize(RIG, entries, ids=[e.id for e in entries], indirect=True, scope="session")


def _wanted(metafunc: pytest.Metafunc) -> dict[str, Any]:
    """What the markers `board` of a test, its class and its module ask for; the nearest one wins."""
    found: dict[str, Any] = {"target": None, "fixtures": (), "min_ram": 0}
    for mark in reversed(list(metafunc.definition.iter_markers("board"))):
        unknown = set(mark.kwargs) - set(found)
        if mark.args or unknown:
            raise pytest.UsageError(
                f"{metafunc.definition.nodeid}: board takes target=, fixtures=, min_ram=, not {mark.args or unknown}"
            )
        found |= mark.kwargs
    return found


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """One board after the other; and the markers that leave out tests or expect them to fail, with their reasons."""
    places = [k for k, item in enumerate(items) if entry_of(item) is not None]
    order = {entry.id: k for k, entry in enumerate(chosen(config).entries)} if places else {}
    ordered = sorted((items[k] for k in places), key=lambda item: order[_id_of(item)])
    for k, item in zip(places, ordered, strict=True):
        items[k] = item
    expected: dict[str, pytest.Item] = {}
    for item in items:
        for name in ("slow", "destructive"):
            if item.get_closest_marker(f"nm_{name}") and not config.getoption(f"--nm-{name}"):
                item.add_marker(pytest.mark.skip(reason=f"runs with --nm-{name}"))
        for mark in item.iter_markers("nm_quarantine"):
            issue = _reason(item, mark, "issue")
            if not config.getoption("--nm-quarantine"):
                item.add_marker(pytest.mark.skip(reason=f"quarantined: {issue}; runs with --nm-quarantine"))
        entry = entry_of(item)
        for mark in item.iter_markers("nm_xfail_target"):
            reason = _reason(item, mark, "reason")
            where = mark.args[0] if mark.args else mark.kwargs.get("name")
            if not where:
                raise pytest.UsageError(f"{item.nodeid}: nm_xfail_target needs the name of a target or kind")
            if entry is not None:
                expected.setdefault(where, item)
            if entry is not None and where in (entry.kind, entry.id, entry.target, entry.board):
                item.add_marker(pytest.mark.xfail(reason=f"{where}: {reason}"))
    if expected:
        _check_names(expected, chosen(config).map)


def _check_names(expected: dict[str, pytest.Item], path: Path | None) -> None:
    """UsageError of a misspelt kind or target in nm_xfail_target: by itself it would be none, in silence."""
    from neuromorph.errors import NeuromorphError
    from pytest_neuromorph.roster import check_name, read_map

    mapped = read_map(path) if path else ()
    for name, item in expected.items():
        try:
            check_name(name, mapped)
        except NeuromorphError as error:
            raise pytest.UsageError(f"{item.nodeid}: nm_xfail_target: {error}") from error


def _reason(item: pytest.Item, mark: pytest.Mark, key: str) -> str:
    place = 0 if key == "issue" else 1
    reason = mark.kwargs.get(key) or (mark.args[place] if len(mark.args) > place else "")
    if not isinstance(reason, str) or not reason.strip():
        raise pytest.UsageError(f'{item.nodeid}: {mark.name} needs a reason ({key}="...")')
    return reason


def _id_of(item: pytest.Item) -> str:
    entry = entry_of(item)
    return entry.id if entry else ""


def entry_of(item: pytest.Item) -> Entry | None:
    """The board that an item runs on."""
    callspec = getattr(item, "callspec", None)
    return None if callspec is None else callspec.params.get(RIG)


# ---------------------------------------------------------------------------------------------- several workers


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """One worker for each board, unless the user has chosen another distribution."""
    if config.getoption("dist") != "load":
        return None
    from pytest_neuromorph.scheduling import BoardScheduling

    return BoardScheduling(config, log)


@pytest.hookimpl(optionalhook=True, tryfirst=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """``-n auto``: as many workers as boards, where the run or a hardware map names the boards."""
    if not (config.getoption("--nm-board") or config.getoption("--nm-target") or map_of(config)):
        return None
    return max(1, sum(not entry.missing for entry in chosen(config).entries))


# ---------------------------------------------------------------------------------------------- the end of the report


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """A line for each board: its firmware, the verdicts, the most stack it took, and why it started anew."""
    rows = _rows(terminalreporter.stats)
    if not rows:
        return
    terminalreporter.section("boards", sep="-")
    width = max(map(len, rows))
    for name, row in sorted(rows.items()):
        told = [", ".join(f"{n} {outcome}" for outcome, n in sorted(row.outcomes.items()))]
        told += [f"stack {row.stack} bytes"] if row.stack else []
        resets = ", ".join(f"{n} {cause}" for cause, n in sorted(row.resets.items()))
        told += [f"resets: {resets}"] if resets else []
        terminalreporter.line(f"{name:<{width}}  {row.firmware:<24} {'; '.join(told)}")
    if not config.getoption("collectonly"):
        for entry in chosen(config).entries:
            if entry.missing:
                terminalreporter.line(f"{entry.id:<{width}}  not here: {entry.missing}")


@dataclass(slots=True)
class _Row:
    """What the end of the report says about a board."""

    firmware: str = ""
    stack: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    resets: Counter[str] = field(default_factory=Counter)


def _rows(stats: dict[str, list[Any]]) -> dict[str, _Row]:
    rows: dict[str, _Row] = {}
    for outcome, reports in stats.items():
        for report in reports:
            found = dict(getattr(report, "user_properties", ()))
            if "board" not in found:
                continue
            row = rows.setdefault(str(found["board"]), _Row())
            row.firmware = found.get("firmware") or row.firmware
            if report.when == "call" or outcome in ("error", "locked", "skipped"):
                row.outcomes[outcome] += 1
            if report.when == "teardown":  # the test is over, and the board has told what it has
                row.stack = max(row.stack, int(found.get("stack_used", 0)))
                for name, n in found.items():
                    if name.startswith("resets."):
                        row.resets[name.removeprefix("resets.")] += int(n)
    return rows
