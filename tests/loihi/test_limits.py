"""Each limit: a program that needs exactly as much fits, one unit less of the limit refuses it with need and limit."""

from __future__ import annotations

import re
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neuromorph.cli import main
from neuromorph.compile import compile as compile_network
from neuromorph.errors import CapacityError, UnsupportedError
from neuromorph.network import Network
from neuromorph.neurons import LIF
from neuromorph.open import open as open_session
from neuromorph.plasticity import STDP
from neuromorph.program import Population, Program, Projection, build
from neuromorph.rule import Factor, Product, Rule, Trace
from neuromorph_loihi import LOIHI_1, LOIHI_2, Chip, Limit, place
from neuromorph_loihi.engine import LoihiEngine
from tests.loihi.conftest import dense, limited

NUMBERS = [f.name for f in fields(Chip) if isinstance(getattr(LOIHI_1, f.name), Limit)]


@pytest.mark.parametrize("chip", [LOIHI_1, LOIHI_2], ids=lambda chip: chip.model)
def test_every_number_has_a_source(chip: Chip) -> None:
    assert all(getattr(chip, name).source for name in NUMBERS)
    assert chip.why_lacks


def test_the_page_has_every_number() -> None:
    text = (Path(__file__).parents[2] / "docs" / "loihi.md").read_text(encoding="utf-8")
    told = re.findall(r"^\| `(\w+)` \| (-?\d+) \| (-?\d+) \|", text, flags=re.MULTILINE)
    assert told == [(k, str(getattr(LOIHI_1, k).value), str(getattr(LOIHI_2, k).value)) for k in NUMBERS]


def one_core(**limits: int) -> Chip:
    return limited(chips=1, cores=1, **limits)


def learner(n_projections: int = 1, **rule: Any) -> Program:
    """`n_projections` plastic projections, each with its own presynaptic trace."""
    products = (Product("y0", 1, 0, (Factor("x1"),)),)
    return build(
        [Population("pixels", 3, "input"), Population("cells", 4)],
        [
            dense(f"syn{k}", "pixels", "cells", 3, 4, sign_mode="exc",
                  rule=Rule(products, traces={"x1": Trace(10 + k, 0, 5.0)}, **rule))
            for k in range(n_projections)
        ],
        name="learner",
    )  # fmt: skip


def formats(count: int) -> Program:
    cells = [dense(f"syn{k}", "pixels", "cells", 3, 4, weight_exp=k) for k in range(count)]
    return build([Population("pixels", 3, "input"), Population("cells", 4)], cells, name="formats")


# One neuron needs it: no cut helps. The rows are: what a program needs of which limit, counted by hand.
ALONE: list[tuple[str, int, Program]] = [
    # 3 pixels and 4 cells
    ("input_axons", 7, build([Population("pixels", 3, "input"), Population("cells", 4)],
                             [dense("syn", "pixels", "cells", 3, 4), dense("back", "cells", "cells", 4, 4)])),
    # each axon of a core that learns takes two
    ("input_axons", 6, learner()),
    # a neuron with two projections onto one other neuron
    ("output_axons", 2, build([Population("a", 1), Population("b", 1)],
                              [dense("one", "a", "b", 1, 1), dense("two", "a", "b", 1, 1)])),
    # 3 axons of one synapse each: 8 + 10 bits, in words of 64
    ("synapse_bits", 3 * 64, build([Population("pixels", 3, "input"), Population("cells", 1)],
                                   [dense("syn", "pixels", "cells", 3, 1)])),
    # and two states of 24 bits
    ("memory_bits", 3 * 64 + 48, build([Population("pixels", 3, "input"), Population("cells", 1)],
                                       [dense("syn", "pixels", "cells", 3, 1)])),
    ("synapse_formats", 3, formats(3)),
    ("trace_configs", 2, learner(2)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "need", "program"), ALONE, ids=[f"{n}-{k}" for k, (n, _, _) in enumerate(ALONE)])
def test_what_one_neuron_needs(name: str, need: int, program: Program) -> None:
    placed = place(program, limited(**{name: need}))
    assert max(getattr(core, name) for core in placed.cores) == need
    short = limited(**{name: need - 1})
    with pytest.raises(CapacityError, match=rf"neuron 0 of '\w+' alone needs {need} .*, limit {need - 1} per core"):
        place(program, short)


# More neurons need it: they are cut into two cores, and a system of one core refuses them.
TOGETHER: list[tuple[str, int, dict[str, Any]]] = [
    ("compartments", 4, {}),
    ("decay_configs", 3, {"du": np.array([0, 1, 0, 0]), "refractory": np.array([0, 0, 0, 2])}),
    ("threshold_configs", 2, {"vth": np.array([7, 7, 7, 8])}),
    # 4 neurons of u and v, 3 axons of one synapse to each: 4 * 8 + 10 bits
    ("memory_bits", 4 * 48 + 3 * 64, {}),
    # the same, and a bias and refractory counter each
    ("memory_bits", 4 * 96 + 3 * 64, {"bias": 1, "refractory": 1}),
]


@pytest.mark.parametrize(("name", "need", "cells"), TOGETHER, ids=[f"{n}-{k}" for k, (n, _, _) in enumerate(TOGETHER)])
def test_what_neurons_need_together(name: str, need: int, cells: dict[str, Any]) -> None:
    program = build(
        [Population("pixels", 3, "input"), Population("cells", 4, **cells)], [dense("syn", "pixels", "cells", 3, 4)]
    )
    (core,) = place(program, one_core(**{name: need})).cores
    assert getattr(core, name) == need
    cut = place(program, limited(**{name: need - 1}))
    assert [(s.start, s.stop) for core in cut.cores for s in core.slices] == [(0, 3), (3, 4)]
    assert [core.full for core in cut.cores] == [name, ""]
    with pytest.raises(CapacityError, match=r"needs 2 cores, limit 1 .*most are full with .*about 75% of its neurons"):
        place(program, one_core(**{name: need - 1}))


def test_output_axons_of_neurons_together() -> None:
    """4 neurons send one axon each, with room for 3: it shows only when their targets are placed."""
    program = build([Population("a", 4), Population("b", 1)], [dense("syn", "a", "b", 4, 1)])
    assert [core.output_axons for core in place(program, limited(output_axons=4)).cores] == [4]
    assert [core.output_axons for core in place(program, limited(output_axons=3)).cores] == [3, 1]


def test_cores_of_all_chips() -> None:
    program = build([Population("cells", 6)], [])
    assert len(place(program, limited(compartments=1, chips=2, cores=3)).cores) == 6
    with pytest.raises(CapacityError, match=r"needs 6 cores, limit 5 \(Nahuku board, 1 x 5\); .*compartments \(1 per"):
        place(program, limited(compartments=1, chips=1, cores=5))


def with_cells(**cells: Any) -> Program:
    return build([Population("cells", 2, **cells)], [])


def with_syn(**syn: Any) -> Program:
    cells = [Population("pixels", 1, "input"), Population("cells", 2)]
    return build(cells, [dense("syn", "pixels", "cells", 1, 2, **syn)])


RANGES: list[tuple[Program, Program, str]] = [
    (with_cells(dv=4095), with_cells(dv=4096), "'cells': the voltage's decay dv is 4096, limit 4095; use tau_m"),
    (with_cells(vth=1), with_cells(vth=0), "'cells': the threshold vth is 0, limit at least 1"),
    (with_cells(refractory=62), with_cells(refractory=63), "'cells': the refractory period in steps is 63, limit 62"),
    (with_cells(bias=4095), with_cells(bias=4097), "'cells': the size of the bias is 4097, limit 4095 times"),
    (with_cells(bias=-4095 * 128), with_cells(bias=-4096 * 128), "the size of the bias is 524288, limit 4095 times"),
    (with_cells(bias=4096), with_cells(bias=2 * 4097), "the size of the bias is 8194"),
    (with_syn(delays=62), with_syn(delays=63), "'syn': the delay in steps is 63, limit 62"),
    (with_syn(weight_exp=7), with_syn(weight_exp=8), r"'syn': the exponent of its weights is 8, limit -7\.\.7"),
    (with_syn(weight_exp=-7), with_syn(weight_exp=-8), r"the exponent of its weights is -8, limit -7\.\.7"),
]  # fmt: skip


@pytest.mark.parametrize(("at", "over", "message"), RANGES)
def test_ranges_of_loihi_1(at: Program, over: Program, message: str) -> None:
    assert place(at, LOIHI_1).cores
    with pytest.raises(CapacityError, match=message):
        place(over, LOIHI_1)


@pytest.mark.parametrize(("over", "held"), [(o, m) for _, o, m in RANGES if "delay" not in m and "is 8, " not in m])
def test_loihi_2_holds_more(over: Program, held: str) -> None:
    assert place(over, LOIHI_2).cores, held


@pytest.mark.parametrize(
    ("over", "message"),
    [(with_syn(delays=63), "delay in steps is 63, limit 62"), (with_syn(weight_exp=8), r"is 8, limit -8\.\.7"),
     (with_syn(weight_exp=-9), r"is -9, limit -8\.\.7")],
)  # fmt: skip
def test_ranges_of_loihi_2(over: Program, message: str) -> None:
    with pytest.raises(CapacityError, match=message):
        place(over, LOIHI_2)


def test_second_tag() -> None:
    """On Loihi 1 it is the delay."""
    program = learner(dd=(Product("y0", 1, 0),))
    assert place(program, LOIHI_2).cores
    with pytest.raises(CapacityError, match="'syn0': the number of its tags d is 1, limit 0; use a rule without"):
        place(program, LOIHI_1)


LACKS = [
    ({"kind": "ternary"}, "ternary neurons, needed by 'cells'; use two lif populations"),
    ({"reset_interval": 10}, "a scheduled reset, needed by 'cells'"),
    ({"adaptive": True, "theta_inc": 5}, "an adaptive threshold, needed by 'cells'; use a fixed threshold"),
    ({"adaptive": True, "theta_drift": 5}, "an adaptive threshold, needed by 'cells'"),
]


@pytest.mark.parametrize(("cells", "message"), LACKS)
def test_what_loihi_1_lacks(cells: dict[str, Any], message: str) -> None:
    """Refused when a program is opened, not only when it is compiled; Loihi 2 runs it."""
    program = with_cells(**cells)
    with open_session(program, "loihi") as session:
        assert session.run(steps=3).stop == 3
    with pytest.raises(UnsupportedError, match=f"'loihi:1' does not hold {message}"):
        open_session(program, "loihi:1")


def test_graded_spikes_need_loihi_2() -> None:
    program = build([Population("pixels", 1, "input", graded=True), Population("cells", 1)], [])
    with pytest.raises(UnsupportedError, match="'loihi:1' does not hold graded spikes, needed by 'pixels'"):
        open_session(program, "loihi:1")


def test_a_refused_program_leaves_the_running_one(pair: Program) -> None:
    with open_session(pair, "loihi:1") as session:
        session.run(steps=3)
        engine = session.engine
        assert isinstance(engine, LoihiEngine)
        placement = engine.placement
        with pytest.raises(CapacityError):
            engine.load(with_syn(delays=63).image)
        assert session.now == 3
        assert engine.placement is placement


def network(delay: float) -> Network:
    net = Network(name="small", dt=1e-3, seed=1)
    pixels = net.input(3, name="pixels")
    cells = net.population(4, LIF(tau_m=20e-3, tau_s=5e-3), name="cells")
    rule = STDP(a_plus=0.05, a_minus=0.05, tau_plus=20e-3, tau_minus=20e-3, w_max=1.0)
    net.connect(pixels, cells, weights=0.5, plasticity=rule, name="syn")
    net.connect(cells, cells, weights=-1.0, delay=delay, name="inhibition")
    return net


def test_compiling_checks_the_chip_too() -> None:
    assert compile_network(network(63e-3), targets=["cpu", "loihi"])
    assert compile_network(network(64e-3), target="cpu")
    with pytest.raises(CapacityError, match="'loihi' cannot hold 'inhibition': the delay in steps is 63, limit 62"):
        compile_network(network(64e-3), targets=["cpu", "loihi"])


def test_an_image_is_checked_before_anything_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "delayed.nmi"
    with_syn(delays=63).save(path)
    assert main(["compare", str(path), "--targets", "cpu,loihi", "--duration", "0.01"]) == 2
    said = capsys.readouterr()
    assert "'loihi' cannot hold 'syn': the delay in steps is 63, limit 62" in said.err
    assert not said.out


def test_report_tells_the_use_of_each_core() -> None:
    report = compile_network(network(1e-3), targets=["loihi", "cpu"]).report
    assert report is not None
    (section,) = report.sections
    assert section.target == "loihi"
    table = [dict(zip(section.heads, row, strict=True)) for row in section.rows]
    assert table[0] | {"core": "limit", "compartments": 8192, "in axons": 4096, "out axons": 4096} == table[0]
    # 3 + 4 axons of two entries; the 4 cells send one each; 4 synapses of 8 bits and a head: a word
    held = {"holds": "cells[0:4]", "kind": "learning", "synapses": 28, "in axons": 14, "out axons": 4}
    assert table[1] | held | {"synapse bits": 7 * 64} == table[1]
    assert re.search(r"Cores: 1 of 960, on 1 of 8 Loihi 2 \(Kapoho Point board\) \(loihi\)\n +core ", report.text())
    assert "Cores" not in str(compile_network(network(1e-3), target="cpu").report)


def test_digest_does_not_depend_on_the_placement() -> None:
    digests = {compile_network(network(1e-3), target=target).digest for target in ("cpu", "loihi", "loihi:1")}
    assert len(digests) == 1


def test_a_sparse_projection_without_synapses_takes_nothing() -> None:
    none = Projection(
        "none", "pixels", "cells", np.zeros(0, np.int64), indptr=np.zeros(4, np.int64), indices=np.zeros(0, np.int64)
    )
    program = build([Population("pixels", 3, "input"), Population("cells", 2)], [none])
    (core,) = place(program, LOIHI_1).cores
    assert (core.axons, core.synapse_bits, core.synapse_formats) == (0, 0, 0)


def test_a_program_of_inputs_alone_takes_no_core() -> None:
    program = build([Population("pixels", 3, "input")], [])
    assert place(program, LOIHI_1).cores == ()


def test_static_neurons_do_not_share_a_core_with_learning_ones() -> None:
    program = learner()
    both = replace(program, populations={**program.populations, "others": Population("others", 2)})
    assert [(core.learning, len(core.slices)) for core in place(both, LOIHI_1).cores] == [(True, 1), (False, 1)]
