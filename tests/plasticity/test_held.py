"""Named rules over their ranges: what the integers hold is right, or the report says that it is not."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuromorph.plasticity import (
    BCM,
    STDP,
    CalciumRule,
    Consolidation,
    FiniteResource,
    Gate,
    Hebbian,
    InhibitorySTDP,
    Metaplasticity,
    Oja,
    RewardSTDP,
    Sleep,
    SynapticScaling,
    TripletSTDP,
)
from neuromorph.plasticity.effect import largest_factor

MS = 1e-3
W_MAX = 0.8
AMPLITUDES = st.floats(2e-5, 0.1)  # 0.006 to 32 weight steps
TAUS = st.floats(2e-3, 0.4)
SLOW = st.floats(0.5, 100.0)
PEAKS = st.floats(1.0, 20.0)
RATES = st.floats(1.0, 60.0)
PERIODS = st.floats(2e-3, 10.0)
SPEEDS = st.floats(1e-3, 1.0)
UNITS = {"rate": 127 / 100, "level": 127.0, "dopamine": 127 / 4}


def pairs(a_plus, a_minus, tau, peak):
    return STDP(a_plus, a_minus, tau, tau, w_max=W_MAX, peak=peak)


PAIRS = st.builds(pairs, AMPLITUDES, AMPLITUDES, TAUS, PEAKS)
RULES = {
    "TripletSTDP": st.builds(
        TripletSTDP, a2_plus=AMPLITUDES, a2_minus=AMPLITUDES, a3_plus=AMPLITUDES, a3_minus=AMPLITUDES, tau_plus=TAUS,
        tau_minus=TAUS, tau_x=TAUS, tau_y=TAUS, w_max=st.just(W_MAX), soft=st.booleans(), peak=PEAKS,
    ),
    "InhibitorySTDP": st.builds(
        InhibitorySTDP, eta=AMPLITUDES, tau=TAUS, target_rate=RATES, w_max=st.just(W_MAX), peak=PEAKS
    ),
    "Oja": st.builds(
        Oja, eta=SPEEDS, alpha=st.floats(0.1, 10.0), tau_pre=TAUS, tau_post=TAUS, w_max=st.just(W_MAX),
        period=PERIODS, peak=PEAKS,
    ),
    "Hebbian": st.builds(
        Hebbian, eta=SPEEDS, tau_pre=TAUS, tau_post=TAUS, w_max=st.just(W_MAX),
        period=st.sampled_from((0.001, 0.016, 0.256)), decay=SPEEDS, peak=PEAKS,
    ),
    "BCM": st.builds(
        BCM, eta=AMPLITUDES, tau_pre=TAUS, tau_post=TAUS, rate=st.just("rate"), rate_0=RATES, w_max=st.just(W_MAX),
        power=st.sampled_from((1, 2)), peak=PEAKS,
    ),
    "Metaplasticity": st.builds(
        Metaplasticity, a2_minus=AMPLITUDES, a3_plus=AMPLITUDES, tau_plus=TAUS, tau_minus=TAUS, tau_y=TAUS,
        rate=st.just("rate"), rate_0=RATES, w_max=st.just(W_MAX), power=st.sampled_from((1, 2)), peak=PEAKS,
    ),
    "RewardSTDP": st.builds(
        RewardSTDP, a_plus=AMPLITUDES, a_minus=AMPLITUDES, tau_plus=TAUS, tau_minus=TAUS, tau_eligibility=SLOW,
        modulator=st.just("dopamine"), eta=SPEEDS, w_max=st.just(W_MAX), peak=PEAKS,
    ),
    "CalciumRule": st.builds(
        CalciumRule, tau_calcium=TAUS, c_pre=st.floats(0.5, 2.0), c_post=st.floats(0.5, 2.0),
        theta_p=st.floats(1.0, 3.0), theta_d=st.floats(0.5, 3.0), gamma_p=SPEEDS, gamma_d=SPEEDS,
        w_max=st.just(W_MAX), tau=st.none() | SLOW, w_0=st.floats(0.2, 0.8), peak=st.floats(3.0, 20.0),
    ),
    "SynapticScaling": st.builds(
        SynapticScaling, rate=st.just("rate"), target=RATES, speed=SPEEDS, period=PERIODS,
        dead_zone=st.sampled_from((0.0, 0.1, 0.4)), w_max=st.just(W_MAX),
    ),
    "Sleep": st.builds(Sleep, gate=st.just("level"), speed=SPEEDS, period=PERIODS, w_max=st.just(W_MAX)),
    "Consolidation": st.builds(
        Consolidation, tau_early=SLOW, tau_tag=SLOW, tau_late=SLOW, threshold=st.floats(0.02, 0.4),
        late_max=st.floats(0.1, 0.6), protein=st.just("level"), w_0=st.floats(0.0, 0.2), w_max=st.just(W_MAX),
    ),
    "Gate": st.builds(Gate, PAIRS, by=st.just("level"), brake=st.booleans()),
    "FiniteResource": st.builds(FiniteResource, PAIRS, total=st.floats(0.5, 1e4)),
    "sum": st.builds(
        lambda pairs, scaling, sleep: pairs + scaling + sleep,
        PAIRS,
        st.builds(SynapticScaling, rate=st.just("rate"), target=RATES, speed=SPEEDS, period=PERIODS),
        st.builds(Sleep, gate=st.just("level"), speed=SPEEDS, period=PERIODS),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", RULES)
@settings(max_examples=60)
@given(st.data())
def test_a_rate_is_held_within_a_ninth_or_there_is_a_warning(name, data):
    rule = data.draw(RULES[name])
    lowered = rule.lower(W_MAX / 255, MS, {name: UNITS[name] for name in rule.reads})
    for product in lowered.rule.products:
        largest = abs(product.mant)
        for factor in product.factors:
            largest *= largest_factor(factor)
        assert largest < 2**31
    held = {note.name: note for note in lowered.notes}
    warned = " ".join(lowered.warnings)
    for key, note in held.items():
        term = key.removesuffix(", effective")
        final = held.get(f"{term}, effective", note)
        if not key.startswith(("x", "y")) and "constant beside" not in key:
            assert abs(final.error) <= 0.112 or f"{term}:" in warned, (key, final)
