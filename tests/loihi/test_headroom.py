"""What arrives in one step, and exponents of weights, keep to what a chip holds; else it warns or refuses."""

from __future__ import annotations

import numpy as np
import pytest

import neuromorph as nm
from neuromorph.errors import CapacityError
from neuromorph.plasticity import STDP
from neuromorph.units import ms

BITS_21 = (1 << 21) - 1


def network(sources: int, weight: float, tau_s: float = 0.0) -> nm.Network:
    net = nm.Network(name="crowd", dt=1 * ms, seed=1)
    crowd, cells = net.input(sources, name="crowd"), net.population(3, nm.LIF(tau_m=20 * ms, tau_s=tau_s), name="cells")
    net.connect(crowd, cells, weights=weight, name="drive")
    net.connect(cells, cells, weights=-weight, name="lateral")
    return net


def arriving(program: nm.Program) -> int:
    """The current of a step in which all sources spike."""
    drive = program.projections["drive"]
    return int(drive.weights.sum(axis=0).max()) << drive.weight_exp + 6


@pytest.mark.parametrize("tau_s", [0.0, 2 * ms])
@pytest.mark.parametrize("target", ["loihi:1", "loihi:nengo"])
def test_the_scale_leaves_room_for_all_that_arrives_in_a_step(target: str, tau_s: float) -> None:
    net = network(40, 0.5, tau_s)
    free, kept = (nm.compile(net, targets=targets) for targets in (["cpu"], ["cpu", target]))
    assert arriving(free) > BITS_21
    assert 0 < arriving(kept) <= BITS_21
    ratio = int(free.populations["cells"].vth) / int(kept.populations["cells"].vth)
    assert np.log2(ratio) in range(1, 8)  # the same numbers, fewer bits
    assert kept.report is not None
    assert not [w for w in kept.report.warnings if w.code == "wrap"]


def test_too_much_for_any_scale_is_a_warning() -> None:
    report = nm.compile(network(4000, 20.0), target="loihi:nengo").report
    assert report is not None
    texts = [w.message for w in report.warnings if w.code == "wrap"]
    assert any("in one step could be too much for 'loihi:nengo'" in text for text in texts), texts


def test_loihi_2_has_no_such_limit() -> None:
    assert nm.compile(network(40, 0.5), target="loihi").digest == nm.compile(network(40, 0.5), target="cpu").digest


def strong(weight: float, teacher: float) -> nm.Network:
    """A learned synapse beside a teacher that is stronger by far, as in experiments of spike timing."""
    net = nm.Network(name="taught", dt=1 * ms, seed=1)
    pre, teach = net.input(1, name="pre"), net.input(1, name="teacher")
    cells = net.population(1, nm.LIF(tau_m=5 * ms, tau_s=1 * ms, v_th=10.0), name="cells")
    rule = STDP(a_plus=0.01, a_minus=0.01, tau_plus=17 * ms, tau_minus=34 * ms, w_max=2 * weight)
    net.connect(pre, cells, weights=weight, plasticity=rule, name="syn")
    net.connect(teach, cells, weights=teacher, name="teach")
    return net


@pytest.mark.parametrize("target", ["loihi", "loihi:1"])
def test_the_scale_keeps_to_the_exponents_of_a_chip_and_the_weights_stay_what_they_are(target: str) -> None:
    net = strong(0.5, 40.0)
    free, kept = (nm.compile(net, targets=targets) for targets in (["cpu"], ["cpu", target]))
    change = free.projections["teach"].weight_exp - kept.projections["teach"].weight_exp
    assert free.projections["teach"].weight_exp > 7 >= kept.projections["teach"].weight_exp
    assert free.projections["syn"].weight_exp - kept.projections["syn"].weight_exp == change
    for name in ("syn", "teach"):
        assert np.array_equal(free.projections[name].weights, kept.projections[name].weights)
    assert abs((int(kept.populations["cells"].vth) << change) - int(free.populations["cells"].vth)) <= 1 << change


def test_a_lower_limit_of_exponents_is_kept_to_as_well() -> None:
    """The scale moves up where there is room; else the chip refuses the projection by name."""
    with pytest.raises(CapacityError, match=r"'syn': the exponent of its weights is -\d+, limit -8\.\.7"):
        nm.compile(strong(2.0**-14, 40.0), target="loihi")
    assert nm.compile(strong(2.0**-14, 40.0), target="cpu").projections["syn"].weight_exp < -8


def test_exponents_that_no_scale_holds_are_refused_by_name_with_need_and_limit() -> None:
    with pytest.raises(CapacityError, match=r"'loihi' cannot hold 'teach': the exponent of its weights is \d+, limit"):
        nm.compile(strong(0.5, 40_000.0), target="loihi")


def test_a_program_that_fits_is_not_changed_by_the_chip() -> None:
    net = strong(2.0, 8.0)
    assert nm.compile(net, target="loihi").digest == nm.compile(net, target="cpu").digest
