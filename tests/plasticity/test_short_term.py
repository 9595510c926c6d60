"""Short-term plasticity against the closed form of Tsodyks and Markram, in real numbers and in integers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

import neuromorph as nm
from neuromorph.elaborate import elaborate
from neuromorph.image import decode
from neuromorph.plasticity import STDP, Custom, ShortTermPlasticity, TraceSpec
from neuromorph.short_term import ONE, ShortTerm, factors
from neuromorph.units import ms
from neuromorph_cpu.ref_short_term import release

DEPRESSING = ShortTermPlasticity(U=0.5, tau_rec=800 * ms)
FACILITATING = ShortTermPlasticity(U=0.05, tau_rec=125 * ms, tau_facil=1200 * ms)
TRAIN = np.append(np.arange(10) * 50 + 1, 951)
"""10 spikes at 20 Hz and one 500 ms later, in steps of 1 ms."""


def closed_form(rule: ShortTermPlasticity, steps: NDArray[np.int64]) -> NDArray[np.float64]:
    """What each spike releases, by the formula for the time between two spikes."""
    u, x, found = 0.0, 1.0, []
    for gap in np.diff(steps, prepend=steps[0] - 10**6) * 1e-3:
        u *= math.exp(-gap / rule.tau_facil) if rule.tau_facil else 0.0
        x = 1 - (1 - x) * (math.exp(-gap / rule.tau_rec) if rule.tau_rec else 0.0)
        u += rule.U * (1 - u)
        found.append(u * x)
        x -= u * x
    return np.array(found)


def network(rule: ShortTermPlasticity | None, weight: float = 0.3, **options: Any) -> nm.Network:
    net = nm.Network(seed=1)
    source = net.input(1, name="source")
    cells = net.population(1, nm.LIF(tau_m=20 * ms, tau_s=0.0, v_th=1.0), name="cells")
    net.connect(source, cells, weights=weight, short_term=rule, name="syn", **options)
    net.probe(cells, "u")
    return net


def currents(net: nm.Network, target: str, steps: NDArray[np.int64] = TRAIN) -> NDArray[np.float64]:
    """The current that each spike causes, in units of the weight."""
    trace = nm.run(net, target, steps=int(steps[-1]) + 2, inputs={"source": nm.SpikeTrain(steps, np.zeros_like(steps))})
    states = trace.states("cells.u")
    return np.asarray(states.values[:, 0] * states.scale)[steps]  # it arrives in the next step


@pytest.mark.parametrize(("target", "tolerance"), [("cpu:float", 1e-9), ("cpu:ref", 0.01), ("cpu", 0.01)])
@pytest.mark.parametrize("rule", [DEPRESSING, FACILITATING], ids=["depressing", "facilitating"])
def test_each_spike_delivers_what_the_closed_form_says(
    rule: ShortTermPlasticity, target: str, tolerance: float
) -> None:
    np.testing.assert_allclose(currents(network(rule), target), 0.3 * closed_form(rule, TRAIN), rtol=tolerance)


def test_without_it_all_spikes_are_alike() -> None:
    """The control."""
    np.testing.assert_allclose(currents(network(None), "cpu"), 0.3, rtol=0.01)


@pytest.mark.parametrize(
    ("recovery", "facilitation", "expected"), [(0, 0, [0.4, 0.4]), (ONE, 0, [0.4, 0.24]), (0, ONE, [0.4, 0.64])]
)
def test_states_that_return_at_once_or_never(recovery: int, facilitation: int, expected: list[float]) -> None:
    held = ShortTerm(round(0.4 * ONE), (recovery,) * 16, (facilitation,) * 16)
    u, x, since = np.zeros(1, int), np.full(1, ONE), np.zeros(1, int)
    spiking, source = np.ones(1, bool), np.zeros(1, int)
    found = [release(held, u, x, since, spiking, source, None)[0] / 4096 for _ in range(2)]
    np.testing.assert_allclose(found, expected, atol=0.001)


@pytest.mark.parametrize("target", ["cpu:float", "cpu"])
def test_a_lasting_change_of_use_changes_the_ratio_of_two_pulses(target: str) -> None:
    """Pairing raises tag_2 and with it U: the first response grows, the second shrinks beside it; w does neither."""
    pairing = Custom(dd="2^0*x1*y0", traces={"x1": TraceSpec(impulse=20, tau=20 * ms)}, w_max=1.0)
    rule = ShortTermPlasticity(U=0.25, tau_rec=800 * ms, learned_use=True)
    net = nm.Network(seed=1)
    source, teacher = net.input(1, name="source"), net.input(1, name="teacher")
    cells = net.population(1, nm.LIF(tau_m=5 * ms, tau_s=0.0), name="cells")
    syn = net.connect(source, cells, weights=0.4, plasticity=pairing, short_term=rule, name="syn")
    net.connect(teacher, cells, weights=3.0, name="teach")
    net.probe(cells, "u")
    pulses = np.array([1, 51])

    def ratio(session: nm.Session) -> tuple[float, float]:
        silence = 3950
        session.run(steps=silence)
        states = session.run(steps=60, inputs={"source": nm.SpikeTrain(pulses, np.zeros(2, int))}).states("cells.u")
        first, second = (states.values[:, 0] * states.scale)[pulses]
        return float(first), float(second / first)

    with nm.open(net, target) as session:
        before, ratio_before = ratio(session)
        pre, post = np.arange(10) * 40 + 1, np.arange(10) * 40 + 5
        zeros = np.zeros(10, int)
        session.run(steps=420, inputs={"source": nm.SpikeTrain(pre, zeros), "teacher": nm.SpikeTrain(post, zeros)})
        after, ratio_after = ratio(session)
        tag = float(np.ravel(session.read(syn, "tag_2"))[0])
        assert tag > 60
        assert after == pytest.approx(0.4 * (0.25 + tag / 256), rel=0.05)
        assert ratio_after < 0.8 * ratio_before
        session.write(syn, "tag_2", 0)
        session.write(syn, "w", 0.2, physical=True)
        halved, ratio_halved = ratio(session)
    assert halved == pytest.approx(before / 2, rel=0.05)
    assert ratio_halved == pytest.approx(ratio_before, rel=0.03)


@pytest.mark.parametrize("topology", [nm.AllToAll(), nm.FixedProbability(0.6)], ids=["dense", "sparse"])
def test_floats_and_integers_agree_where_synapses_differ(topology: nm.AllToAll | nm.FixedProbability) -> None:
    """Each with a use and a delay of its own."""
    net = nm.Network(seed=2)
    source = net.input(5, name="source")
    cells = net.population(4, nm.LIF(tau_m=20 * ms, tau_s=3 * ms, v_th=10.0), name="cells")
    rule = ShortTermPlasticity(U=nm.Uniform(0.1, 0.9), tau_rec=60 * ms, tau_facil=30 * ms)
    net.connect(
        source, cells, weights=nm.Uniform(0.2, 0.5), topology=topology, delay=nm.Uniform(1 * ms, 6 * ms),
        short_term=rule, name="syn",
    )  # fmt: skip
    net.probe(cells, "v")
    net.probe(net.projections[0], "stp_x", every=40 * ms)
    rng = np.random.default_rng(3)
    step, index = np.nonzero(rng.random((200, 5)) < 0.1)
    spikes = nm.SpikeTrain(step + 1, index)
    ideal, held = (nm.run(net, target, steps=200, inputs={"source": spikes}) for target in ("cpu:float", "cpu"))
    for name, error in (("cells.v", 0.02), ("syn.stp_x", 0.001)):
        a, b = (t.states(name).values * t.states(name).scale for t in (ideal, held))
        np.testing.assert_allclose(b, a, atol=error * np.abs(a).max())


def test_probes_and_sessions_read_and_write_release() -> None:
    net = network(DEPRESSING)
    net.probe(net.projections[0], "stp_x", every=10 * ms)
    with nm.open(net, "cpu") as session:
        trace = session.run(steps=20, inputs={"source": nm.SpikeTrain([5], [0])})
        states = trace.states("syn.stp_x")
        np.testing.assert_allclose(states.values[:, 0] * states.scale, [0.5, 0.5], atol=1e-3)
        assert session.read("syn", "since").tolist() == [15]
        np.testing.assert_allclose(session.read("syn", "stp_u", physical=True), 0.5, atol=1e-3)
        session.write("syn", "stp_x", 0.25, physical=True)
        assert session.read("syn", "stp_x").ravel().tolist() == [ONE // 4]
        with pytest.raises(nm.ValidationError, match=r"outside 0..32768"):
            session.write("syn", "stp_u", ONE + 1)


def test_a_silence_is_counted_to_its_end_and_survives_a_restore() -> None:
    """More steps than 16 bits count, on a machine that was at another step before."""
    net = network(DEPRESSING)
    with nm.open(net, "cpu") as session:
        session.run(steps=70_000, inputs={"source": nm.SpikeTrain([10], [0])})
        assert session.read("syn", "since").tolist() == [65535]
        state = session.snapshot()
    with nm.open(session.program, "cpu:ref") as other:
        other.run(steps=3, inputs={"source": nm.SpikeTrain([1], [0])})
        other.restore(state)
        assert other.read("syn", "since").tolist() == [65535]
        assert other.now == 70_000


@given(st.floats(0.5, 13_000.0), st.integers(1, 65535))
def test_factors_hold_any_silence(tau: float, steps: int) -> None:
    held = ShortTerm(1, factors(tau), factors(0.0))
    assert held.left(steps)[0] / ONE == pytest.approx(math.exp(-steps / tau), abs=3e-4)
    assert held.left(steps)[1] == 0


def test_use_of_each_synapse_is_drawn_and_comes_back_from_the_image() -> None:
    net = nm.Network(seed=5)
    a, b = net.input(6, name="a"), net.population(4, nm.LIF(tau_m=20 * ms), name="b")
    rule = ShortTermPlasticity(U=nm.Uniform(0.2, 0.8), tau_rec=0.5, tau_facil=0.1)
    net.connect(a, b, weights=0.1, topology=nm.FixedProbability(0.5), short_term=rule, name="syn")
    program = nm.compile(net, target="mcu")
    held = program.projections["syn"].short_term
    assert held is not None
    assert np.ptp(held.use) > 1000
    assert decode(program.image).projections["syn"].short_term == held
    assert program.report is not None
    found = {e.parameter: e.error for e in program.report.entries if e.parameter.startswith("short-term")}
    assert set(found) == {"short-term U", "short-term tau_rec", "short-term tau_facil"}
    assert all(abs(error) < 0.01 for error in found.values())
    assert "short_term.U float64[" in elaborate(net).text()


def test_the_report_has_the_path_the_cost_and_the_memory() -> None:
    plain, tiring = (nm.compile(network(rule), target="mcu").report for rule in (None, DEPRESSING))
    assert plain is not None and tiring is not None  # noqa: PT018
    assert tiring.projections[0].kernel == "static dense, short-term plasticity"
    assert tiring.cost.instructions["cortex-m4"] > plain.cost.instructions["cortex-m4"] + 50
    assert tiring.state_bytes == plain.state_bytes + 6  # u, x, since


PAIRS = STDP(0.01, 0.01, 20 * ms, 20 * ms, w_max=1.0)
WRONG: list[tuple[Callable[[], object], str]] = [
    (lambda: ShortTermPlasticity(U=0.0, tau_rec=0.1), "ShortTermPlasticity.U = 0: it must be > 0 and <= 1"),
    (lambda: ShortTermPlasticity(U=1.5, tau_rec=0.1), "U = 1.5"),
    (lambda: ShortTermPlasticity(U=[0.5, -0.1], tau_rec=0.1), r"U\[1\] = -0.1"),
    (lambda: ShortTermPlasticity(U="much", tau_rec=0.1), "U = 'much'"),
    (lambda: ShortTermPlasticity(U=0.5, tau_rec=-1.0), "tau_rec = -1.0 s: it must be >= 0"),
    (lambda: ShortTermPlasticity(U=0.5, tau_rec=math.inf), "tau_rec = inf: a finite number"),
    (lambda: ShortTermPlasticity(U=0.5, tau_rec=0.1, tau_facil=-0.1), "tau_facil"),
    (lambda: ShortTermPlasticity(U=0.5, tau_rec=0.1, learned_use=1), "learned_use = 1"),  # type: ignore[arg-type]
    (lambda: ShortTermPlasticity(use=0.5, tau_rec=0.1), "U"),  # type: ignore[call-arg]
    (lambda: network(0.5), "short_term = 0.5; needed neuromorph.plasticity.ShortTermPlasticity"),  # type: ignore[arg-type]
    (lambda: network(ShortTermPlasticity(U=[[0.5, 0.5]], tau_rec=0.1)), "'syn': short_term.U has shape"),
    (lambda: network(ShortTermPlasticity(U=nm.Uniform(1.5, 2), tau_rec=0.1)), "'syn': short_term.U"),
    (lambda: network(ShortTermPlasticity(U=0.5, tau_rec=0.1, learned_use=True)), "no rule changes it"),
    (lambda: network(ShortTermPlasticity(0.5, 0.1, 0.0, True), plasticity=PAIRS), "give plasticity=Custom"),
    (lambda: nm.compile(network(ShortTermPlasticity(U=0.5, tau_rec=20.0)), target="cpu"), "'syn', short_term tau_rec"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "message"), WRONG)
def test_wrong_parameters_are_refused_where_they_are_written(make: Callable[[], object], message: str) -> None:
    with pytest.raises(nm.ValidationError, match=message):
        make()


@pytest.mark.parametrize("target", ["loihi", "loihi:1", "loihi:lava", "loihi:nengo"])
def test_targets_that_cannot_refuse_by_name(target: str) -> None:
    with pytest.raises(nm.UnsupportedError, match=f"'{target}' does not hold short-term plasticity, needed by 'syn'"):
        nm.compile(network(DEPRESSING), target=target)
