"""A network that learns something: handwritten digits, in small, bit by bit as on `cpu:ref`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from neuromorph.errors import CapacityError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Callable

CELLS, TRAIN, TEST = 12, 20, 8


def test_digits(
    deploy: Callable[..., Any],
    run: Callable[..., Any],
    reference: Callable[..., Any],
    assert_traces_equal: Callable[..., Any],
) -> None:
    """Images are shown, weights learn them, learning is switched off by the schedule: spikes and weights are equal."""
    pytest.importorskip("sklearn", reason="the digits need scikit-learn: pip install 'neuromorph[examples]'")
    from neuromorph.examples.digits import Digits

    digits = Digits(train=TRAIN, test=TEST)
    try:
        handle = deploy(digits.network(CELLS))
    except (CapacityError, UnsupportedError) as error:
        pytest.skip(f"refused: {error}")
    before = handle.session.read("syn", "w")
    got = run(steps=digits.steps, inputs={"pixels": digits.spikes()})
    assert_traces_equal(reference(), got)
    assert (handle.session.read("syn", "w") != before).mean() > 0.1
    assert digits.score(got).silent < TEST
