"""The page of a failing comparison: one file with all that is needed to understand the difference."""

from __future__ import annotations

import re
from collections.abc import Callable
from html.parser import HTMLParser

import pytest

Suite = Callable[..., pytest.RunResult]

TEST = """
def test_network(deploy, run, reference, assert_traces_equal):
    deploy(network())
    got = run(0.1, inputs=INPUTS)
    assert_traces_equal(reference(), got)
"""


class Parts(HTMLParser):
    """Text and elements of a page; raises if a tag is not closed."""

    VOID = ("meta", "path", "rect", "img", "br")

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.text = ""
        self.feed(page)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [str(value) for name, value in attrs if name in ("src", "href")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += f"{data} "


def only_page(pytester: pytest.Pytester) -> str:
    (path,) = (pytester.path / "nm-report").iterdir()
    assert path.name == "test_it.py-test_network-mine-wrong.html"
    return path.read_text(encoding="utf-8")


def test_a_failing_comparison_writes_a_page_that_tells_all(suite: Suite, pytester: pytest.Pytester) -> None:
    """The fault: before step 10, the current of the second neuron becomes too large. Only spikes are probed."""
    result = suite(TEST, "--nm-target", "mine:wrong", "--nm-slow")
    page = only_page(pytester)
    parts = Parts(page)
    text = " ".join(parts.text.split())
    assert re.search(r"First difference step time where variable .* 10 0.01 s cells\[1\] u \d+ \d+", text)
    assert "cells.spikes:" in text
    assert parts.links == []  # self-contained
    assert "first difference, step 10" in text
    assert re.search(r"both \(\d+\).*cpu:ref only \((\d+)\).*mine:wrong only \((\d+)\)", text)
    rows = re.findall(r"<tr><td>(\d+)</td>\s*<td>(.*?)</td>", page.partition("steps before</h2>")[2])
    assert [int(step) for step, _ in rows] == list(range(11))  # as many of the 20 steps before as there are
    assert ["wrong" in cell for _, cell in rows] == [False] * 10 + [True]
    command = "pytest 'test_it.py::test_network[mine:wrong]' --nm-target mine:wrong --nm-slow"
    assert command in text
    shown = result.stdout.str()
    assert "first at step 10, cells[1], u: " in shown
    assert f"again: {command}" in shown


@pytest.mark.parametrize("order", ["reference(), got", "got, reference()"])
def test_the_page_shows_all_states_of_a_later_run_after_what_was_written(
    suite: Suite, pytester: pytest.Pytester, order: str
) -> None:
    """Whichever trace comes first."""
    suite(
        f"""
        def test_network(deploy, run, reference, assert_traces_equal):
            handle = deploy(network())
            run(steps=2)
            handle.session.reset()
            run(steps=5)
            handle.session.write("cells", "v", [500, -600, 700])
            got = run(0.1, inputs=INPUTS)
            assert_traces_equal({order})
        """,
        "--nm-target", "mine:wrong",
    )  # fmt: skip
    page = only_page(pytester)
    text = " ".join(Parts(page).text.split())
    assert re.search(r"First difference step time where variable .* 10 0.01 s cells\[1\] u \d+ \d+", text)
    assert "The run was repeated on both machines." in text
    rows = re.findall(r"<tr><td>(\d+)</td>\s*<td>(.*?)</td>", page.partition("steps before</h2>")[2])
    assert [(int(step), "wrong" in cell) for step, cell in rows] == [(k, k == 10) for k in range(5, 11)]


def test_the_command_on_the_page_repeats_the_failure(
    suite: Suite, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the folder in which pytest was started, whatever the root of the project is."""
    pytester.makeini("[pytest]")
    (pytester.path / "below").mkdir()
    monkeypatch.chdir(pytester.path / "below")
    suite(TEST, "../test_it.py", "--nm-target", "mine:wrong", "--nm-report", "../nm-report")
    command = re.findall(r"<pre>(.*?)</pre>", only_page(pytester))[0].replace("&#39;", "'")
    words = command.replace("'", "").split()[1:]
    monkeypatch.chdir(pytester.path / "below")
    result = pytester.runpytest_inprocess("-p", "no:xdist", "-p", "no:cacheprovider", *words)
    assert words[0] == "../test_it.py::test_network[mine:wrong]"
    assert "1 failed" in result.outlines[-1]


def test_the_page_has_the_counters_of_the_link(suite: Suite, pytester: pytest.Pytester) -> None:
    """On a board, against the trace of another network. What the page itself asks of the board is not counted."""
    result = suite(
        """
        def test_network(deploy, run, assert_traces_equal):
            traces = []
            for weight in (30, 40):
                deploy(network(weight))
                traces.append(run(0.1, inputs=INPUTS))
            assert_traces_equal(*traces)
        """,
        "--nm-target", "mcu:m4", "--nm-report", "pages", "--junitxml", "out.xml",
    )  # fmt: skip
    assert "1 failed" in result.outlines[-1]
    (path,) = (pytester.path / "pages").iterdir()
    text = Parts(path.read_text(encoding="utf-8")).text
    frames = re.search(r"board_frames_in\s*([1-9]\d*)", text)
    assert frames is not None
    junit = re.search(r'name="link.board_frames_in" value="(\d+)"', (pytester.path / "out.xml").read_text())
    assert junit is not None
    assert 0 <= int(junit[1]) - int(frames[1]) < 20  # questions for the counters; the page took hundreds of frames
    assert re.search(r"host_crc_err\s*0", text)
    assert "unicorn_m4" in text
    assert "this time they agreed: the difference is not reproducible" in " ".join(text.split())


def test_a_trace_that_lacks_records_fails_unless_that_is_declared(suite: Suite) -> None:
    result = suite(
        """
        from neuromorph.trace import Gap

        @pytest.mark.parametrize("missing", [False, True])
        def test_network(deploy, run, reference, assert_traces_equal, missing):
            deploy(network(30))
            got = run(0.1, inputs=INPUTS, pace="real", period=1e-3)
            assert_traces_equal(reference().without([Gap(20, 40, 21)]), got, missing=missing)
        """,
        "--nm-target", "mcu:m4",
    )  # fmt: skip
    assert "1 failed, 1 passed" in result.outlines[-1]
    result.stdout.fnmatch_lines(["*not compared: cpu:ref could not send the records of 21 steps (20..40)*"])
    result.stdout.fnmatch_lines(["*with missing=True only what is there is compared*"])


def test_a_page_shows_any_text_as_text(suite: Suite, pytester: pytest.Pytester) -> None:
    result = suite(
        """
        from dataclasses import replace

        @pytest.mark.parametrize("name", ["<script>alert(1)</script>"])
        def test_network(deploy, run, reference, assert_traces_equal, name):
            deploy(replace(network(), name=name))
            got = run(0.1, inputs=INPUTS)
            assert_traces_equal(reference(), got)
        """,
        "--nm-target", "mine:wrong",
    )  # fmt: skip
    assert "1 failed" in result.outlines[-1]
    (path,) = (pytester.path / "nm-report").iterdir()
    assert "<script>" not in path.read_text(encoding="utf-8")
