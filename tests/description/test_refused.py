"""What cannot be meant is refused where it is written: the message names the object, the parameter, the value and the "
"limit."""

import dataclasses
import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy import sparse

import neuromorph as nm
from neuromorph import graph
from neuromorph.elaborate import elaborate
from neuromorph.handles import Input, Population, Projection
from neuromorph.plasticity import STDP, ShortTermPlasticity, ThresholdAdaptation
from neuromorph.topology import Topology
from neuromorph.units import ms

LEARN = STDP(a_plus=0.01, a_minus=0.01, tau_plus=20 * ms, tau_minus=20 * ms, w_max=0.5)


class Case:
    """A small network that holds, to break in one place."""

    def __init__(self) -> None:
        self.net = nm.Network(name="net", dt=1 * ms, seed=1)
        self.pixels: Input = self.net.input(3, name="pixels")
        adaptive = nm.LIF(tau_m=20 * ms, homeostasis=ThresholdAdaptation(increment=0.1, tau=1.0))
        self.cells: Population = self.net.population(4, adaptive, name="cells")
        self.plain: Population = self.net.population(4, nm.LIF(tau_m=20 * ms), name="plain")
        self.syn: Projection = self.net.connect(self.pixels, self.cells, weights=0.1, plasticity=LEARN, name="syn")
        self.fixed: Projection = self.net.connect(self.cells, self.plain, weights=0.1, name="fixed")
        self.foreign = nm.Network(name="other").population(4, nm.LIF(tau_m=20 * ms), name="foreign")

    def connect(self, **settings: object) -> Projection:
        settings = {"pre": self.pixels, "post": self.cells, "weights": 0.1, "name": "new"} | settings
        return self.net.connect(**settings)  # type: ignore[arg-type]


NAMES = {
    "np": np, "math": math, "sparse": sparse, "ms": ms, "LEARN": LEARN, "ThresholdAdaptation": ThresholdAdaptation,
    "ShortTermPlasticity": ShortTermPlasticity,
}  # fmt: skip

# What a modeller writes, and what the message says.

NETWORK = [
    ("Network(name='n', dt=0)", "network 'n': dt = 0 s: it must be finite and > 0 s"),
    ("Network(name='n', dt=math.nan)", "network 'n': dt = nan"),
    ("Network(name='n', dt=1.5e-09)", "network 'n': dt = 1.5e-09 s is not a whole number of nanoseconds"),
    ("Network(name='n', seed=-1)", r"network 'n': seed = -1 is outside 0\.\."),
    ("Network(name='n', seed=1.0)", "network 'n': seed = 1.0: a whole number"),
    ("Network(name='')", "Network: name = ''"),
    ("Network(nam='n')", "Network has no parameter 'nam'; did you mean 'name'"),
    ("net.input(0, name='i')", r"input 'i': n = 0 is outside 1\.\.16777216"),
    ("net.input(2.5, name='i')", "input 'i': n = 2.5: a whole number"),
    ("net.input(2, name='i', graded=1)", "input 'i': graded = 1: True or False"),
    ("net.input(2, name='i', source=7)", "input 'i': source = 7; needed nm.SpikeTrain"),
    ("net.input(2, name='cells')", "network 'net': <population 'cells' .* has the name 'cells' already"),
    ("net.population(2, 'LIF', name='p')", "population 'p': neuron = 'LIF'; needed a model such as nm.LIF"),
    ("net.population(2, LIF(tau_m=[1.0] * 3), name='p')", r"population 'p': LIF.tau_m has shape \(3,\); .*\(2,\)"),
    ("net.population(2, LIF(tau_m=1.0), name='p', v_init=[0.0] * 3)", r"population 'p': v_init has shape \(3,\)"),
    ("net.population(2, LIF(tau_m=1.0), name='p', u_init=math.inf)", "population 'p': u_init = inf"),
    ("net.population(2, LIF(tau_m=1.0), nmae='p')", "Network.population has no parameter 'nmae'; .*'name'"),
    (
        "net.population(2, LIFReset(tau_m=1.0, reset_every=1.5 * ms), name='p')",
        "population 'p': LIFReset.reset_every = 0.0015 s is not a multiple of dt = 0.001 s",
    ),
    (
        "net.population(3, LIF(tau_m=1.0, homeostasis=ThresholdAdaptation([0.1] * 2, 1.0)), name='p')",
        r"population 'p': ThresholdAdaptation.increment has shape \(2,\); needed a scalar or \(3,\)",
    ),
]  # fmt: skip

NEURONS = [
    ("LIF(tau_m=-20 * ms)", "LIF.tau_m = -0.02 s: it must be > 0 s; write seconds"),
    ("LIF(tau_m=[0.02, math.nan])", r"LIF.tau_m\[1\] = nan"),
    ("LIF(tau_m='20 ms')", "LIF.tau_m = '20 ms': a number"),
    ("LIF(tau_m=0.02, tau_s=-1)", "LIF.tau_s = -1 s"),
    ("LIF(tau_m=0.02, tau_s=math.inf)", "LIF.tau_s = inf s"),
    ("LIF(tau_m=0.02, v_th=0)", "LIF.v_th = 0: it must be finite and > 0"),
    ("LIF(tau_m=0.02, refractory=-1 * ms)", "LIF.refractory = -0.001 s"),
    ("LIF(tau_m=0.02, bias=math.inf)", "LIF.bias = inf"),
    ("LIF(tau_m=0.02, resistance=0)", "LIF.resistance = 0"),
    ("LIF(tau_m=math.inf, bias=0.1)", "LIF.bias has no effect without leak"),
    ("LIF(tau_m=[[0.02]])", r"LIF.tau_m has shape \(1, 1\)"),
    ("LIF(taum=0.02)", "LIF has no parameter 'taum'; did you mean 'tau_m'"),
    ("LIF()", "LIF: missing a required .*'tau_m'"),
    ("LIF(tau_m=0.02, homeostasis=0.1)", "LIF.homeostasis = 0.1: needed neuromorph.plasticity.ThresholdAdaptation"),
    ("LIF(tau_m=0.02, reset_offset=1 * ms)", "LIF.reset_offset means nothing without reset_every"),
    ("LIFReset(tau_m=0.02)", "LIFReset.reset_every is missing"),
    ("TernaryLIF(tau_m=0.02, v_th_low=0.5)", "TernaryLIF.v_th_low = 0.5: it must be .*<= 0"),
    ("TernaryLIF(tau_m=0.02, v_th_high=-1)", "TernaryLIF.v_th_high = -1"),
    ("TernaryLIF(tau_m=0.02, refractory=1 * ms)", "TernaryLIF has no parameter 'refractory'"),
    ("Uniform(2, 1)", "Uniform.low = 2 is above high = 1"),
    ("Uniform(low=0, hihg=1)", "Uniform has no parameter 'hihg'; did you mean 'high'"),
    ("Normal(0, -1)", "Normal.std = -1"),
    ("Normal(0, 1, clip=(1, 0))", r"Normal.clip = \(1, 0\): low must not be above high"),
    ("Normal(0, 1, clip=3)", "Normal.clip = 3: a pair"),
    ("LogNormal(100, 100)", "LogNormal.mu = 100, sigma = 100: values overflow"),
    ("Constant(math.nan)", "Constant.value = nan"),
]  # fmt: skip

CONNECT = [
    ("connect(post=pixels)", "projection 'new': 'pixels' is an input and receives nothing"),
    ("connect(post=foreign)", "connect: post: <population 'foreign' of 'other'.*> belongs to another network"),
    ("connect(pre='pixels')", "connect: pre = 'pixels': needed an object that this network gave back"),
    ("connect(name='syn')", "<projection 'syn' .* has the name 'syn' already"),
    ("connect(name='cells')", "has the name 'cells' already"),
    ("connect(wieghts=1)", "Network.connect has no parameter 'wieghts'; did you mean 'weights'"),
    ("connect(topology='all')", "projection 'new': topology = 'all'; needed e.g. nm.AllToAll"),
    ("connect(plasticity=ThresholdAdaptation(0.1, 1.0))", r"belongs to neurons: nm.LIF\(homeostasis="),
    ("connect(plasticity=ShortTermPlasticity(0.5, 0.1))", r"stands beside a rule: connect\(short_term="),
    ("connect(plasticity='stdp')", "projection 'new': plasticity = 'stdp'; needed a rule"),
    ("connect(sign='excitatory')", "projection 'new': sign = 'excitatory' is unknown; one of 'mixed', 'exc', 'inh'"),
    (
        "connect(weights=np.ones((4, 3)))",
        r"projection 'new': weights has shape \(4, 3\); needed .*\(3, 4\) as \(pre, post\)",
    ),
    ("connect(weights='1')", "projection 'new': weights: a number, an array or a distribution"),
    ("connect(weights=math.nan)", r"projection 'new': weights\[0, 0\] is nan"),
    ("connect(weights=[[0, 0, math.inf, 0]] * 3)", r"projection 'new': weights\[0, 2\] is inf"),
    ("connect(weights=-1.0, sign='exc')", r"projection 'new': weights\[0, 0\] = -1 is outside >= 0 \(sign = 'exc'\)"),
    ("connect(weights=Normal(0, 1), sign='inh')", r"projection 'new': weights\[.*outside <= 0"),
    (
        "connect(weights=0.7, plasticity=LEARN)",
        r"projection 'new': weights\[0, 0\] = 0.7 is outside 0..0.5 .*w_max = 0.5",
    ),
    ("connect(weights=-0.1, plasticity=LEARN)", r"projection 'new': weights\[0, 0\] = -0.1 is outside 0..0.5"),
    ("connect(plasticity=LEARN, w_max=0.3)", "projection 'new': w_max = 0.3, but STDP has the bound 0.5"),
    ("connect(w_max=0.3)", "projection 'new': w_max = 0.3 bounds learning, but there is no plasticity"),
    ("connect(w_max=-1, plasticity=LEARN)", "projection 'new': w_max = -1: it must be"),
    ("connect(graded=True)", "projection 'new': graded = True, but spikes of 'pixels' carry no payload"),
    ("connect(delay=0)", r"projection 'new': delay = 0 s is 0 steps; multiples of dt .* 0.001 s to 0.064 s \(1 to 64"),
    ("connect(delay=2)", r"projection 'new': delay = 2 s is 2000 steps; .*for 2 ms write 2 \* ms; use a larger"),
    ("connect(delay=65 * ms)", "projection 'new': delay = 0.065 s is 65 steps; .*larger dt"),
    (
        "connect(delay=1.5 * ms)",
        "projection 'new': delay = 0.0015 s is not a multiple of dt = 0.001 s; .*nearest: 0.002 s",
    ),
    ("connect(delay='1 ms')", "projection 'new': delay = '1 ms': a number is needed; write seconds"),
    ("connect(delay=-1 * ms)", "projection 'new': delay = -0.001 s"),
    ("connect(delay=1.000001 * ms)", "projection 'new': delay = 0.001000001 s is not a multiple"),
    ("connect(delay=np.full((3, 4), 65 * ms))", r"projection 'new': delay\[0, 0\] = 0.065 s is too short or too long"),
    ("connect(delay=[1 * ms] * 5)", r"projection 'new': delay has shape \(5,\)"),
    ("connect(delay=Uniform(0, 1 * ms))", r"projection 'new': delay\[.*give the distribution clip=\(0.001, 0.064\)"),
    ("connect(topology=OneToOne())", "projection 'new': OneToOne needs populations of the same size, not 3 and 4"),
    (
        "connect(topology=AllToAll(self_loops=False))",
        "projection 'new': self_loops = False says nothing between 'pixels'",
    ),
    ("connect(topology=FixedInDegree(4))", "projection 'new': FixedInDegree.k = 4, but there are 3 sources"),
    ("connect(topology=Explicit([0, 3], [0, 0]))", r"projection 'new': Explicit.pre\[1\] = 3 is outside 0..2"),
    ("connect(topology=Explicit([0, 0], [1, 1]))", "projection 'new': the pair 0 -> 1 is given twice"),
    (
        "connect(topology=Explicit([0], [1]), weights=[1.0, 2.0])",
        r"projection 'new': weights has shape \(2,\); .*\(1,\), one per",
    ),
    (
        "connect(weights=sparse.coo_matrix(([1.0, 2.0], ([0, 0], [1, 1])), shape=(3, 4)))",
        "projection 'new': the pair 0 -> 1 is given twice",
    ),
    (
        "connect(weights=sparse.csr_matrix((4, 3)))",
        r"projection 'new': weights is a sparse matrix of shape \(4, 3\); needed \(3, 4\)",
    ),
    (
        "connect(weights=sparse.csr_matrix((3, 4)), topology=OneToOne())",
        "projection 'new': a sparse matrix .* leave topology out",
    ),
    ("FixedProbability(1.5)", "FixedProbability.p = 1.5: it must be >= 0 and <= 1"),
    ("FixedProbability()", "FixedProbability: missing a required argument: 'p'"),
    ("FixedInDegree(2.5)", "FixedInDegree.k = 2.5: a whole number"),
    ("AllToAll(self_loop=False)", "AllToAll has no parameter 'self_loop'; did you mean 'self_loops'"),
    ("AllToAll(self_loops=0)", "AllToAll.self_loops = 0: True or False"),
    ("Explicit([0.5], [1])", "Explicit.pre: a list of neuron indices"),
    ("Explicit([0, 1], [1])", "Explicit: pre has 2 indices and post 1"),
    (
        "connect(pre=plain, post=plain, topology=AllToAll(self_loops=False), weights=np.eye(4))",
        r"projection 'new': weights\[0, 0\] = 1, but self_loops = False",
    ),
]  # fmt: skip

PROBES = [
    ("net.probe(pixels, 'v')", "probe of 'pixels': it has no variable 'v'; it has spikes"),
    ("net.probe(plain, 'theta')", "probe of 'plain': it has no variable 'theta'; it has spikes, u, v"),
    ("net.probe(fixed, 'w')", "probe of 'fixed': it has no variable 'w'; .*weights that nothing .*session.read"),
    ("net.probe(syn, 'y3')", "probe of 'syn': it has no variable 'y3'; it has .*w, x1, y1"),
    ("net.probe(cells, 'v', every=0.5 * ms)", "probe 'cells.v': every = 0.0005 s is not a multiple of dt"),
    ("net.probe(cells, 'v', every=0)", "probe 'cells.v': every = 0 s is 0 steps"),
    ("[net.probe(cells, 'v') for _ in range(2)]", "probe 'cells.v' exists already in network 'net'"),
    ("net.probe(foreign, 'v')", "probe: <population 'foreign'.* belongs to another network"),
    ("net.probe('cells', 'v')", "probe = 'cells': needed an object"),
    ("net.phase(start=-1, plasticity=False)", "network 'net': phase: start = -1 s"),
    ("net.phase(start=0.0005, plasticity=False)", "network 'net': phase: start = 0.0005 s is not a multiple"),
    ("net.phase(start=1)", "network 'net': phase at 1 s switches nothing"),
    ("net.phase(start=1, plasticity={fixed: False})", "phase at 1 s: plasticity: 'fixed' is static"),
    ("net.phase(start=1, adaptation={plain: False})", "phase at 1 s: adaptation: 'plain' has no homeostasis"),
    ("net.phase(start=1, plasticity={syn: 0})", "plasticity of 'syn' = 0: True or False"),
    ("net.phase(start=1, plasticity=[syn])", "phase at 1 s: plasticity = .* needed True, False or a dict"),
    ("net.phase(start=1, plasticty=False)", "Network.phase has no parameter 'plasticty'; did you mean 'plasticity'"),
]  # fmt: skip


@pytest.mark.parametrize(("broken", "message"), NETWORK + NEURONS + CONNECT + PROBES)
def test_refused_with_a_message_that_helps(broken: str, message: str) -> None:
    case = Case()
    names = {name: getattr(nm, name) for name in nm.__all__} | NAMES | vars(case) | {"connect": case.connect}
    before = elaborate(case.net).text(full=True)
    with pytest.raises(nm.ValidationError, match=message):
        eval(broken, names)
    objects = {line for line in elaborate(case.net).text(full=True).splitlines() if not line.startswith("probe")}
    assert objects <= set(before.splitlines()), "what was refused left something behind"


@pytest.mark.parametrize(
    ("topology", "message"),
    [
        (nm.AllToAll(), "1099511627776 synapses; at most 268435456"),
        (nm.FixedProbability(0.001), "1099511628 synapses; at most 268435456"),
        (nm.FixedInDegree(1000), "1048576000 synapses"),
        (nm.FixedInDegree(1), "1099511627776 pairs to draw from; at most 4294967296: give the pairs with Explicit"),
    ],
)
def test_what_would_fill_the_memory_is_refused_before_it_does(topology: Topology, message: str) -> None:
    net = nm.Network()
    cells = net.population(1 << 20, nm.LIF(tau_m=20 * ms), name="cells")
    with pytest.raises(nm.CapacityError, match=f"projection 'big' from 1048576 to 1048576 neurons: {message}"):
        net.connect(cells, cells, weights=0.1, topology=topology, name="big")


def test_phases_that_contradict_each_other_are_refused() -> None:
    case = Case()
    case.net.phase(start=1.0, plasticity=False)
    case.net.phase(start=1.0, plasticity=True)
    with pytest.raises(nm.ValidationError, match="step 1000: plasticity of 'syn' is switched twice"):
        elaborate(case.net)


def test_a_phase_without_anything_to_switch_is_refused() -> None:
    net = nm.Network(name="net")
    net.population(1, nm.LIF(tau_m=20 * ms))
    net.phase(start=1.0, adaptation=False)
    with pytest.raises(nm.ValidationError, match="phase at 1 s switches adaptation, but nothing has any"):
        elaborate(net)


def test_a_network_without_populations_is_refused() -> None:
    with pytest.raises(nm.ValidationError, match="network 'empty' has no populations"):
        elaborate(nm.Network(name="empty"))


# ------------------------------------------------------------------------------------------------ graphs from elsewhere


def change(**changes: object) -> Callable[[graph.Graph], graph.Graph]:
    return lambda g: dataclasses.replace(g, **changes)  # type: ignore[arg-type]


def change_projection(**changes: object) -> Callable[[graph.Graph], graph.Graph]:
    return lambda g: dataclasses.replace(g, projections=(dataclasses.replace(g.projections[0], **changes),))  # type: ignore[arg-type]


def change_population(k: int, **changes: object) -> Callable[[graph.Graph], graph.Graph]:
    def changed(g: graph.Graph) -> graph.Graph:
        pops = list(g.populations)
        pops[k] = dataclasses.replace(pops[k], **changes)  # type: ignore[arg-type]
        return dataclasses.replace(g, populations=tuple(pops))

    return changed


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (change_projection(pre="pixel"), "'syn': population 'pixel' does not exist; did you mean 'pixels'"),
        (change_projection(post="pixels"), "'syn': 'pixels' is an input"),
        (change_projection(weights=np.ones(3)), "'syn': sparse needs indptr, and indices and weights of the same"),
        (change_projection(indptr=np.array([0, 2, 2])), "'syn': indptr must have 5 values that rise from 0 to 4"),
        (change_projection(indices=np.array([0, 1, 9, 0])), r"'syn': a target index is outside 0\.\.3"),
        (change_projection(indices=np.array([1, 0, 0, 1])), "'syn': targets of source 0 must ascend, no pair twice"),
        (change_projection(layout="dense"), r"'syn': weights of shape \(4,\), needed \(4, 4\)"),
        (change_projection(sign="inh"), r"'syn': weights\[0\] = 0.5 is outside <= 0"),
        (change_projection(delays=0), "'syn': delays of 0..0 steps"),
        (change_projection(delays=np.full(4, 65)), r"'syn': delays of 65\.\.65 steps"),
        (change_projection(graded=True), "'syn': graded, but the spikes of 'cells' carry no payload"),
        (change_population(1, tau_m=-1.0), "'cells': tau_m = -1 s"),
        (change_population(1, v_th=np.ones(3)), r"'cells': v_th has shape \(3,\)"),
        (change_population(1, name="pixels"), "'pixels' is empty or used twice"),
        (change_population(1, kind="izhikevich"), "'cells': kind 'izhikevich' is unknown"),
        (change_population(1, reset_interval=3, reset_offset=3), "'cells': reset_offset = 3 is outside 0..2"),
        (change(probes=(graph.Probe("p", "cell", "v"),)), "probe 'p': 'cell' does not exist"),
        (change(probes=(graph.Probe("p", "cells", "w"),)), "probe 'p': 'cells' has no variable 'w'"),
        (change(schedule=(graph.Phase(1, "plasticity", "syn", False),)), "'syn' has no plasticity"),
    ],
)  # fmt: skip
def test_verify_finds_what_no_graph_can_be(broken: Callable[[graph.Graph], graph.Graph], message: str) -> None:
    syn = graph.Projection(
        "syn", "cells", "cells", "sparse", np.full(4, 0.5), indptr=np.array([0, 2, 4, 4, 4]),
        indices=np.array([0, 1, 0, 3]), sign="exc",
    )  # fmt: skip
    pops = (graph.Population("pixels", "input", 2), graph.Population("cells", "lif", 4, tau_m=0.02))
    good = graph.verify(graph.Graph("net", 1e-3, 1, pops, (syn,)))
    with pytest.raises(nm.ValidationError, match=message):
        graph.verify(broken(good))
