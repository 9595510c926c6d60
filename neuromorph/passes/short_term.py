"""How short-term plasticity is held in integers (docs/semantics.md, 5)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from neuromorph.passes.hold import check_tau, compact
from neuromorph.report import Entry, compare_values
from neuromorph.short_term import ONE, SINCE_MAX, USE_MAX, ShortTerm, factors

if TYPE_CHECKING:
    from neuromorph import graph

__all__ = ["hold_short_term"]

TAU_MAX = SINCE_MAX / 5
"""Steps: after a longer silence the count of steps stops, which then leaves under 1% of a state."""


def hold_short_term(proj: graph.Projection, asked: graph.ShortTerm, dt: float) -> tuple[ShortTerm, list[Entry]]:
    """The integers of a projection's short-term plasticity, and the lines of the report.

    Raises
    ------
    ValidationError
        A time constant that is held over 5% off, or longer than the count of steps reaches.
    """
    where, entries = f"projection {proj.name!r}, short_term", []
    use = np.clip(np.rint(np.asarray(asked.U) * ONE), 1, USE_MAX)
    entries.append(compare_values(proj.name, "short-term U", asked.U, use / ONE))
    made = ShortTerm(compact(use), factors(asked.tau_rec / dt), factors(asked.tau_facil / dt), asked.learned_use)
    for name, tau, side in (("tau_rec", asked.tau_rec, 0), ("tau_facil", asked.tau_facil, 1)):
        held = _held_tau(made, tau / dt, side) * dt
        check_tau(f"{where} {name}", tau, held, dt, int(TAU_MAX))
        entries.append(compare_values(proj.name, f"short-term {name}", tau, held, "s"))
    return made, entries


def _held_tau(made: ShortTerm, tau: float, side: int) -> float:
    """The time constant, in steps, of what as many steps leave."""
    steps = max(1, round(tau))
    left = made.left(steps)[side] / ONE if steps <= TAU_MAX else 1.0
    if left == 0.0:
        return 0.0
    return math.inf if left == 1.0 else -steps / math.log(left)
