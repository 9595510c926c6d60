"""Lava's environment where it is installed."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from neuromorph.engine import Engine
from neuromorph_lava.backend import LavaBackend

Open = Callable[[str], Engine]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--lava-programs", type=int, default=20, help="random programs on Lava's models in one process")
    parser.addoption("--lava-runtime-programs", type=int, default=2, help="random programs in Lava's runtime")
    parser.addoption("--lava-images", type=int, default=20, help="images that the digits example learns from")
    parser.addoption("--lava-first", type=int, default=0, help="seed of the first random program")


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
