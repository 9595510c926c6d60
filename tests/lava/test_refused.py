"""What Lava takes and misreads, drops or hangs on is refused before anything starts, by name; needs no Lava.

Each case says what Lava 0.10 does with it. What our lowering makes right instead is compared in test_equality.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import neuromorph as nm
from neuromorph.errors import NeuromorphError, RuleError, UnsupportedError, ValidationError
from neuromorph.language import parse_products
from neuromorph.program import Modulator, Population, Program, Projection, build
from neuromorph.rule import Factor, Product, Rule, Trace
from neuromorph.units import ms
from neuromorph_lava.holds import check_program

PAIR = (Product("y0", 1, 0, (Factor("x1"),)),)
X1 = {"x1": Trace(16, 0, 10.0)}


def keywords(function: Callable[..., object], **parameters: Any) -> Callable[[], object]:
    return lambda: function(**parameters)


def neurons(**parameters: Any) -> Callable[[], object]:
    return lambda: Population("cells", 3, **parameters)


def program(modulators: list[Modulator] | None = None, **projection: Any) -> Program:
    weights = projection.pop("weights", np.full((2, 3), 4))
    pops = [Population("in", 2, "input"), Population("cells", 3)]
    proj = Projection("syn", "in", "cells", weights, **projection)
    return build(pops, [proj], rounding="shared", modulators=modulators or [])


def synapses(**projection: Any) -> Callable[[], object]:
    return lambda: program(**projection)


def lava(**projection: Any) -> Callable[[], object]:
    return lambda: check_program(program(**projection))


def rule(text: str) -> Callable[[], object]:
    return lambda: parse_products(text)


REFUSED: dict[str, tuple[Callable[[], object], type[NeuromorphError], str]] = {
    # Lava swallows unknown parameters: LIF(bias=1000) never spikes.
    "unknown parameter of a neuron": (keywords(nm.LIF, tau_m=10 * ms, bais=1), ValidationError, "no parameter 'bais'"),
    "unknown parameter of a population": (
        keywords(nm.Network(name="n", dt=1 * ms, seed=1).population, n=3, neuron=nm.LIF(tau_m=10 * ms), bias=3),
        ValidationError, "no parameter 'bias'",
    ),
    # Nothing is range-checked.
    "du": (neurons(du=4096), ValidationError, r"cells.du = 4096 is outside 0\.\.4095"),
    "dv": (neurons(dv=4097), ValidationError, r"cells.dv = 4097 is outside 0\.\.4096"),
    "vth": (neurons(vth=1 << 17), ValidationError, r"cells.vth = 131072 is outside 0\.\.131071"),
    "one neuron's vth": (neurons(vth=np.array([5, -1, 5])), ValidationError, "cells.vth = -1"),
    "vth_lo": (neurons(kind="ternary", vth_lo=1), ValidationError, "cells.vth_lo = 1"),
    # A bias wraps at 16 bits.
    "bias": (
        lambda: check_program(build([Population("cells", 2, bias=np.array([64, 100_001]))], [])),
        UnsupportedError, "'cells': bias 100001 of neuron 1",
    ),
    # Floats raise in a child process: the runtime hangs.
    "vth as a float": (neurons(vth=100.5), ValidationError, "cells.vth: integers are needed"),
    "du as a float": (neurons(du=0.1), ValidationError, "cells.du: integers are needed"),
    "plastic weights as floats": (
        synapses(weights=np.full((2, 3), 3.2), rule=Rule(PAIR, traces=X1)), ValidationError, "must be integers",
    ),
    # A delay over 63 raises in a child process, too.
    "delay": (synapses(delays=64), ValidationError, "'syn': stored delay 64"),
    "negative delay": (synapses(delays=-1), ValidationError, "'syn': stored delay -1"),
    "delay of a plastic projection": (lava(delays=3, rule=Rule(PAIR, traces=X1)), UnsupportedError, "with delays"),
    # Weights are cut off, and a transposed matrix of the same sizes is taken as it is.
    "plastic weight": (
        synapses(weights=np.full((2, 3), 300), rule=Rule(PAIR, traces=X1)), ValidationError, "weight 300 is outside",
    ),
    "transposed weights": (synapses(weights=np.ones((3, 2), int)), ValidationError, r"needed \(2, 3\)"),
    "static weight": (synapses(weights=np.full((2, 3), 300)), ValidationError, r"weight 300 is outside -256\.\.255"),
    "weight of the other sign": (
        synapses(weights=np.full((2, 3), -3), sign_mode="exc"), ValidationError, r"weight -3 is outside 0\.\.255",
    ),
    "static weights as floats": (synapses(weights=np.full((2, 3), 3.7)), ValidationError, "must be integers"),
    "unknown sign mode": (synapses(sign_mode="auto"), ValidationError, "sign mode 'auto' is unknown"),
    "weight_exp": (synapses(weight_exp=16), ValidationError, "weight_exp 16"),
    # The parser drops, splits or guesses.
    "no dependency": (rule("x1*y1"), RuleError, "no dependency"),
    "two variables in brackets": (
        lava(rule=Rule(tuple(parse_products("x0*(x1+x2)")), traces={**X1, "x2": X1["x1"]})), UnsupportedError,
        "two variables",
    ),
    "a product in brackets": (rule("x0*(w*2)"), RuleError, "within brackets|product"),
    "division": (rule("x0*x1/2"), RuleError, "there is no division"),
    "power": (rule("x0*x1^2"), RuleError, "write the factor twice"),
    "decimal scale": (rule("0.3*x0*y1"), RuleError, r"not 0\.3"),
    "odd scale over 7": (rule("9*x0*y1"), RuleError, "scale 9 cannot be held"),
    "tiny scale": (rule("2^-9*x0*y1"), RuleError, r"2\^-9 cannot be held"),
    "constant": (rule("x0*(x1-200)"), RuleError, "constant -200 is too large"),
    "unknown variable": (rule("x0*y4"), RuleError, "'y4' is unknown"),
    "upper case": (rule("X0*y1"), RuleError, "did you mean x0"),
    "missing factor": (rule("x0*y1*"), RuleError, "a factor is missing"),
    "missing operator": (rule("x0 y1"), RuleError, "an operator"),
    # One k holds for dw, dd and dt: the others are read as that one.
    "several periods": (
        lava(rule=Rule((*PAIR, Product("u", 1, 0, k=1), Product("u", 1, 0, k=3)), traces=X1)),
        UnsupportedError, "'syn': the rule mixes u1, u3",
    ),
    "no products": (lava(rule=Rule(traces=X1)), UnsupportedError, "no products"),
    # Impulses wrap or saturate at once; a trace without a time constant forgets; a seed of None is another each time.
    "impulse": (lambda: Trace.of(128, 10.0), ValidationError, "impulse 128"),
    "time constant": (lambda: Trace.of(1, float("nan")), ValidationError, "time constant nan"),
    "trace without parameters": (lambda: Rule(PAIR), ValidationError, "gives no impulse and time constant"),
    "seed": (lambda: Rule(PAIR, traces=X1, seed=-1), ValidationError, "seed -1"),
    "epoch": (lambda: Rule(PAIR, traces=X1, t_epoch=65), ValidationError, "65 steps"),
    "graded trace with an impulse": (
        lambda: Rule(PAIR, traces=X1, graded_trace="overwrite"), ValidationError, "x1 with impulse 0",
    ),
    # Rounding is one number for all synapses, whatever was meant.
    "rounding of each synapse": (
        lambda: check_program(
            build([Population("in", 2, "input"), Population("cells", 3)],
                  [Projection("syn", "in", "cells", np.full((2, 3), 4), rule=Rule(PAIR, traces=X1))],
                  rounding="synapse")
        ),
        UnsupportedError, "rounding='shared'",
    ),
    # Three factors: every post trace is overwritten by what arrives for it.
    "post traces beside modulators": (
        lava(
            modulators=[Modulator("m")],
            rule=Rule((Product("x0", 1, 0, (Factor("y1"), Factor("m1"))),), traces={"y1": Trace(16, 0, 10.0)},
                      modulators=("m",)),
        ),
        UnsupportedError, "'syn': the rule has modulators and y1",
    ),
    "four modulators": (
        lava(
            modulators=[Modulator(f"m{k}") for k in range(4)],
            rule=Rule((Product("x0", 1, 0, (Factor("m4"),)),), modulators=("m0", "m1", "m2", "m3")),
        ),
        UnsupportedError, "4 modulators; Lava's have room for 3",
    ),
    "extended factors": (
        lava(rule=Rule((Product("x0", 1, 0, (Factor("x1", -3, "pos"),)),), traces=X1)), UnsupportedError, "with pos",
    ),
    "another computer's decay": (
        lava(rule=Rule(PAIR, traces={"x1": Trace(16, 0, 10.0, Trace(0, 0, 11.0).decay.astype("<u8").tobytes())})),
        UnsupportedError, r"decay of x1 is not exp\(-1/10\)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_lava_would_misread_is_refused_by_name(name: str) -> None:
    make, error, message = REFUSED[name]
    with pytest.raises(error, match=message):
        make()
