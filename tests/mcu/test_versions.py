"""Boards whose firmware is older or newer than this package."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

import neuromorph as nm
from neuromorph.errors import UnsupportedError
from neuromorph.examples import tutorial
from neuromorph.image import FEATURES
from neuromorph.targets import find

for _module in ("serial", "unicorn"):
    pytest.importorskip(_module, reason="needs the extra mcu: pip install 'neuromorph[mcu]'")


@pytest.fixture
def engine() -> Iterator[Any]:
    backend, target = find("mcu:m0")
    engine = backend.open(target)
    yield engine
    engine.close()


def says(engine: Any, **other: Any) -> None:
    """Has a board say something else about itself."""
    engine._client.hello = replace(engine.hello, **other)


@pytest.mark.parametrize(
    ("other", "lacks"),
    [
        ({"features": (1 << len(FEATURES)) - 1 - (1 << FEATURES.index("delays"))}, "lacks delays, which"),
        ({"features": 0}, "lacks delays, refractory, which"),
        ({"image_format": (2, 3, 0)}, r"lacks version 1 of the image format \(it has 2 to 3\)"),
        ({"semantics": 2}, r"lacks version 1 of the semantics \(it has 2\)"),
    ],
)
def test_what_the_firmware_lacks_is_named_before_anything_is_sent(engine: Any, other: Any, lacks: str) -> None:
    program = nm.compile(tutorial.network(), target="mcu")
    engine.load(program.image)
    engine.run(3, b"", lambda _: None)
    says(engine, **other)
    with pytest.raises(UnsupportedError, match=rf"mcu:m0: its firmware \(unicorn_m0 .*{lacks}.*flash the firmware"):
        engine.load(program.image)
    assert engine.now() == 3  # what was there is unharmed


def test_firmware_with_more_features_and_formats_is_as_good(engine: Any) -> None:
    says(engine, features=(1 << 32) - 1, image_format=(1, 2, 5))
    engine.load(nm.compile(tutorial.network(), target="mcu").image)
    assert engine.now() == 0


def test_tests_on_a_board_compile_for_what_its_firmware_holds(engine: Any) -> None:
    from types import SimpleNamespace

    from pytest_neuromorph.handle import _limits

    says(engine, features=0b11)
    limits = _limits(SimpleNamespace(target="mcu:/dev/ttyACM0", hello=engine.hello))  # type: ignore[arg-type]
    assert limits.features == set(FEATURES[:2])
