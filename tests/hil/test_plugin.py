"""The plugin: which test runs on which board, fixtures, markers, outcomes."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import pytest

Suite = Callable[..., pytest.RunResult]

THREE_LINES = """
def test_network(deploy, run, reference, assert_traces_equal):
    deploy(network())
    got = run(0.1, inputs=INPUTS)
    assert_traces_equal(reference(), got)
    assert len(got.spikes("cells")) > 0
"""


def outcomes(result: pytest.RunResult) -> dict[str, int]:
    """The counts of the last line, as pytest says them."""
    words = re.findall(r"(\d+) ([a-z]+)", result.outlines[-1])
    return {name: int(count) for count, name in words if name not in ("s", "warnings")}


def test_three_lines_run_on_every_board_of_this_computer(suite: Suite) -> None:
    result = suite(THREE_LINES, "-v")
    found = set(re.findall(r"test_network\[(.+?)\] PASSED", result.stdout.str()))
    assert found >= {"mcu:m4", "mcu:m3", "mcu:m0"}
    assert result.ret == 0


def test_any_target_by_its_name_a_third_partys_too(suite: Suite) -> None:
    result = suite(THREE_LINES, "-v", "--nm-target", "cpu,mine", "--nm-target", "mcu:m0")
    assert re.findall(r"test_network\[(.+?)\]", result.stdout.str()) == ["cpu", "mine", "mcu:m0"]
    assert outcomes(result) == {"passed": 3}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--nm-target", "mcu:m9"), "target 'mcu:m9' is unknown"),
        (("--nm-target", "cpu:float"), "computes in floats"),
        (("--nm-board", "m4"), "no board 'm4'"),
        (("--nm-board-map", "nowhere.toml"), "cannot read the hardware map"),
        (("--nm-fault", "seven"), "faults 'seven'"),
        (("--nm-fault", "7:flipp=1e-3"), "flipp"),
        (("--nm-fault", "7:corrupt=1e-3", "--nm-target", "cpu"), "no board of this run has a link"),
        (("--nm-flash", "always"), "no board of this run has a flasher"),
        (("--nm-wait", "-1"), "--nm-wait -1: it takes 0 or more seconds"),
    ],
)
def test_a_wrong_option_is_refused_with_what_there_is(suite: Suite, options: tuple[str, ...], message: str) -> None:
    result = suite(THREE_LINES, *options)
    result.stderr.fnmatch_lines([f"ERROR: *{message}*"])
    assert result.outlines == []
    assert result.ret == pytest.ExitCode.USAGE_ERROR


def test_a_wrong_map_that_no_option_names_is_told_in_a_line(suite: Suite, pytester: pytest.Pytester) -> None:
    """It counts only where a test needs a board."""
    (pytester.path / "boards.toml").write_text("[[bord]]\n")
    result = suite(THREE_LINES)
    assert outcomes(result) == {"error": 1}
    result.stdout.fnmatch_lines(["*boards.toml: a hardware map is a list of*"])
    assert len(result.outlines) < 20
    assert outcomes(suite("def test_it(): pass")) == {"passed": 1}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--nm-target", "serial"), "no board here is 'serial' (*boards.toml would have to name it)"),
        (("--nm-target", "cpu,serial"), "no board here is 'serial' *"),
        (("--nm-board", "pico"), "no board here is 'pico' (pico: not plugged in: there is no /dev/nowhere)"),
        (("--nm-target", "cpu", "--nm-board", "b0"), "no board here is 'cpu' *"),
    ],
)
def test_a_board_that_was_named_and_is_not_here_is_no_green_run(
    suite: Suite, hardware: Callable[..., Path], options: tuple[str, ...], message: str
) -> None:
    path = hardware(1)
    if "pico" in options:
        path.write_text(f'{path.read_text()}[[board]]\nid = "pico"\ntransport = "/dev/nowhere"\n')
    result = suite("def test_it(board): pass", *options)
    result.stderr.fnmatch_lines([f"ERROR: {message}"])
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert outcomes(suite("def test_it(board): pass", "--nm-target", "unicorn")) == {"passed": 4}


def test_runs_of_people_without_boards_do_not_load_anything(suite: Suite) -> None:
    result = suite(
        """
        import sys

        def test_what_is_loaded():
            ours = {name for name in sys.modules if name.startswith(("pytest_neuromorph.", "neuromorph_"))}
            assert ours == {f"pytest_neuromorph.{name}" for name in ("plugin", "fixtures", "outcomes")}
        """,
        apart=True,
    )
    assert outcomes(result) == {"passed": 1}


def test_the_reference_follows_several_runs(suite: Suite) -> None:
    result = suite(
        """
        def test_parts(deploy, run, reference, assert_traces_equal):
            handle = deploy(network())
            for steps in (1, 30, 69):
                got = run(steps=steps, inputs={"input": SpikeTrain([1], [0])})
                assert got.stop == handle.session.now
                assert_traces_equal(reference(), got)
        """,
        "--nm-target", "mcu:m4,cpu",
    )  # fmt: skip
    assert outcomes(result) == {"passed": 2}


def test_power_and_reset_bring_a_fresh_board(suite: Suite) -> None:
    result = suite(
        """
        def test_reset(board, deploy, run, reset, power):
            first = board.hello.boots
            deploy(network())
            run(0.01)
            reset()
            assert board.hello.boots == first + 1
            power.cycle()
            assert board.hello.boots == 1
            assert deploy(network()).session.now == 0
        """,
        "--nm-target", "mcu:m4",
    )  # fmt: skip
    assert outcomes(result) == {"passed": 1}


def test_the_reference_follows_what_was_written(suite: Suite) -> None:
    result = suite(
        """
        def test_written(deploy, run, reference, assert_traces_equal):
            handle = deploy(network())
            spikes = []
            for current in (0, 100_000):
                handle.session.reset()
                handle.session.write("cells", "u", current)
                got = run(0.1, inputs=INPUTS)
                assert_traces_equal(reference(), got)
                spikes.append(len(got.spikes("cells")))
            assert spikes[0] < spikes[1]

        def test_too_early(deploy, reference):
            deploy(network())
            with pytest.raises(ValueError, match="call run.. before reference"):
                reference()
        """,
        "--nm-target", "mcu:m4,cpu",
    )  # fmt: skip
    assert outcomes(result) == {"passed": 4}


# ---------------------------------------------------------------------------------------------- markers


def test_the_marker_board_chooses_by_kind_and_fixtures(suite: Suite) -> None:
    result = suite(
        """
        @pytest.mark.board(target="unicorn")
        def test_kind(board): assert board.kind == "unicorn"

        @pytest.mark.board(target="mcu:m0")
        def test_id(board): assert board.id == "mcu:m0"

        @pytest.mark.board(fixtures=["oscilloscope"])
        def test_wired(board): raise AssertionError

        @pytest.mark.board(min_ram=1 << 30)
        def test_large(board): raise AssertionError

        def test_power(power): raise AssertionError
        """,
        "--nm-target", "cpu,mcu:m0,mcu:m4", "-rs",
    )  # fmt: skip
    # test_large on cpu, which has no limit, runs
    assert outcomes(result) == {"failed": 3, "passed": 3, "skipped": 3}
    text = result.stdout.str()
    assert "no board offers oscilloscope (looked at: cpu; mcu:m0; mcu:m4)" in text
    assert "bytes of memory, the test needs 1073741824" in text


def test_slow_destructive_and_quarantined_tests_run_when_asked(suite: Suite) -> None:
    code = """
        @pytest.mark.nm_slow
        def test_slow(board): pass

        @pytest.mark.nm_destructive
        def test_destructive(board): pass

        @pytest.mark.nm_quarantine("the probe hangs now and then, see the notes of the rig")
        def test_quarantined(board): pass
        """
    result = suite(code, "--nm-target", "cpu", "-rs")
    assert outcomes(result) == {"skipped": 3}
    result.stdout.fnmatch_lines(["*quarantined: the probe hangs now and then*--nm-quarantine*"])
    assert outcomes(suite(code, "--nm-target", "cpu", "--nm-slow", "--nm-destructive", "--nm-quarantine")) == {
        "passed": 3
    }


def test_a_known_failure_on_one_target_is_expected_there_alone(suite: Suite) -> None:
    result = suite(
        """
        @pytest.mark.nm_xfail_target("mine:wrong", reason="its second neuron gets too much")
        def test_it(deploy, run, reference, assert_traces_equal):
            deploy(network())
            got = run(0.1, inputs=INPUTS)
            assert_traces_equal(reference(), got)
        """,
        "--nm-target", "mine,mine:wrong", "-rx",
    )  # fmt: skip
    assert outcomes(result) == {"passed": 1, "xfailed": 1}
    result.stdout.fnmatch_lines(["*mine:wrong: its second neuron gets too much*"])


@pytest.mark.parametrize("mark", ['nm_xfail_target("cpu")', "nm_quarantine()", 'nm_quarantine(" ")', 'board("cpu")'])
def test_a_marker_without_its_reason_is_refused(suite: Suite, mark: str) -> None:
    result = suite(f"@pytest.mark.{mark}\ndef test_it(board): pass", "--nm-target", "cpu")
    assert result.ret != 0
    assert re.search("needs a reason|takes target=", result.stdout.str() + result.stderr.str())


def marked(*names: str) -> str:
    """A test that is known to fail on each of these."""
    marks = (f'@pytest.mark.nm_xfail_target("{name}", reason="x")' for name in names)
    return "\n".join((*marks, "def test_it(board): pass"))


@pytest.mark.parametrize(
    ("name", "message"),
    [("qmeu", "did you mean 'qemu'"), ("mcu:m9", "target 'mcu:m9' is unknown")],
)
def test_a_marker_with_a_misspelt_target_is_refused(suite: Suite, name: str, message: str) -> None:
    result = suite(marked(name), "--nm-target", "cpu")
    result.stderr.re_match_lines([f"ERROR: .*test_it.cpu.: nm_xfail_target: .*{message}"])
    assert result.ret == pytest.ExitCode.USAGE_ERROR


def test_a_marker_may_name_what_is_not_in_this_run(suite: Suite, hardware: Callable[..., Path]) -> None:
    """A board may be in the map of another computer."""
    hardware(1)
    names = ("qemu", "mcu:/dev/ttyACM0", "b0", "mine:wrong", "the board by the window")
    result = suite(marked(*names), "--nm-target", "cpu")
    assert outcomes(result) == {"passed": 1}


# ---------------------------------------------------------------------------------------------- outcomes


def test_a_verdict_is_not_tried_again(suite: Suite, pytester: pytest.Pytester) -> None:
    result = suite(
        """
        from pathlib import Path

        def test_it(deploy):
            deploy(network())
            with Path("verdicts.txt").open("a") as file:
                file.write("verdict ")
            assert 1 == 2
        """,
        "--nm-target", "cpu",
    )  # fmt: skip
    assert outcomes(result) == {"failed": 1}
    assert (pytester.path / "verdicts.txt").read_text() == "verdict "


def test_a_broken_link_is_an_error_after_a_second_try(suite: Suite, pytester: pytest.Pytester) -> None:
    result = suite(THREE_LINES, "--nm-target", "mine:broken", "--junitxml", "out.xml")
    assert outcomes(result) == {"error": 1}
    assert (pytester.path / "runs.txt").read_text() == "run\n" * 2
    result.stdout.fnmatch_lines(["*the board or its link failed, not the test; it was tried twice*"])
    (suite_of,) = ET.parse(pytester.path / "out.xml").getroot()
    assert (suite_of.get("errors"), suite_of.get("failures")) == ("1", "0")


def test_a_link_that_breaks_once_costs_nothing_but_a_line_of_the_report(suite: Suite) -> None:
    result = suite(THREE_LINES, "--nm-target", "mine:shaky")
    assert outcomes(result) == {"passed": 1}
    result.stdout.fnmatch_lines(["RETRIED *mine:shaky*: no byte from the board for 5 s"])


def test_a_line_with_faults_is_an_error_of_the_board(suite: Suite) -> None:
    """Bytes that nobody sent, on the way to the board: its counters tell at the end of the test."""
    result = suite(
        """
        def test_it(board, deploy, run):
            deploy(network())
            board.engine.port.write(b"\\0\\1\\2\\3\\4\\0" * 5)
            run(0.01)

        def test_next(deploy, run):
            deploy(network())
        """,
        "--nm-target", "mcu:m4",
    )  # fmt: skip
    assert outcomes(result) == {"passed": 2, "error": 1}
    result.stdout.fnmatch_lines(["*the link had faults that nobody asked for (board_c*"])


def test_faults_end_with_their_test_however_it_ends(suite: Suite, pytester: pytest.Pytester) -> None:
    """They pass, fail, break the line for good, or are misspelt: the next test has a good line, and faults are told."""
    result = suite(
        """
        def test_passes(fault_link, board):
            assert fault_link(seed=3, corrupt=1e-3, disconnect_at=1234567) == "3:corrupt=0.001,disconnect_at=1234567"

        def test_fails(fault_link):
            fault_link(seed=4, drop=1e-3)
            assert False

        def test_breaks(fault_link, deploy):
            fault_link(seed=5, disconnect_at=400)
            deploy(network())

        def test_misspelt(fault_link):
            fault_link(corupt=1e-3)

        def test_next(board, deploy, run, reference, assert_traces_equal):
            assert board.faults == ""
            deploy(network())
            got = run(0.1, inputs=INPUTS)
            assert_traces_equal(reference(), got)
            assert sum(n for name, n in board.counters().items() if name.endswith("_err")) == 0
        """,
        "--nm-target", "mcu:m4", "-rA", "--junitxml", "out.xml",
    )  # fmt: skip
    assert re.findall(r"^(PASSED|FAILED|ERROR) test_it.py::test_(\w+)", result.stdout.str(), re.MULTILINE) == [
        ("PASSED", "passes"), ("PASSED", "next"), ("ERROR", "breaks"), ("FAILED", "fails"), ("FAILED", "misspelt"),
    ]  # fmt: skip
    result.stdout.fnmatch_lines(["*unknown fault 'corupt'; there are seed, corrupt,*"])
    result.stdout.fnmatch_lines(["*faults on the line*", "5:disconnect_at=400 *"])
    tests = ET.parse(pytester.path / "out.xml").getroot().iter("testcase")
    told = {t.get("name"): [p.get("value") for p in t.iter("property") if p.get("name") == "faults"] for t in tests}
    assert list(told.values()) == [
        ["3:corrupt=0.001,disconnect_at=1234567"], ["4:drop=0.001"], ["5:disconnect_at=400"], [], [],
    ]  # fmt: skip


def test_faults_of_the_whole_run_are_on_the_line_after_power_and_told(suite: Suite) -> None:
    result = suite(
        """
        def test_it(board, power):
            assert board.faults == "7:corrupt=1e-4"
            power.cycle()
            assert "corrupt=1e-4" in board.engine.port.port
            assert False
        """,
        "--nm-target", "mcu:m4", "--nm-fault", "7:corrupt=1e-4",
    )  # fmt: skip
    assert outcomes(result) == {"failed": 1}
    result.stdout.fnmatch_lines(["*>*assert False*", "*faults on the line*", "7:corrupt=1e-4 *"])


def test_what_a_board_refuses_is_the_verdict_of_the_test(suite: Suite) -> None:
    """After a reset the program is gone: the test has forgotten to deploy again, and the board is well."""
    result = suite(
        """
        def test_it(deploy, run, reset):
            deploy(network())
            reset()
            run(0.01)
        """,
        "--nm-target", "mcu:m4",
    )  # fmt: skip
    assert outcomes(result) == {"failed": 1}
    result.stdout.fnmatch_lines(["*mcu:m4 holds no program*"])
    result.stdout.no_fnmatch_line("*not the test*")


def test_counters_begin_anew_with_the_line(suite: Suite) -> None:
    """An emulated board starts with its line; what was counted before does not go off what is counted then."""
    result = suite(
        """
        def test_first(deploy, run):
            deploy(network())
            for _ in range(10):
                run(0.01)

        def test_second(board, deploy, run, fault_link):
            fault_link(seed=1)
            deploy(network())
            for _ in range(20):
                run(0.01)
            counted, all_of_them = board.counters(), board.engine.counters()
            for name in ("board_frames_in", "host_frames_out"):
                assert 0 <= all_of_them[name] - counted[name] <= 3
        """,
        "--nm-target", "mcu:m4",
    )  # fmt: skip
    assert outcomes(result) == {"passed": 2}


def test_the_second_board_is_not_the_one_that_the_map_means(suite: Suite, hardware: Callable[..., Path]) -> None:
    hardware(1, uid='"00112233445566778899aabbccddeeff"')
    result = suite(THREE_LINES)
    assert outcomes(result) == {"error": 1}
    result.stdout.fnmatch_lines(["*the hardware map says 00112233445566778899aabbccddeeff*"])


# ---------------------------------------------------------------------------------------------- reports


def test_junit_has_the_board_its_firmware_and_its_link(suite: Suite, pytester: pytest.Pytester) -> None:
    suite(THREE_LINES, "--nm-target", "mcu:m4", "--junitxml", "out.xml")
    found = {p.get("name"): p.get("value") for p in ET.parse(pytester.path / "out.xml").getroot().iter("property")}
    assert found["board"] == "mcu:m4"
    assert found["uid"] == b"emulated".hex().ljust(32, "0")
    assert str(found["firmware"]).startswith("unicorn_m4 ")
    assert int(str(found["link.board_frames_in"])) > 0
    assert found["link.host_crc_err"] == "0"
    assert (found["late_inputs"], found["overruns"]) == ("0", "0")
    assert int(str(found["stack_used"])) > 0


def test_junit_and_the_last_lines_have_the_resets_by_cause_and_the_stack(
    suite: Suite, pytester: pytest.Pytester
) -> None:
    """Those of the test itself: that an emulated board starts with the run, or after faults, is none."""
    result = suite(
        """
        def test_faults(fault_link):
            fault_link(seed=1)

        def test_none(board): pass

        def test_resets(board, reset, power):
            reset()
            reset()
            power.cycle()
        """,
        "--nm-target", "mcu:m4,cpu", "--junitxml", "out.xml",
    )  # fmt: skip
    tests = ET.parse(pytester.path / "out.xml").getroot().iter("testcase")
    found = {
        str(t.get("name")): {
            str(p.get("name")): p.get("value") for p in t.iter("property") if str(p.get("name")).startswith("resets")
        }
        for t in tests
    }
    assert found["test_faults[mcu:m4]"] == found["test_none[mcu:m4]"] == {}
    assert found["test_resets[mcu:m4]"] == {"resets.pin": "2", "resets.power": "1"}
    result.stdout.re_match_lines([r"mcu:m4 .* 3 passed; stack [1-9]\d+ bytes; resets: 2 pin, 1 power$"])


def test_the_end_of_the_report_has_a_line_for_each_board(suite: Suite) -> None:
    result = suite(THREE_LINES, "--nm-target", "mcu:m4,mine:wrong,cpu")
    result.stdout.re_match_lines([r"cpu +1 passed", r"mcu:m4 +unicorn_m4 \w+ +1 passed", r"mine:wrong +1 failed"])


def test_golden_traces_are_written_when_asked_and_compared_else(suite: Suite, pytester: pytest.Pytester) -> None:
    """A file for each test and set of parameters, whatever the board."""
    code = """
        @pytest.mark.parametrize("key", ["a/b", "-1"])
        def test_it(deploy, run, golden, key):
            deploy(network({weight} + len(key)))
            golden(run(0.1, inputs=INPUTS))
            golden(run(0.1, inputs=INPUTS), "later")

        class TestOther:
            def test_one(self, deploy, run, golden):
                deploy(network({weight}))
                golden(run(0.1, inputs=INPUTS))
        """
    missing = suite(code.format(weight=30), "--nm-target", "cpu")
    assert outcomes(missing) == {"failed": 3}
    missing.stdout.fnmatch_lines(["*write it with --nm-update-golden*"])
    assert outcomes(suite(code.format(weight=30), "--nm-target", "cpu", "--nm-update-golden")) == {"passed": 3}
    assert {path.name for path in (pytester.path / "golden").iterdir()} == {
        "test_it.test_it[a%2Fb].npz", "test_it.test_it[a%2Fb]-later.npz", "test_it.test_it[-1].npz",
        "test_it.test_it[-1]-later.npz", "test_it.TestOther.test_one.npz",
    }  # fmt: skip
    assert outcomes(suite(code.format(weight=30), "--nm-target", "mcu:m0")) == {"passed": 3}
    assert outcomes(suite(code.format(weight=40), "--nm-target", "cpu")) == {"failed": 3}
    (pytester.path / "test_it.py").rename(pytester.path / "test_again.py")  # the same tests in another module
    missing = suite("", "--nm-target", "cpu")
    assert outcomes(missing) == {"failed": 3}
    missing.stdout.fnmatch_lines(["*there is no *test_again.TestOther.test_one.npz*"])


def test_a_reference_before_the_first_run_is_refused(suite: Suite) -> None:
    result = suite(
        """
        def test_it(deploy, reference):
            deploy(network())
            reference()
        """,
        "--nm-target", "cpu",
    )  # fmt: skip
    result.stdout.fnmatch_lines(["E*ValidationError: *call run() before reference()"])


def test_a_tolerance_is_for_states_and_counts(suite: Suite) -> None:
    result = suite(
        """
        @pytest.mark.parametrize("tol", [None, 1, 100])
        def test_it(deploy, run, reference, assert_traces_equal, tol):
            deploy(network())
            got = run(0.1, inputs=INPUTS)
            assert_traces_equal(reference(), got, tol=tol)
        """,
        "--nm-target", "mine:wrong", "-rA",
    )  # fmt: skip
    assert re.findall(r"(PASSED|FAILED) test_it.py::test_it\[.*?-(\w+)\]", result.stdout.str()) == [
        ("PASSED", "100"), ("FAILED", "None"), ("FAILED", "1"),
    ]  # fmt: skip


def test_faults_are_written_as_a_seed_and_rates() -> None:
    """Options of a fault URL from the text of --nm-fault."""
    from pytest_neuromorph.rig import parse_fault

    assert parse_fault("7:corrupt=1e-3,drop=1e-4") == {"seed": "7", "corrupt": "1e-3", "drop": "1e-4"}
    assert json.dumps(parse_fault("0")) == '{"seed": "0"}'
