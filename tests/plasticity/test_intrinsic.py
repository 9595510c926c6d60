"""Intrinsic plasticity: a threshold that drifts to a target rate, in real numbers and in integers."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import neuromorph as nm
from neuromorph.graph import Adaptation, Graph, Population
from neuromorph.image import decode, without_metadata
from neuromorph.image.sections import sections
from neuromorph.passes.hold import hold_adaptation
from neuromorph.plasticity import IntrinsicPlasticity, ThresholdAdaptation
from neuromorph.units import Hz, ms

RATE = 10.0


def network(rule: IntrinsicPlasticity | ThresholdAdaptation, *bias: float) -> nm.Network:
    net = nm.Network(seed=3)
    cells = net.population(len(bias), nm.LIF(tau_m=20 * ms, bias=list(bias), homeostasis=rule), name="cells")
    net.probe(cells, "spikes")
    net.probe(cells, "theta", every=100 * ms)
    return net


@pytest.mark.parametrize("target", ["cpu:float", "cpu"])
def test_neurons_of_any_drive_fire_at_the_target_rate(target: str) -> None:
    """Where they rest, theta follows from the drive: v reaches bias (1 - exp(-T / tau_m)) in the T between spikes."""
    rule, bias = IntrinsicPlasticity(target_rate=RATE * Hz, increment=0.02, floor=-0.9), np.array([0.3, 1.1, 2.0])
    steps = 24_000
    trace = nm.run(network(rule, *bias), target, steps=steps)
    spikes = trace.spikes("cells.spikes")
    late = spikes.steps > steps - 4000
    rates = np.bincount(spikes.indices[late], minlength=3) / 4.0
    np.testing.assert_allclose(rates, RATE, rtol=0.05)
    threshold = 1.0 + trace.states("cells.theta").values[-10:].mean(axis=0) * trace.states("cells.theta").scale
    np.testing.assert_allclose(threshold, bias * (1 - math.exp(-1 / RATE / 0.020)), atol=0.03)


@pytest.mark.parametrize("target", ["cpu:float", "cpu"])
def test_a_silent_neuron_falls_by_the_drift_to_its_floor(target: str) -> None:
    rule = IntrinsicPlasticity(target_rate=RATE * Hz, increment=0.02, floor=-0.5, init=0.1)
    states = nm.run(network(rule, 0.2), target, duration=4.0).states("cells.theta")
    theta = states.values[:, 0] * states.scale
    expected = np.maximum(0.1 - 0.02 * RATE * states.steps * 1e-3, -0.5)
    np.testing.assert_allclose(theta, expected, atol=0.005)
    assert theta[-1] == pytest.approx(-0.5, abs=1e-4)


def test_switched_off_the_threshold_rests() -> None:
    """The control of the phenomenon: adaptation off in the schedule."""
    rule = IntrinsicPlasticity(target_rate=RATE * Hz, increment=0.02, floor=-0.5)
    net = network(rule, 0.2, 3.0)
    net.phase(0.0, adaptation=False)
    assert not np.any(nm.run(net, "cpu", duration=0.5).states("cells.theta").values)


@given(st.floats(0.1, 100.0), st.floats(0.005, 0.2), st.floats(16384.0, 1e6))
def test_target_rates_are_held_within_5_percent(rate: float, increment: float, scale: float) -> None:
    held = hold_adaptation("here", Adaptation(increment, math.inf, drift=increment * rate, floor=-0.5), scale, 1e-3)
    assert held.drift / float(held.inc) / (1e-3 * 2**held.period) == pytest.approx(rate, rel=0.05)
    assert held.floor / scale / 2**held.frac == pytest.approx(-0.5, rel=1e-4)
    assert held.decay == 0


def test_the_report_says_what_is_held() -> None:
    rule = IntrinsicPlasticity(target_rate=5 * Hz, increment=0.02, floor=-0.5)
    program = nm.compile(network(rule, 0.5), target="mcu")
    assert program.report is not None
    entries = {e.parameter: e for e in program.report.entries if e.parameter.startswith("adaptation")}
    assert set(entries) == {"adaptation target rate", "adaptation increment", "adaptation floor"}
    assert entries["adaptation target rate"].asked == pytest.approx(5.0)
    assert all(abs(e.error) <= 0.01 for e in entries.values())
    assert program.populations["cells"].theta_drift > 0


def test_programs_without_a_drift_are_as_they_were() -> None:
    """Records of 64 bytes, and no new feature."""
    plain = nm.compile(network(ThresholdAdaptation(0.02, 1.0), 0.5), target="cpu")
    drift = nm.compile(network(IntrinsicPlasticity(target_rate=5 * Hz), 0.5), target="cpu")
    assert [sections(p.image)[3].stride for p in (plain, drift)] == [64, 72]
    assert [int.from_bytes(p.image[20:24], "little") >> 16 & 1 for p in (plain, drift)] == [0, 1]
    again = decode(without_metadata(drift.image))
    assert again.digest == drift.digest
    (found,) = again.populations.values()
    assert (found.theta_drift, found.theta_min) == (drift.populations["cells"].theta_drift, 0)


WRONG: list[tuple[Callable[[], object], str]] = [
    (lambda: IntrinsicPlasticity(target_rate=0.0), "target_rate = 0.0 Hz: it must be > 0"),
    (lambda: IntrinsicPlasticity(target_rate=math.nan), "target_rate = nan: a finite number"),
    (lambda: IntrinsicPlasticity(target_rate=5.0, increment=0.0), "increment = 0.0: it must be > 0"),
    (lambda: IntrinsicPlasticity(target_rate=5.0, increment="much"), "increment"),  # type: ignore[arg-type]
    (lambda: IntrinsicPlasticity(target_rate=5.0, floor=0.1), "floor = 0.1: it must be <= 0"),
    (lambda: IntrinsicPlasticity(target_rate=5.0, floor=-0.2, init=-0.3), "init = -0.3: it must be >= -0.2"),
    (lambda: IntrinsicPlasticity(rate=5.0), "target_rate"),  # type: ignore[call-arg]
    (lambda: nm.LIF(tau_m=0.02, homeostasis=IntrinsicPlasticity(target_rate=5.0, floor=-1.0)), "floor > -1"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "message"), WRONG)
def test_wrong_parameters_are_refused_where_they_are_written(make: Callable[[], object], message: str) -> None:
    with pytest.raises(nm.ValidationError, match=message):
        make()


def graph(**adaptation: float) -> Graph:
    held = Adaptation(**{"increment": 0.1, "tau": math.inf, **adaptation})
    return Graph("g", 1e-3, 0, (Population("cells", "lif", 1, tau_m=0.02, adaptation=held),), ())


@pytest.mark.parametrize(
    ("adaptation", "message"),
    [
        ({"drift": -1.0}, "adaptation.drift"), ({"floor": 0.5}, "adaptation.floor"), ({"floor": -2.0}, "fall to 0"),
        ({"drift": 1.0, "tau": 3.0}, "does not decay"), ({"floor": -0.5, "init": -0.6}, "adaptation.init"),
    ],
)  # fmt: skip
def test_graphs_from_elsewhere_are_checked_too(adaptation: dict[str, float], message: str) -> None:
    with pytest.raises(nm.ValidationError, match=message):
        nm.graph.verify(graph(**adaptation))


def test_a_drift_that_cannot_be_held_is_refused() -> None:
    with pytest.raises(nm.ValidationError, match="cannot be held at dt"):
        hold_adaptation("here", Adaptation(1e-3, math.inf, drift=1e-9), 1e4, 1e-3)


@pytest.mark.parametrize(
    ("target", "message"),
    [("loihi:1", "does not hold"), ("loihi:nengo", "does not hold")],
)
def test_targets_that_cannot_refuse_by_name(target: str, message: str) -> None:
    rule = IntrinsicPlasticity(target_rate=5 * Hz)
    with pytest.raises(nm.UnsupportedError, match=f"{target}.*{message}.*'cells'"):
        nm.compile(network(rule, 0.5), target=target)
