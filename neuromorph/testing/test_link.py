"""A bad line: what arrives is what was sent, exactly once and in order, or the board says that it does not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from neuromorph.errors import CapacityError
from neuromorph.testing.test_long import network, noise

if TYPE_CHECKING:
    from collections.abc import Callable

STEPS = 500
KINDS = ("corrupt", "drop", "duplicate", "insert")


@pytest.mark.parametrize(
    "faults", [*({kind: 1e-3} for kind in KINDS), dict.fromkeys(KINDS, 2.5e-4)], ids=[*KINDS, "all together"]
)
def test_bytes_with_faults_change_nothing(
    board: Any,
    deploy: Callable[..., Any],
    run: Callable[..., Any],
    reference: Callable[..., Any],
    assert_traces_equal: Callable[..., Any],
    fault_link: Callable[..., str],
    faults: dict[str, float],
) -> None:
    """One byte in a thousand is wrong, lost, doubled or invented: the upload, the inputs and the trace are right."""
    fault_link(seed=1, **faults)
    try:
        deploy(network())
    except CapacityError as error:
        pytest.skip(f"refused: {error}")
    got = run(steps=STEPS, inputs=noise(STEPS))
    assert_traces_equal(reference(), got)
    told = ("_crc_err", "_cobs_err", "_retransmits")
    assert sum(n for name, n in board.counters().items() if name.endswith(told)) > 0
