"""The command line as users meet it: exit codes, JSON, messages; never a traceback."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from neuromorph.cli import COMMANDS, main
from neuromorph.errors import LinkError
from neuromorph.session import Session
from neuromorph.state import State
from neuromorph.trace import Trace

MODEL = '''
import neuromorph as nm
from neuromorph.plasticity import STDP
from neuromorph.units import Hz, ms

duration = 0.2

def network(seed=1):
    """6 noisy channels on 3 plastic cells."""
    net = nm.Network(name="small", dt=1 * ms, seed=seed)
    noise = net.input(6, name="noise")
    cells = net.population(3, nm.LIF(tau_m=20 * ms, tau_s=5 * ms), name="cells")
    rule = STDP(a_plus=0.02, a_minus=0.02, tau_plus=20 * ms, tau_minus=20 * ms, w_max=0.5)
    syn = net.connect(noise, cells, weights=nm.Uniform(0.1, 0.4), plasticity=rule, name="syn")
    net.probe(noise, "spikes")
    net.probe(cells, "spikes")
    net.probe(syn, "w", every=50 * ms)
    return net

def inputs(net, seed):
    return {"noise": nm.Poisson(100 * Hz)}
'''


@pytest.fixture
def model(tmp_path: Path) -> str:
    path = tmp_path / "model.py"
    path.write_text(MODEL)
    return str(path)


def output(capsys: pytest.CaptureFixture[str], *arguments: object, code: int = 0) -> Any:
    """The JSON that a command prints."""
    assert main([*map(str, arguments), "--json"]) == code
    return json.loads(capsys.readouterr().out)


def test_a_run_writes_trace_plot_and_state(model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib", reason="plots need matplotlib: pip install 'neuromorph[plot]'")
    files = {key: tmp_path / f"out.{key}" for key in ("npz", "png", "nms")}
    data = output(capsys, "run", model, "-o", files["npz"], "--plot", files["png"], "--save-state", files["nms"])
    assert (data["steps"], data["target"], data["complete"]) == (200, "cpu", True)
    assert data["probes"]["noise.spikes"]["spikes"] == len(Trace.load(files["npz"])["noise.spikes"])
    assert State.load(files["nms"]).step == 200
    assert files["png"].stat().st_size > 1000


def test_a_run_of_no_steps_has_no_values(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", model, "--duration", "0"]) == 0
    out = capsys.readouterr().out
    assert "no steps in" in out
    assert "None" not in out


def test_inputs_that_get_nothing_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "silent.py"
    path.write_text(MODEL.partition("def inputs")[0])
    assert main(["run", str(path)]) == 0
    assert "nothing was sent to noise: see inputs(net, seed)" in capsys.readouterr().out
    path.write_text(MODEL)
    assert main(["run", str(path)]) == 0
    assert "nothing was sent" not in capsys.readouterr().out


def test_a_run_in_two_halves_ends_with_the_same_bits(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, half, end = (str(tmp_path / name) for name in ("whole.nms", "half.nms", "end.nms"))
    output(capsys, "run", model, "--save-state", whole)
    output(capsys, "run", model, "--duration", 0.1, "--save-state", half)
    data = output(
        capsys, "run", model, "--duration", 0.1, "--load-state", half, "--save-state", end, "--target", "cpu:ref"
    )
    assert (data["start"], data["stop"]) == (100, 200)
    assert State.load(end) == State.load(whole)


def test_a_recorded_run_can_be_replayed_on_its_image(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image, trace = str(tmp_path / "small.nmi"), str(tmp_path / "run.npz")
    output(capsys, "compile", model, "-o", image)
    first = output(capsys, "run", model, "-o", trace)
    again = output(capsys, "run", image, "--inputs", trace, "--duration", 0.2)
    assert again["probes"] == first["probes"]


def test_the_seed_reaches_the_network(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    digests = [output(capsys, "compile", model, "--seed", seed)["digest"] for seed in (1, 2, 1)]
    assert digests[0] == digests[2] != digests[1]


def test_equal_machines_exit_0(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    data = output(capsys, "compare", model, "--targets", "cpu:ref,cpu")
    assert list(data) == ["equal", "targets", "steps", "values_compared", "first"]
    assert data["equal"] is True
    assert data["targets"] == ["cpu:ref", "cpu"]
    assert data["steps"] == 200
    assert data["first"] is None
    assert data["values_compared"] > 6 * 200 + 3 * 200


def test_a_network_is_compiled_for_the_profile_that_is_asked_for(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = tmp_path / "wide.nmi"
    assert output(capsys, "compile", model, "--profile", "wide", "-o", image)["report"]["profile"] == "wide"
    compared = output(capsys, "compare", model, "--profile", "wide", "--targets", "cpu:ref,cpu", "--duration", 0.05)
    assert compared["equal"] is True
    column = output(capsys, "run", model, "--profile", "wide", "--duration", 0.05)["probes"]["syn.w"]
    assert column["max"] > 255  # of 128 to a unit
    assert main(["run", str(image), "--profile", "loihi2"]) == 2
    assert "is compiled already, in profile 'wide'" in capsys.readouterr().err
    assert main(["compile", str(image), "--profile", "loihi2"]) == 2
    assert "is an image of profile 'wide'" in capsys.readouterr().err


def test_a_changed_weight_exits_1_and_is_named(model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = tmp_path / "out.html"
    arguments = ("compare", model, "--targets", "cpu:ref,cpu", "--patch-weight", "syn:2:1:0@cpu", "--report", report)
    data = output(capsys, *arguments, code=1)
    first = data["first"]
    assert list(first) == ["step", "object", "element", "variable", "values"]
    assert (first["object"], first["element"]) == ("cells", 1)
    assert set(first["values"]) == {"cpu:ref", "cpu (patched)"}
    assert main([*map(str, arguments)]) == 1
    shown = capsys.readouterr().out
    assert f"step {first['step']}, cells[1], {first['variable']}: {first['values']['cpu:ref']} / " in shown
    assert "the programs differ: syn.weights[2, 1]: " in shown
    page = report.read_text()
    assert "<svg" in page
    assert "--patch-weight syn:2:1:0@cpu" in page
    assert "http" not in page  # nothing is fetched


def test_two_programs_are_compared(model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = str(tmp_path / "small.nmi")
    output(capsys, "compile", model, "-o", image)
    data = output(capsys, "compare", model, image, "--targets", "cpu", "--seed", 1)
    assert data["targets"] == [f"{model}@cpu", f"{image}@cpu"]
    assert data["equal"]


def test_compile_prints_the_network_after_a_pass(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = str(tmp_path / "small.nmi")
    assert main(["compile", model, "--print-after", "quantise"]) == 0
    assert "# after quantise" in capsys.readouterr().out
    assert main(["compile", model, "--print-after", "quantize"]) == 2
    assert "did you mean 'quantise'" in capsys.readouterr().err
    assert main(["compile", model, "-o", image]) == 0
    assert main(["compile", image, "--print-after", "emit"]) == 2
    assert "compiled already: no pass runs" in capsys.readouterr().err


def test_inspect_shows_all_three_kinds_of_files(model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image, state, trace = (str(tmp_path / name) for name in ("a.nmi", "a.nms", "a.npz"))
    output(capsys, "compile", model, "-o", image)
    output(capsys, "run", model, "-o", trace, "--save-state", state)
    shown = output(capsys, "inspect", image)
    assert [(p["name"], p["n"]) for p in shown["populations"]] == [("noise", 6), ("cells", 3)]
    assert "x0" in shown["projections"][0]["rule"]["dw"]
    assert output(capsys, "inspect", trace)["digest"] == shown["digest"]
    assert output(capsys, "inspect", state)["step"] == 200
    items = output(capsys, "inspect", state, "--program", image)["values"]
    assert [item["item"] for item in items[:2]] == ["cells.u", "cells.v"]
    for path in (image, state, trace):
        assert main(["inspect", path]) == 0
        assert shown["digest"] in capsys.readouterr().out


def test_lists(capsys: pytest.CaptureFixture[str]) -> None:
    names = {row["name"] for row in output(capsys, "targets")["targets"]}
    assert {"cpu", "cpu:ref", "cpu:float", "mcu:m4"} <= names
    assert {"tutorial", "balanced", "stdp_pair", "digits"} <= set(output(capsys, "run", "--list"))
    checked = output(capsys, "doctor")
    assert checked["ok"]
    assert checked["packages"]["numpy"]


@pytest.mark.parametrize("example", ["tutorial", "stdp_pair"])
def test_examples_are_equal_on_all_own_engines(example: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert output(capsys, "compare", example, "--targets", "cpu:ref,cpu", "--duration", 0.5)["equal"]


BAD = {
    "no model": (["run"], "MODEL is missing"),
    "unknown example": (["run", "tutorail"], "did you mean 'tutorial'"),
    "missing model file": (["run", "{dir}/none.py"], "no such file"),
    "missing image": (["run", "{dir}/none.nmi"], "No such file"),
    "nir": (["run", "{dir}/model.nir"], "NIR"),
    "unknown target": (["run", "{model}", "--target", "cpuu"], "did you mean 'cpu'"),
    "unknown option": (["run", "{model}", "--tarjet", "cpu"], "No such option"),
    "unknown command": (["rnu"], "No such command"),
    "broken duration": (["run", "{model}", "--duration", "0.0105"], "not a whole number of steps"),
    "negative duration": (["run", "{model}", "--duration", "-1"], "it must be >= 0 and <= 4.29497e+06 s"),
    "a duration without end": (["run", "tutorial", "--duration", "1e12"], "<= 4.29497e+06 s"),
    "a comparison without end": (["compare", "tutorial", "--duration", "1e12"], "<= 4.29497e+06 s"),
    "no such directory": (["run", "{model}", "-o", "{dir}/no/out.npz"], "cannot write"),
    "unknown picture format": (["run", "{model}", "--plot", "{dir}/out.doc"], "must end in"),
    "no network()": (["run", "{dir}/empty.py"], "has no function network()"),
    "a model that fails": (["run", "{dir}/fails.py"], "fails.py failed in line 2: ZeroDivisionError"),
    "a model with a syntax error": (["run", "{dir}/syntax.py"], "failed in line 1: SyntaxError"),
    "a network() that fails": (["run", "{dir}/divides.py"], "network() failed in line 2: ZeroDivisionError"),
    "a network() of something else": (["run", "{dir}/three.py"], "must return a neuromorph.Network, not 3"),
    "inputs() that fails": (["run", "{dir}/inputs.py"], "inputs() failed in line 5: KeyError"),
    "a duration that is no number": (["run", "{dir}/long.py"], "duration of model '{dir}/long.py' = 'long': a number"),
    "no machines": (["compare", "{model}", "--targets", ","], "name at least one machine"),
    "no directory for the report": (["compare", "{model}", "--report", "{dir}/no/a.html"], "there is no directory"),
    "a split of the demo": (["demo", "--score", "--split", "4-2"], "'4-2' is neither a number"),
    "splits without a score": (["demo", "--split", "0-4"], "several splits need --score"),
    "cells without a score": (["demo", "--cells", "5"], "--cells has no effect without --score"),
    "a picture with a score": (["demo", "--score", "-o", "x.png"], "--output has no effect with --score"),
    "a demo in floats": (["demo", "--targets", "cpu,cpu:float"], "cpu:float computes in floats"),
    "a demo on nothing": (["demo", "--targets", "cpu,nosuch"], "target 'nosuch' is unknown"),
    "a demo on one machine": (["demo", "--targets", "cpu"], "at least two targets"),
    "an experiment on one machine": (["lab", "compare", "release", "--targets", "cpu"], "at least two machines"),
    "a seed of an image": (["run", "{dir}/good.nmi", "--seed", "3"], "its seed is compiled in"),
    "a network for kernels": (["bench", "N3", "--kernels"], "NAME has no effect with --kernels"),
    "steps of rules": (["bench", "--rules", "--steps", "5"], "--steps has no effect with --rules"),
    "repeats of homeostasis": (["bench", "--homeostasis", "--repeats", "2"], "--repeats has no effect with --hom"),
    "repeats beside others": (["bench", "--against", "cpu:ref", "--repeats", "2"], "no effect with --against"),
    "homeostasis in floats": (
        ["bench", "--homeostasis", "--scale", "0.1", "--target", "cpu:float"],
        "measure an integer target",
    ),
    "instructions in floats": (["bench", "--kernels", "--target", "cpu:float"], "does not count instructions"),
    "rules in floats": (["bench", "--rules", "--target", "cpu:float"], "does not count instructions"),
    "floats beside integers": (
        ["bench", "N1", "--scale", "0.1", "--steps", "10", "--against", "cpu:float"],
        "cpu:float computes in floats: it has no bits in common",
    ),
    "two benchmarks": (["bench", "--kernels", "--rules"], "--kernels and --rules are two measurements"),
    "one target only": (["compare", "{model}", "--targets", "cpu"], "at least two runs"),
    "float target": (["compare", "{model}", "--targets", "cpu,cpu:float"], "computes in floats"),
    "patch without form": (
        ["compare", "{model}", "--patch-weight", "syn:1"],
        "is not PROJECTION:PRE:POST:VALUE@TARGET",
    ),
    "patch elsewhere": (["compare", "{model}", "--patch-weight", "syn:1:1:1@mcu"], "not among --targets"),
    "patch of nothing": (["compare", "{model}", "--patch-weight", "sin:1:1:1@cpu"], "did you mean 'syn'"),
    "a model without its ending": (["run", "{dir}/model"], "did you mean '{dir}/model.py'?"),
    "an image by another name": (["compile", "{model}", "-o", "{dir}/a.txt"], "the name of an image ends in .nmi"),
    "a target in capitals": (["run", "{model}", "--target", "CPU:ref"], "did you mean 'cpu:ref'?"),
    "not a file of ours": (["inspect", "{model}"], "is neither an image"),
    "truncated image": (["inspect", "{dir}/cut.nmi"], "truncated"),
    "extended image": (["run", "{dir}/long.nmi"], "truncated or extended"),
    "damaged image": (["run", "{dir}/hurt.nmi"], "{dir}/hurt.nmi: hash of the contents does not match"),
    "damaged state": (["run", "{model}", "--load-state", "{dir}/hurt.nms"], "the state is damaged; save it again"),
    "state of another program": (["run", "tutorial", "--load-state", "{dir}/good.nms"], "belongs to program"),
    "state as image": (["run", "{dir}/state.nmi"], "not a neuromorph image"),
    "inputs that are no trace": (["run", "{model}", "--inputs", "{model}"], "is not a trace"),
}


@pytest.fixture
def bad_files(model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    assert main(["compile", model, "-o", str(tmp_path / "good.nmi")]) == 0
    assert main(["run", model, "--duration", "0.01", "--save-state", str(tmp_path / "good.nms")]) == 0
    image, state = (tmp_path / "good.nmi").read_bytes(), (tmp_path / "good.nms").read_bytes()
    hurt = image[:-9] + bytes([image[-9] ^ 1]) + image[-8:]
    files = {
        "cut.nmi": image[:-50], "long.nmi": image + bytes(8), "hurt.nmi": hurt, "state.nmi": state,
        "hurt.nms": state[:-9] + bytes([state[-9] ^ 1]) + state[-8:],
        "empty.py": b"x = 1\n", "fails.py": b"x = 0\nnetwork = 1 / x\n", "syntax.py": b"def network(:\n",
        "model.nir": b"", "divides.py": b"def network():\n    return 1 / 0\n", "three.py": b"network = lambda: 3\n",
        "inputs.py": b"import neuromorph as nm\ndef network():\n    return nm.Network(name='n', dt=1e-3, seed=1)\n"
        b"def inputs(net):\n    return {}['noise']\n",
        "long.py": MODEL.replace("duration = 0.2", "duration = 'long'").encode(),
    }  # fmt: skip
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    capsys.readouterr()
    return {"model": model, "dir": str(tmp_path)}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_exits_2_with_one_message(
    case: str, bad_files: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    arguments, message = BAD[case][0], BAD[case][1].replace("{dir}", bad_files["dir"])
    given = [a.format(**bad_files) for a in arguments]
    before = {path: path.read_bytes() for path in Path(bad_files["dir"]).iterdir() if path.is_file()}
    assert main(given) == 2
    shown = capsys.readouterr()
    assert message in shown.err
    assert not shown.out
    assert "Traceback" not in shown.err
    assert main([*given, "--json"]) == 2
    error = json.loads(capsys.readouterr().out)["error"]
    assert message in error["message"]
    assert error["type"] != "InternalError"
    assert {path: path.read_bytes() for path in Path(bad_files["dir"]).iterdir() if path.is_file()} == before


def test_an_interrupted_run_saves_what_it_has(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Session.run

    def silent(self: Session, *args: Any, **kwargs: Any) -> Trace:
        trace = run(self, *args, **kwargs)
        error = LinkError("no answer for 2 s")
        error.trace = trace.part(0, 50)
        raise error

    monkeypatch.setattr(Session, "run", silent)
    assert main(["run", model, "-o", str(tmp_path / "part.npz")]) == 2
    shown = capsys.readouterr().err
    assert "no answer for 2 s" in shown
    assert "the partial trace, to step 50, is in" in shown
    assert Trace.load(tmp_path / "part.npz").stop == 50


def test_a_fault_of_ours_tells_how_to_report_it(
    model: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise TypeError("oops")

    monkeypatch.setattr("neuromorph.models.find", broken)
    assert main(["run", model]) == 2
    shown = capsys.readouterr().err
    assert "unexpected TypeError: oops" in shown
    assert "neuromorph --traceback run" in shown
    assert main(["--traceback", "run", model]) == 2
    assert "Traceback" in capsys.readouterr().err


def test_help_imports_no_command() -> None:
    """The list of commands is quick: it loads neither NumPy nor the commands."""
    code = (
        "import sys; from neuromorph.cli import main; main(['--help']); "
        "assert not [m for m in sys.modules if m.startswith('neuromorph.cli.')], sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert all(name in done.stdout for name in COMMANDS)


def test_python_m_neuromorph_runs() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "neuromorph", "--version"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0
    assert "neuromorph" in done.stdout


def test_a_run_at_the_pace_of_a_board(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    data = output(capsys, "run", model, "--target", "mcu:posix", "--pace", "real", "--period", 2e-4)
    assert (data["steps"], data["dropped"]) == (200, 0)
    assert main(["run", model, "--pace", "real"]) == 2
    assert "no clock" in capsys.readouterr().err


def test_a_deadline_and_a_counter_are_compiled_in(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = tmp_path / "small.nmi"
    output(capsys, "compile", model, "-o", image, "--deadline", 0.001, "--counter", 3)
    data = output(capsys, "inspect", image)
    assert (data["deadline_us"], data["counter"]) == (1000, 3)
    assert main(["compile", str(image), "--counter", "4"]) == 2
    assert "give its network" in capsys.readouterr().err
