"""What machines around a peer share: steps one by one, the state at step 0, and work counted from what happened."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from neuromorph.image import decode
from neuromorph.program import Program, Projection
from neuromorph.state import items
from neuromorph.stepped import Inputs

__all__ = ["Counters", "SteppedMachine", "initial_state", "plastic_updates"]

Ints = NDArray[np.int64]


class SteppedMachine(ABC):
    """Part of a `neuromorph.stepped.Machine` whose peer runs one step at a time."""

    t: int
    counters: Counters

    def __init__(self, image: bytes) -> None:
        self.program = decode(image)
        self.check()
        self.reset()

    @abstractmethod
    def check(self) -> None:
        """Raise UnsupportedError for a program that the peer does not hold."""

    @abstractmethod
    def reset(self) -> None:
        """Step 0; sets `t` and `counters`."""

    @abstractmethod
    def step(self, injected: Mapping[str, Ints]) -> None:
        """One step with the payloads of inputs by name; sets `t`."""

    @abstractmethod
    def spikes(self, population: str) -> Ints:
        """Spikes of the last step."""

    def advance(self, steps: int, inputs: Inputs) -> Iterator[None]:
        """Run steps one by one."""
        for _ in range(steps):
            self.step(inputs.get(self.t + 1, {}))
            for name in self.program.populations:
                self.counters.count(name, self.spikes(name))
            yield


def initial_state(program: Program) -> dict[tuple[str, str], Ints]:
    """All items at step 0, before the schedule's entries for step 0."""
    found: dict[tuple[str, str], Ints] = {}
    for item in items(program):
        value = np.zeros(item.shape, np.int64)
        pop, proj = program.populations.get(item.object), program.projections.get(item.object)
        if item.object in program.modulators:
            value += program.modulators[item.object].init
        if pop is not None:
            init = {"u": pop.init_u, "v": pop.init_v, "theta": pop.init_theta}.get(item.variable)
            value = value if init is None else np.array(init, np.int64)
            value = np.ones(1, np.int64) if item.variable == "adapt" else value
        elif proj is not None and item.variable == "w":
            value = np.array(proj.weights, np.int64)
        elif proj is not None and item.variable == "plastic":
            value = np.array([int(proj.plastic)], np.int64)
        found[item.object, item.variable] = value
    return found


class Counters(dict[str, int]):
    """Spikes, synaptic events and plastic updates, counted from what happened in a step."""

    def __init__(self, program: Program) -> None:
        super().__init__(spikes=0, synaptic_events=0, plastic_updates=0)
        self._out: dict[str, list[Ints]] = {name: [] for name in program.populations}
        for proj in program.projections.values():
            n_pre = program.populations[proj.pre].n
            fan = np.diff(proj.indptr) if proj.indptr is not None else np.full(n_pre, program.populations[proj.post].n)
            self._out[proj.pre].append(fan)

    def count(self, population: str, payload: Ints) -> None:
        """Spikes of a population in a step."""
        fired = payload != 0
        self["spikes"] += int(fired.sum())
        self["synaptic_events"] += sum(int(fan[fired].sum()) for fan in self._out[population])


def plastic_updates(proj: Projection, epoch: int, tx: Ints, ty: Ints) -> int:
    """Synapses with a product that is due in an epoch; `tx`, `ty` are the spike times before learning."""
    rule = proj.rule
    if rule is None:
        return 0
    if any(p.dependency == "u" and epoch % (1 << p.k) == 0 for p in rule.products):
        return proj.synapses
    due = {p.dependency for p in rule.products}
    x0, y0 = (tx > 0) & ("x0" in due), (ty > 0) & ("y0" in due)
    if proj.indptr is not None and proj.indices is not None:
        return int(np.sum(x0[proj.pre_of] | y0[proj.indices]))
    return int(np.sum(x0[:, None] | y0[None, :]))
