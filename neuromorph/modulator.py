"""Modulators of a Graph: how they are drawn from a description, and what every one of them must be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from neuromorph import graph
from neuromorph.distributions import Distribution
from neuromorph.errors import ValidationError
from neuromorph.parameters import Limit, real, values
from neuromorph.random import Stream
from neuromorph.validate import nearest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from neuromorph.handles import Modulator

__all__ = ["SOURCES_MAX", "check_modulator", "check_value", "draw_modulator"]

SOURCES_MAX = 8
FULL_SCALE = Limit(0.0, open=True, hint="the largest size that rules are to tell apart, e.g. 4.0")
TAU = Limit(0.0, open=True, infinite=True, unit="s", hint="write seconds, e.g. tau=200 * ms, or None for no decay")


def draw_modulator(handle: Modulator, seed: int) -> graph.Modulator:
    """A modulator of the Graph, its initial values drawn."""
    where = f"modulator {handle.name!r}"
    init = handle.init
    if isinstance(init, Distribution):
        init = init.draw(Stream(seed, handle.name, "init"), handle.n)
    if np.ndim(init) and handle.of is None:
        raise ValidationError(
            f"{where}: init has shape {np.shape(init)}, but there is one value for all; give a number"
        )
    return graph.Modulator(
        handle.name,
        handle.n,
        None if handle.of is None else handle.of.name,
        tuple((source.name, real(f"{where}: sources", gain, Limit())) for source, gain in handle.sources.items()),
        np.inf if handle.tau is None else real(f"{where}: tau", handle.tau, TAU),
        real(f"{where}: full_scale", handle.full_scale, FULL_SCALE),
        values(f"{where}: init", init, Limit(), handle.n),
        handle.mode,
    )


def check_modulator(modulator: graph.Modulator, pops: Mapping[str, graph.Population]) -> None:
    """Check a modulator beside the populations of its graph.

    Raises
    ------
    ValidationError
        An unknown population, a source of another size, too many sources, a number out of its range.
    """
    where = f"modulator {modulator.name!r}"
    if modulator.mode not in ("add", "hold"):
        raise ValidationError(f"{where}: mode = {modulator.mode!r} is unknown; one of 'add', 'hold'")
    for name in [name for name, _ in modulator.sources] + ([] if modulator.of is None else [modulator.of]):
        if name not in pops:
            raise ValidationError(f"{where}: population {name!r} does not exist; {nearest(name, pops)}")
    n = 1 if modulator.of is None else pops[modulator.of].n
    if modulator.of is not None and pops[modulator.of].kind == "input":
        raise ValidationError(f"{where}: {modulator.of!r} is an input and has no synapses that learn; give neurons")
    if modulator.n != n:
        raise ValidationError(f"{where}: {modulator.n} values, needed {n}")
    if len(modulator.sources) > SOURCES_MAX:
        raise ValidationError(
            f"{where}: {len(modulator.sources)} sources; at most {SOURCES_MAX}: let several feed one population first"
        )
    for name, gain in modulator.sources:
        real(f"{where}: sources[{name!r}]", gain, Limit())
        if modulator.of is not None and pops[name].n != n:
            raise ValidationError(
                f"{where}: the source {name!r} has {pops[name].n} neurons, {modulator.of!r} has {n}: with of= each "
                "neuron feeds its own value; leave of out for one value that all feed"
            )
    real(f"{where}: tau", modulator.tau, TAU)
    real(f"{where}: full_scale", modulator.full_scale, FULL_SCALE)
    held = np.asarray(values(f"{where}: init", modulator.init, Limit(), n))
    check_value(f"{where}: init", float(held.flat[np.argmax(np.abs(held))]), modulator)


def check_value(where: str, value: object, modulator: graph.Modulator) -> float:
    """A value that a modulator can be given."""
    held = real(where, value, Limit())
    if abs(held) > modulator.full_scale:
        raise ValidationError(
            f"{where} = {held:g} is beyond the full scale of {modulator.full_scale:g}; raise full_scale"
        )
    return held
