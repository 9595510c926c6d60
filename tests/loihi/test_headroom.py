"""What arrives at a neuron in one step keeps to the 21 bits of Loihi 1, or the report warns."""

from __future__ import annotations

import numpy as np
import pytest

import neuromorph as nm
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
