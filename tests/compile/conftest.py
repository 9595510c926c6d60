"""Small graphs, and a target without limits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from neuromorph.engine import Target
from neuromorph.graph import Adaptation, Graph, Phase, Population, Probe, Projection
from neuromorph.image import FEATURES
from neuromorph.plasticity import Custom
from neuromorph.plasticity.text import TraceSpec

MakeGraph = Callable[..., Graph]


@pytest.fixture
def anything() -> Target:
    """An integer machine that has every feature and no limit."""
    return Target("test:any", "simulator", "integer", "no limits", features=frozenset(FEATURES))


@pytest.fixture
def pair() -> MakeGraph:
    """A graph of one input and one population: ``pair(n_in, n, weights, cells=dict(...), syn=dict(...))``."""

    def make(n_in: int = 4, n: int = 3, weights: Any = 0.5, dt: float = 1e-3, **more: Any) -> Graph:
        cells = replace(Population("cells", "lif", n, tau_m=20e-3, tau_s=5e-3), **more.pop("cells", {}))
        full = np.broadcast_to(np.asarray(weights, float), (n_in, n)).copy()
        syn = replace(Projection("syn", "pixels", "cells", "dense", full), **more.pop("syn", {}))
        return Graph("pair", dt, 1, (Population("pixels", "input", n_in), cells), (syn,), **more)

    return make


@pytest.fixture
def learner() -> Graph:
    """Plastic excitation, sparse and delayed inhibition, adaptive thresholds, probes and a schedule."""
    traces = {"x1": TraceSpec(20.5, 20e-3), "y1": TraceSpec(16.0, 30e-3)}
    rule = Custom(dw="2^-1*x1*y0 - 2^-2*y1*x0", traces=traces, w_max=0.25)
    cells = Population(
        "cells", "lif", 3, tau_m=50e-3, tau_s=5e-3, v_th=1.0, bias=0.2, refractory=3e-3, v_init=0.1,
        adaptation=Adaptation(0.05, 2.0),
    )  # fmt: skip
    weights = np.array([[0.25, 0.125, 0.0], [0.0625, 0.25, 0.2], [0.1, 0.15, 0.05], [0.0, 0.2, 0.25]])
    syn = Projection("syn", "pixels", "cells", "dense", weights, sign="exc", rule=rule, w_max=0.25)
    inhibition = Projection(
        "inhibition", "cells", "cells", "sparse", np.array([-0.5, -0.25, -0.5]), np.array([1, 2, 5]),
        np.array([0, 1, 2, 3]), np.array([1, 2, 0]),
    )  # fmt: skip
    return Graph(
        "learner", 1e-3, 7, (Population("pixels", "input", 4), cells), (syn, inhibition),
        (Probe("cells.spikes", "cells", "spikes"), Probe("syn.w", "syn", "w", 100, 50)),
        (Phase(500, "plasticity", "syn", False), Phase(500, "adaptation", "cells", False)),
    )  # fmt: skip
