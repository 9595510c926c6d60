"""A small program and an engine for it in Python, with faults on demand."""

from __future__ import annotations

import struct
from collections.abc import Callable

import numpy as np
import pytest

from neuromorph.program import Population, Probe, Program, Projection, build
from neuromorph.rule import Factor, Product, Rule, Trace
from neuromorph.session import Session
from neuromorph_cpu.ref_engine import RefEngine

Fault = Callable[[int, bytes], bytes]
RULE = Rule(
    dw=(Product("x0", -1, 0, (Factor("y1"),)), Product("y0", 1, 0, (Factor("x1"),))),
    traces={"x1": Trace(16, 0, 10.0), "y1": Trace(16, 0, 10.0)},
)


def small_program(weight: int = 96, seed: int = 1) -> Program:
    """3 inputs, 4 plastic cells, a sparse recurrent projection; probes of every kind."""
    weights = np.full((3, 4), 80)
    weights[1, 2] = weight
    return build(
        [
            Population("in", 3, "input"),
            Population(
                "cells", 4, du=1000, dv=200, vth=120, bias=np.array([1600, 1100, 1300, 1500]), refractory=2,
                adaptive=True, theta_inc=64, theta_decay=50,
            ),
        ],
        [
            Projection("syn", "in", "cells", weights, sign_mode="exc", rule=RULE),
            Projection(
                "loop", "cells", "cells", np.array([-20, -40, -60]), sign_mode="mixed", delays=np.array([0, 1, 2]),
                indptr=np.array([0, 2, 2, 3, 3]), indices=np.array([1, 3, 0]),
            ),
        ],
        probes=(
            Probe("in.spikes", "in", "spikes"), Probe("cells.spikes", "cells", "spikes"),
            Probe("cells.v", "cells", "v"), Probe("syn.w", "syn", "w", 10, 3), Probe("loop.ring", "loop", "ring", 7),
        ),
        seed=seed, name="small",
    )  # fmt: skip


class FaultyEngine(RefEngine):
    """The reference engine; `fault` sees each step's records before they are handed on and may change them or raise."""

    def __init__(self, fault: Fault | None = None, target: str = "cpu:ref") -> None:
        super().__init__(target)
        self.fault = fault

    def run(
        self,
        steps: int,
        records: bytes,
        on_output: Callable[[bytes], None],
        on_progress: Callable[[int], None] | None = None,
    ) -> None:
        def output(data: bytes) -> None:
            on_output(self.fault(struct.unpack_from("<I", data)[0], data) if self.fault else data)

        super().run(steps, records, output, on_progress)


def start(program: Program, fault: Fault | None = None, target: str = "cpu:ref") -> Session:
    engine = FaultyEngine(fault, target)
    engine.load(program.image)
    return Session(program, engine)


@pytest.fixture
def program() -> Program:
    return small_program()


@pytest.fixture
def session(program: Program) -> Session:
    return start(program)


@pytest.fixture
def started() -> Callable[..., Session]:
    """A session on a program, whose engine may have a fault."""
    return start


@pytest.fixture
def make_program() -> Callable[..., Program]:
    """The small program with another weight or seed."""
    return small_program
