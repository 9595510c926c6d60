"""What nengo-loihi's emulator holds of a program; all else is refused by name before anything starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from neuromorph.errors import UnsupportedError

if TYPE_CHECKING:
    from neuromorph.program import Population, Program, Projection

__all__ = ["SHIFT", "check_program"]

SHIFT = 6  # thresholds and weights are held shifted
PLASTIC_MAX = 256


def check_program(program: Program) -> None:
    """Raise UnsupportedError if the emulator would compute something else, or has no such thing."""
    for pop in program.populations.values():
        _check_population(pop)
    if all(pop.kind == "input" for pop in program.populations.values()):
        raise UnsupportedError("the program has inputs only: the emulator needs at least one population of neurons")
    for proj in program.projections.values():
        _check_projection(proj, program.populations[proj.pre].n, program.populations[proj.post].n)


def _check_population(pop: Population) -> None:
    lacks = {
        "ternary neurons": pop.kind == "ternary", "adaptive threshold": pop.adaptive,
        "scheduled reset": pop.has_reset,
    }  # fmt: skip
    for what, asked in lacks.items():
        if asked:
            raise UnsupportedError(f"population {pop.name!r}: nengo-loihi's emulator has no {what}")


def _check_projection(proj: Projection, n_pre: int, n_post: int) -> None:
    where, exp = f"projection {proj.name!r}", proj.weight_exp
    if proj.graded:
        raise UnsupportedError(f"{where}: Loihi 1 has no graded spikes: use binary ones")
    if proj.max_delay:
        raise UnsupportedError(
            f"{where}: nengo-loihi's emulator has no delays (largest stored delay {proj.max_delay}): use relay cells"
        )
    if exp < 0 and (proj.rule is not None or np.any(proj.weights & ((1 << -exp) - 1))):
        raise UnsupportedError(
            f"{where}: weight_exp {exp} drops bits of the sum of a step; the emulator has the weights shifted before "
            "they are added: use weights that are multiples of 2^-weight_exp, or weight_exp >= 0"
        )
    size = np.full(proj.weights.shape, PLASTIC_MAX) if proj.rule is not None else np.abs(proj.weights)
    total = size.sum(axis=0) if proj.indices is None else np.bincount(proj.indices, weights=size, minlength=n_post)
    largest = float(total.max(initial=0)) * 2.0 ** (exp + SHIFT)
    if largest >= 1 << 31:
        raise UnsupportedError(
            f"{where}: {n_pre} sources with weight_exp {exp} add up to {largest:.3g}, over the 32 bits in which the "
            "emulator adds: use a smaller weight_exp"
        )
