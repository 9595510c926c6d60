"""Is it there? The first tests to run on a machine: each needs little more than the one before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from neuromorph.inputs import SpikeTrain
from neuromorph.program import Population, Probe, Projection, build

if TYPE_CHECKING:
    from collections.abc import Callable

    from neuromorph.program import Program


def neuron(weight: int = 200) -> Program:
    """An input channel on one neuron, which a spike makes fire one step later."""
    import numpy as np

    return build(
        [Population("input", 1, "input"), Population("cell", 1, vth=64)],
        [Projection("syn", "input", "cell", np.array([[weight]]))],
        probes=(Probe("cell.spikes", "cell", "spikes"),),
        name="one neuron",
    )


def test_it_answers(board: Any) -> None:
    """A board says who it is, and that it has memory for programs."""
    if board.hello is None:
        assert board.engine.target
        pytest.skip(f"{board.id} has no HELLO: there is no link between it and this program")
    assert board.hello.pool > 0
    assert board.hello.board
    assert board.hello.build


def test_one_spike(deploy: Callable[..., Any], run: Callable[..., Any]) -> None:
    """A spike at step 3 with delay 1 makes the neuron fire at step 4, and at no other."""
    deploy(neuron())
    trace = run(steps=10, inputs={"input": SpikeTrain([3], [0])})
    assert trace.spikes("cell").steps.tolist() == [4]


def test_silence(deploy: Callable[..., Any], run: Callable[..., Any]) -> None:
    """Without input nothing happens, for as many steps as were asked for."""
    handle = deploy(neuron())
    assert len(run(steps=50).spikes("cell")) == 0
    assert handle.session.now == 50


def test_one_program_after_the_other(
    deploy: Callable[..., Any],
    run: Callable[..., Any],
    reference: Callable[..., Any],
    assert_traces_equal: Callable[..., Any],
) -> None:
    """A new program starts at step 0 and knows nothing of the one before."""
    for weight in (200, 0, 20, 200):
        handle = deploy(neuron(weight))
        assert handle.session.now == 0
        got = run(steps=20, inputs={"input": SpikeTrain([3, 9, 10], [0, 0, 0])})
        assert len(got.spikes("cell")) == (3 if weight > 64 else 0)
        assert_traces_equal(reference(), got)


def test_running_on(
    deploy: Callable[..., Any],
    run: Callable[..., Any],
    reference: Callable[..., Any],
    assert_traces_equal: Callable[..., Any],
) -> None:
    """A second run goes on where the first one ended; `reset` goes back to step 0."""
    handle = deploy(neuron())
    for steps in (1, 7, 20):
        got = run(steps=steps, inputs={"input": SpikeTrain([1], [0])})
        assert_traces_equal(reference(), got)
    assert handle.session.now == 28
    handle.session.reset()
    assert handle.session.now == 0
