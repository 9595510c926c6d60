"""Networks: what handles are, what draws depend on, and what the Graph holds."""

import dataclasses
import doctest

import numpy as np
import pytest

import neuromorph as nm
import neuromorph.network
from neuromorph import graph
from neuromorph.elaborate import elaborate
from neuromorph.plasticity import STDP, ThresholdAdaptation
from neuromorph.units import Hz, ms

LEARN = STDP(a_plus=0.01, a_minus=0.01, tau_plus=20 * ms, tau_minus=20 * ms, w_max=0.5)


def network(seed: int = 1) -> nm.Network:
    net = nm.Network(name="net", dt=1 * ms, seed=seed)
    pixels = net.input(30, name="pixels")
    adaptive = nm.LIF(tau_m=20 * ms, refractory=2 * ms, homeostasis=ThresholdAdaptation(increment=0.1, tau=1.0))
    cells = net.population(20, adaptive, name="cells", v_init=nm.Uniform(0.0, 0.9))
    net.connect(
        pixels, cells, weights=nm.Uniform(0, 0.5), topology=nm.FixedProbability(0.4), delay=nm.Uniform(1 * ms, 9 * ms),
        plasticity=LEARN, name="syn",
    )  # fmt: skip
    return net


def held(net: nm.Network, name: str = "syn", seed: int | None = None) -> graph.Projection:
    return next(proj for proj in elaborate(net, seed).projections if proj.name == name)


def same(a: graph.Projection, b: graph.Projection) -> bool:
    return all(np.array_equal(getattr(a, f.name), getattr(b, f.name)) for f in dataclasses.fields(a))


# ------------------------------------------------------------------------------------------------------------- handles


def test_handles_are_keys_with_names_and_people_can_read_them() -> None:
    net = network()
    pixels, cells = net.populations
    syn = net.projections[0]
    assert {pixels: 1, cells: 2, syn: 3}[syn] == 3
    assert [handle.name for handle in (pixels, cells, syn)] == ["pixels", "cells", "syn"]
    assert repr(pixels) == "<input 'pixels' of 'net': 30 binary channels>"
    assert repr(cells) == "<population 'cells' of 'net': 20 LIF>"
    assert repr(syn).startswith("<projection 'syn' of 'net': pixels (30) -> cells (20), FixedProbability(p=0.4")
    assert "1 projections" in repr(net)


def test_objects_without_a_name_get_one() -> None:
    net = nm.Network()
    noise, cells = net.input(2), net.population(2, nm.LIF(tau_m=20 * ms))
    more = net.population(2, nm.LIF(tau_m=20 * ms))
    first, second = net.connect(noise, cells, weights=0.1), net.connect(noise, cells, weights=0.2)
    names = [handle.name for handle in (noise, cells, more, first, second, net.probe(cells, "v"))]
    assert names[:3] == ["input_1", "population_1", "population_2"]
    assert names[3] == "input_1_to_population_1"
    assert names[4].startswith("input_1_to_population_1_")
    assert names[5] == "population_1.v"


def test_the_example_of_the_docstring_runs() -> None:
    assert doctest.testmod(neuromorph.network).failed == 0


# ----------------------------------------------------------------------------------------------------- reproducibility


def test_the_same_description_gives_the_same_graph() -> None:
    assert elaborate(network()).text(full=True) == elaborate(network()).text(full=True)
    assert elaborate(network(), seed=5).text(full=True) == elaborate(network(seed=5)).text(full=True)
    assert elaborate(network()).text() != elaborate(network(seed=5)).text()


def test_another_object_changes_no_draw() -> None:
    plain = network()
    more = nm.Network(name="more", dt=1 * ms, seed=1)
    other = more.population(5, nm.LIF(tau_m=20 * ms), name="other", v_init=nm.Normal(0, 1))
    more.connect(other, other, weights=nm.Normal(0.1, 0.1), topology=nm.FixedInDegree(2), name="first")
    pixels, cells = more.input(30, name="pixels"), more.population(20, nm.LIF(tau_m=20 * ms), name="cells")
    more.connect(
        pixels, cells, weights=nm.Uniform(0, 0.5), topology=nm.FixedProbability(0.4), delay=nm.Uniform(1 * ms, 9 * ms),
        plasticity=LEARN, name="syn",
    )  # fmt: skip
    assert same(held(more), held(plain))


def test_projections_between_the_same_populations_draw_differently() -> None:
    net = network()
    pixels, cells = net.populations
    net.connect(pixels, cells, weights=nm.Uniform(0, 0.5), topology=nm.FixedProbability(0.4), name="twin")  # type: ignore[arg-type]
    assert str(held(net, "twin").indices) != str(held(net).indices)


def test_what_a_graph_holds_cannot_be_changed_from_outside() -> None:
    given = np.full((2, 2), 0.5)
    net = nm.Network()
    cells = net.population(2, nm.LIF(tau_m=[10 * ms, 20 * ms]), name="cells")
    net.connect(cells, cells, weights=given, name="syn")
    given[:] = 7
    weights = elaborate(net).projections[0].weights
    assert weights.tolist() == [[0.5, 0.5], [0.5, 0.5]]
    with pytest.raises(ValueError, match="read-only"):
        weights[0, 0] = 1


# -------------------------------------------------------------------------------------------------------------- neurons


def test_times_become_steps_where_the_graph_counts_in_steps() -> None:
    net = nm.Network(dt=0.5 * ms)
    net.population(3, nm.LIFReset(tau_m=20 * ms, reset_every=14 * ms, reset_offset=1 * ms), name="a")
    net.population(3, nm.LIFReset(tau_m=20 * ms, reset_every=14 * ms), name="b")
    net.population(3, nm.LIF(tau_m=20 * ms), name="c")
    found = [(pop.reset_interval, pop.reset_offset) for pop in elaborate(net).populations]
    assert found == [(28, 2), (28, 1), (0, 0)]


def test_parameters_reach_the_graph() -> None:
    net = nm.Network()
    net.population(
        2, nm.TernaryLIF(tau_m=20 * ms, tau_s=5 * ms, v_th_high=2.0, v_th_low=[-1.0, -3.0], bias=0.1), name="t"
    )
    adapt = ThresholdAdaptation(increment=[0.1, 0.2], tau=3.0, init=0.5)
    model = nm.LIF(tau_m=[10 * ms, 20 * ms], v_th=1.5, refractory=3 * ms, resistance=4.0, homeostasis=adapt)
    net.population(2, model, name="l", v_init=[0.0, 0.5], u_init=0.25)
    ternary, lif = elaborate(net).populations
    assert (ternary.kind, ternary.tau_s, ternary.v_th, ternary.bias) == ("ternary", 5 * ms, 2.0, 0.1)
    assert np.asarray(ternary.v_th_low).tolist() == [-1.0, -3.0]
    assert np.asarray(lif.tau_m).tolist() == [10 * ms, 20 * ms]
    assert (lif.v_th, lif.refractory, lif.resistance, lif.u_init) == (1.5, 3 * ms, 4.0, 0.25)
    assert lif.adaptation is not None
    assert np.asarray(lif.adaptation.increment).tolist() == [0.1, 0.2]
    assert (lif.adaptation.tau, lif.adaptation.init) == (3.0, 0.5)


# ---------------------------------------------------------------------------------------------------------- projections


@pytest.mark.parametrize(
    ("weights", "sign"),
    [(0.5, "exc"), (-0.5, "inh"), (0.0, "exc"), (nm.Normal(0, 1), "mixed"), (nm.Uniform(-2, -1), "inh")],
)
def test_sign_of_static_weights_is_what_fits_them(weights: object, sign: str) -> None:
    net = nm.Network()
    cells = net.population(10, nm.LIF(tau_m=20 * ms), name="cells")
    net.connect(cells, cells, weights=weights, name="syn")
    assert held(net).sign == sign


def test_plastic_weights_are_excitatory_unless_said_and_bounded_by_their_rule() -> None:
    net = network()
    proj = held(net)
    assert (proj.sign, proj.w_max, proj.rule) == ("exc", 0.5, LEARN)


@pytest.mark.parametrize("k", [1, 2, 3, 7, 49, 63, 64])
@pytest.mark.parametrize("dt", [1 * ms, 0.1 * ms, 0.3 * ms])
def test_delays_are_whole_steps(k: int, dt: float) -> None:
    net = nm.Network(dt=dt)
    cells = net.population(2, nm.LIF(tau_m=20 * ms), name="cells")
    net.connect(cells, cells, weights=1.0, delay=k * dt, name="syn")
    assert held(net).delays == k


def test_a_delay_is_one_step_unless_said() -> None:
    net = nm.Network(dt=2 * ms)
    cells = net.population(2, nm.LIF(tau_m=20 * ms), name="cells")
    net.connect(cells, cells, weights=1.0, name="syn")
    assert held(net).delays == 1


def test_drawn_delays_go_to_the_nearest_step_and_cover_their_range() -> None:
    net = nm.Network()
    cells = net.population(60, nm.LIF(tau_m=20 * ms), name="cells")
    net.connect(cells, cells, weights=1.0, delay=nm.Uniform(1 * ms, 5 * ms), name="syn")
    counts = np.bincount(np.asarray(held(net).delays).ravel(), minlength=6)
    assert counts[0] == 0
    # The ends get half of what the others get: 1..1.5 ms and 4.5..5 ms.
    assert counts[1:] / 3600 == pytest.approx([0.125, 0.25, 0.25, 0.25, 0.125], abs=0.04)


def test_payloads_count_where_the_source_has_them() -> None:
    net = nm.Network()
    graded, binary = net.input(2, name="graded", graded=True), net.input(2, name="binary")
    ternary = net.population(2, nm.TernaryLIF(tau_m=20 * ms), name="ternary")
    for source in (graded, binary, ternary):
        net.connect(source, ternary, weights=1.0, name=f"of_{source.name}")
    net.connect(graded, ternary, weights=1.0, graded=False, name="ignored")
    assert [proj.graded for proj in elaborate(net).projections] == [True, False, True, False]


# ---------------------------------------------------------------------------------------------------- probes, schedule


def test_probes() -> None:
    net = network()
    pixels, cells = net.populations
    syn = net.projections[0]
    net.probe(pixels, "spikes")
    net.probe(cells, "threshold", every=10 * ms)
    net.probe(syn, "weights", every=0.1, name="learned")
    net.probe(syn, "x1")
    found = [(p.name, p.object, p.variable, p.every) for p in elaborate(net).probes]
    assert found == [
        ("pixels.spikes", "pixels", "spikes", 1), ("cells.theta", "cells", "theta", 10), ("learned", "syn", "w", 100),
        ("syn.x1", "syn", "x1", 1),
    ]  # fmt: skip


def test_phases_are_sorted_switches() -> None:
    net = network()
    cells, syn = net.populations[1], net.projections[0]
    net.phase(start=2.0, plasticity=True)
    net.phase(start=1.0, plasticity={syn: False}, adaptation={cells: False})  # type: ignore[dict-item]
    net.phase(start=0, adaptation=False)
    found = [(p.step, p.operation, p.object, p.on) for p in elaborate(net).schedule]
    assert found == [
        (0, "adaptation", "cells", False), (1000, "plasticity", "syn", False), (1000, "adaptation", "cells", False),
        (2000, "plasticity", "syn", True),
    ]  # fmt: skip


def test_sources_of_inputs() -> None:
    net = nm.Network()
    source = nm.Poisson(50 * Hz)
    net.input(3, name="noise", source=source)
    net.input(3, name="silent")
    assert net.sources == {"noise": source}
