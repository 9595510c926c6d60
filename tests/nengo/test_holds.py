"""What the emulator lacks is refused by name before anything starts; needs no nengo-loihi."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import neuromorph as nm
from neuromorph.errors import UnsupportedError
from neuromorph.plasticity import STDP
from neuromorph.program import Population, Program, Projection, build
from neuromorph.units import ms
from neuromorph_nengo.holds import check_program


def program(weights: Any = 100, neurons: dict[str, Any] | None = None, **projection: Any) -> Program:
    return build(
        [
            Population("in", 5, "input", graded=bool(projection.get("graded"))),
            Population("cells", 2, **(neurons or {})),
        ],
        [Projection("syn", "in", "cells", np.full((5, 2), weights), sign_mode="exc", **projection)],
    )


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (program(neurons={"kind": "ternary"}), "'cells': .*no ternary neurons"),
        (program(neurons={"adaptive": True}), "'cells': .*adaptive threshold"),
        (program(neurons={"reset_interval": 5}), "'cells': .*scheduled reset"),
        (program(graded=True), "'syn': Loihi 1 has no graded spikes"),
        (program(delays=1), "'syn': .*no delays"),
        (program(weights=6, weight_exp=-2), "'syn': weight_exp -2 drops bits"),
        (program(weights=255, weight_exp=15), "'syn': .*over the 32 bits"),
    ],
)
def test_what_the_emulator_lacks_is_refused_by_name(made: Program, message: str) -> None:
    with pytest.raises(UnsupportedError, match=message):
        check_program(made)


def test_the_report_says_that_learning_runs_on_the_host() -> None:
    net = nm.Network(name="net", dt=1 * ms, seed=1)
    noise, cells = net.input(3, name="in"), net.population(2, nm.LIF(tau_m=20 * ms), name="cells")
    rule = STDP(a_plus=0.01, a_minus=0.01, tau_plus=20 * ms, tau_minus=20 * ms, w_max=1.0)
    net.connect(noise, cells, weights=0.5, plasticity=rule, name="syn")
    net.connect(cells, cells, weights=-0.5, name="lateral")
    report = nm.compile(net, target="loihi:nengo").report
    assert report is not None
    section = report.sections[0]
    assert section.rows == (("syn", 6, "on the host"),)
    assert "on the host" in section.text()
    assert "our learning engine" in section.text()


def test_what_it_holds_passes() -> None:
    check_program(program(neurons={"refractory": 3}, weight_exp=4))
    check_program(program(weights=8, weight_exp=-3))
