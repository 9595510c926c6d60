"""The fast mode: Lava's ProcessModels in one process, driven in the order of Lava's runtime, without its messages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from neuromorph.state import Item
from neuromorph.stepped import Inputs
from neuromorph.worker.machine import Counters, SteppedMachine, plastic_updates
from neuromorph_lava.holds import check_inputs, check_program
from neuromorph_lava.lower import connection, modulator, neurons, readers, setup_of, starting_state

__all__ = ["FastMachine"]

Ints = NDArray[np.int64]


class Channel:
    """Lava's channel with one place; it converts to the type of the sending port."""

    name = "channel"

    def __init__(self, n: int, dtype: type) -> None:
        self.data: Any = np.zeros(n, dtype)

    def send(self, data: Any) -> None:
        """Put values in."""
        self.data[:] = data

    def recv(self) -> Any:
        """The values; they can be read many times in a step."""
        return self.data.copy()


class FastMachine(SteppedMachine):
    """A program on Lava's models."""

    def check(self) -> None:
        """Refuse what Lava does not hold."""
        check_program(self.program)

    def advance(self, steps: int, inputs: Inputs) -> Iterator[None]:
        """Run steps one by one; refuses payloads that Lava takes in another way."""
        check_inputs(self.program, inputs)
        yield from super().advance(steps, inputs)

    def reset(self) -> None:
        """All models anew."""
        program = self.program
        self.t = 0
        self.counters = Counters(program)
        state = starting_state(program)
        pops, projs = program.populations, program.projections
        self._spikes = {p.name: Channel(p.n, np.int64 if p.kind == "ternary" else np.int32) for p in pops.values()}
        arrives = {p.name: Channel(pops[p.post].n, np.int32) for p in projs.values()}
        self._arrives, self._neurons, self._connections = arrives, {}, {}
        for name, pop in pops.items():
            if pop.kind != "input":
                process, model = neurons(pop, setup_of(program, name, state))
                sources = [arrives[p.name] for p in projs.values() if p.post == name]
                self._neurons[name] = _instance(model, process, {"a_in": sources}, {"s_out": [self._spikes[name]]})
        reads = [reader for name in program.modulators for reader in readers(program, name)]
        self._reads = {reader: Channel(pops[projs[reader[0]].post].n, np.int32) for reader in reads}
        for name, proj in projs.items():
            process, model = connection(program, name, setup_of(program, name, state))
            inputs = {"s_in": [self._spikes[proj.pre]], "s_in_bap": [self._spikes[proj.post]]}
            inputs |= {port: [channel] for (reader, port), channel in self._reads.items() if reader == name}
            self._connections[name] = _instance(model, process, inputs, {"a_out": [arrives[name]]})
        self._modulators = {name: self._modulator(name, state) for name in program.modulators}
        self._models = {**self._neurons, **self._modulators, **self._connections}

    def _modulator(self, name: str, state: dict[tuple[str, str], Ints]) -> Any:
        """A modulator between its sources and the projections that read it."""
        process, model = modulator(self.program, name, setup_of(self.program, name, state))
        sources = self.program.modulators[name].sources
        inputs = {f"s_in_{k}": [self._spikes[source]] for k, (source, _) in enumerate(sources)}
        outputs = {f"y_{k}": [self._reads[reader]] for k, reader in enumerate(readers(self.program, name))}
        return _instance(model, process, inputs, outputs)

    def step(self, injected: Mapping[str, Ints]) -> None:
        """One step in the order of Lava's runtime."""
        self.t += 1
        for name, model in self._connections.items():
            self._arrives[name].send(model.a_buff if model.a_buff.ndim == 1 else model.a_buff[:, 0])
        for name, pop in self.program.populations.items():
            if pop.kind == "input":
                self._spikes[name].send(injected.get(name, 0))
        for group in (self._neurons, self._modulators, self._connections):
            for model in group.values():
                model.time_step = self.t
                model.run_spk()
        for name, proj in self.program.projections.items():
            model = self._connections[name]
            if proj.rule is not None and model.lrn_guard():
                model.run_lrn()
                if model.plastic[0]:
                    epoch = self.t // proj.rule.t_epoch
                    self.counters["plastic_updates"] += plastic_updates(proj, epoch, *model.updates)
        for model in self._models.values():
            model.manage()

    def spikes(self, population: str) -> Ints:
        """Spikes of the last step."""
        return np.asarray(self._spikes[population].data, np.int64)

    def value(self, item: Item) -> Ints:
        """A state item."""
        return np.asarray(self._models[item.object].get(item.variable))

    def assign(self, item: Item, values: Ints) -> None:
        """Set a state item."""
        self._models[item.object].put(item.variable, values)

    def seek(self, step: int) -> None:
        """Set step and random numbers."""
        self.t = step
        for model in self._models.values():
            model.seek(step)


def _instance(model: type, process: Any, inputs: dict[str, list[Channel]], outputs: dict[str, list[Channel]]) -> Any:
    """A model with ports and variables, as Lava's PyProcessBuilder.build makes it."""
    made = model(process.proc_params)
    for ports, channels in ((process.in_ports, inputs), (process.out_ports, outputs)):
        for port in ports:
            kind = getattr(model, port.name)
            setattr(made, port.name, kind.cls(channels.get(port.name, []), made, port.shape, kind.d_type))
    for variable in process.vars:
        kind = getattr(model, variable.name)
        if issubclass(kind.cls, np.ndarray):
            value = np.ndarray(variable.shape, kind.d_type)
            value[:] = variable.init
        elif issubclass(kind.cls, csr_matrix) and isinstance(variable.init, int):
            value = csr_matrix(variable.shape, dtype=kind.d_type)
            value[:] = variable.init
        else:
            value = variable.init
        setattr(made, variable.name, value)
    made.start_from_setup()
    return made
