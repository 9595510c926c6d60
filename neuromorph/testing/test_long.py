"""Long runs: inputs stream in and spikes stream out all the time, and the last value is as right as the first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from neuromorph.inputs import SpikeTrain
from neuromorph.program import Population, Probe, Program, Projection, build
from neuromorph.rule import Factor, Product, Rule, Trace

if TYPE_CHECKING:
    from collections.abc import Callable

SHORT, LONG, LONG_QEMU = 5_000, 1_000_000, 10_000
N_PRE, N_POST = 8, 6


def network() -> Program:
    """Cells that learn by pair STDP, with weights that neither die nor saturate, and inhibit each other."""
    rng = np.random.default_rng(3)
    others = 1 - np.eye(N_POST, dtype=np.int64)
    rule = Rule(
        (Product("y0", 1, -2, (Factor("x1"),)), Product("x0", -1, -2, (Factor("y1"),))),
        traces={"x1": Trace(16, 0, 20.0), "y1": Trace(17, 0, 20.0)}, seed=5,
    )  # fmt: skip
    return build(
        [Population("input", N_PRE, "input"), Population("cells", N_POST, du=800, dv=200, vth=700, refractory=3)],
        [
            Projection("syn", "input", "cells", rng.integers(40, 90, (N_PRE, N_POST)), sign_mode="exc", rule=rule),
            Projection("inhibition", "cells", "cells", -40 * others, sign_mode="inh", delays=1),
        ],
        probes=(Probe("cells.spikes", "cells", "spikes"), Probe("syn.w", "syn", "w", every=1000)),
        name="long run", seed=9,
    )  # fmt: skip


def noise(steps: int) -> dict[str, SpikeTrain]:
    """Every channel at 5% of the steps."""
    rng = np.random.default_rng(4)
    count = rng.binomial(steps * N_PRE, 0.05)
    where = np.unique(rng.integers(0, steps * N_PRE, count))
    return {"input": SpikeTrain(where // N_PRE + 1, where % N_PRE)}


def check(
    steps: int,
    deploy: Callable[..., Any],
    run: Callable[..., Any],
    reference: Callable[..., Any],
    equal: Callable[..., Any],
) -> None:
    """Run, and compare every spike, the weights on the way and at the end."""
    from neuromorph.errors import CapacityError, UnsupportedError

    try:
        handle = deploy(network())
    except (CapacityError, UnsupportedError) as error:
        pytest.skip(f"refused: {error}")
    got = run(steps=steps, inputs=noise(steps))
    now, weights = handle.session.now, handle.session.read("syn", "w")  # first: a board drops a host that is silent
    equal(reference(), got)
    assert len(got.spikes("cells")) > steps // 100
    assert now == steps
    assert weights.ravel().tolist() != handle.program.projections["syn"].weights.ravel().tolist()


def test_a_run_in_short(
    deploy: Callable[..., Any],
    run: Callable[..., Any],
    reference: Callable[..., Any],
    assert_traces_equal: Callable[..., Any],
) -> None:
    """Thousands of steps: all buffers between here and the board have been full and empty."""
    check(SHORT, deploy, run, reference, assert_traces_equal)


@pytest.mark.nm_slow
@pytest.mark.timeout(3600)
def test_a_long_run(
    board: Any,
    deploy: Callable[..., Any],
    run: Callable[..., Any],
    reference: Callable[..., Any],
    assert_traces_equal: Callable[..., Any],
) -> None:
    """A million steps; ten thousand where a board runs in QEMU."""
    steps = LONG_QEMU if board.kind == "qemu" else LONG
    check(steps, deploy, run, reference, assert_traces_equal)
