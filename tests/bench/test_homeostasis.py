"""What homeostasis adds to a step of N3, over a whole period of the scaling."""

from __future__ import annotations

import numpy as np
import pytest

from neuromorph.bench.homeostasis import PERIOD, homeostatic, overhead
from neuromorph.bench.networks import benchmark
from neuromorph.session import Session
from neuromorph.targets import find

MOST = 0.25
"""Of a step of plain pair STDP: the bar, in instructions of a Cortex-M4."""


@pytest.mark.slow
@pytest.mark.timeout(600)  # 20 s of CPU; a shared machine may need many times that
def test_adaptive_threshold_and_scaling_together_add_at_most_a_quarter() -> None:
    """As active as without them: the bar is not met by silence."""
    pytest.importorskip("unicorn", reason="the emulated boards need Unicorn: pip install 'neuromorph[mcu]'")
    pytest.importorskip("elftools", reason="counting needs pyelftools: pip install 'neuromorph[mcu]'")
    found = overhead("mcu:m4")
    assert found.plain.steps == found.both.steps == PERIOD
    assert 0 < found.share <= MOST, found.text()
    assert found.both.spikes >= 0.95 * found.plain.spikes
    assert found.both.plastic_updates >= found.plain.plastic_updates


def test_a_small_n3_keeps_the_bar() -> None:
    pytest.importorskip("unicorn", reason="the emulated boards need Unicorn: pip install 'neuromorph[mcu]'")
    pytest.importorskip("elftools", reason="counting needs pyelftools: pip install 'neuromorph[mcu]'")
    found = overhead("mcu:m4", 0.25)
    assert 0 < found.share <= MOST, found.text()


def test_it_is_n3_and_the_scaling_is_due_at_the_end_of_the_steps_measured() -> None:
    plain = benchmark("N3", 0.1).program
    both = homeostatic(plain)
    before, after = plain.projections["plastic"], both.projections["plastic"]
    assert before.rule is not None
    assert after.rule is not None
    assert after.rule.dw[:2] == before.rule.dw
    assert [(p.dependency, after.rule.t_epoch << p.k) for p in after.rule.dw[2:]] == [("u", PERIOD)]
    assert np.array_equal(before.weights, after.weights)
    cells, adapting = plain.populations["cells"], both.populations["cells"]
    assert adapting.vth == cells.vth
    assert adapting.theta_inc == pytest.approx(0.004 * (cells.vth << 6 << adapting.theta_frac), abs=1)

    backend, target = find("cpu")
    with Session(both, backend.open(target)) as session:
        session.engine.load(both.image)
        session.run(steps=PERIOD - 1)
        assert np.array_equal(session.read("plastic", "w").ravel(), after.weights.ravel())  # nobody spiked
        session.run(steps=1)
        grown = session.read("plastic", "w").ravel() - after.weights.ravel()
        assert grown.min() >= 0
        assert 0.03 * after.weights.mean() < grown.mean() < 0.07 * after.weights.mean()  # by 0.05 per second
