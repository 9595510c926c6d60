"""Programs straight from integers: what is none of their parts is refused where it is written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
import pytest

from neuromorph.errors import ValidationError
from neuromorph.program import Population, Projection, build

CELLS = Population("cells", 2)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda wrong: build(wrong("x"), []), "build: populations holds 'x'; needed program.Population"),
        (lambda wrong: build([CELLS], [wrong(3)]), "build: projections holds 3; needed program.Projection"),
        (lambda wrong: Population("cells", wrong(2.5)), "population 'cells': n = 2.5: a whole number"),
        (lambda _: Population("cells", 0), r"population 'cells': n = 0 is outside 1\.\.16777216"),
        (
            lambda wrong: Projection("syn", "cells", "cells", np.zeros((2, 2), np.int64), rule=wrong("x")),
            "projection 'syn': rule = 'x'; needed a neuromorph.rule.Rule",
        ),
    ],
)
def test_what_is_no_part_of_a_program_is_refused(make: Callable[[Any], Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        make(lambda value: cast("Any", value))
