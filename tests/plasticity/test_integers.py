"""Named rules in the integer machine and in floats: the same spikes, the same learning on average.

Plastic weights are so weak beside the teacher's that they change no spike, so both machines learn from the same
spikes. What is compared is the mean change over all synapses. It may differ by what is held in few bits: coefficients
and time constants 1 % each, constants beside variables half a unit, traces of 7 bits, and the floor of hidden shifts;
together 6 % of the change, and the standard error of the mean of the rounded synapses on top.
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
    Hebbian,
    InhibitorySTDP,
    InstarSTDP,
    Metaplasticity,
    Oja,
    RewardSTDP,
    Sleep,
    SynapticScaling,
    TripletSTDP,
)
from neuromorph.units import Hz, ms

SHARE = 0.06
SEEN = 0.03  # of w_max: a change that is large enough to be compared
W = 1e-3  # w_max, beside a threshold of 1
N_PRE, N_POST = 15, 8
INTEGERS = "cpu"


PAIRS = STDP(0.01 * W, 0.003 * W, 20 * ms, 20 * ms, w_max=W)
RULES = {
    "STDP": PAIRS,
    "STDP, soft": STDP(0.02 * W, 0.002 * W, 20 * ms, 20 * ms, w_max=W, variant="soft"),
    "Hebbian": Hebbian(0.4 * W, 20 * ms, 20 * ms, w_max=W, period=8 * ms, decay=0.05),
    "InstarSTDP": InstarSTDP(0.125, 5 * ms, w_max=W),
    "TripletSTDP": TripletSTDP.visual_cortex(W, 3 * W, peak=6),
    "TripletSTDP, soft": TripletSTDP.visual_cortex(W, 4 * W, soft=True, peak=6),
    "TripletSTDP, full": TripletSTDP(
        a2_plus=6e-3 * W, a3_plus=6e-3 * W, a2_minus=3e-3 * W, a3_minus=3e-3 * W, tau_plus=16.8 * ms,
        tau_minus=33.7 * ms, tau_x=100 * ms, tau_y=40 * ms, w_max=W, peak=6,
    ),
    "InhibitorySTDP": InhibitorySTDP(eta=4e-3 * W, tau=20 * ms, target_rate=5, w_max=W),
    "Oja": Oja(
        eta=0.15 * W, alpha=0.3 / W, tau_pre=50 * ms, tau_post=50 * ms, w_max=W, period=16 * ms
    ),
    "BCM": BCM(
        eta=0.01 * W, tau_pre=20 * ms, tau_post=50 * ms, rate="rate", rate_0=60, w_max=W
    ),
    "Metaplasticity": Metaplasticity(
        a2_minus=5e-3 * W, a3_plus=1e-3 * W, tau_plus=16.8 * ms, tau_minus=33.7 * ms, tau_y=114 * ms,
        rate="rate", rate_0=20, w_max=W, peak=6,
    ),
    "RewardSTDP": RewardSTDP(
        a_plus=0.1 * W, a_minus=0.03 * W, tau_plus=20 * ms, tau_minus=20 * ms, tau_eligibility=0.5, c_max=2 * W,
        modulator="dopamine", eta=0.2, w_max=W,
    ),
    "CalciumRule": CalciumRule(
        tau_calcium=20 * ms, c_pre=1, c_post=2, theta_p=2.5, theta_d=1.2, gamma_p=2.0, gamma_d=0.3, w_max=W
    ),
    "CalciumRule, drift": CalciumRule(
        tau_calcium=20 * ms, c_pre=1, c_post=2, theta_p=30.0, theta_d=30.0, gamma_p=2.0, gamma_d=0.3, w_max=W, tau=0.3,
        w_0=0.2, peak=12,
    ),
    "SynapticScaling": SynapticScaling(
        rate="rate", target=10, speed=0.2, period=0.25, w_max=W
    ),
    "SynapticScaling, dead zone": SynapticScaling(
        rate="rate", target=40, speed=0.4, period=0.25, dead_zone=0.1, w_max=W
    ),
    "Sleep": Sleep(gate="half", speed=0.5, w_max=W),
    "Consolidation": Consolidation(
        tau_early=2.0, tau_tag=3.0, tau_late=2.0, threshold=0.1 * W, late_max=0.5 * W, protein="half",
        w_0=0.2 * W, w_max=W,
    ),
    "Gate": Gate(PAIRS, by="half"),
    "Gate, brake": Gate(PAIRS, by="quarter", brake=True),
    "FiniteResource": FiniteResource(PAIRS, total=20 * W),
    "sum of three": (
        PAIRS
        + SynapticScaling(rate="rate", target=10, speed=0.02, period=0.25)
        + Sleep(gate="half", speed=0.02)
    ),
}  # fmt: skip


def learned(rule, target, profile=None):
    """Weights after 2 s of random spikes on both sides, over w_max, and the rates of the cells."""
    net = nm.Network(name="net", dt=1 * ms, seed=3)
    source = net.input(N_PRE, name="source", source=nm.Poisson(20 * Hz))
    teacher = net.input(N_POST, name="teacher", source=nm.Poisson(25 * Hz))
    cells = net.population(N_POST, nm.LIF(tau_m=10 * ms), name="cells")
    net.connect(teacher, cells, weights=3.0, topology=nm.OneToOne(), name="teaching")
    net.rate(cells, tau=0.5, full_scale=100 * Hz, name="rate")
    net.modulator(init=2.0, full_scale=4.0, name="dopamine")
    net.modulator(init=0.5, name="half")
    net.modulator(init=0.25, name="quarter")
    start = -0.5 * W if rule.sign == "inh" else 0.5 * W
    syn = net.connect(source, cells, weights=start, plasticity=rule, name="syn")
    net.probe(cells, "spikes")
    with nm.open(net, target, profile=profile) as session:
        trace = session.run(2.0)
        assert not session.program.report.warnings
        return (session.read(syn, "w", physical=True) - start) / W, trace.rates("cells").tolist()


@pytest.mark.parametrize("name", RULES)
def test_integers_learn_what_floats_learn_on_average(name):
    ideal, spikes = learned(RULES[name], "cpu:float")
    held, same_spikes = learned(RULES[name], INTEGERS)
    assert spikes == same_spikes
    assert abs(ideal.mean()) > SEEN
    assert np.abs(ideal).max() < 0.5  # no bound was met, which would hide a difference
    error = (held - ideal).std() / np.sqrt(ideal.size)
    assert held.mean() == pytest.approx(ideal.mean(), abs=SHARE * abs(ideal.mean()) + 3 * error)


@pytest.mark.parametrize("name", RULES)
def test_wide_integers_learn_what_floats_learn_at_each_synapse(name):
    """8 bits are right on average; 16 bits are right at every synapse, within 1.5% of the largest change."""
    ideal, spikes = learned(RULES[name], "cpu:float")
    held, same_spikes = learned(RULES[name], "cpu", "wide")
    assert spikes == same_spikes
    assert np.abs(held - ideal).max() < 0.015 * np.abs(ideal).max()
