"""nengo-loihi's emulator in explicit integers: a block for each population, an axon and synapse for each projection.

It has no STDP: a plastic projection is learned by the executable specification's learning engine beside it, whose
weights are written into the emulator's after the spikes before have been delivered.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np
from nengo.exceptions import SimulationError
from nengo_loihi.block import Axon, LoihiBlock, Synapse
from nengo_loihi.emulator.interface import EmulatorInterface
from nengo_loihi.inputs import SpikeInput
from numpy.typing import NDArray

from neuromorph.errors import KnownDifferenceError
from neuromorph.program import Population, Projection
from neuromorph.state import Item
from neuromorph.worker.machine import Counters, SteppedMachine, initial_state
from neuromorph_cpu.ref import Reference
from neuromorph_nengo.holds import SHIFT, check_program

__all__ = ["NengoMachine"]

Ints = NDArray[np.int64]
U = 1 << 23
COMPARTMENT = {"u": "current", "v": "voltage", "refr": "ref_count"}
IDENTITY = 3  # nengo-loihi's compression for rows that are held as they are


class Emulator(EmulatorInterface):
    """Stops where Loihi 1 would wrap: there it differs from Loihi 2."""

    strict = True


class Source(SpikeInput):
    """An input whose spikes of the last step are given."""

    last: NDArray[Any] = np.zeros(0, np.int64)

    def spike_idxs(self, ti: int) -> Any:  # noqa: ARG002
        """Neurons that spiked."""
        return self.last


class NengoMachine(SteppedMachine):
    """A program on the emulator."""

    def check(self) -> None:
        """Refuse what the emulator does not hold."""
        check_program(self.program)

    def reset(self) -> None:
        """A new emulator."""
        program = self.program
        self.t = 0
        self.counters = Counters(program)
        self._learning = Reference(program)
        pops = program.populations.values()
        self._sources = {p.name: Source(p.n) for p in pops if p.kind == "input"}
        self._blocks = {p.name: _block(p) for p in pops if p.kind != "input"}
        self._synapses = {p.name: self._connect(p) for p in program.projections.values()}
        self._ring: dict[str, Ints] | None = None
        self._sent = {p.name: np.zeros(p.n, np.int64) for p in pops}
        model = SimpleNamespace(
            blocks=list(self._blocks.values()), inputs=list(self._sources.values()), probes=[], dt=program.dt,
            pes_error_scale=1.0,
        )  # fmt: skip
        self._emulator = Emulator(model, seed=0)
        self._slices = {name: self._emulator.block_info.slices[block] for name, block in self._blocks.items()}
        state = initial_state(program)
        for (name, variable), values in state.items():
            if name in self._blocks and variable in ("u", "v"):
                self._compartments(name, variable)[:] = values
        self._between_delivery_and_update()

    def _connect(self, proj: Projection) -> Synapse:
        pops = self.program.populations
        synapse = Synapse(pops[proj.pre].n)
        weights, indices = _rows(proj, self._held(proj, proj.weights))
        synapse._set_weights_indices(weights, indices, weight_dtype=np.int32, compression=IDENTITY)
        self._blocks[proj.post].add_synapse(synapse)
        axon = Axon(pops[proj.pre].n)
        axon.target = synapse
        (self._sources.get(proj.pre) or self._blocks[proj.pre]).add_axon(axon)
        return synapse

    def _held(self, proj: Projection, weights: Ints) -> Ints:
        shift = proj.weight_exp + SHIFT
        return weights << shift if shift >= 0 else weights >> -shift

    def _between_delivery_and_update(self) -> None:
        """The place in the emulator's step where restored currents come in and learned weights are written."""
        compartment = self._emulator.compartment
        update = compartment.update

        def wrapped(rng: Any) -> None:
            if self._ring is not None:
                for name, ring in self._ring.items():
                    compartment.input[0, self._slices[self.program.projections[name].post]] += ring[0] << SHIFT
                self._ring = None
            for proj in self.program.projections.values():
                if proj.rule is not None:
                    self._write_weights(proj)
            update(rng)

        compartment.update = wrapped

    def _write_weights(self, proj: Projection) -> None:
        learned, _ = _rows(proj, self._held(proj, self._learning.state[proj.name, "w"]))
        for row, values in zip(self._synapses[proj.name].weights, learned, strict=True):
            row[...] = values

    def _compartments(self, name: str, variable: str) -> Any:
        return getattr(self._emulator.compartment, COMPARTMENT[variable])[self._slices[name]]

    def step(self, injected: Mapping[str, Ints]) -> None:
        """One step; the learning engine beside it follows."""
        try:
            self._emulator.t = max(self.t, 1)  # it delivers no inputs in step 1: there are none yet, unless restored
            self._emulator.step()
        except SimulationError as error:
            raise KnownDifferenceError(
                f"step {self.t + 1}: {error} of Loihi 1 in nengo-loihi's emulator (q0: 21 bits, current: 23 bits and "
                "sign); the machine holds larger ones: use smaller weights, or another target"
            ) from error
        if np.any(self._emulator.compartment.current == -U):
            raise KnownDifferenceError(f"step {self.t + 1}: a current of -2^23, which Loihi 2 wraps and Loihi 1 holds")
        self.t += 1
        for name in self._sent:
            if name in self._blocks:
                sent = self._emulator.compartment.spiked[self._slices[name]].astype(np.int64)
            else:
                sent = (injected.get(name, self._sent[name] * 0) != 0).astype(np.int64)
                self._sources[name].last = np.flatnonzero(sent)
            self._sent[name] = sent
        self._learning.follow(self._sent)
        self.counters["plastic_updates"] = self._learning.counters["plastic_updates"]

    def spikes(self, population: str) -> Ints:
        """Spikes of the last step."""
        return self._sent[population]

    def value(self, item: Item) -> Ints:
        """A state item: of the emulator, or of the learning engine beside it."""
        if item.variable in COMPARTMENT:
            return np.asarray(self._compartments(item.object, item.variable), np.int64)
        if item.variable == "ring":
            return self._rings()[item.object]
        return self._learning.state[item.object, item.variable]

    def _rings(self) -> dict[str, Ints]:
        """What is under way: the emulator keeps the spikes and adds up weights when they arrive."""
        if self._ring is not None:
            return self._ring
        found = {}
        for name, proj in self.program.projections.items():
            synapse, total = self._synapses[name], np.zeros(self.program.populations[proj.post].n, np.int64)
            for k in np.flatnonzero(self._sent[proj.pre]):
                np.add.at(total, synapse.indices[k][0], synapse.weights[k][0])
            found[name] = (total >> SHIFT)[None, :]
        return found

    def assign(self, item: Item, values: Ints) -> None:
        """Set a state item."""
        if item.variable in COMPARTMENT:
            self._compartments(item.object, item.variable)[:] = values
        elif item.variable == "ring":
            self._ring = {**self._rings(), item.object: np.array(values)}
            self._emulator.compartment.spiked[:] = False  # they are in the rings now
            for source in self._sources.values():
                source.last = np.zeros(0, np.int64)
        else:
            self._learning.state[item.object, item.variable] = np.array(values)

    def seek(self, step: int) -> None:
        """Set the step."""
        self.t = self._learning.t = step


def _block(pop: Population) -> LoihiBlock:
    """Compartments with the population's integers."""
    block = LoihiBlock(pop.n)
    compartment = block.compartment

    def each(key: str) -> Any:
        return pop.per_neuron(key).astype(np.int32)

    compartment.decay_u, compartment.decay_v = each("du"), each("dv")
    compartment.vth, compartment.bias = each("vth") << SHIFT, each("bias")
    compartment.refract_delay = each("refractory") + 1  # it blocks one step less than it says
    compartment.scale_u = compartment.scale_v = False
    compartment.vmin, compartment.vmax = 1 - U, U - 1
    return block


def _rows(proj: Projection, values: Ints) -> tuple[list[Any], list[Any] | None]:
    """Weights, and targets, of each source."""
    if proj.indptr is None or proj.indices is None:
        return [row[None, :].astype(np.int32) for row in values], None
    cuts = proj.indptr[1:-1]
    return (
        [row[None, :].astype(np.int32) for row in np.split(values, cuts)],
        [row[None, :].astype(np.int32) for row in np.split(proj.indices, cuts)],
    )
