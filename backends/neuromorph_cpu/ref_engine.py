"""`cpu:ref` behind the `Engine` protocol: the executable specification as a machine that is run step by step."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import cast

import numpy as np
from numpy.typing import NDArray

from neuromorph.image import decode
from neuromorph.program import Program
from neuromorph.state import Item
from neuromorph.stepped import Inputs, SteppedEngine
from neuromorph_cpu.ref import Reference
from neuromorph_cpu.ref_wide import WideReference

__all__ = ["RefEngine"]

Ints = NDArray[np.int64]


class RefMachine:
    """`Reference` as a `Machine`."""

    def __init__(self, program: Program, seen: Counter[str] | None) -> None:
        self.program = program
        self.reference = (WideReference if program.profile == "wide" else Reference)(program, seen)

    @property
    def counters(self) -> dict[str, int]:
        """Work done."""
        return self.reference.counters

    @property
    def t(self) -> int:
        """The last step done."""
        return self.reference.t

    def reset(self) -> None:
        """Back to step 0."""
        self.reference.reset()

    def advance(self, steps: int, inputs: Inputs) -> Iterator[None]:
        """Run steps one by one."""
        for _ in range(steps):
            self.reference.step(inputs.get(self.t + 1))
            yield

    def spikes(self, population: str) -> Ints:
        """Spikes of the last step."""
        return self.reference.spikes[population].payload

    def value(self, item: Item) -> Ints:
        """A state item."""
        return self.reference.state[item.object, item.variable]

    def assign(self, item: Item, values: Ints) -> None:
        """Set a state item."""
        self.reference.state[item.object, item.variable] = values

    def seek(self, step: int) -> None:
        """Set the step; the random numbers are functions of it."""
        self.reference.t = step


class RefEngine(SteppedEngine):
    """Runs a program on `Reference`; `seen` counts wraps, saturations and roundings."""

    def __init__(self, target: str = "cpu:ref", seen: Counter[str] | None = None) -> None:
        super().__init__(lambda image: RefMachine(decode(image), seen), target)

    @property
    def reference(self) -> Reference:
        """The loaded machine."""
        return cast("RefMachine", self.machine).reference
