"""Parameters that every neuron and synapse must keep to, wherever it is placed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from neuromorph.errors import CapacityError

if TYPE_CHECKING:
    from neuromorph.program import Population, Program, Projection
    from neuromorph.rule import Rule
    from neuromorph_loihi.chips import Chip

__all__ = ["check_ranges"]


def check_ranges(program: Program, chip: Chip) -> None:
    """Refuse the first parameter that is out of the chip's range.

    Raises
    ------
    CapacityError
        Names the object, the parameter, its value and the limit.
    """
    for pop in program.populations.values():
        if pop.kind != "input":
            _check_population(pop, chip)
    for proj in program.projections.values():
        _check_projection(proj, chip)


def _refuse(chip: Chip, name: str, what: str, need: int, limit: str, way: str) -> CapacityError:
    return CapacityError(f"target {chip.target!r} cannot hold {name!r}: {what} is {need}, limit {limit}; {way}")


def _check_population(pop: Population, chip: Chip) -> None:
    dv, vth, refractory = (pop.per_neuron(key) for key in ("dv", "vth", "refractory"))
    if dv.max() > chip.dv_max.value:
        way = "use tau_m of at least 0.12 dt"
        raise _refuse(chip, pop.name, "the voltage's decay dv", int(dv.max()), f"{chip.dv_max.value}", way)
    if vth.min() < chip.vth_min.value:
        way = "use a higher threshold"
        raise _refuse(chip, pop.name, "the threshold vth", int(vth.min()), f"at least {chip.vth_min.value}", way)
    if refractory.max() > chip.refractory_max.value:
        limit = f"{chip.refractory_max.value}"
        raise _refuse(chip, pop.name, "the refractory period in steps", int(refractory.max()), limit, "use a larger dt")
    bias = np.abs(pop.per_neuron("bias"))
    step = np.minimum(np.where(bias == 0, 1, bias & -bias), 1 << chip.bias_exponent.value)
    over = bias // step > chip.bias_mantissa.value
    if over.any():
        limit = f"{chip.bias_mantissa.value} times a power of two up to {1 << chip.bias_exponent.value}"
        worst = int(bias[over].max())
        raise _refuse(chip, pop.name, "the size of the bias", worst, limit, "round it to such a number")


def _check_projection(proj: Projection, chip: Chip) -> None:
    if proj.max_delay > chip.delay_max.value:
        limit = f"{chip.delay_max.value} (stored; one step more in all)"
        raise _refuse(chip, proj.name, "the delay in steps", proj.max_delay, limit, "use a shorter delay or larger dt")
    low, high = chip.weight_exp_min.value, chip.weight_exp_max.value
    if not low <= proj.weight_exp <= high:
        way = "bring its weights nearer to the threshold and to those of other projections"
        raise _refuse(chip, proj.name, "the exponent of its weights", proj.weight_exp, f"{low}..{high}", way)
    if proj.rule is not None and proj.rule.modulators:
        _check_modulators(proj.name, proj.rule, chip)
    if proj.rule is not None and proj.rule.has_tag_2 and not chip.tag_2.value:
        raise _refuse(chip, proj.name, "the number of its tags d", 1, "0", "use a rule without d and dd")


def _check_modulators(name: str, rule: Rule, chip: Chip) -> None:
    limit = chip.modulators.value
    if len(rule.modulators) > limit:
        way = "use fewer, or feed one from all sources"
        raise _refuse(chip, name, "the number of its rule's modulators", len(rule.modulators), f"{limit}", way)
    post = [trace for trace in rule.traces if trace[0] == "y"]
    if post:
        way = "read the target's activity from a modulator that its own spikes feed"
        what = "the number of post traces beside modulators, which take their place,"
        raise _refuse(chip, name, what, len(post), "0", way)
