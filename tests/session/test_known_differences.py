"""A machine that stops where it is known to differ is compared up to there; any other difference still counts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from neuromorph.cli.compare import text
from neuromorph.errors import KnownDifferenceError
from neuromorph.html import comparison
from neuromorph.lockstep import Outcome, Run, check
from neuromorph.program import Population, Probe, Program, Projection, build
from neuromorph.session import Session
from neuromorph_cpu.ref_engine import RefEngine

STOP = 20


class Stopping(RefEngine):
    """Stops at a step; `wrong` before it, if asked for."""

    def __init__(self, wrong: bool) -> None:
        super().__init__("other")
        self.wrong = wrong

    def load(self, image: bytes) -> None:
        super().load(image)
        machine: Any = self.machine
        steps = machine.advance

        def advance(count: int, inputs: Any) -> Iterator[None]:
            for _ in steps(count, inputs):
                if machine.t == STOP:
                    raise KnownDifferenceError(f"step {STOP}: it adds in 21 bits")
                if self.wrong and machine.t == STOP // 2:
                    self.reference.state["cells", "v"][0] += 64
                yield

        machine.advance = advance


def program() -> Program:
    return build(
        [Population("in", 3, "input"), Population("cells", 2, vth=100, bias=900)],
        [Projection("syn", "in", "cells", np.full((3, 2), 50), sign_mode="exc")],
        probes=(Probe("spikes", "cells", "spikes"), Probe("v", "cells", "v")),
    )


def run(label: str, engine: RefEngine) -> Run:
    def start() -> Session:
        engine.load(program().image)
        return Session(program(), engine)

    return Run(label, program(), start)


def outcome(wrong: bool) -> Outcome:
    return check([run("cpu:ref", RefEngine()), run("other", Stopping(wrong))], 50)


def test_it_is_compared_up_to_there_and_the_report_says_why() -> None:
    found = outcome(wrong=False)
    assert found.equal
    assert found.differences[0].b.stop >= STOP - 2
    assert found.values_compared == found.differences[0].b.stop * 2 * 2
    assert found.to_dict()["allowed"] == {"other": f"step {STOP}: it adds in 21 bits"}
    for shown in (text(found), comparison(found, program(), "neuromorph compare")):
        assert "it adds in 21 bits" in shown
        assert "known and allowed" in shown


def test_another_difference_before_it_still_counts() -> None:
    found = outcome(wrong=True)
    assert not found.equal
    assert found.first is not None
    assert found.first.step == STOP // 2


def test_the_first_machine_has_to_reach_the_end() -> None:
    with pytest.raises(KnownDifferenceError, match="21 bits"):
        check([run("other", Stopping(wrong=False)), run("cpu:ref", RefEngine())], 50)
