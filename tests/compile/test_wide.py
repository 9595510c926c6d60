"""Compiling to profile wide: what is finer, what the report says, and who refuses it."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

import neuromorph as nm
from neuromorph.errors import UnsupportedError, ValidationError
from neuromorph.image import decode
from neuromorph.passes.legalise import check_features
from neuromorph.plasticity import STDP, Custom, Hebbian, InstarSTDP
from neuromorph.plasticity.base import PlasticityRule
from neuromorph.profiles import LOIHI2, WIDE
from neuromorph.program import Population, Program, Projection, build
from neuromorph.rule import Factor, Product, Rule, Trace
from neuromorph.targets import installed
from neuromorph.units import Hz, ms

W = 0.1
PAIRS = STDP(a_plus=0.02 * W, a_minus=0.03 * W, tau_plus=20 * ms, tau_minus=20 * ms, w_max=W)


def network(rule: PlasticityRule | None = PAIRS, *, probes: bool = False) -> nm.Network:
    net = nm.Network(name="net", dt=1 * ms, seed=1)
    source = net.input(10, name="source", source=nm.Poisson(20 * Hz))
    cells = net.population(4, nm.LIF(tau_m=20 * ms), name="cells")
    net.connect(source, cells, weights=nm.Uniform(-W, W), name="fixed")
    learned = net.connect(source, cells, weights=0.333 * W, plasticity=rule, name="learned")
    if probes:
        net.probe(learned, "w", every=10 * ms)
        net.probe(learned, "x1", every=10 * ms)
    return net


def test_weights_are_finer_and_everything_else_is_the_same() -> None:
    coarse, fine = nm.compile(network()), nm.compile(network(), profile="wide")
    for name, proj in fine.projections.items():
        other = coarse.projections[name]
        assert proj.weight_exp == other.weight_exp
        assert np.abs(proj.weights - 128 * other.weights).max() <= 128  # static mixed weights are even otherwise
    assert fine.populations == coarse.populations
    worst = []
    for program in (coarse, fine):
        assert program.report is not None
        worst.append(max(abs(e.error) for e in program.report.entries if e.parameter == "weights"))
    assert worst[1] < worst[0] / 50


def test_values_are_read_and_written_in_the_units_of_the_user() -> None:
    with nm.open(network(), "cpu", profile="wide") as session:
        assert session.read("learned", "w", physical=True) == pytest.approx(0.333 * W, rel=1e-4)
        session.write("learned", "w", 0.1234 * W, physical=True)
        assert session.read("learned", "w", physical=True) == pytest.approx(0.1234 * W, rel=3e-4)


def test_probes_are_in_the_units_of_the_user() -> None:
    trace = nm.run(network(probes=True), "cpu", steps=10, profile="wide")
    states = trace.states("learned.w")
    assert np.asarray(states.values[0]) * states.scale == pytest.approx(0.333 * W, rel=0.2)
    assert trace.states("learned.x1").values.dtype == np.uint16


def test_machine_units_have_the_same_meaning_in_both_profiles() -> None:
    """A weight of 100 units is 100 units: held in steps of one, or of 1/128."""
    products = (Product("y0", 1, -1, (Factor("x1"),)),)
    rule = Rule(products, traces={"x1": Trace(20, 0, 20.0)})
    for profile, one in ((LOIHI2, 1), (WIDE, 128)):
        pops = [Population("a", 1, "input"), Population("b", 1, du=4095, dv=0, vth=1000)]
        proj = Projection("p", "a", "b", np.full((1, 1), 100 * one), 3, "exc", rule=rule)
        program = build(pops, [proj], profile=profile.name)
        with nm.open(program, "cpu") as session:
            session.run(steps=2, inputs={"a": nm.SpikeArray(np.ones((1, 1), int))})
            assert session.read("b", "v").tolist() == [100 << 3 << 6]


def test_the_digest_tells_profiles_apart() -> None:
    """Also where no weight and no trace does: a program of the same bytes means something else."""
    pops = [Population("a", 1, "input"), Population("b", 1)]
    proj = Projection("p", "a", "b", np.array([[100]]), rule=Rule((Product("u", 1, 0),)))
    programs = [build(pops, [proj], profile=profile) for profile in ("loihi2", "wide")]
    assert programs[0].digest != programs[1].digest


def test_the_image_says_the_profile() -> None:
    program = nm.compile(network(), profile="wide")
    again = decode(program.image)
    assert again.profile == "wide"
    assert again.digest == program.digest
    assert again.projections["learned"].rule == program.projections["learned"].rule


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        (replace(PAIRS, a_plus=2e-5 * W, a_minus=2e-5 * W), "a_plus: a change is 0.00.* of a step .* under 1/16"),
        (Hebbian(0.4 * W, 20 * ms, 20 * ms, w_max=W, period=8 * ms, decay=0.05), "decay: the decay is slower than the"),
        (Custom(dw="-2^-7*w*u0", traces={}, w_max=W), None),
    ],
)
def test_the_report_says_which_rules_would_need_it(rule: PlasticityRule, why: str | None) -> None:
    report = nm.compile(network(rule)).report
    assert report is not None
    if why is None:
        assert not report.advice
        return
    (advice,) = report.advice
    assert (advice.code, advice.object) == ("wide", "learned")
    assert re.search(why, advice.message)
    assert "wide" in report.text()
    assert report.to_dict()["advice"][0]["object"] == "learned"
    fine = nm.compile(network(rule), profile="wide").report
    assert fine is not None
    assert not fine.advice
    assert not fine.warnings


def test_a_small_rate_is_held_in_wide_and_refused_before() -> None:
    rule = InstarSTDP(eta=1e-3, tau=20 * ms, w_max=W)
    with pytest.raises(ValidationError, match="profile wide holds it"):
        nm.compile(network(rule))
    report = nm.compile(network(rule), profile="wide").report
    assert report is not None
    rates = [e for e in report.entries if e.parameter.startswith("rule eta")]
    assert rates
    assert max(abs(e.error) for e in rates) < 0.002


def test_shared_rounding_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"'wide' has no shared rounding; leave out rounding='shared'"):
        nm.compile(network(), profile="wide", rounding="shared")


def test_an_unknown_profile_is_refused_with_the_nearest() -> None:
    with pytest.raises(ValidationError, match=r"'wise' is unknown; did you mean 'wide'\?"):
        nm.compile(network(), profile="wise")


def test_a_program_keeps_its_profile() -> None:
    program = nm.compile(network(), profile="wide")
    with pytest.raises(ValidationError, match="compiled already, in profile 'wide'; compile its network with"):
        nm.open(program, "cpu", profile="loihi2")


def test_own_machines_hold_it_and_all_others_refuse_it_by_name() -> None:
    program = nm.compile(network(), profile="wide")
    holds = {target.name: target for _, target in installed()}
    for name, target in holds.items():
        if name.startswith(("cpu", "mcu")):
            check_features(program, target)
        elif target.numbers == "integer":
            with pytest.raises(UnsupportedError, match=f"'{name}' does not hold profile 'wide'.*compile with profile="):
                check_features(program, target)
    assert any(name.startswith("loihi") for name in holds)


def _with(**changes: object) -> Program:
    """A small program with a part that one of the profiles does not have."""
    profile = str(changes.pop("profile", "wide"))
    product = replace(Product("y0", 1, -1, (Factor("x1"),)), **changes.pop("product", {}))  # type: ignore[arg-type]
    rule = replace(Rule((product,), traces={"x1": Trace(0, 0, 20.0)}), **changes)  # type: ignore[arg-type]
    pops = [Population("a", 2, "input", graded=True), Population("b", 2)]
    return build(pops, [Projection("p", "a", "b", np.full((2, 2), 3), rule=rule, graded=True)], profile=profile)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"graded_trace": "add_wrap"}, r"'p': profile 'wide' has no graded trace that wraps; use 'add_saturate'"),
        ({"profile": "loihi2", "product": {"exp": -8}}, r"'p': a scale of 1\*2\^-8 is below 2\^-7.*use profile wide"),
        ({"profile": "loihi2", "product": {"factors": (Factor("x1", 3, fine=1),)}}, "'p': .*beside x1 has a fraction"),
        ({"traces": {"x1": Trace(0, 0, 20.0, bytes(1032))}}, "'p': the decay of x1 was made for another profile"),
    ],
)
def test_what_only_the_other_profile_has(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        _with(**changes)
