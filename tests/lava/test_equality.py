"""Every state of every step of random programs is the same on Lava's own models.

Few here; the same tests over many programs: pytest tests/lava --lava-programs 500 --lava-runtime-programs 40 -s
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from neuromorph.language import parse_products
from neuromorph.program import Population, Probe, Projection, build
from neuromorph.rule import TRACES, Rule, Trace
from neuromorph.state import items
from neuromorph.testing.equality import Case, disagreement, trace_of
from neuromorph.testing.peers import contents, fit_lava, peer_case
from neuromorph.testing.programs import Draw
from neuromorph_cpu.ref_engine import RefEngine


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_lava_models_in_one_process_equal_the_reference(lava, request: pytest.FixtureRequest) -> None:
    compare(lava("loihi:lava-fast"), int(request.config.getoption("lava_programs", 20)), request)


@pytest.mark.timeout(7200)
def test_lavas_runtime_equals_the_reference(lava, request: pytest.FixtureRequest) -> None:
    compare(lava("loihi:lava"), int(request.config.getoption("lava_runtime_programs", 2)), request)


def compare(engine, programs: int, request: pytest.FixtureRequest) -> None:
    found: Counter[str] = Counter()
    first = int(request.config.getoption("lava_first", 0))
    for seed in range(first, first + programs):
        case = peer_case(seed, fit_lava)
        difference = disagreement(case, engine)
        assert not difference, difference
        found.update(contents(case.draw.program))
        found["steps"] += case.draw.steps
        found["spikes"] += case.reference.counters["spikes"]
    print(f"\n{programs} programs equal on {engine.target}")
    for name in sorted(found):
        print(f"{found[name]:>9}  {name}")


RULES = {
    "pair": {"dw": "2^-2*x1*y0 - 2^-2*y1*x0"},
    "soft bounds": {"dw": "2^-4*y0*x1*(255-w) - 2^-4*x0*y1*w"},
    "triplet, minimal": {"dw": "2^0*y0*x1*y2 - 2^-3*x0*y1"},
    "triplet, full": {"dw": "y0*x1 + y0*x1*y2 - x0*y1 - x0*y1*x2"},
    "rate": {"dw": "2^0*u2*x1*y1"},
    "Oja": {"dw": "2^0*u2*x1*y1 - 2^-1*u2*w*y1*y1"},
    "BCM, fixed threshold": {"dw": "2^0*u2*x1*y1*(y1-32)"},
    "BCM, sliding threshold": {"dw": "u2*x1*y1*y1 - u2*x1*y1*y2"},
    "weight decay": {"dw": "-2^-4*u4*w"},
    "L1": {"dw": "-1*u4*sgn(w)"},
    "inhibitory": {"dw": "2^-2*x0*y1 + 2^-2*y0*x1 - 8*x0"},
    "heterosynaptic": {"dw": "2^-2*y0*x1 - 2^-6*y0*w"},
    "drift": {"dw": "2^-2*x1*y0 + 1*u4 - 2^-3*y0*y1"},
    "scaling": {"dw": "2^-3*u3*w*(40-y3)"},
    "tag, read as a two-factor rule": {"dt": "2^-1*y0*x1 - 2^-1*x0*y1 - 2^-3*u0*t", "dw": "2^-2*u0*t*y2"},
    "second tag": {"dd": "2^-4*y0*x1 - 2^-4*x0*y1"},
    "age": {"dt": "4*y0*x1 - 1*u3*sgn(t)"},
}
"""Rules of the literature as the machine's language writes them."""


def all_probes(program) -> tuple[Probe, ...]:
    states = [Probe(item.name, item.object, item.variable) for item in items(program)]
    return (*states, *(Probe(f"{name}.spikes", name, "spikes") for name in program.populations))


@pytest.mark.parametrize("epoch", [1, 4])
@pytest.mark.parametrize("name", RULES)
def test_rules_of_the_literature(lava, name: str, epoch: int) -> None:
    series: dict[str, Any] = {target: parse_products(text) for target, text in RULES[name].items()}
    traces = {t: Trace.of(16.3, tau) for t, tau in zip(TRACES, (10.0, 40.0, 10.0, 30.0, 100.0), strict=True)}
    rule = Rule(**series, traces=traces, t_epoch=epoch, seed=7)
    rng = np.random.default_rng(3)
    program = build(
        [Population("in", 8, "input"), Population("cells", 6, du=2000, dv=300, vth=200, bias=200)],
        [Projection("syn", "in", "cells", rng.integers(20, 120, (8, 6)), rule=rule)],
        rounding="shared",
    )
    program = replace(program, probes=all_probes(program))
    steps, indices = np.nonzero(rng.random((200, 8)) < 0.15)
    drawn = Draw(program, {"in": (steps + 1, indices, np.ones(steps.size, np.int64))}, 200)
    reference = trace_of(drawn, RefEngine())
    changed = [reference.states(f"syn.{v}").values for v in ("w", "tag_1", "tag_2") if f"syn.{v}" in reference]
    assert any(np.any(values[-1] != values[0]) for values in changed)
    found = disagreement(Case(0, drawn, reference), lava("loihi:lava-fast"))
    assert not found, found
