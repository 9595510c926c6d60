"""What a program asks of a board beside memory: time for its worst step (R10), and a security counter (R11)."""

from __future__ import annotations

import ctypes
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import neuromorph as nm
from neuromorph.image import decode, without_metadata
from neuromorph.inspect import describe
from neuromorph.passes.cost import CORES, program_cost, step_us
from neuromorph.program import Population, Program, Projection, build
from neuromorph.rule import Factor, Product, Rule, Trace
from neuromorph.testing.programs import draw
from neuromorph.units import ms
from neuromorph_cpu import native
from tests.system.test_images import whole

MOST = 0xFFFFFFFF
TRACES = {name: Trace(16, 0, 10.0) for name in ("x1", "x2", "y1", "y2")}


def judged(program: Program, core: str = "cortex-m4", per_us: int = 1, counter_least: int = 0) -> tuple[int, int, int]:
    """Rule and offset of the verifier, and microseconds of the worst step, on a board with such a core."""
    speed, report = native._Speed(per_us, *CORES[core].tenths), native._Report()
    limits = native._Limits(0, 0, native.FEATURES_ALL, counter_least, ctypes.pointer(speed))
    image = program.image
    native.library().nm_verify(image, len(image), ctypes.byref(limits), ctypes.byref(report))
    return report.rule, report.offset, report.step_us


def learning(*products: Product, **more: Any) -> Program:
    """Three neurons that two inputs teach."""
    syn = Projection("syn", "in", "cells", np.full((2, 3), 4), rule=Rule(dw=products, traces=TRACES, **more))
    return build([Population("in", 2, "input"), Population("cells", 3)], [syn])


def product(dependency: str, *factors: str | Factor, **more: Any) -> Product:
    held = tuple(Factor(f) if isinstance(f, str) else f for f in factors)
    return Product(dependency, 1, 0, held, **more)  # type: ignore[arg-type]


# ------------------------------------------------------------------------------------------------ the worst step


@pytest.mark.parametrize("profile", ["loihi2", "wide"])
def test_board_and_compiler_count_the_same_worst_step(profile: str) -> None:
    """Of random programs, on each core, at two speeds."""
    for seed in range(60):
        program = draw(seed, profile=profile).program
        for core, costs in CORES.items():
            for per_us in (1, 84):
                assert judged(program, core, per_us)[2] == step_us(program, costs, per_us), (seed, core, per_us)


SHAPES = {
    "pair": ((product("x0", "y1"), product("y0", "x1")), True),
    "sides the other way round": ((product("y0", "x2"), product("x0", "y2")), True),
    "a constant and the same trace twice": ((product("x0", "y1", "1", "y1"), product("y0")), True),
    "one product": ((product("x0", "y1"),), False),
    "a side twice": ((product("x0", "y1"), product("x0", "y2")), False),
    "neither side": ((product("x0", "y1"), product("u", "w")), False),
    "its own trace": ((product("x0", "x1"), product("y0", "x1")), False),
    "its own trace, after": ((product("x0", "y1"), product("y0", "y1")), False),
    "two traces": ((product("x0", "y1", "y2"), product("y0", "x1")), False),
    "the weight": ((product("x0", "w"), product("y0", "x1")), False),
    "a function": ((product("x0", Factor("y1", function="on")), product("y0", "x1")), False),
    "a second variable": ((product("x0", Factor("y1", second="x1")), product("y0", "x1")), False),
}


@pytest.mark.parametrize("name", SHAPES)
def test_what_counts_as_pair_stdp_is_the_same(name: str) -> None:
    """6 synapses, 3 neurons, traces x1 x2 of 2 and y1 y2 of 3: by hand, in tenths of an instruction."""
    products, pair = SHAPES[name]
    program, costs = learning(*products), CORES["cortex-m4"]
    learned = 2 * costs.pair if pair else len(products) * costs.interpreted
    by_hand = 3 * costs.neuron + 6 * (costs.dense + learned) + (2 + 2 + 3 + 3) * costs.trace
    assert judged(program)[2] == step_us(program, costs, 1) == int(np.ceil(round(by_hand, 1)))


@pytest.mark.parametrize("series", ["dd", "dt"])
def test_rules_with_tags_are_interpreted(series: str) -> None:
    program = learning(*SHAPES["pair"][0], **{series: (product("y0", "x1"),)})
    assert judged(program)[2] == step_us(program, CORES["cortex-m4"], 1) > judged(learning(*SHAPES["pair"][0]))[2]


def test_a_step_that_takes_for_ever_is_no_overflow() -> None:
    """More microseconds than 32 bits have: 7 populations of 2^24 neurons, at 409.5 instructions each."""
    program = build([Population(f"p{k}", 1 << 24) for k in range(7)], [])
    speed, report = native._Speed(1, 4095), native._Report()
    limits = native._Limits(0, 0, native.FEATURES_ALL, 0, ctypes.pointer(speed))
    size = len(program.image)
    assert native.library().nm_verify(program.image, size, ctypes.byref(limits), ctypes.byref(report)) == 0
    assert report.step_us == MOST
    assert step_us(program, replace(CORES["cortex-m4"], neuron=409.5), 1) == MOST


def test_the_report_and_the_board_speak_of_the_same_step() -> None:
    program = whole()
    for core, instructions in program_cost(program).instructions.items():
        assert abs(judged(program, core)[2] - instructions) <= 1


# ------------------------------------------------------------------------------------------------ R10, R11


def test_a_deadline_is_held_against_the_worst_step() -> None:
    need = judged(whole())[2]
    assert need > 1
    assert judged(replace(whole(), deadline_us=need)) == (0, 0, need)
    assert judged(replace(whole(), deadline_us=need - 1)) == (10, 32, need)
    assert judged(replace(whole(), deadline_us=need - 1), per_us=2)[0] == 0


def test_a_board_that_does_not_know_its_speed_takes_any_deadline() -> None:
    assert native.verify(replace(whole(), deadline_us=1).image)


def test_a_counter_below_the_least_is_refused() -> None:
    assert judged(replace(whole(), counter=7), counter_least=7)[:2] == (0, 0)
    assert judged(replace(whole(), counter=6), counter_least=7)[:2] == (11, 36)
    assert judged(replace(whole(), counter=MOST), counter_least=MOST)[0] == 0
    assert judged(whole(), counter_least=1)[0] == 11


# ------------------------------------------------------------------------------------------------ as users see it


def network() -> nm.Network:
    net = nm.Network(name="timely")
    net.population(3, nm.LIF(tau_m=20 * ms, tau_s=5 * ms), name="cells")
    return net


def test_demands_are_compiled_into_the_image_and_not_into_the_digest() -> None:
    plain, asked = nm.compile(network()), nm.compile(network(), deadline=0.0025, counter=3)
    assert plain.image[32:64] == bytes(32)
    assert (asked.deadline_us, asked.counter) == (2500, 3)
    assert asked.image[32:40] == (2500).to_bytes(4, "little") + (3).to_bytes(4, "little")
    assert asked.digest == plain.digest
    for image in (asked.image, without_metadata(asked.image)):
        again = decode(image)
        assert (again.deadline_us, again.counter) == (2500, 3)
        assert native.verify(image)


def test_inspect_shows_them(tmp_path: Path) -> None:
    nm.compile(network(), deadline=1e-3, counter=9).save(tmp_path / "a.nmi")
    found = describe(tmp_path / "a.nmi")
    assert (found["deadline_us"], found["counter"]) == (1000, 9)


@pytest.mark.parametrize("deadline", [0, -1e-3, 1e-7, 1.5e-6, 1001.0, float("nan")])
def test_a_deadline_is_whole_microseconds(deadline: float) -> None:
    with pytest.raises(nm.ValidationError, match=r"deadline = .* must be whole microseconds"):
        nm.compile(network(), deadline=deadline)


@pytest.mark.parametrize("counter", [-1, 1 << 32])
def test_a_counter_has_32_bits(counter: int) -> None:
    with pytest.raises(nm.ValidationError, match=r"security counter .* is outside"):
        nm.compile(network(), counter=counter)
    with pytest.raises(nm.ValidationError, match="deadline of 1000000001 us is outside"):
        replace(whole(), deadline_us=10**9 + 1)
