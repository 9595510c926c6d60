"""NIR in and out: networks come back as they were, hand-written graphs do what their equations say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import neuromorph as nm
from neuromorph.errors import UnsupportedError, ValidationError
from neuromorph.nir import from_nir, read, to_nir, write
from neuromorph.plasticity import STDP, ThresholdAdaptation
from neuromorph.units import ms

nir = pytest.importorskip("nir", reason="NIR files need the package nir: pip install 'neuromorph[nir]'")


def network(neuron: nm.LIF, delay: float = 1 * ms) -> nm.Network:
    net = nm.Network(name="one", dt=1 * ms, seed=3)
    source = net.input(20, name="source")
    cells = net.population(10, neuron, name="cells")
    net.connect(source, cells, nm.Uniform(0.1, 0.4), delay=delay, name="forward")
    net.connect(cells, cells, -0.2, topology=nm.FixedInDegree(2), name="back")
    net.probe(cells, "spikes")
    return net


def train(n: int = 20, steps: int = 300) -> nm.SpikeTrain:
    times, index = np.nonzero(np.random.default_rng(1).random((steps, n)) < 0.03)
    return nm.SpikeTrain(times + 1, index)


NEURONS = {
    "CubaLIF": nm.LIF(tau_m=20 * ms, tau_s=5 * ms, bias=0.1),
    "CubaLIF with a resistance": nm.LIF(tau_m=20 * ms, tau_s=5 * ms, resistance=2.0),
    "LIF": nm.LIF(tau_m=20 * ms),
    "LIF with a resistance": nm.LIF(tau_m=20 * ms, resistance=12.0),
    "IF": nm.LIF(tau_m=float("inf")),
}


@pytest.mark.parametrize("kind", NEURONS)
def test_a_network_written_and_read_spikes_alike(kind: str, tmp_path: Path) -> None:
    net = network(NEURONS[kind], delay=4 * ms)
    write(net, tmp_path / "net.nir")
    again = read(tmp_path / "net.nir", dt=1 * ms)
    assert type(nir.read(tmp_path / "net.nir").nodes["cells"]).__name__ == kind.split()[0]
    traces = [nm.run(n, "cpu:float", duration=0.3, inputs={"source": train()}) for n in (net, again)]
    a, b = (next(iter(trace.values())) for trace in traces)
    assert len(a) > 50
    assert np.array_equal(a.steps, b.steps)  # type: ignore[union-attr]
    assert np.array_equal(a.indices, b.indices)  # type: ignore[union-attr]


def lif(n: int, **more: Any) -> Any:
    values = {"tau": 0.02, "r": 1.0, "v_leak": 0.0, "v_threshold": 1.0} | more
    return nir.LIF(**{key: np.full(n, value) for key, value in values.items()})


def graph(nodes: dict[str, Any], *edges: tuple[str, str]) -> Any:
    return nir.NIRGraph(nodes=nodes, edges=list(edges))


SOURCE = {"input": np.array([2])}


def test_a_constant_drive_gives_the_period_of_the_equation() -> None:
    """tau v' = v_leak - v + r bias: the period is tau ln(v_inf / (v_inf - v_th))."""
    nodes = {
        "in": nir.Input(input_type=SOURCE), "w": nir.Affine(weight=np.zeros((1, 2)), bias=np.array([1.5])),
        "cell": lif(1, v_leak=0.5), "out": nir.Output(output_type={"output": np.array([1])}),
    }  # fmt: skip
    net = from_nir(graph(nodes, ("in", "w"), ("w", "cell"), ("cell", "out")), dt=0.1 * ms)
    steps = next(iter(nm.run(net, "cpu:float", duration=0.5).values())).steps
    period = 0.02 * np.log(2.0 / (2.0 - 1.0)) / 0.1e-3
    assert np.diff(steps) == pytest.approx(period, abs=1.0)


def test_what_lies_between_neurons_becomes_one_projection() -> None:
    nodes = {
        "in": nir.Input(input_type=SOURCE), "wait": nir.Delay(delay=np.array([0.003, 0.005])),
        "a": nir.Linear(weight=np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])),
        "s": nir.Scale(scale=np.array([1.0, 0.5, 2.0])),
        "cells": lif(3), "out": nir.Output(output_type={"output": np.array([3])}),
    }  # fmt: skip
    net = from_nir(graph(nodes, ("in", "wait"), ("wait", "a"), ("a", "s"), ("s", "cells"), ("cells", "out")))
    drawn = net.drawn["in_to_cells"]
    assert np.allclose(drawn.weights, [[1.0, 1.5, 10.0], [2.0, 2.0, 12.0]])  # type: ignore[union-attr]
    assert np.array_equal(drawn.delays, [[3, 3, 3], [5, 5, 5]])  # type: ignore[union-attr]


def test_a_nested_graph_is_part_of_the_network() -> None:
    inner = graph(
        {"input": nir.Input(input_type={"input": np.array([2])}), "lif": lif(2), "w_rec": nir.Linear(weight=-np.eye(2)),
         "output": nir.Output(output_type={"output": np.array([2])})},
        ("input", "lif"), ("lif", "w_rec"), ("w_rec", "lif"), ("lif", "output"),
    )  # fmt: skip
    nodes = {"in": nir.Input(input_type=SOURCE), "w": nir.Linear(weight=np.eye(2) * 30), "rnn": inner, "next": lif(2)}
    nodes["out"] = nir.Output(output_type={"output": np.array([2])})
    net = from_nir(graph(nodes, ("in", "w"), ("w", "rnn"), ("rnn", "next"), ("next", "out")))
    assert [pop.name for pop in net.populations] == ["in", "rnn_lif", "next"]
    assert {(p.pre.name, p.post.name) for p in net.projections} == {
        ("in", "rnn_lif"), ("rnn_lif", "rnn_lif"), ("rnn_lif", "next"),
    }  # fmt: skip


REFUSED: dict[str, tuple[dict[str, Any], tuple[tuple[str, str], ...]]] = {
    "'c' is a Threshold": (
        {"c": nir.Threshold(threshold=np.ones(2)), "cells": lif(2)}, (("in", "c"), ("c", "cells"))),
    "'cells': v_reset = 0.5": ({"cells": lif(2, v_reset=0.5)}, (("in", "cells"),)),
    "a bias without leak": (
        {"w": nir.Affine(weight=np.eye(2), bias=np.ones(2)), "cells": nir.IF(r=np.ones(2), v_threshold=np.ones(2))},
        (("in", "w"), ("w", "cells"))),
    "'v' follows a delay": (
        {"w": nir.Linear(weight=np.eye(2)), "d": nir.Delay(delay=np.full(2, 0.004)), "v": nir.Linear(weight=np.eye(2)),
         "cells": lif(2)},
        (("in", "w"), ("w", "d"), ("d", "v"), ("v", "cells"))),
    "weighted sum": (
        {"cells": lif(2), "w": nir.Linear(weight=np.eye(2)), "out": nir.Output(output_type={"output": np.array([2])})},
        (("in", "cells"), ("cells", "w"), ("w", "out"))),
}  # fmt: skip


@pytest.mark.parametrize("message", REFUSED)
def test_what_has_no_counterpart_is_refused_by_name(message: str) -> None:
    nodes, edges = REFUSED[message]
    with pytest.raises(UnsupportedError, match=message):
        from_nir(nir.NIRGraph(nodes={"in": nir.Input(input_type=SOURCE), **nodes}, edges=list(edges), type_check=False))


def test_what_nir_cannot_say_is_refused_by_name() -> None:
    with pytest.raises(UnsupportedError, match="'cells' has a refractory period"):
        to_nir(network(nm.LIF(tau_m=20 * ms, refractory=2 * ms)))
    adaptive = nm.LIF(tau_m=20 * ms, homeostasis=ThresholdAdaptation(increment=0.1, tau=0.5))
    with pytest.raises(UnsupportedError, match="'cells' has an adaptive threshold"):
        to_nir(network(adaptive))
    net = nm.Network(name="plastic", dt=1 * ms, seed=1)
    source, cells = net.input(2, name="source"), net.population(2, nm.LIF(tau_m=20 * ms), name="cells")
    rule = STDP(a_plus=0.01, a_minus=0.01, tau_plus=20 * ms, tau_minus=20 * ms, w_max=1.0)
    net.connect(source, cells, 0.5, plasticity=rule, name="syn")
    with pytest.raises(UnsupportedError, match="'syn' without plasticity"):
        to_nir(net)


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="no such file"):
        read(tmp_path / "missing.nir")
    (tmp_path / "text.nir").write_text("hello")
    with pytest.raises(ValidationError, match=r"text\.nir as NIR"):
        read(tmp_path / "text.nir")
