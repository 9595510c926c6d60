"""Loihi 2 behind Lava, where the package lava-loihi is installed and a host is set (`lava.utils.loihi`).

**Never run on a chip**: lava-loihi is not public. Lava's own processes are connected as in `runtime`, with the adapters
of `lava.proc.embedded_io` where spikes enter and leave the chip, and Lava's `Loihi2HwCfg` chooses the models: those of
lava-loihi on the chip. Our own models have no counterpart there, and outputs are spikes alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2HwCfg
from lava.proc.io.sink import RingBuffer as Sink
from lava.proc.io.source import RingBuffer as Source
from lava.utils import loihi
from numpy.typing import NDArray

from neuromorph.errors import UnsupportedError
from neuromorph.image import decode
from neuromorph.state import Item
from neuromorph.stepped import Inputs
from neuromorph.worker.machine import Counters
from neuromorph_lava.holds import check_chip, check_inputs, check_program
from neuromorph_lava.lower import connection_process, neuron_process

__all__ = ["HardwareMachine", "has_chip"]

Ints = NDArray[np.int64]


def has_chip() -> bool:
    """Whether lava-loihi is installed and a host with a chip has been chosen."""
    return bool(loihi.is_installed() and loihi.host)


class HardwareMachine:
    """A program on Loihi 2: whole runs from step 0, spikes recorded."""

    def __init__(self, image: bytes) -> None:
        self.program = decode(image)
        check_program(self.program)
        check_chip(self.program)
        self.reset()

    def reset(self) -> None:
        """Step 0."""
        self.t = 0
        self.counters = Counters(self.program)
        self._sent: dict[str, Ints] = {}

    def advance(self, steps: int, inputs: Inputs) -> Iterator[None]:
        """Run all steps on the chip, then show them one by one."""
        check_inputs(self.program, inputs)
        if self.t:
            raise UnsupportedError("a run on the chip begins at step 0: reset the session, and run all steps at once")
        spikes = self._run(steps, inputs) if steps else {}
        for t in range(steps):
            self.t += 1
            self._sent = {name: values[:, t] for name, values in spikes.items()}
            for name, payload in self._sent.items():
                self.counters.count(name, payload)
            yield

    def _run(self, steps: int, inputs: Inputs) -> dict[str, Ints]:
        """Spikes by population, shape (n, steps)."""
        from lava.proc.embedded_io.spike import NxToPyAdapter, PyToNxAdapter

        program, made, sinks = self.program, dict[str, Any](), dict[str, Any]()
        found = {p.name: np.zeros((p.n, steps), np.int64) for p in program.populations.values()}
        for name, pop in program.populations.items():
            if pop.kind == "input":
                for step, payloads in inputs.items():
                    if name in payloads:
                        found[name][:, step - 1] = payloads[name]
                source, made[name] = Source(data=found[name].astype(np.int32)), PyToNxAdapter(shape=(pop.n,))
                source.s_out.connect(made[name].inp)
            else:
                made[name] = neuron_process(pop)
                adapter, sinks[name] = NxToPyAdapter(shape=(pop.n,)), Sink(shape=(pop.n,), buffer=steps)
                made[name].s_out.connect(adapter.inp)
                adapter.out.connect(sinks[name].a_in)
        for proj in program.projections.values():
            process = connection_process(program, proj.name)
            (made[proj.pre].out if proj.pre not in sinks else made[proj.pre].s_out).connect(process.s_in)
            process.a_out.connect(made[proj.post].a_in)
            if proj.rule is not None:
                made[proj.post].s_out.connect(process.s_in_bap)
        first = next(made[name] for name in sinks)
        try:
            first.run(condition=RunSteps(num_steps=steps), run_cfg=Loihi2HwCfg())
            for name, sink in sinks.items():
                found[name] = np.asarray(sink.data.get(), np.int64)
        finally:
            first.stop()
        return found

    def spikes(self, population: str) -> Ints:
        """Spikes of the step shown."""
        return self._sent[population]

    def value(self, item: Item) -> Ints:
        """Refused: it stays on the chip."""
        raise UnsupportedError(f"{item.name} stays on the chip: probe spikes, or run on loihi:lava-fast or loihi")

    def assign(self, item: Item, values: Ints) -> None:
        """Refused: it is on the chip."""
        raise UnsupportedError(f"{item.name} cannot be set on the chip ({values.size} values)")

    def seek(self, step: int) -> None:
        """Refused: runs begin at step 0."""
        raise UnsupportedError(f"a run on the chip begins at step 0, not at {step}")
