"""Instructions per element of the kernels on an emulated board: differences of two exact counts, calls included."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neuromorph.bench.counting import count, of_the_engine
from neuromorph.engine import Engine
from neuromorph.program import Population, Program, Projection, build
from neuromorph.records import Events, encode_records
from neuromorph.rule import Factor, Product, Rule, Trace
from neuromorph.state import items
from neuromorph.targets import find

__all__ = ["kernel_costs"]

STEPS = 40
FIRST = 3  # step of the first spikes
N_IN, N = 32, 128


@dataclass(frozen=True, slots=True)
class _Run:
    """A program and how many of its inputs spike in each step from `FIRST` on."""

    program: Program
    spiking: int = 0


def kernel_costs(target: str = "mcu:m4") -> dict[str, float]:
    """Instructions per element, by kernel.

    Each figure is (count with the work - count without) / elements, so that it holds everything that the work causes.

    Raises
    ------
    TargetError
        The target cannot count instructions.
    """
    backend, found = find(target)
    engine = backend.open(found)
    try:
        return {name: cost(engine) for name, cost in _KERNELS.items()}
    finally:
        engine.close()


def _count(engine: Engine, run: _Run, steps: int = STEPS) -> int:
    """Instructions of the firmware's core in `steps` steps (without the link)."""
    engine.load(run.program.image)
    for k, item in enumerate(items(run.program)):
        if item.variable == "y1":  # targets have spiked a while ago
            engine.write_item(k, 0, item.encode(np.full(item.shape, 100)))
    given = b""
    if run.spiking:
        step = np.repeat(np.arange(FIRST, steps + 1), run.spiking)
        index = np.tile(np.arange(run.spiking), steps + 1 - FIRST)
        given = encode_records({0: Events(step, index)})
    return of_the_engine(count(engine, lambda: engine.run(steps, given, lambda _: None)))


def _per(engine: Engine, more: _Run, less: _Run, elements: float) -> float:
    return (_count(engine, more) - _count(engine, less)) / elements


def _silent(n: int = N) -> list[Population]:
    """Inputs and neurons that never spike: thresholds out of reach."""
    return [Population("input", N_IN, "input"), Population("cells", n, du=741, dv=200, vth=131071)]


def _static(delays: int | NDArray[np.int64] = 0) -> Program:
    weights = np.random.default_rng(1).integers(-20, 20, (N_IN, N))
    return build(_silent(), [Projection("p", "input", "cells", weights, delays=delays)])


def _plastic(dw: tuple[Product, ...], t_epoch: int = 1) -> Program:
    traces = {"x1": Trace(20, 0, 20.0), "y1": Trace(20, 0, 1e6)}
    weights = np.full((N_IN, N), 100)
    rule = Rule(dw=dw, traces=traces, t_epoch=t_epoch)
    return build(_silent(), [Projection("p", "input", "cells", weights, -8, "exc", rule=rule)])


def _lif(engine: Engine) -> float:
    few, many = (build(_silent(n), []) for n in (N, 3 * N))
    return _per(engine, _Run(many), _Run(few), 2 * N * STEPS)


def _event(make: Callable[[], Program], per_source: float) -> Callable[[Engine], float]:
    def cost(engine: Engine) -> float:
        program = make()
        steps = STEPS + 1 - FIRST
        return _per(engine, _Run(program, 24), _Run(program, 8), 16 * per_source * steps)

    return cost


def _delays() -> NDArray[np.int64]:
    return np.random.default_rng(3).integers(0, 8, (N_IN, N))


def _sparse() -> Program:
    rng = np.random.default_rng(2)
    mask = rng.random((N_IN, N)) < 0.5
    indptr = np.concatenate([[0], np.cumsum(mask.sum(1))])
    weights = rng.integers(-20, 20, int(mask.sum()))
    return build(_silent(), [Projection("p", "input", "cells", weights, indptr=indptr, indices=np.nonzero(mask)[1])])


_PAIR = (Product("y0", 1, 0, (Factor("x1"),)), Product("x0", -1, 0, (Factor("y1"),)))
_WEIGHT, _TRACE = Product("x0", -1, -2, (Factor("w"),)), Product("x0", 1, -2, (Factor("y1", 3),))


def _update(more: tuple[Product, ...], less: tuple[Product, ...], products: int = 1) -> Callable[[Engine], float]:
    """Per plastic update: one rule's run minus another's that does less."""

    def cost(engine: Engine) -> float:
        updates = 24 * N * (STEPS + 1 - FIRST)
        return _per(engine, _Run(_plastic(more), 24), _Run(_plastic(less), 24), updates * products)

    return cost


_KERNELS: dict[str, Callable[[Engine], float]] = {
    "neuron update, lif": _lif,
    "synaptic event, static dense": _event(_static, N),
    "synaptic event, static dense, delays": _event(lambda: _static(_delays()), N),
    "synaptic event, static sparse": _event(_sparse, N / 2),
    "plastic update, pair STDP": _update(_PAIR, _PAIR[:1]),
    "plastic update, interpreter, one product": _update((_WEIGHT,), _PAIR[:1]),
    "each further product, of a trace": _update((_WEIGHT, *[_TRACE] * 3), (_WEIGHT,), 3),
    "each further product, of the weight": _update((_WEIGHT,) * 4, (_WEIGHT,), 3),
}


