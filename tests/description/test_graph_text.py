"""The text form of graphs against golden files.

Each line of `hand` follows from the description by head; `drawn` pins what seeds give, on every platform.
"""

import json
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path

import numpy as np
import pytest

import neuromorph as nm
from neuromorph import graph
from neuromorph.elaborate import elaborate
from neuromorph.plasticity import STDP, ThresholdAdaptation
from neuromorph.units import ms

GOLDEN = Path(__file__).parents[1] / "golden" / "graph"


def hand() -> nm.Network:
    net = nm.Network(name="by hand", dt=0.5 * ms, seed=7)
    pixels = net.input(2, name="pixels")
    values = net.input(1, name="values", graded=True)
    cells = net.population(
        3,
        nm.LIF(
            tau_m=20 * ms, tau_s=5 * ms, v_th=[1.0, 1.5, 2.0], refractory=2 * ms, reset_every=10 * ms,
            homeostasis=ThresholdAdaptation(increment=0.25, tau=10.0),
        ),
        name="cells",
    )  # fmt: skip
    out = net.population(1, nm.TernaryLIF(tau_m=20 * ms, v_th_low=-0.5, bias=0.125), name="out", v_init=0.25)
    rule = STDP(a_plus=0.01, a_minus=0.0125, tau_plus=20 * ms, tau_minus=20 * ms, w_max=0.5)
    syn = net.connect(
        pixels, cells, weights=[[0.5, 0.25, 0.0], [0.125, 0.5, 0.25]], delay=1 * ms, plasticity=rule, name="syn"
    )
    net.connect(
        cells, out, weights=[-1, 2], topology=nm.Explicit([2, 0], [0, 0]), delay=[0.5 * ms, 4 * ms], name="read"
    )
    net.connect(values, out, weights=0.5, delay=0.5 * ms, name="direct")
    net.probe(cells, "spikes")
    net.probe(syn, "w", every=100 * ms, name="learned weights")
    net.phase(start=1.0, plasticity={syn: False}, adaptation=False)
    return net


def drawn() -> nm.Network:
    net = nm.Network(name="drawn", dt=1 * ms, seed=1)
    cells = net.population(30, nm.LIF(tau_m=20 * ms), name="cells", v_init=nm.Uniform(0, 1))
    net.connect(cells, cells, weights=nm.Uniform(0, 0.3), name="uniform")
    net.connect(cells, cells, weights=nm.Uniform(-1, 0), topology=nm.FixedProbability(0.2), name="probability")
    three = nm.FixedInDegree(3, self_loops=False)
    net.connect(cells, cells, weights=0.5, topology=three, delay=nm.Uniform(1 * ms, 9 * ms), name="degree")
    return net


@pytest.mark.parametrize(("make", "full"), [(hand, False), (hand, True), (drawn, False)])
def test_text_is_that_of_the_golden_file(make: Callable[[], nm.Network], full: bool, tmp_path: Path) -> None:
    name = f"{make.__name__}.full.txt" if full else f"{make.__name__}.txt"
    text = elaborate(make()).text(full=full)
    (tmp_path / name).write_text(text)
    assert text == (GOLDEN / name).read_text(), f"if the change is meant: cp {tmp_path / name} {GOLDEN / name}"


def test_hashes_are_blake2b_of_the_little_endian_values() -> None:
    values = np.array([[0.5, 0.25, 0.0], [0.125, 0.5, 0.25]])
    expected = blake2b(values.astype("<f8").tobytes(), digest_size=6).hexdigest()
    assert f"weights float64[2,3] 0..0.5 #{expected}" in elaborate(hand()).text()


def test_names_that_are_no_words_are_quoted_and_metadata_is_sorted() -> None:
    pops = (graph.Population("a b", "input", 1), graph.Population("c", "lif", 1, tau_m=0.02))
    text = str(graph.Graph("x", 1e-3, 1, pops, (), metadata={"z": 1, "a": {"k": [1, 2]}}))
    assert 'input "a b" n=1 binary' in text
    assert text.endswith(f"metadata a {json.dumps({'k': [1, 2]})}\nmetadata z 1\n")


def test_a_single_changed_weight_changes_the_text() -> None:
    one, other = hand(), hand()
    cells = one.populations[2]
    for net, weights in ((one, np.eye(3)), (other, np.eye(3) * (1 + 1e-15))):
        net.connect(net.populations[2], net.populations[2], weights=weights, delay=0.5 * ms, name="loop")  # type: ignore[arg-type]
    assert cells.name == "cells"
    assert elaborate(one).text() != elaborate(other).text()
