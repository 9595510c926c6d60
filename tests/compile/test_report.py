"""The report as data, text and JSON."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from neuromorph.compile import compile as compile_graph
from neuromorph.engine import Target
from neuromorph.graph import Graph
from neuromorph.image import decode
from neuromorph.passes.cost import is_pair_rule, kernel, program_cost
from neuromorph.program import Population, Projection, build
from neuromorph.report import Cost, Entry, Report, compare_values
from neuromorph.rule import Factor, Product, Rule, Trace


@pytest.fixture
def report(learner: Graph, anything: Target) -> Report:
    made = compile_graph(learner, anything).report
    assert made is not None
    return made


def test_every_parameter_is_accounted_for(report: Report) -> None:
    have = {(e.object, e.parameter) for e in report.entries}
    assert have >= {
        ("cells", "tau_m"), ("cells", "tau_s"), ("cells", "v_th"), ("cells", "bias"), ("cells", "refractory"),
        ("cells", "adaptation tau"), ("cells", "adaptation increment"), ("syn", "weights"), ("syn", "w_max"),
        ("inhibition", "weights"),
    }  # fmt: skip


def test_work_of_the_worst_step(report: Report) -> None:
    """3 neurons; 4 x 3 plastic and 3 static synapses."""
    assert (report.cost.neuron_updates, report.cost.synaptic_events, report.cost.plastic_updates) == (3, 15, 12)
    assert set(report.cost.instructions) == {"cortex-m0+", "cortex-m3", "cortex-m4"}


def test_kernels_are_named(report: Report) -> None:
    assert {p.name: p.kernel for p in report.projections} == {
        "syn": "separable pair kernel", "inhibition": "static sparse"
    }  # fmt: skip


def test_memory_is_told_for_each_target(report: Report, anything: Target) -> None:
    assert [(m.target, m.image_max) for m in report.memory] == [(anything.name, 0)]
    # u, v, theta (4 bytes), refr (2) of 3 neurons, adapt (1); rings 1 + 5 slots x 3 x 4;
    # w 12 x 2; x1 4, y1 3, tx 4, ty 3, plastic 1
    assert report.state_bytes == 3 * 14 + 1 + 72 + 24 + 15


def test_a_limit_of_gibibytes_is_told_in_them(report: Report) -> None:
    use = replace(report.memory[0], arena=3000, arena_max=2 << 30, image_max=960 << 10)
    table = next(table for table in replace(report, memory=(use,)).tables() if table[0] == "Memory")
    assert table[2][0][2:] == ["960.0 KiB", "3000 B", "2 GiB"]


def test_json_is_strict_and_comes_back(report: Report) -> None:
    data = json.loads(report.to_json())
    assert set(data) == {
        "name", "profile", "rounding", "dt", "entries", "warnings", "projections", "state_bytes", "memory", "cost",
        "sections", "advice", "summary",
    }  # fmt: skip
    assert Report.from_dict(data) == report


def test_what_is_not_finite_survives_json() -> None:
    report = Report("n", "loihi2", "synapse", 1e-3, (compare_values("cells", "tau_m", math.inf, math.inf, "s"),))
    assert Report.from_dict(json.loads(report.to_json())) == report


def test_a_newer_report_is_read() -> None:
    data = {**Report("n", "loihi2", "synapse", 1e-3).to_dict(), "energy": 1.0}
    assert Report.from_dict(data).name == "n"


def test_text_is_a_table_for_people(report: Report) -> None:
    text = report.text()
    assert text.startswith("learner: 3 neurons, 15 synapses, profile loihi2, synapse rounding; image test:any ")
    assert "Parameters\n  object " in text
    assert "separable pair kernel" in text
    assert "Warnings" not in text
    assert not any(line != line.rstrip() for line in text.splitlines())


def test_rich_shows_the_same(report: Report, capsys: pytest.CaptureFixture[str]) -> None:
    rich = pytest.importorskip("rich", reason="pip install neuromorph[cli]")
    rich.print(report)
    shown = capsys.readouterr().out
    assert all(title in shown for title, _, _ in report.tables())


def test_a_program_keeps_its_report(learner: Graph, anything: Target) -> None:
    program = compile_graph(learner, anything)
    assert decode(program.image).report == program.report


@pytest.mark.parametrize(
    ("asked", "held", "error", "mean", "to_zero"),
    [
        (2.0, 1.0, -0.5, 0.5, 0),
        ([1.0, 4.0], [1.0, 5.0], 0.25, 0.125, 0),
        ([0.0, 1.0], [0.0, 0.0], -1.0, 0.5, 1),
        (0.0, 0.0, 0.0, 0.0, 0),
        (0.0, 1.0, math.inf, 0.0, 0),
        (math.inf, math.inf, 0.0, 0.0, 0),
    ],
)
def test_errors_are_relative(asked: object, held: object, error: float, mean: float, to_zero: int) -> None:
    entry = compare_values("x", "p", asked, held)  # type: ignore[arg-type]
    assert (entry.error, entry.to_zero) == (error, to_zero)
    if error != -1.0:  # the mean leaves out what was asked to be 0
        assert entry.mean_error == mean


def test_weights_are_compared_with_the_largest() -> None:
    entry = compare_values("syn", "weights", [1.0, 0.01], [1.0, 0.0], beside_largest=True)
    assert entry.error == pytest.approx(-0.01)
    assert entry.to_zero == 1


def test_empty_arrays() -> None:
    assert compare_values("syn", "weights", [], []) == Entry("syn", "weights", "", 0.0, 0.0, 0.0, count=0)
    assert Cost().instructions == {}


# -------------------------------------------------------------------------------------------------------- kernels

X1, Y1, W = Factor("x1"), Factor("y1"), Factor("w")
RISE, FALL = Product("y0", 1, -2, (X1,)), Product("x0", -1, -2, (Y1,))
TRACES = {"x1": Trace(16, 0, 20.0), "y1": Trace(16, 0, 20.0)}


@pytest.mark.parametrize(
    ("rule", "pair"),
    [
        (Rule((RISE, FALL), traces=TRACES), True),
        (Rule((FALL, RISE), traces=TRACES), True),
        (Rule((RISE,), traces=TRACES), False),
        (Rule((RISE, RISE), traces=TRACES), False),
        (Rule((RISE, Product("x0", -1, -2, (Y1, W))), traces=TRACES), False),
        (Rule((RISE, Product("x0", -1, -2, (X1,))), traces=TRACES), False),
        (Rule((RISE, Product("x0", -1, -2, (Y1, Y1))), traces=TRACES), True),
        (Rule((RISE, Product("x0", -1, -2)), traces=TRACES), True),
        (Rule((RISE, Product("x0", -1, -2, (Y1, Factor("y2")))), traces={**TRACES, "y2": Trace(16, 0, 9.0)}), False),
        (Rule((RISE, FALL), dt=(RISE,), traces=TRACES), False),
        (Rule((RISE, FALL, Product("u", -1, -2, (W,))), traces=TRACES), False),
        (Rule((RISE, FALL, RISE, Product("u", -1, -2, (W,), 1)), traces=TRACES), False),
        (Rule((RISE, FALL), dt=(RISE, Product("u", -1, -2, (W,), 1)), traces=TRACES), False),
    ],
)
def test_shape_of_the_pair_kernel(rule: Rule, pair: bool) -> None:
    assert is_pair_rule(rule) is pair
    dense = Projection("syn", "a", "b", np.ones((2, 2), np.int64), rule=rule)
    assert kernel(dense) == ("separable pair kernel" if pair else "interpreter")
    rows, targets = np.array([0, 1, 1]), np.array([0])
    sparse = Projection("s", "a", "b", np.ones(1, np.int64), indptr=rows, indices=targets, rule=rule)
    assert kernel(sparse) == "interpreter"


def test_slow_products_leave_the_other_epochs_to_the_pair_kernel() -> None:
    """The worst step has them, and is interpreted."""
    slow = (Product("u", -1, -2, (W,), 10), Product("u", -1, -2, (W,), 7))
    rule = Rule((slow[0], RISE, FALL), dt=slow[1:], traces=TRACES)
    proj = Projection("syn", "a", "b", np.ones((2, 2), np.int64), rule=rule)
    assert kernel(proj) == "separable pair kernel, interpreter every 128 epochs"
    cells = [Population("a", 2, "input"), Population("b", 2, vth=100)]
    assert program_cost(build(cells, [proj])).products == 4 * 4
    assert program_cost(build(cells, [replace(proj, rule=Rule((RISE, FALL), traces=TRACES))])).products == 0
