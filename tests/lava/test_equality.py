"""Every state of every step of random programs is the same on Lava's own models.

Few here; the same tests over many programs: pytest tests/lava --lava-programs 500 --lava-runtime-programs 40
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from neuromorph.compare import compare as compare_traces
from neuromorph.program import Modulator, Population, Projection, ScheduleEntry, build
from neuromorph.rule import GRADED_TRACES, TRACES, Rule, Trace
from neuromorph.testing.equality import Case, disagreement, trace_of
from neuromorph.testing.literature import THREE_FACTORS, TWO_FACTORS, products
from neuromorph.testing.peers import all_probes, contents, fit_lava, peer_case
from neuromorph.testing.programs import Draw
from neuromorph_cpu.ref_engine import RefEngine
from neuromorph_lava.holds import learns_sparse

MANY, MANY_RUNTIME = 500, 40
MODELS = (
    "lif", "lif refractory", "lif adaptive", "lif reset", "ternary", "ternary reset", "dense", "sparse",
    "delayed dense", "delayed sparse", "two factors, dense", "two factors, sparse", "three factors, dense",
)  # fmt: skip
"""What is lowered to a model class of its own."""
ALL = (
    *MODELS, "three factors, sparse", "LearningSparse", "input", "input graded", "dw", "dd", "dt", "graded spikes",
    *(f"sign mode {mode}" for mode in ("mixed", "exc", "inh")),
    *(f"stored delay {delay}" for delay in range(64)),
    *(f"epoch of {steps}" for steps in range(1, 65)),
    *(f"graded trace {form}" for form in GRADED_TRACES),
    *(f"dependency {name}" for name in ("x0", "y0", "u")),
    *(f"rule reads {name}" for name in ("x0", "y0", *TRACES, "w", "d", "t", "1", "m1", "m2", "m3")),
    *(f"rule of the literature: {name}" for name in (*TWO_FACTORS, *THREE_FACTORS)),
    *(f"modulator, {n}, {mode}" for n in ("shared", "one for each neuron") for mode in ("add", "hold")),
    *(f"schedule of {operation}" for operation in ("plasticity", "adaptation", "modulator")),
)  # fmt: skip
"""What occurs in many programs."""


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_lava_models_in_one_process_equal_the_reference(lava, request: pytest.FixtureRequest) -> None:
    programs = int(request.config.getoption("lava_programs", 20))
    found = compare(lava("loihi:lava-fast"), programs, request)
    assert programs < MANY or not [name for name in ALL if not found[name]]


@pytest.mark.timeout(7200)
def test_lavas_runtime_equals_the_reference(lava, request: pytest.FixtureRequest) -> None:
    programs = int(request.config.getoption("lava_runtime_programs", 2))
    found = compare(lava("loihi:lava"), programs, request)
    assert programs < MANY_RUNTIME or not [name for name in MODELS if not found[name]]


def compare(engine, programs: int, request: pytest.FixtureRequest) -> Counter[str]:
    found: Counter[str] = Counter()
    first = int(request.config.getoption("lava_first", 0))
    for seed in range(first, first + programs):
        case = peer_case(seed, fit_lava)
        difference = disagreement(case, engine)
        assert not difference, difference
        found.update(contents(case.draw.program))
        found["LearningSparse"] += sum(
            learns_sparse(proj) and proj.layout == "sparse" for proj in case.draw.program.projections.values()
        )
        found["steps"] += case.draw.steps
        found["spikes"] += case.reference.counters["spikes"]
    rows = "\n".join(f"{found[name]:>9}  {name}" for name in sorted(found))
    request.node.user_properties.append((f"{programs} programs equal on {engine.target}", rows))
    return found


@pytest.mark.parametrize("epoch", [1, 4])
@pytest.mark.parametrize("name", TWO_FACTORS)
def test_rules_of_the_literature(lava, name: str, epoch: int) -> None:
    traces = {t: Trace.of(16.3, tau) for t, tau in zip(TRACES, (10.0, 40.0, 10.0, 30.0, 100.0), strict=True)}
    rule = Rule(*products(TWO_FACTORS[name]), traces=traces, t_epoch=epoch, seed=7)
    check_learning(rule, lava("loihi:lava-fast"))


@pytest.mark.parametrize("epoch", [1, 4])
@pytest.mark.parametrize("mode", ["loihi:lava-fast", "loihi:lava"])
@pytest.mark.parametrize("name", THREE_FACTORS)
def test_rules_with_modulators(lava, name: str, mode: str, epoch: int) -> None:
    traces = {t: Trace.of(16.3, tau) for t, tau in zip(("x1", "x2"), (10.0, 40.0), strict=True)}
    rule = Rule(
        *products(THREE_FACTORS[name]), traces=traces, t_epoch=epoch, seed=7, modulators=("reward", "activity", "gate")
    )
    modulators = [
        Modulator("reward", sources=(("in", 90), ("more", -400)), decay=300, frac=2),
        Modulator("activity", "cells", sources=(("cells", 700), ("errors", 5)), decay=200, period=1, frac=4, init=-90),
        Modulator("gate", sources=(("more", 3),), mode="hold", init=100),
    ]
    schedule = (ScheduleEntry(0, "modulator", "reward", value=50), ScheduleEntry(60, "modulator", "gate", value=-7))
    check_learning(rule, lava(mode), modulators, schedule)


@pytest.mark.parametrize("mode", ["loihi:lava-fast", "loihi:lava"])
def test_thresholds_that_drift(lava, mode: str) -> None:
    """Some fall to their least value, others rise."""
    cells = Population(
        "cells", 6, du=2000, dv=300, vth=200, bias=np.arange(6) * 400, adaptive=True, theta_inc=9000, theta_drift=300,
        theta_min=-20_000, theta_period=1, theta_frac=4, refractory=2,
    )  # fmt: skip
    program = build([cells], [], schedule=(ScheduleEntry(150, "adaptation", "cells", False),))
    drawn = Draw(replace(program, probes=all_probes(program)), {}, 200)
    reference = trace_of(drawn, RefEngine())
    theta = reference.states("cells.theta").values
    assert theta.min() == -20_000
    assert theta.max() > 0
    assert compare_traces(reference, trace_of(drawn, lava(mode))).equal


def check_learning(
    rule: Rule, engine: Any, modulators: Sequence[Modulator] = (), schedule: tuple[ScheduleEntry, ...] = ()
) -> None:
    """A rule on a projection of 8 to 6 neurons is the same on an engine, and moves its weights or tags."""
    rng = np.random.default_rng(3)
    program = build(
        [
            Population("in", 8, "input"), Population("more", 3, "input"), Population("errors", 6, "input", graded=True),
            Population("cells", 6, du=2000, dv=300, vth=200, bias=200),
        ],
        [Projection("syn", "in", "cells", rng.integers(20, 120, (8, 6)), rule=rule)],
        rounding="shared", modulators=list(modulators), schedule=schedule,
    )  # fmt: skip
    program = replace(program, probes=all_probes(program))
    events = {}
    for pop, share, payloads in (("in", 0.15, (1, 2)), ("more", 0.05, (1, 2)), ("errors", 0.1, (-400, 400))):
        steps, indices = np.nonzero(rng.random((200, program.populations[pop].n)) < share)
        payload = rng.integers(*payloads, steps.size)
        events[pop] = steps[payload != 0] + 1, indices[payload != 0], payload[payload != 0]
    drawn = Draw(program, events, 200)
    reference = trace_of(drawn, RefEngine())
    changed = [reference.states(f"syn.{v}").values for v in ("w", "tag_1", "tag_2") if f"syn.{v}" in reference]
    assert any(np.any(values[-1] != values[0]) for values in changed)
    found = disagreement(Case(0, drawn, reference), engine)
    assert not found, found
