"""The demo: learn digits on the emulated board, and show that every machine did exactly the same."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from neuromorph.compile import compile as compile_network
from neuromorph.examples.digits import Digits, Score
from neuromorph.lockstep import Outcome, Run, check
from neuromorph.open import open as open_session

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from neuromorph.program import Program

__all__ = ["Shown", "learn", "show"]

TARGETS = ("cpu:ref", "cpu", "mcu")
CELLS = 100
SIDE = 8


@dataclass(frozen=True, slots=True)
class Shown:
    """What the demo found.

    Attributes
    ----------
    program : Program
        The one program of all targets.
    outcome : Outcome
        The comparison of all spikes, weights and final states.
    score : Score
        Held-out accuracy and labels of the cells.
    weights : ndarray, shape (64, cells)
        Final weights.
    """

    program: Program
    outcome: Outcome
    score: Score
    weights: NDArray[np.int64]

    def picture(self, path: str | Path) -> None:
        """Receptive fields of the cells, in the order of their digits, to PNG or SVG."""
        from neuromorph.plots import plot_fields

        found = self.score.labels
        order = np.argsort(np.where(found < 0, found.max() + 1, found), kind="stable")  # those without a digit last
        labels = {k: int(d) if d >= 0 else "-" for k, d in enumerate(found[order])}
        title = f"{order.size} cells, learned without labels; {self.score.accuracy:.1%} of held-out digits read"
        plot_fields(self.weights[:, order], (SIDE, SIDE), path, labels=labels, title=title)


def show(
    digits: Digits, targets: Sequence[str] = TARGETS, progress: Callable[[str, int, int], None] | None = None
) -> Shown:
    """Run the digits protocol on all targets and compare all that they did."""
    program = compile_network(digits.network(CELLS), targets=list(targets))
    runs = [Run(target, program, partial(open_session, program, target)) for target in targets]
    outcome = check(runs, digits.steps, {"pixels": digits.spikes()}, progress)
    trace = outcome.traces[-1]
    weights = np.asarray(trace.states("syn.w").values[-1]).reshape(SIDE * SIDE, CELLS)
    return Shown(program, outcome, digits.score(trace), weights)


def learn(
    digits: Digits, target: str, cells: int = CELLS, progress: Callable[[str, int, int], None] | None = None
) -> Score:
    """Run the protocol on one target, the ideal model `cpu:float` included, and score it."""
    net = digits.network(cells)
    with open_session(net, target) as session:
        report = (lambda done, total: progress(target, done, total)) if progress else None
        trace = session.run(steps=digits.steps, inputs={"pixels": digits.spikes()}, progress=report)
    return digits.score(trace)
