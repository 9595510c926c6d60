"""Instructions per element of the kernels on an emulated board: exact counts with all that the work causes.

Neurons, events and the interpreter: differences of two runs. Pair STDP: everything of the learning phase, decay of the
traces included, divided by the plastic updates of the network N3 at 20 Hz.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from neuromorph.bench.counting import check_counts, count, of_the_engine, of_the_learning
from neuromorph.bench.measure import records
from neuromorph.bench.networks import benchmark
from neuromorph.engine import Engine
from neuromorph.profiles import PROFILES
from neuromorph.program import Population, Program, Projection, build
from neuromorph.progress import Progress
from neuromorph.records import Events, encode_records
from neuromorph.rule import Factor, Product, Rule, Trace
from neuromorph.short_term import ShortTerm, factors
from neuromorph.state import items
from neuromorph.targets import find

__all__ = ["kernel_costs", "pair_costs", "product_costs", "wide_costs"]

STEPS = 40
PAIR_SCALE, PAIR_STEPS = 0.5, 40  # of N3: two programs must fit a board while one follows the other
PRODUCT_STEPS = 8
EXPONENTS = {"": (-3,), " that saturates": (2, 8)}
"""Of a product that stays within the limits of its sum; that passes them, by little or by as much as there is."""
FIRST = 3  # step of the first spikes
N_IN, N = 32, 128
ROWS = 24  # sources that spike together in a product's run


@dataclass(frozen=True, slots=True)
class _Run:
    """A program and how many of its inputs spike in each step from `FIRST` on."""

    program: Program
    spiking: int = 0
    steps: int = PRODUCT_STEPS


def kernel_costs(target: str = "mcu:m4", progress: Progress | None = None) -> dict[str, float]:
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
        check_counts(engine)
        costs: dict[str, float] = {}
        parts: list[Callable[[Engine], dict[str, float]]] = [
            *(partial(_single, name, cost) for name, cost in _KERNELS.items()), pair_costs, product_costs, wide_costs
        ]  # fmt: skip
        for k, part in enumerate(parts):
            costs |= part(engine)
            if progress:
                progress("kernels", k + 1, len(parts))
        return costs
    finally:
        engine.close()


def _single(name: str, cost: Callable[[Engine], float], engine: Engine) -> dict[str, float]:
    return {name: cost(engine)}


def _count(engine: Engine, run: _Run, steps: int = STEPS) -> int:
    """Instructions of the firmware's core in `steps` steps (without the link)."""
    engine.load(run.program.image)
    for k, item in enumerate(items(run.program)):
        if item.variable in ("x1", "y1"):  # both sides have spiked a while ago
            engine.write_item(k, 0, item.encode(np.full(item.shape, 100)))
    given = b""
    if run.spiking:
        step = np.repeat(np.arange(FIRST, steps + 1), run.spiking)
        index = np.tile(np.arange(run.spiking), steps + 1 - FIRST)
        given = encode_records({0: Events(step, index)})
    return of_the_engine(count(engine, lambda: engine.run(steps, given, lambda _: None)))


class _Counter:
    """Counts of an engine, each made once: many rules are compared with the same one that has nothing to do."""

    def __init__(self, engine: Engine) -> None:
        self._engine, self._made = engine, dict[tuple[bytes, int, int], int]()

    def __call__(self, run: _Run) -> int:
        key = run.program.image, run.spiking, run.steps
        if key not in self._made:
            self._made[key] = _count(self._engine, run, run.steps)
        return self._made[key]


def _per(engine: Engine, more: _Run, less: _Run, elements: float) -> float:
    return (_count(engine, more) - _count(engine, less)) / elements


def _silent(n: int = N) -> list[Population]:
    """Inputs and neurons that never spike: thresholds out of reach."""
    return [Population("input", N_IN, "input"), Population("cells", n, du=741, dv=200, vth=131071)]


def _static(delays: int | NDArray[np.int64] = 0) -> Program:
    weights = np.random.default_rng(1).integers(-20, 20, (N_IN, N))
    return build(_silent(), [Projection("p", "input", "cells", weights, delays=delays)])


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


def _release(sparse: bool, delays: bool = False) -> Program:
    """Synapses that tire and facilitate, each with its own use."""
    made = _sparse() if sparse else _static(_delays() if delays else 0)
    proj = made.projections["p"]
    use = np.full(proj.weights.shape, 12_000)
    held = replace(proj, short_term=ShortTerm(use, factors(800.0), factors(300.0)))
    return build(list(made.populations.values()), [held])


# ------------------------------------------------------------------------------------------------------- learning

ROUNDINGS = ("shared", "synapse")
LINES: tuple[tuple[str, Literal["x0", "y0"], str], ...] = (("rows", "x0", "y1"), ("columns", "y0", "x1"))
SIGNS: tuple[tuple[Literal["exc", "inh", "mixed"], int], ...] = (("exc", 1), ("inh", -1), ("mixed", 1))


def pair_costs(engine: Engine) -> dict[str, float]:
    """Instructions of the learning phase per plastic update of N3, by size of the steps, rounding and epoch."""
    return {
        f"plastic update, pair STDP, {steps} steps, {rounding}, epoch of {epoch}": _pair(engine, exp, rounding, name)
        for steps, exp in (("whole", 0), ("fractional", -2))
        for rounding in ROUNDINGS
        for epoch, name in ((1, "N3"), (4, "N3e"))
    }


def _scaled(proj: Projection, exp: int) -> Projection:
    if proj.rule is None:
        return proj
    return replace(proj, rule=replace(proj.rule, dw=tuple(replace(q, exp=exp) for q in proj.rule.dw)))


def _pair(engine: Engine, exp: int, rounding: Any, name: str) -> float:
    network = benchmark(name, PAIR_SCALE)
    projs = [_scaled(p, exp) for p in network.program.projections.values()]
    program = build(list(network.program.populations.values()), projs, rounding=rounding)
    engine.load(program.image)
    before = engine.counters()["plastic_updates"]
    counts = count(engine, lambda: engine.run(PAIR_STEPS, records(network, PAIR_STEPS), lambda _: None))
    return of_the_learning(counts) / (engine.counters()["plastic_updates"] - before)


MIXED = SIGNS[2]
PAIRS = ((Factor("w", -200), 0), (Factor("w"), 3))
"""What multiplies a trace in a product of two varying factors, as (factor, constant of the trace)."""


def product_costs(engine: Engine) -> dict[str, float]:
    """Instructions per synapse of a product of the interpreter: the dearest sign mode, and factor, of each.

    The first product of a sum comes with all that the sum costs: weights are read, rounded and written. A further
    one is what a sum of four has more than a sum of two, halved. What saturates can pass the limits of its sum: for
    weights of one sign that makes no difference. What products read of the far ends of the synapses is prepared once
    for all rows, or columns, of a step: `ROWS`, or `N_IN`; a row or a column that is alone has that for itself.
    """
    costs, count = {}, _Counter(engine)
    for rounding in ROUNDINGS:
        for where, dependency, trace in LINES:
            for what, choice in _firsts(trace).items():
                for which, exponents in EXPONENTS.items():
                    costs[f"interpreted product, the first{what}{which}, {rounding}, {where}"] = max(
                        _interpreted(count, rounding, sign, (Product(dependency, -1, exp, f),))
                        for exp in exponents for sign in SIGNS for f in choice
                    )  # fmt: skip
        further: dict[str, list[tuple[Factor, ...]]] = {
            "a trace": [(Factor("y1", 3),)],
            "the weight": [(Factor("w"),)],
            "two varying factors": _pairs("y1"),
            "three varying factors": _threes("y1"),
            "a function": _functions("y1"),
        }
        for name, choice in further.items():
            for which, exponents in EXPONENTS.items():
                costs[f"interpreted product, each further of {name}{which}, {rounding}"] = max(
                    _further(count, rounding, sign, Product("x0", 1, exp, f))
                    for exp in exponents for sign in SIGNS for f in choice
                )  # fmt: skip
        for line, dependency, trace in (("row", "x0", "y1"), ("column", "y0", "x1")):
            for what, choice in _firsts(trace).items():
                for which, exponents in EXPONENTS.items():
                    costs[f"interpreted product in a {line} alone, the first{what}{which}, {rounding}"] = max(
                        _interpreted(count, rounding, sign, (Product(dependency, -1, exp, f),), lines=1)
                        for exp in exponents for sign in SIGNS for f in choice
                    )  # fmt: skip
        for which, exponents in EXPONENTS.items():
            costs[f"interpreted product, the first{which}, {rounding}, columns with gaps"] = max(
                _with_gaps(count, rounding, sign, (f,), exp)
                for exp in exponents for sign in SIGNS for f in (Factor("w"), Factor("x1", 3))
            )  # fmt: skip
            costs[f"interpreted product, the first of two varying factors{which}, {rounding}, columns with gaps"] = max(
                _with_gaps(count, rounding, MIXED, f, exp) for exp in exponents for f in _pairs("x1")[1:]
            )
    return costs


def _firsts(trace: str) -> dict[str, list[tuple[Factor, ...]]]:
    """What a product may be made of."""
    return {
        "": [(Factor("w"),), (Factor(trace, 3),)],
        " of two varying factors": _pairs(trace),
        " of three varying factors": _threes(trace),
        " of a function": _functions(trace),
    }


def _pairs(trace: str) -> list[tuple[Factor, ...]]:
    """The weight and a trace, with constants in either, and a trace twice."""
    soft = [(factor, Factor(trace, constant)) for factor, constant in PAIRS]
    return [*soft, (Factor(trace), Factor(trace, -3))]


def _threes(trace: str) -> list[tuple[Factor, ...]]:
    """The weight, or a trace, and two traces that may reach their limits."""
    return [(factor, Factor(trace, 3), Factor(trace, constant)) for factor, constant in [*PAIRS, (Factor(trace), -5)]]


def _functions(trace: str) -> list[tuple[Factor, ...]]:
    """Of the weight, of a trace, and of both, in either order, with and without a function."""
    return [
        (Factor("w", -40, "sgn"),), (Factor(trace, -40, "on"),), (Factor("w", -20, "pos", trace, -1),),
        (Factor(trace, 5, "", "w", -1),),
    ]  # fmt: skip


def _further(count: _Counter, rounding: str, sign: tuple[Any, int], product: Product) -> float:
    two = (Product("x0", -1, -3, (Factor("w"),)), product)
    return (
        _interpreted(count, rounding, sign, (*two, product, product)) - _interpreted(count, rounding, sign, two)
    ) / 2


def _with_gaps(count: _Counter, rounding: str, sign: tuple[Any, int], factors: tuple[Factor, ...], exp: int) -> float:
    """Per synapse of a column from whose rows a quarter has been taken: without these rows, of which all are measured.

    All sources or a quarter of them spike, or none, and the targets always do: a count is of the columns alone, of rows
    alone, or of both, and the synapses of rows cost the same each.
    """
    rows = (Product("x0", -1, -3, (Factor("w"),)),)
    both = (Product("y0", -1, exp, factors), *rows)
    steps, n = PRODUCT_STEPS + 1 - FIRST, N

    def cost(spiking: int) -> float:
        more, less = (_Run(_plastic(dw, rounding, sign, True, "loihi2"), spiking) for dw in (both, rows))
        return (count(more) - count(less)) / N_IN

    before = cost(0) * (FIRST - 1) / PRODUCT_STEPS
    crossing = (cost(n) - before) / n
    return (cost(n // 4) - before - crossing * n / 4) / (n - n // 4) / steps


def wide_costs(engine: Engine) -> dict[str, float]:
    """Instructions per synapse of a product in profile wide: the dearest factor of each."""
    costs, count = {}, _Counter(engine)
    for where, dependency, trace in LINES:
        first = [(Product(dependency, -1, -2, (f,)),) for f in (Factor("w"), Factor(trace, 3))]
        costs[f"profile wide, the first product, {where}"] = max(
            _interpreted(count, "synapse", SIGNS[0], dw, "wide") for dw in first
        )
    one = (Product("x0", -1, -2, (Factor("w"),)),)
    for name, terms in (("a trace", (Factor("y1", 3),)), ("a trace and the weight", (Factor("y1", 3), Factor("w")))):
        more = one + 3 * (Product("x0", 1, -2, terms),)
        both = [_interpreted(count, "synapse", SIGNS[0], dw, "wide") for dw in (more, one)]
        costs[f"profile wide, each further product of {name}"] = (both[0] - both[1]) / 3
    return costs


def _interpreted(
    count: _Counter,
    rounding: str,
    sign: tuple[Any, int],
    dw: tuple[Product, ...],
    profile: str = "loihi2",
    lines: int | None = None,
) -> float:
    """Per synapse: a rule's run minus that of a rule which has nothing to do.

    Of all columns, or of `ROWS` rows, that are due in each step; or of so many `lines`, each with `N` synapses, over
    more steps: what is found out once for a program is no part of a step.
    """
    columns = dw[0].dependency == "y0"
    idle = (Product("u", 1, 0, (Factor("w"),), k=9),)
    spiking, steps = 0 if columns else lines or ROWS, STEPS if lines else PRODUCT_STEPS
    rules = (_plastic(rule, rounding, sign, columns, profile, lines if columns else None) for rule in (dw, idle))
    more, less = (count(_Run(program, spiking, steps)) for program in rules)
    synapses = (N * lines if lines else N_IN * N) * steps if columns else spiking * N * (steps + 1 - FIRST)
    return (more - less) / synapses


def _plastic(
    dw: tuple[Product, ...], rounding: Any, sign: tuple[Any, int], columns: bool, profile: str, due: int | None = None
) -> Program:
    """Rows: inputs that are given spikes to silent neurons. Columns: silent inputs to neurons that always spike.

    With `due` only so many of these do.
    """
    traces = {"x1": Trace(20, 0, 20.0), "y1": Trace(20, 0, 1e6)}
    inputs, n = (N, N_IN) if columns else (N_IN, N)
    bias = 100000 * (np.arange(n) < (due or n)) if columns else 0
    cells = Population("cells", n, du=741, dv=200, vth=1 if columns else 131071, bias=bias)
    rule = Rule(dw=dw, traces=traces)
    weights = np.full((inputs, n), 100 * sign[1] * PROFILES[profile].one)
    return build(
        [Population("input", inputs, "input"), cells],
        [Projection("p", "input", "cells", weights, -8, sign[0], rule=rule)],
        rounding=rounding,
        profile=profile,
    )


_KERNELS: dict[str, Callable[[Engine], float]] = {
    "neuron update, lif": _lif,
    "synaptic event, static dense": _event(_static, N),
    "synaptic event, static dense, delays": _event(lambda: _static(_delays()), N),
    "synaptic event, static sparse": _event(_sparse, N / 2),
    "synaptic event, short-term plasticity, dense": _event(partial(_release, False), N),
    "synaptic event, short-term plasticity, delays": _event(partial(_release, False, True), N),
    "synaptic event, short-term plasticity, sparse": _event(partial(_release, True), N / 2),
}
