"""Modulators in integers: time constants within 5 % or refused, gains, values that phases set, and the report."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import neuromorph as nm
from neuromorph.errors import ValidationError
from neuromorph.graph import Graph, Modulator, Phase, Population
from neuromorph.passes.modulator import hold_modulator
from neuromorph.units import Hz, ms

DT = 1e-3


def held(**what: object) -> Modulator:
    return Modulator("m", **what)  # type: ignore[arg-type]


@settings(max_examples=200)
@given(st.floats(0.15, 400 * 2.0**15), st.floats(0.01, 100.0), st.sampled_from((1e-4, 1e-3)))
def test_time_constants_from_a_step_to_hours_are_held_within_5_percent(steps: float, full: float, dt: float) -> None:
    tau = steps * dt
    made = hold_modulator(held(sources=(("a", full / 10),), tau=tau, full_scale=full), dt).made
    # what is left after a long time, by the machine's own decay
    keep = 1 - made.decay / 4096
    assert -dt * 2**made.period / math.log(keep) == pytest.approx(tau, rel=0.05)
    assert dt * 2**made.period <= max(dt, tau / 4)  # a coarser staircase would show


@settings(max_examples=200)
@given(st.floats(1e-4, 1e4), st.floats(1e-3, 1e3))
def test_gains_are_exact_beside_the_full_scale(share: float, full: float) -> None:
    gain = share * full
    made = hold_modulator(held(sources=(("a", gain), ("b", -gain)), tau=1.0, full_scale=full), DT)
    fine = 127 / full * 2.0**made.made.frac
    assert made.fine == pytest.approx(fine)
    assert [name for name, _ in made.made.sources] == ["a", "b"]
    assert made.made.sources[0][1] / fine == pytest.approx(gain, rel=0.05)
    assert made.made.sources[0][1] == -made.made.sources[1][1]


def test_no_time_constant_is_no_decay() -> None:
    made = hold_modulator(held(init=0.5), DT).made
    assert (made.decay, made.frac, made.init) == (0, 16, round(63.5 * 65536))


@pytest.mark.parametrize(
    ("what", "part"),
    [
        ({"tau": 1e-5, "sources": (("a", 1.0),)}, "tau = 1e-05 s cannot be held at dt = 0.001 s"),
        ({"tau": 1e9, "sources": (("a", 1.0),)}, "from 0.00012 s to 1.31e+04 s all are held: use a larger dt"),
        ({"sources": (("a", 1e6),)}, "a gain of 1e+06 beside a full scale of 1 cannot be held: at most 132104; raise"),
        ({"sources": (("a", 1.0), ("b", 1e-8))}, "the gain 1e-08 of 'b' is held as 0, over 5% off"),
    ],
)
def test_what_cannot_be_held_is_refused_with_the_way_out(what: dict[str, object], part: str) -> None:
    with pytest.raises(ValidationError) as caught:
        hold_modulator(held(**what), DT)
    assert part in str(caught.value)


def network() -> nm.Network:
    net = nm.Network(name="net", dt=1 * ms, seed=1)
    cells = net.population(3, nm.LIF(tau_m=20 * ms), name="cells")
    net.rate(cells, tau=2.0, full_scale=50 * Hz, name="rate")
    gate = net.modulator(name="gate", full_scale=2.0)
    net.phase(start=1.0, modulators={gate: 0.5})
    net.probe(gate, "m")
    return net


def test_the_report_says_what_became_of_a_modulator() -> None:
    program = nm.compile(network(), target="cpu:ref")
    assert program.report is not None
    found = {(e.object, e.parameter): e for e in program.report.entries}
    assert found["rate", "tau"].held == pytest.approx(2.0, rel=0.05)
    assert found["rate", "gain of cells"].held == pytest.approx(0.5, rel=1e-4)
    assert found["gate", "full_scale"].held == 2.0


def test_a_phase_sets_a_modulator_in_machine_units() -> None:
    program = nm.compile(network(), target="cpu:ref")
    (entry,) = program.schedule
    assert (entry.step, entry.operation, entry.object) == (1000, "modulator", "gate")
    assert entry.value * program.scales["gate"]["m"] == pytest.approx(0.5)
    assert entry.value >> program.modulators["gate"].frac == 31  # 127 * 0.5 / 2, rounded down
    assert [(probe.object, probe.variable) for probe in program.probes] == [("gate", "m")]


def test_a_program_without_modulators_has_none() -> None:
    cells = Population("cells", "lif", 3, tau_m=20e-3)
    graph = Graph("plain", DT, 1, (cells,), ())
    assert nm.compile(graph, target="cpu:ref").modulators == {}
    with pytest.raises(ValidationError, match="the modulator 'gate' does not exist"):
        nm.compile(Graph("plain", DT, 1, (cells,), (), schedule=(Phase(1, "modulator", "gate"),)), target="cpu:ref")
