"""nengo-loihi's environment where it is installed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from neuromorph.engine import Engine
from neuromorph_nengo.backend import NengoBackend


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--nengo-programs", type=int, default=10, help="random programs on nengo-loihi's emulator")


@pytest.fixture(scope="package")
def nengo() -> Iterator[Engine]:
    """`loihi:nengo`; skips where nengo-loihi is not installed."""
    backend = NengoBackend()
    target = backend.targets()[0]
    missing = backend.available(target)
    if missing:
        pytest.skip(missing)
    engine = backend.open(target)
    yield engine
    engine.close()
