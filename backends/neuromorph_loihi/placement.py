"""Neurons onto cores: contiguous ranges of each population, as large as the chip's limits allow.

Populations come in the program's order. One that fits whole into the core begun last (of its kind, learning or static)
shares it; any other is cut into ranges, each as long as it can be. A core learns if any projection onto it does; on
such a core all axons take the entries of learning ones. Inputs take no core: the host injects their spikes.
The result depends on the program and the chip alone, and is no part of the program's digest.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from neuromorph.errors import CapacityError
from neuromorph_loihi.ranges import check_ranges
from neuromorph_loihi.synapses import Inbound, index_bits

if TYPE_CHECKING:
    from neuromorph.program import Population, Program
    from neuromorph_loihi.chips import Chip

__all__ = ["LIMITS", "Core", "Placement", "Slice", "place"]

Ints = NDArray[np.int64]
LIMITS = {
    "compartments": "compartments", "decay_configs": "decay and refractory configurations",
    "threshold_configs": "threshold configurations", "input_axons": "input axons", "output_axons": "output axons",
    "synapse_formats": "synapse formats", "trace_configs": "trace configurations",
    "synapse_bits": "bits of synapse memory", "memory_bits": "bits of memory",
}  # fmt: skip
"""Fields of `Core` that a field of `Chip` of the same name limits, and what people call them."""
TILE_CORES, TILE_COLUMNS = 4, 8  # of Loihi 1 (Davies et al. 2018); assumed for Loihi 2


@dataclass(frozen=True, slots=True)
class Slice:
    """Neurons ``start .. stop - 1`` of a population."""

    population: str
    start: int
    stop: int

    def __str__(self) -> str:
        return f"{self.population}[{self.start}:{self.stop}]"


@dataclass(frozen=True, slots=True)
class Core:
    """What a core holds and uses.

    Attributes
    ----------
    slices : tuple of Slice
        Its neurons.
    learning : bool
        Whether any projection onto it is plastic.
    compartments, synapses, axons : int
        Neurons, synapses and arriving axons.
    input_axons, output_axons : int
        Entries for axons that arrive and leave; a source has one axon per projection and target core.
    synapse_bits, memory_bits : int
        Memory of synapses; of synapses and neuron states.
    decay_configs, threshold_configs, synapse_formats, trace_configs : int
        Different ones.
    full : str
        The field of `LIMITS` that ended its range; empty where the neurons ended.
    """

    slices: tuple[Slice, ...]
    learning: bool
    compartments: int
    synapses: int
    axons: int
    input_axons: int
    output_axons: int
    synapse_bits: int
    memory_bits: int
    decay_configs: int
    threshold_configs: int
    synapse_formats: int
    trace_configs: int
    full: str = ""

    def exceeds(self, chip: Chip) -> str:
        """The first field over the chip's limit, or an empty string."""
        return next((name for name in LIMITS if getattr(self, name) > getattr(chip, name).value), "")


@dataclass(frozen=True)
class Placement:
    """A program on a chip.

    Attributes
    ----------
    chip : Chip
        Its limits.
    cores : tuple of Core
        In order; ``chip.cores`` of them make a chip.
    neurons, synapses : int
        In all.
    axons : int
        Pairs of a source (neuron or input, per projection) and a core that it reaches: messages of a step in which
        all spike.
    columns, rows : float
        Mean distance of such a message on the mesh, in tiles; inputs enter at a corner of each chip.
    """

    chip: Chip
    cores: tuple[Core, ...]
    axons: int
    columns: float
    rows: float

    @cached_property
    def neurons(self) -> int:
        """Neurons on all cores."""
        return sum(core.compartments for core in self.cores)

    @cached_property
    def synapses(self) -> int:
        """Synapses on all cores."""
        return sum(core.synapses for core in self.cores)

    @property
    def chips(self) -> int:
        """Chips that it takes."""
        return -(-len(self.cores) // self.chip.cores.value)

    @property
    def tiles(self) -> int:
        """Tiles of the fullest chip."""
        return -(-min(len(self.cores), self.chip.cores.value) // TILE_CORES)


def place(program: Program, chip: Chip) -> Placement:
    """Put a program's neurons onto cores.

    Raises
    ------
    CapacityError
        A parameter out of range, a neuron that no core can hold, or too few cores: need, limit, and what would fit.
    """
    check_ranges(program, chip)
    placer = _Placer(program, chip)
    cores = placer.cores()
    limit = chip.chips.value * chip.cores.value
    if len(cores) > limit:
        held = sum(core.compartments for core in cores[:limit]) / max(1, sum(core.compartments for core in cores))
        reasons = [core.full for core in cores if core.full]
        most = max(LIMITS, key=reasons.count)
        why = f"most are full with {LIMITS[most]} ({getattr(chip, most).value} per core); " if reasons else ""
        raise CapacityError(
            f"target {chip.target!r} cannot hold {program.name!r}: it needs {len(cores)} cores, limit {limit} "
            f"({chip.board}, {chip.chips.value} x {chip.cores.value}); {why}about {held:.0%} of its neurons would fit"
        )
    return placer.placed(cores)


class _Placer:
    """A program prepared to tell what a core with certain neurons would use."""

    def __init__(self, program: Program, chip: Chip) -> None:
        self.program, self.chip = program, chip
        pops = program.populations
        self.pops = [p for p in pops.values() if p.kind != "input"]
        self.inbound: dict[str, list[Inbound]] = {p.name: [] for p in self.pops}
        for proj in program.projections.values():
            self.inbound[proj.post].append(Inbound(proj, pops[proj.pre].n, pops[proj.post].n))
        self.learns = {name: any(i.projection.rule for i in found) for name, found in self.inbound.items()}
        self.state_bits = {p.name: _states(p) * chip.state_bits.value for p in self.pops}
        self.decay = _configs(self.pops, ("du", "dv", "refractory"))
        self.threshold = _configs(self.pops, ("vth", "vth_lo"))
        self.sent = {p.name: np.zeros(p.n, np.int64) for p in pops.values()}

    # ------------------------------------------------------------------------------------------- what a core uses

    def use(self, slices: tuple[Slice, ...]) -> Core:
        """A core with these neurons; its output axons as far as they are known (see `cores`)."""
        neurons = sum(s.stop - s.start for s in slices)
        index = index_bits(neurons)
        found = [(i, i.fan(s.start, s.stop)) for s in slices for i in self.inbound[s.population]]
        present = [i for i, fan in found if fan.axons]
        learning = any(self.learns[s.population] for s in slices)
        axons = sum(fan.axons for _, fan in found)
        bits = sum(fan.bits(i.each + (0 if i.dense else index)) for i, fan in found)
        states = sum((s.stop - s.start) * self.state_bits[s.population] for s in slices)
        return Core(
            slices=slices,
            learning=learning,
            compartments=neurons,
            synapses=sum(fan.synapses for _, fan in found),
            axons=axons,
            input_axons=axons * (self.chip.learning_entries.value if learning else 1),
            output_axons=_sent(self.sent, slices),
            synapse_bits=bits,
            memory_bits=bits + states,
            decay_configs=_different(self.decay, slices),
            threshold_configs=_different(self.threshold, slices),
            synapse_formats=len({i.format for i in present}),
            trace_configs=len(frozenset().union(*(i.traces for i in present))),
        )

    # ------------------------------------------------------------------------------------------- cutting

    def cores(self) -> list[Core]:
        """Cores that keep to all limits.

        How many axons a neuron sends shows only when all are placed: placing is repeated, with the largest numbers
        seen so far, until no core sends too many. They only grow, and are bounded by the number of cores.
        """
        while True:
            made = self._cores()
            sent = self._axons_sent(made)
            counts = [_sent(sent, core.slices) for core in made]
            if max(counts, default=0) <= self.chip.output_axons.value:
                return [replace(core, output_axons=count) for core, count in zip(made, counts, strict=True)]
            self.sent = {name: np.maximum(self.sent[name], sent[name]) for name in sent}

    def _cores(self) -> list[Core]:
        made: list[Core] = []
        begun: dict[bool, int] = {}
        for pop in self.pops:
            whole, kind = Slice(pop.name, 0, pop.n), self.learns[pop.name]
            if kind in begun:
                shared = self.use((*made[begun[kind]].slices, whole))
                if not shared.exceeds(self.chip):
                    made[begun[kind]] = shared
                    continue
            while whole.start < whole.stop:
                made.append(self._longest(whole))
                whole = replace(whole, start=made[-1].slices[0].stop)
            begun[kind] = len(made) - 1
        return made

    def _longest(self, rest: Slice) -> Core:
        """The core with as many of the first neurons of `rest` as it can hold: doubling, then bisection."""
        held = self.use((replace(rest, stop=rest.start + 1),))
        if over := held.exceeds(self.chip):
            raise self._too_large(rest, over, getattr(held, over))
        good, bad = 1, rest.stop - rest.start + 1
        while good + 1 < bad:
            size = (good + bad) // 2 if over else min(2 * good, bad - 1)
            core = self.use((replace(rest, stop=rest.start + size),))
            if reason := core.exceeds(self.chip):
                bad, over = size, reason
            else:
                good, held = size, core
        return replace(held, full=over)

    def _too_large(self, rest: Slice, reason: str, need: int) -> CapacityError:
        limit = getattr(self.chip, reason).value
        return CapacityError(
            f"target {self.chip.target!r} cannot hold {self.program.name!r}: neuron {rest.start} of "
            f"{rest.population!r} alone needs {need} {LIMITS[reason]}, limit {limit} per core; about "
            f"{limit / need:.0%} of that would fit: use fewer projections, sources or targets"
        )

    # ------------------------------------------------------------------------------------------- axons

    def _reached(self, cores: list[Core]) -> Iterable[tuple[str, int, NDArray[np.bool_]]]:
        """For each projection and core that it reaches: source population, number of the core, sources that do."""
        for number, core in enumerate(cores):
            for part in core.slices:
                for inbound in self.inbound[part.population]:
                    yield inbound.projection.pre, number, inbound.per_source(part.start, part.stop) > 0

    def _axons_sent(self, cores: list[Core]) -> dict[str, Ints]:
        sent = {p.name: np.zeros(p.n, np.int64) for p in self.program.populations.values()}
        for pre, _, reaches in self._reached(cores):
            sent[pre] += reaches
        return sent

    def placed(self, cores: list[Core]) -> Placement:
        """The placement with its axons and their mean distance on the mesh."""
        x, y = _positions(len(cores), self.chip)
        home = {p.name: np.full(p.n, -1) for p in self.program.populations.values()}
        for number, core in enumerate(cores):
            for part in core.slices:
                home[part.population][part.start : part.stop] = number
        axons = columns = rows = 0
        for pre, number, reaches in self._reached(cores):
            origin = home[pre][reaches]  # an input has none: -1, the corner
            axons += origin.size
            columns += int(np.abs(x[origin] - x[number]).sum())
            rows += int(np.abs(y[origin] - y[number]).sum())
        some = max(axons, 1)
        return Placement(self.chip, tuple(cores), axons, columns / some, rows / some)


def _states(pop: Population) -> int:
    """State variables and parameters of its own that a neuron keeps: u, v; bias, refr, theta, its increment."""
    own_increment = pop.adaptive and np.ndim(pop.theta_inc) > 0
    return 2 + bool(np.any(pop.bias)) + pop.is_refractory + pop.adaptive + own_increment


def _configs(pops: list[Population], keys: tuple[str, ...]) -> dict[str, Ints]:
    """The number of each neuron's configuration, the same number for the same values in all populations."""
    if not pops:
        return {}
    table = np.concatenate([np.stack([p.per_neuron(key) for key in keys], axis=1) for p in pops])
    number = np.unique(table, axis=0, return_inverse=True)[1].reshape(-1)
    ends = np.cumsum([p.n for p in pops])
    return {p.name: part for p, part in zip(pops, np.split(number, ends[:-1]), strict=True)}


def _sent(sent: Mapping[str, Ints], slices: tuple[Slice, ...]) -> int:
    return sum(int(sent[s.population][s.start : s.stop].sum()) for s in slices)


def _different(configs: dict[str, Ints], slices: tuple[Slice, ...]) -> int:
    return int(np.unique(np.concatenate([configs[s.population][s.start : s.stop] for s in slices])).size)


def _positions(cores: int, chip: Chip) -> tuple[Ints, Ints]:
    """Column and row of each core's tile on its chip; the last element is the corner where inputs enter."""
    tile = np.append(np.arange(cores) % chip.cores.value // TILE_CORES, 0)
    return tile % TILE_COLUMNS, tile // TILE_COLUMNS
