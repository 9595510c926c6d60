"""The fixtures. All that need a board depend on `board`, which runs a test once on each board of the run."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from pytest_neuromorph.plugin import RIG, chosen

if TYPE_CHECKING:
    from neuromorph.graph import Graph
    from neuromorph.network import Network
    from neuromorph.program import Program
    from neuromorph.session import Pace
    from neuromorph.stimulus import Stimulus
    from neuromorph.trace import Trace
    from pytest_neuromorph.handle import Handle, References
    from pytest_neuromorph.rig import Rig
    from pytest_neuromorph.roster import Entry

__all__ = ["assert_traces_equal", "board", "deploy", "fault_link", "golden", "power", "reference", "reset", "run"]


@pytest.fixture(scope="session", name=RIG)
def _rig(request: pytest.FixtureRequest) -> Iterator[Rig]:
    """A board for as long as its tests run one after the other: locked, and closed at the end."""
    from pytest_neuromorph.rig import Rig

    entry: Entry = request.param
    with Rig(entry, chosen(request.config).rules).locked(f"pytest in {request.config.rootpath}") as rig:
        yield rig


@pytest.fixture(scope="session", name="_nm_references")
def _references() -> References:
    """What `cpu:ref` did, for all boards."""
    from pytest_neuromorph.handle import References

    return References()


@pytest.fixture
def board(request: pytest.FixtureRequest, _nm_rig: Rig) -> Iterator[Rig]:
    """A board: locked, flashed if asked for, greeted, its link's counters at zero.

    At the end of the test the counters must show a good line, unless the test asked for faults; else the test fails.
    """
    from neuromorph.errors import NeuromorphError

    rig = _nm_rig
    rig.check()
    least = _min_ram(request.node)
    if least and 0 < rig.memory < least:
        pytest.skip(f"{rig.id} has {rig.memory} bytes of memory, the test needs {least}")
    rig.clear()
    # "board" itself is recorded for all tests, also for those that never get to a board; faults when the test is over.
    properties = request.node.user_properties
    properties.extend((key, value) for key, value in facts(rig).items() if key not in ("board", "faults"))
    yield rig
    if rig.faults:
        properties.append(("faults", rig.faults))
    trouble = {}
    try:
        if not rig.suspect:  # else it does not answer, and the test has said so
            trouble = rig.trouble()
            properties.extend((f"link.{name}", n) for name, n in sorted(rig.counters().items()))
            properties.extend(rig.figures().items())
    except NeuromorphError:
        rig.suspect = True
        if not rig.disturbed:  # else the test has left it so: it reset the board, or disturbed the line
            raise
    finally:
        properties.extend((f"resets.{cause}", n) for cause, n in sorted(rig.resets.items()))
        rig.resets.clear()
        rig.heal()
    if trouble:
        listed = ", ".join(f"{name}: {n}" for name, n in trouble.items())
        pytest.fail(
            f"{rig.id}: the link had faults that nobody asked for ({listed}): look at cable, speed and ground",
            pytrace=False,
        )


def _min_ram(item: pytest.Function) -> int:
    mark = item.get_closest_marker("board")
    return int(mark.kwargs.get("min_ram", 0)) if mark else 0


def facts(rig: Rig) -> dict[str, str]:
    """What there is to say about a board."""
    hello = rig.hello
    found = {"board": rig.id, "target": rig.target}
    if hello is not None:
        found |= {"uid": hello.uid.hex(), "firmware": f"{hello.board} {hello.build}".strip(), "core": hello.core}
    if rig.faults:
        found["faults"] = rig.faults
    return found


# ---------------------------------------------------------------------------------------------- networks


class Bench:
    """What `deploy`, `run`, `reference` and `assert_traces_equal` of one test share."""

    def __init__(self, rig: Rig, references: References) -> None:
        self.rig, self._references = rig, references
        self.handle: Handle | None = None

    def deploy(self, model: Program | Network | Graph) -> Handle:
        """Put a model on the board."""
        from pytest_neuromorph.handle import deploy

        self.handle = deploy(self.rig, model, self._references)
        return self.handle

    @property
    def deployed(self) -> Handle:
        """What is on the board."""
        if self.handle is None:
            pytest.fail("nothing is on the board: call deploy(network) before run() and reference()", pytrace=False)
        return self.handle


@pytest.fixture(name="_nm_bench")
def _bench(board: Rig, _nm_references: References) -> Bench:
    return Bench(board, _nm_references)


@pytest.fixture
def deploy(_nm_bench: Bench) -> Callable[[Program | Network | Graph], Handle]:
    """``deploy(network) -> Handle``: compile for the board and for `cpu:ref`, send it, start at step 0.

    The handle has `program`, `session` (read, write, snapshot, ...) and `run`.
    """
    return _nm_bench.deploy


@pytest.fixture
def run(_nm_bench: Bench) -> Callable[..., Trace]:
    """``run(seconds, *, steps=None, inputs=None, ...) -> Trace`` of the network on the board, from its present step on.

    The arguments are those of `Session.run`, `pace` and `period` among them.
    """

    def run(
        duration: float | None = None,
        *,
        steps: int | None = None,
        inputs: Mapping[Any, Any] | Stimulus | None = None,
        pace: Pace = "free",
        period: float | None = None,
    ) -> Trace:
        return _nm_bench.deployed.run(duration, steps=steps, inputs=inputs, pace=pace, period=period)

    return run


@pytest.fixture
def reference(_nm_bench: Bench) -> Callable[[], Trace]:
    """``reference() -> Trace`` of the last `run`, as `cpu:ref` does it after all that was run and written before."""
    return lambda: _nm_bench.deployed.reference()


@pytest.fixture
def assert_traces_equal(request: pytest.FixtureRequest, _nm_bench: Bench) -> Callable[..., None]:
    """``assert_traces_equal(reference, got, tol=None, missing=False)``: every value is the same integer.

    With `tol`, sampled states may differ by as much in machine units, and numbers of spikes of a neuron too. With
    `missing`, a trace at pace real may lack what its line did not carry; what is there must be equal. If the traces
    differ, a page that shows how is written to the folder of ``--nm-report``.
    """

    def check(reference: Trace, got: Trace, tol: float | None = None, *, missing: bool = False) -> None:
        __tracebackhide__ = True
        from neuromorph.compare import compare
        from pytest_neuromorph.verdict import within

        difference = compare(reference, got)
        if difference.missing and not missing:
            raise AssertionError(f"{difference.explain()}\n  with missing=True only what is there is compared")
        if difference.equal or (tol is not None and not within(reference, got, tol)):
            return
        text, where = _explain(request.node, _nm_bench, difference)
        beyond = "" if tol is None else f"\n  {within(reference, got, tol)}"
        raise AssertionError(f"{text}{beyond}\n  page: {where}\n  again: {replay(request.node)}")

    return check


def _explain(item: pytest.Function, bench: Bench, difference: Any) -> tuple[str, Path]:
    """Write the page; the difference in words, and where the page is."""
    from dataclasses import replace

    from pytest_neuromorph.page import Facts, render
    from pytest_neuromorph.verdict import examine

    rig, handle = bench.rig, bench.handle
    named = facts(rig) | {name: str(n) for name, n in rig.figures().items()}
    with rig.uncounted() as counters:
        first, history = examine(difference, handle)
    page = render(difference, first, history, Facts(item.nodeid, replay(item), named, counters))
    folder = chosen(item.config).report
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{re.sub(r'[^A-Za-z0-9_.-]+', '-', item.nodeid).strip('-')}.html"
    path.write_text(page, encoding="utf-8")
    item.user_properties.append(("page", str(path)))
    return replace(difference, first=first).explain(), path


def replay(item: pytest.Function) -> str:
    """The command that runs a test again on the same board, in the folder in which pytest was started."""
    option, here = item.config.getoption, item.config.invocation_params.dir
    entry = cast("Entry", item.callspec.params[RIG])
    picked = chosen(item.config)
    inside = item.nodeid.partition("::")[2]
    words = ["pytest", f"{os.path.relpath(item.path, here)}::{inside}"]
    if not item.path.is_relative_to(item.config.rootpath):  # a test of an installed package
        words = ["pytest", "--pyargs", f"{item.module.__name__}::{inside}"]
    if picked.map is not None:
        words += ["--nm-board-map", os.path.relpath(picked.map, here)]
    words += ["--nm-board", entry.id] if entry.shared else ["--nm-target", entry.target]
    words += [
        w
        for name in ("fault", "flash")
        if option(f"--nm-{name}") not in ("", "never")
        for w in (f"--nm-{name}", option(f"--nm-{name}"))
    ]
    words += [f"--nm-{name}" for name in ("slow", "destructive", "quarantine") if option(f"--nm-{name}")]
    return shlex.join(words)


@pytest.fixture
def golden(request: pytest.FixtureRequest, assert_traces_equal: Callable[..., None]) -> Callable[..., None]:
    """``golden(trace, name=None)``: the same as the trace in a file of the folder ``golden`` beside the test.

    The file is named after the module, the class and the test with its parameters, but for the board:
    ``golden/<module>.<class>.<test>[<parameters>]-<name>.npz``. ``--nm-update-golden`` writes it.
    """

    def check(trace: Trace, name: str | None = None) -> None:
        __tracebackhide__ = True
        from neuromorph.trace import Trace

        stem = "-".join(filter(None, (_without_board(request.node), name)))
        path = request.node.path.parent / "golden" / f"{stem}.npz"
        if request.config.getoption("--nm-update-golden"):
            path.parent.mkdir(exist_ok=True)
            trace.save(path)
        elif not path.is_file():
            pytest.fail(f"there is no {path}: write it with --nm-update-golden, and look at it", pytrace=False)
        else:
            assert_traces_equal(Trace.load(path), trace)

    return check


def _without_board(item: pytest.Function) -> str:
    """The test's name with its parameters except the board, as a name of a file; no two tests have the same."""
    from urllib.parse import quote

    entry = cast("Entry", item.callspec.params[RIG])
    others = f"-{item.callspec.id}-".replace(f"-{entry.id}-", "-", 1)[1:-1]
    classes = item.cls.__qualname__.split(".") if item.cls else ()
    name = ".".join((item.path.stem, *classes, item.originalname))
    return f"{name}[{quote(others, safe='')}]" if others else name


# ---------------------------------------------------------------------------------------------- the board itself


@pytest.fixture
def reset(board: Rig) -> Callable[[], None]:
    """``reset()``: press the board's reset and greet it again; what was on it is gone, so `deploy` again."""
    return board.reset


class Power:
    """The switch of a board's power."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig

    def off(self) -> None:
        """Switch it off."""
        self._rig.switch(False)

    def on(self) -> None:
        """Switch it on and greet the board."""
        self._rig.switch(True)

    def cycle(self) -> None:
        """Off and on."""
        self.off()
        self.on()


@pytest.fixture
def power(board: Rig) -> Power:
    """``power.off()``, ``power.on()``, ``power.cycle()``; what the board has not stored is gone."""
    return Power(board)


@pytest.fixture
def fault_link(board: Rig) -> Callable[..., str]:
    """``fault_link(seed=1, corrupt=1e-3) -> token``: faults on the line until the test ends; `deploy` after it."""
    return board.fault
