"""The Graph: the hardware-independent IR. Connectivity and weights are drawn, rules are lowered to products.

Numbers are SI floats; potentials and weights are in units of the writer's choice (usually of the threshold), delays in
steps.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from neuromorph.plasticity.base import PlasticityRule

__all__ = [
    "Adaptation", "Drawn", "Graph", "Modulator", "Phase", "Population", "Probe", "Projection", "ShortTerm", "verify",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Adaptation:
    """Adaptive threshold: `increment` (units of v) at each spike, decay with `tau` (s), start at `init`.

    It falls by `drift` (units of v per second), down to `floor` (<= 0).
    """

    increment: float | NDArray[np.float64]
    tau: float
    init: float | NDArray[np.float64] = 0.0
    drift: float = 0.0
    floor: float = 0.0


@dataclass(frozen=True, slots=True)
class Population:
    """Neurons or an input. Scalars hold for all, arrays have shape (n,)."""

    name: str
    kind: Literal["input", "lif", "ternary"]
    n: int
    tau_m: float | NDArray[np.float64] = 0.0
    tau_s: float | NDArray[np.float64] = 0.0
    v_th: float | NDArray[np.float64] = 1.0
    v_th_low: float | NDArray[np.float64] = -1.0
    bias: float | NDArray[np.float64] = 0.0
    refractory: float | NDArray[np.float64] = 0.0
    resistance: float | NDArray[np.float64] | None = None  # None: tau_m / tau_s (docs/semantics.md)
    v_init: float | NDArray[np.float64] = 0.0
    u_init: float | NDArray[np.float64] = 0.0
    reset_interval: int = 0  # steps
    reset_offset: int = 0
    adaptation: Adaptation | None = None
    graded: bool = False  # inputs with payloads


@dataclass(frozen=True, slots=True)
class ShortTerm:
    """Short-term plasticity: `U` (scalar or like the weights), time constants in s, whether tag_2 is added to U."""

    U: float | NDArray[np.float64]
    tau_rec: float
    tau_facil: float = 0.0
    learned_use: bool = False


@dataclass(frozen=True, slots=True)
class Projection:
    """Synapses. Dense: weights (n_pre, n_post); sparse: rows by source (`indptr`, `indices`), weights (nnz,)."""

    name: str
    pre: str
    post: str
    layout: Literal["dense", "sparse"]
    weights: NDArray[np.float64]
    delays: int | NDArray[np.int64] = 1  # steps k >= 1; scalar or like weights
    indptr: NDArray[np.int64] | None = None
    indices: NDArray[np.int64] | None = None
    sign: Literal["mixed", "exc", "inh"] = "mixed"
    graded: bool = False
    rule: PlasticityRule | None = None
    w_max: float | None = None  # plastic: the largest weight that the rule may reach
    short_term: ShortTerm | None = None


@dataclass(frozen=True, slots=True)
class Modulator:
    """A slow state that rules read: `n` values, of the neurons of `of`, or one for all.

    Per step it decays with `tau` (s); then a spike of a source adds its gain times the payload ("add"), or sets it
    ("hold"). `full_scale` is the largest size that rules can tell.
    """

    name: str
    n: int = 1
    of: str | None = None
    sources: tuple[tuple[str, float], ...] = ()
    tau: float = math.inf
    full_scale: float = 1.0
    init: float | NDArray[np.float64] = 0.0
    mode: Literal["add", "hold"] = "add"


@dataclass(frozen=True, slots=True)
class Probe:
    """Sample `variable` of an object at every `every`-th step (phase: t % every == phase % every)."""

    name: str
    object: str
    variable: str  # as a Program names it: spikes, u, v, refr, theta, w, x1, x2, y1, y2, y3, tag_1, tag_2, m, ...
    every: int = 1
    phase: int = 0


@dataclass(frozen=True, slots=True)
class Phase:
    """At the end of `step`: "plasticity" or "adaptation" of an object goes on or off, a "modulator" takes `value`."""

    step: int
    operation: Literal["plasticity", "adaptation", "modulator"]
    object: str
    on: bool = True
    value: float = 0.0


Drawn: TypeAlias = Population | Projection | Modulator
"""Objects with a name of their own."""


@dataclass(frozen=True, slots=True)
class Graph:
    """A network with nothing left to draw. The order of objects is meaningful: streams of random numbers follow it."""

    name: str
    dt: float
    seed: int
    populations: tuple[Population, ...]
    projections: tuple[Projection, ...]
    probes: tuple[Probe, ...] = ()
    schedule: tuple[Phase, ...] = ()
    metadata: dict[str, object] = field(default_factory=dict)
    modulators: tuple[Modulator, ...] = ()

    def text(self, *, full: bool = False) -> str:
        """A stable form for people and for golden tests: one line per fact; arrays as shape, range and hash.

        Parameters
        ----------
        full : bool
            Write all values of arrays, too.
        """
        from neuromorph.graph_text import text

        return text(self, full=full)

    def __str__(self) -> str:
        return self.text()


def verify(graph: Graph) -> Graph:
    """Check what every graph must be, and give it back; passes call it between them.

    Raises
    ------
    ValidationError
        Names the object, the limit and the value.
    """
    from neuromorph.graph_check import check

    check(graph)
    return graph
