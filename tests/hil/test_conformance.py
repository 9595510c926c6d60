"""The suite that machines are measured with reaches what it is named for, and notices a wrong machine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from neuromorph.session import Session
from neuromorph.testing.conformance import LIMITS, OPERATIONS, STEPS
from neuromorph_cpu.ref_engine import RefEngine

SMALL = 4096
"""Bytes of an image that fits most boards."""


@pytest.mark.parametrize("name", [name for name, case in LIMITS.items() if case.edges])
def test_a_program_reaches_its_limits(name: str) -> None:
    case, seen = LIMITS[name], Counter[str]()
    engine = RefEngine(seen=seen)
    program = case.program(name)
    engine.load(program.image)
    Session(program, engine).run(steps=STEPS, inputs=case.inputs(name))
    assert not [edge for edge in case.edges if not seen[edge]]


def test_programs_are_small_and_different() -> None:
    images = {name: case.program(name).image for name, case in (*OPERATIONS.items(), *LIMITS.items())}
    assert max(map(len, images.values())) < SMALL
    assert len({image[64:96] for image in images.values()}) == len(images)


def test_the_suite_runs_on_a_third_partys_target_and_finds_its_fault(suite: Callable[..., pytest.RunResult]) -> None:
    """`pytest --pyargs neuromorph.testing --nm-target X`, here a part of it."""
    options = ("--pyargs", "neuromorph.testing", "-k", "test_one_spike or refractory or reset", "-rsf")
    good = suite("", *options, "--nm-target", "mine")
    assert good.ret == 0
    good.stdout.fnmatch_lines(["*no board offers reset (looked at: mine)*", "*passed*"])
    wrong = suite("", *options, "--nm-target", "mine:wrong")
    assert wrong.ret == 1
    wrong.stdout.fnmatch_lines(["FAILED *test_operation[[]mine:wrong-refractory period[]]*"])
