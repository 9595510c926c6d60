"""Programs that show whether a machine does each operation, and each limit; small enough for small boards.

Every program is one input on one population, changed in the thing that it is about. Its probes see every state at every
step. Where a limit has a name in `Case.edges`, `cpu:ref` counts that it is reached.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from types import MappingProxyType
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from neuromorph.inputs import SpikeTrain
from neuromorph.profiles import PROFILES
from neuromorph.program import (
    THETA_MAX,
    VTH_MAX,
    Modulator,
    Population,
    Probe,
    Program,
    Projection,
    ScheduleEntry,
    U,
    build,
)
from neuromorph.rule import Factor, Product, Rule, Trace
from neuromorph.short_term import ShortTerm, factors
from neuromorph.state import items

__all__ = ["LIMITS", "OPERATIONS", "Case"]

N_PRE, N_POST, STEPS = 4, 3, 120
_BOTH = (Trace(20, 100, 9.0), Trace(30, 0, 20.0))


@dataclass(frozen=True, slots=True)
class Case:
    """A program with its input.

    Parameters
    ----------
    source, cells, syn : mapping
        Parameters of the input, the population and the projection that are not the usual ones, in machine units.
    more : tuple of Projection
        Further projections.
    schedule : tuple
        Entries of the program's schedule.
    rate : float
        Share of input channels that spike in a step.
    payload : int
        Largest payload of a graded input.
    build : mapping
        Further arguments of `neuromorph.program.build`.
    edges : tuple of str
        What the program's arithmetic reaches, as `neuromorph_cpu.ref.Reference` names it.
    every : int
        Period of the probes.
    """

    source: Mapping[str, Any] = field(default_factory=dict)
    cells: Mapping[str, Any] = field(default_factory=dict)
    syn: Mapping[str, Any] = field(default_factory=dict)
    more: tuple[Projection, ...] = ()
    schedule: tuple[ScheduleEntry, ...] = ()
    rate: float = 0.3
    payload: int = 200
    build: Mapping[str, Any] = field(default_factory=dict)
    edges: tuple[str, ...] = ()
    every: int = 1

    def program(self, name: str) -> Program:
        """The program, with a probe on everything."""
        source = Population(**{"name": "input", "n": N_PRE, "kind": "input", **self.source})
        cells = Population(**{"name": "cells", "n": N_POST, "du": 600, "dv": 300, "vth": 400, **self.cells})
        shape = (source.n, cells.n)
        weights = np.random.default_rng(crc32(name.encode())).integers(20, 200, shape)
        syn = Projection(**{"name": "syn", "pre": "input", "post": "cells", "weights": weights, **self.syn})
        one = PROFILES[self.build.get("profile", "loihi2")].one
        syn = replace(syn, weights=syn.weights * one)
        bare = build([source, cells], [syn, *self.more], name=name, schedule=self.schedule, **{"seed": 7, **self.build})
        probes = [Probe(f"{name}.spikes", name, "spikes", self.every) for name in ("input", "cells")]
        probes += [Probe(i.name, i.object, i.variable, self.every, self.every // 2) for i in items(bare)]
        return replace(bare, probes=tuple(probes))

    def inputs(self, name: str) -> dict[str, SpikeTrain]:
        """What the input sends."""
        rng = np.random.default_rng([crc32(name.encode()), 1])
        step, index = np.nonzero(rng.random((STEPS, self.source.get("n", N_PRE))) < self.rate)
        if not self.source.get("graded"):
            return {"input": SpikeTrain(step + 1, index)}
        size = rng.integers(1, self.payload + 1, step.size)
        return {"input": SpikeTrain(step + 1, index, size * rng.choice([-1, 1], step.size, p=[0.2, 0.8]))}


def _rule(
    dw: tuple[Product, ...] = (), *, dd: tuple[Product, ...] = (), dt: tuple[Product, ...] = (), every: int = 1,
    traces: Mapping[str, Trace] | None = None, graded: Any = "none",
) -> Rule:  # fmt: skip
    """A rule with the traces that it reads."""
    named = {v for p in (*dw, *dd, *dt) for f in p.factors for v in f.variables}
    read = {v for v in named if v[0] in "xy" and v[1] != "0"}
    held = traces if traces is not None else {name: _BOTH[name[0] == "y"] for name in sorted(read)}
    modulators = tuple(sorted(v for v in named if v[0] == "m"))
    return Rule(dw, dd, dt, traces=dict(held), t_epoch=every, seed=11, graded_trace=graded, modulators=modulators)


def _product(dependency: Any, *factors: str | Factor, mant: int = 1, exp: int = 0, k: int = 0) -> Product:
    return Product(dependency, mant, exp, tuple(Factor(f) if isinstance(f, str) else f for f in factors), k)


def _learning(rule: Rule, **options: Any) -> Case:
    syn = {"rule": rule, "sign_mode": "exc", **options.pop("syn", {})}
    return Case(syn=syn, cells={"vth": 150, **options.pop("cells", {})}, **options)


def _one(dependency: Any, *factors: str | Factor, **scale: int) -> Rule:
    return _rule((_product(dependency, *factors, **scale),))


_PAIR = _rule((_product("y0", "x1", exp=-2), _product("x0", "y1", mant=-1, exp=-2)))
_SPARSE: dict[str, Any] = {
    "weights": np.array([120, 40, 90, 200, 60, 150]),
    "indptr": np.array([0, 2, 2, 5, 6]),
    "indices": np.array([0, 2, 0, 1, 2, 1]),
}
_EACH = np.arange(N_PRE * N_POST).reshape(N_PRE, N_POST)

_NEURONS = {
    "lif": Case(),
    "lif, driven by its bias alone": Case(cells={"bias": 5000, "vth": 900}, rate=0.0),
    "lif, one value per neuron": Case(
        cells={"du": np.array([0, 600, 4095]), "dv": np.array([4096, 300, 0]), "vth": np.array([100, 300, 900]),
               "bias": np.array([-900, 0, 700])}
    ),
    "lif, initial state": Case(
        cells={"init_u": np.array([90_000, -90_000, 0]), "init_v": np.array([-70_000, 20_000, 9])}
    ),
    "refractory period": Case(cells={"refractory": 3, "vth": 100}),
    "refractory period, one per neuron": Case(cells={"refractory": np.array([0, 1, 7]), "vth": 100}),
    "adaptive threshold": Case(
        cells={"adaptive": True, "theta_inc": 40_000, "theta_decay": 200, "theta_frac": 4, "vth": 100}
    ),
    "adaptive threshold, slow decay": Case(
        cells={"adaptive": True, "theta_inc": 40_000, "theta_decay": 900, "theta_frac": 4, "theta_period": 3,
               "vth": 100}
    ),
    "ternary": Case(cells={"kind": "ternary", "vth_lo": -200, "vth": 200}, syn={"weights": _EACH * 40 - 220}),
    "reset on a schedule": Case(cells={"reset_interval": 9, "reset_offset": 4}),
}  # fmt: skip
_SYNAPSES = {
    "sparse": Case(syn=_SPARSE),
    "inhibitory": Case(syn={"weights": -_EACH * 9, "sign_mode": "inh"}, cells={"bias": 60_000}),
    "excitatory": Case(syn={"weights": _EACH * 9, "sign_mode": "exc"}),
    "one delay for all": Case(syn={"delays": 5}),
    "a delay for each": Case(syn={"delays": _EACH}),
    "a delay for each, sparse": Case(syn={**_SPARSE, "delays": np.array([0, 3, 9, 1, 4, 2])}),
    "weight_exp, left": Case(syn={"weight_exp": 3}, cells={"vth": 3000}),
    "weight_exp, right": Case(syn={"weight_exp": -3}, cells={"vth": 60}),
    "graded spikes": Case(source={"graded": True}, syn={"graded": True}, cells={"vth": 60_000}),
    "recurrent": Case(
        more=(Projection("back", "cells", "cells", np.array([[0, -90, 60], [80, 0, -70], [-50, 90, 0]]), delays=1),)
    ),
    "two projections on one population": Case(
        more=(Projection("second", "input", "cells", _EACH * 10, sign_mode="exc", delays=2),)
    ),
}  # fmt: skip
_FACTORS: dict[str, tuple[str | Factor, ...]] = {
    "x1": ("x1",), "x2": ("x2",), "y1": ("y1",), "y2": ("y2",), "y3": ("y3",), "x0": ("x0",), "y0": ("y0",),
    "w": ("w",), "a constant": (Factor("1", 5),), "x1 + constant": (Factor("x1", -9),),
    "sgn(w - 90)": (Factor("w", -90, "sgn"),), "pos(x1 - 9)": (Factor("x1", -9, "pos"),),
    "on(x1 - 9)": (Factor("x1", -9, "on"),), "x1 - y1": (Factor("x1", 0, "", "y1", -1),),
    "pos(120 - w)": (Factor("1", 120, "pos", "w", -1), "x1"),
    "two factors": ("x1", "y1"), "three factors": ("x1", "y1", Factor("w", -60)),
    "six factors": ("x1", "x2", "y1", "y2", "y3", "w"),
}  # fmt: skip
_LEARNING = {
    "pair STDP": _learning(_PAIR),
    "pair STDP, sparse": _learning(_PAIR, syn=_SPARSE),
    "pair STDP, weights of both signs": _learning(_PAIR, syn={"sign_mode": "mixed", "weights": _EACH * 20 - 90}),
    "pair STDP, inhibitory": _learning(_PAIR, syn={"sign_mode": "inh", "weights": -_EACH * 9}, cells={"bias": 9000}),
    "plasticity off": _learning(_PAIR, syn={"plastic": False}),
    **{f"at x0: {name}": _learning(_one("x0", *f, exp=-3)) for name, f in _FACTORS.items()},
    **{f"at y0: {name}": _learning(_one("y0", *f, exp=-3)) for name, f in _FACTORS.items() if name[0] in "xyt"},
    **{f"every {2**k} epochs": _learning(_one("u", "x1", exp=-2, k=k)) for k in (0, 1, 3, 6)},
    "sgn of a tag": _learning(
        _rule((_product("u", "t", Factor("d", -5, "sgn")),), dd=(_product("x0", "y1"),), dt=(_product("y0", "x1"),))
    ),
    "tag of the first kind": _learning(_rule((_product("u", "t", k=1),), dt=(_product("y0", "x1"),))),
    "tag of the second kind": _learning(_rule((_product("u", "d", exp=-1),), dd=(_product("x0", "y1", exp=-2),))),
    "both tags": _learning(
        _rule((_product("u", "t", Factor("d", -5), exp=-4),), dd=(_product("x0", "y1"),), dt=(_product("y0", "x1"),))
    ),
    **{f"epochs of {n} steps": _learning(replace(_PAIR, t_epoch=n)) for n in (2, 7, 20)},
    **{
        f"graded trace, {mode}": _learning(
            _rule((_product("y0", "x1", exp=-2),), traces={"x1": Trace(0, 0, 10.0)}, graded=mode),
            source={"graded": True}, syn={"graded": True, "weight_exp": 0}, cells={"vth": 30_000}, payload=255,
        )
        for mode in ("overwrite", "add_saturate", "add_wrap")
    },
    "learning with a delay for each": _learning(_PAIR, syn={"delays": _EACH}),
    "the sum of a neuron's weights": _learning(_one("y0", Factor("q", -200), mant=-1, exp=-4)),
    "a modulator for all, fed by spikes": _learning(
        _one("y0", "x1", "m1", exp=-4),
        build={"modulators": [Modulator("m1", sources=(("input", 900), ("cells", -400)), decay=100, period=1, frac=4)]},
    ),
    "a modulator for each neuron, which holds": _learning(
        _one("y0", "x1", "m1", exp=-4),
        build={"modulators": [Modulator("m1", of="cells", sources=(("cells", 700),), mode="hold", decay=300, frac=3)]},
    ),
    "rounding with shared numbers": _learning(_PAIR, build={"rounding": "shared"}),
    "rounding with a number per synapse": _learning(_PAIR, build={"rounding": "synapse"}),
    "plasticity switched by the schedule": _learning(
        _PAIR,
        schedule=(ScheduleEntry(0, "plasticity", "syn", False), ScheduleEntry(40, "plasticity", "syn", True),
                  ScheduleEntry(90, "plasticity", "syn", False)),
    ),
    "adaptation switched by the schedule": Case(
        cells={"adaptive": True, "theta_inc": 40_000, "theta_decay": 200, "theta_frac": 4, "vth": 100},
        schedule=(ScheduleEntry(30, "adaptation", "cells", False), ScheduleEntry(80, "adaptation", "cells", True)),
    ),
    "probes at every seventh step": Case(every=7),
}  # fmt: skip


def _in_wide(case: Case) -> Case:
    """The same in profile wide, with fractions in constants and small scales."""
    return replace(case, build={**case.build, "profile": "wide", "rounding": "synapse"})


_FINE = _rule((
    _product("y0", "x1", Factor("w", -60, fine=33), exp=-12), _product("x0", "y1", mant=-1, exp=-10),
    _product("u", "w", mant=-1, exp=-20),
))  # fmt: skip
_WIDE = {
    "weights of both signs": Case(syn={"weights": _EACH * 40 - 220}),
    "a delay for each, weight_exp right": Case(syn={"weight_exp": -3, "delays": _EACH}, cells={"vth": 60}),
    "changes far below a step of 8 bits": _learning(_FINE),
    "synapses that tire": Case(syn={"short_term": ShortTerm(9000, factors(300.0), factors(40.0)), "weight_exp": 3}),
    **{name: _LEARNING[name] for name in (
        "pair STDP", "pair STDP, sparse", "pair STDP, weights of both signs", "pair STDP, inhibitory", "both tags",
        "at y0: three factors", "every 8 epochs", "epochs of 7 steps", "graded trace, overwrite",
        "graded trace, add_saturate", "the sum of a neuron's weights", "a modulator for each neuron, which holds",
    )},
}  # fmt: skip
OPERATIONS: Mapping[str, Case] = MappingProxyType(
    _NEURONS
    | {f"synapses: {k}": c for k, c in _SYNAPSES.items()}
    | {f"learning: {k}": c for k, c in _LEARNING.items()}
    | {f"profile wide: {k}": _in_wide(c) for k, c in _WIDE.items()}
)
"""By name: what a machine must be able to do."""


def _full(value: int, shape: tuple[int, ...] = (N_PRE, N_POST)) -> NDArray[np.int64]:
    return np.full(shape, value, np.int64)


_graded = partial(Case, source={"graded": True})
_huge: dict[str, Any] = {"graded": True, "weights": _full(254), "weight_exp": 0}
_STRONG = _rule((_product("x0", "y1", "y2", mant=7, exp=8), _product("y0", "x1", "x2", mant=-8, exp=8)))
_ODD = _rule((_product("x0", "x1", exp=-7), _product("y0", "y1", exp=-7, mant=-3)))
LIMITS: Mapping[str, Case] = MappingProxyType({
    "du, dv at their lower ends": Case(cells={"du": 0, "dv": 0, "vth": 3000}),
    "du, dv at their upper ends": Case(cells={"du": 4095, "dv": 4096, "vth": 100}),
    "threshold at its upper end": Case(cells={"vth": VTH_MAX, "bias": U - 1, "dv": 0}),
    "threshold 0": Case(cells={"vth": 0}),
    "bias at its lower end": Case(cells={"bias": 1 - U}, edges=("v: at the lower end",)),
    "bias at its upper end": Case(cells={"bias": U - 1}),
    "v at both ends": Case(
        cells={"vth": VTH_MAX, "init_v": np.array([U - 1, 1 - U, U - 1]), "bias": np.array([U - 1, 1 - U, 5000])},
        edges=("v: at the upper end", "v: at the lower end"),
    ),
    "u at both ends of its range": Case(cells={"init_u": np.array([U, -U, U - 1]), "du": 1, "vth": VTH_MAX}),
    "u wraps above and below": _graded(
        syn=_huge, cells={"du": 0, "vth": VTH_MAX}, payload=2000,
        edges=("u in 24 bits: from above", "u in 24 bits: from below"),
    ),
    "the input wraps in 32 bits": _graded(
        syn={**_huge, "weight_exp": 6}, cells={"vth": VTH_MAX}, payload=(1 << 23) - 1,
        edges=("input << 6: wrapped", "sum of weights: wrapped", "sum << weight_exp: wrapped", "u in 32 bits: wrapped"),
    ),
    "the sum of several projections wraps": _graded(
        syn={**_huge, "delays": _EACH // N_POST}, payload=(1 << 23) - 1, cells={"vth": VTH_MAX},
        more=(Projection("second", "input", "cells", _full(-254), graded=True),),
        edges=("sum of the input: wrapped", "contributions of one arrival step: wrapped"),
    ),
    "weight_exp at its lower end": _graded(
        syn={**_huge, "weights": _EACH * 22 - 100, "weight_exp": -16}, payload=(1 << 23) - 1
    ),
    "weight_exp at its upper end": Case(syn={"weight_exp": 15}, cells={"vth": VTH_MAX}),
    "bits lost below zero": Case(
        syn={"weight_exp": -5, "weights": -_EACH * 7, "sign_mode": "inh"}, cells={"bias": 3000},
        edges=("sum >> -weight_exp: bits lost below zero",),
    ),
    "the longest delay": Case(syn={"delays": 63}),
    "weights at both ends": Case(syn={"weights": np.where(_EACH % 2, 254, -256)}),
    "weights at the end of one sign": Case(syn={"weights": _full(255), "sign_mode": "exc"}),
    "one neuron on one neuron": Case(
        source={"n": 1}, cells={"n": 1}, syn={"weights": _full(255, (1, 1)), "sign_mode": "exc"}
    ),
    "the longest refractory period": Case(cells={"refractory": 65_535, "vth": 50}),
    "theta at its upper end": Case(
        cells={"adaptive": True, "theta_inc": THETA_MAX, "theta_frac": 12, "theta_period": 15, "vth": 10},
        edges=("theta: at the upper end",),
    ),
    "synapses that tire and facilitate": Case(
        syn={"short_term": ShortTerm(np.arange(12).reshape(4, 3) * 2900, factors(300.0), factors(40.0)),
             "weight_exp": 3},
    ),
    "a threshold that drifts below its start": Case(
        cells={"adaptive": True, "theta_inc": 40_000, "theta_drift": 9_000, "theta_min": -60_000, "theta_frac": 4,
               "theta_period": 2, "vth": 100},
    ),
    "theta that forgets at once": Case(cells={"adaptive": True, "theta_inc": 90_000, "theta_decay": 4096, "vth": 50}),
    "traces at their upper end": _learning(
        _rule((_product("x0", "y1", exp=-5), _product("y0", "x1", exp=-5)),
              traces={"x1": Trace(127, 255, 300.0), "y1": Trace(100, 1, 300.0)}), rate=0.7,
        edges=("trace: at the upper end", "impulse: rounded up", "trace decay: rounded up",
               "trace decay: rounded down"),
    ),
    "traces that forget at once": _learning(
        _rule((_product("x0", "x1", exp=-3), _product("y0", "x1", mant=-1, exp=-3)), traces={"x1": Trace(60, 7, 0.0)}),
        edges=("impulse: rounded down",),
    ),
    "products, accumulator and weights at their ends": _learning(
        _STRONG, rate=0.6, syn={"sign_mode": "mixed"},
        edges=("product: at the upper end", "product: at the lower end", "accumulator: at the upper end",
               "accumulator: at the lower end", "w: at the upper end", "w: at the lower end"),
    ),
    "the sign of a weight": _learning(_STRONG, rate=0.6, edges=("sign of w: at the lower end",)),
    "the sign of an inhibitory weight": _learning(
        _STRONG, rate=0.6, syn={"sign_mode": "inh", "weights": -_EACH * 9}, cells={"bias": 9000},
        edges=("sign of w: at the upper end",),
    ),
    "profile wide: products, accumulator and weights at their ends": _in_wide(_learning(
        _STRONG, rate=0.6, syn={"sign_mode": "mixed"},
        edges=("product: at the upper end", "product: at the lower end", "accumulator: at the upper end",
               "accumulator: at the lower end", "w: at the upper end", "w: at the lower end"),
    )),
    "changes below one": _learning(_ODD, edges=("w: rounded up", "w: rounded down")),
    "factors at their ends": _learning(
        _rule((_product("x0", Factor("x1", 511), exp=-5),
               _product("y0", Factor("w", -512), Factor("y1", -512), exp=-7))),
        edges=("factor: at the upper end", "factor: at the lower end"),
    ),
    "products that wrap": _learning(
        _rule((_product("x0", *(Factor("w", 300) for _ in range(4)), exp=2),)), edges=("product of factors: wrapped",)
    ),
    "tags at their ends": _learning(
        _rule((_product("u", "t", exp=-5, k=3),),
              dt=(_product("x0", "x1", exp=3), _product("y0", "y1", exp=-3)),
              dd=(_product("y0", "y1", "x1", exp=3), _product("x0", "x1", mant=-1, exp=-5))), rate=0.6,
        edges=("tag_1: at the upper end", "tag_2: at the upper end", "sign of tag_2: at the lower end",
               "tag_1: rounded up", "tag_2: rounded up"),
    ),
})  # fmt: skip
"""By name: the ends of ranges of parameters and states, and where arithmetic wraps, saturates and rounds."""
