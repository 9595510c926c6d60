"""How parameters are held: decays, weights, exponents, scales, thresholds, against what docs/semantics.md, 5, says."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuromorph.compile import compile as compile_graph
from neuromorph.engine import Target
from neuromorph.graph import Adaptation, Graph, Population, Projection
from neuromorph.image import FEATURES
from neuromorph.passes.hold import hold_adaptation, hold_bias, hold_du, hold_dv, tau_of
from neuromorph.passes.scale import CURRENT_MAX
from neuromorph.plasticity import STDP
from neuromorph.program import Program

MakeGraph = Callable[..., Graph]
ANY = Target("test:any", "simulator", "integer", "no limits", features=frozenset(FEATURES))
RULE: dict[str, Any] = {"a_plus": 0.05, "a_minus": 0.05, "tau_plus": 20e-3, "tau_minus": 20e-3}


def network(weights: Any, dt: float = 1e-3, sign: Any = "mixed", **cells: Any) -> Graph:
    matrix = np.atleast_2d(np.asarray(weights, float))
    n_in, n = matrix.shape
    pops = (Population("in", "input", n_in), Population("out", "lif", n, **{"tau_m": 20e-3, **cells}))
    return Graph("g", dt, 0, pops, (Projection("syn", "in", "out", "dense", matrix, sign=sign),))


def plastic(*w_max: float) -> Graph:
    pops = (Population("in", "input", 4), Population("out", "lif", 2, tau_m=20e-3, tau_s=5e-3))
    projs = tuple(
        Projection(f"syn{k}", "in", "out", "dense", np.full((4, 2), top / 2), sign="exc", w_max=top,
                   rule=STDP(w_max=top, **RULE))
        for k, top in enumerate(w_max)
    )  # fmt: skip
    return Graph("g", 1e-3, 0, pops, projs)


# --------------------------------------------------------------------------------------------------------- decays


@given(st.floats(0.12, 400.0))
def test_time_constants_are_held_within_5_percent(steps: float) -> None:
    factor = np.exp(np.asarray(-1 / steps))
    for hold in (hold_du, hold_dv):
        held = float(tau_of(hold(factor)[1], 1.0))
        assert abs(held / steps - 1) <= 0.05


@pytest.mark.parametrize(("tau", "du", "dv"), [(0.0, 4095, 4096), (math.inf, 0, 0)])
def test_ends_of_the_decays(tau: float, du: int, dv: int) -> None:
    factor = np.asarray(math.exp(-1 / tau) if tau else 0.0)
    assert hold_du(factor)[0] == du
    assert hold_dv(factor)[0] == dv


@given(st.floats(0.5, 100_000.0), st.floats(1e3, 1e6))
def test_slow_thresholds_are_held(tau: float, increment: float) -> None:
    held = hold_adaptation("here", Adaptation(1.0, tau), increment, 1.0)
    assert abs(held.tau / tau - 1) <= 0.05
    assert held.inc == pytest.approx(increment * 2**held.frac, rel=0.01)
    # What the machine does: theta_decay / 4096 every 2^period steps.
    assert (1 - held.decay / 4096) ** (1 / 2**held.period) == pytest.approx(np.exp(-1 / held.tau))


@given(st.floats(-524_160.0, 524_160.0), st.floats(-1.0, 1.0))
def test_biases_share_an_exponent_and_fit_13_bits(largest: float, share: float) -> None:
    bias = hold_bias(np.array([largest, largest * share]))
    exponent = next(e for e in range(8) if np.all(bias % (1 << e) == 0) and np.all(np.abs(bias) <= 4095 << e))
    assert np.all(np.abs(bias - [largest, largest * share]) <= max(0.5, (1 << exponent), abs(largest) / 4095))


# -------------------------------------------------------------------------------------------------------- weights

weight_lists = st.lists(st.lists(st.floats(-2.0, 2.0), min_size=3, max_size=3), min_size=1, max_size=8)


@settings(max_examples=60)
@given(weight_lists, st.sampled_from([0.0, 2e-3, 20e-3]))
def test_weights_are_held_within_half_a_unit(weights: list[list[float]], tau_s: float) -> None:
    asked = np.array(weights)
    program = compile_graph(network(asked, tau_s=tau_s), ANY)
    syn, unit = program.projections["syn"], program.scales["syn"]["w"]
    step = unit * (2 if syn.sign_mode == "mixed" else 1)
    assert program.report is not None
    entry = next(e for e in program.report.entries if e.parameter == "weights")
    assert entry.saturated == 0
    assert np.all(np.abs(syn.weights * unit - asked) <= step / 2 * (1 + 1e-9))


@settings(max_examples=60)
@given(weight_lists)
def test_the_exponent_uses_the_bits(weights: list[list[float]]) -> None:
    syn = compile_graph(network(weights), ANY).projections["syn"]
    largest = np.max(np.abs(syn.weights))
    assert largest == 0 or syn.weight_exp == -16 or largest >= 127


def test_the_widest_static_projection_is_exact() -> None:
    program = compile_graph(network([[0.3], [0.1]]), ANY)
    assert program.projections["syn"].weights.ravel().tolist() == [255, 85]
    assert program.scales["syn"]["w"] == pytest.approx(0.3 / 255)


@pytest.mark.parametrize(
    ("weights", "mode"), [([[0.1, 0.0]], "exc"), ([[-0.1, 0.0]], "inh"), ([[0.1, -0.1]], "mixed"), ([[0.0]], "exc")]
)
def test_static_weights_of_one_sign_keep_all_bits(weights: list[list[float]], mode: str) -> None:
    assert compile_graph(network(weights), ANY).projections["syn"].sign_mode == mode


@pytest.mark.parametrize("w_max", [0.01, 0.3, 1.0, 7.0])
def test_one_plastic_projection_is_exact(w_max: float) -> None:
    program = compile_graph(plastic(w_max), ANY)
    assert program.scales["syn0"]["w"] * 255 == pytest.approx(w_max, rel=1e-9)


def test_several_plastic_projections_share_the_error() -> None:
    program = compile_graph(plastic(1.0, 2**0.5), ANY)
    held = np.array([program.scales[f"syn{k}"]["w"] * 255 for k in range(2)]) / [1.0, 2**0.5]
    assert np.abs(np.log2(held)) == pytest.approx([0.25, 0.25])


def test_powers_of_two_need_no_compromise() -> None:
    program = compile_graph(plastic(0.25, 1.0, 2.0), ANY)
    assert [program.scales[f"syn{k}"]["w"] * 255 for k in range(3)] == pytest.approx([0.25, 1.0, 2.0])


def drive(program: Program, steps: int = 1) -> float:
    """v in units of the writer after one spike of source 0 at step 1, read `steps` after its arrival; no leak."""
    pop, syn = program.populations["out"], program.projections["syn"]
    u = v = 0
    for t in range(steps):
        arriving = int(syn.weights[0, 0]) * 2.0**syn.weight_exp if t == 0 else 0
        u = int(u * (4095 - int(np.max(pop.du))) / 4096) + int(arriving) * 64
        v = int(v * (4096 - int(np.max(pop.dv))) / 4096) + u
    return v * program.scales["out"]["v"]


@pytest.mark.parametrize("tau_s", [0.0, 1e-3, 5e-3, 50e-3])
def test_a_weight_is_the_charge_of_a_spike(tau_s: float) -> None:
    program = compile_graph(network([[0.4]], tau_s=tau_s, tau_m=math.inf), ANY)
    assert drive(program, 1000) == pytest.approx(0.4, rel=0.01)


def test_resistance_scales_the_charge() -> None:
    program = compile_graph(network([[0.4]], tau_s=5e-3, tau_m=100e-3, resistance=10.0), ANY)
    gain = (1 - math.exp(-0.2)) * 10.0 * 5 / 100
    assert program.scales["out"]["u"] == pytest.approx(program.scales["out"]["v"] / gain, rel=0.01)


def test_one_neuron_may_differ_from_the_next() -> None:
    program = compile_graph(
        network([[0.4, 0.4]], tau_s=np.array([2e-3, 8e-3]), v_th=np.array([1.0, 2.0]), tau_m=math.inf), ANY
    )
    pop = program.populations["out"]
    assert np.all(np.diff(pop.vth) > 0)
    gain = 1 - (4095 - np.asarray(pop.du)) / 4096
    # Equal charge needs weights in proportion to the gain of their target.
    assert program.projections["syn"].weights[0] / gain == pytest.approx(np.full(2, 255 / gain.max()), rel=0.01)
    assert "w" not in program.scales.get("syn", {})


# ----------------------------------------------------------------------------------------------- scales and wraps


def all_spike(program: Program, steps: int = 400) -> tuple[int, int]:
    """Exact largest and smallest current if all sources of "out" spike in every step, weights at their ends."""
    pop, top, low, u = program.populations["out"], 0, 0, np.zeros(program.populations["out"].n, np.int64)
    for sign in (1, -1):
        u[:] = 0
        for _ in range(steps):
            arriving = np.zeros_like(u)
            for proj in program.projections.values():
                used = np.clip(proj.weights * sign, 0, None) * sign
                if proj.rule is not None:
                    used = np.where(proj.sign_mode == "exc", 255, -255) * np.ones_like(proj.weights)
                    used = used if np.sign(used.flat[0]) == sign else used * 0
                acc = used.sum(axis=0)
                arriving += acc << proj.weight_exp if proj.weight_exp >= 0 else acc >> -proj.weight_exp
            keep = 4095 - np.asarray(pop.du, np.int64)
            u = np.sign(u) * ((np.abs(u) * keep) >> 12) + (arriving << 6)
            top, low = max(top, int(u.max())), min(low, int(u.min()))
    return top, low


@settings(max_examples=60)
@given(weight_lists, st.sampled_from([0.0, 1e-3, 10e-3]), st.floats(1e-3, 10.0))
def test_without_a_warning_nothing_wraps(weights: list[list[float]], tau_s: float, factor: float) -> None:
    program = compile_graph(network(np.array(weights) * factor, tau_s=tau_s), ANY)
    assert program.report is not None
    top, low = all_spike(program)
    if not any(w.code == "wrap" for w in program.report.warnings):
        assert -CURRENT_MAX <= low <= top <= CURRENT_MAX


@pytest.mark.parametrize("w_max", [0.05, 0.3, 2.0])
def test_plastic_weights_at_their_ends_do_not_wrap(w_max: float) -> None:
    program = compile_graph(plastic(w_max), ANY)
    assert program.report is not None
    assert not [w for w in program.report.warnings if w.code != "rule"]
    assert all_spike(program)[0] <= CURRENT_MAX


def test_strong_inhibition_is_warned_of() -> None:
    weights = np.full((4000, 1), -1.0)
    program = compile_graph(network(weights), ANY)
    assert program.report is not None
    warning = next(w for w in program.report.warnings if w.code == "wrap")
    assert warning.object == "out"
    assert warning.message.startswith("inhibition into 'out' could wrap the current")
    assert "of 131071 units, most of it from 'syn'" in warning.message
    assert all_spike(program, 1)[1] < -CURRENT_MAX  # it is true


def test_strong_excitation_is_warned_of() -> None:
    program = compile_graph(network(np.full((4000, 1), 1.0)), ANY)
    assert program.report is not None
    assert [w.message[:3] for w in program.report.warnings if w.code == "wrap"] == ["sum"]
    assert np.min(program.populations["out"].vth) >= 256


def test_refractory_sources_count_less_often() -> None:
    def threshold(refractory: float) -> int:
        cells = Population("out", "lif", 50, tau_m=20e-3, tau_s=20e-3, refractory=refractory)
        back = Projection("back", "out", "out", "dense", np.full((50, 50), -1.0))
        return int(np.max(compile_graph(Graph("g", 1e-3, 0, (cells,), (back,)), ANY).populations["out"].vth))

    assert threshold(20e-3) > 4 * threshold(0.0)


def test_adaptive_thresholds_leave_room() -> None:
    cells: dict[str, Any] = {"v_th": 1.0, "adaptation": Adaptation(0.01, 1.0)}
    assert np.max(compile_graph(network([[0.1]], **cells), ANY).populations["out"].vth) <= 1 << 15


def test_many_rounded_to_zero_is_warned_of() -> None:
    weights = np.full((10, 1), 1e-4)
    weights[0] = 1.0
    program = compile_graph(network(weights), ANY)
    assert program.report is not None
    assert [w.code for w in program.report.warnings] == ["to_zero"]
    assert "9 of 10 weights of 'syn'" in program.report.warnings[0].message


def test_ternary_thresholds_and_bias(pair: MakeGraph) -> None:
    graph = pair()
    cells = replace(graph.populations[1], kind="ternary", v_th_low=-0.5, bias=0.3)
    program = compile_graph(replace(graph, populations=(graph.populations[0], cells)), ANY)
    pop = program.populations["cells"]
    assert int(np.max(pop.vth_lo)) == pytest.approx(-np.max(pop.vth) / 2, abs=1)
    rest = np.max(pop.bias) / (np.max(pop.dv) / 4096) * program.scales["cells"]["v"]
    assert rest == pytest.approx(0.3, rel=0.01)


def test_initial_values_and_delays(learner: Graph) -> None:
    program = compile_graph(learner, ANY)
    pop = program.populations["cells"]
    assert pop.init_v is not None
    assert pop.init_v * program.scales["cells"]["v"] == pytest.approx(np.full(3, 0.1), rel=1e-4)
    assert np.asarray(program.projections["inhibition"].delays).tolist() == [0, 1, 4]


def test_graded_inputs_count_with_their_largest_payload(pair: MakeGraph) -> None:
    """A payload of 254 takes 254 times the room of a spike."""
    binary = pair(64, 2, 1e-3)
    pixels, cells = binary.populations
    graded = replace(
        binary,
        populations=(replace(pixels, graded=True), cells),
        projections=(replace(binary.projections[0], graded=True),),
    )
    thresholds = [np.max(compile_graph(g, ANY).populations["cells"].vth) for g in (binary, graded)]
    room = 131071 / (64 * 1e-3 * 254)  # largest threshold for which all payloads at once fit
    assert room / 2 - 1 <= thresholds[1] <= room
    assert thresholds[0] > 32767
