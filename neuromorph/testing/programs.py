"""Random programs for equality tests: small, active, and reaching into every corner of docs/semantics.md."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from neuromorph.profiles import WIDE
from neuromorph.program import Modulator, Population, Probe, Program, Projection, ScheduleEntry, build
from neuromorph.rule import GRADED_TRACES, TRACES, Factor, Product, Rule, Trace
from neuromorph.state import items
from neuromorph.testing.extensions import extended, large_payloads
from neuromorph.testing.slow import drifting, managing, releasing
from neuromorph.testing.widened import widened

__all__ = [
    "COLUMNS", "MANAGED", "PAIRS", "STEPS", "UNSORTED", "Draw", "Events", "columns", "draw", "large", "managed",
    "pairs", "scheduled", "unsorted", "with_probes",
]  # fmt: skip

Events = dict[str, tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]]
STEPS = 200
LONG, LONG_SIZES = 0.25, (32, 33, 65, 127, 128, 129, 140, 200, 256, 257)
"""Share of programs with one population of such a size: engines work in blocks, and have ways of their own for many."""
LAST = 2**32 - 1
"""The last step there is."""
COLUMNS = 54
"""Programs of `columns`."""
PAIRS, UNSORTED, MANAGED = 144, 10, 12
"""Programs of `pairs`, of `unsorted` and of `managed`."""
DENSE_MAX = 5000  # synapses; the trace holds every weight of every step
_NOTHING: tuple[Product, ...] = ()


@dataclass(frozen=True, slots=True)
class Draw:
    """A program with its inputs.

    Attributes
    ----------
    program : Program
        With a probe on the spikes of every population and on every state item, each step.
    events : dict
        Per input population: steps (from 1), indices, payloads.
    steps : int
        Length of the run.
    pause : int
        Step after which the run is interrupted, 0: never.
    restart : bool
        Interrupted to begin again at step 0; else the state is saved, the machine started anew, and the state restored.
    first : int
        The last step before the run: the steps are ``first + 1 .. first + steps``.
    state : dict
        State items (object, variable) that differ from the program's initial state when the run begins.
    """

    program: Program
    events: Events
    steps: int
    pause: int = 0
    restart: bool = False
    first: int = 0
    state: dict[tuple[str, str], NDArray[np.int64]] = field(default_factory=dict)


def draw(seed: int, attempt: int = 0, steps: int = STEPS, *, extensions: bool = True, profile: str = "loihi2") -> Draw:
    """A random program; whether it is active shows only when it runs (`neuromorph.testing.equality.random_case`).

    Without `extensions` no rule is beyond what the reference implementation of the profile holds.
    """
    rng = np.random.default_rng([seed, attempt])
    begin = np.random.default_rng([seed, attempt, 1])
    first = _first(begin, steps)
    program = _program(rng, seed, first, steps)
    events = {p.name: _events(rng, p, steps) for p in program.populations.values() if p.kind == "input"}
    pause, restart = _pause(rng, program, steps), bool(rng.random() < 0.4)
    more = np.random.default_rng([seed, attempt, 2])
    if extensions:
        program, first = extended(program, more, first, steps)
        program = drifting(program, np.random.default_rng([seed, attempt, 3]))
        program = releasing(program, np.random.default_rng([seed, attempt, 4]))
        program = managing(program, np.random.default_rng([seed, attempt, 5]))
    if profile == "wide":
        program = widened(program, np.random.default_rng([seed, attempt, 9]))
    drawn = Draw(with_probes(begin, program), events, steps, pause, restart, first, _state(begin, program))
    return large_payloads(drawn, more)


def large() -> Draw:
    """More neurons than an index of 16 bits can tell, all of which spike: records come in blocks."""
    n, steps = 70_000, 3
    rows = np.arange(n + 1) // 1000  # every thousandth source has a synapse
    inputs = Population("input", n, "input", graded=True)
    cells = Population("cells", n, "lif", du=0, dv=0, vth=10, bias=np.arange(n) % 100 + 650)
    synapses = Projection(
        "p", "input", "cells", np.arange(rows[-1]) + 1, indptr=rows, indices=np.arange(rows[-1]) * 997, graded=True
    )
    block = Population("block", 65_535, "lif", du=0, dv=0, vth=10)  # as many as a record takes
    every, some = np.arange(n), np.arange(0, n, 3)
    index = np.concatenate([every, some])
    events = {"input": (np.repeat([1, 2], [every.size, some.size]), index, index % 255 - 300)}
    program = build([inputs, cells, block], [synapses], name="large")
    return Draw(with_probes(np.random.default_rng(0), program), events, steps)


def columns(number: int, profile: str = "loihi2") -> Draw:
    """Columns of more synapses than run at once: all their targets spike in every step.

    `number` (0 .. `COLUMNS` - 1) tells the sign mode, the rounding, what the weights' products read, and whether no,
    few or many sources spike, too: their rows are learned before, which leaves gaps in the columns.
    """
    n_pre, n_post, steps = 300, 7, 12
    number, sign = divmod(number, 3)
    number, rounding = divmod(number, 2)
    gaps, reads = divmod(number, 3)
    signs: tuple[Literal["exc", "inh", "mixed"], ...] = ("exc", "inh", "mixed")
    roundings: tuple[Literal["shared", "synapse"], ...] = ("shared", "synapse")
    low, high = ((0, 256), (-255, 1), (-256, 256))[sign]
    products = [Product("y0", -3, -4, (Factor(name),)) for name in ("w", "x1")]
    dw = (products[:1], products[1:], products)[reads] + ([Product("x0", 3, 0, (Factor("x1"),))] if gaps else [])
    dd, dt = (Product("y0", 3, -3, (Factor("x1"),)),), (Product("y0", 5, -3, (Factor("w"),)),)
    rule = Rule(tuple(dw), dd, dt, {"x1": Trace(20, 0, 50.0)})
    projection = Projection(
        "p", "input", "cells", np.random.default_rng(5).integers(low, high, (n_pre, n_post)), -8,
        signs[sign], rule=rule,
    )  # fmt: skip
    cells = Population("cells", n_post, du=741, dv=200, vth=1, bias=100_000)
    program = build([Population("input", n_pre, "input"), cells], [projection], rounding=roundings[rounding])
    state = {("p", "x1"): np.arange(n_pre) % 128}
    if profile == "wide":
        program = widened(program, np.random.default_rng(6))
        state = {("p", "x1"): np.arange(n_pre) * 97 % (WIDE.trace_max + 1)}
    spiking = np.arange(0, n_pre, 23 if gaps == 1 else 3)
    step = np.repeat(np.arange(1, steps + 1, 2), spiking.size)
    events = {"input": (step, np.tile(spiking, steps // 2), np.ones(step.size, np.int64))} if gaps else {}
    return Draw(with_probes(np.random.default_rng(0), program), events, steps, state=state)


def pairs(number: int) -> Draw:
    """Products in which two things vary, over more synapses than run at once, in rows, columns, and where they cross.

    `number` (0 .. `PAIRS` - 1) tells the sign mode, the rounding, whether rows or columns are long, how many neurons
    of the long side spike, whether products can pass the limits of their sum, and whether a sum has one, several, or
    one in which a single thing varies.
    """
    rng = np.random.default_rng([3, number])
    number, sign = divmod(number, 3)
    number, rounding = divmod(number, 2)
    number, tall = divmod(number, 2)
    number, share = divmod(number, 2)
    kind, scale = divmod(number, 2)
    several, single = kind == 1, kind == 2
    long, short, steps = 140, 5, 10
    n_pre, n_post = (long, short) if tall else (short, long)
    mode: Literal["exc", "inh", "mixed"] = ("exc", "inh", "mixed")[sign]
    low, high = ((0, 256), (-255, 1), (-256, 256))[sign]
    w, add = Factor("w", int(rng.choice([0, -200, 90]))), int(rng.choice([0, 3, -40]))

    def products(dependency: Literal["x0", "y0"], trace: str) -> tuple[Product, ...]:
        exp, mant = (int(rng.choice([-1, 1, 5])), 7) if scale else (-5, int(rng.choice([-1, 1])))
        one, two = Factor(trace + "1", add), Factor(trace + "2", -3)
        if single:
            same = (Factor(dependency[0] + "1"),)[: int(rng.integers(2))]
            return (Product(dependency, mant, exp, ((w, one)[int(rng.integers(2))], *same)),)
        made = Product(dependency, mant, exp, (w, one)), Product(dependency, -mant, exp, (one, two))
        more = Product(dependency, 1, -3, (Factor("w"),)), Product(dependency, -1, -3, (two,))
        return (*made, *more) if several else (made[int(rng.integers(2))],)

    traces = {name: Trace(int(rng.integers(1, 60)), 0, 30.0) for name in ("x1", "x2", "y1", "y2")}
    tags = (Product("y0", 3, -3, (Factor("w"), Factor("x1"))),) if several else ()
    rule = Rule((*products("x0", "y"), *products("y0", "x")), (), tags, traces, t_epoch=1 + int(rng.integers(2)))
    projection = Projection("p", "input", "cells", rng.integers(low, high, (n_pre, n_post)), -8, mode, rule=rule)
    active = rng.random(n_post) < (0.1, 0.7)[share if not tall else 1]
    cells = Population("cells", n_post, du=741, dv=200, vth=np.where(active, 1, 131071), bias=100_000)
    roundings: tuple[Literal["shared", "synapse"], ...] = ("shared", "synapse")
    program = build([Population("input", n_pre, "input"), cells], [projection], rounding=roundings[rounding])
    step, index = np.nonzero(rng.random((steps, n_pre)) < (0.15, 0.6)[share if tall else 1])
    events = {"input": (step + 1, index, np.ones(step.size, np.int64))}
    state = {("p", name): rng.integers(0, 128, n_pre if name[0] == "x" else n_post) for name in traces}
    return Draw(with_probes(rng, program), events, steps, state=state)


def unsorted(number: int) -> Draw:
    """Neurons that spiked in the epoch by a state that is written in, and others that spike in it afterwards.

    The first four programs are random; in the others there is one of each, the one before the other, among sources and
    targets, targets alone, or sources alone.
    """
    rng, n, steps = np.random.default_rng([4, number]), 20, 4
    rule = Rule(
        (Product("y0", 3, -1, (Factor("x1"),)), Product("x0", -3, -1, (Factor("y1"),))),
        traces={"x1": Trace(20, 0, 50.0), "y1": Trace(20, 0, 50.0)}, t_epoch=1,
    )  # fmt: skip
    projection = Projection("p", "input", "cells", rng.integers(50, 200, (n, n)), -8, "exc", rule=rule)
    order, spiking, before = np.arange(n), rng.random((steps, n)) < 0.4, rng.integers(0, 2, (2, n))
    vth = rng.choice([1, 131071], n)
    if number >= 4:
        spiking, before = np.tile(order == number, (steps, 1)), np.tile(order == n - number, (2, 1)).astype(np.int64)
        before[[[], [0], [1]][(number // 2 - 2) % 3]] = 0
        vth = np.where(order == number - 2, 1, 131071)
    cells = Population("cells", n, du=741, dv=200, vth=vth, bias=100_000)
    program = build([Population("input", n, "input"), cells], [projection], rounding="synapse")
    step, index = np.nonzero(spiking)
    events = {"input": (step + 1, index, np.ones(step.size, np.int64))}
    state = dict(zip([("p", "tx"), ("p", "ty")], before, strict=True))
    state |= {("p", name): rng.integers(20, 128, n) for name in ("x1", "y1")}
    return Draw(with_probes(rng, program), events, steps, state=state)


def managed(number: int) -> Draw:
    """Pair STDP beside slow products that are due in every fourth epoch; saved and restored in between.

    `number` (0 .. `MANAGED` - 1) tells the sign mode, the rounding, and whether tags begin at the one value that moves
    without any product.
    """
    rng, n, steps, epoch = np.random.default_rng([5, number]), 20, 40, 1 + number % 2
    number, sign = divmod(number, 3)
    number, rounding = divmod(number, 2)
    mode: Literal["exc", "inh", "mixed"] = ("exc", "inh", "mixed")[sign]
    low, high = ((0, 256), (-255, 1), (-256, 256))[sign]
    dw = (
        Product("u", -3, -4, (Factor("w"), Factor("m1", -12)), 2), Product("x0", -3, -1, (Factor("y1"),)),
        Product("u", 3, -5, (Factor("x1"), Factor("y1")), 3), Product("y0", 3, -1, (Factor("x1"),)),
    )  # fmt: skip
    dt = (Product("u", 3, -5, (Factor("w"), Factor("m1")), 2),) if number else ()
    traces = {"x1": Trace(20, 0, 50.0), "y1": Trace(20, 0, 50.0)}
    rule = Rule(dw, (), dt, traces, t_epoch=epoch, modulators=("rate",))
    projection = Projection("p", "input", "cells", rng.integers(low, high, (n, n)), -8, mode, rule=rule)
    cells = Population("cells", n, du=741, dv=200, vth=rng.choice([1, 131071], n), bias=100_000)
    rate = Modulator("rate", "cells", (("cells", 5000),), "add", 40, 2, 8)
    roundings: tuple[Literal["shared", "synapse"], ...] = ("shared", "synapse")
    program = build(
        [Population("input", n, "input"), cells], [projection], rounding=roundings[rounding], modulators=[rate]
    )
    step, index = np.nonzero(rng.random((steps, n)) < 0.2)
    events = {"input": (step + 1, index, np.ones(step.size, np.int64))}
    state = {("p", "tag_1"): np.full((n, n), -257)} if number else {}
    return Draw(with_probes(rng, program), events, steps, pause=steps // 2 + 3, state=state)


def scheduled() -> Draw:
    """A schedule that is over, before a record which would be an entry of it.

    That of a probe of the first object's state, in every step, reads like one that ends plasticity in step 256.
    """
    rng, n, steps = np.random.default_rng([6, 2]), 5, 12
    rule = Rule((Product("x0", -3, 0, (Factor("w"),)),))
    cells = Population("cells", n, du=0, dv=0, vth=1, bias=5)
    syn = Projection("p", "cells", "cells", rng.integers(1, 256, (n, n)), -8, "exc", rule=rule)
    on = ScheduleEntry(251, "plasticity", "p", on=True)
    entries = (on, replace(on, step=252))  # an even number: nothing lies between them and the probes
    program = with_probes(rng, build([cells], [syn], schedule=entries))
    probes = sorted(program.probes, key=lambda probe: (probe.object, probe.variable) != ("cells", "u"))
    return Draw(replace(program, probes=tuple(probes)), {}, steps, first=250)


def _first(rng: np.random.Generator, steps: int) -> int:
    """A third of the runs begin late, some of them so late that they end with the last step there is."""
    late = [int(rng.integers(1, 1000)), int(rng.integers(1, LAST - steps)), LAST - steps]
    return late[rng.integers(3)] if rng.random() < 0.3 else 0


def _state(rng: np.random.Generator, program: Program) -> dict[tuple[str, str], NDArray[np.int64]]:
    """A third of the runs begin in a state of any values, often those at the ends of their ranges."""
    state = {}
    for item in items(program) if rng.random() < 0.3 else ():
        low, high = item.low // item.unit, item.high // item.unit
        ends = [(low, high), (low, low), (high, high)][rng.integers(3)]
        at_end = rng.random(item.shape) < rng.choice([0, 0.2, 1])
        values = np.where(at_end, rng.choice(ends, item.shape), rng.integers(low, high + 1, item.shape))
        if item.variable == "refr":
            values = np.minimum(values, program.populations[item.object].per_neuron("refractory"))
        if rng.random() < 0.4:
            state[item.object, item.variable] = values * item.unit
    return state


def _pause(rng: np.random.Generator, program: Program, steps: int) -> int:
    """Half of the runs are interrupted, often where the schedule acts."""
    scheduled = [entry.step for entry in program.schedule if 0 < entry.step < steps]
    if rng.random() < 0.5:
        return 0
    return int(rng.choice(scheduled) if scheduled and rng.random() < 0.5 else rng.integers(1, steps))


def with_probes(rng: np.random.Generator, program: Program) -> Program:
    """On everything in every step, and some again in some steps."""
    probes = [Probe(f"{name}.spikes", name, "spikes") for name in program.populations]
    probes += [Probe(f"{item.object}.{item.variable}", item.object, item.variable) for item in items(program)]
    for k, again in enumerate(rng.choice(np.arange(len(probes)), rng.integers(0, 4))):
        every, phase = int(rng.integers(2, 12)), int(rng.integers(0, 50))
        probes.append(replace(probes[again], name=f"again{k}", every=every, phase=phase))
    return replace(program, probes=tuple(probes))


def _program(rng: np.random.Generator, seed: int, first: int, steps: int) -> Program:
    rounding = cast('Literal["shared", "synapse"]', rng.choice(["shared", "synapse"]))
    numbers = _Numbers(rounding, int(rng.integers(0, 2**32)), first, steps)
    inputs = [f"input{k}" for k in range(rng.integers(1, 3))]
    cells = [f"cells{k}" for k in range(rng.integers(1, 4))]
    sizes = {name: int(rng.integers(2, 13)) for name in (*inputs, *cells)}
    if rng.random() < LONG:
        sizes[str(rng.choice([*sizes]))] = int(rng.choice(LONG_SIZES))
    populations = [Population(name, sizes[name], "input", graded=bool(rng.random() < 0.4)) for name in inputs]
    graded = {p.name: p.graded for p in populations}
    projections: list[Projection] = []
    for name in cells:
        sources = [str(rng.choice([p.name for p in populations]))]
        sources += [str(s) for s in rng.choice([*sizes], rng.integers(0, 3))]
        for source in sources:
            payload = graded.get(source, bool(rng.random() < 0.3))
            projections.append(_projection(rng, f"p{len(projections)}", source, name, sizes, payload, numbers))
    populations += [_neurons(rng, name, sizes[name], projections, sizes) for name in cells]
    return build(
        populations,
        projections,
        schedule=_schedule(rng, populations, projections, steps),
        rounding=rounding,
        seed=numbers.seed,
        name=f"random-{seed}",
    )


def _events(rng: np.random.Generator, pop: Population, steps: int) -> tuple[Any, Any, Any]:
    rate = rng.choice([0.05, 0.2, 0.5])
    spikes = rng.random((steps, pop.n)) < rate
    step, index = np.nonzero(spikes)
    payload = np.ones(step.size, np.int64)
    if pop.graded:
        size = int(rng.choice([3, 255, 3000, 2**23 - 1], p=[0.2, 0.5, 0.2, 0.1]))
        payload = rng.integers(-size if rng.random() < 0.4 else 1, size + 1, step.size)
        kept = payload != 0
        step, index, payload = step[kept], index[kept], payload[kept]
    return step + 1, index, payload


def _projection(
    rng: np.random.Generator, name: str, pre: str, post: str, sizes: dict[str, int], graded: bool, numbers: _Numbers
) -> Projection:
    n_pre, n_post = sizes[pre], sizes[post]
    sign = str(rng.choice(["mixed", "exc", "exc", "inh"]))
    low, high = {"mixed": (-256, 256), "exc": (0, 256), "inh": (-255, 1)}[sign]
    weights = rng.integers(low, high, (n_pre, n_post))
    if rng.random() < 0.2:  # near the limits of the range
        weights = rng.choice([low, high - 1, 0], (n_pre, n_post))
    rule = _rule(rng) if rng.random() < (0.8 if n_pre >= min(LONG_SIZES) else 0.55) else None
    kind = rng.choice(["none", "uniform", "each"], p=[0.5, 0.2, 0.3])
    top = int(rng.choice([3, 9, 63]))
    delays: Any = {"none": 0, "uniform": int(rng.integers(1, top + 1))}.get(str(kind))
    if delays is None:
        delays = rng.integers(0, top + 1, (n_pre, n_post))
    indptr = indices = None
    crowded = n_pre * n_post > DENSE_MAX
    if crowded or rng.random() < 0.4:
        mask = rng.random((n_pre, n_post)) < (0.03 if crowded else rng.choice([0.3, 0.7]))
        mask[rng.integers(n_pre), rng.integers(n_post)] = True
        mask[rng.integers(n_pre)] |= bool(rng.random() < 0.3)  # a row without gaps
        indptr = np.concatenate([[0], np.cumsum(mask.sum(1))])
        indices = np.nonzero(mask)[1]
        weights = weights[mask]
        delays = delays[mask] if isinstance(delays, np.ndarray) else delays
    if rule is not None and rule.graded_trace != "none" and not graded:
        rule = None
    if rule is not None and rng.random() < 0.3:
        rule = replace(rule, traces=_close_tables(rng, rule, numbers, int(name[1:]), n_pre, n_post))
    exponent = int(rng.integers(-8, 1) if rng.random() < 0.4 else rng.integers(0, 7))
    if rng.random() < 0.08:
        exponent = int(rng.choice([-16, 10, 15]))
    return Projection(
        name, pre, post, weights, weight_exp=exponent, sign_mode=cast("Any", sign), delays=delays, indptr=indptr,
        indices=indices, graded=graded, rule=rule, plastic=rule is None or bool(rng.random() < 0.93),
    )  # fmt: skip


def _neurons(
    rng: np.random.Generator, name: str, n: int, projections: list[Projection], sizes: dict[str, int]
) -> Population:
    drive = 1.0
    for p in projections:
        if p.post == name:
            scale = 2.0**p.weight_exp * (60 if p.graded else 1)
            drive = max(drive, float(np.abs(p.weights).mean()) * scale * sizes[p.pre] * 0.3)

    def some(low: int, high: int) -> Any:
        """A scalar or one value per neuron."""
        return rng.integers(low, high + 1, n) if rng.random() < 0.3 else int(rng.integers(low, high + 1))

    def decay(top: int) -> Any:
        return int(rng.choice([0, 1, top])) if rng.random() < 0.3 else some(0, top)

    vth = int(np.clip(drive * rng.choice([0.1, 0.5, 1.0, 2.0]), 0, (1 << 17) - 1))
    ternary = rng.random() < 0.2
    optional: dict[str, Any] = {}
    if ternary:
        optional["vth_lo"] = some(-vth, 0)
    else:
        if rng.random() < 0.35:
            optional["refractory"] = some(1, 5)
        if rng.random() < 0.4:
            optional |= {
                "adaptive": True,
                "theta_frac": int(rng.integers(0, 13)),
                "theta_decay": int(rng.choice([0, 1, 40, 1000, 4096])),
                "theta_period": int(rng.integers(0, 6)),
                "init_theta": rng.integers(0, 1000, n) if rng.random() < 0.3 else None,
            }
            top = min(1 << 30, (vth << 6) << optional["theta_frac"])
            optional["theta_inc"] = some(0, max(1, int(top * rng.choice([0.02, 0.2, 1.0]))))
    if rng.random() < 0.25:
        optional |= {"reset_interval": int(rng.integers(1, 40)), "reset_offset": int(rng.integers(0, 60))}
    if rng.random() < 0.3:
        size = int(rng.choice([1000, (1 << 23) - 1]))
        optional["init_v"] = rng.integers(-size, size + 1, n)
    if rng.random() < 0.2:
        optional["init_u"] = rng.integers(-(1 << 23), (1 << 23) + 1, n)
    bias = max(1, (vth << 6) // int(rng.choice([3, 10, 50])))
    return Population(
        name, n, "ternary" if ternary else "lif", du=decay(4095), dv=decay(4096),
        vth=rng.integers(vth // 2, vth + 1, n) if rng.random() < 0.3 else vth,
        bias=some(-bias // 4, min(bias, (1 << 23) - 1)), **optional,
    )  # fmt: skip


def _rule(rng: np.random.Generator) -> Rule:
    epoch = int(rng.choice([1, 1, 1, 2, 3, 4, 7, 8, 8, 20], p=[0.1] * 10))
    traces = {
        name: Trace(int(rng.integers(0, 128)), _fraction(rng), float(rng.choice([0, 0.4, 2, 10, 35.5, 300, 1e7])))
        for name in TRACES
        if rng.random() < 0.85
    }
    graded = "none"
    if rng.random() < 0.25:
        graded = str(rng.choice(GRADED_TRACES[1:]))
        traces["x1"] = Trace(0, 0, float(rng.choice([0, 2, 10, 300, 1e7])))
    if rng.random() < 0.45:
        dw, dd, dt = _pair(rng, traces), _NOTHING, _NOTHING
        if rng.random() < 0.15:
            dd, dt = [((_product(rng, traces),), _NOTHING), (_NOTHING, (_product(rng, traces),))][rng.integers(2)]
    else:
        dw = tuple(_product(rng, traces) for _ in range(rng.integers(1, 6)))
        dd, dt = (
            tuple(_product(rng, traces) for _ in range(rng.integers(1, 4))) if rng.random() < 0.35 else () for _ in "dt"
        )
    return Rule(
        dw, dd, dt, traces=traces, t_epoch=epoch, seed=int(rng.integers(0, 2**32 - 4)), graded_trace=graded
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Numbers:
    """What the random numbers of a program are made from, and the steps that they are drawn in."""

    rounding: Literal["shared", "synapse"]
    seed: int
    first: int
    steps: int

    def decay(self, rng: np.random.Generator, rule: Rule, index: int, trace: str, n: int) -> int:
        """The number that rounds a trace's decay in some step, of 53 bits."""
        from neuromorph_cpu.ref import CODES, SharedNumbers, hashed

        step = self.first + int(rng.integers(1, self.steps // 2))
        if self.rounding == "shared":
            return SharedNumbers(rule.seed).r53(trace[0] + "d", 2 * (step - step % rule.t_epoch + rule.t_epoch))
        return int(hashed(self.seed, 16 * index + CODES[trace], step, rng.integers(0, n, 1))[0]) << 21


def _close_tables(
    rng: np.random.Generator, rule: Rule, numbers: _Numbers, index: int, n_pre: int, n_post: int
) -> dict[str, Trace]:
    """Decays whose fractions lie next to the numbers that round them: comparisons are decided by their last bits."""
    close = {}
    for name, trace in rule.traces.items():
        n = n_pre if name[0] == "x" else n_post
        meets = [numbers.decay(rng, rule, index, name, n) for _ in range(3)] + [0, 1 << 53] if trace.tau else []
        table = trace.decay.copy() if trace.tau else np.zeros(0, np.uint64)
        for v in range(1, table.size):
            near = 1 << int(rng.choice([0, 11, 20, 21, 22, 31, 32, 33, 52]))
            fraction = meets[rng.choice(5, p=[0.3, 0.3, 0.3, 0.05, 0.05])] + int(rng.choice([-1, 0, 1])) * near
            table[v] = (int(table[v]) >> 54 << 54) | min(max(fraction, 0), 1 << 53)
        close[name] = replace(trace, table=table.tobytes()) if table.size else trace
    return close


def _fraction(rng: np.random.Generator) -> int:
    """In 1/256; the ends decide what a comparison with a random number means."""
    return int(rng.choice([0, 1, 255]) if rng.random() < 0.3 else rng.integers(0, 256))


def _scale(rng: np.random.Generator) -> tuple[int, int]:
    """Mantissa and exponent, now and then so large that sums saturate."""
    return int(rng.choice([-8, -3, -1, 1, 2, 7])), 8 if rng.random() < 0.1 else int(rng.integers(-7, 9))


def _pair(rng: np.random.Generator, traces: dict[str, Trace]) -> tuple[Product, ...]:
    """The pair-STDP shape: one product at the source's spike, one at the target's."""
    sources = [t for t in traces if t[0] == "x"]
    targets = [t for t in traces if t[0] == "y"]

    def side(names: list[str]) -> tuple[Factor, ...]:
        count = rng.choice([0, 1, 2, 3], p=[0.15, 0.4, 0.3, 0.15]) if names else 0
        constants = rng.integers(-20, 21, count) * (rng.random(count) < 0.3)
        drawn = [Factor(str(rng.choice(names)), int(constant)) for constant in constants]
        if rng.random() < 0.3:
            drawn.insert(rng.integers(len(drawn) + 1), Factor("1", int(rng.choice([-3, 2, 5]))))
        return tuple(drawn)

    (a, ea), (b, eb) = _scale(rng), _scale(rng)
    products = [Product("y0", abs(a) % 8, ea, side(sources)), Product("x0", -(abs(b) % 8), eb, side(targets))]
    return tuple(products if rng.random() < 0.5 else products[::-1])


def _product(rng: np.random.Generator, traces: dict[str, Trace]) -> Product:
    dependency = str(rng.choice(["x0", "y0", "u"]))
    mant, exp = _scale(rng)
    variables = [*traces, "w", "w", "x0", "y0", "d", "t", "1"]
    factors = []
    for _ in range(rng.choice([0, 1, 2, 3, 5, 6], p=[0.1, 0.25, 0.3, 0.25, 0.05, 0.05])):
        variable = str(rng.choice(variables))
        constant = int(rng.choice([0, 0, 1, -5, 60, -200, 511, -512]))
        sgn = variable in "wdt" and bool(rng.random() < 0.3)
        factors.append(Factor(variable, constant or (3 if variable == "1" else 0), "sgn" if sgn else ""))
    k = int(rng.integers(0, 4)) if dependency == "u" else 0
    return Product(cast("Any", dependency), mant, exp, tuple(factors), k)


def _schedule(
    rng: np.random.Generator, populations: list[Population], projections: list[Projection], steps: int
) -> tuple[ScheduleEntry, ...]:
    able = [("plasticity", p.name) for p in projections if p.rule]
    able += [("adaptation", p.name) for p in populations if p.adaptive]
    if not able or rng.random() < 0.6:
        return ()
    entries = []
    for step in sorted(rng.integers(0, steps, rng.integers(1, 5))):
        operation, name = able[rng.integers(len(able))]
        entries.append(ScheduleEntry(int(step), cast("Any", operation), name, bool(rng.random() < 0.6)))
    return tuple(entries)
