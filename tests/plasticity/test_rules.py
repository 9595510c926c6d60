"""Named rules: what they refuse, and what becomes of their parameters in the integer machine."""

import copy
import math
import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuromorph.errors import RuleError, UnsupportedError, ValidationError
from neuromorph.language import parse_products
from neuromorph.plasticity import STDP, Custom, Hebbian, InstarSTDP, ThresholdAdaptation, TraceSpec
from neuromorph.plasticity.base import IdealFactor, IdealRule, IdealTrace, Term
from neuromorph.plasticity.lowering import nearest_scale, quantise
from neuromorph.rule import Factor, Product, Trace

MS = 1e-3
UNIT = 1 / 255


def stdp(**changes):
    parameters = {"a_plus": 0.01, "a_minus": 0.012, "tau_plus": 17 * MS, "tau_minus": 34 * MS, "w_max": 1.0}
    return STDP(**{**parameters, **changes})


def instar(**changes):
    return InstarSTDP(**{"eta": 0.125, "tau": 5 * MS, "w_max": 1.0, **changes})


def hebbian(**changes):
    parameters = {"eta": 1.0, "tau_pre": 20 * MS, "tau_post": 20 * MS, "w_max": 1.0, "period": 4 * MS, "decay": 1.0}
    return Hebbian(**{**parameters, **changes})


def custom(dw="2^-2*y0*x1", **changes):
    return Custom(dw, **{"traces": {"x1": TraceSpec(16, 20 * MS)}, **changes})


WRONG = [
    (lambda: stdp(a_plus=-0.1), "STDP.a_plus = -0.1: it must be >= 0"),
    (lambda: stdp(a_plus=0, a_minus=0), "changes nothing"),
    (lambda: stdp(a_plus="0.1"), "a finite number is needed"),
    (lambda: stdp(a_minus=math.nan), "a finite number is needed"),
    (lambda: stdp(tau_plus=0), "tau_plus = 0 s: it must be > 0 s"),
    (lambda: stdp(tau_minus=math.inf), "a finite number is needed"),
    (lambda: stdp(w_max=0), "w_max = 0: it must be > 0"),
    (lambda: stdp(w_max=True), "a finite number is needed"),
    (lambda: stdp(variant="hard"), "one of additive, multiplicative, soft, nearest"),
    (lambda: stdp(peak=0.5), "it must be >= 1 and <= 127"),
    (lambda: stdp(seed=-1), "seed = -1"),
    (lambda: stdp(seed=1.5), "an integer is needed"),
    (lambda: stdp(epoch=0), "epoch = 0 s"),
    (lambda: instar(eta=0), "eta = 0"),
    (lambda: instar(eta=1.5), "<= 1"),
    (lambda: instar(gain=-1), "gain = -1"),
    (lambda: instar(graded=1), "True or False"),
    (lambda: hebbian(eta=0), "eta = 0"),
    (lambda: hebbian(decay=-1), "decay = -1"),
    (lambda: hebbian(decay=300), "period * decay = 1.2"),
    (lambda: custom(""), "all empty"),
    (lambda: custom(traces={"x3": TraceSpec(1, 1)}), "'x3' is unknown; one of x1, x2"),
    (lambda: custom(traces={"x1": (16, 0.02)}), "a TraceSpec is needed, not tuple"),
    (lambda: custom(graded_trace="add"), "one of none, overwrite"),
    (lambda: custom(graded_trace="overwrite"), "x1 with impulse 0"),
    (lambda: custom(w_max=0), "w_max = 0"),
    (lambda: TraceSpec(128, 0.02), "impulse = 128"),
    (lambda: TraceSpec(16, -0.02), "tau = -0.02 s"),
    (lambda: ThresholdAdaptation(-0.1, 1.0), "increment"),
    (lambda: ThresholdAdaptation(0.1, 0.0), "tau"),
    (lambda: ThresholdAdaptation(0.1, 1.0, init=[math.nan]), "init"),
    (lambda: ThresholdAdaptation("much", 1.0), "increment"),
]


@pytest.mark.parametrize(("make", "part"), WRONG, ids=[part for _, part in WRONG])
def test_impossible_parameters_are_refused_where_they_are_written(make, part):
    with pytest.raises(ValidationError) as caught:
        make()
    assert part in str(caught.value)


UNHOLDABLE = [
    (lambda: stdp(epoch=2.5 * MS).lower(UNIT, MS), "no multiple of dt"),
    (lambda: stdp(epoch=65 * MS).lower(UNIT, MS), "65 steps; at most 64"),
    (lambda: hebbian(period=3 * MS).lower(UNIT, MS), "a power of two"),
    (lambda: hebbian(period=1.024, decay=0).lower(UNIT, MS), "0.001 to 0.512 s"),
    (lambda: hebbian(period=4 * MS, epoch=8 * MS).lower(UNIT, MS), "a power of two"),
    (lambda: instar(eta=0.001).lower(UNIT, MS), "below the machine's smallest scale"),
    (lambda: stdp(variant="soft").lower(1 / 1000, MS), "outside -512..511"),
    (lambda: stdp().lower(0.0, MS), "weight unit"),
    (lambda: stdp().lower(math.nan, MS), "weight unit"),
    (lambda: custom().lower(-1.0, MS), "weight unit"),
]


@pytest.mark.parametrize(("lower", "part"), UNHOLDABLE, ids=[part for _, part in UNHOLDABLE])
def test_what_cannot_be_held_is_refused_when_it_is_lowered(lower, part):
    with pytest.raises(ValidationError) as caught:
        lower()
    assert part in str(caught.value)


def test_tags_in_physical_units_are_refused_with_the_alternative():
    rule = IdealRule((), {}, dt=(Term("a", "x0", 1.0),))
    with pytest.raises(UnsupportedError, match="write the rule as Custom"):
        quantise("Mine", rule, UNIT, MS, 1.0)


def test_a_missing_trace_is_an_error_at_its_column():
    with pytest.raises(RuleError, match="y1 has no impulse") as caught:
        custom("2^-2*y0*x1 - 2^-2*x0*y1")
    assert caught.value.column == 21


# ---------------------------------------------------------------------------------------------- scales


@given(st.floats(2.0**-7, 7 * 2.0**8), st.integers(0, 14), st.sampled_from((-1, 1)))
def test_a_scale_is_held_within_a_ninth(value, shift, sign):
    # 3-bit mantissas 4, 5, 6, 7: halfway between 4 and 5 is 1/9 away from both
    mant, exp = nearest_scale(sign * value * 2.0**-shift, shift)
    held = mant * 2.0 ** (exp - shift)
    assert abs(held / (sign * value * 2.0**-shift) - 1) <= (1 / 9 if value >= 2**-5 else 1 / 3) + 1e-12


@pytest.mark.parametrize("mant", [*range(-7, 0), *range(1, 8)])
@pytest.mark.parametrize("exp", [-7, 0, 8])
def test_scales_of_the_machine_are_held_exactly(mant, exp):
    held = nearest_scale(mant * 2.0**exp)
    assert held[0] * 2.0 ** held[1] == mant * 2.0**exp


def test_nothing_is_nearer_than_the_smallest_scale():
    assert nearest_scale(2.0**-9) == (0, 0)


def held_amplitude(lowered, trace, impulses=1.0, weight=None):
    """Change in weight units that the products of a trace make after one spike, without rounding."""
    total = 0.0
    held = lowered.rule.traces[trace]
    for product in lowered.rule.dw:
        values = {trace: min(127, held.ii + held.fi / 256) * impulses, "w": weight, "1": 0}
        if trace in {f.variable for f in product.factors}:
            change = product.gain
            for factor in product.factors:
                change *= values[factor.variable] + factor.constant
            total += change * UNIT
    return total


AMPLITUDES = st.floats(0.002, 0.3)  # half a weight step to 76 of 255


@settings(max_examples=60)
@given(AMPLITUDES, AMPLITUDES, st.floats(1, 16))
def test_additive_amplitudes_are_held_within_1_percent(a_plus, a_minus, peak):
    lowered = stdp(a_plus=a_plus, a_minus=a_minus, peak=peak).lower(UNIT, MS)
    assert held_amplitude(lowered, "x1") == pytest.approx(a_plus, rel=0.0101)
    assert held_amplitude(lowered, "y1") == pytest.approx(-a_minus, rel=0.0101)


@settings(max_examples=60)
@given(AMPLITUDES, AMPLITUDES, st.integers(0, 255))
def test_soft_bounds_are_held_within_1_percent(a_plus, a_minus, weight):
    lowered = stdp(a_plus=a_plus, a_minus=a_minus, variant="soft").lower(UNIT, MS)
    up, down = held_amplitude(lowered, "x1", weight=weight), held_amplitude(lowered, "y1", weight=weight)
    assert up == pytest.approx(a_plus * (1 - weight / 255), rel=0.0101)
    assert down == pytest.approx(-a_minus * weight / 255, rel=0.0101)


def test_multiplicative_depression_is_proportional_to_the_weight():
    lowered = stdp(variant="multiplicative").lower(UNIT, MS)
    assert held_amplitude(lowered, "x1") == pytest.approx(0.01, rel=0.0101)
    assert held_amplitude(lowered, "y1", weight=100) == pytest.approx(-0.012 * 100 / 255, rel=0.0101)


@settings(max_examples=60)
@given(st.floats(0.02, 0.3), st.floats(0.02, 0.3))
def test_nearest_pairs_are_held_by_traces_that_every_spike_saturates(a_plus, a_minus):
    lowered = stdp(a_plus=a_plus, a_minus=a_minus, variant="nearest").lower(UNIT, MS)
    assert {t.ii for t in lowered.rule.traces.values()} == {127}
    assert held_amplitude(lowered, "x1") == pytest.approx(a_plus, rel=0.0101)
    assert held_amplitude(lowered, "y1") == pytest.approx(-a_minus, rel=0.0101)


@settings(max_examples=60)
@given(AMPLITUDES, AMPLITUDES, st.sampled_from(("additive", "multiplicative", "soft", "nearest")))
def test_notes_tell_the_truth(a_plus, a_minus, variant):
    lowered = stdp(a_plus=a_plus, a_minus=a_minus, variant=variant).lower(UNIT, MS)
    notes = {note.name: note for note in lowered.notes}
    scale = 1 if variant in ("additive", "nearest") else 255
    weight = {"multiplicative": 255, "soft": 0}.get(variant)
    assert notes["a_plus"].asked * (255 * UNIT if variant == "soft" else 1) == pytest.approx(a_plus)
    assert held_amplitude(lowered, "x1", weight=weight) == pytest.approx(notes["a_plus"].held)
    assert notes["a_minus"].asked == pytest.approx(a_minus)
    full = held_amplitude(lowered, "y1", weight=None if scale == 1 else 255)
    assert -full == pytest.approx(notes["a_minus"].held)
    assert notes["a_plus"].error == pytest.approx(notes["a_plus"].held / notes["a_plus"].asked - 1)


@settings(max_examples=40)
@given(AMPLITUDES, st.floats(1, 16))
def test_traces_hold_their_peak(a_plus, peak):
    trace = stdp(a_plus=a_plus, peak=peak).lower(UNIT, MS).rule.traces["x1"]
    assert (trace.ii + trace.fi / 256) * peak <= 127


@settings(max_examples=40)
@given(st.floats(0.05, 0.3))
def test_traces_use_their_bits(a_plus):
    trace = stdp(a_plus=a_plus, peak=4).lower(UNIT, MS).rule.traces["x1"]
    assert 127 / 4 / 2 - 1 <= trace.ii <= 127 / 4


def test_an_impulse_without_a_fraction_is_preferred():
    # it needs no random number
    impulses = [stdp(a_plus=a / 100).lower(UNIT, MS).rule.traces["x1"] for a in range(4, 30)]
    assert sum(trace.fi == 0 for trace in impulses) > len(impulses) / 2


@settings(max_examples=40)
@given(st.floats(0.01, 1.0))
def test_a_trace_that_enters_twice_is_scaled_twice(coefficient):
    square = Term("a", "y0", coefficient, (IdealFactor("x1"), IdealFactor("x1")))
    lowered = quantise("Mine", IdealRule((square,), {"x1": IdealTrace(0.02)}), UNIT, MS, 1.0)
    (product,) = lowered.rule.dw
    impulse = lowered.rule.traces["x1"].ii + lowered.rule.traces["x1"].fi / 256
    assert product.gain * impulse**2 * UNIT == pytest.approx(coefficient, rel=0.0101)
    assert len(product.factors) == 2  # no constant needed: the trace's scale was chosen for it


def test_time_constants_and_epoch_are_in_steps():
    rule = stdp(epoch=2 * MS, seed=7).lower(UNIT, MS / 2).rule
    assert (rule.traces["x1"].tau, rule.traces["y1"].tau) == pytest.approx((34, 68))
    assert (rule.t_epoch, rule.seed) == (4, 7)


def test_a_rule_without_depression_has_one_product():
    assert len(stdp(a_minus=0).lower(UNIT, MS).rule.dw) == 1


@pytest.mark.parametrize("a_plus", [1e-9, 1e-6, 2e-5])  # the last one is 0.005 weight steps
def test_changes_that_round_to_zero_are_warned_about(a_plus):
    lowered = stdp(a_plus=a_plus).lower(UNIT, MS)
    (warning,) = lowered.warnings
    assert "STDP.a_plus" in warning
    assert "zero" in warning


def test_changes_that_saturate_are_warned_about():
    assert any("saturates" in w for w in stdp(a_plus=0.9).lower(UNIT, MS).warnings)


def test_a_weight_scale_that_misses_w_max_is_warned_about():
    assert any("not at w_max" in w for w in stdp().lower(2 * UNIT, MS).warnings)


def test_ordinary_rules_have_no_warnings():
    for rule in (stdp(), stdp(variant="soft"), stdp(variant="multiplicative"), stdp(variant="nearest"), instar()):
        assert rule.lower(UNIT, MS).warnings == ()


# ---------------------------------------------------------------------------------------------- other rules


def test_graded_instar_is_the_rule_of_an_online_k_means():
    rule = instar(graded=True, tau=0.2).lower(UNIT, MS).rule
    # the largest payload 254 makes x1 = 127; the weight then moves towards 254 of 255 units
    assert rule.dw == parse_products("2^-2*y0*x1 - 2^-3*y0*w")
    assert rule.traces == {"x1": Trace(0, 0, 200.0)}
    assert rule.graded_trace == "overwrite"


@settings(max_examples=60)
@given(st.floats(0.01, 1.0), st.floats(0.05, 2.0))
def test_the_instar_goal_is_held_better_than_its_rate(eta, gain):
    lowered = instar(eta=eta, gain=gain).lower(UNIT, MS)
    rise = held_amplitude(lowered, "x1")
    (fall,) = (p for p in lowered.rule.dw if "w" in {f.variable for f in p.factors})
    assert rise / -fall.gain == pytest.approx(gain, rel=0.0101)  # where w stops moving after one spike
    assert -fall.gain == pytest.approx(eta, rel=0.34 if eta < 2**-5 else 1 / 9 + 1e-9)
    assert lowered.notes[0].name == "learning rate"
    assert lowered.notes[0].held == -fall.gain


def test_hebbian_changes_are_per_period():
    lowered = hebbian().lower(UNIT, MS)
    grow, decay = lowered.rule.dw
    assert (grow.dependency, grow.k, decay.dependency, decay.k) == ("u", 2, "u", 2)
    x1, y1 = (lowered.rule.traces[t].ii + lowered.rule.traces[t].fi / 256 for t in ("x1", "y1"))
    assert grow.gain * x1 * y1 * UNIT == pytest.approx(1.0 * 4 * MS, rel=0.0101)
    constant = math.prod(f.constant for f in decay.factors if f.variable == "1")
    assert decay.gain * constant == pytest.approx(-1.0 * 4 * MS, rel=0.0101)


def test_custom_rules_go_to_the_machine_as_written():
    rule = Custom(
        "2^-4*y0*x1*(255-w)",
        dt="x0*y1 - 2^-3*u0*t",
        traces={"x1": TraceSpec(20.5, 20 * MS), "y1": TraceSpec(3, 0)},
        epoch=2 * MS,
        seed=3,
    )
    lowered = rule.lower(0.01, MS)
    assert lowered.rule.dw == (Product("y0", -1, -4, (Factor("x1"), Factor("w", -255))),)
    assert lowered.rule.dt == parse_products("x0*y1 - 2^-3*u0*t")
    assert lowered.rule.traces == {"x1": Trace(20, 128, 20.0), "y1": Trace(3, 0, 0.0)}
    assert (lowered.rule.t_epoch, lowered.rule.seed) == (2, 3)
    # 7 + 9 bits: 5 more than the 11 that fit, so the gain is 32 times smaller than written
    gain = next(note for note in lowered.notes if note.name.startswith("dw"))
    assert (gain.asked, gain.held) == (-(2.0**-4), -(2.0**-9))


def test_rules_are_values():
    assert custom() == custom()
    assert stdp() == stdp()
    assert copy.deepcopy(custom()) == pickle.loads(pickle.dumps(custom())) == custom()
    assert custom() != custom("2^-3*y0*x1")
    with pytest.raises(AttributeError):
        stdp().a_plus = 1.0
