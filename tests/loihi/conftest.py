"""Small programs and small chips."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from neuromorph.program import Population, Program, Projection, build
from neuromorph_loihi import LOIHI_1, Chip, Limit


def limited(chip: Chip = LOIHI_1, /, **limits: int) -> Chip:
    """A chip with other numbers."""
    numbers: dict[str, Any] = {name: Limit(value, "a test") for name, value in limits.items()}
    return replace(chip, **numbers)


def dense(name: str, pre: str, post: str, n_pre: int, n_post: int, **more: Any) -> Projection:
    """All to all, weights of 2."""
    return Projection(name, pre, post, np.full((n_pre, n_post), 2), **more)


def sparse(name: str, pre: str, post: str, mask: np.ndarray, **more: Any) -> Projection:
    """A synapse where the mask (n_pre, n_post) says so."""
    indptr = np.concatenate([[0], np.cumsum(mask.sum(1))])
    indices = np.nonzero(mask)[1]
    return Projection(name, pre, post, np.full(indices.size, 2), indptr=indptr, indices=indices, **more)


@pytest.fixture
def pair() -> Program:
    """3 inputs onto 4 neurons, and those onto themselves."""
    return build(
        [Population("pixels", 3, "input"), Population("cells", 4)],
        [dense("syn", "pixels", "cells", 3, 4), dense("back", "cells", "cells", 4, 4)],
        name="pair",
    )
