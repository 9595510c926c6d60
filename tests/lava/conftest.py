"""Lava's environment where it is installed, and programs that Lava holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from neuromorph.engine import Engine
from neuromorph.testing.peers import inputs_of
from neuromorph.testing.programs import Draw
from neuromorph_lava.backend import LavaBackend
from neuromorph_lava.holds import check_inputs, check_program

Open = Callable[[str], Engine]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--lava-programs", type=int, default=20, help="random programs on Lava's models in one process")
    parser.addoption("--lava-runtime-programs", type=int, default=2, help="random programs in Lava's runtime")
    parser.addoption("--lava-first", type=int, default=0, help="seed of the first random program")


@pytest.fixture
def fit() -> Callable[[Draw], Draw]:
    """Changes a random program into one that Lava holds."""
    return _fit


def _fit(drawn: Draw) -> Draw:
    """The same program with Lava's rounding, if Lava holds it."""
    changed = replace(drawn, program=replace(drawn.program, rounding="shared"))
    check_program(changed.program)
    check_inputs(changed.program, inputs_of(changed))
    return changed


@pytest.fixture(scope="package")
def lava() -> Iterator[Open]:
    """Opens a target of Lava's, once for all tests; skips where Lava is not installed."""
    backend, made = LavaBackend(), dict[str, Engine]()

    def start(name: str) -> Engine:
        target = backend.find(name)
        assert target is not None
        missing = backend.available(target)
        if missing:
            pytest.skip(missing)
        if name not in made:
            made[name] = backend.open(target)
        return made[name]

    yield start
    for engine in made.values():
        engine.close()
