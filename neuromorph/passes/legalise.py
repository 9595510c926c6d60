"""legalise: probes and schedule in the machine's terms, a first whole Program, the features that targets need."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from neuromorph.errors import UnsupportedError
from neuromorph.image import features
from neuromorph.language import format_products
from neuromorph.passes.base import Pass, State
from neuromorph.plasticity.text import Custom
from neuromorph.program import Population, Probe, Program, Projection, ScheduleEntry
from neuromorph.rule import OLD_PERIOD_MAX

if TYPE_CHECKING:
    from neuromorph.engine import Target
    from neuromorph.graph import Phase
    from neuromorph.plasticity.base import PlasticityRule

__all__ = ["ALTERNATIVES", "Legalise", "check_features"]

# feature: (what it is called, the nearest thing that needs no such feature)
ALTERNATIVES = {
    "plastic": ("plasticity", "freeze the weights: connect without plasticity, with weights learned elsewhere"),
    "shared_rounding": ("shared rounding", "compile with rounding='synapse'"),
    "synapse_rounding": ("rounding per synapse", "compile with rounding='shared'"),
    "graded": ("graded spikes", "code the payload as a number of binary spikes"),
    "delays": ("delays over one step", "use a delay of one step, or relay cells"),
    "sparse": ("sparse projections", "use a dense projection with weights of 0"),
    "adaptive_threshold": ("an adaptive threshold", "use a fixed threshold per neuron"),
    "refractory": ("a refractory period", "use an inhibitory projection of each neuron onto itself"),
    "ternary": ("ternary neurons", "use two lif populations, one for each sign"),
    "scheduled_reset": ("a scheduled reset", "use a short tau_m and a pause between the inputs"),
    "tags": ("synaptic tags", "use a rule of dw alone"),
    "schedule": ("a schedule", "run the phases one after the other, with a program for each"),
    "modulators": ("modulators", "use a rule that reads none, and switch it with phases"),
    "extended_factors": ("factors of two variables, functions of a factor, or periods over 2^9 epochs", ""),
    "resource_sums": ("sums of the weights onto a neuron", "use a rule without q, or bound each weight alone"),
    "short_term": ("short-term plasticity", "use static release, or weights that a rule changes"),
    "threshold_drift": ("a threshold that drifts", "use ThresholdAdaptation, whose threshold decays"),
}


@dataclass(frozen=True)
class Legalise(Pass):
    """Fill in `State.program` (without a report) and check it against every target's features."""

    name: ClassVar[str] = "legalise"

    def run(self, state: State) -> State:
        """Take over probes and schedule, refuse what a target lacks."""
        graph = state.graph
        schedule = tuple(_entry(phase, state) for phase in graph.schedule)
        probes = tuple(Probe(p.name, p.object, p.variable, p.every, p.phase) for p in graph.probes)
        program = Program(
            dt=round(graph.dt * 1e9) / 1e9, populations=state.populations, projections=state.projections,
            probes=probes, schedule=schedule, rounding=state.rounding, seed=graph.seed, name=graph.name,
            profile=state.profile, scales=state.scales, modulators=state.modulators, deadline_us=state.deadline_us,
            counter=state.counter,
        )  # fmt: skip
        rules = {projection.name: projection.rule for projection in graph.projections}
        for target in state.targets:
            check_features(program, target, rules)
        return replace(state, program=program)


def _entry(phase: Phase, state: State) -> ScheduleEntry:
    if phase.operation != "modulator":
        return ScheduleEntry(phase.step, phase.operation, phase.object, phase.on)
    value = round(phase.value / state.scales[phase.object]["m"])
    return ScheduleEntry(phase.step, "modulator", phase.object, value=value)


def check_features(program: Program, target: Target, rules: Mapping[str, PlasticityRule | None] | None = None) -> None:
    """Raise UnsupportedError, with who needs it and the nearest alternative, for a feature that a target lacks.

    With `rules`, those of projections as they were described, a product of a user's text is shown where it stands.
    """
    if target.numbers != "integer":
        return
    if program.profile not in target.profiles:
        raise UnsupportedError(
            f"target {target.name!r} does not hold profile {program.profile!r}, it has {', '.join(target.profiles)}; "
            "compile with profile='loihi2', or run on cpu, cpu:ref or mcu"
        )
    for feature in features(program):
        if feature not in target.features:
            what, instead = ALTERNATIVES[feature]
            where = ", ".join(map(repr, _users(program, feature))) or "the program"
            if feature == "extended_factors":
                what, where, instead = _extended(program, rules or {})
            raise UnsupportedError(f"target {target.name!r} does not hold {what}, needed by {where}; {instead}")


def _extended(program: Program, rules: Mapping[str, PlasticityRule | None]) -> tuple[str, str, str]:
    """The first product that only our own engines hold: what it has, where, and what to write instead."""
    name, rule, product = next(
        (name, p.rule, product)
        for name, p in program.projections.items()
        if p.rule is not None
        for product in p.rule.products
        if product.extended
    )
    where = f"{name!r} ({format_products([product], rule.modulators)})"
    if product.k > OLD_PERIOD_MAX:
        what, instead = f"a period of 2^{product.k} epochs", f"use u0 to u{OLD_PERIOD_MAX}, or a longer epoch"
    elif any(factor.second for factor in product.factors):
        what, instead = "factors of two variables", "use factors of a variable and a constant"
    else:
        what, instead = "pos, on, and sgn of traces", "use factors of a variable and a constant"
    described = rules.get(name)
    shown = described.show_extended() if isinstance(described, Custom) else ""
    return what, where, f"{instead}; see {shown}" if shown else instead


def _users(program: Program, feature: str) -> list[str]:
    """The names of the objects that ask for a feature."""
    pops: dict[str, Callable[[Population], bool]] = {
        "graded": lambda p: p.graded, "adaptive_threshold": lambda p: p.adaptive,
        "refractory": lambda p: p.is_refractory, "ternary": lambda p: p.kind == "ternary",
        "scheduled_reset": lambda p: p.has_reset, "threshold_drift": lambda p: p.drifts,
    }  # fmt: skip
    projs: dict[str, Callable[[Projection], bool]] = {
        "graded": lambda p: p.graded, "plastic": lambda p: p.rule is not None, "delays": lambda p: p.max_delay > 0,
        "shared_rounding": lambda p: p.rule is not None, "synapse_rounding": lambda p: p.rule is not None,
        "sparse": lambda p: p.layout == "sparse",
        "tags": lambda p: p.rule is not None and (p.rule.has_tag_1 or p.rule.has_tag_2),
        "extended_factors": lambda p: p.rule is not None and any(product.extended for product in p.rule.products),
        "resource_sums": lambda p: p.rule is not None and "q" in p.rule.variables,
        "short_term": lambda p: p.short_term is not None,
    }  # fmt: skip
    names = [p.name for p in program.populations.values() if feature in pops and pops[feature](p)]
    names += [p.name for p in program.projections.values() if feature in projs and projs[feature](p)]
    if feature == "modulators":
        return list(program.modulators)
    return names if feature != "schedule" else sorted({e.object for e in program.schedule})
