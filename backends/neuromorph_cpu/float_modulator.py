"""Modulators of the float engine: exact exponentials; rules read them up to the full scale (docs/semantics.md, 4.4)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from neuromorph.graph import Modulator

__all__ = ["FloatModulator"]

Floats = NDArray[np.float64]
MACHINE_MAX = 127


@dataclass(frozen=True, slots=True)
class FloatModulator:
    """One modulator; `values` are its state in the engine, shape (n,)."""

    description: Modulator
    values: Floats
    keep: float

    @classmethod
    def of(cls, modulator: Modulator, dt: float) -> FloatModulator:
        """At its initial value, for steps of `dt` seconds."""
        values = np.array(np.broadcast_to(modulator.init, modulator.n), dtype=np.float64)
        return cls(modulator, values, math.exp(-dt / modulator.tau))

    @property
    def per_neuron(self) -> bool:
        """Whether each neuron has a value of its own."""
        return self.description.of is not None

    @property
    def machine_unit(self) -> float:
        """Value of one machine unit, for rules in machine units."""
        return self.description.full_scale / MACHINE_MAX

    def read(self, neurons: NDArray[np.int64]) -> Floats:
        """What rules see beside the neurons of their target: values of at most the full scale."""
        level = self.values[neurons] if self.per_neuron else self.values[0]
        return np.clip(level, -self.description.full_scale, self.description.full_scale)

    def advance(self, spikes: Mapping[str, NDArray[np.int64]]) -> None:
        """One step: decay, then what the sources sent (payloads, 0 where silent)."""
        self.values[:] *= self.keep
        for name, gain in self.description.sources:
            sent = spikes[name]
            if not sent.any():
                continue
            fed = gain * (sent if self.per_neuron else sent.sum(keepdims=True))
            if self.description.mode == "add":
                self.values[:] += fed
            else:
                came = sent != 0 if self.per_neuron else np.any(sent != 0, keepdims=True)
                np.copyto(self.values, fed, where=came)
