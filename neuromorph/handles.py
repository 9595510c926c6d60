"""What a `Network` gives back for each object: a small immutable handle with its description, usable as a dict key."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from neuromorph.inputs import Source
    from neuromorph.network import Network
    from neuromorph.neurons import Neuron
    from neuromorph.plasticity import PlasticityRule, ShortTermPlasticity
    from neuromorph.topology import Topology

__all__ = ["Handle", "Input", "Modulator", "Phase", "Population", "Probe", "Projection"]


@dataclass(frozen=True, eq=False, repr=False)
class Handle:
    """Base of all handles.

    Attributes
    ----------
    name : str
        Its name in programs, traces and messages.
    network : Network
        The network that it belongs to.
    """

    name: str
    network: Network = field(kw_only=True)

    @property
    def summary(self) -> str:
        """What it is, in a few words."""
        return ""

    def __repr__(self) -> str:
        return f"<{type(self).__name__.lower()} {self.name!r} of {self.network.name!r}: {self.summary}>"


@dataclass(frozen=True, eq=False, repr=False)
class Input(Handle):
    """`n` channels that emit the spikes given to a run, or those of `source` where a run gives none."""

    n: int
    graded: bool = False
    source: Source | None = None

    @property
    def summary(self) -> str:
        """Size and kind."""
        return f"{self.n} {'graded' if self.graded else 'binary'} channels"


@dataclass(frozen=True, eq=False, repr=False)
class Population(Handle):
    """`n` neurons of one model."""

    n: int
    neuron: Neuron
    v_init: Any = 0.0
    u_init: Any = 0.0

    @property
    def summary(self) -> str:
        """Size and model."""
        return f"{self.n} {self.neuron.model}"


@dataclass(frozen=True, eq=False, repr=False)
class Projection(Handle):
    """Synapses from `pre` to `post`, as described; the Graph holds what was drawn."""

    pre: Input | Population
    post: Population
    weights: Any
    topology: Topology
    delay: Any
    plasticity: PlasticityRule | None
    sign: Literal["mixed", "exc", "inh"] | None
    w_max: float | None
    graded: bool
    short_term: ShortTermPlasticity | None = None

    @property
    def summary(self) -> str:
        """Ends, topology and rule."""
        rule = f", {type(self.plasticity).__name__}" if self.plasticity is not None else ""
        return f"{self.pre.name} ({self.pre.n}) -> {self.post.name} ({self.post.n}), {self.topology!r}{rule}"


@dataclass(frozen=True, eq=False, repr=False)
class Modulator(Handle):
    """A slow state that rules read: one value for all, or one for each neuron of `of`."""

    of: Population | None
    sources: Mapping[Input | Population, float]
    tau: float | None
    full_scale: float
    init: Any
    mode: Literal["add", "hold"]

    @property
    def n(self) -> int:
        """Number of its values."""
        return 1 if self.of is None else self.of.n

    @property
    def summary(self) -> str:
        """Size, sources and time constant."""
        size = "shared" if self.of is None else f"one for each of {self.of.name} ({self.n})"
        names = ", ".join(source.name for source in self.sources) or "nothing"
        return f"{size}, from {names}{'' if self.tau is None else f', tau {self.tau:g} s'}"


@dataclass(frozen=True, eq=False, repr=False)
class Probe(Handle):
    """A recording of `variable` of `object` every `every` steps."""

    object: Input | Population | Projection | Modulator
    variable: str
    every: int

    @property
    def summary(self) -> str:
        """What it samples and when."""
        return f"{self.object.name}.{self.variable}, every {self.every} steps"


@dataclass(frozen=True, eq=False)
class Phase:
    """At `start` (seconds) modulators take a value; learning and adaptation are on or off until a later phase."""

    start: float
    plasticity: bool | Mapping[Projection, bool] | None
    adaptation: bool | Mapping[Population, bool] | None
    modulators: Mapping[Modulator, float] | None = None
