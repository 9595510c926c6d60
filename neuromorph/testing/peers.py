"""Random programs for peers: of the programs of `neuromorph.testing.programs` those that a peer holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from neuromorph.errors import UnsupportedError
from neuromorph.testing.equality import Case, is_active, trace_of
from neuromorph.testing.programs import Draw, draw

if TYPE_CHECKING:
    from neuromorph.program import Program, Projection
    from neuromorph.worker.machine import Inputs

__all__ = ["contents", "inputs_of", "peer_case"]

ATTEMPTS = 500


def peer_case(seed: int, fit: Callable[[Draw], Draw], steps: int = 200) -> Case:
    """The first active program of a seed that `fit` can change into one that the peer holds.

    Parameters
    ----------
    seed : int
        Of the program.
    fit : callable
        Returns a draw that the peer holds; raises UnsupportedError if there is none.
    steps : int
        Length of the run.
    """
    from neuromorph_cpu.ref_engine import RefEngine

    for attempt in range(ATTEMPTS):
        try:
            drawn = fit(draw(seed, attempt, steps))
        except UnsupportedError:
            continue
        reference = trace_of(replace(drawn, pause=0), RefEngine())
        if is_active(drawn, reference):
            return Case(seed, drawn, reference)
    raise RuntimeError(f"no program found for seed {seed}")  # the generator is at fault, not its user


def inputs_of(drawn: Draw) -> Inputs:
    """What a program's inputs send, as machines in workers get it."""
    found: dict[int, dict[str, np.ndarray]] = {}
    for name, events in drawn.events.items():
        n = drawn.program.populations[name].n
        for step, index, payload in zip(*events, strict=True):
            found.setdefault(int(step), {}).setdefault(name, np.zeros(n, np.int64))[index] = payload
    return found


def contents(program: Program) -> Counter[str]:
    """What kinds of things a program has, counted."""
    found: Counter[str] = Counter()
    for pop in program.populations.values():
        features = {
            "refractory": pop.is_refractory, "adaptive": pop.adaptive, "reset": pop.has_reset,
            "graded": pop.graded,
        }  # fmt: skip
        found[" ".join([pop.kind, *(name for name, has in features.items() if has)])] += 1
    for proj in program.projections.values():
        found.update(_projection_contents(proj))
    found["schedule"] += bool(program.schedule)
    return found


def _projection_contents(proj: Projection) -> Counter[str]:
    delayed = "delayed " if proj.max_delay else ""
    found = Counter([
        f"{delayed}{'plastic ' if proj.rule else ''}{proj.layout}", f"sign mode {proj.sign_mode}",
        "graded spikes" if proj.graded else "binary spikes", f"weight_exp {'<' if proj.weight_exp < 0 else '>='} 0",
    ])  # fmt: skip
    if proj.rule is not None:
        found[f"epoch of {proj.rule.t_epoch}"] += 1
        found[f"graded trace {proj.rule.graded_trace}"] += 1
        found.update(f"rule reads {name}" for name in {f.variable for p in proj.rule.products for f in p.factors})
        found.update(f"dependency {name}" for name in {p.dependency for p in proj.rule.products})
        found.update(name for name in ("dw", "dd", "dt") if getattr(proj.rule, name))
    return found
