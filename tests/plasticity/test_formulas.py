"""Named rules in floats against their papers' formulas, spike by spike.

One synapse, random spikes on both sides. Each formula is written out here for a step of 1 ms: traces decay, then the
step's spikes are added, then the weight changes.
"""

import numpy as np
import pytest

import neuromorph as nm
from neuromorph.plasticity import (
    BCM,
    STDP,
    CalciumRule,
    Consolidation,
    FiniteResource,
    Gate,
    InhibitorySTDP,
    Metaplasticity,
    Oja,
    RewardSTDP,
    Sleep,
    SynapticScaling,
    TripletSTDP,
)
from neuromorph.units import Hz, ms

STEPS = 600
W = 1e-3  # largest weight, beside a threshold of 1: only the teacher makes the cell fire
RNG = np.random.default_rng(5)
PRE, POST = RNG.random(STEPS + 1) < 0.05, RNG.random(STEPS + 1) < 0.06
PRE[0] = POST[:2] = False


def run(rule, w=0.5 * W, variables=("w",), **modulators):
    """The synapse's variables after each step, and the modulator "rate" if the rule reads it."""
    net = nm.Network(name="net", dt=1 * ms, seed=1)
    source, teacher = net.input(1, name="source"), net.input(1, name="teacher")
    cell = net.population(1, nm.LIF(tau_m=10 * ms), name="cell")
    net.rate(cell, tau=0.2, full_scale=200 * Hz, name="rate")
    for name, value in modulators.items():
        net.modulator(init=value, name=name)
    net.connect(teacher, cell, weights=3.0, name="teaching")
    syn = net.connect(source, cell, weights=w, plasticity=rule, name="syn")
    for variable in variables:
        net.probe(syn, variable)
    # a spike of the teacher arrives, and makes the cell fire, one step later
    before, after = np.flatnonzero(PRE), np.flatnonzero(POST) - 1
    inputs = {source: nm.SpikeTrain(before, 0 * before), teacher: nm.SpikeTrain(after, 0 * after)}
    trace = nm.run(net, "cpu:float", steps=STEPS, inputs=inputs)
    return tuple(np.asarray(trace[f"syn.{variable}"].values).ravel() for variable in variables)


def low_pass(spikes, tau, impulse=1.0):
    """Traces of steps 1..STEPS, after the spikes of each step."""
    found, value = [], 0.0
    for spike in spikes[1:]:
        value = value * np.exp(-0.001 / tau) + impulse * spike
        found.append(value)
    return np.array(found)


S, R = PRE[1:], POST[1:]  # of steps 1..STEPS


def walk(change, w=0.5 * W, low=0.0, high=W):
    """Weights of a rule ``change(k, w)`` for step k + 1."""
    found = []
    for k in range(STEPS):
        w = min(max(w + change(k, w), low), high)
        found.append(w)
    return np.array(found)


def agree(got, expected):
    assert got == pytest.approx(expected, rel=1e-9, abs=1e-12 * W)
    assert np.ptp(expected) > 0.01 * W


@pytest.mark.parametrize("soft", [False, True])
def test_triplet(soft):
    a = {"a2_plus": 0.01 * W, "a2_minus": 0.008 * W, "a3_plus": 0.02 * W, "a3_minus": 0.012 * W}
    taus = {"tau_plus": 16.8 * ms, "tau_minus": 33.7 * ms, "tau_x": 100 * ms, "tau_y": 40 * ms}
    (got,) = run(TripletSTDP(**a, **taus, w_max=W, soft=soft))
    r1, r2 = low_pass(PRE, 0.0168), low_pass(PRE, 0.1)
    o1, o2 = low_pass(POST, 0.0337), low_pass(POST, 0.04)

    def change(k, w):
        up, down = (1 - w / W, w / W) if soft else (1.0, 1.0)
        # r2 and o2 just before the spike
        rise = R[k] * up * r1[k] * (a["a2_plus"] + a["a3_plus"] * (o2[k] - 1))
        return rise - S[k] * down * o1[k] * (a["a2_minus"] + a["a3_minus"] * (r2[k] - 1))

    agree(got, walk(change))


def test_triplet_of_visual_cortex_turns_from_depression_to_potentiation_at_20_hz():
    # A2- tau- = A3+ tau+ tau_y rho (Pfister and Gerstner 2006, minimal rule, independent Poisson spikes)
    rule = TripletSTDP.visual_cortex(W)
    rho = rule.a2_minus * rule.tau_minus / (rule.a3_plus * rule.tau_plus * rule.tau_y)
    assert rho == pytest.approx(19.2, abs=0.1)


def test_inhibitory():
    (got,) = run(InhibitorySTDP(eta=0.02 * W, tau=20 * ms, target_rate=20, w_max=W), w=-0.5 * W)
    x, y, alpha = low_pass(PRE, 0.02), low_pass(POST, 0.02), 2 * 20 * 0.02
    agree(-got, walk(lambda k, _: 0.02 * W * (R[k] * x[k] + S[k] * (y[k] - alpha))))


def test_oja():
    (got,) = run(Oja(eta=0.1 * W, alpha=1 / W, tau_pre=50 * ms, tau_post=50 * ms, w_max=W, period=7 * ms))
    x, y = low_pass(PRE, 0.05), low_pass(POST, 0.05)
    # 7 ms are held as 8 epochs of 1 ms
    agree(got, walk(lambda k, w: (k % 8 == 7) * 0.008 * 0.1 * W * (x[k] * y[k] - y[k] ** 2 * w / W)))


@pytest.mark.parametrize("power", [1, 2])
def test_bcm(power):
    (got,) = run(BCM(eta=0.01 * W, tau_pre=20 * ms, tau_post=50 * ms, rate="rate", rate_0=50, power=power, w_max=W))
    x, y, r = low_pass(PRE, 0.02), low_pass(POST, 0.05), low_pass(POST, 0.2, 5.0)
    theta = 0.05 * 50 * (r / 50) ** power
    agree(got, walk(lambda k, _: R[k] * 0.01 * W * x[k] * (y[k] - 1 - theta[k])))


@pytest.mark.parametrize("power", [1, 2])
def test_metaplasticity(power):
    rule = Metaplasticity(
        a2_minus=0.02 * W, a3_plus=0.01 * W, tau_plus=16.8 * ms, tau_minus=33.7 * ms, tau_y=114 * ms, rate="rate",
        rate_0=50, power=power, w_max=W,
    )  # fmt: skip
    r1, o1, o2, r = low_pass(PRE, 0.0168), low_pass(POST, 0.0337), low_pass(POST, 0.114), low_pass(POST, 0.2, 5.0)
    (got,) = run(rule)
    agree(got, walk(lambda k, _: W * (R[k] * 0.01 * r1[k] * (o2[k] - 1) - S[k] * 0.02 * (r[k] / 50) ** power * o1[k])))


def test_reward():
    rule = RewardSTDP(
        a_plus=0.1 * W, a_minus=0.08 * W, tau_plus=20 * ms, tau_minus=20 * ms, tau_eligibility=0.2,
        modulator="dopamine", eta=2.0, w_max=W, period=16 * ms,
    )  # fmt: skip
    weights, tags = run(rule, variables=("w", "tag_1"), dopamine=0.5)
    x, y = low_pass(PRE, 0.02), low_pass(POST, 0.02)
    w, c, expected, eligible = 0.5 * W, 0.0, [], []
    for k in range(STEPS):
        due = (k + 1) % 16 == 0
        # all changes are of the old values
        w += due * 0.016 * 2.0 * 0.5 * c
        c += R[k] * 0.1 * W * x[k] - S[k] * 0.08 * W * y[k] - due * (1 - np.exp(-0.016 / 0.2)) * c
        expected.append(w)
        eligible.append(c)
    agree(weights, expected)
    agree(tags, eligible)


@pytest.mark.parametrize("tau", [None, 2.0])
def test_calcium(tau):
    rule = CalciumRule(
        tau_calcium=20 * ms, c_pre=1.0, c_post=2.0, theta_p=1.8, theta_d=1.0, gamma_p=3.0, gamma_d=2.0, w_max=W,
        tau=tau, w_0=0.6, period=2 * ms,
    )  # fmt: skip
    (got,) = run(rule)
    c = low_pass(PRE, 0.02, 1.0) + low_pass(POST, 0.02, 2.0)

    def change(k, w):
        step = (k % 2 == 1) * 0.002 * (3.0 * (W - w) * (c[k] > 1.8) - 2.0 * w * (c[k] > 1.0))
        if tau and k % 128 == 127:  # the longest 2^k ms within tau / 8
            step -= 0.128 / tau * w * (1 - w / W) * (0.6 - w / W)
        return step

    agree(got, walk(change))


@pytest.mark.parametrize("dead_zone", [0.0, 0.2])
def test_scaling(dead_zone):
    (got,) = run(SynapticScaling(rate="rate", target=30, speed=2.0, period=64 * ms, dead_zone=dead_zone, w_max=W))
    r = low_pass(POST, 0.2, 5.0)

    def change(k, w):
        low, high = 30 * (1 - dead_zone), 30 * (1 + dead_zone)
        off = max(low - r[k], 0) - max(r[k] - high, 0)
        return (k % 64 == 63) * 0.064 * 2.0 / 30 * w * off

    agree(got, walk(change))


def test_sleep():
    (got,) = run(Sleep(gate="night", speed=1.0, period=32 * ms, w_max=W), night=0.5)
    agree(got, walk(lambda k, w: -(k % 32 == 31) * 0.032 * 0.5 * w))


def test_consolidation():
    rule = Consolidation(
        tau_early=0.4, tau_tag=0.6, tau_late=0.5, threshold=0.1 * W, late_max=0.4 * W, protein="protein", w_0=0.2 * W,
        w_max=W,
    )  # fmt: skip
    got = run(rule, w=0.7 * W, variables=("w", "tag_2", "tag_1"), protein=0.8)
    w, late, tag, expected = 0.7 * W, 0.0, 0.0, []
    period = 0.032  # the longest 2^k ms within an eighth of 0.4 s
    for k in range(STEPS):
        if k % 32 == 31:
            early = w - 0.2 * W - late
            w, late, tag = (
                w - (1 - np.exp(-period / 0.4)) * early,
                late + period / 0.5 * 0.8 * tag * (0.4 * W - late),
                tag + (early > 0.1 * W) * (1 - tag) - (1 - np.exp(-period / 0.6)) * tag,
            )
        expected.append((w, late, tag))
    for values, wanted in zip(got, np.transpose(expected), strict=True):
        agree(values, wanted)


PAIRS = STDP(0.02 * W, 0.01 * W, 20 * ms, 20 * ms, w_max=W)
X, Y = low_pass(PRE, 0.02), low_pass(POST, 0.02)


@pytest.mark.parametrize(("brake", "share"), [(False, 0.25), (True, 0.75)])
def test_gate(brake, share):
    (got,) = run(Gate(PAIRS, by="level", brake=brake), level=0.25)
    agree(got, walk(lambda k, _: share * W * (R[k] * 0.02 * X[k] - S[k] * 0.01 * Y[k])))


def test_finite_resource():
    (got,) = run(FiniteResource(PAIRS, total=0.6 * W))
    agree(got, walk(lambda k, w: W * (R[k] * 0.02 * X[k] * max(1 - w / (0.6 * W), 0) - S[k] * 0.01 * Y[k])))


def test_a_sum_of_rules_does_what_all_of_them_do():
    rule = PAIRS + TripletSTDP(a3_plus=0.01 * W, tau_plus=30 * ms, tau_minus=20 * ms, tau_y=40 * ms, w_max=W)
    rule = rule + Sleep(gate="night", speed=1.0, period=32 * ms)
    (got,) = run(rule, night=0.5)
    x, y = low_pass(PRE, 0.03), low_pass(POST, 0.04)

    def change(k, w):
        pairs = R[k] * 0.02 * X[k] - S[k] * 0.01 * Y[k]
        return W * (pairs + R[k] * 0.01 * x[k] * (y[k] - 1)) - (k % 32 == 31) * 0.016 * w

    agree(got, walk(change))
