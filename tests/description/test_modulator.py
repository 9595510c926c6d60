"""Modulators: what a description says of them, what the Graph holds, and what is refused where it is written."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import neuromorph as nm
from neuromorph import graph
from neuromorph.elaborate import elaborate
from neuromorph.units import Hz, ms


class Case:
    """A reward input, two populations, and a network to add modulators to."""

    def __init__(self) -> None:
        self.net = nm.Network(name="net", dt=1 * ms, seed=1)
        self.reward = self.net.input(1, name="reward", graded=True)
        self.cells = self.net.population(5, nm.LIF(tau_m=20 * ms), name="cells")
        self.few = self.net.population(2, nm.LIF(tau_m=20 * ms), name="few")


def test_what_a_modulator_says_reaches_the_graph() -> None:
    case = Case()
    net, cells = case.net, case.cells
    dopamine = net.modulator(
        sources={case.reward: 1.0, cells: 0.5}, tau=200 * ms, full_scale=4.0, init=0.5, mode="hold", name="dopamine"
    )
    assert repr(dopamine) == "<modulator 'dopamine' of 'net': shared, from reward, cells, tau 0.2 s>"
    assert net.modulators == (dopamine,)
    assert elaborate(net).modulators == (
        graph.Modulator("dopamine", 1, None, (("reward", 1.0), ("cells", 0.5)), 0.2, 4.0, 0.5, "hold"),
    )


def test_a_modulator_of_a_population_has_a_value_for_each_neuron() -> None:
    case = Case()
    protein = case.net.modulator(of=case.cells, init=nm.Uniform(0.0, 1.0), name="protein")
    drawn = elaborate(case.net).modulators[0]
    assert (protein.n, drawn.n, drawn.of) == (5, 5, "cells")
    assert np.asarray(drawn.init).shape == (5,)
    assert drawn.tau == np.inf
    assert "one for each of cells (5), from nothing" in repr(protein)


def test_a_rate_is_a_modulator_in_hertz() -> None:
    case = Case()
    rate = case.net.rate(case.cells, tau=5.0, full_scale=50 * Hz)
    assert rate.name == "cells_rate"
    assert elaborate(case.net).modulators[0] == graph.Modulator(
        "cells_rate", 5, "cells", (("cells", 1 / 5.0),), 5.0, 50.0, 0.0, "add"
    )


def test_phases_set_modulators() -> None:
    case = Case()
    gate = case.net.modulator(name="gate")
    case.net.phase(start=2.0, modulators={gate: 0.0})
    case.net.phase(start=1.0, modulators={gate: 1.0})
    found = [(p.step, p.operation, p.object, p.value) for p in elaborate(case.net).schedule]
    assert found == [(1000, "modulator", "gate", 1.0), (2000, "modulator", "gate", 0.0)]


def test_the_text_of_a_graph_has_its_modulators() -> None:
    case = Case()
    gate = case.net.modulator(name="gate")
    case.net.rate(case.cells, tau=4.0, full_scale=50 * Hz)
    case.net.phase(start=0.5, modulators={gate: 1.0})
    case.net.probe(gate, "m", every=10 * ms)
    text = elaborate(case.net).text()
    assert "modulator gate shared add\n  tau inf\n  full_scale 1\n  init 0\n" in text
    assert "modulator cells_rate of cells n=5 add\n  source cells 0.25\n  tau 4\n  full_scale 50\n  init 0\n" in text
    assert "probe gate.m of gate.m every=10 phase=0\n" in text
    assert "phase step=500 modulator gate = 1\n" in text


def test_a_graph_without_modulators_has_the_text_that_it_always_had() -> None:
    assert "modulator" not in elaborate(Case().net).text()


WRONG: list[tuple[Callable[[Any], object], str]] = [
    (lambda c: c.net.modulator(name="cells"), "has the name 'cells' already"),
    (lambda c: c.net.modulator(tau=0.0), "tau = 0 s: it must be > 0 s; write seconds, e.g. tau=200 * ms, or None"),
    (lambda c: c.net.modulator(tau=-1.0), "tau = -1 s"),
    (lambda c: c.net.modulator(full_scale=0.0), "full_scale = 0: it must be finite and > 0"),
    (lambda c: c.net.modulator(init=2.0), "init = 2 is beyond the full scale of 1; raise full_scale"),
    (lambda c: c.net.modulator(init=[0.0, 1.0]), "there is one value for all"),
    (lambda c: c.net.modulator(of=c.cells, init=[0.0, 1.0]), "needed a scalar or (5,)"),
    (lambda c: c.net.modulator(mode="set"), "mode = 'set' is unknown; one of 'add', 'hold'"),
    (lambda c: c.net.modulator(sources=c.reward), "needed a dict such as {reward: 1.0}"),
    (lambda c: c.net.modulator(sources={c.reward: "much"}), "a number is needed"),
    (lambda c: c.net.modulator(sources={"reward": 1.0}), "needed an object that this network gave back"),
    (lambda c: c.net.modulator(of=c.cells, sources={c.few: 1.0}), "the source 'few' has 2 neurons, 'cells' has 5"),
    (lambda c: c.net.modulator(of=c.reward), "needed an object that this network gave back (population)"),
    (lambda c: c.net.modulator(of=Case().cells), "belongs to another network"),
    (lambda c: c.net.modulator(source={}), "no parameter 'source'; did you mean 'sources'?"),
    (lambda c: c.net.rate(c.cells, tau=0.0, full_scale=1.0), "tau = 0 s: it must be"),
    (lambda c: c.net.phase(start=0.0, modulators={c.net.modulator(): 1.5}), "is beyond the full scale of 1"),
    (lambda c: c.net.phase(start=0.0, modulators={c.cells: 1.0}), "needed an object that this network gave back"),
    (lambda c: c.net.phase(start=0.0, modulators=1.0), "needed a dict such as {gate: 1.0}"),
    (lambda c: c.net.phase(start=0.0), "give plasticity, adaptation or modulators"),
    (lambda c: c.net.probe(c.net.modulator(), "v"), "it has no variable 'v'; it has m"),
]


@pytest.mark.parametrize(("act", "part"), WRONG, ids=[part for _, part in WRONG])
def test_what_cannot_be_is_refused_where_it_is_written(act: Callable[[Any], object], part: str) -> None:
    case = Case()
    with pytest.raises(nm.ValidationError) as caught:
        act(case)
    assert part in str(caught.value)


def test_at_most_eight_sources() -> None:
    case = Case()
    sources = {case.net.input(1, name=f"in{k}"): 1.0 for k in range(9)}
    with pytest.raises(nm.ValidationError, match="9 sources; at most 8"):
        case.net.modulator(sources=sources)  # type: ignore[arg-type]


def test_a_graph_made_by_hand_is_checked_too() -> None:
    case = Case()
    case.net.rate(case.cells, tau=4.0, full_scale=50 * Hz)
    made = elaborate(case.net)
    (rate,) = made.modulators
    for change, part in (
        ({"n": 4}, "4 values, needed 5"),
        ({"of": "cell"}, "population 'cell' does not exist; did you mean 'cells'?"),
        ({"of": "reward"}, "'reward' is an input"),
        ({"sources": (("few", 1.0),)}, "the source 'few' has 2 neurons"),
    ):
        with pytest.raises(nm.ValidationError) as caught:
            graph.verify(replace(made, modulators=(replace(rate, **change),)))  # type: ignore[arg-type]
        assert part in str(caught.value)
    with pytest.raises(nm.ValidationError, match="the modulator 'gate' does not exist"):
        graph.verify(replace(made, schedule=(graph.Phase(1, "modulator", "gate", value=1.0),)))
