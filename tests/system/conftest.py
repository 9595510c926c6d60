"""What the tests of the whole product share: machines by their names, random programs with their inputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

import neuromorph as nm
from neuromorph.program import Program
from neuromorph.session import Session
from neuromorph.stimulus import Stimulus
from neuromorph.testing.programs import Draw

TARGETS = ("cpu:ref", "cpu", "mcu:m4", "mcu:m0")


def stimulus(drawn: Draw) -> Stimulus:
    """All inputs of a random program, from step 1 on."""
    pops = drawn.program.populations
    trains = {
        name: nm.SpikeTrain(steps, indices, payloads if pops[name].graded else None)
        for name, (steps, indices, payloads) in drawn.events.items()
    }
    return Stimulus.of(drawn.program, trains, drawn.steps)


@dataclass
class Machines:
    """Opens sessions and closes them at the end of the test."""

    opened: list[Session]

    def __call__(self, program: Program, target: str) -> Session:
        """A new session."""
        self.opened.append(nm.open(program, target))
        return self.opened[-1]


@pytest.fixture
def machine() -> Iterator[Machines]:
    """A program on a machine: ``machine(program, target)``."""
    machines = Machines([])
    yield machines
    for session in machines.opened:
        session.close()


@pytest.fixture
def stimulus_of() -> Callable[[Draw], Any]:
    """All inputs of a random program."""
    return stimulus


@pytest.fixture(params=TARGETS)
def target(request: pytest.FixtureRequest) -> str:
    """Each fixed-point machine."""
    return str(request.param)
