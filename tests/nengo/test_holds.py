"""What the emulator lacks is refused by name before anything starts; needs no nengo-loihi."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from neuromorph.errors import UnsupportedError
from neuromorph.program import Population, Program, Projection, build
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


def test_what_it_holds_passes() -> None:
    check_program(program(neurons={"refractory": 3}, weight_exp=4))
    check_program(program(weights=8, weight_exp=-3))
