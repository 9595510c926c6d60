"""`nm.open` and `nm.run` on the engines of this machine: the same session whatever the numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import neuromorph as nm
from neuromorph import program
from neuromorph.errors import NeuromorphError, TargetError, UnsupportedError, ValidationError
from neuromorph.models import examples, find
from neuromorph.plasticity import STDP
from neuromorph.session import Session
from neuromorph.stimulus import Stimulus
from neuromorph.units import Hz, ms


def as_any(value: object) -> Any:
    """What no type checker would let through."""
    return value


TARGETS = ("cpu:ref", "cpu", "cpu:float")


@pytest.fixture
def net() -> nm.Network:
    """8 Poisson channels on 4 plastic cells."""
    net = nm.Network(name="small", dt=1 * ms, seed=3)
    noise = net.input(8, name="noise", source=nm.Poisson(100 * Hz))
    cells = net.population(4, nm.LIF(tau_m=20 * ms, tau_s=5 * ms, refractory=3 * ms), name="cells")
    rule = STDP(a_plus=0.02, a_minus=0.02, tau_plus=20 * ms, tau_minus=20 * ms, w_max=0.5)
    syn = net.connect(noise, cells, weights=nm.Uniform(0.1, 0.4), plasticity=rule, name="syn")
    net.probe(noise, "spikes")
    net.probe(cells, "spikes")
    net.probe(cells, "v")
    net.probe(syn, "w", every=20 * ms)
    return net


@pytest.mark.parametrize("target", TARGETS)
def test_a_network_runs_with_its_own_sources(net: nm.Network, target: str) -> None:
    trace = nm.run(net, target, duration=0.2)
    assert (trace.target, trace.steps, trace.digest) == (target, 200, nm.compile(net).digest)
    assert 100 < len(trace.spikes("noise")) < 220
    assert len(trace.spikes("cells")) > 10
    assert trace.states("syn.w").array.shape == (10, 8, 4)


def test_the_ideal_model_and_the_machine_agree_in_physical_units(net: nm.Network) -> None:
    ideal, held = (nm.run(net, target, duration=0.2) for target in ("cpu:float", "cpu"))
    assert np.array_equal(ideal.spikes("noise").steps, held.spikes("noise").steps)
    assert abs(len(ideal.spikes("cells")) - len(held.spikes("cells"))) <= 0.05 * len(ideal.spikes("cells"))
    v, w = (held.states(name).physical - ideal.states(name).physical for name in ("cells.v", "syn.w"))
    assert np.abs(v[:8]).max() < 0.01  # before the first spike
    assert np.abs(w).mean() < 0.02
    with pytest.raises(ValidationError, match="an ideal model in floats has no bits in common"):
        nm.compare(ideal, held)


@pytest.mark.parametrize("target", TARGETS)
def test_weights_are_read_and_written_in_physical_units(net: nm.Network, target: str) -> None:
    with nm.open(net, target) as session:
        session.write("syn", "w", np.full((8, 4), 0.25), physical=True)
        assert session.read("syn", "w", physical=True) == pytest.approx(np.full((8, 4), 0.25), abs=0.5 / 255)
        handle = net.projections[0]
        assert np.array_equal(session.read(handle, "w"), session.read("syn", "w"))


def test_inputs_by_handle_replace_the_sources(net: nm.Network) -> None:
    noise = net.populations[0]
    trace = nm.run(net, duration=0.1, inputs={noise: nm.SpikeTrain([5, 9], [0, 7])})
    assert trace["noise.spikes"].steps.tolist() == [5, 9]
    assert nm.run(net, duration=0.1, inputs={"noise": nm.SpikeTrain([], [])}).spikes("noise").steps.size == 0


@pytest.mark.parametrize("target", ["cpu:ref", "cpu"])
def test_a_stopped_saved_and_restored_run_ends_with_the_same_bits(net: nm.Network, target: str) -> None:
    program = nm.compile(net)
    stimulus = Stimulus.of(program, net.sources, 200)
    with nm.open(program, target) as session:
        whole = session.run(0.2, inputs=stimulus)
        end = session.snapshot()
    with nm.open(program, "cpu") as session:
        half = session.run(0.1, inputs=stimulus)
        saved = nm.State.from_bytes(session.snapshot().to_bytes())
    with nm.open(program, target) as session:
        session.restore(saved)
        joined = half.joined(session.run(0.1, inputs=stimulus))
        assert session.snapshot() == end
    assert nm.compare(whole, joined).equal


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda net: nm.open(net, "cpuu"), TargetError, "did you mean 'cpu'"),
        (lambda net: nm.open(nm.compile(net), "cpu:float"), TargetError, "open it with the network"),
        (lambda net: nm.open(net, "cpu:float").snapshot(), UnsupportedError, "need an integer target"),
        (
            lambda net: nm.run(net, duration=0.1, inputs={"nois": nm.Poisson(1.0)}),
            ValidationError,
            "did you mean 'noise'",
        ),
        (lambda net: nm.run(net, duration=0.1, inputs={"cells": nm.Poisson(1.0)}), ValidationError, "is no input"),
        (lambda net: nm.run(net, duration=0.1, inputs={7: nm.Poisson(1.0)}), ValidationError, "neither a name"),
        (lambda net: nm.run(net, duration=0.1, inputs={"noise": nm.SpikeTrain([1], [8])}), ValidationError, "0..7"),
        (lambda net: nm.run(net, duration=0.1, inputs={"noise": nm.SpikeTrain([101], [0])}), ValidationError, "101"),
        (lambda net: nm.run(net), ValidationError, "either a duration"),
        (lambda _: nm.run(as_any("digits"), steps=1), ValidationError, r"'digits' is no network"),
        (lambda _: nm.compile(as_any(None)), ValidationError, "None is no network"),
        (lambda net: nm.compile(net, target=as_any(3)), ValidationError, "target = 3: the name of a machine"),
        (lambda net: nm.open(net, as_any(None)), ValidationError, "target = None: the name of a machine"),
        (lambda net: nm.open(net, "cpu:float").write("cells", "v", "a"), ValidationError, "v: numbers are needed"),
        (
            lambda net: nm.open(net).write("cells", "v", [[1], [1, 2]], physical=True),
            ValidationError,
            r"cells\.v: numbers are needed",
        ),
    ],
)
def test_wrong_calls_name_the_way_out(
    net: nm.Network, call: Callable[[nm.Network], Any], kind: type[NeuromorphError], message: str
) -> None:
    with pytest.raises(kind, match=message):
        call(net)


@pytest.mark.parametrize(
    ("called", "function", "wrong"),
    [
        ("run", nm.run, "durration"),
        ("Session.run", Session.run, "durration"),
        ("open", nm.open, "profil"),
        ("compile", nm.compile, "profil"),
        ("build", program.build, "rouding"),
    ],
)
def test_a_misspelt_parameter_is_named(net: nm.Network, called: str, function: Any, wrong: str) -> None:
    with pytest.raises(ValidationError, match=f"^{called} has no parameter '{wrong}'; did you mean"):
        function(net, **{wrong: 1})


def test_a_stimulus_is_the_same_in_parts(net: nm.Network) -> None:
    stimulus = Stimulus.of(nm.compile(net), net.sources, 100)
    assert stimulus.records(0, 40) + stimulus.records(40, 60) == stimulus.records(0, 100)
    assert stimulus.records(100, 50) == b""


def test_the_stdp_example_shows_the_window() -> None:
    model = find("stdp_pair")
    program = model.compile(["cpu"])
    with nm.open(program) as session:
        trace = session.run(model.seconds(None), inputs=model.inputs)
    change = trace.states("syn.w").physical[-1] - 0.5
    distance = np.arange(-40, 41, 2)
    expected = 10 * 0.02 * np.sign(distance) * np.exp(-np.abs(distance) / 20)
    apart = distance != 0
    assert np.abs(change - expected)[apart].max() < 0.05
    assert np.corrcoef(change[apart], expected[apart])[0, 1] > 0.98


def test_examples_are_listed_without_importing_them() -> None:
    found = examples()
    assert set(found) >= {"balanced", "digits", "stdp_pair", "tutorial"}
    assert all(found.values())
