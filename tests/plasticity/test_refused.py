"""What named rules refuse, and where: the parameter, its limit and the way out, in the user's words."""

import math
from dataclasses import replace
from typing import Any, cast

import pytest

import neuromorph as nm
from neuromorph import plasticity
from neuromorph.engine import Target
from neuromorph.errors import RuleError, UnsupportedError, ValidationError
from neuromorph.language import parse_products, product_columns
from neuromorph.plasticity import (
    BCM,
    STDP,
    CalciumRule,
    Consolidation,
    Custom,
    FiniteResource,
    Gate,
    Hebbian,
    InhibitorySTDP,
    InstarSTDP,
    Metaplasticity,
    Oja,
    RewardSTDP,
    Sleep,
    SynapticScaling,
    TraceSpec,
    TripletSTDP,
)
from neuromorph.units import ms

MS = 1e-3
UNIT = 1 / 255
PAIRS = STDP(0.01, 0.01, 20 * ms, 20 * ms, w_max=1.0)
TRIPLET = TripletSTDP.visual_cortex(1.0)
INHIBITORY = InhibitorySTDP(eta=0.01, tau=20 * ms, target_rate=5, w_max=1.0)
OJA = Oja(eta=0.1, alpha=1.0, tau_pre=50 * ms, tau_post=50 * ms, w_max=1.0, period=16 * ms)
BCM_RULE = BCM(eta=0.01, tau_pre=20 * ms, tau_post=50 * ms, rate="rate", rate_0=10, w_max=1.0)
META = Metaplasticity(
    a2_minus=0.01, a3_plus=0.01, tau_plus=20 * ms, tau_minus=20 * ms, tau_y=0.1, rate="rate", rate_0=10, w_max=1.0
)
REWARD = RewardSTDP(
    a_plus=0.1, a_minus=0.1, tau_plus=20 * ms, tau_minus=20 * ms, tau_eligibility=1.0, modulator="dopamine", eta=1.0,
    w_max=1.0,
)  # fmt: skip
CALCIUM = CalciumRule(
    tau_calcium=20 * ms, c_pre=1.0, c_post=2.0, theta_p=1.3, theta_d=1.0, gamma_p=2.0, gamma_d=1.0, w_max=1.0
)
SCALING = SynapticScaling(rate="rate", target=10, speed=0.05, w_max=1.0)
SLEEP = Sleep(gate="night", speed=0.1, w_max=1.0)
LATE = Consolidation(
    tau_early=40, tau_tag=60, tau_late=45, threshold=0.1, late_max=0.5, protein="protein", w_max=1.0
)  # fmt: skip

PARAMETERS = [
    (TRIPLET, {"a2_minus": -1.0}, "TripletSTDP.a2_minus = -1.0: it must be >= 0"),
    (TRIPLET, {"tau_plus": 0.0}, "TripletSTDP.tau_plus = 0.0 s: it must be > 0 s"),
    (TRIPLET, {"tau_y": None}, "TripletSTDP.tau_y is missing: a3_plus is read with its trace; give seconds"),
    (TRIPLET, {"a3_minus": 0.1}, "TripletSTDP.tau_x is missing"),
    (TRIPLET, {"a2_minus": 0.0, "a3_plus": 0.0}, "the rule changes nothing"),
    (TRIPLET, {"soft": 1}, "TripletSTDP.soft = 1: True or False is needed"),
    (TRIPLET, {"peak": 200.0}, "TripletSTDP.peak = 200.0: it must be >= 1 and <= 127"),
    (INHIBITORY, {"target_rate": 0.0}, "InhibitorySTDP.target_rate = 0.0 Hz: it must be > 0 Hz"),
    (INHIBITORY, {"eta": math.nan}, "InhibitorySTDP.eta = nan: a finite number is needed"),
    (OJA, {"alpha": 0.0}, "Oja.alpha = 0.0: it must be > 0"),
    (OJA, {"period": -1.0}, "Oja.period = -1.0 s: it must be > 0 s"),
    (BCM_RULE, {"power": 3}, "BCM.power = 3: 1 or 2 is needed"),
    (BCM_RULE, {"rate": 10.0}, "BCM.rate = 10.0: a modulator is needed, as net.modulator(...) or net.rate(...)"),
    (BCM_RULE, {"rate_0": 0.0}, "BCM.rate_0 = 0.0 Hz"),
    (META, {"power": 0}, "Metaplasticity.power = 0: 1 or 2 is needed"),
    (META, {"rate": None}, "Metaplasticity.rate = None: a modulator is needed"),
    (REWARD, {"a_plus": 0.0, "a_minus": 0.0}, "RewardSTDP.a_plus and a_minus are both 0"),
    (REWARD, {"modulator": ""}, "RewardSTDP.modulator = '': a modulator is needed"),
    (REWARD, {"c_max": 0.0}, "RewardSTDP.c_max = 0.0: it must be > 0"),
    (REWARD, {"tau_eligibility": 0.0}, "RewardSTDP.tau_eligibility = 0.0 s"),
    (CALCIUM, {"gamma_p": 0.0, "gamma_d": 0.0}, "CalciumRule.gamma_p and gamma_d are both 0"),
    (CALCIUM, {"theta_p": 0.0}, "CalciumRule.theta_p = 0.0: it must be > 0"),
    (CALCIUM, {"w_0": 1.5}, "CalciumRule.w_0 = 1.5: it must be > 0 and <= 1"),
    (CALCIUM, {"theta_d": 20.0}, "CalciumRule.theta_d = 20 is over the 12 that c can reach with peak = 4; raise peak"),
    (CALCIUM, {"tau": 0.0}, "CalciumRule.tau = 0.0 s"),
    (SCALING, {"target": 0.0}, "SynapticScaling.target = 0.0 Hz"),
    (SCALING, {"dead_zone": 1.0}, "SynapticScaling.dead_zone = 1.0: it must be >= 0 and <= 0.99"),
    (SCALING, {"w_max": -1.0}, "SynapticScaling.w_max = -1.0"),
    (SLEEP, {"speed": 0.0}, "Sleep.speed = 0.0 1/s: it must be > 0 1/s"),
    (LATE, {"threshold": 0.0}, "Consolidation.threshold = 0.0"),
    (LATE, {"w_0": 0.8}, "is over w_max = 1; lower late_max"),
    (LATE, {"tau_late": -1}, "Consolidation.tau_late = -1 s"),
]


@pytest.mark.parametrize(("rule", "change", "part"), PARAMETERS, ids=[part for _, _, part in PARAMETERS])
def test_impossible_parameters_are_refused_where_they_are_written(rule, change, part):
    with pytest.raises(ValidationError) as caught:
        replace(rule, **change)
    assert part in str(caught.value)


UNHOLDABLE = [
    (replace(OJA, period=1e5), "Oja.period = 100000 s is outside 0.001 to 32.768 s", "give a longer epoch"),
    (replace(OJA, period=1e-4), "Oja.period = 0.0001 s is outside 0.001 to 32.768 s", "give a shorter epoch"),
    (replace(SCALING, epoch=64 * ms, period=1e6), "is outside 0.064 to 2097.15 s", "give a longer epoch"),
    (replace(SLEEP, period=1e-6), "Sleep.period = 1e-06 s is outside", "give a shorter epoch"),
    (
        replace(REWARD, tau_eligibility=5e-4),
        "RewardSTDP.tau_eligibility = 0.0005 s is shorter than the epoch",
        "shorter",
    ),
    (replace(CALCIUM, tau_calcium=1e-4), "CalciumRule.tau_calcium = 0.0001 s is shorter than the epoch", "shorter"),
    (replace(LATE, tau_tag=1e-4), "the shortest time constant = 0.0001 s", "give a shorter epoch"),
    (replace(TRIPLET, epoch=2.5 * MS), "TripletSTDP.epoch = 0.0025 s is no multiple of dt", "multiple"),
    (replace(BCM_RULE, epoch=0.1), "BCM.epoch = 0.1 s is 100 steps", "at most 64"),
]


RESULTS = {"Held", "Lowered", "PlasticityRule"}  # what a rule gives, and what it is made from


@pytest.mark.parametrize("name", sorted(set(plasticity.__all__) - RESULTS))
def test_a_parameter_that_a_rule_does_not_have_is_refused_by_name(name):
    with pytest.raises(ValidationError, match=f"^{name} has no parameter 'w_mx'; (did you mean|known: )"):
        getattr(plasticity, name)(w_mx=1)


@pytest.mark.parametrize(
    ("make", "part"),
    [
        (lambda: PAIRS + cast("Any", 1), "1 is no rule of synapses"),
        (lambda: plasticity.Sum(cast("Any", (1, 2))), "1 is no rule of synapses"),
        (lambda: plasticity.Sum(cast("Any", 7)), "Sum.rules = 7: several rules"),
        (lambda: Custom(dw="2^-2*x1*y0", traces=cast("Any", ["x1"])), "Custom.traces = "),
        (lambda: Custom(dw="2^-2*x1*y0", traces={"x1": cast("Any", 3)}), "TraceSpec.impulse=16"),
    ],
)
def test_what_is_no_rule_or_trace_is_refused(make, part):
    with pytest.raises(ValidationError, match=part):
        make()


def test_a_missing_parameter_is_named():
    with pytest.raises(ValidationError, match="Hebbian: missing a required argument: 'eta'; parameters: eta, tau_pre"):
        Hebbian()


@pytest.mark.parametrize(("rule", "part", "way"), UNHOLDABLE, ids=[part for _, part, _ in UNHOLDABLE])
def test_what_cannot_be_held_says_why_and_what_to_do(rule, part, way):
    with pytest.raises(ValidationError) as caught:
        rule.lower(UNIT, MS, dict.fromkeys(rule.reads, 1.0))
    assert part in str(caught.value)
    assert way in str(caught.value)


TOO_SMALL = [
    replace(TRIPLET, a3_plus=1e-7),
    replace(INHIBITORY, eta=1e-7),
    replace(OJA, eta=1e-6),
    replace(REWARD, eta=1e-6),
    replace(SCALING, speed=1e-8),
    replace(SLEEP, speed=1e-8),
    replace(CALCIUM, gamma_p=1e-6),
]


@pytest.mark.parametrize("rule", TOO_SMALL, ids=lambda rule: type(rule).__name__)
def test_a_change_that_rounds_to_zero_is_warned_about_with_the_way_out(rule):
    warnings = rule.lower(UNIT, MS, dict.fromkeys(rule.reads, 12.7)).warnings
    assert any("rounds to zero" in text and "rarer and larger" in text for text in warnings)


CONFLICTS = [
    (
        lambda: replace(PAIRS, epoch=2 * ms) + replace(SCALING, epoch=4 * ms),
        "Sum: the rules differ in epoch: STDP has 0.002, SynapticScaling has 0.004; give all the same",
    ),
    (
        lambda: PAIRS + replace(SCALING, w_max=2.0),
        "Sum: the rules differ in w_max: STDP has 1.0, SynapticScaling has 2.0",
    ),
    (lambda: replace(PAIRS, seed=1) + replace(SLEEP, seed=2), "Sum: the rules differ in seed"),
    (lambda: (REWARD + LATE).ideal(MS), "Sum: RewardSTDP and Consolidation both use the tag t"),
    (
        lambda: (TRIPLET + Hebbian(0.1, 1 * ms, 2 * ms, w_max=1.0, period=8 * ms) + META + BCM_RULE).ideal(MS),
        "Sum: Metaplasticity needs one more trace",
    ),
    (
        lambda: (PAIRS + Custom("2^-5*y0*w")).ideal(MS),
        "Sum: Custom is in machine units and cannot be a part of another",
    ),
    (lambda: Gate(Custom("2^-5*y0*w"), by="gate").ideal(MS), "Gate: Custom is in machine units"),
    (lambda: Gate(REWARD, by="gate").ideal(MS), "Gate: RewardSTDP has tags"),
    (lambda: Gate(cast("Any", "STDP"), by="gate"), "Gate.rule = 'STDP': a rule of neuromorph.plasticity is needed"),
    (lambda: Gate(PAIRS, by=cast("Any", 1.0)), "Gate.by = 1.0: a modulator is needed"),
    (lambda: Gate(PAIRS, by="gate", brake=cast("Any", 1)), "Gate.brake = 1: True or False is needed"),
    (lambda: FiniteResource(SCALING, total=1.0).ideal(MS), "FiniteResource: SynapticScaling has no term that only pot"),
    (lambda: FiniteResource(PAIRS, total=0.0), "FiniteResource.total = 0.0: it must be > 0"),
    (
        lambda: FiniteResource(PAIRS, total=1e9).lower(UNIT, MS),
        "a sum of weights of 1e+09 is 2.55e+11 units",
    ),
    (lambda: BCM_RULE.lower(UNIT, MS), "BCM: the modulator 'rate' has no unit"),
    (
        lambda: Gate(Gate(Gate(Gate(Gate(PAIRS, "a"), "b"), "c"), "d"), "e").lower(
            UNIT, MS, dict.fromkeys("abcde", 1.0)
        ),
        "it reads 5 modulators (a, b, c, d, e); at most 4",
    ),
]


@pytest.mark.parametrize(("make", "part"), CONFLICTS, ids=[part for _, part in CONFLICTS])
def test_rules_that_do_not_fit_each_other_are_refused_by_name(make, part):
    with pytest.raises(nm.NeuromorphError) as caught:
        make()
    assert part in str(caught.value)


def test_sums_are_flat_and_agree_on_what_only_one_says():
    rule = (replace(PAIRS, epoch=2 * ms) + SCALING) + SLEEP
    assert [type(part).__name__ for part in rule.rules] == ["STDP", "SynapticScaling", "Sleep"]
    assert (rule.epoch, rule.bound, rule.sign, rule.reads) == (2 * ms, 1.0, None, ("rate", "night"))
    assert rule.ideal(MS).t_epoch == 2
    assert (PAIRS + INHIBITORY).sign == "inh"


def test_equal_traces_are_shared_and_others_take_the_free_ones():
    shared = (PAIRS + InstarSTDP(0.1, 20 * ms, w_max=1.0)).ideal(MS)
    assert set(shared.traces) == {"x1", "y1"}
    apart = (PAIRS + InstarSTDP(0.1, 5 * ms, w_max=1.0)).ideal(MS)
    assert set(apart.traces) == {"x1", "y1", "x2"}
    read = [{f.variable for f in term.factors} for term in apart.dw]
    assert {"x2"} in read


# ---------------------------------------------------------------------------------------------------- networks, targets


def network(rule, sign=None, weights=0.5):
    net = nm.Network(name="net", dt=1 * ms, seed=1)
    source = net.input(4, name="source")
    cells = net.population(3, nm.LIF(tau_m=20 * ms), name="cells")
    other = net.population(3, nm.LIF(tau_m=20 * ms), name="other")
    if rule.reads:
        net.rate(cells, tau=1.0, full_scale=100.0, name="rate")
        net.rate(other, tau=1.0, full_scale=100.0, name="rate of other")
        net.modulator(name="dopamine")
    net.connect(source, cells, weights=weights, plasticity=rule, sign=sign, name="syn")
    return net


def test_a_modulator_that_does_not_exist_is_named_with_the_nearest():
    with pytest.raises(
        ValidationError, match="SynapticScaling reads the modulator 'rat', which does not exist; did you"
    ):
        network(replace(SCALING, rate="rat"))


def test_a_modulator_of_other_neurons_is_refused():
    with pytest.raises(ValidationError, match="has a value for each neuron of 'other', but 'cells' is the target"):
        network(replace(SCALING, rate="rate of other"))


def test_a_rule_made_for_inhibition_is_refused_on_excitation():
    with pytest.raises(ValidationError, match="InhibitorySTDP is made for sign = 'inh', not 'exc'; leave sign out"):
        network(INHIBITORY, sign="exc")
    assert network(INHIBITORY, weights=-0.5).drawn["syn"].sign == "inh"


REFUSED_BY_LOIHI = [
    (REWARD, "modulators"),
    (SCALING, "modulators"),
    (CALCIUM, "factors of two variables"),
    (FiniteResource(PAIRS, total=2.0), "factors of two variables"),
]


@pytest.mark.parametrize(("rule", "what"), REFUSED_BY_LOIHI, ids=lambda value: type(value).__name__)
def test_a_target_without_the_feature_refuses_by_name(rule, what):
    old = frozenset({"plastic", "synapse_rounding", "tags"})
    target = Target("old", "simulator", "integer", "without extensions", features=old)
    with pytest.raises(UnsupportedError) as caught:
        nm.compile(network(rule), target=target)
    assert f"target 'old' does not hold {what}" in str(caught.value)
    assert ";" in str(caught.value)


@pytest.mark.parametrize(
    ("dw", "column", "what", "instead"),
    [
        ("x0*y1 + x0*(w - y1)", 9, "factors of two variables, needed by 'syn' (x0*(w - y1))", "and a constant"),
        ("x0*y1 - 2^-1*u12*w", 9, "a period of 2^12 epochs, needed by 'syn' (-2^-1*u12*w)", "use u0 to u9, or"),
        ("x0*on(w)", 1, "pos, on, and sgn of traces, needed by 'syn' (x0*on(w))", "a variable and a constant"),
    ],
)
def test_a_product_that_a_target_lacks_is_shown_where_it_stands(dw, column, what, instead):
    features = frozenset({"plastic", "synapse_rounding"})
    old = Target("old", "simulator", "integer", "without extensions", features=features)
    rule = Custom(dw=dw, traces={"y1": TraceSpec(16, 20 * ms)})
    with pytest.raises(UnsupportedError) as caught:
        nm.compile(network(rule), target=old)
    assert f"target 'old' does not hold {what}; " in str(caught.value)
    assert instead in str(caught.value)
    assert f"see dw, at column {column}:\n  {dw}\n" in str(caught.value)


# -------------------------------------------------------------------------------------------------------- rules as text


TEXTS = {
    # of a Custom with the traces x1 and y1 and the modulator "reward": column from 0, part of the message
    "2^-2*y0*x1*rewrd": (11, "did you mean reward"),
    "2^-2*y0*x1*m2": (11, "the rule has no modulator m2; add it to modulators"),
    "2^-2*y0*x2": (8, "the trace x2 has no impulse and time constant; add it to traces"),
    "u0*pos(w - d - x1)": (15, "more than two variables"),
    "u0*on(-x1 - y1)": (7, "cannot subtract two variables"),
    "u0*on()": (6, "a variable is missing"),
    "u0*on(u1)": (6, "takes numbers, not the period"),
    "u16*w": (0, "one of u0..u15"),
    "u0*pos(x1 + 600)": (12, "too large"),
    "u0*(reward - 200)*t": (13, "too large"),
    "u0*(q + 600)": (8, "too large"),
    "u0*on(x1": (5, "not closed"),
    "u0*max(x1)": (3, "is unknown"),
    "reward*t": (0, "no dependency"),
    "u0*reward^2": (9, "write the factor twice"),
    # what can leave the 32 bits of a product
    "x0*y1 + u0*w*w*w*w": (8, "can reach 4.2e+09, over 2^31, and would wrap; use fewer or narrower factors"),
    "-x0*7*w*w*w*const(200)": (1, "would wrap"),
    "u0*x1 - 2^-3*y0*-7*q*t*w*x1": (8, "would wrap"),
    "u0*reward*reward*reward*reward*t": (0, "would wrap"),
}


@pytest.mark.parametrize("text", TEXTS)
def test_a_wrong_text_is_refused_at_its_column(text):
    column, part = TEXTS[text]
    traces = {"x1": TraceSpec(16, 20 * ms), "y1": TraceSpec(16, 20 * ms)}
    with pytest.raises(RuleError) as caught:
        Custom(text, traces=traces, modulators={"reward": "dopamine"})
    assert part in str(caught.value)
    assert caught.value.column == column


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("x0", [0]),
        ("-x0 + 2*y0*-3*x1 - (2^-3)*u0*w", [1, 6, 19]),
        ("x0 + -u1*w - -2*x0", [0, 6, 14]),
        ("2^-2*x1*y0*(w - d) - u3*on(x1 + y1 - 4)", [0, 21]),
    ],
)
def test_an_error_can_point_at_each_product(text, columns):
    assert product_columns(text) == columns
    assert len(parse_products(text)) == len(columns)


def test_a_text_whose_changes_are_lost_is_warned_about():
    rule = Custom("2^-7*u0*x1*y1*y1*y1", traces={"x1": TraceSpec(3, 20 * ms), "y1": TraceSpec(3, 20 * ms)})
    (warning,) = rule.lower(UNIT, MS).warnings
    assert "Custom.dw, 2^-7*u0*x1*y1*y1*y1: the change is far below 1/128 of the weight step" in warning
    assert "rounds to zero" in warning


def test_a_lost_change_is_told_with_the_limit_of_its_profile():
    def warning(profile: str) -> str:
        net = nm.Network(dt=1 * ms)
        source, cells = net.input(2, name="source"), net.population(2, nm.LIF(tau_m=20 * ms), name="cells")
        rule = STDP(a_plus=1e-9, a_minus=0.01, tau_plus=20 * ms, tau_minus=20 * ms, w_max=1.0)
        net.connect(source, cells, weights=0.5, plasticity=rule, name="syn")
        report = nm.compile(net, profile=profile).report
        assert report is not None
        (found,) = [w.message for w in report.warnings if "a_plus: the change" in w.message]
        return found

    assert "far below 1/128 of the weight step" in warning("loihi2")
    assert "profile wide holds changes from 1/2097152 of it on" in warning("loihi2")
    assert "far below 1/2097152 of the weight step" in warning("wide")
    assert "profile wide" not in warning("wide")


def test_names_of_modulators_in_a_text_are_names():
    for name, part in (
        ("x1", "no variable or function"),
        ("2nd", "letters, digits"),
        ("on", "no variable or function"),
    ):
        with pytest.raises(ValidationError, match=part):
            Custom("u0*w", modulators={name: "dopamine"})
    with pytest.raises(ValidationError, match="5 modulators; at most 4"):
        Custom("u0*w", modulators=dict.fromkeys("abcef", "dopamine"))
    with pytest.raises(ValidationError, match=r"Custom.modulators\['reward'\] = 1.0: a modulator is needed"):
        Custom("u0*w", modulators={"reward": 1.0})


def test_a_text_with_modulators_says_its_gain_and_runs():
    rule = Custom("2^-3*u2*reward*t", dt="2^-1*y0*x1 - 2^-4*u2*t", traces={"x1": TraceSpec(16, 20 * ms)},
                  modulators={"reward": "dopamine"}, w_max=1.0)  # fmt: skip
    program = nm.compile(network(rule), target="cpu:ref")
    assert program.projections["syn"].rule.modulators == ("dopamine",)
    notes = {entry.parameter: entry for entry in program.report.entries}
    # 7 + 9 bits: shifted by 5
    assert notes["rule dw 2^-3*u2*reward*t"].held == 2.0**-8
