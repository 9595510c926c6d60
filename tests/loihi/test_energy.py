"""The estimate against a case counted by hand, and where a user finds it."""

from __future__ import annotations

import json

import numpy as np
import pytest

from neuromorph.cli import main
from neuromorph.inputs import SpikeTrain
from neuromorph.open import open as open_session
from neuromorph.program import Population, Program, build
from neuromorph.rule import Factor, Product, Rule, Trace
from neuromorph_loihi import LOIHI_1, estimate
from tests.loihi.conftest import dense, limited

PJ, NS = 1e-12, 1e-9


@pytest.fixture
def chain() -> Program:
    """2 inputs onto 3 neurons that spike at each input; those onto one that never does."""
    return build(
        [Population("pixels", 2, "input"), Population("cells", 3, vth=1), Population("last", 1, vth=1000)],
        [dense("in", "pixels", "cells", 2, 3), dense("out", "cells", "last", 3, 1)],
    )


def test_by_hand(chain: Program) -> None:
    """10 steps, an input spike at step 1: 3 cells spike at step 2. On one core, in tile 0."""
    with open_session(chain, "loihi:1") as session:
        trace = session.run(steps=10, inputs={"pixels": SpikeTrain(np.array([1]), np.array([0]))})
        section = session.account(trace)
    assert trace.counters == {"spikes": 4, "input_spikes": 1, "synaptic_events": 6, "plastic_updates": 0}
    made = estimate(chain, trace.counters, trace.steps, LOIHI_1)
    # 2 axons of 3 synapses and 3 of one: 5 axons, 9 synapses; 6 events stand for 6 * 5 / 9 messages
    messages = 6 * 5 / 9
    assert made.counts["messages"] == pytest.approx(messages)
    energy = 4 * 10 * 72.8 + 3 * 69.3 + messages * 111.0 + 6 * 35.5
    assert made.energy == pytest.approx(energy * PJ)
    # The core has all neurons and events; 3 of 5 axons leave it, all 5 arrive. Barrier of one tile: 0.6 us.
    work = 40 * 9.7 + 3 * 30.0 + messages * (3 / 5 * 5.1 + 16.0) + 6 * 3.8
    assert made.time == pytest.approx(work * NS + 10 * 0.6e-6)
    assert section == made.section()


def test_hops_and_the_busiest_core(chain: Program) -> None:
    """One neuron per core, cores in tiles 0 and 0: `last` is core 3, with 3 of 9 synapses as each of the others 2."""
    chip = limited(compartments=1)
    counters = {"spikes": 40, "input_spikes": 10, "synaptic_events": 90, "plastic_updates": 0}
    made = estimate(chain, counters, 100, chip)
    # 2 inputs to 3 cores and 3 cells to one: 9 axons, so messages are events
    assert made.counts["messages"] == 90
    assert (made.counts["hops along rows"], made.counts["hops along columns"]) == (0, 0)
    cell = 100 * 9.7 + 30 / 4 * 30.0 + 90 * (1 / 9 * 5.1 + 2 / 9 * 16.0) + 90 * 2 / 9 * 3.8
    last = 100 * 9.7 + 30 / 4 * 30.0 + 90 * 3 / 9 * 16.0 + 90 * 3 / 9 * 3.8
    assert last > cell
    assert made.time == pytest.approx(last * NS + 100 * 0.6e-6)


def test_hops_cost_by_direction() -> None:
    """17 neurons, each on its core, all to all: 16 in tiles 0..3 of a row, one in tile 4."""
    program = build([Population("cells", 17)], [dense("syn", "cells", "cells", 17, 17)])
    made = estimate(program, {"spikes": 17, "synaptic_events": 289, "plastic_updates": 0}, 1, limited(compartments=1))
    tiles = [k // 4 for k in range(17)]
    hops = sum(abs(a - b) for a in tiles for b in tiles)
    assert made.counts["hops along rows"] == pytest.approx(hops)
    assert made.energies["hops along rows"] == pytest.approx(hops * 3.0 * PJ)
    assert made.counts["hops along columns"] == 0
    assert made.time > 1.4e-6  # barrier of 5 tiles, and work


def test_plastic_updates() -> None:
    """They keep the learning core busy; an axon takes two entries there, but is one message."""
    rule = Rule((Product("y0", 1, 0, (Factor("x1"),)),), traces={"x1": Trace(10, 0, 5.0)})
    program = build(
        [Population("pixels", 2, "input"), Population("cells", 3), Population("static", 1)],
        [dense("syn", "pixels", "cells", 2, 3, rule=rule)],
    )
    made = estimate(program, {"spikes": 0, "synaptic_events": 6, "plastic_updates": 7}, 1)
    assert made.cores == 2
    assert made.energy == pytest.approx((4 * 72.8 + 6 * 35.5 + 2 * 111 + 7 * 120) * PJ)
    assert made.time == pytest.approx((3 * 9.7 + 6 * 3.8 + 2 * 16.0 + 7 * 6.1) * NS + 0.6e-6)


@pytest.mark.parametrize(("cores", "microseconds"), [(4, 0.6), (5, 1.0), (12, 1.0), (13, 1.4), (112, 1.4), (113, 1.8)])
def test_barrier_grows_with_the_tiles(cores: int, microseconds: float) -> None:
    """4 cores are a tile."""
    program = build([Population("cells", cores)], [])
    made = estimate(program, {"spikes": 0, "synaptic_events": 0, "plastic_updates": 0}, 1, limited(compartments=1))
    assert made.time == pytest.approx(9.7 * NS + microseconds * 1e-6)


def test_it_says_that_it_is_an_estimate_and_whose(chain: Program) -> None:
    made = estimate(chain, {"spikes": 0, "synaptic_events": 0, "plastic_updates": 0}, 1)
    text = made.section().text()
    assert "An estimate for Loihi 2, not a measurement: figures of Loihi 1: SANA-FE" in text
    assert "none are published for Loihi 2" in text
    assert "no idle power" in text


def test_other_machines_give_no_estimate(chain: Program) -> None:
    with open_session(chain, "cpu") as session:
        assert session.account(session.run(steps=1)) is None


def test_command(capsys: pytest.CaptureFixture[str]) -> None:
    def run(*words: str) -> str:
        assert main(["run", "tutorial", "--duration", "0.05", *words]) == 0
        return capsys.readouterr().out

    assert "An estimate for Loihi 2, not a measurement" in run("--target", "loihi")
    data = json.loads(run("--target", "loihi", "--json"))
    assert data["estimate"]["target"] == "loihi"
    assert data["counters"]["input_spikes"] <= data["counters"]["spikes"]
    assert "estimate" not in json.loads(run("--target", "cpu", "--json"))
