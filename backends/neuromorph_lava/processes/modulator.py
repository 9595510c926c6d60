"""A modulator as a Lava process: spikes come in, what three-factor rules read as y1, y2 or y3 goes out."""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

__all__ = ["Modulator", "ModulatorModel", "model_of"]

VALUE_MAX, PAYLOADS_MAX = 1 << 30, 1 << 20
READ_MIN, READ_MAX = -128, 127


class Modulator(AbstractProcess):
    """Ports ``s_in_0, ...`` for the neurons of each source, ``y_0, ...`` for the targets of each projection that reads.

    Parameters
    ----------
    sources, readers : tuple of int
        Their sizes.
    """

    def __init__(self, sources: tuple[int, ...], readers: tuple[int, ...]) -> None:
        super().__init__()
        for k, n in enumerate(sources):
            setattr(self, f"s_in_{k}", InPort(shape=(n,)))
        for k, n in enumerate(readers):
            setattr(self, f"y_{k}", OutPort(shape=(n,)))


@implements(proc=Modulator, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class ModulatorModel(PyLoihiProcessModel):
    """docs/semantics.md, section 4.4."""

    setup: Any
    m: Any

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        setup = proc_params["neuromorph"]
        self.m = np.zeros(setup.state["m"].shape, np.int64)

    def run_spk(self) -> None:
        """Decay, take in what the sources sent in this step, send what rules read."""
        held = self.setup.object
        if self.time_step % (1 << held.period) == 0:
            self.m[:] = np.sign(self.m) * (np.abs(self.m) * (4096 - held.decay) >> 12)
        for k, (_, gain) in enumerate(held.sources):
            payload = getattr(self, f"s_in_{k}").recv().astype(np.int64)
            sent = payload != 0
            if held.shared:
                payload, sent = payload.sum(keepdims=True), sent.any(keepdims=True)
            change = gain * np.clip(payload, -PAYLOADS_MAX, PAYLOADS_MAX)
            value = np.where(sent, change, self.m) if held.mode == "hold" else self.m + change
            self.m[:] = np.clip(value, -VALUE_MAX, VALUE_MAX)
        read = np.clip(self.m >> held.frac, READ_MIN, READ_MAX)
        for k, n in enumerate(self.setup.readers):
            getattr(self, f"y_{k}").send(np.array(np.broadcast_to(read, n), np.int32))

    def manage(self) -> None:
        """Values that the schedule sets."""
        for step, value in self.setup.schedule:
            if step == self.time_step:
                self.m[:] = value


def model_of(base: type, sources: int, readers: int) -> type:
    """A model with so many ports: Lava finds their types in the class."""
    ports: dict[str, Any] = {f"s_in_{k}": LavaPyType(PyInPort.VEC_DENSE, np.int32) for k in range(sources)}
    ports |= {f"y_{k}": LavaPyType(PyOutPort.VEC_DENSE, np.int32) for k in range(readers)}
    return type("Modulator", (base,), ports)
